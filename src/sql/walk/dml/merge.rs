//! MERGE.
//!
//! Its target is read as that of an UPDATE with FROM: what stands bare of a protected column is its mask. New rows and new
//! values take what INSERT and UPDATE take, literals and parameters. Which rows match is decided by masks, so that they tell
//! no more than a query does.

use pg_query::protobuf::{CmdType, MergeMatchKind, MergeStmt, MergeWhenClause};
use pg_query::{Node, NodeEnum};

use super::referral::Fate;
use super::slice::Change;
use crate::sql::catalog::Relation;
use crate::sql::walk::{Outcome, Walk, unsupported};

impl<'a> Walk<'a> {
    pub(super) fn merge(&mut self, merge: &mut MergeStmt) -> Outcome {
        self.since(15, "MERGE")?;
        if let Some(with) = &mut merge.with_clause {
            self.with(with)?;
        }
        let Some(name) = merge.relation.as_mut() else { return Err(unsupported("MERGE without a table")) };
        let relation = self.changed(name, Change::Otherwise)?;
        self.passes_nothing_on(relation, &Fate::Any)?;
        let name = name.clone();
        if let Some(source) = merge.source_relation.as_deref_mut() {
            self.source(source)?;
        }
        self.aim(relation, &name, false, true);
        self.opt(&mut merge.join_condition)?;
        for clause in &mut merge.merge_when_clauses {
            let Some(NodeEnum::MergeWhenClause(clause)) = clause.node.as_mut() else {
                return Err(unsupported("this kind of WHEN clause"));
            };
            if clause.match_kind() == MergeMatchKind::MergeWhenNotMatchedBySource {
                self.since(17, "WHEN NOT MATCHED BY SOURCE")?;
            }
            self.opt(&mut clause.condition)?;
            match clause.command_type() {
                CmdType::CmdInsert => self.merged(relation, clause)?,
                CmdType::CmdUpdate => self.assignments(relation, &mut clause.target_list)?,
                CmdType::CmdDelete | CmdType::CmdNothing => {}
                _ => return Err(unsupported("this kind of WHEN clause")),
            }
        }
        if merge.returning_clause.is_some() {
            self.since(17, "MERGE … RETURNING")?;
        }
        self.returning(relation, &mut merge.returning_clause)
    }

    /// Judges what a new row gets.
    fn merged(&mut self, relation: &'a Relation, clause: &mut MergeWhenClause) -> Outcome {
        let mut named: Vec<(String, bool)> = Vec::with_capacity(clause.target_list.len());
        for column in &mut clause.target_list {
            let Some(NodeEnum::ResTarget(column)) = column.node.as_mut() else {
                return Err(unsupported("this kind of column list"));
            };
            self.indirection(&mut column.indirection)?;
            named.push((column.name.clone(), column.indirection.is_empty()));
        }
        if named.is_empty() {
            named = relation.columns.iter().map(|column| (column.name.clone(), true)).collect();
        }
        for ((column, whole), value) in named.iter().zip(&clause.values) {
            if self.is_protected(relation, column) {
                self.protected_value(relation, column, Some(value).filter(|_: &&Node| *whole))?;
            }
        }
        self.exprs(&mut clause.values)
    }
}
