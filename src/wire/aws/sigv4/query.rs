//! The query of a request, as pairs that can be read in one way only.
//!
//! Job: decode it, write it as a signature covers it, and write it as it goes upstream. Boundary: spelling; what
//! the parameters mean is for others. Failure mode: [`SignatureFault::Target`] for what readers differ about.

use std::fmt;

use super::fault::SignatureFault;

/// A query's parameters, decoded, in the order they came in.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Query {
    pairs: Vec<Pair>,
}

#[derive(Clone, PartialEq, Eq)]
struct Pair {
    name: String,
    /// `None` where there was no `=`: `?acl`.
    value: Option<String>,
}

impl Query {
    /// Reads what follows the `?`.
    ///
    /// # Errors
    /// [`SignatureFault::Target`] for a `+` (a plus for some, a space for others), broken escapes, bytes outside
    /// ASCII, text that is not UTF-8, and more parameters or bytes than anybody needs.
    pub fn parse(query: Option<&str>) -> Result<Self, SignatureFault> {
        let text = query.unwrap_or_default();
        if text.len() > MAX_BYTES {
            return Err(SignatureFault::Target("its query is too long"));
        }
        let mut pairs = Vec::new();
        for piece in text.split('&').filter(|piece| !piece.is_empty()) {
            if pairs.len() == MAX_PAIRS {
                return Err(SignatureFault::Target("its query has too many parameters"));
            }
            if piece.contains('+') {
                return Err(SignatureFault::Target("a `+` in its query; write %2B or %20"));
            }
            let (name, value) = match piece.split_once('=') {
                Some((name, value)) => (name, Some(decode(value)?)),
                None => (piece, None),
            };
            pairs.push(Pair { name: decode(name)?, value });
        }
        Ok(Self { pairs })
    }

    /// The parameters: their names, and their values where there was an `=`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.pairs.iter().map(|pair| (pair.name.as_str(), pair.value.as_deref()))
    }

    /// As the signature covers it: encoded in one way, sorted, without the signature itself (AWS, "Create a signed
    /// AWS API request", step 1).
    pub(super) fn canonical(&self) -> String {
        let mut pairs: Vec<(String, String)> = self
            .pairs
            .iter()
            .filter(|pair| pair.name != "X-Amz-Signature")
            .map(|pair| (encode(&pair.name), encode(pair.value.as_deref().unwrap_or_default())))
            .collect();
        pairs.sort();
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }

    /// As it goes upstream: encoded in one way, in the order it came in.
    #[must_use]
    pub fn spell(&self) -> String {
        let pairs: Vec<String> = self
            .pairs
            .iter()
            .map(|pair| match &pair.value {
                Some(value) => format!("{}={}", encode(&pair.name), encode(value)),
                None => encode(&pair.name),
            })
            .collect();
        pairs.join("&")
    }

    /// Takes out the parameters whose name `is` accepts.
    pub(super) fn take(&mut self, is: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let mut taken = Vec::new();
        self.pairs.retain_mut(|pair| {
            let out = is(&pair.name);
            if out {
                taken.push((std::mem::take(&mut pair.name), pair.value.take().unwrap_or_default()));
            }
            !out
        });
        taken
    }
}

/// Names only: a value may be a session token.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.pairs.iter().map(|pair| &pair.name)).finish()
    }
}

/// Decodes escapes, strictly.
pub(super) fn decode(text: &str) -> Result<String, SignatureFault> {
    let broken = SignatureFault::Target("a broken escape");
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
            let (Some(high), Some(low)) = (digit(), digit()) else { return Err(broken) };
            out.push(u8::try_from(high * 16 + low).map_err(|_| broken.clone())?);
        } else if byte.is_ascii_graphic() {
            out.push(byte);
        } else {
            return Err(SignatureFault::Target("bytes that must be escaped"));
        }
    }
    String::from_utf8(out).map_err(|_| SignatureFault::Target("escapes that are not UTF-8"))
}

/// Encodes all but the unreserved characters of RFC 3986, with upper-case digits: AWS's `UriEncode`.
pub(super) fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, ESCAPED).to_string()
}

/// The same, and leaves `/`: an escaped path is escaped once more.
pub(super) fn encode_path(path: &str) -> String {
    percent_encoding::utf8_percent_encode(path, ESCAPED_PATH).to_string()
}

/// Everything but `A–Z a–z 0–9 - . _ ~`.
const ESCAPED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const ESCAPED_PATH: &percent_encoding::AsciiSet = &ESCAPED.remove(b'/');
/// A key of 1,024 bytes, three times as long when escaped, twice (prefix and marker), a session token, and air.
const MAX_BYTES: usize = 16 * 1024;
const MAX_PAIRS: usize = 128;
