//! The broker's API as plain types, shared by broker and client.
//!
//! Every path is below `/v1`. Bodies are JSON; errors are problem details (RFC 9457), except 400 and 431
//! for what is not HTTP or has too large a head, which are bare. Calls other
//! than [`INFO`] and [`TOKEN`] carry `Authorization: DPoP …` and a `DPoP` proof (RFC 9449).

mod ledger;
mod recording;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

pub use ledger::{FROM, LEDGER_HEAD, LedgerHead, SINCE, SIZE, ShownRotation};
pub use recording::{EntryProof, RecordingIndex};

use crate::domain::approval::{Grant, Request};
use crate::domain::device::Device;
use crate::domain::filter::Claim;
use crate::domain::name::{
    DeviceId, Digest, GrantId, GroupName, ProviderName, RequestId, RuleName, SessionId, TargetName,
};
use crate::domain::principal::{PrincipalId, PrincipalKind};
use crate::domain::target::RecordLevel;

/// `GET`: [`BrokerInfo`]. Needs no login.
pub const INFO: &str = "/v1/info";
/// `POST`, form: RFC 8693 token exchange, answered by [`TokenResponse`].
pub const TOKEN: &str = "/v1/token";
/// `POST`: ends the login of this device. 204.
pub const LOGOUT: &str = "/v1/logout";
/// `GET`: [`WhoAmI`].
pub const WHOAMI: &str = "/v1/whoami";
/// `GET`: a list of [`TargetSummary`], with the query [`ALL`] also of targets that a rule forbids; below it
/// `/{name}`: [`Explanation`].
pub const TARGETS: &str = "/v1/targets";
/// The query that adds targets which a permit of the caller's covers, and a rule forbids.
pub const ALL: &str = "all";
/// `GET`: a list of sessions. `POST` [`OpenSession`]: [`OpenedSession`]. Below it `/{id}`: one
/// session, `DELETE` closes it, with the query [`KILL`] as an operator; `/{id}/tunnel`: HTTP Upgrade
/// to [`TUNNEL_PROTOCOL`]; `/{id}/tether`: to [`TETHER_PROTOCOL`];
/// `/{id}/recording`: [`RecordingIndex`]; `/{id}/recording/{connection}/{chunk}`: a chunk's bytes, and
/// below it `/proof`: the [`EntryProof`] about it, with the query [`SIZE`] under that head;
/// `/{id}/recording/{connection}/end` and `/{id}/recording/end`: those about their ends, with that query only.
pub const SESSIONS: &str = "/v1/sessions";
/// The query that makes the `DELETE` of a session a kill, also for who opened it.
pub const KILL: &str = "kill";
/// `GET`: the caller's devices, a list of [`Device`]. Below it `/{id}`: `DELETE` revokes one and those
/// that it let in, with the query [`ONLY`] that one alone: [`DeviceRevocation`].
pub const DEVICES: &str = "/v1/devices";
/// The query that makes the `DELETE` of a device leave those that it let in.
pub const ONLY: &str = "only";
/// `GET` with the query [`SCOPE`]: a list of [`RequestView`], newest first. `POST` [`AskSession`]:
/// [`RequestView`]. Below it `/{id}`: `GET` one, with the query [`WAIT`] after it has changed or the
/// seconds are over; `DELETE` withdraws it; `/{id}/reviews`: `POST` [`GiveReview`]: [`RequestView`].
pub const REQUESTS: &str = "/v1/requests";
/// The query that chooses among requests: `mine` or `reviewable`.
pub const SCOPE: &str = "scope";
/// The query that continues a list of requests: the id of the last one of the page before. A page
/// holds at most 100.
pub const BEFORE: &str = "before";
/// The query that makes a `GET` wait while a request is pending, in seconds, at most 30.
pub const WAIT: &str = "wait";
/// `GET`: a list of [`Grant`], the caller's own and those on targets where they may review. Below it
/// `/{id}`: `DELETE` revokes one and closes its sessions.
pub const GRANTS: &str = "/v1/grants";
/// `GET`: a list of [`StandingView`], as for [`GRANTS`]. Below it `/{request id}`: `DELETE` revokes one.
pub const STANDING: &str = "/v1/standing";
/// `GET`: the keys that wait for the confirmation of another device of the caller, a list of
/// [`PendingDevice`]. `POST` [`ConfirmDevice`]: looks one up by its code, or confirms it; answered by
/// its [`PendingDevice`].
pub const PENDING_DEVICES: &str = "/v1/devices/pending";
/// `GET`: the ledger as C2SP `tlog-tiles` below this path: `checkpoint`, `tile/…`. Also
/// `key`: the verifier key of its checkpoints (C2SP `signed-note`).
pub const LEDGER: &str = "/v1/ledger";

