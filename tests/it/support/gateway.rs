//! A gateway without a broker: an authority that allows what a test says, a journal in memory, and
//! a Unix socket that leads straight into a tunnel.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use hoopctl::domain::action::Action;
use hoopctl::domain::device::Device;
use hoopctl::domain::event::{Actor, Event, What};
use hoopctl::domain::facts::Facts;
use hoopctl::domain::filter::RowFilter;
use hoopctl::domain::mask::MaskRule;
use hoopctl::domain::name::{DeviceId, Digest, ProviderName, RequestId, SessionId, TargetName};
use hoopctl::domain::policy::{Policy, PolicySource, SessionPolicy, Verdict};
use hoopctl::domain::principal::{Kin, Principal, PrincipalId, PrincipalKind, Subject};
use hoopctl::domain::session::CloseReason;
use hoopctl::domain::target::{
    LeaseIssuer, PostgresTarget, RecordLevel, SecretSource, Target, TargetKind, UpstreamTls,
};
use hoopctl::gateway::authority::{
    Admission, Attempts, Authority, Credential, Filed, Held, HoldError, Lease, LeaseError, Refusal,
    SessionContext, Slot,
};
use hoopctl::gateway::clock::Clock;
use hoopctl::gateway::journal::{ItemKind, Journal, JournalError, Recorder, Ticket};
use hoopctl::gateway::tunnel::{Inner, Tunnels};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::postgres::Cluster;
use super::reviewer;

/// The loopback secret of every session here.
pub(crate) const SECRET: &str = "open sesame";

/// A gateway for one session, and a socket that leads to it.
pub(crate) struct Gateway {
    /// The directory of the socket `.s.PGSQL.5432`.
    pub(crate) socket: tempfile::TempDir,
    /// The target's database.
    database: String,
    /// What was entered.
    pub(crate) book: Arc<Book>,
    /// Closes the session.
    pub(crate) closing: watch::Sender<Option<CloseReason>>,
    /// What is held.
    pub(crate) desk: Arc<reviewer::Desk>,
    /// Makes the next connections panic.
    pub(crate) faulty: Arc<AtomicBool>,
    /// Lets connections in.
    serving: tokio::task::JoinHandle<()>,
}

/// How a test wants its gateway.
pub(crate) struct Setup {
    pub(crate) masks: Vec<MaskRule>,
    pub(crate) filters: Vec<RowFilter>,
    /// Whether the broker has objects in the database.
    pub(crate) objects: bool,
    pub(crate) policy: &'static str,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
    pub(crate) record: RecordLevel,
    /// The target's `fields`.
    pub(crate) fields: BTreeMap<String, BTreeSet<String>>,
    /// What the target's description says; `panic` makes the authority panic.
    pub(crate) description: String,
    /// Who has opened the session.
    pub(crate) who: &'static str,
    /// What tells the session from others.
    pub(crate) session: u8,
    /// Whether the target allows replication.
    pub(crate) replication: bool,
    /// The target's `detectors`.
    pub(crate) detectors: &'static [&'static str],
    /// The target's `trusted_functions`.
    pub(crate) trusted: &'static [&'static str],
}

impl Setup {
    /// Everything allowed, nothing masked, as the superuser.
    pub(crate) fn open(cluster: &Cluster) -> Self {
        Self {
            masks: Vec::new(),
            filters: Vec::new(),
            objects: false,
            policy: "",
            user: "postgres".into(),
            password: cluster.password.clone(),
            database: "postgres".into(),
            record: RecordLevel::Full,
            fields: BTreeMap::new(),
            description: String::new(),
            who: "alice",
            session: 7,
            replication: false,
            detectors: &[],
            trusted: &[],
        }
    }
}

