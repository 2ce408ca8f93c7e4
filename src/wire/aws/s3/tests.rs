#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::domain::facts::AwsFacts;
use crate::wire::aws::call;

type Read = Result<AwsCall, Unjudged>;

fn headers(headers: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    headers.iter().map(pair).collect()
}

fn call_with(method: &str, target: &str, extra: &[(&str, &str)], body: Option<&str>) -> Read {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let headers = headers(extra);
    let head = Head { method, path, query, headers: &headers };
    let body = body.filter(|_| call::needs_body("s3", &head).is_some());
    call::read("s3", &head, body.map(str::as_bytes), "eu-west-1")
}

fn call(method: &str, target: &str) -> Read {
    call_with(method, target, &[], None)
}

fn facts(method: &str, target: &str, extra: &[(&str, &str)]) -> AwsFacts {
    call_with(method, target, extra, None).unwrap_or_else(|error| panic!("{method} {target}: {error}")).facts
}

fn refused(method: &str, target: &str, extra: &[(&str, &str)]) -> String {
    call_with(method, target, extra, None).expect_err(target).to_string()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The operations of AWS's own model of S3, one a line: name, method, address, parameters that must and may be there,
/// headers.
const MODEL: &str = include_str!("model.txt");

/// What is refused of it, on purpose.
const REFUSED: &[&str] = &[
    "CreateBucketMetadataConfiguration",
    "CreateBucketMetadataTableConfiguration",
    "CreateSession",
    "DeleteBucketMetadataConfiguration",
    "DeleteBucketMetadataTableConfiguration",
    "DeleteObjectAnnotation",
    "GetBucketAbac",
    "GetBucketMetadataConfiguration",
    "GetBucketMetadataTableConfiguration",
    "GetObjectAnnotation",
    "GetObjectTorrent",
    "ListObjectAnnotations",
    "PutBucketAbac",
    "PutObjectAnnotation",
    "RenameObject",
    "UpdateBucketMetadataAnnotationTableConfiguration",
    "UpdateBucketMetadataInventoryTableConfiguration",
    "UpdateBucketMetadataJournalTableConfiguration",
    "UpdateObjectEncryption",
    "WriteGetObjectResponse",
];

/// The headers of it that are refused: they ask for what is not judged yet.
const REFUSED_HEADERS: &[&str] = &[
    "x-amz-bucket-namespace",
    "x-amz-object-annotation-directive",
    "x-amz-object-lock-event-hold",
    "x-amz-write-offset-bytes",
];

/// What has two names in it.
const RENAMED: &[(&str, &str)] = &[
    ("GetBucketLifecycle", "GetBucketLifecycleConfiguration"),
    ("GetBucketNotification", "GetBucketNotificationConfiguration"),
    ("PutBucketLifecycle", "PutBucketLifecycleConfiguration"),
    ("PutBucketNotification", "PutBucketNotificationConfiguration"),
    // its address and parameters are those of ListBuckets; it is served elsewhere
    ("ListDirectoryBuckets", "ListBuckets"),
];

#[test]
fn each_operation_of_the_model_is_itself_or_refused_by_name() {
    let mut recognised = BTreeSet::new();
    for line in MODEL.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let &[name, method, address, must, may, extra] = fields.as_slice() else { panic!("{line}") };
        let list = |text: &'static str| text.split(',').filter(|text| *text != "-");
        let value = |name: &str| if name.contains("umber") || name.starts_with("max-") { "7" } else { "x" };
        let mut parameters: Vec<String> = list(must).map(|name| format!("{name}={}", value(name))).collect();
        let (path, sub) = address.split_once('?').unwrap_or((address, ""));
        parameters.extend(sub.split('&').filter(|sub| !sub.is_empty()).map(Into::into));
        let copies = name.contains("Copy");
        let source = if copies { vec![("x-amz-copy-source", "/from/key")] } else { Vec::new() };
        let body = match name {
            "DeleteObjects" => "<Delete><Object><Key>k</Key></Object></Delete>",
            "RestoreObject" => "<RestoreRequest><Days>1</Days></RestoreRequest>",
            _ => "",
        };
        let read = |parameters: &[String], headers: &[(&str, &str)]| {
            call_with(method, &format!("{path}?{}", parameters.join("&")), headers, Some(body))
        };
        let expected = RENAMED.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new);
        let plain = read(&parameters, &source);
        if REFUSED.contains(&name) {
            assert!(plain.is_err(), "{name}");
            continue;
        }
        let plain = plain.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(plain.facts.operation, expected);
        assert!(!plain.facts.actions.is_empty() && !plain.facts.resources.is_empty(), "{name}");
        recognised.insert(expected);
        if name == "ListDirectoryBuckets" {
            continue;
        }
        // with every parameter and header that it may have, it is the same
        parameters.extend(list(may).map(|name| format!("{name}={}", value(name))));
        let known = |name: &&str| {
            *name != "x-amz-copy-source" && !REFUSED_HEADERS.iter().any(|new| name.starts_with(new))
        };
        let mut every: Vec<(&str, &str)> = list(extra)
            .filter(known)
            .map(|name| (name, if name == "x-amz-request-payer" { "requester" } else { "x" }))
            .collect();
        every.extend(source);
        let full = read(&parameters, &every).unwrap_or_else(|error| panic!("{name}, in full: {error}"));
        assert_eq!(full.facts.operation, expected);
        assert!(
            full.facts.actions.is_superset(&plain.facts.actions)
                || parameters.iter().any(|p| p == "versionId=x"),
            "{name}"
        );
    }
    // and nothing is recognised that the model does not have
    let rows: BTreeSet<&str> = table::ROWS.iter().map(|row| row.operation).collect();
    assert_eq!(rows, recognised);
    assert_eq!((MODEL.lines().count(), REFUSED.len(), RENAMED.len(), rows.len()), (116, 20, 5, 91));
}

