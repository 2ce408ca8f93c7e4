//! The operations of S3 that are judged: how each is called, and which permissions it needs.
//!
//! Job: one row for each (Amazon S3 API Reference; Service Authorization Reference, Actions for Amazon S3). Boundary: data.
//! What is missing is missing on purpose: directory buckets (CreateSession, RenameObject), torrents, S3 Metadata and
//! annotations, ABAC, Object Lambda (WriteGetObjectResponse), UpdateObjectEncryption, and forms of browsers.

use crate::domain::facts::AwsAccess;

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
    pub(super) fn takes(&self, name: &str) -> bool {
        self.takes.contains(&name)
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

const PLAIN: Row = Row {
    operation: "",
    method: "",
    scope: Scope::Bucket,
    sub: "",
    actions: &[],
    access: AwsAccess::Unknown,
    takes: &[],
    needs: &[],
    copies: false,
    page: None,
    downloads: false,
};

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
    Row { operation: "ListBuckets", method: "GET", scope: Scope::Service, actions: &["s3:ListAllMyBuckets"], access: AwsAccess::List, takes: &["bucket-region", "continuation-token", "max-buckets", "prefix"], page: Some(("max-buckets", 10000)), ..PLAIN },
    Row { operation: "CreateBucket", method: "PUT", scope: Scope::Bucket, actions: &["s3:CreateBucket"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "DeleteBucket", method: "DELETE", scope: Scope::Bucket, actions: &["s3:DeleteBucket"], access: AwsAccess::Delete, ..PLAIN },
    Row { operation: "HeadBucket", method: "HEAD", scope: Scope::Bucket, actions: &["s3:ListBucket"], access: AwsAccess::List, ..PLAIN },
    Row { operation: "ListObjects", method: "GET", scope: Scope::Bucket, actions: &["s3:ListBucket"], access: AwsAccess::List, takes: &["delimiter", "encoding-type", "max-keys", "prefix", "marker"], page: Some(("max-keys", 1000)), ..PLAIN },
    Row { operation: "ListObjectsV2", method: "GET", scope: Scope::Bucket, sub: "list-type", actions: &["s3:ListBucket"], access: AwsAccess::List, takes: &["delimiter", "encoding-type", "max-keys", "prefix", "continuation-token", "fetch-owner", "start-after"], page: Some(("max-keys", 1000)), ..PLAIN },
    Row { operation: "ListObjectVersions", method: "GET", scope: Scope::Bucket, sub: "versions", actions: &["s3:ListBucketVersions"], access: AwsAccess::List, takes: &["delimiter", "encoding-type", "max-keys", "prefix", "key-marker", "version-id-marker"], page: Some(("max-keys", 1000)), ..PLAIN },
    Row { operation: "ListMultipartUploads", method: "GET", scope: Scope::Bucket, sub: "uploads", actions: &["s3:ListBucketMultipartUploads"], access: AwsAccess::List, takes: &["delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"], page: Some(("max-uploads", 1000)), ..PLAIN },
    Row { operation: "DeleteObjects", method: "POST", scope: Scope::Bucket, sub: "delete", actions: &[], access: AwsAccess::Delete, ..PLAIN },
    Row { operation: "GetBucketAccelerateConfiguration", method: "GET", scope: Scope::Bucket, sub: "accelerate", actions: &["s3:GetAccelerateConfiguration"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketAccelerateConfiguration", method: "PUT", scope: Scope::Bucket, sub: "accelerate", actions: &["s3:PutAccelerateConfiguration"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketAcl", method: "GET", scope: Scope::Bucket, sub: "acl", actions: &["s3:GetBucketAcl"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketAcl", method: "PUT", scope: Scope::Bucket, sub: "acl", actions: &["s3:PutBucketAcl"], access: AwsAccess::Permissions, ..PLAIN },
    Row { operation: "GetBucketCors", method: "GET", scope: Scope::Bucket, sub: "cors", actions: &["s3:GetBucketCORS"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketCors", method: "PUT", scope: Scope::Bucket, sub: "cors", actions: &["s3:PutBucketCORS"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "DeleteBucketCors", method: "DELETE", scope: Scope::Bucket, sub: "cors", actions: &["s3:PutBucketCORS"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketEncryption", method: "GET", scope: Scope::Bucket, sub: "encryption", actions: &["s3:GetEncryptionConfiguration"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketEncryption", method: "PUT", scope: Scope::Bucket, sub: "encryption", actions: &["s3:PutEncryptionConfiguration"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "DeleteBucketEncryption", method: "DELETE", scope: Scope::Bucket, sub: "encryption", actions: &["s3:PutEncryptionConfiguration"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketLifecycleConfiguration", method: "GET", scope: Scope::Bucket, sub: "lifecycle", actions: &["s3:GetLifecycleConfiguration"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketLifecycleConfiguration", method: "PUT", scope: Scope::Bucket, sub: "lifecycle", actions: &["s3:PutLifecycleConfiguration"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "DeleteBucketLifecycle", method: "DELETE", scope: Scope::Bucket, sub: "lifecycle", actions: &["s3:PutLifecycleConfiguration"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketLocation", method: "GET", scope: Scope::Bucket, sub: "location", actions: &["s3:GetBucketLocation"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "GetBucketLogging", method: "GET", scope: Scope::Bucket, sub: "logging", actions: &["s3:GetBucketLogging"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketLogging", method: "PUT", scope: Scope::Bucket, sub: "logging", actions: &["s3:PutBucketLogging"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketNotificationConfiguration", method: "GET", scope: Scope::Bucket, sub: "notification", actions: &["s3:GetBucketNotification"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketNotificationConfiguration", method: "PUT", scope: Scope::Bucket, sub: "notification", actions: &["s3:PutBucketNotification"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetObjectLockConfiguration", method: "GET", scope: Scope::Bucket, sub: "object-lock", actions: &["s3:GetBucketObjectLockConfiguration"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutObjectLockConfiguration", method: "PUT", scope: Scope::Bucket, sub: "object-lock", actions: &["s3:PutBucketObjectLockConfiguration"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketOwnershipControls", method: "GET", scope: Scope::Bucket, sub: "ownershipControls", actions: &["s3:GetBucketOwnershipControls"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketOwnershipControls", method: "PUT", scope: Scope::Bucket, sub: "ownershipControls", actions: &["s3:PutBucketOwnershipControls"], access: AwsAccess::Permissions, ..PLAIN },
    Row { operation: "DeleteBucketOwnershipControls", method: "DELETE", scope: Scope::Bucket, sub: "ownershipControls", actions: &["s3:PutBucketOwnershipControls"], access: AwsAccess::Permissions, ..PLAIN },
    Row { operation: "GetBucketPolicy", method: "GET", scope: Scope::Bucket, sub: "policy", actions: &["s3:GetBucketPolicy"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketPolicy", method: "PUT", scope: Scope::Bucket, sub: "policy", actions: &["s3:PutBucketPolicy"], access: AwsAccess::Permissions, ..PLAIN },
    Row { operation: "DeleteBucketPolicy", method: "DELETE", scope: Scope::Bucket, sub: "policy", actions: &["s3:DeleteBucketPolicy"], access: AwsAccess::Permissions, ..PLAIN },
    Row { operation: "GetBucketPolicyStatus", method: "GET", scope: Scope::Bucket, sub: "policyStatus", actions: &["s3:GetBucketPolicyStatus"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "GetPublicAccessBlock", method: "GET", scope: Scope::Bucket, sub: "publicAccessBlock", actions: &["s3:GetBucketPublicAccessBlock"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutPublicAccessBlock", method: "PUT", scope: Scope::Bucket, sub: "publicAccessBlock", actions: &["s3:PutBucketPublicAccessBlock"], access: AwsAccess::Permissions, ..PLAIN },
    Row { operation: "DeletePublicAccessBlock", method: "DELETE", scope: Scope::Bucket, sub: "publicAccessBlock", actions: &["s3:PutBucketPublicAccessBlock"], access: AwsAccess::Permissions, ..PLAIN },
    Row { operation: "GetBucketReplication", method: "GET", scope: Scope::Bucket, sub: "replication", actions: &["s3:GetReplicationConfiguration"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketReplication", method: "PUT", scope: Scope::Bucket, sub: "replication", actions: &["s3:PutReplicationConfiguration"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "DeleteBucketReplication", method: "DELETE", scope: Scope::Bucket, sub: "replication", actions: &["s3:PutReplicationConfiguration"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketRequestPayment", method: "GET", scope: Scope::Bucket, sub: "requestPayment", actions: &["s3:GetBucketRequestPayment"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketRequestPayment", method: "PUT", scope: Scope::Bucket, sub: "requestPayment", actions: &["s3:PutBucketRequestPayment"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketTagging", method: "GET", scope: Scope::Bucket, sub: "tagging", actions: &["s3:GetBucketTagging"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketTagging", method: "PUT", scope: Scope::Bucket, sub: "tagging", actions: &["s3:PutBucketTagging"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "DeleteBucketTagging", method: "DELETE", scope: Scope::Bucket, sub: "tagging", actions: &["s3:PutBucketTagging"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketVersioning", method: "GET", scope: Scope::Bucket, sub: "versioning", actions: &["s3:GetBucketVersioning"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketVersioning", method: "PUT", scope: Scope::Bucket, sub: "versioning", actions: &["s3:PutBucketVersioning"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketWebsite", method: "GET", scope: Scope::Bucket, sub: "website", actions: &["s3:GetBucketWebsite"], access: AwsAccess::Read, ..PLAIN },
    Row { operation: "PutBucketWebsite", method: "PUT", scope: Scope::Bucket, sub: "website", actions: &["s3:PutBucketWebsite"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "DeleteBucketWebsite", method: "DELETE", scope: Scope::Bucket, sub: "website", actions: &["s3:DeleteBucketWebsite"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "GetBucketAnalyticsConfiguration", method: "GET", scope: Scope::Bucket, sub: "analytics", actions: &["s3:GetAnalyticsConfiguration"], access: AwsAccess::Read, needs: &["id"], ..PLAIN },
    Row { operation: "ListBucketAnalyticsConfigurations", method: "GET", scope: Scope::Bucket, sub: "analytics", actions: &["s3:GetAnalyticsConfiguration"], access: AwsAccess::Read, takes: &["continuation-token"], ..PLAIN },
    Row { operation: "PutBucketAnalyticsConfiguration", method: "PUT", scope: Scope::Bucket, sub: "analytics", actions: &["s3:PutAnalyticsConfiguration"], access: AwsAccess::Write, needs: &["id"], ..PLAIN },
    Row { operation: "DeleteBucketAnalyticsConfiguration", method: "DELETE", scope: Scope::Bucket, sub: "analytics", actions: &["s3:PutAnalyticsConfiguration"], access: AwsAccess::Write, needs: &["id"], ..PLAIN },
    Row { operation: "GetBucketIntelligentTieringConfiguration", method: "GET", scope: Scope::Bucket, sub: "intelligent-tiering", actions: &["s3:GetIntelligentTieringConfiguration"], access: AwsAccess::Read, needs: &["id"], ..PLAIN },
    Row { operation: "ListBucketIntelligentTieringConfigurations", method: "GET", scope: Scope::Bucket, sub: "intelligent-tiering", actions: &["s3:GetIntelligentTieringConfiguration"], access: AwsAccess::Read, takes: &["continuation-token"], ..PLAIN },
    Row { operation: "PutBucketIntelligentTieringConfiguration", method: "PUT", scope: Scope::Bucket, sub: "intelligent-tiering", actions: &["s3:PutIntelligentTieringConfiguration"], access: AwsAccess::Write, needs: &["id"], ..PLAIN },
    Row { operation: "DeleteBucketIntelligentTieringConfiguration", method: "DELETE", scope: Scope::Bucket, sub: "intelligent-tiering", actions: &["s3:PutIntelligentTieringConfiguration"], access: AwsAccess::Write, needs: &["id"], ..PLAIN },
    Row { operation: "GetBucketInventoryConfiguration", method: "GET", scope: Scope::Bucket, sub: "inventory", actions: &["s3:GetInventoryConfiguration"], access: AwsAccess::Read, needs: &["id"], ..PLAIN },
    Row { operation: "ListBucketInventoryConfigurations", method: "GET", scope: Scope::Bucket, sub: "inventory", actions: &["s3:GetInventoryConfiguration"], access: AwsAccess::Read, takes: &["continuation-token"], ..PLAIN },
    Row { operation: "PutBucketInventoryConfiguration", method: "PUT", scope: Scope::Bucket, sub: "inventory", actions: &["s3:PutInventoryConfiguration"], access: AwsAccess::Write, needs: &["id"], ..PLAIN },
    Row { operation: "DeleteBucketInventoryConfiguration", method: "DELETE", scope: Scope::Bucket, sub: "inventory", actions: &["s3:PutInventoryConfiguration"], access: AwsAccess::Write, needs: &["id"], ..PLAIN },
    Row { operation: "GetBucketMetricsConfiguration", method: "GET", scope: Scope::Bucket, sub: "metrics", actions: &["s3:GetMetricsConfiguration"], access: AwsAccess::Read, needs: &["id"], ..PLAIN },
    Row { operation: "ListBucketMetricsConfigurations", method: "GET", scope: Scope::Bucket, sub: "metrics", actions: &["s3:GetMetricsConfiguration"], access: AwsAccess::Read, takes: &["continuation-token"], ..PLAIN },
    Row { operation: "PutBucketMetricsConfiguration", method: "PUT", scope: Scope::Bucket, sub: "metrics", actions: &["s3:PutMetricsConfiguration"], access: AwsAccess::Write, needs: &["id"], ..PLAIN },
    Row { operation: "DeleteBucketMetricsConfiguration", method: "DELETE", scope: Scope::Bucket, sub: "metrics", actions: &["s3:PutMetricsConfiguration"], access: AwsAccess::Write, needs: &["id"], ..PLAIN },
    Row { operation: "GetObject", method: "GET", scope: Scope::Object, actions: &["s3:GetObject"], access: AwsAccess::Read, takes: OF_A_READ, downloads: true, ..PLAIN },
    Row { operation: "HeadObject", method: "HEAD", scope: Scope::Object, actions: &["s3:GetObject"], access: AwsAccess::Read, takes: OF_A_READ, downloads: true, ..PLAIN },
    Row { operation: "PutObject", method: "PUT", scope: Scope::Object, actions: &["s3:PutObject"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "CopyObject", method: "PUT", scope: Scope::Object, actions: &["s3:PutObject"], access: AwsAccess::Write, copies: true, ..PLAIN },
    Row { operation: "DeleteObject", method: "DELETE", scope: Scope::Object, actions: &["s3:DeleteObject"], access: AwsAccess::Delete, takes: &["versionId"], ..PLAIN },
    Row { operation: "CreateMultipartUpload", method: "POST", scope: Scope::Object, sub: "uploads", actions: &["s3:PutObject"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "UploadPart", method: "PUT", scope: Scope::Object, sub: "uploadId", actions: &["s3:PutObject"], access: AwsAccess::Write, needs: &["partNumber"], ..PLAIN },
    Row { operation: "UploadPartCopy", method: "PUT", scope: Scope::Object, sub: "uploadId", actions: &["s3:PutObject"], access: AwsAccess::Write, needs: &["partNumber"], copies: true, ..PLAIN },
    Row { operation: "CompleteMultipartUpload", method: "POST", scope: Scope::Object, sub: "uploadId", actions: &["s3:PutObject"], access: AwsAccess::Write, ..PLAIN },
    Row { operation: "AbortMultipartUpload", method: "DELETE", scope: Scope::Object, sub: "uploadId", actions: &["s3:AbortMultipartUpload"], access: AwsAccess::Delete, ..PLAIN },
    Row { operation: "ListParts", method: "GET", scope: Scope::Object, sub: "uploadId", actions: &["s3:ListMultipartUploadParts"], access: AwsAccess::List, takes: &["max-parts", "part-number-marker"], page: Some(("max-parts", 1000)), ..PLAIN },
    Row { operation: "GetObjectAcl", method: "GET", scope: Scope::Object, sub: "acl", actions: &["s3:GetObjectAcl"], access: AwsAccess::Read, takes: &["versionId"], ..PLAIN },
    Row { operation: "PutObjectAcl", method: "PUT", scope: Scope::Object, sub: "acl", actions: &["s3:PutObjectAcl"], access: AwsAccess::Permissions, takes: &["versionId"], ..PLAIN },
    Row { operation: "GetObjectAttributes", method: "GET", scope: Scope::Object, sub: "attributes", actions: &["s3:GetObject", "s3:GetObjectAttributes"], access: AwsAccess::Read, takes: &["versionId"], ..PLAIN },
    Row { operation: "GetObjectLegalHold", method: "GET", scope: Scope::Object, sub: "legal-hold", actions: &["s3:GetObjectLegalHold"], access: AwsAccess::Read, takes: &["versionId"], ..PLAIN },
    Row { operation: "PutObjectLegalHold", method: "PUT", scope: Scope::Object, sub: "legal-hold", actions: &["s3:PutObjectLegalHold"], access: AwsAccess::Write, takes: &["versionId"], ..PLAIN },
    Row { operation: "GetObjectRetention", method: "GET", scope: Scope::Object, sub: "retention", actions: &["s3:GetObjectRetention"], access: AwsAccess::Read, takes: &["versionId"], ..PLAIN },
    Row { operation: "PutObjectRetention", method: "PUT", scope: Scope::Object, sub: "retention", actions: &["s3:PutObjectRetention"], access: AwsAccess::Write, takes: &["versionId"], ..PLAIN },
    Row { operation: "GetObjectTagging", method: "GET", scope: Scope::Object, sub: "tagging", actions: &["s3:GetObjectTagging"], access: AwsAccess::Read, takes: &["versionId"], ..PLAIN },
    Row { operation: "PutObjectTagging", method: "PUT", scope: Scope::Object, sub: "tagging", actions: &["s3:PutObjectTagging"], access: AwsAccess::Write, takes: &["versionId"], ..PLAIN },
    Row { operation: "DeleteObjectTagging", method: "DELETE", scope: Scope::Object, sub: "tagging", actions: &["s3:DeleteObjectTagging"], access: AwsAccess::Write, takes: &["versionId"], ..PLAIN },
    Row { operation: "RestoreObject", method: "POST", scope: Scope::Object, sub: "restore", actions: &["s3:RestoreObject"], access: AwsAccess::Write, takes: &["versionId"], ..PLAIN },
    Row { operation: "SelectObjectContent", method: "POST", scope: Scope::Object, sub: "select", actions: &["s3:GetObject"], access: AwsAccess::Read, needs: &["select-type"], ..PLAIN },
];
