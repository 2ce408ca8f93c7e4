//! Row filters resolved to relations.
//!
//! Job: say for each relation which condition stands behind its fence. A filter of a table is one of its
//! partitions and children, which hold its rows. Boundary: what a condition may be is `filter`'s to say. Failure
//! mode: a filter that cannot be kept on a table opens no session; on another relation, it refuses that relation.

use std::collections::{BTreeMap, BTreeSet};

use pg_query::NodeEnum;

use super::{BROKER_SCHEMA, Protection, ProtectionError, has_rows};
use crate::domain::filter::BoundFilter;
use crate::domain::name::RuleName;
use crate::sql::catalog::{Catalog, Kind, Relation};
use crate::sql::filter::{Claims, FilterError, Lowered, Predicate, all, any, guard, never};
use crate::sql::tree;

/// What stands between a relation and who reads it.
#[derive(Debug, Clone)]
pub(crate) enum Fence {
    /// It cannot be read at all; the reason.
    Closed(String),
    /// The rows for which this is true are seen. Its columns are those of [`SOURCE`].
    Open {
        condition: Box<NodeEnum>,
        /// Whether it nests deeper than statements on a small stack leave room for.
        deep: bool,
    },
}

/// Where the conditions of filters are to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// In statements.
    Sent,
    /// In statements, and in views of the broker's below them.
    SentAndViewed,
    /// In views of the broker's, whatever the claims of whoever reads them.
    Viewed,
}

/// One relation whose rows are filtered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilteredTable {
    /// The relation's schema.
    pub schema: String,
    /// The relation.
    pub table: String,
    /// The relation's OID.
    pub relation: u32,
    /// The filters, in the order in which they are configured.
    pub filters: Vec<RuleName>,
    /// The columns that their predicates read, so that the role needs the privilege.
    pub reads: BTreeSet<String>,
    /// Why it is filtered although no filter names it, or why it cannot be read.
    pub note: Option<String>,
}

/// A filter, and its predicate as it was read, once.
type Filter<'a> = (&'a BoundFilter, Option<Predicate>);

/// The filters that bind one relation as such, by their places; several such sets all hold.
type Bound = BTreeSet<Vec<usize>>;

impl Protection {
    /// The relations whose rows are filtered, and those that cannot be read because of that.
    pub fn filtered(&self) -> impl Iterator<Item = &FilteredTable> {
        self.filtered.values()
    }

    /// What stands between a relation and who reads it, where something does.
    pub(crate) fn fence(&self, relation: u32) -> Option<&Fence> {
        self.fences.get(&relation)
    }

    /// A partition or child of this relation that has a filter which the relation itself has not, so that reading
    /// the relation would show rows of the child that the filter hides.
    pub(crate) fn straddles(&self, relation: u32) -> Option<&str> {
        self.straddling.get(&relation).map(String::as_str)
    }

    /// Whether rows are hidden by views of the broker's too, so that sessions cannot read the relations themselves.
    pub(crate) fn is_walled(&self) -> bool {
        self.walled
    }

    /// Whether anything of the relation is protected: columns, or rows.
    pub(crate) fn covers(&self, relation: u32) -> bool {
        self.tables.contains_key(&relation) || self.is_filtered(relation)
    }

    /// Whether rows of the relation are hidden, its own or those of its children.
    pub(crate) fn is_filtered(&self, relation: u32) -> bool {
        self.fences.contains_key(&relation) || self.straddling.contains_key(&relation)
    }

