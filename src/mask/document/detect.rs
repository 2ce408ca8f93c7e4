//! What a detector recognises in text.
//!
//! Job: all detectors as one automaton, and the checks that patterns cannot do: check digits, what stands around.
//! Boundary: ASCII; a detector sees characters, not meaning. Failure mode: a pattern of the operator's that
//! could match without end is refused at configuration time.

mod automata;
mod blocks;
mod cards;
mod checks;
mod emails;
mod kinds;
mod starts;
#[cfg(test)]
mod tests;

use std::ops::Range;

use regex_automata::meta::{self, Regex};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, PatternID};

use self::automata::Automaton;
pub(super) use self::checks::CONTEXT;
pub use self::kinds::Detector;
use self::starts::{Passed, Set, Starts};
use crate::domain::target::{OwnPattern, PatternCheck};

/// Detectors, compiled.
#[derive(Debug)]
pub struct Detectors {
    wanted: Set,
    starts: Starts,
    /// Of all but e-mail addresses, in their order.
    automata: Vec<(Detector, &'static Automaton)>,
    own: Option<Own>,
    end_of_key: Regex,
    ssn_words: Regex,
    phone_words: Regex,
}

/// The operator's own patterns.
#[derive(Debug)]
struct Own {
    regex: Regex,
    checks: Vec<PatternCheck>,
    /// Their longest match.
    longest: usize,
}

/// What the name of a field says of numbers in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named(u8);

impl Named {
    const PHONE: u8 = 1;
    const SSN: u8 = 2;

    /// As a number, for those who carry it and do not read it.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// What [`Self::bits`] gave.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
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

/// What lies ahead in a text: of our patterns, of the operator's, and of e-mail addresses.
#[derive(Debug, Default)]
pub(super) struct Scan {
    builtin: Ahead,
    own: Ahead,
    emails: Ahead,
    passage: Passage,
}

/// What is remembered of what was passed over for our patterns.
#[derive(Debug, Default)]
struct Passage {
    passed: Passed,
    barren: Barren,
}

/// Up to where a word without end was looked at in vain, so that what begins later in it need not be: each of its
/// beginnings would cost as much as all that follows.
#[derive(Debug, Default)]
struct Barren {
    /// No point follows.
    jwt: usize,
    /// Too few different characters follow, or none of the right kind; of keys that begin in the same way.
    keys: [usize; checks::KINDS_OF_KEYS],
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
        let mut automata = Vec::new();
        for detector in Detector::ALL.into_iter().filter(|detector| builtin.contains(detector)) {
            if detector != Detector::Email {
                automata.push((detector, automata::of(detector)?));
            }
        }
        Ok(Self {
            wanted: Set::of(builtin.iter().copied()),
            starts: Starts::new(builtin),
            automata,
            own: if own.is_empty() { None } else { Some(Own::new(own)?) },
            end_of_key: compile(&[END_OF_KEY])?,
            ssn_words: compile(&[checks::SSN_WORDS])?,
            phone_words: compile(&[checks::PHONE_WORDS])?,
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

    /// The same in a text, in any encoding that has ASCII in it, that is the whole value of a field. Where the value is
    /// nothing else, a social security number needs no word beside it when it has its dashes, and neither it nor a phone
    /// number does when the field's name says what it is.
    #[must_use]
    pub fn find_value(&self, text: &[u8], named: Named) -> Vec<Range<usize>> {
        if text.len() <= LONGEST_WITH_BLANKS {
            let bare = text.trim_ascii();
            let is_phone = named.0 & Named::PHONE != 0 && checks::is_bare_phone(bare);
            if is_phone || self.is_whole(bare, named) {
                let start = text.len() - text.trim_ascii_start().len();
                return std::iter::once(start..start + bare.len()).collect();
            }
        }
        self.find_bytes(text)
    }

    /// Whether this, which is the whole value of a field, is a social security number though no word says so beside it.
    #[must_use]
    pub fn is_whole(&self, bare: &[u8], named: Named) -> bool {
        self.wanted.has(Detector::Ssn)
            && (named.0 & Named::SSN != 0 || bare.contains(&b'-'))
            && checks::is_ssn(bare)
    }

    /// What the name of a field says of numbers in it, as far as they are looked for.
    #[must_use]
    pub fn named_by(&self, name: &str) -> Named {
        let is = |detector, words: &Regex| self.wanted.has(detector) && words.is_match(name);
        let phone = if is(Detector::Phone, &self.phone_words) { Named::PHONE } else { 0 };
        let ssn = if is(Detector::Ssn, &self.ssn_words) { Named::SSN } else { 0 };
        Named(phone | ssn)
    }

    /// Whether this detector is among them.
    #[must_use]
    pub fn has(&self, detector: Detector) -> bool {
        self.wanted.has(detector)
    }

    /// How many bytes at the end of a text may still turn out to be something once more of it is known.
    #[must_use]
    pub fn undecided(&self, text: &str) -> usize {
        text.len() - self.undecided_from(text.as_bytes())
    }

    /// From where on a text may still turn out to be something once more of it is known.
    pub(super) fn undecided_from(&self, text: &[u8]) -> usize {
        let word = text.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1);
        let held = LONGEST_WITH_BLANKS.max(self.own.as_ref().map_or(0, |own| own.longest) + 1);
        word.min(text.len().saturating_sub(held)).max(text.len().saturating_sub(LONGEST))
    }

    /// What may begin first at or after `from`. Of what begins there, the longest counts.
    ///
    /// `scan` goes with the text: what lies ahead is looked for once, however many candidates there are before it.
    pub(super) fn candidate(&self, text: &[u8], from: usize, scan: &mut Scan) -> Option<Candidate> {
        let passage = &mut scan.passage;
        let builtin = scan.builtin.at_or_after(from, |from| self.of_ours(text, from, passage));
        let own = scan.own.at_or_after(from, |from| self.own.as_ref()?.find(text, from));
        let email = scan.emails.at_or_after(from, |from| {
            if self.wanted.has(Detector::Email) { emails::find(text, from) } else { None }
        });
        first(first(builtin, own), email)
    }

    /// What one of our patterns and its check take first at or after `from`.
    fn of_ours(&self, text: &[u8], from: usize, passage: &mut Passage) -> Option<Candidate> {
        let mut from = from;
        if self.automata.is_empty() {
            return None;
        }
        loop {
            let (start, set) = self.starts.next(text, from, &mut passage.passed)?;
            let mut candidate = Candidate { start, end: None, reach: start, more: More::Nothing };
            for (detector, automaton) in self.automata.iter().filter(|(detector, _)| set.has(*detector)) {
                let Some((end, reach)) = self.taken(text, start, *detector, automaton, &mut passage.barren)
                else {
                    continue;
                };
                candidate.reach = candidate.reach.max(reach);
                if end > candidate.end.unwrap_or(start) {
                    candidate.end = Some(end);
                    let is_key = *detector == Detector::PrivateKey;
                    candidate.more = if is_key { More::Key } else { More::Nothing };
                }
            }
            if candidate.end.is_some() {
                return Some(candidate);
            }
            from = start + 1;
        }
    }

    /// Where what this detector takes at a place ends, and how far its pattern looked.
    fn taken(
        &self,
        text: &[u8],
        start: usize,
        detector: Detector,
        automaton: &Automaton,
        barren: &mut Barren,
    ) -> Option<(usize, usize)> {
        let rest = text.get(start..).unwrap_or_default();
        let until = match detector {
            Detector::ApiKey => checks::kind_of_key(rest).and_then(|kind| barren.keys.get_mut(kind)),
            Detector::Jwt => Some(&mut barren.jwt),
            _ => None,
        };
        if until.as_ref().is_some_and(|until| start < **until) {
            return None;
        }
        // those that rows are full of need no automaton
        let read = match detector {
            Detector::Iban => Some(cards::iban(rest)),
            // what has no colon is of IPv4, or none
            Detector::Ip if !rest.iter().take(5).any(|byte| *byte == b':') => Some(checks::ip4(text, start)),
            _ => None,
        };
        if let Some(read) = read {
            return read.map(|length| (start + length, start + length));
        }
        let Some(end) = automaton.end(text, start) else {
            if detector == Detector::Jwt {
                let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
                barren.jwt = start + rest.iter().take_while(is_part).count();
            }
            return None;
        };
        let candidate = text.get(start..end).unwrap_or_default();
        let length = match detector {
            Detector::ApiKey | Detector::AwsKey if !checks::is_key(candidate) => {
                until.into_iter().for_each(|until| *until = end);
                0
            }
            Detector::Card => checks::longest(candidate, cards::is_card),
            Detector::Ip => checks::ip(text, start, end),
            Detector::Phone => checks::phone(text, start, end, &self.phone_words),
            Detector::Ssn => checks::ssn(text, start, end, &self.ssn_words),
            _ => candidate.len(),
        };
        (length > 0).then_some((start + length, end))
    }

    /// Where a private key ends, if it does.
    pub(super) fn end_of_key(&self, text: &[u8], from: usize) -> Option<usize> {
        self.end_of_key.find(Input::new(text).range(from..)).map(|found| found.end())
    }
}

impl Own {
    fn new(patterns: &[OwnPattern]) -> Result<Self, DetectorError> {
        let mut longest = 0;
        for own in patterns {
            longest = longest.max(longest_match(&own.pattern)?);
        }
        let regex = compile(&patterns.iter().map(|own| own.pattern.as_str()).collect::<Vec<_>>())?;
        Ok(Self { regex, checks: patterns.iter().map(|own| own.check).collect(), longest })
    }

