//! What AWS says no with, in words that say what to do.
//!
//! Job: name the right that is missing and where it belongs. Boundary: quotes codes and what AWS says of rights, cut
//! and without control characters; never a token. Failure mode: what is not known is told as it is.

use std::error::Error;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

use crate::gateway::authority::LeaseError;

/// An error of STS.
pub(super) fn told<E, R>(error: &SdkError<E, R>) -> LeaseError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let (code, message) = (answer.err().code().unwrap_or("?"), answer.err().message());
            let told = advice(code, message.unwrap_or_default());
            match BUSY.contains(&code) {
                true => LeaseError::Unreachable(told),
                false => LeaseError::Issuer(told),
            }
        }
        SdkError::TimeoutError(_) => LeaseError::Unreachable("STS did not answer in time".into()),
        SdkError::DispatchFailure(failure) => LeaseError::Unreachable(match failure.as_connector_error() {
            Some(error) => format!("STS cannot be asked: {}", deepest(error)),
            None => "STS cannot be asked".into(),
        }),
        // no credentials of the broker's own are an error of this kind
        SdkError::ConstructionFailure(_) => {
            LeaseError::Issuer(format!("the call of STS cannot be made: {}", deepest(error)))
        }
        _ => LeaseError::Unreachable(format!("STS cannot be understood: {}", deepest(error))),
    }
}

/// An answer that is not what it must be.
pub(super) fn unusable(what: &str) -> LeaseError {
    LeaseError::Issuer(format!("STS answered with {what}"))
}

/// What to do about an error code of STS or IAM.
pub(super) fn advice(code: &str, message: &str) -> String {
    let quoted = plain(message);
    let missing = |right: &str, statement: &str| {
        format!(
            "AWS refuses {right}: the role's trust policy must allow it to the broker ({statement}); it says: {quoted}"
        )
    };
    match code {
        "AccessDenied" | "AccessDeniedException" if message.contains("sts:SetSourceIdentity") => missing(
            "sts:SetSourceIdentity",
            "add the action sts:SetSourceIdentity beside sts:AssumeRole, or set `source_identity = false`",
        ),
        "AccessDenied" | "AccessDeniedException" if message.contains("sts:TagSession") => missing(
            "sts:TagSession",
            "add the action sts:TagSession beside sts:AssumeRole, or set `tags = false`",
        ),
        "AccessDenied" | "AccessDeniedException" => {
            format!("AWS refuses it; look at the role's trust policy and at what the broker itself may do. It says: {quoted}")
        }
        "ExpiredToken" | "ExpiredTokenException" | "InvalidClientTokenId" | "SignatureDoesNotMatch" => {
            format!("what the broker itself is to AWS is not accepted ({code})")
        }
        "IDPCommunicationError" => {
            "AWS cannot reach the broker's keys: /.well-known/jwks.json must be reachable from the internet".into()
        }
        "InvalidIdentityToken" => format!(
            "AWS does not know the broker as an OpenID Connect provider, or not with this audience. It says: {quoted}"
        ),
        "MalformedPolicyDocument" => format!("a permission of the target is not one of IAM: {quoted}"),
        "PackedPolicyTooLarge" => {
            "the target's permissions and the session's tags are too long for STS together: merge permissions with `*`"
                .into()
        }
        "RegionDisabledException" => "STS is not active in this region for this account".into(),
        "ValidationError" if message.contains("DurationSeconds") => format!(
            "the role does not allow sessions of this length, or the broker is a role itself, which limits them to one hour; \
             set `valid = \"1h\"` or less. It says: {quoted}"
        ),
        _ => format!("AWS says {}: {quoted}", plain(code)),
    }
}

/// The innermost cause, which says what went wrong; the outer ones say that something did.
fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut at = error;
    while let Some(inner) = at.source() {
        at = inner;
    }
    plain(&at.to_string())
}

/// Without what steers a terminal, and not too long.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !crate::domain::text::deceives(*c)).take(300).collect()
}

/// Codes of services that have no time (STS, Common errors).
const BUSY: &[&str] = &[
    "IDPCommunicationError",
    "InternalError",
    "InternalFailure",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];
