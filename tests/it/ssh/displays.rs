//! Displays: a program on the host draws on the client's.

use std::io::{Read as _, Write as _};

use super::stage::{OPEN, Stage, Wants, talk};
use crate::support::postgres::free_port;
use crate::support::sshd::Wishes;

/// An X11 client: says who it is with the cookie that `xauth` was given, and prints what the display answers.
const PROGRAM: &str = r#"
import os, socket, struct, sys
host, number = os.environ["DISPLAY"].split(".")[0].rsplit(":", 1)
cookie = bytes.fromhex(open(sys.argv[1]).read().split()[-1])
display = socket.create_connection((host, 6000 + int(number)))
display.sendall(b"l\0" + struct.pack("<5H", 11, 0, 18, len(cookie), 0) + b"MIT-MAGIC-COOKIE-1\0\0" + cookie)
while answer := display.recv(4096):
    sys.stdout.buffer.write(answer)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_display_answers_where_policy_lets_it() {
    let policy = format!(
        "{OPEN} @id(\"display\") permit(principal, action == Hoop::Action::\"forward\", resource)
         when {{ context.kind == \"x11\" }};"
    );
    let tools = tempfile::tempdir().expect("a folder");
    let at = |name: &str| tools.path().join(name).to_string_lossy().into_owned();
    let (xauth, cookie, program) = (at("xauth"), at("cookie"), at("program"));
    std::fs::write(&xauth, format!("#!/bin/sh\ngrep '^add' >{cookie}\n")).expect("a script");
    std::fs::set_permissions(&xauth, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a script");
    std::fs::write(&program, PROGRAM).expect("a script");
    let location = format!("XAuthLocation {xauth}");
    let sshd = Wishes { lines: &["X11Forwarding yes", &location], ..Wishes::default() };
    let stage = Stage::with(Wants { policy: &policy, sshd, ..Wants::default() }).await;

    // what draws is a program of the test's
    let listener = std::net::TcpListener::bind(("127.0.0.1", free_port())).expect("a port");
    let number = listener.local_addr().expect("an address").port() - 6000;
    let display = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("somebody draws");
        // with the name of the proof, and the proof
        let mut greeting = [0; 12 + 20 + 16];
        socket.read_exact(&mut greeting).expect("a greeting");
        socket.write_all(&vec![7; 300_000]).expect("it listens");
        greeting
    });
    let mut command = stage.client("ssh");
    command.args(["-Y", "bastion", &format!("python3 {program} {cookie}")]);
    command.env("DISPLAY", format!("127.0.0.1:{number}"));
    let said = talk(command, b"").await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out == vec![7; 300_000], "{} bytes were drawn: {}", said.out.len(), said.err);
    assert_eq!(display.join().expect("a display")[..4], *b"l\0\x0b\0");
    let verdicts = stage.hall.book.statements();
    assert!(
        verdicts.iter().any(|(_, verdict, text)| text.starts_with("x11") && verdict == "Allow"),
        "{verdicts:?}"
    );
}