#[test]
fn iam_s_names_are_those_that_are_needed() {
    for (method, target, extra, operation, actions, access) in [
        ("GET", "/b-1/k", &[][..], "GetObject", &["s3:GetObject"][..], AwsAccess::Read),
        ("GET", "/b-1/k?versionId=v", &[], "GetObject", &["s3:GetObjectVersion"], AwsAccess::Read),
        ("HEAD", "/b-1/k", &[], "HeadObject", &["s3:GetObject"], AwsAccess::Read),
        ("GET", "/b-1?list-type=2&prefix=a%2F", &[], "ListObjectsV2", &["s3:ListBucket"], AwsAccess::List),
        ("GET", "/", &[], "ListBuckets", &["s3:ListAllMyBuckets"], AwsAccess::List),
        ("DELETE", "/b-1/k?versionId=v", &[], "DeleteObject", &["s3:DeleteObjectVersion"], AwsAccess::Delete),
        (
            "PUT",
            "/b-1/k",
            &[("x-amz-acl", "private")],
            "PutObject",
            &["s3:PutObject", "s3:PutObjectAcl"],
            AwsAccess::Write,
        ),
        (
            "PUT",
            "/b-1/k",
            &[("x-amz-acl", "public-read")],
            "PutObject",
            &["s3:PutObject", "s3:PutObjectAcl"],
            AwsAccess::Permissions,
        ),
        (
            "PUT",
            "/b-1/k",
            &[("x-amz-grant-read", "id=1")],
            "PutObject",
            &["s3:PutObject", "s3:PutObjectAcl"],
            AwsAccess::Permissions,
        ),
        (
            "PUT",
            "/b-1/k",
            &[("x-amz-tagging", "a=b")],
            "PutObject",
            &["s3:PutObject", "s3:PutObjectTagging"],
            AwsAccess::Write,
        ),
        (
            "PUT",
            "/b-1/k",
            &[("x-amz-copy-source", "b-2/x?versionId=v")],
            "CopyObject",
            &["s3:GetObjectVersion", "s3:PutObject"],
            AwsAccess::Write,
        ),
        (
            "DELETE",
            "/b-1/k",
            &[("x-amz-bypass-governance-retention", "true")],
            "DeleteObject",
            &["s3:BypassGovernanceRetention", "s3:DeleteObject"],
            AwsAccess::Permissions,
        ),
        ("PUT", "/b-1/k?partNumber=1&uploadId=u", &[], "UploadPart", &["s3:PutObject"], AwsAccess::Write),
        ("PUT", "/b-1?policy", &[], "PutBucketPolicy", &["s3:PutBucketPolicy"], AwsAccess::Permissions),
    ] {
        let facts = facts(method, target, extra);
        assert_eq!(
            (facts.operation.as_str(), &facts.actions, facts.access),
            (operation, &set(actions), access),
            "{target}"
        );
    }
    let plain = facts("PUT", "/b-1", &[("x-amz-bucket-object-lock-enabled", "false")]);
    assert_eq!(plain.actions, set(&["s3:CreateBucket"]));
    let copy = facts("PUT", "/b-1/k", &[("x-amz-copy-source", "/b-2/a%20b")]);
    assert_eq!(copy.resources, set(&["arn:aws:s3:::b-1/k", "arn:aws:s3:::b-2/a b"]));
    assert_eq!((copy.buckets, copy.keys), (set(&["b-1", "b-2"]), set(&["k", "a b"])));
}

