//! What an action does, as far as it can be told before it runs.
//!
//! [`Facts`] are of a SQL statement, and `sql` fills them in; the other protocols' are in the modules below.
//! `policy` hands them to Cedar as the context of the action. A fact that could not be established is absent
//! or holds its cautious value, never a guess.

mod aws;
mod call;
mod exec;
mod file;
mod forward;
mod issue;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::aws::{AwsAccess, AwsFacts};
pub use self::call::CallFacts;
pub use self::exec::{Effect, ExecFacts};
pub use self::file::{FileFacts, FileOperation};
pub use self::forward::{ForwardFacts, ForwardKind};
pub use self::issue::IssueFacts;

/// The facts of one statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facts {
    /// The command in lower case: `select`, `insert`, `drop table`, `copy`, `begin`, `function call`.
    /// `unparsed` when our parser rejects the text.
    pub verb: String,
    /// What kind of thing it does.
    pub kind: StatementKind,
    /// Proven to change nothing in the database, and to call nothing that could.
    pub read_only: bool,
    /// Relations whose rows are read, `schema.name`; the schema is `?` where it was not resolved.
    pub relations_read: BTreeSet<String>,
    /// Relations that are written, defined or dropped, `schema.name`.
    pub relations_written: BTreeSet<String>,
    /// Columns that are read, `schema.table.column`. Where names are resolved each column is there by its
    /// name, also behind `*`, whole rows and views, and `schema.table.*` besides where all of a relation
    /// is read. Elsewhere `?.?.column`, and `?.?.*` for what stands for all of them.
    pub columns_read: BTreeSet<String>,
    /// Columns that get values, spelled as those that are read.
    #[serde(default)]
    pub columns_written: BTreeSet<String>,
    /// Whether the columns that are read and written are all there, by their full names.
    #[serde(default)]
    pub columns_resolved: bool,
    /// Functions that are called by name, `schema.name`.
    pub functions: BTreeSet<String>,
    /// Whether the outermost SELECT, UPDATE or DELETE has a WHERE clause, and so has each UPDATE and DELETE
    /// in a WITH.
    pub has_where: bool,
    /// What changes rows, wherever it stands in the statement: of `copy`, `delete`, `insert`, `merge`,
    /// `truncate` and `update`.
    #[serde(default)]
    pub changes: BTreeSet<String>,
    /// Of `delete` and `update`: those that stand somewhere without WHERE.
    #[serde(default)]
    pub without_where: BTreeSet<String>,
    /// How many joins there are in all, a comma in FROM among them.
    #[serde(default)]
    pub joins: u32,
    /// Whether some FROM seems to combine relations without a condition that ties them together.
    #[serde(default)]
    pub has_cross_join: bool,
    /// The outermost LIMIT when it is a literal.
    pub limit: Option<i64>,
    /// `in` or `out` for COPY.
    pub copy: Option<CopyDirection>,
    /// Where COPY gets its rows from, or puts them: `stdin`, `stdout`, `file` or `program`.
    #[serde(default)]
    pub copy_target: Option<String>,
    /// What a definition does: `alter`, `comment`, `create`, `drop`, `grant`, `maintain`, `rename`, `revoke`.
    #[serde(default)]
    pub ddl: Option<String>,
    /// The kind of object that a definition statement touches: `table`, `role`, `function`.
    pub object: Option<String>,
    /// The parameter that SET, RESET or SHOW names, in lower case.
    pub setting: Option<String>,
    /// The value that SET gives it, unless it is long or the name sounds like a secret's.
    #[serde(default)]
    pub set_value: Option<String>,
    /// Proven to read at most one row of user relations: equality on a whole unique key that holds no
    /// NULL, or no user relation at all.
    #[serde(default)]
    pub at_most_one_row: bool,
    /// The labels of the columns that are read, from the target's configuration.
    #[serde(default)]
    pub labels: BTreeSet<String>,
    /// The planner's estimate of rows, where a rule asks for it.
    #[serde(default)]
    pub estimate: Option<u64>,
    /// Gives one row of figures, however many rows it reads: counts, sums, extremes, without GROUP BY.
    pub summary: bool,
    /// Whether the statement touches a relation that has masks for this principal.
    pub touches_masked: bool,
}

