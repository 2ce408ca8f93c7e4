#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::*;

fn machine(line: &str) -> Inspector {
    let home = RemotePath::absolute(b"/home/deploy").unwrap();
    let words: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    Inspector::new(Command::parse(&words, Some(&home)).unwrap().unwrap())
}

fn client(machine: &mut Inspector, bytes: &[u8]) -> BytesMut {
    let mut input = BytesMut::from(bytes);
    machine.handle_client(&mut input).unwrap();
    input
}

fn host(machine: &mut Inspector, bytes: &[u8]) -> BytesMut {
    let mut input = BytesMut::from(bytes);
    machine.handle_upstream(&mut input).unwrap();
    input
}

fn to_host(machine: &mut Inspector) -> Vec<u8> {
    machine.upstream_output().split().to_vec()
}

fn to_client(machine: &mut Inspector) -> Vec<u8> {
    machine.client_output().split().to_vec()
}

fn allow(machine: &mut Inspector, operation: FileOperation, path: &str) {
    let question = machine.poll_question().expect("a question");
    assert_eq!((question.facts.operation, question.facts.path.as_str()), (operation, path));
    machine.handle_answer(question.id, &Answer::Forward);
}

fn refuse(machine: &mut Inspector) {
    let question = machine.poll_question().expect("a question");
    let refusal = Refusal { rule: "r".into(), reason: "no\nway".into(), hint: None };
    machine.handle_answer(question.id, &Answer::Refuse(refusal));
}

const NO: &[u8] = b"\x01hoopctl: denied by rule `r`: no way\n";

#[test]
fn an_upload_is_asked_about_before_its_line_moves() {
    let mut scp = machine("scp -p -d -t ../srv");
    assert!(host(&mut scp, b"\0").is_empty());
    assert_eq!(to_client(&mut scp), b"\0");
    client(&mut scp, b"T1 0 2 0\n");
    assert_eq!((to_client(&mut scp), to_host(&mut scp)), (b"\0".to_vec(), Vec::new()));
    // whoever does not wait for the answer has to
    assert_eq!(client(&mut scp, b"C0644 5 a\nhello\0"), &b"hello\0"[..]);
    assert!(to_host(&mut scp).is_empty());
    allow(&mut scp, FileOperation::Write, "/home/srv/a");
    assert!(to_host(&mut scp).is_empty());
    allow(&mut scp, FileOperation::Attributes, "/home/srv/a");
    assert_eq!(to_host(&mut scp), b"T1 0 2 0\n");
    host(&mut scp, b"\0");
    assert_eq!((to_client(&mut scp), to_host(&mut scp)), (Vec::new(), b"C0644 5 a\n".to_vec()));
    host(&mut scp, b"\0");
    assert_eq!(to_client(&mut scp), b"\0");
    for byte in b"hello\0" {
        assert!(client(&mut scp, &[*byte]).is_empty());
    }
    assert_eq!(to_host(&mut scp), b"hello\0");
    host(&mut scp, b"\0");
    let Some(Event::Finished { asked, bytes: 5, good: true }) = scp.poll_event() else { panic!("an event") };
    assert_eq!(asked.len(), 2);
}

#[test]
fn a_refused_upload_is_skipped_and_the_next_goes_on() {
    let mut scp = machine("scp -r -d -t /srv");
    host(&mut scp, b"\0");
    client(&mut scp, b"D0755 0 d\n");
    refuse(&mut scp);
    assert_eq!(to_client(&mut scp), [b"\0", NO].concat());
    client(&mut scp, b"C4755 0 b\n");
    allow(&mut scp, FileOperation::Write, "/srv/b");
    // setuid
    refuse(&mut scp);
    assert!(to_host(&mut scp).is_empty());
    assert_eq!(to_client(&mut scp), NO);
    client(&mut scp, b"D0755 0 e\n");
    allow(&mut scp, FileOperation::MakeDirectory, "/srv/e");
    host(&mut scp, b"\0");
    client(&mut scp, b"C0600 0 f\n");
    allow(&mut scp, FileOperation::Write, "/srv/e/f");
    host(&mut scp, b"\0");
    client(&mut scp, b"\0");
    host(&mut scp, b"\x01disk full\n");
    client(&mut scp, b"E\n");
    host(&mut scp, b"\0");
    assert_eq!(to_host(&mut scp), b"D0755 0 e\nC0600 0 f\n\0E\n");
    assert_eq!(to_client(&mut scp), b"\0\0\x01disk full\n\0");
    let good: Vec<_> = std::iter::from_fn(|| scp.poll_event())
        .map(|event| matches!(event, Event::Finished { good: true, .. }))
        .collect();
    assert_eq!(good, [true, false]);
    assert_eq!(scp.handle_client(&mut BytesMut::from(&b"E\n"[..])), Err(Fault::Leave));
}

#[test]
fn a_target_that_may_be_a_directory_is_asked_as_both() {
    let mut scp = machine("scp -t /srv/x");
    host(&mut scp, b"\0");
    client(&mut scp, b"C0644 1 y\n");
    allow(&mut scp, FileOperation::Write, "/srv/x/y");
    allow(&mut scp, FileOperation::Write, "/srv/x");
    assert_eq!(to_host(&mut scp), b"C0644 1 y\n");
}

#[test]
fn names_that_leave_the_directory_are_refused() {
    for name in ["..", ".", "", "../x", "a/b", "a\tb", "a\x1b[2Jb"] {
        let mut scp = machine("scp -r -d -t /srv");
        host(&mut scp, b"\0");
        client(&mut scp, format!("C0644 1 {name}\nD0755 0 {name}\n").as_bytes());
        assert!(scp.poll_question().is_none(), "{name:?}");
        assert!(to_host(&mut scp).is_empty());
        assert!(matches!(scp.poll_event(), Some(Event::Refused { .. })));
        assert!(to_client(&mut scp).starts_with(b"\0\x01hoopctl: "));
    }
}

