//! One environment out of the forms of several targets.
//!
//! Job: gives each target its own variables below its name, the variables that programs know to the first target of
//! each protocol, and puts the files together in which several stand. Boundary: knows no protocol. Failure mode: an
//! error before a program is started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use secrecy::{ExposeSecret as _, SecretString};

use super::home::{HomeError, write_private};
use super::loopback::Place;
use super::protocol::Form;

/// One of the targets.
#[derive(Debug)]
pub struct Part<'a> {
    /// The target's name.
    pub target: &'a str,
    /// The session's private directory.
    pub place: &'a Place,
    /// What a program must know to use it.
    pub form: &'a Form,
}

/// What a program gets.
#[derive(Debug)]
pub struct Environment {
    /// The variables that are set.
    pub variables: Vec<(OsString, OsString)>,
    /// Which variables of this process are kept from it.
    pub hides: Vec<fn(&OsStr) -> bool>,
}

impl Environment {
    /// Joins the targets in the order in which they were named, and writes their files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn join(parts: &[Part<'_>]) -> Result<Self, HomeError> {
        let mut variables: BTreeMap<OsString, OsString> = BTreeMap::new();
        for (name, value) in parts.iter().flat_map(|part| &part.form.variables) {
            variables.entry(name.clone()).or_insert_with(|| value.clone());
        }
        for part in parts {
            let prefix = prefix(part.target);
            for (name, value) in &part.form.named {
                let name = format!("{prefix}_{name}");
                if !OTHERS.contains(&name.as_str()) {
                    variables.entry(name.into()).or_insert_with(|| value.clone());
                }
            }
        }
        write_shares(parts)?;
        let hides = parts.iter().map(|part| part.form.hides).collect();
        Ok(Self { variables: variables.into_iter().collect(), hides })
    }
}

/// The first target's file holds what is of the others too; theirs hold their own.
fn write_shares(parts: &[Part<'_>]) -> Result<(), HomeError> {
    let mut whole: BTreeMap<&str, bool> = BTreeMap::new();
    for part in parts {
        for share in &part.form.files {
            let first = whole.insert(share.name, true).is_none();
            let all = parts.iter().flat_map(|part| &part.form.files).filter(|other| other.name == share.name);
            let text: String = match first {
                true => all.map(|share| share.own.expose_secret()).collect(),
                false => share.own.expose_secret().to_owned(),
            };
            let text: SecretString = (text + share.end).into();
            write_private(&part.place.path().join(share.name), text.expose_secret().as_bytes())?;
        }
    }
    Ok(())
}

/// A target's name as the beginning of a variable's: `billing-api` is `BILLING_API`.
#[must_use]
pub fn prefix(target: &str) -> String {
    target.to_ascii_uppercase().replace('-', "_")
}

/// What a target's name could make that programs take for something else: git runs `GIT_SSH` as a program by that name.
const OTHERS: &[&str] = &["DATABASE_URL", "GIT_SSH", "MONGODB_URL", "MONGO_URL", "REDIS_URL", "SVN_SSH"];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::client::protocol::Share;

    fn form(kind: &'static str, value: &str) -> Form {
        Form {
            client: "x".into(),
            arguments: Vec::new(),
            variables: vec![(kind.into(), value.into())],
            named: vec![("URL", value.into())],
            files: vec![Share { name: "file", own: format!("{value}\n").into(), end: "end\n" }],
            hides: |name| name == "HIDDEN",
            door: None,
        }
    }

    #[test]
    fn the_first_of_a_kind_has_what_programs_know_and_everyone_has_his_own() {
        let dir = tempfile::tempdir().unwrap();
        let places = [Place::for_test(dir.path()), Place::for_test(dir.path()), Place::for_test(dir.path())];
        let forms = [form("PGHOST", "one"), form("PGHOST", "two"), form("HTTP_PROXY", "three")];
        let names = ["db", "orders-db", "database"];
        let parts: Vec<Part<'_>> = (names.iter().zip(&places).zip(&forms))
            .map(|((target, place), form)| Part { target, place, form })
            .collect();
        let joined = Environment::join(&parts).unwrap();
        let shown: Vec<String> = joined
            .variables
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        // a client of databases that finds the URL of an API in DATABASE_URL would be misled
        let expected = ["DB_URL=one", "HTTP_PROXY=three", "ORDERS_DB_URL=two", "PGHOST=one"];
        assert_eq!(shown, expected);
        let files = places.map(|place| std::fs::read_to_string(place.path().join("file")).unwrap());
        assert_eq!(files, ["one\ntwo\nthree\nend\n", "two\nend\n", "three\nend\n"]);
    }
}
