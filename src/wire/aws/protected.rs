//! What masks forbid of an AWS call, and what they make of its answer.
//!
//! Job: a call and where masks are → [`Refusal`] of what would tell protected values without showing them (filters, copies,
//! digests, parts), or the [`Treatment`] of a plain read. Boundary: which paths of an item are protected is asked of the
//! caller; bodies are masked elsewhere. Failure mode: refused when in doubt.
//!
//! Not covered, and to be said where masks are configured: the sizes of objects and of whole pages, and the order in which a
//! query returns items whose sort key is protected. A protected attribute should be no key.

use super::call::{AwsCall, Detail};
use super::dynamodb::{DynamoCall, Role};
use super::s3::S3Call;
use crate::domain::facts::AwsAccess;
use crate::domain::item::{ItemStep, Reach};

/// What is done with a call that masks meet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Treatment {
    /// Headers of the request that are not sent on, in lower case.
    pub drop_request: &'static [&'static str],
    /// Headers of the answer that are not passed on, in lower case; `*` stands for what follows. `Content-Length` of a body
    /// that is masked is the gateway's business, as for other bodies.
    pub strip: &'static [&'static str],
    /// The answer's body is an object, and masked as its media type says. An answer in parts (206) is refused.
    pub body: bool,
    /// The answer's body is DynamoDB JSON, and its items are masked.
    pub items: bool,
    /// The answer lists objects, and digests in it are blinded ([`super::listing::Listing`]).
    pub digests: bool,
}

/// Why a call may not pass where masks are: a sentence for its author, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

/// Whether a mask meets what a call touches. `on` are the places where it is: `bucket/prefix*` or a table, `*` for any run
/// of characters; a bucket alone is all that is in it. None: everywhere.
#[must_use]
pub fn meets(call: &AwsCall, on: &[String]) -> bool {
    let facts = &call.facts;
    match &call.detail {
        Detail::Dynamo(_) => {
            !facts.tables.is_empty()
                && (on.is_empty()
                    || facts.tables.iter().any(|table| on.iter().any(|place| Glob(place).matches(table))))
        }
        Detail::Named => false,
        Detail::S3(detail) => objects(detail).any(|(bucket, key)| place(on, bucket, key)),
    }
}

/// The objects, or buckets, that an S3 call is about.
fn objects(call: &S3Call) -> impl Iterator<Item = (&str, Option<&str>)> {
    let bucket = call.bucket.as_deref();
    // of a call that names its keys, the bucket itself is not touched
    let own = bucket.filter(|_| call.deleted.is_empty()).map(|bucket| (bucket, call.key.as_deref()));
    let source = call.source.as_ref().map(|source| (source.bucket.as_str(), Some(source.key.as_str())));
    let deleted = call.deleted.iter().filter_map(move |key| Some((bucket?, Some(key.as_str()))));
    own.into_iter().chain(source).chain(deleted)
}

/// Whether one of these places is, or for a bucket may be in, what is touched.
fn place(on: &[String], bucket: &str, key: Option<&str>) -> bool {
    on.is_empty()
        || on.iter().any(|place| {
            if !place.contains('/') && Glob(place).matches(bucket) {
                return true;
            }
            match key {
                Some(key) => {
                    // some servers that speak like S3 take out what is doubled
                    let plain: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
                    Glob(place).matches(&format!("{bucket}/{key}"))
                        || Glob(place).matches(&format!("{bucket}/{}", plain.join("/")))
                }
                None => Glob(place).may_begin(&format!("{bucket}/")),
            }
        })
}

/// What masks protect of an item, for whoever may not name them.
#[derive(Clone, Copy)]
pub struct Protection<'a> {
    /// How a place lies to what is protected.
    pub reach: &'a dyn Fn(&[ItemStep]) -> Reach,
    /// Whether something else is protected of a list once its elements have moved up.
    pub shifts: &'a dyn Fn(&[ItemStep]) -> bool,
}

/// Judges a call that masks meet. `on` holds the places of each mask that [`meets`] it.
///
/// # Errors
/// When its answer, or what it does, would depend on protected values in another way than by showing them masked.
pub fn check(call: &AwsCall, on: &[&[String]], protection: Protection<'_>) -> Result<Treatment, Refusal> {
    match &call.detail {
        Detail::Dynamo(detail) => dynamo(call, detail, protection),
        Detail::Named => Ok(Treatment::default()),
        Detail::S3(detail) => s3(call, detail, on),
    }
}

