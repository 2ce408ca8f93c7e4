//! What entries say about each other: sessions, connections, statements and chunks add up.
//!
//! Job: finds what was never written. Boundary: entries whose bytes are already trusted, in order.
//! A record is kept for each session that is open, and dropped when it has closed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest as _, Sha256};

use super::approvals::{Approvals, Reviews};
use super::{Files, FilesError, Reason};
use crate::domain::event::{Event, What};
use crate::domain::name::{Digest, SessionId};
use crate::domain::session::CloseReason;

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    open: HashMap<SessionId, Session>,
    approvals: Approvals,
    sessions: u64,
    statements: u64,
    chunks: u64,
}

#[derive(Debug, Default)]
struct Session {
    statements: u64,
    closed: bool,
    connections: BTreeMap<u32, Connection>,
}

#[derive(Debug, Default)]
struct Connection {
    statements: u64,
    chunks: u32,
    /// The latest statements whose entries have facts.
    with_facts: BTreeSet<u64>,
}

/// So many of them are known. Of those before nothing is said.
const WITH_FACTS: usize = 100_000;

impl Story {
    pub(super) fn sessions(&self) -> u64 {
        self.sessions
    }

    pub(super) fn statements(&self) -> u64 {
        self.statements
    }

    pub(super) fn chunks(&self) -> u64 {
        self.chunks
    }

    pub(super) fn reviews(&self) -> u64 {
        self.approvals.reviews()
    }

