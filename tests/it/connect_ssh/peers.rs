//! Other people's SSH, used as their users would: libraries of Python, Dropbear's client, libgit2, ansible, rsync.

use std::path::{Path, PathBuf};

use super::stage::{self, Stage, ended};
use crate::support::cached;
use crate::support::env::Env;
use crate::support::sshd::newest;

/// What the scripts expect to be refused, and one port that may be reached.
const RULES: &str = r#"
@id("port") permit (principal, action == Hoop::Action::"forward", resource)
when { context.kind == "local" && context.port == SSHD };
@id("kept") @reason("what is kept stays")
forbid (principal, action == Hoop::Action::"file", resource)
when { context.operation == "remove" && context.path like "*/kept" };
@id("no-shutdown") @reason("it stays up")
forbid (principal, action == Hoop::Action::"exec", resource) when { context.programs.contains("shutdown") };
"#;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/connect_ssh").join(name)
}

/// Runs a script of Python below `hoopctl exec`; it prints `all` when all was as it should be.
async fn python(stage: &Stage, user: &Env, options: &[&str], name: &str) {
    let python = cached("ssh/python", "ssh").join("bin/python");
    let (python, script) =
        (python.to_string_lossy().into_owned(), script(name).to_string_lossy().into_owned());
    let port = stage.sshd.port.to_string();
    let arguments = [&["exec"], options, &["bastion", "--", &python, "-B", &script, &port]].concat();
    let ran = user.run(&arguments).await.ends(0);
    assert!(ran.stdout.ends_with("all\n"), "{}", ran.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn paramiko_uses_the_sessions_socket() {
    let stage = Stage::ruled(RULES).await;
    let alice = stage.login("alice").await;
    python(&stage, &alice, &[], "with_paramiko.py").await;
    alice.run(&["audit", "verify", "--recordings"]).await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_uses_the_sessions_configuration() {
    let stage = Stage::ruled(RULES).await;
    let alice = stage.login("alice").await;
    python(&stage, &alice, &[], "with_asyncssh.py").await;
    alice.run(&["audit", "verify", "--recordings"]).await.ends(0);
}

/// What knows a host and a port only has a port that only it may use.
#[tokio::test(flavor = "multi_thread")]
async fn libgit2_with_libssh2_uses_a_port_of_its_own() {
    let stage = Stage::ruled(RULES).await;
    let alice = stage.login("alice").await;
    python(&stage, &alice, &["--listen", "127.0.0.1:0"], "with_pygit2.py").await;
    // ssh goes on beside it, through the socket
    let both = "test \"$HOOP_SSH_HOST\" = 127.0.0.1 && $HOOP_SSH bastion echo beside";
    let ran =
        alice.run(&["exec", "--listen", "127.0.0.1:0", "bastion", "--", "sh", "-c", both]).await.ends(0);
    assert_eq!(ran.stdout, "beside\n");
}

/// Somebody who finds the port is refused before the gateway hears of it; and would not have the key.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_may_use_the_port_of_a_program() {
    use tokio::io::AsyncReadExt as _;
    let stage = Stage::ruled(RULES).await;
    let alice = stage.login("alice").await;
    let script = "echo $HOOP_SSH_PORT; read line";
    let mut command =
        alice.command(&["exec", "--listen", "127.0.0.1:0", "bastion", "--", "sh", "-c", script]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut port = Vec::new();
    while port.last() != Some(&b'\n') {
        port.push(child.stdout.as_mut().unwrap().read_u8().await.unwrap());
    }
    let port: u16 = String::from_utf8(port).unwrap().trim().parse().unwrap();
    let mut stranger = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut said = Vec::new();
    stranger.read_to_end(&mut said).await.unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("only the program that hoopctl started may use this loopback"), "{said}");
    assert!(!said.contains("curve25519"), "no keys are exchanged: {said}");
    drop(child.stdin.take());
    assert!(child.wait().await.unwrap().code().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbears_client_uses_the_sessions_proxy() {
    let stage = Stage::ruled(RULES).await;
    let alice = stage.login("alice").await;
    let (dbclient, convert) = (newest("usr/bin/dbclient"), newest("usr/bin/dropbearconvert"));
    let script = format!(
        r#"exec {{trace}}>&2; BASH_XTRACEFD=$trace; set -ex
        umask 077; mkdir .ssh; cp "$HOOP_SSH_KNOWN_HOSTS" .ssh/known_hosts
        {convert} openssh dropbear "$HOOP_SSH_KEY" key 2>/dev/null
        db() {{ {dbclient} -J "$HOOP_SSH_PROXY" -i key -l "$HOOP_SSH_USER" "$@"; }}
        test "$(echo in | db bastion 'cat; echo err >&2' 2>err)" = in; test "$(cat err)" = err
        code=0; db bastion 'exit 7' || code=$?; test $code = 7
        # it closes when output and input have ended, and the status is behind that
        code=0; db bastion 'exec >&- 2>&-; sleep .05; exit 7' </dev/null || code=$?; test $code = 7
        code=0; db bastion 'shutdown now' 2>err || code=$?; test $code = 77; grep -q 'it stays up' err
        head -c 3000000 /dev/urandom >file; db bastion "cat >$PWD/there" <file; cmp file there
        db bastion "cat $PWD/there" >back; cmp file back
        db -B 127.0.0.1:{port} bastion </dev/null | head -c 4 | grep -q SSH-
        ! db -B 127.0.0.1:9 bastion </dev/null 2>/dev/null
        # it speaks to the gateway and to nobody else
        ssh-keygen -q -t ed25519 -N '' -f other; echo "bastion $(cut -d' ' -f1,2 other.pub)" >.ssh/known_hosts
        ! db bastion true </dev/null 2>err; grep -qi 'mismatch' err
        echo all"#,
        convert = convert.display(),
        dbclient = dbclient.display(),
        port = stage.sshd.port,
    );
    let ran = alice.run(&["exec", "bastion", "--", "bash", "-c", &script]).await;
    assert!(ran.code == 0 && ran.stdout.ends_with("all\n"), "{}", ran.text());
}

/// Through `hoopctl ssh-config`, as plain ssh: each task runs a script of its own on the host.
#[tokio::test(flavor = "multi_thread")]
async fn ansible_pings_and_copies() {
    // with rules about commands, only what can be judged may run; its scripts cannot
    let stage = Stage::ruled("").await;
    let alice = stage.login("alice").await;
    stage.ssh_config(&alice).await;
    let bin = cached("ssh/python", "ssh").join("bin");
    std::fs::write(alice.home().join("file"), "content\n").unwrap();
    let ansible = format!(
        r#"set -e
        export ANSIBLE_HOME="$PWD/.ansible" ANSIBLE_REMOTE_TMP="$PWD/.remote" ANSIBLE_PYTHON_INTERPRETER={bin}/python
        ansible() {{ {bin}/ansible all -i bastion, "$@"; }}
        work() {{
            ansible -m ping >told || {{ cat told; return 1; }}; grep -q pong told
            ansible -m copy -a "src=file dest=$PWD/$1" >told || {{ cat told; return 1; }}; grep -q CHANGED told; cmp file "$1"
        }}"#,
        bin = bin.display(),
    );
    let plain = format!("{ansible}\nexport ANSIBLE_SSH_COMMON_ARGS=\"-F $PWD/.ssh/config\"\nwork one");
    let ran = ended(stage.shell(&alice, &plain)).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    // and through the variables of exec, where a connection that ansible keeps ends with the session
    let below = format!("{ansible}\nwork two");
    let ran = alice.run(&["exec", "bastion", "--", "bash", "-c", &below]).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_of_ten_thousand_files_goes_there_and_back() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    stage::tree(&alice.home().join("tree"), 10_000);
    let script = r#"set -e
        rsync -a tree/ bastion:"$PWD"/far/; diff -r tree far
        rsync -a bastion:"$PWD"/far/ near/; diff -r tree near
        test "$(find near -type f | wc -l)" = 10000; echo all"#;
    let ran = alice.run(&["exec", "bastion", "--", "sh", "-c", script]).await.ends(0);
    assert_eq!(ran.stdout, "all\n", "{}", ran.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_git_clones_and_pushes() {
    let stage = Stage::open().await;
    let alice = stage.login("alice").await;
    stage.ssh_config(&alice).await;
    let script = r#"set -e
        export GIT_SSH_COMMAND="ssh -F $PWD/.ssh/config" GIT_CONFIG_GLOBAL=/dev/null
        git init -q --bare -b main origin.git
        git clone -q bastion:"$PWD"/origin.git work 2>/dev/null; cd work; git checkout -q -b main
        seq 100000 >numbers; git add numbers
        git -c user.name=a -c user.email=a@example.org commit -q -m first; git push -q origin main
        cd ..; git clone -q bastion:"$PWD"/origin.git again; cmp work/numbers again/numbers"#;
    ended(stage.shell(&alice, script)).await.ends(0);
}
