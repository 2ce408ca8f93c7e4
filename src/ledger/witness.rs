//! What a witness answers (C2SP `tlog-witness`, `add-checkpoint`).
//!
//! Job: a request's bytes and what was last cosigned of its log, to an answer and what must be kept before it is given;
//! and the request's bytes for the side that asks. Boundary: no files and no clock; whoever serves it keeps what it says,
//! and answers one request of a log after the other. Failure mode: what is not shown to extend the last cosigned
//! checkpoint is not cosigned; each refusal has the status that the specification gives it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use thiserror::Error;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::cosignature::Cosigner;
use super::note::{NoteError, VerifierKey, split, split_at};
use super::tree::{Hash, verify_consistency};

/// A witness: its key, and the logs that it knows.
#[derive(Debug)]
pub struct Witness {
    cosigner: Cosigner,
    /// By origin; of one log there may be several keys.
    logs: BTreeMap<String, Vec<VerifierKey>>,
}

/// What a witness has last cosigned of each log, by origin; `None` of one of which it never cosigned anything.
pub type State = BTreeMap<String, Option<Checkpoint>>;

/// What a witness answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// The body's media type.
    pub kind: &'static str,
    /// The body.
    pub body: String,
    /// What must be on the disk before this is answered.
    pub keep: Option<Keep>,
    /// Whether the log's key has signed something that does not follow from what was cosigned: somebody should see it.
    pub dispute: bool,
}

/// What a witness must not forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// The log.
    pub origin: String,
    /// What is cosigned now.
    pub checkpoint: Checkpoint,
    /// The same as a note, with the log's signatures and the witness's.
    pub note: String,
}

/// Why what was kept cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// It is not what the log signed.
    #[error("the kept checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The witness did not cosign it.
    #[error("the kept checkpoint is not cosigned by this witness's key")]
    Foreign,
    /// It is of a log that the witness does not know.
    #[error("the kept checkpoint is of the log `{0}`, whose key is not given")]
    Unknown(String),
}

/// A request of `add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'r> {
    /// The size of the last checkpoint that the witness has cosigned, as the log believes.
    pub old: u64,
    /// That the new one extends it (RFC 6962 §2.1.2).
    pub proof: Vec<Hash>,
    /// The new checkpoint, a note.
    pub note: &'r str,
}

impl Witness {
    /// A witness with this key that cosigns what these logs sign.
    #[must_use]
    pub fn new(cosigner: Cosigner, logs: impl IntoIterator<Item = VerifierKey>) -> Self {
        let mut known: BTreeMap<String, Vec<VerifierKey>> = BTreeMap::new();
        for key in logs {
            known.entry(key.name().to_owned()).or_default().push(key);
        }
        Self { cosigner, logs: known }
    }

    /// The origins of the logs that it knows.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.logs.keys().map(String::as_str)
    }

    /// Its key.
    #[must_use]
    pub fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    /// Reads what was kept: signed by a log that it knows, and cosigned by itself.
    ///
    /// # Errors
    /// [`StateError`]: it must not go on from there.
    pub fn read_kept(&self, note: &str) -> Result<(String, Checkpoint), StateError> {
        let (text, signatures) = split_at(note).map_err(CheckpointError::from)?;
        let (origin, _) = Checkpoint::read(text)?;
        let keys = self.logs.get(origin).ok_or_else(|| StateError::Unknown(origin.to_owned()))?;
        let checkpoint = open(note, keys)?;
        match self.cosigner.public().find(text, signatures) {
            Ok(_) => Ok((origin.to_owned(), checkpoint)),
            Err(_) => Err(StateError::Foreign),
        }
    }

    /// Answers a request, at a time in seconds since 1970.
    #[must_use]
    pub fn handle(&self, body: &[u8], state: &State, now: u64) -> Answer {
        match self.judge(body, state) {
            Ok(keep) => {
                let line = self.cosigner.cosign(text_of(&keep.note), now);
                let note = format!("{}{line}", keep.note);
                let keep = Some(Keep { note, ..keep });
                Answer { status: 200, kind: TEXT, body: line, keep, dispute: false }
            }
            Err(refusal) => refusal.answer(),
        }
    }

    /// What is to be cosigned, if it is: the log's note, with no signatures but the log's.
    fn judge(&self, body: &[u8], state: &State) -> Result<Keep, Refusal> {
        let request = Request::parse(body).ok_or(Refusal::Malformed)?;
        let (text, lines) = split(request.note).map_err(|_| Refusal::Malformed)?;
        let (origin, _) = Checkpoint::read(text).map_err(|_| Refusal::Malformed)?;
        let lines = lines.collect::<Result<Vec<_>, _>>().map_err(|_| Refusal::Malformed)?;
        if lines.len() > MAX_SIGNATURES {
            return Err(Refusal::Malformed);
        }
        let (Some(keys), Some(kept)) = (self.logs.get(origin), state.get(origin)) else {
            return Err(Refusal::Unknown);
        };
        let new = open(request.note, keys).map_err(|_| Refusal::Unsigned)?;
        if request.old > new.size {
            return Err(Refusal::Shrinks);
        }
        let old = kept.unwrap_or(Checkpoint { size: 0, root: Hash::empty() });
        // INVARIANT: what is cosigned extends the last that was cosigned, which nobody but the witness names
        if request.old != old.size {
            return Err(Refusal::Conflict { known: old.size });
        }
        if old.size == new.size && old.root != new.root {
            return Err(Refusal::Forked);
        }
        let follows = match old.size {
            0 => request.proof.is_empty(),
            _ => verify_consistency((old.size, &old.root), (new.size, &new.root), &request.proof),
        };
        if !follows {
            return Err(Refusal::Unproven { is_longer: new.size > old.size });
        }
        let note = format!("{text}\n{}", signed_by(request.note, keys));
        Ok(Keep { origin: origin.to_owned(), checkpoint: new, note })
    }
}

