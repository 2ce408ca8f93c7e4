#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;

fn body(fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (code, text) in fields {
        body.push(*code);
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    body
}

fn scrubbed(fields: &[(u8, &str)]) -> ErrorFields {
    scrub(&Fields::parse(&body(fields)).unwrap())
}

#[test]
fn a_cast_error_keeps_its_code_and_loses_the_value() {
    let told = scrubbed(&[
        (b'S', "ERROR"),
        (b'V', "ERROR"),
        (b'C', "22P02"),
        (b'M', "invalid input syntax for type integer: \"sk-live-1234\""),
        (b'D', "sk-live-1234"),
        (b'W', "COPY reasoning_traces, line 1: sk-live-1234"),
    ]);
    assert_eq!(
        told.message,
        "the database reported error 22P02 (invalid text representation); details are withheld on a masked target"
    );
    assert_eq!((told.sqlstate.as_str(), told.detail), ("22P02", None));
}

#[test]
fn an_analysis_error_keeps_its_text_and_position() {
    let told = scrubbed(&[
        (b'S', "ERROR"),
        (b'C', "42P01"),
        (b'M', "relation \"nope\" does not exist"),
        (b'P', "15"),
        (b'H', "hint"),
    ]);
    assert_eq!(told.message, "relation \"nope\" does not exist");
    assert_eq!((told.position, told.hint), (Some(15), None));
}

#[test]
fn a_safe_code_does_not_carry_a_value_raised_at_run_time() {
    // select api_key::regclass
    let cast =
        scrubbed(&[(b'S', "ERROR"), (b'C', "42P01"), (b'M', "relation \"sk-live-1234\" does not exist")]);
    assert!(!cast.message.contains("sk-live"));
    // RAISE … USING ERRCODE = '42601'
    let raised = scrubbed(&[
        (b'S', "ERROR"),
        (b'C', "42601"),
        (b'M', "sk-live-1234"),
        (b'P', "1"),
        (b'W', "PL/pgSQL function inline_code_block line 1 at RAISE"),
    ]);
    assert!(!raised.message.contains("sk-live"));
}

#[test]
fn a_raised_code_cannot_carry_a_value() {
    let raised = |code| {
        scrubbed(&[
            (b'S', "ERROR"),
            (b'C', code),
            (b'M', "x"),
            (b'W', "PL/pgSQL function f() line 1 at RAISE"),
        ])
        .sqlstate
    };
    assert_eq!(raised("SKLIV"), "P0001");
    assert_eq!(raised("22042"), "22000");
    assert_eq!(raised("23505"), "23505");
}

#[test]
fn fixed_texts_and_plain_denials_are_told() {
    for (code, text) in [
        ("25P02", "current transaction is aborted, commands ignored until end of transaction block"),
        ("57014", "canceling statement due to user request"),
        ("42501", "permission denied for table reasoning_traces"),
    ] {
        assert_eq!(scrubbed(&[(b'S', "ERROR"), (b'C', code), (b'M', text)]).message, text);
    }
    let odd = scrubbed(&[(b'S', "ERROR"), (b'C', "57014"), (b'M', "COPY from stdin failed: secret")]);
    assert!(!odd.message.contains("secret"));
}

#[test]
fn a_notice_says_nothing() {
    let told = scrubbed(&[(b'S', "NOTICE"), (b'C', "00000"), (b'M', "key is sk-live-1234")]);
    assert_eq!(told.message, "the database sent a notice; its text is withheld on a masked target");
    assert_eq!(told.severity, Severity::Notice);
}
