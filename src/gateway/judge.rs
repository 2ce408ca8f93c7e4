//! A question of a connection that can wait for its answer.
//!
//! Job: put one action to the gate, let it wait for a review where policy holds it, and say whether it may
//! go. Boundary: for protocols whose actions are tasks of their own (SSH, HTTP); PostgreSQL's messages are
//! judged inside their conversation. Failure mode: a [`Stopped`]; what cannot be entered is an error, upon
//! which the connection ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::gate::{Attempt, Entered, Gate, Opinion, Ruling};
use super::hold::{Account, Interrupt, Interrupted, Notice, Pending, Stopped};
use super::journal::JournalError;
use super::reel::Reel;
use crate::domain::action::{Action, Deed};
use crate::domain::event::VerdictWord;
use crate::domain::name::RuleName;
use crate::domain::policy::{Denial, Hold};
use crate::recording::item::Statement;

/// What is to be judged.
#[derive(Debug)]
pub(super) struct Case {
    /// The protocol.
    pub(super) protocol: &'static str,
    /// What it does.
    pub(super) deed: Deed,
    /// How it may be shown: redacted.
    pub(super) text: String,
    /// What is sent, where that is more than the text: redacted too, for whoever reviews it.
    pub(super) sent: Option<String>,
    /// The exact bytes, for the keyed digest.
    pub(super) exact: Vec<u8>,
    /// What could change its meaning.
    pub(super) settings: BTreeMap<String, String>,
}

/// It may go; the number of the deed on its connection.
pub(super) type Judged = Result<u64, Refused>;

/// It may not.
#[derive(Debug)]
pub(super) struct Refused {
    /// Why, and what to do next.
    pub(super) denial: Denial,
    /// How it came to that.
    pub(super) by: RefusedBy,
}

/// How a refusal came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusedBy {
    /// The client took it back while it was held.
    Client,
    /// Policy, at once.
    Policy,
    /// A review, or that there was none in time.
    Review,
}

/// A gate that several tasks of one connection go through, one at a time.
#[derive(Clone)]
pub(super) struct Turnstile {
    gate: Arc<Mutex<Gate>>,
    reel: Reel,
}

impl Turnstile {
    /// A turnstile before this gate; what is judged is recorded.
    pub(super) fn new(gate: Gate, reel: Reel) -> Self {
        Self { gate: Arc::new(Mutex::new(gate)), reel }
    }

    /// The gate, for what takes no time.
    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recording.
    pub(super) fn reel(&self) -> &Reel {
        &self.reel
    }

