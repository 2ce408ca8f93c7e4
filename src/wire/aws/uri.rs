//! Percent-encoding as SigV4 writes it, read strictly.
//!
//! Job: what is encoded ⇄ text, so that what was judged and what is signed and sent are one. Boundary: pure. Failure
//! mode: what two servers could read differently is refused with a sentence.

use std::collections::BTreeMap;

use super::call::Unjudged;

/// Decodes exactly once.
///
/// # Errors
/// A `%` that encodes nothing, what is not UTF-8, NUL, a bare `+` (S3 reads it as a space, others do not), a bare byte
/// outside printable ASCII.
pub fn decode(text: &str) -> Result<String, Unjudged> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || {
                    let digit = char::from(bytes.next()?).to_digit(16)?;
                    u8::try_from(digit).ok()
                };
                let pair = digit().zip(digit());
                let (high, low) = pair.ok_or_else(|| Unjudged::new("a % in the address encodes nothing"))?;
                (high << 4) | low
            }
            b'+' => {
                return Err(Unjudged::new(
                    "a bare + in the address is read as + or as a space; write %2B or %20",
                ));
            }
            _ if byte.is_ascii_graphic() => byte,
            _ => return Err(Unjudged::new("the address holds a byte that must be percent-encoded")),
        });
    }
    let text = String::from_utf8(out).map_err(|_| Unjudged::new("the address is not UTF-8"))?;
    if text.contains('\0') {
        return Err(Unjudged::new("the address holds a NUL"));
    }
    Ok(text)
}

/// Encodes everything but letters, digits, `-._~`, and `/` where it separates (AWS: Create a signed request, UriEncode).
#[must_use]
pub fn encode(text: &str, slashes: Slashes) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || (byte == b'/' && slashes == Slashes::Separate);
        if plain {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from_digit(digit.into(), 16).unwrap_or_default().to_ascii_uppercase());
            }
        }
    }
    out
}

/// What a slash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slashes {
    /// A character like others.
    Encode,
    /// What separates segments.
    Separate,
}

/// The parameters of a query, decoded; those without `=` have an empty value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// As [`decode`], and when a parameter occurs twice.
    pub fn read(text: &str) -> Result<Self, Unjudged> {
        let mut fields = BTreeMap::new();
        for field in text.split('&').filter(|field| !field.is_empty()) {
            if field.contains(';') {
                return Err(Unjudged::new(
                    "a bare ; in the query separates parameters for some servers; write %3B",
                ));
            }
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let name = decode(name)?;
            if fields.len() == MOST_FIELDS {
                return Err(Unjudged::new("the query has too many parameters"));
            }
            if fields.insert(name.clone(), decode(value)?).is_some() {
                return Err(Unjudged::of(format!("the parameter `{}` occurs twice", shown(&name))));
            }
        }
        Ok(Self(fields))
    }

    /// A parameter's value.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether a parameter is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The parameters by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Puts a parameter in.
    pub fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.into(), value);
    }

    /// Takes a parameter out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes out every parameter that a function says yes to.
    pub fn take_all(&mut self, mut which: impl FnMut(&str) -> bool) -> Vec<(String, String)> {
        let names: Vec<String> = self.0.keys().filter(|name| which(name)).cloned().collect();
        names.into_iter().filter_map(|name| self.0.remove_entry(&name)).collect()
    }
}

/// The one spelling: sorted, each with its `=`. It is its own canonical query string in SigV4.
impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let encode = |text: &str| encode(text, Slashes::Encode);
        // sorted as they are encoded, which is not always as they are
        let mut fields: Vec<_> = self.iter().map(|(name, value)| (encode(name), encode(value))).collect();
        fields.sort();
        for (place, (name, value)) in fields.iter().enumerate() {
            write!(f, "{}{name}={value}", if place == 0 { "" } else { "&" })?;
        }
        Ok(())
    }
}

/// A name as an error may show it: short, printable.
#[must_use]
pub fn shown(name: &str) -> String {
    name.chars().take(MOST_SHOWN).map(|c| if c.is_ascii_graphic() && c != '`' { c } else { '?' }).collect()
}

const MOST_FIELDS: usize = 128;
const MOST_SHOWN: usize = 64;
