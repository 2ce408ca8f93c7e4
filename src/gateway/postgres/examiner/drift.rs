//! Statements and a catalog that changes meanwhile.
//!
//! Job: put a guard in front of what was resolved with a catalog that somebody may have changed since; read the
//! catalog again when a guard has failed, or when a name is not known; and judge anew what was prepared before.
//! Boundary: what a guard looks at is [`Marks`](crate::gateway::postgres::marks::Marks)'s business, what comes of it
//! the conversation's. Failure mode: a refusal; a guard whose catalog could not be read again fails again.
//!
//! A guard holds until the end of its transaction, because its relations stay locked until then. Outside of BEGIN and
//! COMMIT a transaction ends with its batch, and what is sent before the database has answered is never taken to be
//! in the transaction that the client may have begun.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Answer, Denial, Examiner, Inspected, Prepared, Resume, Step, rule};
use crate::gateway::postgres::guards::{Age, Guards};
use crate::gateway::postgres::inspected::{ALWAYS, Part};
use crate::gateway::postgres::lens::{Lens, Masked, Reading, needs_deep_stack};
use crate::gateway::postgres::marks::{Covered, Looked};
use crate::gateway::postgres::planner::Comparison;
use crate::gateway::postgres::values;
use crate::sql::Effect;
use crate::wire::postgres::backend::TransactionStatus;
use crate::wire::postgres::conversation::{Ask, Guard, Question, QuestionId, Stamp, drifted, is_reserved};
use crate::wire::postgres::error::{ErrorFields, Routine, Severity};

/// How a connection stands with its catalog.
#[derive(Default)]
pub(super) struct Drift {
    /// Counts the readings of the catalog.
    pub(super) edition: u64,
    /// The catalog is not what it was.
    stale: bool,
    /// For which question and when it was last read because a name was not known.
    looked_up: Option<(QuestionId, jiff::Timestamp)>,
    /// What guards have covered, since when.
    covered: Covered,
    batch: u64,
    /// The batch that began outside of any transaction, as long as nothing has run in it.
    clean: Option<u64>,
    in_transaction: bool,
    /// What the database has prepared for them.
    guards: Guards,
    /// What a guard could not prove: of which question, its number, and its stamp.
    unproven: Option<(QuestionId, u64, Stamp)>,
    /// A check has failed before on this connection: those without a stamp are waited for, in case that transactions
    /// begin with an old snapshot here.
    careful: bool,
    /// What goes in front of the answer that is being given.
    offered: Option<Offered>,
}

/// A guard, and what will be covered by it.
pub(in crate::gateway::postgres) struct Offered {
    pub(in crate::gateway::postgres) guard: Guard,
    covers: Covered,
    /// Whether what is prepared is gone behind the answer.
    loses: bool,
}

/// What was found out from elsewhere about a guard that proved nothing.
pub(in crate::gateway::postgres) struct Proof {
    /// Whose guard it is.
    pub(in crate::gateway::postgres) question: QuestionId,
    number: u64,
    stamp: Stamp,
    comparison: Comparison,
}

/// Finds it out.
pub(in crate::gateway::postgres) type Proving = BoxFuture<'static, Proof>;

impl Drift {
    fn nothing_covered(&mut self) {
        self.covered.clear();
        self.in_transaction = false;
    }
}

impl Examiner {
    /// A guard has failed.
    pub(in crate::gateway::postgres) fn drifted(&mut self) {
        self.drift.stale = true;
        self.drift.careful = true;
        self.drift.unproven = None;
        self.drift.guards.clear();
        self.drift.nothing_covered();
    }

    /// A guard's check has passed in a transaction that sees an old catalog. Its relations are locked now.
    pub(in crate::gateway::postgres) fn guard_unproven(
        &mut self,
        question: QuestionId,
        number: u64,
        stamp: Stamp,
    ) {
        self.drift.unproven = Some((question, number, stamp));
    }

    /// Compares from elsewhere what a guard could not, if there is such a guard.
    pub(in crate::gateway::postgres) fn prove(&mut self) -> Option<Proving> {
        let (question, number, stamp) = self.drift.unproven.take()?;
        let Lens::Masked(masked) = &*self.lens else { return None };
        let comparison = self.drift.guards.looked(number).map(|looked| masked.marks.comparison(looked));
        let (planner, permit) = (self.planner.clone(), self.gate.another_connection());
        Some(Box::pin(async move {
            let comparison = match comparison {
                Some(comparison) => planner.compare(permit, comparison).await,
                None => Comparison::Unknown,
            };
            Proof { question, number, stamp, comparison }
        }))
    }

