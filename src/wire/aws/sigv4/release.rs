//! Taking a client's signature out of a request.
//!
//! Job: leave of the head what it asks for, in one spelling, and nothing of how it was signed. Boundary: the request
//! that was verified, and no other. Failure mode: [`SignatureFault::Target`] when what is left is no URL.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;

use super::canonical;
use super::fault::SignatureFault;
use super::presented::{PARAMETERS, X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN};
use super::query::Query;
use super::verify::Verified;

impl Verified {
    /// Takes the signature out of the request, and writes its path and its query in one spelling: what is judged
    /// is then what was verified, and what goes upstream. The answer is the query, decoded.
    ///
    /// What a presigned URL carries as `x-amz-` parameters beside its signature is what S3 reads as headers:
    /// it becomes headers, so that there is one place to judge.
    ///
    /// # Errors
    /// [`SignatureFault::Duplicate`] when such a header is there already, [`SignatureFault::Header`] when its value
    /// is none, [`SignatureFault::Target`] when no URL is left.
    pub fn release(&self, parts: &mut Parts) -> Result<Query, SignatureFault> {
        for name in [AUTHORIZATION, X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN] {
            parts.headers.remove(name);
        }
        let mut query = self.query.clone();
        drop(query.take(|name| PARAMETERS.contains(&name)));
        for (name, value) in query.take(|name| name.to_ascii_lowercase().starts_with("x-amz-")) {
            let fault = || SignatureFault::Header("an X-Amz- parameter".into());
            let is_plain = value.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            let key = HeaderName::try_from(name.to_ascii_lowercase()).map_err(|_| fault())?;
            let value = HeaderValue::try_from(value).ok().filter(|_| is_plain).ok_or_else(fault)?;
            if parts.headers.insert(key, value).is_some() {
                return Err(SignatureFault::Duplicate("an x-amz- header and its parameter"));
            }
        }
        let path = if self.scope.has_plain_path() {
            canonical::plain_path(parts.uri.path())?
        } else {
            canonical::normal_path(parts.uri.path())?
        };
        let spelled = query.spell();
        let target = if spelled.is_empty() { path } else { format!("{path}?{spelled}") };
        let target = PathAndQuery::try_from(target).map_err(|_| SignatureFault::Target("no URL is left"))?;
        // the authority was the loopback's: `sign` sets the one of the real service
        parts.uri = target.into();
        Ok(query)
    }
}
