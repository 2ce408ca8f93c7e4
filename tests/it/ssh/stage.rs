//! A gateway in front of a real host, and OpenSSH's own clients that go through it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use hoopctl::domain::name::TargetName;
use hoopctl::domain::target::{RecordLevel, SecretSource, SshIssuer, SshTarget, Target, TargetKind};
use hoopctl::gateway::authority::{Credential, Lease};
use hoopctl::gateway::journal::ItemKind;
use hoopctl::gateway::tunnel::Inner;
use hoopctl::recording::item::{Outcome, Resize};
use secrecy::SecretString;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::gateway::{Hall, Plan, host_key};
use crate::support::sshd::{Sshd, Wishes, keygen};

/// How a test wants it.
pub(crate) struct Wants<'a> {
    /// Rules beside those that let the session be.
    pub(crate) policy: &'a str,
    /// Changes the target.
    pub(crate) target: &'a dyn Fn(&Sshd, &mut SshTarget),
    /// Changes the lease.
    pub(crate) lease: &'a dyn Fn(&Sshd, &mut Lease),
    pub(crate) record: RecordLevel,
    pub(crate) sshd: Wishes<'a>,
}

impl Default for Wants<'_> {
    fn default() -> Self {
        Self {
            policy: OPEN,
            target: &|_, _| {},
            lease: &|_, _| {},
            record: RecordLevel::Full,
            sshd: Wishes::default(),
        }
    }
}

/// Everything but forwarding.
pub(crate) const OPEN: &str = r#"
@id("test.ssh") permit(principal, action in [Hoop::Action::"exec", Hoop::Action::"shell", Hoop::Action::"file",
    Hoop::Action::"env", Hoop::Action::"subsystem"], resource);
"#;

/// One session in front of one host.
pub(crate) struct Stage {
    pub(crate) sshd: Sshd,
    pub(crate) hall: Hall,
    /// Configuration, keys, and whatever a test puts there.
    pub(crate) folder: tempfile::TempDir,
}

impl Stage {
    /// Everything is allowed but forwarding.
    pub(crate) async fn open() -> Self {
        Self::with(Wants::default()).await
    }

    /// With these rules alone.
    pub(crate) async fn ruled(policy: &str) -> Self {
        Self::with(Wants { policy, ..Wants::default() }).await
    }

    /// As the test wants it.
    pub(crate) async fn with(wants: Wants<'_>) -> Self {
        let sshd = Sshd::start_with(&wants.sshd);
        let folder = tempfile::Builder::new().prefix("hoopctl-ssh-").tempdir().expect("a folder");
        let key = folder.path().join("key");
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "session", "-f", &key.to_string_lossy()]);
        let leased = sshd.key("lease");
        let mut lease = Lease {
            user: sshd.login.clone(),
            credential: Credential::Ssh {
                key: SecretString::from(fs::read_to_string(&leased).expect("a key")),
                certificate: Some(sshd.certify(&leased)),
            },
            expires: jiff::Timestamp::MAX,
        };
        (wants.lease)(&sshd, &mut lease);
        let mut target = SshTarget {
            host: "127.0.0.1".into(),
            port: sshd.port,
            login: sshd.login.clone(),
            host_keys: BTreeSet::from([sshd.host_key.clone()]),
            host_authorities: BTreeSet::new(),
            issuer: SshIssuer::Static { key: SecretSource::File("/nonexistent".into()) },
            supervised: false,
            detectors: BTreeSet::new(),
            patterns: Vec::new(),
            max_connections: 10,
            max_channels: 300,
        };
        (wants.target)(&sshd, &mut target);
        let hall = Hall::open(Plan {
            target: Target {
                name: TargetName::new("bastion").expect("a name"),
                description: String::new(),
                labels: BTreeMap::new(),
                owner: None,
                record: wants.record,
                kind: TargetKind::Ssh(Box::new(target)),
            },
            lease,
            policy: wants.policy,
            who: "alice",
            session: 7,
            ssh_key: Some(fs::read_to_string(key.with_extension("pub")).expect("a key").trim().to_owned()),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (tunnels, session, device) = (hall.tunnels.clone(), hall.session.clone(), hall.device.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket");
                let (tunnels, session, device) = (tunnels.clone(), session.clone(), device.clone());
                tokio::spawn(async move { tunnels.serve(stream, &session, &device, Inner::Bare).await });
            }
        });
        let known = host_key().public_key().to_openssh().expect("a line");
        fs::write(folder.path().join("known"), format!("[127.0.0.1]:{port} {known}\n")).expect("a file");
        let config = format!(
            "Host bastion\n  HostName 127.0.0.1\n  Port {port}\n  User alice\n  IdentityFile {at}/key\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {at}/known\n  \
             GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n  BatchMode yes\n  LogLevel ERROR\n",
            at = folder.path().display(),
        );
        fs::write(folder.path().join("config"), config).expect("a file");
        Self { sshd, hall, folder }
    }

    /// The clients' configuration, which knows the gateway as `bastion`.
    pub(crate) fn config(&self) -> String {
        self.folder.path().join("config").to_string_lossy().into_owned()
    }

    /// A file of the test's own.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// A client, ready for arguments.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-F", &self.config()]).env("LC_ALL", "C").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs one command on the host.
    pub(crate) async fn run(&self, command: &str) -> Said {
        self.run_with(&["bastion", command], b"").await
    }

    /// Runs `ssh` with these arguments and this standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &[u8]) -> Said {
        let mut command = self.client("ssh");
        command.args(arguments);
        talk(command, input).await
    }

    /// What was recorded of this kind, as it is written.
    pub(crate) fn items(&self, kind: ItemKind) -> Vec<Vec<u8>> {
        let items = self.hall.book.items.lock().expect("not poisoned");
        items.iter().filter(|(of, _)| *of == kind).map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Everything that was recorded as shown, without the numbers.
    pub(crate) fn screen(&self) -> Vec<u8> {
        self.items(ItemKind::Screen).into_iter().flat_map(|item| item[9..].to_vec()).collect()
    }

    /// The sizes that terminals had.
    pub(crate) fn sizes(&self) -> Vec<(u32, u32)> {
        let read = |bytes: &Vec<u8>| serde_json::from_slice::<Resize>(bytes).expect("JSON");
        let sizes = self.items(ItemKind::Resize);
        sizes.iter().map(read).map(|resize| (resize.columns, resize.rows)).collect()
    }

    /// How deeds ended.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let items = self.items(ItemKind::Outcome);
        items.iter().map(|bytes| serde_json::from_slice(bytes).expect("JSON")).collect()
    }

    /// Waits until a condition holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..3000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not within 30 s: {what}");
    }
}

/// What a client said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    /// -1 when a signal ended it.
    pub(crate) code: i32,
}

impl Said {
    /// Its output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { out: output.stdout, err, code: output.status.code().unwrap_or(-1) }
    }
}

/// Runs a program to its end with this standard input.
pub(crate) async fn talk(mut command: Command, input: &[u8]) -> Said {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let feed = async {
        // a program that does not want it all may end before
        drop(stdin.write_all(input).await);
        drop(stdin);
    };
    let ended = async { tokio::join!(feed, child.wait_with_output()).1 };
    let ended = tokio::time::timeout(Duration::from_secs(120), ended).await;
    ended.expect("it ends within 120 s").expect("it runs").into()
}

/// Bytes that repeat nowhere soon and hold everything.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Whether two files are the same.
pub(crate) fn same(left: impl AsRef<Path>, right: impl AsRef<Path>) -> bool {
    fs::read(left).expect("a file") == fs::read(right).expect("a file")
}
