//! One target behind one provider, and a policy of the test's choice.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use url::Url;

use super::{CLIENT, ISSUER};
use crate::broker::config::{
    ClaimRule, Config, ProviderConfig, ReviewsConfig, WitnessesConfig, WorkloadConfig, WorkloadRule,
};
use crate::domain::name::{GroupName, ProviderName, TargetName};
use crate::domain::policy::{Policy, PolicySource};
use crate::domain::target::{
    LeaseIssuer, PostgresTarget, RecordLevel, SecretSource, Target, TargetKind, UpstreamTls,
};

fn policy(text: &str) -> Policy {
    Policy::compile(&[PolicySource { name: "test".into(), text: text.into() }]).unwrap()
}

pub(crate) fn target() -> Target {
    Target {
        name: TargetName::new("db").unwrap(),
        description: "a database".into(),
        labels: BTreeMap::new(),
        owner: None,
        record: RecordLevel::Full,
        kind: TargetKind::Postgres(Box::new(PostgresTarget {
            host: "localhost".into(),
            port: 5432,
            database: "app".into(),
            also_databases: BTreeSet::new(),
            tls: UpstreamTls::Disable,
            issuer: LeaseIssuer::Static {
                user: "app".into(),
                password: SecretSource::Env("PASSWORD".into()),
            },
            grants: Vec::new(),
            fields: BTreeMap::new(),
            masks: Vec::new(),
            filters: Vec::new(),
            objects: false,
            replication: false,
            detectors: BTreeSet::new(),
            patterns: Vec::new(),
            trusted_functions: BTreeSet::new(),
            max_connections: 2,
        })),
    }
}

pub(crate) fn config(data: &std::path::Path, text: &str) -> Config {
    let target = target();
    Config {
        data_dir: data.to_owned(),
        listen: SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0),
        public_url: Url::parse("https://broker.example").unwrap(),
        tls: None,
        metrics_listen: None,
        trusted_proxies: Vec::new(),
        strangers_per_address: 256,
        session_max: Duration::from_secs(8 * 3600),
        login_idle: Duration::from_secs(600),
        drain: Duration::from_secs(30),
        strict_ledger: false,
        ledger_keys: data.join("pki/ledger.key").into(),
        providers: vec![ProviderConfig {
            name: ProviderName::new("corp").unwrap(),
            issuer: Url::parse(ISSUER).unwrap(),
            client_id: CLIENT.into(),
            scopes: vec!["openid".into()],
            groups_claim: "groups".into(),
            groups: BTreeSet::from([GroupName::new("corp/dba").unwrap()]),
            groups_required: false,
            attributes: BTreeMap::new(),
        }],
        workloads: vec![WorkloadConfig {
            name: ProviderName::new("ci").unwrap(),
            issuer: Url::parse(ISSUER).unwrap(),
            audience: "https://broker.example".into(),
            other_audiences: BTreeSet::new(),
            jwks: None,
            client_credentials: None,
            attributes: BTreeMap::new(),
            rules: vec![WorkloadRule {
                claims: BTreeMap::from([("repository".into(), ClaimRule::new(["org/app"]).unwrap())]),
                groups: BTreeSet::from([GroupName::new("ci/deploy").unwrap()]),
                session_max: Duration::from_secs(1800),
                owner: None,
            }],
        }],
        targets: BTreeMap::from([(target.name.clone(), target)]),
        reviews: ReviewsConfig::default(),
        witnesses: WitnessesConfig::default(),
        webhooks: Vec::new(),
        policy: policy(text),
    }
}
