//! What a statement is called, and what kind of thing it does.

use pg_query::NodeEnum;
use pg_query::protobuf::{DiscardMode, ObjectType, TransactionStmtKind, VariableSetKind};

use crate::domain::facts::StatementKind::{
    self, Code, Definition, Read, Session, Transaction, Unknown, Write,
};

/// The command in lower case, and its kind.
pub(crate) fn of(node: &NodeEnum) -> (&'static str, StatementKind) {
    match node {
        NodeEnum::SelectStmt(select) if select.into_clause.is_some() => ("select into", Definition),
        NodeEnum::SelectStmt(_) => ("select", Read),
        NodeEnum::InsertStmt(_) => ("insert", Write),
        NodeEnum::UpdateStmt(_) => ("update", Write),
        NodeEnum::DeleteStmt(_) => ("delete", Write),
        NodeEnum::MergeStmt(_) => ("merge", Write),
        NodeEnum::TruncateStmt(_) => ("truncate", Write),
        NodeEnum::CopyStmt(copy) if copy.is_from => ("copy", Write),
        NodeEnum::CopyStmt(_) => ("copy", Read),
        NodeEnum::ExplainStmt(_) => ("explain", Read),
        NodeEnum::DeclareCursorStmt(_) => ("declare cursor", Read),
        NodeEnum::PrepareStmt(prepare) => {
            match prepare.query.as_deref().and_then(|query| query.node.as_ref()) {
                Some(inner) => ("prepare", of(inner).1),
                None => ("prepare", Unknown),
            }
        }
        // what it runs is known to whoever kept the prepared statement's facts
        NodeEnum::ExecuteStmt(_) => ("execute", Unknown),
        NodeEnum::TransactionStmt(transaction) => (transaction_verb(transaction.kind()), Transaction),
        NodeEnum::VariableSetStmt(set) => match set.kind() {
            VariableSetKind::VarReset | VariableSetKind::VarResetAll => ("reset", Session),
            _ => ("set", Session),
        },
        NodeEnum::VariableShowStmt(_) => ("show", Session),
        NodeEnum::FetchStmt(fetch) => (if fetch.ismove { "move" } else { "fetch" }, Session),
        NodeEnum::ClosePortalStmt(_) => ("close", Session),
        NodeEnum::DeallocateStmt(_) => ("deallocate", Session),
        NodeEnum::DiscardStmt(discard) => match discard.target() {
            DiscardMode::DiscardTemp => ("discard", Definition),
            _ => ("discard", Session),
        },
        NodeEnum::ListenStmt(_) => ("listen", Session),
        NodeEnum::UnlistenStmt(_) => ("unlisten", Session),
        NodeEnum::NotifyStmt(_) => ("notify", Session),
        NodeEnum::ConstraintsSetStmt(_) => ("set constraints", Session),
        NodeEnum::LockStmt(_) => ("lock", Session),
        NodeEnum::CallStmt(_) => ("call", Code),
        NodeEnum::DoStmt(_) => ("do", Code),
        NodeEnum::LoadStmt(_) => ("load", Code),
        NodeEnum::VacuumStmt(vacuum) => (if vacuum.is_vacuumcmd { "vacuum" } else { "analyze" }, Definition),
        NodeEnum::CheckPointStmt(_) => ("checkpoint", Definition),
        _ => definition(node),
    }
}

fn transaction_verb(kind: TransactionStmtKind) -> &'static str {
    match kind {
        TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => "begin",
        TransactionStmtKind::TransStmtCommit => "commit",
        TransactionStmtKind::TransStmtRollback => "rollback",
        TransactionStmtKind::TransStmtSavepoint => "savepoint",
        TransactionStmtKind::TransStmtRelease => "release",
        TransactionStmtKind::TransStmtRollbackTo => "rollback to",
        TransactionStmtKind::TransStmtPrepare => "prepare transaction",
        TransactionStmtKind::TransStmtCommitPrepared => "commit prepared",
        TransactionStmtKind::TransStmtRollbackPrepared => "rollback prepared",
        TransactionStmtKind::Undefined => "transaction",
    }
}

