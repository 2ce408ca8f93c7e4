//! One session, from its opening to its close.
//!
//! Job: opens it at the broker, keeps its login alive, opens its tunnels, closes it. Boundary: the
//! secret goes to whoever launches the child and is not kept. Failure mode: a session that cannot
//! be closed here is closed by the broker when its login goes silent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use super::api::{Api, ApiError};
use super::aws::teller::Teller;
use super::link::LinkError;
use super::login::LoginError;
use super::loopback::Opener;
use super::loopback::refusal::Refusal;
use super::tunnel::{self, Ahead, Stream, TunnelError};
use crate::domain::name::{Digest, GrantId, SessionId};
use crate::gateway::clock::Clock;
use crate::wire::control::{OpenedAws, ProblemCode};

/// A session of ours.
#[derive(Debug)]
pub struct LiveSession {
    api: Arc<Api>,
    /// Its id.
    pub id: SessionId,
    /// Its protocol.
    pub protocol: String,
    /// The user to give at the loopback.
    pub user: String,
    /// The database to name at the loopback.
    pub database: String,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// The host key that the gateway shows inside, a line of OpenSSH; for SSH only.
    pub ssh_host_key: Option<String>,
    /// Where the target really is; for HTTP only.
    pub base: Option<Url>,
    /// For AWS only.
    pub aws: Option<OpenedAws>,
    /// Hands out credentials of AWS, where the session is for that.
    pub teller: Option<Teller>,
    gateway: Digest,
    stop: watch::Sender<bool>,
    keeper: JoinHandle<()>,
    tether: Option<JoinHandle<()>>,
}

impl LiveSession {
    /// Opens a session; the secret is for the child. `ssh_key` is the public key that it will use, for SSH.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn open(
        api: &Arc<Api>,
        target: &str,
        ssh_key: Option<String>,
    ) -> Result<(Self, SecretString), ApiError> {
        Self::begin(api, target, ssh_key, true).await
    }

    /// Opens a session that lasts when this process has ended, until it expires or its login is silent.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn open_to_last(api: &Arc<Api>, target: &str) -> Result<(Self, SecretString), ApiError> {
        Self::begin(api, target, None, false).await
    }

    async fn begin(
        api: &Arc<Api>,
        target: &str,
        ssh_key: Option<String>,
        is_tied: bool,
    ) -> Result<(Self, SecretString), ApiError> {
        let opened = api.open_session(target, ssh_key, is_tied).await?;
        let (stop, _) = watch::channel(false);
        let (keeper, clock) = (Arc::clone(api), api.context().clock.clone());
        let renew = move || {
            let api = Arc::clone(&keeper);
            async move {
                let kept = api.keep_alive().await;
                if let Err(LoginError::Ledger(error)) = &kept {
                    tracing::error!(%error, "the broker's ledger is not the one that is remembered; end this session");
                } else if let Err(error) = kept {
                    tracing::warn!(%error, "the login could not be renewed; the session closes when it has lapsed");
                }
            }
        };
        let keeper = tokio::spawn(keep(clock, opened.expires, stop.clone(), tokio::time::sleep, renew));
        let tether = is_tied.then(|| tokio::spawn(tie(Arc::clone(api), opened.session.clone())));
        let secret = SecretString::from(opened.secret);
        let mut session = Self {
            api: Arc::clone(api),
            id: opened.session,
            protocol: opened.protocol,
            user: opened.user,
            database: opened.database,
            expires: opened.expires,
            ssh_host_key: opened.ssh_host_key,
            base: opened.base,
            aws: opened.aws,
            teller: None,
            gateway: opened.gateway_key,
            stop,
            keeper,
            tether,
        };
        if session.aws.as_ref().is_some_and(|aws| aws.hands_out) {
            let (secret, clock) = (secret.clone(), api.context().clock.clone());
            let teller = Teller::new(secret, clock, session.opener(None));
            // before any program waits for them, which SDKs do for two seconds, and people who review for minutes
            if let Err(error) = teller.give().await {
                drop(session.close().await);
                return Err(error.into());
            }
            session.teller = Some(teller);
        }
        Ok((session, secret))
    }

    /// Opens the session's tunnels, the first over the connection that was made ahead.
    #[must_use]
    pub fn opener(&self, ahead: Option<Ahead>) -> Arc<dyn Opener> {
        if let Some(teller) = &self.teller {
            return Arc::new(teller.clone());
        }
        let ahead = Mutex::new(ahead);
        let (id, gateway) = (self.id.clone(), self.gateway.clone());
        Arc::new(Tunnels { api: Arc::clone(&self.api), id, gateway, ahead })
    }

    /// Holds true once the session has reached its expiry or is being closed.
    #[must_use]
    pub fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// The grant that it stands on, as far as the broker says so.
    pub async fn grant(&self) -> Option<GrantId> {
        let told = tokio::time::timeout(CLOSE_TIMEOUT, self.api.session(&self.id)).await;
        told.ok()?.ok()?.grant
    }

    /// Closes the session here and at the broker.
    ///
    /// # Errors
    /// [`ApiError`]; the session has ended on this machine all the same.
    pub async fn close(self) -> Result<(), ApiError> {
        self.stop.send_replace(true);
        self.keeper.abort();
        if let Some(tether) = &self.tether {
            tether.abort();
        }
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, self.api.close_session(&self.id)).await;
        match closed {
            // it ended by itself meanwhile
            Ok(Err(ApiError::Link(LinkError::Problem(problem))))
                if matches!(problem.code, ProblemCode::Revoked | ProblemCode::Unknown) =>
            {
                Ok(())
            }
            Ok(other) => other,
            Err(_) => Err(LinkError::Unreachable {
                url: Box::new(self.api.link().url().clone()),
                cause: "it did not confirm the end of the session".into(),
            }
            .into()),
        }
    }
}

