//! What a detector recognises in text.
//!
//! Job: all detectors as one automaton, and the checks that patterns cannot do: check digits, what stands around.
//! Boundary: ASCII; a detector sees characters, not meaning. Failure mode: a pattern of the operator's that
//! could match without end is refused at configuration time.

mod checks;
mod emails;
mod kinds;

use std::ops::Range;

use regex_automata::meta::{self, Regex};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, PatternID};

pub(super) use self::checks::CONTEXT;
use self::emails::Emails;
pub use self::kinds::Detector;
use crate::domain::target::{OwnPattern, PatternCheck};

/// Detectors, compiled.
#[derive(Debug)]
pub struct Detectors {
    /// All but e-mail addresses.
    regex: Regex,
    emails: Option<Emails>,
    end_of_key: Regex,
    ssn_words: Regex,
    kinds: Vec<Kind>,
    /// The longest match of the operator's own patterns.
    longest_own: usize,
}

/// What a pattern belongs to, in the patterns' order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Builtin(Detector),
    Own(PatternCheck),
}

/// A place where something may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) start: usize,
    /// Where what is to be masked ends; `None` when nothing here is what it looks like.
    pub(super) end: Option<usize>,
    /// How far was looked: when that is the end of the text, more of it may change the answer.
    pub(super) reach: usize,
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

/// What lies ahead in a text: of patterns, and of e-mail addresses.
#[derive(Debug, Default)]
pub(super) struct Scan {
    patterns: Ahead,
    emails: Ahead,
}

/// The next candidate, once it was looked for; `None` in it when there is no other.
#[derive(Debug, Default)]
struct Ahead(Option<Option<Candidate>>);

impl Ahead {
    fn at_or_after(
        &mut self,
        from: usize,
        find: impl FnOnce(usize) -> Option<Candidate>,
    ) -> Option<Candidate> {
        let is_passed = self.0.is_none_or(|next| next.is_some_and(|next| next.start < from));
        if is_passed {
            self.0 = Some(find(from));
        }
        self.0.flatten()
    }
}

impl Detectors {
    /// Compiles detectors and the operator's own patterns (`regex` syntax over bytes).
    ///
    /// # Errors
    /// When a pattern cannot be read, matches nothing or without end, or all together are too big.
    pub fn new(builtin: &[Detector], own: &[OwnPattern]) -> Result<Self, DetectorError> {
        let mut longest_own = 0;
        for pattern in own {
            longest_own = longest_own.max(longest_match(&pattern.pattern)?);
        }
        let mut builtin = builtin.to_vec();
        builtin.sort_unstable();
        builtin.dedup();
        let has_emails = builtin.contains(&Detector::Email);
        builtin.retain(|detector| *detector != Detector::Email);
        let patterns: Vec<&str> = builtin
            .iter()
            .map(|detector| detector.pattern())
            .chain(own.iter().map(|own| own.pattern.as_str()))
            .collect();
        let kinds = builtin.iter().copied().map(Kind::Builtin);
        Ok(Self {
            regex: compile(&patterns)?,
            emails: if has_emails { Some(Emails::new()?) } else { None },
            end_of_key: compile(&[END_OF_KEY])?,
            ssn_words: compile(&[checks::SSN_WORDS])?,
            kinds: kinds.chain(own.iter().map(|own| Kind::Own(own.check))).collect(),
            longest_own,
        })
    }

