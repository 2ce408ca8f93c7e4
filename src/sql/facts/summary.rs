//! Whether a SELECT gives one row of figures, however many rows it reads.
//!
//! Job: a proof, from the tree and, for extremes, from the catalog. Boundary: one SELECT. Failure mode: not a
//! summary. What is not proven could carry a table away: a subquery that collects values in an argument or
//! in FROM, extremes of texts, one figure for each row by FILTER.

use pg_query::protobuf::{
    AExprKind, ColumnRef, FuncCall, JoinExpr, RangeVar, ResTarget, SelectStmt, SetOperation,
};
use pg_query::{Node, NodeEnum};

use crate::sql::catalog::{Kind, Relation};
use crate::sql::names::Names;
use crate::sql::tree;

/// Whether the statement, or what it prepares, is a SELECT that gives one row of figures.
pub(crate) fn gives_figures(node: &NodeEnum, names: &Names<'_>) -> bool {
    match node {
        NodeEnum::SelectStmt(select) => {
            is_summary(select, &|sources, column| is_measure(sources, column, names))
        }
        NodeEnum::PrepareStmt(prepare) => {
            let inner = prepare.query.as_deref().and_then(|query| query.node.as_ref());
            inner.is_some_and(|inner| matches!(inner, NodeEnum::SelectStmt(_)) && gives_figures(inner, names))
        }
        _ => false,
    }
}

/// Whether every column is an aggregate that condenses rows to a figure. Aggregates that collect values
/// (`array_agg`, `string_agg`, `json_agg`) carry the table away in one row and do not count, nor does
/// anything with GROUP BY, whose groups can be as many as the rows. `is_measure` tells whether a column of
/// these relations is proven to hold numbers or times: an extreme of anything else is somebody's value.
pub(super) fn is_summary(select: &SelectStmt, is_measure: &dyn Fn(&[&RangeVar], &ColumnRef) -> bool) -> bool {
    let plain = select.group_clause.is_empty()
        && select.distinct_clause.is_empty()
        && select.into_clause.is_none()
        && select.with_clause.is_none()
        && select.op() == SetOperation::SetopNone;
    let mut sources = Vec::new();
    plain
        && select.from_clause.iter().all(|item| source(item, &mut sources))
        && (1..=MOST_FIGURES).contains(&select.target_list.len())
        && select.target_list.iter().all(|target| is_figure(target, &sources, is_measure))
}

/// Collects what FROM names; `false` when it holds anything but relations and joins of them.
fn source<'a>(item: &'a Node, sources: &mut Vec<&'a RangeVar>) -> bool {
    match item.node.as_ref() {
        Some(NodeEnum::RangeVar(relation)) => {
            sources.push(relation);
            true
        }
        Some(NodeEnum::JoinExpr(join)) => {
            let JoinExpr { larg, rarg, alias, .. } = &**join;
            let sides = [larg.as_deref(), rarg.as_deref()];
            alias.is_none() && sides.into_iter().all(|side| side.is_some_and(|side| source(side, sources)))
        }
        _ => false,
    }
}

fn is_figure(
    target: &Node,
    sources: &[&RangeVar],
    is_measure: &dyn Fn(&[&RangeVar], &ColumnRef) -> bool,
) -> bool {
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return false };
    let ResTarget { val: Some(value), .. } = &**target else { return false };
    let Some(NodeEnum::FuncCall(call)) = &value.node else { return false };
    let FuncCall { agg_filter, agg_order, agg_within_group, over, args, .. } = &**call;
    if agg_filter.is_some() || !agg_order.is_empty() || *agg_within_group || over.is_some() {
        return false;
    }
    let Some(&([name] | ["pg_catalog", name])) = tree::strings(&call.funcname).as_deref() else {
        return false;
    };
    if EXTREMES.contains(&name) {
        return match args.as_slice() {
            [Node { node: Some(NodeEnum::ColumnRef(column)) }] => is_measure(sources, column),
            _ => false,
        };
    }
    FIGURES.contains(&name) && args.iter().all(is_simple)
}

