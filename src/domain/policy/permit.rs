//! Proof that policy said Allow.

use std::sync::Arc;

use crate::domain::caps::Caps;
use crate::domain::name::{RuleName, TargetName};

/// Proof that policy said Allow. Only policy makes one, nobody copies one, and what it was made for
/// is written in it: `dial` takes a permit by value, one per upstream connection.
#[derive(Debug)]
pub struct Permit {
    target: TargetName,
    action: &'static str,
    rule: RuleName,
    caps: Arc<Caps>,
}

impl Permit {
    // INVARIANT: this is the only door, and only `policy` can reach it.
    pub(super) fn new(target: TargetName, action: &'static str, rule: RuleName, caps: Caps) -> Self {
        Self { target, action, rule, caps: Arc::new(caps) }
    }

    /// The target it was made for.
    #[must_use]
    pub fn target(&self) -> &TargetName {
        &self.target
    }

    /// The action it was made for.
    #[must_use]
    pub fn action(&self) -> &'static str {
        self.action
    }

    /// The rule that allowed it.
    #[must_use]
    pub fn rule(&self) -> &RuleName {
        &self.rule
    }

    /// What caps the action, by all rules that allowed it.
    #[must_use]
    pub fn caps(&self) -> &Arc<Caps> {
        &self.caps
    }
}
