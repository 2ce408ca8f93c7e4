//! Everything that is not SELECT, INSERT, UPDATE, DELETE or MERGE.

mod copy;
mod temporary;

use pg_query::protobuf::{DefElem, DiscardMode, DropBehavior, ExplainStmt, PrepareStmt, TransactionStmtKind};
use pg_query::{Node, NodeEnum};

use super::{Outcome, Refusal, Walk, refuse, unsupported};
use crate::domain::facts::StatementKind;
use crate::sql::assess::{Effect, TransactionStep};
use crate::sql::catalog::CalledBy;
use crate::sql::facts::{self, Mentions};
use crate::sql::temporary::TemporaryChange;
use crate::sql::tree;

impl Walk<'_> {
    /// Judges and rewrites one statement.
    pub(crate) fn statement(&mut self, node: &mut NodeEnum) -> Outcome {
        match node {
            NodeEnum::SelectStmt(select) => {
                if self.select_into(select)? || self.set_config(select)? {
                    Ok(())
                } else {
                    self.select(select)
                }
            }
            NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_) => self.modification(node),
            NodeEnum::CopyStmt(copy) => self.copy(copy),
            NodeEnum::ExplainStmt(explain) => self.explain(explain),
            NodeEnum::DeclareCursorStmt(cursor) => {
                match cursor.query.as_deref_mut().and_then(|query| query.node.as_mut()) {
                    Some(NodeEnum::SelectStmt(select)) => self.select(select),
                    _ => Err(unsupported("a cursor for this")),
                }
            }
            NodeEnum::PrepareStmt(prepare) => self.prepare(prepare),
            NodeEnum::ExecuteStmt(execute) => {
                self.writes = true;
                self.effect = Effect::Execute { name: execute.name.clone() };
                self.exprs(&mut execute.params)
            }
            NodeEnum::DeallocateStmt(deallocate) => {
                let name = (!deallocate.name.is_empty()).then(|| deallocate.name.clone());
                self.effect = Effect::Deallocate { name };
                Ok(())
            }
            NodeEnum::DiscardStmt(discard) => {
                match discard.target() {
                    DiscardMode::DiscardAll => self.effect = Effect::DiscardAll,
                    DiscardMode::DiscardTemp => self.effect = Effect::Temporary(TemporaryChange::Cleared),
                    _ => {}
                }
                Ok(())
            }
            NodeEnum::TransactionStmt(transaction) => {
                let name = || transaction.savepoint_name.clone();
                self.effect = Effect::Transaction(match transaction.kind() {
                    TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => {
                        TransactionStep::Begin
                    }
                    TransactionStmtKind::TransStmtCommit => TransactionStep::Commit,
                    TransactionStmtKind::TransStmtRollback => TransactionStep::Rollback,
                    TransactionStmtKind::TransStmtSavepoint => TransactionStep::Savepoint(name()),
                    TransactionStmtKind::TransStmtRelease => TransactionStep::Release(name()),
                    TransactionStmtKind::TransStmtRollbackTo => TransactionStep::RollbackTo(name()),
                    TransactionStmtKind::TransStmtPrepare
                    | TransactionStmtKind::TransStmtCommitPrepared
                    | TransactionStmtKind::TransStmtRollbackPrepared
                    | TransactionStmtKind::Undefined => return Err(unsupported("a two-phase commit")),
                });
                Ok(())
            }
            NodeEnum::VariableSetStmt(set) => self.set(set),
            NodeEnum::TruncateStmt(truncate) => {
                self.writes = true;
                let filtered = self.scope.protection.filtered().next().is_some();
                if filtered && truncate.behavior() == DropBehavior::DropCascade {
                    return Err(refuse(
                        "mask.filter",
                        "TRUNCATE … CASCADE on a target with row filters",
                        "name each table, and leave CASCADE out",
                    ));
                }
                if truncate.behavior() == DropBehavior::DropCascade {
                    self.cascades_safely()?;
                }
                self.named_relations(&mut truncate.relations)
            }
            NodeEnum::LockStmt(lock) => {
                self.writes = true;
                self.named_relations(&mut lock.relations)
            }
            NodeEnum::VariableShowStmt(_)
            | NodeEnum::FetchStmt(_)
            | NodeEnum::ClosePortalStmt(_)
            | NodeEnum::ListenStmt(_)
            | NodeEnum::UnlistenStmt(_)
            | NodeEnum::NotifyStmt(_)
            | NodeEnum::ConstraintsSetStmt(_) => Ok(()),
            other => {
                if self.temporary(other)? {
                    Ok(())
                } else {
                    Err(self.definition(other))
                }
            }
        }
    }

    /// Refuses to truncate what is not named where triggers could run that nobody trusts.
    fn cascades_safely(&self) -> Outcome {
        let calls = self.scope.catalog.relations().flat_map(|relation| &relation.calls);
        let mut truncated = calls.filter(|call| call.by == CalledBy::Truncate);
        match truncated.find(|call| !self.trusts_full(&call.function)) {
            Some(call) => Err(refuse(
                "mask.function",
                &format!("TRUNCATE … CASCADE, where that of some table calls {},", call.function),
                "name each table, and leave CASCADE out",
            )),
            None => Ok(()),
        }
    }

    fn named_relations(&mut self, relations: &mut [Node]) -> Outcome {
        for relation in relations {
            let Some(NodeEnum::RangeVar(name)) = relation.node.as_mut() else {
                return Err(unsupported("this kind of relation name"));
            };
            self.changed_relation(name)?;
        }
        Ok(())
    }

    /// EXPLAIN shows estimates, which come from statistics; where masked columns are involved only the plan's
    /// shape stays.
    fn explain(&mut self, explain: &mut ExplainStmt) -> Outcome {
        let analyzed = facts::is_analyzed(&explain.options);
        let Some(inner) = explain.query.as_deref_mut().and_then(|query| query.node.as_mut()) else {
            return Err(unsupported("EXPLAIN of nothing"));
        };
        match inner {
            // it would be explained and not made
            NodeEnum::SelectStmt(select) if select.into_clause.is_some() => {
                return Err(refuse("mask.definition", "EXPLAIN of SELECT INTO", "leave INTO out"));
            }
            NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_)
            | NodeEnum::DeclareCursorStmt(_) => {}
            _ => return Err(unsupported("EXPLAIN of this kind of statement")),
        }
        let kind = facts::outline(inner).kind;
        self.statement(inner)?;
        if analyzed {
            self.facts.kind = self.facts.kind.max(kind);
        } else {
            self.writes = false;
        }
        if !self.touched {
            return Ok(());
        }
        if self.fenced {
            return Err(refuse(
                "mask.explain",
                "EXPLAIN on relations with row filters",
                "run the statement: its plan would tell how many rows there are beside yours",
            ));
        }
        if analyzed {
            return Err(refuse(
                "mask.explain",
                "EXPLAIN ANALYZE on relations with masked columns",
                "leave ANALYZE out: the plan is shown without costs",
            ));
        }
        explain.options.retain(|option| {
            tree::definition(option)
                .is_some_and(|option| matches!(option.defname.as_str(), "format" | "generic_plan"))
        });
        explain.options.push(tree::node(NodeEnum::DefElem(Box::new(DefElem {
            defname: "costs".into(),
            arg: tree::boxed(NodeEnum::String(pg_query::protobuf::String { sval: "off".into() })),
            defaction: pg_query::protobuf::DefElemAction::DefelemUnspec as i32,
            ..DefElem::default()
        }))));
        Ok(())
    }

    fn prepare(&mut self, prepare: &mut PrepareStmt) -> Outcome {
        for argument in &mut prepare.argtypes {
            match argument.node.as_mut() {
                Some(NodeEnum::TypeName(name)) => self.type_name(name)?,
                _ => return Err(unsupported("this kind of parameter type")),
            }
        }
        match prepare.query.as_deref_mut().and_then(|query| query.node.as_mut()) {
            Some(
                inner @ (NodeEnum::SelectStmt(_)
                | NodeEnum::InsertStmt(_)
                | NodeEnum::UpdateStmt(_)
                | NodeEnum::DeleteStmt(_)
                | NodeEnum::MergeStmt(_)),
            ) => {
                let outcome = match inner {
                    NodeEnum::SelectStmt(select) => self.select(select),
                    other => self.modification(other),
                };
                self.effect = Effect::Prepare { name: prepare.name.clone() };
                outcome
            }
            _ => Err(unsupported("PREPARE of this kind of statement")),
        }
    }

    /// What defines, drops or grants is refused on a target with masks; on protected and on our own objects, and
    /// on roles, it is also an attempt at them.
    fn definition(&self, node: &NodeEnum) -> Refusal {
        let outline = facts::outline(node);
        let verb = outline.verb.to_uppercase();
        let words = Mentions::of(node).words;
        let protected =
            self.scope.protection.relations().filter_map(|oid| self.scope.catalog.relation_by_oid(oid));
        let named =
            words.contains("hoopctl") || protected.into_iter().any(|relation| words.contains(&relation.name));
        let roles = matches!(
            node,
            NodeEnum::GrantRoleStmt(_)
                | NodeEnum::CreateRoleStmt(_)
                | NodeEnum::AlterRoleStmt(_)
                | NodeEnum::AlterRoleSetStmt(_)
                | NodeEnum::DropRoleStmt(_)
                | NodeEnum::AlterSystemStmt(_)
        );
        if outline.kind == StatementKind::Definition && (named || roles) {
            return refuse(
                "policy.tamper",
                &format!("{verb} on protected objects or roles"),
                "ask the operator of this target; this attempt is on record",
            );
        }
        match outline.kind {
            StatementKind::Code => refuse("mask.code", &verb, "code of the server can read what is masked"),
            _ => refuse(
                "mask.definition",
                &verb,
                "changes of the schema need a target without masks; temporary tables can be made",
            ),
        }
    }
}

/// Whether a statement can hold a secret in its text: `PASSWORD '…'`, user mappings, subscriptions.
pub(crate) fn is_secret_bearing(node: &NodeEnum) -> bool {
    matches!(
        node,
        NodeEnum::CreateRoleStmt(_)
            | NodeEnum::AlterRoleStmt(_)
            | NodeEnum::CreateUserMappingStmt(_)
            | NodeEnum::AlterUserMappingStmt(_)
            | NodeEnum::CreateForeignServerStmt(_)
            | NodeEnum::AlterForeignServerStmt(_)
            | NodeEnum::CreateSubscriptionStmt(_)
            | NodeEnum::AlterSubscriptionStmt(_)
            | NodeEnum::DoStmt(_)
            | NodeEnum::CreateFunctionStmt(_)
    )
}