/// The value of `Upgrade:` that ties a session to its client.
pub const TETHER_PROTOCOL: &str = "hoopctl-tether/1";
/// The value of `Upgrade:` that turns a request into a tunnel.
pub const TUNNEL_PROTOCOL: &str = "hoopctl-tunnel/1";
/// Request header of a tunnel: `tls` to run TLS to the gateway's pinned key inside the tunnel,
/// `none` when the outer TLS already ended at that key.
pub const TUNNEL_INNER: &str = "hoopctl-inner";
/// RFC 8693 grant type.
pub const GRANT_TYPE_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 8693 token type of an OIDC ID token (people).
pub const TOKEN_TYPE_ID: &str = "urn:ietf:params:oauth:token-type:id_token";
/// RFC 8693 token type of a JWT (workloads).
pub const TOKEN_TYPE_JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// RFC 8693 token type of what is issued.
pub const TOKEN_TYPE_ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What anybody may know of a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerInfo {
    /// The broker's version.
    pub version: String,
    /// The URL that proofs must name (`htu`).
    pub public_url: Url,
    /// SHA-256 of the gateway's SubjectPublicKeyInfo: the key that tunnels are pinned to.
    pub gateway_key: Digest,
    /// Where people sign in.
    pub providers: Vec<ProviderInfo>,
    /// The trusted issuers of workload tokens and the audience that each token must have.
    pub workloads: Vec<WorkloadInfo>,
}

/// An identity provider for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderInfo {
    /// Its name here.
    pub name: ProviderName,
    /// Its issuer URL.
    pub issuer: Url,
    /// The public client to use.
    pub client_id: String,
    /// The scopes to ask for.
    pub scopes: Vec<String>,
    /// The claim that should name groups; absent when the broker knows none of this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
}

/// A trusted issuer of workload tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadInfo {
    /// Its name here.
    pub name: ProviderName,
    /// Its issuer URL.
    pub issuer: Url,
    /// The audience to ask for.
    pub audience: String,
    /// What a client with a secret asks it for (RFC 6749 §4.4); absent when it is not for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<ClientCredentials>,
}

/// What a client with a secret asks an issuer for, so that the token is for the broker. Issuers differ in
/// what says so; what is absent is not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCredentials {
    /// `scope` (RFC 6749 §3.3).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// `resource` (RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// `audience`, which some issuers want instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// The form of a token exchange (RFC 8693 §2.1). `refresh` of a login is the same call with a newer
/// subject token and the same device key.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenRequest {
    /// [`GRANT_TYPE_EXCHANGE`].
    pub grant_type: String,
    /// The ID token or the workload's JWT.
    pub subject_token: String,
    /// [`TOKEN_TYPE_ID`] or [`TOKEN_TYPE_JWT`].
    pub subject_token_type: String,
    /// The host name of the device, for lists and the ledger.
    pub host: String,
    /// The access token that came with the ID token, where that one names no groups: the broker asks the
    /// provider's userinfo endpoint with it, once, and keeps it nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_token: Option<String>,
}

/// The answer to a token exchange (RFC 8693 §2.2.1).
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The access token: opaque, five minutes, useless without the device key.
    pub access_token: String,
    /// [`TOKEN_TYPE_ACCESS`].
    pub issued_token_type: String,
    /// `DPoP`.
    pub token_type: String,
    /// Seconds until it expires.
    pub expires_in: u64,
}

/// Who the caller is to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// Who.
    pub principal: PrincipalId,
    /// What people call them.
    pub display: String,
    /// Human or machine.
    pub kind: PrincipalKind,
    /// Groups at the last exchange.
    pub groups: BTreeSet<GroupName>,
    /// Why there are none, for people; absent when there are some, or none are configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groupless: Option<String>,
    /// The device.
    pub device: DeviceId,
    /// Until when the login lasts without a further exchange.
    pub login_expires: Timestamp,
}

