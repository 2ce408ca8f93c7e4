//! Who has approved, one for each person under whatever names.

use std::collections::{BTreeSet, HashMap};

use crate::domain::approval::Marks;
use crate::domain::name::{Digest, GroupName};

/// The people behind approvals: two with a mark in common are one. Of two approvals by one person a broker takes the one
/// that reaches its store first; entries do not tell which that was, so the person is in the groups of both.
#[derive(Debug, Default)]
pub(super) struct People {
    by_mark: HashMap<Digest, usize>,
    /// Of each approval, another one of the same person; of one of them, itself.
    leads: Vec<usize>,
    /// Of the one that leads to itself, the person's groups.
    groups: Vec<BTreeSet<GroupName>>,
}

impl People {
    /// Takes in another approval.
    pub(super) fn add(&mut self, marks: &Marks, groups: &BTreeSet<GroupName>) {
        let mut own = self.leads.len();
        self.leads.push(own);
        self.groups.push(groups.clone());
        for mark in marks.each() {
            if let Some(other) = self.by_mark.insert(mark.clone(), own) {
                own = self.join(own, other);
            }
        }
    }

    /// The groups of each person.
    pub(super) fn groups(&self) -> Vec<&BTreeSet<GroupName>> {
        let people = self.leads.iter().zip(&self.groups).enumerate();
        people.filter(|(at, (lead, _))| at == *lead).map(|(_, (_, groups))| groups).collect()
    }

    /// Makes one person of two; who speaks for it.
    fn join(&mut self, one: usize, other: usize) -> usize {
        let (one, other) = (self.lead(one), self.lead(other));
        if one == other {
            return one;
        }
        let count = |at: usize| self.groups.get(at).map_or(0, BTreeSet::len);
        let (more, fewer) = if count(one) < count(other) { (other, one) } else { (one, other) };
        let moved = self.groups.get_mut(fewer).map(std::mem::take).unwrap_or_default();
        if let Some(groups) = self.groups.get_mut(more) {
            groups.extend(moved);
        }
        if let Some(lead) = self.leads.get_mut(fewer) {
            *lead = more;
        }
        more
    }

    /// Who speaks for the person of an approval; the way there gets shorter each time.
    fn lead(&mut self, mut at: usize) -> usize {
        while let Some(next) = self.leads.get(at).copied().filter(|next| *next != at) {
            let beyond = self.leads.get(next).copied().unwrap_or(next);
            if let Some(lead) = self.leads.get_mut(at) {
                *lead = beyond;
            }
            at = beyond;
        }
        at
    }
}
