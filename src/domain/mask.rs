//! What is protected: which columns and JSON paths, how, and for whom the mask is lifted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::name::{GroupName, RuleName};
pub use super::pattern::ColumnPattern;

/// One mask of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskRule {
    /// The name that errors, `explain` and the ledger show.
    pub name: RuleName,
    /// The columns it protects.
    pub column: ColumnPattern,
    /// Inside the column's JSON document, the member keys that are protected; `None` protects the
    /// whole value.
    pub path: Option<JsonPath>,
    /// What the client gets instead.
    pub mask: Mask,
    /// Members of any of these groups see the value itself.
    #[serde(default)]
    pub lifted_for: BTreeSet<GroupName>,
}

impl MaskRule {
    /// Whether the rule binds somebody who is in `groups`.
    #[must_use]
    pub fn binds(&self, groups: &BTreeSet<GroupName>) -> bool {
        self.lifted_for.is_disjoint(groups)
    }
}

/// What a protected value turns into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mask {
    /// A constant of the column's type: `[masked]` for text, zero, epoch, `null` where a type has no
    /// neutral value.
    Full,
    /// SQL NULL.
    Null,
    /// Stars, and the last `keep_last` characters of the value's text form.
    Partial {
        /// How many characters stay; fewer when the value is shorter than twice as many.
        keep_last: u16,
    },
    /// A keyed hash: equal values stay equal, nothing else is released.
    Token,
}

impl Mask {
    /// Whether computing the mask reads the protected value (design §3.3: such a mask needs a view
    /// as its second lock).
    #[must_use]
    pub fn reads_value(self) -> bool {
        matches!(self, Self::Partial { .. } | Self::Token)
    }
}

/// A path to JSON members: `$.a.b` is the member `b` of the member `a` of the document; `$.**.key`
/// is every member called `key` at any depth; `[*]` steps into every element of an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JsonPath {
    text: String,
    steps: Vec<JsonStep>,
}

/// One step of a [`JsonPath`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonStep {
    /// `**`: this document and everything below it.
    Anywhere,
    /// `[*]`: every element of an array.
    Elements,
    /// `.name`: the member of an object.
    Member(String),
}

impl JsonPath {
    /// Parses a path.
    ///
    /// # Errors
    /// When it is not `$` followed by `.name`, `.**` and `[*]` steps, ending in a name.
    pub fn new(text: &str) -> Result<Self, JsonPathError> {
        let mut rest = text.strip_prefix('$').ok_or(JsonPathError)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("[*]") {
                steps.push(JsonStep::Elements);
                rest = after;
                continue;
            }
            let after = rest.strip_prefix('.').ok_or(JsonPathError)?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, tail) = after.split_at_checked(end).ok_or(JsonPathError)?;
            steps.push(match name {
                "**" => JsonStep::Anywhere,
                _ if is_member(name) => JsonStep::Member(name.into()),
                _ => return Err(JsonPathError),
            });
            rest = tail;
        }
        match steps.last() {
            Some(JsonStep::Member(_)) => Ok(Self { text: text.into(), steps }),
            _ => Err(JsonPathError),
        }
    }

    /// The steps, outermost first; the last is always a member.
    #[must_use]
    pub fn steps(&self) -> &[JsonStep] {
        &self.steps
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for JsonPath {
    type Error = JsonPathError;
    fn try_from(text: String) -> Result<Self, JsonPathError> {
        Self::new(&text)
    }
}

impl From<JsonPath> for String {
    fn from(path: JsonPath) -> Self {
        path.text
    }
}

/// A JSON path that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a path is $ followed by .name, .** or [*] steps and ends in a name, as $.steps[*].api_key or $.**.api_key"
)]
pub struct JsonPathError;

fn is_member(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

/// Says what a column is masked with. Implemented by `mask`, asked by `sql` for each column of the
/// catalog, because those floors do not know each other.
pub trait Masker {
    /// The mask of one column, or `None` when nothing protects it.
    fn mask(&self, column: &MaskableColumn<'_>) -> Option<Masked>;

    /// Whether some rule could cover some column of this table.
    fn covers_table(&self, schema: &str, table: &str) -> bool;

    /// The expression of a full mask for a type: for columns that show what a protected one holds.
    fn full(&self, type_schema: &str, type_name: &str) -> String;
}

/// A column as a [`Masker`] needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskableColumn<'a> {
    /// The table's schema.
    pub schema: &'a str,
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The schema of its type; of a domain's base type.
    pub type_schema: &'a str,
    /// The name of its type in `pg_type`: `text`, `int4`, `_text`; of a domain's base type.
    pub type_name: &'a str,
}

/// What a protected column is replaced by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The rule that protects it; the first, when there are several.
    pub rule: RuleName,
    /// An SQL expression with every name schema-qualified, in which `$1` stands for the column. The
    /// caller casts it to the column's exact type.
    pub expression: String,
    /// Whether the expression reads the column.
    pub reads_value: bool,
    /// How many characters its result has, where a column that cuts it would change what it says.
    pub width: Option<u32>,
    /// What `explain` says of it: `full`, `partial(keep last 4)`, `$.**.api_key`.
    pub summary: String,
    /// Why a weaker rule was replaced by a full mask, if it was.
    pub note: Option<String>,
}