/// A line of `hoopctl list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSummary {
    /// The target.
    pub name: TargetName,
    /// Its protocol.
    pub protocol: String,
    /// One line. Empty where sessions are denied.
    pub description: String,
    /// Whether anything on it is masked for the caller. Absent where sessions are denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked: Option<bool>,
    /// What is recorded. Absent where sessions are denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordLevel>,
    /// What a session takes first, for people: `approval: 1 of corp/dba`. Absent when it takes nothing,
    /// or the caller holds a grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// For AWS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<OpenedAws>,
    /// The rule that forbids sessions. Only in lists that were asked for with [`ALL`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<ExplainedDenial>,
}

/// Why a target cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedDenial {
    /// The rule's name.
    pub rule: String,
    /// Its `@reason`.
    pub reason: String,
    /// Its `@hint`: what to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What `hoopctl explain TARGET` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The line of `list`.
    pub target: TargetSummary,
    /// The database a session reaches.
    pub database: String,
    /// An example of each kind of action, judged for the caller. Absent from older brokers.
    #[serde(default)]
    pub may: Vec<ExplainedDeed>,
    /// What is masked for the caller.
    pub masked: Vec<ExplainedMask>,
    /// Which rows of some tables the caller sees only. For PostgreSQL only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filtered: Vec<ExplainedFilter>,
    /// The rules that cap statements, each with its caps. For PostgreSQL, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capped: Vec<ExplainedRule>,
    /// The rules that can deny, each with its reason.
    pub denied: Vec<ExplainedRule>,
    /// The rules that can hold, each with its reason.
    pub held: Vec<ExplainedRule>,
    /// What is recorded, in words.
    pub recorded: String,
    /// How a session gets its credential, in words.
    pub credential: String,
    /// What a stolen broker host could reach, in words.
    pub broker_reach: String,
    /// What the broker keeps in the database itself, one sentence each.
    #[serde(default)]
    pub objects: Vec<String>,
    /// What is *not* covered, one sentence each.
    pub not_covered: Vec<String>,
}

/// A mask as the caller meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedMask {
    /// The rule's name.
    pub rule: String,
    /// `schema.table.column`.
    pub column: String,
    /// The JSON path inside it.
    pub path: Option<String>,
    /// What the caller sees instead.
    pub mask: String,
    /// `two locks` or `one lock` (design §3.3).
    pub locks: String,
}

/// A row filter as the caller meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedFilter {
    /// The filter's name.
    pub rule: String,
    /// `schema.table`, each a name or a pattern.
    pub table: String,
    /// What is true for the rows that are seen. Absent for a slice of others, which shows the caller nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Whether it is a slice: a row of one of the table's slices is enough, while every other filter must hold.
    #[serde(default)]
    pub slice: bool,
    /// The caller's own claims that it compares with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, Claim>,
    /// The claim that it names and the caller's login does not carry, so that no session opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// `two locks` or `one lock` (design §3.3).
    pub locks: String,
}

/// An example of an action, and what policy says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedDeed {
    /// The example, for people.
    pub what: String,
    /// What policy says.
    pub verdict: Judged,
    /// The rule that says so; `default` when none does.
    pub rule: String,
    /// Its `@reason`; empty where it is allowed.
    pub reason: String,
    /// Whose approval it takes, where it is held, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes: Option<String>,
}

/// A verdict in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    /// At once.
    Allow,
    /// Never.
    Deny,
    /// After an approval.
    Hold,
}

/// A rule as the caller meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedRule {
    /// The rule's name.
    pub rule: String,
    /// Its `@reason`.
    pub reason: String,
}

/// Asks for a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// The target, as the user spelled it.
    pub target: String,
    /// The host name of the client.
    pub host: String,
    /// The public key that the client made for this session, a line of OpenSSH. For SSH only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<String>,
    /// Whether the client will tie the session to its own life, so that the session ends within seconds when the
    /// client is killed: by an HTTP Upgrade to [`TETHER_PROTOCOL`] at `/{id}/tether`, which it holds and makes anew.
    #[serde(default)]
    pub tethered: bool,
}

/// A session, opened.
#[derive(Clone, Serialize, Deserialize)]
pub struct OpenedSession {
    /// The session.
    pub session: SessionId,
    /// The protocol: decides which client is started.
    pub protocol: String,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// The loopback secret. The client hands it to the child and keeps no copy.
    pub secret: String,
    /// The user name to give at the loopback.
    pub user: String,
    /// The database to name at the loopback; empty for other protocols.
    pub database: String,
    /// SHA-256 of the gateway's SubjectPublicKeyInfo.
    pub gateway_key: Digest,
    /// The host key that the gateway shows inside an SSH session, a line of OpenSSH. For SSH only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_host_key: Option<String>,
    /// Where the target really is, which a proxy's client may name. For HTTP only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Url>,
    /// For AWS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<OpenedAws>,
}

