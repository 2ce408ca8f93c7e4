//! What a provider's token says, once it is verified.
//!
//! Job: the checks of OpenID Connect Core §3.1.3.7 and RFC 8725 on one JWT. Boundary: pure; key,
//! rules and time come in. Failure mode: [`TokenFault`]; no claim is believed before the signature.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha512};
use thiserror::Error;
use url::Url;

use super::jwks::is_issuer;
use crate::broker::config::ProviderConfig;
use crate::domain::name::GroupName;
use crate::domain::principal::Subject;
use crate::domain::text;

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenFault {
    /// Its `alg` is not one of RS256, PS256, ES256, EdDSA.
    #[error("it is not signed with RS256, PS256, ES256 or EdDSA")]
    Algorithm,
    /// It is meant for somebody else.
    #[error("its audience is somebody else")]
    Audience,
    /// It is meant for others as well, who could bring it here.
    #[error("its audience is somebody else as well")]
    Audiences,
    /// It has expired.
    #[error("it has expired")]
    Expired,
    /// Its `iss` is not configured.
    #[error("its issuer is not trusted here")]
    Issuer,
    /// The issuer has no key for it.
    #[error("its issuer has no such key")]
    Key,
    /// It cannot be read.
    #[error("it is malformed")]
    Malformed,
    /// Its `nbf` or `iat` lies in the future.
    #[error("it is from the future")]
    NotYet,
    /// It was asked for by another client.
    #[error("it was issued to another client")]
    Party,
    /// Its signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// Its `iat` lies too far back.
    #[error("it was issued too long ago")]
    Stale,
    /// It is another type of token.
    #[error("it is another type of token")]
    Type,
}

/// What a token must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) issuer: &'a Url,
    pub(super) audience: &'a str,
    /// Whom a workload's token may be for besides.
    pub(super) others: &'a BTreeSet<String>,
    pub(super) kind: Kind,
    /// How long ago it may have been issued, where that matters.
    pub(super) age: Option<SignedDuration>,
    pub(super) now: Timestamp,
}

/// Which type of token it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An ID token, for exactly one client.
    Id,
    /// A workload's JWT.
    Workload,
}

/// Claims that hold.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    pub(super) subject: Subject,
    pub(super) expires: Timestamp,
    /// When the person last proved who they are: `auth_time`, or `iat` where there is none.
    pub(super) signed_in: Timestamp,
    algorithm: Algorithm,
    all: Map<String, Value>,
}

/// The header and the issuer that a token claims, unverified: only good for choosing among what is
/// configured.
pub(super) fn peek(token: &str) -> Result<(Header, String), TokenFault> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    if token.len() > MAX_TOKEN {
        return Err(TokenFault::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
        // an algorithm that the crate has no name for, `none` above all
        jsonwebtoken::errors::ErrorKind::Json(_) => TokenFault::Algorithm,
        _ => TokenFault::Malformed,
    })?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(TokenFault::Algorithm);
    }
    let claimed: Issuer =
        jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| TokenFault::Malformed)?;
    Ok((header, claimed.iss))
}

/// Verifies a token with the key that its header named.
pub(super) fn verify(
    token: &str,
    header: &Header,
    key: &Jwk,
    rules: &Rules<'_>,
) -> Result<Claims, TokenFault> {
    if header.crit.is_some() || !is_type(header.typ.as_deref(), rules.kind) {
        return Err(TokenFault::Type);
    }
    if !fits(key, header.alg) {
        return Err(TokenFault::Algorithm);
    }
    let mut signature_only = Validation::new(header.alg);
    // the claims are checked below, with the time that we were given
    signature_only.required_spec_claims.clear();
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    let key = DecodingKey::from_jwk(key).map_err(|_| TokenFault::Key)?;
    let token = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &signature_only);
    let claims = token.map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => TokenFault::Signature,
        _ => TokenFault::Malformed,
    })?;
    judge(claims.claims, header.alg, rules)
}

/// Whether a key is of the kind that an algorithm needs.
pub(super) fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256 | Algorithm::PS256) => true,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let named =
        key.common.key_algorithm.as_ref().is_none_or(|name| name.to_string() == format!("{algorithm:?}"));
    kind && named
}

impl Claims {
    /// What people call the subject: shown, never compared.
    pub(super) fn display(&self) -> String {
        let name = ["preferred_username", "name", "email"]
            .iter()
            .filter_map(|claim| self.all.get(*claim)?.as_str())
            .find(|text| !text.trim().is_empty());
        text::name(name.unwrap_or_else(|| self.subject.as_str()), 100)
    }

    /// Every claim.
    pub(super) fn all(&self) -> &Map<String, Value> {
        &self.all
    }

    /// Whether the provider says when somebody signed in, so that it need not be guessed from `iat`.
    pub(super) fn tells_sign_in(&self) -> bool {
        self.all.contains_key("auth_time")
    }

