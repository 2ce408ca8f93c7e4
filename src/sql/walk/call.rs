//! Functions, operators, types and collations: what a statement calls, by name or without naming it.

use pg_query::protobuf::{self, FuncCall, TypeName};
use pg_query::{Node, NodeEnum};

use super::{Outcome, Walk, refuse, unsupported};
use crate::sql::catalog::{Function, Kind};
use crate::sql::functions;
use crate::sql::tree;

impl<'a> Walk<'a> {
    /// Judges the function of a call and gives its name a schema. The arguments are walked by the caller.
    ///
    /// Returns what stands in the call's place, where it must be replaced.
    pub(super) fn function(&mut self, call: &mut FuncCall) -> Outcome<Option<NodeEnum>> {
        let Some(name) = tree::strings(&call.funcname) else {
            return Err(unsupported("this way of naming a function"));
        };
        let (schema, name) = match name.as_slice() {
            [name] => (None, (*name).to_owned()),
            [schema, name] => (Some((*schema).to_owned()), (*name).to_owned()),
            _ => return Err(unsupported("a function with a database name")),
        };
        let searched: Vec<String> =
            schema.clone().map_or_else(|| self.names.path().to_vec(), |schema| vec![schema]);
        let catalog = self.scope.catalog;
        let visible: Vec<&Function> =
            catalog.functions(&name).filter(|function| searched.contains(&function.schema)).collect();
        if visible.is_empty() && self.is_extract(schema.as_deref(), &name) {
            self.facts.functions.insert("pg_catalog.extract".into());
            return Ok(None);
        }
        if visible.is_empty() {
            return self.projection(call, schema.is_none(), &name).map(Some);
        }
        for function in &visible {
            self.may_call(function, &name)?;
        }
        let mut schemas: Vec<&str> = visible.iter().map(|function| function.schema.as_str()).collect();
        schemas.dedup();
        let one = schemas.iter().all(|schema| Some(schema) == schemas.first());
        match schemas.first() {
            Some(found) if one => {
                self.facts.functions.insert(format!("{found}.{name}"));
                call.funcname = vec![tree::string(found), tree::string(&name)];
            }
            _ => {
                // arguments decide which one is meant: it stays open, and safe, if all of that name are trusted
                for function in catalog.functions(&name) {
                    self.may_call(function, &name)?;
                    self.facts.functions.insert(format!("{}.{name}", function.schema));
                }
            }
        }
        if visible.iter().any(|function| !function.builtin) {
            self.writes |= visible.iter().any(|function| function.volatile);
            return Ok(None);
        }
        self.writes |= visible.iter().any(|function| !functions::is_read_only(&name, function.volatile));
        if functions::is_total_size(&name) {
            return Ok(Some(tree::cast(tree::null(), tree::pg_type("int8"))));
        }
        if functions::is_relation_size(&name) {
            self.hide_sizes(call)?;
        }
        Ok(None)
    }

    /// `EXTRACT(… FROM …)` calls `date_part` on servers before 14, which have no function of its name.
    fn is_extract(&self, schema: Option<&str>, name: &str) -> bool {
        schema == Some("pg_catalog") && name == "extract" && self.scope.server_version_num < 140_000
    }

    fn may_call(&self, function: &Function, name: &str) -> Outcome {
        if function.procedure {
            return Err(refuse(
                "mask.function",
                &format!("the procedure {name}"),
                "procedures are not called here",
            ));
        }
        if function.builtin {
            let special = name == "set_config";
            if !special && functions::is_harmless(name, function.volatile) {
                return Ok(());
            }
            let hint = if special {
                "use SET, or SELECT set_config(…) with literals and nothing else"
            } else {
                "it can run SQL given as text, or read files, statistics or other sessions"
            };
            return Err(refuse("mask.function", &format!("the function {name}"), hint));
        }
        if self.trusts(&function.schema, name) {
            return Ok(());
        }
        let full = format!("{}.{name}", function.schema);
        Err(refuse(
            "mask.function",
            &format!("the function {full}"),
            &format!("the operator can list `{full}` under trusted_functions of this target"),
        ))
    }

    pub(super) fn builtin_is_harmless(&self, name: &str) -> bool {
        let mut builtin = self.scope.catalog.functions(name).filter(|function| function.builtin).peekable();
        builtin.peek().is_some() && builtin.all(|function| functions::is_harmless(name, function.volatile))
    }

    /// `name(row)` where no function has that name is the column `name` of the row.
    fn projection(&self, call: &mut FuncCall, unqualified: bool, name: &str) -> Outcome<NodeEnum> {
        let plain = unqualified
            && call.agg_order.is_empty()
            && call.agg_filter.is_none()
            && call.over.is_none()
            && !call.agg_star
            && !call.agg_distinct
            && !call.func_variadic;
        let mut arguments = std::mem::take(&mut call.args).into_iter();
        match (plain, arguments.next(), arguments.next()) {
            (true, Some(row), None) if matches!(row.node, Some(NodeEnum::ColumnRef(_))) => {
                self.implicit_call(name)?;
                Ok(NodeEnum::AIndirection(Box::new(protobuf::AIndirection {
                    arg: Some(Box::new(row)),
                    indirection: vec![tree::string(name)],
                })))
            }
            _ => Err(refuse(
                "mask.unresolved",
                &format!("the function {name}"),
                "it does not exist on the search path; casts are written CAST(… AS type)",
            )),
        }
    }

