//! Connections to a target's database, as its administrator or as a standing role.
//!
//! Job: verified TLS, SCRAM only, bounded in number and time; an authenticated administrator's
//! connection is kept for thirty idle seconds, its password is not kept at all. Boundary: runs no
//! statement but the one that asks the server who we are. Failure mode: a sentence without secrets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::broker::secrets::Secrets;
use crate::domain::target::{PostgresTarget, RoleIssuer, SecretSource, UpstreamTls};
use crate::gateway::authority::LeaseError;
use crate::gateway::tls::verifying_client;

use super::fault::Fault;
use super::guard::{GuardedTls, ScramOnly};
use super::rotate;

/// All doors to all administrators.
pub(super) struct Servers {
    secrets: Secrets,
    doors: Mutex<HashMap<Address, Arc<Door>>>,
    /// Whose turn it is to change our objects and group roles.
    turns: Mutex<Turns>,
}

/// By host, port and database.
type Turns = HashMap<(String, u16, String), Arc<tokio::sync::Mutex<()>>>;

/// What makes two connections interchangeable.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Address {
    host: String,
    port: u16,
    database: String,
    admin: String,
    /// A connection that proved less, or by another's password, is not today's.
    tls: UpstreamTls,
    password: SecretSource,
}

/// At most four connections at a time to one place, of which one may rest.
struct Door {
    places: Arc<Semaphore>,
    resting: Mutex<Option<(Session, Instant)>>,
}

/// An authenticated connection and what the server said of it.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) rights: Rights,
    pub(super) major: u32,
}

/// By what means roles can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// As superuser; needs no membership in the roles that it makes.
    Superuser,
    /// With CREATEROLE.
    CreateRole,
    /// Through the functions of the schema `hoopctl_admin` (docs/postgres-admin.md).
    Doorway,
    /// Not at all; in a further database, none are needed.
    None,
}

/// An administrator's connection for one piece of work.
pub(super) struct Admin {
    session: Option<Session>,
    door: Arc<Door>,
    _place: OwnedSemaphorePermit,
}

/// Why a connection could not be had.
pub(super) struct ConnectFault {
    /// Whether the server refused the password.
    pub(super) wrong_password: bool,
    /// Why, in a sentence.
    pub(super) text: String,
}

