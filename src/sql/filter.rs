//! Row filters: the predicates that say which rows are seen.
//!
//! Job: predicate text → what it says → the condition that stands behind the fence, with claims as values in it.
//! Boundary: the text is read once and never becomes text of a statement; which relation is meant is `protect`'s to
//! say. Failure mode: [`FilterError`]. A predicate is made of what is listed here and of nothing else, since it sees every
//! row: what could fail on a row, what reads other rows, and what the session's settings change would tell of rows that
//! nobody may see, or let them out.

mod kind;
mod lower;
mod read;
mod stored;

use std::collections::BTreeSet;

use thiserror::Error;

pub(crate) use lower::{Claims, Lowered, all, any, never};
pub(crate) use read::Predicate;
pub(crate) use stored::guard;

/// What is wrong with a predicate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// The table has no such column.
    #[error("there is no column `{0}`")]
    Column(String),
    /// Two values of different kinds are compared.
    #[error("{0} and {1} are not compared")]
    Kinds(String, String),
    /// A column that the broker's view shows masked.
    #[error("the column `{0}` is masked there, and the view that computes masks shows nothing else")]
    Masked(String),
    /// It is no expression; the parser's message.
    #[error("the predicate is not one expression: {0}")]
    Syntax(String),
    /// Something in it is not for predicates.
    #[error("{0} cannot stand in the predicate of a row filter")]
    Unsupported(String),
    /// A constant or claim that does not read as what it is compared with.
    #[error("{what} does not read as {kind}")]
    Value {
        /// The constant as it is written, or the claim's name.
        what: String,
        /// What it is compared with.
        kind: String,
    },
}

/// The names of the claims that a predicate compares with, as `principal.<name>`.
///
/// # Errors
/// [`FilterError`]: the predicate is not one that a row filter may have.
pub fn claims_of(predicate: &str) -> Result<BTreeSet<String>, FilterError> {
    Predicate::read(predicate).map(|predicate| predicate.claims)
}

#[cfg(test)]
mod tests;
