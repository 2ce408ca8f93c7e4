//! An HTTP API, as one connection of a client has it before it.
//!
//! Job: what its calls are read by, what applies to its answers, where it is, and the credential that goes into each call.
//! Boundary: nothing of a call is here. Failure mode: masks or a document that cannot be kept are a fault, upon which
//! every call is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::dial::{Endpoint, Upstreams};
use super::reading::Ground;
use super::shared::Shared;
use super::specification::Specification;
use super::terms::{self, BodyForm, Terms};
use crate::domain::name::GroupName;
use crate::domain::policy::Permit;
use crate::domain::target::{HttpTarget, Injection};
use crate::gateway::authority::{Credential, HttpCredential, LeaseError, SessionContext};
use crate::gateway::detecting;
use crate::gateway::judge::Turnstile;
use crate::mask::document::{DocumentPath, DocumentPlan, KeyCase, TokenKey};
use crate::wire::http::redact::Redactor;

/// An API, and the connections to it.
pub(in crate::gateway) struct Api {
    pub(in crate::gateway) target: HttpTarget,
    pub(in crate::gateway) specification: Specification,
    pub(in crate::gateway) upstreams: Arc<Upstreams>,
    pub(in crate::gateway) terms: Arc<Terms>,
    /// Why the masks cannot be kept, if so.
    pub(in crate::gateway) fault: Option<String>,
}

impl Api {
    pub(in crate::gateway) fn new(
        context: &SessionContext,
        target: &HttpTarget,
        turnstile: &Turnstile,
        specification: Specification,
        permit: Permit,
    ) -> Self {
        let (masks, mut fault) = match masks(&context.principal.groups, target, terms::token_key(context)) {
            Ok(masks) => (masks, None),
            Err(why) => (None, Some(why)),
        };
        let counting = counting(target).unwrap_or_else(|why| {
            fault = Some(why);
            None
        });
        if let Specification::Unreadable(why) = &specification {
            fault = Some(format!("the target's OpenAPI document cannot be read: {why}"));
        }
        let endpoint = Endpoint {
            base: target.base.clone(),
            root_certificates: target.root_certificates.clone(),
            only_http2: target.only_http2,
        };
        let name = context.target.name.clone();
        Self {
            target: target.clone(),
            specification,
            upstreams: Arc::new(Upstreams::new(name, turnstile.clone(), Some(permit), endpoint)),
            terms: Arc::new(Terms {
                masks,
                counting,
                max_response: target.max_response,
                max_items: target.max_items,
                base: target.base.clone(),
                form: BodyForm::Document,
            }),
            fault,
        }
    }

    /// What a call is read by.
    pub(in crate::gateway) fn ground<'a>(&'a self, context: &'a SessionContext) -> Ground<'a> {
        Ground {
            name: &context.target.name,
            target: &self.target,
            specification: &self.specification,
            terms: &self.terms,
        }
    }
}

/// The credential of a session, and what keeps it from coming back.
pub(in crate::gateway) async fn credential(
    shared: &Shared,
) -> Result<(HttpCredential, Option<Redactor>), LeaseError> {
    let Credential::Http(credential) = shared.lease().await?.credential else {
        return Err(LeaseError::Upstream("the lease is not one of HTTP".into()));
    };
    let redactor = match &credential.inject {
        Some((injection, secret)) => Some(shared.redactor(secret, |secret| match injection {
            Injection::Basic { user } => vec![secret.clone(), basic(user, secret)],
            _ => vec![secret.clone()],
        })?),
        None => None,
    };
    Ok((*credential, redactor))
}

/// User and password of Basic credentials, not encoded.
pub(in crate::gateway) fn basic(user: &str, secret: &SecretString) -> SecretString {
    format!("{user}:{}", secret.expose_secret()).into()
}

/// What is masked for somebody in these groups.
pub(in crate::gateway) fn masks(
    groups: &BTreeSet<GroupName>,
    target: &HttpTarget,
    key: Option<TokenKey>,
) -> Result<Option<Arc<DocumentPlan>>, String> {
    let (plan, rules) = terms::plan(target.masks.iter().filter(|mask| mask.binds(groups)))?;
    if rules == 0 && target.detectors.is_empty() {
        return Ok(None);
    }
    let mut plan = with_items(plan, target)?;
    if let Some(key) = key {
        plan = plan.with_tokens(key);
    }
    let detectors = detecting::compiled(&target.detectors, &target.patterns);
    if let Some(detectors) = detectors.map_err(|error| error.to_string())? {
        plan = plan.with_detectors(detectors);
    }
    Ok(Some(Arc::new(plan)))
}

/// What counts the items of a target's answers.
fn counting(target: &HttpTarget) -> Result<Option<Arc<DocumentPlan>>, String> {
    if target.max_items.is_none() {
        return Ok(None);
    }
    let plan = DocumentPlan::new(&[], KeyCase::Exact).map_err(|error| error.to_string())?;
    with_items(plan, target).map(|plan| Some(Arc::new(plan)))
}

fn with_items(plan: DocumentPlan, target: &HttpTarget) -> Result<DocumentPlan, String> {
    let Some(path) = &target.items else { return Ok(plan) };
    let path = DocumentPath::new(path).map_err(|error| error.to_string())?;
    plan.with_items(&path).map_err(|error| error.to_string())
}
