//! The facts of a statement from its tree alone: names as they are written.
//!
//! Job: what policy is told on a target without masks, and the frame that `walk` fills with resolved
//! names on one with masks. Boundary: no catalog. Failure mode: a fact that the text does not prove
//! keeps its cautious value.

mod columns;
mod labels;
mod mentions;
mod results;
mod scopes;
mod setting;
mod single;
mod summary;
#[cfg(test)]
mod tests;
mod verb;

use pg_query::protobuf::a_const;
use pg_query::{Node, NodeEnum};

use super::parse::Statement;
use super::{functions, tree};
use crate::domain::facts::{CopyDirection, Facts, StatementKind};

pub(crate) use columns::{add_parents, resolved};
pub(crate) use labels::labels;
pub(crate) use mentions::Mentions;
pub(crate) use results::{MOST_COLUMNS, result_names};
pub(crate) use scopes::Scopes;
pub(crate) use setting::shown;
pub(crate) use single::reads_one_row;
pub(crate) use summary::gives_figures;
pub(crate) use verb::variant;

/// What a statement does, as far as its text alone tells.
#[must_use]
pub fn facts(statement: &Statement) -> Facts {
    let Some(node) = statement.node() else { return Facts::unparsed() };
    let scopes = Scopes::of(node);
    let mut facts = outline(node);
    parts(node, &scopes, &mut facts);
    let mut mentions = Mentions::of(node);
    mentions
        .read
        .retain(|(schema, name)| !schema.is_empty() || scopes.names_a_relation(name) || is_copied(node));
    if facts.copy == Some(CopyDirection::In) {
        let into = std::mem::take(&mut mentions.read);
        mentions.written.extend(into);
    }
    let name = |(schema, name): &(String, String)| {
        format!("{}.{name}", if schema.is_empty() { "?" } else { schema.as_str() })
    };
    facts.relations_read = mentions.read.iter().map(name).collect();
    facts.relations_written = mentions.written.iter().map(name).collect();
    facts.functions = mentions.functions.iter().map(name).collect();
    let planned = is_planned_only(node);
    if !planned {
        facts.kind = gravest(facts.kind, &mentions);
        if facts.kind == StatementKind::Definition {
            // of its result
            facts.ddl.get_or_insert_with(|| "create".into());
        }
    }
    facts.read_only = match facts.kind {
        // the planner calls functions to fold constants
        StatementKind::Read if planned => mentions.functions.iter().all(is_known_read),
        StatementKind::Read => {
            !mentions.locks && mentions.written.is_empty() && mentions.functions.iter().all(is_known_read)
        }
        StatementKind::Transaction => {
            !matches!(facts.verb.as_str(), "commit prepared" | "rollback prepared" | "prepare transaction")
        }
        StatementKind::Session => {
            matches!(facts.verb.as_str(), "show" | "fetch" | "move" | "close" | "deallocate")
        }
        _ => false,
    };
    let columns = columns::unresolved(node, &scopes);
    facts.columns_read = columns.read;
    facts.columns_written = columns.written;
    facts.columns_resolved = match facts.kind {
        StatementKind::Transaction | StatementKind::Session => true,
        // nothing has columns of which somebody could want to speak
        StatementKind::Read => facts.read_only && !facts.reads_user_rows(),
        _ => false,
    };
    // names are not resolved here, so no key is known
    facts.at_most_one_row = facts.read_only && !facts.reads_user_rows();
    facts
}

/// What is true of all parts of a statement together.
pub(crate) fn parts(node: &NodeEnum, scopes: &Scopes, facts: &mut Facts) {
    facts.joins = scopes.joins();
    facts.has_cross_join = scopes.has_cross_join();
    if is_planned_only(node) {
        return;
    }
    facts.changes = scopes.changes();
    match node {
        NodeEnum::CopyStmt(copy) if copy.is_from => _ = facts.changes.insert("copy".into()),
        NodeEnum::TruncateStmt(_) => _ = facts.changes.insert("truncate".into()),
        _ => {}
    }
    facts.without_where = scopes.without_where();
    facts.has_where &= facts.without_where.is_empty();
}

