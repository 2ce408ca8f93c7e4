//! `hoopctl exec TARGET… -- CMD…`, and what `connect` shares with it: a program with sessions.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::opening::{Wanted, close, open, own, until_signal};
use crate::cli::args::{Ask, Exec};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::client::api::Api;
use crate::client::environment::{Environment, Part};
use crate::client::guard::Guard;
use crate::client::http::{Beside, Door};
use crate::client::launch::{Child, Endpoint, Launch};
use crate::client::loopback::locallog::LocalLog;
use crate::client::loopback::peer::Process;
use crate::client::loopback::{Admit, Listener, LoopbackError, Opener, Place, Service};
use crate::client::protocol::{Desk, Form, Protocol};
use crate::client::session::LiveSession;
use crate::client::signals::Signals;
use crate::client::ssh::SessionKey;
use crate::client::tunnel::Ahead;

/// What to run with sessions.
#[derive(Debug)]
pub enum Run {
    /// The native client of the one target, with these arguments after its own.
    Native(Vec<OsString>),
    /// Any program.
    Program(OsString, Vec<OsString>),
}

/// What the program is to have.
#[derive(Debug)]
pub struct Order<'a> {
    /// Sessions on these targets.
    pub targets: &'a [String],
    /// What to do where approval is needed.
    pub ask: &'a Ask,
    /// Where to listen, if not on sockets.
    pub listen: Option<SocketAddr>,
    /// Whether sockets and ports are the same each time.
    pub sticky: bool,
}

/// Runs any command with the environment of its targets.
///
/// # Errors
/// [`Failure`], of ours only.
pub async fn run(context: &Context, args: Exec) -> Result<u8, Failure> {
    let mut words = args.command.into_iter();
    let Some(program) = words.next() else {
        return Err(Failure::new(FailureKind::Usage, "there is no command to run"));
    };
    let mut seen = BTreeSet::new();
    if let Some(twice) = args.targets.iter().find(|target| !seen.insert(*target)) {
        return Err(Failure::new(FailureKind::Usage, format!("`{twice}` is named twice"))
            .hint("one session carries as many connections as the command opens"));
    }
    if args.targets.len() > 1 && args.listen.is_some_and(|address| address.port() != 0) {
        return Err(Failure::new(FailureKind::Usage, "several targets cannot listen on one port")
            .hint("with port 0 each of them gets one that is free"));
    }
    let order = Order { targets: &args.targets, ask: &args.ask, listen: args.listen, sticky: args.sticky };
    run_child(context, &order, Run::Program(program, words.collect())).await
}

/// Opens the sessions, runs a program with them, closes them; the exit code is the program's.
///
/// # Errors
/// [`Failure`], of ours only.
pub async fn run_child(context: &Context, order: &Order<'_>, run: Run) -> Result<u8, Failure> {
    let mut signals = Signals::watch()?;
    // what the targets speak is known when the sessions are there, and a key costs next to nothing
    let keys: Vec<SessionKey> = order.targets.iter().map(|_| SessionKey::fresh()).collect();
    let wanted = order.targets.iter().zip(&keys);
    let wanted = wanted.map(|(target, key)| Wanted { target, key: key.public(), lasts: false }).collect();
    let api = until_signal(&mut signals, context.api()).await?;
    let aheads: Vec<Ahead> = order.targets.iter().map(|_| Ahead::dial(&api)).collect();
    // while the broker works
    let stage = async { Stage::set(context, &api, order) };
    let (opened, stage) = tokio::join!(open(context, &api, wanted, order.ask, &mut signals), stage);
    let cast = opened?.into_iter().zip(keys).zip(order.targets);
    let cast: Vec<Player<'_>> =
        cast.map(|(((session, secret), key), target)| Player { target, session, secret, key }).collect();
    let outcome = match stage {
        Ok(stage) => stage.play(context, order.listen, &cast, aheads, run, &mut signals).await,
        Err(failure) => Err(failure),
    };
    close(context, cast.into_iter().map(|player| player.session)).await;
    outcome
}

