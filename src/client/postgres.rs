//! The user's own PostgreSQL client, made to use a session.
//!
//! Job: the variables and the password file that libpq and other drivers read. Boundary: the secret is in a 0600 file
//! of the session's private directory and in the environment, never in an argument. Failure mode: none of its own;
//! a client that finds no file asks for a password that nobody knows.

use std::ffi::{OsStr, OsString};

use secrecy::{ExposeSecret as _, SecretString};

use super::launch::Endpoint;
use super::loopback::Place;
use super::protocol::{Form, Share};

/// What a PostgreSQL client must know.
#[derive(Debug)]
pub struct PostgresLogin<'a> {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// The session's private directory.
    pub place: &'a Place,
    /// The user to give.
    pub user: &'a str,
    /// The database to name.
    pub database: &'a str,
    /// The session's secret.
    pub secret: &'a SecretString,
}

/// Fills in the form: psql has no arguments of ours.
#[must_use]
pub fn fill(login: &PostgresLogin<'_>) -> Form {
    let named = login.named();
    let mut variables: Vec<(OsString, OsString)> = named
        .iter()
        .filter(|(name, _)| *name != URL)
        .map(|(name, value)| (name.into(), value.clone()))
        .collect();
    variables.push(("DATABASE_URL".into(), login.url().expose_secret().into()));
    let own = |(name, value): (&str, &str)| (name.into(), value.into());
    variables.extend(
        [
            // a squatter that wants the secret in clear, or nothing at all, gets nothing (libpq 16 and later)
            ("PGREQUIREAUTH", "scram-sha-256"),
            // the loopback is local; TLS begins behind it
            ("PGSSLMODE", "disable"),
            ("PGGSSENCMODE", "disable"),
        ]
        .map(own),
    );
    // a socket that another user has put in the place of ours gets nothing (libpq 9.1 and later)
    if let (Endpoint::Unix, Some(name)) = (login.endpoint, own_name()) {
        variables.push(("PGREQUIREPEER".into(), name));
    }
    Form {
        client: "psql".into(),
        arguments: Vec::new(),
        variables,
        named,
        files: vec![login.password()],
        hides: is_of_postgres,
        door: None,
    }
}

impl PostgresLogin<'_> {
    /// What tells this database from others.
    fn named(&self) -> Vec<(&'static str, OsString)> {
        let (host, port) = self.host_and_port();
        vec![
            ("PGHOST", host),
            ("PGPORT", port.into()),
            ("PGUSER", self.user.into()),
            ("PGDATABASE", self.database.into()),
            ("PGPASSFILE", self.place.path().join(PASSWORD_FILE).into()),
            (URL, self.url().expose_secret().into()),
        ]
    }

    /// The line of the password file. For this host and port only: `\c` to another server must not hand our
    /// secret to it.
    fn password(&self) -> Share {
        let (host, port) = self.host_and_port();
        // who comes by an address that does not change may call himself as he likes: the secret alone decides
        let user = if self.place.is_sticky() { "*".to_owned() } else { escape(self.user) };
        let secret = escape(self.secret.expose_secret());
        let line = |host: &str| format!("{}:{port}:*:{user}:{secret}\n", escape(host));
        let mut own = line(&host.to_string_lossy());
        // the socket is there as well as the port
        if self.place.is_sticky() && matches!(self.endpoint, Endpoint::Tcp(_)) {
            let socket = escape(&self.place.path().to_string_lossy());
            own.push_str(&format!("{socket}:{SOCKET_PORT}:*:*:{secret}\n"));
        }
        Share { name: PASSWORD_FILE, own: own.into(), end: "" }
    }

    /// A connection string that holds everything, the secret too.
    #[must_use]
    pub fn url(&self) -> SecretString {
        let encode = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
        };
        let login = format!("{}:{}", encode(self.user), encode(self.secret.expose_secret()));
        let database = encode(self.database);
        match self.endpoint {
            Endpoint::Tcp(address) => format!("postgresql://{login}@{address}/{database}?sslmode=disable"),
            Endpoint::Unix => {
                let dir = encode(&self.place.path().to_string_lossy());
                format!("postgresql://{login}@/{database}?host={dir}&port={SOCKET_PORT}&sslmode=disable")
            }
        }
        .into()
    }

    fn host_and_port(&self) -> (OsString, String) {
        match self.endpoint {
            Endpoint::Tcp(address) => (address.ip().to_string().into(), address.port().to_string()),
            Endpoint::Unix => (self.place.path().into(), SOCKET_PORT.into()),
        }
    }
}

/// What the system calls the user of this process; `None` where it has no name for it, as in containers.
#[must_use]
pub fn own_name() -> Option<OsString> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let known = std::fs::read_to_string("/etc/passwd").ok()?;
    let fields = known.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.into_iter().find_map(|fields| match fields.as_slice() {
        [name, _, of, ..] if *of == uid => Some((*name).into()),
        _ => None,
    })
}

/// Another server's address or password in the environment must not mix with ours.
#[must_use]
pub fn is_of_postgres(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    // a file of services leads nowhere by itself, and ours may be in it
    (name.starts_with(b"PG") && name != b"PGSERVICEFILE") || name == b"DATABASE_URL"
}

/// A password file's own escapes.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}

/// What the password file is called.
pub const PASSWORD_FILE: &str = "pgpass";
/// The port that is part of the socket's name.
pub const SOCKET_PORT: &str = "5432";
const URL: &str = "URL";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_is_escaped() {
        assert_eq!(escape(r"a:b\c"), r"a\:b\\c");
    }
}
