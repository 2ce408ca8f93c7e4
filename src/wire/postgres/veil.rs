//! Values of results, without what somebody finds in them.
//!
//! Job: decide once for a column how its values are looked at, and put something in the place of what a [`Finder`]
//! finds, so that a text stays a text, JSON stays JSON, an array an array of as many elements. Boundary: what a secret
//! looks like is the finder's to know; which columns there are is the conversation's. Failure mode: a value of which
//! only a part should be hidden, and cannot be, is NULL.

mod layout;
mod types;
mod view;

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};

pub use self::layout::CopyLayout;
use self::types::{Kind, kind};
use self::view::View;
use crate::wire::buffer::{ReadError, Reader, put_value};

/// What finds things that are to be hidden. Bytes are text in the client's encoding.
pub trait Finder: std::fmt::Debug + Send + Sync {
    /// Where there is something, in order, in a text that is the whole of a field's value.
    fn find(&self, text: &[u8], hint: Hint) -> Vec<Range<usize>>;

    /// What the name of a field gives away of what is in it.
    fn hint(&self, name: &str) -> Hint;

    /// Whether this is found where it is all of a value, though it would not be in a longer text.
    fn is_whole(&self, text: &[u8]) -> bool;

    /// A JSON document without what is found in it.
    fn json(&self, text: &[u8]) -> Found;

    /// Whether addresses of IP are among what is hidden.
    fn hides_addresses(&self) -> bool;
}

/// What a field's name gives away of what is in it: the finder's to write and to read, nothing by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hint(pub u8);

/// What came of looking into something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Something was found: this is to be shown.
    Instead(Vec<u8>),
    /// Nothing was found.
    Nothing,
    /// Something was found, or could not be looked for, and cannot be replaced: NULL is to be shown.
    Null,
}

/// How the values of a column are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// `inet` and `cidr`; whether in binary.
    Address(bool),
    /// JSON; how many bytes come before the document.
    Json(usize),
    /// Not at all: no text can be in them.
    No,
    /// Anything in binary: an array, a row, a text, or what nobody knows.
    Opaque,
    /// A literal of parts with quotes and escapes: arrays, rows, types that the database defines itself.
    Parts,
    /// A text; what the column's name gives away.
    Text(Hint),
}

/// Hides what a finder finds.
#[derive(Debug, Clone)]
pub struct Veil(Arc<dyn Finder>);

impl Veil {
    /// A veil that hides what this finds.
    #[must_use]
    pub fn new(finder: Arc<dyn Finder>) -> Self {
        Self(finder)
    }

    /// How values of this type are looked at: an OID of `pg_type`, 0 when it is not known; the format is the
    /// protocol's, 0 for text.
    #[must_use]
    pub fn look(&self, column: &str, type_oid: u32, format: i16) -> Look {
        match (kind(type_oid), format) {
            (Kind::Address, _) if !self.0.hides_addresses() => Look::No,
            (Kind::Address, _) => Look::Address(format != 0),
            (Kind::Json, _) => Look::Json(0),
            (Kind::Jsonb, _) => Look::Json(usize::from(format != 0)),
            (Kind::Number, _) => Look::No,
            (Kind::Other, 0) => Look::Parts,
            (Kind::Other, _) => Look::Opaque,
            (Kind::Text, _) => Look::Text(self.0.hint(column)),
        }
    }

    /// A value, looked at like this.
    #[must_use]
    pub fn cover(&self, look: Look, value: &[u8]) -> Found {
        match look {
            Look::Address(false) => Found::Instead(b"0.0.0.0".to_vec()),
            // family, bits and whether it is a network, as `inet_send` writes them
            Look::Address(true) => match value {
                [_, _, is_network, ..] => Found::Instead(vec![2, 32, *is_network, 4, 0, 0, 0, 0]),
                _ => Found::Null,
            },
            Look::Json(before) => self.json(before, value),
            Look::No => Found::Nothing,
            Look::Opaque => self.opaque(value),
            Look::Parts => self.replaced(value, Hint::default(), PARTS),
            Look::Text(hint) => self.replaced(value, hint, b""),
        }
    }

