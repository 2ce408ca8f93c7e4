//! What limits a session where STS enforces session policies: Ceph's RADOS gateway.
//!
//! Policy permits everything in most of these stories, so that nothing but what STS was asked for stands in the way.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::process::Command;

use crate::support::ceph::Ceph;
use crate::support::env::{Env, Ran};
use crate::support::house::House;
use crate::support::moto::program;

/// Everything is permitted.
const OPEN: &str = r#"@id("all") permit (principal, action, resource);"#;

/// alice's and bob's objects, and roles that may do anything.
const ACCOUNT: &str = "
trust = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Principal': {'AWS': ['arn:aws:iam:::user/broker']}, 'Action': ['sts:AssumeRole']}]}
may = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 's3:*', 'Resource': 'arn:aws:s3:::*'}]}
# Ceph 16 takes the `+` of a form for a plus
short = lambda document: json.dumps(document, separators=(',', ':'))
iam = c('iam')
for name in ['keys', 'calls', 'ended']:
    iam.create_role(RoleName=name, Path='/', AssumeRolePolicyDocument=short(trust))
    iam.put_role_policy(RoleName=name, PolicyName='all', PolicyDocument=short(may))
s3 = c('s3')
s3.create_bucket(Bucket='traces')
for key in ['a/1.json', 'b/1.json']:
    s3.put_object(Bucket='traces', Key=key, Body=b'the trace ' + key.encode())
";

/// One for the stories that run at the same time: it takes a quarter of a minute and 400 MB.
fn ceph() -> Arc<Ceph> {
    static RUNNING: Mutex<Weak<Ceph>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(ceph) = running.upgrade() {
        return ceph;
    }
    let ceph = Arc::new(Ceph::start());
    let head = format!(
        "import boto3, json\n\
         def c(s): return boto3.client(s, endpoint_url='{}', region_name='us-east-1', \
         aws_access_key_id='{}', aws_secret_access_key='{}')\n",
        ceph.endpoint, ceph.access_key, ceph.secret_key
    );
    let mut python = std::process::Command::new(program("python"));
    let output = python.args(["-c", &(head + ACCOUNT)]).envs(TOOLS).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    *running = Arc::downgrade(&ceph);
    ceph
}

/// A broker in front of it, alice of `corp/dba`, and bob of `corp/dev`.
struct Stage {
    house: House,
    alice: Env,
    bob: Env,
    ceph: Arc<Ceph>,
}

async fn stage(broker: &str, policy: &str) -> Stage {
    let ceph = tokio::task::spawn_blocking(ceph).await.expect("Ceph starts");
    let targets = [
        target("keys", "keys", "access = \"credentials\"", LIMITS, &ceph),
        target("ended", "ended", "access = \"credentials\"\nrevoke = \"inline-deny\"", LIMITS, &ceph),
        target("calls", "calls", "access = \"gateway\"\nservices = [\"s3\"]", LIMITS, &ceph),
        target("all-calls", "calls", "access = \"gateway\"\nservices = [\"s3\"]", "", &ceph),
    ];
    let files = [("ceph-secret", ceph.secret_key.as_str()), ("policy.cedar", policy)];
    let house = House::built(broker, &targets.concat(), &files).await;
    let (mut alice, mut bob) = (house.machine().await, house.machine_of("bob").await);
    let bin = program("aws").parent().expect("a folder").display().to_string();
    let path = std::env::var_os("PATH").unwrap_or_default();
    for env in [&mut alice, &mut bob] {
        env.set("PATH", &format!("{bin}:{}", path.to_string_lossy()));
        for (name, value) in TOOLS {
            env.set(name, value);
        }
    }
    Stage { house, alice, bob, ceph }
}

/// How tools are told to behave: Ceph 16 knows no checksums in trailers.
const TOOLS: [(&str, &str); 3] = [
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
    ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"),
];

fn target(name: &str, role: &str, access: &str, limits: &str, ceph: &Ceph) -> String {
    let (at, key) = (&ceph.endpoint, &ceph.access_key);
    format!(
        r#"
[[target]]
name = "{name}"
protocol = "aws"
{access}
region = "us-east-1"
role = "arn:aws:iam:::role/{role}"
endpoints = {{ s3 = "{at}", sts = "{at}", iam = "{at}" }}
[target.issuer]
kind = "assume-role"
# Ceph takes session tags and forgets them
tags = false
[target.issuer.keys]
access_key_id = "{key}"
secret = {{ file = "ceph-secret" }}
{limits}"#
    )
}

/// Each group reads below a prefix of its own.
const LIMITS: &str = r#"
[[target.permission]]
actions = ["s3:ListBucket"]
resources = ["arn:aws:s3:::traces"]
[[target.permission]]
actions = ["s3:GetObject"]
resources = ["arn:aws:s3:::traces/a/*"]
groups = ["corp/dba"]
[[target.permission]]
actions = ["s3:GetObject"]
resources = ["arn:aws:s3:::traces/b/*"]
groups = ["corp/dev"]
"#;

