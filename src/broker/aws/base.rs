//! What the broker itself is to AWS.
//!
//! Job: load the SDK's configuration for a target when it is first wanted, with credentials that the SDK renews by
//! itself. Boundary: a standing secret is fetched at each use, as everywhere. Failure mode: an error that names the
//! source and never its content.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_sts::config::SharedHttpClient;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use crate::broker::secrets::Secrets;
use crate::domain::target::{AwsBase, AwsTarget, SecretSource};
use crate::gateway::authority::LeaseError;

/// The SDK's configurations. Clones share everything.
#[derive(Clone)]
pub(super) struct Bases {
    secrets: Secrets,
    /// Of the environment, by region and roots.
    known: Arc<Mutex<Vec<(Ground, SdkConfig)>>>,
}

/// What configurations differ by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ground {
    pub(super) region: String,
    pub(super) root_certificates: Option<PathBuf>,
}

impl Ground {
    pub(super) fn of(target: &AwsTarget) -> Self {
        Self { region: target.region.clone(), root_certificates: target.root_certificates.clone() }
    }
}

impl Bases {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self { secrets, known: Arc::default() }
    }

    /// For calls that a target's base signs.
    pub(super) async fn of(&self, target: &AwsTarget, base: &AwsBase) -> Result<SdkConfig, LeaseError> {
        match base {
            AwsBase::Environment => self.surroundings(&Ground::of(target)).await,
            AwsBase::Keys { access_key_id, secret } => {
                self.keys(&Ground::of(target), access_key_id, secret).await
            }
        }
    }

    /// For calls that nobody signs.
    pub(super) async fn nobody(&self, target: &AwsTarget) -> Result<SdkConfig, LeaseError> {
        let ground = Ground::of(target);
        Ok(loader(&ground).await?.no_credentials().load().await)
    }

    pub(super) async fn surroundings(&self, ground: &Ground) -> Result<SdkConfig, LeaseError> {
        let mut known = self.known.lock().await;
        if let Some((_, config)) = known.iter().find(|(of, _)| of == ground) {
            return Ok(config.clone());
        }
        let config = loader(ground).await?.load().await;
        known.push((ground.clone(), config.clone()));
        Ok(config)
    }

    pub(super) async fn keys(
        &self,
        ground: &Ground,
        access_key_id: &str,
        secret: &SecretSource,
    ) -> Result<SdkConfig, LeaseError> {
        let secret =
            self.secrets.fetch(secret).await.map_err(|error| LeaseError::Secret(error.to_string()))?;
        let keys = Credentials::new(access_key_id, secret.expose_secret(), None, None, "hoopctl");
        Ok(loader(ground).await?.credentials_provider(keys).load().await)
    }
}

async fn loader(ground: &Ground) -> Result<aws_config::ConfigLoader, LeaseError> {
    let http = http(ground.root_certificates.clone()).await?;
    let patience = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(20))
        .build();
    Ok(aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(ground.region.clone()))
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .timeout_config(patience))
}

/// On the TLS that everything here is on, with these roots and no others where there are some.
async fn http(roots: Option<PathBuf>) -> Result<SharedHttpClient, LeaseError> {
    let trust = match roots {
        None => TrustStore::default(),
        Some(path) => {
            let shown = path.display().to_string();
            let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
            let pem = read.map_err(std::io::Error::other).and_then(|read| read);
            let pem =
                pem.map_err(|error| LeaseError::Issuer(format!("`{shown}` cannot be read: {error}")))?;
            TrustStore::empty().with_pem_certificate(pem)
        }
    };
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|error| LeaseError::Issuer(error.to_string()))?;
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    Ok(builder.tls_context(context).build_https())
}
