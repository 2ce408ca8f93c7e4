//! Answers a conversation's questions.
//!
//! Job: for each message that could act, find out what it does ([`Lens`]), let the [`Gate`] rule and
//! enter, and shape the answer; keep what Parse and Bind made, so that an execution is judged with
//! its values and judged again when policy or catalog changed. Boundary: it moves no bytes. Failure
//! mode: a refusal for the client, or a journal error that ends the connection.

mod cursors;
mod detecting;
mod drift;
mod execution;
mod holding;
mod metering;
mod names;
mod planning;
mod tampering;
mod texts;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;

use self::cursors::Cursors;
use self::detecting::veiled;
pub(super) use self::drift::Proving;
use self::drift::{Drift, outdated};
use self::execution::executes;
use self::holding::{Circumstances, Stage, Weighed, refuse};
use self::metering::Metering;
use self::names::Naming;
use super::inspected::{Era, Inspected, Part, Prepared};
use super::lens::{Lens, Masked, Reading, Settings, needs_deep_stack};
use super::patterns::{Alike, Patterns};
use super::planner::Planner;
use super::temporaries::Temporaries;
use super::values;
use crate::domain::action::Action;
use crate::domain::event::VerdictWord;
use crate::domain::facts::{Facts, StatementKind};
use crate::domain::name::RuleName;
use crate::domain::policy::Denial;
use crate::gateway::cache::Cache;
use crate::gateway::gate::{Attempt, Entered, Gate, Opinion, Ruling};
use crate::gateway::hold::{Cleared, Interrupt, Stopped};
use crate::gateway::journal::{JournalError, Ticket};
use crate::gateway::parser::{Burden, Overwhelmed, Parser};
use crate::recording::item;
use crate::sql::{Copied, Protection};
use crate::wire::postgres::conversation::{Answer, Ask, Expect, Meter, Question, QuestionId, Text};
use crate::wire::postgres::error::ErrorFields;
use crate::wire::postgres::veil::Veil;

