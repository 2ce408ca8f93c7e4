//! `hoopctl request approve` and `deny`: signing what was shown.

use std::collections::BTreeSet;
use std::time::Duration;

use super::page::page;
use super::words::lasting;
use super::{fetch, id, result, words};
use crate::cli::args::{Approve, Deny};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::harmless;
use crate::client::api::Api;
use crate::client::approvals::Dossier;
use crate::domain::approval::{Decision, RequestState, Standing};
use crate::domain::name::Digest;
use crate::wire::control::RequestView;

/// Approves a request.
///
/// # Errors
/// [`Failure`].
pub(super) async fn approve(context: &Context, args: Approve) -> Result<u8, Failure> {
    let ui = context.ui;
    let id = id(&args.request)?;
    let expected =
        args.digest.as_deref().map(Digest::new).transpose().map_err(|error| usage(error.to_string()))?;
    if expected.is_none() && !args.yes && !ui.can_ask() {
        return Err(Failure::new(FailureKind::Usage, "there is no terminal to show the request on")
            .hint("give the digest of what you looked at: `--digest SHA256` (see `hoopctl request show`)")
            .hint("or sign whatever it is: `--yes`"));
    }
    let api = context.api().await?;
    // fetched once: what is shown, what is compared and what is signed is the same text
    let dossier = fetch(&api, &id).await?;
    if let Some(expected) = expected.filter(|expected| expected != dossier.digest()) {
        let message = format!("what is asked is not what `{expected}` is the digest of");
        return Err(Failure::new(FailureKind::BadData, message)
            .hint(format!("nothing was signed; look at it again: `hoopctl request show {id}`")));
    }
    refuse_the_unreviewable(dossier.view())?;
    let standing = args.standing.map(|lasts| standing(&dossier, lasts, &args.free)).transpose()?;
    if args.digest.is_none() {
        ui.talk(&page(&dossier, context.client.clock.now()));
        if let Some(standing) = &standing {
            ui.talk(&format!("\n{}", promise(standing)));
        }
    }
    if args.digest.is_none() && !args.yes && !confirmed(context, &dossier).await? {
        return Err(Failure::new(FailureKind::Usage, "not approved: nothing was signed"));
    }
    let view = sign(context, &api, &dossier, Decision::Approve, args.reason, standing).await?;
    let line = match &view.request.state {
        RequestState::Pending => format!("approved {id}; still missing: {}", harmless::line(&view.missing)),
        RequestState::Approved | RequestState::Granted { .. } | RequestState::Released { .. } => {
            format!("approved {id}")
        }
        _ => format!("approved {id}; it is {}", words::brief_state(&view, context.client.clock.now())),
    };
    result(ui, &view, &line);
    Ok(0)
}

/// Denies a request.
///
/// # Errors
/// [`Failure`].
pub(super) async fn deny(context: &Context, args: Deny) -> Result<u8, Failure> {
    let id = id(&args.request)?;
    let api = context.api().await?;
    let dossier = fetch(&api, &id).await?;
    refuse_the_unreviewable(dossier.view())?;
    let view = sign(context, &api, &dossier, Decision::Deny, Some(args.reason), None).await?;
    result(context.ui, &view, &format!("denied {id}"));
    Ok(0)
}

/// Says at once what the broker would say; the broker decides all the same.
fn refuse_the_unreviewable(view: &RequestView) -> Result<(), Failure> {
    if view.request.state != RequestState::Pending {
        let message = format!("{} no longer awaits reviews", view.request.id);
        return Err(Failure::new(FailureKind::Revoked, message)
            .hint(format!("`hoopctl request show {}` says what became of it", view.request.id)));
    }
    if !view.reviewable {
        let message = format!("you may not review {}", view.request.id);
        return Err(Failure::new(FailureKind::Denied, message)
            .hint("nobody reviews their own request, and each person reviews once"));
    }
    Ok(())
}

/// The standing decision that a reviewer wants, in the broker's terms.
fn standing(dossier: &Dossier, lasts: Duration, free: &[u16]) -> Result<Standing, Failure> {
    let Some(literals) = dossier.literals() else {
        return Err(usage("no standing decision can be made with this request"));
    };
    let longest = dossier.view().request.standing_max;
    if lasts.as_secs() > longest {
        let message = format!("a standing decision may last {} here at the most", lasting(longest));
        return Err(usage(message));
    }
    let mut places = BTreeSet::new();
    for number in free {
        // people count from 1
        let place = number.checked_sub(1).filter(|place| usize::from(*place) < literals);
        places.insert(place.ok_or_else(|| {
            usage(format!("there is no literal {number}")).hint("`hoopctl request show` numbers them")
        })?);
    }
    Ok(Standing { free: places, seconds: lasts.as_secs() })
}

fn promise(standing: &Standing) -> String {
    let lasts = lasting(standing.seconds);
    if standing.free.is_empty() {
        return format!("For {lasts} this requester may repeat exactly this statement.");
    }
    let numbers: Vec<String> =
        standing.free.iter().map(|place| (u32::from(*place) + 1).to_string()).collect();
    format!(
        "For {lasts} this requester may send this statement with ANY value for literal {}.",
        numbers.join(", ")
    )
}

/// Asks the person, without keeping Ctrl-C from ending the program.
async fn confirmed(context: &Context, dossier: &Dossier) -> Result<bool, Failure> {
    let ui = context.ui;
    let question = format!("\nSign this with this device's key, for {}? [y/N]", dossier.subject().requester);
    let asked = tokio::task::spawn_blocking(move || ui.ask(&question)).await;
    let answer = asked.map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?;
    Ok(answer.is_some_and(|answer| matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes")))
}

async fn sign(
    context: &Context,
    api: &Api,
    dossier: &Dossier,
    decision: Decision,
    reason: Option<String>,
    standing: Option<Standing>,
) -> Result<RequestView, Failure> {
    let reviewer = api.whoami().await?.principal;
    let (key, now) = (api.identity().key(), context.client.clock.now());
    let review = dossier
        .sign(key, reviewer, decision, reason, standing, now)
        .map_err(|error| Failure::new(FailureKind::Internal, format!("the review: {error}")))?;
    Ok(api.review(&dossier.view().request.id, &review).await?)
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Usage, message)
}
