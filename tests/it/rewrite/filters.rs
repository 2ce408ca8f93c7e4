//! Row filters hold on a real PostgreSQL: two databases that differ only in rows that nobody may see answer alike.

mod claims;

use std::collections::{BTreeMap, BTreeSet};

use hoopctl::domain::filter::{BoundFilter, Claim, TablePattern};
use hoopctl::domain::mask::{ColumnPattern, Mask, MaskRule};
use hoopctl::domain::name::RuleName;
use hoopctl::mask::MaskPlan;
use hoopctl::sql::{Protection, ProtectionError};

use super::{DEFAULT_PATH, Twins, extremes};

fn filter(name: &str, table: &str, predicate: Option<&str>, claims: &[(&str, Claim)]) -> BoundFilter {
    BoundFilter {
        name: RuleName::new(name).expect("a name"),
        table: TablePattern::new(table).expect("a pattern"),
        predicate: predicate.map(str::to_owned),
        claims: claims.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        is_slice: false,
    }
}

fn slice(name: &str, table: &str, predicate: Option<&str>) -> BoundFilter {
    BoundFilter { is_slice: true, ..filter(name, table, predicate, &[]) }
}

fn one(text: &str) -> Claim {
    Claim::One(text.into())
}

fn filters() -> Vec<BoundFilter> {
    let project = [("project", one("apollo"))];
    let moods = Claim::Many(["calm".to_owned()].into());
    let own = Some("project = principal.project");
    vec![
        filter("own-project", "public.traces", own, &project),
        // it costs more than what clients write, so that the planner would have theirs run first
        filter("live-keys", "public.traces", Some("lower(btrim(upper(api_key))) LIKE 'sk-%'"), &[]),
        filter("moods", "public.traces", Some("mood = ANY (principal.moods)"), &[("moods", moods)]),
        filter("own-events", "public.events", own, &project),
        filter("own-parts", "public.parts*", own, &project),
        filter("own-base", "public.base", own, &project),
        slice("low", "public.base", Some("v BETWEEN 1 AND 3")),
        slice("high", "public.base", Some("v > 1000")),
        slice("others", "public.base", None),
        filter("own-child", "public.closed_child", own, &project),
        slice("elsewhere", "public.locked", None),
        filter(
            "own-projects",
            "public.own_projects",
            Some("owner = principal.user"),
            &[("user", one("ann"))],
        ),
        filter("nameless", "public.nameless", own, &project),
        filter("nowhere", "nowhere.*", Some("nothing = 1"), &[]),
    ]
}

fn masks() -> Vec<MaskRule> {
    vec![MaskRule {
        name: RuleName::new("keys").expect("a name"),
        column: ColumnPattern::new("public.traces.api_key").expect("a pattern"),
        path: None,
        mask: Mask::Partial { keep_last: 1 },
        lifted_for: BTreeSet::new(),
    }]
}

