//! The broker's configuration, validated as a whole.
//!
//! Job: one TOML file in, either a [`Config`] that cannot be wrong or the list of *all* problems,
//! each with its line. Boundary: reads the file and the policy files it names, nothing else.

mod claims;
mod fault;
mod identity;
pub mod keys;
mod ledger;
mod reader;
mod reviews;
mod targets;
#[cfg(test)]
mod tests;
mod webhooks;
mod witnesses;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;
use url::Url;

pub use self::claims::ClaimRule;
pub use self::fault::{ConfigError, ConfigFault};
use self::reader::{Faults, Section};
pub use self::reviews::ReviewsConfig;
pub use self::webhooks::{WebhookConfig, WebhookEvent, WebhookFormat};
pub use self::witnesses::{WitnessConfig, WitnessesConfig};

use crate::broker::ledger::LedgerKeys;
use crate::domain::approval::threshold::Reviewers;
use crate::domain::name::{GroupName, ProviderName, TargetName};
use crate::domain::policy::{Policy, PolicySource, Role, preset, preset_names};
use crate::domain::principal::PrincipalId;
use crate::domain::target::Target;
use crate::wire::control::ClientCredentials;

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
    /// How many connections one address may hold on which nobody is logged in; 256 by default.
    pub strangers_per_address: u32,
    /// How long a session may last; 8 hours by default.
    pub session_max: Duration,
    /// How long a login lasts without an exchange; 10 minutes by default.
    pub login_idle: Duration,
    /// How long sessions may go on after the broker was told to stop; 30 seconds by default.
    pub drain: Duration,
    /// Whether read-only statements wait for the disk too.
    pub strict_ledger: bool,
    /// Where people sign in.
    pub providers: Vec<ProviderConfig>,
    /// Whose workload tokens are trusted.
    pub workloads: Vec<WorkloadConfig>,
    /// What can be reached.
    pub targets: BTreeMap<TargetName, Target>,
    /// How long reviews and what comes of them last.
    pub reviews: ReviewsConfig,
    /// Who is told what happens to requests.
    pub webhooks: Vec<WebhookConfig>,
    /// Where the ledger's keys are.
    pub ledger_keys: LedgerKeys,
    /// Who cosigns the ledger's checkpoints.
    pub witnesses: WitnessesConfig,
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
    /// Whether nobody logs in of whom nothing says in which groups they are.
    pub groups_required: bool,
    /// What row filters may compare with: the name in `principal.<name>`, and the claim that it is read from.
    pub attributes: BTreeMap<String, String>,
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
    /// Whom tokens may be for besides. A token for anybody else could be brought here by them.
    pub other_audiences: BTreeSet<String>,
    /// Where its keys are, when its discovery document does not say it.
    pub jwks: Option<JwksSource>,
    /// What clients with a secret ask it for; absent when it is not for them.
    pub client_credentials: Option<ClientCredentials>,
    /// What row filters may compare with: the name in `principal.<name>`, and the claim that it is read from.
    pub attributes: BTreeMap<String, String>,
    /// The first rule whose claims all match decides; no match, no login.
    pub rules: Vec<WorkloadRule>,
}

/// Where an issuer's keys (RFC 7517) are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JwksSource {
    /// In a file, which is read anew every few minutes.
    File(PathBuf),
    /// At this address.
    Url(Url),
}

/// Which workloads of an issuer are which groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadRule {
    /// Claim and what it must be.
    pub claims: BTreeMap<String, ClaimRule>,
    /// The groups that such a workload is in.
    pub groups: BTreeSet<GroupName>,
    /// How long its sessions may last at the most.
    pub session_max: Duration,
    /// The person who owns such a workload: neither reviews what the other asks for.
    pub owner: Option<PrincipalId>,
}

