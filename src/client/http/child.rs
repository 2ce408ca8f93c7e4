//! What a program must know in order to speak HTTP through the loopback.
//!
//! Job: the variables that programs read, and the files behind them. Boundary: the secret is in variables and in
//! 0600 files of the session's private directory, never in an argument. Failure mode: an error before the program
//! is started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Door, USER, curl};
use crate::client::home::{HomeError, write_private};
use crate::client::loopback::Place;

/// What an HTTP client must know.
#[derive(Debug)]
pub struct HttpLogin<'a> {
    /// Where it connects.
    pub door: &'a Door,
    /// The session's private directory.
    pub place: &'a Place,
    /// What it must trust in order to speak `https`, PEM.
    pub authority: &'a str,
}

impl HttpLogin<'_> {
    /// The variables, and the files behind them.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn environment(&self) -> Result<Vec<(OsString, OsString)>, HomeError> {
        let authority = self.place.path().join(AUTHORITY);
        write_private(&authority, self.authority.as_bytes())?;
        let url = self.url();
        let secret = |text: &SecretString| OsString::from(text.expose_secret());
        let mut variables = vec![
            ("HOOP_URL".to_owned(), secret(&url)),
            (format!("{}_URL", self.door.target.to_ascii_uppercase().replace('-', "_")), secret(&url)),
            ("HOOP_SECRET".to_owned(), secret(&self.door.secret)),
            ("HOOP_SOCKET".to_owned(), socket(self.place).into()),
            ("NODE_USE_ENV_PROXY".to_owned(), "1".into()),
        ];
        // each program reads its own spelling
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            variables.extend([name.to_owned(), name.to_ascii_lowercase()].map(|name| (name, secret(&url))));
        }
        // nothing goes past the loopback; not even what a profile exempts
        variables.extend(["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), OsString::new())));
        let trust = TRUST.iter().map(|name| ((*name).to_owned(), authority.clone().into_os_string()));
        variables.extend(trust);
        Ok(variables.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// Writes curl's configuration file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn curl_file(&self) -> Result<PathBuf, HomeError> {
        let path = self.place.path().join("curlrc");
        let text = curl::configuration(self.url().expose_secret(), &self.place.path().join(AUTHORITY));
        write_private(&path, text.as_bytes())?;
        Ok(path)
    }

    /// The loopback as a base URL that holds everything, the secret too; also as a proxy.
    #[must_use]
    pub fn url(&self) -> SecretString {
        let secret: String =
            url::form_urlencoded::byte_serialize(self.door.secret.expose_secret().as_bytes()).collect();
        format!("http://{USER}:{}@{}", secret.replace('+', "%20"), self.door.address).into()
    }
}

/// Where the Unix socket is, for programs that can use one.
#[must_use]
pub fn socket(place: &Place) -> PathBuf {
    place.path().join("http.sock")
}

/// Another proxy, or another trust, must not mix with ours.
#[must_use]
pub fn mixes(name: &[u8]) -> bool {
    let name = name.to_ascii_uppercase();
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

/// What programs read a trusted root from: OpenSSL and Go, curl, Python's requests, Node, git.
const TRUST: [&str; 5] =
    ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"];
const AUTHORITY: &str = "ca.pem";

/// Whether the program is curl, which gets working arguments.
#[must_use]
pub fn is_curl(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == "curl")
}
