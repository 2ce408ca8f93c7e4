//! What a detector recognises in text.
//!
//! Job: all detectors as one automaton, and the checks that patterns cannot do (Luhn, IBAN's checksum).
//! Boundary: ASCII; a detector sees characters, not meaning. Failure mode: a pattern of the operator's that
//! could match without end is refused at configuration time.

use std::ops::Range;

use regex_automata::meta::{self, Regex};
use regex_automata::util::syntax;
use regex_automata::{Input, PatternID};

/// A kind of secret that text is searched for. None is on unless asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// Keys with a prefix that says whose they are: `sk-…`, `ghp_…`, `glpat-…`, `xoxb-…`, `AIza…`, `hf_…`.
    ApiKey,
    /// Access key ids of AWS, and secrets next to their name.
    AwsKey,
    /// Payment card numbers, 13 to 19 digits, whose check digit is right.
    Card,
    /// E-mail addresses.
    Email,
    /// International bank account numbers whose checksum is right.
    Iban,
    /// JSON Web Tokens, signed or encrypted.
    Jwt,
    /// Private keys in PEM, to their last line.
    PrivateKey,
}

impl Detector {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::ApiKey, Self::AwsKey, Self::Card, Self::Email, Self::Iban, Self::Jwt, Self::PrivateKey];

    /// The name in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api-key",
            Self::AwsKey => "aws-key",
            Self::Card => "card",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private-key",
        }
    }

    /// The detector of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|detector| detector.as_str() == name)
    }

    fn pattern(self) -> &'static str {
        match self {
            Self::ApiKey => {
                r"\b(?:(?:sk|rk|pk)[-_][A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,})"
            }
            Self::AwsKey => {
                r"\b(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}\b|(?i:aws_?secret_?(?:access_?)?key)[^A-Za-z0-9/+]{1,6}[A-Za-z0-9/+]{40}"
            }
            Self::Card => r"\b[0-9](?:[ -]?[0-9]){12,18}\b",
            Self::Email => r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
            Self::Iban => r"\b[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}\b",
            Self::Jwt => r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}",
            Self::PrivateKey => r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        }
    }
}

/// Detectors, compiled.
#[derive(Debug)]
pub struct Detectors {
    regex: Regex,
    end_of_key: Regex,
    builtin: Vec<Detector>,
    /// The longest match of the operator's own patterns.
    longest_own: usize,
}

/// One place that is to be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    /// What else belongs to it.
    pub(super) more: More,
}

/// What a place that was found stands at the beginning of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Nothing,
    /// Everything up to the end of the key.
    Key,
}

impl Detectors {
    /// Compiles detectors and the operator's own patterns (`regex` syntax over bytes).
    ///
    /// # Errors
    /// When a pattern cannot be read, matches nothing or without end, or all together are too big.
    pub fn new(builtin: &[Detector], own: &[String]) -> Result<Self, DetectorError> {
        let mut longest_own = 0;
        for (at, pattern) in own.iter().enumerate() {
            let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
            let parsed = parsed.map_err(|_| DetectorError::Pattern { at })?;
            match (parsed.properties().minimum_len(), parsed.properties().maximum_len()) {
                (Some(1..), Some(longest)) if longest <= LONGEST => longest_own = longest_own.max(longest),
                _ => return Err(DetectorError::Endless { at }),
            }
        }
        let patterns: Vec<&str> =
            builtin.iter().map(|detector| detector.pattern()).chain(own.iter().map(String::as_str)).collect();
        Ok(Self {
            regex: compile(&patterns)?,
            end_of_key: compile(&[END_OF_KEY])?,
            builtin: builtin.to_vec(),
            longest_own,
        })
    }

