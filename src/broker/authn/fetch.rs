//! Documents of identity providers over HTTPS.
//!
//! Job: fetch one small document. Boundary: only URLs of configured providers come here, never one
//! that a token names. Failure mode: slow, large, redirecting or unencrypted answers are errors.

use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::{Host, Url};

/// Fetches documents. Tests bring their own.
pub trait Fetch: Send + Sync + 'static {
    /// The body of a 200 answer.
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Vec<u8>, FetchError>>;

    /// The same, for whoever holds a bearer token (RFC 6750 §2.1).
    fn get_as<'a>(
        &'a self,
        url: &'a Url,
        token: &'a SecretString,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>>;
}

/// Why a document could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The provider did not answer, or not as it must.
    #[error("{0}")]
    Failed(String),
    /// The document is not what it must be.
    #[error("its {document} is not usable: {why}")]
    Unusable {
        /// Which one.
        document: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// Fetches over the network.
pub struct HttpFetch(reqwest::Client);

impl HttpFetch {
    /// A client that follows no redirects and waits five seconds at most.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Self, FetchError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(5))
            .user_agent(concat!("hoopctl/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self(client.map_err(failed)?))
    }

    async fn fetch(&self, url: &Url, token: Option<&SecretString>) -> Result<Vec<u8>, FetchError> {
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(url)) {
            return Err(FetchError::Failed(format!("{url} is not encrypted")));
        }
        let mut request = self.0.get(url.clone());
        if let Some(token) = token {
            request = request.bearer_auth(token.expose_secret());
        }
        let mut answer = request.send().await.map_err(failed)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Failed(format!("{url} answered {}", answer.status().as_u16())));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > MAX_DOCUMENT {
                return Err(FetchError::Failed(format!(
                    "{url} answered with more than {MAX_DOCUMENT} bytes"
                )));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

impl Fetch for HttpFetch {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(self.fetch(url, None))
    }

    fn get_as<'a>(
        &'a self,
        url: &'a Url,
        token: &'a SecretString,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(self.fetch(url, Some(token)))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: reqwest::Error) -> FetchError {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    FetchError::Failed(text)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

const MAX_DOCUMENT: usize = 256 * 1024;
