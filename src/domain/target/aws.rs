//! An account of AWS, or something that speaks like it, as a target.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use url::Url;

use super::{BodyMask, SecretSource};
use crate::domain::facts::IssueFacts;
use crate::domain::name::GroupName;

/// An account of AWS, seen through one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsTarget {
    /// How sessions reach it.
    pub access: AwsAccessMode,
    /// The region that calls are signed for: `eu-central-1`.
    pub region: String,
    /// The role that sessions assume, an ARN.
    pub role: String,
    /// How it is assumed.
    pub issuer: AwsIssuer,
    /// Where STS is; that of the region when absent.
    pub sts: Option<Url>,
    /// Where services are, by the name that signatures give them; AWS's own endpoint of the region where absent. With
    /// [`AwsAccessMode::Gateway`], services that are not named in `services` are never called.
    pub endpoints: BTreeMap<String, Url>,
    /// The services that may be called through the gateway: `s3`, `dynamodb`.
    pub services: BTreeSet<String>,
    /// PEM file with the trusted roots of all endpoints; the platform's trust store when absent.
    pub root_certificates: Option<PathBuf>,
    /// What a session's credentials allow at the most: they become its session policy. Empty: what the role allows.
    pub permissions: Vec<AwsPermission>,
    /// How long credentials last, in seconds: 900 to 43200.
    pub seconds: u64,
    /// Whether credentials that were issued are taken back when their session ends.
    pub revoke: AwsRevocation,
    /// What is masked in objects and items.
    pub masks: Vec<AwsMask>,
    /// The longest response body in bytes; a longer one is cut off with an error.
    pub max_response: Option<u64>,
    /// The most entries of one listing, or items of one answer.
    pub max_items: Option<u64>,
    /// Whether a call may leave its body out of its signature (`UNSIGNED-PAYLOAD`), other than presigned ones. A body in
    /// chunks with a checksum behind them (`STREAMING-UNSIGNED-PAYLOAD-TRAILER`), which SDKs choose by themselves, always may.
    pub unsigned_payload: bool,
    /// How many connections one session may hold at a time.
    pub max_connections: u16,
}

/// How sessions reach an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsAccessMode {
    /// The child gets credentials of STS. What it does with them is not seen.
    Credentials,
    /// The child signs with keys that are good on its loopback only; the gateway judges each call and signs it anew.
    Gateway,
}

/// How the role is assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsIssuer {
    /// `sts:AssumeRole`, by what the broker itself is to AWS.
    AssumeRole {
        /// What the broker itself is.
        base: AwsBase,
        /// The external id that the role's trust policy asks for.
        external_id: Option<String>,
        /// Whether the principal is set as source identity (the trust policy must allow `sts:SetSourceIdentity`).
        source_identity: bool,
        /// Whether session and principal are set as session tags (the trust policy must allow `sts:TagSession`).
        tags: bool,
    },
    /// `sts:AssumeRoleWithWebIdentity`, by a token that the broker signs for each session; AWS knows the broker as an
    /// OpenID Connect provider.
    WebIdentity {
        /// The token's audience: `sts.amazonaws.com`.
        audience: String,
    },
}

/// What the broker itself is to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsBase {
    /// What its surroundings say: web identity, container, instance role; the SDK's own order.
    Environment,
    /// A standing key.
    Keys {
        /// The access key id.
        access_key_id: String,
        /// Its secret.
        secret: SecretSource,
    },
}

/// What some principals may do with credentials of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsPermission {
    /// As IAM names them: `s3:GetObject`, `s3:List*`.
    pub actions: BTreeSet<String>,
    /// ARNs, with `*`.
    pub resources: BTreeSet<String>,
    /// Groups that it is for; empty for everybody.
    pub groups: BTreeSet<GroupName>,
}

/// Whether credentials can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsRevocation {
    /// They last until they expire.
    None,
    /// By an inline policy of the role that denies everything to tokens of one session (`iam:PutRolePolicy`).
    InlineDeny,
}

/// What of objects or items is masked, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsMask {
    /// The mask.
    pub mask: BodyMask,
    /// What it binds: `bucket/prefix*` of S3, a table's name of DynamoDB; empty for all.
    pub on: Vec<String>,
}

impl AwsPermission {
    /// Whether it is for somebody in these groups.
    #[must_use]
    pub fn binds(&self, groups: &BTreeSet<GroupName>) -> bool {
        self.groups.is_empty() || !self.groups.is_disjoint(groups)
    }
}

impl AwsTarget {
    /// What credentials of somebody in these groups allow at the most; `None` when the role alone says that. An empty
    /// list is nothing at all.
    #[must_use]
    pub fn permissions_of(&self, groups: &BTreeSet<GroupName>) -> Option<Vec<&AwsPermission>> {
        if self.permissions.is_empty() {
            return None;
        }
        Some(self.permissions.iter().filter(|permission| permission.binds(groups)).collect())
    }

    /// What is asked before credentials of this target are handed out to somebody in these groups; `seconds` is how long
    /// they would last.
    #[must_use]
    pub fn issue(&self, groups: &BTreeSet<GroupName>, seconds: u64) -> IssueFacts {
        let anything = || BTreeSet::from(["*".to_owned()]);
        let (actions, resources) = match self.permissions_of(groups) {
            None => (anything(), anything()),
            Some(permissions) => (
                permissions.iter().flat_map(|permission| permission.actions.iter().cloned()).collect(),
                permissions.iter().flat_map(|permission| permission.resources.iter().cloned()).collect(),
            ),
        };
        IssueFacts { role: self.role.clone(), seconds, actions, resources }
    }
}

impl AwsIssuer {
    /// Whether each session's credentials carry its name as a tag.
    #[must_use]
    pub fn tags(&self) -> bool {
        matches!(self, Self::AssumeRole { tags: true, .. })
    }
}
