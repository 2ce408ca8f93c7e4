//! What the server does by itself when rows change: triggers, rules, constraints and indexes, of the relation that is
//! named and of all that is below it, where its rows may be.
//!
//! Job: refuse a change by which code of users would run that nobody trusts, and a value for a protected column whose
//! acceptance would tell about others. Boundary: to which other tables a change is passed on is `referral`'s business.
//! Failure mode: a refusal that names relation and reason.

use std::collections::BTreeSet;

use crate::domain::planted::{Leak, is_planted};
use crate::sql::catalog::{CalledBy, Kind, Relation};
use crate::sql::walk::{Outcome, Walk, refuse};

impl<'a> Walk<'a> {
    /// Refuses a change by which rewrite rules or untrusted code would run. With `inherited`, of rows below as well; rules
    /// of what is below are not looked at by the server.
    pub(in crate::sql::walk) fn runs_nothing_untrusted(
        &self,
        relation: &Relation,
        inherited: bool,
    ) -> Outcome {
        if relation.rules {
            return Err(refuse(
                "mask.write",
                &format!("a change of {}, which has rewrite rules,", relation.full_name()),
                "ask the operator",
            ));
        }
        let below = if inherited { self.scope.catalog.below(relation.oid) } else { Vec::new() };
        for other in std::iter::once(relation).chain(below) {
            if other.kind == Kind::Foreign {
                return Err(refuse(
                    "mask.write",
                    &format!("a change of {}, whose rows may be elsewhere,", relation.full_name()),
                    "it could lead back to a protected table: name a part of it that is a table",
                ));
            }
            let is_trusted = |function: &str| function == IDLE || self.trusts_full(function);
            if let Some(call) = other.calls.iter().find(|call| !is_trusted(&call.function)) {
                return Err(refuse(
                    "mask.function",
                    &format!("a change of {}, which calls {},", other.full_name(), call.function),
                    &format!(
                        "the operator can list `{}` under trusted_functions of this target",
                        call.function
                    ),
                ));
            }
            // below, what has no place in the statement stays as it is, but for what is computed
            let written = other.columns.iter().filter(|column| other.oid == relation.oid || column.generated);
            for column in written {
                self.type_is_safe(&column.type_name.0, &column.type_name.1, 0)?;
            }
        }
        Ok(())
    }

    /// The relation and what is below it.
    fn family(&self, relation: &'a Relation) -> impl Iterator<Item = &'a Relation> + use<'a> {
        std::iter::once(relation).chain(self.scope.catalog.below(relation.oid))
    }

    /// Refuses values for a protected column where a constraint, trigger, or something computed could tell about it
    /// or another.
    pub(in crate::sql::walk) fn takes_values(&self, relation: &'a Relation, column: &str) -> Outcome {
        let full = format!("{}.{column}", relation.full_name());
        if self.scope.protection.is_filtered(relation.oid) {
            return Err(refuse(
                "mask.write",
                &format!("a value for the masked column {full}, in a relation with row filters,"),
                "leave the column out",
            ));
        }
        if self.family(relation).any(|other| self.would_tell(other, column)) {
            return Err(refuse(
                "mask.write",
                &format!(
                    "a value for the masked column {full}, which a constraint or trigger reads, or which something is \
                     computed from together with others,"
                ),
                "leave the column out",
            ));
        }
        Ok(())
    }

    /// Whether success or failure of a value for this column of this very relation tells about protected values.
    fn would_tell(&self, relation: &Relation, column: &str) -> bool {
        if relation.calls.iter().any(|call| call.by == CalledBy::Write) {
            return true;
        }
        let Some(number) = relation.column(column).map(|column| column.number) else { return false };
        // what is computed of two protected columns can fail for one value of the one, which then tells the other
        let of_several = |sources: &BTreeSet<i16>| {
            let others = sources.iter().filter(|other| **other != number);
            let mut others = others.filter(|other| self.scope.protection.is_protected(relation.oid, **other));
            sources.contains(&number) && others.next().is_some()
        };
        let checked = relation.sources(&relation.checked_columns).contains(&number);
        if checked && !is_planted(Leak::Check) {
            return true;
        }
        let made: BTreeSet<i16> = relation.generated.iter().map(|(made, _)| *made).collect();
        relation.indexes.values().any(|index| {
            let sources = relation.sources(&index.columns);
            (index.excludes && sources.contains(&number) && !is_planted(Leak::Check))
                || (index.computes && of_several(&sources))
        }) || made.iter().any(|made| of_several(&relation.sources([made])))
            || of_several(&relation.sources(&relation.partition_columns))
    }

    /// Whether a generated column, an index or a partition key reads this column.
    pub(super) fn is_computed_from(&self, relation: &'a Relation, column: &str) -> bool {
        self.family(relation).any(|other| {
            let Some(number) = other.column(column).map(|column| column.number) else { return false };
            let made = other.generated.iter().map(|(made, _)| other.sources([made]));
            let indexed = other.indexes.values().map(|index| other.sources(&index.columns));
            let partitioned = std::iter::once(other.sources(&other.partition_columns));
            made.chain(indexed).chain(partitioned).any(|sources| sources.contains(&number))
        })
    }

    /// Whether this column, or what is computed from it, decides which rows conflict.
    pub(super) fn is_unique(&self, relation: &'a Relation, column: &str) -> bool {
        self.family(relation).any(|other| {
            let number = other.column(column).map(|column| column.number);
            let mut indexes = other.indexes.values().filter(|index| index.refuses);
            number.is_some_and(|number| indexes.any(|index| other.sources(&index.columns).contains(&number)))
        })
    }

    /// Whether a protected column decides which rows conflict.
    pub(super) fn conflicts_tell(&self, relation: &'a Relation) -> bool {
        let protection = self.scope.protection;
        self.family(relation).any(|other| {
            let mut indexes = other.indexes.values().filter(|index| index.refuses);
            indexes.any(|index| {
                let sources = other.sources(&index.columns);
                sources.iter().any(|number| protection.is_protected(other.oid, *number))
            })
        })
    }
}

/// A trigger of the server's that leaves rows alone which would stay as they are. What it tells of columns that get a value
/// is [`Walk::takes_values`]'s business.
const IDLE: &str = "pg_catalog.suppress_redundant_updates_trigger";
