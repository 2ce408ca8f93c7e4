//! The broker's configuration, validated as a whole.
//!
//! Job: one TOML file in, either a [`Config`] that cannot be wrong or the list of *all* problems,
//! each with its line. Boundary: reads the file and the policy files it names, nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::domain::name::{GroupName, ProviderName, TargetName};
use crate::domain::policy::Policy;
use crate::domain::target::Target;

/// A configuration without problems.
#[derive(Debug)]
pub struct Config {
    /// Where state, ledger and recordings live.
    pub data_dir: PathBuf,
    /// The one port: API and tunnels.
    pub listen: SocketAddr,
    /// The URL that clients use and that proofs must name.
    pub public_url: Url,
    /// Certificate and key of the port; a CA of the broker's own makes them when absent.
    pub tls: Option<TlsFiles>,
    /// Where Prometheus may read metrics; nowhere when absent.
    pub metrics_listen: Option<SocketAddr>,
    /// Proxies whose `X-Forwarded-For` is believed: address and prefix length.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
    /// How long a session may last; 8 hours by default.
    pub session_max: Duration,
    /// How long a login lasts without an exchange; 10 minutes by default.
    pub login_idle: Duration,
    /// Whether read-only statements wait for the disk too.
    pub strict_ledger: bool,
    /// Where people sign in.
    pub providers: Vec<ProviderConfig>,
    /// Whose workload tokens are trusted.
    pub workloads: Vec<WorkloadConfig>,
    /// What can be reached.
    pub targets: BTreeMap<TargetName, Target>,
    /// The compiled policy.
    pub policy: Policy,
}

/// PEM files of the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// An OpenID provider for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Its name here.
    pub name: ProviderName,
    /// Its issuer URL, exactly as its discovery document says.
    pub issuer: Url,
    /// The public client.
    pub client_id: String,
    /// The scopes to ask for; `openid` is always among them.
    pub scopes: Vec<String>,
    /// The claim that holds the groups.
    pub groups_claim: String,
    /// The groups that it may assert; all others are dropped.
    pub groups: BTreeSet<GroupName>,
}

/// A trusted issuer of workload tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadConfig {
    /// Its name here.
    pub name: ProviderName,
    /// Its issuer URL.
    pub issuer: Url,
    /// The audience that tokens must have.
    pub audience: String,
    /// The first rule whose claims all match decides; no match, no login.
    pub rules: Vec<WorkloadRule>,
}

/// Which workloads of an issuer are which groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadRule {
    /// Claim and the value it must have, exactly.
    pub claims: BTreeMap<String, String>,
    /// The groups that such a workload is in.
    pub groups: BTreeSet<GroupName>,
    /// How long its sessions may last at the most.
    pub session_max: Duration,
}