impl Config {
    /// Reads and validates a configuration file and the policy files that it names.
    ///
    /// # Errors
    /// [`ConfigError`]: the file cannot be read, or all of its problems.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error: std::io::Error| ConfigError::Unreadable {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, path.parent().unwrap_or_else(|| Path::new(".")))
    }

    /// Validates a configuration text; relative paths start from `base`.
    ///
    /// # Errors
    /// [`ConfigError::Faults`].
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        let faults = Faults::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            faults.add(
                error.span().map_or(0, |span| span.start),
                "file",
                format!("is not TOML: {}", error.message()),
            );
        }
        let span = table.span();
        let config = read(&Section::new(table.get_ref(), "", span, &faults), base, &faults);
        let all = faults.into_sorted();
        match config {
            Some(config) if all.is_empty() => Ok(config),
            _ => Err(ConfigError::Faults(all)),
        }
    }

    /// The file that `broker init` writes: every key, explained.
    #[must_use]
    pub fn template() -> &'static str {
        include_str!("config/template.toml")
    }

    /// What a reload cannot change: the keys that differ and need a restart.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let mut keys = Vec::new();
        let mut differs = |key, differs: bool| keys.extend(differs.then_some(key));
        differs("broker.data_dir", self.data_dir != new.data_dir);
        differs("broker.listen", self.listen != new.listen);
        differs("broker.public_url", self.public_url != new.public_url);
        differs("broker.metrics_listen", self.metrics_listen != new.metrics_listen);
        differs("broker.tls", self.tls != new.tls);
        differs("broker.drain", self.drain != new.drain);
        differs("witness", self.witnesses.all != new.witnesses.all);
        let of_ledger = |config: &Self| {
            // where nobody says where the key is, it is where everything is
            let own = LedgerKeys::from(config.data_dir.join("pki").join("ledger.key"));
            let keys = Some(&config.ledger_keys).filter(|keys| **keys != own).cloned();
            (config.witnesses.quorum, config.witnesses.patience, keys)
        };
        differs("ledger", of_ledger(self) != of_ledger(new));
        keys
    }

    /// What is valid and yet unlikely to work as it is meant, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let is_address = matches!(self.public_url.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)));
        let mut warnings = Vec::new();
        if is_address && !self.trusted_proxies.is_empty() {
            warnings.push(format!(
                "broker.public_url is an address ({}) behind proxies: clients name no host to a balancer then, \
                 so haproxy and nginx cannot pick its certificate or the broker; give it a DNS name",
                self.public_url
            ));
        }
        let WitnessesConfig { all, quorum, .. } = &self.witnesses;
        if quorum.saturating_mul(2) <= all.len() {
            warnings.push(format!(
                "ledger.quorum is {quorum} of {} witnesses: with no more than half of them two histories of the ledger could both be witnessed",
                all.len()
            ));
        }
        for (name, target) in &self.targets {
            warnings.extend(targets::warning(target).map(|why| format!("target `{name}` {why}")));
        }
        warnings
    }

    /// Every group that a provider or a workload rule may assert.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<GroupName> {
        groups(&self.providers, &self.workloads)
    }
}

