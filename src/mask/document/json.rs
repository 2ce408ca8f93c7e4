//! Masks on JSON (RFC 8259) that streams by.
//!
//! Job: a strict reader that copies its input in runs, and puts something else where the plan says so.
//! Boundary: one byte is looked at once and kept never, but for a name that crosses two pieces, up to the
//! longest name in the plan, and what a mask keeps of a value. Failure mode: everything that JSON's
//! grammar does not have, so that no reader can see another document than this one: no byte order mark,
//! no lone surrogates, no trailing commas, nothing after the document. A name that occurs twice is masked
//! twice.

use std::sync::Arc;

use bytes::BytesMut;

use super::Unmaskable;
use super::detect::Named;
use super::hidden::{Hidden, MASKED, Shown};
use super::plan::{DocumentPlan, Live};
use super::utf8::Utf8;

mod scan;

use scan::{Num, plain_run};

/// How documents follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One document.
    Document,
    /// One document in each line (NDJSON, JSON Lines); empty lines are allowed.
    Lines,
    /// RFC 7464: a record separator before each document.
    Sequence,
}

/// Masks one body.
#[derive(Debug)]
pub struct JsonMasker {
    plan: Arc<DocumentPlan>,
    framing: Framing,
    /// What is awaited in a document.
    initial: Live,
    state: State,
    stack: Vec<Level>,
    utf8: Utf8,
    /// The name at hand, unescaped, as far as it can be one of the plan's.
    name: Vec<u8>,
    /// What is awaited in the value at hand.
    live: Live,
    /// The first of two surrogates.
    high: Option<u16>,
    /// The protected value at hand, and how deep it lies.
    hidden: Option<(Hidden, usize)>,
    /// What detectors will look at: the text or number at hand.
    search: Option<Search>,
    /// What the last name says of numbers in its value.
    named: Named,
    items: u64,
    /// How many bytes came before this piece.
    before: u64,
    masked: u64,
}

/// An array or object that is open.
#[derive(Debug, Clone, Copy)]
struct Level {
    is_object: bool,
    live: Live,
    /// How many elements came.
    place: u64,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A document.
    Between,
    Broken,
    Colon,
    /// White space.
    End,
    Escape(Role),
    FirstElement,
    FirstName,
    /// The end of the line.
    Gap,
    /// The rest of `true`, `false` or `null`.
    Literal(&'static [u8]),
    /// A comma or the end of the array or object.
    Next,
    NextName,
    Number(Num),
    /// The second of two surrogates: its backslash, its `u`.
    Surrogate(Role),
    SurrogateU(Role),
    Text(Role),
    Unicode {
        role: Role,
        digits: u8,
        unit: u16,
    },
    Value,
}

/// What a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Name,
    Value,
}

/// A text or a number that detectors will look at.
#[derive(Debug, Default)]
struct Search {
    /// Where in this piece it begins, or goes on.
    start: usize,
    /// What came of it in pieces before, as it was written.
    raw: Vec<u8>,
    /// What came of a text before the run at hand, unescaped.
    plain: Vec<u8>,
}

/// One piece on its way through.
struct Piece<'a> {
    input: &'a [u8],
    /// The byte at hand.
    at: usize,
    /// The first byte that was not given out yet.
    from: usize,
    out: &'a mut BytesMut,
}

impl JsonMasker {
    /// A masker for one body.
    #[must_use]
    pub fn new(plan: Arc<DocumentPlan>, framing: Framing) -> Self {
        let initial = plan.initial();
        Self::within(plan, framing, initial)
    }

    /// A masker for a document that stands in another one, where this is awaited.
    pub(super) fn within(plan: Arc<DocumentPlan>, framing: Framing, initial: Live) -> Self {
        Self {
            plan,
            framing,
            initial,
            state: State::Between,
            stack: Vec::new(),
            utf8: Utf8::default(),
            name: Vec::new(),
            live: 0,
            high: None,
            hidden: None,
            search: None,
            named: Named::default(),
            items: 0,
            before: 0,
            masked: 0,
        }
    }

