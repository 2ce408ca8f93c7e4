//! Live sessions.
//!
//! Job: each session's state, its connections and their slots, its counters, and the channel that
//! tells the gateway to stop. Boundary: does not judge and does not enter (`app` does both), does
//! not touch leases. Failure mode: a state that cannot be stored is still true in memory; closing
//! never fails.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::broker::store::{Store, StoreError, sessions as table};
use crate::domain::device::Device;
use crate::domain::event::Actor;
use crate::domain::name::{DeviceId, GrantId, SessionId};
use crate::domain::session::{CloseReason, Session, SessionState};
use crate::domain::target::Target;
use crate::gateway::authority::{Refusal, SessionContext, Slot};

/// All sessions.
pub(crate) struct Sessions {
    store: Arc<Store>,
    live: RwLock<HashMap<SessionId, Arc<Live>>>,
    /// Takes each session that starts to close, once.
    closing: mpsc::UnboundedSender<SessionId>,
}

/// A session that is not over.
pub(crate) struct Live {
    /// What the gateway knows of it.
    pub(crate) context: Arc<SessionContext>,
    device: DeviceId,
    /// When it would end without a grant.
    limit: Timestamp,
    max_connections: u32,
    state: Mutex<State>,
    statements: AtomicU64,
    stop: watch::Sender<Option<CloseReason>>,
    /// How many connections it holds; watched so that closing can wait for the last.
    open: watch::Sender<u32>,
    /// How many tunnels it holds, whatever they carry.
    tunnels: AtomicU32,
    /// How many connections tie it to the life of its client.
    tethers: AtomicU64,
}

struct State {
    session: Session,
    connections: u32,
}

/// A connection that was let in.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) context: Arc<SessionContext>,
    pub(crate) connection: u32,
    pub(crate) stop: watch::Receiver<Option<CloseReason>>,
    pub(crate) slot: Slot,
}

impl Sessions {
    /// No sessions yet; ids of sessions that start to close come out of the receiver.
    pub(crate) fn new(store: Arc<Store>) -> (Self, mpsc::UnboundedReceiver<SessionId>) {
        let (closing, closed) = mpsc::unbounded_channel();
        (Self { store, live: RwLock::default(), closing }, closed)
    }

    /// Stores a session before anything else knows of it.
    pub(crate) fn reserve(&self, session: &Session) -> Result<(), StoreError> {
        self.store.write(|on| table::put(on, session))
    }

    /// Forgets a session that did not come to be.
    pub(crate) fn cancel(&self, id: &SessionId) -> Result<(), StoreError> {
        self.store.write(|on| table::remove(on, id))
    }

