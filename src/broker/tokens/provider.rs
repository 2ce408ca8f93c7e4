//! The token endpoint of an API's provider (RFC 6749, RFC 8693).
//!
//! Job: ask for one token. Boundary: only endpoints of the configuration are asked; the client proves itself
//! with HTTP Basic. Failure mode: slow, large, redirecting or unencrypted answers are errors, which quote
//! nothing but the provider's error code.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::OnceCell;
use url::Url;

use crate::gateway::authority::LeaseError;

/// A token that a provider gave.
#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) access_token: SecretString,
    token_type: String,
    /// In seconds; five minutes where the provider does not say.
    #[serde(default = "minutes")]
    pub(super) expires_in: u64,
}

/// Asks providers.
#[derive(Default)]
pub(super) struct Provider(OnceCell<reqwest::Client>);

impl Provider {
    /// Asks for a token.
    pub(super) async fn ask(
        &self,
        endpoint: &Url,
        client: &str,
        secret: &SecretString,
        fields: Vec<(&'static str, SecretString)>,
    ) -> Result<Token, LeaseError> {
        let failed = |why: String| LeaseError::Upstream(format!("{endpoint} {why}"));
        let http = self.0.get_or_try_init(async || make()).await.map_err(|error| failed(told(&error)))?;
        let form: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        // both are form-encoded before they are joined (RFC 6749 §2.3.1)
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let request = http
            .post(endpoint.clone())
            .basic_auth(encode(client), Some(encode(secret.expose_secret())))
            .header("accept", "application/json")
            .form(&form);
        let mut answer = request.send().await.map_err(|error| failed(told(&error)))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| failed(told(&error)))? {
            if body.len() + piece.len() > LONGEST {
                return Err(failed(format!("answered with more than {LONGEST} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        if !status.is_success() {
            let code =
                serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.error).unwrap_or_default();
            let code: String = code.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
            return Err(failed(format!("answered {} {code}", status.as_u16())));
        }
        let token: Token = serde_json::from_slice(&body).map_err(|_| failed("gave no token".into()))?;
        if !token.token_type.eq_ignore_ascii_case("bearer") {
            return Err(failed("gave a token that is not a bearer's".into()));
        }
        Ok(token)
    }
}

/// The `error` of RFC 6749 §5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn make() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .user_agent(concat!("hoopctl/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// An error without its URL, which the caller names, and with its cause.
fn told(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(cause) => format!("cannot be asked: {cause}"),
        None => "cannot be asked".into(),
    }
}

fn minutes() -> u64 {
    300
}

const LONGEST: usize = 64 * 1024;
