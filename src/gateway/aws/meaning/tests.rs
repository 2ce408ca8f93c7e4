#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use http::Request;

use super::*;
use crate::domain::mask::Mask;
use crate::domain::name::RuleName;
use crate::domain::target::{AwsAccessMode, AwsBase, AwsIssuer, AwsRevocation, BodyMask};

fn target() -> AwsTarget {
    AwsTarget {
        access: AwsAccessMode::Gateway,
        region: "eu-central-1".into(),
        role: "arn:aws:iam::123456789012:role/hoop".into(),
        issuer: AwsIssuer::AssumeRole {
            base: AwsBase::Environment,
            external_id: None,
            source_identity: true,
            tags: true,
        },
        sts: None,
        endpoints: BTreeMap::new(),
        services: ["s3".to_owned()].into(),
        root_certificates: None,
        permissions: Vec::new(),
        seconds: 900,
        revoke: AwsRevocation::None,
        masks: Vec::new(),
        max_response: None,
        max_items: None,
        unsigned_payload: false,
        max_connections: 1,
    }
}

/// What a call of S3 with these headers means at this endpoint.
fn read(
    target: &AwsTarget,
    base: &str,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Meaning, Problem> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut call = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        call = call.header(*name, *value);
    }
    let (mut parts, ()) = call.body(()).unwrap().into_parts();
    let (base, groups) = (base.parse().unwrap(), BTreeSet::new());
    let ground = Ground { target, groups: &groups, token_key: None, base: &base };
    ground.read("s3", &mut parts, Some(body.as_bytes()), false)
}

#[test]
fn a_key_that_some_servers_clean_up_goes_to_aws_only() {
    let target = target();
    let delete = |key: &str| format!("<Delete><Object><Key>{key}</Key></Object></Delete>");
    for (line, source, body) in [
        ("GET /traces//2026/x.json", None, String::new()),
        ("GET /traces/%2F2026/x.json", None, String::new()),
        ("GET /traces/2026//x.json", None, String::new()),
        ("GET /traces/2026/%2Fx.json", None, String::new()),
        ("GET /traces//", None, String::new()),
        ("GET /traces?list-type=2&prefix=%2F2026", None, String::new()),
        ("PUT /traces/x", Some("/traces//2026/x.json"), String::new()),
        ("PUT /traces/x", Some("traces%2F%2F2026%2Fx.json"), String::new()),
        ("POST /traces?delete", None, delete("/2026/x.json")),
        ("POST /traces?delete", None, delete("2026//x.json")),
        // MinIO's own pages, and the administration of Ceph's gateway
        ("GET /minio/v2/metrics/cluster", None, String::new()),
        ("GET /admin/bucket", None, String::new()),
        ("PUT /traces/x", Some("/minio/x"), String::new()),
    ] {
        let headers: Vec<_> = source.iter().map(|source| ("x-amz-copy-source", *source)).collect();
        let at = |base: &str| read(&target, base, line, &headers, &body).is_ok();
        assert!(!at("https://s3.internal"), "{line} {source:?} {body}");
        assert!(!at("https://s3.amazonaws.com.example.com"), "{line} {source:?} {body}");
        assert!(at("https://s3.eu-central-1.amazonaws.com"), "{line} {source:?} {body}");
    }
    for line in ["GET /traces/2026/x.json", "GET /traces/folder/", "GET /traces?list-type=2&prefix=2026/"] {
        assert!(read(&target, "https://s3.internal", line, &[], "").is_ok(), "{line}");
    }
}

/// The value of these is a digest of what is masked as often as not.
#[test]
fn what_is_said_of_an_object_that_is_masked_is_no_fact_and_not_shown() {
    let mut target = target();
    target.masks = vec![AwsMask {
        mask: BodyMask {
            name: RuleName::new("keys").unwrap(),
            path: "$..api_key".into(),
            mask: Mask::Full,
            lifted_for: BTreeSet::new(),
        },
        on: vec!["traces/2026/*".into()],
    }];
    let headers = [
        ("x-amz-meta-sha256", "5e884898"),
        ("x-amz-tagging", "key=s3cret"),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-storage-class", "GLACIER"),
    ];
    let told = |line: &str| {
        let facts = read(&target, "https://s3.internal", line, &headers, "").unwrap().facts;
        // a rule that forbids a header goes by its name
        assert_eq!(facts.headers.len(), 4, "{line}");
        facts.headers.into_values().filter(|value| !value.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(told("PUT /traces/2026/x.json"), ["GLACIER"]);
    assert_eq!(told("PUT /traces/2025/x.json").len(), 4);
    // recording and reviewers read them by the same mark
    let mut call = Request::put("/traces/2026/x.json").header("x-amz-meta-sha256", "5e884898");
    call = call.header("x-amz-storage-class", "GLACIER");
    let (mut parts, ()) = call.body(()).unwrap().into_parts();
    let (base, groups) = ("https://s3.internal".parse().unwrap(), BTreeSet::new());
    let ground = Ground { target: &target, groups: &groups, token_key: None, base: &base };
    assert!(ground.read("s3", &mut parts, None, false).is_ok());
    let recorded = |name: &str| {
        let (name, value) = (HeaderName::try_from(name).unwrap(), parts.headers.get(name).unwrap());
        crate::wire::http::head::recorded(&name, value).into_owned()
    };
    assert_eq!(recorded("x-amz-meta-sha256"), "[redacted]");
    assert_eq!(recorded("x-amz-storage-class"), "GLACIER");
}
