//! INSERT, UPDATE, DELETE and MERGE.
//!
//! Their target cannot be a subquery, so its columns stand bare in their expressions. Where the target
//! is protected, each reference to a protected column becomes its mask, if it certainly means that column, and
//! is refused if it might. Rows behind a filter are changed through a view of the broker's. Protected columns may be assigned constants and parameters only.

mod consequence;
mod document;
mod insert;
mod merge;
mod reference;
mod referral;
mod single;
mod slice;

use pg_query::protobuf::{DeleteStmt, RangeVar, ReturningClause, UpdateStmt, a_const};
use pg_query::{Node, NodeEnum};

use self::referral::Fate;
pub(super) use self::slice::Change;
use super::{Outcome, Target, Walk, refuse, unsupported};
use crate::sql::catalog::{Kind, Relation};
use crate::sql::protect::{BROKER_SCHEMA, Protection, lineage};
use crate::sql::tree;

impl<'a> Walk<'a> {
    /// A statement that changes rows, alone or in a WITH query.
    pub(super) fn modification(&mut self, node: &mut NodeEnum) -> Outcome {
        let sight = self.ctes.len();
        let (target, inside) = (self.target.take(), std::mem::take(&mut self.inside));
        self.writes = true;
        let outcome = match node {
            NodeEnum::InsertStmt(insert) => self.insert(insert),
            NodeEnum::UpdateStmt(update) => self.update(update),
            NodeEnum::DeleteStmt(delete) => self.delete(delete),
            NodeEnum::MergeStmt(merge) => self.merge(merge),
            other => Err(self.unknown(other)),
        };
        self.target = target;
        self.inside = inside;
        self.ctes.truncate(sight);
        outcome
    }

