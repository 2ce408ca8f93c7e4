//! What claims say is a value, whatever it looks like.

use std::collections::BTreeSet;

use hoopctl::domain::filter::{BoundFilter, Claim};
use hoopctl::mask::MaskPlan;
use hoopctl::sql::Protection;

use super::{Twins, extremes, filter, one};

const HOSTILE: &[&str] = &[
    "'",
    "''",
    "\\",
    "\\'",
    "') OR true --",
    "' OR ''='",
    "x'; DROP TABLE names; --",
    "$1",
    "$$",
    "%",
    "_",
    "{}",
    "{a,b}",
    "a,b",
    "\"a\",\"b\"",
    "NULL",
    "null",
    "\\\"",
    "\\\\\"",
    "U&'\\0041'",
    "E'\\n'",
    "\n",
    "\t",
    " a ",
    "/* */",
    "principal.name",
    "true",
    "{\"a\"}",
    "π",
    "\u{202e}",
    "",
];

const SETUP: &str = "CREATE ROLE reader LOGIN PASSWORD 'reader'; \
    CREATE TYPE mood AS ENUM ('calm', 'wild'); CREATE DOMAIN short AS text CHECK (length(VALUE) < 40); \
    CREATE TABLE names (name text, tags text[]); GRANT SELECT ON names TO reader; \
    CREATE TABLE typed (i int, b bigint, n numeric(9, 2), f float8, u uuid, d date, ts timestamp, tz timestamptz, t time, m mood, \
        s short, v varchar(3), c char(5), yes bool, j jsonb, tags varchar[], moods mood[], ip inet, raw bytea, ids int[]); \
    INSERT INTO typed VALUES (1, 2, 3.5, 0.5, '00000000-0000-0000-0000-000000000001', '2026-01-31', '2026-01-31 12:00', \
        '2026-01-31 12:00+00', '12:00', 'calm', 'short', 'abc', 'char', true, '{\"a\": {\"b\": \"c\"}, \"k\": 1}', '{x,y}', '{calm}', \
        '10.0.0.1', '\\x00ff', '{1,2}'); \
    GRANT SELECT ON typed TO reader;";

