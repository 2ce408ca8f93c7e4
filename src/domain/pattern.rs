//! Which tables and columns are meant.
//!
//! Job: `schema.table` and `schema.table.column`, each part a name or a glob. Boundary: names as the catalog has them.
//! Failure mode: [`PatternError`].

use serde::{Deserialize, Serialize};

/// `schema.table.column`, each part a literal or a glob with `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ColumnPattern {
    table: TablePattern,
    column: String,
}

impl ColumnPattern {
    /// Parses `schema.table.column`; a part may hold `*`, which stands for any run of characters.
    ///
    /// # Errors
    /// When there are not exactly three non-empty parts.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let (table, column) = text.rsplit_once('.').ok_or(PatternError::Column)?;
        match TablePattern::new(table) {
            Ok(table) if !column.is_empty() => Ok(Self { table, column: column.into() }),
            _ => Err(PatternError::Column),
        }
    }

    /// Whether the pattern covers this column.
    #[must_use]
    pub fn matches(&self, schema: &str, table: &str, column: &str) -> bool {
        self.matches_table(schema, table) && glob(&self.column, column)
    }

    /// Whether the pattern could cover some column of this table.
    #[must_use]
    pub fn matches_table(&self, schema: &str, table: &str) -> bool {
        self.table.matches(schema, table)
    }
}

impl TryFrom<String> for ColumnPattern {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::new(&text)
    }
}

impl From<ColumnPattern> for String {
    fn from(pattern: ColumnPattern) -> Self {
        pattern.to_string()
    }
}

impl std::fmt::Display for ColumnPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

/// `schema.table`, each part a literal or a glob with `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TablePattern {
    schema: String,
    table: String,
}

impl TablePattern {
    /// Parses `schema.table`; a part may hold `*`, which stands for any run of characters.
    ///
    /// # Errors
    /// When there are not exactly two non-empty parts.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        match text.split_once('.') {
            Some((schema, table)) if !schema.is_empty() && !table.is_empty() && !table.contains('.') => {
                Ok(Self { schema: schema.into(), table: table.into() })
            }
            _ => Err(PatternError::Table),
        }
    }

    /// Whether the pattern covers this table.
    #[must_use]
    pub fn matches(&self, schema: &str, table: &str) -> bool {
        glob(&self.schema, schema) && glob(&self.table, table)
    }
}

impl TryFrom<String> for TablePattern {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::new(&text)
    }
}

impl From<TablePattern> for String {
    fn from(pattern: TablePattern) -> Self {
        pattern.to_string()
    }
}

impl std::fmt::Display for TablePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// Why a pattern is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not `schema.table.column`.
    #[error("a column is written schema.table.column, each part a name or a pattern with *")]
    Column,
    /// It is not `schema.table`.
    #[error("a table is written schema.table, each part a name or a pattern with *")]
    Table,
}

/// Matches a pattern in which `*` stands for any run of characters, in time linear in the product
/// of the lengths and without recursion.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    true
}