    /// Judges a case. Where it is held, `tell` is called with what to say, and the answer comes after the
    /// review, or when `interrupted` comes first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(super) async fn judge(
        &self,
        case: &Case,
        interrupted: Interrupted,
        tell: impl Fn(Notice) + Send,
    ) -> Result<Judged, JournalError> {
        let opinion = {
            let mut gate = self.gate();
            gate.follow_policy();
            gate.opinion(&case.deed.action())
        };
        let hold = match opinion {
            Opinion::Hold(hold) => hold,
            opinion => return self.rule(case, opinion, RefusedBy::Policy).await,
        };
        let (desk, account) = {
            let gate = self.gate();
            (gate.desk(), Self::account(&gate, case))
        };
        let (ruling, statement) = self.enter(case, Opinion::Hold(hold.clone()))?;
        self.reel.statement(&statement).await?;
        let Ruling::Hold(Entered { wait, .. }) = ruling else {
            return self.rule(case, Opinion::Hold(hold), RefusedBy::Policy).await;
        };
        let (pending, held) = match Pending::new(&desk, (*hold).clone(), account) {
            Ok(written) => written,
            Err(denial) => return self.rule(case, Opinion::Deny(denial), RefusedBy::Policy).await,
        };
        let cleared = match pending.wait(desk, held, wait, interrupted, tell).await? {
            Ok(cleared) => cleared,
            Err(Stopped { denial, cancelled }) => {
                let by = if cancelled { RefusedBy::Client } else { RefusedBy::Review };
                return self.rule(case, Opinion::Deny(denial), by).await;
            }
        };
        // INVARIANT: what was reviewed is what goes, under the policy of this moment
        let opinion = {
            let mut gate = self.gate();
            gate.follow_policy();
            let action = case.deed.action();
            match gate.opinion(&action) {
                Opinion::Hold(now) => match cleared.fits(&gate.desk(), &now, Self::account(&gate, case)) {
                    Ok(()) => gate.reviewed(&action),
                    Err(denial) => Opinion::Deny(denial),
                },
                opinion => opinion,
            }
        };
        self.rule(case, opinion, RefusedBy::Review).await
    }

    /// Judges a case that cannot wait: what is held is refused.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(super) async fn judge_at_once(&self, case: &Case) -> Result<Judged, JournalError> {
        let opinion = {
            let mut gate = self.gate();
            gate.follow_policy();
            gate.opinion(&case.deed.action())
        };
        let opinion = match opinion {
            Opinion::Hold(hold) => Opinion::Deny(unwaiting(&case.deed.action(), &hold)),
            opinion => opinion,
        };
        self.rule(case, opinion, RefusedBy::Policy).await
    }

    /// Judges a case that may have to wait, in a task that `spawn` starts: when whoever asked goes away meanwhile, it is
    /// taken back, which is entered.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(super) async fn judge_while_asked(
        &self,
        case: Case,
        spawn: impl FnOnce(BoxFuture<'static, ()>),
    ) -> Result<Judged, JournalError> {
        let interrupt = Interrupt::default();
        let (interrupted, turnstile) = (interrupt.arm(), self.clone());
        let (told, judged) = oneshot::channel();
        spawn(Box::pin(async move {
            // whoever asked may be gone
            let _gone = told.send(turnstile.judge(&case, interrupted, |_| {}).await);
        }));
        let _ring = Ring(interrupt);
        judged.await.unwrap_or_else(|_| Err(JournalError::Unwritable("the verdict was not entered".into())))
    }

    /// Enters a case that the protocol refused before policy was asked; its number.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(super) async fn refuse(&self, case: &Case, denial: Denial) -> Result<u64, JournalError> {
        let (_ruling, statement) = self.enter(case, Opinion::Deny(denial))?;
        self.reel.statement(&statement).await?;
        Ok(statement.number)
    }

    async fn rule(&self, case: &Case, opinion: Opinion, by: RefusedBy) -> Result<Judged, JournalError> {
        let (ruling, statement) = self.enter(case, opinion)?;
        self.reel.statement(&statement).await?;
        let Entered { number, wait, .. } = match ruling {
            Ruling::Forward(entered) => entered,
            Ruling::Refuse { denial, .. } => return Ok(Err(Refused { denial, by })),
            Ruling::Hold(entered) => {
                let reason = "policy holds it again".to_owned();
                let denial = Denial { rule: entered.rule, reason, hint: None };
                return Ok(Err(Refused { denial, by }));
            }
        };
        if let Some(ticket) = wait {
            let synced = self.gate().synced(ticket);
            synced.await?;
        }
        Ok(Ok(number))
    }

    fn enter(&self, case: &Case, opinion: Opinion) -> Result<(Ruling, Statement), JournalError> {
        let (known, facts_entered) = (OnceLock::from(opinion), OnceLock::new());
        let mut gate = self.gate();
        let ruling = gate.rule(&Attempt {
            action: case.deed.action(),
            text: &case.text,
            sent: None,
            exact: &[&case.exact],
            opinion: &known,
            facts_entered: &facts_entered,
            shown_facts: None,
        })?;
        let (number, verdict, rule) = match &ruling {
            Ruling::Forward(entered) => (entered.number, VerdictWord::Allow, entered.rule.clone()),
            Ruling::Hold(entered) => (entered.number, VerdictWord::Hold, entered.rule.clone()),
            Ruling::Refuse { number, denial } => (*number, VerdictWord::Deny, denial.rule.clone()),
        };
        let statement = Statement {
            number,
            text: case.text.clone(),
            parameters: Vec::new(),
            verdict,
            rule,
            sent: None,
            at: gate.now(),
        };
        Ok((ruling, statement))
    }

    fn account(gate: &Gate, case: &Case) -> Account {
        Account {
            protocol: case.protocol,
            text: case.text.clone(),
            sent: case.sent.clone(),
            values: Vec::new(),
            exact: gate.digests().in_session(&[&case.exact]),
            deed: case.deed.clone(),
            settings: case.settings.clone(),
            shape: None,
        }
    }
}

/// Rings when it is dropped.
struct Ring(Interrupt);

impl Drop for Ring {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// What policy holds, and its protocol cannot let wait.
fn unwaiting(action: &Action<'_>, hold: &Hold) -> Denial {
    let rule = hold.rules.first().cloned().unwrap_or_else(RuleName::default_deny);
    Denial {
        rule,
        reason: format!("{}; `{}` cannot wait for a review", hold.reason, action.name()),
        hint: Some("ask whoever keeps the policy to allow or deny it outright".into()),
    }
}
