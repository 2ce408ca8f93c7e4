//! Which rows a principal sees: a predicate per table, with claims of the login as values.
//!
//! Job: say which filters bind somebody, and bind the claims that they name. Boundary: the predicate is
//! text here; `sql::filter` reads it, and puts claims in as values, never as text. Failure mode: a claim
//! that the login does not carry is an [`UnboundClaim`], and no session opens.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::name::{GroupName, RuleName};
pub use super::pattern::TablePattern;
use super::principal::Principal;

/// One row filter of a target.
///
/// A filter without `only_for` is a fence around everybody: all such filters of a table hold at once. Filters with
/// `only_for` are slices: who is in several sees them all, and who is in none of a table's slices sees no row of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowFilter {
    /// The name that errors, `explain` and the ledger show.
    pub name: RuleName,
    /// The tables it is about.
    pub table: TablePattern,
    /// An expression over the table's columns and `principal.<claim>` that is true for the rows that are seen.
    pub predicate: String,
    /// The claims that the predicate names.
    pub claims: BTreeSet<String>,
    /// The slice of these groups; empty for a fence around everybody.
    #[serde(default)]
    pub only_for: BTreeSet<GroupName>,
    /// Members of any of these groups are not bound by a fence.
    #[serde(default)]
    pub lifted_for: BTreeSet<GroupName>,
}

/// What a claim of a login says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Claim {
    /// One value.
    One(String),
    /// Several; in a predicate `column = ANY (principal.<claim>)`.
    Many(BTreeSet<String>),
}

/// What one principal sees of the tables of a pattern, with the values that stand for its claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundFilter {
    /// The filter's name.
    pub name: RuleName,
    /// The tables.
    pub table: TablePattern,
    /// The predicate; `None` for a slice of others, which shows this principal nothing.
    pub predicate: Option<String>,
    /// The values of the claims that the predicate names.
    pub claims: BTreeMap<String, Claim>,
    /// Whether this is a slice: a table's slices are joined by OR, everything else by AND.
    pub is_slice: bool,
}

/// What the filters of a target mean for one principal.
///
/// # Errors
/// [`UnboundClaim`], of the first filter that names a claim which their login does not carry.
pub fn bound(filters: &[RowFilter], who: &Principal) -> Result<Vec<BoundFilter>, UnboundClaim> {
    if filters.is_empty() {
        return Ok(Vec::new());
    }
    let claims = who.claims();
    filters.iter().filter_map(|filter| filter.bind(&who.groups, &claims).transpose()).collect()
}

/// What the filters of a target mean for whoever is in these groups, whatever their logins say: without claims.
#[must_use]
pub fn shapes(filters: &[RowFilter], is_in: impl Fn(&BTreeSet<GroupName>) -> bool) -> Vec<BoundFilter> {
    filters.iter().filter_map(|filter| filter.shape(&is_in)).collect()
}

/// Whether every row that `seer` is shown is shown to `other` too, as far as that follows from the filters alone.
#[must_use]
pub fn shows_as_much(filters: &[RowFilter], seer: &Principal, other: &Principal) -> bool {
    let (shown, theirs) = (seer.claims(), other.claims());
    filters.iter().all(|filter| {
        match (filter.bind(&seer.groups, &shown), filter.bind(&other.groups, &theirs)) {
            (_, Ok(None)) => true,
            // a slice that is not the seer's shows them nothing
            (Ok(Some(BoundFilter { predicate: None, .. })), Ok(_)) => true,
            (Ok(own), Ok(theirs)) => own == theirs,
            (Err(_), _) | (_, Err(_)) => false,
        }
    })
}

/// The claims that a predicate may name without a mapping in the configuration. `email` is there only where the
/// provider says that it has verified the address.
pub const BUILT_IN: [&str; 4] = ["email", "groups", "provider", "subject"];

/// A filter names a claim that the login does not carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row filter {filter} compares with principal.{claim}, and your login carries no such claim")]
pub struct UnboundClaim {
    /// The filter.
    pub filter: RuleName,
    /// The claim.
    pub claim: String,
}

impl RowFilter {
    /// Whether it says anything about somebody who is in `groups`.
    #[must_use]
    pub fn binds(&self, groups: &BTreeSet<GroupName>) -> bool {
        !self.only_for.is_empty() || self.lifted_for.is_disjoint(groups)
    }

