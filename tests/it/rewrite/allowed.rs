//! What is allowed gives the same answer over different protected cells, to a role that cannot read them.

use std::collections::BTreeSet;

use hoopctl::domain::mask::{JsonPath, MaskRule, MaskableColumn, Masker as _};
use hoopctl::mask::MaskPlan;

use super::{DEFAULT_PATH, Twins, extremes, rows_of, rules};
use crate::support::postgres::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn different_secrets_same_answers() {
    for major in extremes() {
        let twins = Twins::start(major).await;
        let mut faults = Vec::new();
        for statement in STATEMENTS {
            if let Err(refusal) = twins.assess(statement, DEFAULT_PATH) {
                faults.push(format!("{major}: refused: {statement}\n  {refusal:?}"));
                continue;
            }
            let [one, other] = twins.answers(statement).await;
            if one != other {
                faults.push(format!("{major}: differs: {statement}\n  {one:?}\n  {other:?}"));
            }
            match &one {
                Err(error) => faults.push(format!(
                    "{major}: fails: {statement}\n  {}\n  {error}",
                    twins.allow(statement).sent
                )),
                Ok(answer) => {
                    let told = format!("{answer:?}");
                    for secret in
                        ["sk-live", "deep", "example.com", "4111-1", "tok-", "other secret", "s1\\\"", "e-1"]
                    {
                        if told.contains(secret) {
                            faults.push(format!("{major}: tells {secret}: {statement}\n  {told}"));
                        }
                    }
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn masks_look_as_promised() {
    for major in extremes() {
        let twins = Twins::start(major).await;
        let [answer, _] = twins
            .answers(
                "SELECT api_key, customer_id, card, doc, steps, key_hash FROM reasoning_traces WHERE id = 3",
            )
            .await;
        let row = answer.expect("an answer")[1].clone();
        let expected = [
            Some("[masked]"),
            None,
            Some("****1003"),
            Some(r#"{"open": 3, "secret": "[masked]"}"#),
            Some(
                r#"{"meta": {"user": {"name": "u", "email": "[masked]"}}, "steps": [{"n": 1, "out": "x", "api_key": "[masked]"}, [{"k": 3, "api_key": "[masked]"}]]}"#,
            ),
            Some("[masked]"),
        ];
        assert_eq!(row.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    }
}

/// What `json` takes and `jsonb` does not was an error, or changed the whole answer, where it stood in a masked member.
#[tokio::test(flavor = "multi_thread")]
async fn what_jsonb_cannot_hold_is_replaced_where_it_stands() {
    let digits = "9".repeat(300);
    let odd = [
        r#""\ud83d""#,
        r#""\u0000""#,
        "1e999999",
        "-1.5E+99999",
        &digits,
        r#""\ude00\ud83d""#,
        r#"{"a": 1e-99999}"#,
    ];
    let open = [
        (r#""\ud83d\ude00 \\ud83d \\\ud83d x""#, "\"😀 \\\\ud83d \\\\\u{fffd} x\""),
        (r#""1e999999 \u0000""#, "\"1e999999 \u{fffd}\""),
        (r#"[1e20, -0.5e1, 1E4000, "\" 1e5000"]"#, r#"[100000000000000000000, -5, null, "\" 1e5000"]"#),
    ];
    for major in extremes() {
        let twins = Twins::start(major).await;
        let owner =
            twins.cluster.connect("postgres", &twins.cluster.password, "one").await.expect("the owner");
        for (open, shown) in open {
            let expected = format!(r#"{{"open": {shown}, "secret": "[masked]"}}"#);
            for hidden in odd.iter().chain(&[r#""plain""#]) {
                let document = format!(r#"{{"open": {open}, "secret": {hidden}}}"#);
                let change = "UPDATE reasoning_traces SET doc = $1::text::json WHERE id = 3";
                owner.execute(change, &[&document]).await.expect("json takes it");
                let [answer, _] = twins.answers("SELECT doc FROM reasoning_traces WHERE id = 3").await;
                let row = answer.unwrap_or_else(|error| panic!("{major}: {document}: {error}"))[1].clone();
                assert_eq!(row, [Some(expected.clone())], "{major}: {document}");
            }
        }
    }
}

/// Where the database is not in UTF-8, escapes are replaced, and a key may be written with them.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_ascii_is_masked_in_every_encoding() {
    for major in extremes() {
        let cluster = Cluster::start(major);
        let admin = cluster.admin().await;
        for (encoding, open) in
            [("UTF8", "café 1e99999"), ("LATIN1", "caf? 1e99999"), ("SQL_ASCII", "caf? 1e99999")]
        {
            let create = format!("CREATE DATABASE \"{encoding}\" TEMPLATE template0 ENCODING '{encoding}'");
            admin.batch_execute(&create).await.expect("a database");
            let client = cluster.connect("postgres", &cluster.password, encoding).await.expect("the owner");
            let shown = async |path: &str, document: &str| {
                let rule = MaskRule { path: Some(JsonPath::new(path).expect("a path")), ..rules().remove(0) };
                let plan = MaskPlan::new(&[rule], &BTreeSet::new());
                let column = MaskableColumn {
                    schema: "public",
                    table: "reasoning_traces",
                    column: "api_key",
                    type_schema: "pg_catalog",
                    type_name: "json",
                };
                let mask = plan.mask(&column).expect("a mask").expression;
                let query =
                    format!("SELECT ({})::text", mask.replacen("$1", &format!("'{document}'::json"), 1));
                rows_of(&client, &query).await.remove(0).remove(0).expect("a document")
            };
            let escaped = r#"{"cl\u00e9": "SECRET", "o": "caf\u00e9 1e99999", "n": 1E99999}"#;
            for path in ["$.clé", "$.**.clé"] {
                assert!(!shown(path, escaped).await.contains("SECRET"), "{major} {encoding} {path}");
            }
            let ascii = shown("$.n", escaped).await;
            assert!(
                ascii.contains(open) && ascii.contains(r#""n": "[masked]""#),
                "{major} {encoding}: {ascii}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_and_records_of_masked_statements() {
    let major = extremes().into_iter().next_back().expect("a server");
    let twins = Twins::start(major).await;
    let assessed = twins.allow("SELECT lower(k) FROM trace_keys WHERE k = 'guess' -- why");
    assert!(assessed.facts.touches_masked && assessed.facts.read_only && assessed.redacted_parameters);
    assert_eq!(assessed.record_text.trim_end(), "SELECT lower(k) FROM trace_keys WHERE k = …");
    let read: Vec<_> = assessed.facts.relations_read.iter().map(String::as_str).collect();
    assert_eq!(read, ["public.reasoning_traces", "public.trace_keys"]);
    let assessed = twins.allow("UPDATE tokens SET secret = $1, name = $2 WHERE name = $3");
    assert_eq!(assessed.protected_parameters.into_iter().collect::<Vec<_>>(), [1]);
    assert!(!assessed.facts.read_only && assessed.facts.relations_written.contains("public.tokens"));
    let assessed = twins.allow("SELECT * FROM projects WHERE name = 'apollo'");
    assert!(!assessed.facts.touches_masked && assessed.record_text.contains("'apollo'"));
    assert!(!twins.allow("SELECT nextval('notes_id_seq')").facts.read_only);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_search_path_rebinds_nothing() {
    for major in extremes() {
        let twins = Twins::start(major).await;
        let sent = twins.allow("SELECT lower(project), api_key FROM reasoning_traces WHERE id = 1").sent;
        assert!(sent.contains("FROM public.reasoning_traces") && sent.contains("pg_catalog.lower"), "{sent}");
        let path = ["other", "public"];
        // pg_catalog comes first even when it is not listed, but a path can list it last
        assert!(twins.assess("SELECT lower('A')", &path).is_err());
        let sent = twins.assess("SELECT api_key, x FROM reasoning_traces", &path).expect("allowed").sent;
        assert!(sent.contains("FROM other.reasoning_traces"), "{sent}");
        assert!(twins.assess("SELECT 1", &["public", "pg_catalog"]).is_ok());
    }
}

const STATEMENTS: &[&str] = &[
    // reading, in every shape
    "SELECT * FROM reasoning_traces ORDER BY id",
    "SELECT api_key AS x FROM reasoning_traces ORDER BY id",
    "SELECT upper(api_key) || 'x', length(api_key), customer_id + 1 FROM reasoning_traces",
    "SELECT t FROM reasoning_traces t ORDER BY id",
    "SELECT api_key(t) FROM reasoning_traces t",
    "SELECT (t).api_key, (t.steps)->'meta' FROM reasoning_traces t",
    "SELECT row_to_json(t) FROM reasoning_traces t ORDER BY id",
    "SELECT to_jsonb(t) ->> 'api_key' FROM reasoning_traces t",
    "SELECT U&\"\\0061pi_key\" FROM reasoning_traces",
    "SELECT z, a FROM reasoning_traces AS t(z, a, b, c, d, e, f)",
    "SELECT f, g, h FROM reasoning_traces AS t(z, a, b, c, d, f, g, h)",
    "SELECT \"createdAt\", * FROM reasoning_traces ORDER BY id",
    "SELECT public.reasoning_traces.api_key FROM public.reasoning_traces",
    "SELECT id FROM reasoning_traces WHERE api_key = 'sk-live-3'",
    "SELECT id FROM reasoning_traces WHERE api_key LIKE 'sk-%' OR customer_id = 1003",
    "SELECT id FROM reasoning_traces ORDER BY api_key, id",
    "SELECT count(*), count(api_key), count(DISTINCT customer_id) FROM reasoning_traces",
    "SELECT project, max(api_key), min(card) FILTER (WHERE id = 3) FROM reasoning_traces GROUP BY project ORDER BY 1",
    "SELECT project, count(*) FROM reasoning_traces GROUP BY GROUPING SETS ((project), ()) ORDER BY 1, 2",
    "SELECT api_key FROM reasoning_traces UNION SELECT owner FROM projects ORDER BY 1",
    "SELECT id FROM reasoning_traces EXCEPT SELECT trace FROM notes ORDER BY 1",
    "WITH t AS (SELECT api_key, id FROM reasoning_traces) SELECT * FROM t ORDER BY id",
    "WITH reasoning_traces AS (SELECT 1 AS api_key) SELECT * FROM reasoning_traces",
    "WITH a AS (SELECT * FROM reasoning_traces), reasoning_traces AS (SELECT 1 AS one) SELECT count(*) FROM a, reasoning_traces",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT api_key, i FROM n JOIN reasoning_traces ON id = i ORDER BY i",
    "SELECT * FROM projects NATURAL JOIN reasoning_traces",
    "SELECT project, p.owner, api_key FROM reasoning_traces JOIN projects p USING (api_key)",
    "SELECT p.name, x.api_key FROM projects p LEFT JOIN LATERAL (SELECT api_key FROM reasoning_traces r WHERE r.project = p.name ORDER BY id LIMIT 1) x ON true ORDER BY 1",
    "SELECT (SELECT api_key FROM reasoning_traces WHERE id = 1), EXISTS (SELECT 1 FROM reasoning_traces WHERE api_key = 'sk-live-1')",
    "SELECT 'sk-live-1' IN (SELECT api_key FROM reasoning_traces), ARRAY(SELECT card FROM reasoning_traces ORDER BY id)",
    "SELECT id = ANY (ARRAY[1, 2]) AND id <> ALL ('{7,8}') FROM reasoning_traces ORDER BY id",
    "SELECT id, rank() OVER (PARTITION BY api_key ORDER BY id), lag(card) OVER w FROM reasoning_traces WINDOW w AS (ORDER BY id) ORDER BY id",
    "SELECT DISTINCT ON (project) project, api_key FROM reasoning_traces ORDER BY project, id LIMIT 2 OFFSET 1",
    "SELECT id FROM reasoning_traces ORDER BY id FETCH FIRST 3 ROWS WITH TIES",
    "SELECT CASE WHEN api_key > 'm' THEN 1 ELSE 2 END, CASE project WHEN 'apollo' THEN 'a' END, COALESCE(customer_id, 7), NULLIF(api_key, 'x') FROM reasoning_traces",
    "SELECT api_key::text COLLATE \"C\" < 'a', CAST(id AS numeric(5,1)), created_at AT TIME ZONE 'UTC', extract(year FROM created_at) FROM reasoning_traces ORDER BY id",
    "SELECT substring(api_key FROM 1 FOR 3), trim(both 'x' from api_key), position('a' in api_key), overlay(api_key placing 'x' from 1) FROM reasoning_traces",
    "SELECT id BETWEEN 2 AND 4, id NOT IN (1, 2), api_key SIMILAR TO 's%', api_key IS DISTINCT FROM 'x', customer_id IS NULL FROM reasoning_traces ORDER BY id",
    "SELECT (date '2026-01-01', interval '1 day') OVERLAPS (date '2026-01-01', date '2026-01-03'), current_date > '2000-01-01', localtime IS NOT NULL",
    "SELECT (id + 2) * 3 - -1, -id % 5, NOT id = 3 AND (id > 1 OR id < 0) IS TRUE, id * (2 + 3), 2 ^ (3 ^ 2) FROM reasoning_traces ORDER BY id",
    "SELECT ROW(api_key, id) = ROW('x'::varchar, 1), (id, card) FROM reasoning_traces ORDER BY id",
    "SELECT steps -> 'steps' -> 0 ->> 'api_key', steps #>> '{steps,1,0,api_key}', steps @> '{\"meta\": {}}', doc ->> 'secret' FROM reasoning_traces",
    "SELECT e.value ->> 'api_key', e.ordinality FROM reasoning_traces, jsonb_array_elements(steps -> 'steps') WITH ORDINALITY e ORDER BY id, 2",
    "SELECT jsonb_path_query(steps, '$.**.api_key') FROM reasoning_traces",
    "SELECT xmlelement(name k, xmlattributes(api_key AS a), card), xmlforest(api_key) FROM reasoning_traces",
    "SELECT x.* FROM reasoning_traces, xmltable('/r' PASSING xmlelement(name r, api_key) COLUMNS k text PATH '.') x",
    "SELECT unnest(tags), string_agg(name, ',') OVER (ORDER BY name) FROM projects",
    "SELECT * FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) AS u(n, t), generate_series(1, 2)",
    "SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY['a'])) AS r(a, b)",
    "VALUES (1, 'a'), (2, (SELECT api_key FROM reasoning_traces LIMIT 1))",
    "TABLE reasoning_traces ORDER BY id",
    "SELECT * FROM ONLY events ORDER BY id",
    "SELECT * FROM events ORDER BY id",
    "SELECT token FROM events_2025",
    "SELECT count(*), max(id) FROM vault",
    "UPDATE wards SET name = 'x', hospital = NULL WHERE id = 2 RETURNING id",
    "INSERT INTO wards (id, name) VALUES (2, 'y') ON CONFLICT (id) DO UPDATE SET name = 'z' RETURNING name",
    "UPDATE public.reasoning_traces SET project = 'x' WHERE (public.reasoning_traces.api_key = 'nope' OR \
     public.reasoning_traces.id = 3) RETURNING public.reasoning_traces.id, \"public\".\"reasoning_traces\".\"api_key\"",
    "DELETE FROM charges WHERE id = 2 RETURNING floor",
    "DELETE FROM clinics",
    "UPDATE clinics SET id = id + 1",
    "UPDATE vault SET id = 7 WHERE id = 2 RETURNING id",
    "SELECT * FROM (projects p JOIN reasoning_traces r ON p.name = r.project) AS j ORDER BY id",
    "SELECT * FROM other.reasoning_traces",
    "SELECT k, id FROM trace_keys ORDER BY id",
    "SELECT uk FROM over_keys ORDER BY id",
    "SELECT over_keys.uk, public.trace_keys.k FROM over_keys JOIN public.trace_keys USING (id)",
    "SELECT * FROM named_keys ORDER BY id",
    "SELECT named_plain.api_key, n.* FROM named_plain, public.named_plain n ORDER BY n.name",
    "SELECT * FROM budgets ORDER BY name",
    "SELECT trusted_upper(api_key), 'calm'::mood, 'abc'::short, public.trusted_upper('x') FROM reasoning_traces",
    "SELECT api_key::public.short FROM reasoning_traces WHERE id = 1",
    "SELECT grouping(project), percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM reasoning_traces GROUP BY project ORDER BY 2",
    "SELECT 'public.reasoning_traces'::regclass::oid > 0, to_regclass('projects'), has_column_privilege('reasoning_traces', 'api_key', 'SELECT')",
    "SELECT pg_relation_size('reasoning_traces'), pg_total_relation_size('public.tokens'::regclass), pg_table_size('projects') > 0, pg_database_size('one')",
    "SELECT reltuples, relpages FROM pg_class WHERE relname = 'reasoning_traces'",
    "SELECT relname, n_live_tup, seq_scan, last_analyze FROM pg_stat_user_tables ORDER BY relname",
    "SELECT i.indexrelname, i.idx_scan FROM pg_stat_all_indexes i WHERE i.schemaname = 'public' ORDER BY 1",
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'reasoning_traces' ORDER BY ordinal_position",
    "SELECT * FROM projects FOR UPDATE",
    "SELECT * FROM projects TABLESAMPLE bernoulli (100) ORDER BY name",
    // writing
    "INSERT INTO reasoning_traces (id, project, api_key) VALUES (100, 'apollo', 'sk-live-new') RETURNING *",
    "INSERT INTO reasoning_traces (id, project) SELECT id + 500, project FROM reasoning_traces RETURNING id, api_key",
    "INSERT INTO notes (body) SELECT api_key FROM reasoning_traces ORDER BY id RETURNING body",
    "INSERT INTO projects AS p VALUES ('apollo', 'eve') ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, budget = p.budget + 1 WHERE p.name <> '' RETURNING *",
    "INSERT INTO tokens VALUES ('ci', 'new') ON CONFLICT DO NOTHING",
    "INSERT INTO tokens VALUES ('ci', 'new') ON CONFLICT (name) DO UPDATE SET secret = 'c'",
    "INSERT INTO reasoning_traces (id, project, card) SELECT 700 + n, 'apollo', 'new-' || n FROM generate_series(1, 3) n RETURNING id, card",
    "SELECT name, secret FROM tokens ORDER BY name FOR UPDATE",
    "SELECT p.name FROM projects p, tokens t WHERE t.secret <> '' ORDER BY p.name, t.name FOR SHARE OF p",
    "SELECT name, secret FROM public.tokens t WHERE name = 'ci' AND secret LIKE '[%' FOR NO KEY UPDATE OF t SKIP LOCKED",
    "SELECT id, api_key, upper(card), count(*) FROM reasoning_traces GROUP BY id ORDER BY id, project",
    "SELECT t.id, t.api_key, t.agent, count(n.body) FROM reasoning_traces t LEFT JOIN notes n ON n.trace = t.id GROUP BY t.id HAVING t.card <> 'x' ORDER BY t.card, t.id",
    "SELECT id, api_key FROM reasoning_traces GROUP BY 1 ORDER BY 1",
    "INSERT INTO reasoning_traces AS t (id, project, agent) VALUES (1, 'zeus', 'a') ON CONFLICT (id) DO UPDATE SET agent = excluded.agent, prompt = t.prompt || '!' RETURNING t.api_key, t.prompt",
    "INSERT INTO events (id, day) VALUES (9, '2026-05-05')",
    "INSERT INTO notes DEFAULT VALUES",
    "UPDATE reasoning_traces SET prompt = 'p' WHERE id = 2 RETURNING id, api_key, card, steps",
    "UPDATE reasoning_traces SET prompt = api_key WHERE api_key = 'sk-live-3' OR customer_id = 1003",
    "UPDATE reasoning_traces t SET prompt = t.api_key, agent = 'x' WHERE t.api_key = '[masked]' RETURNING t.prompt",
    "UPDATE reasoning_traces SET api_key = 'rotated-' WHERE id = 2",
    "UPDATE reasoning_traces t SET agent = p.owner FROM projects p WHERE p.name = t.project AND t.api_key IS NOT NULL RETURNING t.id, p.owner, t.api_key",
    "UPDATE reasoning_traces SET (agent, prompt) = (SELECT owner, name FROM projects WHERE name = project) WHERE id < 4",
    "UPDATE notes SET (body, trace) = (SELECT card, id FROM reasoning_traces WHERE id = trace)",
    "UPDATE reasoning_traces SET agent = card, prompt = steps ->> 'steps' WHERE card LIKE '%1002' RETURNING card, steps",
    "UPDATE notes SET body = (SELECT api_key FROM reasoning_traces r WHERE r.id = notes.trace) RETURNING *",
    "DELETE FROM reasoning_traces WHERE api_key = 'sk-live-4' RETURNING id",
    "DELETE FROM reasoning_traces t USING notes n WHERE n.trace = t.id AND t.customer_id > 1002 RETURNING t.*, n.body",
    "DELETE FROM tokens WHERE secret = 'tok-1' RETURNING *",
    "UPDATE reasoning_traces SET steps = steps || '{\"done\": true, \"api_key\": \"new\"}' WHERE id = 3 RETURNING steps",
    "UPDATE reasoning_traces t SET steps = COALESCE(t.steps, '{}'::jsonb) || '{\"a\": 1}'::jsonb || '{\"b\": 2}' WHERE id < 3 RETURNING steps",
    "WITH gone AS (DELETE FROM reasoning_traces WHERE id < 3 RETURNING *) SELECT api_key, card FROM gone",
    // around it
    "COPY reasoning_traces TO STDOUT",
    "COPY reasoning_traces (id, api_key) TO STDOUT WITH (FORMAT csv, HEADER)",
    "COPY (SELECT api_key FROM reasoning_traces) TO STDOUT",
    "EXPLAIN SELECT api_key FROM reasoning_traces WHERE api_key = 'x'",
    "EXPLAIN (VERBOSE, FORMAT JSON) SELECT id FROM reasoning_traces ORDER BY api_key",
    "DECLARE c CURSOR FOR SELECT api_key FROM reasoning_traces",
    "PREPARE p(int) AS SELECT api_key FROM reasoning_traces WHERE id = $1",
    "SET search_path TO other, public",
    "SELECT set_config('search_path', 'other, \"Mixed\"', false)",
    "SELECT pg_catalog.set_config('search_path', '', false)",
    "SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new",
    "SET TIME ZONE 'UTC'",
    "SHOW search_path",
    "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
    "SAVEPOINT s",
    "LISTEN changes",
    "DISCARD PLANS",
    "TRUNCATE notes",
    // what a default calls is no business of TRUNCATE
    "TRUNCATE notes CASCADE",
    "LOCK TABLE projects IN SHARE MODE",
];
