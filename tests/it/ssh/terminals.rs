//! Terminals: masks on what they show, and shells whose lines are judged.

use std::process::Stdio;
use std::time::Duration;

use hoopctl::domain::target::SshTarget;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::stage::{OPEN, Stage, Wants, talk};
use crate::support::sshd::Sshd;

fn masked(_: &Sshd, target: &mut SshTarget) {
    target.detectors = ["email".to_owned(), "private-key".to_owned()].into();
}

fn supervised(_: &Sshd, target: &mut SshTarget) {
    target.supervised = true;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_detectors_find_is_neither_shown_nor_recorded() {
    let stage = Stage::with(Wants { target: &masked, ..Wants::default() }).await;
    let said =
        stage.run("printf 'to alice@exa'; sleep 0.1; printf 'mple.com!\\n'; echo bob@example.com >&2").await;
    assert_eq!(said.text(), "to *****************!\n");
    assert_eq!(said.err, "***************\n");
    let said =
        stage.run_with(&["-tt", "bastion", "printf 'x \\033[1malice\\033[0m@example.com\\n'"], b"").await;
    assert_eq!(said.text(), "x \u{1b}[1m*****\u{1b}[0m************\r\n");
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n";
    let said = stage.run_with(&["bastion", "cat; echo done"], key.as_bytes()).await;
    assert!(!said.text().contains("b3BlbnN") && said.text().ends_with("done\n"), "{said:?}");
    let entered = stage.hall.book.statements();
    assert!(
        entered.iter().any(|(.., text)| text == "printf 'to alice@exa'; sleep 0.1; printf 'mple.com!\\n'; echo *** >&2"),
        "{entered:?}"
    );
    let screen = String::from_utf8_lossy(&stage.screen()).into_owned();
    assert!(!screen.contains("example.com") && !screen.contains("b3BlbnN"), "{screen}");
}

/// What is a protocol of its own would break; docs/ssh.md says that it is not masked.
#[tokio::test(flavor = "multi_thread")]
async fn files_pass_as_they_are() {
    let stage = Stage::with(Wants { target: &masked, ..Wants::default() }).await;
    let (here, there) = (stage.path("here"), stage.path("there"));
    std::fs::write(&here, "alice@example.com\n".repeat(10_000)).expect("a file");
    let mut command = stage.client("scp");
    command.args([&here, &format!("bastion:{there}")]);
    let said = talk(command, b"").await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(super::stage::same(&here, &there));
    let binary: Vec<u8> = (0..=255_u8).cycle().take(1 << 20).collect();
    let said = stage.run_with(&["bastion", "cat"], &binary).await;
    assert!(said.out == binary, "what holds nothing of the kind is not touched");
}

/// A shell with a terminal.
struct Shell {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    shown: String,
}

impl Shell {
    fn start(stage: &Stage) -> Self {
        let mut command = stage.client("ssh");
        command.args(["-tt", "bastion"]).stdin(Stdio::piped()).env("TERM", "dumb");
        let mut child = command.spawn().expect("ssh runs");
        let keyboard = child.stdin.take().expect("a pipe");
        let screen = child.stdout.take().expect("a pipe");
        Self { child, keyboard, screen, shown: String::new() }
    }

    async fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).await.expect("it listens");
    }

    /// Waits until this is shown; everything up to then.
    async fn until(&mut self, wanted: &str) -> String {
        let shows = async {
            let mut buffer = [0; 4096];
            while !self.shown.contains(wanted) {
                let count = self.screen.read(&mut buffer).await.expect("its output");
                assert!(count > 0, "it ended before `{wanted}`: {}", self.shown);
                self.shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        };
        let shown = tokio::time::timeout(Duration::from_secs(30), shows).await;
        assert!(shown.is_ok(), "`{wanted}` is not shown: {}", self.shown);
        let rest = self.shown.split_off(self.shown.find(wanted).expect("it is there") + wanted.len());
        std::mem::replace(&mut self.shown, rest)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interactive_shell_works_and_is_recorded() {
    let stage = Stage::open().await;
    let mut shell = Shell::start(&stage);
    shell.types("echo $((6*7)); exit 5\n").await;
    shell.until("42\r\n").await;
    let output = shell.child.wait().await.expect("it ends");
    assert_eq!(output.code(), Some(5));
    assert!(String::from_utf8_lossy(&stage.screen()).contains("42\r\n"));
    let shells = stage.hall.book.statements();
    assert!(shells.iter().any(|(verb, verdict, _)| verb == "shell" && verdict == "Allow"), "{shells:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_a_supervised_shell_is_judged_before_the_host_gets_it() {
    let policy = format!(
        "{OPEN} @id(\"no-touch\") @reason(\"nothing is touched here\")
         forbid(principal, action == Hoop::Action::\"exec\", resource) when {{ context.programs.contains(\"touch\") }};
         @id(\"held\") @reason(\"somebody looks\") @review(\"corp/dba:1\")
         forbid(principal, action == Hoop::Action::\"exec\", resource) when {{ context.programs.contains(\"mkdir\") }};"
    );
    let stage = Stage::with(Wants { policy: &policy, target: &supervised, ..Wants::default() }).await;
    let (mark, folder) = (stage.path("mark"), stage.path("folder"));
    let mut shell = Shell::start(&stage);
    shell.types("echo $((6*7))\r").await;
    shell.until("42\r\n").await;
    shell.types(&format!("t\"\"ouch {mark}\r")).await;
    shell.until("denied by rule `no-touch`: nothing is touched here").await;
    shell.types(&format!("echo 'open\rtouch {mark}\r")).await;
    shell.until("this is not a whole command").await;
    shell.types(&format!("mkdir {folder} && echo ma''de\r")).await;
    let request = stage.hall.desk.next().await;
    assert!(!std::path::Path::new(&folder).exists());
    stage.hall.desk.approve(request);
    shell.until("made\r\n").await;
    assert!(std::path::Path::new(&folder).exists());
    // what was typed while something is held is taken back by Ctrl-C, and so is what is held
    shell.types(&format!("mkdir {folder}/two\r")).await;
    let request = stage.hall.desk.next().await;
    shell.types("\x03").await;
    stage.until("it is withdrawn", |_| !request.waiting.load(std::sync::atomic::Ordering::Relaxed)).await;
    shell.types("exit 3\r").await;
    assert_eq!(shell.child.wait().await.expect("it ends").code(), Some(3));
    assert!(!std::path::Path::new(&mark).exists());
    assert!(!std::path::Path::new(&format!("{folder}/two")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_at_a_password_prompt_is_not_passed_nor_entered() {
    let stage = Stage::with(Wants { target: &supervised, ..Wants::default() }).await;
    let mut shell = Shell::start(&stage);
    // what echoes the line, and how often, does not look like the prompt
    shell.types("read -rsp 'Pass''word: ' x\r").await;
    shell.until("Password: ").await;
    shell.types("hunter2\r").await;
    shell.until("does not pass a supervised shell").await;
    let screen = String::from_utf8_lossy(&stage.screen()).into_owned();
    assert!(!screen.contains("hunter2"), "{screen}");
    assert!(stage.hall.book.statements().iter().all(|(.., text)| !text.contains("hunter2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervised_shell_without_a_terminal_is_refused() {
    let stage = Stage::with(Wants { target: &supervised, ..Wants::default() }).await;
    let said = stage.run_with(&["-T", "bastion"], b"echo in\n").await;
    assert_eq!((said.code, said.text().as_str()), (77, ""), "{said:?}");
    assert!(said.err.contains("a supervised shell needs a terminal"), "{}", said.err);
    assert_eq!(stage.run("echo on").await.text(), "on\n");
}
