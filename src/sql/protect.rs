//! What is protected in one database from one session: rules resolved to tables and columns.
//!
//! Job: ask the masker about every column, and follow what shows the same values under another name.
//! Boundary: views are not resolved here but followed where a statement names them. Failure mode: a
//! mask that cannot be written for a column is a [`ProtectionError`], and the session must not open.

mod fence;
pub(crate) mod lineage;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use pg_query::{NodeEnum, protobuf};
use thiserror::Error;

use super::catalog::{Catalog, Column, Kind, Relation};
use super::filter::FilterError;
use super::parse::{on_big_stack, record_text};
use super::tree;
use crate::domain::filter::BoundFilter;
use crate::domain::mask::{MaskableColumn, Masked, Masker};
use crate::domain::name::RuleName;
use crate::domain::planted::{Leak, is_planted};

pub use fence::FilteredTable;
use fence::Stands;
pub(crate) use fence::{Fence, SOURCE};
pub use views::{BROKER_SCHEMA, MaskView};

/// What is protected in one database from one session.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    tables: BTreeMap<u32, Vec<ProtectedColumn>>,
    templates: BTreeMap<(u32, i16), Template>,
    views: BTreeMap<u32, MaskView>,
    /// Tables whose partition key reads a protected column, and their partitions, also those below others.
    divided: BTreeSet<u32>,
    partitions: BTreeSet<u32>,
    /// What stands between relations and their readers, what `explain` says of it, and the parents that show more.
    fences: BTreeMap<u32, Fence>,
    filtered: BTreeMap<u32, FilteredTable>,
    straddling: BTreeMap<u32, String>,
    /// The conditions of the broker's views, which look claims up, and whether there are such views at all.
    walls: BTreeMap<u32, NodeEnum>,
    walled: bool,
}

/// What stands for a protected column.
#[derive(Debug, Clone)]
pub(crate) enum Template {
    /// An expression that reads the column. It is large and deep, so it is parsed once, when
    /// protection is worked out, and takes part in statements as a name until they are text again.
    Computed(Computed),
    /// An expression that does not read the column.
    Constant(Box<NodeEnum>),
    /// The same column of the broker's view that stands for the table; the table's own cannot be read.
    Viewed,
}

/// A text of SQL in which `$1`, once, is a column, or that column's name stands in its place.
#[derive(Debug, Clone)]
pub(crate) struct Computed {
    pub(crate) text: String,
    /// The same without literals, for records.
    pub(crate) bared: String,
}

impl Computed {
    /// It, of this column.
    pub(crate) fn of(&self, reference: &str) -> Self {
        let put = |text: &str| format!("({})", text.replace("$1", reference));
        Self { text: put(&self.text), bared: put(&self.bared) }
    }

    /// How long it is, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }
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
    /// A mask's result would be cut off, and two values could become one.
    #[error("column {column} is {formatted}, and its mask needs {width} characters; mask it with `full`")]
    TooNarrow {
        /// The column.
        column: String,
        /// Its type.
        formatted: String,
        /// How many characters the result has.
        width: u32,
    },
    /// A row filter that says nothing about a table that it is about.
    #[error("row filter {filter} cannot be kept on {table}: {reason}")]
    Filter {
        /// The filter.
        filter: RuleName,
        /// The table.
        table: String,
        /// What is wrong.
        reason: FilterError,
    },
    /// A view over masked columns or filtered rows cannot be written: a fault of ours.
    #[error("a view over masked columns or filtered rows cannot be written: {0}")]
    View(String),
}

impl Protection {
    /// Finds every column that a rule protects, and those that show the same values: same-named columns
    /// of partitions, children and parents, and generated columns computed from them; and the rows that filters
    /// leave of each table.
    ///
    /// # Errors
    /// [`ProtectionError`].
    pub fn resolve(
        catalog: &Catalog,
        masker: &dyn Masker,
        filters: &[BoundFilter],
    ) -> Result<Self, ProtectionError> {
        let mut protection = Self::of_found(catalog, find(catalog, masker))?;
        protection.keep_filters(catalog, filters, Stands::Sent)?;
        Ok(protection)
    }

