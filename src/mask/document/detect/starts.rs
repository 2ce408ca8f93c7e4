//! Where something may begin.
//!
//! Job: pass over text once, with a few bytes looked at ahead of each word, so that patterns are tried only where they
//! have a chance. Boundary: a place that is named here needs a pattern's and a check's word. Failure mode: none; what a
//! pattern and its check would take is never passed over, which `tests` compare.

use super::blocks::{BLOCK, Bits};
use super::{Detector, cards};

/// Names the places at which these detectors may find something.
#[derive(Debug)]
pub(super) struct Starts {
    wanted: Set,
    /// Which prefixes may have a byte at their first four places.
    prefixes: Box<[[u16; 256]; 4]>,
    /// A bit for each two bytes that a prefix begins with; `None` where there are no prefixes.
    pairs: Option<Box<[u64; 1024]>>,
    /// All bits, where marks matter; where digits do.
    marks: u64,
    digits: u64,
}

/// How far a text was passed over.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Where the block at hand begins; `None` before the first.
    base: Option<usize>,
    block: Bits,
    next: Bits,
    /// Of the block at hand, where something may begin.
    candidates: u64,
}

/// Detectors, one bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set(u16);

impl Set {
    const NONE: Self = Self(0);

    pub(super) fn of(detectors: impl IntoIterator<Item = Detector>) -> Self {
        Self(detectors.into_iter().fold(0, |bits, detector| bits | 1 << (detector as u16)))
    }

