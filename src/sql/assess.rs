//! The verdict of soundness: a statement in, what may be sent out.
//!
//! Job: judge and rewrite one statement on a target with masks. Boundary: pure; whoever calls keeps
//! the search path and the catalog current. Failure mode: [`Refusal`]. What is sent is always the
//! deparse of what was judged, and parses back to the very same tree.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use pg_query::NodeEnum;

use super::catalog::Catalog;
use super::facts;
use super::names::Names;
use super::parse::{Copied, Statement, copied_by, on_big_stack, record_text};
use super::protect::{Computed, Protection};
use super::temporary::{Temporary, TemporaryChange};
use super::tree;
use super::walk::{PLACE, Walk, is_secret_bearing, refuse};
use crate::domain::facts::{Facts, StatementKind};
use crate::domain::name::RuleName;
use crate::domain::planted::{Leak, is_planted};

/// Everything that decides what a statement means.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// What the database's names mean.
    pub catalog: &'a Catalog,
    /// The temporary tables that it does not know.
    pub temporary: &'a Temporary,
    /// What is protected from this session.
    pub protection: &'a Protection,
    /// The session's `search_path`, element by element and unquoted, as in force when the statement
    /// runs; `$user` stands for itself.
    pub search_path: &'a [String],
    /// The session's role.
    pub session_user: &'a str,
    /// `server_version_num`: 150004, 180000.
    pub server_version_num: u32,
    /// `schema.function` names that policy trusts; `schema.*` trusts a whole schema.
    pub trusted_functions: &'a BTreeSet<String>,
    /// Labels of columns: `schema.table.column`, each a name or a pattern with `*`.
    pub fields: &'a BTreeMap<String, BTreeSet<String>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn names(&self) -> Names<'a> {
        Names::new(self.catalog, self.temporary, self.search_path, self.session_user)
    }
}

/// A statement that may be sent, once policy has allowed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessed {
    /// What it does, with names resolved.
    pub facts: Facts,
    /// What is sent instead of the client's text: masked, every name schema-qualified.
    pub sent: String,
    /// The same before masks that read their columns were put in, where there are any: for its shape.
    pub unmasked: Option<String>,
    /// The client's text for records; literals and comments are gone when it touches a protected relation
    /// or sets a password.
    pub record_text: String,
    /// What is sent, for records, in the same way: it holds the client's literals.
    pub record_sent: String,
    /// What it changes about the connection.
    pub effect: Effect,
    /// How it writes rows to the client, if it is a COPY that does: with the columns of what is sent.
    pub copied: Option<Copied>,
    /// Parameters (`$1` is 1) whose values go into a protected column or are compared within a statement
    /// that touches one: record their digest only.
    pub redacted_parameters: bool,
    /// Parameters that are assigned to protected columns as they are. A value that is a possible mask
    /// output (`Protection::is_mask_output`) must be refused at Bind.
    pub protected_parameters: BTreeSet<i32>,
}

/// What a statement changes about the connection, for whoever relays it. Effects hold only when the
/// statement succeeds, and those of settings are undone by a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that a relay needs to know.
    None,
    /// The answer is a COPY of this direction; any other statement must not produce one.
    Copy(crate::domain::facts::CopyDirection),
    /// A prepared statement of this name exists from now on; it may be executed by `EXECUTE` or by an
    /// extended-protocol Bind of the same name.
    Prepare {
        /// The name.
        name: String,
    },
    /// Runs the prepared statement of this name, whose facts the relay has kept.
    Execute {
        /// The name.
        name: String,
    },
    /// Prepared statements are gone: this one, or all.
    Deallocate {
        /// The name; `None` is all.
        name: Option<String>,
    },
    /// A cursor of this name is open from now on.
    Declare {
        /// The name.
        name: String,
        /// `WITH HOLD`: also after the transaction.
        outlives: bool,
    },
    /// Fetches from the cursor of this name, or moves it.
    Fetch {
        /// The name.
        name: String,
    },
    /// Cursors are gone: this one, or all.
    Close {
        /// The name; `None` is all.
        name: Option<String>,
    },
    /// `DISCARD ALL`: prepared statements, settings, cursors.
    DiscardAll,
    /// The search path changes to these elements; `None` is back to what the session began with.
    SetSearchPath {
        /// The elements.
        path: Option<Vec<String>>,
        /// Only until the end of the transaction.
        local: bool,
    },
    /// `RESET ALL`: every setting, the search path among them, back to what the session began with.
    ResetAll,
    /// A transaction or savepoint begins or ends; the relay reads the state from `ReadyForQuery`.
    Transaction(TransactionStep),
    /// Temporary tables are made, altered or dropped.
    Temporary(TemporaryChange),
}

