//! Whom the client believes to be the broker, and whom to be the gateway.
//!
//! Job: two checks of a TLS peer: a chain to a pinned (or the system's) root with the right name, for
//! the broker; exactly one pinned key, for the gateway inside a tunnel. Boundary: no sockets.
//! Failure mode: the handshake fails; what the peer showed is kept so that it can be told.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::domain::name::Digest;

/// SHA-256 of a SubjectPublicKeyInfo, written `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin of a certificate's key; `None` when the certificate cannot be read.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Self(Sha256::digest(parsed.public_key().raw).into()))
    }

    /// The same digest as the API writes it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(&self.0)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.digest())
    }
}

impl FromStr for Pin {
    type Err = PinError;
    fn from_str(text: &str) -> Result<Self, PinError> {
        let hex = text.trim().strip_prefix("sha256:").ok_or(PinError)?.replace(':', "").to_ascii_lowercase();
        let digest = Digest::new(hex).map_err(|_| PinError)?;
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digest.as_str().as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| PinError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| PinError)?;
        }
        Ok(Self(bytes))
    }
}

/// Text that is not a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a pin is written sha256: and 64 hexadecimal digits")]
pub struct PinError;

/// What the broker's certificate must lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedRoot {
    /// The key of the CA, or of the broker's certificate itself.
    pub pin: Pin,
    /// The CA's certificate, once seen: servers need not send their root.
    pub root: Option<Vec<u8>>,
}

/// What a broker showed in a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The pin of the last certificate of its chain: its CA's if it sent that, else its own.
    pub pin: Pin,
    /// That certificate.
    pub certificate: Vec<u8>,
}

/// The check of the broker's certificate, and a memory of what it last showed.
#[derive(Debug)]
pub struct BrokerTrust {
    pinned: Option<PinnedRoot>,
    /// Only when nothing is pinned.
    system: Option<rustls_platform_verifier::Verifier>,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Option<Shown>>,
}

