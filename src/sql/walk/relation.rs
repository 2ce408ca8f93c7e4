//! Relations: what a name means, and what is read in its place.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AConst, Alias, Integer, LimitOption, RangeSubselect, RangeVar, SelectStmt, a_const,
};

use super::grouping::Stand;
use super::{Outcome, Refusal, Walk, refuse, unsupported};
use crate::domain::facts::Facts;
use crate::domain::planted::{Leak, is_planted};
use crate::sql::catalog::{CalledBy, Kind, Relation};
use crate::sql::functions;
use crate::sql::names::Names;
use crate::sql::parse::{ParseLimits, fits_small_stack, on_big_stack};
use crate::sql::protect::{BROKER_SCHEMA, Fence, MaskView, SOURCE, Template};
use crate::sql::tree;

impl<'a> Walk<'a> {
    /// Judges a relation that is read, and gives its name a schema. Returns the subquery that is read in its
    /// place, where there must be one.
    pub(super) fn read(&mut self, name: &mut RangeVar) -> Outcome<Option<NodeEnum>> {
        if name.schemaname.is_empty() && name.catalogname.is_empty() && self.ctes.contains(&name.relname) {
            return Ok(None);
        }
        let relation = self.resolve(name)?;
        self.facts.relations_read.insert(relation.full_name());
        if matches!(relation.schema.as_str(), "pg_catalog" | "information_schema")
            && relation.oid < FIRST_OF_USERS
        {
            return self.read_catalog(relation, name);
        }
        self.reads_safely(relation)?;
        if name.inh && self.scope.catalog.below(relation.oid).iter().any(|child| child.kind == Kind::Foreign)
        {
            return Err(foreign(relation));
        }
        if self.scope.protection.covers(relation.oid) {
            let condition = self.filtered(relation, name)?;
            // a view may show protected columns by rule and by definition, and both masks apply
            let mut followed = match relation.kind {
                Kind::Table => None,
                Kind::View | Kind::MaterializedView => self.read_view(relation, name)?,
                _ => return Err(foreign(relation)),
            };
            if let Some(view) = self.scope.protection.view(relation.oid).filter(|_| followed.is_none()) {
                followed = Some(self.view_of_broker(relation, view, name)?);
                self.unlockable = true;
            }
            self.unlockable |= self.locks_tell(relation);
            self.touched = true;
            return self.masked(relation, name, followed, condition).map(Some);
        }
        match relation.kind {
            Kind::Table | Kind::Sequence => Ok(None),
            Kind::View if is_planted(Leak::View) => Ok(None),
            Kind::View | Kind::MaterializedView => self.read_view(relation, name),
            Kind::Foreign => Err(foreign(relation)),
            Kind::Composite | Kind::Other => Err(unsupported("a relation of this kind")),
        }
    }

    /// Whether locks on rows of a relation, or of one below it, tell about protected columns: whoever changes a row locks it
    /// more strongly where a key gets another value, and who refers to a row locks that row.
    fn locks_tell(&self, relation: &Relation) -> bool {
        let protection = self.scope.protection;
        let tells = |relation: &Relation| {
            let keys = relation.indexes.values().filter(|index| index.refuses && !index.computes);
            let mut columns = keys.flat_map(|key| &key.columns);
            columns.any(|column| protection.is_protected(relation.oid, *column))
        };
        let has_children = self.scope.catalog.has_children(relation.oid);
        tells(relation) || has_children
    }

    /// Notes that a subquery stands for a relation from now on.
    pub(super) fn stands_in(&mut self, name: &RangeVar) {
        let named = name.alias.as_ref();
        let relation = self.names.relation(&name.schemaname, &name.relname);
        if let Some(relation) = relation.filter(|_| named.is_none_or(|alias| alias.colnames.is_empty())) {
            let name = named.map_or(&name.relname, |alias| &alias.aliasname).clone();
            self.stands.push(Stand { relation, name });
        }
    }

    /// The condition of the row filters of a relation; refused where it is read with rows that no filter of its own
    /// is about.
    fn filtered(&mut self, relation: &Relation, name: &RangeVar) -> Outcome<Option<NodeEnum>> {
        let protection = self.scope.protection;
        let full = relation.full_name();
        self.unlockable |= protection.is_filtered(relation.oid) || relation.kind != Kind::Table;
        let walled = protection.is_walled();
        if let Some(child) = protection.straddles(relation.oid).filter(|_| name.inh || walled) {
            let only = if walled { String::new() } else { format!(", or write ONLY {full}") };
            return Err(refuse(
                "mask.filter",
                &format!("the relation {full}, below which {child} has a row filter of its own,"),
                &format!("name {child}{only}"),
            ));
        }
        match protection.fence(relation.oid) {
            Some(Fence::Closed(reason)) => {
                Err(refuse("mask.filter", &format!("the relation {full}"), reason))
            }
            Some(Fence::Open { condition, deep }) => {
                self.fenced = true;
                self.deepened |= deep;
                Ok(Some((**condition).clone()))
            }
            None => Ok(None),
        }
    }

