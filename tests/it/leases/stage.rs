//! The scenery: an application's database, the documented administrator, a ledger that remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use hoopctl::broker::leases::{Leases, Stamp};
use hoopctl::broker::secrets::Secrets;
use hoopctl::broker::store::Store;
use hoopctl::domain::event::{Actor, Event, What};
use hoopctl::domain::mask::{JsonPath, Mask, MaskRule};
use hoopctl::domain::name::{Digest, ProviderName, RuleName, SessionId, TargetName};
use hoopctl::domain::principal::{Kin, Principal, PrincipalId, PrincipalKind, Subject};
use hoopctl::domain::target::{
    GrantTemplate, LeaseIssuer, PostgresTarget, RecordLevel, RoleIssuer, SecretSource, TablePrivilege,
    Target, TargetKind, UpstreamTls,
};
use hoopctl::gateway::authority::{Attempts, Lease, SessionContext};
use hoopctl::gateway::clock::Clock;
use hoopctl::gateway::journal::{Journal, JournalError, Recorder, Ticket};
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use tokio_postgres::Client;

use crate::support::masks::masked;
use crate::support::postgres::{Cluster, majors};

/// A database with an application, the documented administrator, and leases on it.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) root: Client,
    pub(crate) leases: Leases,
    pub(crate) store: Arc<Store>,
    pub(crate) journal: Arc<Pages>,
    pub(crate) folder: tempfile::TempDir,
}

/// A ledger that remembers, and can be told to refuse.
#[derive(Default)]
pub(crate) struct Pages {
    pub(crate) events: Mutex<Vec<What>>,
    pub(crate) full: Mutex<bool>,
}

impl Journal for Pages {
    fn enter(&self, event: &Event) -> Result<Ticket, JournalError> {
        if *self.full.lock().unwrap() {
            return Err(JournalError::Unwritable("no space left".into()));
        }
        self.events.lock().unwrap().push(event.what.clone());
        Ok(Ticket(0))
    }

    fn synced(&self, _: Ticket) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async { Ok(()) })
    }

    fn recorder(&self, _: &SessionId, _: u32, _: &Actor) -> Result<Box<dyn Recorder>, JournalError> {
        Err(JournalError::Unwritable("not a recorder".into()))
    }
}

impl Stage {
    pub(crate) async fn new(major: u32) -> Self {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let cluster = Cluster::start(major);
        let server = cluster.admin().await;
        server.batch_execute("CREATE ROLE app_owner NOLOGIN").await.unwrap();
        server.batch_execute("CREATE DATABASE app OWNER app_owner").await.unwrap();
        let root = cluster.connect("postgres", &cluster.password, "app").await.unwrap();
        root.batch_execute(APP).await.unwrap();
        for block in [if major >= 16 { "admin-16" } else { "admin-13" }, "grants"] {
            root.batch_execute(&documented(block)).await.unwrap();
        }
        root.batch_execute(
            "SET password_encryption = 'scram-sha-256'; ALTER ROLE hoop_admin PASSWORD 'admin-secret'",
        )
        .await
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_secret(&folder.path().join("admin"), "admin-secret\n", 0o600);
        let store = Arc::new(Store::in_memory().unwrap());
        let journal = Arc::new(Pages::default());
        let leases = fresh(&store, &journal);
        Self { cluster, root, leases, store, journal, folder }
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.folder.path().join("admin")
    }

    pub(crate) fn target(&self, masks: Vec<MaskRule>) -> PostgresTarget {
        let all = BTreeSet::from([
            TablePrivilege::Select,
            TablePrivilege::Insert,
            TablePrivilege::Update,
            TablePrivilege::Delete,
        ]);
        PostgresTarget {
            host: "127.0.0.1".into(),
            port: self.cluster.port,
            database: "app".into(),
            also_databases: BTreeSet::new(),
            tls: UpstreamTls::VerifyFull { root_certificates: Some(self.cluster.root_certificate.clone()) },
            issuer: LeaseIssuer::PostgresRole(Box::new(RoleIssuer {
                admin: "hoop_admin".into(),
                admin_password: SecretSource::File(self.secret()),
                rotate_admin: None,
            })),
            grants: vec![GrantTemplate { privileges: all, on: "public.*".into() }],
            fields: BTreeMap::new(),
            masks,
            filters: Vec::new(),
            objects: false,
            replication: false,
            detectors: BTreeSet::new(),
            patterns: Vec::new(),
            trusted_functions: BTreeSet::new(),
            max_connections: 4,
        }
    }

    pub(crate) fn masked(&self) -> PostgresTarget {
        self.target(vec![
            mask("public.reasoning_traces.api_key", Mask::Full),
            mask("public.*.customer_id", Mask::Null),
            mask("public.cards.card*", Mask::Partial { keep_last: 4 }),
            mask("public.cards.token", Mask::Token),
            MaskRule {
                path: Some(JsonPath::new("$.key").unwrap()),
                ..mask("public.cards.shown*", Mask::Full)
            },
            MaskRule {
                path: Some(JsonPath::new("$.**.api_key").unwrap()),
                ..mask("public.reasoning_traces.steps", Mask::Full)
            },
        ])
    }

