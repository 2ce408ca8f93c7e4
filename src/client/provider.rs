//! The identity provider, as the client meets it.
//!
//! Job: discovery, the device authorization grant (RFC 8628), refreshing and revoking. Boundary:
//! returns ID tokens, and access tokens for userinfo, without believing them; the broker checks them. Failure mode:
//! [`ProviderError`], which tells the user's no from the network's.

mod credentials;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, DeviceAuthorizationResponse, DeviceAuthorizationUrl,
    DeviceCodeErrorResponseType, EmptyExtraDeviceAuthorizationFields, EndpointNotSet, ExtraTokenFields,
    HttpRequest, HttpResponse, RefreshToken, RequestTokenError, RevocationUrl, Scope, StandardRevocableToken,
    StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use url::Url;

use super::link::{USER_AGENT, chain};
use crate::wire::control::ProviderInfo;

/// A provider whose discovery document was read and fits.
#[derive(Debug)]
pub struct Provider {
    info: ProviderInfo,
    document: Discovery,
    http: ProviderHttp,
}

/// What to show to somebody who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePrompt {
    /// The page to open.
    pub url: String,
    /// The same page with the code filled in.
    pub url_complete: Option<String>,
    /// The code to type there.
    pub code: String,
    /// For how long it is good.
    pub lasts: Duration,
}

/// What shows the broker who somebody is.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The ID token, unchecked.
    pub id_token: SecretString,
    /// The access token that came with it: only where the ID token names no groups, the broker wants some,
    /// and the provider has a userinfo endpoint that may name them.
    pub userinfo: Option<SecretString>,
}

/// What a provider hands out.
#[derive(Debug)]
pub struct Signed {
    /// Who it is.
    pub evidence: Evidence,
    /// The (possibly rotated) refresh token.
    pub refresh_token: Option<SecretString>,
}

/// Why a provider gave nothing.
#[derive(Debug, Error)]
pub enum ProviderError {
    /// The person, or the provider on their behalf, said no.
    #[error("the sign-in was denied")]
    Denied,
    /// The document does not fit.
    #[error("the provider's discovery document does not fit: {0}")]
    Discovery(String),
    /// The refresh token no longer works.
    #[error("the provider has ended this login")]
    Ended,
    /// The code was not used in time.
    #[error("the code expired before it was used")]
    Expired,
    /// The provider answers outside the protocol or says no for a reason of its own.
    #[error("the provider refuses: {0}")]
    Refused(String),
    /// It cannot be reached.
    #[error("cannot reach the identity provider at {issuer}: {cause}")]
    Unreachable {
        /// Its issuer URL.
        issuer: Box<Url>,
        /// What went wrong.
        cause: String,
    },
}

impl Provider {
    /// Reads and checks the discovery document.
    ///
    /// # Errors
    /// [`ProviderError::Unreachable`] or [`ProviderError::Discovery`].
    pub async fn discover(info: &ProviderInfo) -> Result<Self, ProviderError> {
        let http = ProviderHttp::new(&info.issuer)?;
        let document = http.discovery(&info.issuer).await?;
        document.check(&info.issuer)?;
        Ok(Self { info: info.clone(), document, http })
    }