/// What comes of a question.
pub(super) enum Step {
    /// The answer.
    Answer(Answer),
    /// Something must be waited for; give back what comes of it.
    Wait(BoxFuture<'static, Result<Resume, JournalError>>),
}

/// What was waited for.
pub(super) enum Resume {
    /// The planner's estimate, if there is one.
    Planned(Question, Option<u64>),
    /// The catalog was read again, or why it was not.
    Reread(Question, Result<Box<Masked>, String>),
    /// A review was given, or will not be.
    Reviewed(Question, Result<Cleared, Stopped>),
    /// The entry is on the disk; this is the answer.
    Synced(Answer),
    /// A long text was read on a deep stack.
    Read(Question, Result<Arc<Inspected>, Overwhelmed>),
}

/// One connection's examiner.
pub(super) struct Examiner {
    gate: Gate,
    lens: Arc<Lens>,
    settings: Settings,
    parser: Parser,
    cache: Cache<Inspected>,
    alike: Patterns,
    /// The search path under which those two were filled.
    read_under: Vec<String>,
    era: Era,
    drift: Drift,
    /// By the Parse that made them.
    prepared: HashMap<QuestionId, Prepared>,
    /// How many bytes of text these hold.
    held: usize,
    /// By the name that SQL's EXECUTE knows them by.
    named: HashMap<String, Prepared>,
    named_bytes: usize,
    /// What is about to get a name, once the database says so.
    naming: VecDeque<Naming>,
    /// What SQL's DECLARE has opened.
    cursors: Cursors,
    /// The temporary tables that were made here.
    temporaries: Temporaries,
    metering: Metering,
    /// What the target's detectors find is hidden by this.
    veil: Option<Veil>,
    /// How the message that is being answered writes its rows, if it copies.
    layout: Option<Arc<Copied>>,
    /// The last question whose code, out of our sight, could give the names before it to other statements.
    hidden: Option<QuestionId>,
    /// By the Bind that made them.
    portals: HashMap<QuestionId, Portal>,
    /// The statements that each question stands for, until it is answered.
    running: BTreeMap<QuestionId, Running>,
    judged: Vec<item::Statement>,
    /// How many messages that execute something were let through.
    let_through: u64,
    circumstances: Circumstances,
    /// Ends what is held when the client does not want to wait any longer.
    interrupt: Interrupt,
    /// What the client is to be told at once.
    notices: Arc<Mutex<Vec<ErrorFields>>>,
    /// What came of the review of the question that is being answered.
    review: Option<Result<Cleared, Stopped>>,
    planner: Planner,
    /// What the planner said of the question that is being answered, once it was asked.
    planned: Option<Option<u64>>,
}

/// What a Bind made.
struct Portal {
    prepared: Prepared,
    number: u64,
    has_values: bool,
    /// How much had gone through when its review was given, until it is executed.
    reviewed: Option<u64>,
    /// What its executions count against, all together.
    meter: Arc<Meter>,
}

/// The statements of a question that the database is answering, by number.
struct Running {
    next: u64,
    last: u64,
}

/// How many bytes of prepared statements a connection holds before it may prepare no more; its last may be longer.
const MOST_HELD: usize = 64 << 20;
/// How many texts a connection remembers, at least.
const TEXTS: usize = 512;
/// More questions than the conversation lets wait for an answer.
const RUNNING: usize = 16_384;

impl Examiner {
    /// An examiner for one connection.
    pub(super) fn new(
        gate: Gate,
        lens: Lens,
        reported: &[(String, String)],
        parser: Parser,
        interrupt: Interrupt,
        planner: Planner,
        veil: Option<Veil>,
    ) -> Self {
        let settings = Settings::new(reported);
        Self {
            circumstances: Circumstances::new(reported),
            interrupt,
            notices: Arc::default(),
            review: None,
            planner,
            planned: None,
            gate,
            lens: Arc::new(lens),
            settings,
            parser,
            cache: Cache::new(TEXTS),
            alike: Patterns::new(TEXTS),
            read_under: Vec::new(),
            era: Era::default(),
            drift: Drift::default(),
            prepared: HashMap::new(),
            held: 0,
            named_bytes: 0,
            named: HashMap::new(),
            naming: VecDeque::new(),
            cursors: Cursors::default(),
            temporaries: Temporaries::default(),
            metering: Metering::default(),
            veil,
            layout: None,
            hidden: None,
            portals: HashMap::new(),
            running: BTreeMap::new(),
            judged: Vec::new(),
            let_through: 0,
        }
    }

    /// The connection's gate.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The lens, to be changed when the catalog or the search path changes.
    pub(super) fn lens_mut(&mut self) -> &mut Lens {
        Arc::make_mut(&mut self.lens)
    }

    /// The database has reported a setting.
    pub(super) fn reported(&mut self, name: &str, value: &str) {
        self.settings.take(name, value);
        self.circumstances.reported(name, value);
    }

    /// How texts are read.
    pub(super) fn lens(&self) -> &Lens {
        &self.lens
    }

    /// What was judged since this was last asked, for the recording.
    pub(super) fn take_judged(&mut self) -> Vec<item::Statement> {
        std::mem::take(&mut self.judged)
    }

    /// What a Parse or Bind made is gone.
    pub(super) fn gone(&mut self, question: QuestionId) {
        let gone = self.prepared.remove(&question);
        self.held = self.held.saturating_sub(gone.map_or(0, |prepared| prepared.bytes()));
        self.portals.remove(&question);
        self.failed(question);
    }

    /// Takes a question.
    pub(super) fn ask(&mut self, question: Question) -> Result<Step, JournalError> {
        self.review = None;
        self.planned = None;
        self.take(question)
    }

