//! Connections to the host.
//!
//! Job: TCP, the host's proof of who it is, and the login with the session's lease. Boundary: takes a
//! [`Permit`] by value, one for each connection. Failure mode: a [`DialError`]; there is no second try that
//! trusts more.
//!
//! Each channel of a client gets a connection of its own, because russh lets one channel that is not read
//! hold up all others of a connection. One that is done with is used again.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::{Algorithm, Certificate, Fingerprint, HashAlg, PublicKey};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, Preferred};

use secrecy::ExposeSecret as _;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

use super::allowed::Allowed;
use super::destination;
use crate::domain::facts::{ForwardFacts, ForwardKind};
use crate::domain::name::TargetName;
use crate::domain::policy::Permit;
use crate::domain::target::SshTarget;
use crate::gateway::authority::{Authority, Credential, LeaseError, SessionContext};
use crate::gateway::clock::Clock;
use crate::gateway::dial::keep_alive;
use crate::gateway::judge::Turnstile;

/// Why a host could not be reached.
#[derive(Debug, Error)]
pub(super) enum DialError {
    /// The host is not the one that the configuration names.
    #[error("the host cannot be trusted: {0}")]
    Host(String),
    /// No credential.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The host refused the credential.
    #[error("the host refused the login `{0}`")]
    Login(String),
    /// There is no permit for another connection any more.
    #[error("policy no longer allows a connection")]
    Permit,
    /// It took too long.
    #[error("the host did not answer within {} seconds", PATIENCE.as_secs())]
    Slow,
    /// The protocol failed.
    #[error("the host speaks no SSH that fits: {0}")]
    Ssh(#[from] russh::Error),
    /// No answer, or none that helps.
    #[error("the host cannot be reached: {0}")]
    Unreachable(#[from] io::Error),
}

/// How long a connect and login may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many logins may be under way at once: sshd drops some beyond ten (`MaxStartups`).
const AT_ONCE: usize = 4;
/// How many connections that are done with are kept.
const IDLE: usize = 2;
/// How many channels that the host opens may wait.
const REVERSE: usize = 64;

/// A connection that is logged in.
pub(super) type Link = Handle<Back>;

/// All connections to the host of one connection of a client.
pub(super) struct Upstreams {
    context: Arc<SessionContext>,
    target: SshTarget,
    authority: Arc<dyn Authority>,
    clock: Clock,
    turnstile: Turnstile,
    first: Mutex<Option<Permit>>,
    idle: Mutex<Vec<Link>>,
    turn: Semaphore,
    /// The one that listens for the client, opened when it is first asked for.
    listening: tokio::sync::OnceCell<Link>,
    reverse: mpsc::Sender<Reverse>,
    /// What the host may open.
    pub(super) allowed: Arc<Allowed>,
}

/// A channel that the host opens towards the client.
pub(super) struct Reverse {
    pub(super) channel: Channel<client::Msg>,
    pub(super) kind: ReverseKind,
}

/// What for.
#[derive(Debug, Clone)]
pub(super) enum ReverseKind {
    /// The client's agent.
    Agent,
    /// A connection to a port that the host listens on: that address, then where it comes from.
    Forwarded { listened: (String, u32), from: (String, u32) },
    /// The client's display, and where the connection comes from.
    X11 { from: (String, u32) },
}

impl ReverseKind {
    /// What policy decides by; `None` for a port that is none.
    pub(super) fn facts(&self) -> Option<ForwardFacts> {
        let mere = |kind| Some(ForwardFacts { kind, host: String::new(), port: 0 });
        match self {
            Self::Agent => mere(ForwardKind::Agent),
            Self::Forwarded { listened: (address, port), .. } => destination::listened(address, *port),
            Self::X11 { .. } => mere(ForwardKind::X11),
        }
    }
}

impl Upstreams {
    /// Connections of this session; the channels that the host opens come out of the receiver.
    pub(super) fn new(
        context: Arc<SessionContext>,
        target: SshTarget,
        authority: Arc<dyn Authority>,
        clock: Clock,
        turnstile: Turnstile,
        permit: Permit,
    ) -> (Self, mpsc::Receiver<Reverse>) {
        let (reverse, reversed) = mpsc::channel(REVERSE);
        let upstreams = Self {
            context,
            target,
            authority,
            clock,
            turnstile,
            first: Mutex::new(Some(permit)),
            idle: Mutex::default(),
            turn: Semaphore::new(AT_ONCE),
            listening: tokio::sync::OnceCell::new(),
            reverse,
            allowed: Arc::default(),
        };
        (upstreams, reversed)
    }

    /// A connection for one channel.
    pub(super) async fn take(&self) -> Result<Link, DialError> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(link) if link.is_closed() => {}
                Some(link) => return Ok(link),
                None => break,
            }
        }
        // the semaphore is never closed
        let _turn = self.turn.acquire().await.map_err(|_| DialError::Permit)?;
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let permit = match first {
            Some(permit) => permit,
            None => self.turnstile.gate().another_connection().ok_or(DialError::Permit)?,
        };
        tokio::time::timeout(PATIENCE, self.dial(permit)).await.map_err(|_| DialError::Slow)?
    }

    /// Gives a connection back whose channel has closed.
    pub(super) fn give_back(&self, link: Link) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !link.is_closed() && idle.len() < IDLE {
            idle.push(link);
        }
    }

    /// The connection that listens for the client.
    pub(super) async fn listening(&self) -> Result<&Link, DialError> {
        self.listening.get_or_try_init(|| self.take()).await
    }

    async fn dial(&self, permit: Permit) -> Result<Link, DialError> {
        // INVARIANT: nobody dials without a permit, and a permit opens one connection
        if permit.target() != &self.context.target.name || permit.action() != "connect" {
            return Err(DialError::Permit);
        }
        let lease = self.authority.lease(&self.context).await?;
        let Credential::Ssh { key, certificate } = &lease.credential else {
            return Err(LeaseError::Upstream("the lease is not one of SSH".into()).into());
        };
        let unusable = |what: &str| LeaseError::Secret(format!("the {what} cannot be read"));
        let key = PrivateKey::from_openssh(key.expose_secret()).map_err(|_| unusable("private key"))?;
        let certificate = match certificate {
            Some(line) => Some(Certificate::from_openssh(line).map_err(|_| unusable("certificate"))?),
            None => None,
        };
        let socket = TcpStream::connect((self.target.host.as_str(), self.target.port)).await?;
        socket.set_nodelay(true)?;
        keep_alive(&socket)?;
        let refused = Arc::new(Mutex::new(None));
        let known = Known::new(&self.target, &self.context.target.name);
        let config = config(&known);
        let back = Back {
            known,
            now: self.clock.now().as_second(),
            refused: Arc::clone(&refused),
            reverse: self.reverse.clone(),
            allowed: Arc::clone(&self.allowed),
        };
        let connected = client::connect_stream(Arc::new(config), socket, back).await;
        let mut link = connected.map_err(|error| {
            let why = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
            why.map_or_else(|| DialError::Ssh(error), DialError::Host)
        })?;
        let (login, key) = (lease.user.clone(), Arc::new(key));
        let accepted = match certificate {
            Some(certificate) => link.authenticate_openssh_cert(&login, key, certificate).await?,
            None => {
                let hash = link.best_supported_rsa_hash().await?.flatten();
                link.authenticate_publickey(&login, PrivateKeyWithHashAlg::new(key, hash)).await?
            }
        };
        if accepted.success() { Ok(link) } else { Err(DialError::Login(login)) }
    }
}