/// What a statement does to a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionStep {
    /// It begins.
    Begin,
    /// It is committed, or undone where something has failed in it: the command tag says which.
    Commit,
    /// It is undone.
    Rollback,
    /// A savepoint of this name.
    Savepoint(String),
    /// The savepoint of this name is forgotten, and those behind it.
    Release(String),
    /// Back to the savepoint of this name.
    RollbackTo(String),
}

/// Why a statement may not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{construct} cannot be used on a target with masks or row filters")]
pub struct Refusal {
    /// The rule: `mask.unsupported`, `mask.function`, `mask.setting`, `policy.tamper`, …
    pub rule: RuleName,
    /// What was refused, in a few words.
    pub construct: String,
    /// What would work.
    pub hint: String,
}

impl Refusal {
    /// Whether it was an attempt on protected objects or on policy (design §3.10).
    #[must_use]
    pub fn is_tampering(&self) -> bool {
        self.rule.as_str() == "policy.tamper"
    }
}

/// What a statement does to cursors, on every target.
#[must_use]
pub fn on_cursor(statement: &Statement) -> Option<Effect> {
    match statement.node()? {
        NodeEnum::DeclareCursorStmt(cursor) => {
            Some(Effect::Declare { name: cursor.portalname.clone(), outlives: cursor.options & HOLD != 0 })
        }
        NodeEnum::FetchStmt(fetch) => Some(Effect::Fetch { name: fetch.portalname.clone() }),
        NodeEnum::ClosePortalStmt(close) => {
            let name = (!close.portalname.is_empty()).then(|| close.portalname.clone());
            Some(Effect::Close { name })
        }
        _ => None,
    }
}

/// Judges and rewrites one statement on a target with masks.
///
/// # Errors
/// [`Refusal`]: it must not be sent.
pub fn assess(statement: &Statement, scope: &Scope<'_>) -> Result<Assessed, Refusal> {
    let Some(node) = statement.node() else {
        return Err(refuse("mask.unsupported", "an empty statement", "send nothing"));
    };
    let mut intended = node.clone();
    let mut walk = Walk::new(scope, facts::outline(node));
    walk.casts_are_safe()?;
    walk.statement(&mut intended)?;
    // views nest deeper than the text that the caller weighed
    let sent = if walk.deepened { on_big_stack(|| write(&intended)) } else { Some(write(&intended)) };
    let sent = sent.unwrap_or_else(|| Err(unwritable("there is no thread for it")))?;
    let resolved = sent;
    let sent = put_masks(&resolved, &walk.masks, |mask| &mask.text)?;
    let sent = if is_planted(Leak::Rewriting) { statement.text().to_owned() } else { sent };
    let mut found = walk.facts;
    found.touches_masked = walk.touched;
    if !facts::is_planned_only(node) {
        found.kind = facts::gravest(found.kind, &facts::Mentions::of(node));
    }
    found.read_only = match found.kind {
        StatementKind::Read => !walk.writes,
        StatementKind::Transaction => true,
        StatementKind::Session => {
            !walk.writes && matches!(found.verb.as_str(), "show" | "fetch" | "move" | "close" | "deallocate")
        }
        _ => false,
    };
    let names = scope.names();
    let scopes = facts::Scopes::of(node);
    facts::parts(node, &scopes, &mut found);
    let own = |name: &String| !name.starts_with("pg_catalog.");
    found.at_most_one_row = if found.reads_user_rows() || !found.relations_written.is_empty() {
        !found.functions.iter().any(own)
            && facts::reads_one_row(node, scope.catalog, &names, scope.protection)
    } else {
        found.read_only && !found.functions.iter().any(own) && found.verb != "execute"
    };
    found.summary = facts::gives_figures(node, &names);
    found.labels = facts::labels(node, &found, scope.catalog, scope.fields);
    let columns = facts::resolved(node, &scopes, scope.catalog, &names);
    found.columns_read = columns.read;
    found.columns_written = columns.written;
    // what functions of users read is not known, nor what was prepared
    found.columns_resolved = columns.is_whole && !found.functions.iter().any(own) && found.verb != "execute";
    facts::add_parents(&mut found.relations_read, scope.catalog);
    facts::add_parents(&mut found.relations_written, scope.catalog);
    // which relations an EXECUTE touches is known to whoever keeps what was prepared
    let hides = walk.touched || found.verb == "execute";
    // INVARIANT: the client's text and what is sent instead are bared together, or neither is
    let bare = hides || is_secret_bearing(node);
    let record_sent = match bare {
        // masks are large, and were bared when they were made
        true => put_masks(&record_text(&resolved), &walk.masks, |mask| &mask.bared)?,
        false => sent.clone(),
    };
    Ok(Assessed {
        record_text: if bare { record_text(statement.text()) } else { statement.text().to_owned() },
        record_sent,
        facts: found,
        copied: copied_by(&intended),
        unmasked: (!walk.masks.is_empty()).then_some(resolved),
        sent,
        effect: on_cursor(statement).unwrap_or(walk.effect),
        redacted_parameters: hides,
        protected_parameters: walk.protected_parameters,
    })
}

