//! A real issuer of workload tokens, and a broker that trusts it. There is nothing to reach.

use std::path::{Path, PathBuf};

use crate::support::broker::Broker;
use crate::support::env::Env;
use crate::support::provider::Provider;

/// Both.
pub(super) struct Forge {
    pub(super) provider: Provider,
    pub(super) broker: Broker,
}

impl Forge {
    /// Starts both.
    pub(super) fn start() -> Self {
        let provider = Provider::start();
        let broker = Broker::start(&trusting(&provider, "ci"));
        Self { provider, broker }
    }

    /// A machine that knows the broker.
    pub(super) fn env(&self) -> Env {
        let mut env = Env::new(&self.broker.url);
        env.set("HOOPCTL_BROKER_PIN", &self.broker.pin());
        env
    }

    /// A runner of GitHub, in a job with `id-token: write`.
    pub(super) fn github_job(&self) -> Env {
        let mut env = self.env();
        for (name, value) in self.provider.github_job() {
            env.set(name, &value);
        }
        env
    }
}

/// The configuration that trusts an issuer.
pub(super) fn trusting(provider: &Provider, name: &str) -> String {
    format!(
        r#"
[policy]
presets = ["allow-statements"]

[[workload]]
name = "{name}"
issuer = "{}"
audience = "urn:hoopctl:broker"
[workload.client_credentials]
scopes = ["broker"]
resource = "urn:hoopctl:broker"

[[workload.rule]]
claims = {{ repository = "acme/app", ref = ["refs/heads/main", "refs/heads/release-*"], event_name = "push" }}
groups = ["deploy"]
[[workload.rule]]
claims = {{ project_path = "acme/app", ref_protected = "true" }}
groups = ["deploy"]
[[workload.rule]]
claims = {{ sub = "system:serviceaccount:shop:*" }}
groups = ["deploy"]
[[workload.rule]]
claims = {{ client_id = "robot" }}
groups = ["deploy"]
"#,
        provider.issuer
    )
}

/// Every file below a folder, and what is in it.
pub(super) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let read = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        // sockets have no content
        false => std::fs::read(&path).map(|content| vec![(path, content)]).unwrap_or_default(),
    };
    entries.flat_map(read).collect()
}

/// What is in a folder.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}
