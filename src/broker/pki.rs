//! The broker's own keys and certificates.
//!
//! Job: a CA of the broker's own, the gateway's key that tunnels are pinned to, its certificate, and
//! the TLS configurations made of them. Kept in `pki` below the data directory. Boundary: keys are
//! made once and stay; only certificates are renewed, so pins hold. Failure mode: a key that cannot
//! be read, or that others can read, stops the start; nothing is silently replaced.

pub(crate) mod files;
pub(crate) mod jwt;
mod ssh;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _,
};
use russh::keys::PrivateKey;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use url::{Host, Url};

use crate::broker::config::{Config, TlsFiles};
use crate::domain::name::Digest;

/// The broker's identity on the wire.
pub struct Identity {
    /// TLS of the one port.
    pub outer: Arc<ServerConfig>,
    /// TLS inside a tunnel, always with the gateway's key.
    pub inner: Arc<ServerConfig>,
    /// SHA-256 of the SubjectPublicKeyInfo of the gateway's key.
    pub gateway_key: Digest,
    /// The certificate of the broker's own CA, when the port's certificate is made by it.
    pub ca_pem: Option<String>,
    /// SHA-256 of the SubjectPublicKeyInfo of that CA: what `login` pins.
    pub ca_key: Option<Digest>,
    /// What the gateway shows inside an SSH session.
    pub ssh_host_key: PrivateKey,
    /// What signs user certificates of SSH.
    pub ssh_authority: PrivateKey,
    /// What signs tokens for APIs.
    pub(crate) tokens: Arc<jwt::Signer>,
    own: Arc<Swappable>,
    port: Arc<Swappable>,
    pki: Pki,
}

/// Why there is no identity.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A file could not be read or written.
    #[error("{path} cannot be used: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A PEM file does not hold what it must.
    #[error("{path} cannot be used: {why}")]
    Pem {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// rustls refused a key or certificate.
    #[error("TLS cannot be configured: {0}")]
    Tls(#[from] rustls::Error),
}

impl Identity {
    /// Loads the broker's keys, or makes them when there are none.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn load(config: &Config, now: Timestamp) -> Result<Self, PkiError> {
        let directory = config.data_dir.join("pki");
        files::private_directory(&directory).map_err(at(&directory))?;
        let ca = key(&directory.join("ca.key"))?;
        let gateway = key(&directory.join("gateway.key"))?;
        let pki =
            Pki { ca_key: ca, gateway_key: gateway, names: names(&config.public_url, config.listen.ip()) };
        let gateway_key =
            Digest::from_bytes(&Sha256::digest(pki.gateway_key.subject_public_key_info()).into());
        let ca_key = Digest::from_bytes(&Sha256::digest(pki.ca_key.subject_public_key_info()).into());

        let ca_pem = pki.ca_certificate(now)?;
        files::write_private(&directory.join("ca.pem"), ca_pem.as_bytes()).map_err(at(&directory))?;
        let own = Arc::new(Swappable(RwLock::new(Arc::new(pki.leaf(now)?))));
        let port = match &config.tls {
            Some(files) => Arc::new(Swappable(RwLock::new(Arc::new(from_files(files)?)))),
            None => Arc::clone(&own),
        };
        let ssh_host_key = ssh::key(&directory.join("ssh_host_ed25519"), "hoopctl gateway")?;
        let ssh_authority = ssh::authority(&directory)?;
        let tokens = Arc::new(jwt::Signer::new(&key(&directory.join("jwt.key"))?));
        let self_made = config.tls.is_none();
        Ok(Self {
            outer: server(Arc::clone(&port), &[b"http/1.1"])?,
            inner: server(Arc::clone(&own), &[])?,
            gateway_key,
            ca_pem: self_made.then_some(ca_pem),
            ca_key: self_made.then_some(ca_key),
            ssh_host_key,
            ssh_authority,
            tokens,
            own,
            port,
            pki,
        })
    }

    /// Makes a new certificate for the gateway's key; connections that are open keep the old one.
    ///
    /// # Errors
    /// [`PkiError`]; the old certificate stays then.
    pub fn renew(&self, now: Timestamp) -> Result<(), PkiError> {
        self.own.swap(self.pki.leaf(now)?);
        Ok(())
    }

    /// Reads the files of the port's certificate anew.
    ///
    /// # Errors
    /// [`PkiError`]; the old certificate stays then.
    pub fn reread(&self, tls: &TlsFiles) -> Result<(), PkiError> {
        // without files at the start the port has the gateway's own certificate, for good
        if !Arc::ptr_eq(&self.own, &self.port) {
            self.port.swap(from_files(tls)?);
        }
        Ok(())
    }
}

