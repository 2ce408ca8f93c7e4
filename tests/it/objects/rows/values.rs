//! What logins say, as values of every type that a predicate may compare them with.

use hoopctl::domain::filter::Claim;
use hoopctl::domain::target::PostgresTarget;

use super::*;

const TYPES: &str = "
    SET ROLE app_owner;
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE DOMAIN code AS varchar(10);
    CREATE TABLE typed (
        id int, small int2, whole int4, big int8, exact numeric(10, 2), real float8, flag bool, day date,
        moment timestamptz, key uuid, word text, short varchar(20), padded char(8), odd text COLLATE \"C\", mood mood,
        code code, tags text[], numbers int[], codes varchar(9)[], doc jsonb, address inet,
        bits bit(3), stamp timestamp, time time, bytes bytea);
    INSERT INTO typed VALUES
        (1, 7, 7, 7, 7, 7, true, '2026-02-03', '2026-02-03 04:05:06+00', '00000000-0000-0000-0000-000000000007', 'seven',
         'seven', 'seven', 'seven', 'calm', 'seven', '{seven,x}', '{7,70}', '{seven}', '{\"seven\": 1, \"w\": \"seven\"}', '10.0.0.7', B'111', '2026-02-03 04:05', '04:05', '\\x07'),
        (2, 8, 8, 8, 8, 8, false, '2027-02-03', '2027-02-03 04:05:06+00', '00000000-0000-0000-0000-000000000008', 'eight',
         'eight', 'eight', 'eight', 'wild', 'eight', '{eight}', '{8}', '{eight}', '{\"eight\": 1, \"w\": \"eight\"}', '10.0.0.8', B'000', '2027-02-03 04:05', '05:05', '\\x08');
    INSERT INTO typed (id) VALUES (3);
    RESET ROLE";

