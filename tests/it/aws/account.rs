//! An account of AWS as moto plays it, and a broker in front of it.

use std::process::Command;

use crate::support::env::Env;
use crate::support::house::House;
use crate::support::moto::{Moto, program};

/// A fresh account; it ends with this.
pub(crate) struct Account {
    moto: Moto,
}

impl Account {
    /// With a role `reader`, a bucket `traces` and one object in it.
    pub(crate) fn start() -> Self {
        let account = Self { moto: Moto::start() };
        account.python(
            "role = c('iam').create_role(RoleName='reader', AssumeRolePolicyDocument='{}')\n\
             c('s3').create_bucket(Bucket='traces', CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})\n\
             c('s3').put_object(Bucket='traces', Key='7.json', Body=b'the seventh trace')\n",
        );
        account
    }

    fn endpoint(&self) -> String {
        self.moto.endpoint()
    }

    /// The account as a target; `more` are lines of it.
    pub(crate) fn target(&self, name: &str, more: &str) -> String {
        let at = self.endpoint();
        format!(
            r#"
[[target]]
name = "{name}"
protocol = "aws"
region = "eu-central-1"
role = "arn:aws:iam::123456789012:role/reader"
endpoints = {{ s3 = "{at}", sts = "{at}", iam = "{at}" }}
{more}
[target.issuer]
kind = "assume-role"
[target.issuer.keys]
access_key_id = "AKIABROKER"
secret = {{ file = "aws-secret" }}
"#
        )
    }

    /// What a script of boto3 prints; `c(SERVICE)` is a client of this account.
    pub(crate) fn python(&self, script: &str) -> String {
        let head = format!(
            "import boto3, json\n\
             def c(s): return boto3.client(s, endpoint_url='{}', region_name='eu-central-1', \
             aws_access_key_id='AKIAOWNER', aws_secret_access_key='owner')\n",
            self.endpoint()
        );
        let output = Command::new(program("python"))
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
    let target = account.target("aws-prod", &format!("access = \"credentials\"\n{more}")) + PERMISSION;
    let policy = format!("{POLICY}{rules}");
    let house = House::furnished(&target, &[("aws-secret", KEY), ("policy.cedar", &policy)]).await;
    let mut alice = house.machine().await;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = program("aws");
    let tools = tools.parent().expect("a folder").display();
    alice.set("PATH", &format!("{tools}:{}", path.to_string_lossy()));
    alice.set("PYTHONDONTWRITEBYTECODE", "1");
    // what must not mix with the session's
    alice.set("AWS_PROFILE", "of-my-own");
    alice.set("AWS_ROLE_ARN", "arn:aws:iam::1:role/of-my-own");
    Stage { account, house, alice }
}

const PERMISSION: &str = r#"[[target.permission]]
actions = ["s3:GetObject", "s3:ListBucket"]
resources = ["arn:aws:s3:::traces", "arn:aws:s3:::traces/*"]
"#;

const POLICY: &str = r#"
@id("people.connect")
permit (principal in Hoop::Group::"corp/dba", action == Hoop::Action::"connect", resource);
@id("people.issue")
permit (principal, action == Hoop::Action::"issue", resource) when { context.seconds <= 3600 };
"#;
