//! The life of a request, and of the grant that it may become.
//!
//! Job: every transition there is, as pure functions: from what is stored and the time, what is to be
//! stored next. Boundary: the caller reads, calls, and writes only if nobody else has written
//! meanwhile (one conditional UPDATE); two callers that read the same thing cannot both succeed.
//! Failure mode: a [`Misstep`]; nothing has changed then.
//!
//! INVARIANT: an action is released at most once, and never after expiry, denial, withdrawal or
//! voiding; a grant for one session opens one; `machine/tests.rs` explores every interleaving.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::grant::{Grant, GrantState};
use super::request::{ReleasedBy, RequestState};
use super::review::Decision;
use super::threshold::{Reviewers, Threshold};
use crate::domain::name::{DeviceId, GrantId, GroupName};
use crate::domain::principal::{Person, PrincipalKind};

/// A request, as far as its transitions go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Life {
    /// What an approval turns it into.
    pub purpose: Purpose,
    /// Where it is.
    pub state: RequestState,
    /// Who asks.
    pub requester: Person,
    /// From which device.
    pub device: DeviceId,
    /// What it takes; `owner` is resolved.
    pub threshold: Threshold,
    /// Whether only people may answer.
    pub people_only: bool,
    /// What was said so far.
    pub voices: Vec<Voice>,
    /// What answered instead of people.
    pub answer: Option<ReleasedBy>,
    /// Until when it can be reviewed, and what was approved be released.
    pub expires: Timestamp,
}

/// What an approval turns a request into.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The release of one action.
    Deed,
    /// This grant, made or made longer.
    Session(GrantId),
}

/// A review, as far as it counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Voice {
    /// Whose.
    pub person: Person,
    /// Human or machine.
    pub kind: PrincipalKind,
    /// The device that signed it.
    pub device: DeviceId,
    /// The groups they were in when they gave it.
    pub groups: BTreeSet<GroupName>,
    /// What they said.
    pub decision: Decision,
}

/// Something that happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// A rule or a standing decision answers.
    Answer(ReleasedBy),
    /// Time passes.
    Expire,
    /// The gateway lets the action through.
    Release,
    /// Somebody reviews it.
    Review(Voice),
    /// What it was for is gone.
    Void,
    /// A device was revoked, and what was said or asked with it does not count.
    VoidDevice(DeviceId),
    /// The requester takes it back.
    Withdraw,
}

/// Why a step cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Misstep {
    /// It has come to its end, or was approved already.
    #[error("the request is {} already", .0.word())]
    Ended(RequestState),
    /// Its time is over.
    #[error("the request has expired")]
    Expired,
    /// It has not expired yet.
    #[error("the request has not expired")]
    NotYet,
    /// The step does not belong to this state.
    #[error("the request is not approved")]
    NotApproved,
    /// They are not among those who may review it.
    #[error("you are not among those who may review it")]
    NotReviewer,
    /// It is their own.
    #[error("nobody reviews their own request, under any name or account")]
    Own,
    /// The rule demands people.
    #[error("only people may answer it")]
    PeopleOnly,
    /// They said so before.
    #[error("you have approved it already")]
    Twice,
}

impl Life {
    /// What is to be stored after a step.
    ///
    /// # Errors
    /// [`Misstep`].
    pub fn step(mut self, step: &Step, now: Timestamp) -> Result<Self, Misstep> {
        match step {
            Step::Answer(answer) => {
                self.must_be_pending(now)?;
                if self.people_only && matches!(answer, ReleasedBy::Rule(_)) {
                    return Err(Misstep::PeopleOnly);
                }
                self.answer = Some(answer.clone());
                self.state = self.approved();
            }
            Step::Expire => {
                self.must_be_open()?;
                if now < self.expires {
                    return Err(Misstep::NotYet);
                }
                self.state = RequestState::Expired;
            }
            Step::Release => {
                if self.state != RequestState::Approved {
                    return Err(Misstep::NotApproved);
                }
                if now >= self.expires {
                    return Err(Misstep::Expired);
                }
                self.state = RequestState::Released { by: self.answer.clone() };
            }
            Step::Review(voice) => self.review(voice, now)?,
            Step::Void => {
                self.must_be_open()?;
                self.state = RequestState::Void;
            }
            Step::VoidDevice(device) => self.forget(device)?,
            Step::Withdraw => {
                self.must_be_open()?;
                self.state = RequestState::Withdrawn;
            }
        }
        Ok(self)
    }