impl Servers {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self { secrets, doors: Mutex::default(), turns: Mutex::default() }
    }

    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// An administrator's connection to one database of the target.
    pub(super) async fn admin(
        &self,
        postgres: &PostgresTarget,
        issuer: &RoleIssuer,
        database: &str,
    ) -> Result<Admin, LeaseError> {
        let door = self.door(postgres, issuer, database);
        let waiting = timeout(PATIENCE, Arc::clone(&door.places).acquire_owned()).await;
        let Ok(Ok(place)) = waiting else {
            return Err(LeaseError::Upstream("four operations on its database are under way already".into()));
        };
        let session = match door.take() {
            Some(session) => session,
            None => self.open(postgres, issuer, database).await?,
        };
        // in a further database there are no roles to be made
        if session.rights == Rights::None && database == postgres.database {
            return Err(LeaseError::Upstream(format!(
                "role {} can make no roles; see docs/postgres-admin.md",
                issuer.admin
            )));
        }
        Ok(Admin { session: Some(session), door, _place: place })
    }

    /// Waits until nobody else of this process changes our objects and group roles in this database. Other
    /// processes are met in the catalog ([`super::fault`]). To be asked for with a connection in hand.
    pub(super) async fn turn(
        &self,
        postgres: &PostgresTarget,
        database: &str,
    ) -> Result<OwnedMutexGuard<()>, LeaseError> {
        let place = (postgres.host.clone(), postgres.port, database.to_owned());
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(place).or_default())
        };
        timeout(TURN, turn.lock_owned()).await.map_err(|_| {
            LeaseError::Upstream("others are at work on the broker's roles in its database".into())
        })
    }

    async fn open(
        &self,
        postgres: &PostgresTarget,
        issuer: &RoleIssuer,
        database: &str,
    ) -> Result<Session, LeaseError> {
        let fetched = self.secrets.fetch(&issuer.admin_password).await;
        // a rotation that was killed between its steps has left the new password beside the old
        let spare = match &issuer.admin_password {
            SecretSource::File(path) => Some(rotate::next_of(path)),
            SecretSource::Command(_) | SecretSource::Env(_) => None,
        };
        let first = match fetched {
            Ok(password) => connect(postgres, database, &issuer.admin, &password).await,
            Err(error) if spare.as_ref().is_none_or(|path| !path.exists()) => {
                return Err(LeaseError::Secret(error.to_string()));
            }
            Err(error) => Err(ConnectFault { wrong_password: true, text: error.to_string() }),
        };
        match (first, spare) {
            (Err(fault), Some(path)) if fault.wrong_password && path.exists() => {
                let password = self
                    .secrets
                    .fetch(&SecretSource::File(path.clone()))
                    .await
                    .map_err(|e| LeaseError::Secret(e.to_string()))?;
                let session = connect(postgres, database, &issuer.admin, &password).await?;
                rotate::complete(&path).map_err(LeaseError::Secret)?;
                Ok(session)
            }
            (first, _) => Ok(first?),
        }
    }

    fn door(&self, postgres: &PostgresTarget, issuer: &RoleIssuer, database: &str) -> Arc<Door> {
        let address = Address {
            host: postgres.host.clone(),
            port: postgres.port,
            database: database.to_owned(),
            admin: issuer.admin.clone(),
            tls: postgres.tls.clone(),
            password: issuer.admin_password.clone(),
        };
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let door = doors.entry(address).or_insert_with(|| {
            Arc::new(Door { places: Arc::new(Semaphore::new(PLACES)), resting: Mutex::new(None) })
        });
        Arc::clone(door)
    }
}

impl Door {
    fn take(&self) -> Option<Session> {
        let (session, since) = self.resting.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        (since.elapsed() < REST && !session.client.is_closed()).then_some(session)
    }

    fn rest(self: &Arc<Self>, session: Session) {
        let since = Instant::now();
        let evicted = self.resting.lock().unwrap_or_else(PoisonError::into_inner).replace((session, since));
        drop(evicted);
        let door = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep_until(since + REST).await;
            let Some(door) = door.upgrade() else { return };
            let mut resting = door.resting.lock().unwrap_or_else(PoisonError::into_inner);
            if resting.as_ref().is_some_and(|(_, other)| *other == since) {
                *resting = None;
            }
        });
    }
}

impl Admin {
    pub(super) fn session(&mut self) -> Result<&mut Session, LeaseError> {
        self.session.as_mut().ok_or_else(|| LeaseError::Upstream("the connection is gone".into()))
    }

    /// Says that the work ended well, so that the connection is in a known state and may be used
    /// again. A connection that is dropped without this is closed.
    pub(super) fn done(mut self) {
        if let Some(session) = self.session.take() {
            self.door.rest(session);
        }
    }
}

/// Connects, proves the server's identity, and asks who we are.
pub(super) async fn connect(
    postgres: &PostgresTarget,
    database: &str,
    user: &str,
    password: &SecretString,
) -> Result<Session, ConnectFault> {
    let place = format!("{}:{}", postgres.host, postgres.port);
    let client = timeout(PATIENCE, open(postgres, database, user, password))
        .await
        .map_err(|_| ConnectFault::new(format!("{place} did not answer within ten seconds")))?
        .map_err(|fault| ConnectFault { text: format!("{place}: {}", fault.text), ..fault })?;
    let row = bounded(client.query_one(WHO, &[])).await.map_err(|e| ConnectFault::new(reason(e)))?;
    let version: i32 = row.get(0);
    let (superuser, create_role, doorway) = (row.get(1), row.get(2), row.get(3));
    let rights = match (superuser, create_role, doorway) {
        (true, _, _) => Rights::Superuser,
        (_, true, _) => Rights::CreateRole,
        (_, _, true) => Rights::Doorway,
        _ => Rights::None,
    };
    if version < OLDEST {
        return Err(ConnectFault::new(format!("{place} runs PostgreSQL {version}; 13 is the oldest served")));
    }
    Ok(Session { client, rights, major: u32::try_from(version / 10_000).unwrap_or_default() })
}

