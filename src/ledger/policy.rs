//! Whose word it takes for a checkpoint (C2SP `tlog-policy`).
//!
//! Job: logs, witnesses, groups of them and the quorum, read from a file or put together, and whether a checkpoint has
//! the cosignatures that it takes. Boundary: text only; how recent a cosignature must be is for whoever asks. Failure
//! mode: a file with anything that is not understood is refused with its line; a checkpoint on which a known witness's
//! cosignature is wrong is refused, whatever else stands on it.

use thiserror::Error;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::cosignature::WitnessKey;
use super::note::{NoteError, VerifierKey, split_at};

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPolicy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// `None` when no cosignature is needed.
    quorum: Option<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Witness {
    name: Vec<u8>,
    key: WitnessKey,
}

/// Refers to nothing that is defined after it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: Vec<u8>,
    threshold: usize,
    members: Vec<Member>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Group(usize),
    Witness(usize),
}

/// Why a policy cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {fault}")]
pub struct PolicyError {
    /// The line, counted from 1; that after the last when something is missing.
    pub line: usize,
    /// What is wrong with it.
    pub fault: PolicyFault,
}

/// What can be wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyFault {
    /// A control character other than tab and newline.
    #[error("it holds a control character")]
    Control,
    /// The same key twice.
    #[error("its key is that of another line")]
    DuplicateKey,
    /// The same name twice.
    #[error("`{0}` is defined already")]
    DuplicateName(String),
    /// A log's key that is none.
    #[error("the log's key: {0}")]
    LogKey(NoteError),
    /// In two groups, or twice in one.
    #[error("`{0}` is a member of a group already")]
    MemberAgain(String),
    /// There is no quorum.
    #[error("there is no line `quorum`")]
    NoQuorum,
    /// Two quorums.
    #[error("there is a line `quorum` already")]
    QuorumAgain,
    /// Not one of the four kinds of lines, or too few words, or too many.
    #[error(
        "it is none of `log KEY [URL]`, `witness NAME KEY [URL]`, `group NAME all|any|K NAME…`, `quorum NAME`"
    )]
    Strange,
    /// The threshold of a group is not among 1 and the count of its members.
    #[error("a group's threshold is `all`, `any`, or a number from 1 to the count of its members")]
    Threshold,
    /// More than this version reads.
    #[error("a policy has at most {MOST} logs, witnesses and groups each, and {MOST_BYTES} bytes")]
    TooMany,
    /// A name that no line before defines.
    #[error("`{0}` is not defined on a line before")]
    Unknown(String),
    /// A witness's key that is none, or of a kind that this version does not know.
    #[error("the witness's key: {0}")]
    WitnessKey(NoteError),
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Distrust {
    /// The cosignature of a known witness does not fit.
    #[error("the cosignature of the witness `{0}` on it is wrong")]
    BadCosignature(String),
    /// It is no note.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// None of the policy's logs has signed it.
    #[error("it is signed by no log of the policy")]
    NoLog,
    /// Too few witnesses.
    #[error(
        "too few witnesses signed it: {}; not {}",
        if .signed.is_empty() { "none".to_owned() } else { .signed.join(", ") }, .missing.join(", ")
    )]
    NoQuorum {
        /// Those who did.
        signed: Vec<String>,
        /// Those who did not.
        missing: Vec<String>,
    },
}

/// A checkpoint that has what the policy asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Which witnesses signed it, and when by their clocks, in seconds since 1970.
    pub by: Vec<(String, u64)>,
    /// How many witnesses there are.
    pub of: usize,
    /// The latest time at which as many had signed it as it takes; `None` when it takes none.
    pub since: Option<u64>,
}

