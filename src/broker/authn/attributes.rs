//! What a token says of somebody that row filters compare with.
//!
//! Job: read the claims that configuration maps, as text. Boundary: their meaning is the filters'; nothing here decides
//! what somebody may see. Failure mode: a claim that is not wholly text, or too much of it, is not carried at all, so that
//! nobody is let in by a part of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use thiserror::Error;

use super::claims;
use crate::domain::filter::Claim;
use crate::domain::name::ProviderName;
use crate::domain::text;

/// The attributes of a login: the mapped claims, each from the first of the documents that has it, and the address of
/// e-mail that the provider has verified.
pub(super) fn read(
    documents: &[&Map<String, Value>],
    mapping: &BTreeMap<String, String>,
    provider: &ProviderName,
) -> BTreeMap<String, Claim> {
    let mut attributes = BTreeMap::new();
    for (name, claim) in mapping {
        let Some(value) = documents.iter().find_map(|all| all.get(claim)) else { continue };
        match attribute(value) {
            Ok(value) => drop(attributes.insert(name.clone(), value)),
            // never the value: it may be anything
            Err(fault) => {
                tracing::warn!(%provider, claim, %fault, "somebody logged in without an attribute that their token has");
            }
        }
    }
    if let Some(email) = documents.iter().find_map(|all| verified_email(all)) {
        attributes.insert("email".into(), Claim::One(email));
    }
    attributes
}

/// Whether a mapped claim is missing from this document.
pub(super) fn is_missing(all: &Map<String, Value>, mapping: &BTreeMap<String, String>) -> bool {
    mapping.values().any(|claim| !all.contains_key(claim))
}

/// Why a claim is no attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
enum NoAttribute {
    #[error("a text of it is empty")]
    Empty,
    #[error("a text of it has characters that are not seen")]
    Hidden,
    #[error("a text of it is longer than {LONGEST} characters")]
    Long,
    #[error("it has more than {MOST} values")]
    Many,
    #[error("it is no text, whole number, true or false, and no list of those")]
    Shape,
}

fn attribute(value: &Value) -> Result<Claim, NoAttribute> {
    match value {
        Value::Array(many) if many.len() > MOST => Err(NoAttribute::Many),
        Value::Array(many) => many.iter().map(plain).collect::<Result<BTreeSet<_>, _>>().map(Claim::Many),
        one => plain(one).map(Claim::One),
    }
}

/// Whole numbers and flags have one text each; a number with a fraction has several, and is none.
fn plain(value: &Value) -> Result<String, NoAttribute> {
    let plain = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(_) | Value::Null | Value::Number(_) | Value::Object(_) => {
            return Err(NoAttribute::Shape);
        }
    };
    if plain.is_empty() {
        // what a provider says of whoever has no value must not match rows that have none
        Err(NoAttribute::Empty)
    } else if plain.chars().count() > LONGEST {
        Err(NoAttribute::Long)
    } else if plain.chars().any(text::deceives) {
        Err(NoAttribute::Hidden)
    } else {
        Ok(plain)
    }
}

/// The address, where the same document says that it is verified.
fn verified_email(all: &Map<String, Value>) -> Option<String> {
    // some say it as a text
    let is_verified = match all.get("email_verified")? {
        Value::Bool(flag) => *flag,
        Value::String(text) => text == "true",
        _ => false,
    };
    claims::email(all).filter(|_| is_verified)
}

/// The most values of one claim.
const MOST: usize = 64;
/// The most characters of one value.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    fn read(token: &Value, userinfo: &Value) -> BTreeMap<String, Claim> {
        let mapping = BTreeMap::from([("project".to_owned(), "https://example.com/project".to_owned())]);
        let documents = [token.as_object().unwrap(), userinfo.as_object().unwrap()];
        super::read(&documents, &mapping, &ProviderName::new("corp").unwrap())
    }

    fn project(value: &Value) -> Option<Claim> {
        read(&json!({"https://example.com/project": value}), &json!({})).remove("project")
    }

    #[test]
    fn texts_whole_numbers_and_flags_are_attributes_alone_or_in_lists() {
        let one = |text: &str| Some(Claim::One(text.into()));
        assert_eq!(project(&json!("x")), one("x"));
        assert_eq!(project(&json!("' OR true --")), one("' OR true --"));
        assert_eq!(project(&json!(18_446_744_073_709_551_615_u64)), one("18446744073709551615"));
        assert_eq!(project(&json!(false)), one("false"));
        assert_eq!(project(&json!(["x", 7])), Some(Claim::Many(["7".into(), "x".into()].into())));
        assert_eq!(project(&json!([])), Some(Claim::Many(BTreeSet::new())));
    }

    #[test]
    fn a_claim_that_is_text_in_part_is_not_carried() {
        let long = "x".repeat(257);
        for value in [
            json!(null),
            json!(1.5),
            json!({"x": 1}),
            json!(["x", null]),
            json!([["x"]]),
            json!(""),
            json!(["x", ""]),
            json!("a\u{0}b"),
            json!(long),
            json!(vec!["x"; 65]),
        ] {
            assert_eq!(project(&value), None, "{value}");
        }
        assert!(project(&json!("ü".repeat(256))).is_some() && project(&json!(vec!["x"; 64])).is_some());
    }

    #[test]
    fn the_token_speaks_first_and_userinfo_where_it_is_silent() {
        let claim = |value: &str| json!({"https://example.com/project": value});
        assert_eq!(read(&claim("x"), &claim("y")), [("project".to_owned(), Claim::One("x".into()))].into());
        assert_eq!(read(&json!({}), &claim("y")), [("project".to_owned(), Claim::One("y".into()))].into());
        // what the token says and is no text is not replaced by something else
        assert_eq!(read(&json!({"https://example.com/project": null}), &claim("y")), BTreeMap::new());
    }

    #[test]
    fn only_a_verified_address_is_carried() {
        let email = |verified: Value| {
            read(&json!({"email": "Alice@Example.com", "email_verified": verified}), &json!({}))
                .remove("email")
        };
        let address = Some(Claim::One("alice@example.com".into()));
        assert_eq!(email(json!(true)), address);
        assert_eq!(email(json!("true")), address);
        for verified in [json!(false), json!("false"), json!(1), json!(null)] {
            assert_eq!(email(verified.clone()), None, "{verified}");
        }
        // one document's word on another's address is no word
        let split = read(&json!({"email": "a@example.com"}), &json!({"email_verified": true}));
        assert_eq!(split, BTreeMap::new());
    }
}
