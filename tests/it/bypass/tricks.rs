//! What is tried on a masked target to see what is protected.

use hoopctl::wire::postgres::frontend::ClientMessage;

use super::{EXECUTE, Raw, SYNC, bind, parse, told};
use crate::support::gateway::{Gateway, Setup};
use crate::support::masks::hidden;
use crate::support::postgres::{Cluster, majors};

/// Everything that is tried on a masked target; none of it may show, or tell by an error, what is protected.
const TRICKS: &[&str] = &[
    "SELECT (p).ssn FROM people p",
    "SELECT p FROM people p",
    "SELECT p::text FROM people p",
    "SELECT row_to_json(people) FROM people",
    "SELECT people.* IS NULL, to_jsonb(people.*) FROM people",
    "SELECT ssn(people) FROM people",
    "SELECT text(people) FROM people",
    "SELECT \"ssn\" FROM \"people\"",
    "SELECT U&\"\\0073sn\" FROM people",
    "SELECT U&\"!0073sn\" UESCAPE '!' FROM people",
    "SELECT format('%s', ssn) FROM people",
    "SELECT ssn::int FROM people",
    "SELECT 1/(length(ssn)-10) FROM people",
    "SELECT * FROM people a JOIN people b USING (ssn)",
    "SELECT * FROM people NATURAL JOIN others",
    "SELECT * FROM others JOIN people USING (ssn)",
    "SELECT o.ssn FROM others o, people p WHERE o.ssn = p.ssn",
    "SELECT id FROM people ORDER BY ssn DESC",
    "SELECT id, rank() OVER (ORDER BY ssn) FROM people",
    "SELECT ssn, count(*) FROM people GROUP BY ssn",
    "SELECT max(ssn), string_agg(ssn, ','), array_agg(ssn), json_agg(people) FROM people",
    "SELECT id FROM people WHERE ssn LIKE 'top%'",
    "SELECT id FROM people WHERE (id, ssn) = (1, 'top-secret')",
    "SELECT ROW(people.*) = ROW(1, 'ada', 'top-secret') FROM people",
    "SELECT x FROM people p, LATERAL (SELECT p.ssn AS x) q",
    "SELECT (SELECT ssn FROM people LIMIT 1)",
    "SELECT ARRAY(SELECT ssn FROM people)",
    "SELECT EXISTS (SELECT FROM people WHERE ssn = 'top-secret')",
    "SELECT 'top-secret' IN (SELECT ssn FROM people)",
    "SELECT id FROM others LIMIT (SELECT length(ssn) FROM people LIMIT 1)",
    "SELECT id FROM others OFFSET (SELECT length(ssn) - 10 FROM people LIMIT 1)",
    "WITH people AS (SELECT * FROM people) SELECT * FROM people",
    "WITH x AS (SELECT * FROM people) SELECT ssn FROM x",
    "WITH others AS (SELECT ssn FROM public.people) TABLE others",
    "WITH RECURSIVE r(n, s) AS (SELECT 1, ssn FROM people UNION SELECT n + 1, s FROM r WHERE n < 2) SELECT * FROM r",
    "WITH a AS (WITH people AS (SELECT 1) SELECT * FROM people) SELECT * FROM people",
    "(WITH people AS (SELECT 1 AS x) TABLE people) UNION ALL SELECT length(ssn) FROM people",
    "VALUES ((SELECT ssn FROM people LIMIT 1))",
    "TABLE people",
    "SELECT * FROM ONLY people",
    "SELECT * FROM people AS p(a, b, c)",
    "SELECT c FROM people AS p(a, b, c)",
    "COPY people TO STDOUT",
    "COPY people(ssn) TO STDOUT",
    "COPY (SELECT ssn FROM people) TO STDOUT",
    "COPY (UPDATE people SET name = name RETURNING ssn) TO STDOUT",
    "COPY people TO '/tmp/x'",
    "COPY people TO PROGRAM 'cat'",
    "BEGIN; DECLARE c CURSOR FOR SELECT ssn FROM people; FETCH ALL FROM c; COMMIT",
    "EXPLAIN (VERBOSE, ANALYZE) SELECT ssn FROM people",
    "EXPLAIN SELECT * FROM people WHERE ssn = 'x'",
    "PREPARE a AS SELECT ssn FROM people; EXECUTE a; DEALLOCATE a",
    "CREATE TEMP TABLE z AS SELECT ssn FROM people",
    "SELECT ssn INTO TEMP z FROM people",
    "CREATE TABLE z (LIKE people INCLUDING ALL)",
    "SELECT * FROM seen",
    "SELECT * FROM deep",
    "SELECT * FROM stale",
    "SELECT ssn FROM child",
    "SELECT * FROM parted",
    "SELECT * FROM parted_1",
    "SELECT copied FROM computed",
    "TABLE computed",
    "SELECT most_common_vals FROM pg_stats WHERE tablename = 'people'",
    "SELECT stavalues1 FROM pg_statistic",
    "SELECT * FROM pg_statistic_ext_data",
    "SELECT relname, reltuples FROM pg_class WHERE relname = 'people'",
    "SELECT query_to_xml('select * from people', true, true, '')",
    "SELECT table_to_xml('people', true, true, '')",
    "SELECT * FROM ts_stat('select to_tsvector(ssn) from people')",
    "SELECT ts_rewrite('a'::tsquery, 'select to_tsquery(ssn), to_tsquery(ssn) from people')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT cursor_to_xml('c', 1, true, true, '')",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_get(1)",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT leak()",
    "SELECT * FROM leak()",
    "SELECT people.leaky FROM people",
    "SELECT leaky(people) FROM people",
    "SELECT (people).leaky FROM people",
    "DO $$ BEGIN RAISE NOTICE '%', (SELECT ssn FROM people LIMIT 1); END $$",
    "SELECT 1 FROM people WHERE ssn === 'top-secret'",
    "SELECT ssn OPERATOR(public.===) 'x' FROM people",
    "SET ROLE postgres",
    "SET search_path = evil, public; SELECT ssn FROM people",
    "SET search_path = evil; TABLE people",
    "SELECT * FROM evil.people_view",
    "SELECT currtid2('people', '(0,1)')",
    "SELECT ctid, xmin FROM people",
    "SELECT 'people'::regclass::oid::text",
    "SELECT tableoid FROM parted",
    "SELECT pg_relation_size('people'), pg_total_relation_size('people'::regclass)",
    "SELECT pg_size_pretty(pg_table_size(oid)) FROM pg_class WHERE relname = 'people'",
    "UPDATE people SET name = ssn",
    "UPDATE people SET name = people.ssn RETURNING *",
    "UPDATE people p SET name = (SELECT p.ssn) RETURNING p",
    "UPDATE people p SET name = q.ssn FROM people q WHERE p.id = q.id RETURNING p.name, q.*, p.ssn",
    "UPDATE people SET (name, id) = (SELECT people.ssn, id) RETURNING name",
    "UPDATE people AS hoopctl_v SET name = hoopctl_v.ssn RETURNING name, hoopctl_v.ssn",
    "UPDATE people SET name = x.s FROM LATERAL (SELECT people.ssn AS s) x RETURNING name",
    "DELETE FROM people WHERE ssn LIKE 'zzz%' RETURNING people",
    "DELETE FROM others USING people WHERE others.ssn = people.ssn RETURNING people.ssn",
    "DELETE FROM people WHERE id < 0 RETURNING old.ssn",
    "UPDATE people SET id = id RETURNING ssn",
    "UPDATE people SET id = id RETURNING people.*",
    "UPDATE people SET id = id RETURNING old.ssn, new.ssn",
    "UPDATE people SET id = id RETURNING WITH (OLD AS o) o.ssn",
    "UPDATE people SET id = id RETURNING (SELECT x FROM (SELECT people AS x) y)",
    "UPDATE people SET id = id RETURNING to_json(people)",
    "INSERT INTO people(id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = people.ssn RETURNING name",
    "INSERT INTO people(id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE people.ssn = 'top-secret'",
    "INSERT INTO others SELECT id, ssn FROM people RETURNING *",
    "INSERT INTO others(id, ssn) VALUES (9, (SELECT ssn FROM people LIMIT 1)) RETURNING ssn",
    "MERGE INTO others o USING people p ON o.id = p.id WHEN MATCHED THEN UPDATE SET ssn = p.ssn RETURNING p.ssn",
    "MERGE INTO people p USING others o ON o.id = p.id WHEN MATCHED AND p.ssn LIKE 't%' THEN DELETE",
    "SELECT * FROM json_populate_recordset(NULL::people, (SELECT json_agg(p) FROM people p))",
    "SELECT xmlelement(name a, ssn), xmlforest(ssn) FROM people",
    "SELECT jsonb_path_query(to_jsonb(p), '$.ssn') FROM people p",
    "SELECT JSON_OBJECT('a': ssn) FROM people",
    "SELECT JSON_VALUE(to_jsonb(people), '$.ssn') FROM people",
    "SELECT unnest(ARRAY[ssn]) FROM people",
    "SELECT * FROM people, unnest(ARRAY[ssn])",
    "SELECT * FROM ROWS FROM (unnest(ARRAY(SELECT ssn FROM people)))",
    "SELECT count(*) FILTER (WHERE ssn = 'top-secret') FROM people",
    "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ssn) FROM people",
    "SELECT CASE ssn WHEN 'top-secret' THEN 1/0 END FROM people",
    "SELECT COALESCE(NULLIF(ssn, 'x'), 'y'), GREATEST(ssn, 'a') FROM people",
    "SELECT name FROM people GROUP BY ROLLUP (ssn, name)",
    "SELECT DISTINCT ON (ssn) id FROM people",
    "SELECT ssn FROM people UNION SELECT name FROM people",
    "SELECT ssn FROM people FETCH FIRST 1 ROWS WITH TIES",
    "SELECT ssn FROM people ORDER BY ssn FETCH FIRST 1 ROWS WITH TIES",
    "SELECT * FROM people TABLESAMPLE bernoulli(100)",
    "SELECT ssn FROM people FOR UPDATE",
    "LOCK TABLE people",
    "SELECT * FROM people_ssn",
    "SELECT pg_get_indexdef('people_ssn'::regclass)",
    "SELECT $$x$$ || ssn FROM people -- comment",
    "SELECT E'\\x' || ssn /* c */ FROM people",
    "SELECT public.people.ssn FROM public.people",
    "SELECT postgres.public.people.ssn FROM postgres.public.people",
    "SELECT convert_to(ssn, 'LATIN1'), md5(ssn), encode(ssn::bytea, 'hex') FROM people",
    "SELECT regexp_replace(ssn, '(.*)', '\\1'), overlay(ssn placing '' from 1 for 0), reverse(ssn) FROM people",
    "SELECT pg_column_size(ssn), octet_length(ssn), ascii(ssn) FROM people",
    "SELECT hashtext(ssn), ssn COLLATE \"C\" FROM people",
    "SELECT * FROM people p1 WHERE EXISTS (SELECT FROM people p2 WHERE p2.ssn > p1.ssn)",
    "SELECT * FROM XMLTABLE('/a' PASSING (SELECT xmlelement(name a, ssn) FROM people LIMIT 1) COLUMNS s text PATH '.')",
    "NOTIFY x, 'top'",
    "SELECT pg_notify('x', ssn) FROM people; LISTEN x",
    "ALTER TABLE people ALTER ssn TYPE varchar",
    "GRANT SELECT ON people TO PUBLIC",
    "CREATE VIEW v2 AS SELECT ssn FROM people",
    "ANALYZE VERBOSE people",
    "VACUUM VERBOSE people",
    "CREATE INDEX ON people(ssn)",
    "COMMENT ON COLUMN people.ssn IS 'x'",
    "CREATE RULE r AS ON SELECT TO others DO INSTEAD SELECT 1, ssn FROM people",
    "SELECT * FROM pg_attribute WHERE attmissingval IS NOT NULL",
    "SELECT ssn FROM defaulted",
    "SELECT max(ssn) FROM audited",
    "SELECT current_query(), query FROM pg_stat_activity",
];

