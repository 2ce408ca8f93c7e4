//! Errors as problem details (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::broker::app::core::OpenError;
use crate::broker::app::devices::ConfirmError;
use crate::broker::approvals::ApprovalError;
use crate::broker::authn::{AuthnError, TokenFault};
use crate::broker::store::StoreError;
use crate::gateway::authority::Refusal;
use crate::gateway::journal::JournalError;
use crate::wire::control::{Confirmation, PROBLEM_JSON, Problem, ProblemCode};
use crate::wire::dpop::ProofError;

/// An answer that says no, and in how many seconds to try again. Boxed: most answers say yes.
#[derive(Debug)]
pub(super) struct Fault(Box<Problem>, Option<u64>);

impl Fault {
    fn new(status: StatusCode, code: ProblemCode, title: impl Into<String>) -> Self {
        let name = match code {
            ProblemCode::BadRequest => "bad-request",
            ProblemCode::Conflict => "conflict",
            ProblemCode::Denied => "denied",
            ProblemCode::Internal => "internal",
            ProblemCode::LoginNeeded => "login-needed",
            ProblemCode::ReviewNeeded => "review-needed",
            ProblemCode::Revoked => "revoked",
            ProblemCode::TokenSpent => "token-spent",
            ProblemCode::Unavailable => "unavailable",
            ProblemCode::Unconfirmed => "unconfirmed",
            ProblemCode::Unknown => "unknown",
        };
        let problem = Problem {
            kind: format!("urn:hoopctl:problem:{name}"),
            status: status.as_u16(),
            title: title.into(),
            detail: None,
            hint: None,
            code,
            confirmation: None,
        };
        Self(Box::new(problem), None)
    }

    pub(super) fn bad_request(title: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ProblemCode::BadRequest, title)
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ProblemCode::BadRequest, "the request is too large")
    }

    pub(super) fn no_page() -> Self {
        Self::new(StatusCode::NOT_FOUND, ProblemCode::Unknown, "there is no such path")
    }

    pub(super) fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ProblemCode::BadRequest,
            "the path does not take this method",
        )
    }

    /// There is no such thing, or it is not theirs: one answer for both.
    pub(super) fn unknown(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, ProblemCode::Unknown, format!("there is no such {what}"))
    }

    /// There is no such target, or they may not reach it: one answer for both.
    pub(super) fn no_target() -> Self {
        Self::unknown("target").hint("`hoopctl list` shows the targets that you may reach")
    }

    pub(super) fn denied(title: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ProblemCode::Denied, title)
    }

    pub(super) fn login_needed(title: impl Into<String>) -> Self {
        let fault = Self::new(StatusCode::UNAUTHORIZED, ProblemCode::LoginNeeded, title);
        fault.hint("run `hoopctl login`")
    }

    fn token_spent(title: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ProblemCode::TokenSpent, title).hint("run `hoopctl login`")
    }

    fn unconfirmed(title: impl Into<String>, confirmation: Confirmation) -> Self {
        let mut fault = Self::new(StatusCode::FORBIDDEN, ProblemCode::Unconfirmed, title);
        fault.0.hint = Some(format!("run `hoopctl device confirm {}` on that device", confirmation.code));
        fault.0.confirmation = Some(confirmation);
        fault
    }

    pub(super) fn revoked(title: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ProblemCode::Revoked, title)
    }

    pub(super) fn too_many(title: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, ProblemCode::Unavailable, title)
    }

    pub(super) fn unavailable(title: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ProblemCode::Unavailable, title)
    }

    /// Our own fault: the particulars are for the log, not for the caller.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "a call failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ProblemCode::Internal,
            "the broker failed; its log says why",
        )
    }

    /// Something that was to be read could not be.
    pub(super) fn unread(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::ResourceBusy => {
                Self::unavailable("the ledger is being read for another recording").retry_in(1)
            }
            _ => Self::internal(error),
        }
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// When to try again.
    fn retry_in(mut self, seconds: u64) -> Self {
        self.1 = Some(seconds);
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut answer = (status, body).into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.1 {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("DPoP algs=\"EdDSA\""));
        }
        answer
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        tracing::error!(%error, "a call could not be entered");
        Self::unavailable("the audit ledger cannot be written, so nothing may happen")
    }
}

