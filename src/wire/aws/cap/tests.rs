#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use http::HeaderMap;

use super::*;
use crate::wire::aws::call::{Head, read};
use crate::wire::aws::dynamodb::tests::call as dynamo;

fn s3(path: &str, query: &str) -> AwsCall {
    let headers = HeaderMap::new();
    read("s3", &Head { method: "GET", path, query: Some(query), headers: &headers }, None, "eu-west-1")
        .unwrap()
}

fn most(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[test]
fn a_listing_asks_for_no_more_than_the_cap() {
    for (path, query, sent) in [
        ("/bkt", "list-type=2", "list-type=2&max-keys=10"),
        ("/bkt", "list-type=2&max-keys=1000", "list-type=2&max-keys=10"),
        ("/bkt", "max-keys=3", "max-keys=3"),
        ("/bkt", "max-keys=0", "max-keys=0"),
        ("/bkt", "versions", "max-keys=10&versions="),
        ("/bkt", "uploads", "max-uploads=10&uploads="),
        ("/", "", "max-buckets=10"),
        ("/bkt/k", "", ""),
    ] {
        let mut call = s3(path, query);
        assert_eq!(lower(&mut call, most(10), None), Ok(None));
        assert_eq!(call.query.to_string(), sent);
    }
}

#[test]
fn a_scan_asks_for_no_more_than_the_cap() {
    let lowered = |operation: &str, body: &str| {
        let mut call = dynamo(operation, body).unwrap();
        lower(&mut call, most(10), Some(body.as_bytes()))
            .map(|body| body.map(|body| serde_json::from_slice::<serde_json::Value>(&body).unwrap()))
    };
    let sent = |text: &str| Ok(Some(serde_json::from_str(text).unwrap()));
    assert_eq!(lowered("Scan", r#"{"TableName":"t"}"#), sent(r#"{"Limit":10,"TableName":"t"}"#));
    assert_eq!(lowered("Scan", r#"{"TableName":"t","Limit":11}"#), sent(r#"{"Limit":10,"TableName":"t"}"#));
    assert_eq!(lowered("Query", r#"{"TableName":"t","Limit":10}"#), Ok(None));
    assert_eq!(lowered("ListTables", "{}"), sent(r#"{"Limit":10}"#));
    assert_eq!(lowered("GetItem", r#"{"TableName":"t"}"#), Ok(None));
    let keys = [r#"{"k":{"S":"a"}}"#; 11].join(",");
    assert!(lowered("BatchGetItem", &format!(r#"{{"RequestItems":{{"t":{{"Keys":[{keys}]}}}}}}"#)).is_err());
}
