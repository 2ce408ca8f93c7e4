//! Where a forwarded channel leads, in one spelling.
//!
//! Job: make of what a client names the words that are judged, entered and sent to the host. Boundary: asks no
//! resolver: a name is judged as a name. Failure mode: `None` for what cannot be told, which is refused.

use std::net::IpAddr;

use url::Host;

use crate::domain::facts::{ForwardFacts, ForwardKind};
use crate::wire::ssh::path::RemotePath;

/// A host and port to reach (RFC 4254 §7.2). Addresses are written as `inet_aton` reads them (`0x7f.1` is
/// `127.0.0.1`), names in lower case, without the dot at their end.
pub(super) fn reached(host: &str, port: u32) -> Option<ForwardFacts> {
    let bare = host.trim_end_matches('.');
    let host = match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => match Host::parse(bare).ok()? {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => IpAddr::from(address).to_canonical().to_string(),
        },
    };
    // a port that is none reaches nothing
    Some(ForwardFacts { kind: ForwardKind::Local, host, port: u16::try_from(port).ok()? })
}

/// A socket to reach (`direct-streamlocal@openssh.com`).
pub(super) fn socket(path: &str) -> Option<ForwardFacts> {
    let whole = RemotePath::absolute(path.as_bytes()).ok()?;
    // above a link is elsewhere than its name says
    let is_plain = whole.as_bytes() == path.as_bytes();
    is_plain.then(|| ForwardFacts { kind: ForwardKind::Local, host: path.to_owned(), port: 0 })
}

/// An address of the host to listen on (RFC 4254 §7.1). What it means besides addresses is the host's: `*`,
/// `localhost` and nothing.
pub(super) fn listened(address: &str, port: u32) -> Option<ForwardFacts> {
    let host = match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => address.to_lowercase(),
    };
    Some(ForwardFacts { kind: ForwardKind::Remote, host, port: u16::try_from(port).ok()? })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_host_has_one_spelling() {
        for (named, host) in [
            ("DB.internal.", "db.internal"),
            ("2130706433", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("0:0:0:0:0:0:0:1", "::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("host_1", "host_1"),
        ] {
            assert_eq!(reached(named, 22).unwrap().host, host, "{named}");
        }
        for (named, port) in
            [("", 22), ("a b", 22), ("a\0b", 22), ("db", 65536), ("[::1", 22), ("1.2.3.4.5", 1)]
        {
            assert_eq!(reached(named, port), None, "{named:?}:{port}");
        }
    }

    #[test]
    fn a_socket_is_named_by_its_plain_path() {
        assert_eq!(socket("/run/db/.s.PGSQL.5432").unwrap().host, "/run/db/.s.PGSQL.5432");
        for path in
            ["run/docker.sock", "/run/db/../docker.sock", "//run/docker.sock", "/run/./docker.sock", ""]
        {
            assert_eq!(socket(path), None, "{path}");
        }
    }
}
