//! Signing anew, for the real service.
//!
//! Job: put the signature of credentials that the client never sees into a head whose own was taken out. Boundary:
//! AWS's crate computes it; here is chosen what it covers, and that nothing stays that would contradict it.
//! Failure mode: an [`UpstreamFault`], and the head must not be sent.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
    SignatureLocation, SigningSettings, UriPathNormalizationMode, sign as sign_head,
};
use aws_sigv4::sign::v4;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use jiff::Timestamp;
use secrecy::SecretString;
use thiserror::Error;

use super::keys::SigningKey;
use super::presented::{Payload, X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN, hex, plain, unhex};
use super::scope::{Scope, is_s3};
use super::verify::BodyHash;

/// For what is signed, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Upstream<'a> {
    /// What AWS gave out for the session.
    pub credentials: &'a Credentials,
    /// `host` or `host:port` of the endpoint, as its `Host` header says it; without the port where it is the
    /// scheme's own.
    pub host: &'a str,
    /// The region.
    pub region: &'a str,
    /// The signing name of the service.
    pub service: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// A head was signed: what the chunks of its body go on from.
pub struct SignedUpstream {
    key: SigningKey,
    time_and_scope: String,
    signature: [u8; 32],
}

impl SignedUpstream {
    pub(in crate::wire::aws) fn into_chain(self) -> (SigningKey, String, [u8; 32]) {
        (self.key, self.time_and_scope, self.signature)
    }
}

impl fmt::Debug for SignedUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedUpstream")
    }
}

/// Why a head could not be signed. None is the client's fault, if [`super::Verified::release`] came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UpstreamFault {
    /// The payload is [`Payload::Absent`], and the body was not read.
    #[error("the request cannot be signed before its body was read")]
    BodyUnread,
    /// Its headers, its URL, the endpoint or the credentials cannot be signed.
    #[error("the request cannot be signed for AWS")]
    Unsignable,
}

/// Signs a head for the real service: sets `Host`, `X-Amz-Date`, `X-Amz-Security-Token`, `X-Amz-Content-Sha256` (for
/// S3, and where the client sent it) and `Authorization`. The URI must be a path and a query, as
/// [`super::Verified::release`] leaves it.
///
/// Covered are `host`, `content-type`, `content-md5`, `range` and every `x-amz-` header. The rest is what proxies and HTTP
/// clients change.
///
/// # Errors
/// [`UpstreamFault`]; the head is then half written, and must not be sent.
pub fn sign(
    parts: &mut Parts,
    upstream: &Upstream<'_>,
    payload: Payload,
    body: BodyHash,
) -> Result<SignedUpstream, UpstreamFault> {
    let unsignable = UpstreamFault::Unsignable;
    for name in [AUTHORIZATION, X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN] {
        parts.headers.remove(name);
    }
    let host = HeaderValue::from_str(upstream.host).map_err(|_| unsignable)?;
    parts.headers.insert(HOST, host);
    let word = match (payload.word(), body) {
        (Some(word), _) => word,
        (None, BodyHash::Known(hash)) => hex(&hash),
        (None, BodyHash::Unread) => return Err(UpstreamFault::BodyUnread),
    };
    let has_checksum = is_s3(upstream.service) || payload != Payload::Absent;
    let time = SystemTime::from(upstream.now);
    let identity = upstream.credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(upstream.region)
        .name(upstream.service)
        .time(time)
        .settings(settings(is_s3(upstream.service), has_checksum))
        .build()
        .map_err(|_| unsignable)?
        .into();
    // the crate would panic where a host is missing; `Host` was set above
    let uri = format!(
        "https://{}{}",
        upstream.host,
        parts.uri.path_and_query().map_or("/", |target| target.as_str())
    );
    let headers = covered(parts)?;
    let request = SignableRequest::new(
        parts.method.as_str(),
        uri,
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        SignableBody::Precomputed(word),
    )
    .map_err(|_| unsignable)?;
    let (instructions, signature) = sign_head(request, &params).map_err(|_| unsignable)?.into_parts();
    for (name, value) in instructions.headers() {
        let name = HeaderName::try_from(name).map_err(|_| unsignable)?;
        let mut value = HeaderValue::try_from(value).map_err(|_| unsignable)?;
        value.set_sensitive(name == AUTHORIZATION || name == X_AMZ_SECURITY_TOKEN);
        parts.headers.insert(name, value);
    }
    chain(parts, upstream, &signature).ok_or(unsignable)
}

/// What the signatures of chunks are made with.
fn chain(parts: &Parts, upstream: &Upstream<'_>, signature: &str) -> Option<SignedUpstream> {
    let time = parts.headers.get(X_AMZ_DATE)?.to_str().ok()?;
    let date = time.get(..8)?;
    let scope = Scope::parse(&format!("{date}/{}/{}/aws4_request", upstream.region, upstream.service))?;
    let secret = SecretString::from(upstream.credentials.secret_access_key());
    Some(SignedUpstream {
        key: SigningKey::derive(&secret, &scope),
        time_and_scope: format!("{time}\n{scope}"),
        signature: unhex(signature)?,
    })
}

/// The headers that the signature covers.
fn covered(parts: &Parts) -> Result<Vec<(String, String)>, UpstreamFault> {
    let mut covered = Vec::new();
    for (name, value) in &parts.headers {
        let name = name.as_str();
        if name.starts_with("x-amz-") || matches!(name, "content-md5" | "content-type" | "host" | "range") {
            covered.push((name.to_owned(), plain(value).ok_or(UpstreamFault::Unsignable)?.to_owned()));
        }
    }
    Ok(covered)
}

fn settings(is_s3: bool, has_checksum: bool) -> SigningSettings {
    let mut settings = SigningSettings::default();
    (settings.percent_encoding_mode, settings.uri_path_normalization_mode) = if is_s3 {
        (PercentEncodingMode::Single, UriPathNormalizationMode::Disabled)
    } else {
        (PercentEncodingMode::Double, UriPathNormalizationMode::Enabled)
    };
    settings.payload_checksum_kind =
        if has_checksum { PayloadChecksumKind::XAmzSha256 } else { PayloadChecksumKind::NoHeader };
    settings.signature_location = SignatureLocation::Headers;
    settings.session_token_mode = SessionTokenMode::Include;
    settings
}
