//! A balancer's own certificate.

use std::fmt::Write as _;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest as _, Sha256};

/// A self-made certificate for localhost.
pub(super) struct Certificate {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Certificate {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, key }
    }

    /// Certificate and key in one file, as balancers take it.
    pub(super) fn pem(&self) -> String {
        self.certificate.pem() + &self.key.serialize_pem()
    }

    /// What `login --broker-pin` takes.
    pub(super) fn pin(&self) -> String {
        let (_, parsed) = x509_parser::parse_x509_certificate(self.certificate.der()).expect("a certificate");
        let digest = Sha256::digest(parsed.public_key().raw);
        digest.iter().fold(String::from("sha256:"), |mut pin, byte| {
            write!(pin, "{byte:02x}").expect("room");
            pin
        })
    }

    pub(super) fn server(&self) -> Arc<rustls::ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)
            .expect("a usable certificate");
        Arc::new(config)
    }
}
