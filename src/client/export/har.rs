//! Calls of HTTP as HAR 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>).
//!
//! Job: one entry for each call, written when it has ended, with heads and bodies as they were recorded: redacted and
//! masked. `_hoopctl` in an entry has its place and its verdict. Boundary: a body is kept in a file without a name while
//! its call goes on, and is written from there in pieces. Failure mode: of a call whose end is not in the recording
//! there is what was recorded, with a comment; no more than 256 calls of a connection are held open.

mod body;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use self::body::Body;
use super::harmless;
use crate::client::playback::{Scene, Shown};
use crate::domain::event::VerdictWord;
use crate::domain::session::Session;
use crate::recording::item::{Head, Outcome, Statement};

/// A HAR file that is being written.
#[derive(Debug)]
pub struct Har {
    session: String,
    target: String,
    connection: u32,
    now: Duration,
    /// By the numbers of their deeds.
    open: BTreeMap<u64, Call>,
    count: u64,
}

/// A call that has not ended.
#[derive(Debug, Default)]
struct Call {
    started: Option<Timestamp>,
    began: Duration,
    statement: Option<Statement>,
    request: Option<Head>,
    answer: Option<Head>,
    answered: Option<Duration>,
    bodies: [Body; 2],
}

impl Har {
    /// A file about this session.
    #[must_use]
    pub fn new(session: &Session) -> Self {
        Self {
            session: session.id.to_string(),
            target: session.target.to_string(),
            connection: 0,
            now: Duration::ZERO,
            open: BTreeMap::new(),
            count: 0,
        }
    }

    /// Whether no call was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// A connection begins.
    pub fn connection(&mut self, number: u32) {
        self.connection = number;
    }

