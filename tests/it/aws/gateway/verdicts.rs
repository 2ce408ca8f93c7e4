//! Rules on calls of AWS, and how their verdicts are told.

use super::stage::{Account, BUCKET, Setup, prepare};
use crate::support::moto::Moto;

const READS: &str = r#"@id("reads") permit(principal, action == Hoop::Action::"call", resource)
    when { context has aws && ["list", "read"].contains(context.aws.access) };
    @id("no-exports") @reason("exports are not read") @hint("ask corp/dba")
    forbid(principal, action == Hoop::Action::"call", resource)
    when { context has aws && context.aws.resources.contains("arn:aws:s3:::traces/export.csv") };"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_printed_by_the_tools_with_rule_and_next_step() {
    let moto = Moto::start();
    prepare(&moto, BUCKET).await;
    let account = Account::start(Setup { policy: READS, ..Setup::open(moto.port) }).await;
    std::fs::write(account.home.path().join("x"), "x").expect("it writes");
    let put = account.aws(&["s3", "cp", "x", "s3://traces/x"]).await;
    assert!(put.contains("AccessDenied") && put.contains("denied by policy"), "{put}");
    let get = account.aws(&["s3api", "get-object", "--bucket", "traces", "--key", "export.csv", "y"]).await;
    assert!(get.contains("exports are not read") && get.contains("(rule no-exports)"), "{get}");
    let item = account
        .python("try: ddb.delete_table(TableName='traces')\nexcept ClientError as error: print(error)")
        .await;
    assert!(item.contains("AccessDeniedException") && item.contains("denied by policy"), "{item}");
    // nobody tries again what is refused
    assert_eq!(account.front.book.deeds().len(), 3, "{:?}", account.front.book.deeds());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_answered_in_pages_of_what_the_target_allows() {
    let moto = Moto::start();
    prepare(&moto, BUCKET).await;
    prepare(&moto, "for n in range(25): s3.put_object(Bucket='traces', Key=str(n), Body=b'x')").await;
    let account = Account::start(Setup { max_items: Some(10), ..Setup::open(moto.port) }).await;
    let told = account
        .python(
            "pages = list(s3.get_paginator('list_objects_v2').paginate(Bucket='traces'))
print([len(page['Contents']) for page in pages])",
        )
        .await;
    assert_eq!(told, "[10, 10, 5]\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_too_long_is_refused_before_its_first_byte() {
    let moto = Moto::start();
    prepare(&moto, BUCKET).await;
    prepare(&moto, "s3.put_object(Bucket='traces', Key='long', Body=b'x' * 5000)").await;
    let account = Account::start(Setup { max_response: Some(4000), ..Setup::open(moto.port) }).await;
    let told = account
        .python("try: s3.get_object(Bucket='traces', Key='long')\nexcept ClientError as error: print(error)")
        .await;
    assert!(told.contains("AccessDenied") && told.contains("4000"), "{told}");
}

const HELD: &str = r#"@id("calls") permit(principal, action == Hoop::Action::"call", resource);
    @id("writes-are-reviewed") @reason("writes are looked at by a second person") @review("corp/dba:1")
    forbid(principal, action == Hoop::Action::"call", resource)
    when { context has aws && context.aws.access == "write" };"#;

/// An SDK gives up after a while and tries again over another connection: people are asked once, AWS is called once.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_that_is_tried_again_is_asked_for_once_and_sent_once() {
    let moto = Moto::start();
    prepare(&moto, BUCKET).await;
    let account = Account::start(Setup { policy: HELD, ..Setup::open(moto.port) }).await;
    let calls = account.python(
        "s3 = boto3.client('s3', config=Config(read_timeout=1, retries={'mode': 'standard', 'max_attempts': 8}))
for body in [b'hello', io.BytesIO(b'again')]:
    print(s3.put_object(Bucket='traces', Key='x', Body=body)['ResponseMetadata']['RetryAttempts'] > 0)",
    );
    let review = async {
        for _ in 0..2 {
            let request = account.front.desk.next().await;
            assert!(request.text().starts_with("s3:PutObject arn:aws:s3:::traces/x"), "{}", request.text());
            // longer than the client waits
            tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
            account.front.desk.approve(request);
        }
    };
    let (told, ()) = tokio::join!(calls, review);
    assert_eq!(told, "True\nTrue\n");
    assert!(account.front.desk.is_empty().await, "nobody is asked twice");
    let deed = "s3:PutObject arn:aws:s3:::traces/x";
    let (hold, allow) = (format!("Hold {deed}"), format!("Allow {deed}"));
    assert_eq!(account.front.book.deeds(), [hold.clone(), allow.clone(), hold, allow]);
}
