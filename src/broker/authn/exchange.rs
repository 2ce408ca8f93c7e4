//! The token exchange (RFC 8693).
//!
//! Job: one subject token and one proof in, one access token out, the login made or refreshed.
//! Failure mode: every check comes before the first thing that is kept, the spending of the subject
//! token is the first thing that is kept, and entries come before what they speak of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::attributes;
use super::claims::{self, Claims, Kind, Rules, SKEW, TokenFault};
use super::jwks::{Origin, is_issuer};
use super::notices::Notice;
use super::userinfo::{self, UserinfoFault};
use super::{Authn, AuthnError, digest};
use crate::broker::config::{Config, ProviderConfig, WorkloadRule};
use crate::broker::devices::{Asked, Standing};
use crate::broker::logins::Login;
use crate::broker::store::logins::{Spending, spend};
use crate::broker::store::{StoreError, emails};
use crate::domain::event::{Actor, Durability, What};
use crate::domain::name::{DeviceId, GroupName, ProviderName};
use crate::domain::principal::{Kin, Principal, PrincipalId, PrincipalKind};
use crate::domain::text;
use crate::wire::control::{
    GRANT_TYPE_EXCHANGE, PendingDevice, TOKEN_TYPE_ACCESS, TOKEN_TYPE_ID, TOKEN_TYPE_JWT, TokenRequest,
    TokenResponse,
};
use crate::wire::dpop::{self, Expected};

/// One call of the token endpoint.
pub(crate) struct Exchange<'a> {
    /// The form.
    pub(crate) request: &'a TokenRequest,
    /// The `DPoP` header.
    pub(crate) proof: &'a str,
    /// The URL as the client sees it.
    pub(crate) url: &'a Url,
    /// From where.
    pub(crate) address: IpAddr,
    /// The time.
    pub(crate) now: Timestamp,
    /// The access token to give out: 256 random bits.
    pub(crate) token: String,
}

/// A login, made or refreshed.
pub(crate) struct Exchanged {
    /// The answer.
    pub(crate) response: TokenResponse,
    /// Which device.
    pub(crate) device: DeviceId,
    /// The login now.
    pub(crate) login: Login,
}

/// Who a subject token speaks for.
struct Identity<'c> {
    principal: Principal,
    claims: Claims,
    /// Where a person signed in: their groups are yet to be found.
    provider: Option<&'c ProviderConfig>,
    /// Whether userinfo was asked.
    asked: bool,
    /// What it said.
    told: Option<Map<String, Value>>,
    idle: SignedDuration,
    session_cap: Option<SignedDuration>,
}

impl Authn {
    /// Exchanges a subject token.
    pub(crate) async fn exchange(
        &self,
        config: &Config,
        call: Exchange<'_>,
    ) -> Result<Exchanged, AuthnError> {
        if !self.limiter.admits(call.address, call.now) {
            return Err(AuthnError::TooMany);
        }
        if call.request.grant_type != GRANT_TYPE_EXCHANGE {
            return Err(AuthnError::BadRequest("the grant type is not a token exchange"));
        }
        let expected = Expected { method: "POST", url: call.url, access_token: None, now: call.now };
        let proof = dpop::check(call.proof, &expected)?;
        let mut identity = self.identify(config, call.request, call.now).await?;

        let host = text::name(&call.request.host, 255);
        let whose = &identity.principal;
        let standing = self.devices.standing(&proof.device, &whose.id)?;
        match standing {
            Standing::Revoked => return Err(AuthnError::DeviceRevoked),
            Standing::New if !is_fresh(&identity, call.now) => {
                self.first_use(&proof, call.now)?;
                return Err(self.ask(whose, proof.device, host, &call).await?);
            }
            Standing::New | Standing::Enrolled(_) => {}
        }
        self.first_use(&proof, call.now)?;
        self.spend(&identity, &call.request.subject_token, &proof.device)?;
        let groupless = self.find_groups(&mut identity, call.request).await?;
        self.find_email(&mut identity, call.request).await?;
        self.find_attributes(&mut identity, call.request).await;
        let whose = &identity.principal;

        let actor = Actor {
            principal: whose.id.clone(),
            device: Some(proof.device.clone()),
            address: call.address.to_string(),
            host: host.clone(),
        };
        if standing == Standing::New {
            let what = What::DeviceEnrolled { device: proof.device.clone() };
            self.scribe.enter(Some(actor.clone()), what, Durability::Synced).await?;
            self.devices.enrol(&proof.device, whose, &host, call.now)?;
        }
        let known = self.logins.of(&proof.device, call.now);
        let refresh = known.is_some_and(|login| login.principal.id == whose.id);
        self.scribe.enter(Some(actor), What::LoggedIn { refresh }, Durability::Written).await?;
        self.admit(identity, groupless, proof.device, host, &call)
    }

