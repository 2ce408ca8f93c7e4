#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::domain::facts::AwsFacts;
use crate::wire::aws::call;

pub(in crate::wire::aws) fn call(operation: &str, body: &str) -> Result<AwsCall, Unjudged> {
    let mut headers = HeaderMap::new();
    let target = format!("DynamoDB_20120810.{operation}");
    headers.insert("x-amz-target", HeaderValue::from_str(&target).unwrap());
    headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.0"));
    let head = Head { method: "POST", path: "/", query: None, headers: &headers };
    call::read("dynamodb", &head, Some(body.as_bytes()), "eu-west-1")
}

fn facts(operation: &str, body: &str) -> AwsFacts {
    call(operation, body).unwrap_or_else(|error| panic!("{operation} {body}: {error}")).facts
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn each_operation_of_the_model_is_itself_or_refused_by_name() {
    // what AWS's own model of DynamoDB has, and what is refused of it
    let model: BTreeSet<&str> = MODEL.split_whitespace().collect();
    let refused: BTreeSet<&str> = REFUSED.split_whitespace().collect();
    let mut judged = 0;
    for operation in &model {
        let body = match *operation {
            "BatchGetItem" | "BatchWriteItem" => r#"{"RequestItems": {}}"#,
            "TransactGetItems" | "TransactWriteItems" => r#"{"TransactItems": []}"#,
            _ => r#"{"TableName": "t"}"#,
        };
        match call(operation, body) {
            Ok(call) => {
                assert!(!refused.contains(operation), "{operation}");
                assert_eq!(&call.facts.operation, operation);
                judged += 1;
            }
            Err(error) => assert!(refused.contains(operation), "{operation}: {error}"),
        }
    }
    assert_eq!((model.len(), refused.len(), judged), (62, 16, 46));
    assert!(call("NoSuchOperation", "{}").is_err());
}

/// A rule that permits writes does not permit to open a table.
#[test]
fn what_opens_a_table_to_others_is_no_write() {
    let plain = facts("CreateTable", r#"{"TableName": "t"}"#);
    assert_eq!(plain.access, AwsAccess::Write);
    let open = facts("CreateTable", r#"{"TableName": "t", "ResourcePolicy": "{}"}"#);
    assert_eq!(open.access, AwsAccess::Permissions);
    assert_eq!(open.actions, set(&["dynamodb:CreateTable", "dynamodb:PutResourcePolicy"]));
    for operation in ["PutResourcePolicy", "EnableKinesisStreamingDestination"] {
        assert_eq!(facts(operation, r#"{"TableName": "t"}"#).access, AwsAccess::Permissions, "{operation}");
    }
}

#[test]
fn reads_name_tables_and_attributes() {
    let get = facts(
        "GetItem",
        r##"{"TableName": "t", "Key": {"id": {"S": "1"}}, "ProjectionExpression": "a.b[0].c, #x", "ExpressionAttributeNames": {"#x": "d.e"}}"##,
    );
    assert_eq!(get.attributes, set(&["a", "a.b.c", "d.e", "id"]));
    assert_eq!((get.tables, get.limit), (set(&["t"]), Some(1)));
    assert_eq!(get.resources, set(&["arn:aws:dynamodb:eu-west-1:*:table/t"]));
    assert_eq!(get.actions, set(&["dynamodb:GetItem"]));

    let scan = facts(
        "Scan",
        r#"{"TableName": "t", "Limit": 5, "FilterExpression": "size(a) > :v AND NOT contains(b.c, :w)", "IndexName": "by-a"}"#,
    );
    assert_eq!(scan.attributes, set(&["*", "a", "b", "b.c"]));
    assert_eq!(scan.resources, set(&["arn:aws:dynamodb:eu-west-1:*:table/t/index/by-a"]));
    assert_eq!(scan.limit, Some(5));

    let query = facts(
        "Query",
        r#"{"TableName": "t", "Select": "COUNT", "KeyConditions": {"k": {"ComparisonOperator": "EQ"}}, "QueryFilter": {"f": {}}, "AttributesToGet": ["g"]}"#,
    );
    assert_eq!(query.attributes, set(&["f", "g", "k"]));

    let batch = facts(
        "BatchGetItem",
        r#"{"RequestItems": {"t": {"Keys": [{"id": {"S": "1"}}, {"id": {"S": "2"}}]}, "arn:aws:dynamodb:eu-west-1:123:table/u": {"Keys": [{"id": {"S": "1"}}]}}}"#,
    );
    assert_eq!(batch.tables, set(&["arn:aws:dynamodb:eu-west-1:123:table/u", "t", "u"]));
    assert_eq!(
        batch.resources,
        set(&["arn:aws:dynamodb:eu-west-1:*:table/t", "arn:aws:dynamodb:eu-west-1:123:table/u"])
    );
    assert_eq!((batch.limit, batch.attributes), (Some(3), set(&["*", "id"])));
}

#[test]
fn writes_name_what_they_write_and_what_they_read() {
    let uses = |operation: &str, body: &str| {
        let Detail::Dynamo(detail) = call(operation, body).unwrap().detail else { panic!("not DynamoDB") };
        assert!(!detail.unclear, "{body}");
        detail.uses.iter().map(|one| (one.role, shown(&one.path))).collect::<Vec<_>>()
    };
    let update = |expression: &str| {
        uses("UpdateItem", &serde_json::json!({"TableName": "t", "UpdateExpression": expression}).to_string())
    };
    let (put, read) = (|name: &str| (Role::Put, name.to_owned()), |name: &str| (Role::Read, name.to_owned()));
    let remove = |name: &str| (Role::Remove, name.to_owned());
    assert_eq!(update("SET a = :v"), [put("a")]);
    assert_eq!(update("SET a = b, c.d = c.d + :v"), [put("a"), read("b"), put("c.d"), read("c.d")]);
    assert_eq!(
        update("set a=if_not_exists(b,:v),c=list_append(d, :w) REMOVE e[1], f ADD g :v DELETE h :w"),
        [put("a"), read("b"), put("c"), read("d"), remove("e[1]"), remove("f"), put("g"), put("h")]
    );
    assert_eq!(
        uses(
            "PutItem",
            r#"{"TableName": "t", "Item": {"a": {"M": {"b": {"L": [{"M": {"c": {"S": ""}}}]}}}, "d": {"N": "1"}}, "ConditionExpression": "attribute_not_exists(e)"}"#
        ),
        [put("a"), put("a.b"), put("a.b[0].c"), put("d"), read("e")]
    );
    assert_eq!(
        uses(
            "TransactWriteItems",
            r#"{"TransactItems": [{"ConditionCheck": {"TableName": "t", "Key": {"k": {"S": ""}}, "ConditionExpression": "x BETWEEN :a AND :b OR y IN (:a, :b)"}}]}"#
        ),
        [(Role::Key, "k".to_owned()), read("x"), read("y")]
    );
}

fn shown(path: &[ItemStep]) -> String {
    path.iter().fold(String::new(), |text, step| match step {
        ItemStep::Index(place) => format!("{text}[{place}]"),
        ItemStep::Name(name) if text.is_empty() => name.clone(),
        ItemStep::Name(name) => format!("{text}.{name}"),
    })
}

#[test]
fn deletes_and_transactions_have_the_gravest_access() {
    assert_eq!(
        facts("DeleteItem", r#"{"TableName": "t", "Key": {"k": {"S": ""}}}"#).access,
        AwsAccess::Delete
    );
    let batch =
        |inner: &str| facts("BatchWriteItem", &format!(r#"{{"RequestItems": {{"t": [{inner}]}}}}"#)).access;
    assert_eq!(batch(r#"{"PutRequest": {"Item": {"k": {"S": ""}}}}"#), AwsAccess::Write);
    assert_eq!(
        batch(r#"{"DeleteRequest": {"Key": {"k": {"S": ""}}}}, {"PutRequest": {"Item": {"k": {"S": ""}}}}"#),
        AwsAccess::Delete
    );
    let all = facts(
        "TransactWriteItems",
        r#"{"TransactItems": [{"Delete": {"TableName": "t", "Key": {"k": {"S": ""}}}}, {"Put": {"TableName": "u", "Item": {}}}]}"#,
    );
    assert_eq!(
        (all.access, all.actions),
        (AwsAccess::Delete, set(&["dynamodb:DeleteItem", "dynamodb:PutItem"]))
    );
    assert_eq!(
        facts("PutResourcePolicy", r#"{"ResourceArn": "arn:aws:dynamodb:eu-west-1:123:table/t"}"#).access,
        AwsAccess::Permissions
    );
}

#[test]
fn what_is_not_understood_names_everything() {
    for expression in [
        "a = ",
        "a.b.",
        "a[x] = :v",
        "evil(a)",
        "a ; b",
        "#missing = :v",
        "a = \u{df}",
        "",
        "SET a = :v",
        "a[99999999999999999999] = :v",
        ":v",
    ] {
        let body = serde_json::json!({"TableName": "t", "Select": "COUNT", "FilterExpression": expression});
        let call = call("Scan", &body.to_string()).unwrap();
        let Detail::Dynamo(detail) = &call.detail else { panic!("not DynamoDB") };
        // a condition that ends early is DynamoDB's to refuse; it names what it names
        assert!(detail.unclear || expression == "a = ", "{expression}");
        assert!(call.facts.attributes.contains("*") || call.facts.attributes.contains("a"));
    }
    for expression in [
        "a = :v",
        "SET",
        "SET a",
        "SET a = :v,",
        "SET a b",
        "SET :v = a",
        "SET a = size(b)",
        "REMOVE a(b)",
        "SET a = (b",
    ] {
        let body = serde_json::json!({"TableName": "t", "UpdateExpression": expression});
        let Detail::Dynamo(detail) = call("UpdateItem", &body.to_string()).unwrap().detail else {
            panic!("not DynamoDB")
        };
        assert!(detail.unclear || matches!(expression, "SET a" | "SET a b"), "{expression}");
    }
}

#[test]
fn what_could_be_two_calls_is_none() {
    for (operation, body) in [
        ("GetItem", r#"{"TableName": "t", "TableName": "u"}"#),
        ("GetItem", r#"{"TableName": "t", "Key": {"k": {"S": "a", "S": "b"}}}"#),
        ("GetItem", r#"{"TableName": "t", "Key": {"k": {"S": "a", "N": "1"}}}"#),
        ("GetItem", r#"{"TableName": "t", "tableName": "u"}"#),
        ("GetItem", r#"{"TableName": "t", "NewMember": 1}"#),
        ("GetItem", r#"{"Key": {}}"#),
        ("GetItem", r#"{"TableName": "t/../u"}"#),
        ("GetItem", r#"{"TableName": "arn:aws:s3:::t"}"#),
        ("GetItem", r#"{"TableName": "t"} {"#),
        ("GetItem", "[]"),
        ("Query", r#"{"TableName": "t", "Limit": "1"}"#),
        ("Query", r#"{"TableName": "t", "Select": "WHATEVER"}"#),
        ("PutItem", r#"{"TableName": "t", "ReturnValues": "SOME"}"#),
        (
            "TransactWriteItems",
            r#"{"TransactItems": [{"Put": {"TableName": "t", "Item": {}}, "Delete": {"TableName": "t", "Key": {}}}]}"#,
        ),
        ("TransactGetItems", r#"{"TransactItems": [{"Put": {"TableName": "t", "Item": {}}}]}"#),
        ("ExecuteStatement", r#"{"Statement": "SELECT * FROM t"}"#),
        ("getItem", r#"{"TableName": "t"}"#),
    ] {
        assert!(call(operation, body).is_err(), "{operation} {body}");
    }
}

proptest! {
    #[test]
    fn expressions_return(text in "[-a-cA-Z#:._ ()\\[\\]0-9,=<>+]{0,40}") {
        let body = serde_json::json!({"TableName": "t", "FilterExpression": text, "ProjectionExpression": text});
        call("Scan", &body.to_string()).unwrap();
        let body = serde_json::json!({"TableName": "t", "UpdateExpression": text});
        call("UpdateItem", &body.to_string()).unwrap();
    }

    #[test]
    fn every_name_of_a_condition_is_found(names in proptest::collection::vec("[xyz]{3,6}", 1..5)) {
        let text = names.iter().map(|name| format!("begins_with({name}, :v)")).collect::<Vec<_>>().join(" AND ");
        let body = serde_json::json!({"TableName": "t", "Select": "COUNT", "FilterExpression": text});
        prop_assert_eq!(facts("Scan", &body.to_string()).attributes, names.into_iter().collect::<BTreeSet<_>>());
    }
}

const MODEL: &str = "BatchExecuteStatement BatchGetItem BatchWriteItem CancelBulkOperation CreateBackup CreateGlobalTable \
    CreateTable DeleteBackup DeleteItem DeleteResourcePolicy DeleteTable DescribeBackup DescribeBulkOperation \
    DescribeContinuousBackups DescribeContributorInsights DescribeEndpoints DescribeExport DescribeGlobalTable \
    DescribeGlobalTableSettings DescribeImport DescribeKinesisStreamingDestination DescribeLimits DescribeTable \
    DescribeTableReplicaAutoScaling DescribeTimeToLive DisableKinesisStreamingDestination \
    EnableKinesisStreamingDestination ExecuteStatement ExecuteTransaction ExportTableToPointInTime GetItem \
    GetResourcePolicy ImportTable ListBackups ListBulkOperations ListContributorInsights ListExports ListGlobalTables \
    ListImports ListTables ListTagsOfResource PutItem PutResourcePolicy Query RestoreTableFromBackup \
    RestoreTableToPointInTime Scan SearchVectors StartBulkPutItems TagResource TransactGetItems TransactWriteItems \
    UntagResource UpdateContinuousBackups UpdateContributorInsights UpdateGlobalTable UpdateGlobalTableSettings \
    UpdateItem UpdateKinesisStreamingDestination UpdateTable UpdateTableReplicaAutoScaling UpdateTimeToLive";
const REFUSED: &str = "BatchExecuteStatement CancelBulkOperation DescribeBulkOperation DescribeExport DescribeImport \
    ExecuteStatement ExecuteTransaction ExportTableToPointInTime ImportTable ListBulkOperations ListExports ListImports \
    RestoreTableFromBackup RestoreTableToPointInTime SearchVectors StartBulkPutItems";

/// One long name that is mentioned very often would be copied each time.
#[test]
fn long_names_and_expressions_cost_no_memory() {
    let name = "x".repeat(2 * 1024 * 1024);
    let mentions = vec!["#a"; 500_000].join(",");
    let body = format!(
        r##"{{"TableName":"t","Key":{{"id":{{"S":"1"}}}},"ProjectionExpression":"{mentions}","ExpressionAttributeNames":{{"#a":"{name}"}}}}"##
    );
    let whole = facts("GetItem", &body).attributes;
    assert!(
        whole.contains("*") && whole.iter().map(String::len).sum::<usize>() < 1024,
        "it names everything"
    );
    let path = "y".repeat(1000);
    let children: Vec<String> = (0..4000).map(|n| format!(r#""c{n}":{{"S":""}}"#)).collect();
    let item = format!(r#"{{"id":{{"S":"1"}},"{path}":{{"M":{{{}}}}}}}"#, children.join(","));
    let facts = facts("PutItem", &format!(r#"{{"TableName":"t","Item":{item}}}"#));
    assert!(facts.length() < 2 * 1024 * 1024, "{}", facts.length());
}