fn read(root: &Section<'_, '_>, base: &Path, faults: &Faults<'_>) -> Option<Config> {
    let broker = root.section("broker");
    if broker.is_none() {
        root.fault("broker", "is missing: [broker] with data_dir, listen and public_url");
    }
    let general = broker.and_then(|section| {
        let general = general(&section, base);
        section.finish();
        general
    });
    let session_max = general.as_ref().map_or(EIGHT_HOURS, |general| general.session_max);
    let providers = identity::providers(root);
    let workloads = identity::workloads(root, &providers, session_max, base);
    if !root.has("provider") && !root.has("workload") {
        root.fault("provider", "is missing: without a [[provider]] or [[workload]] nobody can log in");
    }
    let groups = groups(&providers, &workloads);
    let (mut reviews, owners) = reviews::read(root, &groups);
    let attributes = identity::attributes_of(&providers, &workloads);
    let known = targets::Known { groups: &groups, attributes: &attributes };
    let targets = targets::read(root, known, &owners, &mut reviews, base);
    let webhooks = webhooks::read(root, base);
    let of_ledger = root.section("ledger");
    let witnesses = witnesses::read(root, of_ledger.as_ref());
    let data_dir = general.as_ref().map(|general| general.data_dir.as_path()).unwrap_or(base);
    let ledger_keys = ledger::read(of_ledger.as_ref(), base, data_dir);
    if let Some(section) = of_ledger {
        section.finish();
    }
    let policy = policy(root, base, faults);
    if let Some(policy) = &policy {
        strangers(policy, &groups, &providers, &workloads, &targets, root);
        unanswerable(policy, &groups, &targets, root);
    }
    root.check_unknown();
    let general = general?;
    Some(Config {
        data_dir: general.data_dir,
        listen: general.listen,
        public_url: general.public_url,
        tls: general.tls,
        metrics_listen: general.metrics_listen,
        trusted_proxies: general.trusted_proxies,
        strangers_per_address: general.strangers_per_address,
        session_max: general.session_max,
        login_idle: general.login_idle,
        drain: general.drain,
        strict_ledger: general.strict_ledger,
        providers,
        workloads,
        targets,
        reviews,
        webhooks,
        ledger_keys,
        witnesses,
        policy: policy?,
    })
}

/// What `[broker]` says.
struct General {
    data_dir: PathBuf,
    listen: SocketAddr,
    public_url: Url,
    tls: Option<TlsFiles>,
    metrics_listen: Option<SocketAddr>,
    trusted_proxies: Vec<(IpAddr, u8)>,
    strangers_per_address: u32,
    session_max: Duration,
    login_idle: Duration,
    drain: Duration,
    strict_ledger: bool,
}

fn general(section: &Section<'_, '_>, base: &Path) -> Option<General> {
    let data_dir = section.required("data_dir").map(|folder| base.join(folder));
    let address =
        |text: &str| text.parse::<SocketAddr>().map_err(|_| "must be ADDRESS:PORT, as 127.0.0.1:7443");
    let listen = section.required_parsed("listen", address);
    let metrics_listen = section.parsed("metrics_listen", address);
    let public_url = section.required_parsed("public_url", |text| {
        let url = identity::secure_url(text)?;
        if url.scheme() != "https" {
            return Err("must be https".to_owned());
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err("must be scheme, host and port only".to_owned());
        }
        Ok(url)
    });
    let trusted_proxies = section.parsed_list("trusted_proxies", network);
    let strangers_per_address = section.number("strangers_per_address", 1..4097);
    let strangers_per_address =
        strangers_per_address.and_then(|n| u32::try_from(n).ok()).unwrap_or(STRANGERS);
    let session_max = section.duration("session_max").unwrap_or(EIGHT_HOURS);
    let login_idle = section.duration("login_idle").unwrap_or(TEN_MINUTES);
    let drain = section.duration("drain").unwrap_or(HALF_A_MINUTE);
    let strict_ledger = section.flag("strict_ledger").unwrap_or(false);
    let tls = section.section("tls").and_then(|tls| {
        let (certificate, key) = (tls.required("certificate"), tls.required("key"));
        tls.finish();
        Some(TlsFiles { certificate: base.join(certificate?), key: base.join(key?) })
    });
    Some(General {
        data_dir: data_dir?,
        listen: listen?,
        public_url: public_url?,
        tls,
        metrics_listen,
        trusted_proxies,
        strangers_per_address,
        session_max,
        login_idle,
        drain,
        strict_ledger,
    })
}

