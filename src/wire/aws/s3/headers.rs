//! The headers that change what an S3 call does.
//!
//! Job: headers, and those that a presigned URL carries in its query → further permissions, sources, conditions. Boundary:
//! values of keys for encryption (SSE-C) and of MFA codes are not looked at. Failure mode: an `x-amz-` header that is not
//! known, or not with this operation, is refused.

use http::HeaderMap;

use super::Source;
use super::raise;
use super::source;
use super::table::Row;
use crate::domain::facts::{AwsAccess, AwsFacts};
use crate::wire::aws::call::{Unjudged, header};
use crate::wire::aws::uri::shown;

/// What headers say.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) source: Option<Source>,
    /// `Range`.
    pub(super) range: bool,
    /// The answer depends on a digest.
    pub(super) compares: bool,
    /// The names of those that change something, and for some what they say.
    found: Vec<(&'static Rule, String)>,
}

/// What is known of a header.
#[derive(Debug)]
struct Rule {
    name: &'static str,
    /// The operations that may have it; none: all.
    with: &'static [&'static str],
    means: Means,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// Needs a permission besides.
    Action(&'static str),
    /// Gives an ACL.
    Acl,
    /// Makes the answer depend on the source's digest.
    Compares,
    /// A fixed value.
    Is(&'static str),
    /// Nothing that policies know.
    Nothing,
    /// Needs a permission that changes who may do what.
    Permission(&'static str),
    /// The source of a copy.
    Source,
}

/// A header of another vendor's, or one that makes Snowball unpack an archive.
fn is_foreign(name: &str) -> bool {
    let vendor = name.starts_with("x-") && !OF_S3.iter().any(|known| name.starts_with(known));
    vendor
        || name.starts_with("x-amz-meta-minio-")
        || (name.starts_with("x-amz-") && name.contains("snowball"))
}

/// Headers of S3, and those that only tell whoever reads logs.
const OF_S3: &[&str] = &["x-amz-", "x-amzn-", "x-b3-", "x-correlation-id", "x-forwarded-", "x-request-id"];

impl Extras {
    pub(super) fn read(headers: &HeaderMap, hoisted: &[(String, String)]) -> Result<Self, Unjudged> {
        let mut extras = Self::default();
        // servers that speak like S3 have headers of their own, which delete whole trees or unpack archives
        let foreign = headers.keys().map(http::HeaderName::as_str).find(|name| is_foreign(name));
        if let Some(name) = foreign {
            return Err(Unjudged::of(format!("`{name}` is no header of S3, and is not judged")));
        }
        for name in headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-")) {
            if hoisted.iter().any(|(other, _)| other == name) {
                return Err(Unjudged::of(format!("`{name}` is in the query and in the headers")));
            }
            extras.take(name, header(headers, name)?.unwrap_or_default())?;
        }
        for (place, (name, value)) in hoisted.iter().enumerate() {
            if hoisted.iter().take(place).any(|(other, _)| other == name) {
                return Err(Unjudged::of(format!("the parameter `{}` occurs twice", shown(name))));
            }
            let sendable = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
                && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            if !sendable {
                return Err(Unjudged::of(format!("the parameter `{}` is no header", shown(name))));
            }
            extras.take(name, value)?;
        }
        extras.range = headers.contains_key("range");
        for name in ["if-match", "if-none-match", "if-range"] {
            extras.compares |= header(headers, name)?.is_some_and(|value| value != "*");
        }
        Ok(extras)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Unjudged> {
        let fits = |rule: &&Rule| match rule.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => rule.name == name,
        };
        let rule = RULES.iter().find(fits);
        let rule = rule.ok_or_else(|| Unjudged::of(format!("the header `{}` is not known", shown(name))))?;
        match rule.means {
            Means::Source if self.source.is_none() => self.source = Some(source::read(value)?),
            Means::Source => return Err(Unjudged::new("a copy has one source")),
            Means::Compares => self.compares = true,
            Means::Is(known) if !value.eq_ignore_ascii_case(known) => {
                return Err(Unjudged::of(format!("the header `{name}` is `{known}`, or not there")));
            }
            _ => {}
        }
        if value.eq_ignore_ascii_case("false") && SWITCHES.contains(&name) {
            return Ok(());
        }
        // only ACLs are looked at again; what else headers hold may be secret
        let value = if rule.means == Means::Acl { value } else { "" };
        self.found.push((rule, value.to_ascii_lowercase()));
        Ok(())
    }

    /// Adds what the headers mean to the facts of an operation.
    pub(super) fn apply(&self, row: &Row, facts: &mut AwsFacts) -> Result<(), Unjudged> {
        for (rule, value) in &self.found {
            if !rule.with.is_empty() && !rule.with.contains(&row.operation) {
                return Err(Unjudged::of(format!(
                    "{} does not have the header `{}`",
                    row.operation, rule.name
                )));
            }
            match rule.means {
                Means::Action(action) => {
                    facts.actions.insert(action.into());
                }
                Means::Permission(action) => {
                    facts.actions.insert(action.into());
                    raise(&mut facts.access, AwsAccess::Permissions);
                }
                Means::Acl => {
                    let bucket = matches!(row.operation, "CreateBucket" | "PutBucketAcl");
                    facts.actions.insert(if bucket { "s3:PutBucketAcl" } else { "s3:PutObjectAcl" }.into());
                    // these give nothing to anybody but the bucket's owner
                    let own = rule.name == "x-amz-acl"
                        && matches!(value.as_str(), "private" | "bucket-owner-full-control");
                    if !own {
                        raise(&mut facts.access, AwsAccess::Permissions);
                    }
                }
                Means::Compares | Means::Is(_) | Means::Nothing | Means::Source => {}
            }
        }
        Ok(())
    }
}

/// Headers that ask for nothing when they are false.
const SWITCHES: &[&str] = &["x-amz-bucket-object-lock-enabled", "x-amz-bypass-governance-retention"];
const COPIES: &[&str] = &["CopyObject", "UploadPartCopy"];
const CREATES: &[&str] = &["CopyObject", "CreateMultipartUpload", "PutObject"];
const LOCKED: &[&str] = &["DeleteObject", "DeleteObjects", "PutObjectRetention"];
const WITH_ACL: &[&str] =
    &["CopyObject", "CreateBucket", "CreateMultipartUpload", "PutBucketAcl", "PutObject", "PutObjectAcl"];
const WITH_MFA: &[&str] = &["DeleteObject", "DeleteObjects", "PutBucketVersioning"];

const fn rule(name: &'static str, with: &'static [&'static str], means: Means) -> Rule {
    Rule { name, with, means }
}

/// Amazon S3 API Reference, request headers; `*` stands for what follows.
static RULES: &[Rule] = &[
    rule("x-amz-acl", WITH_ACL, Means::Acl),
    rule(
        "x-amz-bucket-object-lock-enabled",
        &["CreateBucket"],
        Means::Action("s3:PutBucketObjectLockConfiguration"),
    ),
    rule(
        "x-amz-bucket-object-lock-token",
        &["PutBucketReplication", "PutObjectLockConfiguration"],
        Means::Nothing,
    ),
    rule("x-amz-bypass-governance-retention", LOCKED, Means::Permission("s3:BypassGovernanceRetention")),
    rule("x-amz-checksum-*", &[], Means::Nothing),
    rule("x-amz-confirm-remove-self-bucket-access", &["PutBucketPolicy"], Means::Nothing),
    rule("x-amz-content-sha256", &[], Means::Nothing),
    rule("x-amz-copy-source", COPIES, Means::Source),
    rule("x-amz-copy-source-if-match", COPIES, Means::Compares),
    rule("x-amz-copy-source-if-modified-since", COPIES, Means::Nothing),
    rule("x-amz-copy-source-if-none-match", COPIES, Means::Compares),
    rule("x-amz-copy-source-if-unmodified-since", COPIES, Means::Nothing),
    rule("x-amz-copy-source-range", &["UploadPartCopy"], Means::Nothing),
    rule("x-amz-copy-source-server-side-encryption-customer-*", COPIES, Means::Nothing),
    rule("x-amz-date", &[], Means::Nothing),
    rule("x-amz-decoded-content-length", &[], Means::Nothing),
    rule("x-amz-expected-bucket-owner", &[], Means::Nothing),
    rule("x-amz-grant-*", WITH_ACL, Means::Acl),
    rule("x-amz-if-match-initiated-time", &["AbortMultipartUpload"], Means::Nothing),
    rule("x-amz-if-match-last-modified-time", &["DeleteObject"], Means::Nothing),
    rule("x-amz-if-match-size", &["DeleteObject"], Means::Nothing),
    rule("x-amz-max-parts", &["GetObjectAttributes"], Means::Nothing),
    rule("x-amz-meta-*", CREATES, Means::Nothing),
    rule("x-amz-metadata-directive", &["CopyObject"], Means::Nothing),
    rule("x-amz-mfa", WITH_MFA, Means::Nothing),
    rule("x-amz-mp-object-size", &["CompleteMultipartUpload"], Means::Nothing),
    rule("x-amz-object-attributes", &["GetObjectAttributes"], Means::Nothing),
    rule("x-amz-object-lock-legal-hold", CREATES, Means::Action("s3:PutObjectLegalHold")),
    rule("x-amz-object-lock-mode", CREATES, Means::Action("s3:PutObjectRetention")),
    rule("x-amz-object-lock-retain-until-date", CREATES, Means::Action("s3:PutObjectRetention")),
    rule("x-amz-object-ownership", &["CreateBucket"], Means::Permission("s3:PutBucketOwnershipControls")),
    rule(
        "x-amz-optional-object-attributes",
        &["ListObjects", "ListObjectsV2", "ListObjectVersions"],
        Means::Nothing,
    ),
    rule("x-amz-part-number-marker", &["GetObjectAttributes"], Means::Nothing),
    rule("x-amz-request-payer", &[], Means::Is("requester")),
    rule("x-amz-sdk-checksum-algorithm", &[], Means::Nothing),
    rule("x-amz-security-token", &[], Means::Nothing),
    rule("x-amz-server-side-encryption", CREATES, Means::Nothing),
    rule("x-amz-server-side-encryption-aws-kms-key-id", CREATES, Means::Nothing),
    rule("x-amz-server-side-encryption-bucket-key-enabled", CREATES, Means::Nothing),
    rule("x-amz-server-side-encryption-context", CREATES, Means::Nothing),
    rule("x-amz-server-side-encryption-customer-*", &[], Means::Nothing),
    rule("x-amz-skip-destination-validation", &["PutBucketNotificationConfiguration"], Means::Nothing),
    rule("x-amz-source-expected-bucket-owner", COPIES, Means::Nothing),
    rule("x-amz-storage-class", CREATES, Means::Nothing),
    rule("x-amz-tagging", CREATES, Means::Action("s3:PutObjectTagging")),
    rule("x-amz-tagging-directive", &["CopyObject"], Means::Nothing),
    rule("x-amz-trailer", &[], Means::Nothing),
    rule(
        "x-amz-transition-default-minimum-object-size",
        &["PutBucketLifecycleConfiguration"],
        Means::Nothing,
    ),
    rule("x-amz-user-agent", &[], Means::Nothing),
    rule("x-amz-website-redirect-location", CREATES, Means::Nothing),
];
