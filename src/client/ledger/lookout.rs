//! Looks whether a broker's ledger still is what it was.
//!
//! Job: asks for the signed head with the proof that it extends the one that is remembered, believes it or keeps the
//! evidence, and remembers it. Boundary: where the memory is, and whom to tell, comes from above. Failure mode: a
//! [`Contradiction`] is final: no session is opened on the strength of such a ledger. A broker that cannot be asked is
//! no contradiction, and no session is opened either.

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use tokio::sync::Mutex;

use super::memory::{Evidence, Memory, Remembered};
use super::{Head, LedgerError};
use crate::client::link::{Caller, Link, LinkError};
use crate::client::{ClientContext, Sight, Sights};
use crate::gateway::clock::Clock;
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::note::{NoteError, VerifierKey};
use crate::ledger::proof::{MAX_PROOF, proven};
use crate::ledger::rotation::{self, Cause, Rotation};
use crate::ledger::tree::{Hash, verify_consistency};
use crate::wire::control::{FROM, LEDGER_HEAD, LedgerHead, ProblemCode, SINCE, ShownRotation};

/// Looks at one broker's ledger, for one process.
#[derive(Debug)]
pub struct Lookout {
    memory: Memory,
    clock: Clock,
    sights: Sights,
    /// When this process looked the last time. Held while it looks, so that sessions that are opened side by side
    /// share one look.
    looked: Mutex<Option<Timestamp>>,
}

/// How a ledger is not the one that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Contradiction {
    /// It does not go on from the entries that were there.
    #[error(
        "the broker's ledger does not go on from the {kept} entries that are remembered of it: it is another history, or what shows the connection is withheld"
    )]
    Forked {
        /// How many.
        kept: u64,
    },
    /// Another key signs it.
    #[error(
        "the key of the broker's ledger is not the one that is remembered of it, and the ledger does not prove that it was changed"
    )]
    Key,
    /// It is shorter than it was.
    #[error(
        "the broker's ledger had {kept} entries when it was last seen, and now has {found}: it has been rolled back or cut"
    )]
    RolledBack {
        /// How many there were.
        kept: u64,
        /// How many there are.
        found: u64,
    },
    /// What it shows is not signed.
    #[error("the head of the broker's ledger cannot be believed: {0}")]
    Unbelievable(CheckpointError),
    /// What it shows as its key is none.
    #[error("the key of the broker's ledger cannot be read: {0}")]
    Unreadable(NoteError),
    /// It was shown, and is no more.
    #[error("the broker does not show the head of its ledger any more")]
    Withheld,
}

impl Lookout {
    /// Looks for the user of this machine, who remembers so much.
    #[must_use]
    pub fn new(context: &ClientContext, memory: Memory) -> Self {
        let (clock, sights) = (context.clock.clone(), context.sights.clone());
        Self { memory, clock, sights, looked: Mutex::new(None) }
    }

