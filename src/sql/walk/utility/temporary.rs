//! Temporary tables of the session's own.
//!
//! Job: let them be made from judged queries and definitions, altered and dropped, by a name that can mean nothing else.
//! Boundary: which there are is for the relay to follow ([`TemporaryChange`]). Failure mode: what is not known here is a
//! definition like any other, and refused.
//!
//! What is in such a table came through masks or from its client, and no other session reaches it, so reading it needs no
//! masks. That is so as long as nothing else writes there: a function that looks names up by the search path finds such a table
//! before the one that it means, and could put into it what it alone may read. So there are none where functions of users are
//! trusted, or run by event triggers. The definition itself must not run code of users that is not trusted: defaults, checks, generated columns and
//! expressions of indexes are walked like any expression, and types are judged like those of a cast.

use pg_query::protobuf::{
    AlterTableStmt, AlterTableType, ColumnDef, ConstrType, Constraint, CreateStmt, CreateTableAsStmt,
    DropStmt, IndexElem, IndexStmt, IntoClause, ObjectType, OnCommitAction, RangeVar, SelectStmt,
    TableLikeClause, TypeName, VacuumStmt,
};
use pg_query::{Node, NodeEnum};

use crate::sql::assess::Effect;
use crate::sql::facts::{MOST_COLUMNS, result_names};
use crate::sql::temporary::{TEMPORARY_SCHEMA, TemporaryChange, TemporaryTable};
use crate::sql::tree;
use crate::sql::walk::{Outcome, Walk, refuse, unsupported};