/// The public key of what signs user certificates of SSH, a line of OpenSSH; the key is made when there is none.
///
/// # Errors
/// [`PkiError`].
pub fn ssh_authority(config: &Config) -> Result<String, PkiError> {
    let directory = config.data_dir.join("pki");
    files::private_directory(&directory).map_err(at(&directory))?;
    let key = ssh::authority(&directory)?;
    key.public_key().to_openssh().map_err(|error| at(&directory)(io::Error::other(error)))
}

/// The keys.
struct Pki {
    ca_key: KeyPair,
    gateway_key: KeyPair,
    names: Vec<String>,
}

impl Pki {
    fn ca_parameters(&self, now: Timestamp) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, "hoopctl broker CA");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid_for(&mut parameters, now, CA_DAYS);
        parameters
    }

    /// Made anew at each start, with the same key: who pinned the key notices nothing.
    fn ca_certificate(&self, now: Timestamp) -> Result<String, PkiError> {
        Ok(self.ca_parameters(now).self_signed(&self.ca_key)?.pem())
    }

    fn leaf(&self, now: Timestamp) -> Result<CertifiedKey, PkiError> {
        let mut parameters = CertificateParams::new(self.names.clone())?;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, "hoopctl gateway");
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        valid_for(&mut parameters, now, LEAF_DAYS);
        let ca = self.ca_parameters(now);
        let issuer = Issuer::from_params(&ca, &self.ca_key);
        let certificate = parameters.signed_by(&self.gateway_key, &issuer)?;
        let ca_certificate = ca.self_signed(&self.ca_key)?;
        let chain = vec![certificate.der().clone(), ca_certificate.der().clone()];
        let key = PrivateKeyDer::try_from(self.gateway_key.serialize_der())
            .map_err(|why| rustls::Error::General(why.into()))?;
        Ok(CertifiedKey::new(chain, aws_lc_rs::sign::any_supported_type(&key)?))
    }
}

/// A certificate that can be replaced while the port is open.
#[derive(Debug)]
struct Swappable(RwLock<Arc<CertifiedKey>>);

impl Swappable {
    fn swap(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Swappable {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn server(certificate: Arc<Swappable>, protocols: &[&[u8]]) -> Result<Arc<ServerConfig>, PkiError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

fn key(path: &Path) -> Result<KeyPair, PkiError> {
    if let Some(bytes) = files::read_private(path).map_err(at(path))? {
        let text = String::from_utf8(bytes).map_err(|error| pem(path, &error))?;
        return KeyPair::from_pem(&text).map_err(|error| pem(path, &error));
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    files::write_private(path, key.serialize_pem().as_bytes()).map_err(at(path))?;
    Ok(key)
}

fn from_files(tls: &TlsFiles) -> Result<CertifiedKey, PkiError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&tls.certificate)
        .map_err(|error| pem(&tls.certificate, &error))?
        .collect();
    let chain = chain.map_err(|error| pem(&tls.certificate, &error))?;
    if chain.is_empty() {
        return Err(pem(&tls.certificate, &"it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| pem(&tls.key, &error))?;
    Ok(CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?)
}

/// The names that clients may call us by.
fn names(public_url: &Url, listen: IpAddr) -> Vec<String> {
    let mut names = Vec::new();
    match public_url.host() {
        Some(Host::Domain(name)) => names.push(name.to_owned()),
        Some(Host::Ipv4(address)) => names.push(address.to_string()),
        Some(Host::Ipv6(address)) => names.push(address.to_string()),
        None => {}
    }
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    if listen.is_loopback() || listen.is_unspecified() {
        names.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
    }
    names.sort();
    names.dedup();
    names
}

fn valid_for(parameters: &mut CertificateParams, now: Timestamp, days: i64) {
    let civil = |offset: i64| {
        let date = now.to_zoned(TimeZone::UTC).date();
        let date = date.checked_add(offset.days()).unwrap_or(date);
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        (i32::from(date.year()), part(date.month()), part(date.day()))
    };
    // from yesterday on: clients' clocks may be behind
    let (year, month, day) = civil(-1);
    parameters.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = civil(days);
    parameters.not_after = rcgen::date_time_ymd(year, month, day);
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PkiError {
    let path = path.to_owned();
    move |source| PkiError::File { path, source }
}

fn pem(path: &Path, why: &dyn std::fmt::Display) -> PkiError {
    PkiError::Pem { path: path.to_owned(), why: why.to_string() }
}

/// Renewed every day while the broker runs.
const LEAF_DAYS: i64 = 90;
const CA_DAYS: i64 = 3650;

#[cfg(test)]
mod tests;