    /// What came of it: what the client is told, if the statement may not run.
    pub(in crate::gateway::postgres) fn proved(&mut self, proof: &Proof) -> Option<Box<ErrorFields>> {
        match proof.comparison {
            Comparison::Same => {
                self.drift.guards.passed(proof.number, Some(proof.stamp));
                None
            }
            Comparison::Differs => {
                self.drifted();
                Some(Box::new(drifted()))
            }
            // nothing is known to have changed, so what was read and prepared stays
            Comparison::Unknown => {
                self.drift.covered.clear();
                Some(Box::new(uncompared()))
            }
        }
    }

    /// The database is ready.
    pub(in crate::gateway::postgres) fn ready(&mut self, status: TransactionStatus) {
        self.temporaries.ready(status);
        self.follow_temporaries();
        self.drift.in_transaction = status == TransactionStatus::InTransaction;
        if !self.drift.in_transaction {
            self.drift.covered.clear();
        }
        if status == TransactionStatus::Idle {
            self.drift.unproven = None;
            self.drift.guards.idle();
        }
    }

    /// A transaction has ended, whatever ended it: nothing is locked any more.
    pub(in crate::gateway::postgres) fn transaction_ended(&mut self) {
        self.drift.covered.clear();
    }

    /// A guard did not come to its end. What it was last seen to have may be newer than a change, which nobody compared.
    pub(in crate::gateway::postgres) fn guard_cut_short(&mut self) {
        self.drift.unproven = None;
        self.drift.guards.distrust();
    }

    /// A guard's check has passed.
    pub(in crate::gateway::postgres) fn guard_passed(&mut self, number: u64, stamp: Option<Stamp>) {
        self.drift.guards.passed(number, stamp);
    }

    /// What goes in front of the answer.
    pub(in crate::gateway::postgres) fn take_guard(&mut self) -> Option<Offered> {
        self.drift.offered.take()
    }

    /// It was sent.
    pub(in crate::gateway::postgres) fn guarded(&mut self, offered: Offered) {
        if offered.loses {
            self.drift.guards.clear();
        }
        self.drift.covered.extend(offered.covers);
        self.drift.clean = None;
    }

    /// A message that executes something is let through.
    pub(super) fn runs(&mut self) {
        self.let_through += 1;
        self.drift.clean = None;
    }

    /// Forgets a guard of a question that is taken up again.
    pub(super) fn drop_guard(&mut self) {
        self.drift.offered = None;
    }

    /// Waits for the catalog, where it is to be read again.
    pub(super) fn reread(&self, question: &Question) -> Option<Step> {
        if !self.drift.stale || !self.lens.is_masked() {
            return None;
        }
        let reading = self.planner.reread(self.gate.another_connection());
        let question = question.clone();
        Some(Step::Wait(Box::pin(async move { Ok(Resume::Reread(question, reading.await.map(Box::new))) })))
    }

    /// The same for a text that was refused because it names what nobody knows: it may have been made since. Not
    /// more than once in a while, or names that are not there would have the catalog read all the time.
    pub(super) fn look_up(&mut self, question: &Question, inspected: &Inspected) -> Option<Step> {
        let unresolved = inspected.refusal.as_ref().is_some_and(|denial| denial.rule.as_str() == UNRESOLVED);
        let now = self.gate.now();
        // a text can take longer to read than this is long
        let again = self.drift.looked_up.is_some_and(|(question_then, then)| {
            question_then == question.id || now.duration_since(then) < OFTEN
        });
        if !unresolved || again {
            return None;
        }
        self.drift.looked_up = Some((question.id, now));
        self.drift.stale = true;
        self.reread(question)
    }

    /// Takes the catalog that was read again.
    pub(super) fn install(&mut self, read: Masked) {
        let Lens::Masked(masked) = self.lens_mut() else { return };
        let (path, temporary) = (masked.path.clone(), masked.temporary.clone());
        **masked = Masked { path, temporary, ..read };
        self.drift.stale = false;
        self.drift.edition += 1;
        self.drift.covered.clear();
        self.drift.guards.clear();
        // what was prepared has its edition, and what is open is locked: no policy has changed
        self.forget_texts();
    }