    /// Where in a text there is something to be masked: byte ranges, in order. A private key without an end
    /// reaches to the end of the text.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        let bytes = text.as_bytes();
        let (mut all, mut at) = (Vec::new(), 0);
        while let Some((found, pattern)) = self.candidate(bytes, at) {
            let candidate = bytes.get(found.start..found.end).unwrap_or_default();
            let end = match self.confirmed(candidate, pattern) {
                0 => {
                    at = found.start + 1;
                    continue;
                }
                confirmed => found.start + confirmed,
            };
            at = match found.more {
                More::Key => self.end_of_key(bytes, end).unwrap_or(bytes.len()),
                More::Nothing => end,
            };
            all.push(found.start..at);
        }
        all
    }

    /// How many bytes at the end of a text may still turn out to be something once more of it is known.
    #[must_use]
    pub fn undecided(&self, text: &str) -> usize {
        text.len() - self.undecided_from(text.as_bytes())
    }

    /// From where on a text may still turn out to be something once more of it is known.
    pub(super) fn undecided_from(&self, text: &[u8]) -> usize {
        let word = text.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1);
        let held = LONGEST_WITH_BLANKS.max(self.longest_own + 1);
        word.min(text.len().saturating_sub(held)).max(text.len().saturating_sub(LONGEST))
    }

    /// What matches first at or after `from`.
    pub(super) fn candidate(&self, text: &[u8], from: usize) -> Option<(Found, PatternID)> {
        let found = self.regex.find(Input::new(text).range(from..))?;
        let more = match self.builtin.get(found.pattern().as_usize()) {
            Some(Detector::PrivateKey) => More::Key,
            _ => More::Nothing,
        };
        Some((Found { start: found.start(), end: found.end(), more }, found.pattern()))
    }

    /// How much of a candidate really is what it looks like; nothing, if none.
    pub(super) fn confirmed(&self, candidate: &[u8], pattern: PatternID) -> usize {
        let check: fn(&[u8]) -> bool = match self.builtin.get(pattern.as_usize()) {
            Some(Detector::Card) => is_card,
            Some(Detector::Iban) => is_iban,
            _ => return candidate.len(),
        };
        // the pattern takes as much as it can: a number may be followed by another
        let is_word = |at: usize| candidate.get(at).is_some_and(u8::is_ascii_alphanumeric);
        (1..=candidate.len())
            .rev()
            .filter(|end| is_word(end - 1) && !is_word(*end))
            .find(|end| candidate.get(..*end).is_some_and(check))
            .unwrap_or(0)
    }

    /// Where a private key ends, if it does.
    pub(super) fn end_of_key(&self, text: &[u8], from: usize) -> Option<usize> {
        self.end_of_key.find(Input::new(text).range(from..)).map(|found| found.end())
    }
}

/// A detector that is refused at configuration time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DetectorError {
    /// It could match nothing, or too much.
    #[error("pattern {at} must match between 1 and {LONGEST} bytes; write {{1,64}} instead of + or *")]
    Endless {
        /// Which pattern, from 0.
        at: usize,
    },
    /// It is no pattern.
    #[error("pattern {at} is not a regular expression")]
    Pattern {
        /// Which pattern, from 0.
        at: usize,
    },
    /// All together take too much memory.
    #[error("the patterns are too big together")]
    TooBig,
}

fn compile(patterns: &[&str]) -> Result<Regex, DetectorError> {
    Regex::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(meta::Config::new().utf8_empty(false).nfa_size_limit(Some(MOST_MEMORY)))
        .build_many(patterns)
        .map_err(|_| DetectorError::TooBig)
}

/// Luhn's check digit.
fn is_card(text: &[u8]) -> bool {
    let digits: Vec<u32> = text.iter().filter_map(|byte| char::from(*byte).to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

/// ISO 7064's MOD 97-10 over the number with its first four characters at the end.
fn is_iban(text: &[u8]) -> bool {
    let characters: Vec<u32> = text
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .filter_map(|byte| char::from(*byte).to_digit(36))
        .collect();
    let Some((head, rest)) = characters.split_at_checked(4) else { return false };
    let remainder = rest.iter().chain(head).fold(0, |sum, value| match value {
        0..10 => (sum * 10 + value) % 97,
        _ => (sum * 100 + value) % 97,
    });
    (15..=34).contains(&characters.len()) && remainder == 1
}

const END_OF_KEY: &str = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";
/// The longest word that is looked at as a whole.
pub(super) const LONGEST: usize = 8 * 1024;
/// No pattern of ours that can match blanks matches more than this.
pub(super) const LONGEST_WITH_BLANKS: usize = 96;
const MOST_MEMORY: usize = 8 * 1024 * 1024;