/// Columns, constants and arithmetic of them.
fn is_simple(argument: &Node) -> bool {
    match argument.node.as_ref() {
        Some(NodeEnum::ColumnRef(_) | NodeEnum::AConst(_)) => true,
        Some(NodeEnum::AExpr(operation)) => {
            let operator = tree::strings(&operation.name);
            let known = matches!(operator.as_deref(), Some(["+" | "-" | "*" | "/"]));
            let sides = [operation.lexpr.as_deref(), operation.rexpr.as_deref()];
            known && operation.kind() == AExprKind::AexprOp && sides.into_iter().flatten().all(is_simple)
        }
        _ => false,
    }
}

/// Whether a column of these relations is one of a table, of numbers or times.
fn is_measure(sources: &[&RangeVar], column: &ColumnRef, names: &Names<'_>) -> bool {
    let Some(fields) = tree::strings(&column.fields) else { return false };
    let (table, column) = match fields.as_slice() {
        [column] => (None, *column),
        [table, column] => (Some(*table), *column),
        _ => return false,
    };
    let mut found = false;
    for source in sources {
        let renamed = source.alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty());
        let relation: Option<&Relation> = names.relation(&source.schemaname, &source.relname);
        let Some(relation) = relation.filter(|relation| relation.kind == Kind::Table && !renamed) else {
            return false;
        };
        let name = source.alias.as_ref().map_or(source.relname.as_str(), |alias| &alias.aliasname);
        if table.is_some_and(|table| table != name) {
            continue;
        }
        if let Some(column) = relation.column(column) {
            found = true;
            if column.base.0 != "pg_catalog" || !MEASURES.contains(&column.base.1.as_str()) {
                return false;
            }
        }
    }
    found
}

/// More figures than a person asks for at once could be one for each row.
const MOST_FIGURES: usize = 16;

const EXTREMES: &[&str] = &["max", "min"];

/// Types whose values are numbers or times.
const MEASURES: &[&str] = &[
    "date",
    "float4",
    "float8",
    "int2",
    "int4",
    "int8",
    "interval",
    "numeric",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
];

const FIGURES: &[&str] = &[
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "every",
    "regr_count",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use crate::sql::{ParseLimits, facts, parse};

    #[test]
    fn figures_are_told_from_collections() {
        let summary =
            |text: &str| facts(parse(text, &ParseLimits::default()).unwrap().first().unwrap()).summary;
        for figures in [
            "SELECT count(*), pg_catalog.sum(a) FROM t",
            "SELECT count(a), count(DISTINCT a), avg(t.a) FROM t JOIN u USING (id) WHERE b = 'x'",
            "SELECT sum(price * amount) FROM t",
        ] {
            assert!(summary(figures), "{figures}");
        }
        let many = vec!["sum(a)"; 17].join(", ");
        for not in [
            &format!("SELECT {many} FROM t"),
            // an extreme is a value of the table, and what it is a value of is not known here
            "SELECT max(a) FROM t",
            "SELECT max((SELECT string_agg(prompt, ',') FROM t))",
            "SELECT sum((SELECT string_agg(prompt, ',') FROM t)::numeric)",
            "SELECT sum(('x' || encode(prompt, 'hex'))::numeric) FROM t",
            "SELECT sum(CASE WHEN id = 1 THEN a END) FROM t",
            "SELECT count(x) FROM (SELECT string_agg(a, ',') x FROM t) s",
            "SELECT count(*) FROM t, LATERAL (SELECT a) s",
            "SELECT count(*) FROM f()",
            "SELECT sum(a) FILTER (WHERE id = 1) FROM t",
            "SELECT sum(a ORDER BY b) FROM t",
            "SELECT count(a) WITHIN GROUP (ORDER BY b) FROM t",
            "SELECT array_agg(a) FROM t",
            "SELECT count(*), a FROM t GROUP BY a",
            "SELECT max(a) OVER () FROM t",
            "SELECT count(*) FROM t UNION ALL SELECT a FROM t",
            "SELECT count(*), json_agg(t) FROM t",
            "SELECT own.count(a) FROM t",
            "SELECT a FROM t",
        ] {
            assert!(!summary(not), "{not}");
        }
    }
}
