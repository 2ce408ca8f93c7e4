//! Two databases, a host and two APIs behind one broker, and people with machines of their own.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use hoopctl::broker::embedded::{Decision, DemoUser, EmbeddedProvider, Running, decide};
use tokio::process::{Child, Command};

use crate::support::broker::Broker;
use crate::support::demo_api::DemoApi;
use crate::support::env::{Env, Ran, program};
use crate::support::postgres::{Cluster, majors};
use crate::support::sshd::Sshd;
use crate::support::world::target;

/// What only the broker holds.
pub(super) const KEY: &str = "api-key-of-the-broker-alone";

/// Everything that a job may want at once.
pub(super) struct Stage {
    _cluster: Cluster,
    pub(super) broker: Broker,
    sshd: Option<Sshd>,
    apis: Vec<DemoApi>,
    _provider: Running,
}

const POLICY: &str = r#"
@id("people.connect")
permit (principal in Hoop::Group::"corp/dba", action == Hoop::Action::"connect", resource)
    unless { resource == Hoop::Target::"secret-db" };
@id("people.work")
permit (principal in Hoop::Group::"corp/dba", action in [Hoop::Action::"exec", Hoop::Action::"shell",
    Hoop::Action::"file", Hoop::Action::"env", Hoop::Action::"subsystem", Hoop::Action::"call"], resource);
"#;

impl Stage {
    /// The database `db` alone, under these further rules.
    pub(super) async fn of_databases(rules: &str) -> Self {
        Self::built(rules, false).await
    }

    /// All of them.
    pub(super) async fn whole() -> Self {
        Self::built("", true).await
    }

    async fn built(rules: &str, whole: bool) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let provider = EmbeddedProvider::start(address, DemoUser::cast()).await.expect("a provider");
        let cluster = Cluster::start(*majors().last().expect("a major"));
        let admin = cluster.admin().await;
        for name in ["orders", "secret"] {
            admin.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("ours");
        }
        let other = |name: &str| {
            target(&cluster, "owner = \"corp/dev\"", "")
                .replace("\"db\"", &format!("\"{name}-db\""))
                .replace("database = \"postgres\"", &format!("database = \"{name}\""))
        };
        let mut targets = target(&cluster, "owner = \"corp/dev\"", "") + &other("orders") + &other("secret");
        let sshd = whole.then(Sshd::start);
        if let Some(sshd) = &sshd {
            targets.push_str(&format!(
                "[[target]]\nname = \"bastion\"\nprotocol = \"ssh\"\nhost = \"127.0.0.1\"\nport = {}\n\
                 login = \"{}\"\nhost_keys = [\"{}\"]\n[target.issuer]\nkind = \"ssh-certificate\"\n",
                sshd.port, sshd.login, sshd.host_key
            ));
        }
        let apis: Vec<DemoApi> = (0..if whole { 2 } else { 0 }).map(|_| DemoApi::start(KEY)).collect();
        for (name, api) in ["billing-api", "traces"].iter().zip(&apis) {
            targets.push_str(&format!(
                "[[target]]\nname = \"{name}\"\nprotocol = \"http\"\nbase = \"http://127.0.0.1:{}/v1\"\n\
                 [target.issuer]\nkind = \"bearer\"\nsecret = {{ file = \"api-key\" }}\n",
                api.port
            ));
        }
        let config = format!(
            "[[provider]]\nname = \"corp\"\nissuer = \"{}\"\nclient_id = \"hoopctl\"\n\
             groups = [\"dba\", \"oncall\", \"dev\"]\n\n[policy]\npresets = [\"allow-statements\"]\n\
             files = [\"policy.cedar\"]\n{targets}",
            provider.issuer
        );
        let policy = format!("{POLICY}{rules}");
        let files =
            [("admin-password", cluster.password.as_str()), ("api-key", KEY), ("policy.cedar", &policy)];
        let broker = Broker::start_with(&config, &files);
        let stage = Self { _cluster: cluster, broker, sshd, apis, _provider: provider };
        if let Some(sshd) = &stage.sshd {
            let operator = Env::new(&stage.broker.url);
            let file = stage.broker.config.to_str().expect("a path");
            let authority = operator.run(&["broker", "ssh-ca", "--config", file]).await.ends(0);
            std::fs::write(sshd.folder.path().join("authority.pub"), authority.stdout).expect("written");
        }
        stage
    }

    /// Somebody's machine, logged in.
    pub(super) async fn login(&self, person: &str) -> Env {
        let env = Env::new(&self.broker.url);
        let pin = self.broker.pin();
        let approve = async |page: String| {
            decide(&page.parse().expect("a page"), Decision::Approve(person))
                .await
                .expect("the page takes it");
        };
        env.login(&["--broker-pin", &pin], approve).await.ends(0);
        env
    }

    /// The port of an API.
    pub(super) fn api_port(&self, number: usize) -> u16 {
        self.apis[number].port
    }

    /// Sessions of these states that somebody has.
    pub(super) async fn sessions(&self, env: &Env) -> Vec<String> {
        let listed = env.run(&["--output", "json", "session", "list"]).await.ends(0);
        let sessions = listed.stdout.lines().map(|line| {
            let session: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let state = session["state"]["state"].as_str().or_else(|| session["state"].as_str());
            format!("{} {}", session["target"].as_str().expect("a target"), state.expect("a state"))
        });
        let mut sessions: Vec<String> = sessions.collect();
        sessions.sort();
        sessions
    }

    /// Waits until no session of somebody's is open.
    pub(super) async fn until_closed(&self, env: &Env, within: Duration) {
        let began = std::time::Instant::now();
        loop {
            let open = self.sessions(env).await;
            let open: Vec<_> = open.iter().filter(|session| !session.ends_with(" closed")).collect();
            if open.is_empty() {
                return;
            }
            assert!(began.elapsed() < within, "{open:?} stay:\n{}", self.broker.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What lies in the places of running sessions.
pub(super) fn places(env: &Env) -> Vec<String> {
    let entries = std::fs::read_dir(env.state().join("run")).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// The program as a CI runner starts it: without a terminal, leading a session of its own.
pub(super) fn without_terminal(env: &Env, arguments: &[&str]) -> Command {
    let like = env.command(&[]);
    let mut command = Command::new("setsid");
    command
        .arg(program())
        .args(arguments)
        .env_clear()
        .envs(like.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(env.home())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A script that counts the signals that it gets in a file each, once it has written `ready`.
pub(super) fn counter(env: &Env) -> String {
    let script = env.home().join("counter");
    let text = "for s in HUP INT QUIT USR1 USR2 CONT; do trap \"echo >> $HOME/$s\" $s; done\n\
                trap 'echo >> $HOME/TERM; exit 3' TERM\necho $$ > $HOME/ready\n\
                while :; do sleep 0.05; done\n";
    std::fs::write(&script, text).expect("a script");
    script.to_string_lossy().into_owned()
}

/// How often the script got a signal.
pub(super) fn counted(env: &Env, signal: &str) -> usize {
    std::fs::read_to_string(env.home().join(signal)).unwrap_or_default().lines().count()
}

/// Waits until this file is there, and reads it.
pub(super) async fn until_file(env: &Env, name: &str) -> String {
    for _ in 0..600 {
        let text = std::fs::read_to_string(env.home().join(name)).unwrap_or_default();
        if text.ends_with('\n') {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("`{name}` is not written");
}

/// Waits for the end.
pub(super) async fn ended(child: Child) -> Ran {
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    Ran::from(output.expect("it ends").expect("it runs"))
}

/// Whether a process is there and no zombie.
pub(super) fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !(stat.is_empty() || stat.contains(") Z "))
}
