//! Row filters: each login sees its own rows, by what it carries or by its groups.

use serde_json::{Value, json};

use crate::support::env::Env;
use crate::support::world::{Twist, World, psql};

/// A job whose token claims this.
async fn job(world: &World, claims: Value) -> Env {
    let mut env = Env::new(&world.broker.url);
    env.set("HOOPCTL_BROKER_PIN", &world.pin());
    env.set("HOOPCTL_WORKLOAD", &format!("kubernetes:{}", env.home().join("token").display()));
    says(world, &env, claims).await;
    env
}

/// From its next exchange on, which is at its next command, its token claims this.
async fn says(world: &World, env: &Env, claims: Value) {
    let token = world.provider.mint(json!({"claims": claims})).await;
    std::fs::write(env.home().join("token"), token).expect("written");
}

async fn shows(env: &Env, sql: &str, rows: &str) {
    assert_eq!(psql(env, sql).await.ends(0).stdout, rows, "{sql}");
}

const BODIES: &str = "SELECT body FROM notes ORDER BY body";

#[tokio::test(flavor = "multi_thread")]
async fn each_job_sees_the_rows_of_its_own_project() {
    let world = World::start(Twist {
        attributes: ["", "attributes = { project = \"team_project\" }"],
        below: r#"
[[target.filter]]
name = "own-project"
table = "public.notes"
where = "project = principal.project"
lifted_for = ["corp/oncall"]
"#,
        ..Twist::default()
    })
    .await;
    let admin = world.cluster.admin().await;
    let rows = "CREATE TABLE notes (project text, body text);
        INSERT INTO notes VALUES ('x', 'x1'), ('x', 'x2'), ('y', 'y1'), (''' OR true --', 'odd'), (NULL, 'nobody''s');
        CREATE VIEW seen AS SELECT body FROM notes";
    admin.batch_execute(rows).await.expect("the rows");
    let x = job(&world, json!({"sub": "x", "team_project": "x"})).await;
    let y = job(&world, json!({"sub": "y", "team_project": "y"})).await;
    let odd = job(&world, json!({"sub": "odd", "team_project": "' OR true --"})).await;
    let none = job(&world, json!({"sub": "none"})).await;

    shows(&x, BODIES, "x1\nx2\n").await;
    shows(&y, BODIES, "y1\n").await;
    shows(&odd, BODIES, "odd\n").await;
    shows(&x, "SELECT count(*), max(body) FROM notes", "2|x2\n").await;
    shows(&x, "SELECT body FROM notes WHERE project = 'y' OR project IS NULL", "").await;
    shows(&x, "SELECT count(*) FROM seen", "2\n").await;
    // a predicate of one's own runs on no other row
    shows(
        &x,
        "SELECT body FROM notes WHERE 1 / (CASE WHEN project = 'y' THEN 0 ELSE 1 END) = 1 ORDER BY 1",
        "x1\nx2\n",
    )
    .await;
    let changed = psql(&x, "UPDATE notes SET body = 'z'").await;
    assert!(changed.code != 0 && changed.stderr.contains("mask.filter"), "{}", changed.text());

    let refused = psql(&none, "SELECT 1").await.ends(77);
    assert!(refused.stderr.contains("principal.project"), "{}", refused.stderr);
    let told = none.run(&["explain", "db"]).await.ends(0).stdout;
    assert!(told.contains("your login carries no principal.project, so no session opens"), "{told}");
    let told = x.run(&["explain", "db"]).await.ends(0).stdout;
    let line =
        "public.notes: where project = principal.project; your project is `x` (one lock, rule own-project)";
    assert!(
        told.contains(line) && told.contains("rows are hidden by the rewriting of statements alone"),
        "{told}"
    );

    let auditor = world.login("alice").await;
    shows(&auditor, "SELECT count(*) FROM notes", "5\n").await;
    let told = auditor.run(&["explain", "db"]).await.ends(0).stdout;
    assert!(!told.contains("own-project"), "{told}");

    // what somebody brings to the start-up is looked at as under masks
    for (brought, why) in
        [("options=-crow_security=off", "start-up options"), ("client_encoding=latin1", "client encoding")]
    {
        let refused = x.run(&["connect", "db", "--", "-XAtc", "SELECT 1", brought]).await;
        assert!(refused.stderr.contains(why), "{}", refused.text());
        assert!(refused.stderr.contains("denied on a target with row filters"), "{}", refused.text());
    }

    // and the next exchange says it anew
    says(&world, &x, json!({"sub": "x", "team_project": "y"})).await;
    shows(&x, BODIES, "y1\n").await;
    says(&world, &x, json!({"sub": "x"})).await;
    psql(&x, BODIES).await.ends(77);
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_show_each_group_its_rows_and_others_none() {
    let policy = r#"
@id("developers.connect")
permit (principal in Hoop::Group::"corp/dev", action == Hoop::Action::"connect", resource == Hoop::Target::"db");
"#;
    let world = World::start(Twist {
        attributes: ["", "attributes = { teams = \"teams\" }"],
        policy,
        below: r#"
[[target.filter]]
table = "public.notes"
where = "region = 'eu'"
for = ["corp/dba"]
[[target.filter]]
table = "public.notes"
where = "region = 'us'"
for = ["corp/oncall"]
[[target.filter]]
table = "public.notes"
where = "region = ANY (principal.teams)"
for = ["ci/deploy"]
[[target.filter]]
name = "not-erased"
table = "public.notes"
where = "NOT erased"
"#,
        ..Twist::default()
    })
    .await;
    let admin = world.cluster.admin().await;
    let rows = "CREATE TABLE notes (region text, body text, erased bool NOT NULL DEFAULT false);
        INSERT INTO notes VALUES ('eu', 'eu'), ('us', 'us'), ('jp', 'jp');
        INSERT INTO notes VALUES ('eu', 'gone', true)";
    admin.batch_execute(rows).await.expect("the rows");
    shows(&world.login("alice").await, BODIES, "eu\nus\n").await;
    let bob = world.login("bob").await;
    shows(&bob, BODIES, "").await;
    shows(&bob, "SELECT count(*) FROM notes", "0\n").await;
    let told = bob.run(&["explain", "db"]).await.ends(0).stdout;
    assert!(
        told.contains("public.notes: none of a slice that is for others (one lock, rule filter.1)"),
        "{told}"
    );
    let teams = job(&world, json!({"sub": "a", "teams": ["jp", "us"]})).await;
    shows(&teams, BODIES, "jp\nus\n").await;
    let nowhere = job(&world, json!({"sub": "b", "teams": []})).await;
    shows(&nowhere, BODIES, "").await;
}
