//! The rules that bind one principal.

use std::collections::BTreeSet;

use crate::domain::mask::{MaskRule, MaskableColumn, Masked, Masker};
use crate::domain::name::GroupName;

/// The rules that bind one principal.
#[derive(Debug, Clone, Default)]
pub struct MaskPlan {
    rules: Vec<MaskRule>,
}

impl MaskPlan {
    /// Keeps the rules that bind somebody who is in `groups`.
    #[must_use]
    pub fn new(rules: &[MaskRule], groups: &BTreeSet<GroupName>) -> Self {
        Self { rules: rules.iter().filter(|rule| rule.binds(groups)).cloned().collect() }
    }

    /// Whether no rule binds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Masker for MaskPlan {
    fn mask(&self, _column: &MaskableColumn<'_>) -> Option<Masked> {
        None
    }

    fn covers_table(&self, schema: &str, table: &str) -> bool {
        self.rules.iter().any(|rule| rule.column.matches_table(schema, table))
    }
}
