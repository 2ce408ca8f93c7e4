//! Whose fault it was.
//!
//! Job: the two errors that end a connection, one for each side. Boundary: says nothing of refusals,
//! which are answers (see [`conversation`](crate::wire::postgres::conversation)). Failure mode: none.

use thiserror::Error;

use super::error::{ErrorFields, Severity};
use super::frame::{FrameError, shown};
use crate::wire::buffer::ReadError;

/// The client broke the protocol, or may not come in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientFault {
    /// The secret is wrong. An unknown user reads the same.
    #[error("password authentication failed for user \"{user}\"")]
    Authentication {
        /// The user that the client named.
        user: String,
    },
    /// The client wants TLS channel binding, which this end does not offer.
    #[error("channel binding is not offered here, and the client demands it")]
    ChannelBinding,
    /// TLS without asking first.
    #[error(
        "the client began with TLS; this end of the tunnel is local and speaks no TLS (use sslmode=disable)"
    )]
    DirectTls,
    /// A start-up parameter came twice.
    #[error("the start-up parameter \"{0}\" is given more than once")]
    DuplicateParameter(String),
    /// A message has an impossible length.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message's body is not what its type says.
    #[error("a {message} message is malformed: {source}")]
    Malformed {
        /// Which message.
        message: &'static str,
        /// Why.
        source: ReadError,
    },
    /// The start-up packet names no user.
    #[error("no user name is given in the start-up packet")]
    MissingUser,
    /// The protocol version is none of ours.
    #[error("protocol version {major}.{minor} is not supported; 3.0 to 3.2 are")]
    Protocol {
        /// Its major number.
        major: u16,
        /// Its minor number.
        minor: u16,
    },
    /// The client picked none of the offered SASL mechanisms.
    #[error("the client chose an authentication mechanism that was not offered")]
    SaslMechanism,
    /// A SCRAM message is malformed.
    #[error("a SCRAM message of the client is malformed: {0}")]
    Scram(&'static str),
    /// A start-up packet is malformed.
    #[error("the start-up packet is malformed: {0}")]
    Startup(&'static str),
    /// There are more start-up parameters, statements or portals than anybody needs.
    #[error("the client uses more {what} than the {limit} that are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A message of a type that has no place here.
    #[error("the client sent a message of type {} where {expected} was expected", shown(*tag))]
    Unexpected {
        /// The message type.
        tag: u8,
        /// What was expected.
        expected: &'static str,
    },
}

impl ClientFault {
    /// The fault as a FATAL error for the client.
    #[must_use]
    pub fn fields(&self) -> ErrorFields {
        let sqlstate = match self {
            Self::Authentication { .. } => "28P01",
            Self::ChannelBinding | Self::MissingUser => "28000",
            Self::DirectTls | Self::Protocol { .. } => "0A000",
            Self::TooMany { .. } => "54000",
            Self::DuplicateParameter(_)
            | Self::Frame(_)
            | Self::Malformed { .. }
            | Self::SaslMechanism
            | Self::Scram(_)
            | Self::Startup(_)
            | Self::Unexpected { .. } => "08P01",
        };
        ErrorFields::new(Severity::Fatal, sqlstate, self.to_string())
    }
}

/// The database broke the protocol, is not what we trust, or turned us away.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpstreamFault {
    /// It began to send COPY data in binary, which are not looked into.
    #[error(
        "the database began a COPY in binary, which the target's detectors do not look into; use text or CSV"
    )]
    BinaryCopy,
    /// It answered a statement with a COPY that the statement cannot have asked for.
    #[error("the database began a COPY {direction} that the judged statement does not ask for")]
    Copy {
        /// `in`, `out` or `both`.
        direction: &'static str,
    },
    /// It offers weaker authentication than the connection should get.
    #[error("the database does not offer channel binding on a TLS connection that could have it")]
    Downgrade,
    /// A message has an impossible length.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message's body is not what its type says.
    #[error("the database sent a malformed {message} message: {source}")]
    Malformed {
        /// Which message.
        message: &'static str,
        /// Why.
        source: ReadError,
    },
    /// It offers no SASL mechanism that we speak.
    #[error("the database offers no authentication mechanism that is safe here")]
    Mechanism,
    /// Bytes came in the clear behind the agreement to TLS: somebody is injecting.
    #[error("the database sent bytes in the clear after agreeing to TLS")]
    PlaintextBehindTls,
    /// It turned the login down.
    #[error("the database refused the login: {} ({})", .0.message, .0.sqlstate)]
    Refused(Box<ErrorFields>),
    /// A SCRAM exchange failed; most often it does not know our password's verifier.
    #[error("the database failed to prove that it knows the password: {0}")]
    Scram(String),
    /// It let us in without asking for anything.
    #[error("the database let the role in without a password (trust); that is refused")]
    Trust,
    /// It does not do TLS.
    #[error("the database refuses TLS")]
    TlsRefused,
    /// A message of a type that has no place here.
    #[error("the database sent a message of type {} where {expected} was expected", shown(*tag))]
    Unexpected {
        /// The message type.
        tag: u8,
        /// What was expected.
        expected: &'static str,
    },
    /// It asks for the password in a form that reveals it.
    #[error("the database asks for {0} authentication, which gives the password away; only SCRAM is used")]
    Weak(&'static str),
}

impl UpstreamFault {
    /// The fault as a FATAL error for the client. Says nothing that the database said.
    #[must_use]
    pub fn fields(&self) -> ErrorFields {
        let (sqlstate, message) = match self {
            Self::Refused(_) => ("08004", "the database refused the session's login".to_owned()),
            other => ("08006", other.to_string()),
        };
        ErrorFields::new(Severity::Fatal, sqlstate, message)
    }
}