    /// Signs somebody in on another screen: asks for a code, has it shown, waits.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn sign_in(&self, show: impl FnOnce(&DevicePrompt) + Send) -> Result<Signed, ProviderError> {
        let endpoint =
            self.document.device_authorization_endpoint.as_ref().ok_or_else(|| {
                ProviderError::Discovery("it offers no device authorization (RFC 8628)".into())
            })?;
        let client =
            self.client()?.set_device_authorization_url(DeviceAuthorizationUrl::from_url(endpoint.clone()));
        let scopes = self.scopes();
        let mut request = client.exchange_device_code();
        if scopes.iter().any(|s| s == OFFLINE) {
            // OpenID Connect Core §11: without it, providers may leave the refresh token out
            request = request.add_extra_param("prompt", "consent");
        }
        let request = request.add_scopes(scopes.into_iter().map(Scope::new));
        let granted: DeviceAuthorizationResponse<EmptyExtraDeviceAuthorizationFields> =
            request.request_async(&Retrying(&self.http)).await.map_err(|e| self.refusal(e))?;
        show(&DevicePrompt {
            url: granted.verification_uri().to_string(),
            url_complete: granted.verification_uri_complete().map(|u| u.secret().clone()),
            code: granted.user_code().secret().clone(),
            lasts: granted.expires_in(),
        });
        let answer = client
            .exchange_device_access_token(&granted)
            .request_async(&self.http, tokio::time::sleep, None)
            .await
            .map_err(|error| self.device_refusal(error))?;
        self.signed(&answer)
    }

    /// Gets a new ID token without anybody being asked.
    ///
    /// # Errors
    /// [`ProviderError::Ended`] when a person must sign in again.
    pub async fn refresh(&self, token: &SecretString) -> Result<Signed, ProviderError> {
        let token = RefreshToken::new(token.expose_secret().to_owned());
        // not retried: with rotation, a second use of a token whose answer was lost may look like theft
        let answer = self
            .client()?
            .exchange_refresh_token(&token)
            .request_async(&self.http)
            .await
            .map_err(|error| self.refusal(error))?;
        self.signed(&answer)
    }

    /// Ends the login at the provider, if it offers that (RFC 7009).
    ///
    /// # Errors
    /// [`ProviderError`]; the token may still work then.
    pub async fn revoke(&self, token: &SecretString) -> Result<(), ProviderError> {
        let Some(endpoint) = &self.document.revocation_endpoint else { return Ok(()) };
        if !is_private(endpoint) {
            return Err(ProviderError::Discovery("the revocation endpoint is not https".into()));
        }
        let form = [
            ("token", token.expose_secret()),
            ("token_type_hint", "refresh_token"),
            ("client_id", self.info.client_id.as_str()),
        ];
        // the crate insists on https for revocation, also on loopback, so this one call is made by hand
        let url = RevocationUrl::from_url(endpoint.clone());
        let sent = self.http.client.post(url.url().clone()).form(&form).send().await;
        let answer = sent.map_err(|error| self.http.unreachable(&error))?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(ProviderError::Refused(format!("revocation answered {}", answer.status())))
        }
    }

    fn client(&self) -> Result<OidcClient, ProviderError> {
        Ok(oauth2::Client::new(ClientId::new(self.info.client_id.clone()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(self.document.token_endpoint.clone())))
    }

    /// The configured scopes, `openid` always, and `offline_access` where it is known.
    fn scopes(&self) -> Vec<String> {
        let mut scopes = self.info.scopes.clone();
        let offline = self.document.scopes_supported.iter().any(|s| s == OFFLINE);
        for wanted in ["openid"].into_iter().chain(offline.then_some(OFFLINE)) {
            if !scopes.iter().any(|s| s == wanted) {
                scopes.push(wanted.to_owned());
            }
        }
        scopes
    }

    fn signed(
        &self,
        answer: &StandardTokenResponse<IdToken, BasicTokenType>,
    ) -> Result<Signed, ProviderError> {
        let id_token = answer.extra_fields().id_token.clone().ok_or_else(|| {
            ProviderError::Refused(
                "it sent no ID token; is `openid` among the client's allowed scopes?".into(),
            )
        })?;
        let wanted = self.info.groups_claim.as_ref().is_some_and(|claim| lacks(&id_token, claim));
        let usable =
            self.document.userinfo_endpoint.is_some() && *answer.token_type() == BasicTokenType::Bearer;
        let userinfo = (wanted && usable).then(|| answer.access_token().secret().clone().into());
        Ok(Signed {
            evidence: Evidence { id_token: id_token.into(), userinfo },
            refresh_token: answer.refresh_token().map(|t| t.secret().clone().into()),
        })
    }

    fn refusal(&self, error: RequestTokenError<HttpFault, BasicErrorResponse>) -> ProviderError {
        match error {
            RequestTokenError::ServerResponse(answer) => match answer.error() {
                BasicErrorResponseType::InvalidGrant => ProviderError::Ended,
                _ => ProviderError::Refused(printable(&answer.to_string())),
            },
            RequestTokenError::Request(fault) => self.http.fault(&fault),
            RequestTokenError::Parse(error, _) => ProviderError::Refused(error.to_string()),
            RequestTokenError::Other(text) => ProviderError::Refused(printable(&text)),
        }
    }

    fn device_refusal(
        &self,
        error: RequestTokenError<HttpFault, oauth2::DeviceCodeErrorResponse>,
    ) -> ProviderError {
        match error {
            RequestTokenError::ServerResponse(answer) => match answer.error() {
                DeviceCodeErrorResponseType::AccessDenied => ProviderError::Denied,
                DeviceCodeErrorResponseType::ExpiredToken => ProviderError::Expired,
                _ => ProviderError::Refused(printable(&answer.to_string())),
            },
            RequestTokenError::Request(fault) => self.http.fault(&fault),
            RequestTokenError::Parse(error, _) => ProviderError::Refused(error.to_string()),
            RequestTokenError::Other(text) => ProviderError::Refused(printable(&text)),
        }
    }
}

type OidcClient<Device = EndpointNotSet> = oauth2::Client<
    BasicErrorResponse,
    StandardTokenResponse<IdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    Device,
    EndpointNotSet,
    EndpointNotSet,
    oauth2::EndpointSet,
>;

#[derive(Serialize, Deserialize)]
struct IdToken {
    id_token: Option<String>,
}

impl std::fmt::Debug for IdToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdToken")
    }
}

impl ExtraTokenFields for IdToken {}

/// Whether an ID token can be read and does not have a claim. It is believed in nothing.
fn lacks(id_token: &str, claim: &str) -> bool {
    let payload = id_token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = payload.and_then(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes).ok());
    claims.is_some_and(|claims| claims.get(claim).is_none_or(Value::is_null))
}

