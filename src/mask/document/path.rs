//! Paths into documents: the selectors of RFC 9535 that can be decided while a document streams by.
//!
//! Job: text → segments. Boundary: what needs the whole document first (filters, places counted from the
//! end) is refused here, at configuration time, with the reason. Failure mode: a [`PathError`].

use crate::domain::mask::{JsonPath, JsonStep};

/// A path to the values of a document that are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPath {
    text: String,
    segments: Vec<Segment>,
}

/// One segment of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// `..`: also everything below.
    pub(super) descend: bool,
    /// An array in this place stands for its elements.
    pub(super) through: bool,
    /// Any of these.
    pub(super) selectors: Vec<Selector>,
}

/// What a segment selects among the children of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    /// The member of this name.
    Name(String),
    /// The elements from `start` before `end`, each `step`-th. An index is a slice of one.
    Slice { start: u64, end: u64, step: u64 },
    /// Every member, every element.
    Wildcard,
}

impl DocumentPath {
    /// Reads a path as RFC 9535 writes it: `$.steps[*].api_key`, `$..api_key`, `$['x-key']`, `$[0:2].k`.
    ///
    /// # Errors
    /// When it is not such a path, or needs the whole document to be decided.
    pub fn new(text: &str) -> Result<Self, PathError> {
        let mut reader = Reader { rest: text.strip_prefix('$').ok_or(PathError::Root)? };
        let mut segments = Vec::new();
        loop {
            let before = reader.rest;
            reader.blanks();
            if reader.rest.is_empty() {
                // no blanks at the end (RFC 9535 §2.1.1)
                return if before.is_empty() {
                    Ok(Self { text: text.into(), segments })
                } else {
                    Err(PathError::Segment)
                };
            }
            if segments.len() == MOST_SEGMENTS {
                return Err(PathError::Long);
            }
            segments.push(reader.segment()?);
        }
    }