    /// The broker's view that is read instead of a table whose columns nobody here may read.
    fn view_of_broker(&self, relation: &Relation, view: &MaskView, name: &RangeVar) -> Outcome<NodeEnum> {
        let full = relation.full_name();
        if !view.present {
            return Err(refuse(
                "mask.objects",
                &format!(
                    "the relation {full}, whose masks or filters are computed in a view that is not there,"
                ),
                "connect again; if that does not help, the operator finds the reason in the broker's log",
            ));
        }
        let has_children = self.scope.catalog.has_children(relation.oid);
        if !name.inh && has_children {
            return Err(unsupported(&format!("ONLY {full}, whose masks or filters are computed in a view,")));
        }
        Ok(NodeEnum::RangeVar(RangeVar {
            schemaname: BROKER_SCHEMA.into(),
            relname: view.name.clone(),
            inh: true,
            ..name.clone()
        }))
    }

    /// Finds the relation and writes its schema into the name.
    pub(super) fn resolve(&self, name: &mut RangeVar) -> Outcome<&'a Relation> {
        if !name.catalogname.is_empty() {
            return Err(refuse(
                "mask.unsupported",
                "a relation with a database name",
                "leave the database out",
            ));
        }
        let relation = self.names.relation(&name.schemaname, &name.relname).ok_or_else(|| {
            let dot = if name.schemaname.is_empty() { "" } else { "." };
            refuse(
                "mask.unresolved",
                &format!("the relation {}{dot}{}", name.schemaname, name.relname),
                "it does not exist, or not on the search path",
            )
        })?;
        if relation.schema == BROKER_SCHEMA {
            return Err(refuse(
                "mask.relation",
                &format!("the broker's own {}", relation.full_name()),
                "query the tables themselves",
            ));
        }
        if !is_planted(Leak::Rebound) {
            name.schemaname.clone_from(&relation.schema);
        }
        Ok(relation)
    }

    /// What the server does by itself when rows are read.
    fn reads_safely(&self, relation: &Relation) -> Outcome {
        relation
            .columns
            .iter()
            .try_for_each(|column| self.type_is_safe(&column.type_name.0, &column.type_name.1, 0))?;
        if let Some(call) = relation
            .calls
            .iter()
            .find(|call| call.by == CalledBy::Policy && !self.trusts_full(&call.function))
        {
            return Err(refuse(
                "mask.function",
                &format!("{}, whose policies or defaults call {},", relation.full_name(), call.function),
                &format!("the operator can list `{}` under trusted_functions of this target", call.function),
            ));
        }
        self.rows_tell_nothing(relation)
    }

    /// Which rows there are must not tell of a protected column: by policies, or by being in this partition.
    pub(super) fn rows_tell_nothing(&self, relation: &Relation) -> Outcome {
        if self.policies_tell(relation, &mut BTreeSet::new()) {
            return Err(refuse(
                "mask.relation",
                &format!("{}, whose row-level security reads a masked column,", relation.full_name()),
                "the operator can base its policies on other columns",
            ));
        }
        if self.scope.protection.is_partition(relation.oid) {
            return Err(refuse(
                "mask.partition",
                &format!("the partition {}, whose rows a masked column chooses,", relation.full_name()),
                "name the table that it is a partition of",
            ));
        }
        Ok(())
    }

    /// Whether policies read what is protected, here or in a table that they look into. Views are not followed.
    fn policies_tell(&self, relation: &Relation, seen: &mut BTreeSet<u32>) -> bool {
        let protection = self.scope.protection;
        relation.row_security
            && seen.insert(relation.oid)
            && relation.policy_reads.iter().any(|(oid, number)| {
                if *oid == relation.oid {
                    let whole = *number <= 0 && !protection.of(*oid).is_empty();
                    return whole || protection.is_protected(*oid, *number);
                }
                match self.scope.catalog.relation_by_oid(*oid) {
                    Some(other) => {
                        protection.covers(*oid)
                            || other.kind != Kind::Table
                            || self.policies_tell(other, seen)
                    }
                    None => *oid >= FIRST_OF_USERS,
                }
            })
    }

    /// `SELECT every column, masked where it must be, FROM the relation WHERE its filters hold`, under the relation's
    /// alias.
    fn masked(
        &mut self,
        relation: &Relation,
        name: &RangeVar,
        followed: Option<NodeEnum>,
        condition: Option<NodeEnum>,
    ) -> Outcome<NodeEnum> {
        self.grow(relation.columns.len().saturating_mul(COLUMN))?;
        let mut targets = Vec::with_capacity(relation.columns.len());
        for column in &relation.columns {
            let mask = self.mask(relation.oid, column.number, SOURCE, &column.name);
            let value = mask.unwrap_or_else(|| tree::column(&[SOURCE, &column.name]));
            targets.push(tree::target(&column.name, value));
        }
        self.replaced.insert((relation.schema.clone(), relation.name.clone()));
        // what was put in for masks that read their columns is known only now
        self.grow(0)?;
        Ok(subquery(targets, name, followed, condition))
    }

    /// Counts tokens that are put into the statement, and refuses what would become too long: a name of six letters
    /// can stand for a thousand columns, and there can be thousands of it.
    fn grow(&mut self, tokens: usize) -> Outcome {
        self.grown = self.grown.saturating_add(tokens);
        if self.grown <= MOST_GROWN {
            return Ok(());
        }
        Err(refuse(
            "mask.unsupported",
            "a statement that names relations with masked columns, row filters or hidden statistics so often",
            "name them in fewer places, with WITH for example, or send several statements",
        ))
    }

    /// What stands for a protected column; `None` when it is not protected, or is a view's that masks it. A mask
    /// that reads the column stands there as a name for now.
    pub(super) fn mask(
        &mut self,
        relation: u32,
        number: i16,
        qualifier: &str,
        column: &str,
    ) -> Option<NodeEnum> {
        match self.scope.protection.template(relation, number)? {
            Template::Constant(expression) => Some((**expression).clone()),
            // `dml` has refused such columns before; elsewhere it is the view's column that the name means
            Template::Viewed => None,
            Template::Computed(mask) => {
                let place = format!("{PLACE}{}_", self.masks.len());
                let reference = format!("{}.{}", tree::quoted(qualifier), tree::quoted(column));
                self.grown = self.grown.saturating_add(mask.len() / LETTERS);
                self.masks.push(mask.of(&reference));
                Some(tree::column(&[&place]))
            }
        }
    }

    /// A catalog of the server, without the columns that say something about tables' contents.
    fn read_catalog(&mut self, relation: &Relation, name: &RangeVar) -> Outcome<Option<NodeEnum>> {
        if relation.schema == "pg_catalog" && !functions::is_readable_catalog(&relation.name) {
            return Err(refuse(
                "mask.catalog",
                &format!("the catalog {}", relation.name),
                "it shows statistics, other sessions, secrets or files",
            ));
        }
        if !functions::hides_columns(&relation.name) {
            return Ok(None);
        }
        self.grow(relation.columns.len().saturating_mul(COLUMN))?;
        let targets = relation
            .columns
            .iter()
            .map(|column| {
                let value = if functions::is_hidden_column(&relation.name, &column.name) {
                    tree::cast(tree::null(), tree::pg_type(&column.base.1))
                } else {
                    tree::column(&[SOURCE, &column.name])
                };
                tree::target(&column.name, value)
            })
            .collect();
        self.replaced.insert((relation.schema.clone(), relation.name.clone()));
        Ok(Some(subquery(targets, name, None, None)))
    }

    /// A view is followed through its definition; where that meets nothing protected, the view is read
    /// as it is, and else its rewritten definition is read in its place.
    fn read_view(&mut self, relation: &Relation, name: &RangeVar) -> Outcome<Option<NodeEnum>> {
        let full = relation.full_name();
        let Some(text) = relation.definition.as_deref() else {
            return Err(refuse("mask.view", &format!("the view {full}"), "it has no definition"));
        };
        if self.views.contains(&relation.oid) || self.views.len() >= DEEPEST_VIEWS {
            return Err(refuse("mask.view", &format!("the view {full}"), "views nest too deeply"));
        }
        self.grow(text.len() / LETTERS)?;
        let mut inner = Walk::new(self.scope, Facts::new("select", self.facts.kind));
        inner.grown = self.grown;
        inner.names = Names::catalog_only(self.scope.catalog);
        inner.views.clone_from(&self.views);
        inner.views.push(relation.oid);
        inner.masks.clone_from(&self.masks);
        let follow = || {
            let definition = inner.definition_of(text)?;
            Ok((inner, definition))
        };
        // whoever wrote the view did not ask how big this stack is
        let followed = if fits_small_stack(text, &ParseLimits::default()) && self.views.is_empty() {
            Some(follow())
        } else {
            on_big_stack(follow)
        };
        let unreadable = || Err(refuse("mask.view", "a view", "its definition cannot be read"));
        let (mut inner, definition) = followed.unwrap_or_else(unreadable).map_err(|refusal| Refusal {
            construct: format!(
                "the view {full}, because it uses {}",
                refusal.construct.trim_end_matches(',')
            ),
            ..refusal
        })?;
        self.facts.relations_read.append(&mut inner.facts.relations_read);
        self.facts.functions.append(&mut inner.facts.functions);
        self.grown = inner.grown;
        self.writes |= inner.writes;
        self.fenced |= inner.fenced;
        if !inner.touched {
            return Ok(None);
        }
        if relation.kind == Kind::MaterializedView || relation.security_barrier {
            let kind = if relation.security_barrier { "security-barrier" } else { "materialized" };
            return Err(refuse(
                "mask.view",
                &format!("the {kind} view {full}, which reads masked columns or filtered rows,"),
                "query its tables instead",
            ));
        }
        self.touched = true;
        self.unlockable = true;
        self.deepened = true;
        self.masks = inner.masks;
        self.replaced.insert((relation.schema.clone(), relation.name.clone()));
        Ok(Some(NodeEnum::RangeSubselect(Box::new(RangeSubselect {
            lateral: false,
            subquery: tree::boxed(NodeEnum::SelectStmt(Box::new(definition))),
            alias: Some(alias_of(name)),
        }))))
    }

    /// Parses and walks the definition of a view.
    fn definition_of(&mut self, text: &str) -> Outcome<SelectStmt> {
        let unreadable = || refuse("mask.view", "something", "its definition cannot be read");
        let parsed = pg_query::parse(text, 0).map_err(|_| unreadable())?;
        let mut stmts = parsed.protobuf.stmts.into_iter();
        let node = stmts.next().and_then(|raw| raw.stmt).and_then(|stmt| stmt.node);
        match (node, stmts.next()) {
            (Some(NodeEnum::SelectStmt(mut select)), None) => {
                self.select(&mut select)?;
                Ok(*select)
            }
            _ => Err(unreadable()),
        }
    }
}

