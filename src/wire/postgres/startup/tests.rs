#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::password::scram_sha_256;

use super::*;
use crate::wire::buffer::{put_counted, put_cstr};
use crate::wire::postgres::frontend::ClientMessage;

fn packet(version: u32, parameters: &[(&str, &str)]) -> BytesMut {
    let mut out = BytesMut::new();
    put_counted(&mut out, |out| {
        out.put_u32(version);
        for (name, value) in parameters {
            put_cstr(out, name.as_bytes());
            put_cstr(out, value.as_bytes());
        }
        out.put_u8(0);
    });
    out
}

fn request(code: u32) -> BytesMut {
    let mut out = BytesMut::new();
    put_counted(&mut out, |out| out.put_u32(code));
    out
}

fn start(mut input: BytesMut) -> (Result<StartupStep, ClientFault>, BytesMut) {
    let mut output = BytesMut::new();
    let step = ExpectStartup::new(FrameLimits::default()).handle(&mut input, &mut output);
    (step, output)
}

fn started(input: BytesMut) -> (Started, BytesMut) {
    match start(input) {
        (Ok(StartupStep::Started(started)), output) => (started, output),
        (other, _) => panic!("{other:?}"),
    }
}

#[test]
fn encryption_is_declined_once_each_and_then_it_starts() {
    let mut input = request(GSSENC_REQUEST);
    input.extend_from_slice(&request(SSL_REQUEST));
    input.extend_from_slice(&packet(3 << 16, &[("user", "ada"), ("application_name", "psql")]));
    let (started, output) = started(input);
    assert_eq!(&output[..], b"NN");
    assert_eq!(started.parameters().database(), Some("ada"));
    assert_eq!(started.parameters().value("application_name"), Some("psql"));
    assert!(!started.parameters().wants_replication());

    let mut twice = request(SSL_REQUEST);
    twice.extend_from_slice(&request(SSL_REQUEST));
    assert!(matches!(start(twice).0, Err(ClientFault::Protocol { major: 1234, .. })));
}

#[test]
fn a_newer_minor_version_and_unknown_options_are_negotiated() {
    let (step, output) = started(packet((3 << 16) | 9999, &[("user", "ada"), ("_pq_.grease", "1")]));
    assert_eq!(step.minor, 2);
    let reply = ServerMessage::parse(output[0], &output[5..]).unwrap().unwrap();
    assert_eq!(
        reply,
        ServerMessage::NegotiateProtocolVersion { version: (3 << 16) | 2, options: vec![b"_pq_.grease"] }
    );
    let (_, silent) = started(packet((3 << 16) | 2, &[("user", "ada")]));
    assert!(silent.is_empty());
}

