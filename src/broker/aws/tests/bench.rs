//! STS and IAM as a test wants them, and what asks them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use url::Url;

use crate::broker::aws::Accounts;
use crate::broker::leases::Stamp;
use crate::broker::pki::jwt::Signer;
use crate::broker::secrets::Secrets;
use crate::broker::store::Store;
use crate::broker::testing::Memory;
use crate::broker::tokens::Minter;
use crate::domain::event::Actor;
use crate::domain::name::{Digest, GroupName, ProviderName, SessionId, TargetName};
use crate::domain::principal::{Kin, Principal, PrincipalId, PrincipalKind, Subject};
use crate::domain::target::{
    AwsAccessMode, AwsBase, AwsIssuer, AwsPermission, AwsRevocation, AwsTarget, RecordLevel, SecretSource,
    Target, TargetKind,
};
use crate::gateway::authority::{Attempts, Credential, Lease, SessionContext};
use crate::gateway::journal::Journal;

/// When it all begins: 2026-11-21 00:00 UTC.
pub(super) const START: i64 = 1_795_219_200;

/// What asks, and by which clock.
pub(super) struct Bench {
    pub(super) accounts: Accounts,
    pub(super) aws: Aws,
    pub(super) journal: Arc<Memory>,
    pub(super) signer: Arc<Signer>,
    pub(super) store: Arc<Store>,
    now: Arc<AtomicI64>,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let now = Arc::new(AtomicI64::new(START));
        let aws = Aws::start(Arc::clone(&now)).await;
        Self::with(aws, Arc::new(Store::in_memory().unwrap()), now)
    }

    /// Another process after this one was killed.
    pub(super) fn restarted(&self) -> Self {
        Self::with(self.aws.clone(), Arc::clone(&self.store), Arc::clone(&self.now))
    }

    fn with(aws: Aws, store: Arc<Store>, now: Arc<AtomicI64>) -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let (signer, journal) = (Arc::new(Signer::new(&key)), Arc::new(Memory::default()));
        let minter =
            Minter { issuer: "https://broker.example/".parse().unwrap(), signer: Arc::clone(&signer) };
        let secrets = Secrets::new(|name| (name == "BASE").then(|| "s&cret".to_owned()));
        let clock = Arc::clone(&now);
        let stamp = move || Stamp {
            at: Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap(),
            policy: Digest::from_bytes(&[0; 32]),
        };
        let (kept, written) = (Arc::clone(&store), Arc::clone(&journal) as Arc<dyn Journal>);
        let accounts = Accounts::new(minter, kept, written, secrets, stamp);
        Self { accounts, aws, journal, signer, store, now }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.now.load(Ordering::Relaxed)).unwrap()
    }

    pub(super) fn later(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(super) fn target(&self) -> AwsTarget {
        AwsTarget {
            access: AwsAccessMode::Credentials,
            region: "eu-central-1".into(),
            role: "arn:aws:iam::1:role/reader".into(),
            issuer: AwsIssuer::AssumeRole {
                base: AwsBase::Keys {
                    access_key_id: "AKIA1".into(),
                    secret: SecretSource::Env("BASE".into()),
                },
                external_id: Some("ours".into()),
                source_identity: true,
                tags: true,
            },
            sts: Some(self.aws.url.clone()),
            endpoints: BTreeMap::from([("iam".to_owned(), self.aws.url.clone())]),
            services: BTreeSet::new(),
            root_certificates: None,
            permissions: Vec::new(),
            seconds: 3600,
            revoke: AwsRevocation::None,
            masks: Vec::new(),
            max_response: None,
            max_items: None,
            unsigned_payload: false,
            max_connections: 10,
        }
    }

    /// A session of eight hours.
    pub(super) fn session(&self, aws: AwsTarget) -> (SessionContext, AwsTarget) {
        let target = Target {
            name: TargetName::new("aws-prod").unwrap(),
            description: String::new(),
            labels: BTreeMap::new(),
            owner: None,
            record: RecordLevel::Full,
            kind: TargetKind::Aws(Box::new(aws.clone())),
        };
        let id = PrincipalId {
            provider: ProviderName::new("corp").unwrap(),
            subject: Subject::new("alice@example.com").unwrap(),
        };
        let principal = Principal {
            id: id.clone(),
            kind: PrincipalKind::Human,
            display: "alice".into(),
            groups: BTreeSet::from([GroupName::new("corp/dba").unwrap()]),
            kin: Kin::default(),
            attributes: BTreeMap::new(),
        };
        let context = SessionContext {
            id: SessionId::from_random([7; 16]),
            principal,
            actor: Actor { principal: id, device: None, address: "127.0.0.1".into(), host: "test".into() },
            target: Arc::new(target),
            expires: Timestamp::from_second(START + 8 * 3600).unwrap(),
            loopback_user: "alice".into(),
            verifier: String::new(),
            secret: Digest::from_bytes(&[0; 32]),
            ssh_key: None,
            digest_key: "key".into(),
            reason: None,
            attempts: Attempts::default(),
        };
        (context, aws)
    }
}

