//! An account of AWS as moto plays it, and a broker in front of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::env::Env;
use crate::support::house::House;
use crate::support::postgres::free_port;

/// Where `tests/setup/aws.sh` put the tools.
pub(crate) fn tools() -> PathBuf {
    let caches = [
        std::env::var_os("HOOPCTL_TEST_CACHE").map(PathBuf::from),
        Some(PathBuf::from("/var/cache/hoopctl-tests")),
        std::env::var_os("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("hoopctl-tests")),
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/hoopctl-tests")),
    ];
    let found = caches.into_iter().flatten().map(|cache| cache.join("aws/python/bin"));
    found
        .into_iter()
        .find(|at| at.join("moto_server").exists())
        .expect("no moto here; run: tests/setup/aws.sh")
}

/// A fresh account; it ends with this.
pub(crate) struct Account {
    pub(crate) port: u16,
    child: Child,
}

impl Account {
    /// With a role `reader`, a bucket `traces` and one object in it.
    pub(crate) fn start() -> Self {
        let port = free_port();
        let child = Command::new(tools().join("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto starts");
        let account = Self { port, child };
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "moto did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        account.python(
            "role = c('iam').create_role(RoleName='reader', AssumeRolePolicyDocument='{}')\n\
             c('s3').create_bucket(Bucket='traces', CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})\n\
             c('s3').put_object(Bucket='traces', Key='7.json', Body=b'the seventh trace')\n",
        );
        account
    }

    /// What a script of boto3 prints; `c(SERVICE)` is a client of this account.
    pub(crate) fn python(&self, script: &str) -> String {
        let head = format!(
            "import boto3, json\n\
             def c(s): return boto3.client(s, endpoint_url='http://127.0.0.1:{}', region_name='eu-central-1', \
             aws_access_key_id='AKIAOWNER', aws_secret_access_key='owner')\n",
            self.port
        );
        let output = Command::new(tools().join("python"))
            .args(["-c", &(head + script)])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .expect("python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The inline policies of the role, one line each.
    pub(crate) fn policies(&self) -> String {
        self.python(
            "i = c('iam')\n\
             for n in i.list_role_policies(RoleName='reader')['PolicyNames']:\n\
             \x20 print(n, json.dumps(i.get_role_policy(RoleName='reader', PolicyName=n)['PolicyDocument']))\n",
        )
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// An account, a broker in front of it, and alice.
pub(crate) struct Stage {
    pub(crate) account: Account,
    pub(crate) house: House,
    pub(crate) alice: Env,
}

/// What only the broker holds.
pub(crate) const KEY: &str = "aws-secret-of-the-broker-alone";

/// A target that hands out credentials; `more` are lines of the target.
pub(crate) async fn stage(more: &str, rules: &str) -> Stage {
    let account = Account::start();
    let at = format!("http://127.0.0.1:{}", account.port);
    let target = format!(
        r#"
[[target]]
name = "aws-prod"
protocol = "aws"
access = "credentials"
region = "eu-central-1"
role = "arn:aws:iam::123456789012:role/reader"
endpoints = {{ s3 = "{at}", sts = "{at}", iam = "{at}" }}
{more}
[target.issuer]
kind = "assume-role"
[target.issuer.keys]
access_key_id = "AKIABROKER"
secret = {{ file = "aws-secret" }}
[[target.permission]]
actions = ["s3:GetObject", "s3:ListBucket"]
resources = ["arn:aws:s3:::traces", "arn:aws:s3:::traces/*"]
"#
    );
    let policy = format!("{POLICY}{rules}");
    let house = House::furnished(&target, &[("aws-secret", KEY), ("policy.cedar", &policy)]).await;
    let mut alice = house.machine().await;
    let path = std::env::var_os("PATH").unwrap_or_default();
    alice.set("PATH", &format!("{}:{}", tools().display(), path.to_string_lossy()));
    alice.set("PYTHONDONTWRITEBYTECODE", "1");
    // what must not mix with the session's
    alice.set("AWS_PROFILE", "of-my-own");
    alice.set("AWS_ROLE_ARN", "arn:aws:iam::1:role/of-my-own");
    Stage { account, house, alice }
}

const POLICY: &str = r#"
@id("people.connect")
permit (principal in Hoop::Group::"corp/dba", action == Hoop::Action::"connect", resource);
@id("people.issue")
permit (principal, action == Hoop::Action::"issue", resource) when { context.seconds <= 3600 };
"#;
