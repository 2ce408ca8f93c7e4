//! `hoopctl connect TARGET`, and what `exec` shares with it.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::sync::watch;

use crate::cli::args::{Ask, Connect};
use crate::cli::commands::request::ask::Way;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::cli::failure::{Failure, FailureKind};
use crate::client::api::{Api, ApiError};
use crate::client::http::Door;
use crate::client::launch::{Endpoint, Launch, Signals};
use crate::client::link::LinkError;
use crate::client::loopback::locallog::LocalLog;
use crate::client::loopback::peer::Process;
use crate::client::loopback::{Admit, Listener, Place, Service};
use crate::client::protocol::{Desk, Protocol};
use crate::client::session::LiveSession;
use crate::client::ssh::SessionKey;
use crate::client::tunnel::Ahead;
use crate::wire::control::ProblemCode;

/// What to run with a session.
#[derive(Debug)]
pub enum Run {
    /// The native client, with these arguments after its own.
    Native(Vec<OsString>),
    /// Any program.
    Program(OsString, Vec<OsString>),
}

/// A session, opened for a program that is about to start.
struct Opened<A> {
    session: LiveSession,
    protocol: Protocol,
    secret: SecretString,
    key: SessionKey,
    /// What was done meanwhile.
    meanwhile: A,
}

/// Starts the native client, or waits for clients of the user's own.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, args: Connect) -> Result<u8, Failure> {
    match args.listen {
        Some(address) => listen(context, (&args.target, &args.ask), address).await,
        None => run_child(context, (&args.target, &args.ask), None, Run::Native(args.args)).await,
    }
}

/// Opens a session, runs a program with it, closes it; the exit code is the program's.
///
/// # Errors
/// [`Failure`], of ours only.
pub async fn run_child(
    context: &Context,
    (target, ask): (&str, &Ask),
    listen: Option<SocketAddr>,
    run: Run,
) -> Result<u8, Failure> {
    let mut signals = Signals::watch()?;
    let opened = open(context, (target, ask), &mut signals, Ahead::dial).await?;
    let Opened { session, protocol, secret, key, meanwhile: ahead } = opened;
    let given = (protocol, &secret, &key);
    let outcome = with_child(context, (target, &session), given, ahead, listen, run, &mut signals).await;
    close(context, session).await;
    outcome
}

async fn with_child(
    context: &Context,
    (target, session): (&str, &LiveSession),
    (protocol, secret, key): (Protocol, &SecretString, &SessionKey),
    ahead: Ahead,
    listen: Option<SocketAddr>,
    run: Run,
    signals: &mut Signals,
) -> Result<u8, Failure> {
    let place = Place::new(&context.client)?;
    let (listener, endpoint) = listener(&place, protocol, listen).await?;
    let own = own()?;
    let now = context.client.clock.now();
    let desk = Desk { session, target, endpoint, place: &place, secret, key, own: &own, now };
    let form = protocol.fill(&desk)?;
    let (program, args) = match run {
        Run::Native(words) => protocol.command(&form, target, words).ok_or_else(|| {
            Failure::new(FailureKind::Usage, format!("`{target}` speaks HTTP: say what to run"))
                .hint(format!("`hoopctl connect {target} -- curl /some/path`"))
        })?,
        Run::Program(program, args) => (program, args),
    };
    let inherited = std::env::vars_os().collect();
    let launch = Launch { program, args, inherited, hides: form.hides, added: form.variables };
    let (known, child) = watch::channel(None);
    let admit = Admit::Descendants(child);
    let mut served = Vec::new();
    if matches!(endpoint, Endpoint::Tcp(_)) && protocol.keeps_socket() {
        let socket = Listener::unix(&place, protocol.socket())?;
        served.push(serve(context, (session, protocol), form.door.clone(), admit.clone(), (socket, None))?);
    }
    served.push(serve(context, (session, protocol), form.door, admit, (listener, Some(ahead)))?);
    let started = |pid| {
        known.send_replace(Process::observe(pid));
    };
    let code = launch.run(signals, started).await;
    served.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(code?)
}

