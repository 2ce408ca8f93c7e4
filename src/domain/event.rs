//! The closed list of everything that is entered into the ledger.
//!
//! An event says what happened; `ledger::entry` adds the version and the canonical bytes. Field
//! names are part of the frozen format: change one only together with the entry version. No event
//! holds a secret or a protected value (design §3.8): texts arrive here already redacted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::action::Deed;
use super::caps::CapKind;
use super::facts::Facts;
use super::name::{DeviceId, Digest, GrantId, RequestId, RuleName, SessionId, TargetName};
use super::principal::PrincipalId;
use super::session::CloseReason;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the broker's clock.
    pub at: Timestamp,
    /// Who did it, if anybody did.
    pub actor: Option<Actor>,
    /// The digest of the policy in force.
    pub policy: Digest,
    /// What.
    pub what: What,
}

/// Who, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The principal.
    pub principal: PrincipalId,
    /// The device key that signed.
    pub device: Option<DeviceId>,
    /// The address the broker saw.
    pub address: String,
    /// The host name the client gave.
    pub host: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum What {
    /// The broker started.
    BrokerStarted {
        /// Its version.
        version: String,
    },
    /// The broker stopped in good order.
    BrokerStopped,
    /// A piece of a recording was closed.
    ChunkClosed {
        /// The session it belongs to.
        session: SessionId,
        /// Which connection of the session, counted from 1.
        connection: u32,
        /// Which chunk of the connection, counted from 0.
        chunk: u32,
        /// SHA-256 of the chunk's bytes.
        digest: Digest,
        /// How many bytes.
        bytes: u64,
    },
    /// A connection of a session ended.
    ConnectionClosed {
        /// The session.
        session: SessionId,
        /// Which connection of the session, counted from 1.
        connection: u32,
        /// How many statements were judged on it.
        statements: u64,
        /// How many rows the client was sent.
        rows: u64,
        /// How many chunks its recording has.
        chunks: u32,
    },
    /// A connection of a session began.
    ConnectionOpened {
        /// The session.
        session: SessionId,
        /// Which connection of the session, counted from 1.
        connection: u32,
        /// The role at the database, or the login on the host.
        login: String,
        /// The database; for other protocols the host.
        database: String,
    },
    /// An action other than a statement was judged.
    DeedJudged {
        /// The session.
        session: SessionId,
        /// Which connection of the session, counted from 1.
        connection: u32,
        /// Which deed of the connection, counted from 1; statements are counted along.
        statement: u64,
        /// The answer.
        verdict: VerdictWord,
        /// The rule behind it.
        rule: RuleName,
        /// A command line, a request line, a path: redacted where it must be and cut to 4 KiB.
        text: String,
        /// Keyed digest (HMAC-SHA-256) of what is exact.
        digest: Digest,
        /// What was sent to the target, when it differs; redacted and cut likewise.
        sent: Option<String>,
        /// What it does.
        facts: Option<Box<Deed>>,
    },
    /// A device key was enrolled: the actor's own after a fresh sign-in, else another one that the
    /// actor's device confirmed.
    DeviceEnrolled {
        /// The key's thumbprint.
        device: DeviceId,
    },
    /// A device key came without a fresh sign-in and waits for the confirmation of another device.
    DevicePending {
        /// The key's thumbprint.
        device: DeviceId,
    },
    /// A device key was revoked.
    DeviceRevoked {
        /// The key's thumbprint.
        device: DeviceId,
    },
    /// A grant's end moved.
    GrantExtended {
        /// The grant.
        grant: GrantId,
        /// The request that was approved.
        request: RequestId,
        /// Until when it lasts now.
        ends: Timestamp,
    },
    /// A grant came to be.
    GrantIssued {
        /// The grant.
        grant: GrantId,
        /// The request that was approved.
        request: RequestId,
        /// For whom.
        principal: PrincipalId,
        /// On which target.
        target: TargetName,
        /// From when on.
        starts: Timestamp,
        /// Until when.
        ends: Timestamp,
        /// For one session only.
        once: bool,
    },
    /// A grant was taken back.
    GrantRevoked {
        /// The grant.
        grant: GrantId,
        /// Why.
        reason: String,
    },
    /// A session was opened with a grant.
    GrantUsed {
        /// The grant.
        grant: GrantId,
        /// The session.
        session: SessionId,
    },
    /// Another key signs the ledger from here on.
    KeyRotated {
        /// The key before, as a verifier key (C2SP signed-note).
        old: String,
        /// The key from here on.
        new: String,
        /// The note that both have signed (`ledger::rotation`).
        proof: String,
    },
    /// A lease was minted.
    LeaseIssued {
        /// The session.
        session: SessionId,
        /// The role at the database.
        login: String,
        /// Until when it may open connections.
        expires: Timestamp,
    },
    /// A lease was taken back.
    LeaseRevoked {
        /// The session.
        session: SessionId,
        /// The role at the database.
        login: String,
        /// Whether nothing of it is left.
        clean: bool,
        /// What could not be removed, and why.
        note: String,
    },
    /// A login was made or refreshed.
    LoggedIn {
        /// Whether it was a refresh.
        refresh: bool,
    },
    /// A login was ended by its owner.
    LoggedOut,
    /// Policy was loaded.
    PolicyLoaded,
    /// Somebody tried to touch policy or protected objects.
    PolicyTampered {
        /// The session.
        session: SessionId,
        /// What they tried.
        attempt: String,
    },
    /// Somebody was refused before there was a session.
    Refused {
        /// What they wanted.
        action: String,
        /// Of which target, as they spelled it.
        target: String,
        /// The rule that said no.
        rule: RuleName,
    },
    /// A request was answered by a rule, or by a standing decision that people made earlier.
    RequestAnswered {
        /// The request.
        request: RequestId,
        /// The rule.
        rule: Option<RuleName>,
        /// The request in whose review the standing decision was made.
        standing: Option<RequestId>,
    },
    /// A request came to an end without being let through: `denied`, `withdrawn`, `expired`, `void`.
    RequestEnded {
        /// The request.
        request: RequestId,
        /// The end, in a word.
        outcome: String,
    },
    /// A request was filed.
    RequestFiled {
        /// The request.
        request: RequestId,
        /// For which target.
        target: TargetName,
        /// The session, when it is for one action of it.
        session: Option<SessionId>,
        /// The subject's text, as reviewers sign the digest of it; without the facts and cut when it
        /// is longer than an entry may be.
        subject: String,
        /// SHA-256 of the whole subject's text.
        digest: Digest,
        /// What it takes.
        threshold: String,
        /// Until when reviews are awaited.
        expires: Timestamp,
        /// Who else is the one who asks, as [`super::approval::Marks`] beside the actor. Absent in entries
        /// that were written before there was this member.
        #[serde(default)]
        kin: Vec<Digest>,
    },
    /// An approved action was let through, for the one time.
    RequestReleased {
        /// The request.
        request: RequestId,
        /// The session.
        session: SessionId,
    },
    /// A review was given. The actor is the reviewer.
    ReviewGiven {
        /// The request.
        request: RequestId,
        /// What was said: `approve` or `deny`.
        decision: String,
        /// The groups that the reviewer was in.
        groups: Vec<String>,
        /// Who else is the reviewer, likewise.
        #[serde(default)]
        kin: Vec<Digest>,
        /// The signed form (JWS, compact).
        proof: String,
    },
    /// The gateway was shown an approval whose proofs do not hold.
    ReviewRejected {
        /// The request.
        request: RequestId,
        /// What is wrong with it.
        fault: String,
    },
    /// A session closed.
    SessionClosed {
        /// The session.
        session: SessionId,
        /// Why.
        reason: CloseReason,
        /// How many statements were judged in it.
        statements: u64,
        /// How many connections it had.
        connections: u32,
    },
    /// A session opened.
    SessionOpened {
        /// The session.
        session: SessionId,
        /// The target.
        target: TargetName,
        /// When it ends at the latest.
        expires: Timestamp,
    },
    /// A standing decision was taken back.
    StandingRevoked {
        /// The request in whose review it was made.
        request: RequestId,
        /// Why.
        reason: String,
    },
    /// A statement that was allowed reached a cap, and its client was told so.
    StatementCapped {
        /// The session.
        session: SessionId,
        /// Which connection of the session, counted from 1.
        connection: u32,
        /// Which statement of the connection, counted from 1; of a cursor or a portal, the one that made it.
        statement: u64,
        /// The rule that names the cap.
        rule: RuleName,
        /// What is capped.
        cap: CapKind,
        /// The cap: rows, bytes or milliseconds.
        most: u64,
        /// How many rows, or lines of a COPY, the client was sent.
        rows: u64,
        /// How many bytes those were.
        bytes: u64,
    },
    /// A statement was judged.
    StatementJudged {
        /// The session.
        session: SessionId,
        /// Which connection of the session, counted from 1.
        connection: u32,
        /// Which statement of the connection, counted from 1.
        statement: u64,
        /// The answer.
        verdict: VerdictWord,
        /// The rule behind it.
        rule: RuleName,
        /// The command.
        verb: String,
        /// Statement text, redacted where it must be and cut to 4 KiB.
        text: String,
        /// Keyed digest (HMAC-SHA-256) of the exact text and bind values.
        digest: Digest,
        /// What was sent to the database, when it differs; redacted and cut likewise.
        sent: Option<String>,
        /// What the statement does; absent when an earlier entry of the connection has the facts of this
        /// statement, or of one that differs from it in literals only.
        facts: Option<Box<Facts>>,
        /// The statement of this connection whose entry has them, when this one has none. Absent in entries
        /// that were written before there was this member.
        facts_of: Option<u64>,
    },
}

/// The answer, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictWord {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
    /// Held for review.
    Hold,
}

/// What must have happened to an entry before the bytes that it speaks of may move (design §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Written, so that it survives the death of the broker.
    Written,
    /// On the disk, so that it survives the death of the machine.
    Synced,
}
