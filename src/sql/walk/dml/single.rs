//! Whether an INSERT adds one row.
//!
//! Job: tell one guess from many. Boundary: a statement with ON CONFLICT tells of each row whether it was there already.
//! Failure mode: several. One row of VALUES is as many as a function in it gives: PostgreSQL reads it as a SELECT without
//! FROM, and refuses such functions only in VALUES of several rows.

use pg_query::{Node, NodeEnum};

use super::insert::is_plain_values;
use crate::sql::catalog::Catalog;
use crate::sql::tree::{Visitor, visit};

/// Whether a source of rows is one row of VALUES in which nothing gives several, or defaults.
pub(super) fn is_one_row(source: Option<&Node>, catalog: &Catalog) -> bool {
    let Some(source) = source else { return true };
    match source.node.as_ref() {
        Some(NodeEnum::SelectStmt(select)) if is_plain_values(select) && select.values_lists.len() == 1 => {
            let mut sets = Sets { catalog, found: false };
            visit(source, &mut sets);
            !sets.found
        }
        _ => false,
    }
}

/// Looks for names of functions that give several rows, in any schema, and for operators of users, which may call one.
struct Sets<'a> {
    catalog: &'a Catalog,
    found: bool,
}

impl Visitor for Sets<'_> {
    fn enter(&mut self, _: &'static str, _: &[(&'static str, &'static str)]) {}

    fn text(&mut self, text: &str, above: &[(&'static str, &'static str)]) {
        // what is written between quotes is no name
        if above.iter().any(|(parent, _)| *parent == "AConst") {
            return;
        }
        self.found |= self.catalog.functions(text).any(|function| function.set)
            || !self.catalog.operators(text).is_empty();
    }

    fn leave(&mut self, _: &'static str, _: &[(&'static str, &'static str)]) {}
}
