#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::wire::aws::call::{Head, needs_body, read};
use crate::wire::aws::dynamodb::tests::call as dynamo;

fn s3(method: &str, target: &str, extra: &[(&str, &str)], body: &str) -> AwsCall {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = extra.iter().map(pair).collect();
    let head = Head { method, path, query, headers: &headers };
    let body = needs_body("s3", &head).map(|_| body.as_bytes());
    read("s3", &head, body, "eu-west-1").unwrap()
}

fn on(places: &[&str]) -> Vec<String> {
    places.iter().map(|place| (*place).to_owned()).collect()
}

/// As a gateway would do it: judged where a mask meets it.
fn judged(call: &AwsCall, places: &[&str]) -> Option<Result<Treatment, Refusal>> {
    let on = on(places);
    meets(call, &on).then(|| check(call, &[&on], Protection { reach: &|_| Reach::Clear, shifts: &|_| false }))
}

#[test]
fn a_mask_meets_the_objects_that_it_is_on() {
    let meets = |target: &str, places: &[&str]| meets(&s3("GET", target, &[], ""), &on(places));
    assert!(meets("/bkt/a/b", &["bkt/a/*"]));
    assert!(meets("/bkt/a/b", &["bkt"]));
    assert!(meets("/bkt/a/b", &["*"]));
    assert!(meets("/bkt/a/b", &[]));
    assert!(meets("/bkt/a/b", &["other", "b*/b"]));
    assert!(!meets("/bkt/a/b", &["bkt/a"]));
    assert!(!meets("/bkt/a/b", &["bkt2", "bk"]));
    assert!(!meets("/bkt/x", &["bkt/a/*"]));
    // of a bucket, what may be in it
    assert!(meets("/bkt?list-type=2", &["bkt/a/*"]));
    assert!(meets("/bkt?list-type=2", &["b*x/k"]));
    assert!(!meets("/bkt?list-type=2", &["bkt2/a/*"]));
    assert!(!meets("/", &["bkt"]));
}

#[test]
fn an_object_with_masks_is_read_whole_or_not_at_all() {
    let places = &["bkt/masked/*"];
    let read = judged(&s3("GET", "/bkt/masked/a", &[], ""), places).unwrap().unwrap();
    assert!(read.body && read.strip.contains(&"etag") && read.drop_request.contains(&"x-amz-checksum-mode"));
    let head = judged(&s3("HEAD", "/bkt/masked/a", &[], ""), places).unwrap().unwrap();
    assert!(!head.body && head.strip.contains(&"etag"));
    let list = judged(&s3("GET", "/bkt?list-type=2&prefix=x", &[], ""), places).unwrap().unwrap();
    assert!(list.digests);
    for (method, target, extra) in [
        ("GET", "/bkt/masked/a", &[("range", "bytes=0-9")][..]),
        ("GET", "/bkt/masked/a?partNumber=1", &[]),
        ("GET", "/bkt/masked/a", &[("if-none-match", "\"d41d8cd98f00b204e9800998ecf8427e\"")]),
        ("GET", "/bkt/masked/a", &[("if-match", "\"x\"")]),
        ("HEAD", "/bkt/masked/a", &[("if-match", "\"x\"")]),
        ("GET", "/bkt/masked/a?response-content-type=text%2Fplain", &[]),
        ("GET", "/bkt/masked/a?response-content-encoding=gzip", &[]),
        ("GET", "/bkt/masked/a?attributes", &[]),
        ("POST", "/bkt/masked/a?select&select-type=2", &[]),
        ("PUT", "/bkt/open/a", &[("x-amz-copy-source", "/bkt/masked/a")]),
        ("PUT", "/other/a", &[("x-amz-copy-source", "bkt/masked%2Fa")]),
        (
            "PUT",
            "/other/a?partNumber=1&uploadId=u",
            &[("x-amz-copy-source", "bkt/masked/a"), ("x-amz-copy-source-range", "bytes=0-1")],
        ),
        ("PUT", "/bkt/masked/a", &[("if-match", "\"x\"")]),
        ("PUT", "/bkt/masked/a?acl", &[("x-amz-acl", "public-read")]),
        ("PUT", "/bkt?policy", &[]),
        ("PUT", "/bkt?replication", &[]),
        ("PUT", "/bkt?inventory&id=x", &[]),
        ("PUT", "/bkt?logging", &[]),
        ("PUT", "/bkt?notification", &[]),
    ] {
        let verdict = judged(&s3(method, target, extra, ""), places);
        assert!(matches!(verdict, Some(Err(_))), "{method} {target} {extra:?}");
    }
    let compares = "<Delete><Object><Key>masked/a</Key><ETag>x</ETag></Object></Delete>";
    assert!(matches!(judged(&s3("POST", "/bkt?delete", &[], compares), places), Some(Err(_))));
    let part = judged(&s3("PUT", "/bkt/masked/a?partNumber=1&uploadId=u", &[], ""), places);
    assert_eq!(part, Some(Ok(Treatment::default())));
    for (method, target, extra, body) in [
        ("GET", "/bkt/open/a", &[("range", "bytes=0-9")][..], ""),
        ("PUT", "/bkt/masked/a", &[("if-none-match", "*")], ""),
        ("PUT", "/bkt/masked/a", &[("x-amz-copy-source", "/bkt/open/a")], ""),
        ("DELETE", "/bkt/masked/a", &[], ""),
        ("POST", "/bkt?delete", &[], "<Delete><Object><Key>masked/a</Key></Object></Delete>"),
        ("PUT", "/bkt?lifecycle", &[], ""),
    ] {
        let verdict = judged(&s3(method, target, extra, body), places);
        assert!(matches!(verdict, None | Some(Ok(_))), "{method} {target} {extra:?}");
    }
}

