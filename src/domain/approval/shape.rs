//! The shape of an action: what stays when chosen literals may differ.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::name::Digest;

/// A statement's resolved tree without its literals, and the literals.
///
/// libpg_query's fingerprint is no use here: it is the same for relations of two schemas and for two
/// file names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Keyed digest of the resolved tree in which every literal is a numbered blank.
    pub tree: Digest,
    /// The literals in order, then the bind values.
    pub literals: Vec<Literal>,
}

/// A literal or bind value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Literal {
    /// As a reviewer may see it.
    pub shown: String,
    /// Keyed digest of its kind and exact value.
    pub digest: Digest,
}

impl Shape {
    /// Whether `other` differs from this at most in the literals that are free, counted from 0.
    #[must_use]
    pub fn covers(&self, free: &BTreeSet<u16>, other: &Self) -> bool {
        let is_free = |place: usize| u16::try_from(place).is_ok_and(|place| free.contains(&place));
        self.tree == other.tree
            && self.literals.len() == other.literals.len()
            && self
                .literals
                .iter()
                .zip(&other.literals)
                .enumerate()
                .all(|(place, (own, theirs))| is_free(place) || own.digest == theirs.digest)
    }
}
