//! The request target (RFC 9112 §3.2), and the one spelling of its path.
//!
//! Job: what a policy judges and what is sent upstream are the same bytes. Boundary: pure; a result
//! normalised again is itself. Failure mode: what servers read differently (a slash or backslash in
//! disguise, a second layer of percent-encoding, overlong UTF-8, NUL) is refused, not guessed at.

use std::collections::BTreeSet;

#[cfg(test)]
mod tests;

/// A request target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestTarget {
    /// `http://host/path`: to a proxy. The caller compares the authority with the target's own.
    Absolute {
        /// `http` or `https`, in lower case.
        scheme: String,
        /// Host and port, in lower case; never with user information.
        authority: String,
        /// What is asked for there.
        resource: Resource,
    },
    /// `*`, of OPTIONS.
    Asterisk,
    /// `host:port`, of CONNECT.
    Authority(String),
    /// `/path?query`.
    Origin(Resource),
}

/// A path and a query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    /// Normalised; starts with `/`.
    path: String,
    /// As it came.
    query: Option<String>,
}

/// What to do about spellings that mean different things to different servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathPolicy {
    /// `%2F`.
    pub encoded_slash: Ambiguous,
    /// `%25` before two hexadecimal digits: percent-encoding in percent-encoding.
    pub encoded_percent: Ambiguous,
    /// `;name=value` at the end of a segment.
    pub parameters: Parameters,
}

/// Whether an ambiguous spelling may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ambiguous {
    /// It passes encoded, and is told apart from what it encodes.
    Keep,
    /// It is refused.
    #[default]
    Refuse,
}

/// What happens to `;parameters` of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parameters {
    /// A path that has some is refused.
    Refuse,
    /// They are cut off and do not reach the server.
    #[default]
    Strip,
}

impl RequestTarget {
    /// Reads and normalises a request target.
    ///
    /// # Errors
    /// When its form does not fit the method, or its path cannot have one meaning.
    pub fn parse(method: &str, text: &str, policy: PathPolicy) -> Result<Self, TargetError> {
        if text.len() > LONGEST {
            return Err(TargetError::Long);
        }
        if method == "CONNECT" {
            return authority(text).map(Self::Authority);
        }
        if text == "*" {
            return if method == "OPTIONS" { Ok(Self::Asterisk) } else { Err(TargetError::Form) };
        }
        if text.starts_with('/') {
            return Resource::parse(text, policy).map(Self::Origin);
        }
        let (scheme, rest) = text.split_once("://").ok_or(TargetError::Form)?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(TargetError::Form);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, resource) = rest.split_at_checked(end).ok_or(TargetError::Form)?;
        let resource = if resource.starts_with('/') { resource.into() } else { format!("/{resource}") };
        Ok(Self::Absolute {
            scheme,
            authority: authority(host)?,
            resource: Resource::parse(&resource, policy)?,
        })
    }

    /// The path and query, where there are some.
    #[must_use]
    pub fn resource(&self) -> Option<&Resource> {
        match self {
            Self::Absolute { resource, .. } | Self::Origin(resource) => Some(resource),
            Self::Asterisk | Self::Authority(_) => None,
        }
    }
}

impl Resource {
    /// Reads and normalises `/path?query`.
    ///
    /// # Errors
    /// When the path cannot have one meaning.
    pub fn parse(text: &str, policy: PathPolicy) -> Result<Self, TargetError> {
        if text.len() > LONGEST {
            return Err(TargetError::Long);
        }
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        if query.is_some_and(|query| !query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')) {
            return Err(TargetError::Character);
        }
        Ok(Self { path: normalise(path, policy)?, query: query.map(Into::into) })
    }

    /// The path: decoded what may stand in a segment as it is (RFC 3986 §3.3), everything else encoded in capitals, no dot
    /// segments, no empty segments but a last one. `+` and `%2B` stay apart: some stores read a bare one as a space.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query without its `?`, as it came.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The fields of the query, decoded.
    pub fn fields(&self) -> impl Iterator<Item = (String, String)> + '_ {
        fields(self.query().unwrap_or_default())
    }

    /// The names in the query, whether a server separates fields with `&` only or with `;` as well; each as it is written,
    /// and [`folded`].
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        names(self.query().unwrap_or_default())
    }
}

/// What is sent upstream.
impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)?;
        match &self.query {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

/// A request target that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No `host:port`, or one with user information.
    #[error("the request's authority is not a host and a port")]
    Authority,
    /// A space, a control character, `#`, a byte that is not ASCII, as it is or encoded.
    #[error("the request's target holds a character that no target may hold")]
    Character,
    /// A backslash, or a character that some servers take for a separator.
    #[error("the path holds a character that some servers take for `/`, `.` or `;`")]
    Disguise,
    /// `%25` before hexadecimal digits.
    #[error("the path is percent-encoded twice")]
    EncodedPercent,
    /// `%2F`.
    #[error("the path holds an encoded slash")]
    EncodedSlash,
    /// The form does not fit the method.
    #[error("the request's target has a form that its method cannot have")]
    Form,
    /// Too long.
    #[error("the request's target is longer than {LONGEST} bytes")]
    Long,
    /// `;parameters` where they are refused.
    #[error("the path has ;parameters")]
    Parameters,
    /// `%` without two hexadecimal digits.
    #[error("the path holds a % that encodes nothing")]
    Percent,
    /// What is encoded is not UTF-8, or overlong.
    #[error("the path is not UTF-8")]
    Utf8,
}

