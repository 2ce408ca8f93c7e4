//! What may be reached, and how.

use axum::Json;
use axum::extract::State;

use super::Service;
use super::caller::Named;
use super::fault::Fault;
use crate::broker::authn::Caller;
use crate::broker::explain;
use crate::domain::principal::Principal;
use crate::domain::target::Target;
use crate::wire::control::{Explanation, Listing, TargetSummary};

pub(super) async fn list(State(service): State<Service>, caller: Caller) -> Json<Listing<TargetSummary>> {
    let config = service.core.config();
    let who = caller.principal();
    let mine = config.targets.values().filter(|target| service.core.may_reach(who, target));
    Json(Listing { items: mine.map(|target| summarise(&service, who, target)).collect() })
}

pub(super) async fn explain(
    State(service): State<Service>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<Json<Explanation>, Fault> {
    let who = caller.principal();
    let (target, _) = service.core.reachable(who, &name).map_err(|_| Fault::no_target())?;
    let mut explanation = explain::explain(&service.core.config(), who, &target);
    explanation.target = summarise(&service, who, &target);
    Ok(Json(explanation))
}

fn summarise(service: &Service, who: &Principal, target: &Target) -> TargetSummary {
    let approval = service.core.takes(who, target).map(|needs| format!("approval: {needs}"));
    TargetSummary { approval, ..explain::summarise(who, target) }
}
