//! The two calls of STS that give credentials.
//!
//! Job: ask, and turn the answer into a credential. Boundary: what is asked for is decided by the caller. Failure mode:
//! an error in plain words that quotes what STS says of rights, and no secret.

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::types::{AssumedRoleUser, Credentials, Tag};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::fault::{told, unusable};
use crate::domain::target::AwsTarget;
use crate::gateway::authority::{AwsCredential, LeaseError};

/// What is asked for.
pub(super) struct Order<'a> {
    pub(super) role: &'a str,
    /// What the role's session is called.
    pub(super) name: String,
    /// The session policy.
    pub(super) policy: String,
    /// 900 to 43200.
    pub(super) seconds: u64,
    pub(super) tags: Vec<(&'static str, String)>,
}

/// What STS gave.
pub(super) struct Keys {
    /// Whom AWS takes whoever holds them for, an ARN.
    pub(super) user: String,
    pub(super) credential: AwsCredential,
    pub(super) expires: Timestamp,
}

/// `AssumeRole`.
pub(super) async fn assume(
    base: &SdkConfig,
    target: &AwsTarget,
    order: &Order<'_>,
    external_id: Option<&str>,
    source_identity: Option<String>,
) -> Result<Keys, LeaseError> {
    let tags: Vec<Tag> = order
        .tags
        .iter()
        .map(|(key, value)| Tag::builder().key(*key).value(value).build().map_err(|_| unusable("a tag")))
        .collect::<Result<_, _>>()?;
    let call = client(base, target)
        .assume_role()
        .role_arn(order.role)
        .role_session_name(&order.name)
        .policy(&order.policy)
        .duration_seconds(seconds(order))
        .set_external_id(external_id.map(str::to_owned))
        .set_source_identity(source_identity)
        .set_tags((!tags.is_empty()).then_some(tags));
    let answer = call.send().await.map_err(|error| told(&error))?;
    keys(answer.credentials(), answer.assumed_role_user(), order)
}

/// `AssumeRoleWithWebIdentity`.
pub(super) async fn assume_with(
    base: &SdkConfig,
    target: &AwsTarget,
    order: &Order<'_>,
    token: &SecretString,
) -> Result<Keys, LeaseError> {
    let call = client(base, target)
        .assume_role_with_web_identity()
        .role_arn(order.role)
        .role_session_name(&order.name)
        .policy(&order.policy)
        .duration_seconds(seconds(order))
        .web_identity_token(token.expose_secret());
    let answer = call.send().await.map_err(|error| told(&error))?;
    keys(answer.credentials(), answer.assumed_role_user(), order)
}

fn client(base: &SdkConfig, target: &AwsTarget) -> Client {
    let mut config = aws_sdk_sts::config::Builder::from(base);
    if let Some(url) = &target.sts {
        config = config.endpoint_url(url.as_str());
    }
    Client::from_conf(config.build())
}

fn seconds(order: &Order<'_>) -> i32 {
    i32::try_from(order.seconds).unwrap_or(i32::MAX)
}

fn keys(
    given: Option<&Credentials>,
    user: Option<&AssumedRoleUser>,
    order: &Order<'_>,
) -> Result<Keys, LeaseError> {
    let given = given.ok_or_else(|| unusable("no credentials"))?;
    let expires = Timestamp::from_second(given.expiration().secs());
    Ok(Keys {
        user: user.map_or_else(|| format!("{} as {}", order.role, order.name), |user| user.arn().to_owned()),
        credential: AwsCredential {
            access_key_id: given.access_key_id().to_owned(),
            secret_access_key: given.secret_access_key().into(),
            session_token: given.session_token().into(),
        },
        expires: expires.map_err(|_| unusable("no time of expiry"))?,
    })
}