/// `api_key` is protected, and so is `steps[*].api_key`.
fn reach(path: &[ItemStep]) -> Reach {
    let name =
        |step: Option<&ItemStep>, name: &str| matches!(step, Some(ItemStep::Name(other)) if other == name);
    match path {
        [first, ..] if name(Some(first), "api_key") => Reach::Within,
        [first, ItemStep::Index(_), third, ..]
            if name(Some(first), "steps") && name(Some(third), "api_key") =>
        {
            Reach::Within
        }
        [first, ItemStep::Index(_)] | [first] if name(Some(first), "steps") => Reach::Above,
        _ => Reach::Clear,
    }
}

#[test]
fn an_item_with_masks_is_no_oracle() {
    let verdict = |operation: &str, body: &str| {
        let call = dynamo(operation, body).unwrap();
        assert!(meets(&call, &on(&["t"])));
        check(&call, &[&on(&["t"])], Protection { reach: &reach, shifts: &|_| false })
    };
    for (operation, rest) in [
        ("Scan", r#""FilterExpression": "begins_with(api_key, :v)""#),
        ("Scan", r#""FilterExpression": "contains(steps, :v)""#),
        ("Scan", r#""FilterExpression": "size(steps[3]) > :v", "Select": "COUNT""#),
        ("Scan", r#""ScanFilter": {"api_key": {}}"#),
        ("Scan", r#""FilterExpression": "what is this?""#),
        ("Scan", r##""FilterExpression": "#a = :v", "ExpressionAttributeNames": {"#a": "api_key"}"##),
        ("Scan", r#""ProjectionExpression": "id, api_key""#),
        ("Scan", r#""ProjectionExpression": "steps[1]""#),
        ("Scan", r#""AttributesToGet": ["api_key"]"#),
        ("Scan", r#""ExclusiveStartKey": {"api_key": {"S": "a"}}"#),
        ("Query", r#""KeyConditionExpression": "api_key = :v""#),
        ("Query", r#""KeyConditions": {"api_key": {}}"#),
        ("GetItem", r#""Key": {"api_key": {"S": "a"}}"#),
        ("PutItem", r#""Item": {"api_key": {"S": "a"}}"#),
        ("PutItem", r#""Item": {"id": {"S": "a"}}, "Expected": {"api_key": {}}"#),
        ("PutItem", r#""Item": {"id": {"S": "a"}}, "ConditionExpression": "api_key = :v""#),
        ("DeleteItem", r#""Key": {"id": {"S": "a"}}, "ConditionExpression": "attribute_exists(api_key)""#),
        ("UpdateItem", r#""Key": {"id": {"S": "a"}}, "UpdateExpression": "SET note = api_key""#),
        (
            "UpdateItem",
            r#""Key": {"id": {"S": "a"}}, "UpdateExpression": "SET note = if_not_exists(steps, :v)""#,
        ),
        ("UpdateItem", r#""Key": {"id": {"S": "a"}}, "UpdateExpression": "REMOVE api_key""#),
        ("UpdateItem", r#""Key": {"id": {"S": "a"}}, "AttributeUpdates": {"api_key": {}}"#),
        ("UpdateTable", r#""GlobalSecondaryIndexUpdates": []"#),
        ("CreateTable", r#""ResourcePolicy": "{}""#),
        ("EnableKinesisStreamingDestination", r#""StreamArn": "x""#),
        ("UpdateTimeToLive", r#""TimeToLiveSpecification": {}"#),
    ] {
        let body = format!(r#"{{"TableName": "t", {rest}}}"#);
        assert!(verdict(operation, &body).is_err(), "{operation} {rest}");
    }
    for (operation, rest) in [
        ("Scan", r#""Limit": 1"#),
        ("Scan", r#""FilterExpression": "note = :v""#),
        ("Scan", r#""ProjectionExpression": "id, steps""#),
        ("Query", r#""KeyConditionExpression": "id = :v""#),
        ("GetItem", r#""Key": {"id": {"S": "a"}}"#),
        ("PutItem", r#""Item": {"id": {"S": "a"}}, "ReturnValues": "ALL_OLD""#),
        (
            "UpdateItem",
            r#""Key": {"id": {"S": "a"}}, "UpdateExpression": "SET note = :v", "ReturnValues": "ALL_NEW""#,
        ),
    ] {
        let body = format!(r#"{{"TableName": "t", {rest}}}"#);
        let treatment = verdict(operation, &body).unwrap();
        assert!(treatment.items && treatment.strip.contains(&"x-amz-crc32"), "{operation} {rest}");
    }
    assert_eq!(verdict("DescribeTable", r#"{"TableName": "t"}"#), Ok(Treatment::default()));
    assert!(!meets(&dynamo("Scan", r#"{"TableName": "other"}"#).unwrap(), &on(&["t"])));
    let by_arn = dynamo("Scan", r#"{"TableName": "arn:aws:dynamodb:eu-west-1:1:table/t"}"#).unwrap();
    assert!(meets(&by_arn, &on(&["t"])));
}

#[test]
fn how_long_an_item_is_is_not_told_where_masks_meet() {
    let verdict = |operation: &str, rest: &str| {
        let call = dynamo(operation, &format!("{{{rest}}}")).unwrap();
        check(&call, &[&on(&["t"])], Protection { reach: &|_| Reach::Clear, shifts: &|_| false }).is_ok()
    };
    let key = r#""TableName": "t", "Key": {"id": {"S": "a"}}"#;
    let batch = r#""RequestItems": {"t": [{"DeleteRequest": {"Key": {"id": {"S": "a"}}}}]}"#;
    for (operation, body) in [
        ("GetItem", key),
        ("DeleteItem", key),
        ("Scan", r#""TableName": "t""#),
        ("BatchWriteItem", batch),
        ("TransactWriteItems", &format!(r#""TransactItems": [{{"Delete": {{{key}}}}}]"#)),
    ] {
        assert!(verdict(operation, body), "{operation}");
        let with = |more: &str| verdict(operation, &format!("{body}, {more}"));
        assert!(!with(r#""ReturnConsumedCapacity": "TOTAL""#), "{operation}");
        assert!(!with(r#""ReturnConsumedCapacity": "INDEXES""#), "{operation}");
        assert!(with(r#""ReturnConsumedCapacity": "NONE""#), "{operation}");
        if !matches!(operation, "GetItem" | "Scan") {
            assert!(!with(r#""ReturnItemCollectionMetrics": "SIZE""#), "{operation}");
        }
    }
}

#[test]
fn what_is_masked_by_its_place_in_a_list_is_not_moved() {
    // $.steps[3].api_key
    let reach = |path: &[ItemStep]| match path {
        [ItemStep::Name(name)] if name == "steps" => Reach::Above,
        [ItemStep::Name(name), ItemStep::Index(3)] if name == "steps" => Reach::Above,
        _ => Reach::Clear,
    };
    let shifts = |list: &[ItemStep]| matches!(list, [ItemStep::Name(name)] if name == "steps");
    let verdict = |update: &str| {
        let body =
            format!(r#"{{"TableName": "t", "Key": {{"id": {{"S": "a"}}}}, "UpdateExpression": "{update}"}}"#);
        let transaction = format!(r#"{{"TransactItems": [{{"Update": {body}}}]}}"#);
        let one = |operation: &str, body: &str| {
            let call = dynamo(operation, body).unwrap();
            check(&call, &[&on(&["t"])], Protection { reach: &reach, shifts: &shifts }).is_ok()
        };
        let alone = one("UpdateItem", &body);
        assert_eq!(alone, one("TransactWriteItems", &transaction), "{update}");
        alone
    };
    for update in ["REMOVE steps[0]", "REMOVE steps[3]", "remove steps [7]", "SET a = :a REMOVE b, steps[2]"]
    {
        assert!(!verdict(update), "{update}");
    }
    for update in [
        "REMOVE steps",
        "REMOVE steps[0].note",
        "REMOVE other[0]",
        "SET steps[0] = :a",
        "REMOVE steps[0].list[1]",
    ] {
        assert!(verdict(update), "{update}");
    }
}
