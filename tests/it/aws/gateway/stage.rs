//! An account of AWS behind a gateway, and clients that have the session's keys.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use hoopctl::domain::mask::Mask;
use hoopctl::domain::name::{RuleName, SessionId, TargetName};
use hoopctl::domain::target::{
    AwsAccessMode, AwsBase, AwsIssuer, AwsMask, AwsRevocation, AwsTarget, BodyMask, RecordLevel, Target,
    TargetKind,
};
use hoopctl::gateway::authority::{AwsCredential, Credential, Lease};
use hoopctl::gateway::clock::Clock;
use hoopctl::gateway::journal::ItemKind;
use hoopctl::wire::aws::sigv4::{BodyHash, Payload, SessionKeys, Upstream, session_keys, sign};
use http::Request;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::support::api::Front;
use crate::support::gateway::{Plan, SECRET};
use crate::support::moto::{Moto, program};

/// The region of every target here.
pub(crate) const REGION: &str = "eu-central-1";
/// The lease's token, which nobody on the client's side may see.
pub(crate) const TOKEN: &str = "FwoGZXIvYXdzEBYaDH+lease/token==";
/// Everything is allowed.
pub(crate) const OPEN: &str = r#"@id("calls") permit(principal, action == Hoop::Action::"call", resource);"#;

/// Makes a bucket.
pub(crate) const BUCKET: &str =
    "s3.create_bucket(Bucket='traces', CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})";

/// Lets somebody who needs no gateway do something: moto asks nobody for a signature.
pub(crate) async fn prepare(moto: &Moto, script: &str) {
    let told = run(python(script).envs([
        ("AWS_ENDPOINT_URL", moto.endpoint()),
        ("AWS_ACCESS_KEY_ID", "admin".into()),
        ("AWS_SECRET_ACCESS_KEY", "admin".into()),
        ("AWS_REGION", REGION.into()),
        ("AWS_DEFAULT_REGION", REGION.into()),
    ]))
    .await;
    assert_eq!(told, "");
}

/// How a test wants its target.
pub(crate) struct Setup {
    pub(crate) policy: &'static str,
    pub(crate) port: u16,
    pub(crate) services: Vec<&'static str>,
    /// Paths, and what they bind.
    pub(crate) masks: Vec<(&'static str, Vec<&'static str>)>,
    pub(crate) max_items: Option<u64>,
    pub(crate) max_response: Option<u64>,
    pub(crate) unsigned_payload: bool,
    pub(crate) record: RecordLevel,
}

impl Setup {
    pub(crate) fn open(port: u16) -> Self {
        Self {
            policy: OPEN,
            port,
            services: vec!["s3", "dynamodb"],
            masks: Vec::new(),
            max_items: None,
            max_response: None,
            unsigned_payload: false,
            record: RecordLevel::Full,
        }
    }
}

/// A gateway before an account, and the keys of its session.
pub(crate) struct Account {
    pub(crate) front: Front,
    pub(crate) keys: SessionKeys,
    pub(crate) home: tempfile::TempDir,
}

impl Account {
    pub(crate) async fn start(setup: Setup) -> Self {
        let endpoint: url::Url = format!("http://127.0.0.1:{}", setup.port).parse().expect("a URL");
        let masks = setup.masks.iter().enumerate().map(|(number, (path, on))| AwsMask {
            mask: BodyMask {
                name: RuleName::new(format!("mask.{number}")).expect("a name"),
                path: (*path).into(),
                mask: Mask::Full,
                lifted_for: BTreeSet::new(),
            },
            on: on.iter().map(|place| (*place).to_owned()).collect(),
        });
        let target = Target {
            name: TargetName::new("aws-prod").expect("a name"),
            description: String::new(),
            labels: BTreeMap::new(),
            owner: None,
            record: setup.record,
            kind: TargetKind::Aws(Box::new(AwsTarget {
                access: AwsAccessMode::Gateway,
                region: REGION.into(),
                role: "arn:aws:iam::123456789012:role/hoop".into(),
                issuer: AwsIssuer::AssumeRole {
                    base: AwsBase::Environment,
                    external_id: None,
                    source_identity: false,
                    tags: false,
                },
                sts: None,
                endpoints: setup.services.iter().map(|name| ((*name).to_owned(), endpoint.clone())).collect(),
                services: setup.services.iter().map(|name| (*name).to_owned()).collect(),
                root_certificates: None,
                permissions: Vec::new(),
                seconds: 900,
                revoke: AwsRevocation::None,
                masks: masks.collect(),
                max_response: setup.max_response,
                max_items: setup.max_items,
                unsigned_payload: setup.unsigned_payload,
                max_connections: 50,
            })),
        };
        let lease = Lease {
            user: "hoop".into(),
            credential: Credential::Aws(Box::new(AwsCredential {
                access_key_id: "ASIALEASE".into(),
                secret_access_key: "lease-secret".into(),
                session_token: TOKEN.into(),
            })),
            expires: jiff::Timestamp::MAX,
        };
        let plan = Plan { target, lease, policy: setup.policy, who: "alice", session: 7, ssh_key: None };
        let front = Front::of(plan).await;
        let session = SessionId::from_random([7; 16]);
        let keys = session_keys(session.as_str(), &Sha256::digest(SECRET).into());
        let home = tempfile::tempdir().expect("a folder");
        let config = "[default]\nregion = eu-central-1\ns3 =\n  addressing_style = path\n";
        std::fs::write(home.path().join("config"), config).expect("it writes");
        Self { front, keys, home }
    }