async fn open(
    postgres: &PostgresTarget,
    database: &str,
    user: &str,
    password: &SecretString,
) -> Result<Client, ConnectFault> {
    let mut config = tokio_postgres::Config::new();
    config
        .user(user)
        .password(password.expose_secret())
        .dbname(database)
        .application_name("hoopctl")
        // nobody else's objects are ever found in place of the system's, and nothing hangs
        .options("-c search_path=pg_catalog,pg_temp -c statement_timeout=10s -c lock_timeout=5s -c standard_conforming_strings=on -c client_encoding=UTF8");
    let socket = TcpStream::connect((postgres.host.as_str(), postgres.port))
        .await
        .map_err(|e| ConnectFault::new(e.to_string()))?;
    // latency only: the work does not depend on it
    let _refused = socket.set_nodelay(true);
    match &postgres.tls {
        UpstreamTls::Disable => {
            config.ssl_mode(tokio_postgres::config::SslMode::Disable);
            let (client, connection) = config.connect_raw(ScramOnly::new(socket), NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
        UpstreamTls::VerifyFull { root_certificates } => {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
            let tls = verifying_client(root_certificates.as_deref())
                .map_err(|e| ConnectFault::new(e.to_string()))?;
            let mut maker = MakeRustlsConnect::new(tls.as_ref().clone());
            let connector = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::make_tls_connect(
                &mut maker,
                &postgres.host,
            )
            .map_err(|e| ConnectFault::new(format!("`{}` cannot be verified: {e}", postgres.host)))?;
            let (client, connection) = config.connect_raw(socket, GuardedTls(connector)).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}

/// Waits for an answer of the server, but not for ever.
pub(super) async fn bounded<T>(
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Fault> {
    match timeout(PATIENCE, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(LeaseError::Upstream("it did not answer within ten seconds".into()).into()),
    }
}

/// What the server or the channel said. Never the statement, which may hold a verifier.
pub(super) fn sentence(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(answer), _) => format!("{} ({})", answer.message(), answer.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// What an error says, without the words that its kind puts before it.
pub(super) fn reason(error: impl Into<LeaseError>) -> String {
    match error.into() {
        LeaseError::Issuer(text)
        | LeaseError::Upstream(text)
        | LeaseError::Secret(text)
        | LeaseError::OverPrivileged(text)
        | LeaseError::Unreachable(text)
        | LeaseError::Journal(text) => text,
    }
}

impl ConnectFault {
    fn new(text: String) -> Self {
        Self { wrong_password: false, text }
    }
}

impl From<tokio_postgres::Error> for ConnectFault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self { wrong_password: error.code() == Some(&SqlState::INVALID_PASSWORD), text: sentence(&error) }
    }
}

impl From<ConnectFault> for LeaseError {
    fn from(fault: ConnectFault) -> Self {
        Self::Upstream(fault.text)
    }
}

/// How long the server may take for one answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long one waits for one's turn.
const TURN: Duration = Duration::from_secs(30);
/// How long an authenticated connection may rest before it is closed.
const REST: Duration = Duration::from_secs(30);
/// How many operations may be under way at one database.
const PLACES: usize = 4;
/// The oldest `server_version_num` served.
const OLDEST: i32 = 130_000;
/// Version, and by what means we could make roles.
const WHO: &str = "
    SELECT current_setting('server_version_num')::int4, rolsuper, rolcreaterole,
           EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
                   WHERE n.nspname = 'hoopctl_admin' AND p.proname = 'create_session_role'
                     AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE'))
    FROM pg_catalog.pg_roles WHERE rolname = current_user";
