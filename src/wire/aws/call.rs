//! What an AWS call does.
//!
//! Job: a head, and where it matters a body → [`AwsCall`]: facts for the policy, details for masks and caps, and the one
//! spelling of path and query that is signed and sent. Boundary: pure; signatures are checked elsewhere. Failure mode:
//! [`Unjudged`], a sentence; nothing is guessed.

use std::borrow::Cow;

use http::HeaderMap;

use super::dynamodb::{self, DynamoCall};
use super::generic;
use super::s3::{self, S3Call};
use super::uri::Query;
use crate::domain::facts::{AwsAccess, AwsFacts};

/// The head of a call, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The method: `GET`.
    pub method: &'a str,
    /// The path as it was sent, percent-encoding and all.
    pub path: &'a str,
    /// The query as it was sent, without its `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// A call that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCall {
    /// What policies see.
    pub facts: AwsFacts,
    /// What is sent on: the path, encoded once as SigV4 does it.
    pub path: String,
    /// What is sent on: the query, without what belonged to a presigned URL, without `x-id`, and without what
    /// [`Self::headers`] took over.
    pub query: Query,
    /// Headers that presigned URLs carried in the query, to be sent as headers: lower-case name and value.
    pub headers: Vec<(String, String)>,
    /// What masks and caps need to know.
    pub detail: Detail,
}

impl AwsCall {
    /// What else must hold where a server answers that only speaks like AWS's: such servers clean keys up, so that one
    /// object has many names (MinIO), and keep addresses for themselves that look like buckets (MinIO, Ceph).
    ///
    /// # Errors
    /// When such a server could take the call for another one.
    pub fn check_elsewhere(&self) -> Result<(), Unjudged> {
        match &self.detail {
            Detail::S3(detail) => s3::check_elsewhere(detail, self.facts.prefix.as_deref()),
            Detail::Dynamo(_) | Detail::Named => Ok(()),
        }
    }
}

/// What is particular to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// DynamoDB.
    Dynamo(DynamoCall),
    /// A call that is known by its name only.
    Named,
    /// S3.
    S3(S3Call),
}

/// A call that cannot be judged, and why: a sentence for its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unjudged(Cow<'static, str>);

impl Unjudged {
    pub(super) fn new(why: &'static str) -> Self {
        Self(why.into())
    }

    pub(super) fn of(why: String) -> Self {
        Self(why.into())
    }
}

/// How many bytes of the body [`read`] needs at most; a longer body is to be refused. `None`: it needs none, and the body
/// may stream by.
#[must_use]
pub fn needs_body(service: &str, head: &Head<'_>) -> Option<usize> {
    match service {
        "dynamodb" => Some(dynamodb::LONGEST),
        "s3" => s3::needs_body(head),
        _ => generic::needs_body(head),
    }
}

/// Says what a call does. `service` and `region` are those that its signature names; `body` is there where [`needs_body`]
/// asks for it, without chunk signatures.
///
/// # Errors
/// When it cannot be said for sure.
pub fn read(service: &str, head: &Head<'_>, body: Option<&[u8]>, region: &str) -> Result<AwsCall, Unjudged> {
    let name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if service.is_empty() || service.len() > 64 || !service.bytes().all(name) {
        return Err(Unjudged::new("the signature names no service"));
    }
    if region.is_empty() || region.len() > 64 || !region.bytes().all(name) {
        return Err(Unjudged::new("the signature names no region"));
    }
    if head.path.len() + head.query.map_or(0, str::len) > LONGEST_TARGET {
        return Err(Unjudged::new("the address is too long"));
    }
    for name in
        ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"]
    {
        if head.headers.contains_key(name) {
            return Err(Unjudged::of(format!("the header `{name}` may turn the call into another one")));
        }
    }
    match service {
        "dynamodb" => dynamodb::read(head, body, region),
        "s3" => s3::read(head, body, region),
        _ => generic::read(service, head, body),
    }
}

/// Whether AWS itself answers at a host, also as a VPC endpoint ("AWS service endpoints").
#[must_use]
pub fn is_of_aws(host: &str) -> bool {
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|of_aws| host.ends_with(of_aws))
}

/// Whether AWS's own S3 answers at a host: below AWS's names are machines and balancers of its customers as well.
#[must_use]
pub fn is_s3_of_aws(host: &str) -> bool {
    is_of_aws(host) && host.split('.').any(|label| label == "s3" || label.starts_with("s3-"))
}

/// A header that may be there once, as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Unjudged> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Unjudged::of(format!("the header `{name}` occurs twice")));
    }
    let value = value.to_str().map_err(|_| Unjudged::of(format!("the header `{name}` is not ASCII")))?;
    Ok(Some(value.trim()))
}

/// The first part of an ARN in a region.
pub(super) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

/// Facts with only names, everything else empty.
pub(super) fn facts(service: &str, operation: &str, access: AwsAccess) -> AwsFacts {
    AwsFacts {
        service: service.into(),
        operation: operation.into(),
        actions: Default::default(),
        access,
        resources: Default::default(),
        buckets: Default::default(),
        keys: Default::default(),
        prefix: None,
        tables: Default::default(),
        attributes: Default::default(),
        limit: None,
        presigned: false,
    }
}

/// Headers whose values are never recorded, in lower case: keys of encryption, one-time codes, tokens.
pub const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-mfa",
    "x-amz-security-token",
    "x-amz-server-side-encryption-context",
    "x-amz-server-side-encryption-customer-key",
];
const LONGEST_TARGET: usize = 16 * 1024;

#[cfg(test)]
mod tests;