    /// Whether an access token was given out together with this ID token, as far as that can be told
    /// (OpenID Connect Core §3.1.3.6: the left half of its digest, where the provider says it).
    pub(super) fn came_with(&self, access_token: &str) -> bool {
        let Some(said) = self.all.get("at_hash") else { return true };
        let digest = match self.algorithm {
            Algorithm::EdDSA => Sha512::digest(access_token).to_vec(),
            _ => Sha256::digest(access_token).to_vec(),
        };
        let half = digest.get(..digest.len() / 2).unwrap_or_default();
        said.as_str() == Some(URL_SAFE_NO_PAD.encode(half).as_str())
    }
}

/// The e-mail address in lower case. It forbids and never allows, so it need not be verified.
pub(super) fn email(all: &Map<String, Value>) -> Option<String> {
    let email = all.get("email")?.as_str()?.trim().to_lowercase();
    (!email.is_empty() && email.len() <= 320).then_some(email)
}

/// The groups in a claim, written as a string, an array of strings or the keys of an object; only those
/// that the provider may assert. `None` when there is no such claim.
pub(super) fn groups(all: &Map<String, Value>, provider: &ProviderConfig) -> Option<BTreeSet<GroupName>> {
    let names: Vec<&str> = match all.get(&provider.groups_claim)? {
        Value::Null => return None,
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        Value::Object(keyed) => keyed.keys().map(String::as_str).collect(),
        Value::Bool(_) | Value::Number(_) => Vec::new(),
    };
    let name = &provider.name;
    let qualified = names.into_iter().filter_map(|group| GroupName::new(format!("{name}/{group}")).ok());
    Some(qualified.filter(|group| provider.groups.contains(group)).collect())
}

fn judge(all: Map<String, Value>, algorithm: Algorithm, rules: &Rules<'_>) -> Result<Claims, TokenFault> {
    if !all.get("iss").and_then(Value::as_str).is_some_and(|iss| is_issuer(rules.issuer, iss)) {
        return Err(TokenFault::Issuer);
    }
    let audience: Vec<&str> = match all.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => {
            many.iter().map(Value::as_str).collect::<Option<_>>().ok_or(TokenFault::Malformed)?
        }
        _ => Vec::new(),
    };
    if !audience.contains(&rules.audience) {
        return Err(TokenFault::Audience);
    }
    let is_other = |name: &&str| *name != rules.audience && !rules.others.contains(*name);
    if rules.kind == Kind::Workload && audience.iter().any(is_other) {
        return Err(TokenFault::Audiences);
    }
    if rules.kind == Kind::Id {
        let party = all.get("azp").and_then(Value::as_str);
        if (audience.len() > 1 || all.contains_key("azp")) && party != Some(rules.audience) {
            return Err(TokenFault::Party);
        }
    }
    let now = rules.now.as_second();
    let expires = number(&all, "exp")?.ok_or(TokenFault::Malformed)?;
    let issued = number(&all, "iat")?.ok_or(TokenFault::Malformed)?;
    let begins = number(&all, "nbf")?.unwrap_or(issued);
    if expires.saturating_add(SKEW) <= now {
        return Err(TokenFault::Expired);
    }
    if begins.max(issued) > now.saturating_add(SKEW) {
        return Err(TokenFault::NotYet);
    }
    // INVARIANT: a login says that the provider stood by the person within the idle time, so no token
    // that was laid by keeps one alive
    let longest = rules.age.map_or(i64::MAX, |age| age.as_secs().saturating_add(SKEW));
    if now.saturating_sub(issued) > longest {
        return Err(TokenFault::Stale);
    }
    let signed_in = number(&all, "auth_time")?.unwrap_or(issued);
    let subject = all.get("sub").and_then(Value::as_str).ok_or(TokenFault::Malformed)?;
    Ok(Claims {
        subject: Subject::new(subject).map_err(|_| TokenFault::Malformed)?,
        expires: time(expires)?,
        signed_in: time(signed_in)?,
        algorithm,
        all,
    })
}

fn is_type(typ: Option<&str>, kind: Kind) -> bool {
    match typ.map(str::to_ascii_lowercase).as_deref() {
        None | Some("jwt") => true,
        // client credentials yield access tokens (RFC 9068); as an ID token one is a confusion
        Some("at+jwt" | "application/at+jwt") => kind == Kind::Workload,
        Some(_) => false,
    }
}

/// A NumericDate, which may have a fraction.
fn number(all: &Map<String, Value>, claim: &str) -> Result<Option<i64>, TokenFault> {
    let Some(value) = all.get(claim) else { return Ok(None) };
    if let Some(whole) = value.as_i64() {
        return Ok(Some(whole));
    }
    let fraction = value.as_f64().filter(|f| f.is_finite() && f.abs() < 1e15).ok_or(TokenFault::Malformed)?;
    #[expect(clippy::cast_possible_truncation, reason = "its size was checked, and whole seconds are wanted")]
    Ok(Some(fraction.floor() as i64))
}

fn time(second: i64) -> Result<Timestamp, TokenFault> {
    Timestamp::from_second(second).map_err(|_| TokenFault::Malformed)
}

const ALGORITHMS: &[Algorithm] = &[Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
/// Seconds by which the provider's clock and ours may differ.
pub(super) const SKEW: i64 = 30;
const MAX_TOKEN: usize = 16 * 1024;
