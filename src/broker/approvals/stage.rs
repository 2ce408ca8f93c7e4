//! Who asks and who reviews, and a statement that is held, for the tests of approvals.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::testing::{Bench, User};
use crate::domain::action::Deed;
use crate::domain::approval::{DeedSubject, Shape, Subject, SubjectText, Threshold, What as Matter};
use crate::domain::facts::{Facts, StatementKind};
use crate::domain::name::{Digest, RequestId, RuleName, SessionId};
use crate::domain::policy::Hold;
use crate::gateway::authority::{Authority as _, Filed, Held, HoldError, SessionContext};

/// Alice, who asks, and bob, who reviews.
pub(crate) async fn pair(bench: &Bench) -> (User<'_>, User<'_>) {
    (bench.login("alice", 1).await, bench.login("bob", 2).await)
}

/// A statement that policy holds, on a session of somebody.
pub(crate) struct Statement<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) context: Arc<SessionContext>,
}

impl<'a> Statement<'a> {
    pub(crate) fn of(bench: &'a Bench, session: &SessionId, user: &User<'_>, subject: &str) -> Self {
        let context = bench.core.admit(session, &user.device(subject)).unwrap().context;
        Self { bench, context }
    }

    /// On a session that this somebody opens.
    pub(crate) async fn by(user: &User<'a>, name: &str) -> Self {
        let session = user.open().await;
        Self::of(user.bench, &session, user, name)
    }

    pub(crate) fn subject(&self, shape: Option<Shape>) -> SubjectText {
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
                facts: Deed::Statement(Facts::new("drop", StatementKind::Definition)),
                settings: BTreeMap::new(),
                estimate: None,
                shape,
            })),
        })
        .unwrap()
    }

    pub(crate) fn hold() -> Hold {
        Hold {
            rules: vec![RuleName::new("drop").unwrap()],
            reason: "dropping takes a review".into(),
            threshold: "corp/dba:1".parse::<Threshold>().unwrap(),
            standing: 7200,
            people_only: false,
        }
    }

    pub(crate) async fn held(&self) -> (RequestId, Filed) {
        self.held_as(self.subject(None), Self::hold()).await.unwrap()
    }

    pub(crate) async fn held_as(
        &self,
        subject: SubjectText,
        hold: Hold,
    ) -> Result<(RequestId, Filed), HoldError> {
        let id = subject.subject().request.clone();
        Ok((id, self.bench.core.hold(&self.context, Held { subject, hold }).await?))
    }
}
