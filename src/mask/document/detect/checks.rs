//! What patterns cannot say: what stands around a candidate, and what it is made of.

use std::net::Ipv6Addr;

use regex_automata::Input;
use regex_automata::meta::Regex;

/// The longest prefix of a candidate that ends with a word and passes a check; 0, if none does. A pattern takes as
/// much as it can: a number may be followed by another.
pub(super) fn longest(candidate: &[u8], check: impl Fn(&[u8]) -> bool) -> usize {
    let is_word = |at: usize| candidate.get(at).is_some_and(u8::is_ascii_alphanumeric);
    (1..=candidate.len())
        .rev()
        .filter(|end| is_word(end - 1) && !is_word(*end))
        .find(|end| candidate.get(..*end).is_some_and(&check))
        .unwrap_or(0)
}

/// How long the address of IPv6 is that begins at `start`; 0, if none does. Parts of longer numbers with points, of names
/// with colons and of times are none.
pub(super) fn ip(text: &[u8], start: usize, end: usize) -> usize {
    let byte = |at: usize| text.get(at).copied();
    let before = start.checked_sub(1).and_then(byte);
    let candidate = text.get(start..end).unwrap_or_default();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b":_".contains(&byte);
    let bare = candidate.strip_suffix(b":").filter(|bare| !bare.ends_with(b":")).unwrap_or(candidate);
    let goes_on = bare.len() == candidate.len() && byte(end).is_some_and(is_name);
    let groups = bare.split(|byte| *byte == b':').filter(|group| !group.is_empty()).count();
    let is_address = groups > 1 && bare.iter().any(u8::is_ascii_digit) && parses::<Ipv6Addr>(bare);
    if is_address && !goes_on && !before.is_some_and(is_name) { bare.len() } else { 0 }
}

/// Whether this has as many digits as a phone number that is written like this.
pub(super) fn is_phone(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    match text {
        [b'+', ..] => (8..=15).contains(&digits),
        [b'0', b'0', ..] => (10..=17).contains(&digits),
        [b'0', ..] | [b'(', b'0', ..] => (9..=12).contains(&digits),
        // an area of two digits, and a mobile number of nine
        [b'(', _, _, b')', ..] => (10..=11).contains(&digits),
        [b'1', ..] => digits == 11,
        _ => digits == 10,
    }
}

/// How long the phone number is that a pattern found here. Without separators or a country it is one only next to a word
/// that says so.
pub(super) fn phone(text: &[u8], start: usize, end: usize, words: &Regex) -> usize {
    let candidate = text.get(start..end).unwrap_or_default();
    if candidate.iter().all(u8::is_ascii_digit) {
        let before = Input::new(text).range(start.saturating_sub(CONTEXT)..start);
        return if words.is_match(before) { candidate.len() } else { 0 };
    }
    if is_group(text, start) { 0 } else { longest(candidate, is_phone) }
}

/// Whether groups of four go on here that began before: those of a card or an account.
fn is_group(text: &[u8], start: usize) -> bool {
    let are_four = |from: Option<usize>| {
        let group = from.and_then(|from| text.get(from..from + 4));
        group.is_some_and(|group| group.iter().all(u8::is_ascii_alphanumeric))
    };
    let separator = start.checked_sub(1).and_then(|at| text.get(at));
    separator.is_some_and(|byte| b" -".contains(byte))
        && separator == text.get(start + 4)
        && are_four(start.checked_sub(5))
        && are_four(Some(start))
        && are_four(Some(start + 5))
        && start.checked_sub(2).and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit)
}

/// Whether this value, whose field's name says that it is a phone number, is one.
pub(super) fn is_bare_phone(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let rest = text.strip_prefix(b"+").unwrap_or(text);
    (7..=15).contains(&digits) && rest.iter().all(|byte| byte.is_ascii_digit() || b" ()./-".contains(byte))
}

/// How long the social security number is that begins at `start`, where a word around it says that it is one.
pub(super) fn ssn(text: &[u8], start: usize, end: usize, words: &Regex) -> usize {
    let candidate = text.get(start..end).unwrap_or_default();
    let length = candidate.iter().rposition(u8::is_ascii_digit).map_or(0, |at| at + 1);
    if !is_ssn(candidate.get(..length).unwrap_or_default()) {
        return 0;
    }
    let is_named_behind = length < candidate.len();
    let before = start.saturating_sub(CONTEXT)..start;
    if is_named_behind || words.is_match(Input::new(text).range(before)) { length } else { 0 }
}

