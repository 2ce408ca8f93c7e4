//! What is kept of a request and of a grant, as long as it can matter.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::devices::Devices;
use super::moment::{SLACK, after, seconds};
use super::people::People;
use crate::domain::approval::{Marks, SessionSubject, Shape, Standing, Threshold};
use crate::domain::name::{DeviceId, Digest, GrantId, GroupName, RequestId, SessionId, TargetName};
use crate::domain::principal::PrincipalId;

/// A request.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) requester: PrincipalId,
    /// Who else that is.
    pub(super) kin: Marks,
    pub(super) target: TargetName,
    pub(super) session: Option<SessionId>,
    pub(super) digest: Digest,
    pub(super) threshold: Threshold,
    pub(super) expires: Timestamp,
    pub(super) wanted: Wanted,
    pub(super) approvals: Approvals,
    pub(super) denied: Option<Timestamp>,
    pub(super) answered: bool,
    pub(super) ended: bool,
    pub(super) used: bool,
    /// The standing decision of its reviewers, once they were enough.
    pub(super) standing: Option<Stands>,
}

/// What was asked for, as long as it can matter.
#[derive(Debug)]
pub(super) enum Wanted {
    /// One action, and what a standing decision about it goes by.
    Deed(Option<Box<Shape>>),
    /// Sessions.
    Session(SessionSubject),
    /// The text was cut, so that it is not known.
    Unknown,
}

/// The approvals of a request.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    /// One for each name and device.
    given: BTreeMap<(PrincipalId, DeviceId), Approval>,
    /// Whose they are.
    people: People,
    /// Whether they are enough, once that was asked.
    enough: Option<bool>,
}

/// A review that says yes.
#[derive(Debug)]
pub(super) struct Approval {
    pub(super) kin: Marks,
    pub(super) groups: BTreeSet<GroupName>,
    pub(super) standing: Option<Standing>,
    pub(super) at: Timestamp,
}

/// A standing decision, and until when.
#[derive(Debug)]
pub(super) struct Stands {
    pub(super) free: BTreeSet<u16>,
    pub(super) until: Timestamp,
}

/// A grant that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) request: RequestId,
    pub(super) principal: PrincipalId,
    pub(super) target: TargetName,
    pub(super) starts: Timestamp,
    pub(super) ends: Timestamp,
    pub(super) once: bool,
    pub(super) used: HashSet<SessionId>,
    pub(super) revoked: Option<Timestamp>,
}

impl Record {
    /// Whether the reviews are enough: every place of every need filled by somebody of its own.
    pub(super) fn is_met(&mut self) -> bool {
        let Self { threshold, approvals, .. } = self;
        *approvals.enough.get_or_insert_with(|| {
            let people = approvals.people.groups();
            let places: usize = threshold.needs().map(|need| usize::from(need.count)).sum();
            // fewer people than places need not be looked at
            !threshold.is_empty() && people.len() >= places && threshold.missing(&people).is_empty()
        })
    }

    /// Keeps an approval, unless it was given from the same device before; whether it was kept.
    pub(super) fn add(&mut self, reviewer: PrincipalId, device: DeviceId, approval: Approval) -> bool {
        let Approvals { given, people, enough } = &mut self.approvals;
        let by = (reviewer, device);
        // a request that so many people must approve was never filed
        if given.len() >= MOST_APPROVALS || given.contains_key(&by) {
            return false;
        }
        people.add(&approval.kin, &approval.groups);
        given.insert(by, approval);
        *enough = None;
        true
    }

    /// Drops what was signed with a device that was revoked since: it lets nothing through any more. Whether there was some.
    pub(super) fn drop_lost(&mut self, devices: &Devices, at: Timestamp) -> bool {
        let Approvals { given, people, enough } = &mut self.approvals;
        let before = given.len();
        given.retain(|(reviewer, device), _| devices.is_enrolled(reviewer, device, at));
        let lost = given.len() < before;
        if lost {
            *people = People::default();
            given.values().for_each(|approval| people.add(&approval.kin, &approval.groups));
            *enough = None;
        }
        lost
    }

    /// What all of its reviewers let through from now on, if they do.
    pub(super) fn stands(&mut self) -> Option<Stands> {
        if self.session.is_none() || !self.is_met() {
            return None;
        }
        let given = &self.approvals.given;
        let made: Vec<_> = given.values().map(|given| given.standing.as_ref()).collect::<Option<_>>()?;
        // it begins with the last review, and is the least that anybody gave
        let begins = given.values().map(|given| given.at).max()?;
        let seconds = made.iter().map(|standing| standing.seconds).min()?;
        let free = made.iter().map(|standing| standing.free.clone());
        let free = free.reduce(|all, one| all.intersection(&one).copied().collect())?;
        let lasts = SignedDuration::from_secs(i64::try_from(seconds).ok()?);
        Some(Stands { free, until: begins.checked_add(lasts).ok()? })
    }

    /// Drops what cannot matter any more.
    pub(super) fn forget(&mut self) {
        self.approvals = Approvals::default();
        if let Wanted::Deed(shape) = &mut self.wanted
            && self.standing.is_none()
        {
            *shape = None;
        }
    }
}

impl Wanted {
    /// Whether this grant, entered at `at`, gives no more than was asked for.
    pub(super) fn allows(&self, grant: &Grant, at: Timestamp) -> bool {
        let wanted = match self {
            Self::Session(wanted) => wanted,
            Self::Unknown => return true,
            Self::Deed(_) => return false,
        };
        let starts = match wanted.starts {
            Some(asked) => grant.starts >= asked && after(asked.max(at), SLACK) >= grant.starts,
            None => grant.starts <= after(at, SLACK),
        };
        let since = wanted.starts.unwrap_or(grant.starts);
        starts
            && wanted.extends.is_none()
            && wanted.once == grant.once
            && grant.ends <= after(since, seconds(wanted.seconds))
    }

    /// By how much it asked to lengthen this grant; `None` when it did not.
    pub(super) fn lengthens(&self, grant: &GrantId) -> Option<SignedDuration> {
        match self {
            Self::Session(wanted) => {
                (wanted.extends.as_ref() == Some(grant)).then(|| seconds(wanted.seconds))
            }
            // the longest that can be asked for
            Self::Unknown => Some(seconds(u64::from(u32::MAX))),
            Self::Deed(_) => None,
        }
    }
}

/// A threshold takes nine people of each of its groups at the most.
const MOST_APPROVALS: usize = 1000;
