#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::domain::facts::{Facts, StatementKind};
use crate::gateway::postgres::inspected::Part;
use crate::mask::document::{Detector, Detectors};
use crate::wire::postgres::conversation::Expect;

fn veil() -> Veil {
    let detectors = Detectors::new(&Detector::ALL, &[]).unwrap();
    crate::gateway::postgres::veil::veil(Arc::new(detectors)).unwrap()
}

fn shown_as(text: &str, reading: Reading, facts: Facts) -> String {
    let inspected = Inspected::passing(vec![Part::new(facts, text)], Expect::default());
    redacted(inspected, &veil(), reading).parts.remove(0).text
}

fn shown(text: &str) -> String {
    shown_as(text, Reading::Standard, Facts::new("select", StatementKind::Read))
}

/// INVARIANT: a finding hides no SQL.
#[test]
fn what_begins_in_a_value_or_a_comment_ends_with_it() {
    const KEY: &str = "-----BEGIN PRIVATE KEY-----";
    for (text, told) in [
        (
            format!("UPDATE users SET note = '{KEY}' , role = 'admin' WHERE true"),
            "UPDATE users SET note = '[masked]' , role = 'admin' WHERE true",
        ),
        (format!("SELECT 1 /* {KEY} */; DELETE FROM users"), "SELECT 1 /* [masked]*/; DELETE FROM users"),
        (format!("SELECT 1 -- {KEY}\n; DELETE FROM users"), "SELECT 1 -- [masked]\n; DELETE FROM users"),
        (
            format!("-- {KEY}\n-- MIIEvQIBADANBgkqhkiG9w0\nDELETE FROM users"),
            "/* [masked] */\nDELETE FROM users",
        ),
        (format!("SELECT \"{KEY}\", role FROM users"), "SELECT \"[masked]\", role FROM users"),
        (
            format!("DO $$ BEGIN /* {KEY} */ DELETE FROM users; END $$"),
            "DO $$ BEGIN /* [masked]*/ DELETE FROM users; END $$",
        ),
        (
            format!("DO 'BEGIN /* {KEY} */ DELETE FROM \"it''s\"; END'"),
            "DO 'BEGIN /* [masked]*/ DELETE FROM \"it''s\"; END'",
        ),
        (format!("SELECT E'\\n{KEY}', role"), "SELECT '\n[masked]', role"),
        (format!("SELECT $$ {KEY}\nMII $$, role"), "SELECT $$ [masked]$$, role"),
    ] {
        assert_eq!(shown(&text), told, "{text}");
    }
}

#[test]
fn a_literal_is_looked_at_as_it_is_read() {
    for (text, told) in [
        ("SELECT E'alice\\x40example.org'", "SELECT '[masked]'"),
        ("SELECT E'to alice\\100example.org, it\\'s'", "SELECT 'to [masked], it''s'"),
        ("SELECT U&'alice\\0040example.org'", "SELECT '[masked]'"),
        ("SELECT U&'alice!0040example.org' UESCAPE '!'", "SELECT '[masked]' UESCAPE '!'"),
        ("SELECT 'alice@'\n'example.org', 1", "SELECT '[masked]', 1"),
        ("SELECT 'a' -- alice@example.org\n'b'", "SELECT '[masked]'"),
        ("SELECT 'alice@example.org''s'", "SELECT '[masked]''s'"),
        ("SELECT 1 FROM t WHERE email = \"alice@example.org\"", "SELECT 1 FROM t WHERE email = \"[masked]\""),
        ("SELECT 4111111111111111, 4111-1111-1111-1111", "SELECT [masked], [masked]"),
        ("UPDATE t SET ssn = 536221870 WHERE id = 1", "UPDATE t SET ssn = [masked] WHERE id = 1"),
        ("UPDATE t SET phone = '4155552671'", "UPDATE t SET phone = '[masked]'"),
        ("UPDATE t SET item = '4155552671'", "UPDATE t SET item = '4155552671'"),
        ("SELECT '{\"a\": \"536-22-1870\"}'", "SELECT '{\"a\": \"[masked]\"}'"),
        ("SELECT a.b@c.de, balance-@users.salary", "SELECT a.b@c.de, balance-@users.salary"),
    ] {
        assert_eq!(shown(text), told, "{text}");
    }
}