    /// Masks the next piece; what can be given out is appended to `out`.
    ///
    /// # Errors
    /// When the body is not JSON in its framing, or nests too deep. Every later call fails as well.
    pub fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<(), Unmaskable> {
        let mut state = std::mem::replace(&mut self.state, State::Broken);
        if state == State::Broken {
            return Err(Unmaskable::Broken);
        }
        if !self.utf8.feed(input) {
            return Err(self.malformed(0));
        }
        out.reserve(input.len());
        let mut piece = Piece { input, at: 0, from: 0, out };
        while let Some(byte) = piece.input.get(piece.at) {
            state = self.step(state, *byte, &mut piece)?;
        }
        match &mut self.search {
            Some(search) => search.hold(&mut piece)?,
            None if self.hidden.is_none() => piece.copy(),
            None => {}
        }
        self.before += input.len() as u64;
        self.state = state;
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// When no document came, or the last is not whole.
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<(), Unmaskable> {
        let mut state = std::mem::replace(&mut self.state, State::Broken);
        if let State::Number(number) = state
            && self.stack.is_empty()
        {
            if !number.is_whole() {
                return Err(Unmaskable::Truncated);
            }
            let mut piece = Piece { input: &[], at: 0, from: 0, out };
            self.searched(Role::Value, &[], &mut piece);
            state = self.value_ended(&mut piece);
        }
        match (state, self.framing) {
            _ if !self.utf8.is_whole() => Err(Unmaskable::Truncated),
            (State::End, Framing::Document)
            | (State::Between | State::Gap, Framing::Lines)
            | (State::Between, Framing::Sequence) => Ok(()),
            (State::Broken, _) => Err(Unmaskable::Broken),
            _ => Err(Unmaskable::Truncated),
        }
    }

    /// How many values were replaced so far.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.masked
    }