    /// Finds the groups of a person: in the ID token, else at the provider's userinfo endpoint. Says why there
    /// are none where configuration names some. It comes after the token was spent, so that nobody makes us
    /// ask a provider twice with one token.
    async fn find_groups(
        &self,
        identity: &mut Identity<'_>,
        request: &TokenRequest,
    ) -> Result<Option<String>, AuthnError> {
        let Some(provider) = identity.provider.filter(|provider| !provider.groups.is_empty()) else {
            return Ok(None);
        };
        let claim = &provider.groups_claim;
        let found = match claims::groups(identity.claims.all(), provider) {
            Some(found) => Ok(found),
            None => self
                .ask_userinfo(provider, identity, request)
                .await
                .and_then(|all| claims::groups(&all, provider).ok_or(UserinfoFault::Claim)),
        };
        match found {
            Ok(found) => identity.principal.groups = found,
            // INVARIANT: what cannot be read makes nobody a member of anything
            Err(fault) => {
                if fault.is_trouble() || self.notices.first(&provider.name, Notice::NoGroups) {
                    tracing::warn!(provider = %provider.name, claim, %fault, "somebody signed in whose ID token names no groups");
                }
                let why = format!("the ID token has no claim `{claim}`, and {fault}");
                return match fault {
                    _ if !provider.groups_required => Ok(Some(why)),
                    // nobody said no: it is to be tried again
                    UserinfoFault::Fetch(error) => Err(AuthnError::GroupsUnasked(error)),
                    _ => Err(AuthnError::Groupless(why)),
                };
            }
        }
        if !identity.principal.groups.is_empty() {
            return Ok(None);
        }
        if self.notices.first(&provider.name, Notice::StrangeGroups) {
            tracing::warn!(provider = %provider.name, claim, "somebody signed in who is in none of the configured groups");
        }
        Ok(Some(format!("`{claim}` names none of the groups that are configured for `{}`", provider.name)))
    }

    /// Finds the e-mail address of a person whose ID token has none: the one that they had before, else what
    /// userinfo says. It only ever forbids, so whoever has none logs in all the same.
    async fn find_email(
        &self,
        identity: &mut Identity<'_>,
        request: &TokenRequest,
    ) -> Result<(), StoreError> {
        let Some(provider) = identity.provider else { return Ok(()) };
        let principal = &mut identity.principal;
        self.store.read(|on| emails::complete(on, &principal.id, &mut principal.kin))?;
        if principal.kin.email.is_none() && !identity.asked {
            // what cannot be had is none
            drop(self.ask_userinfo(provider, identity, request).await);
        }
        if identity.principal.kin.email.is_none() && self.notices.first(&provider.name, Notice::NoEmail) {
            tracing::warn!(provider = %provider.name, "somebody signed in whose e-mail address nothing tells: a second account of theirs passes for somebody else, and may review for them");
        }
        Ok(())
    }

    /// Finds what row filters compare with, of a person: in the ID token, else at userinfo. What cannot be had is not
    /// carried, and whoever needs it is told when they open a session.
    async fn find_attributes(&self, identity: &mut Identity<'_>, request: &TokenRequest) {
        let Some(provider) = identity.provider else { return };
        if attributes::is_missing(identity.claims.all(), &provider.attributes) && !identity.asked {
            drop(self.ask_userinfo(provider, identity, request).await);
        }
        let documents: Vec<_> = std::iter::once(identity.claims.all()).chain(&identity.told).collect();
        identity.principal.attributes = attributes::read(&documents, &provider.attributes, &provider.name);
    }

    async fn ask_userinfo(
        &self,
        provider: &ProviderConfig,
        identity: &mut Identity<'_>,
        request: &TokenRequest,
    ) -> Result<Map<String, Value>, UserinfoFault> {
        identity.asked = true;
        let token = request.userinfo_token.clone().map(SecretString::from);
        let endpoint = self.keys.userinfo(&provider.issuer).await;
        let all = userinfo::read(&*self.fetch, endpoint, token.as_ref(), &identity.claims).await?;
        // known to be theirs, whoever says it: it keeps them from reviewing for themselves
        let kin = &mut identity.principal.kin;
        kin.email = kin.email.take().or_else(|| claims::email(&all));
        identity.told = Some(all.clone());
        Ok(all)
    }

