//! A call as reviewers see it, and as its digest knows it.
//!
//! Job: the whole of what goes to the API: line, headers, body; redacted where it is shown, exact where it is digested.
//! Boundary: what the lease adds is not part of it. Failure mode: a body that may not be shown is told by its length; it
//! is in the digest all the same.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::{EXPECT, HOST};

use super::door;
use super::exchange::tape;
use super::reading::{Arriving, Reading};
use crate::wire::http::head;

/// The headers of the client's that are sent.
pub(in crate::gateway) fn headers(headers: &HeaderMap) -> HeaderMap {
    let mut sent = headers.clone();
    // what cannot be stripped is refused before it is sent
    let _refused = head::strip_hop_by_hop(&mut sent);
    head::strip_credentials(&mut sent, None);
    head::strip_forwarding(&mut sent);
    for name in [door::SESSION, EXPECT, HOST] {
        sent.remove(name);
    }
    sent
}

/// The headers that rules go by.
pub(in crate::gateway) fn facts(sent: &HeaderMap) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for name in headers(sent).keys().filter(|name| !USUAL.contains(&name.as_str())) {
        let values: Vec<_> = sent.get_all(name).iter().map(|value| head::recorded(name, value)).collect();
        // of a secret not even that it is there
        if values.iter().any(|value| value.contains(head::REDACTED)) {
            continue;
        }
        let value = values.join(", ");
        let value = if value.len() > LONGEST_VALUE { String::new() } else { value };
        facts.insert(name.as_str().to_owned(), value);
    }
    facts
}

/// The call with everything that changes what it means, to the byte.
pub(in crate::gateway) fn exact(reading: &Reading, headers: &HeaderMap) -> Vec<u8> {
    let mut exact = format!("{} {}\n", reading.method, reading.sent).into_bytes();
    if let Some(aws) = &reading.facts.aws {
        // the same bytes are another call of another service
        exact.extend_from_slice(format!("{}\n", aws.service).as_bytes());
    }
    for (name, value) in headers {
        exact.extend_from_slice(name.as_str().as_bytes());
        exact.extend_from_slice(b": ");
        exact.extend_from_slice(value.as_bytes());
        exact.push(b'\n');
    }
    exact.push(b'\n');
    if let Arriving::Whole(body) = &reading.body {
        exact.extend_from_slice(body);
    }
    exact
}

/// The call as it may be shown.
pub(in crate::gateway) fn sent(reading: &Reading, headers: &HeaderMap) -> String {
    let mut sent = reading.text.clone();
    for (name, value) in headers {
        sent.push_str(&format!("\n{name}: {}", head::recorded(name, value)));
    }
    let Arriving::Whole(body) = &reading.body else { return sent };
    if body.is_empty() {
        return sent;
    }
    sent.push_str("\n\n");
    let Some(shown) = tape(reading).text(body) else {
        sent.push_str(&format!("[a body of {} bytes, which cannot be shown]", body.len()));
        return sent;
    };
    let end = shown.char_indices().map(|(at, _)| at).find(|at| *at >= LONGEST).unwrap_or(shown.len());
    sent.push_str(shown.get(..end).unwrap_or_default());
    if end < shown.len() {
        sent.push_str(&format!("\n[and {} bytes more, which are not shown]", shown.len() - end));
    }
    sent
}

/// What every client sends, so that it says nothing of a call.
const USUAL: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "connection",
    "content-length",
    "content-type",
    "date",
    "traceparent",
    "tracestate",
    "user-agent",
];
/// Longer values of headers are no facts.
const LONGEST_VALUE: usize = 256;
/// How much of a body reviewers read.
const LONGEST: usize = 16 * 1024;