#[test]
fn hostile_start_up_packets_are_refused() {
    let fault = |input: BytesMut| start(input).0.unwrap_err();
    assert_eq!(fault(BytesMut::from(&b"\x16\x03\x01\x02\x00"[..])), ClientFault::DirectTls);
    assert!(matches!(fault(BytesMut::from(&b"GET / HT"[..])), ClientFault::Frame(_)));
    assert!(matches!(fault(BytesMut::from(&10_001u32.to_be_bytes()[..])), ClientFault::Frame(_)));
    assert!(matches!(fault(BytesMut::from(&7u32.to_be_bytes()[..])), ClientFault::Frame(_)));
    assert!(matches!(fault(packet(2 << 16, &[("user", "a")])), ClientFault::Protocol { major: 2, minor: 0 }));
    assert_eq!(fault(packet(3 << 16, &[("database", "d")])), ClientFault::MissingUser);
    assert_eq!(
        fault(packet(3 << 16, &[("user", "a"), ("user", "b")])),
        ClientFault::DuplicateParameter("user".to_owned())
    );
    let names: Vec<String> = (0..65).map(|n| format!("p{n}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    assert!(matches!(fault(packet(3 << 16, &many)), ClientFault::TooMany { .. }));
}

#[test]
fn a_cancel_request_is_a_key() {
    let key = CancelKey::long([7; 36]);
    let mut input = BytesMut::new();
    key.encode_request(&mut input);
    match start(input) {
        (Ok(StartupStep::Cancel(got)), output) => {
            assert_eq!(got, key);
            assert!(output.is_empty());
        }
        (other, _) => panic!("{other:?}"),
    }
}

#[test]
fn replication_is_seen_whatever_the_spelling() {
    for (value, wants) in
        [("database", true), ("ON", true), ("1", true), ("off", false), ("FALSE", false), ("0", false)]
    {
        let (started, _) = started(packet(3 << 16, &[("user", "a"), ("replication", value)]));
        assert_eq!(started.parameters().wants_replication(), wants, "{value}");
    }
}

/// Runs the exchange with the library's client; the last message may be changed on its way.
fn exchange(
    user: &str,
    secret: &str,
    binding: ChannelBinding,
    tamper: impl Fn(&mut Vec<u8>),
) -> Result<Authenticated, ClientFault> {
    let verifier = Verifier::parse(&scram_sha_256(b"the secret")).unwrap();
    let mut output = BytesMut::new();
    let (started, _) = started(packet((3 << 16) | 2, &[("user", user)]));
    let expect = started.challenge("ada", &verifier, [3; 18], &mut output);
    let offer = frame::take(&mut output, 100).unwrap().unwrap();
    assert_eq!(
        ServerMessage::parse(offer.tag, offer.body()).unwrap().unwrap(),
        ServerMessage::Authentication(Authentication::Sasl(vec![b"SCRAM-SHA-256"]))
    );

    let mut client = ScramSha256::new(secret.as_bytes(), binding);
    let mut input = BytesMut::new();
    SaslInitial { mechanism: b"SCRAM-SHA-256", response: Some(client.message()) }.encode(&mut input);
    let expect = match expect.handle(&mut input, &mut output)? {
        Step::Next(next) => next,
        Step::More(state) => panic!("{state:?}"),
    };
    let first = frame::take(&mut output, 1000).unwrap().unwrap();
    client.update(&first.body()[4..]).unwrap();
    let mut last = client.message().to_vec();
    tamper(&mut last);
    ClientMessage::Password(&last).encode(&mut input);
    let done = match expect.handle(&mut input, &mut output)? {
        Step::Next(next) => next,
        Step::More(state) => panic!("{state:?}"),
    };
    let last = frame::take(&mut output, 1000).unwrap().unwrap();
    client.finish(&last.body()[4..]).unwrap();
    Ok(done)
}

#[test]
fn the_right_secret_comes_in_with_and_without_y() {
    let done = exchange("ada", "the secret", ChannelBinding::unsupported(), |_| {}).unwrap();
    assert!(done.takes_long_keys());
    exchange("ada", "the secret", ChannelBinding::unrequested(), |_| {}).unwrap();
}

#[test]
fn a_wrong_secret_and_a_wrong_user_read_the_same() {
    let wrong = exchange("ada", "another", ChannelBinding::unsupported(), |_| {}).unwrap_err();
    let unknown = exchange("bob", "the secret", ChannelBinding::unsupported(), |_| {}).unwrap_err();
    assert_eq!(wrong.fields().sqlstate, "28P01");
    assert_eq!(unknown.fields().sqlstate, "28P01");
    assert_eq!(unknown.fields().message, wrong.fields().message.replace("ada", "bob"));
}

#[test]
fn a_tampered_last_message_is_refused() {
    let proof = |last: &mut Vec<u8>| {
        let at = last.len() - 10;
        last[at] = if last[at] == b'A' { b'B' } else { b'A' };
    };
    assert!(matches!(
        exchange("ada", "the secret", ChannelBinding::unsupported(), proof),
        Err(ClientFault::Authentication { .. })
    ));
    // "y" in the first message, "n" in the last: somebody took the offer of binding out
    let binding = |last: &mut Vec<u8>| last.splice(..6, *b"c=biws").for_each(drop);
    assert!(matches!(
        exchange("ada", "the secret", ChannelBinding::unrequested(), binding),
        Err(ClientFault::Scram(_))
    ));
    let nonce = |last: &mut Vec<u8>| last[10] ^= 1;
    assert!(matches!(
        exchange("ada", "the secret", ChannelBinding::unsupported(), nonce),
        Err(ClientFault::Scram(_))
    ));
}

#[test]
fn demanded_channel_binding_is_refused() {
    let demanded = exchange("ada", "the secret", ChannelBinding::tls_server_end_point(vec![1]), |_| {});
    assert_eq!(demanded.unwrap_err(), ClientFault::ChannelBinding);
}

#[test]
fn nothing_but_an_answer_is_buffered_before_authentication() {
    let verifier = Verifier::parse(&scram_sha_256(b"s")).unwrap();
    let mut output = BytesMut::new();
    let (first, _) = started(packet(3 << 16, &[("user", "ada")]));
    let expect = first.challenge("ada", &verifier, [0; 18], &mut output);
    let fault = expect.handle(&mut BytesMut::from(&b"Q"[..]), &mut output).unwrap_err();
    assert!(matches!(fault, ClientFault::Unexpected { tag: b'Q', .. }));
    let (second, _) = started(packet(3 << 16, &[("user", "ada")]));
    let expect = second.challenge("ada", &verifier, [0; 18], &mut output);
    let fault = expect.handle(&mut BytesMut::from(&b"p\x00\x01\x00\x01"[..]), &mut output).unwrap_err();
    assert!(matches!(fault, ClientFault::Frame(FrameError::TooLarge { .. })));
}

#[test]
fn readiness_tells_settings_key_and_status() {
    let done = exchange("ada", "the secret", ChannelBinding::unsupported(), |_| {}).unwrap();
    let mut output = BytesMut::new();
    let key = CancelKey::short([1; 8]);
    done.ready(&[("TimeZone".to_owned(), "UTC".to_owned())], &key, TransactionStatus::Idle, &mut output);
    let mut tags = Vec::new();
    while let Some(frame) = frame::take(&mut output, 1000).unwrap() {
        tags.push(frame.tag);
    }
    assert_eq!(tags, b"SKZ");
}