fn s3(call: &AwsCall, detail: &S3Call, on: &[&[String]]) -> Result<Treatment, Refusal> {
    let operation = call.facts.operation.as_str();
    let at = |bucket: &str, key: Option<&str>| on.iter().any(|on| place(on, bucket, key));
    if detail.source.as_ref().is_some_and(|source| at(&source.bucket, Some(&source.key))) {
        return refuse(format!("{operation} would copy an object that is masked to where it is not"));
    }
    let Some(bucket) = detail.bucket.as_deref() else { return Ok(Treatment::default()) };
    // a call that names its keys is about those only
    let touched = match detail.deleted.as_slice() {
        [] => at(bucket, detail.key.as_deref()),
        keys => keys.iter().any(|key| at(bucket, Some(key))),
    };
    if !touched {
        return Ok(Treatment::default());
    }
    if detail.compares {
        return refuse(format!(
            "{operation} with If-Match or If-None-Match compares digests of what is masked; leave the ETag out"
        ));
    }
    if call.facts.access == AwsAccess::Permissions && !UNLOCKING.contains(&operation) {
        return refuse(format!("{operation} would let others read what is masked here"));
    }
    let strip = DIGESTS;
    match operation {
        "GetObject" | "HeadObject" => {
            if detail.part {
                return refuse(
                    "an object with masks is read whole: leave Range and partNumber out \
                     (for the AWS CLI and boto3, raise multipart_threshold above its size)"
                        .into(),
                );
            }
            let changed = ["response-content-type", "response-content-encoding"];
            if let Some(name) = changed.into_iter().find(|name| detail.overrides.contains(*name)) {
                return refuse(format!("`{name}` would change how the object is masked; leave it out"));
            }
            let drop_request = &["x-amz-checksum-mode"];
            Ok(Treatment { drop_request, strip, body: operation == "GetObject", ..Treatment::default() })
        }
        "GetObjectAttributes" => {
            refuse("GetObjectAttributes gives digests of what is masked; use HeadObject".into())
        }
        "SelectObjectContent" => {
            refuse("SelectObjectContent filters what is masked; read the object whole".into())
        }
        _ if OPENING.contains(&operation) => {
            refuse(format!("{operation} would have what is masked copied or told elsewhere"))
        }
        // what a write answers are the digests of what was sent, which the next call of an upload needs
        _ if !call.facts.access.is_read_only() && operation != "CompleteMultipartUpload" => {
            Ok(Treatment::default())
        }
        _ => Ok(Treatment { strip, digests: LISTING.contains(&operation), ..Treatment::default() }),
    }
}

fn dynamo(call: &AwsCall, detail: &DynamoCall, protection: Protection<'_>) -> Result<Treatment, Refusal> {
    let operation = call.facts.operation.as_str();
    if !detail.data {
        let changes = matches!(call.facts.access, AwsAccess::Permissions | AwsAccess::Write);
        let opens = call.facts.access == AwsAccess::Permissions;
        return if changes && (opens || !HARMLESS.contains(&operation)) {
            refuse(format!(
                "{operation} could have items that are masked copied, or their protected attributes indexed"
            ))
        } else {
            Ok(Treatment::default())
        };
    }
    if detail.sizes {
        return refuse(format!(
            "{operation} asks for the capacity that it takes, which tells how long masked values are: \
             leave ReturnConsumedCapacity and ReturnItemCollectionMetrics out"
        ));
    }
    if detail.unclear {
        return refuse("an expression of the call was not understood, and the table has masks".into());
    }
    for one in &detail.uses {
        // INVARIANT: what is protected by its place in a list keeps that place
        if let (Role::Remove, Some((ItemStep::Index(_), list))) = (one.role, one.path.split_last())
            && (protection.shifts)(list)
        {
            let name = shown(&one.path);
            return refuse(format!(
                "{operation} removes `{name}`, upon which what is masked in that list would move to where it is not: \
                 set the element to another value"
            ));
        }
        let reach = (protection.reach)(&one.path);
        let place = one.path.iter().any(|step| matches!(step, ItemStep::Index(_)));
        let refused = match (one.role, reach) {
            (_, Reach::Clear) => false,
            (_, Reach::Within) | (Role::Read, Reach::Above) => true,
            // what comes back of a list has other places than in the item
            (Role::Project, Reach::Above) => place,
            (Role::Put | Role::Remove, Reach::Above) => place && detail.returns,
            (Role::Key, Reach::Above) => false,
        };
        if refused {
            let what = match one.role {
                Role::Key => "finds items by",
                Role::Project => "asks by name for",
                Role::Put => "writes",
                Role::Read => "decides or computes with",
                Role::Remove => "removes",
            };
            let name = shown(&one.path);
            let advice = match (one.role, reach) {
                (Role::Project, _) => "leave it out, or read whole items",
                (_, Reach::Above) => {
                    "it may hold something masked (a mask `$..name` reaches into every attribute)"
                }
                _ => "leave it out",
            };
            return refuse(format!("{operation} {what} `{name}`, which is masked: {advice}"));
        }
    }
    Ok(Treatment { strip: &["x-amz-crc32"], items: detail.items, ..Treatment::default() })
}

