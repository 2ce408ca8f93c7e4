//! The facts of a statement on a target without masks: no catalog, names as they are written.

use super::parse::Statement;
use crate::domain::facts::Facts;

/// What a statement does, as far as its text alone tells.
#[must_use]
pub fn facts(_statement: &Statement) -> Facts {
    Facts::unparsed()
}