    /// What one of them may take first at or after `from`, even if its check says no: with more text it may say yes.
    fn find(&self, text: &[u8], from: usize) -> Option<Candidate> {
        let first = self.regex.find(Input::new(text).range(from..))?;
        let start = first.start();
        let mut candidate = Candidate { start, end: None, reach: start, more: More::Nothing };
        for (number, check) in self.checks.iter().enumerate() {
            let end = if number == first.pattern().as_usize() {
                first.end()
            } else {
                let Ok(pattern) = PatternID::new(number) else { continue };
                let input = Input::new(text).range(start..).anchored(Anchored::Pattern(pattern));
                let Some(found) = self.regex.find(input) else { continue };
                found.end()
            };
            candidate.reach = candidate.reach.max(end);
            let taken = text.get(start..end).unwrap_or_default();
            let is_so = match check {
                PatternCheck::Iban => cards::is_iban(taken),
                PatternCheck::Luhn => cards::has_luhn(taken),
                PatternCheck::None => true,
            };
            if is_so && end > candidate.end.unwrap_or(start) {
                candidate.end = Some(end);
            }
        }
        Some(candidate)
    }
}

/// What begins first; of what begins at one place, the longest.
fn first(one: Option<Candidate>, other: Option<Candidate>) -> Option<Candidate> {
    match (one, other) {
        (Some(one), Some(other)) if one.start == other.start => {
            let longer = if one.end >= other.end { one } else { other };
            Some(Candidate { reach: one.reach.max(other.reach), ..longer })
        }
        (Some(one), Some(other)) => Some(if one.start < other.start { one } else { other }),
        (one, other) => one.or(other),
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
