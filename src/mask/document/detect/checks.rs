//! What patterns cannot say: check digits, and what stands around a candidate.

use std::net::{Ipv4Addr, Ipv6Addr};

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

/// Whether this is the number of a card: the first digits are an issuer's (ISO/IEC 7812), so that times in
/// milliseconds are not taken for one.
pub(super) fn is_card(text: &[u8]) -> bool {
    let mut digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let issued = match (digits.next(), digits.next()) {
        (Some(b'2'), Some(second)) => (b'2'..=b'7').contains(second),
        (Some(first), Some(_)) => (b'3'..=b'6').contains(first),
        _ => false,
    };
    issued && (11..=17).contains(&digits.count()) && has_luhn(text)
}

/// Luhn's check digit over all digits.
pub(super) fn has_luhn(text: &[u8]) -> bool {
    let digits = || text.iter().filter_map(|byte| char::from(*byte).to_digit(10));
    let doubled = |digit: u32| digit * 2 / 10 + digit * 2 % 10;
    let digits: Vec<u32> = digits().collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 0 { *digit } else { doubled(*digit) })
        .sum();
    digits.len() > 1 && sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

/// ISO 7064's MOD 97-10 over the number with its first four characters at the end.
pub(super) fn is_iban(text: &[u8]) -> bool {
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

/// How long the address is that begins at `start`; 0, if none does. Parts of longer numbers with points, of names
/// with colons and of times are none.
pub(super) fn ip(text: &[u8], start: usize, end: usize) -> usize {
    let byte = |at: usize| text.get(at).copied();
    let before = start.checked_sub(1).and_then(byte);
    let candidate = text.get(start..end).unwrap_or_default();
    if !candidate.contains(&b':') {
        let is_longer = before == Some(b'.')
            || (byte(end) == Some(b'.') && byte(end + 1).is_some_and(|next| next.is_ascii_digit()));
        return if !is_longer && parses::<Ipv4Addr>(candidate) { candidate.len() } else { 0 };
    }
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
        [b'0', ..] => (9..=12).contains(&digits),
        [b'1', ..] => digits == 11,
        _ => digits == 10,
    }
}

/// How long the social security number is that begins at `start`, where a word around it says that it is one.
pub(super) fn ssn(text: &[u8], start: usize, end: usize, words: &Regex) -> usize {
    let candidate = text.get(start..end).unwrap_or_default();
    let length = candidate.iter().rposition(u8::is_ascii_digit).map_or(0, |at| at + 1);
    let is_named_behind = length < candidate.len();
    let before = start.saturating_sub(CONTEXT);
    let is_named = is_named_behind || words.is_match(Input::new(text).range(before..start));
    if is_named && is_ssn(candidate.get(..length).unwrap_or_default()) { length } else { 0 }
}

/// Whether a number of this kind can have been issued: the Social Security Administration gives out no area 000,
/// 666 and from 900 on, no group 00 and no serial number 0000.
pub(super) fn is_ssn(text: &[u8]) -> bool {
    let digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_digit).collect();
    let separators: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_digit()).collect();
    let is_even = matches!(separators.as_slice(), [] | [b'-', b'-'] | [b' ', b' ']);
    let (Some(area), Some(group), Some(serial)) = (digits.get(..3), digits.get(3..5), digits.get(5..)) else {
        return false;
    };
    let is_area = !matches!(area, b"000" | b"666") && area.first() != Some(&b'9');
    is_even && digits.len() == 9 && is_area && group != b"00" && serial != b"0000"
}

fn parses<T: std::str::FromStr>(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<T>().is_ok())
}

/// Words that say that a number near them is a social security number.
pub(super) const SSN_WORDS: &str = r"(?i:(?:\b|_)ssns?(?:\b|_)|\bss#|social[ _-]?sec)";
/// How far before a number such a word may stand.
pub(in crate::mask::document) const CONTEXT: usize = 64;