    /// What the session's child finds in its environment.
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", format!("http://{}", self.front.address)),
            ("AWS_ACCESS_KEY_ID", self.keys.access_key.to_string()),
            ("AWS_SECRET_ACCESS_KEY", self.keys.secret.expose_secret().to_owned()),
            ("AWS_SESSION_TOKEN", self.keys.token.expose_secret().to_owned()),
            ("AWS_REGION", REGION.into()),
            ("AWS_DEFAULT_REGION", REGION.into()),
            ("AWS_CONFIG_FILE", self.home.path().join("config").display().to_string()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("AWS_PAGER", String::new()),
            ("HOME", self.home.path().display().to_string()),
        ]
    }

    /// Runs a command of the session's child's; what it wrote.
    pub(crate) async fn run(&self, command: &mut Command) -> String {
        run(command.envs(self.variables()).current_dir(self.home.path())).await
    }

    /// Heads and bodies, as they were recorded.
    pub(crate) fn recorded(&self) -> String {
        let kinds = [ItemKind::Head, ItemKind::Body];
        let items = kinds.map(|kind| self.front.book.recorded(kind)).concat();
        String::from_utf8_lossy(&items).into_owned()
    }

    /// The AWS CLI.
    pub(crate) async fn aws(&self, arguments: &[&str]) -> String {
        self.run(Command::new(program("aws")).args(arguments)).await
    }

    /// A script with boto3; `s3` and `ddb` are clients.
    pub(crate) async fn python(&self, script: &str) -> String {
        self.run(&mut python(script)).await
    }

    /// A signed request, ready to be sent or spoilt.
    pub(crate) fn signed(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Signed {
        let hash = Sha256::digest(body).into();
        self.signed_at(Clock::system().now(), method, target, headers, Payload::Hash(hash))
    }

    /// The same, at another time and with another word for its body.
    pub(crate) fn signed_at(
        &self,
        now: jiff::Timestamp,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        payload: Payload,
    ) -> Signed {
        self.signed_for(REGION, now, method, target, headers, payload)
    }

    pub(crate) fn signed_for(
        &self,
        region: &str,
        now: jiff::Timestamp,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        payload: Payload,
    ) -> Signed {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let secret = self.keys.secret.expose_secret();
        let credentials = Credentials::new(self.keys.access_key.as_str(), secret, None, None, "test");
        let upstream = Upstream {
            credentials: &credentials,
            host: &self.front.address.to_string(),
            region,
            service: "s3",
            now,
        };
        let _chain = sign(&mut parts, &upstream, payload, BodyHash::Unread).expect("it can be signed");
        let headers = parts.headers.iter();
        Signed {
            method: method.into(),
            target: target.into(),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
                .collect(),
        }
    }
}

/// A request with a signature.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Signed {
    /// As bytes, with this body.
    pub(crate) fn bytes(&self, body: &str) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || self.method == "PUT" || self.method == "POST" {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("connection: close\r\n\r\n");
        text.push_str(body);
        text.into_bytes()
    }

    /// With another value of a header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.and(name, value)
    }

    /// With one header more.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

fn python(script: &str) -> Command {
    let mut command = Command::new(program("python"));
    let head = "import boto3, io, json, sys\nfrom botocore.exceptions import ClientError\nfrom botocore.config import Config\ns3 = boto3.client('s3')\nddb = boto3.client('dynamodb')\n";
    command.args(["-c", &format!("{head}{script}")]);
    command
}

async fn run(command: &mut Command) -> String {
    // of the machine's own, which is for HTTPS that is not spoken here
    command.env_remove("AWS_CA_BUNDLE").env_remove("AWS_PROFILE");
    let output = command.kill_on_drop(true).stdin(Stdio::null()).output();
    let output =
        tokio::time::timeout(Duration::from_secs(120), output).await.expect("in time").expect("it runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// A service that answers its calls with these bytes, one after the other.
pub(crate) struct Script {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub(crate) async fn start(answers: &[&str]) -> Self {
        let answers: Vec<String> = answers.iter().rev().map(|answer| (*answer).to_owned()).collect();
        let (answers, heads) = (Arc::new(Mutex::new(answers)), Arc::<Mutex<Vec<String>>>::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while let Ok(byte) = stream.read_u8().await {
                        head.push(byte);
                        if head.ends_with(b"\r\n\r\n") {
                            seen.lock()
                                .expect("not poisoned")
                                .push(String::from_utf8_lossy(&head).into_owned());
                            head.clear();
                            let answer = answers.lock().expect("not poisoned").pop();
                            let Some(answer) = answer else { return };
                            if stream.write_all(answer.as_bytes()).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        Self { port, heads }
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("not poisoned").clone()
    }
}
