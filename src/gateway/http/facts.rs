//! The facts of a call that nobody has made yet, for whoever tries a policy out.
//!
//! Job: what policy would be told of a call, by the code that reads those that are made. Boundary: no session and no
//! network; the target's OpenAPI document is read. Failure mode: [`Unread`], where the gateway would refuse the call
//! before it asks policy.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use thiserror::Error;

use super::api::masks;
use super::reading::{Ground, Reading};
use super::specification::{Specification, Specifications};
use super::terms::{BodyForm, Terms};
use crate::domain::facts::CallFacts;
use crate::domain::name::{GroupName, TargetName};
use crate::domain::target::HttpTarget;

/// Why a call is refused before policy is asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct Unread {
    /// The gateway's own rule for that.
    pub rule: &'static str,
    /// Why, in a sentence.
    pub why: String,
}

/// What policy is told of a call by somebody in these groups.
///
/// # Errors
/// [`Unread`].
pub async fn of(
    name: &TargetName,
    target: &HttpTarget,
    groups: &BTreeSet<GroupName>,
    call: Request<Bytes>,
) -> Result<CallFacts, Unread> {
    let masks = masks(groups, target, None).map_err(|why| Unread { rule: UNJUDGED, why })?;
    let specification = Specifications::default().of(target).await;
    if let Specification::Unreadable(why) = &specification {
        let why = format!("the target's OpenAPI document cannot be read: {why}");
        return Err(Unread { rule: UNJUDGED, why });
    }
    let terms = Arc::new(Terms {
        masks,
        counting: None,
        max_response: target.max_response,
        max_items: target.max_items,
        base: target.base.clone(),
        form: BodyForm::Document,
    });
    let ground = Ground { name, target, specification: &specification, terms: &terms };
    match Reading::of(ground, call.map(Full::new)).await {
        Ok(reading) => Ok(reading.facts),
        Err(problem) => {
            let (status, why) = problem.told();
            let rule = if status == StatusCode::MISDIRECTED_REQUEST { "not-this-target" } else { UNJUDGED };
            Err(Unread { rule, why: why.to_owned() })
        }
    }
}

const UNJUDGED: &str = "unjudged";