    /// `row.name` calls the function `name` where the row has no such column. Refused when there is such a
    /// function that could not be called by name; a column of that name must then be given an alias
    /// in a subquery.
    pub(super) fn implicit_call(&self, name: &str) -> Outcome {
        for function in self.scope.catalog.functions(name).filter(|function| function.unary) {
            self.may_call(function, name).map_err(|_| {
                refuse(
                    "mask.function",
                    &format!("`.{name}`, which could call the function {}.{name}", function.schema),
                    "name the column without its table",
                )
            })?;
        }
        Ok(())
    }

    /// Sizes of protected relations, their indexes and TOAST tables read as NULL.
    fn hide_sizes(&self, call: &mut FuncCall) -> Outcome {
        let catalog = self.scope.catalog;
        let mut hidden: Vec<u32> = self.scope.protection.relations().collect();
        // what they keep may have been made of what is protected
        let kept = catalog.relations().filter(|relation| relation.kind == Kind::MaterializedView);
        hidden.extend(kept.map(|relation| relation.oid));
        for _ in 0..2 {
            // an index of a TOAST table is two steps away
            let more: Vec<u32> = catalog
                .satellites()
                .iter()
                .filter(|(of, _)| hidden.contains(of))
                .map(|(_, oid)| *oid)
                .collect();
            hidden.extend(more);
            hidden.sort_unstable();
            hidden.dedup();
        }
        if hidden.len() > MOST_HIDDEN_SIZES {
            return Err(unsupported("the size of a relation, with so many protected ones,"));
        }
        let Some(argument) = call.args.first_mut() else { return Ok(()) };
        let Some(mut inner) = argument.node.take() else { return Ok(()) };
        if matches!(inner, NodeEnum::AConst(_) | NodeEnum::ParamRef(_)) {
            inner = tree::cast(inner, tree::pg_type("regclass"));
        }
        for oid in hidden {
            let oid = tree::cast(tree::literal(&oid.to_string()), tree::pg_type("oid"));
            inner = NodeEnum::AExpr(Box::new(protobuf::AExpr {
                kind: protobuf::AExprKind::AexprNullif as i32,
                name: vec![tree::string("=")],
                lexpr: tree::boxed(inner),
                rexpr: tree::boxed(oid),
                rexpr_list_start: 0,
                rexpr_list_end: 0,
                location: -1,
            }));
        }
        self.implicit_operator("=")?;
        argument.node = Some(inner);
        Ok(())
    }

    /// Judges an operator that is written out, and gives it a schema where that decides what it means.
    pub(super) fn operator(&self, name: &mut Vec<Node>) -> Outcome {
        let parts = tree::strings(name).ok_or_else(|| unsupported("this way of naming an operator"))?;
        let catalog = self.scope.catalog;
        let (schema, symbol) = match parts.as_slice() {
            [symbol] => (None, *symbol),
            [schema, symbol] => (Some(*schema), *symbol),
            _ => return Err(unsupported("an operator with a database name")),
        };
        let of_users = catalog.operators(symbol);
        let visible = |wanted: &str| {
            schema.map_or_else(
                || self.names.path().iter().any(|known| known == wanted),
                |schema| schema == wanted,
            )
        };
        if schema.is_none_or(|schema| schema == "pg_catalog") && catalog.builtin_operator(symbol) {
            if schema.is_some() || of_users.iter().all(|operator| self.trusts_full(&operator.function)) {
                return Ok(());
            }
            if !of_users.iter().any(|operator| visible(&operator.schema)) {
                let qualified = vec![tree::string("pg_catalog"), tree::string(symbol)];
                *name = qualified;
                return Ok(());
            }
        }
        let mut found = catalog.builtin_operator(symbol) && visible("pg_catalog");
        for operator in of_users.iter().filter(|operator| visible(&operator.schema)) {
            found = true;
            if !self.trusts_full(&operator.function) {
                return Err(untrusted_operator(symbol, &operator.schema, &operator.function));
            }
        }
        if !found {
            return Err(refuse(
                "mask.unresolved",
                &format!("the operator {symbol}"),
                "it does not exist on the search path",
            ));
        }
        // every candidate in sight is trusted; a later search path must not bring others into sight
        match of_users.iter().find(|operator| !self.trusts_full(&operator.function)) {
            Some(operator) if schema.is_none() => {
                Err(untrusted_operator(symbol, &operator.schema, &operator.function))
            }
            _ => Ok(()),
        }
    }

    /// Judges an operator that syntax uses without a place for a schema: `IN`, `BETWEEN`, `CASE x WHEN`.
    pub(super) fn implicit_operator(&self, symbol: &str) -> Outcome {
        let of_users = self.scope.catalog.operators(symbol);
        match of_users.iter().find(|operator| !self.trusts_full(&operator.function)) {
            Some(operator) => Err(untrusted_operator(symbol, &operator.schema, &operator.function)),
            None if self.scope.catalog.builtin_operator(symbol) => Ok(()),
            None => Err(refuse("mask.unresolved", &format!("the operator {symbol}"), "it is not built in")),
        }
    }

