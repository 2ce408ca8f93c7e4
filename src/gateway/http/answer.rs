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
use crate::gateway::aws::Frame;

/// A body on its way, in either direction.
pub(in crate::gateway) type Body = UnsyncBoxBody<Bytes, Broken>;

/// Why a body ends before it is whole. The other side sees a message that is cut off.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub(in crate::gateway) struct Broken(pub(in crate::gateway) String);

/// How whoever calls reads an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Form {
    /// By its trailers (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
    Grpc,
    /// As an SDK of AWS does.
    Aws(Frame),
    /// By its status, and perhaps its body.
    Plain,
}

impl Form {
    /// As the head of a call tells.
    pub(in crate::gateway) fn of(headers: &HeaderMap) -> Self {
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
pub(in crate::gateway) struct Problem(Box<Said>);

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) struct Said {
    pub(in crate::gateway) status: StatusCode,
    /// What went wrong, in a few words.
    pub(in crate::gateway) title: &'static str,
    /// In a sentence.
    pub(in crate::gateway) detail: String,
    pub(in crate::gateway) rule: Option<String>,
    pub(in crate::gateway) hint: Option<String>,
    challenge: Option<HeaderName>,
    /// What AWS calls it, where the status does not tell.
    pub(in crate::gateway) code: Option<&'static str>,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Said { status, title, detail, rule: None, hint: None, challenge: None, code: None }))
    }

    /// The status, and what went wrong in a sentence.
    pub(in crate::gateway) fn told(&self) -> (StatusCode, &str) {
        (self.0.status, &self.0.detail)
    }

    /// All that it says.
    pub(in crate::gateway) fn said(&self) -> &Said {
        &self.0
    }

    /// The rule of the gateway's own by which it refuses a call that policy is not asked about.
    pub(in crate::gateway) fn built_in(&self) -> RuleName {
        RuleName::new(self.0.status_rule()).unwrap_or_else(|_| RuleName::default_deny())
    }

    /// Policy or a reviewer says no.
    pub(in crate::gateway) fn denied(denial: Denial) -> Self {
        let mut problem = Self::new(StatusCode::FORBIDDEN, "denied by policy", denial.reason);
        problem.0.rule = Some(denial.rule.to_string());
        problem.0.hint = denial.hint;
        problem
    }

    /// The call does not carry the session's secret.
    pub(in crate::gateway) fn closed(is_proxied: bool) -> Self {
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

    /// The call is not signed with the session's keys, or not as it should be; `code` is what AWS calls that.
    pub(in crate::gateway) fn unsigned(code: &'static str, why: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::FORBIDDEN, "not your session", why);
        problem.0.code = Some(code);
        problem
    }

    /// Its answer would tell what is masked, in another way than by showing it masked.
    pub(in crate::gateway) fn protected(why: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not with what is masked here", why)
    }

    /// Whoever makes the session's credential says no.
    pub(in crate::gateway) fn without_lease(why: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "no credential for this call", why)
    }

    /// With what to do next.
    pub(in crate::gateway) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The call can be read in more than one way.
    pub(in crate::gateway) fn unclear(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the call cannot be judged", why)
    }

    /// The call is for something else than the target.
    pub(in crate::gateway) fn elsewhere(why: impl Into<String>) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, "not this target", why)
    }

    /// The call is longer than what can be judged.
    pub(in crate::gateway) fn too_long(why: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the call cannot be judged", why)
    }

    /// The API's answer may not be passed on.
    pub(in crate::gateway) fn unmaskable(why: impl std::fmt::Display) -> Self {
        let detail = format!("the API's answer cannot be masked, so it is not passed on: {why}");
        Self::new(StatusCode::BAD_GATEWAY, UNMASKABLE, detail)
    }

    /// The API's answer is too long or damaged.
    pub(in crate::gateway) fn unusable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "the answer cannot be passed on", why)
    }

    /// The API cannot be reached.
    pub(in crate::gateway) fn unreachable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, UNREACHABLE, why)
    }

    /// The session ends.
    pub(in crate::gateway) fn over(why: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the session has closed", why)
    }

    pub(in crate::gateway) fn respond(self, form: Form) -> Response<Body> {
        match form {
            Form::Grpc => self.trailers_only(),
            Form::Aws(frame) => frame.respond(&self),
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
    /// Whether nobody answered, so that another try may help.
    pub(in crate::gateway) fn is_unreachable(&self) -> bool {
        self.title == UNREACHABLE
    }

    fn status_rule(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => "not-this-session",
            _ if self.code.is_some() => "not-this-session",
            StatusCode::MISDIRECTED_REQUEST => "not-this-target",
            _ => "unjudged",
        }
    }
}

/// A body that is there already.
pub(in crate::gateway) fn whole(bytes: Bytes) -> Body {
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
const UNREACHABLE: &str = "the API cannot be reached";
const UNMASKABLE: &str = "the answer cannot be masked";
/// What is percent-encoded in `grpc-message`; what is not ASCII is so anyway.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');