async fn listen(context: &Context, (target, ask): (&str, &Ask), address: SocketAddr) -> Result<u8, Failure> {
    let ui = context.ui;
    let mut signals = Signals::watch()?;
    let place = Place::new(&context.client)?;
    // a taken port is found before a session is opened for it
    let (listener, endpoint) = listener(&place, Protocol::Postgres, Some(address)).await?;
    // nobody knows when the first connection comes
    let Opened { session, protocol, secret, key, meanwhile: () } =
        open(context, (target, ask), &mut signals, |_| ()).await?;
    let own = own()?;
    let now = context.client.clock.now();
    let desk = Desk {
        session: &session,
        target,
        endpoint,
        place: &place,
        secret: &secret,
        key: &key,
        own: &own,
        now,
    };
    let Some(url) = protocol.url(&desk) else {
        let failure = no_port(&session);
        close(context, session).await;
        return Err(failure);
    };
    let until = session.expires.round(jiff::Unit::Second).unwrap_or(session.expires);
    if ui.json {
        ui.object(&json!({ "session": session.id, "url": url.expose_secret(), "expires": session.expires }));
    } else {
        ui.line(url.expose_secret());
    }
    ui.talk(&format!("any program of yours may use it until {until}, or until you press Ctrl-C"));
    let mut stopped = session.stopped();
    let door = protocol.door(&desk)?;
    let served = serve(context, (&session, protocol), door, Admit::SameUser, (listener, None))?;
    let code = tokio::select! {
        signal = signals.ended() => match signal {
            // Ctrl-C is how this is meant to end
            2 => 0,
            other => exit::SIGNAL.saturating_add(other),
        },
        _ = stopped.wait_for(|stopped| *stopped) => exit::REVOKED,
    };
    if code == exit::REVOKED {
        match session.grant().await {
            Some(grant) => ui.talk(&format!("the session has ended with its grant {grant}")),
            None => ui.talk("the session has reached its expiry"),
        }
    }
    close(context, session).await;
    // lets connections that still hold on hear the gateway's goodbye
    drop(served.await);
    Ok(code)
}

/// Opens a session, after an approval where one is needed, and does meanwhile what can be done without
/// one.
async fn open<A>(
    context: &Context,
    (target, ask): (&str, &Ask),
    signals: &mut Signals,
    meanwhile: impl FnOnce(&Arc<Api>) -> A,
) -> Result<Opened<A>, Failure> {
    // what the target speaks is known when the session is there, and a key costs next to nothing
    let key = SessionKey::fresh();
    let opening = async {
        let api = context.api().await?;
        Ok((meanwhile(&api), api))
    };
    let (meanwhile, api) = until_signal(signals, opening).await?;
    let (session, secret) = open_session(context, (target, ask), &api, key.public(), signals).await?;
    match Protocol::named(&session.protocol) {
        Some(protocol) => Ok(Opened { session, protocol, secret, key, meanwhile }),
        None => {
            let message = format!("this client does not speak `{}`", session.protocol);
            close(context, session).await;
            Err(Failure::new(FailureKind::Configuration, message).hint("a newer hoopctl may"))
        }
    }
}

/// Opens a session of this key, after an approval where one is needed.
///
/// # Errors
/// [`Failure`].
pub async fn open_session(
    context: &Context,
    (target, ask): (&str, &Ask),
    api: &Arc<Api>,
    key: Option<String>,
    signals: &mut Signals,
) -> Result<(LiveSession, SecretString), Failure> {
    let first = LiveSession::open(api, target, key.clone());
    match until_signal(signals, async { Ok(first.await) }).await? {
        Err(ApiError::Link(LinkError::Problem(problem))) if problem.code == ProblemCode::ReviewNeeded => {
            Way { ask, problem: &problem, target }.take(context, api, signals).await?;
            until_signal(signals, async { Ok(LiveSession::open(api, target, key).await?) }).await
        }
        other => Ok(other?),
    }
}

async fn until_signal<T>(
    signals: &mut Signals,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        signal = signals.ended() => Err(Failure::new(FailureKind::Signal(signal), "interrupted")),
    }
}

fn no_port(session: &LiveSession) -> Failure {
    let message = format!("`--listen` is not for targets that speak `{}`", session.protocol);
    Failure::new(FailureKind::Usage, message)
        .hint("`hoopctl ssh-config` lets any program of yours use `ssh`, without a port, and `hoopctl exec --listen` gives a port to one program")
}

/// Closes a session; one that cannot be closed ends by itself.
pub async fn close(context: &Context, session: LiveSession) {
    if let Err(error) = session.close().await {
        context.ui.warning(&format!("the session could not be closed and ends by itself: {error}"));
    }
}

/// Where this program is, for programs that start it again.
///
/// # Errors
/// When the system does not say.
pub fn own() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| {
        Failure::new(FailureKind::Configuration, format!("this program cannot find itself: {error}"))
    })
}

async fn listener(
    place: &Place,
    protocol: Protocol,
    address: Option<SocketAddr>,
) -> Result<(Listener, Endpoint), Failure> {
    let any_port = protocol.needs_port().then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let Some(address) = address.or(any_port) else {
        return Ok((Listener::unix(place, protocol.socket())?, Endpoint::Unix));
    };
    let listener = Listener::tcp(address).await?;
    let bound = match &listener {
        Listener::Tcp(_, bound) => *bound,
        Listener::Unix(_) => address,
    };
    Ok((listener, Endpoint::Tcp(bound)))
}

fn serve(
    context: &Context,
    (session, protocol): (&LiveSession, Protocol),
    door: Option<Arc<Door>>,
    admit: Admit,
    (listener, ahead): (Listener, Option<Ahead>),
) -> Result<tokio::task::JoinHandle<()>, Failure> {
    let log = Arc::new(LocalLog::new(context.client.home.logs()?, context.client.clock.clone()));
    let (opener, frame) = (session.opener(ahead), protocol.frame());
    let service = Service { admit, opener, log, session: session.id.to_string(), frame, door };
    Ok(tokio::spawn(service.run(listener, session.stopped())))
}
