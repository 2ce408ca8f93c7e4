//! Who uses this client, and the access token that proves it.
//!
//! Job: signing in, keeping the login alive, signing out. A person's login is a refresh token at the
//! provider and a device key; a workload's is whatever its platform writes. Both become an access
//! token at the broker, bound to the key. Boundary: shows nothing; a [`LoginView`] does. Failure
//! mode: [`LoginError`]; a refresh token is written to disk before the login that came with it is used.

mod redeem;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

use redeem::Redemption;

use super::ClientContext;
use super::home::{BrokerHome, HomeError, HomeLock};
use super::job::Job;
use super::keychain::{Credential, Keychain, KeychainError, StoredIn};
use super::known;
use super::ledger::LedgerError;
use super::link::{Caller, Link, LinkError};
use super::provider::{DevicePrompt, Provider, ProviderError};
use super::trust::PinnedRoot;
use super::workload::{Mark, Platform, WorkloadError};
use crate::domain::device::Device;
use crate::domain::name::DeviceId;
use crate::wire::control::{
    self, BrokerInfo, Confirmation, DeviceListing, GRANT_TYPE_EXCHANGE, ProblemCode, ProviderInfo,
    TOKEN_TYPE_JWT, TokenRequest,
};
use crate::wire::dpop::DeviceKey;

/// Shows a sign-in to the person.
pub trait LoginView: Send + Sync {
    /// Another device of the person must confirm this one; the client waits from now on.
    fn confirm(&self, confirmation: &Confirmation, this: &DeviceId);

    /// The page and the code are known; the client waits from now on.
    fn prompt(&self, prompt: &DevicePrompt);
}