    /// From now on the session can be used.
    pub(crate) fn open(
        &self,
        session: Session,
        context: Arc<SessionContext>,
        limit: Timestamp,
        max_connections: u16,
    ) {
        let id = session.id.clone();
        let live = Live {
            context,
            device: session.device.clone(),
            limit,
            max_connections: u32::from(max_connections),
            state: Mutex::new(State { session, connections: 0 }),
            statements: AtomicU64::new(0),
            stop: watch::Sender::new(None),
            open: watch::Sender::new(0),
            tunnels: AtomicU32::new(0),
            tethers: AtomicU64::new(0),
        };
        self.live.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(live));
    }

    /// A place for a tunnel of this device, until the slot is dropped.
    ///
    /// What a tunnel to a database carries is known once it speaks, and a cancel request comes when every connection
    /// is in use: so there are places beyond the connections, and [`Self::admit`] counts those.
    ///
    /// # Errors
    /// [`Refusal`], also for who owns the session and has too many tunnels.
    pub(crate) fn tunnel(&self, id: &SessionId, device: &Device) -> Result<Slot, Refusal> {
        let live = self.find(id, device)?;
        let state = live.state();
        let is_cancellable = live.context.target.kind.postgres().is_some();
        if is_cancellable {
            Live::is_open(&state)?;
        } else {
            live.admits(&state)?;
        }
        drop(state);
        let most = live.max_connections.saturating_add(CANCELS);
        // INVARIANT: counted before it is there, so that no number of them at once gets past the limit
        if live.tunnels.fetch_add(1, Ordering::SeqCst) >= most {
            live.tunnels.fetch_sub(1, Ordering::SeqCst);
            return Err(Refusal::TooManyConnections);
        }
        Ok(Slot::new(move || {
            live.tunnels.fetch_sub(1, Ordering::SeqCst);
        }))
    }

    /// What a live session was opened as.
    pub(crate) fn context(&self, id: &SessionId) -> Option<Arc<SessionContext>> {
        Some(Arc::clone(&self.get(id)?.context))
    }

    /// What a session of this device is a session of.
    pub(crate) fn target(&self, id: &SessionId, device: &Device) -> Result<Arc<Target>, Refusal> {
        Ok(Arc::clone(&self.find(id, device)?.context.target))
    }

    /// Lets one connection in.
    pub(crate) fn admit(&self, id: &SessionId, device: &Device) -> Result<Entrance, Refusal> {
        let live = self.find(id, device)?;
        let mut state = live.state();
        live.admits(&state)?;
        state.connections += 1;
        live.open.send_modify(|open| *open += 1);
        let connection = state.connections;
        let first = state.session.state == SessionState::Pending;
        if first {
            state.session.state = SessionState::Active;
        }
        let session = state.session.clone();
        drop(state);
        if first {
            self.keep(&session);
        }
        let stop = live.stop.subscribe();
        let context = Arc::clone(&live.context);
        let slot = Slot::new(move || live.open.send_modify(|open| *open = open.saturating_sub(1)));
        Ok(Entrance { context, connection, stop, slot })
    }

    /// Ties a session to the life of its client, while the returned value lives.
    pub(crate) fn tether(&self, id: &SessionId, device: &Device) -> Result<Tether, Refusal> {
        let live = self.find(id, device)?;
        Live::is_open(&live.state())?;
        // one is held, and another is made when that was cut
        if live.tethers.fetch_add(1, Ordering::SeqCst) >= MOST_TETHERS {
            live.tethers.fetch_sub(1, Ordering::SeqCst);
            return Err(Refusal::TooManyConnections);
        }
        Ok(Tether { stop: live.stop.subscribe(), live })
    }

    /// Whether anything ties a session to its client.
    pub(crate) fn is_tethered(&self, id: &SessionId) -> bool {
        self.get(id).is_some_and(|live| live.tethers.load(Ordering::SeqCst) > 0)
    }

    /// Starts to close a session: traffic stops, no connection comes in. True when it was live.
    pub(crate) fn close(&self, id: &SessionId, reason: CloseReason) -> bool {
        let Some(live) = self.get(id) else { return false };
        let mut state = live.state();
        if !matches!(state.session.state, SessionState::Pending | SessionState::Active) {
            return false;
        }
        state.session.state = SessionState::Closing { reason };
        drop(state);
        live.stop.send_replace(Some(reason));
        // the receiver lives as long as the broker does
        drop(self.closing.send(id.clone()));
        true
    }

    /// Closes every session that `which` gives a reason for.
    pub(crate) fn close_where(&self, which: impl Fn(&Live, &Session) -> Option<CloseReason>) -> usize {
        let all: Vec<Arc<Live>> = self.all();
        let doomed = all.iter().filter_map(|live| {
            let reason = which(live, &live.state().session)?;
            Some((live.context.id.clone(), reason))
        });
        doomed.filter(|(id, reason)| self.close(id, *reason)).count()
    }

    /// Closes what has reached its expiry.
    pub(crate) fn expire(&self, now: Timestamp) -> usize {
        self.close_where(|live, session| {
            let by_grant = session.grant.is_some() && session.expires < live.limit;
            let reason = if by_grant { CloseReason::GrantEnded } else { CloseReason::Expired };
            (session.expires <= now).then_some(reason)
        })
    }

    /// Closes the sessions that stand on a grant.
    pub(crate) fn revoke(&self, grant: &GrantId) -> usize {
        self.close_where(|_, session| {
            (session.grant.as_ref() == Some(grant)).then_some(CloseReason::GrantRevoked)
        })
    }

    /// Lets the sessions that stand on a grant go on until its new end, as far as their own limit goes;
    /// which ones, and until when.
    pub(crate) fn extend(&self, grant: &GrantId, ends: Timestamp) -> Vec<(SessionId, Timestamp)> {
        let mut extended = Vec::new();
        for live in self.all() {
            let mut state = live.state();
            let is_open = matches!(state.session.state, SessionState::Pending | SessionState::Active);
            if !is_open || state.session.grant.as_ref() != Some(grant) {
                continue;
            }
            state.session.expires = ends.min(live.limit);
            let session = state.session.clone();
            drop(state);
            self.keep(&session);
            extended.push((session.id, session.expires));
        }
        extended
    }

    /// When a live session ends, as of now.
    pub(crate) fn ends(&self, id: &SessionId) -> Option<Timestamp> {
        Some(self.get(id)?.state().session.expires)
    }

    /// The grant that a session stands on.
    pub(crate) fn grant_of(&self, id: &SessionId) -> Option<GrantId> {
        self.get(id)?.state().session.grant.clone()
    }

    /// Whether a session can be used.
    pub(crate) fn is_open(&self, id: &SessionId) -> bool {
        self.open_until(id).is_some()
    }

    /// Until when a session can be used, as of now; `None` when it is over.
    pub(crate) fn open_until(&self, id: &SessionId) -> Option<Timestamp> {
        let session = self.get(id)?.snapshot();
        matches!(session.state, SessionState::Pending | SessionState::Active).then_some(session.expires)
    }

    /// Waits until a closing session's connections are gone, for at most `grace`.
    pub(crate) async fn drained(&self, id: &SessionId, grace: Duration) {
        let Some(live) = self.get(id) else { return };
        let mut open = live.open.subscribe();
        let gone = open.wait_for(|open| *open == 0);
        if tokio::time::timeout(grace, gone).await.is_err() {
            tracing::warn!(session = %id, "connections outlive their closed session");
        }
    }

    /// Ends a closing session for good.
    pub(crate) fn finish(&self, id: &SessionId, now: Timestamp) -> Option<Over> {
        let live = self.live.write().unwrap_or_else(PoisonError::into_inner).remove(id)?;
        let mut state = live.state();
        if let SessionState::Closing { reason } = state.session.state {
            state.session.state = SessionState::Closed { reason, at: now };
        }
        let session =
            Session { statements: live.statements.load(Ordering::Relaxed), ..state.session.clone() };
        let connections = state.connections;
        drop(state);
        self.keep(&session);
        Some(Over { session, connections, actor: live.context.actor.clone() })
    }

    /// Counts a statement that was judged.
    pub(crate) fn count_statement(&self, id: &SessionId) {
        if let Some(live) = self.get(id) {
            live.statements.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many sessions and connections there are, and how many of the sessions are of this device.
    pub(crate) fn census(&self, device: Option<&DeviceId>) -> Census {
        let mut census = Census::default();
        for live in self.all() {
            census.sessions += 1;
            census.connections += u64::from(*live.open.borrow());
            census.of_device += usize::from(device == Some(&live.device));
        }
        census
    }

    /// One session, live or over.
    pub(crate) fn look(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        if let Some(live) = self.get(id) {
            return Ok(Some(live.snapshot()));
        }
        self.store.read(|on| table::find(on, id))
    }

    /// All live sessions and the latest that are over, newest first.
    pub(crate) fn list(&self, visible: impl Fn(&Session) -> bool) -> Result<Vec<Session>, StoreError> {
        let mut sessions: Vec<Session> = self.all().iter().map(|live| live.snapshot()).collect();
        let over = self.store.read(|on| table::closed(on, LISTED))?;
        // one may have closed between the two looks
        let over = over.into_iter().filter(|old| !sessions.iter().any(|live| live.id == old.id));
        let over: Vec<Session> = over.collect();
        sessions.extend(over);
        sessions.retain(visible);
        sessions.sort_by(|a, b| b.opened.cmp(&a.opened).then_with(|| a.id.cmp(&b.id)));
        Ok(sessions)
    }

    /// The sessions that a former process left behind.
    pub(crate) fn left_behind(&self) -> Result<Vec<Session>, StoreError> {
        self.store.read(table::unclosed)
    }

    /// Stores the end of a session that a former process left behind.
    pub(crate) fn bury(&self, session: &Session) -> Result<(), StoreError> {
        self.store.write(|on| table::put(on, session))
    }

    fn get(&self, id: &SessionId) -> Option<Arc<Live>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn all(&self) -> Vec<Arc<Live>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The session if it is this principal's on this device; else it reads as if there were none.
    fn find(&self, id: &SessionId, device: &Device) -> Result<Arc<Live>, Refusal> {
        let is_theirs =
            |session: &Session| session.device == device.id && session.principal == device.principal;
        if let Some(live) = self.get(id).filter(|live| is_theirs(&live.state().session)) {
            return Ok(live);
        }
        // the reason why it ended is owed to its owner also when it is over
        match self.store.read(|on| table::find(on, id)) {
            Ok(Some(session)) if is_theirs(&session) => match session.state {
                SessionState::Closed { reason, .. } | SessionState::Closing { reason } => {
                    Err(Refusal::Closed(reason))
                }
                SessionState::Pending | SessionState::Active => Err(Refusal::Unknown),
            },
            _ => Err(Refusal::Unknown),
        }
    }

    fn keep(&self, session: &Session) {
        if let Err(error) = self.store.write(|on| table::put(on, session)) {
            tracing::error!(session = %session.id, %error, "a session's state could not be stored");
        }
    }
}

/// A tie between a session and its client.
pub(crate) struct Tether {
    live: Arc<Live>,
    stop: watch::Receiver<Option<CloseReason>>,
}

impl Tether {
    /// Waits until the session closes.
    pub(crate) async fn stopped(&mut self) {
        drop(self.stop.wait_for(Option::is_some).await);
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        self.live.tethers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A session that is over.
#[derive(Debug)]
pub(crate) struct Over {
    pub(crate) session: Session,
    pub(crate) connections: u32,
    pub(crate) actor: Actor,
}

/// Counts of what is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Census {
    pub(crate) sessions: usize,
    pub(crate) connections: u64,
    pub(crate) of_device: usize,
}

impl Live {
    /// The session as everybody may see it.
    pub(crate) fn snapshot(&self) -> Session {
        let statements = self.statements.load(Ordering::Relaxed);
        Session { statements, ..self.state().session.clone() }
    }

    fn admits(&self, state: &State) -> Result<(), Refusal> {
        Self::is_open(state)?;
        if *self.open.borrow() >= self.max_connections { Err(Refusal::TooManyConnections) } else { Ok(()) }
    }

    fn is_open(state: &State) -> Result<(), Refusal> {
        match state.session.state {
            SessionState::Closing { reason } | SessionState::Closed { reason, .. } => {
                Err(Refusal::Closed(reason))
            }
            SessionState::Pending | SessionState::Active => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many sessions that are over a list shows.
const LISTED: u32 = 500;
/// Tunnels of one session beyond its connections, in which statements are cancelled and newcomers hear that there is no
/// room.
const CANCELS: u32 = 16;
/// Connections that tie one session to its client.
const MOST_TETHERS: u64 = 4;

#[cfg(test)]
mod tests;
