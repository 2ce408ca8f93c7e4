#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::facts::AwsAccess;
use crate::wire::aws::call::{AwsCall, Head, Unjudged, needs_body, read};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.1");

fn call(
    service: &str,
    method: &str,
    target: &str,
    extra: &[(&str, &str)],
    body: &str,
) -> Result<AwsCall, Unjudged> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = extra.iter().map(pair).collect();
    let head = Head { method, path, query, headers: &headers };
    let body = needs_body(service, &head).map(|_| body.as_bytes());
    read(service, &head, body, "eu-west-1")
}

#[test]
fn a_call_is_known_by_its_name() {
    for (service, extra, body, action, access) in [
        (
            "sts",
            &[FORM][..],
            "Action=GetCallerIdentity&Version=2011-06-15",
            "sts:GetCallerIdentity",
            AwsAccess::Read,
        ),
        (
            "sts",
            &[FORM],
            "Action=AssumeRole&Version=2011-06-15&RoleArn=x+y",
            "sts:AssumeRole",
            AwsAccess::Permissions,
        ),
        ("iam", &[FORM], "Version=1&Action=ListUsers", "iam:ListUsers", AwsAccess::Unknown),
        ("kms", &[JSON, ("x-amz-target", "TrentService.Decrypt")], "{}", "kms:Decrypt", AwsAccess::Unknown),
    ] {
        let facts = call(service, "POST", "/", extra, body).unwrap().facts;
        assert_eq!(facts.actions.into_iter().collect::<Vec<_>>(), [action]);
        assert_eq!(facts.access, access);
        assert!(facts.resources.is_empty());
    }
    let query =
        call("sts", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Signature=s", &[], "")
            .unwrap();
    assert!(query.facts.presigned);
    assert_eq!(query.query.to_string(), "Action=GetCallerIdentity&Version=2011-06-15");
}

#[test]
fn a_call_with_two_names_or_none_is_refused() {
    let target = ("x-amz-target", "TrentService.Decrypt");
    for (method, address, extra, body) in [
        ("POST", "/?Action=GetCallerIdentity&Version=1", &[FORM][..], "Action=AssumeRole&Version=1"),
        ("POST", "/", &[FORM], "Action=GetCallerIdentity&Action=AssumeRole&Version=1"),
        ("POST", "/", &[FORM], "Action=GetCallerIdentity"),
        ("POST", "/", &[FORM], "Action=Get%00CallerIdentity&Version=1"),
        ("POST", "/", &[FORM], "Version=1"),
        (
            "POST",
            "/",
            &[("content-type", "application/x-www-form-urlencoded; charset=utf-16")],
            "Action=A&Version=1",
        ),
        ("POST", "/?Action=A&Version=1", &[JSON, target], ""),
        ("POST", "/", &[FORM, target], "Action=A&Version=1"),
        ("POST", "/", &[JSON, target, ("x-amz-target", "TrentService.Encrypt")], ""),
        ("POST", "/", &[JSON, ("x-amz-target", "TrentService.")], ""),
        ("POST", "/", &[JSON, target, ("content-encoding", "gzip")], ""),
        ("POST", "/service/x/operation/y", &[("smithy-protocol", "rpc-v2-cbor")], ""),
        ("POST", "/2015-03-31/functions/f/invocations", &[], ""),
        ("GET", "/functions", &[], ""),
        ("PUT", "/", &[JSON, target], ""),
    ] {
        assert!(call("kms", method, address, extra, body).is_err(), "{method} {address} {extra:?} {body}");
    }
    assert!(call("", "POST", "/", &[JSON, target], "").is_err());
    assert!(call("a/b", "POST", "/", &[JSON, target], "").is_err());
}
