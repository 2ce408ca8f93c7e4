//! Listings that stream by.
//!
//! Job: counts the entries of S3's XML and of DynamoDB's JSON, and blinds the digests in S3's where objects have masks.
//! Boundary: memory is one tag or text, whatever the listing's length. Failure mode: [`ListingError`] for what is no listing;
//! nothing comes after it.

use bytes::BytesMut;

use super::call::{AwsCall, Detail};
use super::xml::{Event, Reader, XmlError};

/// One listing.
#[derive(Debug)]
pub struct Listing {
    format: Format,
    entries: u64,
    blind: bool,
    broken: bool,
}

#[derive(Debug)]
enum Format {
    Json(Box<Scanner>),
    Xml(Box<Reader>),
}

/// What came is no listing of the expected format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not the listing that the call asks for")]
pub struct ListingError;

impl From<XmlError> for ListingError {
    fn from(_: XmlError) -> Self {
        Self
    }
}

impl Listing {
    /// For the answer (2xx) to a call, if it is a listing or a batch of items. `blind` is [`super::protected::Treatment::digests`].
    #[must_use]
    pub fn new(call: &AwsCall, blind: bool) -> Option<Self> {
        let format = match &call.detail {
            Detail::S3(detail) if detail.page.is_some() || blind => Format::Xml(Box::default()),
            Detail::Dynamo(detail) if detail.items || detail.limits => Format::Json(Box::default()),
            _ => return None,
        };
        let blind = blind && matches!(format, Format::Xml(_));
        Some(Self { format, entries: 0, blind, broken: false })
    }

    /// How many entries came so far: objects, versions, delete markers, common prefixes, uploads, parts, buckets; items, tables.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Takes the next piece; what can be given out is appended to `out`.
    ///
    /// # Errors
    /// When it is no listing. Every later call fails as well.
    pub fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<(), ListingError> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(ListingError);
        }
        let Self { format, entries, blind, .. } = self;
        match format {
            Format::Json(scanner) => *entries += scanner.feed(input)?,
            Format::Xml(reader) => reader.feed(input, &mut |reader, event, raw| {
                if let Event::Open(_) = &event {
                    *entries += u64::from(is_entry(reader.path()));
                }
                let is_digest = reader.path().last().is_some_and(|name| is_digest(name));
                match event {
                    _ if !*blind => {}
                    Event::Text(_) if is_digest => out.extend_from_slice(BLINDED),
                    _ => out.extend_from_slice(raw),
                }
            })?,
        }
        // what is not blinded keeps its length
        if !self.blind {
            out.extend_from_slice(input);
        }
        self.broken = false;
        Ok(())
    }

    /// Ends the listing.
    ///
    /// # Errors
    /// When it is not whole.
    pub fn finish(self) -> Result<(), ListingError> {
        if self.broken {
            return Err(ListingError);
        }
        match self.format {
            Format::Json(scanner) => scanner.finish(),
            Format::Xml(reader) => Ok(reader.finish()?),
        }
    }
}

/// Whether the element that was just opened is an entry: its path from the root.
fn is_entry(path: &[String]) -> bool {
    match path {
        [_, name] => {
            matches!(
                name.as_str(),
                "CommonPrefixes" | "Contents" | "DeleteMarker" | "Part" | "Upload" | "Version"
            )
        }
        [_, buckets, name] => buckets == "Buckets" && name == "Bucket",
        _ => false,
    }
}

fn is_digest(name: &str) -> bool {
    name == "ETag"
        || name.strip_prefix("Checksum").is_some_and(|rest| !matches!(rest, "" | "Algorithm" | "Type"))
}

/// Counts elements in the arrays of DynamoDB's answers.
#[derive(Debug, Default)]
struct Scanner {
    /// What is open; of objects whether a name is awaited.
    open: Vec<Open>,
    /// The name of the member of the outermost object.
    name: Vec<u8>,
    text: Text,
    /// Whether a value may begin here; else what is read is the rest of one.
    inside: bool,
    seen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Array,
    Name,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Text {
    Escape {
        name: bool,
    },
    Inside {
        name: bool,
    },
    #[default]
    Outside,
}

impl Scanner {
    /// How many elements began in the piece.
    fn feed(&mut self, input: &[u8]) -> Result<u64, ListingError> {
        let mut entries = 0;
        for byte in input {
            match (self.text, *byte) {
                // a name that is written with escapes is none of ours, and DynamoDB writes none
                (Text::Inside { name: true }, b'\\') if self.open.len() == 1 => return Err(ListingError),
                (Text::Inside { name }, b'\\') => self.text = Text::Escape { name },
                (Text::Inside { .. }, b'"') => self.text = Text::Outside,
                (Text::Inside { name: true }, byte) if self.open.len() == 1 => {
                    if self.name.len() <= LONGEST_NAME {
                        self.name.push(byte);
                    }
                }
                (Text::Inside { .. }, _) => {}
                (Text::Escape { name }, _) => self.text = Text::Inside { name },
                (Text::Outside, b'"') => {
                    let name = self.open.last() == Some(&Open::Name);
                    if name && self.open.len() == 1 {
                        self.name.clear();
                    } else if !name {
                        entries += self.begins();
                    }
                    self.text = Text::Inside { name };
                }
                (Text::Outside, b'{' | b'[') => {
                    if (self.open.is_empty() && (self.seen || *byte == b'[')) || self.open.len() == DEEPEST {
                        return Err(ListingError);
                    }
                    entries += self.begins();
                    self.inside = false;
                    self.seen = true;
                    self.open.push(if *byte == b'{' { Open::Name } else { Open::Array });
                }
                (Text::Outside, b'}') if matches!(self.open.last(), Some(Open::Name | Open::Value)) => {
                    self.open.pop();
                    self.inside = true;
                }
                (Text::Outside, b']') if self.open.last() == Some(&Open::Array) => {
                    self.open.pop();
                    self.inside = true;
                }
                (Text::Outside, b':') if self.open.last() == Some(&Open::Name) => {
                    self.turn(Open::Value);
                    self.inside = false;
                }
                (Text::Outside, b',') if !self.open.is_empty() => {
                    if self.open.last() == Some(&Open::Value) {
                        self.turn(Open::Name);
                    }
                    self.inside = false;
                }
                (Text::Outside, b' ' | b'\t' | b'\n' | b'\r') => {}
                (Text::Outside, b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E')
                    if !self.open.is_empty() =>
                {
                    entries += self.begins();
                }
                (Text::Outside, _) => return Err(ListingError),
            }
        }
        Ok(entries)
    }

    fn finish(self) -> Result<(), ListingError> {
        if self.open.is_empty() && self.seen && self.text == Text::Outside {
            Ok(())
        } else {
            Err(ListingError)
        }
    }

    fn turn(&mut self, to: Open) {
        if let Some(last) = self.open.last_mut() {
            *last = to;
        }
    }

    /// A value begins, or goes on; whether it is an entry.
    fn begins(&mut self) -> u64 {
        if std::mem::replace(&mut self.inside, true) {
            return 0;
        }
        let entry = matches!(
            (self.name.as_slice(), self.open.as_slice()),
            (b"Items" | b"TableNames" | b"Responses", [_, Open::Array]) | (b"Responses", [_, _, Open::Array])
        );
        u64::from(entry)
    }
}

/// What stands for a digest: the form of an ETag that belongs to nothing.
const BLINDED: &[u8] = b"&quot;00000000000000000000000000000000&quot;";
const LONGEST_NAME: usize = 32;
const DEEPEST: usize = 128;

#[cfg(test)]
mod tests;
