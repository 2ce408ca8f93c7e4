//! The facts of a call of AWS that nobody has made yet, for whoever tries a policy out.
//!
//! Job: what policy would be told of a call, by the code that reads those that are made. Boundary: no session, no
//! signature, no network. Failure mode: [`Unread`], where the gateway would refuse the call before it asks policy.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};

use super::account::endpoint;
use super::meaning::Ground;
use crate::domain::facts::CallFacts;
use crate::domain::name::{GroupName, TargetName};
use crate::domain::target::AwsTarget;
use crate::gateway::http::facts::Unread;

/// What policy is told of a call by somebody in these groups. The service is the first part of the host name of a call
/// that is written as a whole URL; of others `X-Amz-Target` tells, and without that it is S3.
///
/// # Errors
/// [`Unread`].
pub fn of(
    name: &TargetName,
    target: &AwsTarget,
    groups: &BTreeSet<GroupName>,
    call: Request<Bytes>,
) -> Result<CallFacts, Unread> {
    let (mut parts, body) = call.into_parts();
    let service = match parts.uri.host() {
        Some(host) => host.split('.').next().unwrap_or_default().to_owned(),
        None => match parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()) {
            Some(target) if target.starts_with("DynamoDB") => "dynamodb".to_owned(),
            _ => "s3".to_owned(),
        },
    };
    let refused = |why: String| Unread { rule: "not-this-target", why };
    if !target.services.contains(&service) {
        return Err(refused(format!("`{name}` does not reach the service `{service}`")));
    }
    let base = endpoint(target, &service);
    let base = base.ok_or_else(|| refused(format!("the service `{service}` has no endpoint")))?;
    let resource = parts.uri.path_and_query().map_or("/", |resource| resource.as_str());
    parts.uri = resource.parse::<Uri>().map_err(|error| refused(error.to_string()))?;
    let ground = Ground { target, groups, token_key: None, base: &base };
    match ground.read(&service, &mut parts, Some(&body), false) {
        Ok(meaning) => Ok(meaning.facts),
        Err(problem) => {
            let (status, why) = problem.told();
            let rule = if status == StatusCode::MISDIRECTED_REQUEST { "not-this-target" } else { "unjudged" };
            Err(Unread { rule, why: why.to_owned() })
        }
    }
}