const UNPARSED: &str = "unparsed";

impl Facts {
    /// The facts of a text that our parser rejects.
    #[must_use]
    pub fn unparsed() -> Self {
        Self::new(UNPARSED, StatementKind::Unknown)
    }

    /// Whether they are of a text that our parser rejects.
    #[must_use]
    pub fn is_unparsed(&self) -> bool {
        self.verb == UNPARSED
    }

    /// Facts with only a verb and a kind, everything else empty and cautious.
    #[must_use]
    pub fn new(verb: impl Into<String>, kind: StatementKind) -> Self {
        Self {
            verb: verb.into(),
            kind,
            read_only: false,
            relations_read: BTreeSet::new(),
            relations_written: BTreeSet::new(),
            columns_read: BTreeSet::new(),
            columns_written: BTreeSet::new(),
            columns_resolved: false,
            functions: BTreeSet::new(),
            has_where: false,
            changes: BTreeSet::new(),
            without_where: BTreeSet::new(),
            joins: 0,
            has_cross_join: false,
            limit: None,
            copy: None,
            copy_target: None,
            ddl: None,
            object: None,
            setting: None,
            set_value: None,
            at_most_one_row: false,
            labels: BTreeSet::new(),
            estimate: None,
            summary: false,
            touches_masked: false,
        }
    }

    /// The facts of both together: of each, the graver.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let union = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.union(other).cloned().collect();
        let same =
            |one: Option<String>, other: &Option<String>| one.filter(|one| Some(one) == other.as_ref());
        Self {
            relations_read: union(&self.relations_read, &other.relations_read),
            relations_written: union(&self.relations_written, &other.relations_written),
            columns_read: union(&self.columns_read, &other.columns_read),
            columns_written: union(&self.columns_written, &other.columns_written),
            columns_resolved: self.columns_resolved && other.columns_resolved,
            changes: union(&self.changes, &other.changes),
            without_where: union(&self.without_where, &other.without_where),
            joins: self.joins.max(other.joins),
            has_cross_join: self.has_cross_join || other.has_cross_join,
            functions: union(&self.functions, &other.functions),
            labels: union(&self.labels, &other.labels),
            verb: if self.verb == other.verb { self.verb } else { "several".into() },
            kind: self.kind.max(other.kind),
            read_only: self.read_only && other.read_only,
            has_where: self.has_where && other.has_where,
            limit: None,
            copy: self.copy.or(other.copy),
            copy_target: same(self.copy_target, &other.copy_target),
            ddl: same(self.ddl, &other.ddl),
            object: same(self.object, &other.object),
            setting: same(self.setting, &other.setting),
            set_value: same(self.set_value, &other.set_value),
            // two single rows are two
            at_most_one_row: false,
            estimate: self.estimate.zip(other.estimate).map(|(one, other)| one.saturating_add(other)),
            summary: self.summary && other.summary,
            touches_masked: self.touches_masked || other.touches_masked,
        }
    }

    /// Whether rows of relations outside the catalogs are read. A relation whose schema is not known
    /// counts.
    #[must_use]
    pub fn reads_user_rows(&self) -> bool {
        let catalogs = ["pg_catalog.", "information_schema."];
        self.relations_read.iter().any(|name| !catalogs.iter().any(|catalog| name.starts_with(catalog)))
    }
}

/// What kind of thing a statement does. One statement has one kind, the gravest that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatementKind {
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT, empty statements.
    Transaction,
    /// SET, SHOW, LISTEN, DISCARD, DEALLOCATE: state of the connection.
    Session,
    /// Reads rows.
    Read,
    /// Changes rows.
    Write,
    /// Creates, alters or drops objects; privileges and roles.
    Definition,
    /// Runs code of the server: CALL, DO, a fast-path function call.
    Code,
    /// Everything else, and what could not be parsed.
    Unknown,
}

impl StatementKind {
    /// The name that policies and records use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Session => "session",
            Self::Read => "read",
            Self::Write => "write",
            Self::Definition => "definition",
            Self::Code => "code",
            Self::Unknown => "unknown",
        }
    }
}

/// Which way a COPY goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyDirection {
    /// Into the database.
    In,
    /// Out of the database.
    Out,
}