fn seen_by(twins: &mut Twins, filters: &[BoundFilter]) {
    let plan = MaskPlan::new(&[], &BTreeSet::new());
    twins.protection = Protection::resolve(&twins.catalog, &plan, filters).expect("protection");
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_values_whatever_they_hold() {
    for major in extremes() {
        let mut twins = Twins::of(major, SETUP, "SELECT 1", &[], &[]).await;
        let owner =
            twins.cluster.connect("postgres", &twins.cluster.password, "one").await.expect("the owner");
        for name in HOSTILE {
            let insert = "INSERT INTO names VALUES ($1, ARRAY[$1])";
            owner.execute(insert, &[name]).await.expect("a row");
        }
        for (number, name) in HOSTILE.iter().enumerate() {
            let other = HOSTILE[(number + 7) % HOSTILE.len()];
            let many = Claim::Many([(*name).to_owned(), other.to_owned()].into());
            let expected: BTreeSet<&str> = [*name, other].into();
            let cases: [(&str, Claim, BTreeSet<&str>); 5] = [
                ("name = principal.x", one(name), [*name].into()),
                ("principal.x = ANY (tags)", one(name), [*name].into()),
                ("name = ANY (principal.x)", one(name), [*name].into()),
                ("name = ANY (principal.x)", many.clone(), expected.clone()),
                ("tags && principal.x", many, expected),
            ];
            for (predicate, claim, expected) in cases {
                seen_by(&mut twins, &[filter("own", "public.names", Some(predicate), &[("x", claim)])]);
                let [answer, _] = twins.answers("SELECT name FROM names").await;
                let answer = answer.unwrap_or_else(|error| panic!("{major}: {name:?}: {predicate}: {error}"));
                let rows = &answer[1..answer.len() - 1];
                let seen: BTreeSet<&str> = rows.iter().filter_map(|row| row[0].as_deref()).collect();
                assert_eq!(seen, expected, "{major}: {name:?}: {predicate}");
            }
        }
        let nobody = Claim::Many(BTreeSet::new());
        for predicate in ["name = ANY (principal.x)", "tags && principal.x"] {
            seen_by(&mut twins, &[filter("own", "public.names", Some(predicate), &[("x", nobody.clone())])]);
            let [answer, _] = twins.answers("SELECT count(*) FROM names").await;
            assert_eq!(answer.expect("an answer")[1], [Some("0".to_owned())], "{major}: {predicate}");
        }
    }
}

/// What each predicate finds in the one row, on the oldest and newest server: 1 or 0.
#[tokio::test(flavor = "multi_thread")]
async fn predicates_compare_as_the_columns_types_do() {
    let claims = [
        ("n", one("1")),
        ("m", one("calm")),
        ("u", one("00000000-0000-0000-0000-000000000001")),
        ("many", Claim::Many(["1".to_owned(), "7".to_owned()].into())),
        ("moods", Claim::Many(["calm".to_owned(), "wild".to_owned()].into())),
        ("word", one("x")),
        ("long", one("abcdef")),
        ("day", one("2026-01-31")),
        ("role", one("admin")),
    ];
    for major in extremes() {
        let mut twins = Twins::of(major, SETUP, "SELECT 1", &[], &[]).await;
        let mut faults = Vec::new();
        for (seen, predicate) in PREDICATES {
            seen_by(&mut twins, &[filter("own", "public.typed", Some(predicate), &claims)]);
            let query = "SELECT count(*) FROM typed";
            let [answer, _] = twins.answers(query).await;
            let told = answer.map(|answer| answer[1][0].clone());
            if told != Ok(Some(seen.to_string())) {
                faults.push(format!("{major}: {predicate}: {told:?}\n  {}", twins.allow(query).sent));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

const PREDICATES: &[(u8, &str)] = &[
    (1, "i = principal.n AND b > 1 AND n = 3.5 AND f < 1"),
    (1, "i IN (1, 2) AND i NOT IN (3, -4) AND b <> ALL (ARRAY[3, 4]) AND n <= 3.50"),
    (1, "i = ANY (principal.many) AND n <> ALL (principal.many)"),
    (0, "b = ANY (principal.many)"),
    (1, "u = principal.u AND u = ANY (ARRAY['00000000-0000-0000-0000-000000000001'])"),
    (1, "d = '2026-01-31' AND d BETWEEN '2026-01-01' AND date '2026-02-01' AND d = principal.day"),
    (
        1,
        "ts = '2026-01-31 12:00' AND tz = '2026-01-31T13:00:00+01' AND t = '12:00:00.0' AND tz > timestamptz '2026-01-31 11:59:59Z'",
    ),
    (1, "tz < now() + interval '1 week' AND tz < current_timestamp"),
    (0, "tz > now() + interval '2 hours'"),
    (1, "m = principal.m AND m = ANY (principal.moods) AND m IN ('calm') AND m < 'wild'"),
    (1, "'calm' = ANY (moods) AND moods && ARRAY['calm'] AND moods <@ principal.moods"),
    (
        1,
        "s = 'short' AND v = 'abc' AND c = 'char' AND c = ANY (ARRAY['char', 'x']) AND v = ANY (ARRAY['abc'])",
    ),
    (0, "v = principal.long OR v = ANY (ARRAY['abcdef', 'abcde'])"),
    (1, "yes AND yes = true AND yes IS TRUE AND (i = 1) IS NOT FALSE AND NOT (i = 2 OR i = 3)"),
    (
        1,
        "j -> 'a' ->> 'b' = 'c' AND j #>> '{a,b}' = 'c' AND j @> '{\"k\": 1}' AND j ? 'k' AND j ?| ARRAY['k', 'z'] AND j -> 'k' = '1'",
    ),
    (
        1,
        "principal.word = ANY (tags) AND tags @> ARRAY['y'] AND tags && ARRAY['x', 'q'] AND tags <@ ARRAY['x', 'y', 'z']",
    ),
    (1, "2 = ANY (ids) AND ids @> ARRAY[1] AND ids && principal.many"),
    (1, "ip = '10.0.0.1' AND raw = '\\x00ff' AND raw IS NOT NULL"),
    (1, "principal.role = 'admin' OR i = 7"),
    (0, "principal.role = 'user'"),
    (1, "principal.role = ANY (ARRAY['user', 'admin']) AND 'admin' = principal.role"),
    (
        1,
        "lower(upper(v)) = 'abc' AND length(s) = 5 AND btrim(s) = trim(both from s) AND v || '/' || principal.word = 'abc/x'",
    ),
    (1, "v LIKE 'a%' AND v ILIKE 'A_C' AND v NOT LIKE 'b%' AND s NOT ILIKE '%X' AND starts_with(s, 'sh')"),
    (
        1,
        "coalesce(v, principal.word) = 'abc' AND coalesce(yes, false) AND i::text = principal.n AND i IS NOT NULL",
    ),
    (1, "md5(v) <> md5('x') AND principal.n::int = i AND principal.u::uuid = u"),
    (0, "v IS NULL OR false"),
    (0, "j ->> 'missing' = 'x' OR NOT j ->> 'missing' = 'x'"),
];
