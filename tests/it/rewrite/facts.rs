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