    /// Takes the next scene; a call that has ended is written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn take(&mut self, scene: Scene, out: &mut dyn Write) -> io::Result<()> {
        self.now = self.now.saturating_add(scene.wait);
        match scene.what {
            Shown::Statement(statement) => {
                let (number, at) = (statement.number, statement.at);
                let call = self.call(number, out)?;
                call.started.get_or_insert(at);
                call.statement = Some(statement);
            }
            Shown::Head(head) => {
                let now = self.now;
                let number = head.number;
                let call = self.call(number, out)?;
                call.started.get_or_insert(scene.at);
                if status(&head).is_some() {
                    (call.answer, call.answered) = (Some(head), Some(now));
                } else if call.request.is_none() && head.line != TRAILERS {
                    call.request = Some(head);
                }
            }
            Shown::Body(piece) => {
                let call = self.call(piece.number, out)?;
                call.started.get_or_insert(scene.at);
                if let Some(body) = call.bodies.get_mut(usize::from(piece.stream).wrapping_sub(1)) {
                    body.push(&piece.bytes)?;
                }
            }
            Shown::Outcome(outcome) => {
                if let Some(call) = self.open.remove(&outcome.number) {
                    self.write(call, outcome.number, Some(&outcome), out)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A connection is over: its calls have no other end.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn pause(&mut self, out: &mut dyn Write) -> io::Result<()> {
        while let Some((number, call)) = self.open.pop_first() {
            self.write(call, number, None, out)?;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.is_empty() { Ok(()) } else { out.write_all(b"\n]}}\n") }
    }

    fn call(&mut self, number: u64, out: &mut dyn Write) -> io::Result<&mut Call> {
        if self.open.len() >= MOST
            && !self.open.contains_key(&number)
            && let Some((oldest, call)) = self.open.pop_first()
        {
            self.write(call, oldest, None, out)?;
        }
        let began = self.now;
        Ok(self.open.entry(number).or_insert_with(|| Call { began, ..Call::default() }))
    }

    fn write(
        &mut self,
        mut call: Call,
        number: u64,
        outcome: Option<&Outcome>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        // what has no head and no request line is something else
        let Some((method, url)) = self.asked(&call) else { return Ok(()) };
        if self.is_empty() {
            let creator = json!({ "name": "hoopctl", "version": env!("CARGO_PKG_VERSION") });
            write!(out, "{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"entries\":[")?;
        } else {
            out.write_all(b",")?;
        }
        self.count += 1;
        let [sent, received] = &mut call.bodies;
        let query: Vec<Value> =
            url.query_pairs().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let request = json!({
            "bodySize": sent.length(),
            "cookies": [],
            "headers": headers(call.request.as_ref()),
            "headersSize": -1,
            "httpVersion": UNKNOWN,
            "method": method,
            "queryString": query,
            "url": url.as_str(),
        });
        let told = outcome.and_then(|outcome| outcome.tag.as_deref()?.parse().ok());
        // what the gateway answers when policy says no is not recorded
        let is_denied =
            call.statement.as_ref().is_some_and(|statement| statement.verdict == VerdictWord::Deny);
        let denied = is_denied.then_some(FORBIDDEN);
        let code = call.answer.as_ref().and_then(status).or(told).or(denied).unwrap_or(0);
        let reason = StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason());
        let answer = json!({
            "bodySize": received.length(),
            "cookies": [],
            "headers": headers(call.answer.as_ref()),
            "headersSize": -1,
            "httpVersion": UNKNOWN,
            "redirectURL": value(call.answer.as_ref(), "location"),
            "status": code,
            "statusText": reason.unwrap_or_default(),
        });
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let whole = self.now.saturating_sub(call.began);
        let wait = call.answered.map_or(whole, |answered| answered.saturating_sub(call.began));
        let statement = call.statement.as_ref();
        let mut rest = json!({
            "_hoopctl": {
                "connection": self.connection,
                "number": number,
                "rule": statement.map(|statement| statement.rule.as_str()),
                "session": self.session,
                "verdict": statement.map(|statement| statement.verdict),
            },
            "cache": {},
            "connection": self.connection.to_string(),
            "startedDateTime": call.started.unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
            "time": millis(whole),
            "timings": {
                "receive": millis(whole.saturating_sub(wait)), "send": 0, "wait": millis(wait),
            },
        });
        let comment = match outcome {
            None if is_denied => Some("it was denied; the answer itself is not in the recording".to_owned()),
            None => Some("its end is not in the recording".to_owned()),
            Some(outcome) => outcome.error.clone(),
        };
        if let (Some(comment), Some(rest)) = (comment, rest.as_object_mut()) {
            rest.insert("comment".into(), comment.into());
        }
        write!(out, "\n{},\"request\":{}", opened(&rest), opened(&request))?;
        if sent.length() > 0 {
            let data = json!({ "mimeType": value(call.request.as_ref(), "content-type") });
            write!(out, ",\"postData\":{}", opened(&data))?;
            sent.write("_encoding", out)?;
            out.write_all(b"}")?;
        }
        let content =
            json!({ "mimeType": value(call.answer.as_ref(), "content-type"), "size": received.length() });
        write!(out, "}},\"response\":{},\"content\":{}", opened(&answer), opened(&content))?;
        received.write("encoding", out)?;
        out.write_all(b"}}}")
    }

    /// What was asked for, as the client of the target writes it.
    fn asked(&self, call: &Call) -> Option<(String, Url)> {
        let line = match (&call.request, &call.statement) {
            (Some(head), _) => head.line.as_str(),
            (None, Some(statement)) => statement.text.lines().next()?,
            (None, None) => return None,
        };
        let (method, rest) = line.split_once(' ')?;
        let path = rest.split(' ').next().unwrap_or_default();
        let is_method =
            !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        if !is_method || !path.starts_with('/') {
            return None;
        }
        let base = format!("http://{}", self.target);
        let url = Url::parse(&format!("{base}{path}")).or_else(|_| Url::parse(&base)).ok()?;
        Some((method.to_owned(), url))
    }
}

/// The status of a head, if it is an answer's.
fn status(head: &Head) -> Option<u16> {
    let code = head.line.split(' ').next()?;
    (code.len() == 3).then(|| code.parse().ok()).flatten()
}

fn headers(head: Option<&Head>) -> Vec<Value> {
    let headers = head.map(|head| head.headers.as_slice()).unwrap_or_default();
    headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn value<'h>(head: Option<&'h Head>, name: &str) -> &'h str {
    let headers = head.map(|head| head.headers.as_slice()).unwrap_or_default();
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

/// An object without its end, so that more can be written into it.
fn opened(object: &Value) -> String {
    let text = object.to_string();
    harmless(text.strip_suffix('}').unwrap_or(&text)).into_owned()
}

/// How many calls of a connection can be open at once.
const MOST: usize = 256;
const FORBIDDEN: u16 = 403;
/// What stands for the first line where a head comes after its body.
const TRAILERS: &str = "trailers";
/// Recordings do not say it.
const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests;
