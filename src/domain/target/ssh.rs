//! A host with an SSH server as a target.

use std::collections::BTreeSet;

use super::{OwnPattern, SecretSource};

/// A host with an SSH server. A target is one login on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshTarget {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The login on the host: no comma, no control character, no white space.
    pub login: String,
    /// The host's own keys, each a line of OpenSSH (`ssh-ed25519 AAAA…`).
    pub host_keys: BTreeSet<String>,
    /// Keys of authorities whose host certificates are believed, each a line of OpenSSH.
    pub host_authorities: BTreeSet<String>,
    /// Where the credential of a session comes from.
    pub issuer: SshIssuer,
    /// Whether each line of an interactive shell is judged before the host's shell gets it.
    pub supervised: bool,
    /// Names of detectors whose findings are masked in what terminals and commands show.
    pub detectors: BTreeSet<String>,
    /// Patterns of the operator's own, which `detectors` may name.
    pub patterns: Vec<OwnPattern>,
    /// How many connections one session may hold at a time.
    pub max_connections: u16,
    /// How many channels one connection may hold at a time.
    pub max_channels: u16,
}

/// Where the credential of a session comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshIssuer {
    /// A user certificate for each session, signed by the broker's authority
    /// (PROTOCOL.certkeys of OpenSSH).
    Certificate {
        /// The addresses that the host may see the gateway come from: the critical option `source-address`,
        /// in CIDR form. Empty: none is put in.
        source_addresses: BTreeSet<String>,
        /// How long a certificate opens connections, in seconds.
        seconds: u64,
    },
    /// One standing key for all sessions, for hosts that cannot be changed.
    Static {
        /// The private key in OpenSSH's form.
        key: SecretSource,
    },
}