impl From<AuthnError> for Fault {
    fn from(error: AuthnError) -> Self {
        let text = error.to_string();
        match error {
            AuthnError::BadRequest(_) => Self::bad_request(text),
            AuthnError::Bound => Self::login_needed(text).hint(
                "a job keeps its key below HOOPCTL_HOME, RUNNER_TEMP or XDG_RUNTIME_DIR; \
                 if that is lost, take a new token",
            ),
            AuthnError::DeviceRevoked => Self::revoked(text)
                .hint("`hoopctl logout`, then `hoopctl login`, enrols this machine with a new key"),
            AuthnError::Groupless(_) => Self::denied(text)
                .hint("the provider's `groups_required` is set; ask the operator where groups should come from"),
            AuthnError::GroupsUnasked(_) => {
                Self::unavailable("the identity provider cannot be asked for your groups").detail(text)
            }
            AuthnError::Journal(error) => error.into(),
            AuthnError::NoRule => Self::denied(text),
            AuthnError::NotFresh => {
                Self::login_needed(text).hint("sign out at the identity provider, then run `hoopctl login`")
            }
            AuthnError::Provider(_) => {
                tracing::warn!(error = text, "a login failed");
                Self::unavailable("the identity provider cannot be asked for its keys").detail(text)
            }
            AuthnError::Store(error) => error.into(),
            AuthnError::SubjectToken(TokenFault::Expired | TokenFault::NotYet | TokenFault::Stale) => {
                Self::login_needed(text).hint(
                    "run `hoopctl login`; if that does not help, the clock of the broker or of the provider is wrong",
                )
            }
            AuthnError::TooMany => Self::too_many(text),
            AuthnError::Proof(ProofError::Stale) => {
                Self::login_needed(text).hint("`hoopctl doctor` says how far the clock is off")
            }
            AuthnError::Proof(_)
            | AuthnError::Replayed
            | AuthnError::SubjectToken(_)
            | AuthnError::Unknown => Self::login_needed(text),
            AuthnError::Spent => Self::token_spent(text),
            AuthnError::Unconfirmed(confirmation) => Self::unconfirmed(text, confirmation),
        }
    }
}

impl From<ConfirmError> for Fault {
    fn from(error: ConfirmError) -> Self {
        let text = error.to_string();
        match error {
            ConfirmError::Journal(error) => error.into(),
            ConfirmError::NotEnrolled => Self::denied(text),
            ConfirmError::Store(error) => error.into(),
            ConfirmError::Unknown => {
                Self::unknown("code").hint("the new device shows it; it is good for ten minutes")
            }
            ConfirmError::Voided => Self::unknown("code").detail(text),
        }
    }
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        let text = error.to_string();
        match error {
            OpenError::Draining => Self::unavailable(text),
            OpenError::Journal(error) => error.into(),
            OpenError::NoTarget => Self::no_target(),
            OpenError::ReviewNeeded { ref target, .. } => {
                Self::new(StatusCode::FORBIDDEN, ProblemCode::ReviewNeeded, text)
                    .hint(format!("ask for it: hoopctl request approval {target} --reason \"…\""))
            }
            OpenError::TooMany => Self::too_many(text).hint("`hoopctl session list` shows them"),
            OpenError::Store(error) => error.into(),
            OpenError::Unbound(_) => Self::denied(text).hint(
                "the operator maps claims of tokens with `attributes`; `hoopctl explain` shows the filter",
            ),
        }
    }
}

impl From<ApprovalError> for Fault {
    fn from(error: ApprovalError) -> Self {
        let text = error.to_string();
        match error {
            ApprovalError::Bad(_) => Self::bad_request(text),
            ApprovalError::Conflict(_) => Self::new(StatusCode::CONFLICT, ProblemCode::Conflict, text),
            ApprovalError::Denied(_) => Self::denied(text),
            ApprovalError::Journal(error) => error.into(),
            ApprovalError::NoTarget => Self::no_target(),
            ApprovalError::Store(error) => error.into(),
            ApprovalError::TooMany => Self::too_many(text)
                .hint("`hoopctl request list --mine` shows them, `withdraw` takes one back"),
            ApprovalError::TooManyWait => {
                Self::too_many(text).retry_in(1).hint("ask again and again instead of waiting")
            }
            ApprovalError::TooOften { wait, .. } => Self::too_many(text)
                .retry_in(wait)
                .hint("whoever runs the broker sets the limit: `[reviews] requests_per_hour`"),
            ApprovalError::Unknown(what) => Self::unknown(what),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed(_) => {
                Self::revoked(refusal.to_string()).hint("open another with `hoopctl connect`")
            }
            Refusal::TooManyConnections => Self::denied(refusal.to_string()),
            Refusal::Unknown => Self::unknown("session"),
        }
    }
}
