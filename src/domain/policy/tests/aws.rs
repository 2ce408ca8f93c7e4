//! The presets for AWS, call by call.

use super::*;
use crate::domain::facts::{AwsAccess, AwsFacts, CallFacts, IssueFacts};

fn call(service: &str, operation: &str, access: AwsAccess) -> CallFacts {
    let aws = AwsFacts {
        service: service.into(),
        operation: operation.into(),
        actions: BTreeSet::from([format!("{service}:{operation}")]),
        access,
        resources: BTreeSet::new(),
        buckets: BTreeSet::new(),
        keys: BTreeSet::new(),
        prefix: None,
        tables: BTreeSet::new(),
        attributes: BTreeSet::new(),
        limit: None,
        presigned: false,
    };
    CallFacts { aws: Some(Box::new(aws)), ..CallFacts::unread("GET".into(), "/".into()) }
}

fn with(mut call: CallFacts, limit: Option<i64>, prefix: Option<&str>) -> CallFacts {
    if let Some(aws) = &mut call.aws {
        aws.limit = limit;
        aws.prefix = prefix.map(Into::into);
    }
    call
}

#[test]
fn each_preset_for_aws_judges_as_its_file_says() {
    let s3 = |operation: &str, access| call("s3", operation, access);
    let list = |limit, prefix| with(s3("ListObjectsV2", AwsAccess::List), limit, prefix);
    let scan = |limit| with(call("dynamodb", "Scan", AwsAccess::Read), limit, None);
    let mut table = String::new();
    for (label, facts) in [
        ("list buckets", s3("ListBuckets", AwsAccess::List)),
        ("list a bucket", list(None, None)),
        ("list below a prefix", list(None, Some("2026/"))),
        ("list below an empty prefix", list(Some(10), Some(""))),
        ("list 5000 below a prefix", list(Some(5000), Some("2026/"))),
        ("get an object", s3("GetObject", AwsAccess::Read)),
        ("put an object", s3("PutObject", AwsAccess::Write)),
        ("delete an object", s3("DeleteObject", AwsAccess::Delete)),
        ("delete objects", s3("DeleteObjects", AwsAccess::Delete)),
        ("open a bucket", s3("PutBucketPolicy", AwsAccess::Permissions)),
        ("scan", scan(None)),
        ("scan 100", scan(Some(100))),
        ("get an item", call("dynamodb", "GetItem", AwsAccess::Read)),
        ("a service known by name", call("sqs", "SendMessage", AwsAccess::Unknown)),
    ] {
        write!(table, "{label:<28}").unwrap();
        for name in ["aws-bulk", "aws-read-only"] {
            let policy = compile(&[("preset", &preset(name).unwrap().text), ("open", OPEN)]);
            let rule = word(&policy.judge(&alice(&[]), &db(), &Action::Call(&facts)));
            write!(table, " {:<10}", rule.strip_prefix(name).unwrap_or(&rule)).unwrap();
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    insta::assert_snapshot!(table, @r"
    list buckets                 .buckets   open!
    list a bucket                .prefix?   open!
    list below a prefix          open!      open!
    list below an empty prefix   .prefix?   open!
    list 5000 below a prefix     .page      open!
    get an object                open!      open!
    put an object                open!      .changes
    delete an object             open!      .changes
    delete objects               .delete?   .changes
    open a bucket                open!      .changes
    scan                         .scan?     open!
    scan 100                     open!      open!
    get an item                  open!      open!
    a service known by name      open!      .changes
    ");
    let facts = IssueFacts {
        role: "arn:aws:iam::123456789012:role/hoop".into(),
        seconds: 900,
        actions: BTreeSet::new(),
        resources: BTreeSet::new(),
    };
    let policy = compile(&[("preset", &preset("aws-read-only").unwrap().text), ("open", OPEN)]);
    assert_eq!(word(&policy.judge(&alice(&[]), &db(), &Action::Issue(&facts))), "aws-read-only.credentials");
}