impl<'r> Request<'r> {
    /// Reads a request; `None` when it is none.
    #[must_use]
    pub fn parse(body: &'r [u8]) -> Option<Self> {
        if body.len() > MAX_REQUEST {
            return None;
        }
        let (head, note) = std::str::from_utf8(body).ok()?.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let size = lines.next()?.strip_prefix("old ")?;
        let old: u64 = size.parse().ok().filter(|old: &u64| old.to_string() == size)?;
        let proof: Vec<Hash> = lines.map(Hash::parse).collect::<Option<_>>()?;
        (proof.len() <= MAX_PROOF).then_some(Self { old, proof, note })
    }
}

/// A request as it is sent.
impl std::fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        f.write_char('\n')?;
        f.write_str(self.note)
    }
}

/// Why nothing is cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// The log has gone on from another size.
    Conflict { known: u64 },
    /// Of the same size, and yet another log.
    Forked,
    /// It is no request.
    Malformed,
    /// The new checkpoint is smaller than the old.
    Shrinks,
    /// The log is not known here.
    Unknown,
    /// The proof does not show what it should; of the checkpoint that was cosigned last, anybody can send another proof.
    Unproven { is_longer: bool },
    /// No key of the log has signed it.
    Unsigned,
}

impl Refusal {
    fn answer(self) -> Answer {
        let (status, kind, body) = match self {
            Self::Conflict { known } => (409, SIZE, format!("{known}\n")),
            Self::Forked => (409, TEXT, "another root was cosigned for this size\n".to_owned()),
            Self::Malformed => (400, TEXT, "this is no request of add-checkpoint\n".to_owned()),
            Self::Shrinks => (400, TEXT, "the old size is larger than the checkpoint\n".to_owned()),
            Self::Unknown => (404, TEXT, "this log is not known here\n".to_owned()),
            Self::Unproven { .. } => {
                (422, TEXT, "the proof does not show that the log was extended\n".to_owned())
            }
            Self::Unsigned => (403, TEXT, "no key that is known of this log has signed it\n".to_owned()),
        };
        let dispute = matches!(self, Self::Forked | Self::Unproven { is_longer: true });
        Answer { status, kind, body, keep: None, dispute }
    }
}

/// Opens a checkpoint with whichever key has signed it.
fn open(note: &str, keys: &[VerifierKey]) -> Result<Checkpoint, CheckpointError> {
    let mut opened = Err(CheckpointError::Text);
    for key in keys {
        match Checkpoint::open(note, key) {
            // of a known key, a wrong signature makes the note worthless (signed-note)
            Err(CheckpointError::Note(NoteError::BadSignature)) => {
                return Err(NoteError::BadSignature.into());
            }
            Ok(checkpoint) => opened = Ok(checkpoint),
            Err(error) if opened.is_err() => opened = Err(error),
            Err(_) => {}
        }
    }
    opened
}

/// The signature lines of a note that these keys made; others could be anything.
fn signed_by(note: &str, keys: &[VerifierKey]) -> String {
    let Ok((text, signatures)) = split_at(note) else { return String::new() };
    let lines = signatures.split_inclusive('\n');
    lines.filter(|line| keys.iter().any(|key| key.open(&format!("{text}\n{line}")).is_ok())).collect()
}

fn text_of(note: &str) -> &str {
    split_at(note).map_or("", |(text, _)| text)
}

/// The media type of a conflict's size (`tlog-witness`).
pub const SIZE: &str = "text/x.tlog.size";
/// That of everything else.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// How many hashes a proof may have (`tlog-witness`).
pub const MAX_PROOF: usize = 63;
/// How many signatures a submitted checkpoint may have: each costs a look.
const MAX_SIGNATURES: usize = 64;
/// How long a request may be: the longest proof, and a note with scores of signatures.
pub const MAX_REQUEST: usize = 1 << 16;

#[cfg(test)]
mod tests;