    /// What is to be said when it could not be read.
    pub(super) fn unreadable(&self, reason: &str) -> Denial {
        tracing::warn!(session = %self.gate.context().id, reason, "the catalog could not be read again");
        Denial {
            rule: rule("unjudged"),
            reason: format!("the database's catalog has changed, and could not be read again: {reason}"),
            hint: Some("try again, or connect again".into()),
        }
    }

    /// What was prepared with another catalog, as it is judged with this one.
    pub(super) fn with_this_catalog(&self, prepared: Prepared) -> Option<Prepared> {
        if prepared.edition == ALWAYS || prepared.edition == self.drift.edition {
            return Some(prepared);
        }
        let prepares = |part: &Part| matches!(part.effect, Effect::Prepare { .. });
        if prepared.inspected.parts.iter().any(prepares)
            || needs_deep_stack(&prepared.text, Reading::Standard)
        {
            return None;
        }
        let mut again = self.lens.inspect(&prepared.text, Reading::Standard);
        if !values::are_exact(&prepared.types) {
            again = again.with_inexact_parameters();
        }
        // INVARIANT: the database runs what it was sent then; that is what must come out now
        if again.refusal.is_none() && again.sent == prepared.inspected.sent {
            let edition = self.drift.edition;
            return Some(Prepared { inspected: Arc::new(again), edition, ..prepared });
        }
        None
    }

    /// Why an EXECUTE in here may not run: what it runs was prepared with another catalog.
    pub(super) fn outdated_names(&self, parts: &[Part]) -> Option<Denial> {
        let outdated = |part: &Part| {
            let Effect::Execute { name } = &part.effect else { return false };
            let known = self.named.get(name);
            known.is_some_and(|prepared| ![ALWAYS, self.drift.edition].contains(&prepared.edition))
        };
        (self.lens.is_masked() && parts.iter().any(outdated)).then(changed)
    }

    /// These are executed now.
    pub(super) fn follow_transaction(&mut self, parts: &[Part]) {
        let keeps = |part: &Part| ["begin", "savepoint", "release"].contains(&part.facts.verb.as_str());
        if parts.iter().any(|part| matches!(part.effect, Effect::Transaction(_)) && !keeps(part)) {
            self.drift.nothing_covered();
        }
    }

    /// Why this may not be prepared, bound or declared under its name.
    pub(super) fn takes_reserved_name(&self, question: &Question, parts: &[Part]) -> Option<Denial> {
        let by_sql = |part: &Part| matches!(&part.effect, Effect::Prepare { name } | Effect::Declare { name, .. } if is_reserved(name.as_bytes()));
        let by_message = match &question.ask {
            Ask::Parse { statement: name, .. } | Ask::Bind { portal: name, .. } => is_reserved(&name.0),
            _ => false,
        };
        (self.lens.is_masked() && (by_message || parts.iter().any(by_sql))).then(reserved)
    }

