//! What was found out about a text, before anybody is asked.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use crate::domain::facts::{Facts, StatementKind};
use crate::domain::name::RuleName;
use crate::domain::policy::Denial;
use crate::gateway::gate::Opinion;
use crate::sql::{Copied, Effect};
use crate::wire::postgres::conversation::Expect;
use crate::wire::postgres::veil::Hint;

/// What was found out about a text: one part for each of its statements.
#[derive(Debug)]
pub(super) struct Inspected {
    /// Its statements, in order. Never empty: an empty text is one empty statement.
    pub(super) parts: Vec<Part>,
    /// What to send instead of the text; `None` sends it as it came.
    pub(super) sent: Option<String>,
    /// What it may be answered with.
    pub(super) expect: Expect,
    /// Why it cannot be judged at all.
    pub(super) refusal: Option<Denial>,
}

/// One statement of a text.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// What it does.
    pub(super) facts: Arc<Facts>,
    /// How it may be shown.
    pub(super) text: String,
    /// How what is sent instead may be shown.
    pub(super) sent: Option<String>,
    /// Why its rows could not be searched as they are copied out.
    pub(super) unsearchable: Option<&'static str>,
    /// How it copies rows out.
    pub(super) copied: Option<Arc<Copied>>,
    /// What it changes about the connection.
    pub(super) effect: Effect,
    /// Its bind values are not to be shown.
    pub(super) secret_values: bool,
    /// What is known of its bind values by the words before them, with detectors; of those that are not there, nothing.
    pub(super) hints: Arc<[Hint]>,
    /// Parameters that are assigned to protected columns: a mask's own output is refused there.
    pub(super) guarded_values: BTreeSet<i32>,
    /// What was said of it so far. Shared by all that differ in their literals only; dropped with the
    /// whole when policy changes.
    pub(super) ruled: Arc<Ruled>,
}

/// How a statement stands with policy and ledger.
#[derive(Debug, Default)]
pub(super) struct Ruled {
    /// What policy said of it, once it was asked.
    pub(super) opinion: OnceLock<Opinion>,
    /// The statement whose entry has its facts, once one has.
    pub(super) facts_entered: OnceLock<u64>,
}

/// A prepared statement: what its text was found to be, and under which circumstances.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// The text that was prepared.
    pub(super) text: Arc<str>,
    /// OIDs of the parameter types that its Parse gave; 0 lets the database choose.
    pub(super) types: Arc<[u32]>,
    /// What was found out about it.
    pub(super) inspected: Arc<Inspected>,
    /// The circumstances it was rewritten under.
    pub(super) era: Era,
    /// The reading of the catalog that it was rewritten with.
    pub(super) edition: u64,
}

impl Prepared {
    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.inspected.bytes()
    }
}

/// Counts the changes of policy: what was judged in one era is judged again in the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Era(pub(super) u64);

/// Whether a statement can run other statements that nobody judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sight {
    /// It does what it says.
    Clear,
    /// It calls a function of users. Names of the protocol are kept: otherwise no driver could call one
    /// between two uses of a prepared statement, and whoever can make such a function can have it run
    /// anything without a name.
    Dim,
    /// It is code, or nobody knows what it is.
    Hidden,
}

impl Sight {
    /// Of a statement with these facts.
    pub(super) fn of(facts: &Facts) -> Self {
        if matches!(facts.kind, StatementKind::Code | StatementKind::Unknown) {
            return Self::Hidden;
        }
        let of_function = |name: &String| match name.split_once('.') {
            // without a schema it is the server's own far more often than not
            Some(("pg_catalog" | "information_schema" | "?", _)) | None => Self::Clear,
            Some(_) => Self::Dim,
        };
        facts.functions.iter().map(of_function).max().unwrap_or(Self::Clear)
    }
}

