//! Replays a log and reports the first broken entry.
//!
//! Job: from nothing but the log's files, its public key and, if somebody kept one, an older
//! checkpoint: the signature, every entry's bytes and place in the tree, the root, consistency with
//! the older checkpoint, and what the entries say about each other (`story`, `approvals`). Boundary:
//! files come in through [`Files`]; it holds one bundle at a time, one record for each session that is
//! open, and one for each request that was ever filed.
//! Failure mode: the first thing that is wrong, as a [`Broken`] with the entry's index where there
//! is one; a file that cannot be read is an error of its own, never a verdict.

mod approvals;
mod keys;
mod session;
mod story;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

pub use approvals::{ApprovalFault, Reviews, SignedReview};
pub use session::{Closed, Opened, SessionShown, SessionStory};
pub use story::recorded_chunk;

use self::keys::Keys;
use self::story::Story;
use super::builder::{Builder, TileFile};
use super::checkpoint::{Checkpoint, CheckpointError};
use super::entry::{EntryError, decode};
use super::note::VerifierKey;
use super::rotation::{Rotation, RotationError, SignedHead, open_with_any};
use super::tile::{Content, MAX_FILE, Tile, WIDTH, hashes, split_entry};
use super::tree::Hash;
use crate::domain::name::SessionId;

/// Where the files of a log, or of its recordings, come from.
pub trait Files {
    /// The file's content; `None` when there is no such file.
    ///
    /// A log is asked for the paths of `tlog-tiles`, recordings for `SESSION/CONNECTION-CHUNK.zst`.
    ///
    /// # Errors
    /// When it cannot be told.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FilesError>;
}

/// A file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{path}` cannot be read: {reason}")]
pub struct FilesError {
    /// The file.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// What is to be verified, and against what.
#[derive(Clone, Copy)]
pub struct Audit<'a> {
    /// The log's files.
    pub log: &'a dyn Files,
    /// The recordings' files, when they are to be checked too.
    pub recordings: Option<&'a dyn Files>,
    /// The log's key, from somebody one trusts; one that it had before will do.
    pub key: &'a VerifierKey,
    /// An older checkpoint that somebody kept, as a signed note.
    pub kept: Option<&'a str>,
    /// What opens the signed form of a review.
    pub reviews: &'a dyn Reviews,
}

/// What was found in good order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The head that everything was checked against.
    pub checkpoint: Checkpoint,
    /// The key in force, which has signed it.
    pub key: VerifierKey,
    /// The entries at which the key was changed, in order.
    pub rotations: Vec<Rotation>,
    /// The size of the older checkpoint that it was found to extend.
    pub kept: Option<u64>,
    /// How many statements were judged.
    pub statements: u64,
    /// How many sessions were opened.
    pub sessions: u64,
    /// How many chunks of recordings were entered.
    pub chunks: u64,
    /// How many reviews were given, each of them checked again.
    pub reviews: u64,
    /// Whether the chunks themselves were checked.
    pub recordings: bool,
}

impl Verified {
    /// The keys that the log had, the oldest first; none that are known of one whose key was never changed.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        let first = self.rotations.first().map(|rotation| &rotation.old);
        first.into_iter().chain(self.rotations.iter().map(|rotation| &rotation.new))
    }
}

/// Why a log could not be found in good order.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// It is broken.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It could not be read.
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{reason}", .index.map(|index| format!("entry {index}: ")).unwrap_or_default())]
pub struct Broken {
    /// The index of the first broken entry, where it can be told.
    pub index: Option<u64>,
    /// What is wrong with it.
    pub reason: Reason,
}

