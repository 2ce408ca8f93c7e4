//! The operations of S3 that are judged: how each is called, and which permissions it needs.
//!
//! Job: one row for each (Amazon S3 API Reference; Service Authorization Reference, Actions for Amazon S3). Boundary: data.
//! What is missing is missing on purpose: directory buckets (CreateSession, RenameObject), torrents, S3 Metadata and
//! annotations, ABAC, Object Lambda (WriteGetObjectResponse), UpdateObjectEncryption, and forms of browsers.

use self::Scope::{Bucket, Object, Service};
use crate::domain::facts::AwsAccess::{self, Delete, List, Permissions, Read, Write};

/// One operation.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) operation: &'static str,
    pub(super) method: &'static str,
    pub(super) scope: Scope,
    /// The parameter that makes it this operation.
    pub(super) sub: &'static str,
    pub(super) actions: &'static [&'static str],
    pub(super) access: AwsAccess,
    /// The parameters that it may have.
    pub(super) takes: &'static [&'static str],
    /// The parameters that it must have. Of two rows that differ in this only, the one that asks for more comes first.
    pub(super) needs: &'static [&'static str],
    /// Whether `x-amz-copy-source` makes it this operation.
    pub(super) copies: bool,
    /// The parameter that bounds a listing, and what S3 does without it.
    pub(super) page: Option<(&'static str, i64)>,
    /// Whether it reads an object, and may ask for a part of it.
    pub(super) downloads: bool,
}

/// What an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Bucket,
    Object,
    Service,
}

impl Scope {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Bucket => "a bucket",
            Self::Object => "an object",
            Self::Service => "the service",
        }
    }
}

impl Row {
    const fn takes(self, takes: &'static [&'static str]) -> Self {
        Self { takes, ..self }
    }

    const fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    const fn copies(self) -> Self {
        Self { copies: true, ..self }
    }

    const fn pages(self, parameter: &'static str, most: i64) -> Self {
        Self { page: Some((parameter, most)), ..self }
    }

    const fn downloads(self) -> Self {
        Self { downloads: true, ..self }
    }
}

/// Name, method, what the address names, subresource, permissions, access.
const fn row(
    operation: &'static str,
    method: &'static str,
    scope: Scope,
    sub: &'static str,
    actions: &'static [&'static str],
    access: AwsAccess,
) -> Row {
    let (takes, needs): (&[&str], &[&str]) = (&[], &[]);
    Row {
        operation,
        method,
        scope,
        sub,
        actions,
        access,
        takes,
        needs,
        copies: false,
        page: None,
        downloads: false,
    }
}

/// Whether a parameter makes a call another operation. Those without a row are here so that they are named when refused.
pub(super) fn is_subresource(name: &str) -> bool {
    matches!(name, "partNumber" | "uploadId" | "select-type") || MISSING.contains(&name) || {
        !name.is_empty() && ROWS.iter().any(|row| row.sub == name)
    }
}

/// Whether a subresource has a value.
pub(super) fn has_value(name: &str) -> bool {
    matches!(name, "list-type" | "uploadId")
}

