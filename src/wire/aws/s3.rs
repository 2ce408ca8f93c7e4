//! What an S3 call does (Amazon S3 API Reference, path-style addresses).
//!
//! Job: method, path, subresource and headers → operation, actions, resources. Boundary: tables ([`table`], [`headers`]);
//! bodies are read where they name objects or places. Failure mode: what the tables do not have is [`Unjudged`].

mod body;
mod headers;
mod source;
mod table;

use std::collections::BTreeSet;

use self::headers::Extras;
use self::table::{Row, Scope};
use super::call::{AwsCall, Detail, Head, Unjudged, facts, header, partition};
use super::generic::take_signature;
use super::uri::{Query, Slashes, decode, encode, shown};
use crate::domain::facts::AwsAccess;

/// What masks and caps need to know of an S3 call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct S3Call {
    /// The bucket, but of ListBuckets.
    pub bucket: Option<String>,
    /// The object's key, where the call is about one.
    pub key: Option<String>,
    /// The object that is copied from.
    pub source: Option<Source>,
    /// The keys that DeleteObjects names.
    pub deleted: Vec<String>,
    /// Whether only part of an object is asked for: `Range`, `partNumber`.
    pub part: bool,
    /// Whether the answer depends on a digest of an object: `If-Match`, `If-None-Match`, DeleteObjects with an ETag.
    pub compares: bool,
    /// The headers of the answer that the query sets: `response-content-type` and its like.
    pub overrides: BTreeSet<String>,
    /// The parameter that bounds a listing, and the most that S3 lists without one: `max-keys`.
    pub page: Option<(&'static str, i64)>,
    /// Whether the answer holds an object's bytes.
    pub downloads: bool,
}

/// The object that a copy is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its version.
    pub version: Option<String>,
}

pub(super) fn needs_body(head: &Head<'_>) -> Option<usize> {
    let query = head.query.unwrap_or_default();
    // also where the query cannot be read, or names more: then it is refused later
    let names = |name: &str| query.split('&').any(|field| field.split('=').next() == Some(name));
    (head.method == "POST" && (names("delete") || names("restore"))).then_some(body::LONGEST)
}