impl BrokerTrust {
    /// Believes the pin, or the system's roots when there is none.
    ///
    /// # Errors
    /// When the system's roots are needed and cannot be read.
    pub fn new(pinned: Option<PinnedRoot>) -> Result<Self, rustls::Error> {
        let provider = provider();
        let system = match pinned {
            Some(_) => None,
            // a host without any root still may log in with a pin, so the failure shows at the handshake
            None => rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).ok(),
        };
        Ok(Self { pinned, system, provider, shown: Mutex::new(None) })
    }

    /// What the broker showed in the last handshake.
    #[must_use]
    pub fn shown(&self) -> Option<Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is pinned.
    #[must_use]
    pub fn pinned(&self) -> Option<&PinnedRoot> {
        self.pinned.as_ref()
    }

    /// TLS 1.3 towards the broker.
    ///
    /// # Errors
    /// When rustls refuses the set-up.
    pub fn config(self: &Arc<Self>) -> Result<ClientConfig, rustls::Error> {
        config(Arc::clone(self) as Arc<dyn ServerCertVerifier>, &self.provider)
    }

    fn check_pinned(
        &self,
        pinned: &PinnedRoot,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Pin::of(leaf) == Some(pinned.pin) {
            // the key itself is pinned: no chain is needed, but the name must fit and the time be right
            rustls::client::verify_server_name(&ParsedCertificate::try_from(leaf)?, name)?;
            check_dates(leaf, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        let sent = rest.iter().find(|der| Pin::of(der) == Some(pinned.pin)).cloned();
        // INVARIANT: a stored root is believed only if it still has the pinned key
        let kept = pinned.root.as_ref().filter(|der| Pin::of(der) == Some(pinned.pin));
        let root = sent.or_else(|| kept.map(|der| CertificateDer::from(der.clone())));
        let root = root.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(root)?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(leaf, rest, name, &[], now)
    }
}

impl ServerCertVerifier for BrokerTrust {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let last = rest.last().unwrap_or(leaf);
        let shown = Pin::of(last).map(|pin| Shown { pin, certificate: last.to_vec() });
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        match (&self.pinned, &self.system) {
            (Some(pinned), _) => self.check_pinned(pinned, leaf, rest, name, now),
            (None, Some(system)) => system.verify_server_cert(leaf, rest, name, ocsp, now),
            (None, None) => Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// TLS 1.3 towards the gateway's pinned key, whatever its certificate says otherwise.
///
/// # Errors
/// When rustls refuses the set-up.
pub fn gateway_config(key: &Digest) -> Result<ClientConfig, rustls::Error> {
    let provider = provider();
    let verifier = Arc::new(GatewayTrust { key: key.clone(), provider: Arc::clone(&provider) });
    config(verifier, &provider)
}

#[derive(Debug)]
struct GatewayTrust {
    key: Digest,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for GatewayTrust {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match Pin::of(leaf) {
            Some(pin) if pin.digest() == self.key => Ok(ServerCertVerified::assertion()),
            _ => Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn config(
    verifier: Arc<dyn ServerCertVerifier>,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // an upgrade to a tunnel exists in HTTP/1.1 only
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let malformed = rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| malformed)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now > validity.not_after.timestamp() {
        return Err(rustls::Error::InvalidCertificate(CertificateError::Expired));
    }
    if now < validity.not_before.timestamp() {
        return Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    Ok(())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    struct Pki {
        ca: Vec<u8>,
        leaf: Vec<u8>,
    }

    fn pki(name: &str) -> Pki {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        Pki { ca: ca.der().to_vec(), leaf: leaf.der().to_vec() }
    }

    fn verify(trust: &BrokerTrust, chain: &[&[u8]], name: &str) -> Result<ServerCertVerified, rustls::Error> {
        let chain: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
        let (leaf, rest) = chain.split_first().unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        trust.verify_server_cert(leaf, rest, &ServerName::try_from(name).unwrap(), &[], now)
    }

    fn pinned(certificate: &[u8], root: Option<&[u8]>) -> BrokerTrust {
        let pin = Pin::of(certificate).unwrap();
        BrokerTrust::new(Some(PinnedRoot { pin, root: root.map(<[u8]>::to_vec) })).unwrap()
    }

    #[test]
    fn a_chain_to_the_pinned_ca_is_believed() {
        let pki = pki("broker.example");
        verify(&pinned(&pki.ca, None), &[&pki.leaf, &pki.ca], "broker.example").unwrap();
        verify(&pinned(&pki.ca, Some(&pki.ca)), &[&pki.leaf], "broker.example").unwrap();
        verify(&pinned(&pki.leaf, None), &[&pki.leaf], "broker.example").unwrap();
    }

    #[test]
    fn another_ca_name_or_root_is_not() {
        let (ours, theirs) = (pki("broker.example"), pki("broker.example"));
        let trust = pinned(&ours.ca, None);
        assert!(verify(&trust, &[&theirs.leaf, &theirs.ca], "broker.example").is_err());
        // the right CA beside a leaf that it never signed
        assert!(verify(&trust, &[&theirs.leaf, &ours.ca], "broker.example").is_err());
        assert!(verify(&trust, &[&ours.leaf, &ours.ca], "other.example").is_err());
        // a stored root that does not have the pinned key
        assert!(verify(&pinned(&ours.ca, Some(&theirs.ca)), &[&theirs.leaf], "broker.example").is_err());
        assert!(verify(&pinned(&ours.leaf, None), &[&ours.leaf], "other.example").is_err());
    }

    #[test]
    fn what_was_shown_can_be_told() {
        let (ours, theirs) = (pki("broker.example"), pki("broker.example"));
        let trust = pinned(&ours.ca, None);
        drop(verify(&trust, &[&theirs.leaf, &theirs.ca], "broker.example"));
        assert_eq!(trust.shown().unwrap().pin, Pin::of(&theirs.ca).unwrap());
    }

    #[test]
    fn a_pin_reads_back() {
        let pin = Pin::of(&pki("a.example").ca).unwrap();
        assert_eq!(pin.to_string().parse::<Pin>().unwrap(), pin);
        assert!("sha256:00".parse::<Pin>().is_err());
    }
}
