//! How much there is of a session, as far as the ledger proves it.
//!
//! The broker says how many connections and chunks there are; its word is held against the entries about their ends,
//! which are proven under one head for the whole replay. What was removed is missed so, and not only what was altered.

use std::time::Duration;

use super::PlaybackError;
use crate::client::api::{Api, ApiError};
use crate::client::ledger::{EnteredEnd, Head};
use crate::client::link::LinkError;
use crate::domain::name::SessionId;
use crate::domain::session::{CloseReason, Session, SessionState};
use crate::ledger::note::VerifierKey;
use crate::wire::control::{ProblemCode, RecordingIndex};

/// What is to be played.
#[derive(Debug)]
pub(super) struct Extent {
    /// The session, as the broker tells of it.
    pub(super) session: Session,
    /// The head under which everything is proven.
    pub(super) head: Head,
    pub(super) connections: Vec<Stretch>,
    end: Option<EnteredEnd>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Counted from 1.
    pub(super) connection: u32,
    /// How many chunks.
    pub(super) chunks: u32,
    /// Whether the ledger says so.
    has_end: bool,
}

impl Extent {
    /// Asks for it; `key` is the one that somebody named.
    ///
    /// # Errors
    /// [`PlaybackError`]; what contradicts itself or the ledger is bad data.
    pub(super) async fn read(
        api: &Api,
        id: &SessionId,
        key: Option<&VerifierKey>,
    ) -> Result<Self, PlaybackError> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let extent = Self::look(api, id, key).await?;
            // a session that is closing now is entered a moment later
            if tries == 0 || extent.unproven().is_none() {
                return Ok(extent);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn look(api: &Api, id: &SessionId, key: Option<&VerifierKey>) -> Result<Self, PlaybackError> {
        // first: the head that is seen after it covers what it speaks of
        let index = patiently(|| api.recording(id)).await?;
        if index.session.id != *id {
            return Err(PlaybackError::Elsewhere);
        }
        let head = api.head(key).await?.ok_or(PlaybackError::TooOld)?;
        let RecordingIndex { session, connections: listed } = index;
        let end = match known(patiently(|| api.end_proof(id, None, &head)).await)? {
            Some(proof) => Some(head.session_end(&proof, id)?),
            None => None,
        };
        let named = u32::try_from(listed.len()).unwrap_or(u32::MAX);
        let count = counted(end).unwrap_or(named);
        if count < named || count > MOST_CONNECTIONS {
            return Err(PlaybackError::Connections { named, counted: count });
        }
        let mut connections = Vec::new();
        for (connection, place) in (1..=count).zip(0_usize..) {
            let known_of = patiently(|| api.end_proof(id, Some(connection), &head)).await;
            let listed = listed.get(place).map_or(0, Vec::len);
            let listed = u32::try_from(listed).unwrap_or(u32::MAX);
            let stretch = match known(known_of)? {
                Some(proof) => {
                    let chunks = head.connection_end(&proof, id, connection)?;
                    Stretch { connection, chunks, has_end: true }
                }
                None => Stretch { connection, chunks: listed, has_end: false },
            };
            if stretch.chunks < listed {
                return Err(PlaybackError::Chunks { connection, named: listed, counted: stretch.chunks });
            }
            connections.push(stretch);
        }
        Ok(Self { session, head, connections, end })
    }

    /// What should be proven of where it ends, and is not.
    fn unproven(&self) -> Option<String> {
        let says_closed = matches!(self.session.state, SessionState::Closed { .. });
        if says_closed && self.end.is_none() {
            return Some(
                "the broker says that the session has closed, and nothing in the ledger shows it".into(),
            );
        }
        // one that has chunks was begun, and what was begun and orderly closed has an end
        let open = self.connections.iter().find(|stretch| !stretch.has_end && stretch.chunks > 0);
        let open = open.filter(|_| counted(self.end).is_some())?;
        Some(format!(
            "the session has closed, and nothing in the ledger shows where connection {} ended",
            open.connection
        ))
    }

    /// What is to be said behind the last connection.
    ///
    /// # Errors
    /// Where it ends should be proven, and is not.
    pub(super) fn last_words(&self) -> Result<Option<String>, PlaybackError> {
        if let Some(unproven) = self.unproven() {
            return Err(PlaybackError::Unproven(unproven));
        }
        let Some(end) = self.end else {
            return Ok(Some("note: the session is open: nothing proves yet where it ends".into()));
        };
        if end.reason == CloseReason::BrokerRestarted {
            return Ok(Some(
                "note: the broker was killed while the session ran: nothing proves how many connections it had, nor where those ended that were cut"
                    .into(),
            ));
        }
        let lost = self.connections.iter().filter(|stretch| !stretch.has_end);
        let lost: Vec<String> = lost.map(|stretch| stretch.connection.to_string()).collect();
        Ok((!lost.is_empty()).then(|| {
            format!(
                "note: nothing in the ledger shows an end of connection {}: it never got as far as the target, or it is withheld",
                lost.join(", ")
            )
        }))
    }
}

/// How many connections a session had, where somebody could count them.
fn counted(end: Option<EnteredEnd>) -> Option<u32> {
    end.filter(|end| end.reason != CloseReason::BrokerRestarted).map(|end| end.connections)
}

/// What there is; `None` when there is no such thing.
pub(super) fn known<T>(answer: Result<T, ApiError>) -> Result<Option<T>, PlaybackError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ApiError::Link(LinkError::Problem(problem))) if problem.code == ProblemCode::Unknown => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Asks again while the broker is busy with somebody else's recording.
pub(super) async fn patiently<T, A>(ask: impl Fn() -> A) -> Result<T, ApiError>
where
    A: Future<Output = Result<T, ApiError>>,
{
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match ask().await {
            Err(ApiError::Link(LinkError::Problem(problem)))
                if problem.code == ProblemCode::Unavailable && tries > 0 => {}
            other => return other,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// No session has more; whoever says so wants to keep somebody busy.
const MOST_CONNECTIONS: u32 = 1 << 20;
