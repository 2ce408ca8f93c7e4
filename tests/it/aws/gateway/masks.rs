//! Masks on objects and items, and the questions that would tell what they hide.

use super::stage::{Account, Setup, prepare};
use crate::support::moto::Moto;

const OBJECTS: &str = r#"
s3.create_bucket(Bucket='traces', CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})
put = lambda key, body, **more: s3.put_object(Bucket='traces', Key=key, Body=body, **more)
secret = '{"n":1,"api_key":"key-of-a-customer","steps":[{"api_key":"key-of-a-customer"}]}'
put('2026/x.json', secret)
put('2026/typed', secret, ContentType='application/json')
put('2026/lines.ndjson', secret + '\n' + secret + '\n')
put('2026/table.csv', 'n,api_key\n1,key-of-a-customer\n', ContentType='text/csv')
put('2026/lies.csv', secret, ContentType='text/csv')
put('2026/photo.png', b'\x89PNG key-of-a-customer', ContentType='image/png')
import gzip
put('2026/packed.json', gzip.compress(secret.encode()), ContentEncoding='gzip', ContentType='application/json')
put('open/x.json', secret)
"#;

async fn objects() -> (Moto, Account) {
    let moto = Moto::start();
    prepare(&moto, OBJECTS).await;
    let masks = vec![("$..api_key", vec!["traces/2026/*"])];
    let account = Account::start(Setup { masks, ..Setup::open(moto.port) }).await;
    (moto, account)
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_come_masked_or_not_at_all() {
    let (_moto, account) = objects().await;
    let told = account
        .python(
            r"
import gzip
for key in ['2026/x.json', '2026/typed', '2026/lines.ndjson', '2026/table.csv', '2026/packed.json', '2026/lies.csv', '2026/photo.png', 'open/x.json']:
    try:
        got = s3.get_object(Bucket='traces', Key=key)
        body = got['Body'].read()
        if got.get('ContentEncoding') == 'gzip': body = gzip.decompress(body)
        print(key, 'ETag' in got and got['ETag'] != '', 'leak' if b'key-of-a-customer' in body else 'masked', b'api_key' in body)
    except ClientError as error:
        print(key, error.response['Error']['Code'], error.response['Error']['Message'][:60])
",
        )
        .await;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "2026/x.json False masked True",
            "2026/typed False masked True",
            "2026/lines.ndjson False masked True",
            "2026/table.csv False masked True",
            "2026/packed.json False masked True"
        ],
        "{told}"
    );
    assert!(lines[5].starts_with("2026/lies.csv AccessDenied"), "{told}");
    assert!(lines[6].starts_with("2026/photo.png AccessDenied"), "{told}");
    assert_eq!(lines[7], "open/x.json True leak True", "{told}");
    let recorded = account.recorded();
    // that of the object that no mask binds, twice in it
    assert_eq!(recorded.matches("key-of-a-customer").count(), 2, "{recorded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_beside_the_object_tells_what_is_masked() {
    let (_moto, account) = objects().await;
    let told = account
        .python(
            r"
def refused(what, call):
    try:
        call()
        print(what, 'went through')
    except ClientError as error:
        print(what, error.response['ResponseMetadata']['HTTPStatusCode'])
key = {'Bucket': 'traces', 'Key': '2026/x.json'}
refused('range', lambda: s3.get_object(**key, Range='bytes=10-20'))
refused('if-match', lambda: s3.get_object(**key, IfMatch='0' * 32))
refused('attributes', lambda: s3.get_object_attributes(**key, ObjectAttributes=['ETag']))
refused('copy', lambda: s3.copy_object(Bucket='traces', Key='open/y', CopySource=key))
refused('part', lambda: s3.get_object(**key, PartNumber=1))
refused('type', lambda: s3.get_object(**key, ResponseContentType='text/csv'))
head = s3.head_object(**key)
print('head', 'ETag' in head, head.get('ChecksumCRC32'))
tags = {o['ETag'] for o in s3.list_objects_v2(Bucket='traces', Prefix='2026/')['Contents']}
print('listing', len(tags))
",
        )
        .await;
    let expected =
        "range 403\nif-match 403\nattributes 403\ncopy 403\npart 403\ntype 403\nhead False None\nlisting 1\n";
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_come_masked_and_what_would_ask_about_them_is_refused() {
    let moto = Moto::start();
    prepare(&moto,
        r"
ddb.create_table(TableName='traces', BillingMode='PAY_PER_REQUEST',
    AttributeDefinitions=[{'AttributeName': 'id', 'AttributeType': 'S'}],
    KeySchema=[{'AttributeName': 'id', 'KeyType': 'HASH'}])
ddb.put_item(TableName='traces', Item={'id': {'S': '1'}, 'api_key': {'S': 'key-of-a-customer'}, 'n': {'N': '1'}})
",
    )
    .await;
    let masks = vec![("$.api_key", vec!["traces"])];
    let account = Account::start(Setup { masks, ..Setup::open(moto.port) }).await;
    let told = account
        .python(
            r"
def ask(what, call):
    try:
        answer = json.dumps(call(), default=str)
        print(what, 'leak' if 'key-of-a-customer' in answer else 'masked')
    except ClientError as error:
        print(what, error.response['Error']['Code'])
key = {'TableName': 'traces', 'Key': {'id': {'S': '1'}}}
ask('get', lambda: ddb.get_item(**key))
ask('scan', lambda: ddb.scan(TableName='traces'))
ask('batch', lambda: ddb.batch_get_item(RequestItems={'traces': {'Keys': [{'id': {'S': '1'}}]}}))
ask('transact', lambda: ddb.transact_get_items(TransactItems=[{'Get': key}]))
ask('returned', lambda: ddb.update_item(**key, UpdateExpression='SET n = :n', ExpressionAttributeValues={':n': {'N': '2'}}, ReturnValues='ALL_NEW'))
ask('failed condition', lambda: ddb.update_item(**key, UpdateExpression='SET n = :n', ConditionExpression='n = :m', ExpressionAttributeValues={':n': {'N': '2'}, ':m': {'N': '9'}}, ReturnValuesOnConditionCheckFailure='ALL_OLD'))
begins = {'ExpressionAttributeValues': {':k': {'S': 'key'}}}
ask('filter', lambda: ddb.scan(TableName='traces', FilterExpression='begins_with(api_key, :k)', **begins))
ask('condition', lambda: ddb.delete_item(**key, ConditionExpression='begins_with(api_key, :k)', **begins))
ask('copied', lambda: ddb.update_item(**key, UpdateExpression='SET stolen = api_key'))
ask('partiql', lambda: ddb.execute_statement(Statement='SELECT api_key FROM traces'))
",
        )
        .await;
    let expected = "get masked\nscan masked\nbatch masked\ntransact masked\nreturned masked\n\
        failed condition ConditionalCheckFailedException\nfilter AccessDeniedException\ncondition AccessDeniedException\n\
        copied AccessDeniedException\npartiql ValidationException\n";
    assert_eq!(told, expected);
    let recorded = account.recorded();
    assert!(!recorded.contains("key-of-a-customer"), "{recorded}");
}