impl TrustPolicy {
    /// `threshold` of these witnesses, whichever the log; no cosignature when there are no witnesses.
    #[must_use]
    pub fn of(witnesses: impl IntoIterator<Item = (String, WitnessKey)>, threshold: usize) -> Self {
        let name = |(name, key): (String, WitnessKey)| Witness { name: name.into_bytes(), key };
        let witnesses: Vec<Witness> = witnesses.into_iter().map(name).collect();
        let members: Vec<Member> = (0..witnesses.len()).map(Member::Witness).collect();
        let quorum = (!members.is_empty()).then_some(Member::Group(0));
        let groups = vec![Group { name: b"witnesses".to_vec(), threshold, members }];
        Self { logs: Vec::new(), witnesses, groups, quorum }
    }

    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(file: &[u8]) -> Result<Self, PolicyError> {
        let mut reader = Reader::default();
        let mut number = 0;
        let at = |line, fault| PolicyError { line, fault };
        if file.len() > MOST_BYTES {
            return Err(at(1, PolicyFault::TooMany));
        }
        for line in file.split(|byte| *byte == b'\n') {
            number += 1;
            reader.line(line).map_err(|fault| at(number, fault))?;
        }
        let quorum = reader.quorum.ok_or_else(|| at(number, PolicyFault::NoQuorum))?;
        let Reader { logs, witnesses, groups, .. } = reader;
        Ok(Self { logs, witnesses, groups, quorum })
    }

    /// The keys of the logs; where there are none, the log is known from elsewhere.
    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Judges a checkpoint of the log with this key, which must be one of the policy's where it names any.
    ///
    /// # Errors
    /// [`Distrust`]: the checkpoint must not be believed then.
    pub fn judge(&self, note: &str, log: &VerifierKey) -> Result<Witnessed, Distrust> {
        self.judge_signed(note, log, log)
    }

    /// The same where the log's key is `log` for whoever asks, and `signer` followed or preceded it.
    ///
    /// # Errors
    /// [`Distrust`].
    pub fn judge_signed(
        &self,
        note: &str,
        log: &VerifierKey,
        signer: &VerifierKey,
    ) -> Result<Witnessed, Distrust> {
        if !self.logs.is_empty() && !self.logs.contains(log) {
            return Err(Distrust::NoLog);
        }
        let checkpoint = Checkpoint::open(note, signer)?;
        let (text, signatures) = split_at(note).map_err(CheckpointError::from)?;
        let (mut by, mut missing, mut times) = (Vec::new(), Vec::new(), Vec::new());
        for witness in &self.witnesses {
            let name = shown(&witness.name);
            match witness.key.find(text, signatures) {
                Ok(found) => {
                    by.push((name, found.time));
                    times.push(Some(found.time));
                }
                Err(NoteError::Unsigned) => {
                    missing.push(name);
                    times.push(None);
                }
                Err(_) => return Err(Distrust::BadCosignature(name)),
            }
        }
        let since = match self.quorum {
            None => None,
            Some(quorum) => match self.since(quorum, &times) {
                Some(since) => Some(since),
                None => {
                    let signed = by.into_iter().map(|(name, _)| name).collect();
                    return Err(Distrust::NoQuorum { signed, missing });
                }
            },
        };
        Ok(Witnessed { checkpoint, by, of: self.witnesses.len(), since })
    }