impl Walk<'_> {
    /// Judges what defines a temporary table; `false` where that is not what the statement does.
    pub(super) fn temporary(&mut self, node: &mut NodeEnum) -> Outcome<bool> {
        match node {
            NodeEnum::CreateStmt(create) if create.relation.as_ref().is_some_and(is_temporary) => {
                self.nobody_else_writes()?;
                self.create(create)
            }
            NodeEnum::CreateTableAsStmt(create)
                if create.objtype() == ObjectType::ObjectTable
                    && create.into.as_deref().is_some_and(makes_temporary) =>
            {
                self.nobody_else_writes()?;
                self.create_as(create)
            }
            NodeEnum::DropStmt(drop) if drop.remove_type() == ObjectType::ObjectTable => {
                return self.drop(drop);
            }
            NodeEnum::IndexStmt(index) if self.is_ours(index.relation.as_ref()) => self.index(index),
            NodeEnum::AlterTableStmt(alter)
                if alter.objtype() == ObjectType::ObjectTable && self.is_ours(alter.relation.as_ref()) =>
            {
                self.alter(alter)
            }
            NodeEnum::VacuumStmt(vacuum) => return self.analyze(vacuum),
            _ => return Ok(false),
        }?;
        self.writes = true;
        Ok(true)
    }

    /// `SELECT … INTO TEMPORARY`; `false` where nothing is made.
    pub(super) fn select_into(&mut self, select: &mut SelectStmt) -> Outcome<bool> {
        if !select.into_clause.as_deref().is_some_and(makes_temporary) {
            return Ok(false);
        }
        self.nobody_else_writes()?;
        let columns = result_names(select, &self.names);
        let mut into = select.into_clause.take();
        if let Some(into) = &mut into {
            self.made_of_query(into, columns, &mut false)?;
        }
        self.select(select)?;
        select.into_clause = into;
        self.writes = true;
        Ok(true)
    }

    /// Refuses temporary tables where code of users may find them.
    fn nobody_else_writes(&self) -> Outcome {
        let trusts = !self.scope.trusted_functions.is_empty();
        if !trusts && !self.scope.catalog.has_event_triggers() {
            return Ok(());
        }
        let what = if trusts { "trusted functions" } else { "event triggers" };
        Err(refuse(
            "mask.definition",
            &format!(
                "a temporary table, where {what} could write to it instead of the table that they mean,"
            ),
            "use a WITH query instead",
        ))
    }

    fn create_as(&mut self, create: &mut CreateTableAsStmt) -> Outcome {
        let Some(NodeEnum::SelectStmt(select)) =
            create.query.as_deref_mut().and_then(|query| query.node.as_mut())
        else {
            return Err(unsupported("CREATE TABLE AS EXECUTE"));
        };
        let columns = result_names(select, &self.names);
        if let Some(into) = create.into.as_deref_mut() {
            self.made_of_query(into, columns, &mut create.if_not_exists)?;
        }
        self.select(select)
    }

    fn made_of_query(
        &mut self,
        into: &mut IntoClause,
        columns: Option<Vec<String>>,
        keeps: &mut bool,
    ) -> Outcome {
        let plain = into.table_space_name.is_empty() && into.view_query.is_none();
        if !plain || !is_heap(&into.access_method) || !are_harmless(&into.options) {
            return Err(unsupported("this option of a temporary table"));
        }
        let renamed = into.col_names.iter().filter_map(tree::as_string).map(str::to_owned);
        let columns = columns.map(|columns| {
            let rest = columns.into_iter().skip(into.col_names.len());
            renamed.chain(rest).collect()
        });
        let on_commit = into.on_commit();
        let Some(name) = &mut into.rel else { return Err(unsupported("a table without a name")) };
        self.made(name, columns, keeps, on_commit)
    }

    fn create(&mut self, create: &mut CreateStmt) -> Outcome {
        let plain = create.inh_relations.is_empty()
            && create.partbound.is_none()
            && create.partspec.is_none()
            && create.of_typename.is_none()
            && create.constraints.is_empty()
            && create.nnconstraints.is_empty()
            && create.tablespacename.is_empty();
        if !plain || !is_heap(&create.access_method) || !are_harmless(&create.options) {
            return Err(unsupported("a temporary table that inherits, has partitions or options"));
        }
        let mut columns = Some(Vec::new());
        for element in &mut create.table_elts {
            match element.node.as_mut() {
                Some(NodeEnum::ColumnDef(column)) => {
                    if let Some(columns) = &mut columns {
                        columns.push(column.colname.clone());
                    }
                    self.column_definition(column)?;
                }
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint)?,
                Some(NodeEnum::TableLikeClause(like)) => {
                    let more = self.like(like)?;
                    columns = columns.zip(more).map(|(columns, more)| [columns, more].concat());
                }
                _ => return Err(unsupported("this part of a table's definition")),
            }
            if columns.as_ref().is_some_and(|columns| columns.len() > MOST_COLUMNS) {
                return Err(unsupported("a table of more than 1600 columns"));
            }
        }
        let on_commit = create.oncommit();
        let Some(name) = &mut create.relation else { return Err(unsupported("a table without a name")) };
        self.made(name, columns, &mut create.if_not_exists, on_commit)
    }

    fn made(
        &mut self,
        name: &mut RangeVar,
        columns: Option<Vec<String>>,
        keeps: &mut bool,
        on_commit: OnCommitAction,
    ) -> Outcome {
        if self.scope.temporary.is_full() {
            return Err(unsupported("more than 256 temporary tables"));
        }
        // what is there and not known, a sequence for example, is not taken for a table
        *keeps &= self.scope.temporary.has(&name.relname);
        // INVARIANT: it is made, read and changed by a name that only a temporary table can have
        name.schemaname = TEMPORARY_SCHEMA.into();
        self.facts.relations_written.insert(format!("{TEMPORARY_SCHEMA}.{}", name.relname));
        self.effect = Effect::Temporary(TemporaryChange::Made(TemporaryTable {
            name: name.relname.clone(),
            columns,
            keeps: *keeps,
            goes_with_transaction: on_commit == OnCommitAction::OncommitDrop,
        }));
        Ok(())
    }

    fn column_definition(&mut self, column: &mut ColumnDef) -> Outcome {
        let plain = column.compression.is_empty()
            && column.storage_name.is_empty()
            && column.raw_default.is_none()
            && column.cooked_default.is_none()
            && column.fdwoptions.is_empty();
        if !plain {
            return Err(unsupported("this option of a column"));
        }
        if let Some(name) = &mut column.type_name
            && !is_serial(name)
        {
            self.type_name(name)?;
        }
        if let Some(collate) = &mut column.coll_clause {
            self.collation(&mut collate.collname)?;
        }
        for constraint in &mut column.constraints {
            match constraint.node.as_mut() {
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint)?,
                _ => return Err(unsupported("this kind of constraint")),
            }
        }
        Ok(())
    }

    fn constraint(&mut self, constraint: &mut Constraint) -> Outcome {
        let plain = constraint.indexname.is_empty()
            && constraint.indexspace.is_empty()
            && constraint.access_method.is_empty()
            && constraint.where_clause.is_none();
        if !plain {
            return Err(unsupported("this option of a constraint"));
        }
        match constraint.contype() {
            ConstrType::ConstrDefault | ConstrType::ConstrGenerated | ConstrType::ConstrCheck => {
                self.opt(&mut constraint.raw_expr)
            }
            ConstrType::ConstrIdentity if are_of_sequence(&constraint.options) => Ok(()),
            ConstrType::ConstrPrimary | ConstrType::ConstrUnique if constraint.options.is_empty() => Ok(()),
            ConstrType::ConstrNull
            | ConstrType::ConstrNotnull
            | ConstrType::ConstrAttrDeferrable
            | ConstrType::ConstrAttrNotDeferrable
            | ConstrType::ConstrAttrDeferred
            | ConstrType::ConstrAttrImmediate
            | ConstrType::ConstrAttrEnforced
            | ConstrType::ConstrAttrNotEnforced => Ok(()),
            _ => Err(unsupported("a foreign key or EXCLUDE of a temporary table")),
        }
    }

    /// The columns that come from another relation. Its structure is no secret; what else is included is what it does by
    /// itself, which is judged like a change of it.
    fn like(&mut self, like: &mut TableLikeClause) -> Outcome<Option<Vec<String>>> {
        let Some(name) = &mut like.relation else { return Err(unsupported("LIKE of nothing")) };
        let relation = self.resolve(name)?;
        self.facts.relations_read.insert(relation.full_name());
        if like.options != 0 {
            if self.scope.protection.covers(relation.oid) {
                return Err(refuse(
                    "mask.definition",
                    &format!("LIKE {} INCLUDING …, which has masks or row filters,", relation.full_name()),
                    "leave INCLUDING out: the columns are made without it",
                ));
            }
            self.runs_nothing_untrusted(relation, false)?;
        }
        for column in &relation.columns {
            self.type_is_safe(&column.type_name.0, &column.type_name.1, 0)?;
        }
        // those of the server's own relations are not read
        let known = !relation.is_open && !relation.columns.is_empty();
        Ok(known.then(|| relation.columns.iter().map(|column| column.name.clone()).collect()))
    }

    /// All tables that are named must be temporary, or may be missing.
    fn drop(&mut self, drop: &mut DropStmt) -> Outcome<bool> {
        let mut dropped = Vec::with_capacity(drop.objects.len());
        for object in &drop.objects {
            let Some(NodeEnum::List(parts)) = &object.node else { return Ok(false) };
            let (schema, name) = match tree::strings(&parts.items).as_deref() {
                Some([name]) => ("", (*name).to_owned()),
                Some([TEMPORARY_SCHEMA, name]) => (TEMPORARY_SCHEMA, (*name).to_owned()),
                _ => return Ok(false),
            };
            match self.names.relation(schema, &name) {
                Some(relation) if relation.schema == TEMPORARY_SCHEMA => {}
                None if drop.missing_ok => {}
                _ => return Ok(false),
            }
            dropped.push(name);
        }
        for (object, name) in drop.objects.iter_mut().zip(&dropped) {
            if let Some(NodeEnum::List(parts)) = &mut object.node {
                parts.items = vec![tree::string(TEMPORARY_SCHEMA), tree::string(name)];
            }
            self.facts.relations_written.insert(format!("{TEMPORARY_SCHEMA}.{name}"));
        }
        self.writes = true;
        self.effect = Effect::Temporary(TemporaryChange::Dropped(dropped));
        Ok(true)
    }

    fn index(&mut self, index: &mut IndexStmt) -> Outcome {
        let plain = index.table_space.is_empty()
            && index.options.is_empty()
            && index.exclude_op_names.is_empty()
            && !index.concurrent;
        if !plain || !METHODS.contains(&index.access_method.as_str()) {
            return Err(unsupported("this option of an index"));
        }
        for element in index.index_params.iter_mut().chain(&mut index.index_including_params) {
            match element.node.as_mut() {
                Some(NodeEnum::IndexElem(element)) => self.index_element(element)?,
                _ => return Err(unsupported("this part of an index")),
            }
        }
        self.opt(&mut index.where_clause)?;
        self.redefined(index.relation.as_mut())
    }

    fn index_element(&mut self, element: &mut IndexElem) -> Outcome {
        self.opt(&mut element.expr)?;
        if !element.collation.is_empty() {
            self.collation(&mut element.collation)?;
        }
        let is_known = match tree::strings(&element.opclass).as_deref() {
            Some([]) => true,
            Some([name] | ["pg_catalog", name]) => OPERATOR_CLASSES.contains(name),
            _ => false,
        };
        if !is_known || !element.opclassopts.is_empty() {
            return Err(unsupported("this operator class of an index"));
        }
        if let Some(name) = element.opclass.last().and_then(tree::as_string).map(tree::string) {
            element.opclass = vec![tree::string("pg_catalog"), name];
        }
        Ok(())
    }

    fn alter(&mut self, alter: &mut AlterTableStmt) -> Outcome {
        for command in &mut alter.cmds {
            let Some(NodeEnum::AlterTableCmd(command)) = command.node.as_mut() else {
                return Err(unsupported("this kind of ALTER TABLE"));
            };
            let kind = command.subtype();
            if kind == AlterTableType::AtColumnDefault {
                self.opt(&mut command.def)?;
                continue;
            }
            let definition = command.def.as_deref_mut().and_then(|node| node.node.as_mut());
            match (kind, definition) {
                (AlterTableType::AtAddColumn, Some(NodeEnum::ColumnDef(column))) => {
                    self.column_definition(column)?;
                }
                (AlterTableType::AtAddConstraint, Some(NodeEnum::Constraint(constraint))) => {
                    self.constraint(constraint)?;
                }
                (
                    AlterTableType::AtDropColumn
                    | AlterTableType::AtDropConstraint
                    | AlterTableType::AtDropNotNull
                    | AlterTableType::AtSetNotNull,
                    None,
                ) => {}
                _ => return Err(unsupported("this kind of ALTER TABLE")),
            }
        }
        self.redefined(alter.relation.as_mut())
    }

    /// ANALYZE and VACUUM of nothing but temporary tables.
    fn analyze(&mut self, vacuum: &mut VacuumStmt) -> Outcome<bool> {
        let is_known = |option: &Node| {
            let known = tree::definition(option);
            known.is_some_and(|option| ["analyze", "freeze", "full"].contains(&option.defname.as_str()))
        };
        let own = vacuum.rels.iter().all(|relation| match &relation.node {
            Some(NodeEnum::VacuumRelation(relation)) => self.is_ours(relation.relation.as_ref()),
            _ => false,
        });
        if vacuum.rels.is_empty() || !own || !vacuum.options.iter().all(is_known) {
            return Ok(false);
        }
        for relation in &mut vacuum.rels {
            if let Some(NodeEnum::VacuumRelation(relation)) = relation.node.as_mut()
                && let Some(name) = &mut relation.relation
            {
                let known = self.resolve(name)?;
                self.facts.relations_written.insert(known.full_name());
            }
        }
        self.writes = true;
        Ok(true)
    }

    /// Whether it is a temporary table that is known.
    fn is_ours(&self, name: Option<&RangeVar>) -> bool {
        name.filter(|name| name.catalogname.is_empty())
            .and_then(|name| self.names.relation(&name.schemaname, &name.relname))
            .is_some_and(|relation| relation.schema == TEMPORARY_SCHEMA)
    }

    /// A temporary table whose definition changes.
    fn redefined(&mut self, name: Option<&mut RangeVar>) -> Outcome {
        let Some(name) = name else { return Err(unsupported("a table without a name")) };
        let relation = self.resolve(name)?;
        self.facts.relations_written.insert(relation.full_name());
        self.effect = Effect::Temporary(TemporaryChange::Altered(relation.name.clone()));
        Ok(())
    }
}

