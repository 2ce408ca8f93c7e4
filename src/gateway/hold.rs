//! Holding one action until people have looked at it.
//!
//! Job: file a request for an action that policy holds, say so, wait, believe nothing of the answer
//! that its reviewers have not signed, and use the approval up. Boundary: protocol-neutral; what is held
//! comes in as an [`Account`], and what the client is told goes out as a [`Notice`] or a [`Stopped`].
//! Failure mode: a denial; only what cannot be entered stops the session.
//!
//! What comes out is a [`Cleared`]: it fits one action, the one that was held. The caller judges that
//! action again from its beginning and asks [`Cleared::fits`] before it moves.

mod notice;
mod proof;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, oneshot};

pub(super) use self::notice::Notice;
use super::authority::{Authority, Filed, Held, HoldError, Outcome, SessionContext};
use super::clock::Clock;
use super::journal::{Journal, JournalError, Ticket};
use crate::domain::action::{Deed, Petition};
use crate::domain::approval::{DeedSubject, Ground, Shape, Subject, SubjectText, What as Whatfor};
use crate::domain::event::{Event, What};
use crate::domain::name::{Digest, RequestId, RuleName};
use crate::domain::policy::{Denial, Hold, SessionPolicy};

/// Where on the target a connection sits.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    /// The role that was logged in as.
    pub(super) login: String,
    /// The database.
    pub(super) database: String,
}

/// What a protocol tells of an action that policy holds; everything in it is redacted already.
#[derive(Debug)]
pub(super) struct Account {
    /// The protocol.
    pub(super) protocol: &'static str,
    /// The text as the client wrote it.
    pub(super) text: String,
    /// What will be sent instead.
    pub(super) sent: Option<String>,
    /// The bind values.
    pub(super) values: Vec<String>,
    /// Keyed digest of everything that is exact: text, what is sent, values.
    pub(super) exact: Digest,
    /// What it does.
    pub(super) deed: Deed,
    /// The settings that could change what it means.
    pub(super) settings: BTreeMap<String, String>,
    /// What a standing decision would go by.
    pub(super) shape: Option<Shape>,
}

/// What a hold needs of its connection.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) context: Arc<SessionContext>,
    pub(super) authority: Arc<dyn Authority>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Clock,
    /// The policy that holds the action.
    pub(super) policy: Arc<SessionPolicy>,
    pub(super) seat: Seat,
    /// Which connection of the session.
    pub(super) connection: u32,
}

/// What is kept of an action while it is held. The text of its subject is not: the broker has it.
#[derive(Debug)]
pub(super) struct Pending {
    request: RequestId,
    /// SHA-256 of the subject's text: what reviewers sign.
    subject: Digest,
    /// SHA-256 of the deed alone, to know it again.
    deed: Digest,
    hold: Hold,
    ground: Ground,
    shape: Option<Shape>,
    /// The rule that answers instead of people, by the policy that holds it.
    answer: Option<RuleName>,
    /// What waits, in a word that its client knows.
    noun: &'static str,
    /// What is said when its client takes it back.
    cancelled: String,
}

/// An approval that was used up: for one action, once.
#[derive(Debug)]
pub(super) struct Cleared {
    request: RequestId,
    deed: Digest,
    hold: Hold,
    /// The rule that gave it, if people did not.
    answer: Option<RuleName>,
}

/// How a hold ended without an approval.
#[derive(Debug)]
pub(super) struct Stopped {
    /// Why, and what to do next.
    pub(super) denial: Denial,
    /// Whether it was the client itself that did not want to wait any longer.
    pub(super) cancelled: bool,
}

/// The rule that a hold is known by.
pub(super) fn first(hold: &Hold) -> &RuleName {
    // a hold without rules cannot be made
    static NONE: std::sync::LazyLock<RuleName> = std::sync::LazyLock::new(RuleName::default_deny);
    hold.rules.first().unwrap_or(&NONE)
}