fn foreign(relation: &Relation) -> Refusal {
    refuse(
        "mask.relation",
        &format!("{}, whose rows may be in a foreign table,", relation.full_name()),
        "it could lead back to a protected table",
    )
}

/// A query with these targets over the relation, or over what is read in its place.
fn subquery(
    targets: Vec<pg_query::Node>,
    name: &RangeVar,
    followed: Option<NodeEnum>,
    condition: Option<NodeEnum>,
) -> NodeEnum {
    let alias = Some(Alias { aliasname: SOURCE.into(), colnames: Vec::new() });
    let source = match followed {
        Some(NodeEnum::RangeSubselect(range)) => {
            NodeEnum::RangeSubselect(Box::new(RangeSubselect { alias, ..*range }))
        }
        Some(NodeEnum::RangeVar(view)) => NodeEnum::RangeVar(RangeVar { alias, location: -1, ..view }),
        _ => NodeEnum::RangeVar(RangeVar { alias, location: -1, ..name.clone() }),
    };
    NodeEnum::RangeSubselect(Box::new(RangeSubselect {
        lateral: false,
        subquery: tree::boxed(match condition {
            Some(condition) => fenced(targets, source, condition),
            None => tree::select(targets, vec![tree::node(source)]),
        }),
        alias: Some(alias_of(name)),
    }))
}

