//! Changes that foreign keys pass on.
//!
//! Which rows of another table go or change with the ones that a statement names is decided by the columns that refer. Where
//! those are protected, the rows that are left would tell of them (`SELECT id` after a DELETE in the parent).

use std::collections::BTreeSet;

use pg_query::{Node, NodeEnum};

use crate::sql::catalog::{Kind, Referral, Relation};
use crate::sql::walk::{Outcome, Walk, refuse};

/// What happens to rows that are referred to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// Anything may.
    Any,
    /// They go.
    Deleted,
    /// These columns get other values.
    Updated(BTreeSet<String>),
}

impl Fate {
    /// What `SET column = …` does.
    pub(super) fn of(assignments: &[Node]) -> Self {
        let name = |node: &Node| match node.node.as_ref() {
            Some(NodeEnum::ResTarget(target)) => Some(target.name.clone()),
            _ => None,
        };
        Self::Updated(assignments.iter().filter_map(name).collect())
    }

    fn is_passed_on(&self, relation: &Relation, key: &Referral) -> bool {
        match self {
            Self::Any => true,
            Self::Deleted => key.on_delete,
            Self::Updated(names) => {
                let mut set = names.iter().filter_map(|name| relation.column(name));
                // before 15, a row that moves to another partition is deleted for foreign keys
                let moves = |number: &i16| key.on_delete && relation.partition_columns.contains(number);
                set.any(|column| (key.on_update && key.own.contains(&column.number)) || moves(&column.number))
            }
        }
    }
}

impl Walk<'_> {
    /// Refuses a change that goes on to rows of which a protected column says which they are, or that runs code there which
    /// nobody trusts.
    pub(super) fn passes_nothing_on(&self, changed: &Relation, fate: &Fate) -> Outcome {
        let (catalog, protection) = (self.scope.catalog, self.scope.protection);
        let mut awaiting: Vec<(u32, Fate)> = vec![(changed.oid, fate.clone())];
        if changed.kind != Kind::Table {
            // a view's rows are those of what it reads, under whatever names
            awaiting.extend(self.behind(changed).iter().map(|other| (other.oid, Fate::Any)));
        }
        let mut seen = BTreeSet::new();
        while let Some((oid, fate)) = awaiting.pop() {
            let Some(relation) = catalog.relation_by_oid(oid) else { continue };
            if !seen.insert((oid, fate.clone())) {
                continue;
            }
            // a change of a parent is one of its children's rows, too
            awaiting.extend(catalog.children(oid).iter().map(|child| (*child, fate.clone())));
            for key in relation.referrals.values().filter(|key| fate.is_passed_on(relation, key)) {
                let hidden = key.other.iter().any(|number| protection.is_protected(key.by, *number));
                if hidden || protection.is_filtered(key.by) {
                    let by = catalog.relation_by_oid(key.by).map(Relation::full_name).unwrap_or_default();
                    return Err(refuse(
                        "mask.write",
                        &format!(
                            "a change of {}, which a foreign key of {by} on protected columns or rows passes on,",
                            changed.full_name()
                        ),
                        "which rows go with it would tell of them; ask the operator to change it",
                    ));
                }
                if let Some(by) = catalog.relation_by_oid(key.by) {
                    self.runs_nothing_untrusted(by, true)?;
                }
                awaiting.extend(self.fates(&fate, key).map(|fate| (key.by, fate)));
            }
        }
        Ok(())
    }

    /// What happens to the rows that refer.
    fn fates(&self, fate: &Fate, key: &Referral) -> impl Iterator<Item = Fate> {
        let relation = self.scope.catalog.relation_by_oid(key.by);
        let columns = relation.into_iter().flat_map(|relation| &relation.columns);
        let set =
            columns.filter(|column| key.other.contains(&column.number)).map(|column| column.name.clone());
        let gone = key.takes && !matches!(fate, Fate::Updated(_));
        let stays = !key.takes || *fate != Fate::Deleted;
        let updated = stays.then(|| Fate::Updated(set.collect()));
        gone.then_some(Fate::Deleted).into_iter().chain(updated)
    }
}