    /// Lets another device of the person confirm a key that came without a fresh sign-in, if they
    /// have one. The subject token is not spent: the client comes back with it.
    async fn ask(
        &self,
        whose: &Principal,
        device: DeviceId,
        host: String,
        call: &Exchange<'_>,
    ) -> Result<AuthnError, AuthnError> {
        if !self.devices.list(&whose.id)?.iter().any(|device| device.revoked.is_none()) {
            return Ok(AuthnError::NotFresh);
        }
        let asking = PendingDevice {
            device: device.clone(),
            host: host.clone(),
            address: call.address.to_string(),
            asked: call.now,
            expires: call.now.checked_add(CONFIRMABLE).unwrap_or(Timestamp::MAX),
        };
        let asked = self.devices.pending.ask(whose, asking);
        if let Asked::New(_) = &asked {
            let address = call.address.to_string();
            let actor = Actor { principal: whose.id.clone(), device: Some(device.clone()), address, host };
            self.scribe.enter(Some(actor), What::DevicePending { device }, Durability::Written).await?;
        }
        Ok(match asked {
            Asked::New(confirmation) | Asked::Known(confirmation) => AuthnError::Unconfirmed(confirmation),
            Asked::TooMany => AuthnError::TooMany,
        })
    }

    /// Keeps the login and its token.
    fn admit(
        &self,
        identity: Identity<'_>,
        groupless: Option<String>,
        device: DeviceId,
        host: String,
        call: &Exchange<'_>,
    ) -> Result<Exchanged, AuthnError> {
        let login = Login {
            principal: identity.principal,
            groupless,
            host,
            exchanged: call.now,
            idle: identity.idle,
            session_cap: identity.session_cap,
        };
        let expires = call.now.checked_add(TOKEN_LIFE).unwrap_or(Timestamp::MAX);
        let login = self.logins.put(&device, login, digest(&call.token), expires)?;
        // a revocation that came while this was under way must win
        if self.devices.is_revoked(&device)? {
            self.logins.end(&device)?;
            return Err(AuthnError::DeviceRevoked);
        }
        let response = TokenResponse {
            access_token: call.token.clone(),
            issued_token_type: TOKEN_TYPE_ACCESS.into(),
            token_type: "DPoP".into(),
            expires_in: TOKEN_LIFE.unsigned_abs().as_secs(),
        };
        Ok(Exchanged { response, device, login })
    }

