//! Answers of AWS that are not passed on as they are.

use super::stage::{Account, REGION, Script, Setup, TOKEN};

async fn asked(answers: &[&str]) -> (Script, String) {
    let script = Script::start(answers).await;
    let account = Account::start(Setup::open(script.port)).await;
    let call = account.signed("GET", "/traces/x", &[], "");
    let answer = account.front.raw(&call.bytes("")).await;
    (script, answer)
}

fn error(status: &str, code: &str, more: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>m</Message>{more}</Error>");
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_told_and_not_followed() {
    let moved = "HTTP/1.1 301 Moved Permanently\r\nx-amz-bucket-region: us-west-2\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n";
    let (script, answer) = asked(&[moved]).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("another region (us-west-2)"), "{answer}");
    assert!(!answer.contains("169.254"), "{answer}");
    assert_eq!(script.heads().len(), 1);
    assert_ne!(REGION, "us-west-2");
}

/// S3 quotes the head that it was sent, in plain and in hexadecimal with spaces.
#[tokio::test(flavor = "multi_thread")]
async fn the_leases_token_does_not_come_back_in_an_error() {
    let spaced: Vec<String> = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
    let quoted = format!(
        "<CanonicalRequest>{TOKEN}</CanonicalRequest><CanonicalRequestBytes>{}</CanonicalRequestBytes>",
        spaced.join(" ")
    );
    let (_script, answer) = asked(&[&error("403 Forbidden", "SignatureDoesNotMatch", &quoted)]).await;
    assert!(answer.contains("AWS does not take the gateway's signature"), "{answer}");
    assert!(!answer.contains(TOKEN) && !answer.contains(&spaced.join(" ")), "{answer}");
    let (_script, answer) = asked(&[&error("400 Bad Request", "SomethingElse", TOKEN)]).await;
    assert!(answer.contains("SomethingElse") && !answer.contains(TOKEN), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_have_expired_are_no_fault_of_the_clients() {
    let (script, answer) = asked(&[&error("400 Bad Request", "ExpiredToken", "")]).await;
    assert!(answer.contains("the keys of this session have expired at AWS"), "{answer}");
    // there were no others to try with
    assert_eq!(script.heads().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_reached_is_worth_another_try() {
    let account = Account::start(Setup::open(1)).await;
    let call = account.signed("GET", "/traces/x", &[], "");
    let answer = account.front.raw(&call.bytes("")).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("ServiceUnavailable"), "{answer}");
}
