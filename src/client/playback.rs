//! A session's recording, as far as the ledger proves it.
//!
//! Job: the recording's items in order, each chunk proven before anything of it is handed out; what `session
//! replay` shows and `session export` writes. Boundary: waits for the broker, never for the time between items;
//! knows nothing of terminals. Failure mode: [`PlaybackError`]; a recording that is not what was entered is not
//! played on.

mod extent;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::api::{Api, ApiError};
use super::ledger::LedgerError;
use crate::domain::name::{Digest, SessionId};
use crate::domain::session::Session;
use crate::ledger::note::VerifierKey;
use crate::ledger::verify::Broken;
use crate::recording::item::{Head, ItemKind, Outcome, Resize, Statement};
use crate::recording::replay::{Cursor, Item, Joined, Joiner, ReplayError, Speed};
use extent::{Extent, known, patiently};

/// A recording at a broker.
#[derive(Debug)]
pub struct Playback {
    api: Arc<Api>,
    id: SessionId,
    extent: Extent,
}

/// Why a recording cannot be played.
#[derive(Debug, Error)]
pub enum PlaybackError {
    /// A chunk is in no entry.
    #[error("chunk {chunk} of connection {connection} is in no entry of the ledger")]
    Absent {
        /// The chunk.
        chunk: u32,
        /// The connection.
        connection: u32,
    },
    /// A chunk is not what was entered.
    #[error("chunk {chunk} of connection {connection} is not what entry {index} of the ledger holds")]
    Altered {
        /// The chunk.
        chunk: u32,
        /// The connection.
        connection: u32,
        /// The entry.
        index: u64,
    },
    /// The broker did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The ledger is broken.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The broker names more chunks than were entered.
    #[error("the broker names {named} chunks of connection {connection}, and the ledger counts {counted}")]
    Chunks {
        /// The connection.
        connection: u32,
        /// By the broker.
        named: u32,
        /// In the ledger.
        counted: u32,
    },
    /// The broker names more connections than were entered, or there are more than can be.
    #[error("the broker names {named} connections, and the ledger counts {counted} in this session")]
    Connections {
        /// By the broker.
        named: u32,
        /// In the ledger.
        counted: u32,
    },
    /// Another session was asked for.
    #[error("the broker answered about another session")]
    Elsewhere,
    /// What an item holds is not what its kind says.
    #[error("an item of the recording cannot be read: {0}")]
    Item(#[from] serde_json::Error),
    /// The ledger is not believed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A chunk that was entered is not there.
    #[error("chunk {chunk} of connection {connection}, which entry {index} of the ledger holds, is missing")]
    Missing {
        /// The chunk.
        chunk: u32,
        /// The connection.
        connection: u32,
        /// The entry.
        index: u64,
    },
    /// A chunk is damaged, or another one's.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The broker shows no head of its ledger to everybody.
    #[error("the broker is too old to prove under one head what a replay shows")]
    TooOld,
    /// Where the session ends should be proven, and is not.
    #[error("{0}")]
    Unproven(String),
}

/// Something that a recording holds.
#[derive(Debug)]
pub struct Scene {
    /// When.
    pub at: Timestamp,
    /// How long after the one before, at the speed that was asked for.
    pub wait: Duration,
    /// What.
    pub what: Shown,
}

/// What a scene shows.
#[derive(Debug)]
pub enum Shown {
    /// Protocol frames of PostgreSQL, cut anywhere.
    Answer(Vec<u8>),
    /// A piece of a body.
    Body(Piece),
    /// The recording ends in the middle of an item; what there is of it where it is an answer.
    Cut(Vec<u8>),
    /// The head of an HTTP message.
    Head(Head),
    /// How a deed ended.
    Outcome(Outcome),
    /// A terminal's size.
    Resize(Resize),
    /// A piece of what a terminal or a command showed.
    Screen(Piece),
    /// A deed that was judged.
    Statement(Statement),
    /// An item that is too long to be read as a whole: what it is, and how many bytes.
    TooLong(&'static str, usize),
}

/// A piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The deed, counted from 1.
    pub number: u64,
    /// Which of its streams.
    pub stream: u8,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Playback {
    /// What there is of a session; `key` is the one that somebody named for the ledger.
    ///
    /// # Errors
    /// [`PlaybackError`].
    pub async fn open(
        api: &Arc<Api>,
        id: &SessionId,
        key: Option<&VerifierKey>,
    ) -> Result<Self, PlaybackError> {
        let extent = Extent::read(api, id, key).await?;
        Ok(Self { api: Arc::clone(api), id: id.clone(), extent })
    }

    /// The session, as the broker tells of it.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.extent.session
    }

