//! `hoopctl connect TARGET`, and what `exec` shares with it.

use std::ffi::OsString;
use std::net::SocketAddr;
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
use crate::client::launch::{Endpoint, Launch, PostgresLogin, Signals};
use crate::client::link::LinkError;
use crate::client::loopback::locallog::LocalLog;
use crate::client::loopback::peer::Process;
use crate::client::loopback::{Admit, Listener, Place, Service};
use crate::client::session::LiveSession;
use crate::client::tunnel::Ahead;
use crate::wire::control::ProblemCode;

/// Starts the native client, or waits for clients of the user's own.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, args: Connect) -> Result<u8, Failure> {
    match args.listen {
        Some(address) => listen(context, (&args.target, &args.ask), address).await,
        None => run_child(context, (&args.target, &args.ask), None, "psql".into(), args.args).await,
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
    program: OsString,
    args: Vec<OsString>,
) -> Result<u8, Failure> {
    let mut signals = Signals::watch()?;
    let (session, secret, ahead) = open(context, (target, ask), &mut signals, Ahead::dial).await?;
    let outcome =
        with_child(context, &session, (&secret, ahead), listen, (program, args), &mut signals).await;
    close(context, session).await;
    outcome
}

async fn with_child(
    context: &Context,
    session: &LiveSession,
    (secret, ahead): (&SecretString, Ahead),
    listen: Option<SocketAddr>,
    (program, args): (OsString, Vec<OsString>),
    signals: &mut Signals,
) -> Result<u8, Failure> {
    let place = Place::new(&context.client)?;
    let (listener, endpoint) = listener(&place, listen).await?;
    let login = login(session, &place, secret, endpoint);
    let launch =
        Launch { program, args, inherited: std::env::vars_os().collect(), added: login.environment()? };
    let (known, child) = watch::channel(None);
    let served = serve(context, session, Admit::Descendants(child), listener, Some(ahead))?;
    let started = |pid| {
        known.send_replace(Process::observe(pid));
    };
    let code = launch.run(signals, started).await;
    served.abort();
    Ok(code?)
}

async fn listen(context: &Context, (target, ask): (&str, &Ask), address: SocketAddr) -> Result<u8, Failure> {
    let ui = context.ui;
    let mut signals = Signals::watch()?;
    let place = Place::new(&context.client)?;
    // a taken port is found before a session is opened for it
    let (listener, endpoint) = listener(&place, Some(address)).await?;
    // nobody knows when the first connection comes
    let (session, secret, ()) = open(context, (target, ask), &mut signals, |_| ()).await?;
    let url = login(&session, &place, &secret, endpoint).url();
    let until = session.expires.round(jiff::Unit::Second).unwrap_or(session.expires);
    if ui.json {
        ui.object(&json!({ "session": session.id, "url": url.expose_secret(), "expires": session.expires }));
    } else {
        ui.line(url.expose_secret());
    }
    ui.talk(&format!("any program of yours may use it until {until}, or until you press Ctrl-C"));
    let mut stopped = session.stopped();
    let served = serve(context, &session, Admit::SameUser, listener, None)?;
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
) -> Result<(LiveSession, SecretString, A), Failure> {
    let interrupted = |signal| Failure::new(FailureKind::Signal(signal), "interrupted");
    let opening = async {
        let api = context.api().await?;
        let ahead = meanwhile(&api);
        Ok::<_, Failure>((LiveSession::open(&api, target, None).await, api, ahead))
    };
    let (first, api, ahead) = tokio::select! {
        opened = opening => opened?,
        signal = signals.ended() => return Err(interrupted(signal)),
    };
    let (session, secret) = match first {
        Err(ApiError::Link(LinkError::Problem(problem))) if problem.code == ProblemCode::ReviewNeeded => {
            Way { ask, problem: &problem, target }.take(context, &api, signals).await?;
            tokio::select! {
                opened = LiveSession::open(&api, target, None) => opened?,
                signal = signals.ended() => return Err(interrupted(signal)),
            }
        }
        other => other?,
    };
    if session.protocol == "postgres" {
        return Ok((session, secret, ahead));
    }
    let message = format!("this client does not speak `{}`", session.protocol);
    close(context, session).await;
    Err(Failure::new(FailureKind::Configuration, message).hint("a newer hoopctl may"))
}

async fn close(context: &Context, session: LiveSession) {
    if let Err(error) = session.close().await {
        context.ui.warning(&format!("the session could not be closed and ends by itself: {error}"));
    }
}

async fn listener(place: &Place, address: Option<SocketAddr>) -> Result<(Listener, Endpoint), Failure> {
    let Some(address) = address else { return Ok((Listener::unix(place)?, Endpoint::Unix)) };
    let listener = Listener::tcp(address).await?;
    let bound = match &listener {
        Listener::Tcp(_, bound) => *bound,
        Listener::Unix(_) => address,
    };
    Ok((listener, Endpoint::Tcp(bound)))
}

fn login<'a>(
    session: &'a LiveSession,
    place: &'a Place,
    secret: &'a SecretString,
    endpoint: Endpoint,
) -> PostgresLogin<'a> {
    PostgresLogin { endpoint, place, user: &session.user, database: &session.database, secret }
}

fn serve(
    context: &Context,
    session: &LiveSession,
    admit: Admit,
    listener: Listener,
    ahead: Option<Ahead>,
) -> Result<tokio::task::JoinHandle<()>, Failure> {
    let log = Arc::new(LocalLog::new(context.client.home.logs()?, context.client.clock.clone()));
    let service = Service { admit, opener: session.opener(ahead), log, session: session.id.to_string() };
    Ok(tokio::spawn(service.run(listener, session.stopped())))
}