/// The first row is seen, by the view alone and through the gateway's rewriting alone, and nothing is where nobody says
/// anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_a_value_of_the_type_beside_it() {
    let many = |values: &[&str]| Claim::Many(values.iter().map(|value| (*value).to_owned()).collect());
    let one_of = |value: &str| Claim::One(value.into());
    let cases = [
        ("small = principal.c", one_of("7")),
        ("whole = principal.c", one_of("7")),
        ("principal.c = big", one_of("7")),
        ("exact = principal.c", one_of("7.00")),
        ("real <= principal.c", one_of("7.5")),
        ("flag = principal.c", one_of("true")),
        ("day < principal.c", one_of("2026-12-31")),
        ("moment < principal.c", one_of("2026-12-31 00:00:00+00")),
        ("key = principal.c", one_of("00000000-0000-0000-0000-000000000007")),
        ("word = principal.c", one_of("seven")),
        ("short = principal.c", one_of("seven")),
        ("padded = principal.c", one_of("seven")),
        ("odd = principal.c", one_of("seven")),
        ("mood = principal.c", one_of("calm")),
        ("code = principal.c", one_of("seven")),
        ("address = principal.c", one_of("10.0.0.7")),
        ("bits = principal.c", one_of("111")),
        ("stamp = principal.c", one_of("2026-02-03 04:05:00")),
        ("time = principal.c", one_of("04:05:00")),
        ("bytes = principal.c", one_of("\\x07")),
        ("padded = ANY (principal.c)", many(&["seven", "x"])),
        ("lower(word) = principal.c", one_of("seven")),
        ("length(word) = principal.c AND whole = 7", one_of("5")),
        ("doc ->> 'w' = principal.c", one_of("seven")),
        ("doc @> principal.c", one_of("{\"seven\": 1}")),
        ("doc ? principal.c", one_of("seven")),
        ("doc ?| principal.c", many(&["seven", "y"])),
        ("whole = ANY (principal.c)", many(&["7", "9"])),
        ("whole = ANY (principal.c)", one_of("7")),
        ("exact = ANY (principal.c)", many(&["7", "7.5"])),
        ("mood = ANY (principal.c)", many(&["calm"])),
        ("short = ANY (principal.c)", many(&["seven", "', '"])),
        ("word <> ALL (principal.c)", many(&["eight", "nine"])),
        ("principal.c = ANY (tags)", one_of("seven")),
        ("principal.c = ANY (numbers)", one_of("70")),
        ("tags && principal.c", many(&["x", "y"])),
        ("numbers @> principal.c", many(&["7", "70"])),
        ("codes && principal.c", many(&["seven"])),
        ("word IN ('nothing', principal.c)", one_of("seven")),
        ("whole IN (100, principal.c)", one_of("7")),
        ("starts_with(word, principal.c)", one_of("sev")),
        ("word = 'sev' || principal.c", one_of("en")),
        ("coalesce(word, principal.c) = 'seven'", one_of("z")),
        ("NOT (word = principal.c)", one_of("eight")),
        ("principal.c = 'yes' AND whole = 7", one_of("yes")),
        ("whole = principal.c::int4", one_of("7")),
        ("principal.c IS NOT NULL AND whole = 7", one_of("x")),
    ];
    let mut faults = Vec::new();
    for major in [majors()[0], newest()] {
        let stage = stage(major).await;
        stage.root.batch_execute(TYPES).await.unwrap();
        for (predicate, claim) in &cases {
            let postgres = PostgresTarget {
                filters: vec![filter("public.typed", predicate)],
                masks: Vec::new(),
                ..filtered(&stage)
            };
            let mut context = session("alice", "alice", target("db", postgres));
            context.principal.attributes.insert("c".into(), claim.clone());
            let lease = match stage.leases.issue(&context).await {
                Ok(lease) => lease,
                Err(error) => {
                    faults.push(format!("{major}: {predicate}: {error}"));
                    continue;
                }
            };
            let alice = stage.login(&lease).await.unwrap();
            let view =
                "SELECT 'hoopctl.' || relname FROM pg_class WHERE relnamespace = 'hoopctl'::regnamespace
                        AND relkind = 'v' AND has_table_privilege(oid, 'SELECT')";
            let rows = format!("SELECT id FROM {} ORDER BY 1", one(&alice, view).await);
            let found = ask(&alice, &rows).await;
            if found.as_deref() != Ok(&["1".to_owned()]) {
                faults.push(format!("{major}: {predicate}: {found:?}"));
            }
            // and whoever is said nothing of sees nothing
            stage.root.batch_execute("DELETE FROM hoopctl.claims").await.unwrap();
            let found = ask(&alice, &rows).await;
            if found.as_deref() != Ok(&[]) {
                faults.push(format!("{major}: {predicate}: without a claim {found:?}"));
            }
            drop(alice);
            stage.leases.revoke(&context.id).await.unwrap();
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A claim is nobody's text: neither in a statement of the view's nor in a view.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_looks_like_sql_is_a_value() {
    let stage = stage(newest()).await;
    for (odd, seen) in [
        ("' OR true --", "9"),
        ("'; DROP TABLE notes; --", ""),
        ("\\", ""),
        ("{alice,bob}", ""),
        ("NULL", ""),
    ] {
        let postgres = PostgresTarget {
            filters: vec![filter("public.notes", "owner = principal.c")],
            ..filtered(&stage)
        };
        let mut context = session("alice", "alice", target("db", postgres));
        context.principal.attributes.insert("c".into(), Claim::One(odd.into()));
        let add = "INSERT INTO notes (id, owner) VALUES (9, ''' OR true --') ON CONFLICT DO NOTHING";
        stage.root.batch_execute(add).await.unwrap();
        let lease = stage.leases.issue(&context).await.unwrap();
        let alice = stage.login(&lease).await.unwrap();
        let view = view_of(&stage, "notes").await;
        assert_eq!(one(&alice, &format!("SELECT id FROM {view} ORDER BY 1")).await, seen, "{odd}");
        let text = one(&stage.root, &format!("SELECT pg_get_viewdef('{view}'::regclass)")).await;
        assert!(!text.contains(odd) || odd == "NULL" || odd == "\\", "{text}");
    }
}