    /// When this many had signed at the latest: of a group, the threshold's latest time. `None` when they have not.
    fn since(&self, member: Member, times: &[Option<u64>]) -> Option<u64> {
        // a group names only groups before it, so each is known once those are
        let mut known: Vec<Option<u64>> = Vec::with_capacity(self.groups.len());
        let time = |member: &Member, known: &[Option<u64>]| match member {
            Member::Group(at) => known.get(*at).copied().flatten(),
            Member::Witness(at) => times.get(*at).copied().flatten(),
        };
        for group in &self.groups {
            let mut signed: Vec<u64> =
                group.members.iter().filter_map(|member| time(member, &known)).collect();
            signed.sort_unstable_by(|a, b| b.cmp(a));
            known.push(group.threshold.checked_sub(1).and_then(|last| signed.get(last).copied()));
        }
        time(&member, &known)
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    logs: Vec<VerifierKey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    members: Vec<Member>,
    quorum: Option<Option<Member>>,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), PolicyFault> {
        if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return Err(PolicyFault::Control);
        }
        let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        let Some(kind) = words.next() else { return Ok(()) };
        if kind.starts_with(b"#") {
            return Ok(());
        }
        let words: Vec<&[u8]> = words.collect();
        match (kind, words.as_slice()) {
            (b"log", [key] | [key, _]) => self.log(key),
            (b"witness", [name, key] | [name, key, _]) => self.witness(name, key),
            (b"group", [name, threshold, members @ ..]) if !members.is_empty() => {
                self.group(name, threshold, members)
            }
            (b"quorum", [name]) => self.set_quorum(name),
            _ => Err(PolicyFault::Strange),
        }
    }

    fn log(&mut self, key: &[u8]) -> Result<(), PolicyFault> {
        let key = text(key).and_then(VerifierKey::parse).map_err(PolicyFault::LogKey)?;
        if self.logs.iter().any(|log| log.as_bytes() == key.as_bytes()) {
            return Err(PolicyFault::DuplicateKey);
        }
        put(&mut self.logs, key)
    }

    fn witness(&mut self, name: &[u8], key: &[u8]) -> Result<(), PolicyFault> {
        let key = text(key).and_then(WitnessKey::parse).map_err(PolicyFault::WitnessKey)?;
        if self.witnesses.iter().any(|witness| witness.key.as_bytes() == key.as_bytes()) {
            return Err(PolicyFault::DuplicateKey);
        }
        self.is_new(name)?;
        put(&mut self.witnesses, Witness { name: name.to_vec(), key })
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], names: &[&[u8]]) -> Result<(), PolicyFault> {
        self.is_new(name)?;
        let mut members = Vec::new();
        for name in names {
            let member = self.find(name)?;
            // INVARIANT: a witness counts in one way only
            if self.members.contains(&member) {
                return Err(PolicyFault::MemberAgain(shown(name)));
            }
            self.members.push(member);
            members.push(member);
        }
        let threshold = match threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => {
                decimal(number).filter(|n| (1..=members.len()).contains(n)).ok_or(PolicyFault::Threshold)?
            }
        };
        put(&mut self.groups, Group { name: name.to_vec(), threshold, members })
    }

    fn set_quorum(&mut self, name: &[u8]) -> Result<(), PolicyFault> {
        if self.quorum.is_some() {
            return Err(PolicyFault::QuorumAgain);
        }
        self.quorum = Some(if name == NONE { None } else { Some(self.find(name)?) });
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Result<Member, PolicyFault> {
        let witness = self.witnesses.iter().position(|witness| witness.name == name).map(Member::Witness);
        let group = || self.groups.iter().position(|group| group.name == name).map(Member::Group);
        witness.or_else(group).ok_or_else(|| PolicyFault::Unknown(shown(name)))
    }

    fn is_new(&self, name: &[u8]) -> Result<(), PolicyFault> {
        match name == NONE || self.find(name).is_ok() {
            true => Err(PolicyFault::DuplicateName(shown(name))),
            false => Ok(()),
        }
    }
}

fn put<T>(all: &mut Vec<T>, one: T) -> Result<(), PolicyFault> {
    if all.len() >= MOST {
        return Err(PolicyFault::TooMany);
    }
    all.push(one);
    Ok(())
}

fn text(word: &[u8]) -> Result<&str, NoteError> {
    std::str::from_utf8(word).map_err(|_| NoteError::Key)
}

/// Decimal digits, without leading zeros.
fn decimal(digits: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(digits).ok()?;
    let number: usize = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A name as people may see it; two that differ in what is no UTF-8 may look the same.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(200).collect()
}

/// The quorum that needs nobody.
const NONE: &[u8] = b"none";
/// How many logs, witnesses and groups there may be; the specification asks for 32 each.
const MOST: usize = 128;
/// How long a policy may be.
pub const MOST_BYTES: usize = 1 << 16;

#[cfg(test)]
mod tests;
