//! A workload's token, as its own client sees it.
//!
//! Job: reads it from files, and its claims as far as they matter before it is sent. Boundary: believes
//! no claim; the broker does the checking. Failure mode: what cannot be read is no token.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Source, WorkloadError};
use crate::wire::control::WorkloadInfo;

/// What a job is known by on its machine.
pub(in crate::client) struct Mark {
    /// Names the job's file: the same for all of its commands.
    pub(in crate::client) job: String,
    /// Tells whom an access token speaks for: another token may speak for somebody else.
    pub(in crate::client) subject: String,
    /// The token, where it was there already.
    token: Option<SecretString>,
}

impl Mark {
    /// Of a job that has its token. A job is known by the claims that stay when its platform renews it,
    /// so that jobs which run side by side on one machine keep apart; what is not a JWT names itself.
    pub(in crate::client) fn of_token(token: SecretString) -> Self {
        let text = match claims(&token) {
            Some(mut claims) => {
                claims.retain(|claim, _| !CHANGING.contains(&claim.as_str()));
                if let Some(Value::Object(pod)) = claims.get_mut("kubernetes.io") {
                    // when kubelet means to renew it
                    pod.remove("warnafter");
                }
                serde_json::to_string(&claims).unwrap_or_default()
            }
            None => token.expose_secret().to_owned(),
        };
        let subject = digest(token.expose_secret());
        Self { job: short(&text), subject, token: Some(token) }
    }

    /// Of a job that asks for its token with something of its own.
    pub(super) fn of_asker(parts: &[&str]) -> Self {
        let subject = digest(&parts.join("\n"));
        Self { job: short(&subject), subject, token: None }
    }

    pub(super) fn into_token(self) -> Option<SecretString> {
        self.token
    }
}

/// A token for somebody else is not for this broker's eyes: whoever it is for would take it from there too.
pub(super) fn check_audience(
    token: &SecretString,
    source: &Source,
    known: &[WorkloadInfo],
) -> Result<(), WorkloadError> {
    let Some(audience) = claims(token).and_then(|mut claims| claims.remove("aud")) else { return Ok(()) };
    let found: Vec<&str> = match &audience {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    // INVARIANT: no broker, however hostile, collects tokens that open something else
    let ours =
        known.iter().map(|workload| workload.audience.as_str()).filter(|audience| !is_of_others(audience));
    let ours: Vec<&str> = ours.collect();
    if known.is_empty() && !found.iter().any(|audience| is_of_others(audience)) {
        return Ok(());
    }
    if found.iter().any(|audience| ours.contains(audience)) {
        return Ok(());
    }
    let wanted = list(ours.into_iter());
    Err(WorkloadError::Audience { place: source.to_string(), found: list(found.into_iter()), wanted })
}

/// Whether an audience is that of a service which everybody knows, and so never a broker's.
pub(super) fn is_of_others(audience: &str) -> bool {
    const OTHERS: [&str; 6] = [
        "api://AzureADTokenExchange",
        "https://kubernetes.default.svc",
        "kubernetes.default.svc",
        "https://iam.googleapis.com/",
        "//iam.googleapis.com/",
        "sts.amazonaws.com",
    ];
    OTHERS.iter().any(|other| audience.starts_with(other))
}

/// When a token says that it expires.
pub(super) fn expiry(token: &SecretString) -> Option<Timestamp> {
    Timestamp::from_second(claims(token)?.get("exp")?.as_i64()?).ok()
}

/// A small file, as it is now.
pub(super) fn read_file(path: &Path) -> Result<String, WorkloadError> {
    let failed = |cause| WorkloadError::Unreadable { what: "workload token", path: path.into(), cause };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)).map_err(failed)?;
    Ok(text)
}

/// Names, as they may be shown.
pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<String> = names.map(|name| format!("`{}`", printable(name))).collect();
    all.sort();
    all.dedup();
    if all.is_empty() { "nobody".into() } else { all.join(", ") }
}

/// What others wrote, made fit for a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn claims(token: &SecretString) -> Option<BTreeMap<String, Value>> {
    let part = token.expose_secret().split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn short(text: &str) -> String {
    digest(text).chars().take(32).collect()
}

/// RFC 7519 §4.1.4 to §4.1.7.
const CHANGING: [&str; 4] = ["exp", "iat", "jti", "nbf"];
/// More than any platform's token takes.
const MAX_FILE: u64 = 64 * 1024;