fn makes_temporary(into: &IntoClause) -> bool {
    into.rel.as_ref().is_some_and(is_temporary)
}

/// Whether a table of this name is made as a temporary one.
fn is_temporary(name: &RangeVar) -> bool {
    let by_word = name.relpersistence == "t" && name.schemaname.is_empty();
    name.catalogname.is_empty() && (by_word || name.schemaname == TEMPORARY_SCHEMA)
}

fn is_heap(method: &str) -> bool {
    method.is_empty() || method == "heap"
}

fn are_harmless(options: &[Node]) -> bool {
    let known = |name: &str| name == "fillfactor" || name.starts_with("autovacuum_");
    options.iter().all(|option| {
        tree::definition(option)
            .is_some_and(|option| option.defnamespace.is_empty() && known(&option.defname))
    })
}

fn are_of_sequence(options: &[Node]) -> bool {
    let known = ["start", "increment", "minvalue", "maxvalue", "cache", "cycle"];
    options
        .iter()
        .all(|option| tree::definition(option).is_some_and(|option| known.contains(&option.defname.as_str())))
}

/// PostgreSQL takes these for types before it looks for any, where they stand alone.
fn is_serial(name: &TypeName) -> bool {
    let serials = ["bigserial", "serial", "serial2", "serial4", "serial8", "smallserial"];
    let plain = name.typmods.is_empty() && name.array_bounds.is_empty() && !name.setof && !name.pct_type;
    plain && matches!(tree::strings(&name.names).as_deref(), Some([name]) if serials.contains(name))
}

const METHODS: &[&str] = &["", "brin", "btree", "gin", "gist", "hash", "spgist"];

const OPERATOR_CLASSES: &[&str] =
    &["bpchar_pattern_ops", "jsonb_ops", "jsonb_path_ops", "text_pattern_ops", "varchar_pattern_ops"];
