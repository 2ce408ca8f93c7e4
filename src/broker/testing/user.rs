//! Somebody who is logged in, and what they are answered.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::Bench;
use crate::domain::approval::{Decision, Standing, SubjectText};
use crate::domain::device::Device;
use crate::domain::name::{ProviderName, SessionId};
use crate::domain::principal::{PrincipalId, Subject};
use crate::wire::control::{Problem, RequestView};
use crate::wire::dpop::{DeviceKey, endpoint, prove};
use crate::wire::review::Claims;

/// Somebody who is logged in.
pub(crate) struct User<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) key: DeviceKey,
    pub(crate) token: String,
}

impl User<'_> {
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.bench.send(self.request(method, path, body)).await
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: Option<Value>) -> Request<Body> {
        let bare = path.split_once('?').map_or(path, |(bare, _)| bare);
        let url = endpoint(&self.bench.core.config().public_url, bare);
        let jti = crate::broker::app::random_text();
        let proof = prove(&self.key, method, &url, Some(&self.token), &jti, self.bench.hand.now()).unwrap();
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("DPoP {}", self.token))
            .header("dpop", proof)
            .body(body)
            .unwrap()
    }

    /// Opens a session on `db` and returns its id.
    pub(crate) async fn open(&self) -> SessionId {
        let answer = self.call("POST", "/v1/sessions", Some(json!({"target": "db", "host": "laptop"}))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let opened: Value = answer.json();
        SessionId::new(opened.get("session").unwrap().as_str().unwrap()).unwrap()
    }

    /// Asks for a session on `db`.
    pub(crate) async fn ask(&self, more: Value) -> Answer {
        let mut body = json!({"target": "db", "reason": "a ticket", "seconds": 3600});
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        self.call("POST", "/v1/requests", Some(body)).await
    }

    /// Reviews a request as its client would: looks at it, and signs what it saw.
    pub(crate) async fn review(&self, subject: &str, request: &str, decision: Decision) -> Answer {
        self.review_with(subject, request, decision, None).await
    }

    pub(crate) async fn review_with(
        &self,
        subject: &str,
        request: &str,
        decision: Decision,
        standing: Option<Standing>,
    ) -> Answer {
        let seen = self.call("GET", &format!("/v1/requests/{request}"), None).await;
        if seen.status != StatusCode::OK {
            return seen;
        }
        let claims = self.claims(request, decision, self.device(subject).principal).await;
        self.give(request, &Claims { standing, ..claims }).await
    }

    /// What a client would sign about a request that its user may see.
    pub(crate) async fn claims(&self, request: &str, decision: Decision, reviewer: PrincipalId) -> Claims {
        let seen: RequestView = self.call("GET", &format!("/v1/requests/{request}"), None).await.json();
        Claims {
            request: seen.request.id,
            subject: SubjectText::read(seen.subject).unwrap().digest(),
            reviewer,
            decision,
            reason: None,
            standing: None,
            iat: self.bench.hand.now().as_second(),
        }
    }

    pub(crate) async fn give(&self, request: &str, claims: &Claims) -> Answer {
        let proof = crate::wire::review::sign(&self.key, claims).unwrap();
        let path = format!("/v1/requests/{request}/reviews");
        self.call("POST", &path, Some(json!({"proof": proof}))).await
    }

    pub(crate) fn device(&self, subject: &str) -> Device {
        let principal = PrincipalId {
            provider: ProviderName::new("corp").unwrap(),
            subject: Subject::new(subject).unwrap(),
        };
        let enrolled = self.bench.hand.now();
        let id = self.key.thumbprint();
        Device { id, principal, host: "laptop".into(), enrolled, revoked: None, confirmed_by: None }
    }
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) kind: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The problem that it must be.
    pub(crate) fn problem(&self) -> Problem {
        assert_eq!(self.kind.as_deref(), Some("application/problem+json"), "{}", self.text());
        self.json()
    }
}
