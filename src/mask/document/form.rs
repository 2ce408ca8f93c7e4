//! Masks on `application/x-www-form-urlencoded` that streams by.
//!
//! Job: the values of protected fields are replaced; the rest is copied byte for byte. Boundary: a name is
//! kept up to a limit, values never. Failure mode: bytes that no form writes, such as a raw `;`, which some
//! readers take for `&`.

use std::sync::Arc;

use bytes::BytesMut;

use super::Unmaskable;
use super::hidden::{Hidden, Shown};
use super::plan::DocumentPlan;
use super::utf8::Utf8;

/// Masks one body; a query string has the same form.
#[derive(Debug)]
pub struct FormMasker {
    plan: Arc<DocumentPlan>,
    state: State,
    utf8: Utf8,
    name: Vec<u8>,
    hidden: Option<Hidden>,
    /// What detectors will look at: the value at hand, as it is written, and decoded.
    search: Option<(Vec<u8>, Vec<u8>)>,
    before: u64,
    masked: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Broken,
    Name,
    /// After `%`, and after `%` and a digit.
    Percent(Part, Option<u8>),
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Name,
    Value,
}

impl FormMasker {
    /// A masker for one body.
    #[must_use]
    pub fn new(plan: Arc<DocumentPlan>) -> Self {
        Self {
            plan,
            state: State::Name,
            utf8: Utf8::default(),
            name: Vec::new(),
            hidden: None,
            search: None,
            before: 0,
            masked: 0,
        }
    }

    /// Masks the next piece; what can be given out is appended to `out`.
    ///
    /// # Errors
    /// When the body is not a form. Every later call fails as well.
    pub fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<(), Unmaskable> {
        let mut state = std::mem::replace(&mut self.state, State::Broken);
        if state == State::Broken {
            return Err(Unmaskable::Broken);
        }
        for byte in input {
            state = self.step(state, *byte, out)?;
            self.before += 1;
        }
        self.state = state;
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// When it ends within a percent triplet.
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<(), Unmaskable> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Broken => Err(Unmaskable::Broken),
            State::Percent(..) => Err(Unmaskable::Truncated),
            State::Name => Ok(()),
            State::Value => {
                self.value_ended(out);
                if self.utf8.is_whole() { Ok(()) } else { Err(Unmaskable::Truncated) }
            }
        }
    }

    /// How many values were replaced so far.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.masked
    }

    fn step(&mut self, state: State, byte: u8, out: &mut BytesMut) -> Result<State, Unmaskable> {
        if self.hidden.is_none() || byte == b'&' {
            if byte == b'&' && state == State::Value {
                self.value_ended(out);
            }
            match &mut self.search {
                Some((raw, _)) => raw.push(byte),
                None => out.extend_from_slice(&[byte]),
            }
        }
        Ok(match (state, byte) {
            (State::Name | State::Value, b'&') => {
                self.name.clear();
                State::Name
            }
            (State::Name, b'=') => {
                self.name_ended()?;
                State::Value
            }
            (State::Name, b'%') => State::Percent(Part::Name, None),
            (State::Value, b'%') => State::Percent(Part::Value, None),
            (State::Percent(part, None), _) if byte.is_ascii_hexdigit() => State::Percent(part, Some(byte)),
            (State::Percent(part, Some(high)), _) => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (Some(high), Some(low)) = (digit(high), digit(byte)) else {
                    return Err(self.malformed());
                };
                self.keep(part, (high << 4) | low)?
            }
            (State::Name, _) if is_plain(byte) => self.keep(Part::Name, unplus(byte))?,
            (State::Value, _) if is_plain(byte) || byte == b'=' => self.keep(Part::Value, unplus(byte))?,
            _ => return Err(self.malformed()),
        })
    }

    fn keep(&mut self, part: Part, byte: u8) -> Result<State, Unmaskable> {
        match part {
            Part::Name => {
                if self.name.len() == LONGEST_NAME {
                    return Err(Unmaskable::Limit("a field's name"));
                }
                self.name.push(byte);
                Ok(State::Name)
            }
            Part::Value => {
                if let Some(hidden) = &mut self.hidden {
                    if !self.utf8.feed(&[byte]) {
                        return Err(self.malformed());
                    }
                    hidden.push(&[byte]);
                } else if let Some((raw, plain)) = &mut self.search {
                    if raw.len() > LONGEST_VALUE {
                        return Err(Unmaskable::Limit("a value's length"));
                    }
                    plain.push(byte);
                }
                Ok(State::Value)
            }
        }
    }

    /// A name is whole: it protects as itself, and as the last part of `user[name]` and `user.name`.
    fn name_ended(&mut self) -> Result<(), Unmaskable> {
        if std::str::from_utf8(&self.name).is_err() {
            return Err(self.malformed());
        }
        let whole = self.plan.flat(&self.name);
        let mut parts =
            self.name.split(|byte| matches!(byte, b'[' | b']' | b'.')).filter(|part| !part.is_empty());
        let mask = whole.or_else(|| parts.next_back().and_then(|part| self.plan.flat(part)));
        self.hidden = mask.map(|mask| Hidden::text(mask, &self.plan));
        if self.hidden.is_none() && self.plan.has_detectors() {
            self.search = Some((Vec::new(), Vec::new()));
        }
        Ok(())
    }

    fn value_ended(&mut self, out: &mut BytesMut) {
        if let Some(hidden) = self.hidden.take() {
            self.masked += 1;
            if let Shown::Text(text) = hidden.show() {
                write(&text, out);
            }
        } else if let Some((raw, plain)) = self.search.take() {
            match self.plan.detected(&String::from_utf8_lossy(&plain)) {
                None => out.extend_from_slice(&raw),
                Some((text, count)) => {
                    self.masked += count;
                    write(&text, out);
                }
            }
        }
    }

    fn malformed(&self) -> Unmaskable {
        Unmaskable::Malformed { format: "form data", at: self.before }
    }
}

/// Writes a value.
fn write(text: &str, out: &mut BytesMut) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'.' | b'_') {
            out.extend_from_slice(&[byte]);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

fn unplus(byte: u8) -> u8 {
    if byte == b'+' { b' ' } else { byte }
}

/// What stands for itself: visible ASCII that is no separator. Line ends and raw bytes above are not.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'&' | b'=' | b'%' | b';')
}

/// The longest value that detectors look at.
const LONGEST_VALUE: usize = 4 * 1024 * 1024;
const LONGEST_NAME: usize = 4096;
