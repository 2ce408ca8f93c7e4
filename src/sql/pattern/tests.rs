#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use super::*;
use crate::sql::{ParseLimits, parse};

fn free(text: &str) -> Vec<&str> {
    let Some(pattern) = Pattern::of(text) else { return Vec::new() };
    let statements = parse(text, &ParseLimits::default()).unwrap();
    let free = free_literals(&statements, text, &pattern, &|column| column == "secret");
    pattern.values(text, &free)
}

#[test]
fn a_literal_beside_a_column_is_free() {
    for (text, expected) in [
        ("SELECT a FROM t WHERE id = 42", &["42"][..]),
        ("SELECT a FROM t WHERE 42 < t.id AND NOT (b = 'x' OR c >= -7)", &["42", "'x'", "7"]),
        (
            "SELECT a FROM t JOIN u ON u.id = 1 WHERE a IN (1, 'x') AND b BETWEEN 2 AND 3",
            &["1", "1", "'x'", "2", "3"],
        ),
        ("UPDATE t SET a = a + -12, b = 'x', c = 3 WHERE id = 4;", &["12", "'x'", "3", "4"]),
        ("INSERT INTO t (a, b, at) VALUES (1, 'x', now()), (2, DEFAULT, '…')", &["1", "'x'", "2"]),
        ("/* 1 */ DELETE FROM t WHERE id = 42 -- 2", &["42"]),
    ] {
        assert_eq!(free(text), expected, "{text}");
    }
}

#[test]
fn a_literal_anywhere_else_belongs_to_the_pattern() {
    for text in [
        "SELECT 1",
        "SELECT a FROM t LIMIT 1 OFFSET 2",
        "SELECT a, b FROM t GROUP BY 1 ORDER BY 2",
        "SELECT a FROM t WHERE secret = 1 AND t.secret IN ('x')",
        "SELECT a FROM t WHERE a = 1::int8 AND b::varchar(10) = c AND d = CAST('x' AS regclass)",
        "SELECT a FROM t WHERE at > interval '1 day' AND b = date '2020-01-01' AND c = 'x' COLLATE \"C\"",
        "SELECT a FROM t WHERE f(1) AND f('x') = b AND b + 1 = c AND steps -> 'key' = b AND b LIKE 'x%'",
        "SELECT a FROM t WHERE a[1] = b AND b = ANY ('{1}') AND c OPERATOR(own.=) 1 AND d === 1",
        "SELECT a FROM t WHERE a IS DISTINCT FROM 1 AND (a, b) = (1, 2) AND 1 = 2",
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE b = 2)",
        "SELECT a FROM t WHERE id = 1 UNION SELECT a FROM t WHERE id = 2",
        "WITH u AS (SELECT a FROM t WHERE b = 1) SELECT a FROM u WHERE a = 2",
        "SELECT a FROM generate_series(1, 2) a",
        "SELECT a FROM t TABLESAMPLE system (1)",
        "UPDATE t SET secret = 'x', a = secret + 1, b[1] = 2, c = f(3), (d, e) = (4, 5)",
        "INSERT INTO t (a, secret) VALUES (1, 2)",
        "INSERT INTO t VALUES (1, 2)",
        "INSERT INTO t (a) SELECT 1",
        "INSERT INTO t (a) VALUES (b) ON CONFLICT (a) DO UPDATE SET a = 1",
        "DELETE FROM t RETURNING 1",
        "COPY t TO STDOUT (FORMAT 'csv')",
        "SET statement_timeout = 1",
        "CREATE TABLE t (a int DEFAULT 1 CHECK (a = 1))",
        "DECLARE c CURSOR FOR SELECT a FROM t WHERE a = 1",
        "PREPARE p AS SELECT a FROM t WHERE a = 1",
        "EXPLAIN SELECT a FROM t WHERE a = 1",
        "SELECT a FROM t WHERE id = 1; SELECT 2",
    ] {
        assert!(free(text).is_empty(), "{text}: {:?}", free(text));
    }
}

#[test]
fn only_plain_literals_are_taken_out() {
    for literal in [
        "0",
        "007",
        "2147483648",
        "1.5",
        "1e3",
        "0x1F",
        "1_000",
        "''",
        "'it''s'",
        "E'x'",
        "U&'x'",
        "B'1'",
        "X'1F'",
        "$$x$$",
        "'a\\b'",
        "'ü'",
        "'a'\n'b'",
        "'[masked]'",
        "'****1234'",
        "'a hoopctl_mask_0'",
        "$1",
        "true",
        "NULL",
    ] {
        assert!(free(&format!("SELECT a FROM t WHERE b = {literal}")).is_empty(), "{literal}");
    }
}

#[test]
fn a_template_puts_each_literal_where_it_was() {
    let text = "UPDATE t SET a = a + 5, b = 'x' WHERE id = 6 AND c = f(7)";
    let pattern = Pattern::of(text).unwrap();
    let free = [true, true, true, false];
    // the order is not that of the text, and one of the texts shows no literal
    let inspect = |text: &str| {
        let pattern = Pattern::of(text).unwrap();
        let values = pattern.values(text, &[true; 4]);
        let sent = format!("{2}; {0}; {1}; {3}", values[0], values[1], values[2], values[3]);
        Some(Finding { texts: vec![Some(sent), None, Some("…".into())], rest: () })
    };
    let template = Template::learn(text, &pattern, &free, &inspect(text).unwrap(), inspect).unwrap();
    let other = "UPDATE t SET a = a + 50, b = 'other' WHERE id = 60 AND c = f(7)";
    let other_pattern = Pattern::of(other).unwrap();
    assert_eq!(pattern.key_but(text, &free), other_pattern.key_but(other, &free));
    let values = other_pattern.values(other, &free);
    assert_eq!(template.fill(&values), Some(inspect(other).unwrap().texts));
    // a literal that is missing is not left out
    assert_eq!(template.fill(&values[..2]), None);
}

#[test]
fn what_depends_on_a_literal_is_not_learned() {
    let text = "SELECT a FROM t WHERE b = 1";
    let pattern = Pattern::of(text).unwrap();
    let learn = |inspect: &dyn Fn(&str) -> Finding<usize>| {
        Template::learn(text, &pattern, &[true], &inspect(text), |text| Some(inspect(text)))
    };
    let same = |text: &str| Finding { texts: vec![Some(text.to_owned())], rest: 0 };
    assert!(learn(&same).is_some());
    assert!(learn(&|text| Finding { rest: text.len(), ..same(text) }).is_none());
    assert!(learn(&|text| Finding { texts: vec![Some(text.replace('1', "one"))], rest: 0 }).is_none());
    assert!(learn(&|text| Finding { texts: vec![Some(format!("{text} {text}"))], rest: 0 }).is_none());
}
