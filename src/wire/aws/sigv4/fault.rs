//! What can be wrong with a signature.
//!
//! Job: one variant per fault, with the code that AWS uses for it and a sentence. Boundary: holds no value of the
//! request except the names of headers. Failure mode: none.

use thiserror::Error;

use super::presented::Placement;

/// Why a request is not accepted. All but [`SignatureFault::BodyUnread`] are the client's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureFault {
    /// Another access key.
    #[error("the access key id is not the one of this session; use the keys that hoopctl has set")]
    AccessKey,
    /// SigV4A (`AWS4-ECDSA-P256-SHA256`), as for multi-region access points.
    #[error(
        "signatures of version 4A (AWS4-ECDSA-P256-SHA256) are not supported; sign for one region with version 4"
    )]
    Asymmetric,
    /// The body is not the one that was signed.
    #[error("the body's SHA-256 is not the one that was signed")]
    BodyHash,
    /// Whoever asks must have read the body first, and has not: our own fault.
    #[error("the signature covers the body, which was not read yet")]
    BodyUnread,
    /// `Content-Encoding: aws-chunked`, and `x-amz-content-sha256` says that the body is not sent in chunks.
    #[error("the body is aws-chunked, and `x-amz-content-sha256` says that it is not")]
    Chunked,
    /// A time that is not written `20260131T235959Z`, or none.
    #[error("`X-Amz-Date` is not a time such as 20260131T235959Z")]
    Date,
    /// Something that may stand once stands twice.
    #[error("`{0}` stands there more than once")]
    Duplicate(&'static str),
    /// A presigned URL after its end.
    #[error("the presigned request has expired")]
    Expired,
    /// `X-Amz-Expires` is no number of seconds up to a week.
    #[error("`X-Amz-Expires` is not a number of seconds between 1 and 604800")]
    Expires,
    /// A signed header that is not there, or with a value that is not plain text.
    #[error("the header `{0}` is missing, or its value is not plain ASCII without tabs")]
    Header(String),
    /// It cannot be read.
    #[error("the signature is malformed: {what}")]
    Malformed {
        /// Where it stands.
        placement: Placement,
        /// What of it.
        what: &'static str,
    },
    /// The request is not signed.
    #[error("the request is not signed; use the keys that hoopctl has set")]
    Missing,
    /// S3 wants `x-amz-content-sha256`.
    #[error("the header `x-amz-content-sha256` is missing")]
    PayloadAbsent,
    /// `x-amz-content-sha256` says nothing that is known.
    #[error(
        "`x-amz-content-sha256` is neither a SHA-256 in lower-case hexadecimal, nor UNSIGNED-PAYLOAD, nor one of the \
         STREAMING- words of version 4"
    )]
    PayloadClaim,
    /// For a region that this target does not have.
    #[error("the region of the signature is wrong; expecting '{expected}'")]
    Region {
        /// The one that it must be for; several are separated by commas.
        expected: String,
    },
    /// The date of the scope is not the one of the time.
    #[error("the date in the credential scope is not the date of `X-Amz-Date`")]
    ScopeDate,
    /// For a service that this target does not have.
    #[error("the service of the signature is wrong; expecting '{expected}'")]
    Service {
        /// The one that it must be for; several are separated by commas.
        expected: String,
    },
    /// The signature is wrong.
    #[error(
        "the signature does not match the request; check the secret key, and that nothing changes requests after they are signed"
    )]
    Signature,
    /// Signed too long ago, or in the future.
    #[error("the time of the signature is more than five minutes from ours; check the clock of this machine")]
    Skewed,
    /// The path or the query can be read in two ways.
    #[error("the URL can be read in two ways: {0}")]
    Target(&'static str),
    /// Another session token, or one where there is none.
    #[error("the session token is not the one of this session; use the keys that hoopctl has set")]
    Token,
    /// Two signatures.
    #[error("the request is signed in its headers and in its query; one of the two is allowed")]
    TwoMechanisms,
    /// A header that must be signed is not.
    #[error("the header `{0}` is not signed; `host`, `content-md5` and every `x-amz-` header must be")]
    Unsigned(String),
    /// A signature of version 2.
    #[error("signatures of version 2 are not supported; use version 4")]
    VersionTwo,
}

impl SignatureFault {
    /// The code by which SDKs know it (Amazon S3 API Reference, "Error responses"). Stable.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AccessKey => "InvalidAccessKeyId",
            Self::Asymmetric => "NotImplemented",
            Self::BodyHash => "XAmzContentSHA256Mismatch",
            Self::BodyUnread => "InternalError",
            Self::Expired | Self::Unsigned(_) => "AccessDenied",
            Self::Expires => "AuthorizationQueryParametersError",
            Self::Malformed { placement: Placement::Query, .. } => "AuthorizationQueryParametersError",
            Self::Date
            | Self::Malformed { .. }
            | Self::Region { .. }
            | Self::ScopeDate
            | Self::Service { .. } => "AuthorizationHeaderMalformed",
            Self::Missing => "MissingAuthenticationToken",
            Self::Chunked | Self::Header(_) | Self::PayloadAbsent | Self::VersionTwo => "InvalidRequest",
            Self::Duplicate(_) | Self::PayloadClaim | Self::TwoMechanisms => "InvalidArgument",
            Self::Signature => "SignatureDoesNotMatch",
            Self::Skewed => "RequestTimeTooSkewed",
            Self::Target(_) => "InvalidURI",
            Self::Token => "InvalidToken",
        }
    }

    /// The HTTP status that AWS answers with.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::AccessKey
            | Self::Expired
            | Self::Missing
            | Self::Signature
            | Self::Skewed
            | Self::Unsigned(_) => 403,
            Self::Asymmetric => 501,
            Self::BodyUnread => 500,
            _ => 400,
        }
    }
}