/// Whether a statement names its relation outside of any query, where no WITH query can be meant.
fn is_copied(node: &NodeEnum) -> bool {
    matches!(node, NodeEnum::CopyStmt(copy) if copy.relation.is_some())
}

/// Verb, kind and what else the outermost node tells.
pub(crate) fn outline(node: &NodeEnum) -> Facts {
    let (verb, kind) = verb::of(node);
    let mut facts = Facts::new(verb, kind);
    facts.object = verb::object(node);
    facts.ddl = (kind == StatementKind::Definition).then(|| verb::deed(verb).to_owned());
    match node {
        NodeEnum::SelectStmt(select) => {
            facts.has_where = select.where_clause.is_some();
            facts.summary = summary::is_summary(select, &|_, _| false);
            facts.limit = select.limit_count.as_deref().and_then(whole_number);
        }
        NodeEnum::PrepareStmt(prepare) => {
            // what EXECUTE will do is judged by what is prepared
            if let Some(inner) = prepare.query.as_deref().and_then(|query| query.node.as_ref()) {
                let inner = outline(inner);
                facts.object = Some(inner.verb);
                facts.has_where = inner.has_where;
                facts.summary = inner.summary;
                facts.limit = inner.limit;
            }
        }
        NodeEnum::UpdateStmt(update) => facts.has_where = update.where_clause.is_some(),
        NodeEnum::DeleteStmt(delete) => facts.has_where = delete.where_clause.is_some(),
        NodeEnum::CopyStmt(copy) => {
            facts.copy = Some(if copy.is_from { CopyDirection::In } else { CopyDirection::Out });
            let target = match (copy.is_program, copy.filename.is_empty(), copy.is_from) {
                (true, ..) => "program",
                (_, false, _) => "file",
                (_, _, true) => "stdin",
                (_, _, false) => "stdout",
            };
            facts.copy_target = Some(target.into());
        }
        NodeEnum::VariableSetStmt(set) => {
            facts.setting = (!set.name.is_empty()).then(|| set.name.to_lowercase());
            facts.set_value = setting::value(set);
        }
        NodeEnum::VariableShowStmt(show) => facts.setting = Some(show.name.to_lowercase()),
        _ => {}
    }
    facts
}

/// Whether a statement is EXPLAIN without ANALYZE.
pub(crate) fn is_planned_only(node: &NodeEnum) -> bool {
    matches!(node, NodeEnum::ExplainStmt(explain) if !is_analyzed(&explain.options))
}

pub(crate) fn is_analyzed(options: &[Node]) -> bool {
    options
        .iter()
        .filter_map(tree::definition)
        .any(|option| option.defname == "analyze" && !tree::is_off(option))
}

pub(crate) fn whole_number(node: &Node) -> Option<i64> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Ival(number) => Some(number.ival.into()),
            a_const::Val::Fval(number) => number.fval.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// A SELECT or EXPLAIN around something that writes is a write.
pub(crate) fn gravest(outer: StatementKind, mentions: &Mentions) -> StatementKind {
    let inner = if mentions.modifies { StatementKind::Write } else { outer };
    let inner = if mentions.defines { StatementKind::Definition } else { inner };
    match outer {
        StatementKind::Read | StatementKind::Write | StatementKind::Session => outer.max(inner),
        _ => outer,
    }
}

/// Functions that everybody knows to read nothing but their arguments and the catalog. Names are not
/// resolved here: policy that must not be fooled by a user's function of that name needs a masked target.
fn is_known_read((schema, name): &(String, String)) -> bool {
    (schema.is_empty() || schema == "pg_catalog") && mentions::WELL_KNOWN.contains(&name.as_str())
        || (schema == "pg_catalog" && name.starts_with("pg_get_") && functions::is_read_only(name, false))
}