/// A session for a program that is about to start.
pub struct Player<'a> {
    /// The target, as the user called it.
    pub target: &'a str,
    /// The session.
    pub session: LiveSession,
    /// Its secret.
    pub secret: SecretString,
    /// The key that was made for it.
    pub key: SessionKey,
}

impl Player<'_> {
    /// What its target speaks.
    ///
    /// # Errors
    /// When this client does not.
    pub fn protocol(&self) -> Result<Protocol, Failure> {
        Protocol::named(&self.session.protocol).ok_or_else(|| {
            let message = format!("this client does not speak `{}`", self.session.protocol);
            Failure::new(FailureKind::Configuration, message).hint("a newer hoopctl may")
        })
    }

    /// What is at hand when its form is filled in.
    #[must_use]
    pub fn desk<'a>(
        &'a self,
        place: &'a Place,
        endpoint: Endpoint,
        own: &'a Path,
        now: Timestamp,
    ) -> Desk<'a> {
        let Self { target, session, secret, key } = self;
        Desk { session, target, endpoint, place, secret, key, own, now }
    }
}

/// The places of a command's sessions.
pub struct Stage {
    places: Vec<Place>,
    guard: Option<Guard>,
}

impl Stage {
    /// Makes them.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn set(context: &Context, api: &Api, order: &Order<'_>) -> Result<Self, Failure> {
        let place = |target: &String| -> Result<Place, Failure> {
            if !order.sticky {
                return Ok(Place::new(&context.client)?);
            }
            if !context.stays() {
                return Err(Failure::new(
                    FailureKind::Configuration,
                    "nothing stays here that could be sticky",
                )
                .hint("set HOOPCTL_HOME to a directory that stays"));
            }
            let broker = context.client.home.broker(api.link().url())?;
            Ok(Place::sticky(&context.client, &broker, target)?)
        };
        let places = order.targets.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let litter = places.iter().map(Place::litter).chain(context.scratch());
        let guard = Guard::over(&litter.map(PathBuf::from).collect::<Vec<_>>());
        Ok(Self { places, guard })
    }

    /// The place of the only target.
    ///
    /// # Errors
    /// When there is none.
    pub fn place(&self) -> Result<&Place, Failure> {
        self.places.first().ok_or_else(|| Failure::new(FailureKind::Internal, "there is no place"))
    }

    async fn play(
        mut self,
        context: &Context,
        listen: Option<SocketAddr>,
        cast: &[Player<'_>],
        aheads: Vec<Ahead>,
        run: Run,
        signals: &mut Signals,
    ) -> Result<u8, Failure> {
        let (own, now) = (own()?, context.client.clock.now());
        let (mut scenes, mut listeners) = (Vec::new(), Vec::new());
        for (player, place) in cast.iter().zip(&self.places) {
            let protocol = player.protocol()?;
            let (listener, endpoint) = listener(place, protocol, player.target, listen).await?;
            let form = protocol.fill(&player.desk(place, endpoint, &own, now))?;
            scenes.push(Scene { player, place, protocol, endpoint, form });
            listeners.push(listener);
        }
        let parts: Vec<Part<'_>> = scenes
            .iter()
            .map(|scene| Part { target: scene.player.target, place: scene.place, form: &scene.form })
            .collect();
        let environment = Environment::join(&parts)?;
        let (program, args) = match (run, scenes.as_slice()) {
            (Run::Program(program, args), _) => (program, args),
            (Run::Native(words), [scene, ..]) => scene.native(words)?,
            (Run::Native(_), []) => return Err(Failure::new(FailureKind::Internal, "there is no target")),
        };
        // it is good anywhere and for long, and hoopctl has read it
        let inherited = std::env::vars_os().filter(|(name, _)| name != "HOOPCTL_CLIENT_SECRET").collect();
        let Environment { variables: added, hides } = environment;
        let launch = Launch { program, args, inherited, hides, added };
        let (known, child) = watch::channel(None);
        let admit = Admit::Descendants(child);
        stand_beside(&scenes);
        let mut served = Vec::new();
        for ((scene, listener), ahead) in scenes.iter().zip(listeners).zip(aheads) {
            served.extend(scene.serve(context, &admit, listener, Some(ahead))?);
        }
        let mut guard = self.guard.take();
        let started = |child: Child| {
            known.send_replace(Process::observe(child.pid));
            if let Some(guard) = &mut guard {
                guard.knows(child);
            }
        };
        let code = launch.run(signals, started).await;
        if let Some(guard) = &mut guard {
            guard.forgets();
        }
        served.iter().for_each(JoinHandle::abort);
        Ok(code?)
    }
}

