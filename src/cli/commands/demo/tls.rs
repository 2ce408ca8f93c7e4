//! A certificate for the demo's cluster, from an authority that exists for one run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::private;

/// Writes `root.pem`, `server.pem` and `server.key`; the authority's key is never written.
pub(super) fn write(folder: &Path) -> Result<PathBuf, String> {
    let text = |error: rcgen::Error| error.to_string();
    let authority_key = KeyPair::generate().map_err(text)?;
    let mut authority = CertificateParams::new(Vec::new()).map_err(text)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.distinguished_name.push(DnType::CommonName, "hoopctl demo");
    let root = authority.self_signed(&authority_key).map_err(text)?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().map_err(text)?;
    let mut leaf =
        CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).map_err(text)?;
    leaf.distinguished_name.push(DnType::CommonName, "hoopctl demo database");
    let leaf = leaf.signed_by(&key, &issuer).map_err(text)?;

    let path = folder.join("root.pem");
    let files = [
        (path.clone(), root.pem()),
        (folder.join("server.pem"), leaf.pem()),
        (folder.join("server.key"), key.serialize_pem()),
    ];
    for (file, pem) in files {
        private::file(&file, pem.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(path)
}

/// Trusts that authority and nobody else; an unreadable root makes it trust nobody.
pub(super) fn client(root: &Path) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    if let Ok(root) = CertificateDer::from_pem_file(root) {
        roots.add_parsable_certificates([root]);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]))
        .with_root_certificates(roots)
        .with_no_client_auth()
}