    pub(super) fn has(self, detector: Detector) -> bool {
        self.0 & (1 << (detector as u16)) != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn has_any(self, detectors: &[Detector]) -> bool {
        detectors.iter().any(|detector| self.has(*detector))
    }

    fn plus(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn or(self, is_so: bool, detector: Detector) -> Self {
        Self(self.0 | u16::from(is_so) << (detector as u16))
    }
}

impl Starts {
    pub(super) fn new(detectors: &[Detector]) -> Self {
        let mut prefixes = Box::new([[0; 256]; 4]);
        for (number, (detector, prefix)) in PREFIXES.iter().enumerate() {
            if !detectors.contains(detector) {
                continue;
            }
            for (table, may_be) in prefixes.iter_mut().zip(prefix) {
                for (byte, bits) in (0..=u8::MAX).zip(table.iter_mut()) {
                    *bits |= u16::from(may_be.has(byte)) << number;
                }
            }
        }
        let mut pairs = Box::new([0; 1024]);
        for (word, bits) in pairs.iter_mut().enumerate() {
            for bit in 0..64 {
                let pair = word * 64 + bit;
                let is_wanted = |[first, second, _, _]: &[May; 4]| {
                    let [_, _, .., high, low] = pair.to_be_bytes();
                    first.has(high) && second.has(low)
                };
                let is_prefix = PREFIXES.iter().any(|(detector, prefix)| {
                    !matches!(detector, Detector::Iban | Detector::Ip)
                        && detectors.contains(detector)
                        && is_wanted(prefix)
                });
                *bits |= u64::from(is_prefix) << bit;
            }
        }
        let wanted = Set::of(detectors.iter().copied());
        let bits = |detectors: &[Detector]| if wanted.has_any(detectors) { u64::MAX } else { 0 };
        let pairs = wanted.has_any(PREFIXED).then_some(pairs);
        Self { wanted, prefixes, pairs, marks: bits(MARKED), digits: bits(NUMBERS) }
    }

    /// The first place at or after `from` at which something may begin, and what. `passed` goes with the text.
    pub(super) fn next(&self, text: &[u8], from: usize, passed: &mut Passed) -> Option<(usize, Set)> {
        let mut base = match passed.base {
            Some(base) if (base..base + BLOCK).contains(&from) => base,
            Some(base) if (base + BLOCK..base + 2 * BLOCK).contains(&from) => {
                self.advance(text, base + BLOCK, passed);
                base + BLOCK
            }
            _ => {
                let before = from.checked_sub(1).and_then(|at| text.get(at));
                (passed.block, passed.next) = (Bits::of(text, from), Bits::of(text, from + BLOCK));
                passed.candidates =
                    self.candidates(text, from, passed, before.is_some_and(|byte| is_word(*byte)));
                from
            }
        };
        let mut bits = passed.candidates & u64::MAX << (from - base);
        loop {
            while bits != 0 {
                let at = bits.trailing_zeros() as usize;
                let set = self.here(text, base + at, joined(passed.block.digits, passed.next.digits) >> at);
                if !set.is_empty() {
                    passed.base = Some(base);
                    return Some((base + at, set));
                }
                bits &= bits - 1;
            }
            base += BLOCK;
            if base >= text.len() {
                return None;
            }
            self.advance(text, base, passed);
            bits = passed.candidates;
        }
    }

    /// The block that begins at `base`, after the one at hand.
    fn advance(&self, text: &[u8], base: usize, passed: &mut Passed) {
        let before = passed.block.words >> (BLOCK - 1) != 0;
        passed.block = passed.next;
        passed.next = Bits::of(text, base + BLOCK);
        passed.candidates = self.candidates(text, base, passed, before);
    }

    /// Where something may begin in a block; `before` says whether a word goes on in it.
    fn candidates(&self, text: &[u8], base: usize, passed: &Passed, before: bool) -> u64 {
        let Passed { block, next, .. } = passed;
        let begins = block.words & !(block.words << 1 | u64::from(before));
        let mut found = (block.marks & self.marks) | (begins & block.digits & self.digits);
        if self.wanted.has(Detector::Ip) {
            found |= begins_ip6(begins, joined(block.colons, next.colons));
        }
        let letters = begins & !block.digits;
        if self.wanted.has(Detector::Iban) {
            let (words, digits) = (joined(block.words, next.words), joined(block.digits, next.digits));
            found |= letters & low(words >> 1 & !digits >> 1 & digits >> 2 & digits >> 3);
        }
        if let Some(pairs) = &self.pairs {
            let mut rest = letters;
            while rest != 0 {
                let at = rest.trailing_zeros() as usize;
                let pair = match text.get(base + at..) {
                    Some([first, second, ..]) => usize::from(*first) << 8 | usize::from(*second),
                    _ => 0,
                };
                found |= (pairs.get(pair / 64).copied().unwrap_or_default() >> (pair % 64) & 1) << at;
                rest &= rest - 1;
            }
        }
        found
    }

    /// What may begin at a place; of `digits`, the lowest bit is its own.
    fn here(&self, text: &[u8], at: usize, digits: u128) -> Set {
        let rest = text.get(at..).unwrap_or_default();
        let (first, second) = match rest {
            [first, second, ..] => (*first, *second),
            _ => return Set::NONE,
        };
        let is_after_word =
            || at.checked_sub(1).and_then(|at| text.get(at)).is_some_and(|byte| is_word(*byte));
        match first {
            b'0'..=b'9' => self.digits(text, at, rest, digits.trailing_ones() as usize).and(self.wanted),
            b'+' => Set::NONE.or(second != b'0' && !is_after_word(), Detector::Phone).and(self.wanted),
            b'(' => Set::NONE.or(!is_after_word(), Detector::Phone).and(self.wanted),
            b':' => Set::NONE.or(may_be_ip6(text, at, rest), Detector::Ip).and(self.wanted),
            b'-' => Set::NONE.or(rest.starts_with(b"-----BEGIN "), Detector::PrivateKey).and(self.wanted),
            b'a' | b'A' => {
                let is_aws = second.eq_ignore_ascii_case(&b'w');
                Set::NONE.or(is_aws, Detector::AwsKey).and(self.wanted).plus(self.word(text, at, rest))
            }
            _ => self.word(text, at, rest),
        }
    }

    /// What may begin with a letter.
    fn word(&self, text: &[u8], at: usize, rest: &[u8]) -> Set {
        let head = match rest {
            [a, b, c, d, ..] => [*a, *b, *c, *d],
            _ => return Set::NONE,
        };
        let bits = self.prefixes.iter().zip(head).fold(u16::MAX, |bits, (table, byte)| {
            bits & table.get(usize::from(byte)).copied().unwrap_or_default()
        });
        if bits == 0 { Set::NONE } else { of_prefixes(bits, text, at, rest) }
    }

    /// What may begin with digits.
    fn digits(&self, text: &[u8], at: usize, rest: &[u8], count: usize) -> Set {
        let byte = |at: usize| rest.get(at).copied().unwrap_or_default();
        let end = byte(count);
        if is_word(end) {
            let is_hex = end.is_ascii_hexdigit() && count < 4;
            return Set::NONE.or(is_hex && may_be_ip6(text, at, rest), Detector::Ip);
        }
        // most numbers end here: nothing goes on with a digit
        let goes_on = matches!(end, b' ' | b'-');
        if count < 9 && byte(0) != b'0' && end != b':' {
            let is_separator = goes_on || matches!(end, b'.' | b'/' | b'(' | b')');
            if !is_separator || !byte(count + 1).is_ascii_digit() {
                return Set::NONE;
            }
        }
        let is_card = (count >= 13 || goes_on) && is_issued(rest) && has_digits(rest, 13);
        let is_ssn = count == 9 || (count == 3 && goes_on && byte(6) == end);
        let is_ip = match end {
            b'.' => {
                let is_part = at.checked_sub(1).and_then(|at| text.get(at)) == Some(&b'.');
                count <= 3 && !is_part && has_point(rest.get(count + 1..).unwrap_or_default())
            }
            b':' => count <= 4 && may_be_ip6(text, at, rest),
            _ => false,
        };
        Set::NONE
            .or(is_card, Detector::Card)
            .or(is_ssn, Detector::Ssn)
            .or(is_ip, Detector::Ip)
            .or(may_be_phone(rest, count), Detector::Phone)
    }
}

fn of_prefixes(bits: u16, text: &[u8], at: usize, rest: &[u8]) -> Set {
    let mut set = Set::NONE;
    for (number, (detector, _)) in PREFIXES.iter().enumerate() {
        let is_so = bits & (1 << number) != 0
            && match detector {
                Detector::Iban => cards::iban_length(rest).is_some(),
                Detector::Ip => may_be_ip6(text, at, rest),
                _ => true,
            };
        set = set.or(is_so, *detector);
    }
    set
}

/// Whether what begins with so many digits may be a phone number of the forms that begin with digits.
fn may_be_phone(rest: &[u8], count: usize) -> bool {
    let byte = |at: usize| rest.get(at).copied().unwrap_or_default();
    let is_separator = |byte: u8| b" .-".contains(&byte);
    let end = byte(count);
    match (byte(0), byte(1)) {
        (b'0', b'0') => (3..=5).contains(&count) && b" ()./-".contains(&end),
        (b'0', _) if (9..=11).contains(&count) => true,
        // months of dates are followed by one pair of digits, and not by three
        (b'0', _) if count == 2 => [end, byte(5), byte(8)].into_iter().all(is_separator),
        (b'0', _) => (3..=6).contains(&count) && b" -/".contains(&end) && byte(count + 1).is_ascii_digit(),
        (b'1', _) => count == 1 && is_separator(end) && matches!(byte(2), b'2'..=b'9'),
        _ => match count {
            3 => is_separator(end) && matches!(byte(4), b'2'..=b'9') && is_separator(byte(7)),
            5 => matches!(byte(0), b'6'..=b'9') && byte(6).is_ascii_digit() && byte(10).is_ascii_digit(),
            10 => true,
            _ => false,
        },
    }
}

/// Whether this can be an address of IPv6: it is no part of a name, and has eight groups or leaves some out.
fn may_be_ip6(text: &[u8], at: usize, rest: &[u8]) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at)).copied().unwrap_or_default();
    if before.is_ascii_alphanumeric() || b":_".contains(&before) {
        return false;
    }
    let (mut colons, mut last, mut length) = (0, 0, 0);
    for byte in rest.iter().take(LONGEST_IP).copied() {
        match byte {
            b':' if last == b':' => return true,
            b':' => {
                (colons, length) = (colons + 1, 0);
            }
            b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' if length < 4 => length += 1,
            _ => break,
        }
        last = byte;
    }
    colons >= 6
}

