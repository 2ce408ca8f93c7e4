//! Services that are known by the name of the operation only.
//!
//! Job: JSON-RPC (`X-Amz-Target: Prefix.Operation`) and the Query protocol (`Action=`) → service and operation, so that a
//! rule may allow by action. Boundary: what the operation touches is not known. Failure mode: services whose operation
//! is spread over method and path (REST), CBOR, and what could name two operations, are [`Unjudged`].

use super::call::{AwsCall, Detail, Head, Unjudged, facts, header};
use super::uri::Query;
use crate::domain::facts::AwsAccess;

pub(super) fn needs_body(head: &Head<'_>) -> Option<usize> {
    let form = header(head.headers, "content-type").ok().flatten().is_some_and(is_form);
    (form && !head.headers.contains_key(TARGET)).then_some(LONGEST)
}

pub(super) fn read(service: &str, head: &Head<'_>, body: Option<&[u8]>) -> Result<AwsCall, Unjudged> {
    for name in ["smithy-protocol", "x-amz-api-version"] {
        if head.headers.contains_key(name) {
            return Err(Unjudged::of(format!("`{service}` is called with a protocol that is not judged")));
        }
    }
    if head.headers.contains_key("content-encoding") {
        return Err(Unjudged::new("the body is compressed; turn request compression off"));
    }
    let mut query = Query::read(head.query.unwrap_or_default())?;
    let presigned = take_signature(&mut query)?;
    if !matches!(head.path, "" | "/") {
        return Err(Unjudged::of(format!("`{service}` is called by path, and calls by path are not judged")));
    }
    let operation = match header(head.headers, TARGET)? {
        Some(target) => {
            if head.method != "POST" || !is_empty(&query) || presigned {
                return Err(Unjudged::new("a call with X-Amz-Target is a POST without a query"));
            }
            let media = header(head.headers, "content-type")?.unwrap_or_default();
            if !matches!(media, "application/x-amz-json-1.0" | "application/x-amz-json-1.1") {
                return Err(Unjudged::new("a call with X-Amz-Target carries application/x-amz-json"));
            }
            target.split_once('.').map_or(target, |(_, operation)| operation).to_owned()
        }
        None => action(service, head, body, &query)?,
    };
    if operation.is_empty()
        || operation.len() > 128
        || !operation.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return Err(Unjudged::new("the call names no operation"));
    }
    let access = match (service, operation.as_str()) {
        ("sts", "GetCallerIdentity") => AwsAccess::Read,
        ("sts", _) => AwsAccess::Permissions,
        _ => AwsAccess::Unknown,
    };
    let mut facts = facts(service, &operation, access);
    facts.actions.insert(format!("{service}:{operation}"));
    facts.presigned = presigned;
    Ok(AwsCall { facts, path: "/".into(), query, headers: Vec::new(), detail: Detail::Named })
}

/// The operation of the Query protocol, which stands in a form or in the query.
fn action(service: &str, head: &Head<'_>, body: Option<&[u8]>, query: &Query) -> Result<String, Unjudged> {
    let form;
    let fields = match head.method {
        // a second call in the body would be seen by some servers
        "GET" if body.is_none_or(<[u8]>::is_empty) && header(head.headers, "content-type")?.is_none() => {
            query
        }
        "GET" => return Err(Unjudged::new("a GET with a body is not judged")),
        "POST" if header(head.headers, "content-type")?.is_some_and(is_form) => {
            if !is_empty(query) {
                return Err(Unjudged::new("a call with a form has no query"));
            }
            let body = body.ok_or_else(|| Unjudged::new("the call's body was not read"))?;
            let body = std::str::from_utf8(body).map_err(|_| Unjudged::new("the form is not UTF-8"))?;
            // in forms a bare plus is a space to everybody
            form = Query::read(&body.trim_end().replace('+', "%20"))?;
            &form
        }
        _ => {
            return Err(Unjudged::of(format!(
                "`{service}` is not called by X-Amz-Target or Action, and REST calls are not judged"
            )));
        }
    };
    if !fields.has("Version") {
        return Err(Unjudged::new("the call names no version"));
    }
    let action = fields.value("Action").ok_or_else(|| Unjudged::new("the call names no operation"))?;
    Ok(action.to_owned())
}

/// Takes a presigned URL's signature out of the query; whether there was one.
pub(super) fn take_signature(query: &mut Query) -> Result<bool, Unjudged> {
    let taken = query.take_all(|name| SIGNATURE.iter().any(|known| known.eq_ignore_ascii_case(name)));
    if taken.iter().any(|(name, _)| !SIGNATURE.contains(&name.as_str())) {
        return Err(Unjudged::new("a parameter of the signature is not spelt as AWS spells it"));
    }
    let signed = taken.iter().any(|(name, _)| name == "X-Amz-Signature");
    if !taken.is_empty() && !signed {
        return Err(Unjudged::new("the query has parameters of a signature, and no signature"));
    }
    Ok(signed)
}

fn is_form(media: &str) -> bool {
    let mut parts = media.split(';').map(str::trim);
    parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
        && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8"))
}

fn is_empty(query: &Query) -> bool {
    query.iter().next().is_none()
}

const TARGET: &str = "x-amz-target";
/// More than any call of these protocols is allowed to be.
const LONGEST: usize = 1024 * 1024;
const SIGNATURE: &[&str] = &[
    "X-Amz-Algorithm",
    "X-Amz-Content-Sha256",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

#[cfg(test)]
mod tests;