const PEOPLE: &str = "CREATE TABLE people (id int PRIMARY KEY, name text, ssn text);
    INSERT INTO people VALUES (1, 'ada', 'top-secret'), (2, 'bob', '424242424242');
    CREATE TABLE others (id int, ssn text); INSERT INTO others VALUES (1, 'x'), (2, 'y');
    CREATE INDEX people_ssn ON people (upper(ssn)); CREATE VIEW seen AS SELECT id, ssn FROM people; CREATE VIEW deep AS SELECT upper(ssn) AS s FROM seen;
    CREATE MATERIALIZED VIEW stale AS SELECT * FROM people; CREATE TABLE child () INHERITS (people); INSERT INTO child VALUES (3, 'eve', 'top-secret');
    CREATE TABLE parted (id int, ssn text) PARTITION BY RANGE (id); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (9); INSERT INTO parted VALUES (1, 'top-secret');
    CREATE TABLE computed (ssn text, copied text GENERATED ALWAYS AS (ssn || '!') STORED); INSERT INTO computed VALUES ('top-secret');
    CREATE TABLE defaulted (id int); INSERT INTO defaulted VALUES (1); ALTER TABLE defaulted ADD ssn text DEFAULT 'top-secret';
    CREATE FUNCTION leak() RETURNS text LANGUAGE sql AS 'SELECT string_agg(ssn, '','') FROM people';
    CREATE FUNCTION leaky(people) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM people WHERE id = $1.id';
    CREATE FUNCTION eqs(text, text) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM people WHERE ssn = $2)';
    CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = eqs);
    CREATE SCHEMA evil; CREATE VIEW evil.people AS SELECT * FROM public.people; CREATE VIEW evil.people_view WITH (security_barrier) AS TABLE public.people;
    CREATE TABLE audited (id int, ssn text); INSERT INTO audited VALUES (1, 'top-secret'); ANALYZE;";