impl Drop for Gateway {
    /// With its last connection all that belongs to it ends.
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Gateway {
    /// Starts a gateway towards this cluster.
    pub(crate) fn start(cluster: &Cluster, setup: Setup) -> Self {
        let target = target(cluster, &setup);
        let database = setup.database.clone();
        let lease = Lease {
            user: setup.user,
            credential: Credential::Password(SecretString::from(setup.password)),
            expires: jiff::Timestamp::MAX,
        };
        let Hall { tunnels, session, device, book, closing, desk, faulty } = Hall::open(Plan {
            target,
            lease,
            policy: setup.policy,
            who: setup.who,
            session: setup.session,
            ssh_key: None,
        });
        let socket = tempfile::tempdir().expect("a folder");
        let listener = tokio::net::UnixListener::bind(socket.path().join(".s.PGSQL.5432")).expect("a socket");
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tunnels, session, device) = (tunnels.clone(), session.clone(), device.clone());
                tokio::spawn(async move { tunnels.serve(stream, &session, &device, Inner::Bare).await });
            }
        });
        Self { socket, database, book, closing, desk, faulty, serving }
    }

    /// psql, ready for arguments.
    pub(crate) fn psql(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("psql");
        command
            .args(["-X", "-v", "ON_ERROR_STOP=1"])
            .env("PGHOST", self.socket.path())
            .env("PGPORT", "5432")
            .env("PGUSER", "alice")
            .env("PGPASSWORD", SECRET)
            .env("PGDATABASE", "postgres")
            .kill_on_drop(true);
        command
    }

    /// Runs a psql command line; stdout, stderr, and whether it succeeded.
    pub(crate) async fn run(&self, arguments: &[&str]) -> (String, String, bool) {
        let output = self.psql().args(arguments).output().await.expect("psql runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr), output.status.success())
    }

    /// A connection of tokio-postgres.
    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        self.try_connect().await.expect("the gateway lets the client in")
    }

    /// The same where it may fail.
    pub(crate) async fn try_connect(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::Config::new()
            .host_path(self.socket.path())
            .port(5432)
            .user("alice")
            .password(SECRET)
            .dbname(&self.database)
            .connect(tokio_postgres::NoTls)
            .await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// The target's database.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// The folder of the socket.
    pub(crate) fn folder(&self) -> &Path {
        self.socket.path()
    }
}

/// A gateway for one session, before anybody listens.
pub(crate) struct Hall {
    pub(crate) tunnels: Tunnels,
    pub(crate) session: SessionId,
    pub(crate) device: Device,
    /// What was entered.
    pub(crate) book: Arc<Book>,
    /// Closes the session.
    pub(crate) closing: watch::Sender<Option<CloseReason>>,
    /// What is held.
    pub(crate) desk: Arc<reviewer::Desk>,
    /// Makes the next connections panic.
    pub(crate) faulty: Arc<AtomicBool>,
}

/// What a session is about.
pub(crate) struct Plan<'a> {
    pub(crate) target: Target,
    pub(crate) lease: Lease,
    /// Rules beside those that let the session be.
    pub(crate) policy: &'a str,
    /// Who has opened it.
    pub(crate) who: &'a str,
    /// What tells it from others.
    pub(crate) session: u8,
    /// The key that its client made, a line of OpenSSH.
    pub(crate) ssh_key: Option<String>,
}

impl Hall {
    /// A gateway for this session.
    pub(crate) fn open(plan: Plan<'_>) -> Self {
        let principal = principal(plan.who);
        let session = SessionId::from_random([plan.session; 16]);
        let device = device(&principal);
        let actor = Actor {
            principal: principal.id.clone(),
            device: Some(device.id.clone()),
            address: "127.0.0.1".into(),
            host: "test".into(),
        };
        let context = Arc::new(SessionContext {
            id: session.clone(),
            principal,
            actor,
            target: Arc::new(plan.target),
            expires: jiff::Timestamp::MAX,
            loopback_user: "alice".into(),
            verifier: postgres_protocol::password::scram_sha_256(SECRET.as_bytes()),
            secret: Digest::from_bytes(&Sha256::digest(SECRET).into()),
            ssh_key: plan.ssh_key,
            digest_key: SecretString::from("digest key"),
            reason: None,
            attempts: Attempts::default(),
        });
        let (closing, closes) = watch::channel(None);
        let text = format!("{BASE}\n{}", plan.policy);
        let sources = [PolicySource { name: "test".into(), text }];
        let policy = Policy::compile(&sources).expect("the test's policy compiles");
        let desk = Arc::new(reviewer::Desk::default());
        let faulty = Arc::new(AtomicBool::new(false));
        let authority = Arc::new(Boss {
            faulty: Arc::clone(&faulty),
            context,
            desk: Arc::clone(&desk),
            policy: std::sync::RwLock::new(Arc::new(policy)),
            lease: plan.lease,
            closing: closing.clone(),
            closes,
            connections: AtomicU32::new(0),
        });
        let book = Arc::new(Book::default());
        let tls = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
        let tunnels =
            Tunnels::new(authority.clone(), book.clone(), Clock::system(), Arc::new(tls), host_key())
                .expect("a gateway");
        desk.follow(&authority);
        Self { tunnels, session, device, book, closing, desk, faulty }
    }
}

/// Permits that tests start from.
pub(crate) const BASE: &str = r#"
@id("test.connect") permit(principal, action == Hoop::Action::"connect", resource);
@id("test.statement") permit(principal, action == Hoop::Action::"statement", resource);
"#;

