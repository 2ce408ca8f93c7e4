//! How many reviews of whom a request needs.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::domain::name::GroupName;
use crate::domain::text;

/// What a request needs before it is approved: every [`Need`], each from people of its own. One
/// person's review counts towards one need only.
///
/// Written `corp/dba:2, owner:1`, as in the annotation `@review`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Threshold(BTreeSet<Need>);

/// So many people out of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// Out of whom.
    pub from: Reviewers,
    /// How many, 1 to 9.
    pub count: u8,
}

/// Who may review.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reviewers {
    /// The members of a group.
    Group(GroupName),
    /// The group that owns the target, by its configuration.
    Owner,
}

/// Why a text is no threshold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a threshold: write PROVIDER/GROUP:COUNT or owner:COUNT, several of them with commas")]
pub struct ThresholdError(String);

impl Threshold {
    /// What is needed, in order.
    pub fn needs(&self) -> impl Iterator<Item = &Need> {
        self.0.iter()
    }

    /// Whether nothing is needed: no rule may write this, and it never approves anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Both thresholds at once; of two needs from the same people, the greater.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut all = std::collections::BTreeMap::<Reviewers, u8>::new();
        for need in self.0.iter().chain(&other.0) {
            let count = all.entry(need.from.clone()).or_default();
            *count = need.count.max(*count);
        }
        Self(all.into_iter().map(|(from, count)| Need { from, count }).collect())
    }

    /// Whether somebody in these groups could count towards it.
    #[must_use]
    pub fn concerns(&self, groups: &BTreeSet<GroupName>) -> bool {
        self.0.iter().any(|need| need.from.has(groups))
    }

    /// What is still missing when people in these groups have approved, in order. Each of them counts
    /// towards one need only, and is put where it helps most: a maximum matching.
    #[must_use]
    pub fn missing(&self, people: &[&BTreeSet<GroupName>]) -> Vec<(Reviewers, u8)> {
        let places: Vec<&Reviewers> =
            self.0.iter().flat_map(|need| (0..need.count).map(move |_| &need.from)).collect();
        // for each person, the place that they fill
        let mut filled: Vec<Option<usize>> = vec![None; people.len()];
        let mut missing = Vec::<(Reviewers, u8)>::new();
        for (place, from) in places.iter().enumerate() {
            if fill(place, &places, people, &mut filled, &mut BTreeSet::new()) {
                continue;
            }
            match missing.last_mut() {
                Some((last, count)) if last == *from => *count = count.saturating_add(1),
                _ => missing.push(((*from).clone(), 1)),
            }
        }
        missing
    }

    /// Puts the owner's group in place of `owner`; `None` when an owner is needed and there is none.
    #[must_use]
    pub fn resolve(&self, owner: Option<&GroupName>) -> Option<Self> {
        let mut resolved = Self::default();
        for need in &self.0 {
            let from = match &need.from {
                Reviewers::Group(group) => group.clone(),
                Reviewers::Owner => owner?.clone(),
            };
            let need = Need { from: Reviewers::Group(from), count: need.count };
            resolved = resolved.and(&Self(BTreeSet::from([need])));
        }
        Some(resolved)
    }
}

impl Reviewers {
    fn has(&self, groups: &BTreeSet<GroupName>) -> bool {
        match self {
            Self::Group(group) => groups.contains(group),
            Self::Owner => false,
        }
    }
}

/// Finds somebody for a place, moving others to another place if need be (an augmenting path).
fn fill(
    place: usize,
    places: &[&Reviewers],
    people: &[&BTreeSet<GroupName>],
    filled: &mut [Option<usize>],
    asked: &mut BTreeSet<usize>,
) -> bool {
    let Some(from) = places.get(place) else { return false };
    for (person, groups) in people.iter().enumerate() {
        if !from.has(groups) || !asked.insert(person) {
            continue;
        }
        let held = filled.get(person).copied().flatten();
        if held.is_none_or(|other| fill(other, places, people, filled, asked)) {
            if let Some(slot) = filled.get_mut(person) {
                *slot = Some(place);
            }
            return true;
        }
    }
    false
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, need) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{}:{}", need.from, need.count)?;
        }
        Ok(())
    }
}

impl fmt::Display for Reviewers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => group.fmt(f),
            Self::Owner => f.write_str("owner"),
        }
    }
}

impl std::str::FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(spelled: &str) -> Result<Self, ThresholdError> {
        let wrong = || ThresholdError(text::name(spelled, 80));
        let mut all = Self::default();
        for part in spelled.split(',') {
            // a group's own name may hold a colon, the count does not
            let (from, count) = part.trim().rsplit_once(':').ok_or_else(wrong)?;
            let count = count.parse().ok().filter(|count| (1..=9).contains(count)).ok_or_else(wrong)?;
            let from = match from {
                "owner" => Reviewers::Owner,
                _ => Reviewers::Group(GroupName::new(from).map_err(|_| wrong())?),
            };
            all = all.and(&Self(BTreeSet::from([Need { from, count }])));
        }
        Ok(all)
    }
}

impl TryFrom<String> for Threshold {
    type Error = ThresholdError;
    fn try_from(text: String) -> Result<Self, ThresholdError> {
        text.parse()
    }
}

impl From<Threshold> for String {
    fn from(threshold: Threshold) -> Self {
        threshold.to_string()
    }
}