impl Inspected {
    /// A text that is refused before policy is asked. What cannot be judged is not shown either: it
    /// could hold anything.
    pub(super) fn refused(rule: &str, reason: String) -> Self {
        let rule = RuleName::new(rule).unwrap_or_else(|_| RuleName::default_deny());
        Self::with_refusal(Denial { rule, reason, hint: None })
    }

    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| part.text.len() + part.sent.as_ref().map_or(0, String::len));
        parts.sum::<usize>() + self.sent.as_ref().map_or(0, String::len)
    }

    /// Statements that are sent as they came.
    pub(super) fn passing(parts: Vec<Part>, expect: Expect) -> Self {
        Self { parts, sent: None, expect, refusal: None }
    }

    /// The same with a denial that is already there.
    pub(super) fn with_refusal(denial: Denial) -> Self {
        let facts = Facts { touches_masked: true, ..Facts::unparsed() };
        let parts = vec![Part::new(facts, "[not shown]")];
        Self { parts, sent: None, expect: Expect::default(), refusal: Some(denial) }
    }

    /// One of its statements alone, to be judged again.
    pub(super) fn only(&self, part: &Part) -> Self {
        let parts = vec![part.without_opinion()];
        Self { parts, sent: None, expect: Expect::default(), refusal: self.refusal.clone() }
    }

    /// The same, with parameters of types in which several values of a column can be equal to one.
    pub(super) fn with_inexact_parameters(&self) -> Self {
        let mut inexact = self.without_opinions();
        inexact.parts.iter_mut().for_each(|part| Arc::make_mut(&mut part.facts).at_most_one_row = false);
        inexact
    }

    /// The same, to be judged again.
    pub(super) fn without_opinions(&self) -> Self {
        Self {
            parts: self.parts.iter().map(Part::without_opinion).collect(),
            sent: self.sent.clone(),
            expect: self.expect,
            refusal: self.refusal.clone(),
        }
    }
}

impl Part {
    /// A statement that is sent as it came.
    pub(super) fn new(facts: Facts, text: &str) -> Self {
        Self {
            facts: Arc::new(facts),
            text: text.to_owned(),
            sent: None,
            unsearchable: None,
            copied: None,
            effect: Effect::None,
            secret_values: false,
            hints: Arc::default(),
            guarded_values: BTreeSet::new(),
            ruled: Arc::default(),
        }
    }

    /// The same statement, denied already.
    pub(super) fn denied(part: &Self, denial: Denial) -> Self {
        part.with_opinion(Opinion::Deny(denial))
    }

    /// The same statement, of which this is said.
    pub(super) fn with_opinion(&self, opinion: Opinion) -> Self {
        let opinion = OnceLock::from(opinion);
        Self { ruled: Arc::new(Ruled { opinion, ..Ruled::default() }), ..self.without_opinion() }
    }

    /// The same statement, to be judged again.
    pub(super) fn without_opinion(&self) -> Self {
        Self { ruled: Arc::default(), ..self.clone() }
    }
}

/// What has no text of ours is as good with any catalog.
pub(super) const ALWAYS: u64 = u64::MAX;

impl Prepared {
    /// Something that was made where the gateway could not see what it does.
    pub(super) fn unseen(verb: &str, kind: StatementKind, era: Era) -> Self {
        Self::of(Part::new(Facts::new(verb, kind), verb), era)
    }

    /// Going on with a cursor of SQL's DECLARE by a message of the protocol.
    pub(super) fn fetching(cursor: String, era: Era) -> Self {
        let part = Part::new(Facts::new("fetch", StatementKind::Read), "fetch");
        Self::of(Part { effect: Effect::Fetch { name: cursor }, ..part }, era)
    }

    fn of(part: Part, era: Era) -> Self {
        let text = part.text.as_str().into();
        let inspected = Inspected { parts: vec![part], sent: None, expect: Expect::ANYTHING, refusal: None };
        Self { text, types: Arc::default(), inspected: Arc::new(inspected), era, edition: ALWAYS }
    }
}