/// Whether a byte of an address of IPv4 follows, and a point.
fn has_point(rest: &[u8]) -> bool {
    match rest {
        [b'0'..=b'9', b'.', ..] | [b'0'..=b'9', b'0'..=b'9', b'.', ..] => true,
        [a, b, c, b'.', ..] => [a, b, c].into_iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Whether issuers of cards have such first digits.
fn is_issued(rest: &[u8]) -> bool {
    let mut digits = rest.iter().copied().filter(|byte| !b" -".contains(byte));
    matches!(
        (digits.next(), digits.next()),
        (Some(b'2'), Some(b'2'..=b'7')) | (Some(b'3'..=b'6'), Some(b'0'..=b'9'))
    )
}

/// Whether so many digits follow, with at most one blank or dash between two.
fn has_digits(rest: &[u8], wanted: usize) -> bool {
    let (mut count, mut was_digit) = (0, false);
    for byte in rest {
        match byte {
            b'0'..=b'9' => (count, was_digit) = (count + 1, true),
            b' ' | b'-' if was_digit => was_digit = false,
            _ => break,
        }
        if count == wanted {
            return true;
        }
    }
    false
}

/// The bytes that may be at one place of a prefix.
#[derive(Debug, Clone, Copy)]
enum May {
    Any,
    Be(&'static [u8]),
    Colon,
    Digit,
    Letter,
    Hex,
}

impl May {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Be(bytes) => bytes.contains(&byte),
            Self::Colon => byte == b':' || byte.is_ascii_hexdigit(),
            Self::Digit => byte.is_ascii_digit(),
            Self::Letter => byte.is_ascii_alphabetic(),
            Self::Hex => byte.is_ascii_hexdigit(),
        }
    }
}

/// What begins with letters, by its first four bytes.
const PREFIXES: &[(Detector, [May; 4])] = &[
    (Detector::ApiKey, [May::Be(b"srp"), May::Be(b"k"), May::Be(b"-_"), May::Any]),
    (Detector::ApiKey, [May::Be(b"g"), May::Be(b"h"), May::Be(b"pousr"), May::Be(b"_")]),
    (Detector::ApiKey, [May::Be(b"g"), May::Be(b"i"), May::Be(b"t"), May::Be(b"h")]),
    (Detector::ApiKey, [May::Be(b"g"), May::Be(b"l"), May::Be(b"p"), May::Be(b"a")]),
    (Detector::ApiKey, [May::Be(b"x"), May::Be(b"o"), May::Be(b"x"), May::Be(b"abeoprs")]),
    (Detector::ApiKey, [May::Be(b"A"), May::Be(b"I"), May::Be(b"z"), May::Be(b"a")]),
    (Detector::ApiKey, [May::Be(b"h"), May::Be(b"f"), May::Be(b"_"), May::Any]),
    (Detector::ApiKey, [May::Be(b"n"), May::Be(b"p"), May::Be(b"m"), May::Be(b"_")]),
    (Detector::AwsKey, [May::Be(b"A"), May::Be(b"KSRIBC"), May::Be(b"IODC"), May::Be(b"A")]),
    (Detector::Jwt, [May::Be(b"e"), May::Be(b"y"), May::Be(b"J"), May::Any]),
    (Detector::Iban, [May::Letter, May::Letter, May::Digit, May::Digit]),
    (Detector::Ip, [May::Hex, May::Colon, May::Colon, May::Any]),
];

/// Of words' beginnings, those that addresses of IPv6 may have: a colon follows at most four bytes later, which is the
/// first of two that touch, or behind whose group such a pair or two more colons come; and pairs of colons.
fn begins_ip6(begins: u64, colons: u128) -> u64 {
    let near = |bits: u128| bits >> 1 | bits >> 2 | bits >> 3 | bits >> 4 | bits >> 5;
    let pairs = colons & colons >> 1;
    let first = pairs | colons & near(pairs) | colons & near(colons & near(colons));
    low(pairs) | begins & low(first >> 1 | first >> 2 | first >> 3 | first >> 4)
}

fn joined(block: u64, next: u64) -> u128 {
    u128::from(next) << BLOCK | u128::from(block)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
fn low(bits: u128) -> u64 {
    bits as u64
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

const NUMBERS: &[Detector] = &[Detector::Card, Detector::Ip, Detector::Phone, Detector::Ssn];
const PREFIXED: &[Detector] = &[Detector::ApiKey, Detector::AwsKey, Detector::Jwt];
const MARKED: &[Detector] = &[Detector::AwsKey, Detector::Phone, Detector::PrivateKey];
/// Eight groups of four with seven colons; where the last two are written as IPv4, six colons come before.
const LONGEST_IP: usize = 40;