/// The tree as SQL.
fn write(intended: &NodeEnum) -> Result<String, Refusal> {
    let sent = tree::deparse(intended).map_err(|message| unwritable(&message))?;
    let parsed = pg_query::parse(&sent, 0).map_err(|error| unwritable(&error.to_string()))?;
    // INVARIANT: what the server parses is what was judged, whatever the deparser did with it
    let [raw] = parsed.protobuf.stmts.as_slice() else {
        return Err(unwritable("it became several statements"));
    };
    let written = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref());
    if !written.is_some_and(|written| tree::same(written, intended)) {
        return Err(unwritable("it would have changed its meaning"));
    }
    Ok(sent)
}

/// Puts each mask in the place of its name. A mask in parentheses stands wherever a column can, so the
/// statement means what was judged; each name must be there once, and nowhere else.
fn put_masks(sent: &str, masks: &[Computed], text: impl Fn(&Computed) -> &str) -> Result<String, Refusal> {
    let mut pieces = sent.split(PLACE);
    let mut whole = String::from(pieces.next().unwrap_or_default());
    let mut used = BTreeSet::new();
    for piece in pieces {
        let numbered = piece.split_once('_').and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
        let mask =
            numbered.and_then(|(number, rest): (usize, &str)| Some((number, masks.get(number)?, rest)));
        let Some((number, mask, rest)) = mask else { return Err(reserved()) };
        if !used.insert(number) {
            return Err(reserved());
        }
        whole.push_str(text(mask));
        whole.push_str(rest);
    }
    if used.len() == masks.len() { Ok(whole) } else { Err(reserved()) }
}

fn reserved() -> Refusal {
    refuse("mask.unsupported", "a text or name with hoopctl_mask_ in it", "use another one")
}

/// The text of a statement for records where nothing of it is known to be protected: as it is, unless it can
/// hold a password.
#[must_use]
pub fn safe_text(statement: &Statement) -> String {
    match statement.node() {
        Some(node) if is_secret_bearing(node) => record_text(statement.text()),
        _ => statement.text().to_owned(),
    }
}

fn unwritable(message: &str) -> Refusal {
    refuse(
        "mask.unsupported",
        "this form of statement",
        &format!("it cannot be written back as SQL ({message})"),
    )
}

/// PostgreSQL's `CURSOR_OPT_HOLD`, as its grammar has it.
const HOLD: i32 = 0x20;