impl Pending {
    /// Writes down what reviewers will see.
    ///
    /// # Errors
    /// A denial when it is too long to be reviewed.
    pub(super) fn new(desk: &Desk, hold: Hold, account: Account) -> Result<(Self, Held), Denial> {
        let request = RequestId::from_random(rand::random());
        let deed = desk.deed(account);
        let digest = digest(&deed);
        let (ground, shape) = (deed.ground(), deed.shape.clone());
        let answer = desk.answer(&hold, &deed.facts);
        let (noun, cancelled) = (deed.facts.noun(), cancelled(&deed.facts));
        let subject = Subject {
            version: 1,
            request: request.clone(),
            requester: desk.context.principal.id.clone(),
            target: desk.context.target.name.clone(),
            policy: desk.policy.digest().clone(),
            rules: hold.rules.clone(),
            reason: desk.context.reason.clone(),
            what: Whatfor::Deed(Box::new(deed)),
        };
        let subject = SubjectText::write(subject).map_err(|error| Denial {
            rule: first(&hold).clone(),
            reason: format!("it cannot be reviewed: {error}"),
            hint: Some("make it shorter".into()),
        })?;
        let (hold_of, digest_of) = (hold.clone(), subject.digest());
        let pending = Self {
            request,
            subject: digest_of,
            deed: digest,
            hold: hold_of,
            ground,
            shape,
            answer,
            noun,
            cancelled,
        };
        Ok((pending, Held { subject, hold }))
    }

    /// Files the request, tells the client, waits, checks and uses up what comes of it.
    ///
    /// `entered` is the entry that the action is held: it is on the disk before anybody is asked.
    ///
    /// # Errors
    /// When an entry cannot be made.
    pub(super) async fn wait(
        mut self,
        desk: Desk,
        held: Held,
        entered: Option<Ticket>,
        interrupted: Interrupted,
        tell: impl Fn(Notice) + Send,
    ) -> Result<Result<Cleared, Stopped>, JournalError> {
        if let Some(ticket) = entered {
            desk.journal.synced(ticket).await?;
        }
        let cancelled = Stopped { cancelled: true, ..self.stopped(self.cancelled.clone()) };
        let end = tokio::select! {
            // an approval that is there counts
            biased;
            end = self.ask(&desk, held, tell) => end?,
            () = interrupted.wait() => Err(cancelled),
        };
        Ok(end.map(|answer| Cleared { request: self.request, deed: self.deed, hold: self.hold, answer }))
    }

    /// Asks, and where the answer is a standing decision that does not fit, asks people. The rule that
    /// approved, if one did.
    async fn ask(
        &mut self,
        desk: &Desk,
        held: Held,
        tell: impl Fn(Notice) + Send,
    ) -> Result<Result<Option<RuleName>, Stopped>, JournalError> {
        let mut again = self.without_shape(&held);
        let mut held = held;
        loop {
            let Filed { needs, expires, outcome } = match desk.authority.hold(&desk.context, held).await {
                Ok(filed) => filed,
                Err(error) => return Ok(Err(self.stopped(failed(&error)))),
            };
            tell(Notice::new(&self.request, &self.hold, &needs, expires));
            let outcome = outcome.await;
            if let Outcome::Standing { subject, reviews } = &outcome
                && let Some(subject_again) = again.take()
                && let Err(fault) = proof::of_earlier(self, &desk.context, subject, reviews, desk.clock.now())
            {
                desk.enter(What::ReviewRejected { request: self.request.clone(), fault })?;
                self.request = subject_again.subject().request.clone();
                self.subject = subject_again.digest();
                self.shape = None;
                held = Held { subject: subject_again, hold: self.hold.clone() };
                continue;
            }
            return self.use_up(desk, outcome, &needs).await;
        }
    }

    /// The same under another id, for people only: without a shape there is no standing decision. `None`
    /// where there could be none anyway.
    fn without_shape(&self, held: &Held) -> Option<SubjectText> {
        if self.shape.is_none() || self.hold.standing == 0 {
            return None;
        }
        let mut subject = held.subject.subject().clone();
        subject.request = RequestId::from_random(rand::random());
        if let Whatfor::Deed(deed) = &mut subject.what {
            deed.shape = None;
        }
        SubjectText::write(subject).ok()
    }

