//! The client credentials grant (RFC 6749 §4.4).
//!
//! Job: one access token for a client that has a secret. Boundary: returns it unread. Failure mode:
//! [`ProviderError`], which never holds the secret.

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{AuthType, ClientId, ClientSecret, Scope, TokenResponse as _, TokenUrl};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Provider, ProviderError};

impl Provider {
    /// Gets an access token for the client itself, of the scopes of the provider's information; `more` are
    /// further parameters.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn client_credentials(
        &self,
        secret: &SecretString,
        more: &[(&str, String)],
    ) -> Result<SecretString, ProviderError> {
        let methods = &self.document.token_endpoint_auth_methods_supported;
        let knows = |method: &str| methods.iter().any(|known| known == method);
        // OpenID Connect Discovery §3: basic when nothing is said
        let how = match knows("client_secret_post") && !knows("client_secret_basic") {
            true => AuthType::RequestBody,
            false => AuthType::BasicAuth,
        };
        let client = BasicClient::new(ClientId::new(self.info.client_id.clone()))
            .set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
            .set_auth_type(how)
            .set_token_uri(TokenUrl::from_url(self.document.token_endpoint.clone()));
        let mut request = client
            .exchange_client_credentials()
            .add_scopes(self.info.scopes.iter().map(|scope| Scope::new(scope.clone())));
        for (name, value) in more {
            request = request.add_extra_param(*name, value.as_str());
        }
        let answer: BasicTokenResponse = match request.request_async(&self.http).await {
            Ok(answer) => answer,
            // nobody signs in again here, so that no grant has ended
            Err(error) => match self.refusal(error) {
                ProviderError::Ended => {
                    return Err(ProviderError::Refused("the grant is not valid (invalid_grant)".into()));
                }
                other => return Err(other),
            },
        };
        Ok(answer.access_token().secret().clone().into())
    }
}