    /// How many connections it had, counted from 1.
    #[must_use]
    pub fn connections(&self) -> u32 {
        u32::try_from(self.extent.connections.len()).unwrap_or(u32::MAX)
    }

    /// What is to be said behind the last connection.
    ///
    /// # Errors
    /// Where it ends should be proven, and is not.
    pub fn last_words(&self) -> Result<Option<String>, PlaybackError> {
        self.extent.last_words()
    }

    /// Plays one connection.
    #[must_use]
    pub fn play(&self, connection: u32, speed: Speed) -> Reel<'_> {
        let place = usize::try_from(connection).unwrap_or(usize::MAX).checked_sub(1);
        let stretch = place.and_then(|place| self.extent.connections.get(place));
        Reel {
            playback: self,
            connection,
            chunks: stretch.map_or(0, |stretch| stretch.chunks),
            cursor: Cursor::new(self.id.clone(), connection, speed),
            scenes: Scenes::default(),
            is_over: false,
        }
    }

    /// A chunk's bytes, as the ledger holds them.
    ///
    /// INVARIANT: what is handed out has the digest of an entry that is proven under the one head of this playback;
    /// the index's digests are the broker's word.
    async fn chunk(&self, connection: u32, chunk: u32) -> Result<Vec<u8>, PlaybackError> {
        let head = &self.extent.head;
        let proof = known(patiently(|| self.api.chunk_proof(&self.id, connection, chunk, head)).await)?;
        let proof = proof.ok_or(PlaybackError::Absent { chunk, connection })?;
        let entered = head.chunk(&proof, &self.id, connection, chunk)?;
        let index = entered.index;
        let bytes = known(self.api.chunk(&self.id, connection, chunk).await)?;
        let bytes = bytes.ok_or(PlaybackError::Missing { chunk, connection, index })?;
        let same = u64::try_from(bytes.len()) == Ok(entered.bytes)
            && Digest::from_bytes(&Sha256::digest(&bytes).into()) == entered.digest;
        if same { Ok(bytes) } else { Err(PlaybackError::Altered { chunk, connection, index }) }
    }
}

/// One connection that is being played.
#[derive(Debug)]
pub struct Reel<'p> {
    playback: &'p Playback,
    connection: u32,
    chunks: u32,
    cursor: Cursor,
    scenes: Scenes,
    is_over: bool,
}

impl Reel<'_> {
    /// The next scene; `None` when it is over.
    ///
    /// # Errors
    /// [`PlaybackError`].
    pub async fn next(&mut self) -> Result<Option<Scene>, PlaybackError> {
        loop {
            while let Some(item) = self.cursor.next_item() {
                if let Some(scene) = self.scenes.take(item)? {
                    return Ok(Some(scene));
                }
            }
            let wanted = self.cursor.wants();
            if wanted < self.chunks {
                let bytes = self.playback.chunk(self.connection, wanted).await?;
                self.cursor.feed(&bytes)?;
            } else if self.is_over {
                return Ok(None);
            } else {
                self.is_over = true;
                if let Some(scene) = self.scenes.end(self.cursor.finish()) {
                    return Ok(Some(scene));
                }
            }
        }
    }
}

/// Makes scenes of items.
#[derive(Debug, Default)]
struct Scenes {
    /// A statement can be longer than what the cursor hands out at once.
    joiner: Joiner,
    /// The stream whose piece goes on.
    stream: Option<(u64, u8)>,
    /// When the last item was.
    last: Option<Timestamp>,
}

impl Scenes {
    fn take(&mut self, item: Item) -> Result<Option<Scene>, serde_json::Error> {
        let (at, wait) = (time(&item), item.wait);
        self.last = Some(at);
        let scene = |what| Some(Scene { at, wait, what });
        match item.kind {
            ItemKind::Answer => return Ok(scene(Shown::Answer(item.bytes))),
            ItemKind::Body => return Ok(self.piece(item).and_then(|piece| scene(Shown::Body(piece)))),
            ItemKind::Screen => return Ok(self.piece(item).and_then(|piece| scene(Shown::Screen(piece)))),
            ItemKind::Head | ItemKind::Outcome | ItemKind::Resize | ItemKind::Statement => {}
        }
        let item = match self.joiner.join(item) {
            None => return Ok(None),
            Some(Joined::Item(item)) => item,
            Some(Joined::TooLong(item, length)) => {
                let what = match item.kind {
                    ItemKind::Statement => "statement",
                    ItemKind::Head => "head",
                    _ => "outcome",
                };
                return Ok(Some(Scene { at: time(&item), wait, what: Shown::TooLong(what, length) }));
            }
        };
        let what = match item.kind {
            ItemKind::Statement => Shown::Statement(serde_json::from_slice(&item.bytes)?),
            ItemKind::Outcome => Shown::Outcome(serde_json::from_slice(&item.bytes)?),
            ItemKind::Resize => Shown::Resize(serde_json::from_slice(&item.bytes)?),
            ItemKind::Head => Shown::Head(serde_json::from_slice(&item.bytes)?),
            ItemKind::Answer | ItemKind::Body | ItemKind::Screen => return Ok(None),
        };
        Ok(Some(Scene { at: time(&item), wait, what }))
    }

