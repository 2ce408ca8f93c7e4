//! INSERT.

use pg_query::protobuf::{InsertStmt, OnConflictAction, OnConflictClause, SelectStmt};
use pg_query::{Node, NodeEnum};

use super::referral::Fate;
use super::single::is_one_row;
use super::slice::Change;
use crate::sql::catalog::Relation;
use crate::sql::walk::{Outcome, Refusal, Walk, refuse, unsupported};

impl<'a> Walk<'a> {
    pub(super) fn insert(&mut self, insert: &mut InsertStmt) -> Outcome {
        let touched_before = std::mem::replace(&mut self.touched, false);
        // WITH queries of a statement around this one may show what is masked
        let outside = !self.ctes.is_empty();
        if let Some(with) = &mut insert.with_clause {
            self.with(with)?;
        }
        let with_masked = std::mem::replace(&mut self.touched, false);
        let Some(name) = insert.relation.as_mut() else { return Err(unsupported("INSERT without a table")) };
        // a conflict with a row that is hidden would tell of it, and could change it
        let change = if insert.on_conflict_clause.is_none() { Change::Rows } else { Change::Otherwise };
        let relation = self.changed(name, change)?;
        let name = name.clone();
        for column in &mut insert.cols {
            match column.node.as_mut() {
                Some(NodeEnum::ResTarget(column)) => self.indirection(&mut column.indirection)?,
                _ => return Err(unsupported("this kind of column list")),
            }
        }
        // with a target, a conflict elsewhere is an error, and with one row there is one guess
        let guesses = insert.on_conflict_clause.as_ref().is_some_and(|conflict| conflict.infer.is_none());
        let one_row = is_one_row(insert.select_stmt.as_deref(), self.scope.catalog);
        if guesses && !one_row && self.conflicts_tell(relation) {
            // which of many rows were there already would tell what the others are like
            return Err(refuse(
                "mask.write",
                &format!(
                    "several rows with ON CONFLICT for {}, where a unique index reads masked columns,",
                    relation.full_name()
                ),
                "name the columns of the conflict, as in ON CONFLICT (id) DO NOTHING, or insert one row at a time",
            ));
        }
        let guesses = guesses && !one_row;
        let computed = self.inserted(relation, &insert.cols, insert.select_stmt.as_deref(), guesses)?;
        let target_masked = std::mem::replace(&mut self.touched, false);
        self.subquery(insert.select_stmt.as_deref_mut())?;
        // which of many computed rows found themselves there already would tell what is there
        let tells = outside || with_masked || self.touched || insert.on_conflict_clause.is_some();
        self.touched |= touched_before || with_masked || target_masked;
        if let Some(column) = computed.filter(|_| tells) {
            return Err(computed_value(relation, &column));
        }
        self.aim(relation, &name, true, false);
        if let Some(conflict) = insert.on_conflict_clause.as_deref_mut() {
            self.on_conflict(relation, conflict)?;
        }
        self.aim(relation, &name, true, true);
        self.returning(relation, &mut insert.returning_clause)
    }