/// Why there is no login.
#[derive(Debug, Error)]
pub enum LoginError {
    /// The state directory failed.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The credential store failed.
    #[error(transparent)]
    Keychain(#[from] KeychainError),
    /// The broker's ledger is not believed, so nothing is done there.
    #[error(transparent)]
    Ledger(#[from] Box<LedgerError>),
    /// The broker failed or refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Nobody is logged in.
    #[error("not logged in at {0}")]
    Needed(Box<Url>),
    /// The provider failed or refused.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A task of ours died.
    #[error("an internal task failed: {0}")]
    Task(String),
    /// The broker knows no such provider.
    #[error("the broker knows no provider `{wanted}`; it knows {known}")]
    UnknownProvider {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// No other device confirmed this one in time.
    #[error("no other device of yours confirmed this one in time")]
    Unconfirmed,
    /// The workload's token failed.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
}

/// An access token and until when it is good.
#[derive(Debug, Clone)]
pub struct Access {
    /// The token.
    pub token: SecretString,
    /// When it was exchanged.
    pub since: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
}

impl Access {
    fn is_fresh(&self, now: Timestamp, not_before: Timestamp) -> bool {
        self.since >= not_before && self.expires > now + MARGIN
    }
}

/// Who uses this client.
#[derive(Debug)]
pub enum Identity {
    /// A person who signed in earlier.
    Person(Person),
    /// A workload.
    Workload(Workload),
}

impl Identity {
    /// The device key.
    #[must_use]
    pub fn key(&self) -> &DeviceKey {
        match self {
            Self::Person(person) => &person.key,
            Self::Workload(workload) => &workload.key,
        }
    }

    /// The URL that proofs must name.
    #[must_use]
    pub fn public_url(&self) -> &Url {
        match self {
            Self::Person(person) => &person.info.public_url,
            Self::Workload(workload) => &workload.info.public_url,
        }
    }

    /// Where the login is kept; nowhere for a workload that can keep nothing.
    #[must_use]
    pub fn place(&self) -> Option<&BrokerHome> {
        match self {
            Self::Person(person) => Some(&person.place),
            Self::Workload(workload) => workload.job.as_ref().map(Job::place),
        }
    }

    /// Gets an access token that was exchanged no earlier than `not_before`.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn access(&self, link: &Link, not_before: Timestamp) -> Result<Access, LoginError> {
        match self {
            Self::Person(person) => person.access(link, not_before).await,
            Self::Workload(workload) => workload.access(link, not_before).await,
        }
    }
}

/// How long a login is good for, as far as this machine can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// As long as the broker says now: nothing here renews it.
    AsItIs,
    /// Until the workload's token ends, which nothing here replaces.
    Until(Timestamp),
    /// As long as its provider renews it.
    WhileRenewed,
}

impl Identity {
    /// How long the login is good for.
    ///
    /// # Errors
    /// When the credential or the workload's token cannot be read.
    pub fn lasts(&self) -> Result<Lasts, LoginError> {
        match self {
            Self::Person(person) => {
                let credential = keychain(&person.context, &person.place).load()?;
                let renewed = credential.is_some_and(|known| known.refresh_token.is_some());
                Ok(if renewed { Lasts::WhileRenewed } else { Lasts::AsItIs })
            }
            Self::Workload(workload) => {
                Ok(workload.platform.ends()?.map_or(Lasts::WhileRenewed, Lasts::Until))
            }
        }
    }
}

impl Identity {
    /// An access token that an earlier command left and that is good until then. Asks nobody.
    #[must_use]
    pub fn at_hand(&self, until: Timestamp) -> Option<Access> {
        let access = match self {
            Self::Person(person) => person.cached(until, Timestamp::MIN).ok().flatten(),
            Self::Workload(workload) => {
                let mark = workload.platform.mark().ok()?;
                let kept = workload.job.as_ref().and_then(|job| job.access(&mark).ok().flatten());
                kept.map(|(access, _)| access)
            }
        };
        access.filter(|access| access.expires > until)
    }
}

/// A person who signed in earlier on this machine.
#[derive(Debug)]
pub struct Person {
    context: ClientContext,
    place: BrokerHome,
    key: DeviceKey,
    info: BrokerInfo,
}

impl Person {
    /// Finds the login of the broker at `place`.
    ///
    /// # Errors
    /// [`LoginError::Needed`] when there is none.
    pub fn find(
        context: &ClientContext,
        place: &BrokerHome,
    ) -> Result<(Self, Option<PinnedRoot>), LoginError> {
        let needed = || LoginError::Needed(Box::new(place.url().clone()));
        let credential = keychain(context, place).load()?.ok_or_else(needed)?;
        let info = place.read(INFO)?.and_then(|b| serde_json::from_slice(&b).ok()).ok_or_else(needed)?;
        let (key, pinned) = (credential.device_key, credential.pinned);
        Ok((Self { context: context.clone(), place: place.clone(), key, info }, pinned))
    }

    async fn access(&self, link: &Link, not_before: Timestamp) -> Result<Access, LoginError> {
        let now = self.context.clock.now();
        if let Some(access) = self.cached(now, not_before)? {
            return Ok(access);
        }
        // INVARIANT: one process at a time spends the refresh token; the others find what it got
        let _lock = lock(&self.place).await?;
        if let Some(access) = self.cached(now, not_before)? {
            return Ok(access);
        }
        let needed = || LoginError::Needed(Box::new(self.place.url().clone()));
        let keychain = keychain(&self.context, &self.place);
        let mut credential = keychain.load()?.ok_or_else(needed)?;
        let name = credential.provider.clone().ok_or_else(needed)?;
        let info = self.info.providers.iter().find(|p| p.name == name).ok_or_else(needed)?;
        let provider = Provider::discover(info).await?;
        let redemption = Redemption {
            context: &self.context,
            link,
            public_url: &self.info.public_url,
            provider: &provider,
            keychain: &keychain,
        };
        let evidence = match redemption.renew(&mut credential).await {
            Err(LoginError::Provider(ProviderError::Ended)) => return Err(needed()),
            other => other?.ok_or_else(needed)?,
        };
        let access = redemption.redeem(&mut credential, evidence).await?;
        store_access(&self.place, &access)?;
        // also when what was known is lost: who can lose it must not silence the warning
        let others = look_around(&self.context, &self.place, link, self.caller(Some(&access))).await;
        if !others.is_empty() {
            self.context.strangers.tell(&others);
        }
        Ok(access)
    }

