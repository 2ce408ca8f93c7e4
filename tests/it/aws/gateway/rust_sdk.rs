//! The Rust SDK (`tests/clients/rust-sdk`) below `hoopctl connect` and `exec`, and on `credential_process`: by its surroundings
//! only, as anybody's program has them.

use std::path::PathBuf;

use super::stage::{BUCKET, prepare};
use crate::support::cached;
use crate::support::env::Env;
use crate::support::house::House;
use crate::support::moto::Moto;

/// What is on the other side, and who tries to reach it.
struct Stage {
    house: House,
    alice: Env,
    _moto: Moto,
}

async fn stage(access: &str) -> Stage {
    let moto = Moto::start();
    prepare(&moto, BUCKET).await;
    prepare(&moto, ACCOUNT).await;
    let at = moto.endpoint();
    let target = format!(
        r#"
[[target]]
name = "aws-prod"
protocol = "aws"
region = "eu-central-1"
role = "arn:aws:iam::123456789012:role/reader"
endpoints = {{ s3 = "{at}", sts = "{at}", dynamodb = "{at}" }}
{access}
[target.issuer]
kind = "assume-role"
[target.issuer.keys]
access_key_id = "AKIABROKER"
secret = {{ file = "aws-secret" }}
"#
    );
    let files = [("aws-secret", "aws-secret-of-the-broker-alone"), ("policy.cedar", POLICY)];
    let house = House::furnished(&target, &files).await;
    let alice = house.machine().await;
    Stage { house, alice, _moto: moto }
}

/// A role, an object, and a table.
const ACCOUNT: &str = "
_ = boto3.client('iam').create_role(RoleName='reader', AssumeRolePolicyDocument='{}')
_ = s3.put_object(Bucket='traces', Key='7.json', Body=b'the seventh trace')
_ = ddb.create_table(TableName='traces', BillingMode='PAY_PER_REQUEST',
    AttributeDefinitions=[{'AttributeName': 'id', 'AttributeType': 'S'}],
    KeySchema=[{'AttributeName': 'id', 'KeyType': 'HASH'}])
for id in ['1', '2']:
    ddb.put_item(TableName='traces', Item={'id': {'S': id}, 'prompt': {'S': 'hello'}, 'api_key': {'S': 'sk-secret'}})
";

const POLICY: &str = r#"@id("all") permit (principal, action, resource);
@id("no-exports") @reason("exports are not read")
forbid (principal, action == Hoop::Action::"call", resource)
when { context has aws && context.aws.keys.contains("exports/1") };
@id("no-deleting") @reason("items stay")
forbid (principal, action == Hoop::Action::"call", resource)
when { context has aws && context.aws.operation == "DeleteItem" };"#;

const GATEWAY: &str = r#"access = "gateway"
services = ["s3", "dynamodb", "sts"]
[[target.mask]]
name = "keys"
path = "$.api_key"
mask = "full"
on = ["traces"]"#;

/// What `tests/setup/rust-sdk.sh` built.
fn client() -> PathBuf {
    cached("rust-sdk", "rust-sdk").join("debug/rust-sdk")
}

async fn run(stage: &Stage, how: &str, what: &str) -> String {
    let client = client().display().to_string();
    let ran = stage.alice.run(&[how, "aws-prod", "--", &client, what]).await.ends(0);
    assert_eq!(ran.stderr.matches("panicked").count(), 0, "{}", ran.text());
    ran.stdout
}

#[ignore = "heavy: tests/run --full"]
#[tokio::test(flavor = "multi_thread")]
async fn rust_sdk_puts_gets_lists_and_deletes_objects_through_the_gateway() {
    let stage = stage(&GATEWAY.replace("traces\"]", "masked/*\"]")).await;
    let told = run(&stage, "connect", "objects").await;
    assert_eq!(told, OBJECTS, "{}", stage.house.broker.log());
}

const OBJECTS: &str = "\
put with checksum true
same true
stream true
range true
parts true
pages 2026/a b+c//ä 7.json | big file
presigned true
deleted 2
absent NoSuchKey The specified key does not exist.
denied AccessDenied denied by policy: exports are not read (rule no-exports)
denied head 403
";

#[ignore = "heavy: tests/run --full"]
#[tokio::test(flavor = "multi_thread")]
async fn rust_sdk_gets_and_queries_items_with_a_masked_attribute_through_the_gateway() {
    let stage = stage(GATEWAY).await;
    let told = run(&stage, "exec", "items").await;
    assert_eq!(told, ITEMS, "{}", stage.house.broker.log());
}

const ITEMS: &str = "\
get S(\"hello\") S(\"[masked]\")
query 1 S(\"[masked]\")
put S(\"good day\")
masked AccessDeniedException not with what is masked here: PutItem writes `api_key`, which is masked: leave it out
asked AccessDeniedException not with what is masked here: Scan decides or computes with `api_key`, which is masked: leave it out
deleted AccessDeniedException denied by policy: items stay (rule no-deleting)
";

/// The SDK's own ways to credentials: those of a container, and a profile with `credential_process`.
#[ignore = "heavy: tests/run --full"]
#[tokio::test(flavor = "multi_thread")]
async fn rust_sdk_fetches_credentials_below_exec_and_by_a_profile() {
    let stage = stage("access = \"credentials\"").await;
    let told = run(&stage, "exec", "read").await;
    assert!(told.starts_with(READ), "{told}");
    let file = stage.alice.home().join("aws-config");
    let named = file.to_string_lossy();
    stage.alice.run(&["aws-profile", "--file", &named, "aws-prod"]).await.ends(0);
    let mut client = std::process::Command::new(client());
    client.arg("read").env_clear().env("PATH", "/usr/bin:/bin").env("HOME", stage.alice.home());
    client.env("AWS_CONFIG_FILE", &file).env("AWS_PROFILE", "hoop-aws-prod");
    let output = client.env("HOOPCTL_CREDENTIAL_STORE", "file").output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.starts_with(READ), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

const READ: &str = "the seventh trace\narn:aws:sts::123456789012:assumed-role/reader/corp=";
