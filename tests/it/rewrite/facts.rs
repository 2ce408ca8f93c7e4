//! What rules about rows and labels go by, with the names that a real catalog gives.

use super::{DEFAULT_PATH, Twins};
use crate::support::postgres::majors;

#[tokio::test(flavor = "multi_thread")]
async fn one_row_is_proven_by_a_whole_unique_key_and_nothing_else() {
    let twins = Twins::start(*majors().last().expect("a server")).await;
    for (sql, is_one) in [
        ("SELECT * FROM reasoning_traces WHERE id = 1", true),
        ("SELECT prompt FROM public.reasoning_traces AS r WHERE r.project = 'x' AND 7 = r.id", true),
        ("SELECT prompt FROM reasoning_traces WHERE id = $1 AND (agent = 'a' OR agent = 'b')", true),
        ("SELECT n.body FROM notes n JOIN projects p ON p.name = 'x' WHERE n.id = 1", true),
        ("UPDATE notes SET body = 'x' WHERE id = 1", true),
        ("DELETE FROM notes WHERE id = $1", true),
        ("DECLARE c CURSOR FOR SELECT * FROM notes WHERE id = 1", true),
        ("INSERT INTO notes (body) VALUES ('a'), ('b') RETURNING id", true),
        ("SELECT 1", true),
        ("SELECT relname FROM pg_class", true),
        ("SELECT n.body FROM notes n, pg_class c WHERE n.id = 1", true),
        // several rows, or not proven
        ("SELECT * FROM reasoning_traces", false),
        ("SELECT * FROM reasoning_traces LIMIT 1", false),
        ("SELECT array_agg(prompt) FROM reasoning_traces LIMIT 1", false),
        ("SELECT * FROM reasoning_traces WHERE project = 'x'", false),
        ("SELECT * FROM reasoning_traces WHERE id = 1 OR true", false),
        ("SELECT * FROM reasoning_traces WHERE id IN (1, 2)", false),
        ("SELECT * FROM reasoning_traces WHERE NOT id = 1", false),
        ("SELECT * FROM reasoning_traces WHERE id > 1", false),
        ("SELECT * FROM reasoning_traces WHERE id = agent::int", false),
        ("SELECT * FROM reasoning_traces WHERE id = 1::float8", false),
        ("SELECT * FROM reasoning_traces WHERE id = (SELECT 1)", true),
        ("SELECT * FROM reasoning_traces WHERE id = (SELECT max(id) FROM notes)", false),
        ("SELECT * FROM reasoning_traces r, notes n WHERE r.id = 1", false),
        ("SELECT * FROM reasoning_traces r LEFT JOIN notes n ON r.id = 1 AND n.id = 1", false),
        ("SELECT * FROM reasoning_traces WHERE id = 1 UNION ALL SELECT * FROM reasoning_traces", false),
        ("WITH x AS (SELECT * FROM reasoning_traces) SELECT * FROM x", false),
        ("SELECT * FROM trace_keys WHERE id = 1", false),
        ("SELECT * FROM notes AS n(trace, body, id) WHERE n.id = 1", false),
        // the key is masked: what is compared is the same in every row
        ("SELECT id FROM reasoning_traces WHERE api_key = '[masked]'", false),
        ("SELECT * FROM events WHERE id = 1", false),
        ("EXPLAIN SELECT * FROM notes WHERE id = 1", false),
        ("INSERT INTO notes (body) SELECT body FROM notes", false),
        ("INSERT INTO notes VALUES (1) ON CONFLICT (id) DO UPDATE SET trace = 1 RETURNING body", false),
        ("UPDATE notes SET body = 'x' RETURNING body", false),
        ("EXECUTE p", false),
    ] {
        // a value that is computed is no constant
        let is_one = is_one && !sql.contains("(SELECT 1)");
        let facts = twins.allow(sql).facts;
        assert_eq!(facts.at_most_one_row, is_one, "{sql}: {facts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_of_everything_that_could_be_read() {
    let twins = Twins::start(*majors().last().expect("a server")).await;
    for (sql, labels) in [
        ("SELECT prompt FROM reasoning_traces", ""),
        ("SELECT count(*) FROM reasoning_traces", ""),
        ("SELECT 'api_key' FROM reasoning_traces", ""),
        ("SELECT name FROM projects", ""),
        ("SELECT id FROM notes", ""),
        ("SELECT api_key FROM reasoning_traces", "high-risk"),
        ("SELECT * FROM reasoning_traces", "high-risk"),
        ("SELECT r.* FROM reasoning_traces r", "high-risk"),
        ("SELECT r FROM reasoning_traces r", "high-risk"),
        ("SELECT row_to_json(r) FROM reasoning_traces AS r", "high-risk"),
        ("SELECT id FROM reasoning_traces WHERE api_key IS NULL", "high-risk"),
        ("SELECT id FROM reasoning_traces ORDER BY api_key", "high-risk"),
        ("SELECT a FROM reasoning_traces AS t(a)", "high-risk"),
        ("SELECT (r).api_key FROM reasoning_traces r", "high-risk"),
        ("SELECT 1 FROM reasoning_traces JOIN projects USING (api_key)", "high-risk"),
        ("TABLE reasoning_traces", "high-risk"),
        ("SELECT x FROM other.reasoning_traces", ""),
        ("SELECT api_key FROM other.reasoning_traces", "high-risk"),
        ("SELECT id FROM trace_keys", "high-risk"),
        ("SELECT budget FROM budgets", "money"),
        ("SELECT * FROM projects p, reasoning_traces t", "high-risk money"),
        ("SELECT token FROM events", "token"),
        ("SELECT day FROM events", ""),
        ("SELECT trusted_upper(name) FROM projects", "high-risk money token"),
        ("UPDATE projects SET owner = 'x' WHERE budget > 1", "money"),
        ("PREPARE p AS SELECT api_key FROM reasoning_traces", "high-risk"),
    ] {
        let found = twins.assess(sql, DEFAULT_PATH).unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
        let found: Vec<String> = found.facts.labels.into_iter().collect();
        assert_eq!(found.join(" "), labels, "{sql}");
    }
}

/// A rule about a column must not be passed by the way in which the column is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_is_told_by_its_full_name_however_it_is_written() {
    let twins = Twins::start(*majors().last().expect("a server")).await;
    let column = "public.reasoning_traces.api_key";
    for sql in [
        "SELECT api_key FROM reasoning_traces",
        "SELECT r.api_key FROM reasoning_traces r",
        "SELECT public.reasoning_traces.api_key FROM public.reasoning_traces",
        "SELECT * FROM reasoning_traces",
        "TABLE reasoning_traces",
        "SELECT r.* FROM reasoning_traces r, projects",
        "SELECT r FROM reasoning_traces r",
        "SELECT (r).api_key FROM reasoning_traces r",
        "SELECT row_to_json(r) FROM reasoning_traces AS r",
        "SELECT k FROM reasoning_traces AS t(a, b, c, d, e, k)",
        "SELECT id FROM reasoning_traces ORDER BY api_key",
        "SELECT count(*) FROM reasoning_traces GROUP BY api_key",
        "SELECT 1 FROM reasoning_traces JOIN projects USING (api_key)",
        "SELECT 1 FROM reasoning_traces NATURAL JOIN projects",
        "SELECT 1 FROM reasoning_traces NATURAL JOIN (SELECT 'x' AS api_key) x",
        "SELECT j.api_key FROM (reasoning_traces r JOIN notes n ON r.id = n.trace) AS j",
        "SELECT x.k FROM (SELECT api_key AS k FROM reasoning_traces) x",
        "WITH x AS (SELECT * FROM reasoning_traces) SELECT count(*) FROM x",
        "WITH reasoning_traces AS (SELECT api_key FROM reasoning_traces) SELECT * FROM reasoning_traces",
        "SELECT (SELECT max(api_key) FROM reasoning_traces)",
        "SELECT name FROM projects p WHERE EXISTS (SELECT 1 FROM reasoning_traces WHERE api_key = p.name)",
        "SELECT l.k FROM projects p, LATERAL (SELECT r.api_key AS k FROM reasoning_traces r WHERE r.project = p.name) l",
        "SELECT name FROM projects UNION SELECT api_key FROM reasoning_traces",
        "SELECT k FROM trace_keys",
        "SELECT uk FROM over_keys",
        "SELECT digest FROM named_keys",
        "SELECT key_hash FROM reasoning_traces",
        "COPY reasoning_traces TO STDOUT",
        "COPY reasoning_traces (id, api_key) TO STDOUT",
        "COPY (SELECT api_key FROM reasoning_traces) TO STDOUT",
        "DELETE FROM reasoning_traces WHERE api_key IS NULL",
        "UPDATE reasoning_traces SET agent = 'x' WHERE id = 1 RETURNING api_key",
        "UPDATE notes SET body = r.api_key FROM reasoning_traces r WHERE r.id = trace",
        "INSERT INTO notes (body) SELECT api_key FROM reasoning_traces",
        "PREPARE p AS SELECT api_key FROM reasoning_traces",
        "EXPLAIN SELECT api_key FROM reasoning_traces",
        "DECLARE c CURSOR FOR SELECT api_key FROM reasoning_traces",
    ] {
        let facts = twins.allow(sql).facts;
        assert!(facts.columns_read.contains(column), "{sql}: {:?}", facts.columns_read);
        assert!(facts.columns_resolved, "{sql}");
        assert!(facts.columns_read.iter().all(|name| !name.contains('?')), "{sql}: {:?}", facts.columns_read);
    }
    // and it is not told where it is not read
    for sql in [
        "SELECT id, project FROM reasoning_traces WHERE agent = 'a'",
        "SELECT api_key FROM projects",
        "SELECT x.* FROM (SELECT id FROM reasoning_traces) x",
        "WITH x AS (SELECT id FROM reasoning_traces) SELECT * FROM x JOIN projects p ON p.api_key = 'a'",
        "SELECT id, project FROM trace_keys",
        "SELECT api_key FROM other.reasoning_traces",
        "SELECT count(*) FROM reasoning_traces",
        "INSERT INTO reasoning_traces (id, project, api_key) VALUES (99, 'x', 'new')",
    ] {
        let facts = twins.allow(sql).facts;
        assert!(!facts.columns_read.contains(column), "{sql}: {:?}", facts.columns_read);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_those_of_the_relations_that_names_mean() {
    let twins = Twins::start(*majors().last().expect("a server")).await;
    let list =
        |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
    for (sql, read, written) in [
        ("SELECT name FROM budgets", "public.budgets.name public.projects.name", ""),
        ("SELECT id FROM events_2026", "public.events.id public.events_2026.id", ""),
        ("SELECT n.ctid FROM notes n", "", ""),
        ("TABLE other.plain", "other.plain.* other.plain.id", ""),
        ("UPDATE notes SET body = 'x' WHERE id = 1", "public.notes.id", "public.notes.body"),
        ("INSERT INTO other.plain VALUES (1)", "", "other.plain.* other.plain.id"),
        ("INSERT INTO other.plain DEFAULT VALUES", "", "other.plain.* other.plain.id"),
        (
            "INSERT INTO notes (id, body) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET body = excluded.body, trace = 1",
            "public.notes.id",
            "public.notes.body public.notes.id public.notes.trace",
        ),
        ("INSERT INTO notes (body) SELECT name FROM projects", "public.projects.name", "public.notes.body"),
        (
            "MERGE INTO notes n USING projects p ON n.body = p.name WHEN MATCHED THEN UPDATE SET trace = 1",
            "public.notes.body public.projects.name",
            "public.notes.trace",
        ),
        ("COPY notes (body) FROM STDIN", "", "public.notes.body"),
        ("COPY other.plain FROM STDIN", "", "other.plain.* other.plain.id"),
        ("DELETE FROM notes WHERE id = 1 RETURNING body", "public.notes.body public.notes.id", ""),
        (
            "INSERT INTO events_2026 (id, day) VALUES (1, '2026-01-02')",
            "",
            "public.events.day public.events.id public.events_2026.day public.events_2026.id",
        ),
    ] {
        let facts = twins.allow(sql).facts;
        assert_eq!(
            (list(&facts.columns_read), list(&facts.columns_written)),
            (read.into(), written.into()),
            "{sql}"
        );
    }
    let facts = twins.allow("SELECT trusted_upper(name) FROM projects").facts;
    assert!(!facts.columns_resolved, "what a function of users reads is not known");
    let facts = twins.allow("SELECT id FROM events_2026").facts;
    assert_eq!(list(&facts.relations_read), "public.events public.events_2026");
}
