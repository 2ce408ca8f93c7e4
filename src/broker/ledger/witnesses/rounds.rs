//! Which checkpoints are out with the witnesses, and what came back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::cosignature::Cosignature;

/// A checkpoint that is shown to all witnesses: what they cosign at different times does not add up.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) checkpoint: Checkpoint,
    /// As the ledger has signed it.
    pub(super) note: String,
    opened: Timestamp,
}

impl Round {
    /// What is cosigned.
    pub(super) fn text(&self) -> &str {
        self.note.rfind("\n\n").and_then(|end| self.note.get(..=end)).unwrap_or_default()
    }
}

/// The newest rounds, and what they came to.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The newest last. A witness may be slower than the rounds follow each other.
    rounds: VecDeque<(Arc<Round>, BTreeMap<usize, Cosignature>)>,
    /// The newest checkpoint that has all that it takes.
    witnessed: Option<Checkpoint>,
    /// Since when there is a checkpoint that goes beyond that.
    waits: Option<Timestamp>,
    disputes: BTreeSet<usize>,
}

impl Book {
    pub(super) fn new(witnessed: Option<Checkpoint>) -> Self {
        Self { witnessed, ..Self::default() }
    }

    /// A new round, if the checkpoint is new, or the cosignatures of the last one grow old.
    pub(super) fn open(
        &mut self,
        note: String,
        checkpoint: Checkpoint,
        now: Timestamp,
    ) -> Option<Arc<Round>> {
        let mut lines = BTreeMap::new();
        if let Some((last, found)) = self.rounds.back()
            && last.note == note
        {
            if now.duration_since(last.opened) < REFRESH {
                return None;
            }
            lines.clone_from(found);
        }
        if self.waits.is_none() && self.witnessed != Some(checkpoint) {
            self.waits = Some(now);
        }
        let round = Arc::new(Round { checkpoint, note, opened: now });
        self.rounds.push_back((Arc::clone(&round), lines));
        if self.rounds.len() > MOST {
            self.rounds.pop_front();
        }
        Some(round)
    }

    /// Adds a cosignature to its round; returns the note with all of them, unless a later one is witnessed already.
    pub(super) fn take(&mut self, place: usize, round: &Round, found: Cosignature) -> Option<String> {
        let (_, lines) = self.rounds.iter_mut().rev().find(|(other, _)| other.note == round.note)?;
        lines.insert(place, found);
        if self.witnessed.is_some_and(|witnessed| witnessed.size > round.checkpoint.size) {
            return None;
        }
        Some(lines.values().fold(round.note.clone(), |note, found| note + &found.line))
    }

    /// This checkpoint has all that it takes.
    pub(super) fn witnessed(&mut self, checkpoint: Checkpoint) {
        self.witnessed = Some(checkpoint);
        let mut beyond = self.rounds.iter().filter(|(round, _)| round.checkpoint.size > checkpoint.size);
        self.waits = beyond.next().map(|(round, _)| round.opened);
    }

    /// A witness has seen another history.
    pub(super) fn dispute(&mut self, place: usize) {
        self.disputes.insert(place);
    }

    /// It has cosigned.
    pub(super) fn settle(&mut self, place: usize) {
        self.disputes.remove(&place);
    }

    /// How many entries are not witnessed, since when, and how many witnesses saw others.
    pub(super) fn unwitnessed(&self, now: Timestamp) -> (u64, Duration, usize) {
        let newest = self.rounds.back().map_or(0, |(round, _)| round.checkpoint.size);
        let witnessed = self.witnessed.map_or(0, |witnessed| witnessed.size);
        let age = self.waits.map_or(SignedDuration::ZERO, |waits| now.duration_since(waits));
        let age = Duration::try_from(age).unwrap_or_default();
        (newest.saturating_sub(witnessed), age, self.disputes.len())
    }
}

/// How old the cosignatures of a ledger that rests may become.
const REFRESH: SignedDuration = SignedDuration::from_mins(5);
/// How many rounds late answers are taken for.
const MOST: usize = 32;