    /// Judges what goes into protected columns. The first that gets what a query computes, if one does.
    fn inserted(
        &mut self,
        relation: &'a Relation,
        columns: &[Node],
        source: Option<&Node>,
        guesses: bool,
    ) -> Outcome<Option<String>> {
        if self.scope.protection.of(relation.oid).is_empty() {
            return Ok(None);
        }
        let mut named: Vec<(String, bool)> = columns
            .iter()
            .filter_map(|column| match column.node.as_ref() {
                Some(NodeEnum::ResTarget(column)) => {
                    Some((column.name.clone(), column.indirection.is_empty()))
                }
                _ => None,
            })
            .collect();
        if named.is_empty() {
            named = relation.columns.iter().map(|column| (column.name.clone(), true)).collect();
        }
        let Some(NodeEnum::SelectStmt(select)) = source.and_then(|source| source.node.as_ref()) else {
            // DEFAULT VALUES
            return if source.is_none() { Ok(None) } else { Err(unsupported("this source of rows")) };
        };
        let mut computed = None;
        for (place, (column, whole)) in named.iter().enumerate() {
            if !self.is_protected(relation, column) {
                continue;
            }
            if !is_plain_values(select) {
                // new rows whose values come from what anybody may see; of what is masked it would be masks
                if !*whole || self.is_unique(relation, column) {
                    return Err(computed_value(relation, column));
                }
                computed.get_or_insert_with(|| column.clone());
                self.takes_values(relation, column)?;
                let value = select.target_list.get(place).and_then(|target| match target.node.as_ref() {
                    Some(NodeEnum::ResTarget(target)) => target.val.as_deref(),
                    _ => None,
                });
                if value.is_some_and(is_given) {
                    self.protected_value(relation, column, value)?;
                }
                continue;
            }
            if guesses {
                // which of many rows were there already would tell so many values at once
                return Err(refuse(
                    "mask.write",
                    &format!(
                        "several values for the masked column {}.{column} with ON CONFLICT",
                        relation.full_name()
                    ),
                    "name the columns of the conflict, insert one row at a time, or leave the column out",
                ));
            }
            for row in &select.values_lists {
                let Some(NodeEnum::List(row)) = row.node.as_ref() else {
                    return Err(unsupported("this kind of row"));
                };
                // a short row of an INSERT without a column list leaves the rest to defaults
                if let Some(value) = row.items.get(place) {
                    self.protected_value(relation, column, Some(value).filter(|_| *whole))?;
                }
            }
        }
        Ok(computed)
    }

    fn on_conflict(&mut self, relation: &'a Relation, conflict: &mut OnConflictClause) -> Outcome {
        let aimed = self.target.is_some();
        if let Some(infer) = conflict.infer.as_deref_mut() {
            if aimed && !infer.conname.is_empty() {
                return Err(refuse(
                    "mask.write",
                    "ON CONFLICT ON CONSTRAINT on a relation with masked columns",
                    "list the columns of the constraint",
                ));
            }
            for element in &mut infer.index_elems {
                let Some(NodeEnum::IndexElem(element)) = element.node.as_mut() else {
                    return Err(unsupported("this kind of conflict target"));
                };
                if !element.opclass.is_empty() || !element.opclassopts.is_empty() {
                    return Err(unsupported("an operator class in ON CONFLICT"));
                }
                if self.is_protected(relation, &element.name) {
                    return Err(refuse(
                        "mask.write",
                        &format!("ON CONFLICT on the masked column {}", element.name),
                        "use another key",
                    ));
                }
                if !element.collation.is_empty() {
                    self.collation(&mut element.collation)?;
                }
                self.opt(&mut element.expr)?;
            }
            self.opt(&mut infer.where_clause)?;
        }
        if conflict.action() == OnConflictAction::OnconflictUpdate {
            self.passes_nothing_on(relation, &Fate::of(&conflict.target_list))?;
            // the row in the table is in sight under its own name, and the new one as `excluded`
            if let Some(target) = self.target.as_mut() {
                target.alone = false;
            }
            self.assignments(relation, &mut conflict.target_list)?;
        }
        self.opt(&mut conflict.where_clause)
    }
}

fn computed_value(relation: &Relation, column: &str) -> Refusal {
    refuse(
        "mask.write",
        &format!(
            "the masked column {}.{column} as a target of INSERT … SELECT from masked columns, with ON CONFLICT, or where \
             it is unique,",
            relation.full_name()
        ),
        "list the other columns, select from tables without masks, or insert literals and parameters with VALUES",
    )
}

/// Whether a value is a literal or a parameter.
pub(super) fn is_given(value: &Node) -> bool {
    match value.node.as_ref() {
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_given),
        Some(NodeEnum::AConst(_) | NodeEnum::ParamRef(_)) => true,
        _ => false,
    }
}

/// VALUES and nothing else.
pub(super) fn is_plain_values(select: &SelectStmt) -> bool {
    !select.values_lists.is_empty()
        && select.with_clause.is_none()
        && select.sort_clause.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && select.larg.is_none()
}
