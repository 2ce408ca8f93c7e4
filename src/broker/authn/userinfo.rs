//! What a provider says of a person beside the ID token.
//!
//! Job: one call of the userinfo endpoint (OpenID Connect Core §5.3) with the access token that came along
//! with an ID token. Boundary: the endpoint is the configured issuer's own word, and who it is about is the
//! ID token's. Failure mode: [`UserinfoFault`]; the person has no groups then, and is told so.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use thiserror::Error;
use url::Url;

use super::claims::Claims;
use super::fetch::{Fetch, FetchError};

/// Why userinfo names no groups.
#[derive(Debug, Error)]
pub(super) enum UserinfoFault {
    #[error("userinfo has none either")]
    Claim,
    #[error("the provider has no userinfo endpoint")]
    Endpoint,
    #[error("userinfo cannot be asked: {0}")]
    Fetch(#[from] FetchError),
    #[error("what userinfo answers cannot be read")]
    Malformed,
    #[error("userinfo speaks of somebody else")]
    Subject,
    #[error("the access token did not come with this ID token")]
    Token,
    #[error("this client brought no access token for userinfo")]
    Tokenless,
}

impl UserinfoFault {
    /// Whether it comes and goes, so that each time must be told.
    pub(super) fn is_trouble(&self) -> bool {
        match self {
            Self::Fetch(_) | Self::Malformed | Self::Subject | Self::Token => true,
            Self::Claim | Self::Endpoint | Self::Tokenless => false,
        }
    }
}

/// The claims at the endpoint, which speak of the ID token's subject.
pub(super) async fn read(
    fetch: &dyn Fetch,
    endpoint: Option<Url>,
    token: Option<&SecretString>,
    claims: &Claims,
) -> Result<Map<String, Value>, UserinfoFault> {
    let endpoint = endpoint.ok_or(UserinfoFault::Endpoint)?;
    let token = token.ok_or(UserinfoFault::Tokenless)?;
    // INVARIANT: no token leaves here that the provider did not give out together with this ID token
    if token.expose_secret().len() > MAX_TOKEN || !claims.came_with(token.expose_secret()) {
        return Err(UserinfoFault::Token);
    }
    let document = match fetch.get_as(&endpoint, token).await {
        Ok(document) => document,
        // a connection that broke costs somebody their sessions: once more
        Err(_) => fetch.get_as(&endpoint, token).await?,
    };
    // a signed answer (`application/jwt`) is no JSON object either: no client here asks for one
    let all: Map<String, Value> = serde_json::from_slice(&document).map_err(|_| UserinfoFault::Malformed)?;
    // OpenID Connect Core §5.3.2: else the answer must not be used
    if all.get("sub").and_then(Value::as_str) != Some(claims.subject.as_str()) {
        return Err(UserinfoFault::Subject);
    }
    Ok(all)
}

const MAX_TOKEN: usize = 16 * 1024;