/// What a client must know of a target of AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedAws {
    /// The region that calls are signed for.
    pub region: String,
    /// Whether credentials of AWS itself are handed out, over the session's tunnel; else calls go through it, signed
    /// with the session's own keys.
    pub hands_out: bool,
    /// Where services are that are not AWS's own, by the names that signatures give them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, Url>,
    /// Credentials that were handed out are taken back when the session's login is silent for so many seconds; absent
    /// when they are not taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<u64>,
}

/// Asks for approval of sessions on a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskSession {
    /// The target, as the user spelled it.
    pub target: String,
    /// Why.
    pub reason: String,
    /// For how long, in seconds.
    pub seconds: u64,
    /// From when on; from the approval on when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Timestamp>,
    /// For one session only.
    #[serde(default)]
    pub once: bool,
    /// The grant that should last longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<GrantId>,
    /// Two calls of one principal with the same key are one request; at most 128 printable characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A request as the caller may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestView {
    /// The request.
    pub request: Request,
    /// The subject's text, byte for byte what reviewers sign the digest of.
    pub subject: String,
    /// What is still missing, for people: `1 more of corp/dba`; empty when nothing is.
    pub missing: String,
    /// Whether the caller may review it.
    pub reviewable: bool,
    /// The grant it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
}

/// A standing decision: what reviewers let through without being asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingView {
    /// The request in whose review it was made.
    pub request: RequestId,
    /// For whom.
    pub principal: PrincipalId,
    /// On which target.
    pub target: TargetName,
    /// The rules that it answers.
    pub rules: Vec<RuleName>,
    /// The action that was reviewed, as reviewers saw it.
    pub text: String,
    /// Which of its literals may differ, counted from 0.
    pub free: BTreeSet<u16>,
    /// Who made it.
    pub by: Vec<PrincipalId>,
    /// Until when.
    pub ends: Timestamp,
    /// Whether somebody took it back.
    pub revoked: bool,
    /// How often it has let something through.
    pub uses: u64,
}

/// A review, signed by the device key of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveReview {
    /// The signed form: see [`crate::wire::review`].
    pub proof: String,
}

/// A list, so that further members can be added to it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
}

/// The devices of the caller.
pub type DeviceListing = Listing<Device>;

/// What a revocation reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRevocation {
    /// The devices that it revoked besides the one that was named: that one let them in, or one of them did.
    pub further: Vec<Device>,
}

/// What a new device shows so that another one can confirm it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The code to type on the other device.
    pub code: String,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// A key that waits to be confirmed. Its code is shown on its own device only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingDevice {
    /// The thumbprint of the key.
    pub device: DeviceId,
    /// The host name that it gave; shown, never trusted.
    pub host: String,
    /// The address that it came from.
    pub address: String,
    /// When it asked.
    pub asked: Timestamp,
    /// Until when it can be confirmed.
    pub expires: Timestamp,
}

/// Looks up a key that waits, or confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmDevice {
    /// The code that the new device shows.
    pub code: String,
    /// The key that the person has seen and means; none to look it up first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

/// An error of the API (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:hoopctl:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in one sentence.
    pub title: String,
    /// The particulars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The code, which decides the client's exit code.
    pub code: ProblemCode,
    /// With [`ProblemCode::Unconfirmed`]: how to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
}

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The closed list of what can be wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// The request itself is wrong. Exit code 64.
    BadRequest,
    /// It came too late: a request that is no longer pending, an approval that was used. Exit code 80.
    Conflict,
    /// Policy said no. Exit code 77.
    Denied,
    /// The broker's own fault. Exit code 70.
    Internal,
    /// No valid login: token missing, expired or not bound to the key. Exit code 79.
    LoginNeeded,
    /// Policy wants a review first: file a request. Exit code 75.
    ReviewNeeded,
    /// The session, grant or device was revoked or has expired. Exit code 80.
    Revoked,
    /// The ID token was exchanged before; another one may do. Exit code 79.
    TokenSpent,
    /// Draining, or a part it needs is down. Exit code 69.
    Unavailable,
    /// The device key must be confirmed from an enrolled device. Exit code 79.
    Unconfirmed,
    /// There is no such thing, or the caller may not know that there is. Exit code 77.
    Unknown,
}
