//! Jobs, pods and robots log in with what their platforms hand out.

mod container;
mod cost;
mod long;
mod refusals;
mod stage;

use std::path::Path;

use serde_json::{Value, json};

use crate::support::env::Env;
use crate::support::world::{Twist, World, psql};
use stage::{Forge, names};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_github_logs_in_with_what_its_runner_hands_out() {
    let forge = Forge::start();
    let job = forge.github_job();
    let ran = job.run(&["login", "--workload", "github"]).await.ends(0);
    assert!(ran.stdout.contains("(ci:repo:acme/app:ref:refs/heads/main)"), "{}", ran.text());
    let who = job.run(&["--workload", "github", "whoami", "--output", "json"]).await.ends(0);
    let who: Value = serde_json::from_str(&who.stdout).expect("JSON");
    assert_eq!((&who["kind"], &who["groups"]), (&json!("machine"), &json!(["ci/deploy"])));
    // the commands of a job share what the first one got
    assert_eq!(forge.provider.github_asked().await, 1);

    // another job on this machine, in an environment: its own token, its own key
    let mut other = forge.github_job();
    other.set("ACTIONS_ID_TOKEN_REQUEST_URL", &format!("{}/actions/token?job=2", forge.provider.issuer));
    let subject = "repo:acme/app:environment:production";
    forge.provider.github_claims(json!({"sub": subject, "environment": "production"})).await;
    let ran = other.run(&["whoami", "--workload", "github", "--output", "json"]).await.ends(0);
    let there: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(there["principal"]["subject"], subject);
    assert_ne!(there["device"], who["device"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_github_that_may_ask_for_no_token_hears_what_to_permit() {
    let forge = Forge::start();
    let mut job = forge.env();
    job.set("HOOPCTL_WORKLOAD", "github");
    let ran = job.run(&["whoami"]).await.ends(79);
    assert!(ran.stderr.contains("this is no job of GitHub Actions"), "{}", ran.stderr);
    job.set("GITHUB_ACTIONS", "true");
    let ran = job.run(&["whoami"]).await.ends(79);
    assert!(ran.stderr.contains("ACTIONS_ID_TOKEN_REQUEST_URL is not set"), "{}", ran.stderr);
    assert!(ran.stderr.contains("id-token: write"), "{}", ran.stderr);

    let mut job = forge.github_job();
    job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another-jobs");
    let ran = job.run(&["--workload", "github", "whoami"]).await.ends(79);
    assert!(
        ran.stderr.contains("GitHub gives this job no token: its token service answers 401"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("another-jobs"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn github_is_asked_for_no_token_that_is_for_somebody_else() {
    let forge = Forge::start();
    let job = forge.github_job();
    let ran = job.run(&["--workload", "github:sts.amazonaws.com", "whoami"]).await.ends(79);
    assert!(ran.stderr.contains("takes tokens for `urn:hoopctl:broker`"), "{}", ran.stderr);
    assert_eq!(forge.provider.github_asked().await, 0);
    job.run(&["--workload", "github:urn:hoopctl:broker", "whoami"]).await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_gitlab_has_its_token_in_a_variable() {
    let forge = Forge::start();
    let mut job = forge.env();
    job.set("HOOPCTL_WORKLOAD", "gitlab");
    let ran = job.run(&["whoami"]).await.ends(79);
    assert!(ran.stderr.contains("this is no job of GitLab"), "{}", ran.stderr);
    job.set("GITLAB_CI", "true");
    let ran = job.run(&["whoami"]).await.ends(79);
    assert!(ran.stderr.contains("id_tokens: {HOOPCTL_ID_TOKEN: {aud: AUDIENCE}}"), "{}", ran.stderr);

    let token = forge.provider.mint(json!({"shape": "gitlab"})).await;
    job.set("HOOPCTL_ID_TOKEN", &token);
    let ran = job.run(&["whoami"]).await.ends(0);
    assert!(ran.stdout.contains("ci:project_path:acme/app:ref_type:branch:ref:main"), "{}", ran.stdout);
    // a list is not the value that is in it, and a branch that anybody may push to is not a protected one
    for claims in [json!({"project_path": ["acme/app"]}), json!({"ref_protected": "false"})] {
        job.set("OTHER", &forge.provider.mint(json!({"shape": "gitlab", "claims": claims})).await);
        let ran = job.run(&["--workload", "gitlab:OTHER", "whoami"]).await.ends(77);
        assert!(ran.stderr.contains("no rule of the issuer matches"), "{}", ran.stderr);
    }
    assert!(forge.broker.log().contains("project_path = [\\\"acme/app\\\"]"), "{}", forge.broker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_reads_its_token_anew_as_kubelet_renews_it() {
    let forge = Forge::start();
    let pod = forge.env();
    let file = pod.home().join("token");
    let source = format!("kubernetes:{}", file.display());
    let whoami = ["--workload", &source, "whoami", "--output", "json"];
    let ran = pod.run(&whoami).await.ends(79);
    assert!(
        ran.stderr.contains("cannot be read") && ran.stderr.contains("projected token"),
        "{}",
        ran.stderr
    );

    let mut devices = Vec::new();
    for _ in 0..2 {
        let token = forge.provider.mint(json!({"shape": "kubernetes"})).await;
        std::fs::write(&file, format!("{token}\n")).expect("written");
        let ran = pod.run(&whoami).await.ends(0);
        let who: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert_eq!(who["principal"]["subject"], "system:serviceaccount:shop:migrations");
        devices.push(who["device"].clone());
    }
    assert_eq!(devices[0], devices[1], "one pod, one key");

    // what every pod has is for the cluster's own API, where whoever gets it could use it
    let claims = json!({"aud": ["https://kubernetes.default.svc.cluster.local"]});
    let token = forge.provider.mint(json!({"shape": "kubernetes", "claims": claims})).await;
    std::fs::write(&file, token).expect("written");
    let ran = pod.run(&whoami).await.ends(79);
    assert!(ran.stderr.contains("is for `https://kubernetes.default.svc.cluster.local`"), "{}", ran.stderr);
    assert!(!forge.broker.log().contains("login refused"), "{}", forge.broker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_logs_in_with_an_id_and_a_secret() {
    let forge = Forge::start();
    let mut robot = forge.env();
    robot.set("HOOPCTL_WORKLOAD", "client-credentials");
    let ran = robot.run(&["whoami"]).await.ends(79);
    assert!(ran.stderr.contains("HOOPCTL_CLIENT_ID is not set"), "{}", ran.stderr);
    robot.set("HOOPCTL_CLIENT_ID", "robot");
    // the broker names an issuer, and nothing is sent there on its word alone
    let ran = robot.run(&["whoami"]).await.ends(79);
    assert!(ran.stderr.contains("HOOPCTL_CLIENT_ISSUER is not set"), "{}", ran.stderr);
    robot.set("HOOPCTL_CLIENT_ISSUER", &forge.provider.issuer);
    let ran = robot.run(&["whoami"]).await.ends(79);
    assert!(ran.stderr.contains("HOOPCTL_CLIENT_SECRET is not set"), "{}", ran.stderr);

    let file = robot.home().join("secret");
    std::fs::write(&file, "robot-secret\n").expect("written");
    private(&file, 0o644);
    robot.set("HOOPCTL_CLIENT_SECRET_FILE", &file.display().to_string());
    let ran = robot.run(&["whoami"]).await.ends(79);
    assert!(ran.stderr.contains("is open to other users"), "{}", ran.stderr);
    private(&file, 0o600);
    let ran = robot.run(&["whoami"]).await.ends(0);
    assert!(ran.stdout.contains("ci:robot") && ran.stdout.contains("ci/deploy"), "{}", ran.stdout);
    robot.run(&["--workload", "client-credentials:ci", "whoami"]).await.ends(0);
    let ran = robot.run(&["--workload", "client-credentials:idp", "whoami"]).await.ends(79);
    assert!(ran.stderr.contains("this broker knows `ci`"), "{}", ran.stderr);

    // a broker that is not believed this far does not get the secret sent elsewhere
    let mut wary = forge.env();
    for (name, value) in [
        ("HOOPCTL_WORKLOAD", "client-credentials"),
        ("HOOPCTL_CLIENT_ID", "robot"),
        ("HOOPCTL_CLIENT_SECRET", "robot-secret"),
        ("HOOPCTL_CLIENT_ISSUER", "https://idp.example"),
    ] {
        wary.set(name, value);
    }
    let ran = wary.run(&["whoami"]).await.ends(79);
    assert!(ran.stderr.contains("HOOPCTL_CLIENT_ISSUER is https://idp.example"), "{}", ran.stderr);
    wary.set("HOOPCTL_CLIENT_ISSUER", &forge.provider.issuer);
    wary.run(&["whoami"]).await.ends(0);
    wary.set("HOOPCTL_CLIENT_ID", "nobody");
    wary.set("HOOPCTL_CLIENT_SECRET", "wrong-secret");
    let ran = wary.run(&["whoami"]).await;
    assert!(ran.code == 78 && ran.stderr.contains("invalid_client"), "{}", ran.text());

    for folder in [robot.state(), wary.state(), forge.broker.data()] {
        let kept = stage::files(&folder);
        let with_secret = kept.iter().filter(|(_, content)| holds(content, "robot-secret"));
        assert_eq!(with_secret.count(), 0);
    }
    for text in [forge.broker.log(), ran.text()] {
        assert!(!text.contains("robot-secret") && !text.contains("wrong-secret"), "{text}");
    }
}

/// The whole way, as a workflow's steps go it.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_github_uses_a_database_and_leaves_nothing_behind() {
    let world = World::start(Twist::default()).await;
    let mut job = Env::new(&world.broker.url);
    job.set("HOOPCTL_BROKER_PIN", &world.pin());
    job.set("HOOPCTL_WORKLOAD", "github");
    for (name, value) in world.provider.github_job() {
        job.set(name, &value);
    }
    assert_eq!(psql(&job, "SELECT count(*) FROM plain").await.ends(0).stdout, "2\n");
    let migrate = ["exec", "db", "--", "psql", "-XAtc", "SELECT current_user LIKE 'hoop\\_%'"];
    assert_eq!(job.run(&migrate).await.ends(0).stdout, "t\n");
    assert_eq!(world.provider.github_asked().await, 1);

    // a runner that gives no folder: each command asks for itself, and its key dies with it
    let mut bare = job.command(&migrate);
    bare.env_remove("HOOPCTL_HOME").env_remove("XDG_RUNTIME_DIR").env_remove("HOME");
    let ran = crate::support::env::Ran::from(bare.output().await.expect("it runs")).ends(0);
    assert_eq!(ran.stdout, "t\n");
    assert_eq!(names(&job.home().join("run")), Vec::<String>::new());
    assert_eq!(world.provider.github_asked().await, 2);
    world.until_no_roles().await;
}

fn private(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).expect("its mode");
}

fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|window| window == text.as_bytes())
}