fn definition(node: &NodeEnum) -> (&'static str, StatementKind) {
    let verb = match node {
        NodeEnum::DropStmt(drop) => return (drop_verb(drop.remove_type()), Definition),
        NodeEnum::CreateStmt(_) => "create table",
        NodeEnum::CreateTableAsStmt(make) if make.objtype() == ObjectType::ObjectMatview => {
            "create materialized view"
        }
        NodeEnum::CreateTableAsStmt(_) => "create table as",
        NodeEnum::ViewStmt(_) => "create view",
        NodeEnum::IndexStmt(_) => "create index",
        NodeEnum::CreateFunctionStmt(_) => "create function",
        NodeEnum::CreateSchemaStmt(_) => "create schema",
        NodeEnum::CreateRoleStmt(_) => "create role",
        NodeEnum::CreateTrigStmt(_) => "create trigger",
        NodeEnum::RuleStmt(_) => "create rule",
        NodeEnum::CreatePolicyStmt(_) => "create policy",
        NodeEnum::CreateExtensionStmt(_) => "create extension",
        NodeEnum::CreateSeqStmt(_) => "create sequence",
        NodeEnum::CreatedbStmt(_) => "create database",
        NodeEnum::AlterTableStmt(_) => "alter table",
        NodeEnum::AlterRoleStmt(_) | NodeEnum::AlterRoleSetStmt(_) => "alter role",
        NodeEnum::AlterDatabaseStmt(_) | NodeEnum::AlterDatabaseSetStmt(_) => "alter database",
        NodeEnum::AlterFunctionStmt(_) => "alter function",
        NodeEnum::AlterOwnerStmt(_) => "alter owner",
        NodeEnum::AlterSystemStmt(_) => "alter system",
        NodeEnum::AlterDefaultPrivilegesStmt(_) => "alter default privileges",
        NodeEnum::RenameStmt(_) => "rename",
        NodeEnum::DropRoleStmt(_) => "drop role",
        NodeEnum::DropdbStmt(_) => "drop database",
        NodeEnum::DropOwnedStmt(_) => "drop owned",
        NodeEnum::DropTableSpaceStmt(_) => "drop tablespace",
        NodeEnum::ReassignOwnedStmt(_) => "reassign owned",
        NodeEnum::GrantStmt(grant) => {
            if grant.is_grant {
                "grant"
            } else {
                "revoke"
            }
        }
        NodeEnum::GrantRoleStmt(grant) => {
            if grant.is_grant {
                "grant role"
            } else {
                "revoke role"
            }
        }
        NodeEnum::CommentStmt(_) => "comment",
        NodeEnum::SecLabelStmt(_) => "security label",
        NodeEnum::RefreshMatViewStmt(_) => "refresh materialized view",
        NodeEnum::ReindexStmt(_) => "reindex",
        NodeEnum::ClusterStmt(_) => "cluster",
        NodeEnum::ImportForeignSchemaStmt(_) => "import foreign schema",
        _ => return other(node),
    };
    (verb, Definition)
}

/// Everything else that the grammar knows makes or alters something.
fn other(node: &NodeEnum) -> (&'static str, StatementKind) {
    let debug = variant(node);
    if debug.starts_with("Create") || debug.starts_with("Define") || debug.starts_with("Composite") {
        ("create", Definition)
    } else if debug.starts_with("Alter") {
        ("alter", Definition)
    } else if debug.starts_with("Drop") {
        ("drop", Definition)
    } else {
        ("other", Unknown)
    }
}

/// The name of a node's kind.
pub(crate) fn variant(node: &NodeEnum) -> String {
    struct First(String);
    impl crate::sql::tree::Visitor for First {
        fn enter(&mut self, name: &'static str, _: &[(&'static str, &'static str)]) {
            if self.0.is_empty() {
                self.0 = name.into();
            }
        }
        fn text(&mut self, _: &str, _: &[(&'static str, &'static str)]) {}
        fn leave(&mut self, _: &'static str, _: &[(&'static str, &'static str)]) {}
    }
    let mut first = First(String::new());
    crate::sql::tree::visit(node, &mut first);
    first.0
}

fn drop_verb(kind: ObjectType) -> &'static str {
    match kind {
        ObjectType::ObjectTable => "drop table",
        ObjectType::ObjectView => "drop view",
        ObjectType::ObjectMatview => "drop materialized view",
        ObjectType::ObjectSchema => "drop schema",
        ObjectType::ObjectIndex => "drop index",
        ObjectType::ObjectSequence => "drop sequence",
        ObjectType::ObjectFunction => "drop function",
        ObjectType::ObjectProcedure => "drop procedure",
        ObjectType::ObjectTrigger => "drop trigger",
        ObjectType::ObjectPolicy => "drop policy",
        ObjectType::ObjectExtension => "drop extension",
        ObjectType::ObjectType => "drop type",
        _ => "drop",
    }
}

/// What a definition statement of this verb does.
pub(super) fn deed(verb: &str) -> &'static str {
    match verb.split(' ').next().unwrap_or_default() {
        "comment" | "security" => "comment",
        // SELECT INTO
        "create" | "import" | "select" => "create",
        "discard" | "drop" => "drop",
        "grant" => "grant",
        "analyze" | "checkpoint" | "cluster" | "refresh" | "reindex" | "vacuum" => "maintain",
        "rename" => "rename",
        "revoke" => "revoke",
        _ => "alter",
    }
}

