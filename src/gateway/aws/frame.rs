//! Refusals, as SDKs of AWS read them.
//!
//! Job: the rule and the next step in the frame of the service that was called, with a status that no SDK tries again
//! where trying again is of no use. Boundary: what is said is the gateway's own. Failure mode: none.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::gateway::http::answer::{Body, Problem, Said, whole};

/// How whoever calls reads errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Frame {
    /// The JSON protocols, in the version that was asked in.
    Json(Version),
    /// The query protocol: IAM, STS, SQS of old.
    Query,
    /// S3.
    S3,
}

/// A version of the JSON protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Version {
    /// `application/x-amz-json-1.0`
    One,
    /// `application/x-amz-json-1.1`
    OneOne,
}

impl Frame {
    /// As the head of a call tells.
    pub(in crate::gateway) fn of<B>(request: &Request<B>) -> Self {
        let media = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.unwrap_or_default().to_ascii_lowercase();
        if media.starts_with("application/x-amz-json-1.0") {
            Self::Json(Version::One)
        } else if media.starts_with("application/x-amz-json") || request.headers().contains_key(TARGET) {
            Self::Json(Version::OneOne)
        } else if media.starts_with("application/x-www-form-urlencoded") && request.method() == Method::POST {
            Self::Query
        } else {
            Self::S3
        }
    }

    /// The answer.
    pub(in crate::gateway) fn respond(self, problem: &Problem) -> Response<Body> {
        let said = problem.said();
        let (status, code) = self.code(said);
        let message = message(said);
        let (media, body) = match self {
            Self::Json(version) => {
                let body = serde_json::json!({ "__type": code, "message": message }).to_string();
                let media = match version {
                    Version::One => "application/x-amz-json-1.0",
                    Version::OneOne => "application/x-amz-json-1.1",
                };
                (media, body)
            }
            Self::Query => (
                XML,
                format!(
                    "{DECLARATION}<ErrorResponse><Error><Type>Sender</Type>{}</Error><RequestId>hoopctl</RequestId></ErrorResponse>",
                    told(code, &message)
                ),
            ),
            Self::S3 => (
                XML,
                format!("{DECLARATION}<Error>{}<RequestId>hoopctl</RequestId></Error>", told(code, &message)),
            ),
        };
        let mut response = Response::new(whole(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("x-amzn-requestid", HeaderValue::from_static("hoopctl"));
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
        response
    }

    /// What AWS would call it. Nothing but a place that cannot be reached is worth another try.
    fn code(self, said: &Said) -> (StatusCode, &'static str) {
        let is_json = matches!(self, Self::Json(_));
        if let Some(code) = said.code {
            return (StatusCode::FORBIDDEN, code);
        }
        match said.status {
            StatusCode::BAD_REQUEST if is_json => (StatusCode::BAD_REQUEST, "ValidationException"),
            StatusCode::BAD_REQUEST => (StatusCode::BAD_REQUEST, "InvalidRequest"),
            StatusCode::PAYLOAD_TOO_LARGE if is_json => (StatusCode::BAD_REQUEST, "ValidationException"),
            StatusCode::PAYLOAD_TOO_LARGE => (StatusCode::BAD_REQUEST, "EntityTooLarge"),
            StatusCode::BAD_GATEWAY if said.is_unreachable() => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
            }
            StatusCode::SERVICE_UNAVAILABLE if is_json => (StatusCode::FORBIDDEN, "ExpiredTokenException"),
            StatusCode::SERVICE_UNAVAILABLE => (StatusCode::FORBIDDEN, "ExpiredToken"),
            _ if is_json => (StatusCode::FORBIDDEN, "AccessDeniedException"),
            _ => (StatusCode::FORBIDDEN, "AccessDenied"),
        }
    }
}

fn message(said: &Said) -> String {
    let rule = said.rule.as_ref().map(|rule| format!(" (rule {rule})")).unwrap_or_default();
    let hint = said.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{}: {}{rule}{hint}", said.title, said.detail)
}

fn told(code: &str, message: &str) -> String {
    let mut escaped = String::with_capacity(message.len());
    for letter in message.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // XML 1.0 §2.2 has no others
            letter if letter.is_control() && !matches!(letter, '\t' | '\n' | '\r') => escaped.push('?'),
            letter => escaped.push(letter),
        }
    }
    format!("<Code>{code}</Code><Message>{escaped}</Message>")
}

const TARGET: &str = "x-amz-target";
const XML: &str = "application/xml";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use http_body_util::BodyExt as _;

    use super::*;
    use crate::domain::name::RuleName;
    use crate::domain::policy::Denial;
    use crate::gateway::authority::LeaseError;
    use crate::gateway::http::exchange::no_lease;

    fn call(media: &str) -> Frame {
        Frame::of(&Request::post("/").header(CONTENT_TYPE, media).body(()).unwrap())
    }

    #[tokio::test]
    async fn a_refusal_names_rule_and_next_step_in_the_frame_of_the_service() {
        let denial = Denial {
            rule: RuleName::new("no-traces").unwrap(),
            reason: "traces & co. are not read".into(),
            hint: Some("ask <corp/dba>".into()),
        };
        let problem = Problem::denied(denial);
        for (frame, expected) in [
            (
                call("application/x-amz-json-1.0"),
                r#"{"__type":"AccessDeniedException","message":"denied by policy: traces & co. are not read (rule no-traces); ask <corp/dba>"}"#,
            ),
            (
                call("application/x-www-form-urlencoded; charset=utf-8"),
                "<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>denied by policy: traces &amp; co. are not read (rule no-traces); ask &lt;corp/dba&gt;</Message></Error>",
            ),
            (
                call("text/plain"),
                "<Error><Code>AccessDenied</Code><Message>denied by policy: traces &amp; co.",
            ),
        ] {
            let answer = frame.respond(&problem);
            assert_eq!(answer.status(), 403);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8_lossy(&body);
            assert!(body.contains(expected), "{body}");
        }
    }

    #[test]
    fn nothing_is_tried_again_that_would_be_refused_again() {
        let status = |problem: Problem| Frame::S3.respond(&problem).status().as_u16();
        assert_eq!(status(Problem::unmaskable("x")), 403);
        assert_eq!(status(Problem::unusable("x")), 403);
        assert_eq!(status(Problem::over("x")), 403);
        assert_eq!(status(Problem::elsewhere("x")), 403);
        assert_eq!(status(Problem::unclear("x")), 400);
        assert_eq!(status(Problem::unreachable("x")), 503);
        // STS, or the target's permissions, say no; or STS cannot be asked now
        let lease = |error: LeaseError| status(no_lease(&error));
        assert_eq!(lease(LeaseError::Issuer("no permission of this target is for your groups".into())), 403);
        assert_eq!(lease(LeaseError::Unreachable("STS did not answer in time".into())), 503);
        assert_eq!(lease(LeaseError::Journal("the disk is full".into())), 503);
    }
}
