//! What the gateway itself answers.
//!
//! Job: problem bodies (RFC 9457) that name the rule and the next step, and for gRPC, which reads no bodies of others,
//! a status. Boundary: no answer quotes what came from the API or from the call's body.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PROXY_AUTHENTICATE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;
use thiserror::Error;

use crate::domain::name::RuleName;
use crate::domain::policy::Denial;

/// A body on its way, in either direction.
pub(super) type Body = UnsyncBoxBody<Bytes, Broken>;

/// Why a body ends before it is whole. The other side sees a message that is cut off.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub(super) struct Broken(pub(super) String);

/// How whoever calls reads an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// By its trailers (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
    Grpc,
    /// By its status, and perhaps its body.
    Plain,
}

impl Form {
    /// As the head of a call tells.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let media = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let is_grpc = match media.split_at_checked(GRPC.len()) {
            // `application/grpc-web` has its trailers in its body
            Some((media, rest)) => {
                media.eq_ignore_ascii_case(GRPC) && rest.first().is_none_or(|byte| *byte != b'-')
            }
            None => false,
        };
        if is_grpc { Self::Grpc } else { Self::Plain }
    }
}

/// An answer instead of the API's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem(Box<Said>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    status: StatusCode,
    /// What went wrong, in a few words.
    title: &'static str,
    /// In a sentence.
    detail: String,
    rule: Option<String>,
    hint: Option<String>,
    challenge: Option<HeaderName>,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Said { status, title, detail, rule: None, hint: None, challenge: None }))
    }

    /// The status, and what went wrong in a sentence.
    pub(super) fn told(&self) -> (StatusCode, &str) {
        (self.0.status, &self.0.detail)
    }

    /// The rule of the gateway's own by which it refuses a call that policy is not asked about.
    pub(super) fn built_in(&self) -> RuleName {
        RuleName::new(self.0.status_rule()).unwrap_or_else(|_| RuleName::default_deny())
    }

    /// Policy or a reviewer says no.
    pub(super) fn denied(denial: Denial) -> Self {
        let mut problem = Self::new(StatusCode::FORBIDDEN, "denied by policy", denial.reason);
        problem.0.rule = Some(denial.rule.to_string());
        problem.0.hint = denial.hint;
        problem
    }

    /// The call does not carry the session's secret.
    pub(super) fn closed(is_proxied: bool) -> Self {
        let (status, challenge) = match is_proxied {
            true => (StatusCode::PROXY_AUTHENTICATION_REQUIRED, PROXY_AUTHENTICATE),
            false => (StatusCode::UNAUTHORIZED, WWW_AUTHENTICATE),
        };
        let why = "the call does not carry the session's secret";
        let mut problem = Self::new(status, "not your session", why);
        let hint =
            "use the address and the credentials that `hoopctl connect` or `hoopctl exec` gives to its child";
        problem.0.hint = Some(hint.into());
        problem.0.challenge = Some(challenge);
        problem
    }

    /// The call can be read in more than one way.
    pub(super) fn unclear(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the call cannot be judged", why)
    }

    /// The call is for something else than the target.
    pub(super) fn elsewhere(why: impl Into<String>) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, "not this target", why)
    }

    /// The call is longer than what can be judged.
    pub(super) fn too_long(why: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the call cannot be judged", why)
    }

    /// The API's answer may not be passed on.
    pub(super) fn unmaskable(why: impl std::fmt::Display) -> Self {
        let detail = format!("the API's answer cannot be masked, so it is not passed on: {why}");
        Self::new(StatusCode::BAD_GATEWAY, UNMASKABLE, detail)
    }

    /// The API's answer is too long or damaged.
    pub(super) fn unusable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "the answer cannot be passed on", why)
    }

    /// The API cannot be reached.
    pub(super) fn unreachable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "the API cannot be reached", why)
    }

    /// The session ends.
    pub(super) fn over(why: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the session has closed", why)
    }

    pub(super) fn respond(self, form: Form) -> Response<Body> {
        match form {
            Form::Grpc => self.trailers_only(),
            Form::Plain => self.body(),
        }
    }

    /// Status and reason in a head that is also the end.
    fn trailers_only(self) -> Response<Body> {
        let said = *self.0;
        let rule = said.rule.map(|rule| format!(" (rule {rule})")).unwrap_or_default();
        let hint = said.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let message = format!("{}: {}{rule}{hint}", said.title, said.detail);
        let message = utf8_percent_encode(&message, MESSAGE).to_string();
        let mut response = Response::new(whole(Bytes::new()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from(grpc(said.status, said.title)));
        if let Ok(message) = HeaderValue::try_from(message) {
            headers.insert("grpc-message", message);
        }
        response
    }

    fn body(self) -> Response<Body> {
        let said = *self.0;
        let mut body = json!({
            "type": "about:blank",
            "title": said.title,
            "status": said.status.as_u16(),
            "detail": said.detail,
        });
        if let Some(members) = body.as_object_mut() {
            members.extend(said.rule.map(|rule| ("rule".into(), rule.into())));
            members.extend(said.hint.map(|hint| ("hint".into(), hint.into())));
        }
        let mut response = Response::new(whole(Bytes::from(format!("{body:#}\n"))));
        *response.status_mut() = said.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = said.challenge {
            headers.insert(challenge, HeaderValue::from_static("Basic realm=\"hoopctl\", charset=\"UTF-8\""));
        }
        response
    }
}

impl Said {
    fn status_rule(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => "not-this-session",
            StatusCode::MISDIRECTED_REQUEST => "not-this-target",
            _ => "unjudged",
        }
    }
}

/// A body that is there already.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// The code of gRPC for what was told otherwise.
fn grpc(status: StatusCode, title: &str) -> u16 {
    match status {
        StatusCode::FORBIDDEN => 7, // PERMISSION_DENIED
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => 16, // UNAUTHENTICATED
        StatusCode::BAD_REQUEST => 3, // INVALID_ARGUMENT
        StatusCode::MISDIRECTED_REQUEST => 9, // FAILED_PRECONDITION
        StatusCode::PAYLOAD_TOO_LARGE => 8, // RESOURCE_EXHAUSTED
        // nobody is to try again
        _ if title == UNMASKABLE => 9,
        _ => 14, // UNAVAILABLE
    }
}

const GRPC: &[u8] = b"application/grpc";
const UNMASKABLE: &str = "the answer cannot be masked";
/// What is percent-encoded in `grpc-message`; what is not ASCII is so anyway.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');