    /// How many items came so far: of lines and sequences, the documents; of one document, what the plan counts, or
    /// else the elements of the array that it is, and of those in the object that it is.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items
    }

    /// Looks at one byte, or at a run of bytes of one kind, and moves on.
    fn step(&mut self, state: State, byte: u8, piece: &mut Piece<'_>) -> Result<State, Unmaskable> {
        let malformed = self.malformed(piece.at);
        let next = match (state, byte) {
            (State::Text(role), _) => return self.text(role, piece),
            (State::Colon, b':') => State::Value,
            (State::FirstName | State::NextName, b'"') => {
                self.name.clear();
                self.look_from(piece.at);
                State::Text(Role::Name)
            }
            (State::Number(number), _) => return self.number(number, piece),
            (State::Literal([expected, rest @ ..]), _) if byte == *expected => {
                if rest.is_empty() {
                    piece.at += 1;
                    return Ok(self.value_ended(piece));
                }
                State::Literal(rest)
            }
            (State::Escape(role), _) => self.escape(role, byte).ok_or(malformed)?,
            (State::Unicode { role, digits, unit }, _) => {
                let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
                let unit = (unit << 4) | digit.ok_or(malformed)?;
                match digits {
                    3 => self.code_unit(role, unit).ok_or(malformed)?,
                    _ => State::Unicode { role, digits: digits + 1, unit },
                }
            }
            (State::Surrogate(role), b'\\') => State::SurrogateU(role),
            (State::SurrogateU(role), b'u') => State::Unicode { role, digits: 0, unit: 0 },
            (State::Gap, b'\n') => State::Between,
            (_, b'\n' | b'\r') if self.framing == Framing::Lines && !state.is_outside() => {
                return Err(malformed);
            }
            (_, b' ' | b'\t' | b'\n' | b'\r') if state.allows_blanks() => state,
            (State::Next, b',') => match self.stack.last_mut() {
                Some(Level { is_object: true, .. }) => State::NextName,
                Some(level) => {
                    level.place += 1;
                    State::Value
                }
                None => return Err(malformed),
            },
            (State::Next | State::FirstName, b'}') => return self.close(true, piece),
            (State::Next | State::FirstElement, b']') => return self.close(false, piece),
            (State::Between, 0x1e) | (State::Value, 0x1e)
                if self.framing == Framing::Sequence && self.stack.is_empty() =>
            {
                State::Value
            }
            (State::Between, _) if self.framing == Framing::Sequence => return Err(malformed),
            (State::Between | State::Value | State::FirstElement, _) => self.value(byte, piece)?,
            _ => return Err(malformed),
        };
        piece.at += 1;
        Ok(next)
    }

    /// A value begins.
    fn value(&mut self, byte: u8, piece: &mut Piece<'_>) -> Result<State, Unmaskable> {
        let live = match self.stack.last() {
            None => self.initial,
            Some(Level { is_object: true, .. }) => self.live,
            Some(level) => self.plan.element(level.live, level.place),
        };
        // what is inside of a protected value is not given out
        if self.hidden.is_none() && self.is_item(live) {
            self.items += 1;
        }
        if self.hidden.is_none()
            && let Some(mask) = self.plan.mask(live)
        {
            piece.copy();
            let hidden = match byte {
                b'"' => Hidden::text(mask, &self.plan),
                b'n' => Hidden::absence(mask),
                _ => Hidden::other(mask),
            };
            self.hidden = Some((hidden, self.stack.len()));
        }
        if !matches!(byte, b'{' | b'[' | b't' | b'f' | b'n') {
            self.look_from(piece.at);
        }
        let is_object = byte == b'{';
        Ok(match byte {
            b'"' => State::Text(Role::Value),
            b'{' | b'[' => {
                if self.stack.len() == DEEPEST {
                    return Err(Unmaskable::Limit("nesting"));
                }
                let live = if self.hidden.is_some() { 0 } else { live };
                self.stack.push(Level { is_object, live, place: 0 });
                if is_object { State::FirstName } else { State::FirstElement }
            }
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(b"ull"),
            _ => State::Number(Num::first(byte).ok_or_else(|| self.malformed(piece.at))?),
        })
    }

    /// The digits of a number, up to the byte after it or the end of the piece.
    fn number(&mut self, mut number: Num, piece: &mut Piece<'_>) -> Result<State, Unmaskable> {
        while let Some(byte) = piece.input.get(piece.at) {
            match number.next(*byte) {
                Some(next) => number = next,
                // the byte belongs to what follows
                None if number.is_whole() => {
                    self.searched(Role::Value, &[], piece);
                    return Ok(self.value_ended(piece));
                }
                None => return Err(self.malformed(piece.at)),
            }
            piece.at += 1;
        }
        Ok(State::Number(number))
    }

    /// The inside of a string, up to its end, an escape, or the end of the piece.
    fn text(&mut self, role: Role, piece: &mut Piece<'_>) -> Result<State, Unmaskable> {
        let rest = piece.input.get(piece.at..).unwrap_or_default();
        let length = plain_run(rest);
        let (run, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        piece.at += length;
        let Some(special) = after.first() else {
            self.keep(role, run);
            return Ok(State::Text(role));
        };
        let state = match (special, role) {
            (b'"', Role::Name) => {
                piece.at += 1;
                self.searched(role, run, piece);
                piece.at -= 1;
                let parent = self.stack.last().map_or(0, |level| level.live);
                self.live = if parent == 0 {
                    0
                } else if self.name.is_empty() {
                    self.plan.member(parent, run)
                } else {
                    self.keep(role, run);
                    self.plan.member(parent, &self.name)
                };
                State::Colon
            }
            (b'"', Role::Value) => {
                piece.at += 1;
                self.searched(role, run, piece);
                self.keep(role, run);
                return Ok(self.value_ended(piece));
            }
            (b'\\', _) => {
                self.keep(role, run);
                State::Escape(role)
            }
            _ => return Err(self.malformed(piece.at)),
        };
        piece.at += 1;
        Ok(state)
    }

    /// Keeps the next characters of a string where they matter.
    fn keep(&mut self, role: Role, run: &[u8]) {
        if let Some(search) = &mut self.search {
            search.plain.extend_from_slice(run);
        }
        match role {
            Role::Name => {
                // one more than the longest, so that a longer name is not taken for it
                let room = (self.plan.longest() + 1).saturating_sub(self.name.len());
                self.name.extend_from_slice(run.get(..room).unwrap_or(run));
            }
            Role::Value => {
                if let Some((hidden, depth)) = &mut self.hidden
                    && *depth == self.stack.len()
                {
                    hidden.push(run);
                }
            }
        }
    }

    fn escape(&mut self, role: Role, byte: u8) -> Option<State> {
        let character = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return Some(State::Unicode { role, digits: 0, unit: 0 }),
            _ => return None,
        };
        self.keep(role, &[character]);
        Some(State::Text(role))
    }

    /// A `\u` escape is whole: a character, or half of one.
    fn code_unit(&mut self, role: Role, unit: u16) -> Option<State> {
        let character = match self.high.take() {
            None if (0xd800..0xdc00).contains(&unit) => {
                self.high = Some(unit);
                return Some(State::Surrogate(role));
            }
            None => char::from_u32(unit.into())?,
            Some(high) => char::decode_utf16([high, unit]).next()?.ok()?,
        };
        self.keep(role, character.encode_utf8(&mut [0; 4]).as_bytes());
        Some(State::Text(role))
    }

    /// An array or object ends, if it is what is open.
    fn close(&mut self, is_object: bool, piece: &mut Piece<'_>) -> Result<State, Unmaskable> {
        match self.stack.pop() {
            Some(level) if level.is_object == is_object => {
                piece.at += 1;
                Ok(self.value_ended(piece))
            }
            _ => Err(self.malformed(piece.at)),
        }
    }

    /// A value ended right before the byte at hand. If it was protected, what stands for it is given out.
    fn value_ended(&mut self, piece: &mut Piece<'_>) -> State {
        if let Some((hidden, _)) = self.hidden.take_if(|(_, depth)| *depth == self.stack.len()) {
            self.masked += 1;
            piece.from = piece.at;
            match hidden.show() {
                Shown::Null => piece.out.extend_from_slice(b"null"),
                Shown::Text(text) if text == MASKED => piece.out.extend_from_slice(b"\"[masked]\""),
                Shown::Text(text) => {
                    piece.out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
                }
            }
        }
        match self.framing {
            _ if !self.stack.is_empty() => State::Next,
            Framing::Document => State::End,
            Framing::Lines => State::Gap,
            Framing::Sequence => State::Between,
        }
    }

    /// Whether the value that begins is one of those that are counted.
    fn is_item(&self, live: Live) -> bool {
        match (self.framing, self.stack.as_slice()) {
            (Framing::Lines | Framing::Sequence, open) => open.is_empty(),
            (Framing::Document, _) if self.plan.counts() => self.plan.is_counted(live),
            (Framing::Document, [array]) => !array.is_object,
            (Framing::Document, [object, array]) => object.is_object && !array.is_object,
            (Framing::Document, _) => false,
        }
    }

    /// A text or a number begins; where there are detectors, they will look at it once it is whole.
    fn look_from(&mut self, at: usize) {
        if self.hidden.is_none() && self.plan.has_detectors() {
            self.search = Some(Search { start: at, ..Search::default() });
        }
    }

    /// A text ended with this run, or a number, right before the byte at hand. What detectors find in it is masked; if
    /// there is nothing, it is given out as it was written.
    fn searched(&mut self, role: Role, run: &[u8], piece: &mut Piece<'_>) {
        let Some(search) = self.search.take() else { return };
        let written = piece.input.get(search.start..piece.at).unwrap_or_default();
        let is_text = search.raw.first().or_else(|| written.first()) == Some(&b'"');
        let (before, last) = if is_text { (&search.plain, run) } else { (&search.raw, written) };
        let joined;
        let text = if before.is_empty() {
            last
        } else {
            joined = [before.as_slice(), last].concat();
            &joined
        };
        let text = String::from_utf8_lossy(text);
        if role == Role::Name {
            self.named = self.plan.named_by(&text);
        }
        let named = if role == Role::Value { self.named } else { Named::default() };
        let found = self.plan.detected_in(&text, named);
        if let Some((shown, count)) = found {
            self.masked += count;
            if search.raw.is_empty() {
                piece.out.extend_from_slice(piece.input.get(piece.from..search.start).unwrap_or_default());
            }
            piece.out.extend_from_slice(serde_json::Value::from(shown).to_string().as_bytes());
            piece.from = piece.at;
        } else {
            piece.out.extend_from_slice(&search.raw);
        }
    }

    fn malformed(&self, at: usize) -> Unmaskable {
        Unmaskable::Malformed { format: "JSON", at: self.before + at as u64 }
    }
}