fn shown(path: &[ItemStep]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            ItemStep::Index(place) => text.push_str(&format!("[{place}]")),
            ItemStep::Name(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&super::uri::shown(name));
            }
        }
    }
    text
}

fn refuse<T>(why: String) -> Result<T, Refusal> {
    Err(Refusal(why))
}

/// A pattern in which `*` stands for any run of characters.
struct Glob<'a>(&'a str);

impl Glob<'_> {
    fn matches(&self, text: &str) -> bool {
        self.after(text).last() == Some(&true)
    }

    /// Whether some text that begins so matches.
    fn may_begin(&self, text: &str) -> bool {
        self.after(text).contains(&true)
    }

    /// Which places of the pattern are reached after a text.
    fn after(&self, text: &str) -> Vec<bool> {
        let pattern = self.0.as_bytes();
        let mut reached = vec![false; pattern.len() + 1];
        if let Some(first) = reached.first_mut() {
            *first = true;
        }
        Self::skip(pattern, &mut reached);
        for byte in text.bytes() {
            let mut next = vec![false; pattern.len() + 1];
            for (place, wanted) in pattern.iter().enumerate() {
                if reached.get(place) != Some(&true) {
                    continue;
                }
                let to = if *wanted == b'*' { place } else { place + 1 };
                if (*wanted == b'*' || *wanted == byte)
                    && let Some(slot) = next.get_mut(to)
                {
                    *slot = true;
                }
            }
            Self::skip(pattern, &mut next);
            reached = next;
        }
        reached
    }

    /// A star may stand for nothing.
    fn skip(pattern: &[u8], reached: &mut [bool]) {
        for (place, wanted) in pattern.iter().enumerate() {
            if *wanted == b'*'
                && reached.get(place) == Some(&true)
                && let Some(slot) = reached.get_mut(place + 1)
            {
                *slot = true;
            }
        }
    }
}

/// Headers of answers that are digests of an object, and those that clients put digests in.
const DIGESTS: &[&str] = &["content-md5", "etag", "x-amz-checksum-*", "x-amz-meta-*"];
/// Operations whose answers have ETags of objects or parts.
const LISTING: &[&str] =
    &["CompleteMultipartUpload", "ListObjectVersions", "ListObjects", "ListObjectsV2", "ListParts"];
/// Changes of a bucket after which others get its objects, or what their digests are.
const OPENING: &[&str] = &[
    "PutBucketAnalyticsConfiguration",
    "PutBucketInventoryConfiguration",
    "PutBucketLogging",
    "PutBucketNotificationConfiguration",
    "PutBucketReplication",
    "PutBucketWebsite",
];
/// Operations that may bypass a lock, which shows nothing to anybody.
const UNLOCKING: &[&str] = &["DeleteObject", "DeleteObjects", "PutObjectRetention"];
/// Changes of a table after which its items are where they were, and found as they were.
const HARMLESS: &[&str] =
    &["CreateBackup", "CreateTable", "TagResource", "UntagResource", "UpdateContinuousBackups"];

#[cfg(test)]
mod tests;