async fn world(major: u32) -> Twins {
    let (setup, changed) = (include_str!("filters/setup.sql"), include_str!("filters/changed.sql"));
    Twins::of(major, setup, changed, &masks(), &filters()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn different_hidden_rows_same_answers() {
    for major in extremes() {
        let twins = world(major).await;
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
                Err(error) => {
                    let sent = twins.allow(statement).sent;
                    faults.push(format!("{major}: fails: {statement}\n  {sent}\n  {error}"));
                }
                Ok(answer) if format!("{answer:?}").contains("hidden") => {
                    faults.push(format!("{major}: tells: {statement}\n  {answer:?}"));
                }
                Ok(_) => {}
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// The rows that are seen are all that the predicates are true for, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_the_slice_are_seen() {
    let ids = [
        ("traces", "1,2,3,4,5,6"),
        ("events", "1,2,3,4,5,6"),
        ("events_2025", "1,2,3"),
        ("events_2026", "4,5,6"),
        ("parts", "1,2,3"),
        ("parts_apollo", "1,2,3"),
        ("base", "1,2,3,11,12"),
        ("ONLY base", "1,2,3"),
        ("derived", "11,12"),
        ("ONLY open_parent", "1"),
        ("closed_child", "2"),
        ("locked", ""),
        ("parts_rest", ""),
    ];
    for major in extremes() {
        let twins = world(major).await;
        for (table, seen) in ids {
            let query = format!("SELECT COALESCE(string_agg(id::text, ',' ORDER BY id), '') FROM {table}");
            for answer in twins.answers(&query).await {
                let answer = answer.unwrap_or_else(|error| panic!("{major}: {table}: {error}"));
                assert_eq!(answer[1], [Some(seen.to_owned())], "{major}: {table}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_their_rule() {
    let major = extremes().into_iter().next_back().expect("a server");
    let twins = world(major).await;
    let mut faults = Vec::new();
    for (rule, statement) in REFUSED {
        match twins.assess(statement, DEFAULT_PATH) {
            Ok(assessed) => faults.push(format!("allowed: {statement}\n  {}", assessed.sent)),
            Err(refusal) if refusal.rule.as_str() != *rule => {
                faults.push(format!("{statement}\n  {refusal:?}"));
            }
            Err(refusal) => assert!(!refusal.construct.is_empty() && !refusal.hint.is_empty(), "{refusal:?}"),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_filtered_can_be_told() {
    let major = extremes().into_iter().next_back().expect("a server");
    let twins = world(major).await;
    let told: BTreeMap<String, String> = twins
        .protection
        .filtered()
        .map(|table| {
            let names: Vec<&str> = table.filters.iter().map(RuleName::as_str).collect();
            let reads: Vec<&str> = table.reads.iter().map(String::as_str).collect();
            let note = table.note.as_deref().unwrap_or("-");
            (table.table.clone(), format!("{}; {}; {note}", names.join(" "), reads.join(" ")))
        })
        .collect();
    let of = |table: &str| told.get(table).map_or("nothing", String::as_str);
    assert_eq!(of("traces"), "own-project live-keys moods; api_key mood project; -");
    assert_eq!(of("events_2026"), "own-events; project; its rows are those of a table that is filtered");
    assert_eq!(
        of("derived"),
        "own-base low high others; project v; its rows are those of a table that is filtered"
    );
    assert!(of("open_parent").contains("public.closed_child below it"), "{told:?}");
    assert!(of("nameless").contains("there is no column `project`"), "{told:?}");
    assert_eq!(of("projects"), "nothing");
}

/// A filter that cannot be kept on a table opens no session.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_cannot_be_kept_protects_nothing_by_halves() {
    let major = extremes().into_iter().next_back().expect("a server");
    let twins = world(major).await;
    let faults = [
        ("nothing = 1", "there is no column `nothing`"),
        ("id = 'x'", "`x` does not read as a number"),
        ("created_at > '2026-01-01'", "`2026-01-01` does not read as a timestamptz (2026-01-31 23:59:00+00)"),
        ("created_at::text = 'x'", "which the session's settings change"),
        ("project = id", "text and a number are not compared"),
        ("steps ->> 'a' = 1", "text and a number are not compared"),
        ("project -> 'a' IS NULL", "-> of text cannot stand"),
        ("tags = '{a}'", "`{a}` does not read as an array of text"),
        ("mood = '[calm,wild]'", "does not read as something of type public.mood"),
        ("project", "text, by itself, cannot stand"),
        ("project = principal.many", "principal.many, which has several values"),
        ("amount = ANY (principal.many)", "principal.many does not read as a number"),
        ("project = principal.nul", "character zero"),
        ("starts_with(project, principal.empty)", "principal.empty does not read as a beginning"),
    ];
    let claims = [
        ("many", Claim::Many(["a".to_owned(), "b".to_owned()].into())),
        ("nul", one("a\0b")),
        ("empty", one("")),
    ];
    for (predicate, reason) in faults {
        let filters = [filter("own", "public.traces", Some(predicate), &claims)];
        let plan = MaskPlan::new(&masks(), &BTreeSet::new());
        let error = Protection::resolve(&twins.catalog, &plan, &filters).expect_err(predicate);
        let told = error.to_string();
        assert!(matches!(error, ProtectionError::Filter { .. }), "{told}");
        assert!(
            told.starts_with("row filter own cannot be kept on public.traces: ") && told.contains(reason),
            "{predicate}: {told}"
        );
    }
    // the view that computes masks shows no more of a column than they leave
    let plan = MaskPlan::new(&masks(), &BTreeSet::new());
    let error =
        Protection::resolve_with_views(&twins.catalog, &plan, &filters()).expect_err("a masked column");
    assert!(error.to_string().contains("the column `api_key` is masked there"), "{error}");
}

const STATEMENTS: &[&str] = &[
    "SELECT * FROM traces ORDER BY id",
    "SELECT count(*), count(DISTINCT agent), sum(amount), max(id) FROM traces",
    "SELECT t FROM traces t ORDER BY id",
    "SELECT row_to_json(t), (t).amount FROM traces t ORDER BY id",
    "SELECT api_key FROM traces WHERE api_key = '****1'",
    // what fails on a hidden row
    "SELECT id FROM traces WHERE 100 / amount > 0 ORDER BY id",
    "SELECT id FROM traces WHERE prompt::int > 2 ORDER BY id",
    "SELECT 100 / amount FROM traces ORDER BY 1",
    "SELECT id FROM traces WHERE (steps ->> 'n')::int = 3",
    "SELECT id FROM traces t WHERE CASE WHEN project = 'apollo' THEN 100 / amount END > 1 ORDER BY id",
    "SELECT sum(1 / amount) OVER (ORDER BY id) FROM traces ORDER BY 1",
    "SELECT max(100 / amount) FILTER (WHERE amount < 3) FROM traces",
    "SELECT id FROM traces ORDER BY 100 / amount, id",
    "SELECT 100 / amount, count(*) FROM traces GROUP BY 1 HAVING min(100 / amount) > 0 ORDER BY 1",
    "SELECT id FROM (SELECT id, prompt::int AS n FROM traces) x WHERE n < 3 ORDER BY id",
    "SELECT n.id FROM notes n JOIN traces t ON t.id = n.trace AND 100 / t.amount > 0 ORDER BY 1",
    "SELECT n.body, t.agent FROM notes n RIGHT JOIN traces t ON t.id = n.trace ORDER BY t.id",
    "SELECT p.name, x.n FROM projects p LEFT JOIN LATERAL (SELECT sum(100 / t.amount) AS n FROM traces t WHERE t.project = p.name) x ON true WHERE p.name = 'apollo'",
    "SELECT a.id, b.id FROM traces a JOIN traces b ON a.amount = b.amount + 1 ORDER BY 1",
    "SELECT id FROM notes WHERE EXISTS (SELECT 1 FROM traces t WHERE 1 / t.amount >= 0 AND t.id = trace) ORDER BY id",
    "SELECT EXISTS (SELECT 1 FROM traces WHERE project = 'zeus'), EXISTS (SELECT 1 FROM traces WHERE id >= 100)",
    "SELECT 'hidd' || 'en' IN (SELECT agent FROM traces), ARRAY(SELECT amount FROM traces ORDER BY id)",
    "WITH t AS MATERIALIZED (SELECT * FROM traces) SELECT id FROM t WHERE 100 / amount > 10 ORDER BY id",
    "WITH t AS NOT MATERIALIZED (SELECT * FROM traces) SELECT id FROM t WHERE 100 / amount > 10 ORDER BY id",
    "WITH RECURSIVE n(i) AS (SELECT min(id) FROM traces UNION ALL SELECT i + 1 FROM n JOIN traces ON id = i WHERE 100 / amount > 0) SELECT i FROM n ORDER BY i",
    "SELECT id, rank() OVER (ORDER BY amount DESC), lag(agent) OVER (ORDER BY id) FROM traces ORDER BY id",
    "SELECT id FROM traces UNION SELECT id FROM events ORDER BY 1",
    "SELECT id FROM events EXCEPT SELECT id FROM traces WHERE 10 / amount > 2 ORDER BY 1",
    "SELECT agent, count(*) FROM traces GROUP BY GROUPING SETS ((agent), ()) ORDER BY 1, 2",
    "SELECT DISTINCT ON (agent) agent, id FROM traces ORDER BY agent, id",
    "SELECT id FROM traces ORDER BY id DESC FETCH FIRST 2 ROWS WITH TIES",
    "SELECT e.value FROM traces, jsonb_each(steps) e ORDER BY id, e.key",
    "SELECT unnest(tags) FROM traces ORDER BY 1",
    // views
    "SELECT * FROM ratios ORDER BY id",
    "SELECT twice FROM over_ratios WHERE 100 / (twice - 1) > 0 ORDER BY id",
    "SELECT * FROM counted",
    "SELECT * FROM own_projects WHERE share > 0",
    "SELECT own_projects.name, public.own_projects.share FROM public.own_projects",
    // partitions and children
    "SELECT * FROM events ORDER BY id",
    "SELECT count(*) FROM events_2025 WHERE 10 / n > 0",
    "SELECT count(*) FROM ONLY events",
    "SELECT day, sum(10 / n) FROM events WHERE day > '2026-01-01' GROUP BY day ORDER BY day",
    "SELECT * FROM parts ORDER BY id",
    "SELECT count(*) FROM parts_rest",
    "SELECT id, 10 / v FROM base ORDER BY id",
    "SELECT * FROM derived WHERE 10 / v > 0 ORDER BY id",
    "SELECT * FROM ONLY base ORDER BY id",
    "SELECT * FROM ONLY open_parent",
    "SELECT * FROM closed_child",
    "SELECT count(*) FROM locked",
    // other ways out
    "COPY traces TO STDOUT",
    "COPY traces (id, api_key) TO STDOUT WITH (FORMAT csv, HEADER)",
    "COPY (SELECT id, 100 / amount FROM traces WHERE prompt::int > 1 ORDER BY id) TO STDOUT",
    "DECLARE c SCROLL CURSOR FOR SELECT * FROM traces WHERE 100 / amount > 0",
    "PREPARE p(int) AS SELECT * FROM traces WHERE 100 / amount > $1",
    "TABLE traces ORDER BY id",
    "SELECT pg_relation_size('traces'), pg_total_relation_size('events_2025'), pg_table_size('public.base'), pg_indexes_size('traces')",
    "SELECT relname, reltuples, relpages FROM pg_class WHERE relname IN ('traces', 'events_2025') ORDER BY 1",
    // writing elsewhere
    "INSERT INTO notes (body) SELECT agent FROM traces WHERE 100 / amount > 0 ORDER BY id RETURNING body",
    "UPDATE projects p SET budget = (SELECT sum(100 / amount) FROM traces t WHERE t.project = p.name) WHERE name = 'apollo' RETURNING *",
    "UPDATE notes n SET body = t.agent FROM traces t WHERE t.id = n.trace AND 100 / t.amount > 0 RETURNING n.*",
    "DELETE FROM notes n USING traces t WHERE t.id = n.trace AND t.prompt::int = 2 RETURNING n.id",
    "DELETE FROM notes WHERE trace IN (SELECT id FROM traces WHERE 100 / amount > 40) RETURNING id",
    "WITH moved AS (INSERT INTO notes (body) SELECT prompt FROM traces RETURNING body) SELECT count(*) FROM moved",
];

const REFUSED: &[(&str, &str)] = &[
    ("mask.filter", "INSERT INTO traces (id, project) VALUES (7, 'apollo')"),
    ("mask.filter", "INSERT INTO traces (id, project) VALUES (7, 'apollo') ON CONFLICT DO NOTHING"),
    ("mask.filter", "INSERT INTO traces SELECT * FROM traces"),
    ("mask.filter", "UPDATE traces SET project = 'apollo'"),
    ("mask.filter", "UPDATE public.traces SET agent = 'x' WHERE id = 1"),
    ("mask.filter", "DELETE FROM traces WHERE id = 100"),
    ("mask.filter", "DELETE FROM events_2026"),
    ("mask.filter", "UPDATE derived SET v = 1"),
    ("mask.filter", "UPDATE open_parent SET id = 1"),
    ("mask.filter", "DELETE FROM ONLY open_parent"),
    ("mask.filter", "WITH gone AS (DELETE FROM traces RETURNING *) SELECT * FROM gone"),
    ("mask.filter", "MERGE INTO traces t USING projects p ON p.name = t.project WHEN MATCHED THEN DELETE"),
    ("mask.filter", "COPY traces FROM STDIN"),
    ("mask.filter", "COPY events (id) FROM STDIN"),
    ("mask.filter", "TRUNCATE traces"),
    ("mask.filter", "TRUNCATE projects CASCADE"),
    ("mask.filter", "LOCK TABLE traces IN SHARE MODE"),
    ("mask.filter", "SELECT * FROM open_parent"),
    ("mask.filter", "COPY open_parent TO STDOUT"),
    ("mask.filter", "SELECT * FROM nameless"),
    ("mask.filter", "UPDATE own_projects SET owner = 'x'"),
    ("mask.write", "UPDATE ratios SET project = 'x'"),
    ("mask.view", "SELECT * FROM walled"),
    ("mask.view", "SELECT count(*) FROM kept"),
    ("mask.relation", "SELECT * FROM looked_up"),
    ("mask.relation", "DELETE FROM looked_up"),
    ("mask.locking", "SELECT * FROM traces FOR UPDATE"),
    ("mask.locking", "SELECT p.* FROM projects p, traces FOR SHARE OF p"),
    ("mask.sample", "SELECT * FROM events TABLESAMPLE system (10)"),
    ("mask.explain", "EXPLAIN SELECT * FROM traces"),
    ("mask.explain", "EXPLAIN (COSTS OFF) SELECT * FROM over_ratios"),
    ("mask.explain", "EXPLAIN ANALYZE SELECT count(*) FROM counted"),
    ("mask.explain", "EXPLAIN INSERT INTO notes (body) SELECT agent FROM traces"),
    ("mask.catalog", "SELECT * FROM pg_stats"),
    ("mask.catalog", "SELECT n_live_tup FROM pg_stat_xact_user_tables"),
    ("mask.function", "SELECT query_to_xml('select * from traces', true, true, '')"),
    ("policy.tamper", "DROP TABLE locked"),
    ("policy.tamper", "CREATE INDEX ON traces (project)"),
    ("policy.tamper", "CREATE VIEW v AS SELECT * FROM events_2025"),
    ("mask.definition", "SELECT * INTO copy FROM traces"),
];
