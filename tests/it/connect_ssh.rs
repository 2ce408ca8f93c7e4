//! The user's own OpenSSH, through the program, to OpenSSH's own server: connect, exec, ssh-config.

mod peers;
mod stage;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use self::stage::{Stage, ended, opened, session_of};
use crate::support::terminal::Terminal;

#[tokio::test(flavor = "multi_thread")]
async fn connect_starts_ssh_and_ends_as_it_ends() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    let ran = alice.run(&["connect", "bastion", "--", "echo out; echo err >&2; exit 7"]).await.ends(7);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
    // options after the host are ssh's own, too
    let ran = alice.run(&["connect", "bastion", "--", "-T", "-o", "LogLevel=ERROR", "id -un"]).await.ends(0);
    assert_eq!(ran.stdout.trim(), stage.sshd.login);
    let tree = alice.home().join("tree/below");
    std::fs::create_dir_all(&tree).unwrap();
    let denied = format!("rm -rf {}", alice.home().join("tree").display());
    let denied = alice.run(&["connect", "bastion", "--", &denied]).await.ends(77);
    assert!(denied.stderr.contains("dangerous-shell.delete-tree"), "{}", denied.text());
    assert!(tree.exists());
    let bob = stage.login("bob").await;
    bob.run(&["connect", "bastion", "--", "true"]).await.ends(77);
    let refused = alice.run(&["connect", "bastion", "--listen", "127.0.0.1:0"]).await.ends(64);
    assert!(refused.stderr.contains("hoopctl ssh-config"), "{}", refused.text());
    let sessions = std::fs::read_dir(alice.state().join("run")).unwrap().count();
    assert_eq!(sessions, 0, "no session leaves a directory behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_is_played_back_as_it_was_seen() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    let mut terminal = Terminal::start(&alice, "connect bastion").await;
    terminal.types("printf '\\033[31mred\\033[0m\\033[6n\\033]52;c;eA==\\007\\n'; exit 3\r").await;
    terminal.until("\x1b[31mred").await;
    assert_eq!(terminal.ends().await, 3);
    let session = session_of(&alice).await;
    let replayed = stage::replayed(&alice, &session).await;
    assert!(replayed.stdout.contains("\x1b[31mred\x1b[0m"), "{:?}", replayed.stdout);
    for steering in ["\x1b[6n", "\x1b]52"] {
        assert!(!replayed.stdout.contains(steering), "{:?}", replayed.stdout);
    }
    let json = alice.run(&["session", "replay", &session, "--output", "json"]).await.ends(0);
    let lines = json.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let shown: String =
        lines.filter_map(|line| line.get("screen")?.get("text")?.as_str().map(str::to_owned)).collect();
    assert!(shown.contains("\x1b[31mred"), "{shown:?}");
    alice.run(&["audit", "verify", "--recordings"]).await.ends(0);
}

