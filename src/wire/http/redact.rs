//! Keeps an injected secret from coming back: from echo endpoints, error pages, redirects, TRACE.
//!
//! Job: finds the secret as it is, and as servers write it (base64, hexadecimal, percent-encoded, escaped
//! for JSON or HTML), in headers and in bodies that stream by, and puts `[redacted]` in its place. Boundary: it looks
//! for known bytes; a server that encrypts, reverses or cuts the secret is beyond it. A body that is
//! compressed has to be unpacked first. Failure mode: a secret too short to be told from other text is
//! looked for only as it is.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use bytes::BytesMut;
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

#[cfg(test)]
mod tests;

/// The forms of some secrets, to be looked for.
#[derive(Clone)]
pub struct Redactor {
    forms: Arc<Forms>,
}

struct Forms {
    search: Option<AhoCorasick>,
    /// Every form in lower case; as secret as what they are forms of.
    patterns: Vec<SecretSlice<u8>>,
    longest: usize,
    /// With which bytes a form can begin.
    starts: [bool; 256],
}

impl Redactor {
    /// Looks for these secrets. What is injected as `Bearer x` or in a cookie is looked for as `x`.
    ///
    /// # Errors
    /// When a secret is too long.
    pub fn new(secrets: &[SecretString]) -> Result<Self, RedactError> {
        let mut forms = Vec::new();
        for secret in secrets {
            let secret = secret.expose_secret();
            if secret.len() > LONGEST_SECRET {
                return Err(RedactError);
            }
            add_forms(&mut forms, secret);
        }
        for form in &mut forms {
            form.make_ascii_lowercase();
        }
        forms.sort();
        forms.dedup();
        let search = if forms.is_empty() {
            None
        } else {
            let mut builder = AhoCorasick::builder();
            builder.match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(true);
            Some(builder.build(&forms).map_err(|_| RedactError)?)
        };
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        let mut starts = [false; 256];
        for (byte, is_start) in (0..=u8::MAX).zip(&mut starts) {
            *is_start =
                forms.iter().any(|form| form.first().is_some_and(|first| first.eq_ignore_ascii_case(&byte)));
        }
        let patterns = forms.into_iter().map(SecretSlice::from).collect();
        Ok(Self { forms: Arc::new(Forms { search, patterns, longest, starts }) })
    }

    /// The text without the secrets; `None` when there are none in it.
    #[must_use]
    pub fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        let search = self.forms.search.as_ref()?;
        search.find(text)?;
        Some(search.replace_all_bytes(text, &vec![REDACTED; self.forms.patterns.len()]))
    }

    /// A header's value without the secrets; `None` when there are none in it.
    #[must_use]
    pub fn header(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let text = self.text(value.as_bytes())?;
        Some(HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("[redacted]")))
    }

    /// A redactor for one body.
    #[must_use]
    pub fn body(&self) -> BodyRedactor {
        BodyRedactor { forms: Arc::clone(&self.forms), held: Vec::new(), found: 0 }
    }

    /// How many bytes at the end of a text could be the beginning of a secret.
    fn undecided(forms: &Forms, text: &[u8]) -> usize {
        let most = text.len().min(forms.longest.saturating_sub(1));
        let tail = text.get(text.len() - most..).unwrap_or_default();
        let begins = |tail: &[u8]| {
            let is_start = |byte: &u8| forms.starts.get(usize::from(*byte)).copied().unwrap_or(false);
            tail.first().is_some_and(is_start)
                && forms.patterns.iter().any(|pattern| {
                    pattern
                        .expose_secret()
                        .get(..tail.len())
                        .is_some_and(|start| start.eq_ignore_ascii_case(tail))
                })
        };
        (0..most).find_map(|from| tail.get(from..).filter(|tail| begins(tail))).map_or(0, <[u8]>::len)
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

/// Takes secrets out of one body.
pub struct BodyRedactor {
    forms: Arc<Forms>,
    /// The end of what came, if a secret could begin there.
    held: Vec<u8>,
    found: u64,
}

impl BodyRedactor {
    /// Redacts the next piece; what can be given out is appended to `out`. Held back is only what could be the
    /// beginning of a secret.
    pub fn feed(&mut self, piece: &[u8], out: &mut BytesMut) {
        let mut held = std::mem::take(&mut self.held);
        let text = if held.is_empty() {
            piece
        } else {
            held.extend_from_slice(piece);
            &held
        };
        let undecided = text.len() - Redactor::undecided(&self.forms, text);
        let rest = self.redact(text, undecided, out);
        self.held = text.get(rest..).unwrap_or_default().into();
    }

    /// Ends the body.
    pub fn finish(&mut self, out: &mut BytesMut) {
        let held = std::mem::take(&mut self.held);
        self.redact(&held, held.len(), out);
    }

    /// How many secrets were taken out.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.found
    }

    /// Gives out what begins before `undecided`, and says where the rest begins.
    fn redact(&mut self, text: &[u8], undecided: usize, out: &mut BytesMut) -> usize {
        let mut from = 0;
        if let Some(search) = &self.forms.search {
            for found in search.find_iter(text).take_while(|found| found.start() < undecided) {
                out.extend_from_slice(text.get(from..found.start()).unwrap_or_default());
                out.extend_from_slice(REDACTED);
                from = found.end();
                self.found += 1;
            }
        }
        let end = undecided.max(from);
        out.extend_from_slice(text.get(from..end).unwrap_or_default());
        end
    }
}