    /// [`Self::resolve`] where masks that read their columns, and filters, are computed in views of the broker's,
    /// which the session's role may read instead of the columns and tables.
    ///
    /// # Errors
    /// [`ProtectionError`].
    pub fn resolve_with_views(
        catalog: &Catalog,
        masker: &dyn Masker,
        filters: &[BoundFilter],
    ) -> Result<Self, ProtectionError> {
        Self::through(catalog, masker, filters, Stands::SentAndViewed)
    }

    /// The broker's views alone, which are the same for all whom these masks and filters bind: what claims say is
    /// looked up by the views.
    ///
    /// # Errors
    /// [`ProtectionError`].
    pub fn views_alone(
        catalog: &Catalog,
        masker: &dyn Masker,
        filters: &[BoundFilter],
    ) -> Result<Vec<MaskView>, ProtectionError> {
        Self::through(catalog, masker, filters, Stands::Viewed)
            .map(|protection| protection.views.into_values().collect())
    }

    fn through(
        catalog: &Catalog,
        masker: &dyn Masker,
        filters: &[BoundFilter],
        stands: Stands,
    ) -> Result<Self, ProtectionError> {
        let mut found = find(catalog, masker);
        // a view over a masked table shows the mask already: a token's token would join with nothing
        let shown: Vec<(u32, i16)> = found
            .iter()
            .filter(|(_, masked)| masked.reads_value)
            .filter(|((oid, number), masked)| {
                let view = catalog.relation_by_oid(*oid).filter(|relation| relation.kind == Kind::View);
                view.is_some_and(|view| lineage::shows_mask(catalog, &found, view, *number, masked))
            })
            .map(|(key, _)| *key)
            .collect();
        found.retain(|key, _| !shown.contains(key));
        for ((oid, number), masked) in &mut found {
            let Some(relation) = catalog.relation_by_oid(*oid) else { continue };
            let column = relation.columns.iter().find(|column| column.number == *number);
            let Some(column) = column.filter(|_| masked.reads_value) else { continue };
            if relation.kind != Kind::Table {
                // what a view shows its owner is nothing that a view of ours may hand on
                let note = Some("only in tables do views of the broker's compute masks".to_owned());
                *masked = derived(masker, masked, column, note);
            } else if let Some(width) = masked.width
                && length(&column.formatted).is_some_and(|length| length < width)
            {
                return Err(ProtectionError::TooNarrow {
                    column: format!("{}.{}", relation.full_name(), column.name),
                    formatted: column.formatted.clone(),
                    width,
                });
            }
        }
        let mut protection = Self::of_found(catalog, found)?;
        protection.keep_filters(catalog, filters, stands)?;
        protection.through_views(catalog).map_err(ProtectionError::View)?;
        Ok(protection)
    }

    fn of_found(catalog: &Catalog, found: BTreeMap<(u32, i16), Masked>) -> Result<Self, ProtectionError> {
        let mut protection = Self::default();
        for ((oid, number), masked) in found {
            let Some(relation) = catalog.relation_by_oid(oid) else { continue };
            let Some(column) = relation.columns.iter().find(|column| column.number == number) else {
                continue;
            };
            protection.add(relation, column, masked)?;
        }
        protection.divide(catalog);
        Ok(protection)
    }

    /// Finds the partitions whose rows are told apart by a protected column.
    fn divide(&mut self, catalog: &Catalog) {
        let told = |relation: &&Relation| {
            relation.partition_columns.iter().any(|number| self.is_protected(relation.oid, *number))
        };
        self.divided = catalog.relations().filter(told).map(|relation| relation.oid).collect();
        loop {
            let known = |oid: &u32| self.divided.contains(oid) || self.partitions.contains(oid);
            let below = catalog.parents().iter().filter(|(parent, _)| known(parent)).map(|(_, child)| *child);
            let below: BTreeSet<u32> = below.filter(|child| !self.partitions.contains(child)).collect();
            if below.is_empty() {
                return;
            }
            self.partitions.extend(below);
        }
    }