    pub(super) fn keep_filters(
        &mut self,
        catalog: &Catalog,
        filters: &[BoundFilter],
        stands: Stands,
    ) -> Result<(), ProtectionError> {
        self.walled = stands != Stands::Sent;
        if filters.is_empty() {
            return Ok(());
        }
        let mut predicates = Vec::with_capacity(filters.len());
        for filter in filters {
            let read = filter.predicate.as_deref().map(Predicate::read).transpose();
            predicates.push(read.map_err(|reason| ProtectionError::Filter {
                filter: filter.name.clone(),
                table: filter.table.to_string(),
                reason,
            })?);
        }
        let filters: Vec<Filter<'_>> = filters.iter().zip(predicates).collect();
        let bound = bound(catalog, &filters);
        for (oid, sets) in &bound {
            let Some(relation) = catalog.relation_by_oid(*oid) else { continue };
            self.keep(catalog, relation, sets, &filters, stands)?;
        }
        self.straddling = straddling(catalog, &bound);
        for (oid, child) in &self.straddling {
            let Some(relation) = catalog.relation_by_oid(*oid) else { continue };
            let note = format!("{child} below it has a filter that it has not: it is read with ONLY");
            self.filtered.entry(*oid).or_insert_with(|| entry(relation)).note = Some(note);
        }
        Ok(())
    }

