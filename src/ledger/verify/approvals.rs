//! What entries say about requests, reviews and grants: nothing was let through that was not approved.
//!
//! Job: checks each review again (signature, device, subject, reviewer), counts the reviews of each
//! request once more, one for each person under whatever name, and finds what was let through without
//! them, twice, or too late. Boundary: who was in which group, who is one person with whom, and whose a
//! device was, is what the entries of that time say; what signs a review comes in through [`Reviews`]. A
//! record is kept for each request ever filed, so that no approval can be used again under its old id.
//!
//! A broker enters a review before it counts it. So a review that came an instant too late is in the
//! ledger as well, and `SLACK` is what two entries of one moment may be apart.

mod devices;
mod moment;
mod people;
mod record;

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use thiserror::Error;

use self::devices::Devices;
use self::moment::{SLACK, after};
use self::record::{Approval, Grant, Record, Wanted};
use crate::domain::approval::{Decision, Marks, Standing, SubjectText, Threshold, What as Matter};
use crate::domain::event::{Actor, Event, What};
use crate::domain::name::{DeviceId, Digest, GrantId, GroupName, RequestId, SessionId};
use crate::domain::principal::PrincipalId;

/// Opens the signed form of a review.
pub trait Reviews {
    /// What was signed, if the signature holds.
    ///
    /// # Errors
    /// What is wrong with it.
    fn open(&self, proof: &str) -> Result<SignedReview, String>;
}

/// Opens nothing: for a ledger in which nobody reviews.
impl Reviews for () {
    fn open(&self, _: &str) -> Result<SignedReview, String> {
        Err("no reviews were expected".into())
    }
}

/// A review whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReview {
    /// The device whose key signed it.
    pub device: DeviceId,
    /// The request.
    pub request: RequestId,
    /// SHA-256 of the subject's text.
    pub subject: Digest,
    /// Who signed.
    pub reviewer: PrincipalId,
    /// What they said.
    pub decision: Decision,
    /// The standing decision that goes with it.
    pub standing: Option<Standing>,
}