    /// What it means for somebody in `groups` whose login carries `claims`; `None` where it does not bind them.
    ///
    /// # Errors
    /// [`UnboundClaim`].
    pub fn bind(
        &self,
        groups: &BTreeSet<GroupName>,
        claims: &BTreeMap<String, Claim>,
    ) -> Result<Option<BoundFilter>, UnboundClaim> {
        let is_in = |others: &BTreeSet<GroupName>| !others.is_disjoint(groups);
        let Some(mut bound) = self.shape(&is_in) else { return Ok(None) };
        if bound.predicate.is_some() {
            for name in &self.claims {
                let unbound = || UnboundClaim { filter: self.name.clone(), claim: name.clone() };
                bound.claims.insert(name.clone(), claims.get(name).cloned().ok_or_else(unbound)?);
            }
        }
        Ok(Some(bound))
    }

    /// What it means for whoever is in these groups, without what their logins say.
    fn shape(&self, is_in: &impl Fn(&BTreeSet<GroupName>) -> bool) -> Option<BoundFilter> {
        let is_slice = !self.only_for.is_empty();
        if !is_slice && is_in(&self.lifted_for) {
            return None;
        }
        let is_theirs = !is_slice || is_in(&self.only_for);
        Some(BoundFilter {
            name: self.name.clone(),
            table: self.table.clone(),
            predicate: is_theirs.then(|| self.predicate.clone()),
            claims: BTreeMap::new(),
            is_slice,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::domain::principal::{Kin, PrincipalId, PrincipalKind, Subject};

    fn group(text: &str) -> GroupName {
        text.parse().unwrap()
    }

    fn filter(only_for: &[&str], lifted_for: &[&str]) -> RowFilter {
        RowFilter {
            name: "own-project".parse().unwrap(),
            table: TablePattern::new("public.*").unwrap(),
            predicate: "project = principal.project".into(),
            claims: BTreeSet::from(["project".to_owned()]),
            only_for: only_for.iter().copied().map(group).collect(),
            lifted_for: lifted_for.iter().copied().map(group).collect(),
        }
    }

    fn carried() -> BTreeMap<String, Claim> {
        BTreeMap::from([("project".to_owned(), Claim::One("x".into()))])
    }

    #[test]
    fn a_fence_binds_all_but_those_it_is_lifted_for() {
        let fence = filter(&[], &["corp/auditors"]);
        assert!(fence.bind(&[group("corp/auditors")].into(), &carried()).unwrap().is_none());
        let bound = fence.bind(&[group("corp/dev")].into(), &carried()).unwrap().unwrap();
        assert_eq!((bound.claims, bound.is_slice), (carried(), false));
    }

    #[test]
    fn a_slice_of_others_shows_nothing() {
        let slice = filter(&["corp/eu"], &[]);
        let other = slice.bind(&[group("corp/us")].into(), &BTreeMap::new()).unwrap().unwrap();
        assert_eq!(other.predicate, None);
        let own = slice.bind(&[group("corp/eu")].into(), &carried()).unwrap().unwrap();
        assert!(own.predicate.is_some() && own.is_slice);
    }

    #[test]
    fn who_is_shown_less_or_something_else_is_not_shown_as_much() {
        let with = |groups: &[&str], project: Option<&str>| Principal {
            id: PrincipalId { provider: "corp".parse().unwrap(), subject: Subject::new("alice").unwrap() },
            kind: PrincipalKind::Human,
            display: "alice".into(),
            groups: groups.iter().copied().map(group).collect(),
            kin: Kin::default(),
            attributes: project
                .map(|value| ("project".to_owned(), Claim::One(value.into())))
                .into_iter()
                .collect(),
        };
        let (x, y, none) = (with(&[], Some("x")), with(&[], Some("y")), with(&[], None));
        let (eu, all) = (with(&["corp/eu"], Some("x")), with(&["corp/auditors"], Some("x")));
        let fence = [filter(&[], &["corp/auditors"])];
        assert!(
            shows_as_much(&fence, &x, &eu)
                && shows_as_much(&fence, &x, &all)
                && shows_as_much(&fence, &all, &all)
        );
        assert!(
            !shows_as_much(&fence, &x, &y)
                && !shows_as_much(&fence, &all, &x)
                && !shows_as_much(&fence, &x, &none)
        );
        let slice = [filter(&["corp/eu"], &[])];
        assert!(
            shows_as_much(&slice, &y, &eu)
                && shows_as_much(&slice, &eu, &eu)
                && !shows_as_much(&slice, &eu, &x)
        );
    }

    #[test]
    fn a_claim_that_is_not_carried_opens_nothing() {
        let error = filter(&[], &[]).bind(&BTreeSet::new(), &BTreeMap::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "row filter own-project compares with principal.project, and your login carries no such claim"
        );
    }
}
