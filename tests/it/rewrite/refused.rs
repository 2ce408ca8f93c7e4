//! What is refused, and by which rule.

use super::{DEFAULT_PATH, Twins, extremes};

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_their_rule() {
    let major = extremes().into_iter().next_back().expect("a server");
    let twins = Twins::start(major).await;
    let mut faults = Vec::new();
    for (rule, statement) in STATEMENTS {
        match twins.assess(statement, DEFAULT_PATH) {
            Ok(assessed) => faults.push(format!("allowed: {statement}\n  {}", assessed.sent)),
            Err(refusal) if refusal.rule.as_str() != *rule => {
                faults.push(format!("{statement}\n  {refusal:?}"));
            }
            Err(refusal) => assert!(!refusal.construct.is_empty() && !refusal.hint.is_empty(), "{refusal:?}"),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    drop(twins.cluster);
}

const STATEMENTS: &[(&str, &str)] = &[
    ("mask.function", "SELECT query_to_xml('select * from reasoning_traces', true, true, '')"),
    ("mask.function", "SELECT table_to_xml('reasoning_traces', true, true, '')"),
    ("mask.function", "SELECT database_to_xml(true, true, '')"),
    ("mask.function", "SELECT ts_stat('select to_tsvector(api_key) from reasoning_traces')"),
    ("mask.function", "SELECT pg_read_file('/etc/passwd')"),
    ("mask.function", "SELECT lo_get(1)"),
    ("mask.function", "SELECT pg_terminate_backend(1)"),
    ("mask.function", "SELECT pg_export_snapshot()"),
    ("mask.function", "SELECT leak()"),
    ("mask.function", "SELECT public.leak()"),
    ("mask.function", "SELECT summary(t) FROM reasoning_traces t"),
    ("mask.function", "SELECT t.summary FROM reasoning_traces t"),
    ("mask.function", "SELECT (p).summary FROM projects p"),
    ("mask.function", "SELECT ('/etc/passwd'::text).pg_read_file"),
    ("mask.function", "SELECT * FROM leak()"),
    ("mask.function", "SELECT '(1,1)'::point === '(1,2)'::point"),
    ("mask.function", "SELECT '(1,1)'::point OPERATOR(ops.===) '(1,2)'::point"),
    ("mask.function", "SELECT set_config('role', x, false) FROM (VALUES ('postgres')) v(x)"),
    ("mask.function", "SELECT id, set_config('search_path', 'other', false) FROM reasoning_traces"),
    ("mask.function", "SELECT set_config('jit', api_key, false) FROM reasoning_traces"),
    ("mask.function", "SELECT set_config('jit', 'on', false), set_config('search_path', 'other', false)"),
    ("mask.function", "SELECT set_config('jit', 'on', false), (SELECT 1)"),
    ("mask.setting", "SELECT set_config('search_path', $1, false)"),
    ("mask.setting", "SELECT set_config('client_encoding', $1, false)"),
    ("mask.setting", "SELECT set_config('standard_conforming_strings', $1, false)"),
    ("mask.catalog", "SELECT * FROM pg_stats"),
    ("mask.catalog", "SELECT * FROM pg_catalog.pg_statistic"),
    ("mask.catalog", "SELECT * FROM pg_stat_activity"),
    ("mask.catalog", "SELECT * FROM pg_stat_xact_user_tables"),
    ("mask.catalog", "SELECT * FROM pg_authid"),
    ("mask.catalog", "SELECT * FROM pg_largeobject"),
    ("mask.view", "SELECT * FROM key_copy"),
    ("mask.unresolved", "SELECT * FROM nowhere"),
    ("mask.unresolved", "SELECT nothing(1)"),
    ("mask.unresolved", "SELECT 1::nothing"),
    // which rows there are would tell
    ("mask.partition", "SELECT count(*) FROM vault_low"),
    ("mask.partition", "TABLE vault_high"),
    ("mask.partition", "COPY vault_higher (id) TO STDOUT"),
    ("mask.partition", "DELETE FROM vault_low WHERE id = 1"),
    ("mask.partition", "UPDATE vault_higher SET id = 3"),
    ("mask.write", "UPDATE vault SET id = 2 WHERE id = 2 RETURNING tableoid"),
    ("mask.write", "DELETE FROM vault v WHERE id = 2 RETURNING v.tableoid::regclass"),
    ("mask.write", "DELETE FROM wards WHERE id = 2"),
    ("mask.write", "WITH gone AS (DELETE FROM wards RETURNING id) SELECT id FROM gone"),
    ("mask.write", "UPDATE wards SET name = 'x', id = 9 WHERE id = 2"),
    ("mask.write", "INSERT INTO wards (id) VALUES (2) ON CONFLICT (id) DO UPDATE SET id = 9"),
    ("mask.write", "DELETE FROM hospitals"),
    ("mask.relation", "SELECT count(*) FROM safes"),
    ("mask.relation", "UPDATE safes SET owner = 'eve' WHERE id = 1"),
    ("mask.relation", "DELETE FROM safes"),
    ("mask.relation", "INSERT INTO safes (id, owner) VALUES (3, 'eve')"),
    ("mask.relation", "SELECT * FROM shelves"),
    ("mask.relation", "DELETE FROM shelves"),
    ("mask.relation", "SELECT * FROM boxes"),
    ("mask.relation", "SELECT id FROM chests"),
    ("mask.sample", "SELECT * FROM reasoning_traces TABLESAMPLE system (10)"),
    ("mask.locking", "SELECT * FROM over_keys FOR UPDATE"),
    // whoever changes the key to what it is locks the row more weakly, so this would tell whether a guess is right
    ("mask.locking", "SELECT id FROM reasoning_traces WHERE id = 3 FOR KEY SHARE SKIP LOCKED"),
    ("mask.locking", "SELECT p.* FROM projects p, (SELECT * FROM trace_keys) t FOR SHARE OF p"),
    ("mask.definition", "SELECT * INTO copy FROM reasoning_traces"),
    ("mask.write", "UPDATE reasoning_traces SET api_key = api_key"),
    ("mask.write", "UPDATE reasoning_traces SET api_key = (SELECT api_key FROM reasoning_traces LIMIT 1)"),
    ("mask.write", "UPDATE reasoning_traces SET api_key = '[masked]'"),
    ("mask.write", "UPDATE reasoning_traces SET (api_key, agent) = (SELECT 'a', 'b')"),
    ("mask.write", "UPDATE reasoning_traces SET steps['a'] = '1'"),
    ("mask.write", "UPDATE reasoning_traces SET prompt = row_to_json(reasoning_traces)::text"),
    ("mask.write", "UPDATE reasoning_traces t SET prompt = (t).api_key"),
    ("mask.write", "UPDATE reasoning_traces t SET prompt = t.nothing"),
    ("mask.write", "UPDATE reasoning_traces t SET prompt = api_key FROM projects"),
    ("mask.write", "UPDATE reasoning_traces t SET prompt = (SELECT api_key)"),
    ("mask.write", "DELETE FROM reasoning_traces RETURNING ctid"),
    ("mask.write", "DELETE FROM reasoning_traces t RETURNING t"),
    ("mask.write", "DELETE FROM reasoning_traces RETURNING old.api_key"),
    ("mask.write", "DELETE FROM reasoning_traces USING projects WHERE public.reasoning_traces.api_key = 'x'"),
    ("mask.write", "INSERT INTO reasoning_traces SELECT * FROM reasoning_traces"),
    ("mask.write", "INSERT INTO reasoning_traces (id, project, api_key) VALUES (1, 'a', upper('x'))"),
    ("mask.write", "INSERT INTO reasoning_traces (id, project, api_key) VALUES (1, 'a', '[masked]')"),
    ("mask.write", "INSERT INTO reasoning_traces (id, project, card) SELECT 900, 'a', '[masked]'"),
    (
        "mask.write",
        "INSERT INTO reasoning_traces (id, project, card) SELECT id + 900, 'a', agent FROM reasoning_traces",
    ),
    (
        "mask.write",
        "WITH x AS (SELECT api_key AS k FROM reasoning_traces) INSERT INTO reasoning_traces (id, project, card) SELECT 901, 'a', k FROM x",
    ),
    (
        "mask.write",
        "WITH x AS (SELECT api_key AS k FROM reasoning_traces), y AS (INSERT INTO reasoning_traces (id, project, card) \
         SELECT 901, 'a', k FROM x RETURNING id) SELECT id FROM y",
    ),
    (
        "mask.write",
        "INSERT INTO reasoning_traces (id, project, card) SELECT n, 'a', n::text FROM generate_series(1, 9) n ON CONFLICT DO NOTHING",
    ),
    (
        "mask.write",
        "INSERT INTO tokens VALUES ('a', 'b') ON CONFLICT (name) DO UPDATE SET secret = excluded.name",
    ),
    (
        "mask.write",
        "INSERT INTO tokens SELECT 'a', 'b' ON CONFLICT (name) DO UPDATE SET secret = excluded.secret",
    ),
    (
        "mask.write",
        "INSERT INTO reasoning_traces (id, project, api_key) SELECT n, 'a', n::text FROM generate_series(1, 9) n",
    ),
    ("mask.write", "UPDATE tokens SET secret = excluded.secret FROM (SELECT 'x' AS secret) excluded"),
    (
        "mask.write",
        "INSERT INTO tokens AS t VALUES ('a', 'b') ON CONFLICT (name) DO UPDATE SET name = t.secret",
    ),
    (
        "mask.write",
        "INSERT INTO tokens VALUES ('a', 'b') ON CONFLICT (name) DO UPDATE SET name = 'x' WHERE tokens.secret = 'y'",
    ),
    (
        "mask.write",
        "INSERT INTO reasoning_traces (id, project) VALUES (1, 'x') ON CONFLICT (api_key) DO NOTHING",
    ),
    // which rows come back would tell which of the guesses are there
    (
        "mask.write",
        "INSERT INTO reasoning_traces (id, project, api_key) VALUES (97, 'a', 'guess'), (98, 'a', 'other') ON CONFLICT DO NOTHING \
         RETURNING id",
    ),
    // which of the source's names are secrets is what a mask gives out, and nothing else goes into the column
    (
        "mask.write",
        "MERGE INTO tokens t USING projects p ON t.name = p.name WHEN NOT MATCHED THEN INSERT VALUES (p.name, p.owner)",
    ),
    (
        "mask.write",
        "MERGE INTO tokens t USING projects p ON t.name = p.name WHEN MATCHED THEN UPDATE SET secret = t.secret",
    ),
    ("mask.write", "MERGE INTO tokens t USING projects p ON secret = p.name WHEN MATCHED THEN DELETE"),
    (
        "mask.write",
        "MERGE INTO tokens t USING projects p ON t.name = p.name WHEN MATCHED AND t::text LIKE '%tok-1%' THEN DELETE",
    ),
    ("mask.write", "MERGE INTO hospitals h USING projects p ON false WHEN NOT MATCHED BY SOURCE THEN DELETE"),
    ("mask.write", "UPDATE reasoning_traces SET steps = jsonb_set(steps, '{meta}', '1')"),
    ("mask.write", "UPDATE reasoning_traces SET steps = steps || steps"),
    ("mask.write", "UPDATE reasoning_traces SET steps = steps || prompt::jsonb"),
    ("mask.write", "UPDATE reasoning_traces SET steps = '{}' || steps"),
    ("mask.write", "UPDATE reasoning_traces SET steps = steps || '{\"api_key\": \"[masked]\"}'"),
    (
        "mask.write",
        "UPDATE reasoning_traces t SET steps = p.steps || '{}' FROM (SELECT '{}'::jsonb AS steps) p",
    ),
    ("mask.write", "UPDATE reasoning_traces SET steps = steps || '{}' FROM projects"),
    ("mask.write", "UPDATE reasoning_traces SET card = card || 'x'"),
    (
        "mask.write",
        "INSERT INTO reasoning_traces AS t (id, project) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET steps = t.steps || '{}'",
    ),
    ("mask.write", "UPDATE trace_keys SET project = 'x'"),
    ("mask.copy", "COPY reasoning_traces TO '/tmp/x'"),
    ("mask.copy", "COPY (SELECT 1) TO PROGRAM 'sh'"),
    ("mask.copy", "COPY reasoning_traces FROM STDIN WHERE id > 5"),
    (
        "mask.write",
        "INSERT INTO tokens VALUES ('a', 'b'), ('c', 'd') ON CONFLICT (name) DO UPDATE SET secret = excluded.secret",
    ),
    ("mask.explain", "EXPLAIN ANALYZE SELECT * FROM reasoning_traces"),
    ("mask.code", "DO 'begin end'"),
    ("mask.code", "CALL leak()"),
    ("mask.setting", "SET session_replication_role = replica"),
    ("mask.setting", "SET row_security = off"),
    ("mask.setting", "SET standard_conforming_strings = off"),
    ("mask.setting", "SET client_encoding = 'SQL_ASCII'"),
    ("mask.setting", "SET log_min_messages = debug5"),
    ("mask.setting", "SET client_min_messages = debug1"),
    ("policy.tamper", "SET ROLE postgres"),
    ("policy.tamper", "SET SESSION AUTHORIZATION postgres"),
    ("policy.tamper", "SELECT set_config('role', 'postgres', false)"),
    ("policy.tamper", "GRANT SELECT ON reasoning_traces TO PUBLIC"),
    ("policy.tamper", "ALTER TABLE public.reasoning_traces OWNER TO reader"),
    ("policy.tamper", "DROP TABLE other.plain, tokens"),
    ("policy.tamper", "COMMENT ON COLUMN reasoning_traces.api_key IS 'x'"),
    ("policy.tamper", "CREATE VIEW v AS SELECT * FROM reasoning_traces"),
    ("policy.tamper", "CREATE ROLE other SUPERUSER"),
    ("policy.tamper", "UPDATE pg_catalog.pg_class SET relname = 'x'"),
    ("mask.definition", "CREATE TABLE free (id int)"),
    ("mask.definition", "DROP TABLE other.plain"),
    ("mask.definition", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    ("mask.unsupported", "PREPARE TRANSACTION 'x'"),
    ("mask.unsupported", "SELECT card AS hoopctl_mask_0_ FROM reasoning_traces"),
    ("mask.unsupported", "SELECT 'hoopctl_mask_0_'"),
];
