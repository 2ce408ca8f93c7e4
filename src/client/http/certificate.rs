//! A certificate in the target's name, for one session and this machine.
//!
//! Job: lets a program that insists on `https://` speak to the loopback. Boundary: the authority signs this one
//! certificate and its key is gone; nothing but the child is told to trust it. Failure mode: an error, and no
//! session.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// It could not be made.
    #[error("no certificate could be made for the session: {0}")]
    Make(#[from] rcgen::Error),
    /// It cannot be used.
    #[error("the session's certificate cannot be used: {0}")]
    Use(#[from] rustls::Error),
}

/// What the loopback shows, and what the child trusts.
pub struct Certificate {
    /// Ends TLS.
    pub acceptor: TlsAcceptor,
    /// The authority's certificate, PEM.
    pub authority: String,
}

impl Certificate {
    /// Makes one for these host names and addresses.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn make(names: Vec<String>, now: Timestamp, expires: Timestamp) -> Result<Self, CertificateError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority.distinguished_name.push(DnType::CommonName, "hoopctl, for one session");
        valid(&mut authority, now, expires);
        let root = authority.self_signed(&key)?;
        let issuer = Issuer::new(authority, key);

        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, "hoopctl loopback");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        valid(&mut leaf, now, expires);
        let leaf = leaf.signed_by(&key, &issuer)?;

        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority: root.pem() })
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate")
    }
}

/// From yesterday to the day after the session's end: the day is as fine as these times are.
fn valid(parameters: &mut CertificateParams, now: Timestamp, expires: Timestamp) {
    let day = |at: Timestamp, offset: i64| {
        let date = at.to_zoned(TimeZone::UTC).date();
        let date = date.checked_add(offset.days()).unwrap_or(date);
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        rcgen::date_time_ymd(i32::from(date.year()), part(date.month()), part(date.day()))
    };
    parameters.not_before = day(now, -1);
    parameters.not_after = day(expires, 1);
}
