//! Waiting for the answer to a request, and what it means.

use std::time::Duration;

use super::words::{denial, when};
use super::{id, result};
use crate::cli::args::RequestWait;
use crate::cli::context::{Context, set};
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::{Waiting, harmless};
use crate::client::api::Api;
use crate::client::approvals::answer;
use crate::client::notify::{Screen, notify};
use crate::domain::approval::RequestState;
use crate::domain::name::RequestId;
use crate::wire::control::RequestView;

/// `request wait`.
///
/// # Errors
/// [`Failure`]; also what was answered, unless it was yes.
pub(super) async fn run(context: &Context, args: &RequestWait) -> Result<u8, Failure> {
    let id = id(&args.request)?;
    let api = context.api().await?;
    let view = wait(context, &api, &id, args.limit).await?;
    finish(context, &view)
}

/// Writes a request that was waited for, and ends as it ended.
pub(super) fn finish(context: &Context, view: &RequestView) -> Result<u8, Failure> {
    let outcome = outcome(context, view);
    // a script that reads JSON wants to know also what was not approved
    if outcome.is_ok() || context.ui.json {
        result(context.ui, view, &format!("approved {}", view.request.id));
    }
    outcome.map(|()| 0)
}

/// Waits until a request is answered or `limit` is over, and says on standard error for whom.
///
/// # Errors
/// [`Failure`], when the broker cannot say.
pub async fn wait(
    context: &Context,
    api: &Api,
    id: &RequestId,
    limit: Option<Duration>,
) -> Result<RequestView, Failure> {
    let waiting = context.ui.wait(&format!("{id}: asking"));
    wait_showing(context, api, id, limit, waiting).await
}

/// The same, shown by this.
///
/// # Errors
/// [`Failure`], when the broker cannot say.
pub async fn wait_showing(
    context: &Context,
    api: &Api,
    id: &RequestId,
    limit: Option<Duration>,
    waiting: Waiting,
) -> Result<RequestView, Failure> {
    let (ui, clock) = (context.ui, &context.client.clock);
    let mut said = String::new();
    let view = answer(api, id, limit, |view| {
        if view.request.state != RequestState::Pending {
            return;
        }
        let missing = harmless::line(&view.missing);
        let until = when(view.request.expires, clock.now());
        waiting.say(&format!("{id} awaits {missing}, until {until}"));
        // without a terminal there is no spinner to say it
        if !waiting.is_shown() && said != missing {
            ui.talk(&format!("{id} awaits {missing}, until {until}"));
        }
        said = missing;
    })
    .await?;
    let waited = !said.is_empty();
    drop(waiting);
    if waited && view.request.state != RequestState::Pending {
        tell(context, &view);
    }
    Ok(view)
}

/// What became of a request, as the end of a command.
///
/// # Errors
/// [`Failure`], unless it was approved.
pub fn outcome(context: &Context, view: &RequestView) -> Result<(), Failure> {
    let id = &view.request.id;
    let failure = |kind, message: String| Failure::new(kind, message).of_request(id);
    match &view.request.state {
        RequestState::Approved | RequestState::Granted { .. } | RequestState::Released { .. } => Ok(()),
        RequestState::Pending => {
            let until = when(view.request.expires, context.client.clock.now());
            let missing = harmless::line(&view.missing);
            Err(failure(FailureKind::Held, format!("{id} awaits {missing}, until {until}")).hint(format!(
                "`hoopctl request wait {id}` waits on, `hoopctl request withdraw {id}` gives up"
            )))
        }
        RequestState::Denied => {
            let message = match denial(view) {
                Some((by, Some(reason))) => {
                    format!("{id} was denied by {}: {}", harmless::line(by), harmless::line(reason))
                }
                Some((by, None)) => format!("{id} was denied by {}", harmless::line(by)),
                None => format!("{id} was denied"),
            };
            Err(failure(FailureKind::ReviewDenied, message))
        }
        RequestState::Withdrawn => Err(failure(FailureKind::Revoked, format!("{id} was withdrawn"))),
        RequestState::Expired => {
            Err(failure(FailureKind::Revoked, format!("{id} has expired: nobody answered in time")))
        }
        RequestState::Void => {
            Err(failure(FailureKind::Revoked, format!("{id} is void: what it was for is gone")))
        }
    }
}

/// Calls a person who looks elsewhere: a bell, and a desktop's notification where there is one.
fn tell(context: &Context, view: &RequestView) {
    context.ui.bell();
    let word = match &view.request.state {
        RequestState::Approved | RequestState::Granted { .. } | RequestState::Released { .. } => "approved",
        RequestState::Denied => "denied",
        RequestState::Withdrawn => "withdrawn",
        RequestState::Pending | RequestState::Expired | RequestState::Void => "over",
    };
    // the target and the answer; what was asked stays off other people's screens
    let screen = Screen { wayland: set("WAYLAND_DISPLAY").is_some(), x11: set("DISPLAY").is_some() };
    notify(screen, &format!("hoopctl: your request for {} is {word}", view.request.target));
}
