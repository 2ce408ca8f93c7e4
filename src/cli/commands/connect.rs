//! `hoopctl connect TARGET`.

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::exec::{Order, Player, Run, Scene, Stage, listener, run_child};
use super::opening::{Wanted, close, open, own, until_signal};
use crate::cli::args::Connect;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::cli::failure::{Failure, FailureKind};
use crate::client::environment::{Environment, Part};
use crate::client::loopback::Admit;
use crate::client::protocol::Protocol;
use crate::client::session::LiveSession;
use crate::client::signals::Signals;
use crate::client::ssh::SessionKey;

/// Starts the native client, or waits for clients of the user's own.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, args: Connect) -> Result<u8, Failure> {
    let targets = [args.target];
    let order = Order { targets: &targets, ask: &args.ask, listen: args.listen, sticky: args.sticky };
    match args.listen {
        Some(_) => listen(context, &order).await,
        None => run_child(context, &order, Run::Native(args.args)).await,
    }
}

async fn listen(context: &Context, order: &Order<'_>) -> Result<u8, Failure> {
    let mut signals = Signals::watch()?;
    let [target] = order.targets else {
        return Err(Failure::new(FailureKind::Internal, "there is not one target"));
    };
    let api = until_signal(&mut signals, context.api()).await?;
    let stage = Stage::set(context, &api, order)?;
    let place = stage.place()?;
    // a taken port is found before a session is opened for it
    let (listener, endpoint) = listener(place, Protocol::Postgres, target, order.listen).await?;
    let key = SessionKey::fresh();
    let wanted = vec![Wanted { target, key: key.public(), lasts: false }];
    let opened = open(context, &api, wanted, order.ask, &mut signals).await?;
    let Some((session, secret)) = opened.into_iter().next() else {
        return Err(Failure::new(FailureKind::Internal, "there is no session"));
    };
    let player = Player { target, session, secret, key };
    let mut served = Vec::new();
    let outcome = async {
        let (own, now) = (own()?, context.client.clock.now());
        let protocol = player.protocol()?;
        let desk = player.desk(place, endpoint, &own, now);
        let url = protocol.url(&desk).ok_or_else(|| no_port(&player.session))?;
        let form = protocol.fill(&desk)?;
        // what is set up once finds its password in a file
        if place.is_sticky() {
            Environment::join(&[Part { target, place, form: &form }])?;
        }
        let scene = Scene { player: &player, place, protocol, endpoint, form };
        // nobody knows when the first connection comes
        served = scene.serve(context, &Admit::SameUser, listener, None)?;
        let (session, ui) = (&player.session, context.ui);
        let until = session.expires.round(jiff::Unit::Second).unwrap_or(session.expires);
        if ui.json {
            ui.object(
                &json!({ "session": session.id, "url": url.expose_secret(), "expires": session.expires }),
            );
        } else {
            ui.line(url.expose_secret());
        }
        ui.talk(&format!("any program of yours may use it until {until}, or until you press Ctrl-C"));
        Ok(ended(context, session, &mut signals).await)
    };
    let outcome = outcome.await;
    close(context, [player.session]).await;
    for served in served {
        // lets connections that still hold on hear the gateway's goodbye
        drop(served.await);
    }
    outcome
}

/// Waits for the end, of whatever kind; the exit code.
async fn ended(context: &Context, session: &LiveSession, signals: &mut Signals) -> u8 {
    let mut stopped = session.stopped();
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
            Some(grant) => context.ui.talk(&format!("the session has ended with its grant {grant}")),
            None => context.ui.talk("the session has reached its expiry"),
        }
    }
    code
}

fn no_port(session: &LiveSession) -> Failure {
    let message = format!("`--listen` is not for targets that speak `{}`", session.protocol);
    if session.protocol == "aws" {
        return Failure::new(FailureKind::Usage, message)
            .hint("`hoopctl aws-profile` lets any program of yours use it by a profile");
    }
    Failure::new(FailureKind::Usage, message)
        .hint("`hoopctl ssh-config` lets any program of yours use `ssh`, without a port, and `hoopctl exec --listen` gives a port to one program")
}
