//! What may be reached, and under which standing conditions.

mod aws;
mod detector;
mod http;
mod ssh;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::aws::{AwsAccessMode, AwsBase, AwsIssuer, AwsMask, AwsPermission, AwsRevocation, AwsTarget};
pub use self::detector::{OwnPattern, PatternCheck};
pub use self::http::{BodyMask, HttpIssuer, HttpTarget, Injection, Page};
pub use self::ssh::{SshIssuer, SshTarget};
use super::filter::RowFilter;
use super::mask::MaskRule;
use super::name::{GroupName, TargetName};

/// A named thing that can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name that people type.
    pub name: TargetName,
    /// One line for `hoopctl list`.
    pub description: String,
    /// Facts about the target that policies may use: `env = "production"`.
    pub labels: BTreeMap<String, String>,
    /// The group that owns it: who reviews what rules leave to the `owner`.
    pub owner: Option<GroupName>,
    /// What of its sessions is recorded.
    pub record: RecordLevel,
    /// The protocol and what belongs to it.
    pub kind: TargetKind,
}

/// The protocol of a target and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// An account of AWS.
    Aws(Box<AwsTarget>),
    /// An HTTP API.
    Http(Box<HttpTarget>),
    /// A PostgreSQL database.
    Postgres(Box<PostgresTarget>),
    /// A host with an SSH server.
    Ssh(Box<SshTarget>),
}

impl TargetKind {
    /// The protocol's name, as design §2 spells it.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match self {
            Self::Aws(_) => "aws",
            Self::Http(_) => "http",
            Self::Postgres(_) => "postgres",
            Self::Ssh(_) => "ssh",
        }
    }

    /// The names of the actions that can be attempted on it: those of every target, and those of its protocol.
    pub fn actions(&self) -> impl Iterator<Item = &'static str> {
        let own: &[&str] = match self {
            Self::Aws(_) => &["call", "issue"],
            Self::Http(_) => &["call"],
            Self::Postgres(_) => &["statement"],
            Self::Ssh(_) => &["env", "exec", "file", "forward", "shell", "subsystem"],
        };
        ["approve", "audit", "connect", "kill"].into_iter().chain(own.iter().copied())
    }

    /// The database, if it is one.
    #[must_use]
    pub fn postgres(&self) -> Option<&PostgresTarget> {
        match self {
            Self::Postgres(postgres) => Some(postgres),
            _ => None,
        }
    }

    /// How many connections one session may hold at a time.
    #[must_use]
    pub fn max_connections(&self) -> u16 {
        match self {
            Self::Aws(aws) => aws.max_connections,
            Self::Http(http) => http.max_connections,
            Self::Postgres(postgres) => postgres.max_connections,
            Self::Ssh(ssh) => ssh.max_connections,
        }
    }
}

/// A PostgreSQL database as a target. A target is one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresTarget {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The database that sessions reach.
    pub database: String,
    /// Further databases that a session may name at start-up; none by default.
    pub also_databases: BTreeSet<String>,
    /// How the gateway proves whom it talks to.
    pub tls: UpstreamTls,
    /// Where the credential of a session comes from.
    pub issuer: LeaseIssuer,
    /// The ceiling of what a session's role may do.
    pub grants: Vec<GrantTemplate>,
    /// What kind of thing columns hold, for rules: `schema.table.column`, each a name or a pattern with
    /// `*`, to labels (`high-risk`).
    pub fields: BTreeMap<String, BTreeSet<String>>,
    /// What is masked. Empty: nothing is rewritten, nothing that PostgreSQL accepts is refused.
    pub masks: Vec<MaskRule>,
    /// Which rows are seen. Empty: all of them.
    pub filters: Vec<RowFilter>,
    /// Whether the operator allows the broker's own schema `hoopctl` in this database.
    pub objects: bool,
    /// Whether replication connections are allowed.
    pub replication: bool,
    /// Names of detectors whose findings are masked in results.
    pub detectors: BTreeSet<String>,
    /// Patterns of the operator's own, which `detectors` may name.
    pub patterns: Vec<OwnPattern>,
    /// `schema.function` names that policy trusts on a masked target.
    pub trusted_functions: BTreeSet<String>,
    /// How many connections one session may hold at a time.
    pub max_connections: u16,
}

/// How the gateway speaks TLS to a database; the names are libpq's `sslmode`s.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamTls {
    /// No TLS. Refused by configuration unless the host is a loopback address.
    Disable,
    /// TLS, certificate chain and host name are verified.
    VerifyFull {
        /// PEM file with the trusted roots; the platform's trust store when absent.
        root_certificates: Option<std::path::PathBuf>,
    },
}

/// Where the credential of a session comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseIssuer {
    /// One ephemeral role per session, made with an administrator's credential.
    PostgresRole(Box<RoleIssuer>),
    /// One standing role for all sessions, for databases where roles cannot be made.
    Static {
        /// The role.
        user: String,
        /// Its password.
        password: SecretSource,
    },
}

/// The issuer `postgres-role`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleIssuer {
    /// The administrator's role.
    pub admin: String,
    /// Its password, fetched for each use and never kept.
    pub admin_password: SecretSource,
    /// How often the administrator's password is replaced, in seconds; needs a writable source.
    pub rotate_admin: Option<u64>,
}

/// Where a secret is fetched from, at each use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// Standard output of a command, first line; no shell is involved.
    Command(Vec<String>),
    /// An environment variable of the broker.
    Env(String),
    /// A file, first line; must not be readable by others.
    File(std::path::PathBuf),
}

/// Privileges on the tables of a schema that match a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantTemplate {
    /// `SELECT`, `INSERT`, `UPDATE`, `DELETE`.
    pub privileges: BTreeSet<TablePrivilege>,
    /// `schema.table`, each a name or a pattern with `*`.
    pub on: String,
}

/// A privilege on a table, as PostgreSQL's GRANT names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TablePrivilege {
    /// `DELETE`.
    Delete,
    /// `INSERT`.
    Insert,
    /// `SELECT`.
    Select,
    /// `UPDATE`.
    Update,
}

impl TablePrivilege {
    /// The keyword.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Insert => "INSERT",
            Self::Select => "SELECT",
            Self::Update => "UPDATE",
        }
    }
}

/// What of a session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordLevel {
    /// Verdicts and counts only.
    Metadata,
    /// Statements too.
    Statements,
    /// And what the client was shown.
    Full,
}
