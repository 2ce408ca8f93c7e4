//! Row filters: the predicates that say which rows are seen.
//!
//! Job: read a predicate, and say which claims it names. Boundary: no catalog is needed for that. Failure mode:
//! [`FilterError`]; whatever is not known to be sound is refused.

use std::collections::BTreeSet;

use thiserror::Error;

/// What is wrong with a predicate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// It is no expression; the parser's message.
    #[error("the predicate is not an expression: {0}")]
    Syntax(String),
    /// Something in it is not for predicates.
    #[error("the predicate uses {0}")]
    Unsupported(String),
}

/// The names of the claims that a predicate compares with, as `principal.<name>`.
///
/// # Errors
/// [`FilterError`].
pub fn claims_of(predicate: &str) -> Result<BTreeSet<String>, FilterError> {
    Err(FilterError::Unsupported(format!("what is not read yet: {predicate}")))
}
