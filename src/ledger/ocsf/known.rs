//! What the entries before one say of its session, its request and its grant.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::domain::event::{Event, What};
use crate::domain::name::{GrantId, RequestId, SessionId};
use crate::domain::principal::PrincipalId;

/// What an entry is about, in its own words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The session.
    pub session: Option<&'a SessionId>,
    /// The connection of the session.
    pub connection: Option<u32>,
    /// The request.
    pub request: Option<&'a RequestId>,
    /// The grant.
    pub grant: Option<&'a GrantId>,
    /// The target; of a refusal as somebody spelled it.
    pub target: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// What this entry is about.
    #[must_use]
    pub fn of(what: &'a What) -> Self {
        let session = |session| Self { session: Some(session), ..Self::default() };
        let connection = |of, connection: &u32| Self { connection: Some(*connection), ..session(of) };
        let request = |request| Self { request: Some(request), ..Self::default() };
        let grant = |grant| Self { grant: Some(grant), ..Self::default() };
        match what {
            What::BrokerStarted { .. }
            | What::BrokerStopped
            | What::DeviceEnrolled { .. }
            | What::DevicePending { .. }
            | What::DeviceRevoked { .. }
            | What::LoggedIn { .. }
            | What::LoggedOut
            | What::KeyRotated { .. }
            | What::PolicyLoaded => Self::default(),
            What::ChunkClosed { session: of, connection: number, .. }
            | What::ConnectionClosed { session: of, connection: number, .. }
            | What::ConnectionOpened { session: of, connection: number, .. }
            | What::DeedJudged { session: of, connection: number, .. }
            | What::StatementCapped { session: of, connection: number, .. }
            | What::StatementJudged { session: of, connection: number, .. } => connection(of, number),
            What::GrantExtended { grant: id, request: by, .. } => Self { request: Some(by), ..grant(id) },
            What::GrantIssued { grant: id, request: by, target, .. } => {
                Self { request: Some(by), target: Some(target.as_str()), ..grant(id) }
            }
            What::GrantRevoked { grant: id, .. } => grant(id),
            What::GrantUsed { grant: id, session: of } => Self { session: Some(of), ..grant(id) },
            What::LeaseIssued { session: of, .. }
            | What::LeaseRevoked { session: of, .. }
            | What::PolicyTampered { session: of, .. }
            | What::SessionClosed { session: of, .. } => session(of),
            What::Refused { target, .. } => Self { target: Some(target), ..Self::default() },
            What::RequestAnswered { request: id, .. }
            | What::RequestEnded { request: id, .. }
            | What::ReviewGiven { request: id, .. }
            | What::ReviewRejected { request: id, .. }
            | What::StandingRevoked { request: id, .. } => request(id),
            What::RequestFiled { request: id, target, session: of, .. } => {
                Self { session: of.as_ref(), target: Some(target.as_str()), ..request(id) }
            }
            What::RequestReleased { request: id, session: of } => Self { session: Some(of), ..request(id) },
            What::SessionOpened { session: of, target, .. } => {
                Self { target: Some(target.as_str()), ..session(of) }
            }
        }
    }
}

/// What was said of sessions that are open or ended lately, and of every request and grant. It has a record for
/// each of them, as the verifier has.
#[derive(Debug, Default)]
pub struct Known {
    sessions: HashMap<SessionId, Session>,
    /// Those that ended last, oldest first.
    ended: VecDeque<SessionId>,
    requests: HashMap<RequestId, Request>,
    grants: HashMap<GrantId, Grant>,
}

#[derive(Debug)]
struct Session {
    target: String,
    /// The databases of the connections that are open.
    databases: BTreeMap<u32, String>,
    principal: Option<PrincipalId>,
}

#[derive(Debug)]
struct Request {
    target: String,
    session: Option<SessionId>,
    principal: Option<PrincipalId>,
}

#[derive(Debug)]
struct Grant {
    target: String,
    principal: PrincipalId,
}

impl Known {
    /// Takes the next entry; of an ended session its last ones still know it.
    pub fn follow(&mut self, event: &Event) {
        let principal = || event.actor.as_ref().map(|actor| actor.principal.clone());
        match &event.what {
            What::SessionOpened { session, target, .. } => {
                let target = target.as_str().to_owned();
                let opened = Session { target, databases: BTreeMap::new(), principal: principal() };
                self.sessions.insert(session.clone(), opened);
            }
            What::ConnectionOpened { session, connection, database, .. } => {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.databases.insert(*connection, database.clone());
                    // what a log says that was made up has an end, too
                    if session.databases.len() > MOST_CONNECTIONS {
                        session.databases.pop_first();
                    }
                }
            }
            What::ConnectionClosed { session, connection, .. } => {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.databases.remove(connection);
                }
            }
            What::SessionClosed { session, .. } => {
                self.ended.push_back(session.clone());
                if self.ended.len() > MOST_ENDED
                    && let Some(oldest) = self.ended.pop_front()
                {
                    self.sessions.remove(&oldest);
                }
            }
            What::RequestFiled { request, target, session, .. } => {
                let target = target.as_str().to_owned();
                let filed = Request { target, session: session.clone(), principal: principal() };
                self.requests.insert(request.clone(), filed);
            }
            What::GrantIssued { grant, principal, target, .. } => {
                let issued = Grant { target: target.as_str().to_owned(), principal: principal.clone() };
                self.grants.insert(grant.clone(), issued);
            }
            _ => {}
        }
    }

    /// The session that an entry is about; of a request's entries, the one whose action it is for.
    #[must_use]
    pub fn session<'a>(&'a self, what: &'a What) -> Option<&'a SessionId> {
        let subject = Subject::of(what);
        subject.session.or_else(|| self.request(subject)?.session.as_ref())
    }

    /// The target that an entry is about.
    #[must_use]
    pub fn target<'a>(&'a self, what: &'a What) -> Option<&'a str> {
        let subject = Subject::of(what);
        let session = || Some(self.sessions.get(subject.session?)?.target.as_str());
        let grant = || Some(self.grants.get(subject.grant?)?.target.as_str());
        let request = || Some(self.request(subject)?.target.as_str());
        subject.target.or_else(session).or_else(grant).or_else(request)
    }

    /// The database, or the host, of the connection that an entry is about.
    pub(super) fn database<'a>(&'a self, what: &'a What) -> Option<&'a str> {
        let subject = Subject::of(what);
        Some(self.sessions.get(subject.session?)?.databases.get(&subject.connection?)?.as_str())
    }

    /// Whose session, request or grant it is.
    pub(super) fn principal<'a>(&'a self, what: &'a What) -> Option<&'a PrincipalId> {
        if let What::GrantIssued { principal, .. } = what {
            return Some(principal);
        }
        let subject = Subject::of(what);
        let grant = || Some(&self.grants.get(subject.grant?)?.principal);
        let request = || self.request(subject)?.principal.as_ref();
        let session = || self.sessions.get(subject.session?)?.principal.as_ref();
        grant().or_else(request).or_else(session)
    }

    fn request(&self, subject: Subject<'_>) -> Option<&Request> {
        self.requests.get(subject.request?)
    }
}

pub(super) const MOST_ENDED: usize = 4096;
const MOST_CONNECTIONS: usize = 65_536;
