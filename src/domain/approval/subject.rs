//! What a reviewer sees and signs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::shape::Shape;
use crate::domain::action::Deed;
use crate::domain::name::{Digest, GrantId, RequestId, RuleName, SessionId, TargetName};
use crate::domain::principal::PrincipalId;
use jiff::Timestamp;

/// Everything that an approval stands for. Whoever holds a thing makes this: the gateway for an
/// action, the broker for a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// 1.
    pub version: u8,
    /// The request: random, so that no two subjects are alike.
    pub request: RequestId,
    /// Who asks.
    pub requester: PrincipalId,
    /// Of which target.
    pub target: TargetName,
    /// The digest of the policy that demands the review.
    pub policy: Digest,
    /// The rules that demand it.
    pub rules: Vec<RuleName>,
    /// The requester's reason: of the request, or of the grant or session that it belongs to.
    pub reason: Option<String>,
    /// For what.
    pub what: What,
}

/// For what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// Sessions on the target, for a while.
    Session(SessionSubject),
    /// One action inside a session.
    Deed(Box<DeedSubject>),
}

/// Sessions on a target, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSubject {
    /// For how long, in seconds.
    pub seconds: u64,
    /// From when on; from the approval on when absent.
    pub starts: Option<Timestamp>,
    /// For one session only.
    pub once: bool,
    /// The grant that would last longer.
    pub extends: Option<GrantId>,
}

/// One action inside a session: a statement with its values, a command line, a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeedSubject {
    /// The session.
    pub session: SessionId,
    /// Which connection of the session, counted from 1.
    pub connection: u32,
    /// The protocol.
    pub protocol: String,
    /// The database; for other protocols the host.
    pub database: String,
    /// The role at the database, or the login on the host.
    pub login: String,
    /// The text as the client wrote it, redacted where it must be.
    pub text: String,
    /// What will be sent instead, every name resolved, redacted likewise.
    pub sent: Option<String>,
    /// The bind values, redacted likewise.
    pub values: Vec<String>,
    /// Keyed digest (HMAC-SHA-256) of the exact text and bind values.
    pub exact: Digest,
    /// What it does.
    pub facts: Deed,
    /// The settings of the connection that could change what it means.
    pub settings: BTreeMap<String, String>,
    /// The planner's estimate of rows, where there is one.
    pub estimate: Option<u64>,
    /// What a standing decision would go by; absent when there can be none.
    pub shape: Option<Shape>,
}

/// Where and how an action would run, as far as a standing decision goes by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    protocol: String,
    database: String,
    settings: BTreeMap<String, String>,
}

impl DeedSubject {
    /// Where and how it would run. Each session has a role of its own, so being that role is no
    /// circumstance; being another one is.
    #[must_use]
    pub fn ground(&self) -> Ground {
        let mut settings = self.settings.clone();
        settings.retain(|name, value| name != "session_authorization" || *value != self.login);
        Ground { protocol: self.protocol.clone(), database: self.database.clone(), settings }
    }
}

/// A subject and the one text that it was made into.
#[derive(Debug, Clone, PartialEq)]
pub struct SubjectText {
    subject: Subject,
    text: String,
}

/// Why a text is no subject.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubjectError {
    /// It is longer than [`SUBJECT_MAX`].
    #[error("what is to be reviewed is longer than {SUBJECT_MAX} bytes")]
    TooLong,
    /// It cannot be read, or belongs to a later version.
    #[error("what is to be reviewed cannot be read by this version: {0}")]
    Unreadable(String),
}

/// The longest subject, in bytes of JSON.
pub const SUBJECT_MAX: usize = 256 * 1024;

impl SubjectText {
    /// Writes a subject down.
    ///
    /// # Errors
    /// [`SubjectError::TooLong`].
    pub fn write(subject: Subject) -> Result<Self, SubjectError> {
        let text =
            serde_json::to_string(&subject).map_err(|error| SubjectError::Unreadable(error.to_string()))?;
        if text.len() > SUBJECT_MAX {
            return Err(SubjectError::TooLong);
        }
        Ok(Self { subject, text })
    }

    /// Reads a subject that somebody else wrote.
    ///
    /// # Errors
    /// [`SubjectError`].
    pub fn read(text: impl Into<String>) -> Result<Self, SubjectError> {
        let text = text.into();
        if text.len() > SUBJECT_MAX {
            return Err(SubjectError::TooLong);
        }
        let subject: Subject =
            serde_json::from_str(&text).map_err(|error| SubjectError::Unreadable(error.to_string()))?;
        if subject.version != 1 {
            return Err(SubjectError::Unreadable(format!("it has version {}", subject.version)));
        }
        Ok(Self { subject, text })
    }

    /// What it says.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The text, byte for byte as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text: what reviewers sign.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of(&self.text)
    }
}

impl From<SubjectText> for String {
    fn from(subject: SubjectText) -> Self {
        subject.text
    }
}

/// What reviewers of a subject with this text sign.
#[must_use]
pub fn digest_of(text: &str) -> Digest {
    Digest::from_bytes(&Sha256::digest(text.as_bytes()).into())
}
