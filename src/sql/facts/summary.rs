//! Whether a SELECT gives one row of figures, however many rows it reads.

use pg_query::protobuf::{ResTarget, SelectStmt, SetOperation};
use pg_query::{Node, NodeEnum};

/// Whether every column is an aggregate that condenses rows to a figure. Aggregates that collect values
/// (`array_agg`, `string_agg`, `json_agg`) carry the table away in one row and do not count, nor does
/// anything with GROUP BY, whose groups can be as many as the rows.
pub(super) fn is_summary(select: &SelectStmt) -> bool {
    let plain = select.group_clause.is_empty()
        && select.distinct_clause.is_empty()
        && select.into_clause.is_none()
        && select.with_clause.is_none()
        && select.op() == SetOperation::SetopNone;
    plain && !select.target_list.is_empty() && select.target_list.iter().all(is_figure)
}

fn is_figure(target: &Node) -> bool {
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return false };
    let ResTarget { val: Some(value), .. } = &**target else { return false };
    let Some(NodeEnum::FuncCall(call)) = &value.node else { return false };
    let mut name: Vec<&str> = Vec::new();
    for part in &call.funcname {
        let Some(NodeEnum::String(part)) = &part.node else { return false };
        name.push(&part.sval);
    }
    let known = match name.as_slice() {
        [function] | ["pg_catalog", function] => FIGURES.contains(function),
        _ => false,
    };
    known && call.over.is_none()
}

const FIGURES: &[&str] = &[
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "every",
    "max",
    "min",
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
        assert!(summary("SELECT count(*), pg_catalog.max(a) FROM t"));
        for not in [
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
