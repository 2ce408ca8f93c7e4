//! Indexes on columns that are not masked are used as without masks: plans of the owner's own statement and of what is
//! sent in its place are compared.

use super::{Twins, extremes, rows_of, rules};

#[tokio::test(flavor = "multi_thread")]
async fn indexes_serve_masked_tables_as_they_serve_others() {
    for major in extremes() {
        let setup = format!("{}; {MORE}", include_str!("setup.sql"));
        let mut rules = rules();
        let mut rule = |column: &str, path: Option<&str>, mask| {
            rules.push(hoopctl::domain::mask::MaskRule {
                column: hoopctl::domain::mask::ColumnPattern::new(column).expect("a pattern"),
                path: path.map(|path| hoopctl::domain::mask::JsonPath::new(path).expect("a path")),
                mask,
                ..rules.first().expect("a rule").clone()
            });
        };
        use hoopctl::domain::mask::Mask;
        rule("public.shoppers.email", None, Mask::Full);
        rule("public.shoppers.card", None, Mask::Partial { keep_last: 4 });
        rule("public.shoppers.doc", Some("$.secret"), Mask::Full);
        rule("public.buys.note", None, Mask::Null);
        let twins = Twins::of(major, &setup, include_str!("changed.sql"), &rules, &[]).await;
        let owner =
            twins.cluster.connect("postgres", &twins.cluster.password, "one").await.expect("the owner");
        let mut faults = Vec::new();
        for statement in STATEMENTS {
            let sent = twins.allow(statement).sent;
            let own = plan(&owner, statement).await;
            let ours = plan(&twins.one, &sent).await;
            assert!(own.iter().any(|line| line.contains("Index")), "{statement}: {own:?}");
            if own != ours {
                faults.push(format!("{major}: {statement}\n  {own:?}\n  {ours:?}"));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// The nodes of a plan, and which of them have a condition on an index, without names of tables and columns.
async fn plan(client: &tokio_postgres::Client, statement: &str) -> Vec<String> {
    let rows = rows_of(client, &format!("EXPLAIN (COSTS off) {statement}")).await;
    let lines = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
    let lines = lines.map(|line| line.trim().trim_start_matches("->").trim().to_owned());
    // what computes a mask stands in the plan besides, and where one is a constant the table need not be read
    let lines = lines.map(|line| line.replace("Index Only Scan", "Index Scan"));
    let kept =
        lines.filter(|line| KEPT.iter().any(|kept| line.starts_with(kept) && !line.starts_with("Sort Key")));
    kept.map(|line| match line.split_once(" on ") {
        _ if line.starts_with("Index Cond") => "Index Cond".into(),
        // the name of an index stays
        Some((node, _)) if !line.starts_with("Bitmap Index Scan") => node.into(),
        _ => line,
    })
    .collect()
}

/// How rows are found, joined and put in order.
const KEPT: &[&str] =
    &["Bitmap", "Hash", "Incremental Sort", "Index", "Limit", "Merge", "Nested Loop", "Seq Scan", "Sort"];

const STATEMENTS: &[&str] = &[
    "SELECT * FROM shoppers WHERE id = 77",
    "SELECT email FROM shoppers WHERE id IN (1, 5, 9)",
    "SELECT name, card FROM shoppers WHERE city = 'city 7'",
    "SELECT * FROM shoppers WHERE id BETWEEN 10 AND 20",
    "SELECT id, doc FROM shoppers WHERE joined > '2026-01-01' AND joined < '2026-01-01 02:00'",
    "SELECT * FROM shoppers ORDER BY joined DESC LIMIT 10",
    "SELECT id, email FROM shoppers ORDER BY id LIMIT 5 OFFSET 10",
    "SELECT id FROM shoppers WHERE id > 100 ORDER BY id LIMIT 5",
    "SELECT max(joined), min(id) FROM shoppers",
    "SELECT s.email, b.note, b.amount FROM shoppers s JOIN buys b ON b.shopper = s.id WHERE s.id = 5",
    "SELECT b.id, s.name FROM buys b LEFT JOIN shoppers s ON s.id = b.shopper WHERE b.id = 9",
    "SELECT s.name FROM shoppers s WHERE s.city = 'city 3' AND EXISTS (SELECT FROM buys b WHERE b.shopper = s.id)",
    "SELECT * FROM shoppers WHERE lower(name) = 'shopper 5'",
    "SELECT * FROM shoppers WHERE doc_kind = 'a' AND city = 'city 1'",
    "SELECT s.id, s.name, s.email, count(*) FROM shoppers s JOIN buys b ON b.shopper = s.id WHERE s.id = 7 GROUP BY s.id",
    "SELECT id, email FROM shoppers WHERE id = 5 FOR UPDATE",
    "UPDATE shoppers SET name = 'x' WHERE id = 5",
    "UPDATE shoppers SET name = 'x' FROM buys b WHERE b.shopper = shoppers.id AND b.id = 5",
    "DELETE FROM shoppers WHERE city = 'city 2' AND id = 4",
];

const MORE: &str = "CREATE TABLE shoppers (id int PRIMARY KEY, name text, email text, card text, doc jsonb, doc_kind text,
       city text, joined timestamptz);
    INSERT INTO shoppers SELECT n, 'Shopper ' || n, 's' || n || '@example.com', '4111-' || n, '{\"secret\": \"x\"}', 'k' || n % 500,
       'city ' || n % 200, timestamptz '2025-12-01' + n * interval '10 minutes' FROM generate_series(1, 20000) n;
    CREATE INDEX shoppers_city ON shoppers (city); CREATE INDEX shoppers_joined ON shoppers (joined);
    CREATE INDEX shoppers_lower ON shoppers (lower(name)); CREATE INDEX shoppers_kind ON shoppers (doc_kind, city);
    CREATE TABLE buys (id int PRIMARY KEY, shopper int, amount int, note text);
    INSERT INTO buys SELECT n, n % 20000 + 1, n, 'note ' || n FROM generate_series(1, 40000) n;
    CREATE INDEX buys_shopper ON buys (shopper);
    GRANT SELECT, INSERT, UPDATE, DELETE ON shoppers, buys TO reader;
    ANALYZE shoppers; ANALYZE buys;";
