//! Who somebody is: jobs and their keys, new devices, tokens that are late.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hoopctl::client::session::LiveSession;
use hoopctl::gateway::clock::Clock;
use serde_json::{Value, json};

use crate::support::client;
use crate::support::env::{Env, Ran, page_of};
use crate::support::house::{House, approve};
use crate::support::world::{Twist, World, psql};

/// A job on a runner: it knows its broker and its token, and has a folder of its own.
struct Runner {
    env: Env,
    folder: &'static str,
}

impl Runner {
    fn new(world: &World, folder: &'static str) -> Self {
        let mut env = Env::new(&world.broker.url);
        env.set("HOOPCTL_BROKER_PIN", &world.pin());
        let source = format!("token-file:{}", env.home().join("token").display());
        env.set("HOOPCTL_WORKLOAD", &source);
        Self { env, folder }
    }

    fn gets(&self, token: &str) {
        std::fs::write(self.env.home().join("token"), token).expect("written");
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.env.command(arguments);
        command.env_remove("HOOPCTL_HOME").env_remove("XDG_RUNTIME_DIR").env_remove("TMPDIR");
        command.env(self.folder, self.env.home().join("run"));
        let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
        Ran::from(output.expect("it ends").expect("it runs"))
    }

    async fn device(&self) -> String {
        let ran = self.run(&["whoami", "--output", "json"]).await.ends(0);
        let who: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert_eq!(who["principal"], json!({"provider": "ci", "subject": "robot"}));
        who["device"].as_str().expect("a device").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_a_job_share_its_token_and_a_thief_gets_nothing() {
    let world = World::start(Twist::default()).await;
    let first = world.provider.job_token().await;
    for folder in ["RUNNER_TEMP", "XDG_RUNTIME_DIR", "HOOPCTL_HOME"] {
        let job = Runner::new(&world, folder);
        let token = world.provider.job_token().await;
        job.gets(&token);
        job.run(&["list"]).await.ends(0);
        let device = job.device().await;
        let query = ["connect", "db", "--", "-XAtc", "SELECT count(*) FROM plain"];
        assert_eq!(job.run(&query).await.ends(0).stdout, "2\n");
        job.run(&["exec", "db", "--", "psql", "-XAtc", "SELECT 1"]).await.ends(0);
        // the platform writes another one meanwhile
        job.gets(&world.provider.job_token().await);
        assert_eq!(job.device().await, device);

        let thief = Runner::new(&world, folder);
        thief.gets(&token);
        let refused = thief.run(&["list"]).await.ends(79);
        assert!(refused.stderr.contains("exchanged before, with another key"), "{}", refused.stderr);
        job.gets(&token);
        job.run(&["list"]).await.ends(0);
        assert!(!job.env.home().join(".local").exists(), "state in the home of the runner");
    }
    // a token that nobody used is anybody's: the first exchange binds it
    let job = Runner::new(&world, "RUNNER_TEMP");
    job.gets(&first);
    job.run(&["list"]).await.ends(0);
    world.until_no_roles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_folder_leaves_nothing_behind() {
    let world = World::start(Twist::default()).await;
    let job = Runner::new(&world, "TMPDIR");
    job.gets(&world.provider.job_token().await);
    assert_eq!(job.run(&["connect", "db", "--", "-XAtc", "SELECT 1"]).await.ends(0).stdout, "1\n");
    assert_eq!(names(&job.env.home().join("run")), Vec::<String>::new());
    let refused = job.run(&["list"]).await.ends(79);
    assert!(refused.stderr.contains("HOOPCTL_HOME, RUNNER_TEMP or XDG_RUNTIME_DIR"), "{}", refused.stderr);

    // no folder at all can be written
    job.gets(&world.provider.job_token().await);
    let mut command = job.env.command(&["list"]);
    command
        .env_remove("HOOPCTL_HOME")
        .env_remove("XDG_RUNTIME_DIR")
        .env("TMPDIR", "/proc")
        .env("HOME", "/proc");
    let ran = Ran::from(command.output().await.expect("it runs")).ends(0);
    assert!(ran.stdout.contains("db"), "{}", ran.stdout);
}

/// A platform that hands a job its token in a variable: no file, no prompt, no keyring.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_logs_in_with_the_token_in_its_environment() {
    let world = World::start(Twist::default()).await;
    let mut job = Env::new(&world.broker.url);
    job.set("HOOPCTL_BROKER_PIN", &world.pin());
    let ran = job.run(&["--workload", "env:CI_TOKEN", "list"]).await.ends(79);
    assert!(ran.stderr.contains("there is no workload token in `env:CI_TOKEN`"), "{}", ran.stderr);

    let token = world.provider.job_token().await;
    let (signed, signature) = token.rsplit_once('.').expect("a JWT");
    let (head, _) = signed.split_once('.').expect("a JWT");
    // whoever makes claims of their own gets nowhere
    let claims =
        r#"{"iss":"ISSUER","aud":"urn:hoopctl:broker","sub":"robot","client_id":"robot","iat":1,"exp":9e9}"#;
    let claims = URL_SAFE_NO_PAD.encode(claims.replace("ISSUER", &world.provider.issuer));
    job.set("CI_TOKEN", &format!("{head}.{claims}.{signature}"));
    let forged = job.run(&["--workload", "env:CI_TOKEN", "list"]).await.ends(79);
    assert!(forged.stderr.contains("its signature is wrong"), "{}", forged.stderr);

    job.set("CI_TOKEN", &token);
    let ran = job.run(&["login", "--workload", "env:CI_TOKEN"]).await.ends(0);
    assert!(ran.stdout.contains("(ci:robot)"), "{}", ran.text());
    assert!(!ran.stderr.contains("no group"), "{}", ran.stderr);
    job.set("HOOPCTL_WORKLOAD", "env:CI_TOKEN");
    let who = job.run(&["whoami", "--output", "json"]).await.ends(0);
    let who: Value = serde_json::from_str(&who.stdout).expect("JSON");
    assert_eq!((&who["kind"], &who["groups"]), (&json!("machine"), &json!(["ci/deploy"])));
    assert_eq!(psql(&job, "SELECT count(*) FROM plain").await.ends(0).stdout, "2\n");
    // its keys are on the machine and at the broker, its token is nowhere
    for folder in [job.state(), world.broker.data()] {
        for path in files(&folder) {
            let content = std::fs::read(&path).expect("a file");
            let found = content.windows(signature.len()).any(|window| window == signature.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
    assert!(!world.broker.log().contains(signature), "{}", world.broker.log());
    world.until_no_roles().await;
}

/// Thirty seconds are forgiven, in both directions; beyond that the clock is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_whose_clock_is_off_is_forgiven_little_and_named() {
    let house = House::start().await;
    for ahead in [25, -25] {
        house.put_ahead(ahead);
        house.machine().await.run(&["whoami"]).await.ends(0);
    }
    // its tokens last five minutes
    for (ahead, says) in [(90, "it is from the future"), (-400, "it has expired")] {
        house.put_ahead(ahead);
        let ran = house.sign_in(&Env::new(&house.broker.url), || {}).await.ends(79);
        assert!(ran.stderr.contains(says) && ran.stderr.contains("the clock of"), "{}", ran.stderr);
        assert!(house.broker.log().contains(says), "{}", house.broker.log());
    }
}

/// A provider that signs twice within a second may sign the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn two_sign_ins_of_one_second_get_past_each_other() {
    let house = House::start().await;
    house.freeze(0);
    house.machine().await;
    let second = Env::new(&house.broker.url);
    let goes_on = async {
        while !house.broker.log().contains("exchanged before") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        house.thaw();
    };
    let signed = async { tokio::join!(house.sign_in(&second, || {}), goes_on) };
    let (ran, ()) = tokio::time::timeout(Duration::from_secs(60), signed).await.expect("they meet");
    ran.ends(0);
    second.run(&["whoami"]).await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_is_let_in_by_one_that_is_enrolled() {
    let house = House::start().await;
    let first = house.machine().await;
    // her sign-in at the provider is seven minutes old
    house.freeze(420);
    let second = Env::new(&house.broker.url);
    let pin = house.broker.pin();
    let (mut codes, mut keys) = (Vec::new(), Vec::new());
    let ran = second
        .watch(&["login", "--broker-pin", &pin], async |line| {
            if let Some(page) = page_of(&line) {
                approve(&page).await;
                house.thaw();
            } else if let Some(code) = line.trim().strip_prefix("hoopctl device confirm ") {
                codes.push(code.to_owned());
            } else if line.trim().len() == 43 && !codes.is_empty() {
                let (key, code) = (line.trim().to_owned(), codes.last().expect("a code").clone());
                keys.push(key.clone());
                let listed = first.run(&["device", "list"]).await.ends(0);
                assert!(
                    listed.stdout.contains(&key) && listed.stdout.contains("waits until"),
                    "{}",
                    listed.stdout
                );
                // nobody is there to be asked
                first.run(&["device", "confirm", &code]).await.ends(64);
                let wrong = "A".repeat(43);
                first.run(&["device", "confirm", &code, "--key", &wrong]).await.ends(77);
                first.run(&["device", "confirm", "ZZZZ-ZZZZ", "--key", &key]).await.ends(77);
                let confirmed = first.run(&["device", "confirm", &code, "--key", &key]).await.ends(0);
                assert!(confirmed.stderr.contains(&format!("waiting: {key}")), "{}", confirmed.stderr);
                assert!(confirmed.stderr.contains("this device: "), "{}", confirmed.stderr);
            }
        })
        .await
        .ends(0);
    assert_eq!((codes.len(), keys.len()), (1, 1), "{}", ran.text());
    let who = second.run(&["whoami"]).await.ends(0);
    assert!(who.stdout.contains(&format!("device: {}", keys[0])), "{}", who.stdout);
    // the one that let it in knows it
    first.forget_access();
    assert!(!first.run(&["whoami"]).await.ends(0).stderr.contains("does not know"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_enrolled_meanwhile_is_announced() {
    let house = House::start().await;
    let first = house.machine().await;
    let second = Env::new(&house.broker.url);
    let ran = house.sign_in(&second, || {}).await.ends(0);
    assert!(ran.stderr.contains("1 other device of yours may sign in"), "{}", ran.stderr);
    let who = second.run(&["whoami", "--output", "json"]).await.ends(0);
    let who: Value = serde_json::from_str(&who.stdout).expect("JSON");
    let stranger = who["device"].as_str().expect("a device");
    // at each visit, until the person has looked
    for _ in 0..2 {
        first.forget_access();
        let ran = first.run(&["whoami"]).await.ends(0);
        assert!(ran.stderr.contains("warning: a device that this one does not know"), "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("hoopctl device revoke {stranger}")), "{}", ran.stderr);
    }
    assert!(first.run(&["device", "list"]).await.ends(0).stdout.contains("not seen before"));
    first.forget_access();
    assert_eq!(first.run(&["whoami"]).await.ends(0).stderr, "");
}

/// A token that the broker no longer takes is replaced while a tunnel is dialled.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_that_is_answered_401_is_dialled_with_a_new_token() {
    let world = World::start(Twist::default()).await;
    let alice = world.login("alice").await;
    let clock = Clock::system();
    let api = client::api(&alice, &world.broker.url, clock.clone());
    let place = api.context().home.broker(api.link().url()).expect("a place");
    let (session, _secret) = LiveSession::open(&api, "db", None).await.expect("a session");
    // what this process keeps is taken for good for four minutes more, and the broker knows nothing of it
    let later = clock.now() + jiff::SignedDuration::from_mins(4);
    let token = json!({"token": "x".repeat(43), "since": clock.now(), "expires": later});
    place.write("access.json", token.to_string().as_bytes()).expect("written");
    let refused = api.renew(&api.access().await.expect("a token")).await.expect("what lies there");
    assert_eq!(refused.expires, later);
    session.opener(None).open().await.map(drop).expect("a tunnel");
    assert_ne!(api.access().await.expect("a token").expires, later);
    session.close().await.expect("closed");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}