fn policy(root: &Section<'_, '_>, base: &Path, faults: &Faults<'_>) -> Option<Policy> {
    let Some(section) = root.section("policy") else {
        root.fault("policy", "is missing: without [policy] nothing is allowed");
        return None;
    };
    let mut sources = section.parsed_list("presets", |name| {
        preset(name).ok_or_else(|| {
            format!("`{name}` is not a preset; there are: {}", preset_names().collect::<Vec<_>>().join(", "))
        })
    });
    for file in section.texts("files") {
        match std::fs::read_to_string(base.join(&file.value)) {
            Ok(text) => sources.push(PolicySource { name: file.value, text }),
            Err(error) => {
                faults.add(file.start, "policy.files", format!("`{}` cannot be read: {error}", file.value));
            }
        }
    }
    let compiled = Policy::compile(&sources);
    if let Err(problems) = &compiled {
        for problem in problems {
            section.fault("files", problem.to_string());
        }
    }
    section.finish();
    compiled.ok()
}

/// A name in a policy that nobody can have makes a rule that never binds: a forbid that forbids nothing.
fn strangers(
    policy: &Policy,
    groups: &BTreeSet<GroupName>,
    providers: &[ProviderConfig],
    workloads: &[WorkloadConfig],
    targets: &BTreeMap<TargetName, Target>,
    root: &Section<'_, '_>,
) {
    let issuers: BTreeSet<&str> = providers
        .iter()
        .map(|provider| provider.name.as_str())
        .chain(workloads.iter().map(|workload| workload.name.as_str()))
        .collect();
    let can_sign_in = |id: &str| {
        id.split_once(':').is_some_and(|(issuer, who)| issuers.contains(issuer) && !who.is_empty())
    };
    for named in policy.references() {
        let id = named.id.as_str();
        let problem = match named.role {
            Role::Group if !groups.iter().any(|group| group.as_str() == id) => {
                "no provider or workload may assert the group"
            }
            Role::Principal if !can_sign_in(id) => {
                "no provider or workload signs in the principal (they are written PROVIDER:SUBJECT)"
            }
            Role::Target if !targets.keys().any(|name| name.as_str() == id) => "there is no target",
            Role::Group | Role::Principal | Role::Target => continue,
        };
        let id = id.escape_debug();
        root.fault("policy", format!("{}:{}: {problem} `{id}`", named.source_name, named.line));
    }
}

/// A review that nobody can give makes a rule that only ever denies, after a long wait.
fn unanswerable(
    policy: &Policy,
    groups: &BTreeSet<GroupName>,
    targets: &BTreeMap<TargetName, Target>,
    root: &Section<'_, '_>,
) {
    let mut told = BTreeSet::new();
    for target in targets.values() {
        for (rule, threshold) in policy.reviewing(target) {
            for need in threshold.needs() {
                let problem = match &need.from {
                    Reviewers::Group(group) if !groups.contains(group) => format!(
                        "the rule {rule} asks for reviews of the group `{group}`, which no provider or workload may assert"
                    ),
                    Reviewers::Owner if target.owner.is_none() => format!(
                        "the rule {rule} asks the owner of the target `{}`, which has none: give it `owner`, or a label `project` that [reviews.owners] names",
                        target.name
                    ),
                    Reviewers::Group(_) | Reviewers::Owner => continue,
                };
                told.insert(problem);
            }
        }
    }
    for problem in told {
        root.fault("policy", problem);
    }
}

fn groups(providers: &[ProviderConfig], workloads: &[WorkloadConfig]) -> BTreeSet<GroupName> {
    let people = providers.iter().flat_map(|provider| &provider.groups);
    let machines = workloads.iter().flat_map(|workload| &workload.rules).flat_map(|rule| &rule.groups);
    people.chain(machines).cloned().collect()
}

fn network(text: &str) -> Result<(IpAddr, u8), &'static str> {
    const SHAPE: &str = "is not a network: write 10.0.0.0/8 or an address";
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| SHAPE)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| SHAPE))?;
    if bits <= most { Ok((address, bits)) } else { Err(SHAPE) }
}

const STRANGERS: u32 = 256;
const EIGHT_HOURS: Duration = Duration::from_secs(8 * 3600);
const HALF_A_MINUTE: Duration = Duration::from_secs(30);
const TEN_MINUTES: Duration = Duration::from_secs(600);
