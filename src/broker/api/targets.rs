//! What may be reached, and how.

use axum::Json;
use axum::extract::State;

use super::Service;
use super::caller::Named;
use super::fault::Fault;
use crate::broker::authn::Caller;
use crate::broker::explain;
use crate::domain::action::Action;
use crate::wire::control::{Explanation, Listing, TargetSummary};

pub(super) async fn list(State(service): State<Service>, caller: Caller) -> Json<Listing<TargetSummary>> {
    let config = service.core.config();
    let who = caller.principal();
    let mine = config.targets.values().filter(|target| service.core.may(who, target, &Action::Connect));
    Json(Listing { items: mine.map(|target| explain::summarise(who, target)).collect() })
}

pub(super) async fn explain(
    State(service): State<Service>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<Json<Explanation>, Fault> {
    let target = service.core.reachable(caller.principal(), &name).map_err(|_| Fault::no_target())?;
    Ok(Json(explain::explain(&service.core.config(), caller.principal(), &target)))
}