/// The names in a query or a form, as [`Resource::names`] says.
#[must_use]
pub fn names(query: &str) -> BTreeSet<String> {
    let both = query.replace(';', "&");
    fields(query).chain(fields(&both)).flat_map(|(name, _)| [folded(&name), name]).collect()
}

/// A name as servers take it that overlook case (Go and .NET do so for members of JSON): `API_KEY`, and what Unicode folds
/// to it, as U+017F to `s`.
#[must_use]
pub fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Splits a query into decoded fields, as forms write them.
pub fn fields(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|field| !field.is_empty()).map(|field| {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        (decode(name), decode(value))
    })
}

fn normalise(path: &str, policy: PathPolicy) -> Result<String, TargetError> {
    let decoded = unescape(path, policy)?;
    let mut segments: Vec<String> = Vec::new();
    let mut ends_in_slash = true;
    for segment in decoded.split('/') {
        let bare = match (segment.split_once(';'), policy.parameters) {
            (Some(_), Parameters::Refuse) => return Err(TargetError::Parameters),
            (Some((bare, _)), Parameters::Strip) => bare,
            (None, _) => segment,
        };
        // `..%2F` is a dot segment to a server that decodes first, where encoded slashes may pass
        if bare.contains("%2F") && bare.split("%2F").any(|part| matches!(part, "." | "..")) {
            return Err(TargetError::Disguise);
        }
        ends_in_slash = matches!(bare, "" | "." | "..");
        match bare {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(bare.into()),
        }
    }
    let mut normal = String::with_capacity(path.len());
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    if ends_in_slash || normal.is_empty() {
        normal.push('/');
    }
    Ok(normal)
}

/// Decodes what may stand as it is, encodes what a path may not hold as it is.
fn unescape(path: &str, policy: PathPolicy) -> Result<String, TargetError> {
    let mut out = String::with_capacity(path.len());
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (decoded, after) = triplet(after).ok_or(TargetError::Percent)?;
                rest = after;
                plain.push(decoded);
                match decoded {
                    0..0x20 | 0x7f => return Err(TargetError::Character),
                    // a server that decodes first takes `;` for the beginning of parameters
                    b'\\' | b';' => return Err(TargetError::Disguise),
                    b'/' if policy.encoded_slash == Ambiguous::Refuse => {
                        return Err(TargetError::EncodedSlash);
                    }
                    _ if is_unreserved(decoded) || b"!$&'()*,=:@".contains(&decoded) => {
                        out.push(char::from(decoded));
                    }
                    _ => out.push_str(&format!("%{decoded:02X}")),
                }
            }
            b'\\' => return Err(TargetError::Disguise),
            b'#' => return Err(TargetError::Character),
            _ if !byte.is_ascii_graphic() => return Err(TargetError::Character),
            _ => {
                plain.push(*byte);
                if is_unreserved(*byte) || b"!$&'()*+,;=:@/".contains(byte) {
                    out.push(char::from(*byte));
                } else {
                    out.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
    // looked for in what is decoded, so that `%25%32%65` is found as well
    if policy.encoded_percent == Ambiguous::Refuse
        && plain.split(|byte| *byte == b'%').skip(1).any(starts_with_hex)
    {
        return Err(TargetError::EncodedPercent);
    }
    let plain = std::str::from_utf8(&plain).map_err(|_| TargetError::Utf8)?;
    if plain.chars().any(|c| DISGUISES.contains(&c)) {
        return Err(TargetError::Disguise);
    }
    if plain.chars().any(char::is_control) {
        return Err(TargetError::Character);
    }
    Ok(out)
}

fn triplet(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<2>()?;
    let [high, low] =
        digits.map(|digit| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    Some(((high? << 4) | low?, rest))
}

fn starts_with_hex(bytes: &[u8]) -> bool {
    triplet(bytes).is_some()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `host` or `host:port`, in lower case.
fn authority(text: &str) -> Result<String, TargetError> {
    let host =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']');
    if text.is_empty() || !text.bytes().all(host) || text.parse::<http::uri::Authority>().is_err() {
        return Err(TargetError::Authority);
    }
    Ok(text.to_ascii_lowercase())
}

/// Characters that compatibility normalisation or a code page turns into `/`, `\`, `.`, `;` or `%`.
const DISGUISES: &[char] = &[
    '\u{ff0f}', '\u{ff3c}', '\u{ff0e}', '\u{ff05}', '\u{ff1b}', '\u{2044}', '\u{2215}', '\u{2216}',
    '\u{29f8}', '\u{29f5}', '\u{fe68}', '\u{fe52}', '\u{fe6a}', '\u{2024}', '\u{2025}', '\u{2026}', '\u{a5}',
    '\u{20a9}',
];
const LONGEST: usize = 16 * 1024;
