//! Masks on `application/x-www-form-urlencoded` that streams by.
//!
//! Job: the values of protected fields are replaced; the rest is copied byte for byte. Boundary: a name is
//! kept up to a limit, values never. Failure mode: bytes that no form writes, such as a raw `;`, which some
//! readers take for `&`; where paths protect something, also a field without `=`. So no other document can be
//! given this media type to get past its masks.

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
    /// The name at hand as it is written: it is given out together with its `=`.
    written: BytesMut,
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
            written: BytesMut::new(),
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
            if matches!(state, State::Name | State::Percent(Part::Name, _)) {
                let mut written = std::mem::take(&mut self.written);
                if *byte == b'&' {
                    self.nameless(&mut written, out)?;
                }
                state = self.step(state, *byte, &mut written)?;
                match state {
                    State::Name | State::Percent(Part::Name, _) if *byte != b'&' => self.written = written,
                    _ => out.unsplit(written),
                }
            } else {
                state = self.step(state, *byte, out)?;
            }
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
            State::Name => {
                let mut written = std::mem::take(&mut self.written);
                self.nameless(&mut written, out)
            }
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

    /// A field ends without `=`: what stands there could be anything.
    fn nameless(&self, written: &mut BytesMut, out: &mut BytesMut) -> Result<(), Unmaskable> {
        let is_found = self.plan.detected(&String::from_utf8_lossy(&self.name)).is_some();
        if !written.is_empty() && (is_found || !self.plan.is_empty()) {
            return Err(self.malformed());
        }
        out.unsplit(written.split());
        Ok(())
    }

    /// A name is whole.
    fn name_ended(&mut self) -> Result<(), Unmaskable> {
        let name = std::str::from_utf8(&self.name).map_err(|_| self.malformed())?;
        if self.plan.detected(name).is_some() {
            return Err(self.malformed());
        }
        let mask = self.plan.flat(&self.name);
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
            let named = self.plan.named_by(&String::from_utf8_lossy(&self.name));
            match self.plan.detected_in(&String::from_utf8_lossy(&plain), named) {
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

/// What some writer of forms leaves as it is (WHATWG URL §5.2, `encodeURIComponent`, names with brackets); no
/// quotes, braces, angle brackets, line ends.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"*-._+~!'()[]@:/,$?".contains(&byte)
}

/// The longest value that detectors look at.
const LONGEST_VALUE: usize = 4 * 1024 * 1024;
const LONGEST_NAME: usize = 4096;
