//! Credentials of AWS as they came over a session's tunnel.
//!
//! Job: ask the gateway for them and read its answer. Boundary: they are kept in memory only, and given to whoever
//! showed the session's secret. Failure mode: the gateway's no as the broker's, so that it has an exit code.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::client::link::LinkError;
use crate::client::loopback::Opener;
use crate::wire::control::{Problem, ProblemCode};

/// Credentials.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Given {
    /// Names the keys.
    pub access_key_id: String,
    /// What calls are signed with.
    pub secret_access_key: SecretString,
    /// Goes with each call.
    pub token: SecretString,
    /// Until when they are good.
    pub expiration: Timestamp,
    /// Whose they are.
    pub role_arn: String,
}

/// What the gateway says instead.
#[derive(Debug, Default, Deserialize)]
struct Refused {
    #[serde(default)]
    message: String,
    hint: Option<String>,
}

impl Given {
    /// Asks the gateway; it may take as long as people take to review it.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn fetch(opener: &Arc<dyn Opener>, secret: &SecretString) -> Result<Self, LinkError> {
        let refused = |message: String, code| problem(code, message, None);
        let broken = |error: &dyn std::fmt::Display| {
            refused(format!("the gateway did not answer: {error}"), ProblemCode::Unavailable)
        };
        let stream = opener.open().await.map_err(|refusal| {
            let code = if refusal.is_a_denial() { ProblemCode::Revoked } else { ProblemCode::Unavailable };
            refused(refusal.message.trim_start_matches("hoopctl: ").to_owned(), code)
        })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let serving = tokio::spawn(connection);
        let mut token = HeaderValue::from_str(secret.expose_secret()).map_err(|error| broken(&error))?;
        token.set_sensitive(true);
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = http::Uri::from_static("/credentials");
        request.headers_mut().insert(HOST, HeaderValue::from_static("credentials"));
        request.headers_mut().insert(AUTHORIZATION, token);
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        serving.abort();
        let body = body.map_err(|error| broken(&error))?.to_bytes();
        if status == StatusCode::OK {
            // serde's errors may quote what they read
            return serde_json::from_slice(&body)
                .map_err(|_| LinkError::Malformed("the gateway gave no credentials".into()));
        }
        let told: Refused = serde_json::from_slice(&body).unwrap_or_default();
        let message = told.message.trim_start_matches("hoopctl: ").to_owned();
        let code = match status {
            StatusCode::FORBIDDEN => ProblemCode::Denied,
            StatusCode::SERVICE_UNAVAILABLE => ProblemCode::Revoked,
            _ => ProblemCode::Unavailable,
        };
        Err(problem(code, message, told.hint))
    }

    /// Whether they are good for another while: a third of what they were good for, as the broker counts.
    #[must_use]
    pub fn lasts(&self, since: Timestamp, now: Timestamp) -> bool {
        let life = self.expiration.duration_since(since);
        self.expiration.duration_since(now) > life / 3
    }

    /// As the container credential provider of SDKs reads them.
    #[must_use]
    pub fn container(&self) -> SecretString {
        json!({
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key.expose_secret(),
            "Token": self.token.expose_secret(),
            "Expiration": self.expiration,
            "RoleArn": self.role_arn,
        })
        .to_string()
        .into()
    }

    /// As `credential_process` of SDKs reads them; they are asked for again after `silence` at the latest.
    #[must_use]
    pub fn process(&self, now: Timestamp, silence: Option<u64>) -> SecretString {
        let silence = silence.and_then(|seconds| i64::try_from(seconds).ok()).map(SignedDuration::from_secs);
        let heard = silence.and_then(|silence| now.checked_add(silence).ok()).unwrap_or(Timestamp::MAX);
        let told = jiff::TimestampRound::new().smallest(jiff::Unit::Second).mode(jiff::RoundMode::Floor);
        let expires = self.expiration.min(heard);
        json!({
            "Version": 1,
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key.expose_secret(),
            "SessionToken": self.token.expose_secret(),
            "Expiration": expires.round(told).unwrap_or(expires),
        })
        .to_string()
        .into()
    }
}

/// The gateway's no, in the broker's form.
fn problem(code: ProblemCode, title: String, hint: Option<String>) -> LinkError {
    let title = if title.is_empty() { "the gateway gave no credentials".to_owned() } else { title };
    LinkError::Problem(Box::new(Problem {
        kind: "urn:hoopctl:problem:credentials".into(),
        status: 0,
        title,
        detail: None,
        hint,
        code,
        confirmation: None,
    }))
}

/// SHA-256 of the session's secret.
#[must_use]
pub fn digest(secret: &SecretString) -> [u8; 32] {
    Sha256::digest(secret.expose_secret().as_bytes()).into()
}

const LONGEST: usize = 64 << 10;