    /// What is remembered.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The head now, which extends everything that was seen before; `None` from a broker that shows none and never
    /// did. `key` is the one that somebody named; else it is the remembered one, and on the first visit the broker's
    /// word.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn look(
        &self,
        link: &Link,
        caller: Caller<'_>,
        key: Option<&VerifierKey>,
    ) -> Result<Option<Head>, LedgerError> {
        let mut looked = self.looked.lock().await;
        let head = self.see(link, caller, key).await?;
        *looked = Some(self.clock.now());
        Ok(head)
    }

    /// Looks before a session is opened, unless this process did within the last minute.
    ///
    /// # Errors
    /// [`LedgerError`]; no session must be opened then.
    pub async fn look_once(&self, link: &Link, caller: Caller<'_>) -> Result<(), LedgerError> {
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|at| self.is_fresh(at)) {
            return Ok(());
        }
        self.see(link, caller, None).await?;
        *looked = Some(self.clock.now());
        Ok(())
    }

    /// Looks after a login was renewed, unless any command did within the last minute. A broker that does not answer
    /// in order stops nobody here: what is opened then is looked at again.
    ///
    /// # Errors
    /// [`LedgerError`], where it is not the broker's mere absence.
    pub async fn glance(&self, link: &Link, caller: Caller<'_>) -> Result<(), LedgerError> {
        if self.memory.shown()?.is_some_and(|at| self.is_fresh(at)) {
            return Ok(());
        }
        match self.look_once(link, caller).await {
            Err(LedgerError::Api(error)) => {
                tracing::warn!(%error, "the head of the broker's ledger could not be seen");
                Ok(())
            }
            other => other,
        }
    }

    fn is_fresh(&self, at: Timestamp) -> bool {
        let age = self.clock.now().duration_since(at);
        // a clock that was set back does not stop anybody from looking
        (SignedDuration::ZERO..FRESH).contains(&age)
    }

    async fn see(
        &self,
        link: &Link,
        caller: Caller<'_>,
        named: Option<&VerifierKey>,
    ) -> Result<Option<Head>, LedgerError> {
        for _ in 0..ATTEMPTS {
            let before = self.memory.read()?;
            let from = before.as_ref().and_then(Remembered::kept).map_or(0, |kept| kept.size);
            let path = format!("{LEDGER_HEAD}?{FROM}={from}");
            let shown = link.call::<LedgerHead>(caller, reqwest::Method::GET, &path, None::<&()>).await;
            let shown = match shown {
                Err(LinkError::Problem(problem)) if problem.code == ProblemCode::Unknown => {
                    return self.unshown(before.as_ref());
                }
                other => other?,
            };
            let asked = before.as_ref().map(|before| &before.key).or(named);
            let shown = match asked.filter(|asked| !is_key(asked, &shown.key)) {
                // an older broker does not know that query, so it is put only where there is reason to
                Some(asked) => {
                    let path = format!("{path}&{SINCE}={}", asked.id());
                    link.call::<LedgerHead>(caller, reqwest::Method::GET, &path, None::<&()>).await?
                }
                None => shown,
            };
            let strange = named.filter(|named| before.as_ref().is_some_and(|before| !before.has_key(named)));
            let head = match strange {
                // what is wrong then is first of all what was named
                Some(named) => extends(before.as_ref(), None, &shown)
                    .ok()
                    .filter(|head| head.has_key(named))
                    .ok_or(LedgerError::NamedKey)?,
                None => self.believe(before.as_ref(), named, &shown)?,
            };
            if self.memory.advance(before.as_ref(), &head)? {
                if before.is_none() && self.memory.lasts() {
                    let (key, size) = (head.key.to_string(), head.checkpoint.size);
                    self.sights.tell(&Sight::First { key, size, is_named: named.is_some() });
                }
                self.tell_rotation(before.as_ref(), &shown, &head);
                self.memory.note_shown(self.clock.now())?;
                return Ok(Some(head));
            }
            // another command of ours has remembered something meanwhile: that is what must be extended now
        }
        Err(LedgerError::Crowded)
    }

    /// Says that another key is remembered now.
    fn tell_rotation(&self, before: Option<&Remembered>, shown: &LedgerHead, head: &Head) {
        if before.is_none_or(|before| before.key == head.key) {
            return;
        }
        let steps = steps(shown, &head.checkpoint);
        if let Some(last) = steps.and_then(|steps| steps.last().cloned()) {
            self.sights.tell(&Sight::Rotated {
                key: last.new.to_string(),
                index: last.index,
                is_compromised: last.cause == Cause::Compromised,
            });
        }
    }

    /// A broker that shows no head: an older one, unless it has shown one before.
    fn unshown(&self, before: Option<&Remembered>) -> Result<Option<Head>, LedgerError> {
        if self.memory.shown()?.is_some() {
            let evidence = self.memory.witness(before, &[]);
            return Err(LedgerError::Contradicted(Contradiction::Withheld, evidence));
        }
        self.sights.tell(&Sight::Nothing);
        Ok(None)
    }

    /// Believes what was shown, or keeps it as evidence.
    fn believe(
        &self,
        before: Option<&Remembered>,
        named: Option<&VerifierKey>,
        shown: &LedgerHead,
    ) -> Result<Head, LedgerError> {
        extends(before, named, shown).map_err(|contradiction| {
            // whoever lies may also lie at length
            let cut = |text: &str| text.chars().take(LONGEST).collect::<String>();
            let proof: Vec<String> = shown.proof.iter().take(MAX_PROOF).map(|hash| cut(hash)).collect();
            let rotations: Vec<String> =
                shown.rotations.iter().take(MOST_SHOWN).map(|rotation| cut(&rotation.entry)).collect();
            let mut files = vec![
                ("shown-key", cut(&shown.key)),
                ("shown-checkpoint", cut(&shown.checkpoint)),
                ("shown-proof", cut(&proof.join("\n"))),
            ];
            if !rotations.is_empty() {
                files.push(("shown-rotations", cut(&rotations.join("\n"))));
            }
            let evidence: Evidence = self.memory.witness(before, &files);
            LedgerError::Contradicted(contradiction, evidence)
        })
    }
}