    async fn use_up(
        &self,
        desk: &Desk,
        outcome: Outcome,
        needs: &str,
    ) -> Result<Result<Option<RuleName>, Stopped>, JournalError> {
        let checked = match &outcome {
            Outcome::Approved(reviews) => proof::of_this(self, &desk.context, reviews),
            Outcome::Standing { subject, reviews } => {
                proof::of_earlier(self, &desk.context, subject, reviews, desk.clock.now())
            }
            Outcome::Rule(_) if self.hold.people_only => Err("a rule has answered where people must".into()),
            // INVARIANT: a rule is asked here, too; that the broker says it has answered is not enough
            Outcome::Rule(rule) if self.answer.as_ref() != Some(rule) => {
                if desk.authority.policy() != *desk.policy.digest() {
                    return Ok(Err(self.outdated()));
                }
                Err(format!("the rule {rule} does not answer this"))
            }
            Outcome::Rule(_) => Ok(()),
            Outcome::Denied { by, reason } => {
                let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                let stopped = self.stopped(format!("{by} denied request {}{why}", self.request));
                let hint = format!("change the {}, and what you say it is for", self.noun);
                return Ok(Err(stopped.with_hint(&hint)));
            }
            Outcome::Expired => {
                let stopped = self.stopped(format!("request {} was not approved in time", self.request));
                return Ok(Err(
                    stopped.with_hint(&format!("it takes {needs}; try again when they are there"))
                ));
            }
            Outcome::Withdrawn => {
                return Ok(Err(self.stopped(format!("request {} was withdrawn", self.request))));
            }
            Outcome::Void => {
                return Ok(Err(self.stopped(format!("request {} no longer applies", self.request))));
            }
        };
        if let Err(fault) = checked {
            // INVARIANT: what its reviewers have not signed releases nothing, whoever says it is approved
            desk.enter(What::ReviewRejected { request: self.request.clone(), fault })?;
            let stopped = self.stopped(format!("the approval of request {} does not hold", self.request));
            return Ok(
                Err(stopped.with_hint("tell whoever runs the broker: it may have been tampered with")),
            );
        }
        let released = desk.authority.release(&self.request).await;
        let answer = if let Outcome::Rule(rule) = outcome { Some(rule) } else { None };
        Ok(released.map(|()| answer).map_err(|error| self.stopped(failed(&error))))
    }

    fn outdated(&self) -> Stopped {
        Stopped { denial: outdated("policy has changed", &self.request, &self.hold), cancelled: false }
    }

    fn stopped(&self, reason: String) -> Stopped {
        let denial = Denial { rule: first(&self.hold).clone(), reason, hint: None };
        Stopped { denial, cancelled: false }
    }
}

impl Stopped {
    fn with_hint(self, hint: &str) -> Self {
        Self { denial: Denial { hint: Some(hint.into()), ..self.denial }, ..self }
    }
}

impl Cleared {
    /// Whether it was given for this action, as it is now.
    ///
    /// # Errors
    /// A denial when the action, or what it takes, is not what was reviewed.
    pub(super) fn fits(&self, desk: &Desk, hold: &Hold, account: Account) -> Result<(), Denial> {
        let deed = desk.deed(account);
        let still_answered = self.answer.is_none() || desk.answer(hold, &deed.facts) == self.answer;
        let what = match (digest(&deed) == self.deed, *hold == self.hold && still_answered) {
            (true, true) => return Ok(()),
            (false, _) => "what it would do has changed",
            (true, false) => "policy has changed",
        };
        Err(outdated(what, &self.request, hold))
    }
}

fn outdated(what: &str, request: &RequestId, hold: &Hold) -> Denial {
    Denial {
        rule: first(hold).clone(),
        reason: format!("{what} while request {request} was reviewed"),
        hint: Some("run it again: it will be looked at anew".into()),
    }
}

impl Desk {
    /// The rule that answers instead of people, as this gateway finds.
    fn answer(&self, hold: &Hold, deed: &Deed) -> Option<RuleName> {
        let action = Some(deed.action());
        self.policy.answers(&Petition { rules: &hold.rules, seconds: None, action })
    }

    fn deed(&self, account: Account) -> DeedSubject {
        let Account { protocol, text, sent, values, exact, deed, settings, shape } = account;
        DeedSubject {
            session: self.context.id.clone(),
            connection: self.connection,
            protocol: protocol.into(),
            database: self.seat.database.clone(),
            login: self.seat.login.clone(),
            text,
            sent,
            values,
            exact,
            estimate: deed.statement().and_then(|facts| facts.estimate),
            facts: deed,
            settings,
            shape,
        }
    }

