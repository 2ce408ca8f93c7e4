//! Bind values as records show them.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::wire::postgres::transcript::hex;
use crate::wire::postgres::veil::{Found, Hint, Look, Veil};

/// Values longer than this are cut in records; the digest covers all of them.
const SHOWN: usize = 4096;
/// As much is searched, so that nothing that begins in what is shown is cut before it is found.
const SEARCHED: usize = SHOWN + 16 * 1024;

/// What is known of the values that are bound to a statement.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'a> {
    /// The OIDs of their types; 0, or none, when they are the database's to choose.
    pub(super) types: &'a [u32],
    /// What the words before them in the statement give away of them.
    pub(super) hints: &'a [Hint],
    /// Whether nothing of them may be shown.
    pub(super) secret: bool,
    /// What hides what is found in them.
    pub(super) veil: Option<&'a Veil>,
}

/// The values as text: text as it is, other binary in hexadecimal, nothing of them where they are secret, and of the others
/// not what is found in them.
pub(super) fn shown(values: &[Option<Bytes>], formats: &[i16], known: Known<'_>) -> Vec<Option<String>> {
    let show = |(number, value): (usize, &Option<Bytes>)| {
        let value = value.as_ref()?;
        if known.secret {
            return Some("[not shown]".to_owned());
        }
        let hint = known.hints.get(number).copied().unwrap_or_default();
        let veil = known.veil.map(|veil| (veil, hint));
        let type_oid = known.types.get(number).copied().unwrap_or_default();
        Some(if format(formats, number) == 0 { text(value, veil) } else { binary(value, type_oid, veil) })
    };
    values.iter().enumerate().map(show).collect()
}

fn text(value: &[u8], veil: Option<(&Veil, Hint)>) -> String {
    let found = veil.and_then(|(veil, hint)| veil.literal(searched(value), hint, SHOWN));
    String::from_utf8_lossy(found.as_deref().unwrap_or_else(|| cut(value))).into_owned()
}

fn binary(value: &[u8], type_oid: u32, veil: Option<(&Veil, Hint)>) -> String {
    let searched = searched(value);
    // its last letter may be cut
    let is_utf8 = std::str::from_utf8(searched).map_or_else(|error| error.error_len().is_none(), |_| true);
    let is_text = is_utf8 && !searched.contains(&0);
    if let Some((veil, hint)) = veil {
        if is_text && let Some(found) = veil.literal(searched, hint, SHOWN) {
            return String::from_utf8_lossy(&found).into_owned();
        }
        // also the letters of a number, or of what has texts in it
        let is_number = |number: String| veil.literal(number.as_bytes(), hint, usize::MAX).is_some();
        let is_found = !is_text && veil.cover(Look::Opaque, searched) != Found::Nothing;
        if is_found || number(value, type_oid).is_some_and(is_number) {
            return "[masked]".to_owned();
        }
    }
    let is_printed = || searched.iter().all(|byte| *byte >= b' ' || byte.is_ascii_whitespace());
    match type_oid {
        _ if !is_text => hex(cut(value)),
        _ if TEXTS.contains(&type_oid) => text(value, None),
        // what is as long as a number may be one
        0 if is_printed() && ![1, 2, 4, 8].contains(&value.len()) => text(value, None),
        _ => hex(cut(value)),
    }
}

/// What a number in binary is written as in decimal: int2, int4, int8, or the whole part of a numeric.
fn number(value: &[u8], type_oid: u32) -> Option<String> {
    let is = |wanted: u32| type_oid == 0 || type_oid == wanted;
    if let (Ok(bytes), true) = (value.try_into(), is(21)) {
        return Some(i16::from_be_bytes(bytes).to_string());
    }
    if let (Ok(bytes), true) = (value.try_into(), is(23)) {
        return Some(i32::from_be_bytes(bytes).to_string());
    }
    // a numeric of no digits is as long as an int8
    if let (Ok(bytes), true) = (value.try_into(), is(20)) {
        return Some(i64::from_be_bytes(bytes).to_string());
    }
    if !is(1700) {
        return None;
    }
    let mut words = value.chunks_exact(2).filter_map(|word| Some(u16::from_be_bytes(word.try_into().ok()?)));
    let (digits, weight) = (usize::from(words.next()?), usize::from(words.next()?));
    let (_sign, _scale) = (words.next()?, words.next()?);
    // a numeric has four digits in each of its words
    if weight > MOST_WEIGHT || value.len() != 8 + 2 * digits {
        return None;
    }
    let mut written = String::new();
    for at in 0..=weight {
        let four = words.next().filter(|_| at < digits).unwrap_or_default();
        written.push_str(&if at == 0 { four.to_string() } else { format!("{four:04}") });
    }
    Some(written)
}

fn searched(value: &[u8]) -> &[u8] {
    value.get(..SEARCHED).unwrap_or(value)
}

fn cut(value: &[u8]) -> &[u8] {
    value.get(..SHOWN).unwrap_or(value)
}

/// Types that are written in binary as in text: name, text, json, xml, unknown, bpchar, varchar, cstring, refcursor.
const TEXTS: &[u32] = &[19, 25, 114, 142, 705, 1042, 1043, 2275, 1790];
/// No number of ours has more than 40 digits.
const MOST_WEIGHT: usize = 10;

/// What the keyed digest covers: the text, and of each value whether it is NULL (`n`), text (`t`) or
/// binary (`b`), and its bytes.
pub(super) fn exact<'a>(text: &'a [u8], values: &'a [Option<Bytes>], formats: &[i16]) -> Vec<&'a [u8]> {
    let mut exact = vec![text];
    for (number, value) in values.iter().enumerate() {
        match (value, format(formats, number)) {
            (None, _) => exact.push(b"n"),
            (Some(value), 0) => exact.extend([b"t".as_slice(), value]),
            (Some(value), _) => exact.extend([b"b".as_slice(), value]),
        }
    }
    exact
}

/// Whether a value that is assigned to a protected column could be what a mask gives out. A binary
/// text value has the same bytes as a text one.
pub(super) fn assign_mask(
    values: &[Option<Bytes>],
    guarded: &BTreeSet<i32>,
    is_mask: fn(&str) -> bool,
) -> bool {
    guarded.iter().any(|number| {
        let value = usize::try_from(*number - 1).ok().and_then(|index| values.get(index));
        value.and_then(Option::as_ref).is_some_and(|value| is_mask(&String::from_utf8_lossy(value)))
    })
}

/// Whether equality with parameters of these types (OIDs; 0 for whatever fits) holds for one value of a
/// column of the types that can be a proven key. Not so with `float8`, in which large integers fall
/// together, or `char(n)`, which knows no blanks at the end.
pub(super) fn are_exact(types: &[u32]) -> bool {
    types.iter().all(|oid| EXACT.contains(oid))
}

/// None given, bool, bytea, int8, int2, int4, text, oid, unknown, varchar, numeric, uuid; what no key is
/// compared with: json, date, time, timestamp, timestamptz, jsonb.
const EXACT: &[u32] =
    &[0, 16, 17, 20, 21, 23, 25, 26, 705, 1043, 1700, 2950, 114, 1082, 1083, 1114, 1184, 3802];

/// None: all text; one: for all; otherwise one each (Bind, PostgreSQL's message formats).
fn format(formats: &[i16], number: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(number).copied().unwrap_or_default(),
    }
}
