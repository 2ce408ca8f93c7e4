//! What the server does by itself when rows change tells nothing of what is masked: constraints, triggers and indexes of
//! the table, of what is below it, and of what a change is passed on to.

use std::collections::BTreeSet;

use hoopctl::domain::mask::{ColumnPattern, JsonPath, Mask, MaskRule};
use hoopctl::domain::name::RuleName;

use super::{DEFAULT_PATH, Twins, extremes};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_by_itself_tells_nothing() {
    for major in extremes() {
        let twins = twins(major).await;
        let mut faults = Vec::new();
        for (rule, statement) in TELLING {
            match twins.assess(statement, DEFAULT_PATH) {
                Ok(_) => {
                    let [one, other] = twins.answers(statement).await;
                    let verb = if one == other { "allowed" } else { "told" };
                    faults.push(format!("{major}: {verb}: {statement}\n  {one:?}\n  {other:?}"));
                }
                Err(refusal) if refusal.rule.as_str() != *rule => {
                    faults.push(format!("{major}: {statement}\n  {refusal:?}"));
                }
                Err(_) => {}
            }
        }
        for statement in ANSWERED {
            if let Err(refusal) = twins.assess(statement, DEFAULT_PATH) {
                faults.push(format!("{major}: refused: {statement}\n  {refusal:?}"));
                continue;
            }
            let [one, other] = twins.answers(statement).await;
            if one != other || one.is_err() {
                faults.push(format!("{major}: differs or fails: {statement}\n  {one:?}\n  {other:?}"));
            }
        }
        assert!(faults.is_empty(), "{} of them:\n{}", faults.len(), faults.join("\n"));
    }
}

/// The exception that docs/masking.md names: whoever refers to a row waits where its key gets another value, and not
/// where it gets the one that it has. It takes a foreign key; a query may not ask for the lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_waits_for_a_key_that_changes() {
    for major in extremes() {
        let twins = twins(major).await;
        let change = twins.allow("UPDATE held SET pin = 'guess' WHERE id = 1").sent;
        let refer = twins.allow("INSERT INTO holders VALUES (1)").sent;
        for (client, database, waits) in [(&twins.one, "one", false), (&twins.other, "other", true)] {
            let second = twins.cluster.connect("reader", "reader", database).await.expect("a second");
            second.batch_execute("SET lock_timeout = '300ms'").await.expect("a setting");
            client.batch_execute("BEGIN").await.expect("a transaction");
            client.batch_execute(&change).await.expect("a change");
            let said = second.batch_execute(&refer).await;
            let code = said.err().and_then(|error| error.code().map(|code| code.code().to_owned()));
            assert_eq!(code.as_deref(), waits.then_some("55P03"), "{major} {database}");
            client.batch_execute("ROLLBACK").await.expect("its end");
        }
        for lock in ["FOR KEY SHARE", "FOR SHARE NOWAIT", "FOR KEY SHARE SKIP LOCKED"] {
            let asked = twins.assess(&format!("SELECT id FROM held {lock}"), DEFAULT_PATH);
            assert_eq!(asked.expect_err(lock).rule.as_str(), "mask.locking");
        }
    }
}