    fn enter(&self, what: What) -> Result<Ticket, JournalError> {
        let actor = Some(self.context.actor.clone());
        let policy = self.policy.digest().clone();
        self.journal.enter(&Event { at: self.clock.now(), actor, policy, what })
    }
}

/// To know a deed again. The planner's estimate may move while people think.
fn digest(deed: &DeedSubject) -> Digest {
    let mut deed = DeedSubject { estimate: None, ..deed.clone() };
    if let Deed::Statement(facts) = &mut deed.facts {
        facts.estimate = None;
    }
    let deed = deed;
    // these types have no map with keys that are not text, so this cannot fail
    let text = serde_json::to_vec(&deed).unwrap_or_default();
    Digest::from_bytes(&Sha256::digest(text).into())
}

fn failed(error: &HoldError) -> String {
    match error {
        HoldError::Refused(why) => format!("it is held for review, and cannot be reviewed: {why}"),
        HoldError::NotApproved | HoldError::Journal(_) => error.to_string(),
    }
}

fn cancelled(deed: &Deed) -> String {
    match deed {
        // as PostgreSQL says it, which clients look for
        Deed::Statement(_) => "canceling statement due to user request".to_owned(),
        _ => format!("the {} was taken back before it was reviewed", deed.noun()),
    }
}

/// Lets a client take back what it is waiting for.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt(Arc<Bell>);

#[derive(Debug, Default)]
struct Bell {
    held: Mutex<Option<oneshot::Sender<()>>>,
    /// Whether the resource owes answers to what was let through before.
    busy: AtomicBool,
    /// How much of that it has done with.
    done: AtomicU64,
    /// Whether something is being judged, or waits for its entry, that the resource has not seen.
    judging: AtomicBool,
    /// That may be over.
    judged: Notify,
}

/// Comes when the client does not want to wait any longer.
pub(super) struct Interrupted(oneshot::Receiver<()>);

impl Interrupt {
    /// From now on [`Interrupt::ring`] is for what is held now.
    pub(super) fn arm(&self) -> Interrupted {
        let (bell, rung) = oneshot::channel();
        *self.held() = Some(bell);
        self.0.judged.notify_waiters();
        Interrupted(rung)
    }

    /// Takes note of whether the resource owes answers.
    pub(super) fn note(&self, busy: bool) {
        self.0.busy.store(busy, Ordering::Relaxed);
    }

    /// Takes note of something that the resource has done with.
    pub(super) fn note_done(&self) {
        self.0.done.fetch_add(1, Ordering::Relaxed);
    }

    /// What the resource is at work on: a number that is another one once it is done with that; `None` while it owes
    /// nothing.
    pub(super) fn work(&self) -> Option<u64> {
        self.0.busy.load(Ordering::Relaxed).then(|| self.0.done.load(Ordering::Relaxed))
    }

    /// Takes note of whether something is on its way to the resource; after [`Interrupt::note`], so that what was
    /// let through is not nowhere in between.
    pub(super) fn note_judging(&self, judging: bool) {
        if self.0.judging.swap(judging, Ordering::Relaxed) && !judging {
            self.0.judged.notify_waiters();
        }
    }

    /// Waits until what is being judged has gone to the resource, was refused or is held; whether there was anything to
    /// wait for. What was prepared before may be owed meanwhile, and is nothing that could be interrupted.
    pub(super) async fn judged(&self) -> bool {
        let mut waited = false;
        loop {
            let mut judged = pin!(self.0.judged.notified());
            judged.as_mut().enable();
            if !self.0.judging.load(Ordering::Relaxed) || self.holds() {
                return waited;
            }
            waited = true;
            judged.await;
        }
    }

    /// Whether there is only what is held to interrupt: nothing else runs.
    pub(super) fn is_all(&self) -> bool {
        self.holds() && !self.0.busy.load(Ordering::Relaxed)
    }

    fn holds(&self) -> bool {
        self.held().as_ref().is_some_and(|bell| !bell.is_closed())
    }

    /// Interrupts what is held, if anything is.
    pub(super) fn ring(&self) {
        if let Some(bell) = self.held().take() {
            // it may have come to an end by itself
            let _over = bell.send(());
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<oneshot::Sender<()>>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupted {
    async fn wait(self) {
        if self.0.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A time as people read it.
fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
