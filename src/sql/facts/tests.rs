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
    assert_eq!(told("CREATE AGGREGATE a(int) (sfunc = f, stype = int)"), expect("create", "aggregate", ""));
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
    // a WITH query hides a table's name only where it is in sight
    assert_eq!(told("WITH t AS (SELECT * FROM t) SELECT * FROM t"), expect("?.t", ""));
    assert_eq!(told("WITH RECURSIVE t AS (SELECT * FROM t) SELECT * FROM t"), expect("", ""));
    assert_eq!(told("SELECT * FROM t, (WITH t AS (SELECT 1) TABLE t) u"), expect("?.t", ""));
    assert_eq!(told("WITH a AS (TABLE b), b AS (TABLE a) TABLE b"), expect("?.b", ""));
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

fn list(names: &std::collections::BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_column_has_one_name_however_it_is_written() {
    for (text, columns) in [
        ("SELECT api_key FROM t", "?.?.api_key"),
        ("SELECT t.api_key, s.t.api_key FROM s.t", "?.?.api_key"),
        ("SELECT x.api_key FROM t x", "?.?.api_key"),
        ("SELECT (t).api_key FROM t", "?.?.* ?.?.t"),
        ("SELECT api_key(t) FROM t", "?.?.* ?.?.t"),
        ("SELECT row_to_json(x) FROM t AS x", "?.?.* ?.?.x"),
        ("SELECT * FROM t", "?.?.*"),
        ("TABLE t", "?.?.*"),
        ("SELECT x.* FROM t x", "?.?.*"),
        ("SELECT k FROM t AS x(a, k)", "?.?.* ?.?.k"),
        ("SELECT 1 FROM t NATURAL JOIN (SELECT 'x' AS api_key) y", "?.?.*"),
        ("SELECT 1 FROM t JOIN u USING (api_key)", "?.?.api_key"),
        ("COPY t TO STDOUT", "?.?.*"),
        ("COPY t (a, b) TO STDOUT", "?.?.a ?.?.b"),
        ("UPDATE t SET a = 1 RETURNING *", "?.?.*"),
        ("SELECT id FROM t WHERE api_key LIKE 'a%'", "?.?.api_key ?.?.id"),
        ("SELECT count(*) FROM t", ""),
        // what a query brings along is nobody's column
        ("WITH x AS (SELECT id FROM t) SELECT * FROM x", "?.?.id"),
        ("SELECT x.* FROM (SELECT id FROM t) x", "?.?.id"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b", "?.?.a"),
    ] {
        assert_eq!(list(&of(text).columns_read), columns, "{text}");
    }
    for (text, columns) in [
        ("INSERT INTO t (a, b) VALUES (1, 2)", "?.?.a ?.?.b"),
        ("INSERT INTO t VALUES (1, 2)", "?.?.*"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2", "?.?.a ?.?.b"),
        ("UPDATE t SET a = 1, (b, c) = (2, 3), d[1] = 4", "?.?.a ?.?.b ?.?.c ?.?.d"),
        ("WITH x AS (UPDATE t SET a = 1 RETURNING b) SELECT b FROM x", "?.?.a"),
        ("MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET a = 1", "?.?.a"),
        ("MERGE INTO t USING u ON t.id = u.id WHEN NOT MATCHED THEN INSERT VALUES (1)", "?.?.*"),
        ("MERGE INTO t USING u ON t.id = u.id WHEN NOT MATCHED THEN INSERT DEFAULT VALUES", "?.?.*"),
        ("MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE", ""),
        ("COPY t FROM STDIN", "?.?.*"),
        ("COPY t (a) FROM STDIN", "?.?.a"),
        ("DELETE FROM t WHERE a = 1", ""),
    ] {
        assert_eq!(list(&of(text).columns_written), columns, "{text}");
    }
    assert!(of("SELECT 1").columns_resolved && of("BEGIN").columns_resolved);
    assert!(!of("SELECT a FROM t").columns_resolved && !of("SELECT own()").columns_resolved);
}

#[test]
fn what_changes_rows_is_told_wherever_it_stands() {
    for (text, changes, bare) in [
        ("DELETE FROM t", "delete", "delete"),
        ("DELETE FROM t WHERE a = 1", "delete", ""),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x WHERE true", "delete", "delete"),
        ("WITH x AS (DELETE FROM t) INSERT INTO u VALUES (1)", "delete insert", "delete"),
        ("WITH x AS (UPDATE t SET a = 1) DELETE FROM u WHERE b = 1", "delete update", "update"),
        ("COPY (DELETE FROM t RETURNING *) TO STDOUT", "delete", "delete"),
        ("PREPARE p AS UPDATE t SET a = 1", "update", "update"),
        ("EXPLAIN ANALYZE DELETE FROM t", "delete", "delete"),
        ("EXPLAIN DELETE FROM t", "", ""),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "insert", ""),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", "insert update", ""),
        ("MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", "delete merge", ""),
        ("TRUNCATE t", "truncate", ""),
        ("COPY t FROM STDIN", "copy", ""),
        ("SELECT 1", "", ""),
    ] {
        let facts = of(text);
        assert_eq!(
            (list(&facts.changes), list(&facts.without_where)),
            (changes.into(), bare.into()),
            "{text}"
        );
        assert!(bare.is_empty() || !facts.has_where, "{text}");
    }
}

#[test]
fn joins_are_counted_and_loose_ones_told() {
    for (text, joins, loose) in [
        ("SELECT * FROM a", 0, false),
        ("SELECT * FROM a JOIN b ON a.id = b.a", 1, false),
        ("SELECT * FROM a, b WHERE a.id = b.a AND b.c = 1", 1, false),
        ("SELECT * FROM a JOIN b USING (id) NATURAL JOIN c", 2, false),
        ("SELECT * FROM a x LEFT JOIN (SELECT id FROM b) y ON x.id = y.id", 1, false),
        ("SELECT * FROM customer, orders WHERE c_custkey = o_custkey", 1, false),
        ("SELECT * FROM a, unnest(a.tags) t", 1, false),
        ("SELECT * FROM a, LATERAL (SELECT 1 FROM b WHERE b.a = a.id) l", 1, false),
        ("SELECT * FROM a WHERE EXISTS (SELECT FROM b WHERE b.a = a.id)", 0, false),
        ("UPDATE a SET x = 1 FROM b WHERE a.id = b.a", 1, false),
        ("MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", 1, false),
        ("SELECT * FROM a, b", 1, true),
        ("SELECT * FROM a CROSS JOIN b WHERE a.x = 1 AND b.y = 2", 1, true),
        ("SELECT * FROM a JOIN b ON true", 1, true),
        ("SELECT * FROM a, b, c WHERE a.id = b.a", 2, true),
        ("SELECT (SELECT count(*) FROM a, b)", 1, true),
        ("DELETE FROM a USING b", 1, true),
    ] {
        let facts = of(text);
        assert_eq!((facts.joins, facts.has_cross_join), (joins, loose), "{text}");
    }
}

#[test]
fn definitions_copies_and_settings_say_more_than_their_verb() {
    for (text, ddl) in [
        ("CREATE TABLE t (a int)", "create table"),
        ("CREATE TYPE m AS ENUM ('a')", "create type"),
        ("CREATE DOMAIN d AS text", "create domain"),
        ("SELECT 1 INTO t", "create table"),
        ("ALTER TABLE t ADD c int", "alter table"),
        ("ALTER TABLE t RENAME c TO d", "rename column"),
        ("DROP INDEX i", "drop index"),
        ("GRANT SELECT ON t TO r", "grant table"),
        ("REVOKE r FROM s", "revoke role"),
        ("COMMENT ON TABLE t IS 'x'", "comment table"),
        ("REFRESH MATERIALIZED VIEW v", "maintain matview"),
        ("SELECT 1", " "),
    ] {
        let facts = of(text);
        let told = format!("{} {}", facts.ddl.unwrap_or_default(), facts.object.unwrap_or_default());
        assert_eq!(told, ddl, "{text}");
    }
    for (text, target) in [
        ("COPY t FROM STDIN", "stdin"),
        ("COPY t TO STDOUT", "stdout"),
        ("COPY t TO '/tmp/x'", "file"),
        ("COPY t FROM PROGRAM 'curl x'", "program"),
    ] {
        assert_eq!(of(text).copy_target.as_deref(), Some(target), "{text}");
    }
    let long = format!("SET application_name = '{}'", "x".repeat(201));
    for (text, value) in [
        ("SET work_mem = '1GB'", Some("1GB")),
        ("SET search_path = a, \"B\"", Some("a, B")),
        ("SET LOCAL statement_timeout TO 0", Some("0")),
        ("SET TIME ZONE 'UTC'", Some("UTC")),
        ("SET ROLE admin", Some("admin")),
        ("SET jit = on", Some("on")),
        ("SET work_mem TO DEFAULT", None),
        ("RESET work_mem", None),
        ("SET app.api_token = 'x'", None),
        ("SET \"app.PASSWORD\" = 'x'", None),
        ("SET request.jwt.claims = 'x'", None),
        (long.as_str(), None),
    ] {
        assert_eq!(of(text).set_value.as_deref(), value, "{text}");
    }
}