/// `SELECT … FROM the relation WHERE the condition OFFSET 0`.
fn fenced(targets: Vec<pg_query::Node>, source: NodeEnum, condition: NodeEnum) -> NodeEnum {
    let mut select = SelectStmt {
        target_list: targets,
        from_clause: vec![tree::node(source)],
        where_clause: tree::boxed(condition),
        limit_option: LimitOption::Default as i32,
        op: pg_query::protobuf::SetOperation::SetopNone as i32,
        ..SelectStmt::default()
    };
    // INVARIANT: a query with an OFFSET is not merged into the one around it, and no condition of that one is moved into
    // it. So nothing of the client's, which could fail on a hidden row and tell of it, sees a row before the filter did.
    if !is_planted(Leak::Fence) {
        select.limit_option = LimitOption::Count as i32;
        select.limit_offset = tree::boxed(NodeEnum::AConst(AConst {
            isnull: false,
            location: -1,
            val: Some(a_const::Val::Ival(Integer { ival: 0 })),
        }));
    }
    NodeEnum::SelectStmt(Box::new(select))
}

fn alias_of(name: &RangeVar) -> Alias {
    name.alias.clone().unwrap_or_else(|| Alias { aliasname: name.relname.clone(), colnames: Vec::new() })
}

/// The beginning of a name that stands for a mask.
pub(crate) const PLACE: &str = "hoopctl_mask_";

/// OIDs below come with the server.
const FIRST_OF_USERS: u32 = 16384;

const DEEPEST_VIEWS: usize = 16;

/// Tokens of a column of a subquery: `hoopctl_v.a AS a,`.
const COLUMN: usize = 6;

/// Letters that a token has, no more than on average.
const LETTERS: usize = 4;

/// How many tokens may be put into a statement.
const MOST_GROWN: usize = 100_000;
