//! Bind values as records show them.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::wire::postgres::transcript::hex;

/// Values longer than this are cut in records; the digest covers all of them.
const SHOWN: usize = 4096;

/// The values as text: text as it is, binary in hexadecimal, nothing of them where they are secret.
pub(super) fn shown(values: &[Option<Bytes>], formats: &[i16], secret: bool) -> Vec<Option<String>> {
    let show = |(number, value): (usize, &Option<Bytes>)| {
        let value = value.as_ref()?;
        if secret {
            return Some("[not shown]".to_owned());
        }
        let cut = value.get(..SHOWN).unwrap_or(value);
        Some(match (format(formats, number), std::str::from_utf8(cut)) {
            (0, Ok(text)) => text.to_owned(),
            (0, Err(_)) => String::from_utf8_lossy(cut).into_owned(),
            _ => hex(cut),
        })
    };
    values.iter().enumerate().map(show).collect()
}

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
