//! Leases of HTTP: what proves a session to its API.
//!
//! Job: fetch a standing secret, ask the API's provider for a token, or sign one; get another before it
//! ends. Boundary: secrets live in memory and go to the gateway only; what they are put into is the gateway's.
//! Failure mode: no lease without its entry.
//!
//! A token cannot be taken back here: it lasts for minutes, and nobody but the gateway ever holds it.

mod provider;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Serialize;
use url::Url;

use self::provider::Provider;
use super::issued::Issued;
use super::leases::Stamp;
use super::pki::jwt::Signer;
use super::secrets::Secrets;
use crate::domain::name::SessionId;
use crate::domain::target::{HttpIssuer, HttpTarget, Injection};
use crate::gateway::authority::{Credential, HttpCredential, Lease, LeaseError, SessionContext};
use crate::gateway::journal::Journal;

/// Makes leases of HTTP.
pub(crate) struct Tokens {
    minter: Minter,
    provider: Provider,
    secrets: Secrets,
    issued: Issued,
}

/// Signs tokens in the broker's name.
pub(crate) struct Minter {
    /// The broker, as APIs know it.
    pub(crate) issuer: Url,
    pub(crate) signer: Arc<Signer>,
}

/// The claims of RFC 9068.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
}

/// How long a standing secret is used before it is fetched again.
const STANDING: SignedDuration = SignedDuration::from_mins(5);
/// How long a token for an exchange is good.
const EXCHANGE: u64 = 60;

impl Tokens {
    /// Leases whose tokens this signs, or a provider gives.
    pub(crate) fn new(
        minter: Minter,
        journal: Arc<dyn Journal>,
        secrets: Secrets,
        stamp: impl Fn() -> Stamp + Send + Sync + 'static,
    ) -> Self {
        Self { minter, provider: Provider::default(), secrets, issued: Issued::new(journal, stamp) }
    }

    /// The session's lease; another one when it is about to end.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub(crate) async fn issue(
        &self,
        context: &SessionContext,
        target: &HttpTarget,
    ) -> Result<Lease, LeaseError> {
        if let Some(lease) = self.issued.lasting(context) {
            return Ok(lease);
        }
        let turn = self.issued.begin(&context.id);
        let now = self.issued.now();
        let (credential, expires) = self.credential(context, &target.issuer, now).await?;
        let expires = expires.min(Issued::limit(context, now));
        let credential = Credential::Http(Box::new(credential));
        let lease = Lease { user: target.issuer.login(), credential, expires };
        self.issued.give(turn, context, lease, left(&target.issuer, expires))
    }

    /// Forgets the session's lease.
    pub(crate) fn revoke(&self, session: &SessionId) {
        self.issued.end(session);
    }

    async fn credential(
        &self,
        context: &SessionContext,
        issuer: &HttpIssuer,
        now: Timestamp,
    ) -> Result<(HttpCredential, Timestamp), LeaseError> {
        let unfetched = |error: super::secrets::SecretError| LeaseError::Secret(error.to_string());
        let until =
            |seconds: u64| later(now, SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)));
        let bearer =
            |token: SecretString| HttpCredential { inject: Some((Injection::Bearer, token)), client: None };
        Ok(match issuer {
            HttpIssuer::None => (HttpCredential::default(), Issued::limit(context, now)),
            HttpIssuer::Static { injection, secret } => {
                let secret = self.secrets.fetch(secret).await.map_err(unfetched)?;
                let inject = Some((injection.clone(), secret));
                (HttpCredential { inject, client: None }, later(now, STANDING))
            }
            HttpIssuer::MutualTls { certificate, key } => {
                let path = certificate.clone();
                let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
                let chain = read.map_err(std::io::Error::other).and_then(|read| read);
                let chain =
                    chain.map_err(|error| LeaseError::Secret(format!("the client certificate: {error}")))?;
                let key = self.secrets.fetch_whole(key).await.map_err(unfetched)?;
                (HttpCredential { inject: None, client: Some((chain, key)) }, later(now, STANDING))
            }
            HttpIssuer::Jwt { audience, scopes, seconds } => {
                let token = self.mint(context, audience, scopes, now, *seconds)?;
                (bearer(token), until(*seconds))
            }
            HttpIssuer::ClientCredentials { endpoint, client, secret, scopes, audience } => {
                let secret = self.secrets.fetch(secret).await.map_err(unfetched)?;
                let fields = vec![("grant_type", SecretString::from("client_credentials"))];
                let fields = extended(fields, scopes, audience.as_deref());
                let token = self.provider.ask(endpoint, client, &secret, fields).await?;
                (bearer(token.access_token), until(token.expires_in))
            }
            HttpIssuer::TokenExchange { endpoint, client, secret, scopes, audience } => {
                let secret = self.secrets.fetch(secret).await.map_err(unfetched)?;
                let subject = self.mint(context, endpoint.as_str(), &[], now, EXCHANGE)?;
                let fields = vec![
                    ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".into()),
                    ("subject_token", subject),
                    ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt".into()),
                    ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token".into()),
                ];
                let fields = extended(fields, scopes, audience.as_deref());
                let token = self.provider.ask(endpoint, client, &secret, fields).await?;
                (bearer(token.access_token), until(token.expires_in))
            }
        })
    }

    /// A token for this session, in its principal's name.
    fn mint(
        &self,
        context: &SessionContext,
        audience: &str,
        scopes: &[String],
        now: Timestamp,
        seconds: u64,
    ) -> Result<SecretString, LeaseError> {
        let end = Issued::limit(context, now).as_second();
        let exp = now.as_second().saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX)).min(end);
        let nonce: [u8; 8] = rand::random();
        let claims = Claims {
            iss: self.minter.issuer.as_str().trim_end_matches('/'),
            sub: context.principal.id.to_string(),
            aud: audience,
            client_id: "hoopctl",
            iat: now.as_second(),
            exp,
            jti: format!("{}.{:016x}", context.id, u64::from_be_bytes(nonce)),
            scope: scopes.join(" "),
        };
        let signed = self.minter.signer.sign("at+jwt", &claims);
        signed.map_err(|error| LeaseError::Upstream(error.to_string()))
    }
}

/// What the end of a lease leaves behind.
fn left(issuer: &HttpIssuer, expires: Timestamp) -> String {
    match issuer {
        HttpIssuer::ClientCredentials { .. } | HttpIssuer::Jwt { .. } | HttpIssuer::TokenExchange { .. } => {
            format!("the token is gone; it says that it is valid until {expires}")
        }
        HttpIssuer::MutualTls { .. } => "a standing key".to_owned(),
        HttpIssuer::None => "there was no credential".to_owned(),
        HttpIssuer::Static { .. } => "a standing secret".to_owned(),
    }
}

/// What is asked for, beside how.
fn extended(
    mut fields: Vec<(&'static str, SecretString)>,
    scopes: &[String],
    audience: Option<&str>,
) -> Vec<(&'static str, SecretString)> {
    if !scopes.is_empty() {
        fields.push(("scope", scopes.join(" ").into()));
    }
    fields.extend(audience.map(|audience| ("audience", audience.into())));
    fields
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
