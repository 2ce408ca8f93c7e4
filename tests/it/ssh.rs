//! SSH through the gateway: OpenSSH's own clients on one side, OpenSSH's own server on the other.

mod dishonest;
mod displays;
mod files;
mod forwards;
mod hosts;
mod regress;
mod stage;
mod terminals;

use std::process::Stdio;
use std::time::Duration;

use hoopctl::domain::approval::What;
use hoopctl::domain::session::CloseReason;
use hoopctl::domain::target::SshTarget;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::stage::{OPEN, Stage, Wants, noise, talk};
use crate::support::gateway::host_key;
use crate::support::sshd::{Sshd, Wishes};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_says_what_it_says_and_ends_as_it_ends() {
    let stage = Stage::open().await;
    let said = stage.run("echo out; echo err >&2; exit 7").await;
    assert_eq!((said.text().as_str(), said.err.as_str(), said.code), ("out\n", "err\n", 7));
    let said = stage.run_with(&["bastion", "cat; echo -n behind"], b"before ").await;
    assert_eq!((said.text().as_str(), said.code), ("before behind", 0), "{}", said.err);
    let said = stage.run("kill -TERM $$").await;
    assert_eq!(said.code, 255, "as without a gateway: OpenSSH's client has no number for a signal");
    let statements = stage.hall.book.statements();
    assert_eq!(statements[0].2, "echo out; echo err >&2; exit 7");
    assert_eq!(statements[0].1, "Allow");
    stage.until("the outcomes are recorded", |stage| stage.outcomes().len() == 3).await;
    let tags: Vec<_> = stage.outcomes().into_iter().map(|outcome| outcome.tag.unwrap_or_default()).collect();
    assert_eq!(tags, ["exit 7", "exit 0", "signal TERM"]);
    assert_eq!(stage.screen(), b"out\nerr\nbefore behind");
}

