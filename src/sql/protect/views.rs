//! The broker's views: masked tables as their readers see them, computed by the database itself.
//!
//! Job: say which view stands for which table, and with what text. Broker and gateway work this out each for
//! itself, from the same catalog and rules, and meet at the view's name, which is a digest of the text.
//! Failure mode: a view that is not there is not read round: see `walk::relation`.

use std::fmt::Write as _;

use pg_query::NodeEnum;
use sha2::{Digest as _, Sha256};

use super::{Protection, SOURCE, Template};
use crate::sql::catalog::{Catalog, Kind, Relation};
use crate::sql::parse::on_big_stack;
use crate::sql::tree;

/// The schema of the broker's own objects.
pub const BROKER_SCHEMA: &str = "hoopctl";

/// A view of the broker's that stands for a table with masks that read their columns, or with row filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskView {
    /// The table's OID.
    pub relation: u32,
    /// The table's schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The view's name in the schema [`BROKER_SCHEMA`]: `v16384_0123456789abcdef`, the table and a digest of the
    /// definition. Masks that change, and tables that do, get another view.
    pub name: String,
    /// Its SELECT, with the columns of the table, in their order.
    pub definition: String,
    /// The columns of the table that it reads.
    pub reads: Vec<String>,
    /// Whether it leaves rows out. Then rows may be changed through it, and none that it leaves out be made.
    pub filters: bool,
    /// Whether it is there.
    pub present: bool,
}

impl Protection {
    /// The views that must be there, one for each table with a mask that reads its column, and for each relation with
    /// a row filter.
    pub fn views(&self) -> impl Iterator<Item = &MaskView> {
        self.views.values()
    }

    /// The view that stands for a table, where one does.
    pub(crate) fn view(&self, relation: u32) -> Option<&MaskView> {
        self.views.get(&relation)
    }

    /// Makes the masks that read their columns those of views, and has views leave out rows that filters hide.
    pub(super) fn through_views(&mut self, catalog: &Catalog) -> Result<(), String> {
        let computed = |(key, template): (&(u32, i16), &Template)| {
            matches!(template, Template::Computed(_)).then_some(key.0)
        };
        let mut tables: std::collections::BTreeSet<u32> =
            self.templates.iter().filter_map(computed).collect();
        tables.extend(self.walls.keys());
        for oid in tables {
            // INVARIANT: who reads a parent reads its children, and a view over it would show what their filters hide
            if self.straddles(oid).is_some() {
                continue;
            }
            let Some(relation) = catalog.relation_by_oid(oid) else { continue };
            let view = self.view_of(catalog, relation)?;
            self.views.insert(oid, view);
        }
        for template in self.templates.values_mut() {
            if matches!(template, Template::Computed(_)) {
                *template = Template::Viewed;
            }
        }
        Ok(())
    }

    fn view_of(&self, catalog: &Catalog, relation: &Relation) -> Result<MaskView, String> {
        let mut definition = String::from("SELECT ");
        let mut reads = Vec::new();
        for (place, column) in relation.columns.iter().enumerate() {
            let reference = format!("{SOURCE}.{}", tree::quoted(&column.name));
            let value = match self.template(relation.oid, column.number) {
                Some(Template::Constant(expression)) => constant(expression)?,
                Some(Template::Computed(mask)) => mask.of(&reference).text,
                Some(Template::Viewed) | None => reference.clone(),
            };
            let is_compared =
                self.filtered.get(&relation.oid).is_some_and(|f| f.reads.contains(&column.name));
            if value.contains(&reference) || is_compared {
                reads.push(column.name.clone());
            }
            let comma = if place == 0 { "" } else { ", " };
            // writing to a String cannot fail
            let _written = write!(definition, "{comma}{value} AS {}", tree::quoted(&column.name));
        }
        let (schema, table) = (tree::quoted(&relation.schema), tree::quoted(&relation.name));
        let _written = write!(definition, " FROM {schema}.{table} AS {SOURCE}");
        let wall = self.walls.get(&relation.oid);
        if let Some(condition) = wall {
            let text = on_big_stack(|| written(condition));
            let text = text.unwrap_or_else(|| Err("there is no thread to write it on".into()))?;
            let _written = write!(definition, " WHERE {text}");
        }
        let digest: [u8; 32] = Sha256::digest(&definition).into();
        let mut name = format!("v{}_", relation.oid);
        for byte in digest.iter().take(8) {
            let _written = write!(name, "{byte:02x}");
        }
        let present = catalog.relation(BROKER_SCHEMA, &name).is_some_and(|view| view.kind == Kind::View);
        Ok(MaskView {
            relation: relation.oid,
            schema: relation.schema.clone(),
            table: relation.name.clone(),
            name,
            definition,
            reads,
            filters: wall.is_some() && relation.kind == Kind::Table,
            present,
        })
    }
}

/// A condition that parses back to the very same tree.
fn written(condition: &NodeEnum) -> Result<String, String> {
    let text = constant(condition)?;
    if tree::same(&tree::expression(&text)?, condition) {
        Ok(text)
    } else {
        Err("it changes its meaning when it is written".into())
    }
}

fn constant(expression: &NodeEnum) -> Result<String, String> {
    let target = tree::node(NodeEnum::ResTarget(Box::new(pg_query::protobuf::ResTarget {
        val: tree::boxed(expression.clone()),
        location: -1,
        ..pg_query::protobuf::ResTarget::default()
    })));
    let text = tree::deparse(&tree::select(vec![target], Vec::new()))?;
    text.strip_prefix("SELECT ").map(|text| format!("({text})")).ok_or_else(|| "not an expression".into())
}
