//! SELECT, VALUES, set operations, WITH, and everything that can stand in FROM.

use pg_query::protobuf::{
    CommonTableExpr, JoinExpr, RangeFunction, RangeTableFunc, RangeTableSample, SelectStmt, WithClause,
};
use pg_query::{Node, NodeEnum};

use super::{Outcome, Walk, refuse, unsupported};
use crate::sql::functions;
use crate::sql::tree;

impl Walk<'_> {
    /// A query inside an expression, a FROM clause, a WITH clause or another statement.
    pub(super) fn subquery(&mut self, node: Option<&mut Node>) -> Outcome {
        let Some(inner) = node.and_then(|node| node.node.as_mut()) else { return Ok(()) };
        self.inside += 1;
        let outcome = match inner {
            NodeEnum::SelectStmt(select) => self.select(select),
            other => self.modification(other),
        };
        self.inside -= 1;
        outcome
    }

    pub(super) fn select(&mut self, select: &mut SelectStmt) -> Outcome {
        let sight = self.ctes.len();
        if let Some(with) = &mut select.with_clause {
            self.with(with)?;
        }
        let outcome = self.select_body(select);
        self.ctes.truncate(sight);
        outcome
    }

    fn select_body(&mut self, select: &mut SelectStmt) -> Outcome {
        if select.into_clause.is_some() {
            return Err(refuse(
                "mask.definition",
                "SELECT INTO",
                "leave INTO out, or write INTO TEMPORARY in the outermost SELECT",
            ));
        }
        for side in [&mut select.larg, &mut select.rarg].into_iter().flatten() {
            self.select(side)?;
        }
        let unlockable_before = std::mem::replace(&mut self.unlockable, false);
        let around = std::mem::take(&mut self.stands);
        // FROM first: it decides which names stand for subqueries
        for item in &mut select.from_clause {
            self.source(item)?;
        }
        let stands = std::mem::replace(&mut self.stands, around);
        if !select.locking_clause.is_empty() {
            self.locking(select)?;
        }
        self.unlockable |= unlockable_before;
        self.exprs(&mut select.distinct_clause)?;
        self.exprs(&mut select.target_list)?;
        self.opt(&mut select.where_clause)?;
        self.exprs(&mut select.group_clause)?;
        self.opt(&mut select.having_clause)?;
        if !select.group_clause.is_empty() && !stands.is_empty() {
            self.group_by_keys(select, &stands);
        }
        for window in &mut select.window_clause {
            match window.node.as_mut() {
                Some(NodeEnum::WindowDef(window)) => self.window(window)?,
                _ => return Err(unsupported("this kind of WINDOW clause")),
            }
        }
        self.exprs(&mut select.values_lists)?;
        self.exprs(&mut select.sort_clause)?;
        self.opt(&mut select.limit_offset)?;
        self.opt(&mut select.limit_count)
    }

    fn locking(&mut self, select: &SelectStmt) -> Outcome {
        // the rows that a subquery yields are locked in its tables, which is what was meant where the subquery is a
        // table's; a view's would be locked with the rights of whoever reads it, and rows behind a filter might be
        if self.unlockable {
            return Err(refuse(
                "mask.locking",
                "FOR UPDATE or FOR SHARE on filtered rows, on a view of masked columns, or on a table that has children, a \
                 masked column in a key, or a view of the broker's in its place",
                "lock rows of other relations, or update directly",
            ));
        }
        self.writes = true;
        for clause in &select.locking_clause {
            let Some(NodeEnum::LockingClause(clause)) = clause.node.as_ref() else {
                return Err(unsupported("this kind of locking clause"));
            };
            for relation in &clause.locked_rels {
                match relation.node.as_ref() {
                    // names of FROM items, not of relations
                    Some(NodeEnum::RangeVar(name)) if name.schemaname.is_empty() => {}
                    _ => return Err(unsupported("this kind of name in a locking clause")),
                }
            }
        }
        Ok(())
    }

    /// Brings the names of WITH queries into sight; the caller takes them out again.
    pub(super) fn with(&mut self, with: &mut WithClause) -> Outcome {
        let mut queries = Vec::new();
        for node in &mut with.ctes {
            match node.node.as_mut() {
                Some(NodeEnum::CommonTableExpr(query)) => queries.push(query),
                _ => return Err(unsupported("this kind of WITH query")),
            }
        }
        if with.recursive {
            self.ctes.extend(queries.iter().map(|query| query.ctename.clone()));
        }
        for query in queries {
            self.with_query(query)?;
            if !with.recursive {
                self.ctes.push(query.ctename.clone());
            }
        }
        Ok(())
    }

    fn with_query(&mut self, query: &mut CommonTableExpr) -> Outcome {
        self.subquery(query.ctequery.as_deref_mut())?;
        if query.search_clause.is_some() || query.cycle_clause.is_some() {
            self.since(14, "SEARCH and CYCLE")?;
        }
        if let Some(cycle) = query.cycle_clause.as_deref_mut() {
            self.implicit_operator("=")?;
            self.implicit_operator("<>")?;
            self.opt(&mut cycle.cycle_mark_value)?;
            self.opt(&mut cycle.cycle_mark_default)?;
        }
        Ok(())
    }

    pub(super) fn source(&mut self, node: &mut Node) -> Outcome {
        let Some(inner) = node.node.as_mut() else { return Ok(()) };
        match inner {
            NodeEnum::RangeVar(relation) => {
                if let Some(instead) = self.read(relation)? {
                    self.stands_in(relation);
                    node.node = Some(instead);
                }
                Ok(())
            }
            NodeEnum::RangeSubselect(range) => self.subquery(range.subquery.as_deref_mut()),
            NodeEnum::JoinExpr(join) => self.join(join),
            NodeEnum::RangeFunction(range) => self.range_function(range),
            NodeEnum::RangeTableFunc(range) => self.xml_table(range),
            NodeEnum::RangeTableSample(range) => self.sample(range),
            NodeEnum::JsonTable(table) => self.json_table(table),
            other => Err(self.unknown(other)),
        }
    }

    fn join(&mut self, join: &mut JoinExpr) -> Outcome {
        for side in [&mut join.larg, &mut join.rarg].into_iter().flatten() {
            self.source(side)?;
        }
        if join.is_natural || !join.using_clause.is_empty() {
            self.implicit_operator("=")?;
        }
        if join.join_using_alias.is_some() {
            self.since(14, "an alias for USING")?;
        }
        self.opt(&mut join.quals)
    }

    fn range_function(&mut self, range: &mut RangeFunction) -> Outcome {
        for item in &mut range.functions {
            let Some(NodeEnum::List(pair)) = item.node.as_mut() else {
                return Err(unsupported("this kind of function in FROM"));
            };
            let mut parts = pair.items.iter_mut();
            if let Some(function) = parts.next() {
                self.table_function(function)?;
            }
            for rest in parts {
                match rest.node.as_mut() {
                    Some(NodeEnum::List(columns)) => self.column_definitions(&mut columns.items)?,
                    None => {}
                    Some(_) => return Err(unsupported("this kind of function in FROM")),
                }
            }
        }
        self.column_definitions(&mut range.coldeflist)
    }

    fn table_function(&mut self, function: &mut Node) -> Outcome {
        let unnest = match function.node.as_mut() {
            // unnest of several arrays is syntax of its own, and only without a schema
            Some(NodeEnum::FuncCall(call)) if call.args.len() > 1 => {
                call.funcname.len() == 1 && call.funcname.first().and_then(tree::as_string) == Some("unnest")
            }
            _ => false,
        };
        self.expr(function)?;
        if let (true, Some(NodeEnum::FuncCall(call))) = (unnest, function.node.as_mut()) {
            if self.scope.catalog.functions("unnest").any(|candidate| !candidate.builtin) {
                return Err(unsupported(
                    "unnest of several arrays, while there is another function of that name,",
                ));
            }
            call.funcname = vec![tree::string("unnest")];
        }
        Ok(())
    }

    fn column_definitions(&mut self, definitions: &mut [Node]) -> Outcome {
        for definition in definitions {
            let Some(NodeEnum::ColumnDef(column)) = definition.node.as_mut() else {
                return Err(unsupported("this kind of column definition"));
            };
            if let Some(name) = &mut column.type_name {
                self.type_name(name)?;
            }
            if let Some(collate) = column.coll_clause.as_deref_mut() {
                self.collation(&mut collate.collname)?;
            }
            if column.raw_default.is_some() || !column.constraints.is_empty() {
                return Err(unsupported("a constraint in a column definition list"));
            }
        }
        Ok(())
    }

    fn xml_table(&mut self, range: &mut RangeTableFunc) -> Outcome {
        self.opt(&mut range.docexpr)?;
        self.opt(&mut range.rowexpr)?;
        self.exprs(&mut range.namespaces)?;
        for column in &mut range.columns {
            let Some(NodeEnum::RangeTableFuncCol(column)) = column.node.as_mut() else {
                return Err(unsupported("this kind of column in XMLTABLE"));
            };
            if let Some(name) = &mut column.type_name {
                self.type_name(name)?;
            }
            self.opt(&mut column.colexpr)?;
            self.opt(&mut column.coldefexpr)?;
        }
        Ok(())
    }

    fn sample(&mut self, range: &mut RangeTableSample) -> Outcome {
        let Some(relation) = range.relation.as_deref_mut() else { return Ok(()) };
        self.source(relation)?;
        if !matches!(relation.node, Some(NodeEnum::RangeVar(_))) {
            return Err(refuse(
                "mask.sample",
                "TABLESAMPLE on a relation with masked columns",
                "use WHERE random() < 0.01, or LIMIT",
            ));
        }
        match tree::strings(&range.method).as_deref() {
            Some(["bernoulli" | "system"] | ["pg_catalog", "bernoulli" | "system"]) => {}
            _ => return Err(unsupported("this sampling method")),
        }
        if let Some(name) = range.method.last().and_then(tree::as_string).map(str::to_owned) {
            let others = self.scope.catalog.functions(&name).any(|function| !function.builtin);
            if others || !functions::is_harmless(&name, true) {
                return Err(unsupported("this sampling method"));
            }
            range.method = vec![tree::string("pg_catalog"), tree::string(&name)];
        }
        self.exprs(&mut range.args)?;
        self.opt(&mut range.repeatable)
    }
}