/// Whether a number of this kind can have been issued: the Social Security Administration gives out no area 000,
/// 666 and from 900 on, no group 00 and no serial number 0000.
pub(super) fn is_ssn(text: &[u8]) -> bool {
    let (area, rest) = text.split_at_checked(3).unwrap_or_default();
    let (separator, rest) = match rest {
        [separator @ (b'-' | b' '), rest @ ..] => (Some(separator), rest),
        rest => (None, rest),
    };
    let (group, rest) = rest.split_at_checked(2).unwrap_or_default();
    let serial = match (separator, rest) {
        (Some(separator), [same, serial @ ..]) if same == separator => serial,
        (None, serial) => serial,
        _ => return false,
    };
    let are_digits = [area, group, serial].into_iter().flatten().all(u8::is_ascii_digit);
    let is_area = !matches!(area, b"000" | b"666" | [b'9', ..] | []);
    are_digits && serial.len() == 4 && is_area && group != b"00" && serial != b"0000"
}

/// Whether a key is one, and no name of lower-case words nor a placeholder.
pub(super) fn is_key(text: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in text {
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    }
    if seen.into_iter().filter(|seen| *seen).count() < FEWEST_CHARACTERS {
        return false;
    }
    let digits = |text: &[u8]| text.iter().filter(|byte| byte.is_ascii_digit()).count();
    match text {
        [b'x', ..] => digits(text) > 3,
        // `pk_orders_customer_key` is a constraint's name
        [b's' | b'r' | b'p', b'k', ..] => text.split(|byte| b"-_".contains(byte)).any(|segment| {
            segment.len() >= 20 || (segment.len() >= 12 && (1..segment.len()).contains(&digits(segment)))
        }),
        _ => true,
    }
}

/// Which kind of keys begins so, of those in whose words others may begin. What is no key for [`is_key`] has none of its
/// kind in its later parts.
pub(super) fn kind_of_key(text: &[u8]) -> Option<usize> {
    match text {
        [b's' | b'r' | b'p', b'k', ..] => Some(0),
        [b'x', ..] => Some(1),
        [b'g', b'l', ..] => Some(2),
        _ => None,
    }
}

/// How long the address of IPv4 is that begins here; `None`, if a point with more numbers comes before or behind it, or
/// none begins here.
pub(super) fn ip4(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let before = start.checked_sub(1).and_then(|at| text.get(at)).copied().unwrap_or_default();
    if before == b'.' || before == b'_' || before.is_ascii_alphanumeric() {
        return None;
    }
    let mut at = 0;
    for part in 0..4 {
        let digits = rest.get(at..)?.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let number = rest.get(at..at + digits)?;
        let value = number.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        if !(1..=3).contains(&digits) || value > 255 || (digits > 1 && number.starts_with(b"0")) {
            return None;
        }
        at += digits;
        if part < 3 {
            if rest.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
    }
    match rest.get(at..)? {
        [b'.', b'0'..=b'9', ..] => None,
        [next, ..] if next.is_ascii_alphanumeric() || *next == b'_' => None,
        _ => Some(at),
    }
}

fn parses<T: std::str::FromStr>(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<T>().is_ok())
}

/// Words that say that a number near them is a social security number.
pub(super) const SSN_WORDS: &str = r"(?i:(?:\b|_)ssns?(?:\b|_)|\bss ?(?:#|no\b|num)|\bsoc(?:ial)?[ ._-]{0,2}(?:sec|no\b|num|#)|\btaxpayer|\btax[ _-]?id|(?:\b|_)tin(?:\b|_))|[a-z]S(?:SN|sn)(?:[A-Z_]|\b)|\bssn[A-Z]";
/// Words that say that a number behind them is a phone's.
pub(super) const PHONE_WORDS: &str =
    r"(?i:phone|(?:\b|_)tel(?:\b|_|e)|mobile|\bcell|(?:\b|_)fax|whatsapp|\bcall\b|\bsms\b|msisdn)";
/// How far before a number such a word may stand.
pub(in crate::mask::document) const CONTEXT: usize = 64;
/// What [`kind_of_key`] tells apart.
pub(super) const KINDS_OF_KEYS: usize = 3;
/// Keys have as many different characters; most have twice as many.
const FEWEST_CHARACTERS: usize = 8;
