//! The walk that judges and rewrites one statement.
//!
//! Job: visit every node of a statement, resolve every name, put masked subqueries where protected
//! relations stand. Boundary: it changes a copy of the tree; deparse and comparison are `assess`'s.
//! Failure mode: an allow-list. Each construct is handled by name with all that hangs on it; what is
//! not handled is refused.
//!
//! Why this is sound: a protected relation is only ever read through a subquery that yields its
//! columns with masks in place, so nothing else in a statement can see a protected value, whatever it
//! does with the rows. What remains is what could read tables in other ways (functions, operators,
//! types and casts of users; catalogs with statistics) and the targets of INSERT, UPDATE and DELETE,
//! which cannot be subqueries and get their own rules in `dml`.

mod call;
mod dml;
mod expr;
mod grouping;
mod json;
mod query;
mod relation;
mod settings;
mod utility;

use std::collections::BTreeSet;

use super::assess::{Effect, Refusal, Scope};
use super::catalog::Relation;
use super::names::Names;
use super::protect::Computed;
use crate::domain::facts::Facts;
use crate::domain::name::RuleName;

pub(crate) use relation::PLACE;
pub use settings::may_begin_with;
pub(crate) use utility::is_secret_bearing;

pub(crate) type Outcome<T = ()> = Result<T, Refusal>;

/// What is known while a statement is walked.
pub(crate) struct Walk<'a> {
    scope: &'a Scope<'a>,
    names: Names<'a>,
    /// What was found so far.
    pub(crate) facts: Facts,
    /// What the statement does to the connection.
    pub(crate) effect: Effect,
    /// Whether a protected relation is involved.
    pub(crate) touched: bool,
    /// Whether a row filter stands in it.
    fenced: bool,
    /// Whether something was called or done that changes the database.
    pub(crate) writes: bool,
    /// Whether the tree has become deeper than the statement was.
    pub(crate) deepened: bool,
    /// About how many tokens were put into the statement.
    pub(crate) grown: usize,
    /// The texts of masks that read their columns, in the order of the names that stand for them.
    pub(crate) masks: Vec<Computed>,
    /// Parameters that are assigned to protected columns.
    pub(crate) protected_parameters: BTreeSet<i32>,
    /// Names of the WITH queries in sight, innermost last.
    ctes: Vec<String>,
    /// The protected relation that is being changed, whose columns stand bare in expressions.
    target: Option<Target<'a>>,
    /// How many queries deep an expression stands inside the statement that changes `target`.
    inside: usize,
    /// The relations that subqueries stand for in the FROM clause that is being walked.
    stands: Vec<grouping::Stand<'a>>,
    /// Whether that reads something masked whose rows cannot be locked: through views or row filters.
    unlockable: bool,
    /// The views whose definitions are being walked.
    views: Vec<u32>,
    /// Relations that were replaced by subqueries: `schema.relation.column` no longer finds them.
    replaced: BTreeSet<(String, String)>,
}

/// The protected relation that an INSERT, UPDATE or DELETE changes.
#[derive(Debug, Clone)]
struct Target<'a> {
    relation: &'a Relation,
    /// The name by which expressions refer to it.
    name: String,
    /// Whether it is the only relation in sight of the outermost expressions.
    alone: bool,
    /// Whether a reference to a protected column may be replaced by its mask, or must be refused.
    substitute: bool,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(scope: &'a Scope<'a>, facts: Facts) -> Self {
        let names = scope.names();
        Self {
            scope,
            names,
            facts,
            effect: Effect::None,
            touched: false,
            fenced: false,
            writes: false,
            deepened: false,
            grown: 0,
            masks: Vec::new(),
            protected_parameters: BTreeSet::new(),
            ctes: Vec::new(),
            target: None,
            inside: 0,
            stands: Vec::new(),
            unlockable: false,
            views: Vec::new(),
            replaced: BTreeSet::new(),
        }
    }

    /// Refuses what servers older than `major` do not know, or know differently.
    fn since(&self, major: u32, construct: &str) -> Outcome {
        if self.scope.server_version_num >= major * 10_000 {
            return Ok(());
        }
        Err(refuse("mask.version", construct, &format!("the target is older than PostgreSQL {major}")))
    }

    fn trusts(&self, schema: &str, function: &str) -> bool {
        let trusted = self.scope.trusted_functions;
        trusted.contains(&format!("{schema}.{function}")) || trusted.contains(&format!("{schema}.*"))
    }

    /// Whether a function given as `schema.function` is trusted or comes with the server.
    fn trusts_full(&self, function: &str) -> bool {
        match function.split_once('.') {
            Some(("pg_catalog", name)) => self.builtin_is_harmless(name),
            Some((schema, name)) => self.trusts(schema, name),
            None => false,
        }
    }
}

/// A refusal; the rule names are ours and well formed.
pub(crate) fn refuse(rule: &str, construct: &str, hint: &str) -> Refusal {
    Refusal {
        rule: RuleName::new(rule).unwrap_or_else(|_| RuleName::default_deny()),
        construct: construct.into(),
        hint: hint.into(),
    }
}

fn unsupported(construct: &str) -> Refusal {
    refuse("mask.unsupported", construct, "write the statement without it")
}
