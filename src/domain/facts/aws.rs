//! What a call of AWS does, in the words of IAM.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The facts that a call of AWS has beyond those of its HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsFacts {
    /// The service, as the signature's scope names it: `s3`, `dynamodb`, `sts`.
    pub service: String,
    /// The API's name for what is called: `GetObject`, `ListObjectsV2`.
    pub operation: String,
    /// What IAM would have to allow: `s3:GetObject`. Copying an object takes `s3:GetObject` and `s3:PutObject`.
    pub actions: BTreeSet<String>,
    /// IAM's access level, the strongest of all actions.
    pub access: AwsAccess,
    /// ARNs: `arn:aws:s3:::bucket/key`; `*` stands for an account that is not known.
    pub resources: BTreeSet<String>,
    /// Buckets of S3.
    pub buckets: BTreeSet<String>,
    /// Keys of S3, as S3 sees them; of several buckets, all.
    pub keys: BTreeSet<String>,
    /// The prefix that a listing is limited to.
    pub prefix: Option<String>,
    /// Tables of DynamoDB.
    pub tables: BTreeSet<String>,
    /// Attributes of items that the call names, as dotted paths; `*` where it asks for all or cannot be told.
    pub attributes: BTreeSet<String>,
    /// How many items it asks for; `None` when it leaves that to the service.
    pub limit: Option<i64>,
    /// Whether whoever has the URL can make the call: its signature is in the query.
    pub presigned: bool,
}

/// IAM's access levels, with deletion apart from other writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AwsAccess {
    /// Tells which things there are.
    List,
    /// Reads what is in them.
    Read,
    /// Changes or adds.
    Write,
    /// Deletes.
    Delete,
    /// Changes who may do what.
    Permissions,
    /// Cannot be told.
    Unknown,
}

impl AwsAccess {
    /// As policies spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Permissions => "permissions",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing is changed.
    #[must_use]
    pub const fn is_read_only(self) -> bool {
        matches!(self, Self::List | Self::Read)
    }
}

impl AwsFacts {
    /// How many bytes of them the client chose.
    #[must_use]
    pub fn length(&self) -> usize {
        let sets =
            [&self.actions, &self.resources, &self.buckets, &self.keys, &self.tables, &self.attributes];
        let names = sets.into_iter().flatten().map(|name| name.len() + 1).sum::<usize>();
        let prefix = self.prefix.as_ref().map_or(0, String::len);
        self.service.len() + self.operation.len() + names + prefix
    }
}
