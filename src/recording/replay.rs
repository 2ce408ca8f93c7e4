//! A cursor over the chunks of a connection.
//!
//! Job: items in order, joined where they were split, each with how long to wait before it. Boundary:
//! chunks come in as bytes and the waiting is done by the caller. Failure mode: a chunk that is not
//! the next one is refused; an item that is longer than [`MAX_ITEM`] comes in parts.

use std::time::Duration;

use thiserror::Error;

use super::chunk::{Chunk, ChunkError};
use super::item::ItemKind;
use crate::domain::name::SessionId;

/// Longer items are handed out in parts.
pub const MAX_ITEM: usize = 16 << 20;

/// How fast to replay: 1 is as it was, 2 twice as fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(f64);

impl Speed {
    /// As it was.
    pub const NORMAL: Self = Self(1.0);

    /// A speed above 0 and up to 1,000,000.
    #[must_use]
    pub fn new(factor: f64) -> Option<Self> {
        (factor > 0.0 && factor <= 1e6).then_some(Self(factor))
    }

    /// How long something takes at this speed.
    #[must_use]
    pub fn scale(self, time: Duration) -> Duration {
        Duration::try_from_secs_f64(time.as_secs_f64() / self.0).unwrap_or(Duration::MAX)
    }
}

/// An item of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// When, in microseconds since 1970.
    pub at: i64,
    /// How long after the item before, at the replay's speed.
    pub wait: Duration,
    /// What it is.
    pub kind: ItemKind,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether the next item is the rest of this one.
    pub more: bool,
}

/// Puts items together that came in parts and are read as a whole: statements and outcomes. Answers pass
/// as they are, since they are read as a stream.
#[derive(Debug, Default)]
pub struct Joiner {
    begun: Option<Item>,
    /// How many bytes of what was begun have come.
    length: usize,
}

/// What a [`Joiner`] gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    /// An item to be read.
    Item(Item),
    /// An item longer than [`MAX_WHOLE`], without its bytes, and how many they were.
    TooLong(Item, usize),
}

/// Longer statements and outcomes are not put together, in bytes.
pub const MAX_WHOLE: usize = 256 << 20;

impl Joiner {
    /// Takes the next item, or part of one; gives what is complete.
    pub fn join(&mut self, item: Item) -> Option<Joined> {
        if item.kind == ItemKind::Answer {
            return Some(Joined::Item(item));
        }
        self.length = self.length.saturating_add(item.bytes.len());
        let mut whole = match self.begun.take() {
            Some(mut begun) => {
                begun.bytes.extend_from_slice(&item.bytes);
                begun.more = item.more;
                begun
            }
            None => item,
        };
        let too_long = self.length > MAX_WHOLE;
        if too_long {
            whole.bytes = Vec::new();
        }
        if whole.more {
            self.begun = Some(whole);
            return None;
        }
        let length = std::mem::take(&mut self.length);
        Some(if too_long { Joined::TooLong(whole, length) } else { Joined::Item(whole) })
    }

    /// Whether something was begun whose rest has not come.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.is_some()
    }
}

/// Why a recording cannot be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// A chunk is damaged.
    #[error("chunk {chunk}: {error}")]
    Chunk {
        /// Which.
        chunk: u32,
        /// What is wrong with it.
        error: ChunkError,
    },
    /// A chunk of another place stands where this one belongs.
    #[error("chunk {0} is not there; another one stands in its place")]
    Misplaced(u32),
}

/// Replays one connection of a session.
#[derive(Debug)]
pub struct Cursor {
    session: SessionId,
    connection: u32,
    speed: Speed,
    /// The chunk that is being read, where in it, and the time there.
    chunk: Option<(Chunk, usize, i64)>,
    next_chunk: u32,
    /// The time of the last item.
    now: Option<i64>,
    held: Option<Item>,
}

impl Cursor {
    /// A cursor before the first chunk.
    #[must_use]
    pub fn new(session: SessionId, connection: u32, speed: Speed) -> Self {
        Self { session, connection, speed, chunk: None, next_chunk: 0, now: None, held: None }
    }

    /// The number of the chunk that [`Cursor::feed`] wants.
    #[must_use]
    pub fn wants(&self) -> u32 {
        self.next_chunk
    }

    /// Takes the next chunk, once [`Cursor::next_item`] has returned `None`.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ReplayError> {
        let wanted = self.next_chunk;
        let chunk = Chunk::open(bytes).map_err(|error| ReplayError::Chunk { chunk: wanted, error })?;
        let place = &chunk.place;
        if (&place.session, place.connection, place.chunk) != (&self.session, self.connection, wanted) {
            return Err(ReplayError::Misplaced(wanted));
        }
        self.next_chunk = wanted.saturating_add(1);
        let start = chunk.start();
        self.chunk = Some((chunk, 0, start));
        Ok(())
    }

    /// The next item; `None` when the next chunk is needed.
    pub fn next_item(&mut self) -> Option<Item> {
        loop {
            let (chunk, offset, time) = self.chunk.as_mut()?;
            let Some((piece, next)) = chunk.piece(*offset, *time) else {
                self.chunk = None;
                return None;
            };
            (*offset, *time) = (next, piece.at);
            let now = self.now.unwrap_or(piece.at);
            let at = piece.at.max(now);
            let wait = Duration::from_micros(u64::try_from(at.saturating_sub(now)).unwrap_or(0));
            self.now = Some(at);
            let item = match self.held.take() {
                Some(mut item) => {
                    item.bytes.extend_from_slice(piece.bytes);
                    item.more = piece.more;
                    item
                }
                None => Item {
                    at,
                    wait: self.speed.scale(wait),
                    kind: piece.kind,
                    bytes: piece.bytes.to_vec(),
                    more: piece.more,
                },
            };
            if item.more && item.bytes.len() < MAX_ITEM {
                self.held = Some(item);
            } else {
                return Some(item);
            }
        }
    }

    /// What was begun and never finished, when there are no more chunks.
    pub fn finish(&mut self) -> Option<Item> {
        self.held.take()
    }
}
