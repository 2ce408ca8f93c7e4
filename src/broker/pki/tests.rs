#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest as _, Sha256};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::broker::testing::{Hand, PERMIT_ALL, config};

/// The digest of the key that a client meets, when it trusts this CA.
async fn meet(identity: &Identity, name: &'static str) -> io::Result<Digest> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(identity.ca_pem.as_ref().unwrap().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = TlsAcceptor::from(Arc::clone(&identity.outer));
    tokio::spawn(async move { drop(server.accept(far).await) });
    let name = ServerName::try_from(name).unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, near).await?;
    let (_, connection) = stream.get_ref();
    let leaf = connection.peer_certificates().unwrap().first().unwrap();
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).unwrap();
    Ok(Digest::from_bytes(&Sha256::digest(leaf.tbs_certificate.subject_pki.raw).into()))
}

/// Certificates are checked against the machine's clock here.
fn today() -> Timestamp {
    crate::gateway::clock::Clock::system().now()
}

#[tokio::test]
async fn clients_meet_the_gateways_key_under_every_name() {
    let home = tempfile::tempdir().unwrap();
    let identity = Identity::load(&config(home.path(), PERMIT_ALL), today()).unwrap();
    for name in ["broker.example", "localhost", "127.0.0.1"] {
        assert_eq!(meet(&identity, name).await.unwrap(), identity.gateway_key);
    }
    assert!(meet(&identity, "elsewhere.example").await.is_err());
}

#[tokio::test]
async fn keys_stay_when_certificates_are_renewed() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), PERMIT_ALL);
    let first = Identity::load(&config, today()).unwrap();
    let second = Identity::load(&config, today()).unwrap();
    second.renew(today()).unwrap();
    assert_eq!((&first.gateway_key, &first.ca_key), (&second.gateway_key, &second.ca_key));
    assert_eq!(meet(&second, "localhost").await.unwrap(), first.gateway_key);
}

#[test]
fn keys_are_private_and_stay_so() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), PERMIT_ALL);
    Identity::load(&config, Hand::new().now()).unwrap();
    let key = home.path().join("pki/gateway.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = Identity::load(&config, Hand::new().now()).err().unwrap();
    assert!(error.to_string().contains("can be read by others"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_the_operators_is_used_outside_and_ours_inside() {
    let home = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["broker.example".into()]).unwrap();
    let tls = TlsFiles { certificate: home.path().join("cert.pem"), key: home.path().join("key.pem") };
    std::fs::write(&tls.certificate, own.cert.pem()).unwrap();
    std::fs::write(&tls.key, own.signing_key.serialize_pem()).unwrap();
    let mut config = config(home.path(), PERMIT_ALL);
    config.tls = Some(tls);
    let mut identity = Identity::load(&config, today()).unwrap();
    assert!(identity.ca_pem.is_none() && identity.ca_key.is_none());
    identity.ca_pem = Some(own.cert.pem());
    let theirs = Digest::from_bytes(&Sha256::digest(own.signing_key.subject_public_key_info()).into());
    assert_eq!(meet(&identity, "broker.example").await.unwrap(), theirs);
    assert_ne!(identity.gateway_key, theirs);
}
