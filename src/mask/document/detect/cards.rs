//! Numbers with check digits: payment cards and bank accounts.

/// Whether this is the number of a card: the first digits are a network's (ISO/IEC 7812) that has numbers of this length,
/// so that order numbers and times in milliseconds are not taken for one.
pub(super) fn is_card(text: &[u8]) -> bool {
    let (mut first, mut count) = (0, 0);
    for digit in text.iter().filter(|byte| byte.is_ascii_digit()) {
        if count < 4 {
            first = first * 10 + u32::from(digit - b'0');
        }
        count += 1;
    }
    let lengths = match first {
        // Visa
        4000..=4999 => return matches!(count, 13 | 16 | 19) && has_luhn(text),
        // American Express
        3400..=3499 | 3700..=3799 => 15..=15,
        // Diners Club
        3000..=3099 | 3600..=3699 | 3800..=3999 => 14..=19,
        // JCB; Mastercard and Mir
        3500..=3599 | 2200..=2799 | 5100..=5599 => 16..=19,
        // Maestro, Discover, UnionPay, RuPay and more
        5000..=5099 | 5600..=6999 => 13..=19,
        _ => return false,
    };
    lengths.contains(&count) && has_luhn(text)
}

/// Luhn's check digit over all digits.
pub(super) fn has_luhn(text: &[u8]) -> bool {
    let (mut sum, mut count, mut some) = (0_usize, 0_usize, false);
    for digit in text.iter().rev().filter(|byte| byte.is_ascii_digit()) {
        let digit = usize::from(digit - b'0');
        sum += if count.is_multiple_of(2) { digit } else { digit * 2 / 10 + digit * 2 % 10 };
        count += 1;
        some |= digit != 0;
    }
    count > 1 && some && sum.is_multiple_of(10)
}

/// How long the account number is that begins here; `None`, if none does.
pub(super) fn iban(rest: &[u8]) -> Option<usize> {
    iban_length(rest).filter(|length| rest.get(..*length).is_some_and(is_iban))
}

/// How long what begins here is if it is an account number, with a blank or dash between groups: as its country has them, and
/// no part of a longer word.
pub(super) fn iban_length(rest: &[u8]) -> Option<usize> {
    let (first, second) = (rest.first()?.to_ascii_uppercase(), rest.get(1)?.to_ascii_uppercase());
    let known = COUNTRIES.binary_search_by_key(&[first, second], |(country, _)| **country).ok()?;
    let (_, wanted) = COUNTRIES.get(known)?;
    let (mut count, mut was_separator) = (0, false);
    for (at, byte) in rest.iter().enumerate() {
        if count == *wanted {
            let goes_on = byte.is_ascii_alphanumeric();
            return (!goes_on).then_some(at);
        }
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => (count, was_separator) = (count + 1, false),
            b' ' | b'-' if !was_separator && count > 3 => was_separator = true,
            _ => return None,
        }
    }
    (count == *wanted).then_some(rest.len())
}

/// ISO 7064's MOD 97-10 over the number with its first four characters at the end.
pub(super) fn is_iban(text: &[u8]) -> bool {
    let values = || {
        text.iter()
            .filter(|byte| byte.is_ascii_alphanumeric())
            .filter_map(|byte| char::from(*byte).to_digit(36))
    };
    let remainder = values().skip(4).chain(values().take(4)).fold(0, |sum, value| match value {
        0..10 => (sum * 10 + value) % 97,
        _ => (sum * 100 + value) % 97,
    });
    // a word of a sentence may follow something like `CI372367-FVM`
    let is_mixed = text.iter().any(u8::is_ascii_uppercase) && text.iter().any(u8::is_ascii_lowercase);
    (15..=34).contains(&values().count()) && remainder == 1 && !is_mixed
}

/// Countries and how many letters and digits their numbers have: SWIFT's registry, and those that use the form without
/// being in it. In order.
const COUNTRIES: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AO", 25),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BF", 28),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BJ", 28),
    (b"BR", 29),
    (b"BY", 28),
    (b"CF", 27),
    (b"CG", 27),
    (b"CH", 21),
    (b"CI", 28),
    (b"CM", 27),
    (b"CR", 22),
    (b"CV", 25),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"DZ", 26),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GA", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GQ", 27),
    (b"GR", 27),
    (b"GT", 28),
    (b"GW", 25),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IR", 26),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KM", 27),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MA", 28),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MG", 27),
    (b"MK", 19),
    (b"ML", 28),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"MZ", 25),
    (b"NE", 28),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SN", 28),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TD", 27),
    (b"TG", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];