/// The closed list of what can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// The entry's bytes are not those that the tree was built over.
    #[error("its bytes have been altered")]
    Altered,
    /// Something was let through that was not approved.
    #[error(transparent)]
    Approval(#[from] ApprovalFault),
    /// The checkpoint cannot be believed.
    #[error("the checkpoint cannot be believed: {0}")]
    Checkpoint(CheckpointError),
    /// There is no checkpoint.
    #[error("there is no checkpoint")]
    CheckpointMissing,
    /// It is dated long before an entry that stands before it.
    #[error("it is dated {at}, more than an hour before entry {after}, which is dated {latest}")]
    BackDated {
        /// Its date.
        at: Timestamp,
        /// The entry before it that has the latest date.
        after: u64,
        /// That date.
        latest: Timestamp,
    },
    /// A chunk of a recording is not what was entered.
    #[error("chunk {chunk} of connection {connection} of {session} has been altered")]
    ChunkAltered {
        /// The session.
        session: SessionId,
        /// The connection.
        connection: u32,
        /// The chunk.
        chunk: u32,
    },
    /// A chunk of a recording is not there.
    #[error("chunk {chunk} of connection {connection} of {session} is missing")]
    ChunkMissing {
        /// The session.
        session: SessionId,
        /// The connection.
        connection: u32,
        /// The chunk.
        chunk: u32,
    },
    /// A chunk was entered out of order.
    #[error("chunk {found} was entered where chunk {expected} belongs")]
    ChunkOrder {
        /// The number that belongs there.
        expected: u32,
        /// The number found.
        found: u32,
    },
    /// A closing entry's count is not what was entered.
    #[error("it counts {said} {what}, but {found} are entered")]
    Count {
        /// What is counted.
        what: &'static str,
        /// The closing entry's count.
        said: u64,
        /// What was entered.
        found: u64,
    },
    /// The bytes are what was signed, and yet not an entry.
    #[error("{0}")]
    Entry(EntryError),
    /// The bundle goes on after its last entry.
    #[error("there are bytes after it that belong to no entry")]
    Excess,
    /// The log is not a continuation of the kept checkpoint.
    #[error(
        "the log is not the one of the kept checkpoint of size {kept}: the first entry that differs is one of the first {kept}"
    )]
    Forked {
        /// The kept checkpoint's size.
        kept: u64,
    },
    /// The kept checkpoint cannot be believed.
    #[error("the kept checkpoint cannot be believed: {0}")]
    Kept(CheckpointError),
    /// The entry changes the key to one that has not signed the checkpoint.
    #[error("it changes the ledger's key to one that has not signed the checkpoint")]
    KeyForeign,
    /// The entry changes the key, and is not what that takes.
    #[error("it changes the ledger's key, and cannot: {0}")]
    KeyRotation(RotationError),
    /// The entry is not the rotation that is claimed of it.
    #[error("the ledger's keys are said to have changed here, and it is not the entry of that")]
    KeyUnentered,
    /// What is beside the log about its keys cannot be believed.
    #[error("how the ledger's keys followed each other cannot be believed: {0}")]
    Keys(RotationError),
    /// The entry is not there.
    #[error("it is missing")]
    Missing,
    /// Another entry of the same bundle stands in its place.
    #[error("another entry stands in its place")]
    Moved,
    /// It speaks of a session or connection that is not open, or opens one twice.
    #[error("it does not belong where it stands: {0}")]
    OutOfPlace(&'static str),
    /// It is not there, and the following entries have moved up.
    #[error("it has been removed")]
    Removed,
    /// The log is shorter than it once was.
    #[error("the log had {kept} entries and now has {found}: it has been rolled back or cut")]
    RolledBack {
        /// The kept checkpoint's size.
        kept: u64,
        /// The size now.
        found: u64,
    },
    /// The entries do not hash to the signed root, and the tiles agree with the entries: which of them it is
    /// cannot be told, only that those before this one are what a kept checkpoint was signed over.
    #[error("it or one after it has been altered, and the tiles with it: they do not match the signed root")]
    Root,
    /// A connection's statements are not numbered without a gap.
    #[error("statement {found} was entered where statement {expected} belongs")]
    StatementNumber {
        /// The number that belongs there.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The entries are right, but a tile of hashes is not; this one is the first that it is wrong about.
    #[error("the entries are right, but `{0}` has been altered or is missing")]
    Tile(String),
    /// Whether the log goes on from an older head is not known.
    #[error(
        "its tiles are not those of the signed checkpoint, or are missing, so whether it extends the one of {kept} entries that was kept cannot be told"
    )]
    Unextended {
        /// The kept checkpoint's size.
        kept: u64,
    },
    /// Nothing shows that it is under the signed head.
    #[error("it is not proven under the signed checkpoint")]
    Unproven,
}