/// What scripts begin with: `attempt` says `yes`, or the error's code.
const ATTEMPTS: &str = r"
import boto3, json, os, sys
from botocore.exceptions import ClientError
s3 = boto3.client('s3')
def attempt(what, call, **how):
    try:
        answer = call(Bucket='traces', **how)
        print(what, 'yes', answer['Body'].read().decode() if 'Body' in answer else '', flush=True)
    except ClientError as error:
        print(what, error.response['Error']['Code'], flush=True)
def read(key): attempt(key, s3.get_object, Key=key)
";

/// Runs a script with boto3 as the session's child.
async fn boto3(env: &Env, target: &str, script: &str) -> Ran {
    env.run(&["exec", target, "--", "python", "-c", &format!("{ATTEMPTS}{script}")]).await.ends(0)
}

/// Everybody's limits, whoever signs.
async fn everybody_reads_what_the_grant_allows(stage: &Stage, target: &str) {
    let listed =
        stage.alice.run(&["connect", target, "--", "aws", "s3", "ls", "s3://traces/a/"]).await.ends(0);
    assert!(listed.stdout.contains("1.json"), "{}", listed.text());
    let script = "
read('a/1.json')
read('b/1.json')
attempt('put', s3.put_object, Key='a/2.json', Body=b'x')
attempt('delete', s3.delete_object, Key='a/2.json')
attempt('list', s3.list_objects_v2, Prefix='a/')";
    let hers = boto3(&stage.alice, target, script).await;
    let refused = "AccessDenied";
    let expected = format!(
        "a/1.json yes the trace a/1.json\nb/1.json {refused}\nput {refused}\ndelete {refused}\nlist yes \n"
    );
    assert_eq!(hers.stdout, expected, "{}", hers.text());
    let his = boto3(&stage.bob, target, "read('a/1.json')\nread('b/1.json')").await;
    assert_eq!(
        his.stdout,
        format!("a/1.json {refused}\nb/1.json yes the trace b/1.json\n"),
        "{}",
        his.text()
    );
    let copy = async |from| stage.alice.run(&["connect", target, "--", "aws", "s3", "cp", from, "-"]).await;
    assert_eq!(copy("s3://traces/a/1.json").await.ends(0).stdout, "the trace a/1.json");
    // the AWS CLI stumbles over Ceph's error, which has no message
    let other = copy("s3://traces/b/1.json").await;
    assert!(other.code != 0 && other.stdout.is_empty(), "{}", other.text());
}

#[ignore = "heavy: tests/run --full"]
#[tokio::test(flavor = "multi_thread")]
async fn credentials_read_what_the_grant_allows_and_nothing_else() {
    let stage = stage("", OPEN).await;
    everybody_reads_what_the_grant_allows(&stage, "keys").await;
}

#[ignore = "heavy: tests/run --full"]
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_the_gateway_signs_are_limited_by_sts_where_policy_permits_everything() {
    let stage = stage("", OPEN).await;
    everybody_reads_what_the_grant_allows(&stage, "calls").await;
}

/// Reads of one object only, on a role that may do anything.
const ONE: &str = r#"
@id("all") permit (principal, action, resource);
@id("one") forbid (principal, action == Hoop::Action::"call", resource)
unless { context has aws && context.aws.actions == ["s3:GetObject"] && context.aws.resources == ["arn:aws:s3:::traces/a/1.json"] };
"#;

#[ignore = "heavy: tests/run --full"]
#[tokio::test(flavor = "multi_thread")]
async fn policy_limits_calls_where_the_role_may_do_anything() {
    let free = stage("", OPEN).await;
    let script = "
read('a/1.json')
read('b/1.json')
attempt('put', s3.put_object, Key='c/1.json', Body=b'x')";
    let all = boto3(&free.alice, "all-calls", script).await;
    assert_eq!(all.stdout.matches(" yes").count(), 3, "{}", all.text());
    let judged = stage("", ONE).await;
    let one = boto3(&judged.alice, "all-calls", script).await;
    let expected = "a/1.json yes the trace a/1.json\nb/1.json AccessDenied\nput AccessDenied\n";
    assert_eq!(one.stdout, expected, "{}", one.text());
}

/// Prints the credentials that the child has.
const PRINT: &str = "
read('a/1.json')
keys = boto3.Session().get_credentials().get_frozen_credentials()
print(json.dumps([keys.access_key, keys.secret_key, keys.token]))";