pub(crate) fn target(cluster: &Cluster, setup: &Setup) -> Target {
    Target {
        name: TargetName::new("db").expect("a name"),
        description: String::new(),
        labels: BTreeMap::new(),
        owner: None,
        record: setup.record,
        kind: TargetKind::Postgres(Box::new(PostgresTarget {
            host: "127.0.0.1".into(),
            port: cluster.port,
            database: setup.database.clone(),
            also_databases: BTreeSet::new(),
            tls: UpstreamTls::VerifyFull { root_certificates: Some(cluster.root_certificate.clone()) },
            issuer: LeaseIssuer::Static {
                user: setup.user.clone(),
                password: SecretSource::File(PathBuf::from("/nonexistent")),
            },
            grants: Vec::new(),
            fields: setup.fields.clone(),
            masks: setup.masks.clone(),
            filters: setup.filters.clone(),
            objects: setup.objects,
            replication: setup.replication,
            detectors: setup.detectors.iter().map(|name| (*name).to_owned()).collect(),
            patterns: Vec::new(),
            trusted_functions: setup.trusted.iter().map(|name| (*name).to_owned()).collect(),
            max_connections: 10,
        })),
    }
}

/// The gateway's host key.
pub(crate) fn host_key() -> russh::keys::PrivateKey {
    russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]).into()
}

pub(crate) fn principal(who: &str) -> Principal {
    Principal {
        id: PrincipalId {
            provider: ProviderName::new("test").expect("a name"),
            subject: Subject::new(who).expect("a subject"),
        },
        kind: PrincipalKind::Human,
        display: who.into(),
        groups: BTreeSet::new(),
        kin: Kin::default(),
        attributes: BTreeMap::new(),
    }
}

fn device(principal: &Principal) -> Device {
    Device {
        id: DeviceId::new("d".repeat(43)).expect("an id"),
        principal: principal.id.clone(),
        host: "test".into(),
        enrolled: jiff::Timestamp::UNIX_EPOCH,
        revoked: None,
        confirmed_by: None,
    }
}

pub(crate) struct Boss {
    faulty: Arc<AtomicBool>,
    context: Arc<SessionContext>,
    desk: Arc<reviewer::Desk>,
    policy: std::sync::RwLock<Arc<Policy>>,
    lease: Lease,
    closing: watch::Sender<Option<CloseReason>>,
    closes: watch::Receiver<Option<CloseReason>>,
    connections: AtomicU32,
}

impl Boss {
    fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().expect("not poisoned"))
    }

    /// Puts another policy in force.
    pub(crate) fn reload(&self, rules: &str) {
        let text = format!("{BASE}\n{rules}");
        let policy = Policy::compile(&[PolicySource { name: "test".into(), text }]).expect("it compiles");
        *self.policy.write().expect("not poisoned") = Arc::new(policy);
    }
}

impl Authority for Boss {
    fn admit(&self, _: &SessionId, _: &Device) -> Result<Admission, Refusal> {
        let context = &self.context;
        let verdict = self.policy().judge(&context.principal, &context.target, &Action::Connect);
        let Verdict::Allow(permit) = verdict else {
            return Err(Refusal::Unknown);
        };
        Ok(Admission {
            context: Arc::clone(&self.context),
            permit,
            connection: self.connections.fetch_add(1, Ordering::Relaxed) + 1,
            closing: self.closes.clone(),
            slot: Slot::new(|| {}),
        })
    }

    fn target(&self, _: &SessionId, _: &Device) -> Result<Arc<Target>, Refusal> {
        Ok(Arc::clone(&self.context.target))
    }

    fn hold(&self, _: &Arc<SessionContext>, held: Held) -> BoxFuture<'static, Result<Filed, HoldError>> {
        self.desk.file(held)
    }

    fn release<'a>(&'a self, request: &'a RequestId) -> BoxFuture<'a, Result<(), HoldError>> {
        let released = self.desk.release(request);
        Box::pin(async move { released })
    }

    fn session_policy(&self, context: &SessionContext) -> SessionPolicy {
        self.policy().session(&context.principal, &context.target)
    }

    fn lease<'a>(&'a self, _: &'a SessionContext) -> BoxFuture<'a, Result<Lease, LeaseError>> {
        assert!(!self.faulty.load(Ordering::SeqCst), "as the test wishes");
        Box::pin(async { Ok(self.lease.clone()) })
    }

    fn close(&self, _: &SessionId, reason: CloseReason) {
        self.closing.send_replace(Some(reason));
    }

    fn policy(&self) -> Digest {
        self.policy().digest().clone()
    }

    fn strict(&self) -> bool {
        false
    }
}