impl Audit<'_> {
    /// Verifies everything.
    ///
    /// # Errors
    /// [`VerifyError::Broken`] with the first thing that is wrong.
    pub fn run(&self) -> Result<Verified, VerifyError> {
        let signed = SignedHead::read(self.log, self.key)?;
        let (checkpoint, kept) = (signed.checkpoint, self.kept(&signed)?);
        let mut walk = Walk {
            audit: self,
            builder: Builder::default(),
            story: Story::default(),
            keys: Keys::new(signed, self.key),
            suspect: None,
            wrong_tile: None,
            latest: None,
            misdated: None,
            reaches: 0,
            forked: kept.filter(|kept| kept.size == 0 && kept.root != Hash::empty()),
            kept,
        };
        while walk.builder.size() < checkpoint.size {
            walk.bundle(checkpoint.size)?;
        }
        walk.finish(&checkpoint)
    }

    fn kept(&self, signed: &SignedHead) -> Result<Option<Checkpoint>, Broken> {
        let (Some(note), now) = (self.kept, &signed.checkpoint) else { return Ok(None) };
        let kept = open_with_any(note, self.key, &signed.chain)
            .map_err(|error| Broken { index: None, reason: Reason::Kept(error) })?;
        if kept.size > now.size {
            let reason = Reason::RolledBack { kept: kept.size, found: now.size };
            return Err(Broken { index: Some(now.size), reason });
        }
        Ok(Some(kept))
    }
}

struct Walk<'a> {
    audit: &'a Audit<'a>,
    builder: Builder,
    story: Story,
    keys: Keys,
    /// The first entry that a tile of hashes contradicts; whether entry or tile is wrong is known
    /// only when the root is.
    suspect: Option<Broken>,
    /// The first tile that is not what the entries make, and the first entry that it is wrong about.
    wrong_tile: Option<(u64, Tile)>,
    /// The entry with the latest date so far.
    latest: Option<(Timestamp, u64)>,
    /// The first entry that is dated too far before another that stands before it.
    misdated: Option<Broken>,
    /// Up to here the entries are those of the kept checkpoint.
    reaches: u64,
    forked: Option<Checkpoint>,
    kept: Option<Checkpoint>,
}

