//! A writer of canonical JSON (RFC 8785).
//!
//! The caller gives members in sorted order; this writes them without whitespace, escapes strings
//! as RFC 8785 §3.2.2.2 says, and keeps integers inside ±(2^53 - 1), where JSON's numbers are exact.

use std::io::Write as _;

use serde_json::Value;

/// Writes members into a buffer that is reused from entry to entry.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: true }
    }

    pub(super) fn open(&mut self) {
        self.out.push(b'{');
        self.first = true;
    }

    pub(super) fn close(&mut self) {
        self.out.push(b'}');
        self.first = false;
    }

    pub(super) fn object(&mut self, key: &str) {
        self.key(key);
        self.open();
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        string(self.out, value);
    }

    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.signed(key, i64::try_from(value).unwrap_or(MAX_EXACT));
    }

    pub(super) fn signed(&mut self, key: &str, value: i64) {
        self.key(key);
        // writing to a Vec cannot fail
        let _written = write!(self.out, "{}", value.clamp(-MAX_EXACT, MAX_EXACT));
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(super) fn texts(&mut self, key: &str, values: impl Iterator<Item = impl AsRef<str>>) {
        self.key(key);
        self.out.push(b'[');
        for (place, value) in values.enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            string(self.out, value.as_ref());
        }
        self.out.push(b']');
    }

    /// Any value, its members sorted.
    pub(super) fn value(&mut self, key: &str, value: &Value) {
        self.key(key);
        write_value(self.out, value);
    }

    fn key(&mut self, key: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        // every key is one of ours: nothing in it needs escaping
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// Depth is bounded by the types that values are made from. Fractions do not occur in them.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_value(out, item);
            }
            out.push(b']');
        }
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Null => out.extend_from_slice(b"null"),
        Value::Number(number) => {
            let bound = if number.is_u64() { MAX_EXACT } else { -MAX_EXACT };
            let exact = number.as_i64().unwrap_or(bound).clamp(-MAX_EXACT, MAX_EXACT);
            // writing to a Vec cannot fail
            let _written = write!(out, "{exact}");
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            // RFC 8785 §3.2.3 sorts by UTF-16 units, which is the order of bytes for the names of our types
            sorted.sort_unstable_by_key(|(key, _)| *key);
            let mut inner = Writer::new(out);
            inner.open();
            for (key, member) in sorted {
                inner.value(key, member);
            }
            inner.close();
        }
        Value::String(text) => string(out, text),
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((special, after)) = tail.split_first() else { break };
        escape(out, *special);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x09 => out.extend_from_slice(b"\\t"),
        0x0a => out.extend_from_slice(b"\\n"),
        0x0c => out.extend_from_slice(b"\\f"),
        0x0d => out.extend_from_slice(b"\\r"),
        other => {
            // writing to a Vec cannot fail
            let _written = write!(out, "\\u{other:04x}");
        }
    }
}

const MAX_EXACT: i64 = (1 << 53) - 1;