    /// A text that is no value of a column, if something is found in it.
    #[must_use]
    pub fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        match self.replaced(text, Hint::default(), b"") {
            Found::Instead(text) => Some(text),
            Found::Nothing | Found::Null => None,
        }
    }

    /// A row of COPY in text or CSV, with its end of line, if something is found in it. Columns stay as many. Of those that
    /// are known by a hint each, more is.
    #[must_use]
    pub fn record(&self, record: &[u8], columns: Option<(&CopyLayout, &[Hint])>) -> Option<Vec<u8>> {
        let end = if record.ends_with(b"\r\n") { 2 } else { usize::from(record.ends_with(b"\n")) };
        let (bare, end) = record.split_at_checked(record.len() - end)?;
        let named = columns.map_or_else(Vec::new, |(layout, hints)| self.named_parts(bare, layout, hints));
        match self.replaced_with(bare, Hint::default(), COPY, named) {
            Found::Instead(mut text) => {
                text.extend_from_slice(end);
                Some(text)
            }
            Found::Nothing | Found::Null => None,
        }
    }

    /// What a statement says in one place, or what is bound to it, if something is found in it: as much of it as was written
    /// in its first `most` bytes. What is all of a part of it, as in JSON, is looked at as a value.
    #[must_use]
    pub fn literal(&self, text: &[u8], hint: Hint, most: usize) -> Option<Vec<u8>> {
        let (mut whole, mut start) = (Vec::new(), 0);
        for part in text.split(|byte| matches!(byte, b'\'' | b'$') || PARTS.contains(byte)) {
            if self.0.is_whole(part) {
                whole.push(start..start + part.len());
            }
            start += part.len() + 1;
        }
        let mut places = self.places(text, hint, b"", whole);
        places.retain(|place| place.start < most);
        (!places.is_empty()).then(|| Self::shown(text.get(..most).unwrap_or(text), places, b""))
    }

    /// What a name, or words before a value, give away of it.
    #[must_use]
    pub fn hint(&self, name: &str) -> Hint {
        self.0.hint(name)
    }

    fn json(&self, before: usize, value: &[u8]) -> Found {
        let Some((head, document)) = value.split_at_checked(before) else { return Found::Null };
        match self.0.json(document) {
            Found::Instead(document) => Found::Instead([head, &document].concat()),
            other => other,
        }
    }

    /// Replaces what is found; what holds the parts of a literal together stays.
    fn replaced(&self, value: &[u8], hint: Hint, structure: &[u8]) -> Found {
        self.replaced_with(value, hint, structure, Vec::new())
    }

    fn replaced_with(&self, value: &[u8], hint: Hint, structure: &[u8], more: Vec<Range<usize>>) -> Found {
        let places = self.places(value, hint, structure, more);
        if places.is_empty() {
            return Found::Nothing;
        }
        Found::Instead(Self::shown(value, places, structure))
    }

    /// A text with something else in these places; but what holds the parts of a literal together stays.
    fn shown(value: &[u8], places: Vec<Range<usize>>, structure: &[u8]) -> Vec<u8> {
        let (mut shown, mut from) = (Vec::with_capacity(value.len()), 0);
        for place in places {
            shown.extend_from_slice(value.get(from..place.start).unwrap_or_default());
            let hidden = value.get(place.start..place.end.min(value.len())).unwrap_or_default();
            let mut is_open = false;
            for byte in hidden {
                let is_structure = structure.contains(byte);
                if is_structure {
                    shown.push(*byte);
                } else if !is_open {
                    shown.extend_from_slice(MASKED);
                }
                is_open = !is_structure;
            }
            from = place.end;
        }
        shown.extend_from_slice(value.get(from..).unwrap_or_default());
        shown
    }

    /// Where something is found, as the text is written and as its escapes are read.
    fn places(
        &self,
        value: &[u8],
        hint: Hint,
        structure: &[u8],
        more: Vec<Range<usize>>,
    ) -> Vec<Range<usize>> {
        let mut places = self.0.find(value, hint);
        let found = places.len();
        places.extend(more);
        if !structure.is_empty() {
            places.extend(self.whole_parts(value));
        }
        let view = View::of(value);
        if let Some(view) = &view {
            places.extend(self.0.find(view.text(), hint).into_iter().map(|range| view.place(range)));
        }
        if places.len() > found {
            places.sort_by_key(|place| (place.start, place.end));
            places = merged(places);
        }
        places.retain(|place| !place.is_empty());
        places
    }

    /// What is found in columns because of what they are called.
    fn named_parts(&self, record: &[u8], layout: &CopyLayout, hints: &[Hint]) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        for (hint, column) in hints.iter().zip(layout.columns(record)) {
            if *hint != Hint::default() {
                let found = self.0.find(record.get(column.clone()).unwrap_or_default(), *hint);
                places.extend(found.into_iter().map(|at| column.start + at.start..column.start + at.end));
            }
        }
        places
    }

    /// What the names of columns give away; nothing where none does.
    #[must_use]
    pub fn hints(&self, names: &[String]) -> Vec<Hint> {
        let hints: Vec<Hint> = names.iter().map(|name| self.0.hint(name)).collect();
        if hints.iter().all(|hint| *hint == Hint::default()) { Vec::new() } else { hints }
    }

    /// The parts of a literal, or columns of a row and the parts of those, that are found because they are nothing else.
    fn whole_parts(&self, value: &[u8]) -> Vec<Range<usize>> {
        let (mut places, mut start) = (Vec::new(), 0);
        for part in value.split(|byte| PARTS.contains(byte) || COPY.contains(byte)) {
            if self.0.is_whole(part) {
                places.push(start..start + part.len());
            }
            start += part.len() + 1;
        }
        places
    }

    /// A value in binary of a type that is not known, or that has others in it.
    fn opaque(&self, value: &[u8]) -> Found {
        for parts in [array, record] {
            let Ok(parts) = parts(value) else { continue };
            return self.parts(value, &parts);
        }
        // types that are written in binary as in text: labels of enums, citext
        if !value.contains(&0) && std::str::from_utf8(value).is_ok() {
            return self.replaced(value, Hint::default(), b"");
        }
        if self.has_counted(value) || !self.0.find(value, Hint::default()).is_empty() {
            return Found::Null;
        }
        Found::Nothing
    }

    fn parts(&self, value: &[u8], parts: &Parts) -> Found {
        let mut shown: Option<BytesMut> = None;
        let mut from = 0;
        for part in &parts.0 {
            let bytes = value.get(part.place.clone()).unwrap_or_default();
            let found = self.cover(self.look("", part.type_oid, 1), bytes);
            let instead = match &found {
                Found::Nothing => continue,
                // an array's head says whether it holds NULLs
                Found::Null => return Found::Null,
                Found::Instead(bytes) => bytes,
            };
            let shown = shown.get_or_insert_default();
            shown.put_slice(value.get(from..part.place.start - 4).unwrap_or_default());
            put_value(shown, Some(instead));
            from = part.place.end;
        }
        match shown {
            None => Found::Nothing,
            Some(mut shown) => {
                shown.put_slice(value.get(from..).unwrap_or_default());
                Found::Instead(shown.to_vec())
            }
        }
    }

    /// Whether something is found in what may be a text with its length before it: of the length, a byte may seem to be
    /// a letter of the text. Whoever holds too many of them holds something.
    fn has_counted(&self, value: &[u8]) -> bool {
        let mut left = value.len().saturating_mul(4);
        for start in 0..value.len().saturating_sub(4) {
            let Some((length, rest)) = value.get(start..).and_then(<[u8]>::split_first_chunk::<4>) else {
                break;
            };
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let Some(text) = rest.get(..length).filter(|text| text.len() > 4) else { continue };
            let Some(rest) = left.checked_sub(length) else { return true };
            left = rest;
            if !self.0.find(text, Hint::default()).is_empty() {
                return true;
            }
        }
        false
    }
}