    /// The members of this name, at any depth: `$..name`.
    #[must_use]
    pub fn anywhere(name: &str) -> Self {
        let quoted = serde_json::Value::from(name).to_string();
        let selectors = vec![Selector::Name(name.into())];
        Self {
            text: format!("$..[{quoted}]"),
            segments: vec![Segment { descend: true, through: false, selectors }],
        }
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

/// Paths of columns, in which an array on the way stands for its elements, as it does there.
impl From<&JsonPath> for DocumentPath {
    fn from(path: &JsonPath) -> Self {
        let mut segments = Vec::new();
        let mut descend = false;
        for step in path.steps() {
            match step {
                JsonStep::Anywhere => descend = true,
                JsonStep::Elements => {}
                JsonStep::Member(name) => {
                    let selectors = vec![Selector::Name(name.clone())];
                    segments.push(Segment { descend, through: true, selectors });
                    descend = false;
                }
            }
        }
        Self { text: path.as_str().into(), segments }
    }
}

impl std::fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A path that is refused at configuration time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `?`
    #[error("a filter needs the whole document; name the members instead, as in $.steps[*].api_key")]
    Filter,
    /// `[-1]`, `[::-1]`
    #[error("a place counted from the end needs the whole document; use [*] or places from the start")]
    FromTheEnd,
    /// Too many segments.
    #[error("a path has at most {MOST_SEGMENTS} segments")]
    Long,
    /// A number that is no place in an array.
    #[error("a place in an array is a whole number below 2^53 without leading zeros, a step is above 0")]
    Number,
    /// No `$`.
    #[error("a path starts with $")]
    Root,
    /// Something else than a segment.
    #[error(
        "a path is $ followed by .name, ..name, .*, [*], [0], [0:2] or ['name'], as in $.steps[*].api_key; \
         a name with other characters than letters, digits and _ is written ['name']"
    )]
    Segment,
    /// A quoted name that does not end, or holds what it must not.
    #[error("a quoted name ends with its quote, and escapes as JSON does")]
    Text,
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn segment(&mut self) -> Result<Segment, PathError> {
        let descend = self.take("..");
        let dotted = descend || self.take(".");
        let selectors = if self.take("[") {
            if dotted && !descend {
                return Err(PathError::Segment);
            }
            self.bracketed()?
        } else if !dotted {
            return Err(PathError::Segment);
        } else if self.take("*") {
            vec![Selector::Wildcard]
        } else {
            vec![Selector::Name(self.shorthand()?)]
        };
        Ok(Segment { descend, through: false, selectors })
    }

    fn bracketed(&mut self) -> Result<Vec<Selector>, PathError> {
        let mut selectors = Vec::new();
        loop {
            self.blanks();
            selectors.push(self.selector()?);
            self.blanks();
            if self.take("]") {
                return Ok(selectors);
            }
            if !self.take(",") || selectors.len() == MOST_SELECTORS {
                return Err(PathError::Segment);
            }
        }
    }

    fn selector(&mut self) -> Result<Selector, PathError> {
        if self.rest.starts_with('?') {
            return Err(PathError::Filter);
        }
        if self.take("*") {
            return Ok(Selector::Wildcard);
        }
        for quote in ['\'', '"'] {
            if let Some(rest) = self.rest.strip_prefix(quote) {
                self.rest = rest;
                return self.quoted(quote).map(Selector::Name);
            }
        }
        let start = self.number()?;
        let before = self.rest;
        self.blanks();
        if !self.take(":") {
            self.rest = before;
            let start = start.ok_or(PathError::Segment)?;
            return Ok(Selector::Slice { start, end: start.saturating_add(1), step: 1 });
        }
        self.blanks();
        let end = self.number()?;
        let before = self.rest;
        self.blanks();
        let mut step = None;
        if self.take(":") {
            let before = self.rest;
            self.blanks();
            step = self.number()?;
            if step.is_none() {
                self.rest = before;
            }
        } else {
            self.rest = before;
        }
        if step == Some(0) {
            return Err(PathError::Number);
        }
        Ok(Selector::Slice {
            start: start.unwrap_or(0),
            end: end.unwrap_or(u64::MAX),
            step: step.unwrap_or(1),
        })
    }

    /// A number from the start of an array; `None` when there is none.
    fn number(&mut self) -> Result<Option<u64>, PathError> {
        if self.rest.starts_with('-') {
            return Err(PathError::FromTheEnd);
        }
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let Some((digits, rest)) = self.rest.split_at_checked(end) else { return Err(PathError::Number) };
        if digits.is_empty() {
            return Ok(None);
        }
        let number: u64 = digits.parse().map_err(|_| PathError::Number)?;
        if (digits.len() > 1 && digits.starts_with('0')) || number >= 1 << 53 {
            return Err(PathError::Number);
        }
        self.rest = rest;
        Ok(Some(number))
    }

    fn shorthand(&mut self) -> Result<String, PathError> {
        let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii();
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end).ok_or(PathError::Segment)?;
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(PathError::Segment);
        }
        self.rest = rest;
        Ok(name.into())
    }

    /// The inside of a quoted name: JSON's escapes, and the quote's own.
    fn quoted(&mut self, quote: char) -> Result<String, PathError> {
        let mut json = String::from('"');
        let mut chars = self.rest.chars();
        while let Some(c) = chars.next() {
            match c {
                _ if c == quote => {
                    self.rest = chars.as_str();
                    json.push('"');
                    return serde_json::from_str(&json).map_err(|_| PathError::Text);
                }
                '\\' => match chars.next().ok_or(PathError::Text)? {
                    '\'' if quote == '\'' => json.push('\''),
                    '"' if quote == '\'' => return Err(PathError::Text),
                    escaped => json.extend(['\\', escaped]),
                },
                '"' => json.push_str("\\\""),
                _ => json.push(c),
            }
        }
        Err(PathError::Text)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

const MOST_SEGMENTS: usize = 32;
const MOST_SELECTORS: usize = 64;
