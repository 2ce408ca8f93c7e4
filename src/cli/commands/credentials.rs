//! `hoopctl credentials TARGET`: what `credential_process` of SDKs runs.
//!
//! Nothing but the credentials is said on standard output, and nothing is ever asked.

use secrecy::ExposeSecret as _;

use super::opening::{Wanted, close, open};
use crate::cli::args::Ask;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::client::session::LiveSession;
use crate::client::signals::Signals;

/// Prints credentials.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, target: &str) -> Result<u8, Failure> {
    let mut signals = Signals::watch()?;
    let api = context.api().await?;
    let wanted = vec![Wanted { target, key: None, lasts: true }];
    let opened = open(context, &api, wanted, &Ask::nothing(), &mut signals).await?;
    let Some((session, _secret)) = opened.into_iter().next() else {
        return Err(Failure::new(FailureKind::Internal, "no session was opened"));
    };
    let silence = session.aws.as_ref().and_then(|aws| aws.silence);
    if silence.is_some()
        && let Err(error) = api.keep_alive().await
    {
        // how long the login is silent already is not known here
        close(context, [session]).await;
        return Err(error.into());
    }
    let given = match &session.teller {
        Some(teller) => teller.give().await.map_err(Failure::from),
        None => Err(none(&session, target)),
    };
    // INVARIANT: nobody is told that they last longer than the session does, where its end takes them back
    let stays_open = silence.is_some() && given.is_ok();
    if !stays_open {
        close(context, [session]).await;
    }
    let heard = silence.map(|seconds| seconds.saturating_sub(UNHEARD));
    let text = given?.process(context.client.clock.now(), heard);
    context.ui.raw(format!("{}\n", text.expose_secret()).as_bytes());
    Ok(0)
}

fn none(session: &LiveSession, target: &str) -> Failure {
    if session.protocol != "aws" {
        let message = format!("`{target}` speaks `{}`, and has no credentials of AWS", session.protocol);
        return Failure::new(FailureKind::Usage, message).hint(format!("type `hoopctl connect {target}`"));
    }
    let message = format!("`{target}` hands out no credentials: its calls go through the gateway");
    Failure::new(FailureKind::Usage, message).hint(format!("type `hoopctl exec {target} -- CMD`"))
}

/// For how many seconds a login that was refreshed when it was due may have been silent.
const UNHEARD: u64 = 200;
