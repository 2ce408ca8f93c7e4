//! Who has to answer: several people of several groups, the target's owner, or a rule; before a real broker and provider.

use std::path::Path;

use crate::requests::{asks, awaited};
use crate::support::files_below;
use crate::support::world::{MASKED, Twist, World, psql};

const POLICY: &str = r#"
@id("dev.connect")
@review("corp/dba:1, owner:1")
permit (principal in Hoop::Group::"corp/dev", action == Hoop::Action::"connect", resource == Hoop::Target::"db");
@id("short-is-fine")
permit (principal in Hoop::Group::"corp/dev", action == Hoop::Action::"approve", resource)
when { context.kind == "session" && context.rules == ["dev.connect"] && context has seconds && context.seconds <= 600 };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn two_groups_answer_for_a_session_the_owner_for_a_read_and_a_rule_for_a_short_while() {
    let mut world = World::start(Twist {
        target: "owner = \"corp/oncall\"",
        below: MASKED,
        presets: &["allow-statements", "single-trace"],
        policy: POLICY,
        ..Twist::default()
    })
    .await;
    world.provider.set_groups("alice", &["dba"]);
    world.provider.set_groups("carol", &["oncall"]);
    let (alice, bob, carol) =
        (world.login("alice").await, world.login("bob").await, world.login("carol").await);

    let id = asks(&bob, "incident 4711").await;
    alice.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    let shown = bob.run(&["request", "show", &id]).await.ends(0).stdout;
    assert!(shown.contains("1 more of corp/oncall"), "{shown}");
    psql(&bob, "select 1").await.ends(75);
    carol.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    assert_eq!(psql(&bob, "select 1").await.ends(0).stdout, "1\n");

    // one trace by its key goes through; of several the owner is asked before any row moves
    assert_eq!(psql(&bob, "SELECT id FROM reasoning_traces WHERE id = 5").await.ends(0).stdout, "5\n");
    let owner_answers = async {
        let id = awaited(&carol).await;
        carol.run(&["request", "approve", &id, "--yes"]).await.ends(0)
    };
    let several = psql(&bob, "SELECT id FROM reasoning_traces WHERE id < 3 ORDER BY id");
    let (ran, _) = tokio::join!(several, owner_answers);
    assert_eq!(ran.ends(0).stdout, "1\n2\n");

    let second = world.login("alice-admin").await;
    let brief = ["request", "approval", "db", "--for", "10m", "--reason", "a look"];
    let id = second.run(&brief).await.ends(0).stdout.trim().to_owned();
    assert_eq!(psql(&second, "select 1").await.ends(0).stdout, "1\n");
    carol.run(&["audit", "verify"]).await.ends(0);
    let entered = entries_of(&world.broker.data().join("ledger"), &id);
    assert!(entered.iter().any(|entry| entry.contains("short-is-fine")), "{entered:?}");
}

/// The lines of the ledger that speak of a request.
fn entries_of(ledger: &Path, id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for path in files_below(ledger) {
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
        let lines = text.split("{\"version\"").filter(|line| line.contains(id));
        found.extend(lines.map(str::to_owned));
    }
    found
}