/// field.md, warpgate 6: a byte 0x03 in a file was taken for Ctrl-C.
#[tokio::test(flavor = "multi_thread")]
async fn every_byte_arrives_as_it_is() {
    let stage = Stage::open().await;
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(stage.run_with(&["bastion", "cat"], &all).await.out, all);
    for seed in 1..=30 {
        let mut file = noise(seed, 50_000);
        file[0] = 3;
        let name = stage.path("upload");
        let said = stage.run_with(&["bastion", &format!("cat > {name}")], &file).await;
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(std::fs::read(&name).expect("a file") == file, "file {seed} differs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_pass_both_ways_at_once() {
    let stage = Stage::open().await;
    let file = noise(1, 100 << 20);
    let said = stage.run_with(&["bastion", "cat"], &file).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out == file, "{} bytes came back", said.out.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_exchanged_again_while_data_flows() {
    let stage = Stage::open().await;
    let file = noise(2, 20 << 20);
    let said = stage.run_with(&["-o", "RekeyLimit=1M", "bastion", "cat"], &file).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out == file, "{} bytes came back", said.out.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_its_size_and_is_recorded() {
    let stage = Stage::open().await;
    let mut command = tokio::process::Command::new("script");
    let inner = format!(
        "stty rows 41 cols 97; ssh -F {} -tt bastion 'stty size; test -t 0 && echo tty'",
        stage.config()
    );
    command.args(["--quiet", "--return", "--command", &inner, "/dev/null"]).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).env("TERM", "xterm");
    let said = talk(command, b"").await;
    // `script` types what ends its input, which is shown where it comes early
    assert!(said.text().replace("^@", "").contains("41 97\r\ntty\r\n"), "{said:?}");
    assert_eq!(stage.sizes().first(), Some(&(97, 41)));
    assert!(String::from_utf8_lossy(&stage.screen()).contains("41 97\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_never_reaches_the_host() {
    let rules = format!(
        "{OPEN} @id(\"no-touch\") @reason(\"nothing is touched here\") @hint(\"look at it instead\")
         forbid(principal, action == Hoop::Action::\"exec\", resource)
         when {{ context.programs.contains(\"touch\") }};"
    );
    let stage = Stage::ruled(&rules).await;
    let mark = stage.path("mark");
    let said = stage.run(&format!("touch {mark}")).await;
    assert_eq!(said.code, 77);
    assert_eq!(
        said.err.replace('\r', ""),
        "hoopctl: denied: nothing is touched here (rule no-touch)\nhoopctl: hint: look at it instead\n"
    );
    for hidden in ["sh -c 'touch X'", "t''ouch X", "env touch X", "echo X | xargs touch"] {
        let said = stage.run(&hidden.replace('X', &mark)).await;
        assert_eq!(said.code, 77, "{hidden}: {said:?}");
    }
    assert!(!std::path::Path::new(&mark).exists());
    assert_eq!(stage.run("echo on").await.text(), "on\n", "the session goes on");
}

const HELD: &str = r#"
@id("held") @reason("somebody looks at this") @review("corp/dba:1")
forbid(principal, action == Hoop::Action::"exec", resource) when { context.programs.contains("touch") };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_waits_and_runs_after_its_review() {
    let stage = Stage::ruled(&format!("{OPEN}{HELD}")).await;
    let mark = stage.path("mark");
    let command = format!("touch {mark}; echo done");
    let (said, ()) = tokio::join!(stage.run(&command), async {
        let request = stage.hall.desk.next().await;
        assert_eq!(request.text(), command);
        assert!(!std::path::Path::new(&mark).exists());
        stage.hall.desk.approve(request);
    });
    assert_eq!((said.text().as_str(), said.code), ("done\n", 0), "{}", said.err);
    assert!(
        said.err.contains("hoopctl: held for review: somebody looks at this (rule held)"),
        "{}",
        said.err
    );
    assert!(said.err.contains("a reviewer runs: hoopctl request show"), "{}", said.err);
    assert!(std::path::Path::new(&mark).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_reviewer_denies_does_not_run() {
    let stage = Stage::ruled(&format!("{OPEN}{HELD}")).await;
    let mark = stage.path("mark");
    let command = format!("touch {mark}");
    let (said, ()) = tokio::join!(stage.run(&command), async {
        let request = stage.hall.desk.next().await;
        let denied =
            hoopctl::gateway::authority::Outcome::Denied { by: "Bob".into(), reason: Some("no".into()) };
        stage.hall.desk.answer(request, denied);
    });
    assert_eq!(said.code, 76, "{said:?}");
    assert!(said.err.contains("Bob denied request"), "{}", said.err);
    assert!(!std::path::Path::new(&mark).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_hold() {
    let stage = Stage::ruled(&format!("{OPEN}{HELD}")).await;
    let mark = stage.path("mark");
    let mut command = stage.client("ssh");
    command.args(["-tt", "bastion", &format!("touch {mark}")]).stdin(Stdio::piped());
    let mut child = command.spawn().expect("ssh runs");
    let request = stage.hall.desk.next().await;
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"\x03").await.expect("it listens");
    let output = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output()).await;
    let output = output.expect("it ends").expect("it runs");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(!request.waiting.load(std::sync::atomic::Ordering::Relaxed), "the request is withdrawn");
    assert!(!std::path::Path::new(&mark).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_closed_says_why() {
    let stage = Stage::open().await;
    let mut command = stage.client("ssh");
    command.args(["bastion", "echo up; sleep 600"]);
    let mut child = command.spawn().expect("ssh runs");
    let mut up = [0; 3];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut up).await.expect("it runs");
    stage.hall.closing.send_replace(Some(CloseReason::ClientEnded));
    let output = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output()).await;
    let output = output.expect("it ends").expect("it runs");
    assert_eq!(output.status.code(), Some(255));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(err.contains("hoopctl: session") && err.contains("has closed:"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_channels_share_a_connection_and_one_that_stalls_stops_no_other() {
    let stage = Stage::open().await;
    let socket = stage.path("master");
    let mut command = stage.client("ssh");
    command.args(["-M", "-S", &socket, "-N", "bastion"]);
    let _master = command.spawn().expect("ssh runs");
    stage.until("the master listens", |_| std::path::Path::new(&socket).exists()).await;
    // nobody reads what this says
    let mut command = stage.client("ssh");
    command.args(["-S", &socket, "bastion", "cat /dev/zero"]);
    let stalled = command.spawn().expect("ssh runs");
    // nobody on the host reads what this is given
    let mut command = stage.client("ssh");
    command.args(["-S", &socket, "bastion", "sleep 600"]).stdin(Stdio::piped());
    let mut deaf = command.spawn().expect("ssh runs");
    let mut stdin = deaf.stdin.take().expect("a pipe");
    let stuffed = tokio::spawn(async move {
        let piece = vec![7; 1 << 16];
        while stdin.write_all(&piece).await.is_ok() {}
    });
    for round in 0..12 {
        let runs = (0..10).map(|number| {
            let (stage, socket) = (&stage, &socket);
            async move {
                let wanted = format!("{round}.{number}\n");
                let said =
                    stage.run_with(&["-S", socket, "bastion", &format!("echo {round}.{number}")], b"").await;
                assert_eq!((said.text(), said.code), (wanted, 0), "{}", said.err);
            }
        });
        futures_util::future::join_all(runs).await;
    }
    drop((stalled, deaf));
    stuffed.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_sessions_own_key_gets_in() {
    let stage = Stage::open().await;
    let other = stage.sshd.key("other");
    std::fs::copy(&other, stage.path("key")).expect("a copy");
    std::fs::copy(other.with_extension("pub"), stage.path("key.pub")).expect("a copy");
    let said = stage.run("true").await;
    assert_eq!(said.code, 255);
    assert!(said.err.contains("Permission denied (publickey)"), "{}", said.err);
    assert!(!stage.sshd.log().contains("Accepted publickey"), "{}", stage.sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_login_is_not_given() {
    let stage = Stage::open().await;
    let said = stage.run_with(&["-l", "mallory", "bastion", "true"], b"").await;
    assert_eq!(said.code, 255);
    assert!(said.err.contains("Permission denied (publickey)"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_another_key_is_refused() {
    let other = another_key();
    let target = |_: &Sshd, target: &mut SshTarget| target.host_keys = [other.clone()].into();
    let stage = Stage::with(Wants { target: &target, ..Wants::default() }).await;
    let said = stage.run("true").await;
    assert_eq!(said.code, 69, "{said:?}");
    assert!(said.err.contains("the host cannot be trusted: its key SHA256:"), "{}", said.err);
    assert!(!stage.sshd.log().contains("Accepted"), "{}", stage.sshd.log());
}

fn another_key() -> String {
    host_key().public_key().to_openssh().expect("a line")
}

/// What a test changes of a target once its host is there.
type Change<'a> = &'a dyn Fn(&Sshd, &mut SshTarget);

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_believed_by_its_certificate_alone() {
    let own = |sshd: &Sshd, target: &mut SshTarget| {
        target.host_keys.clear();
        target.host_authorities = [sshd.host_authority.clone()].into();
    };
    let other = |_: &Sshd, target: &mut SshTarget| {
        target.host_keys.clear();
        target.host_authorities = [another_key()].into();
    };
    let cases: [(&str, Change<'_>, Option<&str>); 3] = [
        ("127.0.0.1", &own, None),
        ("elsewhere", &own, Some("its certificate is not for `127.0.0.1`")),
        ("127.0.0.1", &other, Some("not signed by one of the target's `host_authorities`")),
    ];
    for (name, target, fault) in cases {
        let sshd = Wishes { certificate: Some(name), ..Wishes::default() };
        let stage = Stage::with(Wants { target, sshd, ..Wants::default() }).await;
        let said = stage.run("echo trusted").await;
        let Some(fault) = fault else {
            assert_eq!((said.text().as_str(), said.code), ("trusted\n", 0), "{}", said.err);
            continue;
        };
        assert_eq!(said.code, 69, "{said:?}");
        assert!(said.err.contains(fault), "{}", said.err);
    }
}

/// field.md, warpgate 5: a target that does not read drove memory from 60 to 570 MB.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_reads_nothing_costs_no_memory() {
    let stage = Stage::open().await;
    let mut command = stage.client("ssh");
    command.args(["bastion", "sleep 600"]).stdin(Stdio::piped());
    let mut deaf = command.spawn().expect("ssh runs");
    let mut stdin = deaf.stdin.take().expect("a pipe");
    let piece = vec![7; 1 << 16];
    let mut taken = 0;
    // what is taken within a second of each other; then it is full
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(1), stdin.write(&piece)).await {
        taken += written.expect("it listens");
        assert!(taken < 24 << 20, "{taken} bytes were taken for a host that reads nothing");
    }
    assert!(taken > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_costs_no_memory() {
    let stage = Stage::open().await;
    let mark = stage.path("mark");
    let mut command = stage.client("ssh");
    command.args([
        "bastion",
        &format!("touch {mark}.began; dd if=/dev/zero bs=1M count=64 status=none; touch {mark}"),
    ]);
    let child = command.spawn().expect("ssh runs");
    stage
        .until("it runs", |stage| std::path::Path::new(&format!("{}.began", stage.path("mark"))).exists())
        .await;
    // a file as large passes meanwhile on another connection
    let file = noise(5, 64 << 20);
    assert_eq!(stage.run_with(&["bastion", "cat > /dev/null"], &file).await.code, 0);
    assert!(!std::path::Path::new(&mark).exists(), "64 MiB went somewhere that nobody reads");
    let output = child.wait_with_output().await.expect("it ends");
    assert_eq!(output.stdout.len(), 64 << 20, "and all of it comes once somebody reads");
}

/// field.md, warpgate 11: one panic killed every session.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_one_ssh_connection_only_and_says_so() {
    let stage = Stage::open().await;
    let mut command = stage.client("ssh");
    command.args(["bastion", "cat"]).stdin(Stdio::piped());
    let mut other = command.spawn().expect("ssh runs");
    let mut stdin = other.stdin.take().expect("a pipe");
    stdin.write_all(b"up").await.expect("it listens");
    other.stdout.as_mut().expect("a pipe").read_exact(&mut [0; 2]).await.expect("it runs");
    stage.hall.faulty.store(true, std::sync::atomic::Ordering::SeqCst);
    let said = stage.run("true").await;
    assert_eq!(said.code, 255);
    assert!(said.err.contains("ends: of a fault in the gateway"), "{}", said.err);
    stage.hall.faulty.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(stage.run("echo on").await.text(), "on\n");
    drop(stdin);
    assert!(other.wait().await.expect("it ends").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ledger_no_command_runs() {
    let stage = Stage::open().await;
    assert_eq!(stage.run("echo on").await.text(), "on\n");
    stage.hall.book.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let mark = stage.path("mark");
    let said = stage.run(&format!("touch {mark}")).await;
    assert_ne!(said.code, 0);
    assert!(!std::path::Path::new(&mark).exists());
}

/// A byte 3 in a file is no Ctrl-C, also while what it is for is held.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_begins_like_ctrl_c_waits_for_its_review() {
    let stage = Stage::ruled(&format!("{OPEN}{HELD}")).await;
    let (mark, name) = (stage.path("mark"), stage.path("upload"));
    let file = [vec![3, 0, 255], noise(6, 100_000)].concat();
    let command = format!("touch {mark}; cat > {name}");
    let arguments = ["bastion", command.as_str()];
    let (said, ()) = tokio::join!(stage.run_with(&arguments, &file), async {
        let request = stage.hall.desk.next().await;
        stage.hall.desk.approve(request);
    });
    assert_eq!(said.code, 0, "{said:?}");
    assert!(std::fs::read(&name).expect("a file") == file);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_variable_holds_is_in_its_entry_and_before_the_reviewer() {
    let stage = Stage::ruled(&format!("{OPEN}{HELD}")).await;
    let mark = stage.path("mark");
    for value in ["one", "two"] {
        let set = format!("SetEnv=HOOPCTL_TEST={value}");
        let command = format!("touch {mark}; echo $HOOPCTL_TEST");
        let options = ["-o", &set, "bastion", &command];
        let (said, ()) = tokio::join!(stage.run_with(&options, b""), async {
            let request = stage.hall.desk.next().await;
            let What::Deed(deed) = &request.subject.subject().what else { panic!("a deed") };
            assert_eq!(deed.settings.get("HOOPCTL_TEST").map(String::as_str), Some(value));
            stage.hall.desk.approve(request);
        });
        assert_eq!(said.text(), format!("{value}\n"), "{said:?}");
    }
    let digests = stage.hall.book.digests();
    let of: Vec<_> = digests.iter().filter(|(text, _)| text == "HOOPCTL_TEST").collect();
    assert!(of.len() == 2 && of[0].1 != of[1].1, "{digests:?}");
}