#[test]
fn a_key_is_what_s3_sees() {
    for (sent, key, path) in [
        ("/bkt/a//b", "a//b", "/bkt/a//b"),
        ("/bkt//a", "/a", "/bkt//a"),
        ("/bkt/a%2Fb", "a/b", "/bkt/a/b"),
        ("/bkt/a%2fb%20c%2B", "a/b c+", "/bkt/a/b%20c%2B"),
        ("/bkt/%25%32%65", "%2e", "/bkt/%252e"),
        ("/bkt/a/", "a/", "/bkt/a/"),
        ("/bkt/%C3%A9!", "é!", "/bkt/%C3%A9%21"),
        ("/b%6bt/...", "...", "/bkt/..."),
    ] {
        let call = call("GET", sent).unwrap();
        assert_eq!(call.facts.keys, set(&[key]), "{sent}");
        assert_eq!(call.path, path);
        // read again, it is the same
        assert_eq!(self::call("GET", &call.path).unwrap().facts, call.facts);
    }
    assert_eq!(call("GET", "/bkt/").unwrap().facts.operation, "ListObjects");
    for (sent, why) in [
        ("/bkt/../k", "segment"),
        ("/bkt/a/%2e%2E", "segment"),
        ("/bkt/.", "segment"),
        ("/bkt/%2e%2e%2fk", "segment"),
        ("/bkt/a%00", "NUL"),
        ("/bkt/a+b", "bare +"),
        ("/bkt/%", "encodes nothing"),
        ("/bkt/%zz", "encodes nothing"),
        ("/bkt/%c0%af", "UTF-8"),
        ("/bkt/a b", "percent-encoded"),
        ("/bkt%2Fk", "no bucket's name"),
        ("/../k", "no bucket's name"),
        ("/arn%3Aaws%3As3%3Aeu-west-1%3A1%3Aaccesspoint/k", "access points"),
        ("//k", "no bucket's name"),
        ("bkt/k", "slash"),
        ("/x--use1-az4--x-s3/k", "directory"),
    ] {
        assert!(refused("GET", sent, &[]).contains(why), "{sent}: {}", refused("GET", sent, &[]));
    }
}

