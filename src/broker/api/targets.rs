//! What may be reached, and how.

use axum::Json;
use axum::extract::{RawQuery, State};

use super::Service;
use super::caller::Named;
use super::fault::Fault;
use crate::broker::authn::Caller;
use crate::broker::explain;
use crate::domain::action::Action;
use crate::domain::principal::Principal;
use crate::domain::target::Target;
use crate::wire::control::{ALL, ExplainedDenial, Explanation, Listing, TargetSummary};

pub(super) async fn list(
    State(service): State<Service>,
    RawQuery(query): RawQuery,
    caller: Caller,
) -> Json<Listing<TargetSummary>> {
    let config = service.core.config();
    let who = caller.principal();
    let all = query.as_deref() == Some(ALL);
    let mine = config.targets.values().filter_map(|target| {
        if service.core.may_reach(who, target) {
            return Some(summarise(&service, who, target));
        }
        // INVARIANT: whom no permit covers does not learn that there is such a target
        let denial = config.policy.withheld(who, target, &Action::Connect).filter(|_| all)?;
        let denied =
            ExplainedDenial { rule: denial.rule.to_string(), reason: denial.reason, hint: denial.hint };
        // nor, beyond its name, what it is
        Some(TargetSummary {
            name: target.name.clone(),
            protocol: target.kind.protocol().into(),
            description: String::new(),
            masked: None,
            record: None,
            approval: None,
            aws: None,
            denied: Some(denied),
        })
    });
    Json(Listing { items: mine.collect() })
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
