//! Whether witnesses have seen a ledger: `audit verify --policy`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::args::Witnesses;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::gateway::clock::Clock;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::note::VerifierKey;
use crate::ledger::policy::{Distrust, MOST_BYTES, TrustPolicy, Witnessed};
use crate::ledger::proof::Prover;
use crate::ledger::rotation::{Chain, SignedHead};
use crate::ledger::tile::{CHECKPOINT, COSIGNED};
use crate::ledger::verify::{Files, FilesError};

/// What `--policy` asks for.
pub(super) struct Quorum {
    policy: TrustPolicy,
    within: Option<Duration>,
    now: Timestamp,
}

impl Quorum {
    /// Reads the policy, if one is named.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn read(args: &Witnesses) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.policy else { return Ok(None) };
        let policy = TrustPolicy::parse(&bytes_of(path)?).map_err(|error| {
            let message = format!("the policy `{}` cannot be used: {error}", path.display());
            Failure::new(FailureKind::Usage, message)
        })?;
        Ok(Some(Self { policy, within: args.witnessed_within, now: Clock::system().now() }))
    }

    /// The key of the log that the policy names, by which the ledger's checkpoint is signed; `None` when it names none.
    ///
    /// # Errors
    /// The policy names logs, and the ledger is none of them.
    pub(super) fn key(
        &self,
        log: &dyn Files,
        unread: fn(&FilesError) -> Failure,
    ) -> Result<Option<String>, Failure> {
        if self.policy.logs().is_empty() {
            return Ok(None);
        }
        let note = note_of(log, CHECKPOINT, unread)?.unwrap_or_default();
        let signed = |key: &&VerifierKey| Checkpoint::open(&note, key).is_ok();
        let followed = |key: &&VerifierKey| SignedHead::read(log, key).is_ok();
        let logs = self.policy.logs();
        let key = logs.iter().find(signed).or_else(|| logs.iter().find(followed));
        key.map(|key| Some(key.to_string())).ok_or_else(|| refused(&Distrust::NoLog))
    }

    /// The newest checkpoint that the witnesses of the quorum have cosigned. To be asked before the ledger is verified, which grows
    /// meanwhile.
    ///
    /// # Errors
    /// There is none, or it is too old.
    pub(super) fn head(
        &self,
        log: &dyn Files,
        key: &VerifierKey,
        unread: fn(&FilesError) -> Failure,
    ) -> Result<Witnessed, Failure> {
        let mut lacking = None;
        for name in [CHECKPOINT, COSIGNED] {
            let Some(note) = note_of(log, name, unread)? else { continue };
            // the witnesses may have seen the log under a key that it had before
            let chain = Chain::of(log).map_err(super::unverified(unread))?;
            let signer = chain.family(key).find(|key| Checkpoint::open(&note, key).is_ok()).unwrap_or(key);
            match self.policy.judge_signed(&note, key, signer) {
                Ok(witnessed) => return self.recent(witnessed),
                // what says most is said: the checkpoint itself need not be cosigned yet
                Err(error @ Distrust::NoQuorum { .. }) => lacking = Some(error),
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(match lacking {
            Some(error) => refused(&error),
            None => Failure::new(FailureKind::BadData, "the ledger has no checkpoint"),
        })
    }

    fn recent(&self, witnessed: Witnessed) -> Result<Witnessed, Failure> {
        let (Some(since), Some(within)) = (witnessed.since, self.within) else { return Ok(witnessed) };
        let now = u64::try_from(self.now.as_second()).unwrap_or_default();
        if now.saturating_sub(since) <= within.as_secs() && since <= now.saturating_add(SKEW) {
            return Ok(witnessed);
        }
        let message = format!(
            "the ledger was last witnessed at {}, with {} entries: that is not within {} of now",
            time(since),
            witnessed.checkpoint.size,
            jiff::SignedDuration::try_from(within)
                .map_or_else(|_| "that time".to_owned(), |span| format!("{span:#}")),
        );
        Err(Failure::new(FailureKind::BadData, message)
            .hint("the broker's witnesses do not answer, or they are shown another ledger than you"))
    }
}

/// That the ledger which was verified is the one that the witnesses saw.
///
/// # Errors
/// It is not, or it cannot be told.
pub(super) fn continues(log: &dyn Files, witnessed: &Witnessed, head: &Checkpoint) -> Result<(), Failure> {
    let seen = &witnessed.checkpoint;
    Prover::new(log, head.size).continues(seen, head).map_err(Failure::from).map_err(|failure| {
        failure.hint(format!(
            "witnesses saw a ledger of {} entries, and this one does not go on from it",
            seen.size
        ))
    })
}

/// Says who has seen it.
pub(super) fn report(ui: Ui, witnessed: &Witnessed, entries: u64) {
    let (seen, of) = (witnessed.checkpoint.size, witnessed.of);
    let by: Vec<String> = witnessed.by.iter().map(|(name, at)| format!("{name} at {}", time(*at))).collect();
    if by.is_empty() {
        return ui.line("the policy asks for no witnesses, and none have signed it");
    }
    ui.line(&format!(
        "witnessed by {} of {of}, with {seen} of its {entries} entries: {}",
        by.len(),
        by.join(", ")
    ));
}

/// The same, for programs.
pub(super) fn as_json(witnessed: &Witnessed) -> Value {
    let by = witnessed.by.iter().map(|(name, at)| json!({ "name": name, "at": time(*at) }));
    json!({
        "entries": witnessed.checkpoint.size,
        "by": by.collect::<Vec<_>>(),
        "of": witnessed.of,
    })
}

fn refused(why: &Distrust) -> Failure {
    Failure::new(FailureKind::BadData, format!("the ledger is not witnessed as the policy asks: {why}"))
        .hint("it may be what everybody sees, but nobody else says so")
}

fn note_of(
    log: &dyn Files,
    name: &str,
    unread: fn(&FilesError) -> Failure,
) -> Result<Option<String>, Failure> {
    let bytes = log.read(name).map_err(|error| unread(&error))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let (mut bytes, most) = (Vec::new(), u64::try_from(MOST_BYTES + 1).unwrap_or(u64::MAX));
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| {
        Failure::new(FailureKind::Usage, format!("cannot read `{}`: {error}", path.display()))
    })
}

fn time(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(|| format!("{seconds} s after 1970"), |at| at.to_string())
}

/// How far a witness's clock may be ahead of ours.
const SKEW: u64 = 300;