pub(super) fn read(head: &Head<'_>, body: Option<&[u8]>, region: &str) -> Result<AwsCall, Unjudged> {
    virtual_host(head)?;
    let (bucket, key) = place(head.path)?;
    let mut query = Query::read(head.query.unwrap_or_default())?;
    let presigned = take_signature(&mut query)?;
    if query.has("AWSAccessKeyId") {
        return Err(Unjudged::new("the URL has a signature of version 2; set signature_version = s3v4"));
    }
    query.take("x-id");
    let hoisted =
        query.take_all(|name| name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-")));
    let hoisted: Vec<_> =
        hoisted.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    if !hoisted.is_empty() && !presigned {
        return Err(Unjudged::new("the query has x-amz- parameters, which only presigned URLs have"));
    }
    let extras = Extras::read(head.headers, &hoisted)?;
    let scope = match (&bucket, &key) {
        (None, _) => Scope::Service,
        (Some(_), None) => Scope::Bucket,
        (Some(_), Some(_)) => Scope::Object,
    };
    let row = row(head.method, scope, &query, extras.source.is_some())?;

    let mut facts = facts("s3", row.operation, row.access);
    facts.presigned = presigned;
    let arn = |bucket: &str, key: Option<&str>| {
        let partition = partition(region);
        match key {
            Some(key) => format!("arn:{partition}:s3:::{bucket}/{key}"),
            None => format!("arn:{partition}:s3:::{bucket}"),
        }
    };
    let version = query.value("versionId").is_some();
    for action in row.actions {
        facts.actions.insert(if version { table::of_version(action).into() } else { (*action).into() });
    }
    let mut detail = S3Call {
        bucket: bucket.clone(),
        key: key.clone(),
        part: extras.range || (row.downloads && query.has("partNumber")),
        compares: extras.compares,
        page: row.page,
        downloads: row.operation == "GetObject",
        ..S3Call::default()
    };
    for (name, _) in query.iter().filter(|(name, _)| name.starts_with("response-")) {
        detail.overrides.insert(name.into());
    }
    match (&bucket, &key) {
        (None, _) => {
            facts.resources.insert(arn("*", None));
        }
        (Some(bucket), None) => {
            facts.buckets.insert(bucket.clone());
            facts.resources.insert(arn(bucket, None));
        }
        (Some(bucket), Some(key)) => {
            facts.buckets.insert(bucket.clone());
            facts.keys.insert(key.clone());
            facts.resources.insert(arn(bucket, Some(key)));
        }
    }
    if let Some((parameter, most)) = row.page {
        facts.prefix = query.value("prefix").map(Into::into);
        facts.limit = query.value(parameter).map(|text| count(parameter, text)).transpose()?;
        // more than a page is not given
        facts.limit = facts.limit.map(|limit| limit.min(most));
    }
    extras.apply(row, &mut facts)?;
    if let Some(source) = extras.source {
        let read = if source.version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        facts.actions.insert(read.into());
        facts.buckets.insert(source.bucket.clone());
        facts.keys.insert(source.key.clone());
        facts.resources.insert(arn(&source.bucket, Some(&source.key)));
        detail.source = Some(source);
    }
    match row.operation {
        "DeleteObjects" => {
            let bucket = bucket.as_deref().unwrap_or_default();
            let objects = body::deleted(body.ok_or_else(unread)?)?;
            facts.resources.clear();
            for object in objects {
                facts
                    .actions
                    .insert(if object.version { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" }.into());
                facts.resources.insert(arn(bucket, Some(&object.key)));
                facts.keys.insert(object.key.clone());
                detail.compares |= object.compares;
                detail.deleted.push(object.key);
            }
        }
        "RestoreObject" => body::restores_in_place(body.ok_or_else(unread)?)?,
        _ => {}
    }
    let path = match (&bucket, &key) {
        (None, _) => "/".into(),
        (Some(bucket), None) => format!("/{bucket}"),
        (Some(bucket), Some(key)) => format!("/{bucket}/{}", encode(key, Slashes::Separate)),
    };
    Ok(AwsCall { facts, path, query, headers: hoisted, detail: Detail::S3(detail) })
}

/// A host that names a bucket moves the whole path.
fn virtual_host(head: &Head<'_>) -> Result<(), Unjudged> {
    let host = header(head.headers, "host")?.unwrap_or_default().to_ascii_lowercase();
    let labels = || host.split(['.', ':']);
    let names = |label: &str| label == "s3" || label.starts_with("s3-");
    if labels().skip(1).any(names) {
        return Err(Unjudged::new("the bucket stands in the host's name; use path-style addresses"));
    }
    Ok(())
}

/// Bucket and key. A key is taken literally, with what slashes it has; `/bucket/` is the bucket.
fn place(path: &str) -> Result<(Option<String>, Option<String>), Unjudged> {
    let path = path.strip_prefix('/').ok_or_else(|| Unjudged::new("the path does not start with a slash"))?;
    if path.is_empty() {
        return Ok((None, None));
    }
    // only a bare slash ends the bucket's name; a name that holds an encoded one is none
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let bucket = bucket_name(&decode(bucket)?)?;
    if key.is_empty() {
        return Ok((Some(bucket), None));
    }
    Ok((Some(bucket), Some(key_name(decode(key)?)?)))
}

/// A bucket's name: those of today, and the old ones with capitals and underscores.
fn bucket_name(name: &str) -> Result<String, Unjudged> {
    let fine = (3..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..");
    if !fine {
        return Err(Unjudged::of(format!(
            "`{}` is no bucket's name; access points are not judged",
            shown(name)
        )));
    }
    if name.ends_with("--x-s3") || name.ends_with("--table-s3") {
        return Err(Unjudged::new("directory and table buckets are not judged"));
    }
    // INVARIANT: a bucket is judged by its one name; S3 reserves these endings for other names of buckets
    if ["-s3alias", "--ol-s3", "--op-s3", "--xa-s3", ".mrap"].iter().any(|alias| name.ends_with(alias)) {
        return Err(Unjudged::new("access points and their aliases are not judged"));
    }
    Ok(name.to_owned())
}

/// A key. S3 takes `..` literally, but not every server that speaks its protocol does.
fn key_name(key: String) -> Result<String, Unjudged> {
    if key.len() > LONGEST_KEY {
        return Err(Unjudged::new("a key has at most 1,024 bytes"));
    }
    if key.contains('\0') {
        return Err(Unjudged::new("the key holds a NUL"));
    }
    if key.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Unjudged::new("the key has a segment . or .., which servers read differently"));
    }
    Ok(key)
}

/// What only AWS's own S3 reads in one way ([`AwsCall::check_elsewhere`]).
pub(super) fn check_elsewhere(call: &S3Call, prefix: Option<&str>) -> Result<(), Unjudged> {
    let source = call.source.as_ref();
    let buckets = call.bucket.iter().chain(source.map(|source| &source.bucket));
    if let Some(name) = buckets.into_iter().find(|name| OF_SERVERS.contains(&name.as_str())) {
        return Err(Unjudged::of(format!("`{name}` is no bucket to some servers that speak like S3")));
    }
    let keys = call.key.iter().chain(source.map(|source| &source.key)).chain(&call.deleted);
    // INVARIANT: an object is judged by its one name; a slash at the end is part of it
    let is_doubled = |key: &str| key.starts_with('/') || key.contains("//");
    if keys.map(String::as_str).chain(prefix).any(is_doubled) {
        return Err(Unjudged::new(
            "the key begins with a slash or doubles one, and only AWS's own S3 is known to take that for another key",
        ));
    }
    Ok(())
}

/// The row of the table that fits, and no other.
fn row(method: &str, scope: Scope, query: &Query, copies: bool) -> Result<&'static Row, Unjudged> {
    let subs: Vec<&str> =
        query.iter().map(|(name, _)| name).filter(|name| table::is_subresource(name)).collect();
    let sub = match subs.as_slice() {
        [] => "",
        [one] => *one,
        ["select", "select-type"] => "select",
        ["partNumber", "uploadId"] => "uploadId",
        _ => return Err(Unjudged::of(format!("the query names several subresources: {}", subs.join(", ")))),
    };
    // of an object that is read, partNumber is a range
    let sub = if sub == "partNumber" { "" } else { sub };
    let fits = |row: &&Row| {
        row.method == method
            && row.scope == scope
            && row.sub == sub
            && row.copies == copies
            && row.needs.iter().all(|name| query.has(name))
    };
    let row = table::ROWS.iter().find(fits).ok_or_else(|| {
        let sub = if sub.is_empty() { String::new() } else { format!("?{sub}") };
        let scope = scope.as_str();
        Unjudged::of(format!("no S3 operation that is judged is {} of {scope}{sub}", shown(method)))
    })?;
    for (name, value) in query.iter() {
        if name == row.sub && !table::has_value(name) {
            if !value.is_empty() {
                return Err(Unjudged::of(format!("the parameter `{name}` has no value in S3")));
            }
        } else if name != row.sub && !row.needs.contains(&name) && !row.takes.contains(&name) {
            return Err(Unjudged::of(format!("{} has no parameter `{}`", row.operation, shown(name))));
        }
    }
    for (name, value) in [("list-type", "2"), ("select-type", "2")] {
        if query.value(name).is_some_and(|given| given != value) {
            return Err(Unjudged::of(format!("the parameter `{name}` is {value}")));
        }
    }
    if query.value("partNumber").is_some_and(|text| count("partNumber", text).is_err()) {
        return Err(Unjudged::new("partNumber is a number"));
    }
    for name in ["uploadId", "versionId", "id"] {
        if query.value(name).is_some_and(str::is_empty) {
            return Err(Unjudged::of(format!("the parameter `{name}` is empty")));
        }
    }
    Ok(row)
}

fn count(name: &str, text: &str) -> Result<i64, Unjudged> {
    let digits = !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or_else(|| Unjudged::of(format!("{name} is not a number")))
}

fn unread() -> Unjudged {
    Unjudged::new("the call's body was not read")
}

/// The graver of two.
fn raise(access: &mut AwsAccess, to: AwsAccess) {
    *access = (*access).max(to);
}

const LONGEST_KEY: usize = 1024;
/// First parts of paths that MinIO and Ceph's gateway answer themselves: their administration, their other protocols.
const OF_SERVERS: &[&str] = &["admin", "auth", "minio", "swift"];

#[cfg(test)]
mod tests;
