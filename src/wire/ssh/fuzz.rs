//! Bodies for fuzzing: each takes any bytes and must return.
//!
//! Job: reach every parser and machine here, for property tests now and a fuzzer later. Boundary: not
//! part of the library's interface. Failure mode: a panic is a bug.

use bytes::{Buf as _, BytesMut};

use super::path::{RemotePath, link_target};
use super::refusal::Refusal;
use super::terminal::{self, Mask, Supervisor};
use super::{scp, sftp};

/// Everything below with the same bytes.
pub fn all(data: &[u8]) {
    paths(data);
    sftp(data);
    scp(data);
    terminal(data);
}

/// Paths and link targets.
pub fn paths(data: &[u8]) {
    drop(RemotePath::root().resolve(data));
    drop(link_target(data));
}

/// A channel whose two sides are both hostile: each byte of the first half says who speaks.
pub fn sftp(data: &[u8]) {
    if let Some((kind, body)) = data.split_first()
        && let Ok(request) = sftp::Request::parse(*kind, body)
    {
        drop(request.encode());
    }
    let mut machine = sftp::Inspector::new(sftp::Options::default());
    let mut client = BytesMut::from(&b"\0\0\0\x05\x01\0\0\0\x03"[..]);
    let mut host = BytesMut::from(&b"\0\0\0\x05\x02\0\0\0\x03"[..]);
    let (one, two) = data.split_at(data.len() / 2);
    client.extend_from_slice(one);
    host.extend_from_slice(&[0, 0, 0, 18, 104, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, b'/', 0, 0, 0, 0]);
    host.extend_from_slice(two);
    for turn in 0..16 {
        if machine.handle_client(&mut client).is_err() || machine.handle_upstream(&mut host).is_err() {
            break;
        }
        while let Some(question) = machine.poll_question() {
            let answer = if turn % 3 == 2 { sftp::Answer::Refuse(refusal()) } else { sftp::Answer::Forward };
            machine.handle_answer(question.id, &answer);
        }
        while machine.poll_event().is_some() {}
        let output = machine.upstream_output();
        output.advance(output.remaining());
        let output = machine.client_output();
        output.advance(output.remaining());
    }
    machine.finish();
}

/// Both directions of scp.
pub fn scp(data: &[u8]) {
    let words: Vec<&[u8]> = data.split(|byte| *byte == b' ').collect();
    drop(scp::Command::parse(&words, None));
    let (one, two) = data.split_at(data.len() / 2);
    for flag in [&b"-rt"[..], b"-rf"] {
        let Ok(Some(command)) = scp::Command::parse(&[b"scp", flag, b"/srv/a"], None) else { return };
        drop(command.line());
        let mut machine = scp::Inspector::new(command);
        let (mut client, mut host) = (BytesMut::from(one), BytesMut::from(two));
        for turn in 0..16 {
            if machine.handle_client(&mut client).is_err() || machine.handle_upstream(&mut host).is_err() {
                break;
            }
            while let Some(question) = machine.poll_question() {
                let answer =
                    if turn % 3 == 2 { scp::Answer::Refuse(refusal()) } else { scp::Answer::Forward };
                machine.handle_answer(question.id, &answer);
            }
            while machine.poll_event().is_some() {}
        }
    }
}

/// A terminal's output and input.
pub fn terminal(data: &[u8]) {
    let mut out = BytesMut::new();
    let mut mask = Mask::new(8);
    // ranges that are no ranges of the text are passed over
    let detector = |text: &str| vec![0..2, 3..usize::MAX, text.len()..text.len() + 1];
    for piece in data.chunks(5) {
        mask.handle(piece, &detector, &mut out);
    }
    mask.flush(&detector, &mut out);
    let mut supervisor = Supervisor::new();
    supervisor.handle_client(&mut BytesMut::from(data));
    while let Some(line) = supervisor.poll_question() {
        supervisor.handle_answer(line.id, &terminal::Answer::Forward);
    }
}

/// A valid channel's bytes to damage, one for each machine.
#[must_use]
pub fn samples() -> Vec<Vec<u8>> {
    let attributes = sftp::Attributes { size: Some(1), permissions: Some(0o644), ..Default::default() };
    let mut samples: Vec<Vec<u8>> = [
        sftp::Request::Open { path: b"a/../b", flags: 11, attributes },
        sftp::Request::Write { handle: b"h", offset: 0, data: b"data" },
        sftp::Request::Symlink { first: b"../a", second: b"b" },
        sftp::Request::CopyData { from: b"h", from_offset: 0, length: 0, to: b"h", to_offset: 0 },
    ]
    .iter()
    .map(|request| request.encode().into_bytes().to_vec())
    .collect();
    samples.push(samples.concat());
    samples.push(b"T1 0 2 0\nD0755 0 d\nC0644 4 a\ndata\0E\n\0\0\0\0\0\0\0\0".to_vec());
    samples.push(b"\0\0\0\0\0T1 0 2 0\nD0755 0 a\nC0644 4 b\ndata\0E\n".to_vec());
    samples.push("SE\u{1b}[1mCR\u{1b}]0;t\u{7}ET\u{8}\u{9b}0m é漢\r\nls\u{15}\u{3}\r".as_bytes().to_vec());
    samples
}

fn refusal() -> Refusal {
    Refusal { rule: "fuzz".to_owned(), reason: "no".to_owned(), hint: None }
}