    /// Judges the relation that is changed.
    pub(super) fn changed(&mut self, name: &mut RangeVar, change: Change) -> Outcome<&'a Relation> {
        if self.names.relation(&name.schemaname, &name.relname).is_some_and(|own| own.schema == BROKER_SCHEMA)
        {
            return Err(refuse(
                "policy.tamper",
                "a change of the broker's own objects",
                "ask the operator of this target; this attempt is on record",
            ));
        }
        let relation = self.resolve(name)?;
        let full = relation.full_name();
        self.facts.relations_written.insert(full.clone());
        if self.scope.protection.covers(relation.oid) {
            self.touched = true;
        }
        self.slice_can_change(relation, name, change)?;
        match relation.kind {
            Kind::Table => {}
            Kind::View if !self.scope.protection.covers(relation.oid) => self.changed_view(relation, name)?,
            _ => return Err(refuse("mask.write", &format!("a change of {full}"), "change a table")),
        }
        if relation.schema == "pg_catalog" || relation.schema == "information_schema" {
            return Err(refuse(
                "policy.tamper",
                &format!("a change of the catalog {full}"),
                "nothing may do that",
            ));
        }
        self.rows_tell_nothing(relation)?;
        // a partitioned table has its rows below, and ONLY leaves those out
        self.runs_nothing_untrusted(relation, name.inh)?;
        self.through_view(relation, name);
        Ok(relation)
    }

    /// Judges a view whose rows are changed: those of what it reads.
    fn changed_view(&mut self, view: &Relation, name: &RangeVar) -> Outcome {
        let touched = std::mem::replace(&mut self.touched, false);
        let read = std::mem::take(&mut self.facts.relations_read);
        let judged = self.read(&mut name.clone());
        let behind = self.behind(view);
        self.facts.relations_read.extend(read);
        judged?;
        if std::mem::replace(&mut self.touched, touched) {
            return Err(refuse(
                "mask.write",
                &format!("a change through the view {}", view.full_name()),
                "change its table",
            ));
        }
        behind.into_iter().try_for_each(|other| self.runs_nothing_untrusted(other, true))
    }

    /// The table whose rows a view's are, or all that has been read so far where that is not seen at once.
    fn behind(&self, view: &Relation) -> Vec<&'a Relation> {
        let catalog = self.scope.catalog;
        if let Some(table) = lineage::base(catalog, view.oid) {
            return vec![table];
        }
        let read = |other: &&Relation| {
            other.oid != view.oid && self.facts.relations_read.contains(&other.full_name())
        };
        catalog.relations().filter(read).collect()
    }

    /// From here on the relation's columns may stand bare in expressions, if it is protected.
    fn aim(&mut self, relation: &'a Relation, name: &RangeVar, alone: bool, substitute: bool) {
        self.inside = 0;
        self.target = self.scope.protection.covers(relation.oid).then(|| Target {
            relation,
            name: name.alias.as_ref().map_or_else(|| name.relname.clone(), |alias| alias.aliasname.clone()),
            alone,
            substitute,
        });
    }

    fn update(&mut self, update: &mut UpdateStmt) -> Outcome {
        if let Some(with) = &mut update.with_clause {
            self.with(with)?;
        }
        let Some(name) = update.relation.as_mut() else { return Err(unsupported("UPDATE without a table")) };
        let relation = self.changed(name, Change::Rows)?;
        self.passes_nothing_on(relation, &Fate::of(&update.target_list))?;
        let name = name.clone();
        self.sources(&mut update.from_clause)?;
        self.aim(relation, &name, update.from_clause.is_empty(), true);
        self.assignments(relation, &mut update.target_list)?;
        self.condition(&mut update.where_clause)?;
        self.within_slice(relation, &name, &mut update.where_clause);
        self.returning(relation, &mut update.returning_clause)
    }

    fn delete(&mut self, delete: &mut DeleteStmt) -> Outcome {
        if let Some(with) = &mut delete.with_clause {
            self.with(with)?;
        }
        let Some(name) = delete.relation.as_mut() else { return Err(unsupported("DELETE without a table")) };
        let relation = self.changed(name, Change::Rows)?;
        self.passes_nothing_on(relation, &Fate::Deleted)?;
        let name = name.clone();
        self.sources(&mut delete.using_clause)?;
        self.aim(relation, &name, delete.using_clause.is_empty(), true);
        self.condition(&mut delete.where_clause)?;
        self.within_slice(relation, &name, &mut delete.where_clause);
        self.returning(relation, &mut delete.returning_clause)
    }

    fn sources(&mut self, items: &mut [Node]) -> Outcome {
        items.iter_mut().try_for_each(|item| self.source(item))
    }

    fn condition(&mut self, condition: &mut Option<Box<Node>>) -> Outcome {
        if let Some(NodeEnum::CurrentOfExpr(_)) = condition.as_deref().and_then(|node| node.node.as_ref()) {
            return match self.target {
                Some(_) => Err(refuse("mask.write", "WHERE CURRENT OF", "name the rows by their key")),
                None => Ok(()),
            };
        }
        self.opt(condition)
    }

    /// `SET column = value, …`
    fn assignments(&mut self, relation: &'a Relation, assignments: &mut [Node]) -> Outcome {
        let mut source = None;
        for assignment in assignments {
            let Some(NodeEnum::ResTarget(assignment)) = assignment.node.as_mut() else {
                return Err(unsupported("this kind of assignment"));
            };
            self.indirection(&mut assignment.indirection)?;
            if self.is_protected(relation, &assignment.name) {
                let whole = assignment.indirection.is_empty();
                let value = assignment.val.as_deref_mut().filter(|_| whole);
                if self.adds_to_document(relation, &assignment.name, value)? {
                    continue;
                }
                let value = assignment.val.as_deref();
                self.protected_value(relation, &assignment.name, value.filter(|_| whole))?;
            }
            match assignment.val.as_deref_mut().and_then(|value| value.node.as_mut()) {
                // every column of `(a, b) = …` has a copy of the one source, written with the first
                Some(NodeEnum::MultiAssignRef(multiple)) if multiple.colno > 1 => {
                    multiple.source.clone_from(&source);
                }
                Some(NodeEnum::MultiAssignRef(multiple)) => {
                    self.opt(&mut multiple.source)?;
                    source.clone_from(&multiple.source);
                }
                _ => self.opt(&mut assignment.val)?,
            }
        }
        Ok(())
    }

    fn is_protected(&self, relation: &Relation, column: &str) -> bool {
        relation
            .column(column)
            .is_some_and(|column| self.scope.protection.is_protected(relation.oid, column.number))
    }

    /// Judges what is assigned to a protected column: a constant, a parameter or DEFAULT, and not what a mask
    /// gives out; and not at all where a constraint or trigger could tell something about it.
    fn protected_value(&mut self, relation: &'a Relation, column: &str, value: Option<&Node>) -> Outcome {
        let full = format!("{}.{column}", relation.full_name());
        self.takes_values(relation, column)?;
        let mut inner = value.and_then(|value| value.node.as_ref());
        while let Some(NodeEnum::TypeCast(cast)) = inner {
            inner = cast.arg.as_deref().and_then(|arg| arg.node.as_ref());
        }
        match inner {
            Some(NodeEnum::AConst(constant)) => match &constant.val {
                Some(a_const::Val::Sval(text)) if Protection::is_mask_output(&text.sval) => Err(refuse(
                    "mask.write",
                    &format!("the mask itself as a value for {full}"),
                    "leave the column out: writing the mask would destroy the value",
                )),
                _ => Ok(()),
            },
            Some(NodeEnum::ParamRef(parameter)) => {
                self.protected_parameters.insert(parameter.number);
                Ok(())
            }
            Some(NodeEnum::SetToDefault(_)) => Ok(()),
            _ => Err(refuse(
                "mask.write",
                &format!("a computed value for the masked column {full}"),
                "assign a literal or a parameter, or leave the column out",
            )),
        }
    }

    fn returning(&mut self, relation: &Relation, clause: &mut Option<ReturningClause>) -> Outcome {
        let Some(clause) = clause else { return Ok(()) };
        if !clause.options.is_empty() {
            self.since(18, "RETURNING WITH")?;
            if self.target.is_some() {
                return Err(unsupported("RETURNING WITH on a relation with masked columns"));
            }
        }
        if self.target.is_some() {
            clause.exprs = self.expanded(relation, std::mem::take(&mut clause.exprs))?;
        }
        self.exprs(&mut clause.exprs)
    }

    /// RETURNING with its stars spelled out, and each column under the name it would have had.
    fn expanded(&self, relation: &Relation, exprs: Vec<Node>) -> Outcome<Vec<Node>> {
        let Some(target) = &self.target else { return Ok(exprs) };
        let mut expanded = Vec::with_capacity(exprs.len());
        for mut expr in exprs {
            let Some(NodeEnum::ResTarget(result)) = expr.node.as_mut() else {
                return Err(unsupported("this kind of RETURNING"));
            };
            let Some(NodeEnum::ColumnRef(reference)) =
                result.val.as_deref().and_then(|value| value.node.as_ref())
            else {
                expanded.push(expr);
                continue;
            };
            let star =
                reference.fields.last().is_some_and(|field| matches!(field.node, Some(NodeEnum::AStar(_))));
            let ours = match reference.fields.as_slice() {
                [_] => target.alone,
                [qualifier, _] => tree::as_string(qualifier) == Some(&target.name),
                _ => false,
            };
            if star && ours {
                expanded.extend(
                    relation.columns.iter().map(|column| {
                        tree::target(&column.name, tree::column(&[&target.name, &column.name]))
                    }),
                );
                continue;
            }
            if result.name.is_empty()
                && let Some(name) = reference.fields.last().and_then(tree::as_string)
            {
                result.name = name.into();
            }
            expanded.push(expr);
        }
        Ok(expanded)
    }
}