    fn add(&mut self, relation: &Relation, column: &Column, masked: Masked) -> Result<(), ProtectionError> {
        let made = if masked.reads_value {
            // such expressions nest deeply
            on_big_stack(|| template(column, &masked.expression).and_then(|made| render(&made)))
        } else {
            Some(template(column, &masked.expression).map(|made| Template::Constant(Box::new(made))))
        };
        let made = made.unwrap_or_else(|| Err("there is no thread to read it on".into()));
        let template = made.map_err(|message| ProtectionError::Expression {
            column: format!("{}.{}", relation.full_name(), column.name),
            message,
        })?;
        self.templates.insert((relation.oid, column.number), template);
        self.tables.entry(relation.oid).or_default().push(ProtectedColumn {
            schema: relation.schema.clone(),
            table: relation.name.clone(),
            relation: relation.oid,
            column: column.name.clone(),
            number: column.number,
            rule: masked.rule,
            summary: masked.summary,
            reads_value: masked.reads_value,
            note: masked.note,
        });
        Ok(())
    }

    /// Every protected column, by table and number.
    pub fn columns(&self) -> impl Iterator<Item = &ProtectedColumn> {
        self.tables.values().flatten()
    }

    /// Whether this column is protected: the check on the origin of result columns.
    #[must_use]
    pub fn is_protected(&self, relation: u32, number: i16) -> bool {
        self.templates.contains_key(&(relation, number))
    }

    /// Whether nothing is protected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.filtered.is_empty()
    }

    /// Whether a value in text form could be what a mask gives out: assigning it to a protected column
    /// would overwrite the secret with its mask.
    #[must_use]
    pub fn is_mask_output(value: &str) -> bool {
        // a short column cuts the mask off
        let cut = value.len() > 1 && "[masked]".starts_with(value);
        cut || value.contains("[masked]") || value.starts_with("****") || is_token(value)
    }

    /// The protected columns of one relation.
    pub(crate) fn of(&self, relation: u32) -> &[ProtectedColumn] {
        self.tables.get(&relation).map_or(&[], Vec::as_slice)
    }

    /// Whether the table's partitions are told apart by a protected column.
    pub(crate) fn is_divided(&self, relation: u32) -> bool {
        self.divided.contains(&relation)
    }

    /// Whether which rows are in this partition tells of a protected column.
    pub(crate) fn is_partition(&self, relation: u32) -> bool {
        self.partitions.contains(&relation)
    }

    /// The OIDs of relations with protected columns or rows.
    pub(crate) fn relations(&self) -> impl Iterator<Item = u32> + '_ {
        let filtered = self.filtered.keys().filter(|oid| !self.tables.contains_key(oid));
        self.tables.keys().chain(filtered).copied()
    }

    /// What stands for a protected column.
    pub(crate) fn template(&self, relation: u32, number: i16) -> Option<&Template> {
        self.templates.get(&(relation, number))
    }
}

/// Every protected column: named by a rule, or showing the same as one that is.
fn find(catalog: &Catalog, masker: &dyn Masker) -> BTreeMap<(u32, i16), Masked> {
    let mut found: BTreeMap<(u32, i16), Masked> = BTreeMap::new();
    for relation in
        catalog.relations().filter(|relation| has_rows(relation) && relation.schema != BROKER_SCHEMA)
    {
        if masker.covers_table(&relation.schema, &relation.name) {
            for column in &relation.columns {
                if let Some(masked) = masker.mask(&identity(relation, &column.name, column)) {
                    found.insert((relation.oid, column.number), masked);
                }
            }
        }
    }
    while !is_planted(Leak::Spread) && spread(catalog, masker, &mut found) {}
    found
}

/// Whether a value looks like what `mask::expression::token` gives out, with blanks after it in a `char` column.
fn is_token(value: &str) -> bool {
    let digits = value.trim_end_matches(' ').strip_prefix("tok_");
    digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The length that a character type allows: 20 of `character varying(20)`.
fn length(formatted: &str) -> Option<u32> {
    let (_, length) = formatted.strip_suffix(')')?.rsplit_once('(')?;
    length.parse().ok()
}

fn has_rows(relation: &Relation) -> bool {
    matches!(relation.kind, Kind::Table | Kind::View | Kind::MaterializedView | Kind::Foreign)
}

fn identity<'a>(named: &'a Relation, column: &'a str, typed: &'a Column) -> MaskableColumn<'a> {
    MaskableColumn {
        schema: &named.schema,
        table: &named.name,
        column,
        type_schema: &typed.base.0,
        type_name: &typed.base.1,
    }
}