#[test]
fn what_could_be_two_operations_is_none() {
    for (method, target, extra) in [
        ("GET", "/bkt/k?acl&tagging", &[][..]),
        ("GET", "/bkt/k?acl&acl", &[]),
        ("GET", "/bkt?list-type=1", &[]),
        ("GET", "/bkt?list-type=2&versions", &[]),
        ("GET", "/bkt?list-type=2&list-type=2", &[]),
        ("GET", "/bkt/k?list-type=2", &[]),
        ("PUT", "/bkt/k?uploadId=u", &[]),
        ("PUT", "/bkt/k?partNumber=1", &[]),
        ("GET", "/bkt/k?unknown", &[]),
        ("GET", "/bkt?x-amz-acl=public-read", &[]),
        ("GET", "/bkt/k?ACL", &[]),
        ("GET", "/bkt/k?acl=x", &[]),
        ("GET", "/bkt/k?torrent", &[]),
        ("GET", "/bkt/k?AWSAccessKeyId=a&Signature=s&Expires=1", &[]),
        ("GET", "/bkt/k?acl;tagging", &[]),
        ("GET", "/bkt/k?partNumber=x", &[]),
        ("GET", "/bkt/k?versionId=", &[]),
        ("POST", "/bkt", &[]),
        ("OPTIONS", "/bkt/k", &[]),
        ("get", "/bkt/k", &[]),
        ("GET", "/bkt/k", &[("x-amz-copy-source", "/b-2/k")]),
        ("GET", "/bkt/k", &[("x-amz-acl", "public-read")]),
        ("PUT", "/bkt/k", &[("x-amz-new-thing", "1")]),
        ("PUT", "/bkt/k", &[("x-amz-write-offset-bytes", "1")]),
        ("PUT", "/bkt/k", &[("x-amz-copy-source", "/b-2/k"), ("x-amz-copy-source", "/b-3/k")]),
        ("PUT", "/bkt/k", &[("x-amz-copy-source", "/b-2")]),
        ("PUT", "/bkt/k", &[("x-amz-copy-source", "/b-2/../k")]),
        ("PUT", "/bkt/k", &[("x-amz-copy-source", "/b-2/k?versionId=a&acl")]),
        ("PUT", "/bkt/k", &[("x-amz-copy-source", "arn:aws:s3:eu-west-1:1:accesspoint/a/object/k")]),
        ("GET", "/bkt/k", &[("x-http-method-override", "DELETE")]),
        ("GET", "/k", &[("host", "bkt.s3.eu-west-1.amazonaws.com")]),
        ("GET", "/bkt/k?X-Amz-Credential=x", &[]),
        ("GET", "/bkt/k?x-amz-signature=x", &[]),
        ("PUT", "/bkt/k?X-Amz-Signature=s&X-Amz-Acl=a&x-amz-acl=b", &[]),
        ("PUT", "/bkt/k?X-Amz-Signature=s&X-Amz-Acl=a", &[("x-amz-acl", "private")]),
    ] {
        refused(method, target, extra);
    }
}

#[test]
fn a_presigned_url_is_the_call_that_it_stands_for() {
    let signature = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=s&X-Amz-Security-Token=t";
    let call = call("PUT", &format!("/bkt/k?{signature}&x-id=PutObject&X-Amz-Acl=public-read")).unwrap();
    assert!(call.facts.presigned);
    assert_eq!(call.facts.access, AwsAccess::Permissions);
    assert_eq!(call.query.to_string(), "");
    assert_eq!(call.headers, [("x-amz-acl".to_owned(), "public-read".to_owned())]);
}

#[test]
fn a_query_is_its_own_canonical_form() {
    let call = call("GET", "/bkt?prefix=a%2fb+c".replace('+', "%20").as_str()).unwrap();
    assert_eq!(call.query.to_string(), "prefix=a%2Fb%20c");
    assert_eq!(call.facts.prefix.as_deref(), Some("a/b c"));
    let call = self::call("GET", "/bkt?versions&prefix=%7E&max-keys=5000").unwrap();
    assert_eq!(call.query.to_string(), "max-keys=5000&prefix=~&versions=");
    assert_eq!(call.facts.limit, Some(1000));
}

#[test]
fn deletes_name_their_keys() {
    let delete = |body: &str| call_with("POST", "/bkt?delete", &[], Some(body));
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                <Quiet>true</Quiet>\n <Object><Key>a&amp;b &#x41;</Key></Object><Object><Key>c</Key><VersionId>v</VersionId></Object></Delete>";
    let call = delete(body).unwrap();
    assert_eq!(call.facts.keys, set(&["a&b A", "c"]));
    assert_eq!(call.facts.actions, set(&["s3:DeleteObject", "s3:DeleteObjectVersion"]));
    assert_eq!(call.facts.resources, set(&["arn:aws:s3:::bkt/a&b A", "arn:aws:s3:::bkt/c"]));
    for body in [
        "",
        "<Delete/>",
        "<Delete><Object></Object></Delete>",
        "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        "<Delete><Object><Key>a<!-- b --></Key></Object></Delete>",
        "<Delete><Object><Key><![CDATA[a]]></Key></Object></Delete>",
        "<!DOCTYPE x [<!ENTITY e \"a\">]><Delete><Object><Key>&e;</Key></Object></Delete>",
        "<Delete><Object><Key>&e;</Key></Object></Delete>",
        "<Delete><Object><Key>a</Key></Object></Delete><Delete/>",
        "<Delete><Object><Key>a</Key></Object>",
        "<Delete><Object><k:Key xmlns:k=\"x\">a</k:Key></Object></Delete>",
        "<Delete><Object><Key><b>a</b></Key></Object></Delete>",
        "<Delete><Object>a<Key>b</Key></Object></Delete>",
        "<Delete><Object><Key>a\rb</Key></Object></Delete>",
        "<Delete><Object><Key>../b</Key></Object></Delete>",
        "<Delete><Object><Key>a</Key></Wrong></Delete>",
        "<Other><Object><Key>a</Key></Object></Other>",
    ] {
        assert!(delete(body).is_err(), "{body}");
    }
    assert!(call_with("POST", "/bkt?delete", &[], None).is_err());
    let restore = |body| call_with("POST", "/bkt/k?restore", &[], Some(body));
    assert!(restore("<RestoreRequest><Days>1</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>").is_ok());
    assert!(restore("<RestoreRequest><Type>SELECT</Type><OutputLocation/></RestoreRequest>").is_err());
}