    async fn identify<'c>(
        &self,
        config: &'c Config,
        request: &TokenRequest,
        now: Timestamp,
    ) -> Result<Identity<'c>, AuthnError> {
        let (header, issuer) = claims::peek(&request.subject_token)?;
        let token = &request.subject_token;
        match request.subject_token_type.as_str() {
            TOKEN_TYPE_ID => {
                let provider = config.providers.iter().find(|provider| is_issuer(&provider.issuer, &issuer));
                let provider = provider.ok_or(TokenFault::Issuer)?;
                let key = self.keys.find(&Origin::discovered(&provider.issuer), &header, now).await?;
                let idle = SignedDuration::try_from(config.login_idle).unwrap_or(SignedDuration::MAX);
                let rules = Rules {
                    issuer: &provider.issuer,
                    audience: &provider.client_id,
                    others: &BTreeSet::new(),
                    kind: Kind::Id,
                    age: Some(idle),
                    now,
                };
                let claims = claims::verify(token, &header, &key, &rules)?;
                if !claims.tells_sign_in() && self.notices.first(&provider.name, Notice::NoAuthTime) {
                    tracing::warn!(provider = %provider.name, "its ID tokens have no auth_time, so that `iat` stands for the sign-in: whoever renews a login can enrol another device");
                }
                let kin = Kin { email: claims::email(claims.all()), ..Kin::default() };
                let principal =
                    principal(&provider.name, &claims, PrincipalKind::Human, BTreeSet::new(), kin);
                Ok(Identity {
                    principal,
                    claims,
                    provider: Some(provider),
                    asked: false,
                    told: None,
                    idle,
                    session_cap: None,
                })
            }
            TOKEN_TYPE_JWT => {
                let workload = config.workloads.iter().find(|workload| is_issuer(&workload.issuer, &issuer));
                let workload = workload.ok_or(TokenFault::Issuer)?;
                let origin = Origin { issuer: workload.issuer.clone(), jwks: workload.jwks.clone() };
                let key = self.keys.find(&origin, &header, now).await?;
                let rules = Rules {
                    issuer: &workload.issuer,
                    audience: &workload.audience,
                    others: &workload.other_audiences,
                    kind: Kind::Workload,
                    // its platform renews it in its own time, and its expiry is what counts
                    age: None,
                    now,
                };
                let claims = claims::verify(token, &header, &key, &rules)?;
                let all = claims.all();
                let matches = |rule: &&WorkloadRule| {
                    rule.claims.iter().all(|(name, wanted)| wanted.admits(all.get(name)))
                };
                let rule = workload.rules.iter().find(matches).ok_or_else(|| {
                    tracing::info!(workload = %workload.name, claims = named(&workload.rules, all), "no rule matches");
                    AuthnError::NoRule
                })?;
                let mut kin =
                    Kin { email: claims::email(claims.all()), owner: rule.owner.clone(), ..Kin::default() };
                let groups = rule.groups.clone();
                let mut principal =
                    principal(&workload.name, &claims, PrincipalKind::Machine, groups, Kin::default());
                self.store.read(|on| emails::complete(on, &principal.id, &mut kin))?;
                principal.kin = kin;
                principal.attributes = attributes::read(&[all], &workload.attributes, &workload.name);
                let most = SignedDuration::try_from(rule.session_max).unwrap_or(SignedDuration::MAX);
                // INVARIANT: a token that its platform lets expire ends its login. A job whose token is not renewed cannot
                // refresh as a person's client does, so the token's own time counts where it is longer
                let silence = SignedDuration::try_from(config.login_idle).unwrap_or(SignedDuration::MAX);
                let idle = claims.expires.duration_since(now).max(silence).min(most);
                Ok(Identity {
                    principal,
                    claims,
                    provider: None,
                    asked: false,
                    told: None,
                    idle,
                    session_cap: Some(most),
                })
            }
            _ => Err(AuthnError::BadRequest("the subject token must be an ID token or a JWT")),
        }
    }

    fn spend(&self, identity: &Identity<'_>, token: &str, device: &DeviceId) -> Result<(), AuthnError> {
        let until = SignedDuration::from_secs(2 * SKEW);
        let until = identity.claims.expires.checked_add(until).unwrap_or(Timestamp::MAX);
        // what was signed, not the signature: an ECDSA signature can be rewritten into a second one
        // that also holds, and the same token must not look like another
        let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
        let spending = self.store.write(|on| spend(on, &digest(signed), device, until))?;
        match (spending, identity.principal.kind) {
            (Spending::First, _) => Ok(()),
            // a workload reads the same file until its platform renews it; the key must be the same
            (Spending::SameDevice, PrincipalKind::Machine) => Ok(()),
            (Spending::OtherDevice, PrincipalKind::Machine) => Err(AuthnError::Bound),
            _ => Err(AuthnError::Spent),
        }
    }
}

/// The claims that rules speak of, as a token has them: what an operator looks for who wrote the rules.
fn named(rules: &[WorkloadRule], all: &Map<String, Value>) -> String {
    let names: BTreeSet<&String> = rules.iter().flat_map(|rule| rule.claims.keys()).collect();
    let told = names.into_iter().map(|name| match all.get(name) {
        Some(value) => format!("{name} = {}", text::name(&value.to_string(), 200)),
        None => format!("no {name}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

fn principal(
    provider: &ProviderName,
    claims: &Claims,
    kind: PrincipalKind,
    groups: BTreeSet<GroupName>,
    kin: Kin,
) -> Principal {
    let id = PrincipalId { provider: provider.clone(), subject: claims.subject.clone() };
    Principal { id, kind, display: claims.display(), groups, kin, attributes: BTreeMap::new() }
}

/// A machine's token cannot show when a person signed in; its issuer and audience stand for it.
fn is_fresh(identity: &Identity<'_>, now: Timestamp) -> bool {
    let age = now.as_second().saturating_sub(identity.claims.signed_in.as_second());
    identity.principal.kind == PrincipalKind::Machine || age <= FRESH + SKEW
}

/// How long an access token lives (design §3.6).
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(5);
/// How long a key can wait to be confirmed.
const CONFIRMABLE: SignedDuration = SignedDuration::from_mins(10);
/// Seconds within which a sign-in is fresh enough for a new device.
const FRESH: i64 = 300;
