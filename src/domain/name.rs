//! Newtypes for every name that crosses a boundary.
//!
//! Each has one fallible constructor, so that a value of the type is always well formed: it can be
//! printed, logged and put into a path or a header without further thought.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A name that does not have the shape its type demands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a {what}: {shape}")]
pub struct NameError {
    /// What the text was meant to be.
    what: &'static str,
    /// The shape it should have had.
    shape: &'static str,
    /// The text, cut to 80 characters, with what steers or deceives written out.
    given: String,
}

impl NameError {
    fn new(what: &'static str, shape: &'static str, given: &str) -> Self {
        let given = super::text::name(given, 80);
        Self { what, shape, given }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $shape:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Accepts the text if it has the shape of this name.
            ///
            /// # Errors
            /// [`NameError`] names the expected shape.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                let ok: fn(&str) -> bool = $ok;
                if ok(&text) { Ok(Self(text)) } else { Err(NameError::new($what, $shape, &text)) }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
    };
}

name!(
    /// A target: `db`, `billing-api`.
    TargetName, "target name", "1 to 63 of a-z, 0-9 and -, starting with a letter",
    |t| t.len() <= 63 && t.starts_with(|c: char| c.is_ascii_lowercase()) && t.bytes().all(is_label)
);

name!(
    /// An identity provider or trusted issuer, as the configuration calls it: `corp`.
    ProviderName, "provider name", "1 to 63 of a-z, 0-9 and -, starting with a letter",
    |t| t.len() <= 63 && t.starts_with(|c: char| c.is_ascii_lowercase()) && t.bytes().all(is_label)
);

name!(
    /// A group, qualified by the provider that asserts it: `corp/dba`.
    GroupName, "group name", "PROVIDER/GROUP, up to 256 printable characters",
    |t| t.len() <= 256
        && !t.chars().any(super::text::deceives)
        && t.split_once('/').is_some_and(|(p, g)| ProviderName::new(p).is_ok() && !g.is_empty())
);

name!(
    /// A policy rule, from its `@id` annotation: `destructive-sql.drop`.
    RuleName, "rule name", "1 to 128 of letters, digits and . _ : -",
    |t| !t.is_empty()
        && t.len() <= 128
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
);

name!(
    /// A session: `ses_` and 26 characters of base 32.
    SessionId, "session id", "ses_ and 26 of a-z, 2-7",
    |t| t.strip_prefix("ses_").is_some_and(is_base32)
);

name!(
    /// A request for approval: `req_` and 26 characters of base 32. Random, so it is also the nonce of
    /// what its reviewers sign.
    RequestId, "request id", "req_ and 26 of a-z, 2-7",
    |t| t.strip_prefix("req_").is_some_and(is_base32)
);

name!(
    /// A grant: `gra_` and 26 characters of base 32.
    GrantId, "grant id", "gra_ and 26 of a-z, 2-7",
    |t| t.strip_prefix("gra_").is_some_and(is_base32)
);

name!(
    /// A device key: its RFC 7638 thumbprint, 43 characters of base64url.
    DeviceId, "device id", "43 characters of base64url (an RFC 7638 thumbprint)",
    |t| t.len() == 43 && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
);

name!(
    /// A SHA-256 digest in lower-case hexadecimal: of a policy, a statement, a chunk.
    Digest, "digest", "64 of 0-9, a-f",
    |t| t.len() == 64 && t.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
);

impl SessionId {
    /// Makes an id out of 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(base32_id("ses_", bytes))
    }
}

impl RequestId {
    /// Makes an id out of 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(base32_id("req_", bytes))
    }
}

impl GrantId {
    /// Makes an id out of 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(base32_id("gra_", bytes))
    }
}

impl RuleName {
    /// The name behind a denial when no rule said yes.
    #[must_use]
    pub fn default_deny() -> Self {
        Self("default".into())
    }

    /// The name behind a refusal to confirm a device.
    #[must_use]
    pub fn device_code() -> Self {
        Self("device-code".into())
    }
}

impl DeviceId {
    /// Writes the SHA-256 of a key's canonical JWK as an id.
    #[must_use]
    pub fn from_digest(bytes: &[u8; 32]) -> Self {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::with_capacity(43);
        for three in bytes.chunks(3) {
            let number = three.iter().fold(0_u32, |acc, byte| (acc << 8) | u32::from(*byte))
                << (8 * (3 - three.len()));
            for place in (0..4).rev().take(three.len() + 1) {
                let digit = usize::try_from((number >> (place * 6)) & 63).unwrap_or_default();
                text.extend(ALPHABET.get(digit).map(|b| char::from(*b)));
            }
        }
        Self(text)
    }
}

impl Digest {
    /// Writes 32 bytes as a digest.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' - 10 + value });
        Self(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
    }
}

fn base32_id(prefix: &str, bytes: [u8; 16]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let number = u128::from_be_bytes(bytes);
    let mut text = String::from(prefix);
    for place in (0..26).rev() {
        let digit = usize::try_from((number >> (place * 5)) & 31).unwrap_or_default();
        text.extend(ALPHABET.get(digit).map(|b| char::from(*b)));
    }
    text
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn is_base32(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}

#[cfg(test)]
mod tests {
    use super::GroupName;
    use crate::domain::principal::Subject;

    /// Group names and subjects stand in policies, on a reviewer's screen and in the ledger, and are compared.
    #[test]
    fn a_name_that_deceives_the_eye_is_none() {
        for unseen in ["\u{202e}", "\u{2066}", "\u{200b}", "\u{ad}", "\u{feff}", "\u{e0041}", "\u{1b}"] {
            let name = format!("dba{unseen}");
            assert!(GroupName::new(format!("corp/{name}")).is_err(), "{name:?}");
            assert!(Subject::new(name.as_str()).is_err(), "{name:?}");
        }
        for plain in ["dba", "Büro 7", "зам:2", "ops+on.call@corp"] {
            assert!(GroupName::new(format!("corp/{plain}")).is_ok(), "{plain}");
            assert!(Subject::new(plain).is_ok(), "{plain}");
        }
    }
}
