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
    let mut found = Vec::new();
    let mut sources = None;
    for target in &leaf.target_list {
        // a table has no more; and a star can stand for a thousand names
        if found.len() > MOST_COLUMNS {
            return None;
        }
        let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
        let value = target.val.as_deref()?.node.as_ref()?;
        match value {
            _ if !target.name.is_empty() => found.push(target.name.clone()),
            // a name of WITH could stand for any of them
            NodeEnum::ColumnRef(reference) if is_star(reference) && shadowed => return None,
            NodeEnum::ColumnRef(reference) if is_star(reference) => {
                let sources: &Sources<'_> = match &mut sources {
                    Some(sources) => sources,
                    none => none.insert(sources_of(&leaf.from_clause, names)?),
                };
                starred(sources, reference, &mut found)?;
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

/// The relations of a FROM clause by the names that they have there.
type Sources<'a> = Vec<(String, &'a Relation)>;

/// Adds the columns that `*` or `name.*` stands for.
fn starred(sources: &Sources<'_>, reference: &ColumnRef, found: &mut Vec<String>) -> Option<()> {
    let named = match reference.fields.as_slice() {
        [_] => sources.as_slice(),
        [name, _] => {
            let name = tree::as_string(name)?;
            let at = sources.iter().position(|(visible, _)| visible == name)?;
            sources.get(at..=at)?
        }
        _ => return None,
    };
    for (_, relation) in named {
        found.extend(relation.columns.iter().map(|column| column.name.clone()));
        if found.len() > MOST_COLUMNS {
            return None;
        }
    }
    Some(())
}

/// `None` where something else than relations whose columns are known is among them.
fn sources_of<'a>(from: &[Node], names: &Names<'a>) -> Option<Sources<'a>> {
    let mut found = Vec::new();
    from.iter().try_for_each(|item| source(item, names, &mut found))?;
    Some(found)
}

fn source<'a>(item: &Node, names: &Names<'a>, found: &mut Sources<'a>) -> Option<()> {
    match item.node.as_ref()? {
        NodeEnum::RangeVar(name) => {
            let known = names.relation(&name.schemaname, &name.relname)?;
            // those of the server's own relations are not read
            let relation = Some(known).filter(|known| !known.is_open && !known.columns.is_empty())?;
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

/// PostgreSQL's `MaxHeapAttributeNumber`.
pub(crate) const MOST_COLUMNS: usize = 1600;
