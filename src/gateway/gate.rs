//! The one ordering: judge, enter, record, forward.
//!
//! Job: for every action of a connection, ask the authority, write the verdict to the journal and
//! the recording, and only then say `Forward`. Boundary: protocol-neutral; what a statement does
//! (its facts) and how it is shown (its text, already redacted) come in as a [`Attempt`]. Failure
//! mode: whatever cannot be judged is refused, and whatever cannot be entered stops the session.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;

use super::authority::{Authority, SessionContext};
use super::clock::Clock;
use super::digests::Digests;
use super::hold::{self, Desk, Seat};
use super::journal::{Journal, JournalError, Ticket};
use crate::domain::action::Action;
use crate::domain::caps::Caps;
use crate::domain::event::{Event, VerdictWord, What};
use crate::domain::facts::{CallFacts, Facts, StatementKind};
use crate::domain::name::{RuleName, SessionId};
use crate::domain::policy::{Denial, Hold, Permit, SessionPolicy, Verdict};
use crate::domain::session::CloseReason;

/// What a connection is about to do.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    /// What it does.
    pub(super) action: Action<'a>,
    /// How it may be shown: redacted.
    pub(super) text: &'a str,
    /// What will be sent instead, shown likewise.
    pub(super) sent: Option<&'a str>,
    /// What the keyed digest covers: the exact text, then each bind value.
    pub(super) exact: &'a [&'a [u8]],
    /// What policy said of it before, and where to note what it says now.
    pub(super) opinion: &'a OnceLock<Opinion>,
    /// The statement whose entry has its facts, once one has.
    pub(super) facts_entered: &'a OnceLock<u64>,
    /// What is entered of what a statement does, where that is not all of it: redacted.
    pub(super) shown_facts: Option<&'a Facts>,
}

/// What policy said of an attempt. It may be kept until policy changes.
#[derive(Debug, Clone)]
pub(super) enum Opinion {
    /// A rule allows it.
    Allow(Allowed),
    /// It is denied, by policy or because it cannot be judged.
    Deny(Denial),
    /// It may be let through after a review.
    Hold(Box<Hold>),
    /// Its review was given, and a rule allows it. Never kept.
    Reviewed(Allowed),
}

/// What allows an attempt, and how much of it.
#[derive(Debug, Clone)]
pub(super) struct Allowed {
    pub(super) rule: RuleName,
    pub(super) caps: Arc<Caps>,
}

/// What to do with it.
#[derive(Debug)]
pub(super) enum Ruling {
    /// Forward it, when the entry is as durable as it must be.
    Forward(Entered),
    /// Let it wait for a review. Nothing of it moves, and a review is asked for once the entry is on the
    /// disk.
    Hold(Entered),
    /// Refuse it in the protocol's own frame.
    Refuse {
        /// The statement's number on its connection.
        number: u64,
        /// Why.
        denial: Denial,
    },
}

/// Proof that a verdict was entered, and what is still to be waited for.
#[derive(Debug)]
#[must_use = "an entry that must be on the disk has to be waited for"]
pub(super) struct Entered {
    /// The statement's number on its connection.
    pub(super) number: u64,
    /// The rule that allowed it.
    pub(super) rule: RuleName,
    /// How much of it; of what is held nothing is let through.
    pub(super) caps: Arc<Caps>,
    /// The entry to wait for before anything moves; `None` when being written is enough.
    pub(super) wait: Option<Ticket>,
}

/// One connection's gate.
pub(super) struct Gate {
    context: Arc<SessionContext>,
    authority: Arc<dyn Authority>,
    journal: Arc<dyn Journal>,
    clock: Clock,
    policy: Arc<SessionPolicy>,
    /// Of the policy in force.
    opinions: RefCell<HashMap<Facts, Opinion>>,
    /// The same, of calls.
    calls: RefCell<HashMap<CallFacts, Opinion>>,
    connection: u32,
    seat: Seat,
    statements: u64,
    digests: Digests,
    strict: bool,
}

impl Opinion {
    fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow(permit) => Self::Allow(Allowed::by(&permit)),
            Verdict::Deny(denial) => Self::Deny(denial),
            Verdict::Hold(hold) => Self::Hold(Box::new(hold)),
        }
    }
}

impl Allowed {
    fn by(permit: &Permit) -> Self {
        Self { rule: permit.rule().clone(), caps: Arc::clone(permit.caps()) }
    }
}