    fn caller<'a>(&'a self, access: Option<&'a Access>) -> Caller<'a> {
        let token = access.map(|access| &access.token);
        Caller { key: &self.key, token, public_url: &self.info.public_url }
    }

    /// Where the login is kept.
    #[must_use]
    pub fn place(&self) -> &BrokerHome {
        &self.place
    }

    /// An access token that this or another process exchanged before.
    fn cached(&self, now: Timestamp, not_before: Timestamp) -> Result<Option<Access>, LoginError> {
        let Some(bytes) = self.place.read(ACCESS)? else { return Ok(None) };
        let Ok(stored) = serde_json::from_slice::<StoredAccess>(&bytes) else { return Ok(None) };
        let access = Access { token: stored.token.into(), since: stored.since, expires: stored.expires };
        Ok(Some(access).filter(|access| access.is_fresh(now, not_before)))
    }
}

/// A workload: its key lives as long as its job.
#[derive(Debug)]
pub struct Workload {
    context: ClientContext,
    platform: Platform,
    key: DeviceKey,
    info: BrokerInfo,
    /// Where the key is kept for the next command; nowhere when there is no place for it.
    job: Option<Job>,
}

impl Workload {
    /// A workload whose token comes from `platform`, towards the broker behind `link`. Its key is kept
    /// at `place`, if there is one.
    ///
    /// # Errors
    /// When the broker cannot be asked where it is, there is no token, or the place cannot be used.
    pub async fn new(
        context: &ClientContext,
        link: &Link,
        platform: Platform,
        place: Option<BrokerHome>,
    ) -> Result<Self, LoginError> {
        let mark = platform.mark()?;
        let now = context.clock.now();
        let (key, job) = match place {
            None => (Credential::fresh().device_key, None),
            Some(place) => {
                // two commands that begin at the same time must agree on one key
                let _lock = lock(&place).await?;
                let job = Job::new(place, &mark);
                (job.key(now)?, Some(job))
            }
        };
        let known = job.as_ref().map(|job| job.access(&mark)).transpose()?.flatten();
        let info = match known {
            // a command of this job asked the broker minutes ago
            Some((access, info)) if access.is_fresh(now, Timestamp::MIN) => info,
            _ => link.info().await?,
        };
        Ok(Self { context: context.clone(), platform, key, info, job })
    }

    async fn access(&self, link: &Link, not_before: Timestamp) -> Result<Access, LoginError> {
        let mark = self.platform.mark()?;
        let now = self.context.clock.now();
        let known = self.job.as_ref().map(|job| job.access(&mark)).transpose()?.flatten();
        if let Some((access, _)) = known
            && access.is_fresh(now, not_before)
        {
            return Ok(access);
        }
        let subject = mark.subject.clone();
        let held = self.platform.holds();
        let access = match self.exchange(link, mark).await {
            // what was held is not good any more, whatever this machine's clock says
            Err(LoginError::Link(LinkError::Problem(problem)))
                if held && problem.code == ProblemCode::LoginNeeded =>
            {
                self.platform.forget();
                self.exchange(link, self.platform.mark()?).await?
            }
            other => other?,
        };
        if let Some(job) = &self.job {
            job.keep(&self.key, subject, &access, &self.info)?;
        }
        Ok(access)
    }

