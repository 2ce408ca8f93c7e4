//! The keys of identity providers.
//!
//! Job: discover, fetch (or read), keep and renew the public keys of each configured issuer, and where it
//! answers for people. Boundary: finds the key that a token's header names; does not verify. Failure mode: when a provider cannot be
//! asked, keys that were fetched within a day stay good; a flood of unknown key ids costs the
//! provider one request in thirty seconds.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jsonwebtoken::Header;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;
use url::Url;

use super::AuthnError;
use super::claims::{TokenFault, fits};
use super::fetch::{Fetch, FetchError};
use crate::broker::config::JwksSource;

pub(super) struct Keys {
    fetch: Arc<dyn Fetch>,
    // one lock per issuer: a slow provider delays nobody else's logins, and is asked once
    issuers: Mutex<HashMap<Origin, Arc<Mutex<Cached>>>>,
}

/// Whose keys, and where they are. Both come from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) issuer: Url,
    /// `None` where the discovery document says it.
    pub(super) jwks: Option<JwksSource>,
}

impl Origin {
    pub(super) fn discovered(issuer: &Url) -> Self {
        Self { issuer: issuer.clone(), jwks: None }
    }
}

#[derive(Default)]
struct Cached {
    keys: Vec<Jwk>,
    userinfo: Option<Url>,
    fetched: Option<Timestamp>,
    tried: Option<Timestamp>,
    fault: Option<FetchError>,
}

impl Keys {
    pub(super) fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self { fetch, issuers: Mutex::default() }
    }

    /// The key of this issuer that the header names.
    pub(super) async fn find(
        &self,
        origin: &Origin,
        header: &Header,
        now: Timestamp,
    ) -> Result<Jwk, AuthnError> {
        let slot = Arc::clone(self.issuers.lock().await.entry(origin.clone()).or_default());
        let mut cached = slot.lock().await;
        if cached.age(now).is_none_or(|age| age >= RENEW) && cached.may_try(now) {
            self.renew(origin, &mut cached, now).await;
        }
        if cached.age(now).is_some_and(|age| age >= KEEP) {
            cached.keys.clear();
        }
        if let Some(key) = cached.pick(header) {
            return Ok(key);
        }
        if cached.may_try(now) {
            self.renew(origin, &mut cached, now).await;
        }
        if let Some(key) = cached.pick(header) {
            return Ok(key);
        }
        Err(match &cached.fault {
            Some(fault) => AuthnError::Provider(fault.clone()),
            None => TokenFault::Key.into(),
        })
    }

    /// The userinfo endpoint of an issuer whose key was found, if it has one.
    pub(super) async fn userinfo(&self, issuer: &Url) -> Option<Url> {
        let slot = Arc::clone(self.issuers.lock().await.get(&Origin::discovered(issuer))?);
        let cached = slot.lock().await;
        cached.userinfo.clone()
    }

    async fn renew(&self, origin: &Origin, cached: &mut Cached, now: Timestamp) {
        cached.tried = Some(now);
        let issuer = &origin.issuer;
        match self.download(origin).await {
            Ok((keys, userinfo)) => {
                cached.keys = keys;
                cached.userinfo = userinfo;
                cached.fetched = Some(now);
                cached.fault = None;
            }
            Err(fault) => {
                tracing::warn!(%issuer, %fault, "the provider's keys could not be fetched");
                cached.fault = Some(fault);
            }
        }
    }

    async fn download(&self, origin: &Origin) -> Result<(Vec<Jwk>, Option<Url>), FetchError> {
        match &origin.jwks {
            None => self.discover(&origin.issuer).await,
            Some(JwksSource::Url(url)) => Ok((usable_keys(&self.fetch.get(url).await?)?, None)),
            Some(JwksSource::File(path)) => Ok((usable_keys(&read(path).await?)?, None)),
        }
    }

    async fn discover(&self, issuer: &Url) -> Result<(Vec<Jwk>, Option<Url>), FetchError> {
        let base = issuer.as_str().trim_end_matches('/');
        let address = Url::parse(&format!("{base}/.well-known/openid-configuration"));
        let address = address.map_err(|error| unusable("issuer URL", &error))?;
        let document = self.fetch.get(&address).await?;
        let discovery: Discovery =
            serde_json::from_slice(&document).map_err(|error| unusable("discovery document", &error))?;
        // OpenID Connect Discovery §4.3: else one provider could speak for another
        if !is_issuer(issuer, &discovery.issuer) {
            return Err(unusable("discovery document", &"it is another issuer's"));
        }
        let document = self.fetch.get(&discovery.jwks_uri).await?;
        let keys = usable_keys(&document)?;
        // an endpoint that few need must not spoil them
        Ok((keys, discovery.userinfo_endpoint.and_then(|url| Url::parse(&url).ok())))
    }
}

impl Cached {
    fn age(&self, now: Timestamp) -> Option<i64> {
        self.fetched.map(|at| now.as_second().saturating_sub(at.as_second()))
    }

    fn may_try(&self, now: Timestamp) -> bool {
        let pause = if self.fault.is_some() { PAUSE_AFTER_FAULT } else { PAUSE };
        self.tried.is_none_or(|at| now.as_second().saturating_sub(at.as_second()) >= pause)
    }

    fn pick(&self, header: &Header) -> Option<Jwk> {
        let mut fitting = self.keys.iter().filter(|key| {
            key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
                && fits(key, header.alg)
                && (header.kid.is_none() || key.common.key_id == header.kid)
        });
        match (fitting.next(), fitting.next()) {
            // without a key id the choice must be plain
            (Some(_), Some(_)) if header.kid.is_none() => None,
            (first, _) => first.cloned(),
        }
    }
}

/// Whether a text names this issuer: character for character, but for the slash that a URL without
/// a path gains when it is parsed.
pub(super) fn is_issuer(issuer: &Url, text: &str) -> bool {
    let whole = issuer.as_str();
    text == whole || (issuer.path() == "/" && whole.strip_suffix('/') == Some(text))
}

/// Keys of kinds that we do not know must not spoil those that we do (RFC 7517 §5).
fn usable_keys(document: &[u8]) -> Result<Vec<Jwk>, FetchError> {
    let set: KeySet = serde_json::from_slice(document).map_err(|error| unusable("key set", &error))?;
    let keys = set.keys.into_iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value(key).ok());
    Ok(keys.collect())
}

async fn read(path: &Path) -> Result<Vec<u8>, FetchError> {
    let failed = |error: std::io::Error| FetchError::Failed(format!("{}: {error}", path.display()));
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).await.map_err(failed)?;
    Ok(bytes)
}

fn unusable(document: &'static str, why: &dyn std::fmt::Display) -> FetchError {
    FetchError::Unusable { document, why: why.to_string() }
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Url,
    userinfo_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// Seconds after which keys are fetched anew, so that a key taken out of use stops working.
const RENEW: i64 = 600;
/// Seconds for which keys stay good when they cannot be fetched anew.
const KEEP: i64 = 86_400;
/// Seconds between two requests.
const PAUSE: i64 = 30;
/// Seconds between two requests when the last one failed.
const PAUSE_AFTER_FAULT: i64 = 3;
const MAX_KEYS: usize = 64;
const MAX_FILE: u64 = 256 * 1024;
