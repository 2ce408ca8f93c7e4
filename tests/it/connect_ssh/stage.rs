//! A provider, a broker, a host behind it, and people with machines of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoopctl::broker::embedded::{Decision, DemoUser, EmbeddedProvider, Running, decide};
use tokio::process::Command;

use crate::support::broker::Broker;
use crate::support::env::{Env, Ran};
use crate::support::sshd::Sshd;

/// A host, a broker in front of it, a provider.
pub(super) struct Stage {
    pub(super) sshd: Sshd,
    pub(super) broker: Broker,
    _provider: Running,
}

const POLICY: &str = r#"
@id("people.connect")
permit (principal in Hoop::Group::"corp/dba", action == Hoop::Action::"connect", resource);
@id("people.work")
permit (principal in Hoop::Group::"corp/dba", action in [Hoop::Action::"exec", Hoop::Action::"shell",
    Hoop::Action::"file", Hoop::Action::"env", Hoop::Action::"subsystem"], resource);
@id("people.audit")
permit (principal in Hoop::Group::"corp/oncall", action in [Hoop::Action::"audit", Hoop::Action::"kill"], resource);
"#;

/// The preset, and one thing that waits for somebody.
const RULES: &str = concat!(
    include_str!("../../../policies/dangerous-shell.cedar"),
    r#"
@id("touch-is-reviewed") @reason("somebody looks at this") @review("corp/dev:1")
forbid (principal, action == Hoop::Action::"exec", resource) when { context.programs.contains("touch") };
"#
);

impl Stage {
    /// Starts all of them.
    pub(super) async fn open() -> Self {
        Self::ruled(RULES).await
    }

    /// With these rules beside those that let people work; `SSHD` in them is the host's port.
    pub(super) async fn ruled(rules: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let provider = EmbeddedProvider::start(address, DemoUser::cast()).await.expect("a provider");
        let sshd = Sshd::start();
        let config = format!(
            r#"[[provider]]
name = "corp"
issuer = "{}"
client_id = "hoopctl"
groups = ["dba", "oncall", "dev"]

[policy]
files = ["policy.cedar", "shell.cedar"]

[[target]]
name = "bastion"
protocol = "ssh"
host = "127.0.0.1"
port = {}
login = "{}"
host_keys = ["{}"]
owner = "corp/dev"
record = "full"
[target.issuer]
kind = "ssh-certificate"
"#,
            provider.issuer, sshd.port, sshd.login, sshd.host_key,
        );
        let rules = rules.replace("SSHD", &sshd.port.to_string());
        let broker = Broker::start_with(&config, &[("policy.cedar", POLICY), ("shell.cedar", &rules)]);
        let stage = Self { sshd, broker, _provider: provider };
        let operator = Env::new(&stage.broker.url);
        let file = stage.broker.config.to_str().expect("a path");
        let authority = operator.run(&["broker", "ssh-ca", "--config", file]).await.ends(0);
        // the server reads it at each login
        std::fs::write(stage.sshd.folder.path().join("authority.pub"), authority.stdout).expect("written");
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

    /// Runs `hoopctl ssh-config` there.
    pub(super) async fn ssh_config(&self, env: &Env) {
        env.run(&["ssh-config"]).await.ends(0);
    }

    /// The user's own ssh, with the user's own configuration.
    pub(super) fn ssh(&self, env: &Env, arguments: &[&str]) -> Command {
        self.ssh_with(env, &env.home().join(".ssh/config"), arguments)
    }

    /// The user's own ssh with this configuration. It is named because ssh asks the system, not HOME.
    pub(super) fn ssh_with(&self, env: &Env, config: &Path, arguments: &[&str]) -> Command {
        let mut command = self.plain(env, "ssh");
        command.arg("-F").arg(config).args(arguments);
        command
    }

    /// A shell on the user's machine.
    pub(super) fn shell(&self, env: &Env, script: &str) -> Command {
        let mut command = self.plain(env, "sh");
        command.args(["-c", script]);
        command
    }

    fn plain(&self, env: &Env, program: &str) -> Command {
        let like = env.command(&[]);
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(like.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(env.home())
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// The keys of plain ssh that lie there.
    pub(super) fn keys(&self, env: &Env) -> Vec<PathBuf> {
        let brokers = std::fs::read_dir(env.state().join("brokers")).expect("a folder");
        let keys = brokers.map(|broker| broker.expect("an entry").path().join("ssh/keys/bastion/key"));
        keys.filter(|key| key.exists()).collect()
    }

    /// Waits until the last connection has taken its key away, which it does after ssh has ended.
    pub(super) async fn until_no_keys(&self, env: &Env) {
        for _ in 0..200 {
            if self.keys(env).is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("keys are left: {:?}", self.keys(env));
    }
}

/// Runs to the end.
pub(super) async fn ended(mut command: Command) -> Ran {
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
    Ran::from(output.expect("it ends").expect("it runs"))
}

/// The latest session of somebody.
pub(super) async fn session_of(env: &Env) -> String {
    let listed = env.run(&["session", "list", "--output", "json"]).await.ends(0);
    let sessions =
        listed.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let latest = sessions.max_by_key(|session| session["opened"].as_str().map(str::to_owned));
    latest.expect("a session")["id"].as_str().expect("an id").to_owned()
}

/// The replay of a session whose second deed was a shell that ended with 3, once it is whole, which is shortly after ssh has ended.
pub(super) async fn replayed(env: &Env, session: &str) -> Ran {
    for _ in 0..100 {
        let ran = env.run(&["session", "replay", session, "--speed", "100000"]).await.ends(0);
        if ran.stdout.contains(" 2: exit 3\n") {
            return ran;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the recording of {session} is not there");
}

/// The request that waits for this reviewer.
pub(super) async fn opened(env: &Env) -> String {
    for _ in 0..200 {
        let listed = env.run(&["request", "list", "--reviewable", "--output", "json"]).await.ends(0);
        let requests =
            listed.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let pending = requests.map(|view| view["request"].clone()).find(|request| {
            request["state"].as_str() == Some("pending")
                || request["state"]["state"].as_str() == Some("pending")
        });
        if let Some(request) = pending {
            return request["id"].as_str().expect("an id").to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is asked");
}

/// A tree of this many small files, some with names that must be quoted.
pub(super) fn tree(root: &Path, files: usize) {
    for number in 0..files {
        let folder = root.join((number % 10).to_string());
        std::fs::create_dir_all(&folder).expect("a folder");
        let name =
            if number % 100 == 99 { format!("it's {number} * $x.txt") } else { format!("{number}.txt") };
        std::fs::write(folder.join(name), format!("file {number}\n").repeat(number % 50 + 1))
            .expect("a file");
    }
}

/// The one process that this one started.
pub(super) fn child_of(parent: u32) -> rustix::process::Pid {
    let children =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).expect("its children");
    let child = children.split_whitespace().next().expect("a child").parse().expect("a pid");
    rustix::process::Pid::from_raw(child).expect("a pid")
}
