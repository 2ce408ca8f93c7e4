//! XML, as much of it as S3's requests and listings have.
//!
//! Job: tags and text, in pieces of any size. Boundary: no DTD, no entities but XML's five and numbers, no CDATA, comments
//! or processing instructions, attributes are skipped; so a document has one reading. Failure mode: [`XmlError`].

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The XML declaration, or blanks around the root.
    Around,
    /// A tag ends an element.
    Close(String),
    /// A tag begins an element.
    Open(String),
    /// Text between two tags, with entities resolved. Its length is bounded.
    Text(String),
}

/// Not of this subset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the XML is not well-formed, or uses what is not read (a DTD, CDATA, comments, entities)")]
pub(super) struct XmlError;

/// Is told what came.
type Each<'a> = dyn FnMut(&Reader, Event, &[u8]) + 'a;

/// Reads a document.
#[derive(Debug, Default)]
pub(super) struct Reader {
    state: State,
    open: Vec<String>,
    held: Vec<u8>,
    seen_root: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    Tag {
        quote: Option<u8>,
    },
}

impl Reader {
    /// The elements that are open, from the root.
    pub(super) fn path(&self) -> &[String] {
        &self.open
    }

    /// Takes the next piece; calls `each` with what came, and how it was written.
    pub(super) fn feed(&mut self, input: &[u8], each: &mut Each<'_>) -> Result<(), XmlError> {
        for byte in input {
            if self.held.len() > LONGEST {
                return Err(XmlError);
            }
            match (self.state, *byte) {
                (State::Text, b'<') => {
                    self.text(each)?;
                    self.state = State::Tag { quote: None };
                }
                (State::Tag { quote: None }, b'>') => {
                    self.tag(each)?;
                    self.state = State::Text;
                }
                (State::Tag { quote: None }, b'"' | b'\'') => {
                    self.held.push(*byte);
                    self.state = State::Tag { quote: Some(*byte) };
                }
                (State::Tag { quote: Some(quote) }, byte) if byte == quote => {
                    self.held.push(byte);
                    self.state = State::Tag { quote: None };
                }
                (State::Tag { .. }, b'<') => return Err(XmlError),
                _ => self.held.push(*byte),
            }
        }
        Ok(())
    }

    /// Ends the document.
    pub(super) fn finish(mut self) -> Result<(), XmlError> {
        self.text(&mut |_, _, _| {})?;
        if self.state == State::Text && self.open.is_empty() && self.seen_root {
            Ok(())
        } else {
            Err(XmlError)
        }
    }

    fn text(&mut self, each: &mut Each<'_>) -> Result<(), XmlError> {
        let held = std::mem::take(&mut self.held);
        let text = String::from_utf8(held).map_err(|_| XmlError)?;
        let text = if self.open.is_empty() && !self.seen_root {
            text.strip_prefix('\u{feff}').unwrap_or(&text)
        } else {
            &text
        };
        if text.is_empty() {
            return Ok(());
        }
        if self.open.is_empty() {
            each(self, Event::Around, text.as_bytes());
            return if text.bytes().all(is_blank) { Ok(()) } else { Err(XmlError) };
        }
        each(self, Event::Text(resolve(text)?), text.as_bytes());
        Ok(())
    }

    fn tag(&mut self, each: &mut Each<'_>) -> Result<(), XmlError> {
        let held = String::from_utf8(std::mem::take(&mut self.held)).map_err(|_| XmlError)?;
        if let Some(declaration) = held.strip_prefix("?xml") {
            let known =
                declaration.ends_with('?') && declaration.starts_with(|c: char| c.is_ascii_whitespace());
            let lower = declaration.to_ascii_lowercase();
            let utf8 = !lower.contains("encoding") || lower.contains("utf-8");
            let first = self.open.is_empty() && !self.seen_root;
            each(self, Event::Around, format!("<{held}>").as_bytes());
            return if known && utf8 && first { Ok(()) } else { Err(XmlError) };
        }
        if let Some(name) = held.strip_prefix('/') {
            let name = local(name.trim_end_matches(|c: char| c.is_ascii_whitespace()))?;
            if self.open.pop().as_deref() != Some(name) {
                return Err(XmlError);
            }
            each(self, Event::Close(name.into()), format!("<{held}>").as_bytes());
            return Ok(());
        }
        let (inner, empty) = match held.strip_suffix('/') {
            Some(inner) => (inner, true),
            None => (held.as_str(), false),
        };
        let (name, attributes) = match inner.split_once(|c: char| c.is_ascii_whitespace()) {
            Some((name, attributes)) => (name, attributes),
            None => (inner, ""),
        };
        let name = local(name)?;
        if attributes.contains('&') || (self.open.is_empty() && self.seen_root) || self.open.len() == DEEPEST
        {
            return Err(XmlError);
        }
        self.seen_root = true;
        self.open.push(name.into());
        each(self, Event::Open(name.into()), format!("<{held}>").as_bytes());
        if empty {
            self.open.pop();
            each(self, Event::Close(name.into()), &[]);
        }
        Ok(())
    }
}

/// A name without a prefix; one with a prefix could mean anything.
fn local(name: &str) -> Result<&str, XmlError> {
    let fine = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if fine { Ok(name) } else { Err(XmlError) }
}

fn resolve(text: &str) -> Result<String, XmlError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain(before, &mut out)?;
        let (name, after) = after.split_once(';').ok_or(XmlError)?;
        rest = after;
        out.push(match name {
            "amp" => '&',
            "apos" => '\'',
            "gt" => '>',
            "lt" => '<',
            "quot" => '"',
            _ => {
                let number = name.strip_prefix('#').ok_or(XmlError)?;
                let (digits, radix) = match number.strip_prefix('x') {
                    Some(digits) => (digits, 16),
                    None => (number, 10),
                };
                if digits.is_empty()
                    || digits.len() > 8
                    || !digits.bytes().all(|byte| byte.is_ascii_hexdigit())
                {
                    return Err(XmlError);
                }
                let code = u32::from_str_radix(digits, radix).map_err(|_| XmlError)?;
                char::from_u32(code).filter(|c| *c != '\0').ok_or(XmlError)?
            }
        });
    }
    plain(rest, &mut out)?;
    Ok(out)
}

/// A bare carriage return becomes a line feed for some readers (XML 1.0 §2.11), a control character is none.
fn plain(text: &str, out: &mut String) -> Result<(), XmlError> {
    if text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n')) && !text.bytes().all(is_blank) {
        return Err(XmlError);
    }
    out.push_str(text);
    Ok(())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// A key has at most 1,024 bytes, each of which may be written as `&#x10FFFF;`.
const LONGEST: usize = 16 * 1024;
const DEEPEST: usize = 16;
