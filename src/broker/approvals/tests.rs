#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use serde_json::json;

use super::ApprovalError;
use super::limits::{Load, MAX_WAITING};
use super::stage::{Statement, pair};
use crate::broker::testing::{Answer, Bench, PERMIT_ALL, User};
use crate::domain::approval::{
    Decision, DeedSubject, GrantState, Literal, RequestState, Shape, Standing, SubjectText, Threshold,
    What as Matter,
};
use crate::domain::event::What;
use crate::domain::mask::{ColumnPattern, Mask, MaskRule};
use crate::domain::name::{Digest, GroupName, ProviderName, RequestId, RuleName};
use crate::domain::policy::Hold;
use crate::domain::principal::{PrincipalId, Subject as Sub};
use crate::domain::session::{CloseReason, SessionState};
use crate::domain::target::TargetKind;
use crate::gateway::authority::{Authority as _, HoldError, Outcome};
use crate::wire::control::{Listing, ProblemCode, RequestView, StandingView};
use crate::wire::review::Claims;

/// Everything is allowed, and a session takes a review of somebody in `corp/dba`.
pub(super) const BY_DBA: &str = r#"
    @id("all") permit(principal, action in [Hoop::Action::"connect", Hoop::Action::"statement"], resource);
    @id("ask-first") @reason("sessions here take a review") @review("corp/dba:1")
    forbid(principal, action == Hoop::Action::"connect", resource);
"#;

fn principal(provider: &str, subject: &str) -> PrincipalId {
    PrincipalId { provider: ProviderName::new(provider).unwrap(), subject: Sub::new(subject).unwrap() }
}

pub(super) fn corp(subject: &str) -> PrincipalId {
    principal("corp", subject)
}

async fn asked(user: &User<'_>) -> RequestView {
    let answer = user.ask(json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

fn problem(answer: &Answer) -> (StatusCode, ProblemCode) {
    (answer.status, answer.problem().code)
}

/// A broker whose target has a mask for everybody but `corp/vip`.
fn masked(policy: &str) -> Bench {
    Bench::with(policy, |config| {
        config.providers.first_mut().unwrap().groups.insert(GroupName::new("corp/vip").unwrap());
        let target = config.targets.values_mut().next().unwrap();
        let TargetKind::Postgres(postgres) = &mut target.kind else { panic!("a database") };
        postgres.masks.push(MaskRule {
            name: RuleName::new("ssn").unwrap(),
            column: ColumnPattern::new("public.people.ssn").unwrap(),
            path: None,
            mask: Mask::Full,
            lifted_for: BTreeSet::from([GroupName::new("corp/vip").unwrap()]),
        });
    })
}

mod grants;
mod requests;
mod reviews;
mod standing;
mod statements;
