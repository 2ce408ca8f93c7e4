//! Tools that people use, from the first byte to the last.

use aws_config::BehaviorVersion;
use aws_sdk_sts::error::ProvideErrorMetadata as _;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::stage::{Account, BUCKET, Setup, prepare};
use crate::support::moto::{Moto, program};

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_lists_gets_puts_and_deletes() {
    let moto = Moto::start();
    prepare(&moto, BUCKET).await;
    let account = Account::start(Setup::open(moto.port)).await;
    std::fs::write(account.home.path().join("x.json"), r#"{"n":1}"#).expect("it writes");
    let put = account.aws(&["s3", "cp", "x.json", "s3://traces/2026/x y.json"]).await;
    assert!(put.contains("upload:"), "{put}");
    assert!(account.aws(&["s3", "ls", "s3://traces/2026/"]).await.contains("x y.json"));
    assert_eq!(account.aws(&["s3", "cp", "s3://traces/2026/x y.json", "-"]).await, r#"{"n":1}"#);
    let copied = account.aws(&["s3", "cp", "s3://traces/2026/x y.json", "s3://traces/copy"]).await;
    assert!(copied.contains("copy:"), "{copied}");
    let gone = account.aws(&["s3", "rm", "--recursive", "s3://traces/"]).await;
    assert_eq!(gone.matches("delete:").count(), 2, "{gone}");
    let deeds = account.front.book.deeds().join("\n");
    for deed in [
        "Allow s3:PutObject arn:aws:s3:::traces/2026/x y.json",
        "Allow s3:ListObjectsV2 arn:aws:s3:::traces",
        "Allow s3:GetObject arn:aws:s3:::traces/2026/x y.json",
        "Allow s3:CopyObject arn:aws:s3:::traces/2026/x y.json arn:aws:s3:::traces/copy",
    ] {
        assert!(deeds.contains(deed), "{deed} is not in\n{deeds}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_sends_parts_ranges_chunks_and_batches() {
    let moto = Moto::start();
    prepare(&moto, BUCKET).await;
    let account = Account::start(Setup::open(moto.port)).await;
    let told = account
        .python(
            r"
from boto3.s3.transfer import TransferConfig
import hashlib, os
parts = TransferConfig(multipart_threshold=1 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
body = os.urandom(16 << 20)
s3.upload_fileobj(io.BytesIO(body), 'traces', 'big', Config=parts)
back = io.BytesIO()
s3.download_fileobj('traces', 'big', back, Config=parts)
print('same', hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(body).digest())
print('range', s3.get_object(Bucket='traces', Key='big', Range='bytes=10-19')['Body'].read() == body[10:20])
# a stream without a length that can be told before: chunks with a trailer
s3.put_object(Bucket='traces', Key='a/b', Body=b'x' * 200000, ChecksumAlgorithm='CRC32')
print('chunks', len(s3.get_object(Bucket='traces', Key='a/b')['Body'].read()))
s3.copy_object(Bucket='traces', Key='c', CopySource={'Bucket': 'traces', 'Key': 'a/b'})
gone = s3.delete_objects(Bucket='traces', Delete={'Objects': [{'Key': 'a/b'}, {'Key': 'c'}]})
print('deleted', len(gone['Deleted']))
try:
    s3.head_object(Bucket='traces', Key='c')
except ClientError as error:
    print('gone', error.response['Error']['Code'])
",
        )
        .await;
    assert_eq!(told, "same True\nrange True\nchunks 200000\ndeleted 2\ngone 404\n");
    let deeds = account.front.book.deeds().join("\n");
    assert!(
        deeds.contains("Allow s3:DeleteObjects arn:aws:s3:::traces/a/b arn:aws:s3:::traces/c"),
        "{deeds}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_written_read_queried_and_scanned() {
    let moto = Moto::start();
    let account = Account::start(Setup::open(moto.port)).await;
    let told = account
        .python(
            r"
ddb.create_table(TableName='traces', BillingMode='PAY_PER_REQUEST',
    AttributeDefinitions=[{'AttributeName': 'id', 'AttributeType': 'S'}],
    KeySchema=[{'AttributeName': 'id', 'KeyType': 'HASH'}])
for n in range(3):
    ddb.put_item(TableName='traces', Item={'id': {'S': str(n)}, 'prompt': {'S': 'hello'}})
print(ddb.get_item(TableName='traces', Key={'id': {'S': '1'}})['Item']['prompt'])
print(ddb.query(TableName='traces', KeyConditionExpression='id = :i', ExpressionAttributeValues={':i': {'S': '2'}})['Count'])
print(ddb.scan(TableName='traces')['Count'])
ddb.transact_write_items(TransactItems=[{'Delete': {'TableName': 'traces', 'Key': {'id': {'S': '0'}}}}])
print(ddb.scan(TableName='traces')['Count'])
",
        )
        .await;
    assert_eq!(told, "{'S': 'hello'}\n1\n3\n2\n");
    let deeds = account.front.book.deeds().join("\n");
    assert!(deeds.contains("Allow dynamodb:Query arn:aws:dynamodb:eu-central-1:*:table/traces"), "{deeds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_url_is_good_for_what_it_says_and_no_longer() {
    let moto = Moto::start();
    prepare(&moto, BUCKET).await;
    let account = Account::start(Setup::open(moto.port)).await;
    let urls = account
        .python(
            "s3 = boto3.client('s3', config=Config(signature_version='s3v4'))
for method in ['put_object', 'get_object']:
    print(s3.generate_presigned_url(method, Params={'Bucket': 'traces', 'Key': 'p'}, ExpiresIn=60))",
        )
        .await;
    let urls: Vec<&str> = urls.lines().collect();
    let curl = async |arguments: &[&str]| account.run(Command::new("curl").arg("-sS").args(arguments)).await;
    assert_eq!(curl(&["-T", "config", urls[0]]).await, "");
    assert!(curl(&[urls[1]]).await.contains("addressing_style"));
    for (part, other) in [
        ("/p?", "/q?"),
        ("X-Amz-Expires=60", "X-Amz-Expires=600"),
        ("X-Amz-Expires=60", "X-Amz-Expires=60&response-content-type=text%2Fhtml"),
    ] {
        assert!(urls[1].contains(part), "{}", urls[1]);
        let other = curl(&[&urls[1].replace(part, other)]).await;
        assert!(other.contains("SignatureDoesNotMatch"), "{other}");
    }
    let deeds = account.front.book.deeds().join("\n");
    assert!(deeds.contains("Allow s3:PutObject arn:aws:s3:::traces/p (presigned)"), "{deeds}");
    // whoever reads the record cannot use it
    assert!(!deeds.contains("X-Amz-Signature"), "{deeds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rclone_copies_up_and_down_and_lists() {
    let moto = Moto::start();
    prepare(&moto, BUCKET).await;
    let account = Account::start(Setup::open(moto.port)).await;
    std::fs::write(account.home.path().join("big"), vec![7; 12 << 20]).expect("it writes");
    let options = "provider=Other,env_auth=true,force_path_style=true,region=eu-central-1";
    let remote = format!(
        ":s3,{options},endpoint='http://{}',chunk_size=5Mi,upload_cutoff=5Mi:traces",
        account.front.address
    );
    let rclone = async |arguments: &[&str]| {
        account
            .run(
                Command::new(program("rclone"))
                    .args(["--config", "/dev/null", "--s3-no-check-bucket"])
                    .args(arguments),
            )
            .await
    };
    let up = rclone(&["copyto", "big", &format!("{remote}/2026/big")]).await;
    assert!(!up.contains("ERROR"), "{up}");
    let listed = rclone(&["ls", &remote]).await;
    assert!(listed.contains("12582912 2026/big"), "{listed}");
    let down = rclone(&["copyto", &format!("{remote}/2026/big"), "back"]).await;
    assert!(!down.contains("ERROR"), "{down}");
    assert_eq!(std::fs::read(account.home.path().join("back")).expect("it is there"), vec![7; 12 << 20]);
}

const CLOSED: &str = r#"@id("calls") permit(principal, action == Hoop::Action::"call", resource);
    @id("no-names") @reason("roles are not told") forbid(principal, action == Hoop::Action::"call", resource)
    when { context has aws && context.aws.operation == "GetCallerIdentity" };"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_sdk_asks_who_it_is_and_decodes_what_policy_says() {
    let moto = Moto::start();
    let services = || vec!["sts"];
    let open = Account::start(Setup { services: services(), ..Setup::open(moto.port) }).await;
    let told = open.run(&mut as_child()).await;
    assert!(told.contains("it is Some(\"arn:aws:"), "{told}");
    assert_eq!(open.front.book.deeds(), ["Allow sts:GetCallerIdentity"]);
    let closed =
        Account::start(Setup { services: services(), policy: CLOSED, ..Setup::open(moto.port) }).await;
    let told = closed.run(&mut as_child()).await;
    assert!(told.contains("it is refused: Some(\"AccessDenied\")"), "{told}");
    assert!(told.contains("roles are not told (rule no-names)"), "{told}");
    // and not asked again
    assert_eq!(closed.front.book.deeds(), ["Deny sts:GetCallerIdentity"]);
}

/// This program again, as what the session's child is: the SDK reads the environment of its process.
fn as_child() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--ignored", "--exact", "--nocapture", "aws::gateway::clients::asks_as_the_child"]);
    command
}

#[ignore = "what the story above runs below itself"]
#[expect(clippy::print_stdout, reason = "the story reads it")]
#[tokio::test]
async fn asks_as_the_child() {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    match aws_sdk_sts::Client::new(&config).get_caller_identity().send().await {
        Ok(identity) => println!("it is {:?}", identity.arn()),
        Err(error) => println!("it is refused: {:?} {:?}", error.code(), error.message()),
    }
}

/// minio-go: uploads in chunks that are signed, a listing for each folder of its own, reads in ranges.
#[tokio::test(flavor = "multi_thread")]
async fn restic_backs_up_and_restores() {
    let moto = Moto::start();
    prepare(&moto, BUCKET).await;
    let account = Account::start(Setup::open(moto.port)).await;
    let data = account.home.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    // which cannot be packed
    let body: Vec<u8> = (0..12_500_u32).flat_map(|at| Sha256::digest(at.to_le_bytes())).collect();
    std::fs::write(data.join("big"), &body).expect("it writes");
    let restic = async |arguments: &[&str]| {
        let mut command = Command::new("restic");
        command.arg("-r").arg(format!("s3:http://{}/traces/kept", account.front.address));
        command.args(["-o", "s3.bucket-lookup=path", "--no-cache"]).args(arguments);
        account.run(command.env("RESTIC_PASSWORD", "of the repository")).await
    };
    let made = restic(&["init"]).await;
    assert!(made.contains("created restic repository"), "{made}");
    let kept = restic(&["backup", "data"]).await;
    assert!(kept.contains("snapshot") && kept.contains("saved"), "{kept}");
    let back = restic(&["restore", "latest", "--target", "back"]).await;
    assert!(back.contains("restoring"), "{back}");
    assert_eq!(std::fs::read(account.home.path().join("back/data/big")).expect("it is back"), body);
    let recorded = account.recorded();
    assert!(recorded.contains("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), "its chunks are signed");
}
