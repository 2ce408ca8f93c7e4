//! The names of what a request's body holds.
//!
//! Job: names of members, for rules that forbid some. Boundary: values are not looked at. Failure mode: a body that is not
//! what its type says is an error; it cannot be judged.

use std::collections::BTreeSet;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::target::folded;

#[cfg(test)]
mod tests;

/// The names of an object's members, or of those of an array's objects; each as it is written, and
/// [`folded`].
///
/// # Errors
/// When it is no JSON.
pub fn of_json(body: &[u8]) -> Result<BTreeSet<String>, serde_json::Error> {
    serde_json::from_slice::<Members>(body).map(|members| members.0)
}

/// The names of a form's fields (`application/x-www-form-urlencoded`).
///
/// # Errors
/// When it is not UTF-8.
pub fn of_form(body: &[u8]) -> Result<BTreeSet<String>, std::str::Utf8Error> {
    std::str::from_utf8(body).map(|body| super::target::names(body.trim_end()))
}

/// Whether a `Content-Type` says nothing else than that its text is UTF-8.
#[must_use]
pub fn is_utf8(content_type: &str) -> bool {
    content_type.split(';').skip(1).all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let charset = value.trim().trim_matches('"');
            ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
        }
        _ => true,
    })
}

struct Members(BTreeSet<String>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Names).map(Self)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = BTreeSet<String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
            names.insert(folded(&name));
            names.insert(name);
        }
        Ok(names)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(Members(more)) = sequence.next_element()? {
            names.extend(more);
        }
        Ok(names)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }
}
