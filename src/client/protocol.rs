//! What each protocol needs on this machine: a form that it fills in.
//!
//! Job: name the native client of a protocol, its socket, the frame in which it is told no, and all that a
//! program must know to use a session. Boundary: knows nothing of what is said inside, nor of other sessions
//! (`environment` joins their forms). Failure mode: a protocol that this client does not know is none; a form
//! that cannot be filled in starts nothing.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use thiserror::Error;

use super::aws;
use super::home::HomeError;
use super::http::certificate::CertificateError;
use super::http::{self, Door};
use super::launch::Endpoint;
use super::loopback::Place;
use super::loopback::refusal::Frame;
use super::postgres::{self, PostgresLogin};
use super::session::LiveSession;
use super::ssh::{self, SessionKey};

/// A protocol that this client can bring to the user's own programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The AWS CLI, and whatever is built on an SDK of AWS.
    Aws,
    /// curl, and whatever takes a proxy or a base URL.
    Http,
    /// psql, and whatever speaks with PostgreSQL.
    Postgres,
    /// OpenSSH, and whatever runs it.
    Ssh,
}

/// What is at hand when a form is filled in.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The session.
    pub session: &'a LiveSession,
    /// The target, as the user called it.
    pub target: &'a str,
    /// Where the loopback listens.
    pub endpoint: Endpoint,
    /// The session's private directory.
    pub place: &'a Place,
    /// The session's secret.
    pub secret: &'a SecretString,
    /// The key that was made for the session.
    pub key: &'a SessionKey,
    /// This program, for programs that must start it.
    pub own: &'a Path,
    /// The time of day.
    pub now: Timestamp,
}

/// What a program must know to use a session.
#[derive(Debug)]
pub struct Form {
    /// The native client, which `connect` starts.
    pub client: OsString,
    /// What the native client is told before what the user tells it.
    pub arguments: Vec<OsString>,
    /// The variables by which programs know the protocol; among several targets that speak it, those of the
    /// target that was named first.
    pub variables: Vec<(OsString, OsString)>,
    /// What a program finds below the target's name, whoever was named first: `URL` of `db` is `DB_URL`.
    pub named: Vec<(&'static str, OsString)>,
    /// Files in which the targets that speak the protocol stand together.
    pub files: Vec<Share>,
    /// Which variables of this process no program must see.
    pub hides: fn(&OsStr) -> bool,
    /// What speaks with programs at the loopback, where their bytes are not all passed on as they are.
    pub door: Option<Arc<Door>>,
}

/// A target's share in a file of the session's private directory, where all targets of a protocol have theirs.
#[derive(Debug)]
pub struct Share {
    /// The file's name.
    pub name: &'static str,
    /// What is of this target; secret.
    pub own: SecretString,
    /// What follows when all have theirs.
    pub end: &'static str,
}

/// Why a form could not be filled in.
#[derive(Debug, Error)]
pub enum FormError {
    /// The session has no certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A file could not be written.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A path that the configuration of a client cannot hold.
    #[error("`{}` cannot be written into a configuration of ssh: it has a quote, a `$` or a control character", .0.display())]
    Path(PathBuf),
    /// Something that the broker did not say.
    #[error("the broker did not say {0}")]
    Missing(&'static str),
    /// A key could not be written down.
    #[error("the session's key cannot be written: {0}")]
    Key(io::Error),
}

impl Protocol {
    /// The protocol that the broker calls so; `None` for what is newer than this client.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "aws" => Some(Self::Aws),
            "http" => Some(Self::Http),
            "postgres" => Some(Self::Postgres),
            "ssh" => Some(Self::Ssh),
            _ => None,
        }
    }

    /// What the socket in the session's private directory is called.
    #[must_use]
    pub const fn socket(self) -> &'static str {
        match self {
            Self::Aws => "aws.sock",
            Self::Http => "http.sock",
            // PostgreSQL's own name for the socket of port 5432
            Self::Postgres => ".s.PGSQL.5432",
            Self::Ssh => "ssh.sock",
        }
    }

    /// In what form the loopback says no.
    #[must_use]
    pub fn frame(self) -> Frame {
        match self {
            Self::Aws | Self::Http => Frame::Http,
            Self::Postgres => Frame::Postgres,
            Self::Ssh => Frame::Ssh,
        }
    }

    /// Whether programs that were not started here can use it over loopback TCP, by an address that holds
    /// all they must know.
    #[must_use]
    pub fn url(self, desk: &Desk<'_>) -> Option<SecretString> {
        match self {
            Self::Http => match desk.endpoint {
                Endpoint::Tcp(address) => Some(http::child::url(address, desk.secret)),
                Endpoint::Unix => None,
            },
            Self::Postgres => Some(login(desk).url()),
            // a key and a host key are no part of an address; `ssh-config` is the way. Nor are credentials:
            // `credentials` and `aws-profile` are
            Self::Aws | Self::Ssh => None,
        }
    }

    /// Whether its clients need a port: a proxy cannot be a socket in a directory.
    #[must_use]
    pub fn needs_port(self) -> bool {
        matches!(self, Self::Aws | Self::Http)
    }

    /// Whether the socket is there also when there is a port: its clients are told of it by a file.
    #[must_use]
    pub fn keeps_socket(self) -> bool {
        matches!(self, Self::Http | Self::Ssh)
    }

    /// What speaks with programs at the loopback, where their bytes are not all passed on as they are.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn door(self, desk: &Desk<'_>) -> Result<Option<Arc<Door>>, FormError> {
        match self {
            Self::Http => http::door(desk).map(|door| Some(Arc::new(door))),
            Self::Aws | Self::Postgres | Self::Ssh => Ok(None),
        }
    }

    /// Fills in the form.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn fill(self, desk: &Desk<'_>) -> Result<Form, FormError> {
        match self {
            Self::Aws => aws::fill(desk),
            Self::Http => http::fill(desk),
            Self::Postgres => Ok(postgres::fill(&login(desk))),
            Self::Ssh => ssh::fill(desk, self.socket()),
        }
    }

    /// What `connect` starts: the native client with these words as arguments, or for AWS and HTTP, which have many
    /// clients, the program that they begin with. `None` where they name none and must.
    #[must_use]
    pub fn command(
        self,
        form: &Form,
        target: &str,
        words: Vec<OsString>,
    ) -> Option<(OsString, Vec<OsString>)> {
        match self {
            Self::Aws => {
                let mut words = words.into_iter();
                Some((words.next()?, words.collect()))
            }
            Self::Http => http::curl::command(form, target, words),
            Self::Postgres | Self::Ssh => {
                Some((form.client.clone(), form.arguments.iter().cloned().chain(words).collect()))
            }
        }
    }
}

fn login<'a>(desk: &'a Desk<'_>) -> PostgresLogin<'a> {
    PostgresLogin {
        endpoint: desk.endpoint,
        place: desk.place,
        user: &desk.session.user,
        database: &desk.session.database,
        secret: desk.secret,
    }
}
