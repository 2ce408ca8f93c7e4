//! What the application is put together from, as far as other parts bring it.

use std::collections::BTreeMap;
use std::io;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::broker::ledger::{Unsigned, Unwitnessed};
use crate::domain::device::Device;
use crate::domain::name::{Digest, SessionId, TargetName};
use crate::domain::target::Target;
use crate::gateway::authority::{Lease, LeaseError, SessionContext};
use crate::gateway::journal::JournalError;
use crate::wire::control::{EntryProof, LedgerHead};

/// Mints, takes back and cleans up the credentials of sessions.
pub trait LeaseKeeper: Send + Sync + 'static {
    /// The session's lease: minted at the first call, the same one later.
    fn issue<'a>(&'a self, context: &'a SessionContext) -> BoxFuture<'a, Result<Lease, LeaseError>>;

    /// Lets the session's lease open connections until then, if it has one and not for longer anyway.
    fn extend<'a>(
        &'a self,
        session: &'a SessionId,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<(), LeaseError>>;

    /// Takes the session's lease back; what cannot be removed now is kept for [`Self::reap`].
    fn revoke<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, ()>;

    /// Removes what is left of leases whose session is over; `targets` are those in force. Called at
    /// the start and every minute. Returns how many leases resist.
    fn reap<'a>(&'a self, targets: &'a BTreeMap<TargetName, Target>) -> BoxFuture<'a, usize>;

    /// Looks whether a database of an open session changed, and fits the session's role to that. Called every
    /// five seconds.
    fn watch(&self) -> BoxFuture<'_, ()>;
}

/// Reads what the journal has written.
pub trait Archive: Send + Sync + 'static {
    /// Whether the ledger can be written.
    fn healthy(&self) -> bool;

    /// A file of the ledger: `checkpoint`, `key`, `keys`, or a path below `tile/` without `..`.
    fn ledger_file<'a>(&'a self, path: &'a str) -> BoxFuture<'a, io::Result<Option<Vec<u8>>>>;

    /// The signed head, that the ledger goes on from its first `from` entries, and how its key followed the one with the
    /// id `since`.
    fn ledger_head<'a>(&'a self, from: u64, since: Option<&'a str>) -> BoxFuture<'a, io::Result<LedgerHead>>;

    /// For each connection of a session, in order, the digests of its chunks, in order, as the ledger holds them; of
    /// one that `has_closed`, all. [`io::ErrorKind::ResourceBusy`] when it is worth to ask again.
    fn recording<'a>(
        &'a self,
        session: &'a SessionId,
        has_closed: bool,
    ) -> BoxFuture<'a, io::Result<Vec<Vec<Digest>>>>;

    /// What the ledger holds of one chunk, proven under its head of `size` entries, else the newest; `None` when it holds
    /// nothing of it.
    fn chunk_proof<'a>(
        &'a self,
        session: &'a SessionId,
        connection: u32,
        chunk: u32,
        size: Option<u64>,
    ) -> BoxFuture<'a, io::Result<Option<EntryProof>>>;

    /// The same of the end of a connection, or of the session.
    fn end_proof<'a>(
        &'a self,
        session: &'a SessionId,
        connection: Option<u32>,
        size: u64,
    ) -> BoxFuture<'a, io::Result<Option<EntryProof>>>;

    /// The bytes of one chunk; connections count from 1, chunks from 0.
    fn chunk<'a>(
        &'a self,
        session: &'a SessionId,
        connection: u32,
        chunk: u32,
    ) -> BoxFuture<'a, io::Result<Option<Vec<u8>>>>;

    /// Signs a checkpoint over everything that was entered.
    fn checkpoint(&self) -> BoxFuture<'_, Result<(), JournalError>>;

    /// What of the ledger is not signed; `None` while checkpoints are.
    fn unsigned(&self) -> Option<Unsigned> {
        None
    }

    /// What of the ledger no quorum of witnesses has cosigned; `None` when there are no witnesses.
    fn unwitnessed(&self) -> Option<Unwitnessed> {
        None
    }
}

/// The gateway's end of a tunnel.
pub trait TunnelHandler: Send + Sync + 'static {
    /// Serves one tunnel until it ends. `inner` says whether TLS to the gateway's key runs inside.
    fn serve(
        &self,
        io: Box<dyn TunnelIo>,
        session: SessionId,
        device: Device,
        inner: bool,
    ) -> BoxFuture<'static, ()>;
}

/// The bytes of a tunnel.
pub trait TunnelIo: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> TunnelIo for T {}