    pub(crate) async fn login(&self, lease: &Lease) -> Result<Client, tokio_postgres::Error> {
        self.cluster.connect(&lease.user, lease.password().expose_secret(), "app").await
    }

    /// Roles of sessions, their backends, what they own or prepared; the keeper does not count.
    pub(crate) async fn remains(&self) -> Vec<String> {
        let query = r"
            SELECT rolname::text FROM pg_roles WHERE rolname ~ '^hoop_.*_[a-z2-7]{8}$'
            UNION ALL SELECT 'backend of ' || usename FROM pg_stat_activity WHERE usename ~ '^hoop_.*_[a-z2-7]{8}$'
            UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts
            UNION ALL SELECT 'routine ' || proname FROM pg_proc WHERE proname LIKE 'hers%'";
        self.root.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

pub(crate) async fn group_role(stage: &Stage) -> String {
    stage
        .root
        .query_one("SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'hoopg%'", &[])
        .await
        .unwrap()
        .get(0)
}

/// A broker that has just been started on what there is.
pub(crate) fn fresh(store: &Arc<Store>, journal: &Arc<Pages>) -> Leases {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let journal: Arc<dyn Journal> = Arc::clone(journal) as Arc<dyn Journal>;
    Leases::new(Arc::clone(store), journal, Secrets::new(|_| None), || Stamp {
        at: Clock::system().now(),
        policy: Digest::from_bytes(&[7; 32]),
    })
}

pub(crate) fn newest() -> u32 {
    majors().pop().expect("a server")
}

pub(crate) fn mask(column: &str, mask: Mask) -> MaskRule {
    MaskRule { name: RuleName::new("mask").unwrap(), ..masked(column, mask) }
}

pub(crate) fn target(name: &str, postgres: PostgresTarget) -> Arc<Target> {
    Arc::new(Target {
        name: TargetName::new(name).unwrap(),
        description: String::new(),
        labels: BTreeMap::new(),
        owner: None,
        record: RecordLevel::Full,
        kind: TargetKind::Postgres(Box::new(postgres)),
    })
}

pub(crate) fn random_session() -> SessionId {
    SessionId::from_random(rand::random())
}

pub(crate) fn session(display: &str, subject: &str, target: Arc<Target>) -> SessionContext {
    let id =
        PrincipalId { provider: ProviderName::new("corp").unwrap(), subject: Subject::new(subject).unwrap() };
    SessionContext {
        id: random_session(),
        principal: Principal {
            id: id.clone(),
            kind: PrincipalKind::Human,
            display: display.into(),
            groups: BTreeSet::new(),
            kin: Kin::default(),
            attributes: BTreeMap::new(),
        },
        actor: Actor { principal: id, device: None, address: "192.0.2.1".into(), host: "laptop".into() },
        target,
        expires: Clock::system().now() + SignedDuration::from_mins(20),
        loopback_user: "alice".into(),
        verifier: String::new(),
        secret: Digest::from_bytes(&[0; 32]),
        ssh_key: None,
        digest_key: String::new().into(),
        reason: None,
        attempts: Attempts::default(),
    }
}

pub(crate) fn write_secret(path: &std::path::Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A block of the administrator's guide, as it stands.
pub(crate) fn documented(block: &str) -> String {
    let guide = include_str!("../../../docs/postgres-admin.md");
    let (_, rest) = guide.split_once(&format!("<!-- block: {block} -->\n```sql\n")).expect(block);
    rest.split_once("```").expect(block).0.to_owned()
}

const APP: &str = "
    GRANT ALL ON SCHEMA public TO app_owner;
    CREATE SCHEMA elsewhere AUTHORIZATION app_owner;
    SET ROLE app_owner;
    CREATE TABLE reasoning_traces (id serial PRIMARY KEY, project text, steps jsonb, api_key text, customer_id text);
    INSERT INTO reasoning_traces (project, steps, api_key, customer_id)
        SELECT 'p' || n, '{}', 'sk-' || n, 'c-' || n FROM generate_series(1, 10) n;
    CREATE TABLE cards (
        card text, card_number int, shown text, shown_path jsonb, token text, doubled_name text,
        doubled text GENERATED ALWAYS AS (card || card) STORED);
    CREATE TABLE plain (id int, word text);
    CREATE TABLE renamed (id int, other text);
    CREATE VIEW plain_view AS SELECT * FROM plain;
    CREATE VIEW over_traces AS SELECT api_key AS harmless FROM reasoning_traces;
    CREATE VIEW over_over_traces AS SELECT harmless AS more_so FROM over_traces;
    CREATE TABLE parted (id int, customer_id text) PARTITION BY LIST (id);
    CREATE TABLE part_one PARTITION OF parted FOR VALUES IN (1);
    RESET ROLE;";