    /// Compiles what a target's configuration names: detectors of ours, and patterns of its own.
    ///
    /// # Errors
    /// As [`Self::new`], and when there is no detector of a name.
    pub fn named<'a>(
        names: impl IntoIterator<Item = &'a String>,
        patterns: &[OwnPattern],
    ) -> Result<Self, DetectorError> {
        let (mut builtin, mut own) = (Vec::new(), Vec::new());
        for name in names {
            match (patterns.iter().find(|own| own.name == *name), Detector::named(name)) {
                (Some(pattern), _) => own.push(pattern.clone()),
                (None, Some(detector)) => builtin.push(detector),
                (None, None) => return Err(DetectorError::Unknown),
            }
        }
        Self::new(&builtin, &own)
    }

    /// Where in a text there is something to be masked: byte ranges, in order. A private key without an end
    /// reaches to the end of the text.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        self.find_bytes(text.as_bytes())
    }

    fn find_bytes(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let (mut all, mut at) = (Vec::new(), 0);
        let mut scan = Scan::default();
        while let Some(candidate) = self.candidate(bytes, at, &mut scan) {
            let Some(end) = candidate.end else {
                at = candidate.start + 1;
                continue;
            };
            at = match candidate.more {
                More::Key => self.end_of_key(bytes, end).unwrap_or(bytes.len()),
                More::Nothing => end,
            };
            all.push(candidate.start..at);
        }
        all
    }

    /// The same in a text, in any encoding that has ASCII in it, that is the whole value of a field. A social security number that is all of it needs no
    /// word beside it when it has its dashes, or when `is_ssn` says that the field's name is that word.
    #[must_use]
    pub fn find_value(&self, text: &[u8], is_ssn: bool) -> Vec<Range<usize>> {
        if self.has(Detector::Ssn) && text.len() <= LONGEST_WITH_BLANKS {
            let bare = text.trim_ascii();
            if (is_ssn || bare.contains(&b'-')) && checks::is_ssn(bare) {
                let start = text.len() - text.trim_ascii_start().len();
                return std::iter::once(start..start + bare.len()).collect();
            }
        }
        self.find_bytes(text)
    }

    /// Whether the name of a field says that social security numbers are in it.
    #[must_use]
    pub fn is_ssn_name(&self, name: &str) -> bool {
        self.has(Detector::Ssn) && self.ssn_words.is_match(name)
    }

    /// Whether this detector is among them.
    #[must_use]
    pub fn has(&self, detector: Detector) -> bool {
        match detector {
            Detector::Email => self.emails.is_some(),
            other => self.kinds.contains(&Kind::Builtin(other)),
        }
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

    /// What may begin first at or after `from`. Of what begins there, the longest counts.
    ///
    /// `scan` goes with the text: what lies ahead is looked for once, however many candidates there are before it.
    pub(super) fn candidate(&self, text: &[u8], from: usize, scan: &mut Scan) -> Option<Candidate> {
        let pattern = scan.patterns.at_or_after(from, |from| self.of_a_pattern(text, from));
        let email = scan.emails.at_or_after(from, |from| {
            let found = self.emails.as_ref()?.find(text, from)?;
            Some(Candidate {
                start: found.start,
                end: Some(found.end),
                reach: found.end,
                more: More::Nothing,
            })
        });
        match (pattern, email) {
            (Some(pattern), Some(email)) if pattern.start == email.start => {
                let longer = if pattern.end >= email.end { pattern } else { email };
                Some(Candidate { reach: pattern.reach.max(email.reach), ..longer })
            }
            (Some(pattern), Some(email)) if email.start < pattern.start => Some(email),
            (None, email) => email,
            (pattern, _) => pattern,
        }
    }

    fn of_a_pattern(&self, text: &[u8], from: usize) -> Option<Candidate> {
        let first = self.regex.find(Input::new(text).range(from..))?;
        let start = first.start();
        let mut candidate = Candidate { start, end: None, reach: start, more: More::Nothing };
        for (number, kind) in self.kinds.iter().enumerate() {
            let end = if number == first.pattern().as_usize() {
                first.end()
            } else {
                let Ok(pattern) = PatternID::new(number) else { continue };
                let input = Input::new(text).range(start..).anchored(Anchored::Pattern(pattern));
                let Some(found) = self.regex.find(input) else { continue };
                found.end()
            };
            candidate.reach = candidate.reach.max(end);
            let end = start + self.confirmed(text, start, end, *kind);
            if end > candidate.end.unwrap_or(start) {
                candidate.end = Some(end);
                let is_key = *kind == Kind::Builtin(Detector::PrivateKey);
                candidate.more = if is_key { More::Key } else { More::Nothing };
            }
        }
        Some(candidate)
    }

    /// How much of what a pattern matches really is what it looks like; nothing, if none.
    fn confirmed(&self, text: &[u8], start: usize, end: usize, kind: Kind) -> usize {
        let candidate = text.get(start..end).unwrap_or_default();
        match kind {
            Kind::Builtin(Detector::Card) => checks::longest(candidate, checks::is_card),
            Kind::Builtin(Detector::Iban) => checks::longest(candidate, checks::is_iban),
            Kind::Builtin(Detector::Ip) => checks::ip(text, start, end),
            Kind::Builtin(Detector::Phone) => checks::longest(candidate, checks::is_phone),
            Kind::Builtin(Detector::Ssn) => checks::ssn(text, start, end, &self.ssn_words),
            Kind::Own(PatternCheck::Iban) if !checks::is_iban(candidate) => 0,
            Kind::Own(PatternCheck::Luhn) if !checks::has_luhn(candidate) => 0,
            Kind::Builtin(_) | Kind::Own(_) => candidate.len(),
        }
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
    #[error("must match between 1 and {LONGEST} bytes; write {{1,64}} instead of + or *")]
    Endless,
    /// It is no pattern.
    #[error("is not a regular expression over bytes")]
    Pattern,
    /// All together take too much memory.
    #[error("the patterns are too big together")]
    TooBig,
    /// No detector has this name.
    #[error("there is no detector of that name")]
    Unknown,
}

/// How long a match of this pattern can be.
fn longest_match(pattern: &str) -> Result<usize, DetectorError> {
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
    let parsed = parsed.map_err(|_| DetectorError::Pattern)?;
    match (parsed.properties().minimum_len(), parsed.properties().maximum_len()) {
        (Some(1..), Some(longest)) if longest <= LONGEST => Ok(longest),
        _ => Err(DetectorError::Endless),
    }
}

fn compile(patterns: &[&str]) -> Result<Regex, DetectorError> {
    Regex::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(meta::Config::new().utf8_empty(false).nfa_size_limit(Some(MOST_MEMORY)))
        .build_many(patterns)
        .map_err(|_| DetectorError::TooBig)
}

const END_OF_KEY: &str = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";
/// The longest word that is looked at as a whole.
pub(super) const LONGEST: usize = 8 * 1024;
/// No pattern of ours that can match blanks matches more than this.
pub(super) const LONGEST_WITH_BLANKS: usize = 96;
const MOST_MEMORY: usize = 8 * 1024 * 1024;
