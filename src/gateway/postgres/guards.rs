//! The guards that one connection's database has prepared.
//!
//! Job: which check is prepared under which name, and which stamp it was last seen to have. Boundary: what a check says is
//! [`Marks`]'s business. Failure mode: none that matters: a check that is not there fails, and one
//! whose stamp is not known compares.
//!
//! A stamp proves something in later transactions only: in its own it may be as new as a change that was made in
//! between. So it counts once the database has been idle behind it.

use std::collections::HashMap;

use super::marks::{Looked, Marks};
use crate::wire::postgres::conversation::{Guard, Stamp};

/// The guards of one connection.
#[derive(Default)]
pub(super) struct Guards {
    all: HashMap<Looked, Prepared>,
    /// Counts names and uses: no name is used twice.
    count: u64,
    /// Seen since the database was last idle.
    fresh: Vec<(u64, Stamp)>,
    /// What is not needed any more, and may still be there.
    left: Vec<u64>,
}

/// How old the snapshot of a guard's transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// As old as the guard, as far as is known.
    Fresh,
    /// It may have been taken before the guard came, or will be kept while it waits for a lock.
    MayBeOld,
}

struct Prepared {
    number: u64,
    /// When it was last used.
    used: u64,
    /// The database has answered to it.
    is_there: bool,
    stamp: Option<Stamp>,
}

impl Guards {
    /// What this guard looks at.
    pub(super) fn looked(&self, number: u64) -> Option<&Looked> {
        self.all.iter().find(|(_, prepared)| prepared.number == number).map(|(looked, _)| looked)
    }

    /// The guard for these relations. Where no stamp of theirs is known and the transaction may be `old`, its check can
    /// prove nothing by itself.
    pub(super) fn guard(&mut self, looked: &Looked, marks: &Marks, old: Age) -> Guard {
        self.count += 1;
        let used = self.count;
        if !self.all.contains_key(looked) && self.all.len() >= MOST {
            let oldest = self.all.iter().min_by_key(|(_, prepared)| prepared.used);
            if let Some(oldest) = oldest.map(|(looked, _)| looked.clone()) {
                self.left.extend(self.all.remove(&oldest).map(|prepared| prepared.number));
            }
        }
        let fresh = Prepared { number: used, used, is_there: false, stamp: None };
        let prepared = self.all.entry(looked.clone()).or_insert(fresh);
        prepared.used = used;
        let stamp = prepared.stamp.filter(|_| prepared.is_there);
        Guard {
            alone: stamp.is_none() && old == Age::MayBeOld,
            number: prepared.number,
            forget: std::mem::take(&mut self.left),
            prepare: (!prepared.is_there).then(|| marks.check(looked)),
            locks: marks.locks(looked),
            stamp,
        }
    }

    /// A guard has passed, with this stamp if it has a new one.
    pub(super) fn passed(&mut self, number: u64, stamp: Option<Stamp>) {
        if let Some(prepared) = self.all.values_mut().find(|prepared| prepared.number == number) {
            prepared.is_there = true;
            self.fresh.extend(stamp.map(|stamp| (number, stamp)));
        }
    }

    /// The database is in no transaction.
    pub(super) fn idle(&mut self) {
        for (number, stamp) in std::mem::take(&mut self.fresh) {
            if let Some(prepared) = self.all.values_mut().find(|prepared| prepared.number == number) {
                prepared.stamp = Some(stamp);
            }
        }
    }

    /// What was seen since the database was last idle counts no more.
    pub(super) fn distrust(&mut self) {
        self.fresh.clear();
    }

    /// None of them counts any more.
    pub(super) fn clear(&mut self) {
        self.fresh.clear();
        self.left.extend(self.all.drain().map(|(_, prepared)| prepared.number));
    }
}

/// So many sets of relations have a guard at a time.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_counts_once_the_database_was_idle() {
        let (mut guards, marks, looked) = (Guards::default(), Marks::default(), Looked::default());
        let first = guards.guard(&looked, &marks, Age::Fresh);
        assert!(first.prepare.is_some() && first.stamp.is_none());
        guards.passed(first.number, Some(Stamp([7; 8])));
        let same_transaction = guards.guard(&looked, &marks, Age::Fresh);
        assert!(same_transaction.prepare.is_none() && same_transaction.stamp.is_none());
        guards.idle();
        assert_eq!(guards.guard(&looked, &marks, Age::Fresh).stamp, Some(Stamp([7; 8])));
    }

    #[test]
    fn what_was_given_up_is_closed_and_its_name_never_used_again() {
        let (mut guards, marks, looked) = (Guards::default(), Marks::default(), Looked::default());
        let first = guards.guard(&looked, &marks, Age::Fresh);
        guards.passed(first.number, None);
        guards.clear();
        let second = guards.guard(&looked, &marks, Age::Fresh);
        assert_eq!(second.forget, [first.number]);
        assert!(second.prepare.is_some() && second.number != first.number);
        // an answer that comes late is nobody's
        guards.passed(first.number, Some(Stamp([7; 8])));
        guards.idle();
        assert!(guards.guard(&looked, &marks, Age::Fresh).prepare.is_some());
    }
}