/// The parts of a value in binary.
struct Parts(Vec<Part>);

struct Part {
    type_oid: u32,
    place: Range<usize>,
}

/// The elements of an array (`array_send`).
fn array(value: &[u8]) -> Result<Parts, ReadError> {
    let mut reader = Reader::new(value);
    let dimensions = reader.u32()?;
    if dimensions > 6 || reader.u32()? > 1 {
        return Err(ReadError::Unknown);
    }
    let type_oid = reader.u32()?;
    let mut count: usize = usize::from(dimensions > 0);
    for _ in 0..dimensions {
        let length = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        count = count.saturating_mul(length);
        reader.u32()?;
    }
    parts(value, reader, count, |_| Ok(type_oid))
}

/// The fields of a row (`record_send`).
fn record(value: &[u8]) -> Result<Parts, ReadError> {
    let mut reader = Reader::new(value);
    let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    parts(value, reader, count, |reader| reader.u32())
}

fn parts(
    value: &[u8],
    mut reader: Reader<'_>,
    count: usize,
    type_oid: impl Fn(&mut Reader<'_>) -> Result<u32, ReadError>,
) -> Result<Parts, ReadError> {
    // each has its length, so that a count cannot promise more than there is
    if count > reader.rest().len() / 4 {
        return Err(ReadError::Truncated);
    }
    let mut parts = Vec::new();
    for _ in 0..count {
        let type_oid = type_oid(&mut reader)?;
        if let Some(bytes) = reader.value()? {
            let end = value.len() - reader.rest().len();
            parts.push(Part { type_oid, place: end - bytes.len()..end });
        }
    }
    reader.finish()?;
    Ok(Parts(parts))
}

/// Ranges that overlap, or touch, as one.
fn merged(sorted: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match all.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

/// What stands for what is found.
const MASKED: &[u8] = b"[masked]";
/// What holds the parts of a literal together.
const PARTS: &[u8] = b"{}()[],\"\\";
/// What may hold a row of COPY together: the delimiters that people take, quotes and escapes.
const COPY: &[u8] = b"\t,;|\"\\";

#[cfg(test)]
mod tests;