impl Gate {
    /// A gate for one connection of a session.
    pub(super) fn new(
        context: Arc<SessionContext>,
        authority: Arc<dyn Authority>,
        journal: Arc<dyn Journal>,
        clock: Clock,
        connection: u32,
        seat: Seat,
    ) -> Result<Self, JournalError> {
        let unusable = || JournalError::Unwritable("the digest key is unusable".into());
        let digests = Digests::new(&context).ok_or_else(unusable)?;
        let strict = authority.strict();
        let policy = Arc::new(authority.session_policy(&context));
        Ok(Self {
            context,
            authority,
            journal,
            clock,
            policy,
            opinions: RefCell::default(),
            calls: RefCell::default(),
            connection,
            seat,
            statements: 0,
            digests,
            strict,
        })
    }

    /// Takes up the policy in force; whether it is another than before, so that opinions are void.
    pub(super) fn follow_policy(&mut self) -> bool {
        let changed = self.authority.policy() != *self.policy.digest();
        if changed {
            self.policy = Arc::new(self.authority.session_policy(&self.context));
            self.opinions.get_mut().clear();
            self.calls.get_mut().clear();
        }
        changed
    }

    /// Whether some rule speaks of the planner's estimate.
    pub(super) fn wants_estimates(&self) -> bool {
        self.policy.speaks_of_estimates()
    }

    /// A permit for a connection beside the one that was let in, for the session's own questions. The
    /// reviews that the session needed were given, or there would be none.
    pub(super) fn another_connection(&self) -> Option<Permit> {
        match self.policy.judge_reviewed(&Action::Connect) {
            Verdict::Allow(permit) => Some(permit),
            Verdict::Deny(_) | Verdict::Hold(_) => None,
        }
    }

    /// The time now.
    pub(super) fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Closes the session for a reason found on the data path.
    pub(super) fn close(&self, reason: CloseReason) {
        self.authority.close(&self.context.id, reason);
    }

    /// The session.
    pub(super) fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Whether policy allows every statement, whatever it does.
    pub(super) fn allows_every_statement(&self) -> bool {
        self.policy.allows_every_statement()
    }

    /// The smallest caps that any rule could put on a statement of this session.
    pub(super) fn strictest_caps(&self) -> &Arc<Caps> {
        self.policy.strictest_caps()
    }

    /// How many statements were judged so far.
    pub(super) fn statements(&self) -> u64 {
        self.statements
    }

    /// What policy says of an action, without entering anything yet. Statements that differ only in their
    /// literals have the same facts, and so have calls that are made again: policy is asked once for all of them.
    pub(super) fn opinion(&self, action: &Action<'_>) -> Opinion {
        let judge = || Opinion::of(self.policy.judge(action));
        match action {
            // what a client writes at length is not kept
            Action::Call(facts) if facts.length() <= LONGEST_CALL => remembered(&self.calls, facts, judge),
            Action::Statement(facts) => remembered(&self.opinions, facts, judge),
            _ => judge(),
        }
    }

    /// What policy says of facts of a statement that is only prepared.
    pub(super) fn opinion_prepared(&self, facts: &Facts) -> Opinion {
        Opinion::of(self.policy.judge_prepared(facts))
    }

    /// What policy says of an action whose review was given, as of now.
    pub(super) fn reviewed(&self, action: &Action<'_>) -> Opinion {
        match self.policy.judge_reviewed(action) {
            Verdict::Allow(permit) => Opinion::Reviewed(Allowed::by(&permit)),
            verdict => Opinion::of(verdict),
        }
    }