/// One action on the traces, for these groups.
pub(super) fn permission(action: &str, groups: &[&str]) -> AwsPermission {
    AwsPermission {
        actions: BTreeSet::from([action.to_owned()]),
        resources: BTreeSet::from(["arn:aws:s3:::traces/*".to_owned()]),
        groups: groups.iter().map(|group| GroupName::new(*group).unwrap()).collect(),
    }
}

/// What a lease holds.
pub(super) fn shown(lease: &Lease) -> String {
    match &lease.credential {
        Credential::Aws(keys) => format!(
            "{} {} {}",
            keys.access_key_id,
            keys.secret_access_key.expose_secret(),
            keys.session_token.expose_secret()
        ),
        _ => String::new(),
    }
}

type Form = BTreeMap<String, String>;

/// STS and IAM at one address. Clones are the same.
#[derive(Clone)]
pub(super) struct Aws {
    url: Url,
    asked: Arc<Mutex<Vec<Form>>>,
    /// With what everything is refused.
    refusal: Arc<Mutex<Option<(String, String)>>>,
}

impl Aws {
    async fn start(now: Arc<AtomicI64>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let aws = Self { url, asked: Arc::default(), refusal: Arc::default() };
        let answering = aws.clone();
        let router = axum::Router::new().fallback(async move |headers: http::HeaderMap, body: String| {
            let mut form: Form = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            let signed = if headers.contains_key("authorization") { "yes" } else { "no" };
            form.insert("(signed)".into(), signed.into());
            let answer = answering.answer(&form, now.load(Ordering::Relaxed));
            answering.asked.lock().unwrap().push(form);
            answer
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        aws
    }

    pub(super) fn asked(&self) -> Vec<Form> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn refuse(&self, code: &str, message: &str) {
        *self.refusal.lock().unwrap() = Some((code.to_owned(), message.to_owned()));
    }

    pub(super) fn relent(&self) {
        *self.refusal.lock().unwrap() = None;
    }

    fn answer(&self, form: &Form, now: i64) -> (http::StatusCode, String) {
        if let Some((code, message)) = self.refusal.lock().unwrap().as_ref() {
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            );
            return (http::StatusCode::FORBIDDEN, body);
        }
        let action = form["Action"].as_str();
        let seconds: i64 = form.get("DurationSeconds").map_or(0, |seconds| seconds.parse().unwrap());
        let count = self.asked.lock().unwrap().len() + 1;
        let expires = Timestamp::from_second(now + seconds).unwrap();
        let name = form.get("RoleSessionName").cloned().unwrap_or_default();
        let body = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/reader/{name}</Arn>\
             <AssumedRoleId>ARO:{name}</AssumedRoleId></AssumedRoleUser>\
             <Credentials><AccessKeyId>key {count}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
             <SessionToken>token</SessionToken><Expiration>{expires}</Expiration></Credentials>\
             </{action}Result></{action}Response>"
        );
        (http::StatusCode::OK, body)
    }
}
