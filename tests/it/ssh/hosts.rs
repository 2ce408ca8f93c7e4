//! Hosts of several makes and versions, and clients of two versions of OpenSSH.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use hoopctl::domain::target::SshTarget;
use hoopctl::gateway::authority::{Credential, Lease};
use secrecy::SecretString;
use tokio::process::Command;

use super::stage::{OPEN, Said, Stage, Wants, noise, same, talk};
use crate::support::cached;
use crate::support::dropbear::Dropbear;
use crate::support::sshd::{Sshd, Wishes, newest};

const FORWARDS: &str = r#"@id("forward") permit(principal, action == Hoop::Action::"forward", resource);"#;

/// A client that sends signals, as OpenSSH's own does not.
const SIGNALS: &str = r#"
import asyncio, sys, asyncssh

async def main():
    async with asyncssh.connect("bastion", config=[sys.argv[1]]) as connection:
        for name in ("INT", "TERM"):
            trap = f"trap 'echo got {name}; exit 3' {name}; echo up; while :; do sleep 0.1; done"
            process = await connection.create_process(trap)
            await process.stdout.readline()
            process.send_signal(name)
            ran = await process.wait()
            print(ran.stdout.strip(), ran.exit_status)
        process = await connection.create_process("echo up; exec sleep 600")
        await process.stdout.readline()
        process.terminate()
        assert (await process.wait()).exit_signal[0] == "TERM"

asyncio.run(main())
"#;

/// OpenSSH's clients of one version.
struct Clients {
    folder: PathBuf,
}

impl Clients {
    /// Those of the system, and the newest.
    fn all() -> [Self; 2] {
        [Self { folder: "/usr/bin".into() }, Self { folder: newest("usr/bin") }]
    }

    fn command(&self, stage: &Stage, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        if name != "ssh" {
            command.arg("-S").arg(self.folder.join("ssh"));
        }
        command.args(["-F", &stage.config()]).env("LC_ALL", "C").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn run(&self, stage: &Stage, name: &str, arguments: &[&str], input: &[u8]) -> Said {
        let mut command = self.command(stage, name);
        command.args(arguments);
        talk(command, input).await
    }

    async fn use_terminal(&self, stage: &Stage) {
        let said = self.run(stage, "ssh", &["-tt", "bastion", "test -t 0 && echo tty"], b"").await;
        assert!(said.text().contains("tty\r\n"), "{said:?}");
    }

    /// What people do with any host.
    async fn use_host(&self, stage: &Stage) {
        let said = self.run(stage, "ssh", &["bastion", "cat; echo err >&2; exit 7"], b"in\n").await;
        assert_eq!((said.text().as_str(), said.err.as_str(), said.code), ("in\n", "err\n", 7));
        let file = noise(11, 4 << 20);
        let said = self.run(stage, "ssh", &["-o", "RekeyLimit=1M", "bastion", "cat"], &file).await;
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.out == file, "{} bytes came back", said.out.len());
        let to = format!("127.0.0.1:{}", stage.sshd.port);
        let said = self.run(stage, "ssh", &["-W", &to, "bastion"], b"SSH-2.0-nobody\r\n").await;
        assert!(said.text().starts_with("SSH-2.0-"), "{said:?}");

        let (here, there, back) = (stage.path("here"), stage.path("there"), stage.path("back"));
        fs::write(&here, &file).expect("a file");
        for old in [&["-q"][..], &["-q", "-O"]] {
            let said =
                self.run(stage, "scp", &[old, &[&here, &format!("bastion:{there}")]].concat(), b"").await;
            assert_eq!(said.code, 0, "{old:?}: {}", said.err);
            let said =
                self.run(stage, "scp", &[old, &[&format!("bastion:{there}"), &back]].concat(), b"").await;
            assert_eq!(said.code, 0, "{old:?}: {}", said.err);
            assert!(same(&here, &there) && same(&here, &back), "{old:?}");
            fs::remove_file(&there).expect("it goes");
            fs::remove_file(&back).expect("it goes");
        }
        let batch = format!("put {here} {there}\nrename {there} {back}\nls -l {back}\nrm {back}\n");
        let said = self.run(stage, "sftp", &["-b", "-", "bastion"], batch.as_bytes()).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(!fs::exists(&back).expect("a look"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_of_openssh_speak_with_hosts_of_two_versions() {
    let policy = format!("{OPEN}{FORWARDS}");
    for newest in [false, true] {
        let sshd = Wishes { newest, certificate: Some("127.0.0.1"), ..Wishes::default() };
        let target = |sshd: &Sshd, target: &mut SshTarget| {
            target.host_keys.clear();
            target.host_authorities = [sshd.host_authority.clone()].into();
        };
        let stage = Stage::with(Wants { policy: &policy, sshd, target: &target, ..Wants::default() }).await;
        for clients in Clients::all() {
            clients.use_host(&stage).await;
            clients.use_terminal(&stage).await;
        }
    }
}

/// It knows no certificates: its lease is a plain key. It gives terminals only where the names of `/dev/pts` are
/// its own, which they are not in every container.
#[tokio::test(flavor = "multi_thread")]
async fn dropbear_is_a_host_as_well() {
    let dropbear = Dropbear::start();
    let target = |_: &Sshd, target: &mut SshTarget| {
        target.port = dropbear.port;
        target.host_keys = [dropbear.host_key.clone()].into();
    };
    let lease = |_: &Sshd, lease: &mut Lease| {
        lease.credential =
            Credential::Ssh { key: SecretString::from(dropbear.key.clone()), certificate: None };
    };
    let policy = format!("{OPEN}{FORWARDS}");
    let stage =
        Stage::with(Wants { policy: &policy, target: &target, lease: &lease, ..Wants::default() }).await;
    for clients in Clients::all() {
        clients.use_host(&stage).await;
    }
    // OpenSSH's server passes no signal on to what root runs, so this is asked here
    let python = cached("ssh/python", "ssh").join("bin/python");
    let mut command = Command::new(python);
    command.args(["-c", SIGNALS, &stage.config()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = talk(command, b"").await;
    assert_eq!((said.text().as_str(), said.code), ("got INT 3\ngot TERM 3\n", 0), "{}", said.err);
    assert!(!stage.sshd.log().contains("Accepted"), "OpenSSH was not asked: {}", stage.sshd.log());
}