    /// A piece begins with the deed's number and its stream, its rest with nothing.
    fn piece(&mut self, item: Item) -> Option<Piece> {
        let (number, stream, bytes) = match self.stream.take() {
            Some((number, stream)) => (number, stream, item.bytes),
            None => {
                let (number, rest) = item.bytes.split_first_chunk::<8>()?;
                let (stream, bytes) = rest.split_first()?;
                (u64::from_be_bytes(*number), *stream, bytes.to_vec())
            }
        };
        if item.more {
            self.stream = Some((number, stream));
        }
        Some(Piece { number, stream, bytes })
    }

    /// What is said of an end that comes too early.
    fn end(&mut self, rest: Option<Item>) -> Option<Scene> {
        if rest.is_none() && !self.joiner.has_begun() && self.stream.is_none() {
            return None;
        }
        let at = rest.as_ref().map(time).or(self.last).unwrap_or(Timestamp::UNIX_EPOCH);
        // the rows that came are worth showing; half a statement cannot be read
        let answer = rest.filter(|item| item.kind == ItemKind::Answer).map(|item| item.bytes);
        Some(Scene { at, wait: Duration::ZERO, what: Shown::Cut(answer.unwrap_or_default()) })
    }
}

fn time(item: &Item) -> Timestamp {
    Timestamp::from_microsecond(item.at).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Piece, Scene, Scenes, Shown};
    use crate::recording::item::ItemKind;
    use crate::recording::replay::Item;

    fn item(kind: ItemKind, bytes: &[u8], more: bool) -> Item {
        Item { at: 7, wait: Duration::ZERO, kind, bytes: bytes.to_vec(), more }
    }

    #[test]
    fn the_rest_of_a_piece_belongs_to_its_stream() {
        let mut scenes = Scenes::default();
        let mut shown = |bytes: &[u8], more| match scenes.take(item(ItemKind::Screen, bytes, more)).unwrap() {
            Some(Scene { what: Shown::Screen(piece), .. }) => Some(piece),
            _ => None,
        };
        let piece = |number, stream, bytes: &[u8]| Some(Piece { number, stream, bytes: bytes.to_vec() });
        assert_eq!(shown(b"\0\0\0\0\0\0\0\x07\x01begun", true), piece(7, 1, b"begun"));
        assert_eq!(shown(b" goes on", true), piece(7, 1, b" goes on"));
        assert_eq!(shown(b" ends", false), piece(7, 1, b" ends"));
        assert_eq!(shown(b"\0\0\0\0\0\0\0\x08\x02", false), piece(8, 2, b""));
        assert_eq!(shown(b"short", false), None);
    }

    #[test]
    fn an_end_that_comes_too_early_is_said() {
        let cut = |items: Vec<Item>, rest: Option<Item>| {
            let mut scenes = Scenes::default();
            items.into_iter().for_each(|item| drop(scenes.take(item).unwrap()));
            scenes.end(rest).map(|scene| match scene.what {
                Shown::Cut(answer) => answer,
                other => format!("{other:?}").into_bytes(),
            })
        };
        assert_eq!(cut(Vec::new(), None), None);
        assert_eq!(cut(vec![item(ItemKind::Answer, b"x", false)], None), None);
        assert_eq!(cut(vec![item(ItemKind::Statement, b"{", true)], None), Some(Vec::new()));
        assert_eq!(cut(vec![item(ItemKind::Body, &[0; 9], true)], None), Some(Vec::new()));
        assert_eq!(cut(Vec::new(), Some(item(ItemKind::Answer, b"x", true))), Some(b"x".to_vec()));
        assert_eq!(cut(Vec::new(), Some(item(ItemKind::Head, b"x", true))), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn items_of_any_bytes_are_scenes_or_errors(
            items in proptest::collection::vec(
                (1..8_u8, proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()), 0..20,
            ),
        ) {
            let mut scenes = Scenes::default();
            for (code, bytes, more) in items {
                let _read = scenes.take(item(ItemKind::from_code(code).unwrap(), &bytes, more));
            }
            let _said = scenes.end(None);
        }
    }
}
