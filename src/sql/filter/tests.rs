//! What a predicate may be.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::claims_of;

#[test]
fn predicates_say_which_claims_they_name() {
    let claims = |text: &str| claims_of(text).unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(claims("project = principal.project"), ["project"]);
    assert_eq!(
        claims("tags && principal.teams OR (owner = principal.email AND NOT closed)"),
        ["email", "teams"]
    );
    for text in [
        "project IN ('a', principal.project) AND id NOT IN (1, -2)",
        "project = ANY (principal.teams)",
        "'x' = ANY (tags) AND project <> ALL (ARRAY['b', 'c'])",
        "principal.role = 'admin' OR lower(trim(project)) = principal.project",
        "created_at > now() - interval '7 days' AND day BETWEEN '2026-01-01' AND date '2026-12-31'",
        "doc ->> 'project' = principal.project AND doc #>> '{a,b}' IS NOT NULL AND doc ? 'x'",
        "(closed IS NOT TRUE) IS NOT UNKNOWN AND coalesce(closed, false) AND true",
        "name LIKE 'a%' AND name NOT ILIKE '%z' AND starts_with(name, principal.prefix)",
        "id::text = principal.id AND 'a' || project = principal.project::text",
    ] {
        let read = claims_of(text);
        assert!(read.is_ok(), "{text}: {read:?}");
    }
}

#[test]
fn what_is_not_listed_is_refused() {
    for text in [
        "",
        "true; DROP TABLE x",
        "true;",
        "true -- and more",
        "/* */ true",
        "true UNION SELECT 1",
        "true GROUP BY 1",
        "true ORDER BY 1",
        "true LIMIT 1",
        "true OFFSET 1",
        "true FOR UPDATE",
        "true WINDOW w AS ()",
        "true) OR (true",
        "id IN (SELECT 1)",
        "EXISTS (SELECT 1)",
        "(SELECT true)",
        "id = $1",
        "count(*) > 1",
        "row_number() OVER () = 1",
        "id / 2 = 1",
        "id + 1 = 2",
        "-id = 1",
        "id % 2 = 0",
        "project::int = 1",
        "project::varchar(2) = 'a'",
        "created_at::date = '2026-01-01'",
        "project ~ 'a'",
        "project SIMILAR TO 'a'",
        "project LIKE principal.project",
        "project LIKE 'a\\'",
        "project LIKE 'a' ESCAPE 'x'",
        "project COLLATE \"C\" = 'a'",
        "project = NULL",
        "project IS DISTINCT FROM 'a'",
        "nullif(project, 'a') = 'b'",
        "CASE WHEN true THEN true END",
        "t.project = 'a'",
        "public.t.project = 'a'",
        "principal.a.b = 'a'",
        "principal.* IS NULL",
        "(t).project = 'a'",
        "tags[1] = 'a'",
        "current_user = 'a'",
        "current_date = day",
        "pg_sleep(1) IS NULL",
        "lower(project, 'a') = 'b'",
        "public.lower(project) = 'b'",
        "project OPERATOR(public.=) 'a'",
        "ROW(project) = ROW('a')",
        "current_setting('x') = project",
        "created_at > now() - interval '1 month'",
        "created_at > now() - interval '7' day",
        "age(created_at) > '1 day'",
        "x'1' = bits",
        "1e400 > id",
    ] {
        assert!(claims_of(text).is_err(), "{text}");
    }
}
