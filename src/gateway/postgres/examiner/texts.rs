//! What is remembered of texts, and when it is forgotten.
//!
//! Job: keep what a text was found to do, until its names may mean something else or policy is another. Boundary: what
//! was prepared by a name is not forgotten but judged again. Failure mode: a text is read once more.

use std::sync::Arc;

use super::Examiner;
use crate::domain::planted::{Leak, is_planted};
use crate::gateway::postgres::inspected::{Inspected, Prepared};
use crate::gateway::postgres::lens::Lens;
use crate::sql::Effect;

impl Examiner {
    pub(super) fn follow_path(&mut self, effect: &Effect) {
        let moves = matches!(effect, Effect::SetSearchPath { .. } | Effect::DiscardAll | Effect::ResetAll);
        if moves && let Lens::Masked(masked) = self.lens_mut() {
            masked.path.foresee(effect);
        }
    }

    /// What unqualified names meant before, they may not mean now: a transaction that set the path may have
    /// ended since, as well.
    pub(super) fn follow_names(&mut self) {
        if let Lens::Masked(masked) = &*self.lens
            && masked.path.current() != self.read_under
        {
            self.read_under = masked.path.current().to_vec();
            self.forget_texts();
        }
    }

    /// Temporary tables have come or gone: they come before others of their name. What was prepared with their
    /// names is judged again.
    pub(super) fn follow_temporaries(&mut self) {
        let Lens::Masked(masked) = &*self.lens else { return };
        if masked.temporary.is_same(self.temporaries.current()) {
            return;
        }
        let now = self.temporaries.current().clone();
        let names = masked.temporary.differences(&now);
        let concerns = |prepared: &Prepared| {
            let facts = prepared.inspected.parts.iter().map(|part| &part.facts);
            let named = facts.flat_map(|facts| facts.relations_read.iter().chain(&facts.relations_written));
            let has = |full: &String, name: &str| {
                full.strip_suffix(name).is_some_and(|schema| schema.ends_with('.'))
            };
            let mut named = named.filter(|full| names.iter().any(|name| has(full, name)));
            named.next().is_some()
        };
        let (then, edition) = (self.drift.edition, self.drift.edition + 1);
        for prepared in self.prepared.values_mut().chain(self.named.values_mut()) {
            if prepared.edition == then && !concerns(prepared) {
                prepared.edition = edition;
            }
        }
        self.drift.edition = edition;
        if let Lens::Masked(masked) = self.lens_mut() {
            masked.temporary = now;
        }
        self.forget_texts();
    }

    pub(super) fn follow_policy(&mut self) {
        if self.gate.follow_policy() {
            self.era.0 += 1;
            self.forget_texts();
        }
    }

    pub(super) fn forget_texts(&mut self) {
        self.cache.clear();
        self.alike.clear();
    }

    pub(super) fn keep(&mut self, text: &str, inspected: &Arc<Inspected>) {
        let depends_on_names =
            inspected.parts.iter().any(|part| matches!(part.effect, Effect::Execute { .. }));
        // a short text that names many masked relations is a long one when it is sent
        if depends_on_names || inspected.bytes() > LONGEST_KEPT {
            return;
        }
        if is_planted(Leak::Cached) {
            let as_it_came = Inspected { sent: None, ..inspected.without_opinions() };
            return self.cache.keep(text, &Arc::new(as_it_came));
        }
        self.cache.keep(text, inspected);
    }
}

/// Bytes of a text and of what is sent in its place; a connection remembers some hundreds.
const LONGEST_KEPT: usize = 128 << 10;