    /// Puts a guard in front of these statements, where there must be one; why they cannot have one.
    pub(super) fn guard(&mut self, question: &Question, parts: &[Part]) -> Option<Denial> {
        self.drift.offered = None;
        let Lens::Masked(masked) = &*self.lens else { return None };
        let (marks, protection) = (Arc::clone(&masked.marks), Arc::clone(&masked.protection));
        let continues = question.batch == self.drift.batch || (question.settled && self.drift.in_transaction);
        if !continues {
            self.drift.covered.clear();
        }
        self.drift.batch = question.batch;
        if question.settled {
            self.drift.clean = (!self.drift.in_transaction).then_some(question.batch);
        }
        // PostgreSQL refuses it unread where no transaction is open, and would find one behind a guard. What was bound
        // like this is guarded when it is executed, if something ran in between
        if self.drift.clean == Some(question.batch) && matches!(parts, [part] if declares(part)) {
            return None;
        }
        let mut all = Looked::default();
        let (mut ended, mut undone, mut lost) = (false, false, false);
        let nothing = Covered::default();
        for part in parts {
            // EXECUTE does what was prepared, also to the transaction
            let inner = match &part.effect {
                Effect::Execute { name } => {
                    self.named.get(name).and_then(|prepared| prepared.inspected.parts.first())
                }
                _ => None,
            };
            let part = inner.unwrap_or(part);
            let covered = if ended { &nothing } else { &self.drift.covered };
            let facts = self.facts_of(part);
            let looked = if UNGUARDED.contains(&facts.verb.as_str()) {
                Looked::default()
            } else {
                marks.of(&facts, &protection, covered)
            };
            // INVARIANT: a guard stands before the whole string, so nothing in it may come after its transaction
            if ended && !looked.named.is_empty() {
                return Some(in_one_string());
            }
            all = all.and(looked);
            match &part.effect {
                Effect::Transaction(_) => match part.facts.verb.as_str() {
                    // what was locked before these is locked behind them
                    "begin" if is_plain_begin(&part.text) => {}
                    "savepoint" | "release" => {}
                    // a transaction takes its isolation before it looks at anything
                    "begin" => ended = true,
                    _ => (ended, undone) = (true, true),
                },
                Effect::DiscardAll | Effect::Deallocate { name: None } => lost = true,
                Effect::Deallocate { name: Some(name) } => lost |= is_reserved(name.as_bytes()),
                _ => {
                    ended |=
                        part.facts.verb == "set" && part.text.to_ascii_lowercase().contains("transaction");
                }
            }
        }
        if undone {
            self.drift.nothing_covered();
        }
        if all.named.is_empty() && lost {
            self.drift.guards.clear();
        }
        if !all.named.is_empty() {
            let is_old = self.drift.careful || self.drift.in_transaction;
            let age = if is_old { Age::MayBeOld } else { Age::Fresh };
            let guard = self.drift.guards.guard(&all, &marks, age);
            let covers = if undone { Covered::default() } else { all.named };
            self.drift.offered = Some(Offered { guard, covers, loses: lost });
        }
        None
    }
}

/// Whether it opens a cursor that needs a transaction.
pub(super) fn declares(part: &Part) -> bool {
    matches!(part.effect, Effect::Declare { outlives: false, .. })
}

fn is_plain_begin(text: &str) -> bool {
    PLAIN_BEGINS.iter().any(|plain| text.trim().eq_ignore_ascii_case(plain))
}

/// As PostgreSQL says that a prepared statement is out of date: drivers know it by this, and prepare it again.
pub(super) fn outdated() -> Step {
    let message = "cached plan must not change result type";
    let fields = ErrorFields::new(Severity::Error, "0A000", message)
        .with_detail("a relation of this prepared statement was changed since it was prepared")
        .with_hint("prepare it again");
    let routine = Some(Routine::RevalidateCachedQuery);
    Step::Answer(Answer::Refuse(Box::new(ErrorFields { routine, ..fields })))
}

fn changed() -> Denial {
    Denial {
        rule: rule("unjudged"),
        reason: "a relation of this prepared statement was changed since it was prepared".into(),
        hint: Some("deallocate it, and prepare it again".into()),
    }
}

/// What a client is told of whose statement nobody could say whether it is what was judged. Drivers run a transaction
/// again that could not be serialized, which would come to the same here.
fn uncompared() -> ErrorFields {
    let message = "the gateway could not find out whether a relation of this statement was changed";
    let detail = "The transaction sees the catalog as it was when it began, and the database gives no other connection to \
                  compare on, or did not answer in time.";
    let hint = "use READ COMMITTED, or have the role allowed one connection more";
    ErrorFields::new(Severity::Error, TOO_MANY_CONNECTIONS, message).with_detail(detail).with_hint(hint)
}

/// A client may give no statement such a name.
fn reserved() -> Denial {
    Denial {
        rule: rule("unjudged"),
        reason: "names of prepared statements and portals that begin with hoopctl_ are the gateway's own"
            .into(),
        hint: Some("use another name".into()),
    }
}

fn in_one_string() -> Denial {
    Denial {
        rule: rule("unjudged"),
        reason:
            "a statement behind the beginning or end of a transaction in the same string cannot be judged"
                .into(),
        hint: Some("send what follows the transaction's beginning or end as a string of its own".into()),
    }
}

const TOO_MANY_CONNECTIONS: &str = "53300";
/// The rule of what names nothing that is known.
const UNRESOLVED: &str = "mask.unresolved";
/// How often unknown names may have the catalog read.
const OFTEN: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);
/// What begins a transaction without saying anything about it that a guard would come too early for.
const PLAIN_BEGINS: &[&str] =
    &["begin", "begin work", "begin transaction", "start transaction", "begin read only"];
/// What shows nothing and changes no value, and takes locks that a guard's own, weaker ones would stand in the way of.
const UNGUARDED: &[&str] = &["lock", "truncate"];