/// What no parser takes, or nobody knows how to read.
#[test]
fn what_cannot_be_read_tells_no_more() {
    let unparsed = |text: &str, reading| shown_as(text, reading, Facts::unparsed());
    let standard = |text: &str| unparsed(text, Reading::Standard);
    assert_eq!(standard("SELECT 'alice@example.org"), "SELECT '[masked]");
    assert_eq!(standard("SELECT alice.1@example.org, 1"), "SELECT [masked], 1");
    assert_eq!(standard("SELECT to 10.1.2.3 x"), "SELECT to [masked] x");
    assert_eq!(unparsed("SELECT 'a\\', 'b@example.org'", Reading::Escaping), "SELECT 'a\\', '[masked]'");
    assert_eq!(unparsed("SELECT '\\', 'b@example.org'", Reading::Unsure), "[masked]");
    assert_eq!(unparsed("SELECT '\\', 'b'", Reading::Unsure), "SELECT '\\', 'b'");
}

/// INVARIANT: no form of a value shows what its text would not.
#[test]
fn what_is_bound_in_binary_is_looked_into() {
    use bytes::Bytes;

    use crate::gateway::postgres::values::{self, Known};

    let veil = veil();
    let shown = |bytes: &[u8], format: i16, type_oid: u32, hint: &str| {
        let hints = [veil.hint(hint)];
        let known = Known { types: &[type_oid], hints: &hints, secret: false, veil: Some(&veil) };
        values::shown(&[Some(Bytes::copy_from_slice(bytes))], &[format], known).remove(0).unwrap()
    };
    let card = 4_111_111_111_111_111_i64.to_be_bytes();
    // ndigits, weight, sign, dscale, then four digits each: 4111111111111111
    let numeric = [4_u16, 3, 0, 0, 4111, 1111, 1111, 1111].map(u16::to_be_bytes).concat();
    // dimensions, no NULL, text, one element from 1 on, its length
    let array = [[0, 0, 0, 1], [0; 4], [0, 0, 0, 25], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 17]].concat();
    let array = [array.as_slice(), b"alice@example.org"].concat();
    for (bytes, type_oid, told) in [
        (b"to alice@example.org".as_slice(), 0, "to [masked]"),
        (b"to alice@example.org".as_slice(), 25, "to [masked]"),
        (b"\x01{\"to\": \"alice@example.org\"}".as_slice(), 3802, "\u{1}{\"to\": \"[masked]\"}"),
        (card.as_slice(), 0, "[masked]"),
        (card.as_slice(), 20, "[masked]"),
        (numeric.as_slice(), 0, "[masked]"),
        (array.as_slice(), 0, "[masked]"),
        (b"plain text".as_slice(), 0, "plain text"),
        (b"text".as_slice(), 25, "text"),
        // it could be a number
        (b"text".as_slice(), 0, "\\x74657874"),
        (b"\0\0\0\x07".as_slice(), 23, "\\x00000007"),
    ] {
        assert_eq!(shown(bytes, 1, type_oid, ""), told, "{bytes:?}");
    }
    assert_eq!(shown(b"536221870", 1, 25, "ssn = "), "[masked]");
    assert_eq!(shown(b"536221870", 0, 25, "ssn = "), "[masked]");
    assert_eq!(shown(b"536221870", 0, 25, "item = "), "536221870");
    // what the cut would have left half of
    for format in [0, 1] {
        let long = format!("{}alice@example.org{}", " ".repeat(4090), "x ".repeat(9000));
        assert_eq!(shown(long.as_bytes(), format, 25, ""), format!("{}[masked]", " ".repeat(4090)));
    }
}
