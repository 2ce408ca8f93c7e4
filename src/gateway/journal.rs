//! What the gateway writes to, before bytes move.

use futures_util::future::BoxFuture;
use thiserror::Error;

use crate::domain::event::{Actor, Event};
use crate::domain::name::SessionId;
pub use crate::recording::item::ItemKind;

/// Takes entries and recordings. Implemented by the broker.
pub trait Journal: Send + Sync + 'static {
    /// Writes an entry. When this returns, the entry survives the death of the process.
    ///
    /// # Errors
    /// [`JournalError`]: nothing may be forwarded on the strength of this entry.
    fn enter(&self, event: &Event) -> Result<Ticket, JournalError>;

    /// Waits until the entry is on the disk. Many waiters share one fsync.
    fn synced(&self, ticket: Ticket) -> BoxFuture<'_, Result<(), JournalError>>;

    /// Opens the recording of one connection of a session; its chunks are entered in the name of
    /// `actor`.
    ///
    /// # Errors
    /// [`JournalError`]: the connection must not go on.
    fn recorder(
        &self,
        session: &SessionId,
        connection: u32,
        actor: &Actor,
    ) -> Result<Box<dyn Recorder>, JournalError>;
}

/// An entry's place in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Takes what one connection's client asked and was shown, already masked and redacted.
pub trait Recorder: Send {
    /// Takes one item, whole or not at all. Returns at once while there is room in the bounded
    /// queue, and `Full` when there is none: then await [`Recorder::ready`] and offer the item
    /// again.
    ///
    /// # Errors
    /// `Full`, or the reason why the recording cannot go on.
    fn record(&mut self, kind: ItemKind, bytes: &[u8]) -> Result<(), JournalError>;

    /// Waits until there is room.
    fn ready(&mut self) -> BoxFuture<'_, Result<(), JournalError>>;

    /// Closes the recording, waits until its last chunk is on the disk and entered, and returns
    /// how many chunks it has. A recorder that is dropped instead is closed in the background.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<u32, JournalError>>;
}

/// Why an entry or a recording could not be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JournalError {
    /// The recorder's queue is full; wait and offer again.
    #[error("the recorder is busy")]
    Full,
    /// The entry is larger than a ledger entry may be; nothing else is wrong.
    #[error("the entry is larger than the audit ledger takes")]
    TooLarge,
    /// What was entered could not be signed for: whoever has the ledger's key does not answer.
    #[error("the audit ledger's checkpoint could not be signed")]
    Unsigned,
    /// It cannot be written: disk full, read-only, gone.
    #[error("the audit ledger or the recording cannot be written: {0}")]
    Unwritable(String),
}