impl Walk<'_> {
    /// Takes one bundle of entries.
    fn bundle(&mut self, size: u64) -> Result<(), VerifyError> {
        let start = self.builder.size();
        let last = size.min(start.saturating_add(WIDTH)) - 1;
        let Some((bytes, whole)) = self.fetch(Tile::ending_at(Content::Entries, last))? else {
            return Err(self.first(Broken { index: Some(start), reason: Reason::Missing }).into());
        };
        let leaves = self.leaves(Tile::ending_at(Content::Hashes(0), last))?;
        let mut rest = bytes.as_slice();
        for (place, index) in (start..=last).enumerate() {
            let Some((entry, after)) = split_entry(rest) else {
                return Err(self.first(Broken { index: Some(index), reason: Reason::Missing }).into());
            };
            rest = after;
            self.entry(index, entry, place, &leaves, &bytes)?;
        }
        if whole && !rest.is_empty() {
            return Err(self.first(Broken { index: Some(last), reason: Reason::Excess }).into());
        }
        Ok(())
    }

    fn entry(
        &mut self,
        index: u64,
        entry: &[u8],
        place: usize,
        leaves: &[Hash],
        bundle: &[u8],
    ) -> Result<(), VerifyError> {
        let leaf = Hash::leaf(entry);
        if self.suspect.is_none()
            && let Some(expected) = leaves.get(place).filter(|expected| **expected != leaf)
        {
            let reason = match leaves.contains(&leaf) {
                false => Reason::Altered,
                true if holds(bundle, expected) => Reason::Moved,
                true => Reason::Removed,
            };
            self.suspect = Some(Broken { index: Some(index), reason });
        }
        let mut full = Vec::new();
        if self.builder.push(entry, leaf, &mut full).is_none() {
            return Err(self.first(Broken { index: Some(index), reason: Reason::Altered }).into());
        }
        for file in full {
            self.compare(&file)?;
        }
        if let Some(kept) = self.kept.filter(|kept| kept.size == index + 1) {
            if kept.root == self.builder.root() {
                self.reaches = kept.size;
            } else {
                self.forked = Some(kept);
            }
        }
        // what the entries say matters only as long as they are the entries that were signed
        if self.suspect.is_none() {
            let broken = |reason| Broken { index: Some(index), reason };
            let event = decode(entry).map_err(|error| broken(Reason::Entry(error)));
            let told = match event {
                Ok(event) => {
                    self.dated(index, event.at);
                    match self.keys.tell(index, &event.what) {
                        Ok(()) => {
                            let Audit { reviews, recordings, .. } = *self.audit;
                            self.story.tell(&event, reviews, recordings)?.map_err(broken)
                        }
                        Err(reason) => Err(broken(reason)),
                    }
                }
                Err(broken) => Err(broken),
            };
            // it is believed once the root has been seen to fit
            self.suspect = told.err();
        }
        Ok(())
    }

    /// Remembers the first entry whose date does not fit those before it. It is told only where nothing else is wrong: a
    /// clock that once ran ahead must not hide what was done to the log later.
    fn dated(&mut self, index: u64, at: Timestamp) {
        match self.latest {
            Some((latest, after)) if at < latest => {
                if at.duration_until(latest) > TOLERANCE && self.misdated.is_none() {
                    let reason = Reason::BackDated { at, after, latest };
                    self.misdated = Some(Broken { index: Some(index), reason });
                }
            }
            _ => self.latest = Some((at, index)),
        }
    }

    fn finish(mut self, checkpoint: &Checkpoint) -> Result<Verified, VerifyError> {
        for file in self.builder.partials() {
            self.compare(&file)?;
        }
        let signed = self.builder.root() == checkpoint.root;
        let contradicted =
            |broken: &Broken| matches!(broken.reason, Reason::Altered | Reason::Moved | Reason::Removed);
        let broken = match (self.suspect, signed) {
            (Some(suspect), false) => suspect,
            (Some(suspect), true) if !contradicted(&suspect) => suspect,
            // an older head that fits says where it cannot be
            (None, false) => match self.forked {
                Some(kept) => Broken { index: None, reason: Reason::Forked { kept: kept.size } },
                None => Broken { index: Some(self.reaches), reason: Reason::Root },
            },
            (_, true) => match (self.forked, self.wrong_tile) {
                (Some(kept), _) => Broken { index: None, reason: Reason::Forked { kept: kept.size } },
                (None, Some((index, tile))) => {
                    Broken { index: Some(index), reason: Reason::Tile(tile.to_string()) }
                }
                (None, None) => {
                    let (key, rotations) = self.keys.end()?;
                    if let Some(misdated) = self.misdated {
                        return Err(misdated.into());
                    }
                    return Ok(Verified {
                        checkpoint: *checkpoint,
                        key,
                        rotations,
                        kept: self.kept.map(|kept| kept.size),
                        statements: self.story.statements(),
                        sessions: self.story.sessions(),
                        chunks: self.story.chunks(),
                        reviews: self.story.reviews(),
                        recordings: self.audit.recordings.is_some(),
                    });
                }
            },
        };
        Err(broken.into())
    }

    /// The earlier of what was found already and what is found now.
    fn first(&mut self, broken: Broken) -> Broken {
        self.suspect.take().unwrap_or(broken)
    }

    fn compare(&mut self, file: &TileFile) -> Result<(), FilesError> {
        if self.wrong_tile.is_none() {
            let stored = self.fetch(file.tile)?;
            let same = stored.as_ref().is_some_and(|(stored, whole)| {
                if *whole { *stored == file.bytes } else { stored.starts_with(&file.bytes) }
            });
            if !same {
                let (stored, _) = stored.unwrap_or_default();
                let right = file.bytes.iter().zip(&stored).take_while(|(made, found)| made == found).count();
                self.wrong_tile = Some((file.tile.first(right), file.tile));
            }
        }
        Ok(())
    }

    fn leaves(&self, tile: Tile) -> Result<Vec<Hash>, FilesError> {
        Ok(self.fetch(tile)?.and_then(|(bytes, _)| hashes(&bytes)).unwrap_or_default())
    }

    /// A tile's bytes, and whether they are its own and not those of the full tile.
    fn fetch(&self, tile: Tile) -> Result<Option<(Vec<u8>, bool)>, FilesError> {
        let read = |tile: Tile| {
            let bytes = self.audit.log.read(&tile.to_string())?;
            Ok::<_, FilesError>(bytes.filter(|bytes| bytes.len() <= MAX_FILE))
        };
        if let Some(bytes) = read(tile)? {
            return Ok(Some((bytes, true)));
        }
        if tile.width() == WIDTH { Ok(None) } else { Ok(read(tile.grown())?.map(|bytes| (bytes, false))) }
    }
}

/// How far the date of an entry may be before that of one that stands before it. Those who enter read the clock each by
/// themselves, and a clock may be set right.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// Whether any entry of the bundle has this hash.
fn holds(bundle: &[u8], leaf: &Hash) -> bool {
    let mut rest = bundle;
    while let Some((entry, after)) = split_entry(rest) {
        if Hash::leaf(entry) == *leaf {
            return true;
        }
        rest = after;
    }
    false
}