    async fn exchange(&self, link: &Link, mark: Mark) -> Result<Access, LoginError> {
        let token = self.platform.token(mark, &self.info.workloads, self.context.clock.now()).await?;
        let caller = Caller { key: &self.key, token: None, public_url: &self.info.public_url };
        exchange(link, caller, form(TOKEN_TYPE_JWT, &token, None, &self.context), &self.context).await
    }
}

/// What a sign-in left behind.
#[derive(Debug)]
pub struct SignedIn {
    /// Where the credential went.
    pub stored: StoredIn,
    /// Whether that place was just chosen, so that it must be said.
    pub newly_stored: bool,
    /// Whether the login can be renewed without the person.
    pub renewable: bool,
    /// How many other devices of the person were enrolled before the first login here.
    pub others: usize,
}

/// Signs a person in at the broker behind `link`.
///
/// # Errors
/// [`LoginError`].
pub async fn sign_in(
    context: &ClientContext,
    link: &Link,
    provider: Option<&str>,
    view: &dyn LoginView,
) -> Result<SignedIn, LoginError> {
    let info = link.info().await?;
    let chosen = choose(&info.providers, provider)?;
    let provider = Provider::discover(chosen).await?;
    let signed = provider.sign_in(|prompt| view.prompt(prompt)).await?;

    let place = context.home.broker(link.url())?;
    let _lock = lock(&place).await?;
    let keychain = keychain(context, &place);
    // another login on this machine is the same device; a broken credential is a new one
    let mut credential = keychain.load().ok().flatten().unwrap_or_else(Credential::fresh);
    credential.provider = Some(chosen.name.clone());
    credential.pinned = link.pinned();
    credential.refresh_token = signed.refresh_token;
    let before = keychain.marker().ok().flatten();
    let stored = keychain.save(&credential)?;
    let redemption =
        Redemption { context, link, public_url: &info.public_url, provider: &provider, keychain: &keychain };
    let exchanged = redemption.redeem_confirmed(&mut credential, signed.evidence, view).await;
    if let Err(LoginError::Link(LinkError::Problem(problem))) = &exchanged
        && problem.code == ProblemCode::Revoked
    {
        // this key will never be let in again; the next login starts with another
        keychain.delete()?;
    }
    let access = exchanged?;
    store_access(&place, &access)?;
    let caller =
        Caller { key: &credential.device_key, token: Some(&access.token), public_url: &info.public_url };
    let others = look_around(context, &place, link, caller).await;
    // the person is told how many there are; at the first login all are new
    if let Err(error) = known::know(&place, &others) {
        tracing::warn!(%error, "what devices are known cannot be kept");
    }
    let others = others.len();
    let bytes = serde_json::to_vec(&info).map_err(|_| KeychainError::Corrupt)?;
    place.write(INFO, &bytes)?;
    context.home.set_default_broker(Some(place.url()))?;
    Ok(SignedIn {
        stored,
        newly_stored: before != Some(stored),
        renewable: credential.refresh_token.is_some(),
        others,
    })
}

/// How much of a logout worked. What is on this machine is gone in any case.
#[derive(Debug)]
pub struct SignedOut {
    /// What the broker said.
    pub broker: Result<(), LoginError>,
    /// What the provider said.
    pub provider: Result<(), LoginError>,
}

/// Ends the login everywhere: at the provider, at the broker, on this machine.
///
/// # Errors
/// When something on this machine could not be removed, or nobody is logged in.
pub async fn sign_out(
    context: &ClientContext,
    link: &Link,
    place: &BrokerHome,
) -> Result<SignedOut, LoginError> {
    let (person, _) = Person::find(context, place)?;
    let keychain = keychain(context, place);
    let broker = at_broker(&person, link).await;
    let _lock = lock(place).await?;
    let provider = match keychain.load()? {
        Some(credential) => at_provider(&person.info, &credential).await,
        None => Ok(()),
    };
    for file in [ACCESS, INFO] {
        place.remove(file)?;
    }
    keychain.delete()?;
    if context.home.default_broker()?.as_ref() == Some(place.url()) {
        context.home.set_default_broker(None)?;
    }
    Ok(SignedOut { broker, provider })
}

async fn at_broker(person: &Person, link: &Link) -> Result<(), LoginError> {
    let access = person.access(link, Timestamp::MIN).await?;
    Ok(link.order(person.caller(Some(&access)), reqwest::Method::POST, control::LOGOUT).await?)
}

async fn at_provider(info: &BrokerInfo, credential: &Credential) -> Result<(), LoginError> {
    let (Some(token), Some(name)) = (&credential.refresh_token, &credential.provider) else { return Ok(()) };
    let Some(provider) = info.providers.iter().find(|p| p.name == *name) else { return Ok(()) };
    Ok(Provider::discover(provider).await?.revoke(token).await?)
}

fn choose<'i>(known: &'i [ProviderInfo], wanted: Option<&str>) -> Result<&'i ProviderInfo, LoginError> {
    let found = match wanted {
        Some(wanted) => known.iter().find(|p| p.name.as_str() == wanted),
        None => known.first().filter(|_| known.len() == 1),
    };
    found.ok_or_else(|| LoginError::UnknownProvider {
        wanted: wanted.unwrap_or_default().chars().filter(|c| !c.is_control()).take(80).collect(),
        known: match known.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "none".into(),
            names => names,
        },
    })
}