/// What can be wrong with approvals.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApprovalFault {
    /// Nobody is named who did it.
    #[error("it does not say who did it")]
    Actor,
    /// It speaks of a grant that was not issued, is over, was revoked or used up.
    #[error("the grant {0} {1}")]
    Grant(GrantId, &'static str),
    /// It was let through without the reviews that it takes.
    #[error("{request} was let through without the reviews that it takes: {threshold}")]
    NotApproved {
        /// The request.
        request: RequestId,
        /// What it takes.
        threshold: Threshold,
    },
    /// It was let through for somebody or something else than was asked for.
    #[error("{0} was let through for another {1} than was asked for")]
    Other(RequestId, &'static str),
    /// It was let through after its end.
    #[error("{0} was let through after its end")]
    Over(RequestId),
    /// Somebody reviewed their own request.
    #[error("{0} was reviewed by the one who asked")]
    Own(RequestId),
    /// An approval was used again.
    #[error("{0} was let through twice")]
    Reused(RequestId),
    /// The signed form of a review does not say what the entry says.
    #[error("the review was signed {0}")]
    Signed(&'static str),
    /// No standing decision covers it.
    #[error("the standing decision of {0} does not cover it")]
    Standing(RequestId),
    /// What was asked is not what the digest is of.
    #[error("the {0} of what was asked is not the one entered")]
    Subject(&'static str),
    /// What the request takes cannot be read.
    #[error("what the request takes cannot be read: {0}")]
    Threshold(String),
    /// There was no such request.
    #[error("{0} was never filed")]
    Unknown(RequestId),
    /// The device was not the reviewer's.
    #[error("the review was signed by a device that was not enrolled for the reviewer, or was revoked")]
    UnknownDevice,
    /// The signature of a review is wrong.
    #[error("the review: {0}")]
    Unsigned(String),
}

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    devices: Devices,
    requests: HashMap<RequestId, Record>,
    grants: HashMap<GrantId, Grant>,
    reviews: u64,
}

impl Approvals {
    /// How many reviews there were.
    pub(super) fn reviews(&self) -> u64 {
        self.reviews
    }

    /// Takes the next entry, whatever it is about.
    pub(super) fn tell(&mut self, event: &Event, reviews: &dyn Reviews) -> Result<(), ApprovalFault> {
        let at = event.at;
        let actor = || event.actor.as_ref().ok_or(ApprovalFault::Actor);
        match &event.what {
            What::DeviceEnrolled { device } => self.devices.enrol(&actor()?.principal, device),
            What::DeviceRevoked { device } => self.devices.revoke(device, at),
            What::RequestFiled { .. } => self.filed(&event.what, actor()?)?,
            What::ReviewGiven { proof, .. } => {
                self.reviews += 1;
                let signed = reviews.open(proof).map_err(ApprovalFault::Unsigned)?;
                self.reviewed(at, actor()?, &event.what, signed)?;
            }
            What::RequestAnswered { request, standing, .. } => {
                if let Some(earlier) = standing {
                    self.covered(request, earlier, at)?;
                }
                let record = self.record(request)?;
                if record.denied.is_some() {
                    return Err(ApprovalFault::Over(request.clone()));
                }
                record.answered = true;
            }
            What::RequestReleased { request, session } => {
                let record = self.let_through(request, at)?;
                if record.session.as_ref() != Some(session) {
                    return Err(ApprovalFault::Other(request.clone(), "session"));
                }
                record.forget();
            }
            What::RequestEnded { request, .. } => {
                let record = self.record(request)?;
                if record.used {
                    return Err(ApprovalFault::Over(request.clone()));
                }
                record.ended = true;
                record.forget();
            }
            What::GrantIssued { .. } => self.issued(&event.what, at)?,
            What::GrantExtended { grant, request, ends } => self.extended(grant, request, *ends, at)?,
            What::GrantRevoked { grant, .. } => {
                self.grant(grant)?.revoked.get_or_insert(at);
            }
            What::GrantUsed { grant, session } => self.used(grant, session, at)?,
            What::StandingRevoked { request, .. } => {
                if let Some(stands) = &mut self.record(request)?.standing {
                    stands.until = stands.until.min(at);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn filed(&mut self, what: &What, actor: &Actor) -> Result<(), ApprovalFault> {
        let What::RequestFiled { request, target, session, subject, digest, threshold, expires, kin } = what
        else {
            return Ok(());
        };
        let threshold =
            threshold.parse::<Threshold>().map_err(|error| ApprovalFault::Threshold(error.to_string()))?;
        // a text that had to be cut cannot be compared; every other must be what its digest is of
        let wanted = match SubjectText::read(subject.as_str()) {
            Err(_) if subject.len() < CUT => return Err(ApprovalFault::Subject("text")),
            Err(_) => Wanted::Unknown,
            Ok(text) => {
                let said = text.subject();
                let same = [
                    ("digest", text.digest() == *digest),
                    ("id", said.request == *request),
                    ("requester", said.requester == actor.principal),
                    ("target", said.target == *target),
                ];
                if let Some((what, _)) = same.into_iter().find(|(_, same)| !same) {
                    return Err(ApprovalFault::Subject(what));
                }
                match &said.what {
                    Matter::Deed(deed) if Some(&deed.session) == session.as_ref() => {
                        Wanted::Deed(deed.shape.clone().map(Box::new))
                    }
                    Matter::Session(wanted) if session.is_none() => Wanted::Session(wanted.clone()),
                    Matter::Deed(_) | Matter::Session(_) => return Err(ApprovalFault::Subject("session")),
                }
            }
        };
        let record = Record {
            requester: actor.principal.clone(),
            kin: Marks::told(request, &actor.principal, kin),
            target: target.clone(),
            session: session.clone(),
            digest: digest.clone(),
            threshold,
            expires: *expires,
            wanted,
            approvals: record::Approvals::default(),
            denied: None,
            answered: false,
            ended: false,
            used: false,
            standing: None,
        };
        match self.requests.insert(request.clone(), record) {
            None => Ok(()),
            Some(_) => Err(ApprovalFault::Reused(request.clone())),
        }
    }

    fn reviewed(
        &mut self,
        at: Timestamp,
        actor: &Actor,
        what: &What,
        signed: SignedReview,
    ) -> Result<(), ApprovalFault> {
        let What::ReviewGiven { request, decision, groups, kin, .. } = what else { return Ok(()) };
        let enrolled = self.devices.is_enrolled(&signed.reviewer, &signed.device, at);
        let Some(record) = self.requests.get_mut(request) else {
            return Err(ApprovalFault::Unknown(request.clone()));
        };
        let word = match signed.decision {
            Decision::Approve => "approve",
            Decision::Deny => "deny",
        };
        let same = [
            ("for another request", signed.request == *request),
            ("over another subject", signed.subject == record.digest),
            ("by somebody else", signed.reviewer == actor.principal),
            ("with another decision", word == decision.as_str()),
        ];
        if let Some((what, _)) = same.into_iter().find(|(_, same)| !same) {
            return Err(ApprovalFault::Signed(what));
        }
        if !enrolled {
            return Err(ApprovalFault::UnknownDevice);
        }
        let kin = Marks::told(request, &signed.reviewer, kin);
        if kin.is(&record.kin) {
            return Err(ApprovalFault::Own(request.clone()));
        }
        if record.used || record.ended || at > after(record.expires, SLACK) {
            // it came too late, and counts for nothing
            return Ok(());
        }
        match signed.decision {
            Decision::Deny if !record.is_met() => {
                record.denied.get_or_insert(at);
            }
            Decision::Deny => {}
            Decision::Approve if record.denied.is_some_and(|denied| at > after(denied, SLACK)) => {}
            Decision::Approve => {
                // what is no name of a group is none that a threshold can ask for
                let groups = groups.iter().filter_map(|group| GroupName::new(group.as_str()).ok()).collect();
                let SignedReview { reviewer, device, standing, .. } = signed;
                let lost = record.drop_lost(&self.devices, at);
                let added = record.add(reviewer, device, Approval { kin, groups, standing, at });
                if (lost || added) && record.standing.is_none() {
                    record.standing = record.stands();
                }
            }
        }
        Ok(())
    }

    /// Marks a request as used, if it may be.
    fn let_through(&mut self, request: &RequestId, at: Timestamp) -> Result<&mut Record, ApprovalFault> {
        let Some(record) = self.requests.get_mut(request) else {
            return Err(ApprovalFault::Unknown(request.clone()));
        };
        if record.used {
            return Err(ApprovalFault::Reused(request.clone()));
        }
        record.drop_lost(&self.devices, at);
        if record.ended || at > after(record.expires, SLACK) {
            return Err(ApprovalFault::Over(request.clone()));
        }
        if !record.answered && !record.is_met() {
            let threshold = record.threshold.clone();
            return Err(ApprovalFault::NotApproved { request: request.clone(), threshold });
        }
        record.used = true;
        Ok(record)
    }

    /// Whether the standing decision that was made with an earlier request covers this one.
    fn covered(
        &mut self,
        request: &RequestId,
        earlier: &RequestId,
        at: Timestamp,
    ) -> Result<(), ApprovalFault> {
        let uncovered = || ApprovalFault::Standing(earlier.clone());
        let known = |id: &RequestId| self.requests.get(id).ok_or_else(|| ApprovalFault::Unknown(id.clone()));
        let (now, before) = (known(request)?, known(earlier)?);
        let stands = before.standing.as_ref().filter(|stands| at <= after(stands.until, SLACK));
        let stands = stands.ok_or_else(uncovered)?;
        let same = now.requester == before.requester && now.target == before.target;
        let shaped = match (&before.wanted, &now.wanted) {
            (Wanted::Deed(Some(before)), Wanted::Deed(Some(now))) => before.covers(&stands.free, now),
            (Wanted::Unknown, Wanted::Deed(_) | Wanted::Unknown) | (Wanted::Deed(_), Wanted::Unknown) => true,
            _ => false,
        };
        if same && shaped { Ok(()) } else { Err(uncovered()) }
    }

    fn issued(&mut self, what: &What, at: Timestamp) -> Result<(), ApprovalFault> {
        let What::GrantIssued { grant, request, principal, target, starts, ends, once } = what else {
            return Ok(());
        };
        let (starts, ends, once) = (*starts, *ends, *once);
        let mut new = Grant {
            request: request.clone(),
            principal: principal.clone(),
            target: target.clone(),
            starts,
            ends,
            once,
            used: HashSet::new(),
            revoked: None,
        };
        if let Some(known) = self.grants.get(grant) {
            // a broker that was killed in between enters the same once more
            new.used.clone_from(&known.used);
            new.revoked = known.revoked;
            let again = *known == new;
            return if again { Ok(()) } else { Err(ApprovalFault::Reused(request.clone())) };
        }
        let record = self.let_through(request, at)?;
        for (what, same) in [
            ("principal", record.requester == *principal),
            ("target", record.target == *target),
            ("purpose", record.session.is_none()),
            ("time or number of sessions", record.wanted.allows(&new, at)),
        ] {
            if !same {
                return Err(ApprovalFault::Other(request.clone(), what));
            }
        }
        record.forget();
        self.grants.insert(grant.clone(), new);
        Ok(())
    }

    fn extended(
        &mut self,
        grant: &GrantId,
        request: &RequestId,
        ends: Timestamp,
        at: Timestamp,
    ) -> Result<(), ApprovalFault> {
        let known = self.grant(grant)?;
        let (lasted, revoked) = (known.ends, known.revoked);
        // a broker that was killed in between enters the same once more
        if lasted == ends && self.requests.get(request).is_some_and(|record| record.used) {
            return Ok(());
        }
        let wrong = |what| Err(ApprovalFault::Grant(grant.clone(), what));
        if at > after(lasted, SLACK) {
            return wrong("was made longer after its end");
        }
        if revoked.is_some_and(|revoked| at > after(revoked, SLACK)) {
            return wrong("was made longer after it was revoked");
        }
        let record = self.let_through(request, at)?;
        let (requester, target) = (record.requester.clone(), record.target.clone());
        let longest = record.wanted.lengthens(grant);
        record.forget();
        let known = self.grant(grant)?;
        if known.principal != requester || known.target != target || longest.is_none() {
            return Err(ApprovalFault::Other(request.clone(), "grant"));
        }
        if longest.is_some_and(|longest| ends > after(known.ends, longest)) {
            return Err(ApprovalFault::Other(request.clone(), "time"));
        }
        known.ends = ends;
        Ok(())
    }

    fn used(&mut self, id: &GrantId, session: &SessionId, at: Timestamp) -> Result<(), ApprovalFault> {
        let grant = self.grant(id)?;
        let wrong = |what| Err(ApprovalFault::Grant(id.clone(), what));
        if at > after(grant.ends, SLACK) || after(at, SLACK) < grant.starts {
            return wrong("was used outside its time");
        }
        if grant.revoked.is_some_and(|revoked| at > after(revoked, SLACK)) {
            return wrong("was used after it was revoked");
        }
        if !grant.used.insert(session.clone()) || (grant.once && grant.used.len() > 1) {
            return wrong("was used twice");
        }
        if !grant.once {
            // only grants for one session need to know
            grant.used.clear();
        }
        Ok(())
    }

    fn record(&mut self, id: &RequestId) -> Result<&mut Record, ApprovalFault> {
        self.requests.get_mut(id).ok_or_else(|| ApprovalFault::Unknown(id.clone()))
    }

    fn grant(&mut self, id: &GrantId) -> Result<&mut Grant, ApprovalFault> {
        self.grants.get_mut(id).ok_or_else(|| ApprovalFault::Grant(id.clone(), "was never issued"))
    }
}

/// A text shorter than this was not cut, in bytes.
const CUT: usize = 20 * 1024;

#[cfg(test)]
mod tests;