    /// How many connections of a session have begun and have no end, those that died with their broker left out.
    pub(super) fn unended(&self, session: &SessionId) -> u64 {
        let count = self.open.get(session).map_or(0, |session| session.connections.len());
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Takes the next entry; the inner error is what is wrong with it. Chunks are checked where recordings are at hand.
    pub(super) fn tell(
        &mut self,
        event: &Event,
        reviews: &dyn Reviews,
        recordings: Option<&dyn Files>,
    ) -> Result<Result<(), Reason>, FilesError> {
        if let Err(fault) = self.approvals.tell(event, reviews) {
            return Ok(Err(fault.into()));
        }
        Ok(match &event.what {
            What::BrokerStarted { .. } => {
                self.restart();
                Ok(())
            }
            What::ChunkClosed { session, connection, chunk, digest, bytes } => {
                self.chunks += 1;
                let told = self.chunk(session, *connection, *chunk);
                match recordings {
                    Some(files) if told.is_ok() => {
                        let place = (session, *connection, *chunk);
                        recorded_chunk(files, place, digest, *bytes)?.map(drop)
                    }
                    _ => told,
                }
            }
            What::ConnectionClosed { session, connection, statements, chunks, .. } => {
                self.connection_closed(session, *connection, *statements, *chunks)
            }
            What::ConnectionOpened { session, connection, .. } => {
                self.connection_opened(session, *connection)
            }
            What::DeedJudged { session, connection, statement, .. } => {
                self.statement(session, *connection, *statement).map(|_| ())
            }
            What::SessionClosed { session, reason, statements, .. } => {
                self.session_closed(session, *reason, *statements)
            }
            What::SessionOpened { session, .. } => self.session_opened(session),
            What::StatementJudged { session, connection, statement, facts, facts_of, .. } => self
                .statement(session, *connection, *statement)
                .and_then(|connection| connection.facts(*statement, facts.is_some(), *facts_of)),
            What::BrokerStopped
            | What::DeviceEnrolled { .. }
            | What::DevicePending { .. }
            | What::DeviceRevoked { .. }
            | What::GrantExtended { .. }
            | What::GrantIssued { .. }
            | What::GrantRevoked { .. }
            | What::GrantUsed { .. }
            | What::KeyRotated { .. }
            | What::LeaseIssued { .. }
            | What::LeaseRevoked { .. }
            | What::LoggedIn { .. }
            | What::LoggedOut
            | What::PolicyLoaded
            | What::PolicyTampered { .. }
            | What::Refused { .. }
            | What::RequestAnswered { .. }
            | What::RequestEnded { .. }
            | What::RequestFiled { .. }
            | What::RequestReleased { .. }
            | What::ReviewGiven { .. }
            | What::ReviewRejected { .. }
            | What::StandingRevoked { .. }
            | What::StatementCapped { .. } => Ok(()),
        })
    }

    /// A broker that starts has no connections: those of the one before it died with it.
    fn restart(&mut self) {
        self.open.retain(|_, session| {
            session.connections.clear();
            !session.closed
        });
    }

    fn session_opened(&mut self, id: &SessionId) -> Result<(), Reason> {
        self.sessions += 1;
        match self.open.insert(id.clone(), Session::default()) {
            None => Ok(()),
            Some(_) => Err(Reason::OutOfPlace("the session is open already")),
        }
    }

    fn connection_opened(&mut self, id: &SessionId, number: u32) -> Result<(), Reason> {
        match self.session(id)?.connections.insert(number, Connection::default()) {
            None => Ok(()),
            Some(_) => Err(Reason::OutOfPlace("the connection is open already")),
        }
    }

    fn statement(&mut self, id: &SessionId, connection: u32, number: u64) -> Result<&mut Connection, Reason> {
        self.statements += 1;
        let session = self.session(id)?;
        if session.closed {
            return Err(Reason::OutOfPlace("the session has closed"));
        }
        session.statements += 1;
        let connection = session.connections.entry(connection).or_default();
        let expected = connection.statements + 1;
        connection.statements = number;
        if number == expected {
            Ok(connection)
        } else {
            Err(Reason::StatementNumber { expected, found: number })
        }
    }

    fn chunk(&mut self, id: &SessionId, connection: u32, found: u32) -> Result<(), Reason> {
        let connection = self.session(id)?.connections.entry(connection).or_default();
        let expected = connection.chunks;
        connection.chunks = found.saturating_add(1);
        if found == expected { Ok(()) } else { Err(Reason::ChunkOrder { expected, found }) }
    }

    fn connection_closed(
        &mut self,
        id: &SessionId,
        number: u32,
        statements: u64,
        chunks: u32,
    ) -> Result<(), Reason> {
        let session = self.session(id)?;
        let found = session.connections.remove(&number).unwrap_or_default();
        if session.closed && session.connections.is_empty() {
            self.open.remove(id);
        }
        count("statements", statements, found.statements)?;
        count("chunks", u64::from(chunks), u64::from(found.chunks))
    }

    fn session_closed(&mut self, id: &SessionId, reason: CloseReason, statements: u64) -> Result<(), Reason> {
        let session = self.session(id)?;
        if session.closed {
            return Err(Reason::OutOfPlace("the session has closed already"));
        }
        session.closed = true;
        let found = session.statements;
        if session.connections.is_empty() {
            self.open.remove(id);
        }
        // whoever was killed could not count to the end; what it did write is all there
        if reason == CloseReason::BrokerRestarted && statements <= found {
            return Ok(());
        }
        count("statements", statements, found)
    }

    fn session(&mut self, id: &SessionId) -> Result<&mut Session, Reason> {
        self.open.get_mut(id).ok_or(Reason::OutOfPlace("there is no such session open"))
    }
}

impl Connection {
    /// A statement whose entry has its facts, or leaves them to that of an earlier one.
    fn facts(&mut self, number: u64, has_facts: bool, of: Option<u64>) -> Result<(), Reason> {
        if has_facts {
            self.with_facts.insert(number);
            if self.with_facts.len() > WITH_FACTS {
                self.with_facts.pop_first();
            }
        }
        let Some(of) = of else { return Ok(()) };
        let forgotten = self.with_facts.len() == WITH_FACTS && self.with_facts.first() > Some(&of);
        if !has_facts && (self.with_facts.contains(&of) || forgotten) {
            return Ok(());
        }
        Err(Reason::OutOfPlace("no earlier statement of its connection has the facts that it refers to"))
    }
}

fn count(what: &'static str, said: u64, found: u64) -> Result<(), Reason> {
    if said == found { Ok(()) } else { Err(Reason::Count { what, said, found }) }
}

/// The bytes of a chunk, if they are those whose digest was entered; the inner error is what is wrong with them.
///
/// # Errors
/// When they cannot be read.
pub fn recorded_chunk(
    files: &dyn Files,
    (session, connection, chunk): (&SessionId, u32, u32),
    digest: &Digest,
    bytes: u64,
) -> Result<Result<Vec<u8>, Reason>, FilesError> {
    let session = session.clone();
    let Some(content) = files.read(&format!("{session}/{connection}-{chunk}.zst"))? else {
        return Ok(Err(Reason::ChunkMissing { session, connection, chunk }));
    };
    let same = u64::try_from(content.len()) == Ok(bytes)
        && Digest::from_bytes(&Sha256::digest(&content).into()) == *digest;
    Ok(if same { Ok(content) } else { Err(Reason::ChunkAltered { session, connection, chunk }) })
}
