//! A protected value while it streams by, and what stands for it afterwards.
//!
//! The semantics are those of the masks in SQL: a constant; nothing; four stars and at most half of the
//! characters; a keyed hash of the text. What is kept of the value is what the mask needs.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

use super::plan::DocumentPlan;
use crate::domain::mask::Mask;

/// The key of tokens. The same key gives the same tokens as a database's.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    /// Takes a key of any length (RFC 2104); `None` when it is empty.
    #[must_use]
    pub fn new(key: &SecretSlice<u8>) -> Option<Self> {
        let key = key.expose_secret();
        if key.is_empty() {
            return None;
        }
        Hmac::new_from_slice(key).ok().map(Self)
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey")
    }
}

/// What a protected value is seen as while it passes.
#[derive(Debug)]
pub(super) enum Hidden {
    Full,
    Null,
    Partial { keep_last: usize, tail: Vec<u8>, length: usize },
    Token(Box<Hmac<Sha256>>),
}

/// What stands for a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Null,
    Text(String),
}

impl Hidden {
    /// For a value that is text.
    pub(super) fn text(mask: Mask, plan: &DocumentPlan) -> Self {
        match mask {
            Mask::Full => Self::Full,
            Mask::Null => Self::Null,
            Mask::Partial { keep_last } => {
                Self::Partial { keep_last: keep_last.into(), tail: Vec::new(), length: 0 }
            }
            Mask::Token => match plan.key() {
                Some(key) => Self::Token(Box::new(key.0.clone())),
                None => Self::Full,
            },
        }
    }

    /// For a value that is not: only text can be kept in part, or be replaced by tokens.
    pub(super) fn other(mask: Mask) -> Self {
        match mask {
            Mask::Full | Mask::Partial { .. } | Mask::Token => Self::Full,
            Mask::Null => Self::Null,
        }
    }

    /// For the absence of a value, which masks that read the value keep, as SQL's do.
    pub(super) fn absence(mask: Mask) -> Self {
        match mask {
            Mask::Full => Self::Full,
            Mask::Null | Mask::Partial { .. } | Mask::Token => Self::Null,
        }
    }

    /// Takes the next bytes of the text, in UTF-8, cut anywhere.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Full | Self::Null => {}
            Self::Partial { keep_last, tail, length } => {
                *length += bytes.iter().filter(|byte| is_start(**byte)).count();
                tail.extend_from_slice(bytes);
                let most = *keep_last * LONGEST_CHARACTER;
                if tail.len() > 2 * most + SLACK {
                    tail.drain(..tail.len() - most);
                }
            }
            Self::Token(mac) => mac.update(bytes),
        }
    }

    /// What stands for the value, now that it is whole.
    pub(super) fn show(self) -> Shown {
        Shown::Text(match self {
            Self::Null => return Shown::Null,
            Self::Full => MASKED.into(),
            Self::Partial { keep_last, tail, length } => {
                let mut kept = keep_last.min(length / 2);
                let mut from = tail.len();
                for (at, byte) in tail.iter().enumerate().rev() {
                    if kept == 0 {
                        break;
                    }
                    if is_start(*byte) {
                        kept -= 1;
                        from = at;
                    }
                }
                format!("****{}", String::from_utf8_lossy(tail.get(from..).unwrap_or_default()))
            }
            Self::Token(mac) => {
                let mut token = String::from("tok_");
                for byte in mac.finalize().into_bytes().iter().take(16) {
                    for digit in [byte >> 4, byte & 15] {
                        token.push(char::from_digit(digit.into(), 16).unwrap_or_default());
                    }
                }
                token
            }
        })
    }
}

/// Whether a byte starts a character of UTF-8.
fn is_start(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// What stands for a value that is masked in full.
pub(super) const MASKED: &str = "[masked]";
const LONGEST_CHARACTER: usize = 4;
const SLACK: usize = 256;