/// Whether a head extends what is remembered, under its key, else the one that somebody named, else its own; or under one that
/// followed that key in the very log.
///
/// INVARIANT: a head is believed only if the key that is remembered has signed it, or has signed over to the one that did in
/// entries that are proven under it; and if it is proven to extend the head that is remembered.
fn extends(
    before: Option<&Remembered>,
    named: Option<&VerifierKey>,
    shown: &LedgerHead,
) -> Result<Head, Contradiction> {
    let theirs = VerifierKey::parse(shown.key.trim()).map_err(Contradiction::Unreadable)?;
    let key = before.map(|before| &before.key).or(named).unwrap_or(&theirs);
    let opened = Checkpoint::open(&shown.checkpoint, &theirs);
    let older = match (*key == theirs, &opened) {
        (true, _) => Vec::new(),
        (false, Ok(head)) => followed(key, &theirs, shown, head).ok_or(Contradiction::Key)?,
        (false, Err(_)) => return Err(Contradiction::Key),
    };
    let head = opened.map_err(Contradiction::Unbelievable)?;
    if let Some(kept) = before.and_then(Remembered::kept) {
        if kept.size > head.size {
            return Err(Contradiction::RolledBack { kept: kept.size, found: head.size });
        }
        let proof: Option<Vec<Hash>> =
            shown.proof.iter().take(MAX_PROOF + 1).map(|hash| Hash::parse(hash)).collect();
        let (old, new) = ((kept.size, &kept.root), (head.size, &head.root));
        let is_shown = match kept.size {
            0 => kept.root == Hash::empty(),
            _ => proof.is_some_and(|proof| verify_consistency(old, new, &proof)),
        };
        if !is_shown {
            return Err(Contradiction::Forked { kept: kept.size });
        }
    }
    Ok(Head { key: theirs, older, checkpoint: head, note: shown.checkpoint.clone() })
}

/// The keys from `key` to `last`, without the latter, when what was shown leads from one to the other step by step.
fn followed(
    key: &VerifierKey,
    last: &VerifierKey,
    shown: &LedgerHead,
    head: &Checkpoint,
) -> Option<Vec<VerifierKey>> {
    let (mut at, mut older) = (key.clone(), Vec::new());
    for step in steps(shown, head)? {
        if step.old != at {
            return None;
        }
        older.push(std::mem::replace(&mut at, step.new));
    }
    (at == *last).then_some(older)
}

/// The rotations that were shown, each proven to be an entry under the head; none when one is not.
fn steps(shown: &LedgerHead, head: &Checkpoint) -> Option<Vec<Rotation>> {
    if shown.rotations.len() > MOST_SHOWN {
        return None;
    }
    let read = |shown: &ShownRotation| {
        let hashes = shown.proof.iter().take(MAX_PROOF + 1).map(|hash| Hash::parse(hash));
        let proof: Vec<Hash> = hashes.collect::<Option<_>>()?;
        let event = proven(shown.index, shown.entry.as_bytes(), &proof, head).ok()?;
        Rotation::entered(shown.index, &event.what).ok()?
    };
    shown.rotations.iter().map(read).collect()
}

/// Whether this is what is shown as the key; what cannot be read is looked at later.
fn is_key(key: &VerifierKey, shown: &str) -> bool {
    VerifierKey::parse(shown.trim()).is_ok_and(|shown| shown == *key)
}

/// For how long one look is enough for logins that are renewed, and for the sessions of one command.
const FRESH: SignedDuration = SignedDuration::from_secs(60);
/// How often other commands of the same user may come in between.
const ATTEMPTS: usize = 16;
/// A log has no more keys.
const MOST_SHOWN: usize = rotation::MOST;
/// No key, checkpoint or proof is longer, in characters.
const LONGEST: usize = 1 << 16;

#[cfg(test)]
mod tests;
