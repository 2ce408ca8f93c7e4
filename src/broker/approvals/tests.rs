#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::json;

use crate::broker::testing::{Bench, User};
use crate::domain::approval::{
    Decision, DeedSubject, GrantState, RequestState, Shape, Subject, SubjectText, Threshold, What as Matter,
};
use crate::domain::event::What;
use crate::domain::facts::{Facts, StatementKind};
use crate::domain::name::{Digest, RequestId, RuleName, SessionId};
use crate::domain::policy::Hold;
use crate::gateway::authority::{Authority as _, Filed, Held, HoldError, Outcome, SessionContext};
use crate::wire::control::{ProblemCode, RequestView};

/// Everything is allowed, and a session takes a review of somebody in `corp/dba`.
const BY_DBA: &str = r#"
    @id("all") permit(principal, action, resource);
    @id("ask-first") @reason("sessions here take a review") @review("corp/dba:1")
    forbid(principal, action == Hoop::Action::"connect", resource);
"#;

async fn asked(user: &User<'_>) -> RequestView {
    let answer = user.ask(json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_session_is_asked_for_approved_and_opened() {
    let bench = Bench::new(BY_DBA);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let refused = alice.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
    assert_eq!(refused.problem().code, ProblemCode::ReviewNeeded);
    let filed = asked(&alice).await;
    assert_eq!((filed.missing.as_str(), filed.reviewable), ("1 more of corp/dba", false));
    let id = filed.request.id.to_string();
    let reviewed = bob.review("bob", &id, Decision::Approve).await;
    assert_eq!(reviewed.status, StatusCode::OK, "{}", reviewed.text());
    let reviewed: RequestView = reviewed.json();
    let grant = reviewed.grant.unwrap();
    assert_eq!(reviewed.request.state, RequestState::Granted { grant: grant.id.clone() });
    assert_eq!((grant.state, grant.ends.as_second() - grant.starts.as_second()), (GrantState::Active, 3600));
    let session = alice.open().await;
    let opened = bench.core.sessions.look(&session).unwrap().unwrap();
    assert_eq!((opened.expires, opened.grant), (grant.ends, Some(grant.id)));
    bench.core.admit(&session, &alice.device("alice")).unwrap();
}

/// A statement that policy holds, on a session of somebody.
pub(super) struct Statement<'a> {
    pub(super) bench: &'a Bench,
    pub(super) context: Arc<SessionContext>,
}

impl<'a> Statement<'a> {
    fn of(bench: &'a Bench, session: &SessionId, user: &User<'_>, subject: &str) -> Self {
        let context = bench.core.admit(session, &user.device(subject)).unwrap().context;
        Self { bench, context }
    }

    fn subject(&self, shape: Option<Shape>) -> SubjectText {
        let digest = Digest::from_bytes(&[7; 32]);
        SubjectText::write(Subject {
            version: 1,
            request: RequestId::from_random(rand::random()),
            requester: self.context.principal.id.clone(),
            target: self.context.target.name.clone(),
            policy: self.bench.core.policy(),
            rules: vec![RuleName::new("drop").unwrap()],
            reason: None,
            what: Matter::Deed(Box::new(DeedSubject {
                session: self.context.id.clone(),
                connection: 1,
                protocol: "postgres".into(),
                database: "app".into(),
                login: "u".into(),
                text: "drop table t".into(),
                sent: None,
                values: Vec::new(),
                exact: digest,
                facts: Facts::new("drop", StatementKind::Definition),
                settings: BTreeMap::new(),
                estimate: None,
                shape,
            })),
        })
        .unwrap()
    }

    fn hold() -> Hold {
        Hold {
            rules: vec![RuleName::new("drop").unwrap()],
            reason: "dropping takes a review".into(),
            threshold: "corp/dba:1".parse::<Threshold>().unwrap(),
            standing: 7200,
            people_only: false,
        }
    }

    async fn held(&self) -> (RequestId, Filed) {
        self.held_as(self.subject(None), Self::hold()).await.unwrap()
    }

    async fn held_as(&self, subject: SubjectText, hold: Hold) -> Result<(RequestId, Filed), HoldError> {
        let id = subject.subject().request.clone();
        Ok((id, self.bench.core.hold(&self.context, Held { subject, hold }).await?))
    }
}

#[tokio::test]
async fn a_held_statement_is_released_once() {
    let bench = Bench::new(crate::broker::testing::PERMIT_ALL);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let session = alice.open().await;
    let statement = Statement::of(&bench, &session, &alice, "alice");
    let (id, filed) = statement.held().await;
    assert_eq!(filed.needs, "1 of corp/dba");
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
    bob.review("bob", id.as_str(), Decision::Approve).await;
    let Outcome::Approved(reviews) = filed.outcome.await else { panic!("it was approved") };
    assert_eq!(reviews.len(), 1);
    bench.core.release(&id).await.unwrap();
    assert_eq!(bench.core.release(&id).await, Err(HoldError::NotApproved));
    let released =
        bench.journal.whats().iter().filter(|what| matches!(what, What::RequestReleased { .. })).count();
    assert_eq!(released, 1);
}
