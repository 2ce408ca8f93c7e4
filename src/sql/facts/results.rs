//! What the columns of a result are called.
//!
//! Job: a query → the names of its columns, as PostgreSQL's `FigureColname` gives them. Boundary: names only; of what kind
//! they are is not asked. Failure mode: `None`, where the text does not tell.

use pg_query::protobuf::{ColumnRef, SelectStmt, SetOperation};
use pg_query::{Node, NodeEnum};

use crate::sql::catalog::Relation;
use crate::sql::names::Names;
use crate::sql::tree;

/// The names of a query's columns in their order, where all of them can be told.
pub(crate) fn result_names(select: &SelectStmt, names: &Names<'_>) -> Option<Vec<String>> {
    let mut leaf = select;
    let mut shadowed = leaf.with_clause.is_some();
    // of a set operation, the leftmost has the say
    while leaf.op() != SetOperation::SetopNone {
        leaf = leaf.larg.as_deref()?;
        shadowed |= leaf.with_clause.is_some();
    }
    if let Some(NodeEnum::List(row)) = leaf.values_lists.first().and_then(|row| row.node.as_ref()) {
        return Some((1..=row.items.len()).map(|number| format!("column{number}")).collect());
    }
    let mut found = Vec::with_capacity(leaf.target_list.len());
    for target in &leaf.target_list {
        let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
        let value = target.val.as_deref()?.node.as_ref()?;
        match value {
            _ if !target.name.is_empty() => found.push(target.name.clone()),
            // a name of WITH could stand for any of them
            NodeEnum::ColumnRef(reference) if is_star(reference) && shadowed => return None,
            NodeEnum::ColumnRef(reference) if is_star(reference) => {
                found.extend(starred(&leaf.from_clause, reference, names)?);
            }
            other => found.push(figured(other)?),
        }
    }
    Some(found)
}

/// The name that a value gives to its column.
fn figured(value: &NodeEnum) -> Option<String> {
    let last = |names: &[Node]| names.last().and_then(tree::as_string).map(str::to_owned);
    match value {
        NodeEnum::ColumnRef(reference) => last(&reference.fields),
        NodeEnum::FuncCall(call) => last(&call.funcname),
        NodeEnum::TypeCast(cast) => figured(cast.arg.as_deref()?.node.as_ref()?),
        _ => None,
    }
}

fn is_star(reference: &ColumnRef) -> bool {
    reference.fields.last().is_some_and(|field| matches!(field.node, Some(NodeEnum::AStar(_))))
}

/// The columns that `*` or `name.*` stands for.
fn starred(from: &[Node], reference: &ColumnRef, names: &Names<'_>) -> Option<Vec<String>> {
    let mut sources = Vec::new();
    from.iter().try_for_each(|item| source(item, names, &mut sources))?;
    match reference.fields.as_slice() {
        [_] => Some(sources.into_iter().flat_map(|(_, relation)| columns(relation)).collect()),
        [name, _] => {
            let name = tree::as_string(name)?;
            let mut named = sources.into_iter().filter(|(visible, _)| visible == name);
            Some(columns(named.next()?.1).collect())
        }
        _ => None,
    }
}

/// The relations of a FROM clause by the names that they have there; `None` where something else is among them.
fn source<'a>(item: &Node, names: &Names<'a>, found: &mut Vec<(String, &'a Relation)>) -> Option<()> {
    match item.node.as_ref()? {
        NodeEnum::RangeVar(name) => {
            let relation = names.relation(&name.schemaname, &name.relname).filter(|known| !known.is_open)?;
            let visible = match &name.alias {
                Some(alias) if !alias.colnames.is_empty() => return None,
                Some(alias) => alias.aliasname.clone(),
                None => name.relname.clone(),
            };
            found.push((visible, relation));
            Some(())
        }
        NodeEnum::JoinExpr(join) => {
            let merges = join.is_natural || !join.using_clause.is_empty() || join.alias.is_some();
            if merges {
                return None;
            }
            source(join.larg.as_deref()?, names, found)?;
            source(join.rarg.as_deref()?, names, found)
        }
        _ => None,
    }
}

fn columns(relation: &Relation) -> impl Iterator<Item = String> + '_ {
    relation.columns.iter().map(|column| column.name.clone())
}
