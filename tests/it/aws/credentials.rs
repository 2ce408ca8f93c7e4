//! Credentials of AWS that are handed out: the AWS CLI and boto3 through the real broker to moto.

use std::process::Stdio;
use std::time::Duration;

use hoopctl::gateway::clock::Clock;

use super::account::{KEY, Stage, stage};
use crate::requests::awaited;

/// Reads the one object.
const READ: &str = "import boto3; print(boto3.client('s3').get_object(Bucket='traces', Key='7.json')['Body'].read().decode())";

/// How often this stands in the ledger, once it does so often.
async fn entered(stage: &Stage, what: &str, expected: usize) {
    let mut count = 0;
    for _ in 0..100 {
        let bundles = stage.house.broker.data().join("ledger/tile/entries");
        // a bundle is written anew as it grows, beside its former self
        let bundle = files(&bundles).into_iter().max_by_key(Vec::len).unwrap_or_default();
        count = String::from_utf8_lossy(&bundle).matches(what).count();
        if count == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("`{what}` is entered {count} times, not {expected}:\n{}", stage.house.broker.log());
}

/// All files below a folder.
fn files(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let (mut folders, mut all) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => all.push(std::fs::read(&path).unwrap_or_default()),
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_and_boto3_read_with_credentials_that_they_fetch_themselves() {
    let stage = stage("", "").await;
    let list =
        stage.alice.run(&["connect", "aws-prod", "--", "aws", "s3", "ls", "s3://traces"]).await.ends(0);
    assert!(list.stdout.contains("7.json"), "{}", list.text());
    let read = stage.alice.run(&["exec", "aws-prod", "--", "python", "-c", READ]).await.ends(0);
    assert_eq!(read.stdout.trim(), "the seventh trace", "{}", read.text());

    let shown = stage.alice.run(&["exec", "aws-prod", "--", "env"]).await.ends(0);
    let names: Vec<&str> =
        shown.stdout.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    for absent in
        ["AWS_PROFILE", "AWS_ROLE_ARN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
    {
        assert!(!names.contains(&absent), "{absent}: {}", shown.stdout);
    }
    assert!(names.contains(&"AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{}", shown.stdout);

    // one verdict for each of three sessions, and an entry of each lease
    entered(&stage, "people.issue", 3).await;
    // issued and ended
    entered(&stage, "assumed-role/reader/corp=", 6).await;
}

/// What the loopback hands out, to whom, and how.
#[tokio::test(flavor = "multi_thread")]
async fn the_loopback_wants_the_sessions_secret_and_keeps_credentials_out_of_caches_and_records() {
    let stage = stage("", "").await;
    let script = r#"
u=$AWS_CONTAINER_CREDENTIALS_FULL_URI
curl -sS -i -H "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN" "$u"; echo
curl -sS -o /dev/null -w '%{http_code}\n' "$u"
curl -sS -o /dev/null -w '%{http_code}\n' -H "Authorization: x$AWS_CONTAINER_AUTHORIZATION_TOKEN" "$u"
curl -sS -o /dev/null -w '%{http_code}\n' -H "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN" "${u%credentials}other"
curl -sS -H "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN" "$u"
"#;
    let ran = stage.alice.run(&["exec", "aws-prod", "--", "sh", "-c", script]).await.ends(0);
    assert!(ran.stdout.to_ascii_lowercase().contains("cache-control: no-store"), "{}", ran.text());
    assert!(ran.stdout.contains("\n401\n401\n404\n"), "{}", ran.text());
    let last = ran.stdout.lines().last().expect("a line");
    let given: serde_json::Value = serde_json::from_str(last).expect("JSON");
    let expires: jiff::Timestamp = given["Expiration"].as_str().expect("a time").parse().expect("a time");
    let left = expires.duration_since(Clock::system().now()).as_secs();
    assert!((3500..=3600).contains(&left), "{left} seconds");
    assert_eq!(given["RoleArn"], "arn:aws:iam::123456789012:role/reader");
    // the second time they came out of memory
    entered(&stage, "people.issue", 1).await;
    let kept = files(&stage.house.broker.data()).concat();
    let (kept, log) = (String::from_utf8_lossy(&kept).into_owned(), stage.house.broker.log());
    for secret in [&given["SecretAccessKey"], &given["Token"], &serde_json::json!(KEY)] {
        let secret = secret.as_str().expect("text");
        assert!(secret.len() > 10 && !kept.contains(secret) && !log.contains(secret), "a secret was kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_policy_denies_starts_nothing_and_asks_nobody() {
    let stage = stage(
        "",
        r#"
@id("no.keys")
@reason("keys are for jobs only")
forbid (principal, action == Hoop::Action::"issue", resource);
"#,
    )
    .await;
    let ran = stage.alice.run(&["connect", "aws-prod", "--", "aws", "s3", "ls"]).await.ends(77);
    assert!(
        ran.stderr.contains("no.keys") && ran.stderr.contains("keys are for jobs only"),
        "{}",
        ran.text()
    );
    // STS was not asked
    entered(&stage, "assumed-role/reader", 0).await;
    let process = stage.alice.run(&["credentials", "aws-prod"]).await.ends(77);
    assert_eq!(process.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_waits_for_a_second_person_before_the_program_starts() {
    let stage = stage(
        "",
        r#"
@id("keys.reviewed")
@reason("somebody else looks at who gets keys")
@review("corp/dev:1")
forbid (principal, action == Hoop::Action::"issue", resource);
"#,
    )
    .await;
    let bob = stage.house.machine_of("bob").await;
    let mut command = stage.alice.command(&["connect", "aws-prod", "--", "aws", "s3", "ls", "s3://traces"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let id = awaited(&bob).await;
    let shown = bob.run(&["request", "show", &id]).await.ends(0);
    assert!(
        shown.text().contains("credentials of arn:aws:iam::123456789012:role/reader"),
        "{}",
        shown.text()
    );
    assert!(shown.text().contains("s3:GetObject"), "{}", shown.text());
    bob.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    let output = output.expect("in time").expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("7.json"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_lets_every_sdk_find_its_credentials_and_goes_without_a_trace() {
    let mut stage = stage("", "").await;
    let file = stage.alice.home().join("aws-config");
    let own = "[default]\nregion = us-east-1\n# mine\n";
    std::fs::write(&file, own).expect("written");
    stage.alice.set("AWS_CONFIG_FILE", &file.to_string_lossy());
    stage.alice.set("AWS_EC2_METADATA_DISABLED", "true");
    let dry = stage.alice.run(&["aws-profile", "--dry-run"]).await.ends(0);
    assert!(
        dry.stdout.contains("[profile hoop-aws-prod]") && dry.stdout.contains("credential_process ="),
        "{}",
        dry.text()
    );
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), own);
    stage.alice.run(&["aws-profile"]).await.ends(0);
    let once = std::fs::read_to_string(&file).expect("a file");
    stage.alice.run(&["aws-profile", "aws-prod"]).await.ends(0);
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), once);
    assert!(once.starts_with(own), "{once}");
    // as any program of alice's: nothing but a profile
    let mut python = std::process::Command::new(crate::support::moto::program("python"));
    python.args(["-c", READ]).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", stage.alice.home());
    python
        .env("AWS_CONFIG_FILE", &file)
        .env("AWS_PROFILE", "hoop-aws-prod")
        .env("HOOPCTL_CREDENTIAL_STORE", "file");
    let output = python.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "the seventh trace", "{}", String::from_utf8_lossy(&output.stderr));
    stage.alice.run(&["aws-profile", "--remove"]).await.ends(0);
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), own);
}

/// A session's end takes its tokens back, however it ends; those of others stay.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_denied_when_their_session_ends_also_when_the_broker_is_killed() {
    let mut stage = stage("revoke = \"inline-deny\"", "").await;
    stage.alice.run(&["connect", "aws-prod", "--", "true"]).await.ends(0);
    let policies = denied(&stage, 1).await;
    assert!(policies.starts_with("hoopctl-ended-"), "{policies}");
    let printed = stage.alice.run(&["credentials", "aws-prod"]).await.ends(0);
    let given: serde_json::Value = serde_json::from_str(&printed.stdout).expect("JSON");
    let expires: jiff::Timestamp = given["Expiration"].as_str().expect("a time").parse().expect("a time");
    // no longer than a silent login lasts
    assert!(expires.duration_since(Clock::system().now()).as_secs() <= 600, "{expires}");
    assert_eq!(stage.account.policies(), policies, "its session is open");
    stage.house.broker.kill();
    stage.house.broker.resume();
    denied(&stage, 2).await;
}

/// The role's policies once so many sessions are denied.
async fn denied(stage: &Stage, sessions: usize) -> String {
    for _ in 0..100 {
        let policies = stage.account.policies();
        if policies.matches("\"ses_").count() == sessions {
            return policies;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("not denied: {}\n{}", stage.account.policies(), stage.house.broker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_what_credentials_are_good_for_and_what_nobody_sees() {
    let stage = stage("", "").await;
    let told = stage.alice.run(&["explain", "aws-prod"]).await.ends(0);
    for words in [
        "arn:aws:iam::123456789012:role/reader in eu-central-1",
        "s3:GetObject, s3:ListBucket on arn:aws:s3:::traces",
        "what is done with the credentials is not seen",
        "standing key AKIABROKER",
        "credentials last until they expire",
    ] {
        assert!(told.stdout.replace("\n", " ").contains(words), "{words}: {}", told.text());
    }
}