impl std::fmt::Debug for BodyRedactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyRedactor").field("found", &self.found).finish_non_exhaustive()
    }
}

/// A secret that cannot be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is longer than {LONGEST_SECRET} bytes")]
pub struct RedactError;

fn add_forms(forms: &mut Vec<Vec<u8>>, secret: &str) {
    let bytes = secret.as_bytes();
    if bytes.len() < SHORTEST {
        if !bytes.is_empty() {
            forms.push(bytes.into());
        }
        return;
    }
    forms.push(bytes.into());
    forms.push(hex(bytes, ""));
    forms.push(hex(bytes, "%"));
    let encode = |keep: &[u8], each: &dyn Fn(u8, &mut Vec<u8>)| {
        let mut form = Vec::new();
        for byte in bytes {
            if byte.is_ascii_alphanumeric() || keep.contains(byte) {
                form.push(*byte);
            } else {
                each(*byte, &mut form);
            }
        }
        form
    };
    let percent = |byte: u8, form: &mut Vec<u8>| form.extend_from_slice(format!("%{byte:02x}").as_bytes());
    // encodeURIComponent, encodeURI, RFC 3986, forms, cautious ones
    for keep in [&b"-_.!~*'()"[..], b"-_.!~*'();/?:@&=+$,#", b"-_.~", b"*-._", b""] {
        forms.push(encode(keep, &percent));
    }
    forms.push(encode(b"*-._", &|byte, form| {
        if byte == b' ' { form.push(b'+') } else { percent(byte, form) }
    }));
    // JSON: as serde, with slashes, with everything that is not plain, with everything that HTML minds
    let json = serde_json::Value::from(secret).to_string();
    let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or(&json);
    forms.push(json.into());
    forms.push(json.replace('/', "\\/").into());
    let escape = |is_plain: fn(char) -> bool| {
        let mut form = String::new();
        for c in secret.chars() {
            match c {
                '"' | '\\' if is_plain(c) => form.extend(['\\', c]),
                _ if is_plain(c) => form.push(c),
                _ => c
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .for_each(|unit| form.push_str(&format!("\\u{unit:04x}"))),
            }
        }
        form.into_bytes()
    };
    forms.push(escape(|c| c.is_ascii_graphic()));
    forms.push(escape(|c| c.is_ascii_graphic() && !"<>&='\"".contains(c)));
    forms.push(escape(|c| c.is_ascii_graphic() && !"<>&+'\"`/".contains(c)));
    forms.push(escape(|c| c.is_ascii_alphanumeric()));
    // HTML and XML, in the usual spellings of quotes
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for (double, single) in [
        ("\"", "'"),
        ("&quot;", "'"),
        ("&quot;", "&#39;"),
        ("&quot;", "&#x27;"),
        ("&#34;", "&#39;"),
        ("&quot;", "&apos;"),
    ] {
        let form = html.replace('"', double).replace('\'', single);
        forms.push(form.replace('=', "&#x3d;").replace('/', "&#x2f;").replace('`', "&#x60;").into());
        forms.push(form.into());
    }
    // UTF-16 in either order of bytes: the zeros at the ends belong to what stands beside it
    let mut wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    if wide.last() == Some(&0) {
        wide.pop();
    }
    forms.push(wide);
    // in base64 what stands before decides how it is cut into groups; the characters that it does not
    // decide alone are left out
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend_from_slice(bytes);
        let whole = padded.len() / 3 * 4 + [0, 1, 2].get(padded.len() % 3).copied().unwrap_or(0);
        let from = [0, 2, 3].get(before).copied().unwrap_or(0);
        for text in [BASE64_STANDARD.encode(&padded), BASE64_URL_SAFE.encode(&padded)] {
            let form = text.as_bytes().get(from..whole).unwrap_or_default();
            if form.len() >= SHORTEST {
                forms.push(form.into());
            }
        }
    }
}

fn hex(bytes: &[u8], before: &str) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{before}{byte:02x}").into_bytes()).collect()
}

const REDACTED: &[u8] = b"[redacted]";
/// Shorter ones would be found in other people's base64.
const SHORTEST: usize = 8;
const LONGEST_SECRET: usize = 16 * 1024;