    /// Judges a type and gives its name a schema.
    pub(super) fn type_name(&self, name: &mut TypeName) -> Outcome {
        if name.pct_type || name.setof {
            return Err(unsupported("%TYPE or SETOF"));
        }
        for modifier in &name.typmods {
            if !matches!(modifier.node, Some(NodeEnum::AConst(_))) {
                return Err(unsupported("a type modifier that is not a constant"));
            }
        }
        for bound in &name.array_bounds {
            if !matches!(bound.node, Some(NodeEnum::Integer(_))) {
                return Err(unsupported("an array bound that is not a constant"));
            }
        }
        let parts = tree::strings(&name.names).ok_or_else(|| unsupported("this way of naming a type"))?;
        let (schema, plain) = match parts.as_slice() {
            [plain] => {
                let schema = self.names.type_schema(plain).ok_or_else(|| {
                    refuse(
                        "mask.unresolved",
                        &format!("the type {plain}"),
                        "it does not exist on the search path",
                    )
                })?;
                (schema.to_owned(), (*plain).to_owned())
            }
            [schema, plain] if self.scope.catalog.has_type(schema, plain) => {
                ((*schema).to_owned(), (*plain).to_owned())
            }
            _ => {
                return Err(refuse(
                    "mask.unresolved",
                    &format!("the type {}", parts.join(".")),
                    "it does not exist",
                ));
            }
        };
        self.type_is_safe(&schema, &plain, 0)?;
        name.names = vec![tree::string(&schema), tree::string(&plain)];
        Ok(())
    }

    /// Refuses types behind which code of users runs that is not trusted: input functions, CHECKs of domains, casts.
    pub(super) fn type_is_safe(&self, schema: &str, name: &str, depth: usize) -> Outcome {
        let Some(kind) = self.scope.catalog.user_type(schema, name) else { return Ok(()) };
        let untrusted = |function: &str| {
            refuse(
                "mask.function",
                &format!("the type {schema}.{name}, which calls {function}"),
                &format!("the operator can list `{function}` under trusted_functions of this target"),
            )
        };
        if let Some(function) = kind.functions.iter().find(|function| !self.trusts_full(function)) {
            return Err(untrusted(function));
        }
        for cast in self.scope.catalog.casts() {
            let involved = [&cast.source, &cast.target].iter().any(|side| side.0 == schema && side.1 == name);
            if involved && !self.trusts_full(&cast.function) {
                return Err(untrusted(&cast.function));
            }
        }
        if depth > DEEPEST_TYPE {
            return Err(unsupported("a type that nests this deeply"));
        }
        if let Some((schema, name)) = &kind.under {
            self.type_is_safe(schema, name, depth + 1)?;
        }
        match self.scope.catalog.relation(schema, name) {
            Some(relation) => relation.columns.iter().try_for_each(|column| {
                self.type_is_safe(&column.type_name.0, &column.type_name.1, depth + 1)
            }),
            _ => Ok(()),
        }
    }

    /// Casts between built-in types that a user made happen anywhere, unseen.
    pub(crate) fn casts_are_safe(&self) -> Outcome {
        let catalog = self.scope.catalog;
        for cast in catalog.casts() {
            let builtin = |side: &(String, String)| catalog.user_type(&side.0, &side.1).is_none();
            if builtin(&cast.source) && builtin(&cast.target) && !self.trusts_full(&cast.function) {
                return Err(refuse(
                    "mask.function",
                    &format!(
                        "any statement, while {} casts {} to {} by itself,",
                        cast.function, cast.source.1, cast.target.1
                    ),
                    &format!(
                        "the operator can list `{}` under trusted_functions of this target",
                        cast.function
                    ),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn collation(&self, name: &mut Vec<Node>) -> Outcome {
        let parts = tree::strings(name).ok_or_else(|| unsupported("this way of naming a collation"))?;
        let unresolved =
            |name: &str| refuse("mask.unresolved", &format!("the collation {name}"), "it does not exist");
        let qualified = match parts.as_slice() {
            [plain] => {
                let schema = self.names.collation_schema(plain).ok_or_else(|| unresolved(plain))?;
                vec![tree::string(schema), tree::string(plain)]
            }
            [schema, plain] if self.scope.catalog.has_collation(schema, plain) => return Ok(()),
            _ => return Err(unresolved(&parts.join("."))),
        };
        *name = qualified;
        Ok(())
    }
}

fn untrusted_operator(symbol: &str, schema: &str, function: &str) -> super::Refusal {
    refuse(
        "mask.function",
        &format!("the operator {symbol}, because {schema} has one of its own,"),
        &format!("the operator of the target can list `{function}` under trusted_functions"),
    )
}

/// NULLIFs around one argument; each is an expression of its own.
const MOST_HIDDEN_SIZES: usize = 200;

const DEEPEST_TYPE: usize = 20;