/// The members of a discovery document that matter here.
#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    token_endpoint: Url,
    device_authorization_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

impl Discovery {
    fn check(&self, issuer: &Url) -> Result<(), ProviderError> {
        // OpenID Connect Discovery §4.3: exactly equal; `Url` adds the slash that a bare host lacks
        if self.issuer != issuer.as_str() && format!("{}/", self.issuer) != issuer.as_str() {
            let text = format!("it is for the issuer `{}`, not `{issuer}`", printable(&self.issuer));
            return Err(ProviderError::Discovery(text));
        }
        let endpoints = [Some(&self.token_endpoint), self.device_authorization_endpoint.as_ref()];
        match endpoints.into_iter().flatten().find(|url| !is_private(url)) {
            Some(url) => Err(ProviderError::Discovery(format!("the endpoint {url} is not https"))),
            None => Ok(()),
        }
    }
}

/// `https`, or a provider on this very machine.
pub(super) fn is_private(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

/// `oauth2` over our own reqwest.
#[derive(Debug, Clone)]
pub(super) struct ProviderHttp {
    client: reqwest::Client,
    issuer: Url,
}

/// Why a call to the provider failed.
#[derive(Debug, Error)]
pub(super) enum HttpFault {
    /// The network, or what came over it.
    #[error("{0}")]
    Network(String),
    /// It is in trouble.
    #[error("it answered {0}")]
    Status(u16),
}

impl ProviderHttp {
    /// A client for this address and what is near it.
    pub(super) fn new(issuer: &Url) -> Result<Self, ProviderError> {
        if !is_private(issuer) {
            return Err(ProviderError::Discovery(format!("the issuer {issuer} is not https")));
        }
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .user_agent(USER_AGENT);
        if issuer.scheme() == "http" {
            // on this machine: no proxy, and no need of roots that the machine may not have
            let roots = rustls::RootCertStore::empty();
            let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let tls = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| ProviderError::Refused(error.to_string()))?
                .with_root_certificates(roots)
                .with_no_client_auth();
            builder = builder.no_proxy().tls_backend_preconfigured(tls);
        }
        let client = builder.build().map_err(|error| ProviderError::Unreachable {
            issuer: Box::new(issuer.clone()),
            cause: chain(&error),
        })?;
        Ok(Self { client, issuer: issuer.clone() })
    }

    /// Sends what may be sent twice.
    pub(super) async fn patiently(&self, request: HttpRequest) -> Result<HttpResponse, HttpFault> {
        Retrying(self).call(request).await
    }

    async fn discovery(&self, issuer: &Url) -> Result<Discovery, ProviderError> {
        let base = issuer.as_str().trim_end_matches('/');
        let request = http::Request::get(format!("{base}/.well-known/openid-configuration"))
            .body(Vec::new())
            .map_err(|error| ProviderError::Discovery(error.to_string()))?;
        let answer = self.patiently(request).await.map_err(|fault| self.fault(&fault))?;
        if !answer.status().is_success() {
            return Err(ProviderError::Discovery(format!("it answers {}", answer.status())));
        }
        serde_json::from_slice(answer.body()).map_err(|error| ProviderError::Discovery(error.to_string()))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFault> {
        let network = |error: reqwest::Error| HttpFault::Network(chain(&error));
        let request: reqwest::Request = request.try_into().map_err(network)?;
        let mut answer = self.client.execute(request).await.map_err(network)?;
        let status = answer.status();
        // a provider that is restarting, or that wants to be asked later, is tried again like a dead network
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(HttpFault::Status(status.as_u16()));
        }
        let mut response = http::Response::builder().status(status);
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(network)? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER {
                return Err(HttpFault::Network("its answer is too long".into()));
            }
            body.extend_from_slice(&chunk);
        }
        response.body(body).map_err(|error| HttpFault::Network(error.to_string()))
    }

    fn fault(&self, fault: &HttpFault) -> ProviderError {
        ProviderError::Unreachable { issuer: Box::new(self.issuer.clone()), cause: fault.to_string() }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ProviderError {
        ProviderError::Unreachable { issuer: Box::new(self.issuer.clone()), cause: chain(error) }
    }
}

impl<'c> AsyncHttpClient<'c> for ProviderHttp {
    type Error = HttpFault;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFault>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// The same, trying again a few times; for calls that may be made twice.
struct Retrying<'h>(&'h ProviderHttp);

impl<'c> AsyncHttpClient<'c> for Retrying<'_> {
    type Error = HttpFault;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFault>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            for pause in BACKOFF {
                match self.0.send(request.clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(_) => tokio::time::sleep(pause).await,
                }
            }
            self.0.send(request).await
        })
    }
}

/// What others wrote, made fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

const BACKOFF: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];
const MAX_ANSWER: usize = 1 << 20;
const OFFLINE: &str = "offline_access";

#[cfg(test)]
mod tests;
