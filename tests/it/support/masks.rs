//! Rules that protect columns.

use std::collections::BTreeSet;

use hoopctl::domain::mask::{ColumnPattern, Mask, MaskRule};
use hoopctl::domain::name::RuleName;

/// A rule for whole columns, for everybody.
pub(crate) fn masked(column: &str, mask: Mask) -> MaskRule {
    MaskRule {
        name: RuleName::new("mask.test").expect("a name"),
        column: ColumnPattern::new(column).expect("a pattern"),
        path: None,
        mask,
        lifted_for: BTreeSet::new(),
    }
}

/// It shows nothing of these columns.
pub(crate) fn hidden(column: &str) -> MaskRule {
    masked(column, Mask::Full)
}