    fn take(&mut self, question: Question) -> Result<Step, JournalError> {
        self.drop_guard();
        if let Some(wait) = self.reread(&question) {
            return Ok(wait);
        }
        self.follow_policy();
        self.follow_names();
        let text = match &question.ask {
            Ask::Query { text } | Ask::Parse { text, .. } => text.clone(),
            Ask::Bind { .. } => return self.bind(&question),
            Ask::Execute { .. } => return self.execute(&question),
            Ask::Call { .. } => return self.call(&question),
        };
        let Some(text) = text.as_str() else { return self.not_utf8(&question) };
        if matches!(question.ask, Ask::Parse { .. }) && self.held > MOST_HELD {
            let reason =
                "the prepared statements of this connection take too much memory; close some of them";
            let inspected = Inspected::refused("unjudged", reason.into());
            return self.judge(&question, &Arc::new(inspected));
        }
        let reading = self.settings.reading(text, question.settled);
        if reading == Reading::Standard
            && let Some(inspected) = self.cache.find(text)
        {
            return self.judge(&question, &inspected);
        }
        let alike = match reading {
            Reading::Standard => self.alike.find(text),
            _ => Alike::Nothing,
        };
        if let Alike::Found(inspected) = alike {
            return self.judge(&question, &self.veiled(inspected, reading));
        }
        if !needs_deep_stack(text, reading) {
            let inspected = self.lens.inspect(text, reading);
            self.alike.learn(text, &inspected, alike, &self.lens);
            let inspected = self.veiled(inspected, reading);
            self.keep(text, &inspected);
            return self.judge(&question, &inspected);
        }
        let (parser, lens, text) = (self.parser.clone(), Arc::clone(&self.lens), text.to_owned());
        let burden = if crate::sql::is_heavy(&text) { Burden::Heavy } else { Burden::Light };
        let veil = self.veil.clone();
        Ok(Step::Wait(Box::pin(async move {
            let read = move || veiled(veil.as_ref(), lens.inspect(&text, reading), reading);
            Ok(Resume::Read(question, parser.run(burden, read).await.map(Arc::new)))
        })))
    }

    /// Takes what was waited for.
    pub(super) fn resume(&mut self, resume: Resume) -> Result<Step, JournalError> {
        match resume {
            Resume::Synced(answer) => Ok(Step::Answer(answer)),
            Resume::Planned(question, rows) => {
                self.planned = Some(rows);
                self.take(question)
            }
            Resume::Reread(question, Ok(read)) => {
                self.install(*read);
                self.take(question)
            }
            Resume::Reread(_, Err(reason)) => Ok(refuse(&self.unreadable(&reason))),
            Resume::Reviewed(question, review) => {
                self.review = Some(review);
                self.take(question)
            }
            Resume::Read(question, Ok(inspected)) => self.judge(&question, &inspected),
            Resume::Read(question, Err(overwhelmed)) => {
                let inspected = Arc::new(Inspected::refused("unjudged", overwhelmed.to_string()));
                self.judge(&question, &inspected)
            }
        }
    }