    /// Whether somebody could review it now.
    ///
    /// # Errors
    /// Why they could not.
    pub fn admits(&self, voice: &Voice, now: Timestamp) -> Result<(), Misstep> {
        self.must_be_pending(now)?;
        if voice.person.is(&self.requester) {
            return Err(Misstep::Own);
        }
        let is_machine = voice.kind == PrincipalKind::Machine;
        if !self.threshold.concerns(&voice.groups) || (self.people_only && is_machine) {
            return Err(Misstep::NotReviewer);
        }
        // who approved may still deny, while it is pending
        let spoke = self.voices.iter().any(|other| other.person.is(&voice.person));
        if spoke && voice.decision == Decision::Approve {
            return Err(Misstep::Twice);
        }
        Ok(())
    }

    /// What is still missing, in order.
    #[must_use]
    pub fn missing(&self) -> Vec<(Reviewers, u8)> {
        let mut people: Vec<&Voice> = Vec::new();
        for voice in self.voices.iter().filter(|voice| voice.decision == Decision::Approve) {
            // that two are one person may have come out since they spoke
            let known = people.iter().any(|other| other.person.is(&voice.person));
            if !known && !voice.person.is(&self.requester) {
                people.push(voice);
            }
        }
        self.threshold.missing(&people.iter().map(|voice| &voice.groups).collect::<Vec<_>>())
    }

    fn review(&mut self, voice: &Voice, now: Timestamp) -> Result<(), Misstep> {
        self.admits(voice, now)?;
        self.voices.push(voice.clone());
        // one no is enough: whoever may say yes may say no for all
        if voice.decision == Decision::Deny {
            self.state = RequestState::Denied;
        } else if self.is_met() {
            self.state = self.approved();
        }
        Ok(())
    }

    fn forget(&mut self, device: &DeviceId) -> Result<(), Misstep> {
        self.must_be_open()?;
        self.voices.retain(|voice| voice.device != *device);
        let stands = self.state == RequestState::Pending || self.answer.is_some() || self.is_met();
        if self.device == *device || !stands {
            self.state = RequestState::Void;
        }
        Ok(())
    }

    fn is_met(&self) -> bool {
        !self.threshold.is_empty() && self.missing().is_empty()
    }

    fn approved(&self) -> RequestState {
        match &self.purpose {
            Purpose::Deed => RequestState::Approved,
            Purpose::Session(grant) => RequestState::Granted { grant: grant.clone() },
        }
    }

    fn must_be_pending(&self, now: Timestamp) -> Result<(), Misstep> {
        if self.state != RequestState::Pending {
            return Err(Misstep::Ended(self.state.clone()));
        }
        if now >= self.expires { Err(Misstep::Expired) } else { Ok(()) }
    }

    fn must_be_open(&self) -> Result<(), Misstep> {
        if self.state.is_final() { Err(Misstep::Ended(self.state.clone())) } else { Ok(()) }
    }
}

/// Why a grant does not admit, or cannot change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the approval was used, revoked, or is not in force now")]
pub struct NotInForce;

impl Grant {
    /// The grant after a session was opened with it.
    ///
    /// # Errors
    /// [`NotInForce`].
    pub fn open(mut self, now: Timestamp) -> Result<Self, NotInForce> {
        if !self.admits(now) {
            return Err(NotInForce);
        }
        if self.once {
            self.state = GrantState::Used;
        }
        Ok(self)
    }

    /// The grant after somebody took it back. One whose only session was opened can be taken back, too.
    ///
    /// # Errors
    /// [`NotInForce`].
    pub fn revoke(mut self, now: Timestamp) -> Result<Self, NotInForce> {
        if !self.carries(now) {
            return Err(NotInForce);
        }
        self.state = GrantState::Revoked;
        Ok(self)
    }

    /// The end that it would have, made longer. `promised` is the latest end that was approved and is not
    /// in force yet: extensions add up.
    ///
    /// # Errors
    /// [`NotInForce`].
    pub fn lengthened(
        &self,
        promised: Option<Timestamp>,
        by: SignedDuration,
        now: Timestamp,
    ) -> Result<Timestamp, NotInForce> {
        if !self.carries(now) {
            return Err(NotInForce);
        }
        promised.map_or(self.ends, |promised| promised.max(self.ends)).checked_add(by).map_err(|_| NotInForce)
    }

    /// The grant with a later end.
    ///
    /// # Errors
    /// [`NotInForce`]: what is over stays so.
    pub fn extend(mut self, ends: Timestamp, now: Timestamp) -> Result<Self, NotInForce> {
        if !self.carries(now) || ends <= self.ends {
            return Err(NotInForce);
        }
        self.ends = ends;
        Ok(self)
    }

    /// Whether a session that was opened with it may go on.
    #[must_use]
    pub fn carries(&self, now: Timestamp) -> bool {
        self.state != GrantState::Revoked && now < self.ends
    }
}

#[cfg(test)]
mod tests;