    /// Judges an attempt and enters the verdict.
    ///
    /// INVARIANT: no verdict, no bytes. This is the only place that says `Forward`, and it does so
    /// after `enter` has returned.
    pub(super) fn rule(&mut self, attempt: &Attempt<'_>) -> Result<Ruling, JournalError> {
        let opinion = attempt.opinion.get_or_init(|| self.opinion(&attempt.action));
        let (verdict, rule) = match opinion {
            Opinion::Allow(allowed) | Opinion::Reviewed(allowed) => (VerdictWord::Allow, &allowed.rule),
            Opinion::Deny(denial) => (VerdictWord::Deny, &denial.rule),
            Opinion::Hold(hold) => (VerdictWord::Hold, hold::first(hold)),
        };
        self.statements += 1;
        // facts are worth an entry's space once; what was said before is no sign of that: a string of statements
        // is judged before any of it is entered
        let facts_of = match attempt.facts_entered.set(self.statements) {
            Err(_) if verdict == VerdictWord::Allow => attempt.facts_entered.get().copied(),
            _ => None,
        };
        let (session, connection, number) = (self.context.id.clone(), self.connection, self.statements);
        let (text, digest, rule) = (cut(attempt.text), self.digests.in_session(attempt.exact), rule.clone());
        let ticket = self.enter(match attempt.action {
            Action::Statement(facts) => What::StatementJudged {
                session,
                connection,
                statement: number,
                verdict,
                rule,
                verb: facts.verb.clone(),
                text,
                digest,
                sent: attempt.sent.map(cut),
                facts: facts_of.is_none().then(|| Box::new(attempt.shown_facts.unwrap_or(facts).clone())),
                facts_of,
            },
            action => What::DeedJudged {
                session,
                connection,
                statement: number,
                verdict,
                rule,
                text,
                digest,
                sent: attempt.sent.map(cut),
                facts: action.deed().map(Box::new),
            },
        })?;
        Ok(match opinion {
            Opinion::Allow(Allowed { rule, caps }) | Opinion::Reviewed(Allowed { rule, caps }) => {
                // INVARIANT: what was held waits for the disk, before and after its review
                let is_reviewed = matches!(opinion, Opinion::Reviewed(_));
                let waits = is_reviewed || self.strict || !needs_no_disk(&attempt.action);
                let (rule, caps) = (rule.clone(), Arc::clone(caps));
                Ruling::Forward(Entered {
                    number: self.statements,
                    rule,
                    caps,
                    wait: waits.then_some(ticket),
                })
            }
            Opinion::Hold(hold) => Ruling::Hold(Entered {
                number: self.statements,
                rule: hold::first(hold).clone(),
                caps: Arc::default(),
                wait: Some(ticket),
            }),
            Opinion::Deny(denial) => Ruling::Refuse { number: self.statements, denial: denial.clone() },
        })
    }

    /// Enters something else that happened on this connection.
    pub(super) fn enter(&self, what: What) -> Result<Ticket, JournalError> {
        let actor = Some(self.context.actor.clone());
        let policy = self.policy.digest().clone();
        self.journal.enter(&Event { at: self.clock.now(), actor, policy, what })
    }

    /// The same, of what names its session and connection.
    pub(super) fn enter_of_connection(
        &self,
        what: impl FnOnce(SessionId, u32) -> What,
    ) -> Result<Ticket, JournalError> {
        self.enter(what(self.context.id.clone(), self.connection))
    }

    /// What a hold needs of this connection.
    pub(super) fn desk(&self) -> Desk {
        Desk {
            context: Arc::clone(&self.context),
            authority: Arc::clone(&self.authority),
            journal: Arc::clone(&self.journal),
            clock: self.clock.clone(),
            policy: Arc::clone(&self.policy),
            seat: self.seat.clone(),
            connection: self.connection,
        }
    }

    /// Waits until an entry is on the disk.
    pub(super) fn synced(&self, ticket: Ticket) -> BoxFuture<'static, Result<(), JournalError>> {
        let journal = Arc::clone(&self.journal);
        Box::pin(async move { journal.synced(ticket).await })
    }

    /// The keys of this session's digests.
    pub(super) fn digests(&self) -> &Digests {
        &self.digests
    }
}

/// What changes nothing may move once its entry is written; the disk can follow.
fn needs_no_disk(action: &Action<'_>) -> bool {
    let of_connection =
        |facts: &Facts| matches!(facts.kind, StatementKind::Transaction | StatementKind::Session);
    action.is_read_only() || matches!(action, Action::Statement(facts) if of_connection(facts))
}

/// What was said of these facts before, or is now.
fn remembered<K: Clone + Eq + Hash>(
    known: &RefCell<HashMap<K, Opinion>>,
    facts: &K,
    judge: impl FnOnce() -> Opinion,
) -> Opinion {
    let mut known = known.borrow_mut();
    if let Some(opinion) = known.get(facts) {
        return opinion.clone();
    }
    let opinion = judge();
    if known.len() >= OPINIONS {
        known.clear();
    }
    known.insert(facts.clone(), opinion.clone());
    opinion
}

/// How many kinds of statements, and of calls, a connection's opinions are kept for.
const OPINIONS: usize = 256;

/// How long the facts of a call may be to be kept.
const LONGEST_CALL: usize = 4096;

/// An entry holds at most this much of a text; the recording holds all of it.
const ENTRY_TEXT: usize = 4096;

fn cut(text: &str) -> String {
    if text.len() <= ENTRY_TEXT {
        return text.to_owned();
    }
    let mut end = ENTRY_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut short = text.get(..end).unwrap_or_default().to_owned();
    short.push('…');
    short
}