    fn keep(
        &mut self,
        catalog: &Catalog,
        relation: &Relation,
        sets: &Bound,
        filters: &[Filter<'_>],
        stands: Stands,
    ) -> Result<(), ProtectionError> {
        let mut kept = entry(relation);
        let places: BTreeSet<usize> = sets.iter().flatten().copied().collect();
        kept.filters = places
            .iter()
            .filter_map(|place| filters.get(*place))
            .map(|(filter, _)| filter.name.clone())
            .collect();
        if matching(relation, filters).is_empty() {
            kept.note = Some("its rows are those of a table that is filtered".into());
        }
        let (mut conditions, mut viewed) = (Vec::new(), Vec::new());
        let mut fault = None;
        for set in sets {
            let set: Vec<&Filter<'_>> = set.iter().filter_map(|place| filters.get(*place)).collect();
            for (is_viewed, conditions) in [(false, &mut conditions), (true, &mut viewed)] {
                if stands == (if is_viewed { Stands::Sent } else { Stands::Viewed }) {
                    continue;
                }
                match condition(catalog, relation, &set, &mut kept.reads, is_viewed) {
                    Ok(condition) => conditions.push(condition),
                    Err((filter, reason)) => fault = Some((filter, reason)),
                }
            }
        }
        let masked = |name: &&String| self.of(relation.oid).iter().any(|column| column.column == **name);
        if stands != Stands::Sent
            && let (Some(masked), Some(first)) = (kept.reads.iter().find(masked), kept.filters.first())
        {
            fault = Some((first.clone(), FilterError::Masked(masked.clone())));
        }
        let fence = match fault {
            Some((filter, reason)) if relation.kind == Kind::Table => {
                return Err(ProtectionError::Filter { filter, table: relation.full_name(), reason });
            }
            Some((filter, reason)) => {
                let reason = format!("row filter {filter} cannot be kept on it: {reason}");
                kept.note = Some(reason.clone());
                Fence::Closed(reason)
            }
            None => {
                if stands != Stands::Sent {
                    self.walls.insert(relation.oid, all(viewed));
                }
                let condition = Box::new(all(conditions));
                Fence::Open { deep: depth(&condition) > SHALLOW, condition }
            }
        };
        self.fences.insert(relation.oid, fence);
        self.filtered.insert(relation.oid, kept);
        Ok(())
    }
}

fn entry(relation: &Relation) -> FilteredTable {
    FilteredTable {
        schema: relation.schema.clone(),
        table: relation.name.clone(),
        relation: relation.oid,
        filters: Vec::new(),
        reads: BTreeSet::new(),
        note: None,
    }
}

fn matching(relation: &Relation, filters: &[Filter<'_>]) -> Vec<usize> {
    let names = |(filter, _): &Filter<'_>| filter.table.matches(&relation.schema, &relation.name);
    filters.iter().enumerate().filter(|(_, filter)| names(filter)).map(|(place, _)| place).collect()
}

/// What binds each relation: the filters that name it, and what binds the tables whose rows it holds.
fn bound(catalog: &Catalog, filters: &[Filter<'_>]) -> BTreeMap<u32, Bound> {
    let mut bound: BTreeMap<u32, Bound> = BTreeMap::new();
    for relation in catalog.relations() {
        let matching = matching(relation, filters);
        if has_rows(relation) && relation.schema != BROKER_SCHEMA && !matching.is_empty() {
            bound.entry(relation.oid).or_default().insert(matching);
        }
    }
    loop {
        let mut grew = false;
        for (parent, child) in catalog.parents() {
            let Some(above) = bound.get(parent).cloned() else { continue };
            let below = bound.entry(*child).or_default();
            let before = below.len();
            below.extend(above);
            grew |= below.len() > before;
        }
        if !grew {
            return bound;
        }
    }
}

/// The relations with something below that is bound by more than they are, and the name of one such.
fn straddling(catalog: &Catalog, bound: &BTreeMap<u32, Bound>) -> BTreeMap<u32, String> {
    let nothing = Bound::new();
    let of = |oid: &u32| bound.get(oid).unwrap_or(&nothing);
    let mut found: BTreeMap<u32, String> = BTreeMap::new();
    loop {
        let mut grew = false;
        for (parent, child) in catalog.parents() {
            if found.contains_key(parent) {
                continue;
            }
            let culprit = match found.get(child) {
                Some(culprit) => Some(culprit.clone()),
                None if of(child).is_subset(of(parent)) => None,
                None => catalog.relation_by_oid(*child).map(Relation::full_name),
            };
            if let Some(culprit) = culprit {
                found.insert(*parent, culprit);
                grew = true;
            }
        }
        if !grew {
            return found;
        }
    }
}

/// The condition of the filters of one relation: all of the fences, and any of the slices.
fn condition(
    catalog: &Catalog,
    relation: &Relation,
    filters: &[&Filter<'_>],
    reads: &mut BTreeSet<String>,
    is_viewed: bool,
) -> Result<NodeEnum, (RuleName, FilterError)> {
    let mut fences = Vec::new();
    let mut slices = Vec::new();
    for (filter, predicate) in filters {
        let condition = match predicate {
            // a slice of others, and a fence that nothing is known of
            None => never(),
            Some(predicate) => {
                reads.extend(predicate.columns.iter().cloned());
                let fault = |reason| (filter.name.clone(), reason);
                let claims = if is_viewed { Claims::Stored } else { Claims::Said(&filter.claims) };
                let place = Lowered { catalog, relation, source: SOURCE, claims };
                let condition = place.condition(predicate).map_err(fault)?;
                let carried = if is_viewed { &predicate.claims } else { &BTreeSet::new() };
                let mut guarded = guard(carried).map_err(fault)?;
                guarded.push(condition);
                all(guarded)
            }
        };
        match (filter.is_slice, predicate) {
            (false, _) => fences.push(condition),
            (true, Some(_)) => slices.push(condition),
            (true, None) => {}
        }
    }
    if filters.iter().any(|(filter, _)| filter.is_slice) {
        fences.push(any(slices));
    }
    Ok(all(fences))
}

fn depth(condition: &NodeEnum) -> usize {
    #[derive(Default)]
    struct Depth {
        now: usize,
        most: usize,
    }
    impl tree::Visitor for Depth {
        fn enter(&mut self, _: &'static str, _: &[(&'static str, &'static str)]) {
            self.now += 1;
            self.most = self.most.max(self.now);
        }
        fn text(&mut self, _: &str, _: &[(&'static str, &'static str)]) {}
        fn leave(&mut self, _: &'static str, _: &[(&'static str, &'static str)]) {
            self.now = self.now.saturating_sub(1);
        }
    }
    let mut found = Depth::default();
    tree::visit(condition, &mut found);
    found.most
}

/// The name of a relation inside the subquery that stands in its place.
pub(crate) const SOURCE: &str = "hoopctl_source";

/// Deeper conditions are written on a big stack.
const SHALLOW: usize = 12;
