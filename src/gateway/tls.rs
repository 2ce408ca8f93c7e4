//! TLS towards the resource: who is trusted, and what binds a SCRAM login to the channel.
//!
//! Job: client configurations per target, and the `tls-server-end-point` binding (RFC 5929 §4.1).
//! Failure mode: a root file that cannot be read or a certificate that cannot be hashed is an
//! error; there is no fall-back to an unverified channel.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use thiserror::Error;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why a channel to the resource could not be trusted.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The root certificates of the target cannot be used.
    #[error("the root certificates {path} cannot be used: {why}")]
    Roots {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The target's host is not a name that a certificate can have.
    #[error("`{0}` is not a host name or address")]
    Host(String),
    /// The handshake failed.
    #[error("TLS handshake failed: {0}")]
    Handshake(#[from] std::io::Error),
    /// The client certificate or its key cannot be read.
    #[error("the client certificate or its key cannot be read")]
    Identity,
    /// rustls refused the configuration.
    #[error("TLS cannot be configured: {0}")]
    Configuration(#[from] rustls::Error),
}

/// Makes a verifying client configuration out of a PEM file, or of the platform's trust store.
///
/// # Errors
/// When the file holds no certificate or cannot be read.
pub fn verifying_client(roots: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let Some(path) = roots else {
        return Ok(Arc::new(ClientConfig::with_platform_verifier()?));
    };
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(trusted(path)?).with_no_client_auth()))
}

/// The same, which shows a certificate of its own: chain and key as PEM.
///
/// # Errors
/// When one of them cannot be read, or they do not fit.
pub fn identified_client(
    roots: Option<&Path>,
    chain: &str,
    key: &SecretString,
) -> Result<Arc<ClientConfig>, TlsError> {
    let unusable = |_| TlsError::Identity;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let chain = chain.map_err(unusable)?;
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).map_err(unusable)?;
    let config = match roots {
        Some(path) => ClientConfig::builder().with_root_certificates(trusted(path)?),
        None => {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let verifier = rustls_platform_verifier::Verifier::new(provider)?;
            ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    Ok(Arc::new(config.with_client_auth_cert(chain, key)?))
}

fn trusted(path: &Path) -> Result<RootCertStore, TlsError> {
    let fault = |why: String| TlsError::Roots { path: path.display().to_string(), why };
    let mut store = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| fault(e.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| fault(e.to_string()))?;
        store.add(certificate).map_err(|e| fault(e.to_string()))?;
    }
    if store.is_empty() {
        return Err(fault("it holds no certificate".into()));
    }
    Ok(store)
}

/// What TLS runs on.
pub type Buffered = BufReader<TcpStream>;

/// A socket for TLS to run on. rustls reads 4 KiB at a time, which is four calls of the system for one full
/// record; from a buffer it is one call for two of them.
#[must_use]
pub fn buffered(socket: TcpStream) -> Buffered {
    BufReader::with_capacity(TWO_RECORDS, socket)
}

const TWO_RECORDS: usize = 2 * (16 * 1024 + 256 + 5);

/// Runs the handshake with `host`, verifying its certificate and name.
///
/// # Errors
/// When the host name cannot be verified at all, or the handshake fails.
pub async fn handshake(
    config: Arc<ClientConfig>,
    host: &str,
    socket: TcpStream,
) -> Result<TlsStream<Buffered>, TlsError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Host(host.to_owned()))?;
    Ok(TlsConnector::from(config).connect(name, buffered(socket)).await?)
}

/// The `tls-server-end-point` channel binding of a connection: the hash of the server's certificate
/// under the hash of its signature, MD5 and SHA-1 replaced by SHA-256. `None` where RFC 5929 leaves
/// it undefined (Ed25519).
#[must_use]
pub fn server_end_point(stream: &TlsStream<Buffered>) -> Option<Vec<u8>> {
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates()?.first()?;
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let oid = parsed.signature_algorithm.algorithm.to_id_string();
    let bytes = certificate.as_ref();
    match oid.as_str() {
        // md5, sha1 and sha256 with RSA; sha1 and sha256 with ECDSA
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(Sha256::digest(bytes).to_vec()),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(Sha384::digest(bytes).to_vec()),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(Sha512::digest(bytes).to_vec()),
        _ => None,
    }
}