    /// Judges a text that was read.
    fn judge(&mut self, question: &Question, inspected: &Arc<Inspected>) -> Result<Step, JournalError> {
        let (text, is_parse) = match &question.ask {
            Ask::Query { text } => (text, false),
            Ask::Parse { text, .. } => (text, true),
            _ => return Ok(refuse(&unclear())),
        };
        let inexact = matches!(&question.ask, Ask::Parse { types, .. } if !values::are_exact(types))
            .then(|| Arc::new(inspected.with_inexact_parameters()));
        let inspected = inexact.as_ref().unwrap_or(inspected);
        if let Some(wait) = self.look_up(question, inspected) {
            return Ok(wait);
        }
        if let Some(denial) = &inspected.refusal {
            return self.deny(inspected.parts.first(), text, denial);
        }
        let taken = self.takes_reserved_name(question, &inspected.parts);
        let refused = taken
            .or_else(|| self.another_role(inspected))
            .or_else(|| self.outdated_names(&inspected.parts))
            .or_else(|| self.unsettled_names(inspected, is_parse))
            .or_else(|| self.unseen_by_detectors(inspected));
        if let Some(denial) = refused {
            return self.deny(inspected.parts.first(), text, &denial);
        }
        if !is_parse && let Some(denial) = self.outdated_cursors(&inspected.parts) {
            return self.deny(inspected.parts.first(), text, &denial);
        }
        if !is_parse && let Some(wait) = self.plan_for_policy(question, inspected) {
            return Ok(wait);
        }
        let estimated = if is_parse { self.unvalued(inspected) } else { self.with_estimate(inspected) };
        // the whole string is judged before any of it is entered: of a refused string nothing ran
        let stage = match self.weigh(question, &estimated, &text.to_lossy(), &[text.0.as_ref()], &[])? {
            Weighed::Stage(stage) => stage,
            Weighed::Step(step) => return Ok(step),
        };
        if let Some(denial) = self.guard(question, &estimated.parts) {
            return self.deny(inspected.parts.first(), text, &denial);
        }
        let (mut wait, mut meters) = (None, Vec::with_capacity(estimated.parts.len()));
        let next = self.gate.statements() + 1;
        for part in &estimated.parts {
            let entered = match self.rule(part, &[text.0.as_ref()], &[], stage)? {
                Ok(entered) => entered,
                Err(denial) => return Ok(refuse(&denial)),
            };
            wait = entered.wait.max(wait);
            meters.push(metering::of(&entered));
        }
        match meters.as_slice() {
            // reading it waits for locks, too
            [meter] if is_parse => self.metering.answer(meter),
            _ if is_parse => {}
            _ => self.meter(&estimated.parts, meters),
        }
        if !is_parse {
            self.runs();
        }
        self.note_layout(inspected);
        self.remember(question, text, inspected, is_parse);
        self.running.insert(question.id, Running { next, last: self.gate.statements() });
        // what is prepared and never executed never ends; what is older than this was answered long ago
        while self.running.len() > RUNNING {
            self.running.pop_first();
        }
        let answer = match &inspected.sent {
            Some(sent) => Answer::Replace { text: sent.clone(), expect: inspected.expect },
            None => Answer::Forward(inspected.expect),
        };
        Ok(self.when_durable(wait, answer))
    }

