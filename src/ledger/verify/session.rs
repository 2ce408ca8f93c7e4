//! What the entries of one session say, when those of others are not at hand.
//!
//! Job: the same checks as for a whole ledger (`story`, `approvals`) over the entries that somebody chose of it, and what
//! they show of the one session. Boundary: entries whose bytes are already trusted, in order; an entry about another
//! session is refused, but for the request in whose review a standing decision was made. Failure mode: the [`Reason`] of
//! the first entry that does not fit. What no entry counts can have been left out, and this does not find it.

use jiff::Timestamp;

use super::approvals::Reviews;
use super::story::Story;
use super::{FilesError, Reason};
use crate::domain::event::{Actor, Event, VerdictWord, What};
use crate::domain::name::{SessionId, TargetName};
use crate::domain::session::CloseReason;
use crate::ledger::ocsf::Subject;

/// The entries of one session, as they are told.
#[derive(Debug)]
pub struct SessionStory {
    session: SessionId,
    story: Story,
    shown: SessionShown,
}

/// What was shown of a session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionShown {
    /// How it began.
    pub opened: Option<Opened>,
    /// How it ended; `None` while it is open, or when that was left out.
    pub closed: Option<Closed>,
    /// How many connections are shown to their end: with every statement and chunk that the end counts.
    pub connections: u64,
    /// How many connections began and have no end.
    pub cut: u64,
    /// How many statements and deeds were let through.
    pub allowed: u64,
    /// How many were refused.
    pub denied: u64,
    /// How many were held for review.
    pub held: u64,
    /// How many chunks its recording has.
    pub chunks: u64,
    /// How many reviews there are, each of them checked again.
    pub reviews: u64,
    /// How many requests of it were answered by a standing decision.
    pub standing: u64,
}

/// How a session began.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// When, by the broker's clock.
    pub at: Timestamp,
    /// Who opened it.
    pub actor: Option<Actor>,
    /// At which target.
    pub target: TargetName,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// When, by the broker's clock.
    pub at: Timestamp,
    /// Why.
    pub reason: CloseReason,
    /// How many connections it counts.
    pub connections: u32,
}

impl SessionShown {
    /// How many statements and deeds were judged.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.allowed.saturating_add(self.denied).saturating_add(self.held)
    }

    /// Whether somebody counted to the end: a broker that was killed could not.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.closed.is_some_and(|closed| closed.reason != CloseReason::BrokerRestarted)
    }
}

impl SessionStory {
    /// Nothing of this session was told yet.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self { session, story: Story::default(), shown: SessionShown::default() }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn tell(&mut self, event: &Event, reviews: &dyn Reviews) -> Result<(), Reason> {
        self.belongs(&event.what)?;
        let told: Result<_, FilesError> = self.story.tell(event, reviews, None);
        // nothing was read
        told.unwrap_or(Ok(()))?;
        self.take(event)
    }

    /// What was shown; `None` when the session's beginning was not.
    #[must_use]
    pub fn end(mut self) -> Option<SessionShown> {
        self.shown.cut = self.story.unended(&self.session);
        self.shown.reviews = self.story.reviews();
        self.shown.opened.is_some().then_some(self.shown)
    }

    /// INVARIANT: what is shown of a session is not mixed with what others did.
    fn belongs(&self, what: &What) -> Result<(), Reason> {
        let fits = match what {
            // of a standing decision, the request in whose review it was made may be of another session
            What::BrokerStarted { .. }
            | What::DeviceEnrolled { .. }
            | What::DeviceRevoked { .. }
            | What::GrantExtended { .. }
            | What::GrantIssued { .. }
            | What::GrantRevoked { .. }
            | What::RequestAnswered { .. }
            | What::RequestEnded { .. }
            | What::RequestFiled { .. }
            | What::ReviewGiven { .. }
            | What::ReviewRejected { .. }
            | What::StandingRevoked { .. } => true,
            other => Subject::of(other).session == Some(&self.session),
        };
        if fits { Ok(()) } else { Err(Reason::OutOfPlace("it is not about the session that is shown")) }
    }

    fn take(&mut self, event: &Event) -> Result<(), Reason> {
        let shown = &mut self.shown;
        match &event.what {
            What::SessionOpened { target, .. } => {
                let opened = Opened { at: event.at, actor: event.actor.clone(), target: target.clone() };
                if shown.opened.replace(opened).is_some() {
                    return Err(Reason::OutOfPlace("the session was opened before"));
                }
            }
            What::SessionClosed { reason, connections, .. } => {
                let (reason, connections) = (*reason, *connections);
                shown.closed = Some(Closed { at: event.at, reason, connections });
            }
            What::ConnectionClosed { .. } => shown.connections += 1,
            What::ChunkClosed { .. } => shown.chunks += 1,
            What::RequestAnswered { standing: Some(_), .. } => shown.standing += 1,
            What::DeedJudged { verdict, .. } | What::StatementJudged { verdict, .. } => match verdict {
                VerdictWord::Allow => shown.allowed += 1,
                VerdictWord::Deny => shown.denied += 1,
                VerdictWord::Hold => shown.held += 1,
            },
            _ => {}
        }
        match shown.closed {
            Some(Closed { connections, .. })
                if shown.is_counted() && shown.connections > u64::from(connections) =>
            {
                let (said, found) = (u64::from(connections), shown.connections);
                Err(Reason::Count { what: "connections", said, found })
            }
            _ => Ok(()),
        }
    }
}