/// With keys that somebody kept, whether an object can be read: each second until it cannot, or for so many seconds.
async fn until_refused(stage: &Stage, printed: &str, key: &str, seconds: u32) -> String {
    let keys: Vec<String> =
        serde_json::from_str(printed.lines().last().expect("a line")).expect("what was printed");
    let script = "
import time
try: s3.get_bucket_location(Bucket='traces')
except ClientError: pass
begun, told = time.time(), None
while told != 'AccessDenied' and time.time() - begun < float(sys.argv[2]):
    try: told = s3.get_object(Bucket='traces', Key=sys.argv[1])['Body'].read().decode()
    except ClientError as error: told = error.response['Error']['Code']
    print(told, flush=True)
    time.sleep(0.3)";
    let mut python = Command::new(program("python"));
    python.args(["-c", &format!("{ATTEMPTS}{script}"), key, &seconds.to_string()]).envs(TOOLS);
    python.env("AWS_ENDPOINT_URL", &stage.ceph.endpoint).env("AWS_DEFAULT_REGION", "us-east-1");
    python.env("AWS_ACCESS_KEY_ID", &keys[0]).env("AWS_SECRET_ACCESS_KEY", &keys[1]);
    python.env("AWS_SESSION_TOKEN", &keys[2]).env_remove("AWS_PROFILE").stdin(Stdio::null());
    let output = python.kill_on_drop(true).output().await.expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// STS gives a quarter of an hour at least; the session's end is in its policy.
#[ignore = "heavy: tests/run --full"]
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_were_kept_end_with_the_longest_time_of_their_session() {
    let stage = stage("session_max = \"12s\"", OPEN).await;
    let printed = boto3(&stage.alice, "keys", PRINT).await;
    assert!(printed.stdout.starts_with("a/1.json yes"), "{}", printed.text());
    let told = until_refused(&stage, &printed.stdout, "a/1.json", 30).await;
    // they are not taken back, so they outlive the child
    assert!(told.starts_with("the trace a/1.json\n") && told.ends_with("\nAccessDenied\n"), "{told}");
}

#[ignore = "heavy: tests/run --full"]
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_were_kept_are_denied_when_their_session_ends_and_those_of_others_are_not() {
    let stage = stage("", OPEN).await;
    let others = boto3_that_stays(&stage.bob).await;
    let printed = boto3(&stage.alice, "ended", PRINT).await;
    assert!(printed.stdout.starts_with("a/1.json yes"), "{}", printed.text());
    let told = until_refused(&stage, &printed.stdout, "a/1.json", 10).await;
    assert!(told.ends_with("AccessDenied\n"), "{told}\n{}", stage.house.broker.log());
    let told = until_refused(&stage, &others, "b/1.json", 1).await;
    assert!(told.starts_with("the trace b/1.json\n") && !told.contains("AccessDenied"), "{told}");
}

/// Keys of a session that goes on.
async fn boto3_that_stays(env: &Env) -> String {
    let given = env.run(&["credentials", "ended"]).await.ends(0);
    let given: serde_json::Value = serde_json::from_str(&given.stdout).expect("JSON");
    serde_json::json!([given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]]).to_string()
}

/// Bodies in parts, ranges, presigned URLs: what another S3 than AWS's takes of the gateway.
#[ignore = "heavy: tests/run --full"]
#[tokio::test(flavor = "multi_thread")]
async fn large_objects_parts_ranges_and_presigned_urls_pass_through_the_gateway() {
    let stage = stage("", OPEN).await;
    let script = r"
import hashlib, io, subprocess
from boto3.s3.transfer import TransferConfig
body = os.urandom(6 << 20)
parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
s3.upload_fileobj(io.BytesIO(body), 'traces', 'big/boto3', Config=parts)
back = io.BytesIO()
s3.download_fileobj('traces', 'big/boto3', back, Config=parts)
print('boto3', back.getvalue() == body, s3.head_object(Bucket='traces', Key='big/boto3')['ETag'].strip('\x22')[-2:])
print('range', s3.get_object(Bucket='traces', Key='big/boto3', Range='bytes=10-19')['Body'].read() == body[10:20])
s3.put_object(Bucket='traces', Key='big/one', Body=body)
print('one', s3.get_object(Bucket='traces', Key='big/one')['Body'].read() == body)
open('big', 'wb').write(body)
for command in ['big s3://traces/big/aws', 's3://traces/big/aws back']:
    subprocess.run(['aws', 's3', 'cp', '--only-show-errors', *command.split()], check=True)
print('aws', open('back', 'rb').read() == body)
url = s3.generate_presigned_url('get_object', Params={'Bucket': 'traces', 'Key': 'big/aws'}, ExpiresIn=60)
print('presigned', subprocess.run(['curl', '-sSf', url], check=True, stdout=subprocess.PIPE).stdout == body)
s3.put_object(Bucket='traces', Key='big/a b+c//ä', Body=b'x')
print('key', [e['Key'] for e in s3.list_objects_v2(Bucket='traces', Prefix='big/a ')['Contents']])
s3.delete_object(Bucket='traces', Key='big/a b+c//ä')
print('left', s3.list_objects_v2(Bucket='traces', Prefix='big/a ')['KeyCount'])
";
    let told = boto3(&stage.alice, "all-calls", script).await;
    let expected =
        "boto3 True -2\nrange True\none True\naws True\npresigned True\nkey ['big/a b+c//ä']\nleft 0\n";
    assert_eq!(told.stdout, expected, "{}", told.text());
}
