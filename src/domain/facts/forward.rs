//! What a channel that forwards something would reach.

use serde::{Deserialize, Serialize};

/// The facts of one forwarding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardFacts {
    /// What is forwarded, and which way.
    pub kind: ForwardKind,
    /// The host to reach, or the address to listen on, in lower case; a socket's path for Unix sockets;
    /// empty for an agent or a display.
    pub host: String,
    /// The port; 0 where there is none, or any.
    pub port: u16,
}

/// What is forwarded, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardKind {
    /// The client's agent, to the host: RFC draft `auth-agent-req@openssh.com`.
    Agent,
    /// From the client to something that the host can reach (`-L`, `-D`, `-W`; RFC 4254 §7.2).
    Local,
    /// From the host back to the client (`-R`; RFC 4254 §7.1).
    Remote,
    /// The client's display, to the host (RFC 4254 §6.3).
    X11,
}

impl ForwardKind {
    /// The name that policies and records use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Local => "local",
            Self::Remote => "remote",
            Self::X11 => "x11",
        }
    }
}