/// Tables in which the same columns are masked, and whose secrets differ.
async fn twins(major: u32) -> Twins {
    let rule = |column: &str| MaskRule {
        name: RuleName::new("told").expect("a name"),
        column: ColumnPattern::new(column).expect("a pattern"),
        path: None,
        mask: Mask::Full,
        lifted_for: BTreeSet::new(),
    };
    let changed = "UPDATE parts SET owner = 'other'; UPDATE base SET owner = 'other'; UPDATE made SET owner = 'other';
        UPDATE ratios SET owner = 8; UPDATE sums SET owner = 8; UPDATE whole SET owner = 'other';
        UPDATE seats SET pin = 'other'; UPDATE chairs SET pin = ''; UPDATE mails SET pin = 'other' WHERE id = 1;
        UPDATE keyed SET pin = 'other'; UPDATE seen SET pin = 'other'; UPDATE seen_in SET pin = 'other';
        UPDATE rows SET pin = NULL; UPDATE held SET pin = 'other'; UPDATE idle SET pin = 'other';
        UPDATE calm SET pin = 'other'; UPDATE ruled SET pin = 'other'; UPDATE plain SET pin = 'other';
        UPDATE papers SET doc = '{\"a\": 0, \"secret\": 2000}'; UPDATE named SET doc = '{\"a\": 0, \"secret\": 0}';
        UPDATE follows SET pin = 2; UPDATE \"o'rows\" SET pin = NULL;
        UPDATE starred SET pin = 'other'; UPDATE searched SET doc = '{\"secret\": 6}';
        UPDATE filed SET doc = jsonb_build_object('secret', repeat('5', 2000))";
    let member = MaskRule { path: Some(JsonPath::new("$.secret").expect("a path")), ..rule("public.*.doc") };
    let rules = [rule("public.*.pin"), rule("public.*.owner"), member];
    Twins::of(major, include_str!("consequences.sql"), changed, &rules, &[]).await
}

const TELLING: &[(&str, &str)] = &[
    // a CHECK of a partition, of one below it, and of an heir
    ("mask.write", "UPDATE parts SET pin = 'guess' WHERE id = 2"),
    ("mask.write", "UPDATE parts_2 SET pin = 'guess'"),
    ("mask.write", "UPDATE base SET pin = 'guess' WHERE id = 2"),
    // of what is computed from it, or of the whole row
    ("mask.write", "UPDATE made SET pin = 'GUESS'"),
    ("mask.write", "UPDATE ratios SET pin = 7"),
    ("mask.write", "UPDATE sums SET pin = 7"),
    ("mask.write", "UPDATE whole SET pin = 'guess'"),
    // of EXCLUDE, over an expression and under a condition
    ("mask.write", "INSERT INTO seats (id, pin) VALUES (9, 'GUESS')"),
    ("mask.write", "INSERT INTO chairs (id, pin) VALUES (1, 'x')"),
    // which of many guesses is there already
    (
        "mask.write",
        "INSERT INTO mails (id, pin) SELECT 100 + n, 'GUESS-' || n FROM generate_series(1, 9) n ON CONFLICT DO NOTHING RETURNING id",
    ),
    ("mask.write", "INSERT INTO mails (id, pin) SELECT 100 + n, 'GUESS-' || n FROM generate_series(1, 9) n"),
    ("mask.write", "INSERT INTO keyed (id, pin) SELECT 100 + n, 'guess-' || n FROM generate_series(1, 9) n"),
    // which rows are in an index that a masked column chooses
    (
        "mask.write",
        "INSERT INTO seen (id, team) SELECT 9, n FROM generate_series(1, 9) n ON CONFLICT DO NOTHING RETURNING team",
    ),
    ("mask.write", "INSERT INTO seen (id, team) VALUES (9, 1), (9, 2) ON CONFLICT DO NOTHING RETURNING team"),
    (
        "mask.write",
        "INSERT INTO seen_in (id, team) VALUES (1, 1), (1, 2) ON CONFLICT DO NOTHING RETURNING team",
    ),
    ("mask.write", "INSERT INTO rows (id, team) VALUES (9, 1), (9, 2) ON CONFLICT DO NOTHING"),
    // one row of VALUES is as many as a function gives
    (
        "mask.write",
        "INSERT INTO seen (id, team) VALUES (9, generate_series(1, 9)) ON CONFLICT DO NOTHING RETURNING team",
    ),
    (
        "mask.write",
        "INSERT INTO seen (id, team) VALUES (9, 1 + pg_catalog.unnest('{0,1}'::int[])) ON CONFLICT DO NOTHING RETURNING team",
    ),
    // what is added to a document stands beside what is hidden in it
    ("mask.write", "UPDATE papers SET doc = doc || '{\"a\": 2147483000}'"),
    ("mask.write", "UPDATE named SET doc = doc || '{\"a\": 1}'"),
    ("mask.write", "UPDATE filed SET doc = doc || jsonb '{\"x\": \"many\"}'"),
    ("mask.write", "INSERT INTO \"o'rows\" (id, team) VALUES (9, 1), (9, 2) ON CONFLICT DO NOTHING"),
    ("mask.locking", "SELECT id FROM held FOR KEY SHARE SKIP LOCKED"),
    // before 15, a row that moves to another partition is deleted where keys refer to it
    ("mask.write", "UPDATE moved SET day = 2 WHERE id = 1"),
    // triggers of a partition, of the table that it is of, of what is changed along, and behind a view
    ("mask.function", "UPDATE loud SET id = 1"),
    ("mask.function", "INSERT INTO loud VALUES (1, 1)"),
    ("mask.function", "DELETE FROM loud"),
    ("mask.function", "UPDATE cloned SET id = 1"),
    ("mask.function", "UPDATE cloned_1 SET id = 1"),
    ("mask.write", "UPDATE idle SET pin = 'guess'"),
    ("mask.write", "INSERT INTO idle (id, day, pin) VALUES (1, 1, 'guess')"),
    ("mask.function", "DELETE FROM keepers"),
    ("mask.function", "TRUNCATE keepers CASCADE"),
    ("mask.function", "UPDATE over SET id = 1"),
    ("mask.relation", "SELECT count(*) FROM near"),
    ("mask.relation", "COPY near TO STDOUT"),
    ("mask.write", "INSERT INTO near VALUES (1, 1)"),
    ("mask.write", "DELETE FROM near"),
];

