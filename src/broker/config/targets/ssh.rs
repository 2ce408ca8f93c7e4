//! The keys of a target that is a host with an SSH server.

use std::collections::BTreeSet;
use std::path::Path;

use russh::keys::ssh_key::PublicKey;

use super::{detectors, host, secret};
use crate::broker::config::reader::Section;
use crate::domain::target::{SshIssuer, SshTarget};

/// Reads the keys of a target that is a host.
pub(super) fn read(section: &Section<'_, '_>, base: &Path) -> Option<SshTarget> {
    let host = section.required_parsed("host", host);
    let port = section.number("port", 1..65_536).and_then(|port| u16::try_from(port).ok()).unwrap_or(22);
    let login = section.required_parsed("login", login);
    let host_keys: BTreeSet<String> = section.parsed_list("host_keys", key).into_iter().collect();
    let host_authorities: BTreeSet<String> =
        section.parsed_list("host_authorities", key).into_iter().collect();
    if host_keys.is_empty() && host_authorities.is_empty() {
        section.fault(
            "host_keys",
            "is missing: list the host's keys as `ssh-keyscan` prints them without the name, or those that sign its \
             certificates in host_authorities",
        );
    }
    let supervised = section.flag("supervised").unwrap_or(false);
    let (detectors, patterns) = detectors::read(section);
    let count = |key, otherwise| {
        section.number(key, 1..10_001).and_then(|n| u16::try_from(n).ok()).unwrap_or(otherwise)
    };
    let (max_connections, max_channels) = (count("max_connections", 10), count("max_channels", 200));
    let issuer = issuer(section, base);
    Some(SshTarget {
        host: host?,
        port,
        login: login?,
        host_keys,
        host_authorities,
        issuer: issuer?,
        supervised,
        detectors,
        patterns,
        max_connections,
        max_channels,
    })
}

fn issuer(section: &Section<'_, '_>, base: &Path) -> Option<SshIssuer> {
    let Some(issuer) = section.section("issuer") else {
        section
            .fault("issuer", "is missing: say where a session's credential comes from, in [target.issuer]");
        return None;
    };
    let read = match issuer.required("kind").as_deref() {
        Some("ssh-certificate") => {
            let source_addresses = issuer.parsed_list("source_addresses", network).into_iter().collect();
            let seconds = issuer.duration("valid").map_or(VALID, |valid| valid.as_secs());
            if seconds > MOST_VALID {
                issuer.fault("valid", "must be at most 1h: a certificate cannot be taken back");
            }
            Some(SshIssuer::Certificate { source_addresses, seconds })
        }
        Some("static") => secret(&issuer, "key", base).map(|key| SshIssuer::Static { key }),
        Some(_) => {
            issuer.fault("kind", "must be ssh-certificate or static");
            None
        }
        None => None,
    };
    // after an unknown kind every key would be unknown
    if read.is_some() {
        issuer.finish();
    }
    read
}

/// A comma would make two logins of one (CVE-2026-35414), and control characters whatever they like.
fn login(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
    if (1..=32).contains(&text.len()) && text.chars().all(fits) && !text.starts_with('-') {
        Ok(text.to_owned())
    } else {
        Err("must be the name of a user: 1 to 32 letters, digits and _ - . $")
    }
}

fn key(text: &str) -> Result<String, String> {
    let key = PublicKey::from_openssh(text)
        .map_err(|error| format!("`{text}` is no public key of OpenSSH: {error}"))?;
    key.to_openssh().map_err(|error| error.to_string())
}

/// An address or a network, as the option `source-address` takes it.
fn network(text: &str) -> Result<String, &'static str> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return Err("must be an address or a network, as 10.0.0.0/8"),
    };
    match bits.map(str::parse::<u8>) {
        None => Ok(text.to_owned()),
        Some(Ok(bits)) if bits <= most => Ok(text.to_owned()),
        Some(_) => Err("must be an address or a network, as 10.0.0.0/8"),
    }
}

/// How long a certificate opens connections unless the configuration says otherwise, in seconds.
const VALID: u64 = 300;
const MOST_VALID: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::login;

    /// A certificate lists its principals with commas between them (OpenSSH CVE-2026-35414).
    #[test]
    fn a_login_is_one_name() {
        for fits in ["deploy", "_apt", "a-b.c", "host$", "9", &"a".repeat(32)] {
            assert_eq!(login(fits).as_deref(), Ok(fits));
        }
        let hostile = [
            "a,b",
            ",",
            "a,",
            "-a",
            "-oProxyCommand=x",
            "a b",
            "a\nb",
            "a\0",
            "a\u{7f}",
            "\u{202e}a",
            "a\"",
            "a@b",
            "ä",
        ];
        for hostile in hostile {
            assert!(login(hostile).is_err(), "{hostile:?}");
        }
        assert!(login(&"a".repeat(33)).is_err());
        assert!(login("").is_err());
    }
}