/// What a permission is called when a version is named.
pub(super) fn of_version(action: &'static str) -> &'static str {
    match action {
        "s3:DeleteObject" => "s3:DeleteObjectVersion",
        "s3:DeleteObjectTagging" => "s3:DeleteObjectVersionTagging",
        "s3:GetObject" => "s3:GetObjectVersion",
        "s3:GetObjectAcl" => "s3:GetObjectVersionAcl",
        "s3:GetObjectAttributes" => "s3:GetObjectVersionAttributes",
        "s3:GetObjectTagging" => "s3:GetObjectVersionTagging",
        "s3:PutObjectAcl" => "s3:PutObjectVersionAcl",
        "s3:PutObjectTagging" => "s3:PutObjectVersionTagging",
        other => other,
    }
}

/// Subresources of operations that are not judged.
const MISSING: &[&str] = &[
    "abac",
    "annotation",
    "append",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "renameObject",
    "session",
    "torrent",
];

const VERSION: &[&str] = &["versionId"];
const OF_A_READ: &[&str] = &[
    "partNumber",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "versionId",
];

pub(super) static ROWS: &[Row] = &[
    row("ListBuckets", "GET", Service, "", &["s3:ListAllMyBuckets"], List)
        .takes(&["bucket-region", "continuation-token", "max-buckets", "prefix"])
        .pages("max-buckets", 10000),
    row("CreateBucket", "PUT", Bucket, "", &["s3:CreateBucket"], Write),
    row("DeleteBucket", "DELETE", Bucket, "", &["s3:DeleteBucket"], Delete),
    row("HeadBucket", "HEAD", Bucket, "", &["s3:ListBucket"], List),
    row("ListObjects", "GET", Bucket, "", &["s3:ListBucket"], List)
        .takes(&["delimiter", "encoding-type", "max-keys", "prefix", "marker"])
        .pages("max-keys", 1000),
    row("ListObjectsV2", "GET", Bucket, "list-type", &["s3:ListBucket"], List)
        .takes(&[
            "delimiter",
            "encoding-type",
            "max-keys",
            "prefix",
            "continuation-token",
            "fetch-owner",
            "start-after",
        ])
        .pages("max-keys", 1000),
    row("ListObjectVersions", "GET", Bucket, "versions", &["s3:ListBucketVersions"], List)
        .takes(&["delimiter", "encoding-type", "max-keys", "prefix", "key-marker", "version-id-marker"])
        .pages("max-keys", 1000),
    row("ListMultipartUploads", "GET", Bucket, "uploads", &["s3:ListBucketMultipartUploads"], List)
        .takes(&["delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"])
        .pages("max-uploads", 1000),
    row("DeleteObjects", "POST", Bucket, "delete", &[], Delete),
    row(
        "GetBucketAccelerateConfiguration",
        "GET",
        Bucket,
        "accelerate",
        &["s3:GetAccelerateConfiguration"],
        Read,
    ),
    row(
        "PutBucketAccelerateConfiguration",
        "PUT",
        Bucket,
        "accelerate",
        &["s3:PutAccelerateConfiguration"],
        Write,
    ),
    row("GetBucketAcl", "GET", Bucket, "acl", &["s3:GetBucketAcl"], Read),
    row("PutBucketAcl", "PUT", Bucket, "acl", &["s3:PutBucketAcl"], Permissions),
    row("GetBucketCors", "GET", Bucket, "cors", &["s3:GetBucketCORS"], Read),
    row("PutBucketCors", "PUT", Bucket, "cors", &["s3:PutBucketCORS"], Write),
    row("DeleteBucketCors", "DELETE", Bucket, "cors", &["s3:PutBucketCORS"], Write),
    row("GetBucketEncryption", "GET", Bucket, "encryption", &["s3:GetEncryptionConfiguration"], Read),
    row("PutBucketEncryption", "PUT", Bucket, "encryption", &["s3:PutEncryptionConfiguration"], Write),
    row("DeleteBucketEncryption", "DELETE", Bucket, "encryption", &["s3:PutEncryptionConfiguration"], Write),
    row(
        "GetBucketLifecycleConfiguration",
        "GET",
        Bucket,
        "lifecycle",
        &["s3:GetLifecycleConfiguration"],
        Read,
    ),
    row(
        "PutBucketLifecycleConfiguration",
        "PUT",
        Bucket,
        "lifecycle",
        &["s3:PutLifecycleConfiguration"],
        Write,
    ),
    row("DeleteBucketLifecycle", "DELETE", Bucket, "lifecycle", &["s3:PutLifecycleConfiguration"], Write),
    row("GetBucketLocation", "GET", Bucket, "location", &["s3:GetBucketLocation"], Read),
    row("GetBucketLogging", "GET", Bucket, "logging", &["s3:GetBucketLogging"], Read),
    row("PutBucketLogging", "PUT", Bucket, "logging", &["s3:PutBucketLogging"], Permissions),
    row(
        "GetBucketNotificationConfiguration",
        "GET",
        Bucket,
        "notification",
        &["s3:GetBucketNotification"],
        Read,
    ),
    row(
        "PutBucketNotificationConfiguration",
        "PUT",
        Bucket,
        "notification",
        &["s3:PutBucketNotification"],
        Permissions,
    ),
    row(
        "GetObjectLockConfiguration",
        "GET",
        Bucket,
        "object-lock",
        &["s3:GetBucketObjectLockConfiguration"],
        Read,
    ),
    row(
        "PutObjectLockConfiguration",
        "PUT",
        Bucket,
        "object-lock",
        &["s3:PutBucketObjectLockConfiguration"],
        Write,
    ),
    row(
        "GetBucketOwnershipControls",
        "GET",
        Bucket,
        "ownershipControls",
        &["s3:GetBucketOwnershipControls"],
        Read,
    ),
    row(
        "PutBucketOwnershipControls",
        "PUT",
        Bucket,
        "ownershipControls",
        &["s3:PutBucketOwnershipControls"],
        Permissions,
    ),
    row(
        "DeleteBucketOwnershipControls",
        "DELETE",
        Bucket,
        "ownershipControls",
        &["s3:PutBucketOwnershipControls"],
        Permissions,
    ),
    row("GetBucketPolicy", "GET", Bucket, "policy", &["s3:GetBucketPolicy"], Read),
    row("PutBucketPolicy", "PUT", Bucket, "policy", &["s3:PutBucketPolicy"], Permissions),
    row("DeleteBucketPolicy", "DELETE", Bucket, "policy", &["s3:DeleteBucketPolicy"], Permissions),
    row("GetBucketPolicyStatus", "GET", Bucket, "policyStatus", &["s3:GetBucketPolicyStatus"], Read),
    row("GetPublicAccessBlock", "GET", Bucket, "publicAccessBlock", &["s3:GetBucketPublicAccessBlock"], Read),
    row(
        "PutPublicAccessBlock",
        "PUT",
        Bucket,
        "publicAccessBlock",
        &["s3:PutBucketPublicAccessBlock"],
        Permissions,
    ),
    row(
        "DeletePublicAccessBlock",
        "DELETE",
        Bucket,
        "publicAccessBlock",
        &["s3:PutBucketPublicAccessBlock"],
        Permissions,
    ),
    row("GetBucketReplication", "GET", Bucket, "replication", &["s3:GetReplicationConfiguration"], Read),
    row(
        "PutBucketReplication",
        "PUT",
        Bucket,
        "replication",
        &["s3:PutReplicationConfiguration"],
        Permissions,
    ),
    row(
        "DeleteBucketReplication",
        "DELETE",
        Bucket,
        "replication",
        &["s3:PutReplicationConfiguration"],
        Write,
    ),
    row("GetBucketRequestPayment", "GET", Bucket, "requestPayment", &["s3:GetBucketRequestPayment"], Read),
    row("PutBucketRequestPayment", "PUT", Bucket, "requestPayment", &["s3:PutBucketRequestPayment"], Write),
    row("GetBucketTagging", "GET", Bucket, "tagging", &["s3:GetBucketTagging"], Read),
    row("PutBucketTagging", "PUT", Bucket, "tagging", &["s3:PutBucketTagging"], Write),
    row("DeleteBucketTagging", "DELETE", Bucket, "tagging", &["s3:PutBucketTagging"], Write),
    row("GetBucketVersioning", "GET", Bucket, "versioning", &["s3:GetBucketVersioning"], Read),
    row("PutBucketVersioning", "PUT", Bucket, "versioning", &["s3:PutBucketVersioning"], Write),
    row("GetBucketWebsite", "GET", Bucket, "website", &["s3:GetBucketWebsite"], Read),
    row("PutBucketWebsite", "PUT", Bucket, "website", &["s3:PutBucketWebsite"], Permissions),
    row("DeleteBucketWebsite", "DELETE", Bucket, "website", &["s3:DeleteBucketWebsite"], Write),
    row(
        "GetBucketAnalyticsConfiguration",
        "GET",
        Bucket,
        "analytics",
        &["s3:GetAnalyticsConfiguration"],
        Read,
    )
    .needs(&["id"]),
    row(
        "ListBucketAnalyticsConfigurations",
        "GET",
        Bucket,
        "analytics",
        &["s3:GetAnalyticsConfiguration"],
        Read,
    )
    .takes(&["continuation-token"]),
    row(
        "PutBucketAnalyticsConfiguration",
        "PUT",
        Bucket,
        "analytics",
        &["s3:PutAnalyticsConfiguration"],
        Permissions,
    )
    .needs(&["id"]),
    row(
        "DeleteBucketAnalyticsConfiguration",
        "DELETE",
        Bucket,
        "analytics",
        &["s3:PutAnalyticsConfiguration"],
        Write,
    )
    .needs(&["id"]),
    row(
        "GetBucketIntelligentTieringConfiguration",
        "GET",
        Bucket,
        "intelligent-tiering",
        &["s3:GetIntelligentTieringConfiguration"],
        Read,
    )
    .needs(&["id"]),
    row(
        "ListBucketIntelligentTieringConfigurations",
        "GET",
        Bucket,
        "intelligent-tiering",
        &["s3:GetIntelligentTieringConfiguration"],
        Read,
    )
    .takes(&["continuation-token"]),
    row(
        "PutBucketIntelligentTieringConfiguration",
        "PUT",
        Bucket,
        "intelligent-tiering",
        &["s3:PutIntelligentTieringConfiguration"],
        Write,
    )
    .needs(&["id"]),
    row(
        "DeleteBucketIntelligentTieringConfiguration",
        "DELETE",
        Bucket,
        "intelligent-tiering",
        &["s3:PutIntelligentTieringConfiguration"],
        Write,
    )
    .needs(&["id"]),
    row(
        "GetBucketInventoryConfiguration",
        "GET",
        Bucket,
        "inventory",
        &["s3:GetInventoryConfiguration"],
        Read,
    )
    .needs(&["id"]),
    row(
        "ListBucketInventoryConfigurations",
        "GET",
        Bucket,
        "inventory",
        &["s3:GetInventoryConfiguration"],
        Read,
    )
    .takes(&["continuation-token"]),
    row(
        "PutBucketInventoryConfiguration",
        "PUT",
        Bucket,
        "inventory",
        &["s3:PutInventoryConfiguration"],
        Permissions,
    )
    .needs(&["id"]),
    row(
        "DeleteBucketInventoryConfiguration",
        "DELETE",
        Bucket,
        "inventory",
        &["s3:PutInventoryConfiguration"],
        Write,
    )
    .needs(&["id"]),
    row("GetBucketMetricsConfiguration", "GET", Bucket, "metrics", &["s3:GetMetricsConfiguration"], Read)
        .needs(&["id"]),
    row("ListBucketMetricsConfigurations", "GET", Bucket, "metrics", &["s3:GetMetricsConfiguration"], Read)
        .takes(&["continuation-token"]),
    row("PutBucketMetricsConfiguration", "PUT", Bucket, "metrics", &["s3:PutMetricsConfiguration"], Write)
        .needs(&["id"]),
    row(
        "DeleteBucketMetricsConfiguration",
        "DELETE",
        Bucket,
        "metrics",
        &["s3:PutMetricsConfiguration"],
        Write,
    )
    .needs(&["id"]),
    row("GetObject", "GET", Object, "", &["s3:GetObject"], Read).takes(OF_A_READ).downloads(),
    row("HeadObject", "HEAD", Object, "", &["s3:GetObject"], Read).takes(OF_A_READ).downloads(),
    row("PutObject", "PUT", Object, "", &["s3:PutObject"], Write),
    row("CopyObject", "PUT", Object, "", &["s3:PutObject"], Write).copies(),
    row("DeleteObject", "DELETE", Object, "", &["s3:DeleteObject"], Delete).takes(VERSION),
    row("CreateMultipartUpload", "POST", Object, "uploads", &["s3:PutObject"], Write),
    row("UploadPart", "PUT", Object, "uploadId", &["s3:PutObject"], Write).needs(&["partNumber"]),
    row("UploadPartCopy", "PUT", Object, "uploadId", &["s3:PutObject"], Write)
        .needs(&["partNumber"])
        .copies(),
    row("CompleteMultipartUpload", "POST", Object, "uploadId", &["s3:PutObject"], Write),
    row("AbortMultipartUpload", "DELETE", Object, "uploadId", &["s3:AbortMultipartUpload"], Delete),
    row("ListParts", "GET", Object, "uploadId", &["s3:ListMultipartUploadParts"], List)
        .takes(&["max-parts", "part-number-marker"])
        .pages("max-parts", 1000),
    row("GetObjectAcl", "GET", Object, "acl", &["s3:GetObjectAcl"], Read).takes(VERSION),
    row("PutObjectAcl", "PUT", Object, "acl", &["s3:PutObjectAcl"], Permissions).takes(VERSION),
    row(
        "GetObjectAttributes",
        "GET",
        Object,
        "attributes",
        &["s3:GetObject", "s3:GetObjectAttributes"],
        Read,
    )
    .takes(VERSION),
    row("GetObjectLegalHold", "GET", Object, "legal-hold", &["s3:GetObjectLegalHold"], Read).takes(VERSION),
    row("PutObjectLegalHold", "PUT", Object, "legal-hold", &["s3:PutObjectLegalHold"], Write).takes(VERSION),
    row("GetObjectRetention", "GET", Object, "retention", &["s3:GetObjectRetention"], Read).takes(VERSION),
    row("PutObjectRetention", "PUT", Object, "retention", &["s3:PutObjectRetention"], Write).takes(VERSION),
    row("GetObjectTagging", "GET", Object, "tagging", &["s3:GetObjectTagging"], Read).takes(VERSION),
    row("PutObjectTagging", "PUT", Object, "tagging", &["s3:PutObjectTagging"], Write).takes(VERSION),
    row("DeleteObjectTagging", "DELETE", Object, "tagging", &["s3:DeleteObjectTagging"], Write)
        .takes(VERSION),
    row("RestoreObject", "POST", Object, "restore", &["s3:RestoreObject"], Write).takes(VERSION),
    row("SelectObjectContent", "POST", Object, "select", &["s3:GetObject"], Read).needs(&["select-type"]),
];