    fn bind(&mut self, question: &Question) -> Result<Step, JournalError> {
        let Ask::Bind { portal, statement, parsed, formats, values, .. } = &question.ask else {
            return Ok(refuse(&unclear()));
        };
        if let Some(denial) = self.takes_reserved_name(question, &[]) {
            return self.deny(None, &Text(bytes::Bytes::new()), &denial);
        }
        let known = match parsed {
            // code may have made another one of this name since; the unnamed one it cannot reach
            Some(id) if statement.as_str() != Some("") && self.hidden.is_some_and(|at| *id < at) => None,
            Some(id) => self.prepared.get(id),
            None => statement.as_str().and_then(|name| self.named.get(name)),
        };
        let prepared = match known.cloned() {
            // what was said of EXECUTE was said of what the name stood for then
            Some(prepared) if prepared.era != self.era || executes(&prepared) => self.judge_again(prepared),
            Some(prepared) => prepared,
            // the database will say that there is no such statement, unless it was made out of sight
            None if self.rules() => return Ok(refuse(&unseen("prepared statement"))),
            None => Prepared::unseen("execute", StatementKind::Unknown, self.era),
        };
        let Some(prepared) = self.with_this_catalog(prepared) else { return Ok(outdated()) };
        let Some(part) = prepared.inspected.parts.first() else { return Ok(refuse(&unclear())) };
        if let Some(denial) = self.unsettled_names(&prepared.inspected, true) {
            return self.deny(Some(part), &Text(bytes::Bytes::new()), &denial);
        }
        if let Some(denial) = self.outdated_cursors(&prepared.inspected.parts) {
            return self.deny(Some(part), &Text(bytes::Bytes::new()), &denial);
        }
        if let Some(wait) = self.plan_for_policy(question, &prepared.inspected) {
            return Ok(wait);
        }
        let inspected = self.with_estimate(&prepared.inspected);
        let Some(part) = inspected.parts.first() else { return Ok(refuse(&unclear())) };
        if values::assign_mask(values, &part.guarded_values, Protection::is_mask_output) {
            let denial = Denial {
                rule: rule("mask.assigned"),
                reason: "a bind value for a protected column is what a mask gives out".into(),
                hint: Some("leave the protected column out of the statement, or give it a new value".into()),
            };
            return self.deny(Some(part), &Text(bytes::Bytes::new()), &denial);
        }
        let exact = values::exact(prepared.text.as_bytes(), values, formats);
        let shown = self.shown(values, formats, &prepared.types, part);
        let stage = match self.weigh(question, &inspected, &prepared.text, &exact, &shown)? {
            Weighed::Stage(stage) => stage,
            Weighed::Step(step) => return Ok(step),
        };
        if let Some(denial) = self.guard(question, &inspected.parts) {
            return self.deny(Some(part), &Text(bytes::Bytes::new()), &denial);
        }
        let entered = match self.rule(part, &exact, &shown, stage)? {
            Ok(entered) => entered,
            Err(denial) => return Ok(refuse(&denial)),
        };
        self.cursors.bound(portal);
        let (number, expect) = (entered.number, prepared.inspected.expect);
        let reviewed = (stage == Stage::Reviewed).then_some(self.let_through);
        let (has_values, meter) = (!values.is_empty(), metering::of(&entered));
        // a Bind plans, which takes its time as well; it gives out nothing
        self.metering.answer(&meter);
        let portal = Portal { prepared: prepared.clone(), number, has_values, reviewed, meter };
        self.portals.insert(question.id, portal);
        Ok(self.when_durable(entered.wait, Answer::Forward(expect)))
    }

    /// A FunctionCall is judged as a call of that OID.
    fn call(&mut self, question: &Question) -> Result<Step, JournalError> {
        let Ask::Call { oid, formats, arguments } = &question.ask else { return Ok(refuse(&unclear())) };
        let mut facts = Facts::new("function call", StatementKind::Code);
        facts.functions.insert(format!("oid {oid}"));
        facts.touches_masked = self.lens.is_masked();
        let text = format!("FunctionCall {oid}");
        let inspected = Inspected::passing(vec![Part::new(facts, &text)], Expect::default());
        let Some(part) = inspected.parts.first() else { return Ok(refuse(&unclear())) };
        if self.lens.is_masked() {
            let denial = Denial {
                rule: rule("mask.function-call"),
                reason: "a fast-path function call cannot be judged on a target with masked columns".into(),
                hint: Some("call the function in a SELECT".into()),
            };
            return self.deny(Some(part), &Text(text.into()), &denial);
        }
        let exact = values::exact(text.as_bytes(), arguments, formats);
        let shown = self.shown(arguments, formats, &[], part);
        let stage = match self.weigh(question, &inspected, &text, &exact, &shown)? {
            Weighed::Stage(stage) => stage,
            Weighed::Step(step) => return Ok(step),
        };
        match self.rule(part, &exact, &shown, stage)? {
            Ok(entered) => {
                let number = entered.number;
                self.meter(&inspected.parts, vec![metering::of(&entered)]);
                self.lose_sight(question.id, &inspected.parts);
                self.runs();
                self.running.insert(question.id, Running { next: number, last: number });
                Ok(self.when_durable(entered.wait, Answer::Forward(Expect::default())))
            }
            Err(denial) => Ok(refuse(&denial)),
        }
    }

    fn not_utf8(&mut self, question: &Question) -> Result<Step, JournalError> {
        let inspected = if self.lens.is_masked() {
            Inspected::refused("unjudged", "the statement is not valid UTF-8".into())
        } else {
            Lens::opaque()
        };
        self.judge(question, &Arc::new(inspected))
    }