struct Tunnels {
    api: Arc<Api>,
    id: SessionId,
    gateway: Digest,
    ahead: Mutex<Option<Ahead>>,
}

impl Opener for Tunnels {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, Refusal>> {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async {
            tunnel::open(&self.api, &self.id, &self.gateway, ahead).await.map_err(|error| refusal(&error))
        })
    }
}

/// A tunnel that failed, as a PostgreSQL client wants to hear it.
fn refusal(error: &TunnelError) -> Refusal {
    let code = match error {
        TunnelError::Link(LinkError::Problem(problem)) => match problem.code {
            ProblemCode::Conflict
            | ProblemCode::Denied
            | ProblemCode::LoginNeeded
            | ProblemCode::ReviewNeeded
            | ProblemCode::Revoked
            | ProblemCode::TokenSpent
            | ProblemCode::Unconfirmed
            | ProblemCode::Unknown => "28000",
            ProblemCode::BadRequest | ProblemCode::Internal | ProblemCode::Unavailable => "08006",
        },
        TunnelError::Login(_) => "28000",
        TunnelError::Gateway(_) | TunnelError::Link(_) | TunnelError::Timeout | TunnelError::Upgrade(_) => {
            "08006"
        }
    };
    let detail = match error {
        TunnelError::Link(LinkError::Problem(problem)) => problem.detail.as_deref().map(|d| format!(": {d}")),
        _ => None,
    };
    Refusal { code, message: format!("hoopctl: {error}{}", detail.unwrap_or_default()) }
}

/// Ties the session to the life of this process: the broker closes it when the system has cut the tie, and nobody makes
/// a new one. Short work never pays for it, because the broker waits longer for the first one.
async fn tie(api: Arc<Api>, session: SessionId) {
    let (mut pause, mut patience) = (FIRST_TIE, FIRST_PATIENCE);
    loop {
        tokio::time::sleep(pause).await;
        match tunnel::tether(&api, &session, patience).await {
            Ok(()) => (pause, patience) = (NEXT_TIE, FIRST_PATIENCE),
            // one that hangs must not use up what the broker grants; a line may be slow all the same
            Err(TunnelError::Timeout) => (pause, patience) = (NEXT_TIE, (patience * 2).min(LAST_PATIENCE)),
            // it is over, or the broker is an older one that knows no such thing
            Err(TunnelError::Link(LinkError::Problem(problem)))
                if matches!(
                    problem.code,
                    ProblemCode::BadRequest
                        | ProblemCode::Denied
                        | ProblemCode::Revoked
                        | ProblemCode::Unknown
                ) =>
            {
                return;
            }
            Err(error) => {
                tracing::debug!(%error, %session, "the session is not tied to this process");
                pause = (pause * 2).min(LAST_TIE);
            }
        }
    }
}

/// Shows the broker that the login lives, however idle the session is, and stops the loopback at the
/// session's expiry.
async fn keep<S, R>(
    clock: Clock,
    expires: Timestamp,
    stop: watch::Sender<bool>,
    sleep: impl Fn(Duration) -> S + Send,
    renew: impl Fn() -> R + Send,
) where
    S: Future<Output = ()> + Send,
    R: Future<Output = ()> + Send,
{
    loop {
        let left = Duration::try_from(expires.duration_since(clock.now())).unwrap_or_default();
        if left.is_zero() {
            stop.send_replace(true);
            return;
        }
        // never longer than a keep-alive, so that a machine that slept finds out soon after it wakes
        sleep(left.min(KEEP_ALIVE)).await;
        if left > KEEP_ALIVE {
            renew().await;
        }
    }
}

const FIRST_TIE: Duration = Duration::from_secs(1);
const NEXT_TIE: Duration = Duration::from_millis(200);
/// Three attempts are within what the broker waits.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);
const LAST_PATIENCE: Duration = Duration::from_secs(30);
const LAST_TIE: Duration = Duration::from_secs(5);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(240);

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// The broker ends a login that is silent for ten minutes. Nobody types anything for an hour here,
    /// and every second renewal fails after a minute.
    #[tokio::test]
    async fn an_idle_session_shows_in_time_that_its_login_lives() {
        let second = Arc::new(AtomicU64::new(0));
        let pass = |by: u64| second.fetch_add(by, Ordering::SeqCst) + by;
        let clock = Arc::clone(&second);
        let at = move |second: u64| Timestamp::from_second(i64::try_from(second).unwrap_or_default());
        let clock = Clock::from_fn(move || at(clock.load(Ordering::SeqCst)).unwrap_or_default());
        let (tries, renewed) = (AtomicU64::new(0), Mutex::new(vec![0]));
        let renew = || {
            if tries.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                pass(60);
            } else {
                renewed.lock().unwrap_or_else(PoisonError::into_inner).push(pass(0));
            }
            ready(())
        };
        let sleep = |time: Duration| {
            pass(time.as_secs());
            ready(())
        };
        let (stop, stopped) = watch::channel(false);
        keep(clock, at(3600).unwrap_or_default(), stop, sleep, renew).await;
        assert!(*stopped.borrow());
        assert_eq!(pass(0), 3600);
        let renewed = renewed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let gaps = renewed.iter().zip(renewed.iter().skip(1)).map(|(from, to)| to - from);
        let longest = gaps.max();
        assert!(renewed.len() > 5 && longest < Some(600), "{renewed:?}");
    }
}