const ANSWERED: &[&str] = &[
    "UPDATE parts SET id = 2 WHERE id = 2 RETURNING pin",
    "INSERT INTO parts (id, day) VALUES (5, 1)",
    "UPDATE parts_1 SET pin = 'guess'",
    "UPDATE base SET id = 9 WHERE id = 1",
    "UPDATE made SET id = 2",
    "DELETE FROM whole WHERE id = 1",
    "INSERT INTO mails (id, pin) VALUES (9, 'new')",
    "INSERT INTO mails (id, pin) VALUES (9, 'new') ON CONFLICT DO NOTHING",
    "UPDATE mails SET pin = 'new' WHERE id = 1",
    "INSERT INTO mails (id, team) SELECT n, n FROM generate_series(1, 9) n ON CONFLICT (id) DO NOTHING",
    "INSERT INTO mails (id, team) SELECT n, n FROM generate_series(7, 9) n",
    "INSERT INTO seen (id, team) VALUES (9, 9) ON CONFLICT DO NOTHING",
    "INSERT INTO seen (id, team) VALUES (9, length('unnest')) ON CONFLICT DO NOTHING RETURNING team",
    "INSERT INTO plain (id, team) SELECT n, n FROM generate_series(1, 9) n ON CONFLICT DO NOTHING RETURNING id",
    "INSERT INTO plain (id, pin) SELECT n, 'x' || n FROM generate_series(7, 9) n",
    "SELECT id FROM plain FOR UPDATE",
    "UPDATE calm SET id = 2 RETURNING id",
    "INSERT INTO calm (id, day) VALUES (2, 1)",
    "UPDATE idle SET id = 1",
    "UPDATE searched SET doc = doc || '{\"done\": true}'",
    // a point and a star in a literal are not the whole row
    "INSERT INTO starred (id, team, kind) SELECT n, n, 'ab' FROM generate_series(1, 9) n ON CONFLICT DO NOTHING",
    // triggers of what a view only looks at do not run
    "UPDATE apart SET id = 2 WHERE id = 3",
    // a rule of an heir is not looked at by the server where its parent is named
    "UPDATE ruled SET id = 3 WHERE id = 2 RETURNING id",
    "TRUNCATE plain",
    "DELETE FROM ONLY near",
];