/// Looks whether devices were enrolled for the person that this one does not know, and tells them;
/// returns the others where none is known. A look that fails stops nobody.
async fn look_around(
    context: &ClientContext,
    place: &BrokerHome,
    link: &Link,
    caller: Caller<'_>,
) -> Vec<Device> {
    let listed =
        link.call::<DeviceListing>(caller, reqwest::Method::GET, control::DEVICES, None::<&()>).await;
    let look = match &listed {
        Ok(listed) => known::look(place, &caller.key.thumbprint(), &listed.items).map_err(LoginError::from),
        Err(_) => Ok(known::Look::Since(Vec::new())),
    };
    match look {
        Ok(known::Look::First(others)) => return others,
        Ok(known::Look::Since(strangers)) if !strangers.is_empty() => context.strangers.tell(&strangers),
        Ok(known::Look::Since(_)) => {}
        Err(error) => tracing::warn!(%error, "what devices are known cannot be read"),
    }
    Vec::new()
}

async fn exchange(
    link: &Link,
    caller: Caller<'_>,
    form: TokenRequest,
    context: &ClientContext,
) -> Result<Access, LoginError> {
    let since = context.clock.now();
    let answer = link.exchange(caller, &form).await?;
    let lasts = SignedDuration::from_secs(i64::try_from(answer.expires_in.min(86_400)).unwrap_or_default());
    Ok(Access { token: answer.access_token.into(), since, expires: since + lasts })
}

fn form(
    kind: &str,
    token: &SecretString,
    userinfo: Option<&SecretString>,
    context: &ClientContext,
) -> TokenRequest {
    TokenRequest {
        grant_type: GRANT_TYPE_EXCHANGE.into(),
        subject_token: token.expose_secret().to_owned(),
        subject_token_type: kind.into(),
        host: context.host_name.clone(),
        userinfo_token: userinfo.map(|token| token.expose_secret().to_owned()),
    }
}

fn keychain(context: &ClientContext, place: &BrokerHome) -> Keychain {
    Keychain::new(place.clone(), context.store)
}

async fn lock(place: &BrokerHome) -> Result<HomeLock, LoginError> {
    let place = place.clone();
    let locked = tokio::task::spawn_blocking(move || place.lock()).await;
    Ok(locked.map_err(|error| LoginError::Task(error.to_string()))??)
}

fn store_access(place: &BrokerHome, access: &Access) -> Result<(), LoginError> {
    let stored = StoredAccess {
        token: access.token.expose_secret().to_owned(),
        since: access.since,
        expires: access.expires,
    };
    let bytes = serde_json::to_vec(&stored).map_err(|_| KeychainError::Corrupt)?;
    Ok(place.write(ACCESS, &bytes)?)
}

/// Kept between processes so that each command needs no round trip to the provider. It opens
/// nothing without the device key.
#[derive(Serialize, Deserialize)]
struct StoredAccess {
    token: String,
    since: Timestamp,
    expires: Timestamp,
}

const ACCESS: &str = "access.json";
const INFO: &str = "broker.json";
/// A token is not used in its last seconds: the call must still arrive with it.
const MARGIN: SignedDuration = SignedDuration::from_secs(20);