proptest! {
    #[test]
    fn what_is_sent_is_what_was_judged(method in "GET|PUT|DELETE|HEAD|POST", path in "/[a-z%./]{0,6}(/[ -~é]{0,12})?", query in "([a-z-]{1,9}(=[ -~]{0,5})?&?){0,3}") {
        if let Ok(first) = call(&method, &format!("{path}?{query}")) {
            let again = call(&method, &format!("{}?{}", first.path, first.query)).unwrap();
            prop_assert_eq!(&again.facts, &first.facts);
            prop_assert_eq!(again.path, first.path);
        }
    }

    #[test]
    fn every_key_survives(key in "[^\0]{1,64}") {
        prop_assume!(!key.split('/').any(|segment| matches!(segment, "." | "..")));
        let call = call("GET", &format!("/bkt/{}", encode(&key, Slashes::Encode))).unwrap();
        prop_assert_eq!(call.detail, Detail::S3(S3Call { bucket: Some("bkt".into()), key: Some(key), downloads: true, ..S3Call::default() }));
    }
}

/// S3 knows buckets by these names as well, and masks and rules do not.
#[test]
fn a_bucket_has_one_name() {
    for alias in ["traces-x7-s3alias", "traces-x7--ol-s3", "traces-x7--op-s3", "traces-x7--xa-s3", "x7.mrap"]
    {
        let why = refused("GET", &format!("/{alias}/2026/x.json"), &[]);
        assert!(why.contains("access points"), "{why}");
        let source = format!("/{alias}/2026/x.json");
        let why = refused("PUT", "/open/x.json", &[("x-amz-copy-source", &source)]);
        assert!(why.contains("access points"), "{why}");
    }
}

/// Servers that speak like S3 delete trees and unpack archives at these.
#[test]
fn headers_of_other_vendors_are_refused() {
    for (name, value) in [
        ("x-minio-force-delete", "true"),
        ("x-minio-extract", "true"),
        ("x-goog-copy-source", "/traces/x"),
        ("x-amz-meta-snowball-auto-extract", "true"),
        ("x-amz-meta-minio-snowball-prefix", "in/"),
    ] {
        let why = refused("DELETE", "/traces/2026", &[(name, value)]);
        assert!(why.contains(name), "{why}");
    }
    facts("PUT", "/traces/x", &[("x-request-id", "1"), ("x-amz-meta-colour", "red")]);
}

/// The destination stands in the body, which nobody reads: whoever may write objects may not have them sent elsewhere.
#[test]
fn what_sends_a_bucket_elsewhere_is_no_write() {
    for setting in [
        "acl",
        "analytics&id=a",
        "inventory&id=a",
        "logging",
        "notification",
        "policy",
        "publicAccessBlock",
        "replication",
        "website",
    ] {
        let target = format!("/bkt?{setting}");
        assert_eq!(facts("PUT", &target, &[]).access, AwsAccess::Permissions, "{setting}");
    }
    for setting in ["lifecycle", "metrics&id=a"] {
        let target = format!("/bkt?{setting}");
        assert_eq!(facts("PUT", &target, &[]).access, AwsAccess::Write, "{setting}");
    }
}
