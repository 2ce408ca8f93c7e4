//! Additions to a document of which members are masked: `SET metadata = metadata || '{"done": true}'`.
//!
//! Job: know them, and let the document itself stand in them. Boundary: what is added is a literal or parameter, as
//! elsewhere. Whether `||` fails depends on whether the document is an object, an array or something else, which
//! masks of members show; and where something is computed or kept unique of the document, it would be so of what is added
//! together with what is hidden, and could fail for the pair of them. Functions such as `jsonb_set` fail, or not, by what is at a path, and are not let in. Failure
//! mode: whatever is not known is judged as any other value.

use pg_query::protobuf::{AExprKind, ColumnRef};
use pg_query::{Node, NodeEnum};

use super::insert::is_given;
use crate::sql::catalog::Relation;
use crate::sql::protect::Template;
use crate::sql::tree;
use crate::sql::walk::{Outcome, Walk};

impl<'a> Walk<'a> {
    /// Judges a value for a protected column if it is such an addition to that very column; false if it is not.
    pub(super) fn adds_to_document(
        &mut self,
        relation: &'a Relation,
        column: &str,
        value: Option<&mut Node>,
    ) -> Outcome<bool> {
        // a domain's CHECK would read what is added beside what is hidden
        let is_jsonb = |(schema, name): &(String, String)| schema == "pg_catalog" && name == "jsonb";
        let known = relation.column(column).filter(|known| is_jsonb(&known.type_name));
        let members = known.and_then(|known| self.scope.protection.template(relation.oid, known.number));
        let (Some(Template::Computed(_)), Some(value)) = (members, value) else { return Ok(false) };
        // a column alone would be a copy, which `SET a = a` has no use for
        if !matches!(value.node, Some(NodeEnum::AExpr(_))) || self.is_computed_from(relation, column) {
            return Ok(false);
        }
        self.added(relation, column, value)
    }

    fn added(&mut self, relation: &'a Relation, column: &str, value: &mut Node) -> Outcome<bool> {
        match value.node.as_mut() {
            Some(NodeEnum::ColumnRef(reference)) => Ok(self.is_own(reference, column)),
            Some(NodeEnum::CoalesceExpr(choice)) => {
                let [document, otherwise] = choice.args.as_mut_slice() else { return Ok(false) };
                if !is_given(otherwise) || !self.added(relation, column, document)? {
                    return Ok(false);
                }
                self.protected_value(relation, column, Some(otherwise))?;
                self.expr(otherwise)?;
                Ok(true)
            }
            Some(NodeEnum::AExpr(sum))
                if sum.kind() == AExprKind::AexprOp
                    && sum.name.last().and_then(tree::as_string) == Some("||")
                    && sum.rexpr.as_deref().is_some_and(is_given) =>
            {
                let Some(document) = sum.lexpr.as_deref_mut() else { return Ok(false) };
                if !self.added(relation, column, document)? {
                    return Ok(false);
                }
                self.protected_value(relation, column, sum.rexpr.as_deref())?;
                self.opt(&mut sum.rexpr)?;
                self.operator(&mut sum.name)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether a reference certainly means this column of the row that is changed.
    fn is_own(&self, reference: &ColumnRef, column: &str) -> bool {
        let Some(target) = self.target.as_ref().filter(|target| target.substitute) else { return false };
        let fields: Option<Vec<&str>> = reference.fields.iter().map(tree::as_string).collect();
        self.inside == 0
            && match fields.as_deref() {
                Some([name]) => target.alone && *name == column,
                Some([row, name]) => *row == target.name && *name == column,
                _ => false,
            }
    }
}