    /// Lets the gate rule over one statement that may go at this stage, or is denied.
    fn rule(
        &mut self,
        part: &Part,
        exact: &[&[u8]],
        shown: &[Option<String>],
        stage: Stage,
    ) -> Result<Result<Entered, Denial>, JournalError> {
        let held = matches!(part.ruled.opinion.get(), Some(Opinion::Hold(_)));
        let reviewed = (held && stage == Stage::Reviewed)
            .then(|| part.with_opinion(self.gate.reviewed(&Action::Statement(&self.facts_of(part)))));
        Ok(match self.ruling(reviewed.as_ref().unwrap_or(part), exact, shown)? {
            Ruling::Forward(entered) => Ok(entered),
            // INVARIANT: what is held may be prepared, which executes nothing, and no more than that
            Ruling::Hold(entered) if stage == Stage::Prepare => Ok(entered),
            Ruling::Hold(_) => Err(unclear()),
            Ruling::Refuse { denial, .. } => Err(denial),
        })
    }

    /// Lets the gate rule over one statement, and keeps what the recording shows of it.
    fn ruling(
        &mut self,
        part: &Part,
        exact: &[&[u8]],
        shown: &[Option<String>],
    ) -> Result<Ruling, JournalError> {
        let facts = self.facts_of(part);
        let shown_facts = self.facts_to_enter(part, &facts);
        let attempt = Attempt {
            action: Action::Statement(&facts),
            text: &part.text,
            sent: part.sent.as_deref(),
            exact,
            opinion: &part.ruled.opinion,
            facts_entered: &part.ruled.facts_entered,
            shown_facts: shown_facts.as_ref(),
        };
        let ruling = self.gate.rule(&attempt)?;
        let (number, verdict, rule) = match &ruling {
            Ruling::Forward(entered) => (entered.number, VerdictWord::Allow, entered.rule.clone()),
            Ruling::Hold(entered) => (entered.number, VerdictWord::Hold, entered.rule.clone()),
            Ruling::Refuse { number, denial } => (*number, VerdictWord::Deny, denial.rule.clone()),
        };
        self.judged.push(item::Statement {
            number,
            text: part.text.clone(),
            parameters: shown.to_vec(),
            verdict,
            rule,
            sent: part.sent.clone(),
            at: self.gate.now(),
        });
        Ok(ruling)
    }

    fn deny(&mut self, part: Option<&Part>, text: &Text, denial: &Denial) -> Result<Step, JournalError> {
        let unknown = Part::new(Facts::unparsed(), "");
        let part = part.unwrap_or(&unknown);
        let denied = Part::denied(part, denial.clone());
        // a refusal waits for nothing: no bytes move on the strength of it
        let _denied = self.ruling(&denied, &[text.0.as_ref()], &[])?;
        self.count_tampering(denial)?;
        Ok(refuse(denial))
    }

    fn judge_again(&self, prepared: Prepared) -> Prepared {
        let inspected = Arc::new(prepared.inspected.without_opinions());
        Prepared { inspected, era: self.era, ..prepared }
    }

    fn when_durable(&self, wait: Option<Ticket>, answer: Answer) -> Step {
        let Some(ticket) = wait else { return Step::Answer(answer) };
        let synced = self.gate.synced(ticket);
        Step::Wait(Box::pin(async move {
            synced.await?;
            Ok(Resume::Synced(answer))
        }))
    }
}

fn unseen(what: &str) -> Denial {
    Denial {
        rule: rule("unjudged"),
        reason: format!("the gateway has not seen this {what} being made, so it cannot be judged"),
        hint: Some("prepare it again on this connection".into()),
    }
}

fn unclear() -> Denial {
    Denial { rule: rule("unjudged"), reason: "the message cannot be judged".into(), hint: None }
}

fn rule(name: &str) -> RuleName {
    RuleName::new(name).unwrap_or_else(|_| RuleName::default_deny())
}
