//! What stands in for journal, leases, archive and gateway.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::broker::app::{Archive, LeaseKeeper, TunnelHandler, TunnelIo};
use crate::domain::device::Device;
use crate::domain::event::{Actor, Event, What};
use crate::domain::name::{Digest, SessionId, TargetName};
use crate::domain::principal::PrincipalId;
use crate::domain::target::Target;
use crate::gateway::authority::{Credential, Lease, LeaseError, SessionContext};
use crate::gateway::journal::{Journal, JournalError, Recorder, Ticket};
use crate::wire::control::{EntryProof, LedgerHead};

/// A journal that remembers, and breaks when told to.
pub(crate) struct Memory {
    events: Mutex<Vec<Event>>,
    pub(crate) broken: AtomicBool,
    /// For how many more entries there is room.
    pub(crate) room: AtomicUsize,
    /// What happens while the next event is entered.
    pub(crate) meanwhile: Mutex<Option<Meanwhile>>,
}

impl Default for Memory {
    fn default() -> Self {
        let room = AtomicUsize::new(usize::MAX);
        Self { events: Mutex::default(), broken: AtomicBool::default(), room, meanwhile: Mutex::default() }
    }
}

/// Something that happens at a certain moment, once.
pub(crate) type Meanwhile = Box<dyn FnOnce() + Send>;

impl Memory {
    pub(crate) fn whats(&self) -> Vec<What> {
        self.events.lock().unwrap().iter().map(|event| event.what.clone()).collect()
    }
}

impl Memory {
    /// Who did each thing.
    pub(crate) fn actors(&self) -> Vec<Option<PrincipalId>> {
        let events = self.events.lock().unwrap();
        events.iter().map(|event| event.actor.as_ref().map(|actor| actor.principal.clone())).collect()
    }
}

impl Journal for Memory {
    fn enter(&self, event: &Event) -> Result<Ticket, JournalError> {
        let took = |room: usize| room.checked_sub(1);
        let is_full = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, took).is_err();
        if is_full || self.broken.load(Ordering::SeqCst) {
            return Err(JournalError::Unwritable("the disk is full".into()));
        }
        if let Some(happens) = self.meanwhile.lock().unwrap().take() {
            happens();
        }
        let mut events = self.events.lock().unwrap();
        events.push(event.clone());
        Ok(Ticket(u64::try_from(events.len()).unwrap()))
    }

    fn synced(&self, _: Ticket) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async { Ok(()) })
    }

    fn recorder(&self, _: &SessionId, _: u32, _: &Actor) -> Result<Box<dyn Recorder>, JournalError> {
        Err(JournalError::Unwritable("no recordings here".into()))
    }
}

/// Leases that only remember which were taken back, which were made longer, and until when one was wanted last; two resist.
#[derive(Default)]
pub(crate) struct Lender(
    pub(crate) Mutex<Vec<SessionId>>,
    pub(crate) Mutex<BTreeMap<SessionId, Timestamp>>,
    pub(crate) Mutex<Option<Timestamp>>,
);

impl LeaseKeeper for Lender {
    fn issue<'a>(&'a self, context: &'a SessionContext) -> BoxFuture<'a, Result<Lease, LeaseError>> {
        *self.2.lock().unwrap() = Some(context.expires);
        let credential = Credential::Password(SecretString::from("p"));
        let lease = Lease { user: "u".into(), credential, expires: context.expires };
        Box::pin(async move { Ok(lease) })
    }

    fn extend<'a>(
        &'a self,
        session: &'a SessionId,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<(), LeaseError>> {
        self.1.lock().unwrap().insert(session.clone(), until);
        Box::pin(async { Ok(()) })
    }

    fn revoke<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, ()> {
        self.0.lock().unwrap().push(session.clone());
        Box::pin(async {})
    }

    fn reap<'a>(&'a self, _: &'a BTreeMap<TargetName, Target>) -> BoxFuture<'a, usize> {
        Box::pin(async { 2 })
    }

    fn watch(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// An archive with a checkpoint and one tile.
pub(crate) struct Shelf;

impl Archive for Shelf {
    fn healthy(&self) -> bool {
        true
    }

    fn ledger_file<'a>(&'a self, path: &'a str) -> BoxFuture<'a, io::Result<Option<Vec<u8>>>> {
        Box::pin(
            async move { Ok(matches!(path, "checkpoint" | "tile/0/000").then(|| path.as_bytes().to_vec())) },
        )
    }

    fn ledger_head<'a>(&'a self, from: u64, since: Option<&'a str>) -> BoxFuture<'a, io::Result<LedgerHead>> {
        let proof = vec![from.to_string()];
        let key = since.unwrap_or("key").to_owned();
        Box::pin(async {
            Ok(LedgerHead { key, checkpoint: "checkpoint".into(), proof, rotations: Vec::new() })
        })
    }

    /// One that has closed is being searched for.
    fn recording<'a>(
        &'a self,
        _: &'a SessionId,
        has_closed: bool,
    ) -> BoxFuture<'a, io::Result<Vec<Vec<Digest>>>> {
        Box::pin(async move {
            match has_closed {
                true => Err(io::ErrorKind::ResourceBusy.into()),
                false => Ok(vec![vec![Digest::from_bytes(&[7; 32])]]),
            }
        })
    }

    fn chunk_proof<'a>(
        &'a self,
        _: &'a SessionId,
        connection: u32,
        chunk: u32,
        size: Option<u64>,
    ) -> BoxFuture<'a, io::Result<Option<EntryProof>>> {
        let entry = move || EntryProof {
            index: size.unwrap_or(3),
            entry: "{}".into(),
            proof: Vec::new(),
            checkpoint: "checkpoint".into(),
        };
        Box::pin(async move { Ok((connection == 1 && chunk == 0).then(entry)) })
    }

    fn end_proof<'a>(
        &'a self,
        session: &'a SessionId,
        connection: Option<u32>,
        size: u64,
    ) -> BoxFuture<'a, io::Result<Option<EntryProof>>> {
        self.chunk_proof(session, connection.unwrap_or(1), 0, Some(size))
    }

    fn chunk<'a>(
        &'a self,
        _: &'a SessionId,
        connection: u32,
        chunk: u32,
    ) -> BoxFuture<'a, io::Result<Option<Vec<u8>>>> {
        Box::pin(async move { Ok((connection == 1 && chunk == 0).then(|| b"chunk".to_vec())) })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A gateway that sends back what it gets.
pub(crate) struct Echo;

impl TunnelHandler for Echo {
    fn serve(&self, io: Box<dyn TunnelIo>, _: SessionId, _: Device, _: bool) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let (mut from, mut to) = tokio::io::split(io);
            drop(tokio::io::copy(&mut from, &mut to).await);
        })
    }
}