fn config(known: &Known) -> client::Config {
    client::Config { preferred: known.preferred(), ..patient() }
}

/// How long a host may be silent.
pub(super) fn patient() -> client::Config {
    client::Config {
        keepalive_interval: Some(Duration::from_secs(30)),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    }
}

/// What a host may prove itself with.
struct Known {
    keys: Vec<PublicKey>,
    authorities: Vec<Fingerprint>,
    host: String,
}

impl Known {
    fn new(target: &SshTarget, name: &TargetName) -> Self {
        let parse = |line: &String| {
            let key = PublicKey::from_openssh(line);
            key.map_err(|error| tracing::error!(%name, %error, "a host key of the target cannot be read"))
                .ok()
        };
        Self {
            keys: target.host_keys.iter().filter_map(parse).collect(),
            authorities: target
                .host_authorities
                .iter()
                .filter_map(parse)
                .map(|key| key.fingerprint(HashAlg::Sha256))
                .collect(),
            host: target.host.clone(),
        }
    }

    /// What the host is asked to prove itself with: of its keys those that are known, else it would show
    /// another.
    fn preferred(&self) -> Preferred {
        let base = Preferred::DEFAULT;
        let is_known = |algorithm: &Algorithm| {
            self.keys.iter().any(|key| match (key.algorithm(), algorithm) {
                (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
                (known, algorithm) => known == *algorithm,
            })
        };
        let mut key: Vec<_> = base.key.iter().filter(|algorithm| is_known(algorithm)).cloned().collect();
        if key.is_empty() {
            key = base.key.to_vec();
        }
        let host_key_certificates = if self.authorities.is_empty() { Vec::new() } else { base.key.to_vec() };
        Preferred { key: key.into(), host_key_certificates: host_key_certificates.into(), ..base }
    }

    /// What is wrong with what the host shows.
    fn fault(&self, shown: &PublicKeyOrCertificate, now: i64) -> Option<String> {
        let certificate = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                let known = self.keys.iter().any(|known| known.key_data() == key.key_data());
                let print = key.fingerprint(HashAlg::Sha256);
                return (!known).then(|| format!("its key {print} is not one of the target's `host_keys`"));
            }
            PublicKeyOrCertificate::Certificate(certificate) => certificate,
        };
        let now = u64::try_from(now).unwrap_or_default();
        let principals = certificate.valid_principals();
        // PROTOCOL.certkeys of OpenSSH; a host certificate without principals would be for any host
        if certificate.validate_at(now, &self.authorities).is_err() {
            Some(
                "its certificate is out of date, or not signed by one of the target's `host_authorities`"
                    .into(),
            )
        } else if certificate.cert_type() != CertType::Host {
            Some("it shows a user certificate".into())
        } else if !principals.contains(&self.host) {
            Some(format!("its certificate is not for `{}`", self.host))
        } else if certificate.critical_options().iter().next().is_some() {
            Some("its certificate has critical options that nobody knows".into())
        } else {
            None
        }
    }
}