impl State {
    fn allows_blanks(self) -> bool {
        matches!(
            self,
            Self::Between
                | Self::Colon
                | Self::End
                | Self::FirstElement
                | Self::FirstName
                | Self::Gap
                | Self::Next
                | Self::NextName
                | Self::Value
        )
    }

    fn is_outside(self) -> bool {
        matches!(self, Self::Between | Self::Gap)
    }
}

impl Search {
    /// The piece ends: gives out what was before, and holds the rest.
    fn hold(&mut self, piece: &mut Piece<'_>) -> Result<(), Unmaskable> {
        piece.out.extend_from_slice(piece.input.get(piece.from..self.start).unwrap_or_default());
        self.raw.extend_from_slice(piece.input.get(self.start..).unwrap_or_default());
        (self.start, piece.from) = (0, piece.at);
        if self.raw.len() > LONGEST_TEXT { Err(Unmaskable::Limit("a text's length")) } else { Ok(()) }
    }
}

impl Piece<'_> {
    /// Gives out what was read and not given out yet.
    fn copy(&mut self) {
        self.out.extend_from_slice(self.input.get(self.from..self.at).unwrap_or_default());
        self.from = self.at;
    }
}

/// The longest text that detectors look at.
const LONGEST_TEXT: usize = 4 * 1024 * 1024;
/// As deep as serde_json and most readers go.
const DEEPEST: usize = 128;
