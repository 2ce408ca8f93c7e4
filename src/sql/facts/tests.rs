#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use super::*;
use crate::sql::{ParseLimits, parse};

fn of(text: &str) -> Facts {
    facts(&parse(text, &ParseLimits::default()).unwrap()[0])
}

#[test]
fn only_plain_reads_are_proven_read_only() {
    for text in [
        "SELECT count(*), lower(a) FROM t WHERE b = 1",
        "WITH x AS (SELECT 1) SELECT * FROM x UNION TABLE y",
        "SHOW work_mem",
        "BEGIN",
        "EXPLAIN DELETE FROM t",
        "COPY (SELECT now()) TO STDOUT",
    ] {
        assert!(of(text).read_only, "{text}");
    }
    for text in [
        "SELECT nextval('s')",
        "SELECT own.lower(a)",
        "SELECT * FROM t FOR UPDATE",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
        "SELECT * INTO t FROM u",
        "EXPLAIN ANALYZE DELETE FROM t",
        "SELECT unknown_to_us()",
        "SELECT (SELECT pg_advisory_lock(1))",
        "SET work_mem = '1GB'",
        "CREATE TABLE t (a int)",
        "COPY t FROM STDIN",
        "EXECUTE p",
    ] {
        assert!(!of(text).read_only, "{text}");
    }
}

#[test]
fn the_gravest_kind_counts() {
    let kind = |text: &str| of(text).kind;
    assert_eq!(kind("WITH x AS (INSERT INTO t VALUES (1) RETURNING *) TABLE x"), StatementKind::Write);
    assert_eq!(kind("SELECT 1 INTO t"), StatementKind::Definition);
    assert_eq!(kind("EXPLAIN ANALYZE UPDATE t SET a = 1"), StatementKind::Write);
    assert_eq!(kind("EXPLAIN UPDATE t SET a = 1"), StatementKind::Read);
    assert_eq!(kind("TRUNCATE t"), StatementKind::Write);
    assert_eq!(kind("DO 'begin end'"), StatementKind::Code);
    assert_eq!(kind("PREPARE p AS DELETE FROM t"), StatementKind::Write);
    assert_eq!(kind("GRANT ALL ON t TO u"), StatementKind::Definition);
}

#[test]
fn verbs_objects_and_settings() {
    let told = |text: &str| {
        let facts = of(text);
        (facts.verb, facts.object.unwrap_or_default(), facts.setting.unwrap_or_default())
    };
    let expect = |verb: &str, object: &str, setting: &str| (verb.into(), object.into(), setting.into());
    assert_eq!(told("DROP TABLE a, b"), expect("drop table", "table", ""));
    assert_eq!(told("DROP INDEX i"), expect("drop index", "index", ""));
    assert_eq!(told("ALTER TABLE t ADD c int"), expect("alter table", "table", ""));
    assert_eq!(told("SET TIME ZONE 'UTC'"), expect("set", "", "timezone"));
    assert_eq!(told("CREATE ROLE r"), expect("create role", "role", ""));
    assert_eq!(told("CREATE AGGREGATE a(int) (sfunc = f, stype = int)"), expect("create", "", ""));
    assert_eq!(told("ROLLBACK TO s"), expect("rollback to", "", ""));
}

#[test]
fn relations_are_read_or_written() {
    let names = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
    let told = |text: &str| {
        let facts = of(text);
        (names(&facts.relations_read), names(&facts.relations_written))
    };
    let expect = |read: &str, written: &str| (read.to_owned(), written.to_owned());
    assert_eq!(told("SELECT * FROM a, s.b JOIN c ON (SELECT d FROM d)"), expect("?.a ?.c ?.d s.b", ""));
    assert_eq!(told("INSERT INTO s.t SELECT * FROM u"), expect("?.u", "s.t"));
    assert_eq!(told("WITH x AS (TABLE y) UPDATE t SET a = 1 FROM x, z"), expect("?.y ?.z", "?.t"));
    assert_eq!(told("COPY t TO STDOUT"), expect("?.t", ""));
    assert_eq!(told("COPY t FROM STDIN"), expect("", "?.t"));
    assert_eq!(told("DROP TABLE s.t"), expect("", "s.t"));
    assert_eq!(told("CREATE VIEW v AS SELECT * FROM t"), expect("?.t", "?.v"));
    assert_eq!(told("TRUNCATE t"), expect("", "?.t"));
}

#[test]
fn where_and_limit_of_the_outermost() {
    assert!(of("DELETE FROM t WHERE a = 1").has_where);
    assert!(!of("DELETE FROM t").has_where);
    assert!(!of("SELECT * FROM (SELECT * FROM t WHERE a) x").has_where);
    assert_eq!(of("SELECT * FROM t LIMIT 10").limit, Some(10));
    assert_eq!(of("SELECT * FROM t FETCH FIRST 5 ROWS ONLY").limit, Some(5));
    assert_eq!(of("SELECT * FROM t LIMIT $1").limit, None);
    assert_eq!(
        of("SELECT lower(a), s.f() FROM t").functions.into_iter().collect::<Vec<_>>(),
        ["?.lower", "s.f"]
    );
}