/// Channels that no host has business opening: dropping the handle refuses.
macro_rules! refused {
    ($($name:ident($($told:ty),*);)*) => {$(
        async fn $name(
            &mut self,
            _: Channel<client::Msg>,
            $(_: $told,)*
            _: client::ChannelOpenHandle,
            _: &mut client::Session,
        ) -> Result<(), Self::Error> {
            Ok(())
        }
    )*};
}

/// The gateway's side of a connection to the host.
pub(super) struct Back {
    known: Known,
    now: i64,
    refused: Arc<Mutex<Option<String>>>,
    reverse: mpsc::Sender<Reverse>,
    allowed: Arc<Allowed>,
}

impl Back {
    async fn reversed(
        &self,
        channel: Channel<client::Msg>,
        kind: ReverseKind,
        reply: client::ChannelOpenHandle,
    ) -> Result<(), russh::Error> {
        // dropping the handle refuses
        if self.allowed.lets(&kind) && self.reverse.try_send(Reverse { channel, kind }).is_ok() {
            reply.accept().await;
        }
        Ok(())
    }
}

impl client::Handler for Back {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let fault = self.known.fault(shown, self.now);
        let trusted = fault.is_none();
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        Ok(trusted)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<client::Msg>,
        connected_address: &str,
        connected_port: u32,
        originator_address: &str,
        originator_port: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        let listened = (connected_address.to_owned(), connected_port);
        let from = (originator_address.to_owned(), originator_port);
        self.reversed(channel, ReverseKind::Forwarded { listened, from }, reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<client::Msg>,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.reversed(channel, ReverseKind::Agent, reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        channel: Channel<client::Msg>,
        originator_address: &str,
        originator_port: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        let from = (originator_address.to_owned(), originator_port);
        self.reversed(channel, ReverseKind::X11 { from }, reply).await
    }

    // russh accepts these by default
    refused! {
        server_channel_open_direct_streamlocal(&str);
        server_channel_open_direct_tcpip(&str, u32, &str, u32);
        server_channel_open_forwarded_streamlocal(&str);
        server_channel_open_session();
    }
}