/// One session on the stage.
pub struct Scene<'a> {
    /// The session.
    pub player: &'a Player<'a>,
    /// Its private directory.
    pub place: &'a Place,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What a program must know to use it.
    pub form: Form,
}

impl Scene<'_> {
    fn native(&self, words: Vec<OsString>) -> Result<(OsString, Vec<OsString>), Failure> {
        let target = self.player.target;
        self.protocol.command(&self.form, target, words).ok_or_else(|| {
            let (speaks, example) = match self.protocol {
                Protocol::Aws => ("AWS", "aws s3 ls"),
                _ => ("HTTP", "curl /some/path"),
            };
            Failure::new(FailureKind::Usage, format!("`{target}` speaks {speaks}: say what to run"))
                .hint(format!("`hoopctl connect {target} -- {example}`"))
        })
    }

    /// Serves it; also on its socket, where it keeps that beside a port.
    ///
    /// # Errors
    /// When the socket or the local log cannot be made.
    pub fn serve(
        &self,
        context: &Context,
        admit: &Admit,
        listener: Listener,
        ahead: Option<Ahead>,
    ) -> Result<Vec<JoinHandle<()>>, Failure> {
        let mut listeners = vec![(listener, ahead)];
        let keeps = self.protocol.keeps_socket() || self.place.is_sticky();
        if matches!(self.endpoint, Endpoint::Tcp(_)) && keeps {
            listeners.push((Listener::unix(self.place, self.protocol.socket())?, None));
        }
        let session = &self.player.session;
        let serve = |(listener, ahead)| {
            let service = Service {
                admit: admit.clone(),
                opener: session.opener(ahead),
                log: Arc::new(LocalLog::new(context.client.home.logs()?, context.client.clock.clone())),
                session: session.id.to_string(),
                frame: self.protocol.frame(),
                door: self.form.door.clone(),
            };
            Ok(tokio::spawn(service.run(listener, session.stopped())))
        };
        listeners.into_iter().map(serve).collect()
    }
}

/// Whoever asks the first API's proxy for another API gets there: programs know one proxy.
fn stand_beside(scenes: &[Scene<'_>]) {
    let door = |scene: &Scene<'_>| -> Option<(Arc<Door>, Arc<dyn Opener>)> {
        Some((scene.form.door.clone()?, scene.player.session.opener(None)))
    };
    let mut doors = scenes.iter().filter_map(door);
    let Some((first, _)) = doors.next() else { return };
    let beside = doors.map(|(door, opener)| Beside { door, opener }).collect();
    // nobody has looked yet
    drop(first.beside.set(beside));
}

/// Listens where the command line says, or else where the protocol's clients look.
///
/// # Errors
/// When the address cannot be had.
pub async fn listener(
    place: &Place,
    protocol: Protocol,
    target: &str,
    address: Option<SocketAddr>,
) -> Result<(Listener, Endpoint), Failure> {
    let any_port = protocol.needs_port().then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let Some(mut address) = address.or(any_port) else {
        return Ok((Listener::unix(place, protocol.socket())?, Endpoint::Unix));
    };
    let by_memory = place.port().filter(|_| address.port() == 0);
    if let Some(port) = by_memory {
        address.set_port(port);
    }
    let listener = match (Listener::tcp(address).await, by_memory) {
        (Err(LoopbackError::Listen { cause, .. }), Some(port)) if cause.kind() == ErrorKind::AddrInUse => {
            return Err(LoopbackError::PortTaken { port, target: target.to_owned() }.into());
        }
        (other, _) => other?,
    };
    let bound = match &listener {
        Listener::Tcp(_, bound) => *bound,
        Listener::Unix(_) => address,
    };
    place.remember(bound.port())?;
    Ok((listener, Endpoint::Tcp(bound)))
}