/// What was recorded, shared with the recorder.
type Items = Arc<Mutex<Vec<(ItemKind, Vec<u8>)>>>;

/// A journal in memory that can be told to fail, or to keep whoever waits for its disk.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) items: Items,
    pub(crate) broken: AtomicBool,
    pub(crate) stuck: watch::Sender<bool>,
}

impl Book {
    /// The statements and other deeds that were judged: verb, verdict and text.
    pub(crate) fn statements(&self) -> Vec<(String, String, String)> {
        let shown = |event: &Event| match &event.what {
            What::StatementJudged { verb, verdict, text, .. } => {
                Some((verb.clone(), format!("{verdict:?}"), text.clone()))
            }
            What::DeedJudged { facts, verdict, text, .. } => {
                let verb = facts.as_ref().map(|deed| deed.verb()).unwrap_or_default();
                Some((verb, format!("{verdict:?}"), text.clone()))
            }
            _ => None,
        };
        self.events.lock().expect("not poisoned").iter().filter_map(shown).collect()
    }

    /// The other deeds that were judged: verdict and text.
    pub(crate) fn deeds(&self) -> Vec<String> {
        let shown = |event: &Event| match &event.what {
            What::DeedJudged { verdict, text, .. } => Some(format!("{verdict:?} {text}")),
            _ => None,
        };
        self.events.lock().expect("not poisoned").iter().filter_map(shown).collect()
    }

    /// The rules by which other deeds were judged.
    pub(crate) fn rules(&self) -> Vec<String> {
        let shown = |event: &Event| match &event.what {
            What::DeedJudged { rule, .. } => Some(rule.to_string()),
            _ => None,
        };
        self.events.lock().expect("not poisoned").iter().filter_map(shown).collect()
    }

    /// Whether a connection has come to its end.
    pub(crate) fn closed(&self) -> bool {
        let events = self.events.lock().expect("not poisoned");
        events.iter().any(|event| matches!(event.what, What::ConnectionClosed { .. }))
    }

    /// The digests of what was exact in the deeds, with their texts.
    pub(crate) fn digests(&self) -> Vec<(String, Digest)> {
        let shown = |event: &Event| match &event.what {
            What::DeedJudged { text, digest, .. } => Some((text.clone(), digest.clone())),
            _ => None,
        };
        self.events.lock().expect("not poisoned").iter().filter_map(shown).collect()
    }

    /// All that was recorded of one kind.
    pub(crate) fn recorded(&self, wanted: ItemKind) -> Vec<u8> {
        let items = self.items.lock().expect("not poisoned");
        items.iter().filter(|(kind, _)| *kind == wanted).flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    /// The facts of the judged statements that had any entered.
    pub(crate) fn facts(&self) -> Vec<Facts> {
        let shown = |event: &Event| match &event.what {
            What::StatementJudged { facts, .. } => facts.as_deref().cloned(),
            _ => None,
        };
        self.events.lock().expect("not poisoned").iter().filter_map(shown).collect()
    }

    /// Everything that was recorded as shown to the client.
    pub(crate) fn shown(&self) -> Vec<u8> {
        let items = self.items.lock().expect("not poisoned");
        items
            .iter()
            .filter(|(kind, _)| *kind == ItemKind::Answer)
            .flat_map(|(_, bytes)| bytes.clone())
            .collect()
    }
}

impl Journal for Book {
    fn enter(&self, event: &Event) -> Result<Ticket, JournalError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(JournalError::Unwritable("the disk is full".into()));
        }
        let mut events = self.events.lock().expect("not poisoned");
        events.push(event.clone());
        Ok(Ticket(events.len() as u64))
    }

    fn synced(&self, _: Ticket) -> BoxFuture<'_, Result<(), JournalError>> {
        let mut stuck = self.stuck.subscribe();
        Box::pin(async move {
            let _free = stuck.wait_for(|is_stuck| !is_stuck).await;
            Ok(())
        })
    }

    fn recorder(&self, _: &SessionId, _: u32, _: &Actor) -> Result<Box<dyn Recorder>, JournalError> {
        Ok(Box::new(Tape(Arc::clone(&self.items))))
    }
}

struct Tape(Items);

impl Recorder for Tape {
    fn record(&mut self, kind: ItemKind, bytes: &[u8]) -> Result<(), JournalError> {
        self.0.lock().expect("not poisoned").push((kind, bytes.to_vec()));
        Ok(())
    }

    fn ready(&mut self) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async { Ok(()) })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<u32, JournalError>> {
        Box::pin(async { Ok(1) })
    }
}