/// The kind of object that a definition statement touches.
pub(crate) fn object(node: &NodeEnum) -> Option<String> {
    let kind = match node {
        NodeEnum::DropStmt(drop) => drop.remove_type(),
        NodeEnum::AlterTableStmt(alter) => alter.objtype(),
        NodeEnum::CommentStmt(comment) => comment.objtype(),
        NodeEnum::RenameStmt(rename) => rename.rename_type(),
        NodeEnum::AlterOwnerStmt(alter) => alter.object_type(),
        NodeEnum::AlterObjectSchemaStmt(alter) => alter.object_type(),
        NodeEnum::SecLabelStmt(label) => label.objtype(),
        NodeEnum::GrantStmt(grant) => grant.objtype(),
        NodeEnum::CreateStmt(_) | NodeEnum::TruncateStmt(_) | NodeEnum::LockStmt(_) => {
            ObjectType::ObjectTable
        }
        NodeEnum::SelectStmt(select) if select.into_clause.is_some() => ObjectType::ObjectTable,
        NodeEnum::CreateTableAsStmt(make) => make.objtype(),
        NodeEnum::DefineStmt(make) => make.kind(),
        NodeEnum::CompositeTypeStmt(_)
        | NodeEnum::CreateEnumStmt(_)
        | NodeEnum::CreateRangeStmt(_)
        | NodeEnum::AlterEnumStmt(_)
        | NodeEnum::AlterTypeStmt(_) => ObjectType::ObjectType,
        NodeEnum::CreateDomainStmt(_) | NodeEnum::AlterDomainStmt(_) => ObjectType::ObjectDomain,
        NodeEnum::CreateCastStmt(_) => ObjectType::ObjectCast,
        NodeEnum::CreateFdwStmt(_) | NodeEnum::AlterFdwStmt(_) => ObjectType::ObjectFdw,
        NodeEnum::CreateForeignServerStmt(_) | NodeEnum::AlterForeignServerStmt(_) => {
            ObjectType::ObjectForeignServer
        }
        NodeEnum::CreateForeignTableStmt(_) => ObjectType::ObjectForeignTable,
        NodeEnum::CreateUserMappingStmt(_)
        | NodeEnum::AlterUserMappingStmt(_)
        | NodeEnum::DropUserMappingStmt(_) => ObjectType::ObjectUserMapping,
        NodeEnum::CreatePublicationStmt(_) | NodeEnum::AlterPublicationStmt(_) => {
            ObjectType::ObjectPublication
        }
        NodeEnum::CreateSubscriptionStmt(_)
        | NodeEnum::AlterSubscriptionStmt(_)
        | NodeEnum::DropSubscriptionStmt(_) => ObjectType::ObjectSubscription,
        NodeEnum::CreateTableSpaceStmt(_) | NodeEnum::DropTableSpaceStmt(_) => ObjectType::ObjectTablespace,
        NodeEnum::CreateEventTrigStmt(_) | NodeEnum::AlterEventTrigStmt(_) => ObjectType::ObjectEventTrigger,
        NodeEnum::CreateStatsStmt(_) => ObjectType::ObjectStatisticExt,
        NodeEnum::ViewStmt(_) => ObjectType::ObjectView,
        NodeEnum::IndexStmt(_) | NodeEnum::ReindexStmt(_) => ObjectType::ObjectIndex,
        NodeEnum::CreateFunctionStmt(_) | NodeEnum::AlterFunctionStmt(_) => ObjectType::ObjectFunction,
        NodeEnum::CreateSchemaStmt(_) => ObjectType::ObjectSchema,
        NodeEnum::CreateTrigStmt(_) => ObjectType::ObjectTrigger,
        NodeEnum::CreatePolicyStmt(_) | NodeEnum::AlterPolicyStmt(_) => ObjectType::ObjectPolicy,
        NodeEnum::CreateExtensionStmt(_) | NodeEnum::AlterExtensionStmt(_) => ObjectType::ObjectExtension,
        NodeEnum::CreateSeqStmt(_) | NodeEnum::AlterSeqStmt(_) => ObjectType::ObjectSequence,
        NodeEnum::CreateRoleStmt(_)
        | NodeEnum::AlterRoleStmt(_)
        | NodeEnum::AlterRoleSetStmt(_)
        | NodeEnum::DropRoleStmt(_)
        | NodeEnum::GrantRoleStmt(_) => ObjectType::ObjectRole,
        NodeEnum::CreatedbStmt(_)
        | NodeEnum::DropdbStmt(_)
        | NodeEnum::AlterDatabaseStmt(_)
        | NodeEnum::AlterDatabaseSetStmt(_) => ObjectType::ObjectDatabase,
        NodeEnum::RuleStmt(_) => ObjectType::ObjectRule,
        NodeEnum::RefreshMatViewStmt(_) => ObjectType::ObjectMatview,
        _ => return None,
    };
    let name = kind.as_str_name();
    Some(name.strip_prefix("OBJECT_").unwrap_or(name).to_lowercase().replace('_', " "))
}
