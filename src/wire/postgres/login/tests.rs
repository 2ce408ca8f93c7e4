#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use postgres_protocol::password::scram_sha_256;

use super::*;
use crate::wire::postgres::scram::{self, Verifier};

fn options(channel: Channel) -> LoginOptions {
    LoginOptions {
        user: "ada_7".to_owned(),
        password: SecretString::from("the password"),
        parameters: vec![("database".to_owned(), "traces".to_owned())],
        channel,
        trust: Trust::Refuse,
        limits: FrameLimits::default(),
    }
}

fn begin(channel: Channel) -> Login {
    let mut output = BytesMut::new();
    let login = Login::begin(options(channel), &mut output);
    assert_eq!(&output[4..], b"\0\x03\0\0user\0ada_7\0database\0traces\0\0");
    login
}

fn encoded(messages: &[ServerMessage<'_>]) -> BytesMut {
    let mut out = BytesMut::new();
    for message in messages {
        message.encode(&mut out);
    }
    out
}

fn offer(mechanisms: &[&'static [u8]]) -> BytesMut {
    encoded(&[ServerMessage::Authentication(Authentication::Sasl(mechanisms.to_vec()))])
}

/// What the client answers to an offer.
fn answer(channel: Channel, mechanisms: &[&'static [u8]]) -> Result<String, UpstreamFault> {
    let mut output = BytesMut::new();
    begin(channel).handle(&mut offer(mechanisms), &mut output)?;
    Ok(String::from_utf8_lossy(&output[5..]).into_owned())
}

const PLAIN: &[u8] = b"SCRAM-SHA-256";
const PLUS: &[u8] = b"SCRAM-SHA-256-PLUS";

#[test]
fn a_login_collects_settings_and_key() {
    let mut output = BytesMut::new();
    let LoginStep::More(login) = begin(Channel::Plain).handle(&mut offer(&[PLAIN]), &mut output).unwrap()
    else {
        panic!("more was due");
    };
    let verifier = Verifier::parse(&scram_sha_256(b"the password")).unwrap();
    let initial = frame::take(&mut output, 1000).unwrap().unwrap();
    let initial = SaslInitial::parse(initial.body()).unwrap();
    let (first, proof) = scram::begin(verifier, [5; 18], initial.response.unwrap()).unwrap();
    let mut input = encoded(&[ServerMessage::Authentication(Authentication::SaslContinue(first.as_bytes()))]);
    let LoginStep::More(login) = login.handle(&mut input, &mut output).unwrap() else {
        panic!("more was due");
    };
    let response = frame::take(&mut output, 1000).unwrap().unwrap();
    let last = proof.finish(response.body()).unwrap();
    let mut input = encoded(&[
        ServerMessage::Authentication(Authentication::SaslFinal(last.as_bytes())),
        ServerMessage::Authentication(Authentication::Ok),
        ServerMessage::ParameterStatus { name: b"server_version", value: b"17.2" },
        ServerMessage::BackendKeyData { process: 9, key: &[1, 2, 3, 4] },
        ServerMessage::ReadyForQuery(TransactionStatus::Idle),
    ]);
    input.extend_from_slice(b"N");
    let LoginStep::Done(done) = login.handle(&mut input, &mut output).unwrap() else {
        panic!("it was complete");
    };
    assert_eq!(done.settings, [("server_version".to_owned(), "17.2".to_owned())]);
    assert_eq!(done.key.unwrap().process, 9);
    // what follows belongs to the conversation
    assert_eq!(&input[..], b"N");
}

#[test]
fn channel_binding_is_used_where_it_can_be() {
    let tls = |endpoint| Channel::Tls { endpoint };
    assert!(answer(tls(Some(vec![1])), &[PLUS, PLAIN]).unwrap().contains("p=tls-server-end-point,,"));
    // not offered: say that we could have
    assert!(answer(tls(Some(vec![1])), &[PLAIN]).unwrap().contains("y,,"));
    assert!(answer(Channel::Plain, &[PLAIN]).unwrap().contains("n,,"));
    assert_eq!(answer(tls(None), &[PLUS, PLAIN]), Err(UpstreamFault::Downgrade));
    assert_eq!(answer(Channel::Plain, &[PLUS]), Err(UpstreamFault::Mechanism));
    assert_eq!(answer(tls(Some(vec![1])), &[b"OAUTHBEARER"]), Err(UpstreamFault::Mechanism));
}

#[test]
fn weak_and_absent_authentication_is_refused() {
    let fault = |request| {
        let mut output = BytesMut::new();
        let mut input = encoded(&[ServerMessage::Authentication(request)]);
        let fault = begin(Channel::Plain).handle(&mut input, &mut output).unwrap_err();
        assert!(output.is_empty(), "nothing is given away");
        fault
    };
    assert_eq!(fault(Authentication::Cleartext), UpstreamFault::Weak("cleartext password"));
    assert_eq!(fault(Authentication::Md5([0; 4])), UpstreamFault::Weak("MD5 password"));
    assert_eq!(fault(Authentication::Ok), UpstreamFault::Trust);
    assert_eq!(fault(Authentication::Other(7)), UpstreamFault::Mechanism);
}

#[test]
fn a_database_that_does_not_know_the_password_is_found_out() {
    let mut output = BytesMut::new();
    let LoginStep::More(login) = begin(Channel::Plain).handle(&mut offer(&[PLAIN]), &mut output).unwrap()
    else {
        panic!("more was due");
    };
    // it skips the proof and says ok
    let mut input = encoded(&[ServerMessage::Authentication(Authentication::Ok)]);
    assert!(matches!(
        login.handle(&mut input, &mut output),
        Err(UpstreamFault::Unexpected { tag: b'R', .. })
    ));
}

#[test]
fn tls_is_begun_only_on_a_bare_yes() {
    assert_eq!(&ssl_request()[..], &[0, 0, 0, 8, 4, 210, 22, 47]);
    let judge = |bytes: &[u8]| judge_ssl_answer(&mut BytesMut::from(bytes));
    assert_eq!(judge(b""), Ok(false));
    assert_eq!(judge(b"S"), Ok(true));
    assert_eq!(judge(b"N"), Err(UpstreamFault::TlsRefused));
    assert_eq!(judge(b"SR\0\0\0"), Err(UpstreamFault::PlaintextBehindTls));
    assert!(matches!(judge(b"H"), Err(UpstreamFault::Unexpected { .. })));
}
