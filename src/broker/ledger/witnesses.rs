//! Has witnesses cosign the ledger's checkpoints (C2SP `tlog-witness`, the log's side).
//!
//! Job: about every ten seconds the newest checkpoint goes to all witnesses, each served by a task of its own, with a proof
//! from the tiles; once as many have cosigned it as it takes, it is kept beside the checkpoint with their lines. Boundary: the
//! ledger's writer knows nothing of this, and no entry or checkpoint waits for it. Failure mode: a witness that does
//! not answer is asked again, ever more rarely; one that saw another history is told of loudly, and is no reason to
//! stop: whoever verifies with a policy sees that it is missing.

mod post;
mod rounds;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::post::{Fault, Post};
use self::rounds::{Book, Round};
use super::{DirectoryFiles, replace, sync_dir};
use crate::broker::config::WitnessesConfig;
use crate::gateway::clock::Clock;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::cosignature::Cosignature;
use crate::ledger::note::VerifierKey;
use crate::ledger::policy::TrustPolicy;
use crate::ledger::proof::Prover;
use crate::ledger::tile::{CHECKPOINT, COSIGNED};
use crate::ledger::tree::{Hash, consistency_proof};
use crate::ledger::verify::Files as _;
use crate::ledger::witness::Request;

/// The witnesses of a ledger.
pub struct Witnesses {
    config: WitnessesConfig,
    policy: TrustPolicy,
    key: VerifierKey,
    files: DirectoryFiles,
    dir: std::path::PathBuf,
    clock: Clock,
    post: Post,
    newest: watch::Sender<Option<Arc<Round>>>,
    book: Mutex<Book>,
}

/// What of the ledger is not witnessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwitnessed {
    /// How many entries.
    pub entries: u64,
    /// For how long the first of them has waited.
    pub age: Duration,
    /// Whether that is longer than it should be.
    pub is_late: bool,
    /// How many witnesses say that they saw another history.
    pub disputes: usize,
}

impl Witnesses {
    /// Those of the ledger in `dir`, which has this key; `None` when there are none.
    #[must_use]
    pub fn new(config: WitnessesConfig, dir: &Path, key: VerifierKey, clock: Clock) -> Option<Arc<Self>> {
        if config.all.is_empty() {
            return None;
        }
        let named = config.all.iter().map(|witness| (witness.name.clone(), witness.key.clone()));
        let policy = TrustPolicy::of(named, config.quorum);
        let files = DirectoryFiles::new(dir);
        let kept = files.read(COSIGNED).ok().flatten().and_then(|note| String::from_utf8(note).ok());
        // of other witnesses, or of another quorum: it is not what is asked for now
        let kept = kept.and_then(|note| policy.judge(&note, &key).ok());
        let book = Mutex::new(Book::new(kept.map(|witnessed| witnessed.checkpoint)));
        let (post, newest) = (Post::new(), watch::Sender::new(None));
        let dir = dir.to_owned();
        Some(Arc::new(Self { config, policy, key, files, dir, clock, post, newest, book }))
    }