#[tokio::test(flavor = "multi_thread")]
async fn no_trick_shows_a_masked_value() {
    let mask = |table: &str| hidden(&format!("public.{table}.ssn"));
    for major in majors() {
        let cluster = Cluster::start(major);
        cluster.admin().await.batch_execute(PEOPLE).await.expect("the tables");
        let masks = ["people", "parted", "computed", "defaulted", "audited"].map(mask).to_vec();
        let gateway = Gateway::start(&cluster, Setup { masks, ..Setup::open(&cluster) });
        let mut leaks = Vec::new();
        // reading the catalog makes a connection expensive
        let mut raw = Raw::connect(&gateway).await;
        for trick in TRICKS {
            for extended in [false, true] {
                raw.send(&[ClientMessage::Query(b"ROLLBACK"), ClientMessage::Query(b"RESET ALL")]).await;
                if !told(&raw.until_ready().await, b'Z', "") || !told(&raw.until_ready().await, b'Z', "") {
                    // three attempts on what is protected close a session
                    gateway.closing.send_replace(None);
                    raw = Raw::connect(&gateway).await;
                }
                if extended {
                    raw.send(&[parse("", trick), bind(""), EXECUTE, SYNC]).await;
                } else {
                    raw.send(&[ClientMessage::Query(trick.as_bytes())]).await;
                }
                let answers = raw.until_ready().await;
                let leak = answers.iter().any(|(_, body)| {
                    let body = String::from_utf8_lossy(body).to_lowercase();
                    let said = trick.to_lowercase().contains("top-secret");
                    body.contains("4242424242") || (body.contains("top-secret") && !said)
                });
                if leak {
                    leaks.push((*trick, answers));
                }
            }
        }
        assert!(leaks.is_empty(), "{major}: {leaks:?}");
    }
}