/// Debian's asciinema takes it, and shows what was seen and nothing that steers.
#[tokio::test(flavor = "multi_thread")]
async fn asciinema_plays_what_a_terminal_showed() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    let mut terminal = Terminal::start(&alice, "connect bastion").await;
    terminal
        .types("printf '\\033[31mred\\033[0m\\033[6n\\033]52;c;eA==\\007gr\\303\\274n\\n'; exit 3\r")
        .await;
    terminal.until("\x1b[31mred").await;
    assert_eq!(terminal.ends().await, 3);
    let session = session_of(&alice).await;
    let cast = alice.home().join("shell.cast").to_string_lossy().into_owned();
    alice.run(&["session", "export", &session, "--format", "asciicast", "--out", &cast]).await.ends(0);
    let text = std::fs::read_to_string(&cast).unwrap();
    let header: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&header["version"], &header["width"]), (&2.into(), &80.into()), "{header}");
    // it wants a terminal of its own
    let command = format!("asciinema cat {cast}");
    let ran = alice.run_other("script", &["-qec", &command, "/dev/null"]).await.ends(0);
    assert!(ran.stdout.contains("\x1b[31mred\x1b[0mgrün"), "{:?}", ran.stdout);
    assert!(!ran.stdout.contains("\x1b[6n") && !ran.stdout.contains("\x1b]52"), "{:?}", ran.stdout);
    std::fs::write(&cast, text.replacen("\"version\":2", "\"version\":7", 1)).unwrap();
    let refused = alice.run_other("script", &["-qec", &command, "/dev/null"]).await;
    assert!(refused.code != 0 && refused.text().contains("can be opened"), "{}", refused.text());
    let ran = alice.run(&["session", "export", &session, "--format", "transcript"]).await.ends(0);
    assert!(ran.stdout.contains("redgrün\n") && !ran.stdout.contains('\x1b'), "{:?}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_waits_for_a_second_person() {
    let stage = Stage::open().await;
    let (alice, bob) = (stage.login("alice").await, stage.login("bob").await);
    let mark = alice.home().join("mark");
    let touch = format!("touch {}", mark.display());
    let waits = tokio::spawn({
        let mut command = alice.command(&["connect", "bastion", "--", &touch]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()
    });
    let request = opened(&bob).await;
    assert!(!mark.exists());
    bob.run(&["request", "approve", &request, "--yes"]).await.ends(0);
    let output = tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap().unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&request));
    assert!(mark.exists());
    std::fs::remove_file(&mark).unwrap();

    let waits = tokio::spawn({
        let mut command = alice.command(&["connect", "bastion", "--", &touch]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()
    });
    let request = opened(&bob).await;
    bob.run(&["request", "deny", &request, "--reason", "not today"]).await.ends(0);
    let output = tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap().unwrap().unwrap();
    assert_eq!(output.status.code(), Some(76), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!mark.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_killed_ends_within_a_second() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    stage.ssh_config(&alice).await;
    for plain in [false, true] {
        let mut command = match plain {
            false => alice.command(&["connect", "bastion", "--", "echo up; sleep 600"]),
            true => stage.ssh(&alice, &["bastion", "echo up; sleep 600"]),
        };
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("up"));
        let session = session_of(&alice).await;
        let began = Instant::now();
        alice.run(&["session", "kill", &session]).await.ends(0);
        let output = tokio::time::timeout(Duration::from_secs(10), child.wait_with_output()).await;
        let (output, took) = (output.unwrap().unwrap(), began.elapsed());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{said}");
        assert!(said.contains("has closed"), "{said}");
        assert!(took < Duration::from_secs(3), "with the command that killed it: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_in_arguments_or_variables() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    let script = r#"
        $HOOP_SSH bastion 'echo there; sleep 30' & ssh=$!
        sleep 1
        for p in $PPID $$ $ssh $(pgrep -P $ssh); do tr '\0' '\n' </proc/$p/cmdline; tr '\0' '\n' </proc/$p/environ; done
        echo ===; cat "${HOOP_SSH_CONFIG%config}key"; stat -c '%a %n' "${HOOP_SSH_CONFIG%/config}" "${HOOP_SSH_CONFIG%config}"*
        kill $ssh
    "#;
    let ran = alice.run(&["exec", "bastion", "--", "sh", "-c", script]).await.ends(0);
    let (seen, kept) = ran.stdout.split_once("===\n").unwrap();
    assert!(seen.contains("bastion") && seen.contains("HOOP_SSH"), "{seen}");
    let key: Vec<&str> = kept.lines().filter(|line| line.len() > 20 && !line.contains(' ')).collect();
    assert!(!key.is_empty(), "{kept}");
    for secret in key.into_iter().chain(["PRIVATE KEY", "PGPASS"]) {
        assert!(!seen.contains(secret), "`{secret}` in {seen}");
    }
    let modes: Vec<&str> =
        kept.lines().filter_map(|line| line.split_once(" /")).map(|(mode, _)| mode).collect();
    assert_eq!(modes, ["700", "600", "600", "600", "600"], "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_of_the_same_user_is_refused() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    let mut command =
        alice.command(&["exec", "bastion", "--", "sh", "-c", "echo \"$HOOP_SSH_CONFIG\"; read line"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let config = lines.next_line().await.unwrap().unwrap();
    let stranger = stage.ssh_with(&alice, Path::new(&config), &["bastion", "true"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&stranger.stderr);
    assert_eq!(stranger.status.code(), Some(255), "{said}");
    assert!(said.contains("only the program that hoopctl started may use this loopback"), "{said}");
    drop(child.stdin.take());
    assert!(child.wait().await.unwrap().code().is_some());
    assert!(!Path::new(&config).exists());
}

/// What people do all day, with the variables of `exec`.
#[tokio::test(flavor = "multi_thread")]
async fn copies_trees_and_repositories_go_both_ways() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    stage::tree(&alice.home().join("tree"), 1000);
    let script = r#"set -e
        rsync -a tree/ bastion:"$PWD"/far/ && diff -r tree far
        rsync -a bastion:"$PWD"/far/ near/ && diff -r tree near
        scp -q -F "$HOOP_SSH_CONFIG" -r tree bastion:"$PWD"/scp && diff -r tree scp
        scp -q -F "$HOOP_SSH_CONFIG" bastion:"$PWD"/scp/0/0.txt one && cmp one tree/0/0.txt
        printf 'put tree/1/1.txt %s/put\nget %s/put got\n' "$PWD" "$PWD" | sftp -q -F "$HOOP_SSH_CONFIG" -b - bastion
        cmp got tree/1/1.txt
        git init -q --bare origin.git
        git clone -q bastion:"$PWD"/origin.git work 2>/dev/null; cd work
        git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m first
        git push -q origin HEAD:main; git ls-remote origin | grep -q refs/heads/main
        echo all"#;
    let ran = alice.run(&["exec", "bastion", "--", "sh", "-c", script]).await.ends(0);
    assert!(ran.stdout.ends_with("all\n"), "{}", ran.text());
    alice.run(&["audit", "verify", "--recordings"]).await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_ssh_works_once_its_configuration_is_written() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    let user = alice.home().join(".ssh/config");
    let dry = alice.run(&["ssh-config", "--dry-run"]).await.ends(0);
    assert!(dry.stdout.contains("Host bastion\n"), "{}", dry.text());
    assert!(!user.exists());
    std::fs::create_dir(alice.home().join(".ssh")).unwrap();
    std::fs::write(&user, "Host mine\n    Port 2222\n").unwrap();
    std::fs::set_permissions(&user, std::fs::Permissions::from_mode(0o640)).unwrap();
    for _ in 0..2 {
        alice.run(&["ssh-config"]).await.ends(0);
        let text = std::fs::read_to_string(&user).unwrap();
        assert_eq!(text.matches("Include").count(), 1, "{text}");
        assert!(text.ends_with("\n\nHost mine\n    Port 2222\n"), "{text}");
        assert_eq!(std::fs::metadata(&user).unwrap().permissions().mode() & 0o777, 0o640);
    }
    let said = ended(stage.ssh(&alice, &["bastion", "echo there; exit 5"])).await.ends(5);
    assert_eq!(said.stdout, "there\n");

    // several at once, some long and some short, begin and end in each other's way
    let all = (0..12).map(|number| {
        let nap = format!("sleep 0.{}; echo {number}", number % 4);
        ended(stage.ssh(&alice, &["bastion", &nap]))
    });
    for (number, said) in futures_util::future::join_all(all).await.into_iter().enumerate() {
        assert_eq!(said.ends(0).stdout, format!("{number}\n"));
    }
    stage.until_no_keys(&alice).await;

    let denied = ended(stage.ssh(&alice, &["bastion", "rm -rf /tmp/x"])).await.ends(77);
    assert!(denied.stderr.contains("delete-tree"), "{}", denied.text());
    stage::tree(&alice.home().join("tree"), 20);
    let (config, here) = (user.display().to_string(), alice.home().display().to_string());
    let script = format!(
        "set -e; scp -q -F {config} -r tree bastion:{here}/far; diff -r tree far
         rsync -a -e 'ssh -F {config}' tree/ bastion:{here}/again/; diff -r tree again"
    );
    ended(stage.shell(&alice, &script)).await.ends(0);

    let bob = stage.login("bob").await;
    let denied = bob.run(&["ssh-config", "bastion"]).await.ends(77);
    assert!(denied.stderr.contains("no SSH target `bastion`"), "{}", denied.text());
    alice.run(&["ssh-config", "--remove"]).await.ends(0);
    assert_eq!(std::fs::read_to_string(&user).unwrap(), "Host mine\n    Port 2222\n");
    alice.run(&["audit", "verify", "--recordings"]).await.ends(0);
}

/// A key that a killed connection left behind is in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_left_behind_is_replaced() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    stage.ssh_config(&alice).await;
    let mut command = stage.ssh(&alice, &["bastion", "echo up; sleep 600"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("up"));
    let proxy = stage::child_of(child.id().unwrap());
    rustix::process::kill_process(proxy, rustix::process::Signal::KILL).unwrap();
    child.wait().await.unwrap();
    let left = stage.keys(&alice);
    assert_eq!(left.len(), 1);
    let old = std::fs::read_to_string(&left[0]).unwrap();
    ended(stage.ssh(&alice, &["bastion", "true"])).await.ends(0);
    stage.until_no_keys(&alice).await;
    assert!(old.contains("PRIVATE KEY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_gone_is_told_by_ssh() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    stage.ssh_config(&alice).await;
    alice.run(&["logout"]).await.ends(0);
    let said = ended(stage.ssh(&alice, &["bastion", "true"])).await.ends(255);
    assert!(said.stderr.contains("hoopctl login"), "{}", said.text());
    stage.until_no_keys(&alice).await;
}

/// A host key that is not the gateway's is not spoken to.
#[tokio::test(flavor = "multi_thread")]
async fn ssh_speaks_to_the_gateway_only() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    let script = "sed -i 's/bastion .*/bastion ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f/' \
                  \"${HOOP_SSH_CONFIG%config}known_hosts\"; $HOOP_SSH bastion true </dev/null";
    let mut command = alice.command(&["exec", "bastion", "--", "sh", "-c", script]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"yes\n").await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("Host key verification failed"), "{said}");
}