    /// Begins; it ends with what this returns.
    #[must_use]
    pub fn start(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(self).look());
        for place in 0..self.config.all.len() {
            tasks.spawn(Arc::clone(self).attend(place));
        }
        tasks
    }

    /// What is not witnessed now.
    #[must_use]
    pub fn unwitnessed(&self) -> Unwitnessed {
        let (entries, age, disputes) = self.book().unwitnessed(self.clock.now());
        Unwitnessed { entries, age, is_late: age > self.config.patience, disputes }
    }

    /// Looks for a new checkpoint, and hands it to those who attend the witnesses.
    async fn look(self: Arc<Self>) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let witnesses = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || witnesses.read()).await {
                Ok(Some(note)) => self.open(note),
                // before the first checkpoint
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the checkpoint could not be read for the witnesses"),
            }
        }
    }

    fn read(&self) -> Option<String> {
        let read = self.files.read(CHECKPOINT);
        let read = read.inspect_err(|error| tracing::error!(%error, "nothing goes to the witnesses"));
        String::from_utf8(read.ok()??).ok()
    }

    /// Opens a round, if there is reason for one.
    fn open(&self, note: String) {
        let Ok(checkpoint) = Checkpoint::open(&note, &self.key) else {
            return tracing::error!(
                "the checkpoint is not signed by the ledger's key; nothing goes to the witnesses"
            );
        };
        // before the first entry there is nothing to witness
        if checkpoint.size == 0 {
            return;
        }
        let now = self.clock.now();
        if let Some(round) = self.book().open(note, checkpoint, now) {
            self.newest.send_replace(Some(round));
        }
    }

    /// Serves one witness.
    async fn attend(self: Arc<Self>, place: usize) {
        let Some(witness) = self.config.all.get(place) else { return };
        let (name, mut newest) = (witness.name.as_str(), self.newest.subscribe());
        let (mut known, mut misses) = (0, 0_u32);
        loop {
            let round = newest.borrow_and_update().clone();
            let Some(round) = round else {
                if newest.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let next = Instant::now();
            match self.submit(place, &round, &mut known).await {
                Ok(()) => {
                    if misses > 0 {
                        tracing::info!(witness = name, "the witness cosigns again");
                    }
                    misses = 0;
                    self.book().settle(place);
                    sleep_until(next + PERIOD - EARLY).await;
                    if newest.changed().await.is_err() {
                        return;
                    }
                }
                Err(fault) => {
                    if let Fault::Disputed(why) = &fault {
                        self.book().dispute(place);
                        tracing::error!(
                            witness = name,
                            entries = round.checkpoint.size,
                            why,
                            "the witness has seen another history of this ledger, and does not cosign this one"
                        );
                    } else {
                        tracing::warn!(witness = name, %fault, "the witness did not cosign; it is asked again");
                    }
                    sleep_until(next + PERIOD * (1 << misses.min(5))).await;
                    misses = misses.saturating_add(1);
                }
            }
        }
    }

    /// Submits a checkpoint, a second time if the witness says from where it must be shown.
    async fn submit(
        self: &Arc<Self>,
        place: usize,
        round: &Arc<Round>,
        known: &mut u64,
    ) -> Result<(), Fault> {
        let Some(witness) = self.config.all.get(place) else { return Ok(()) };
        let size = round.checkpoint.size;
        for last in [false, true] {
            let old = *known;
            let proof = self.proof(old, size).await.ok_or(Fault::Tiles)?;
            let body = Request { old, proof, note: &round.note }.to_string();
            match self.post.submit(&witness.url, body).await? {
                post::Answer::Cosigned(lines) => {
                    let found = witness.key.find(round.text(), &lines).map_err(Fault::Cosignature)?;
                    let now = u64::try_from(self.clock.now().as_second()).unwrap_or_default();
                    if found.time.abs_diff(now) > SKEW {
                        return Err(Fault::Clock { said: found.time });
                    }
                    *known = size;
                    let (witnesses, round) = (Arc::clone(self), Arc::clone(round));
                    let taken =
                        tokio::task::spawn_blocking(move || witnesses.take(place, &round, found)).await;
                    return taken.map_err(|error| Fault::Kept(error.to_string()))?;
                }
                post::Answer::Conflict(theirs) if theirs > size => {
                    return Err(Fault::Disputed(format!("it has cosigned {theirs} entries")));
                }
                // of the very size that was sent: it has another root there (tlog-witness before 1.1)
                post::Answer::Conflict(theirs) if theirs == old => {
                    return Err(Fault::Disputed(format!("it does not go on from {theirs} entries")));
                }
                post::Answer::Conflict(_) if last => return Err(Fault::Refused(409)),
                post::Answer::Conflict(theirs) => {
                    if theirs < *known {
                        tracing::warn!(
                            witness = witness.name,
                            theirs,
                            ours = *known,
                            "the witness has forgotten what it cosigned; it could be shown another history"
                        );
                    }
                    *known = theirs;
                }
                post::Answer::Disputed(status) => {
                    return Err(Fault::Disputed(format!(
                        "it answers {status} to a proof from {old} entries"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The proof that the ledger of `size` entries goes on from that of `old`; `None` when the tiles do not make one.
    async fn proof(&self, old: u64, size: u64) -> Option<Vec<Hash>> {
        if old == 0 || old >= size {
            return Some(Vec::new());
        }
        let files = self.files.clone();
        let proof = move || consistency_proof(&Prover::new(&files, size), old, size);
        tokio::task::spawn_blocking(proof).await.ok().flatten()
    }

    /// Takes a cosignature, and keeps the checkpoint if it has as many as it takes now.
    fn take(&self, place: usize, round: &Round, found: Cosignature) -> Result<(), Fault> {
        let mut book = self.book();
        let Some(note) = book.take(place, round, found) else { return Ok(()) };
        if self.policy.judge(&note, &self.key).is_err() {
            return Ok(());
        }
        // INVARIANT: what counts as witnessed is on the disk
        let path = self.dir.join(COSIGNED);
        let kept = replace(&path, note.as_bytes()).and_then(|()| sync_dir(&self.dir));
        kept.map_err(|error| Fault::Kept(error.to_string()))?;
        book.witnessed(round.checkpoint);
        Ok(())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a witness is asked, at the most.
const PERIOD: Duration = Duration::from_secs(10);
/// What two timers may differ by, so that no round is missed for it.
const EARLY: Duration = Duration::from_millis(500);
/// How far a witness's clock may be off, in seconds.
const SKEW: u64 = 300;

#[cfg(test)]
mod tests;