/// One step to relations and columns that show what is already protected; false when there is no more.
fn spread(catalog: &Catalog, masker: &dyn Masker, found: &mut BTreeMap<(u32, i16), Masked>) -> bool {
    let mut more: BTreeMap<(u32, i16), Masked> = BTreeMap::new();
    for (parent, child) in catalog.parents() {
        let (Some(parent), Some(child)) = (catalog.relation_by_oid(*parent), catalog.relation_by_oid(*child))
        else {
            continue;
        };
        for (known, other) in [(parent, child), (child, parent)] {
            for column in &known.columns {
                let Some(masked) = found.get(&(known.oid, column.number)) else { continue };
                let Some(same) = other.column(&column.name) else { continue };
                if found.contains_key(&(other.oid, same.number)) {
                    continue;
                }
                let note = Some(format!("shows the same rows as {}", known.full_name()));
                let copy = if same.base == column.base {
                    Masked { note, ..masked.clone() }
                } else {
                    derived(masker, masked, same, note)
                };
                more.insert((other.oid, same.number), copy);
            }
        }
    }
    for relation in catalog.relations() {
        for (generated, read) in &relation.generated {
            let Some(masked) = found.get(&(relation.oid, *read)) else { continue };
            let Some(column) = relation.columns.iter().find(|column| column.number == *generated) else {
                continue;
            };
            if !found.contains_key(&(relation.oid, *generated)) {
                let note = Some("it is computed from a protected column".to_owned());
                more.insert((relation.oid, *generated), derived(masker, masked, column, note));
            }
        }
    }
    let grew = !more.is_empty();
    found.extend(more);
    grew
}

fn derived(masker: &dyn Masker, from: &Masked, column: &Column, note: Option<String>) -> Masked {
    Masked {
        rule: from.rule.clone(),
        expression: masker.full(&column.base.0, &column.base.1),
        reads_value: false,
        width: None,
        summary: "full".into(),
        note,
    }
}

/// The mask's expression, cast to the column's exact type, modifier and collation; `$1` is the column.
fn template(column: &Column, expression: &str) -> Result<NodeEnum, String> {
    let mut typed = match tree::expression(&format!("NULL::{}", column.formatted))? {
        NodeEnum::TypeCast(cast) => cast.type_name.ok_or("no type")?,
        _ => return Err(format!("{} is not a type", column.formatted)),
    };
    if let [single] = typed.names.as_slice() {
        // format_type leaves out only the schemas on its path, and that was nothing but pg_catalog
        typed.names = vec![tree::string("pg_catalog"), single.clone()];
    }
    let value = tree::cast(tree::expression(expression)?, typed);
    Ok(match &column.collation {
        Some((schema, name)) => NodeEnum::CollateClause(Box::new(protobuf::CollateClause {
            arg: tree::boxed(value),
            collname: vec![tree::string(schema), tree::string(name)],
            location: -1,
        })),
        None => value,
    })
}

/// The text of a mask, which parses back to the very same tree and refers to the column once.
fn render(template: &NodeEnum) -> Result<Template, String> {
    let target = NodeEnum::ResTarget(Box::new(protobuf::ResTarget {
        val: tree::boxed(template.clone()),
        location: -1,
        ..protobuf::ResTarget::default()
    }));
    let text = tree::deparse(&tree::select(vec![tree::node(target)], Vec::new()))?;
    let text = text.strip_prefix("SELECT ").ok_or("not an expression")?;
    if !tree::same(&tree::expression(text)?, template) || text.matches("$1").count() != 1 {
        return Err("it changes its meaning when it is written".into());
    }
    Ok(Template::Computed(Computed { bared: record_text(text), text: text.into() }))
}