#[test]
fn a_download_gets_only_what_was_asked_for() {
    // CVE-2019-6111 and CVE-2018-20685: a host that sends other files
    for line in ["C0644 4 .bashrc\n", "D0755 0 data\n", "D0755 0 .\n", "C0644 4 ../data\n", "C0644 4 \n"] {
        let mut scp = machine("scp -f /srv/data");
        client(&mut scp, b"\0");
        assert_eq!(to_host(&mut scp), b"\0");
        host(&mut scp, line.as_bytes());
        assert!(scp.poll_question().is_none(), "{line:?}");
        assert!(to_host(&mut scp).starts_with(b"\x01hoopctl: "), "the host skips it");
        assert!(to_client(&mut scp).starts_with(b"\x01hoopctl: "), "the client is told");
    }
    let mut scp = machine("scp -f /srv/data");
    client(&mut scp, b"\0");
    host(&mut scp, b"C0644 4 data\n");
    allow(&mut scp, FileOperation::Read, "/srv/data");
    client(&mut scp, b"\0");
    assert!(host(&mut scp, b"four\0C0644").starts_with(b"C"));
    client(&mut scp, b"\0");
    assert_eq!(to_client(&mut scp), b"C0644 4 data\nfour\0");
    host(&mut scp, b"C0644 4 data\n");
    assert!(scp.poll_question().is_none(), "once");
}

#[test]
fn a_tree_comes_down_under_its_own_path() {
    let mut scp = machine("scp -r -f -- a /srv/b");
    client(&mut scp, b"\0");
    host(&mut scp, b"\x01scp: a: No such file\nD0755 0 b\n");
    allow(&mut scp, FileOperation::List, "/srv/b");
    client(&mut scp, b"\0");
    host(&mut scp, b"C0644 0 x\n");
    refuse(&mut scp);
    assert_eq!(to_client(&mut scp), [&b"\x01scp: a: No such file\nD0755 0 b\n"[..], NO].concat());
    assert_eq!(to_host(&mut scp), [b"\0\0", NO].concat());
    host(&mut scp, b"E\n");
    assert_eq!(to_client(&mut scp), b"E\n");
}

#[test]
fn the_host_runs_what_was_judged() {
    let home = RemotePath::absolute(b"/home/deploy").unwrap();
    let line = |words: &[&[u8]]| {
        Command::parse(words, Some(&home))
            .map(|command| command.map(|command| String::from_utf8(command.line()).unwrap()))
    };
    assert_eq!(line(&[b"ls", b"-t"]), Ok(None));
    assert_eq!(line(&[b"scp", b"a", b"b"]), Ok(None));
    assert_eq!(
        line(&[b"/usr/bin/scp", b"-v", b"-rp", b"-t", b"~/../$(id)'/"]),
        Ok(Some("scp -t -r -p -d -- '/home/$(id)'\\'''".into()))
    );
    assert_eq!(
        line(&[b"scp", b"-f", b"--", b"-x", b"."]),
        Ok(Some("scp -f -- '/home/deploy/-x' '/home/deploy'".into()))
    );
    // where a shell reads a backslash in quotes, it would take the quote after it for its own
    assert_eq!(line(&[b"scp", b"-t", br"/a\';id;'"]), Ok(Some(r"scp -t -- '/a'\\''\'';id;'\'''".into())));
    assert_eq!(line(&[b"scp", b"-S", b"-t", b"a"]), Err(CommandError::Options));
    assert_eq!(line(&[b"scp", b"-t", b"~bob/x"]), Err(CommandError::Home));
    assert_eq!(line(&[b"scp", b"-t", b"a", b"b"]), Err(CommandError::Paths));
    assert_eq!(
        Command::parse(&[b"scp", b"-t", b"a"], None),
        Err(CommandError::Path(crate::wire::ssh::path::PathError::Relative))
    );
}

#[test]
fn lines_without_an_end_and_lines_that_nobody_knows_end_the_channel() {
    let mut scp = machine("scp -t /srv");
    let mut input = BytesMut::from(&b"X"[..]);
    assert_eq!(scp.handle_upstream(&mut input), Err(Fault::Line(LineError::Malformed)));
    let mut scp = machine("scp -t /srv");
    host(&mut scp, b"\0");
    let mut input = BytesMut::from(&[b'C'; 10_000][..]);
    assert_eq!(scp.handle_client(&mut input), Err(Fault::Line(LineError::TooLong)));
    for line in [
        "C0644 -1 a",
        "C0644 9223372036854775808 a",
        "C9999 1 a",
        "C77777 1 a",
        "C0644 1",
        "T1 2 3",
        "E0",
        "",
    ] {
        assert_eq!(Line::parse(line.as_bytes()), Err(LineError::Malformed), "{line}");
    }
}

proptest! {
    #[test]
    fn a_line_is_written_as_it_was_read(mode in 0..=0o7777_u32, size in 0..=u64::MAX / 2, name in "[a-zé ]{1,9}") {
        let name = name.into_bytes();
        for line in [
            Line::File { mode, size, name: name.clone() },
            Line::Directory { mode, name: name.clone() },
            Line::Times { modified: (size, 0), accessed: (1, size) },
            Line::Warning(name.clone()),
            Line::Fatal(name),
            Line::Leave,
        ] {
            let mut out = BytesMut::new();
            line.put(&mut out);
            let text = line::take(&mut out).unwrap().unwrap();
            prop_assert_eq!(Line::parse(&text).unwrap(), line);
        }
    }
}
