//! What a program must know in order to speak HTTP through the loopback.
//!
//! Job: the variables that programs read, and the files behind them. Boundary: the secret is in variables and in
//! 0600 files of the session's private directory, never in an argument. Failure mode: an error before the program
//! is started.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Door, USER, curl};
use crate::client::home::{HomeError, write_private};
use crate::client::loopback::Place;
use crate::client::protocol::Share;

/// What an HTTP client must know.
#[derive(Debug)]
pub struct HttpLogin<'a> {
    /// Where it connects.
    pub door: &'a Door,
    /// The session's private directory.
    pub place: &'a Place,
    /// What the Unix socket is called there.
    pub socket: &'a str,
}

impl HttpLogin<'_> {
    /// What tells this API from others.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, OsString)> {
        let secret = |text: &SecretString| OsString::from(text.expose_secret());
        vec![
            ("URL", secret(&url(self.door.address, &self.door.secret))),
            ("SECRET", secret(&self.door.secret)),
            ("SOCKET", self.place.path().join(self.socket).into()),
        ]
    }

    /// The file of what must be trusted, and this API's share in it.
    #[must_use]
    pub fn trust(&self) -> Share {
        Share { name: AUTHORITY, own: self.door.authority.clone().into(), end: "" }
    }

    fn authority(&self) -> PathBuf {
        self.place.path().join(AUTHORITY)
    }

    /// The variables that programs know.
    #[must_use]
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let authority = self.authority();
        let url = url(self.door.address, &self.door.secret);
        let secret = |text: &SecretString| OsString::from(text.expose_secret());
        let mut variables = vec![("NODE_USE_ENV_PROXY".to_owned(), "1".into())];
        variables.extend(self.named().into_iter().map(|(name, value)| (format!("HOOP_{name}"), value)));
        // each program reads its own spelling
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            variables.extend([name.to_owned(), name.to_ascii_lowercase()].map(|name| (name, secret(&url))));
        }
        // nothing goes past the loopback; not even what a profile exempts
        variables.extend(["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), OsString::new())));
        let trust = TRUST.iter().map(|name| ((*name).to_owned(), authority.clone().into_os_string()));
        variables.extend(trust);
        variables.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }

    /// Writes curl's configuration file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn curl_file(&self) -> Result<PathBuf, HomeError> {
        let path = self.place.path().join("curlrc");
        let text =
            curl::configuration(url(self.door.address, &self.door.secret).expose_secret(), &self.authority());
        write_private(&path, text.as_bytes())?;
        Ok(path)
    }
}

/// The loopback as a base URL that holds everything, the secret too; also as a proxy.
#[must_use]
pub fn url(address: SocketAddr, secret: &SecretString) -> SecretString {
    let secret: String = url::form_urlencoded::byte_serialize(secret.expose_secret().as_bytes()).collect();
    format!("http://{USER}:{}@{address}", secret.replace('+', "%20")).into()
}

/// Another proxy, or another trust, must not mix with ours.
#[must_use]
pub fn mixes(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes().to_ascii_uppercase();
    name.ends_with(b"_PROXY") || TRUST.iter().any(|trust| trust.as_bytes() == name)
}

/// The password in a `Basic` credential (RFC 7617).
pub(super) fn password(value: &[u8]) -> Option<SecretString> {
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim_ascii()).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(password.into())
}

/// What programs read a trusted root from: OpenSSL and Go, curl, Python's requests, Node, git, gRPC's C core.
const TRUST: [&str; 6] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
];
const AUTHORITY: &str = "ca.pem";
