//! `hoopctl whoami`.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::args::Whoami;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::ui::Ui;
use crate::client::login::Lasts;
use crate::domain::name::GroupName;
use crate::wire::control::WhoAmI;

/// Shows who the caller is, or checks that they are logged in.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, args: &Whoami) -> Result<u8, Failure> {
    if args.check {
        return check(context, args).await;
    }
    let api = context.api().await?;
    let who = api.whoami().await?;
    let ui = context.ui;
    warn_groupless(ui, &who);
    if ui.json {
        ui.object(&who);
        return Ok(0);
    }
    let groups: Vec<&str> = who.groups.iter().map(GroupName::as_str).collect();
    let groups = if groups.is_empty() { "none".to_owned() } else { groups.join(", ") };
    ui.line(&format!("{} ({})", who.display, who.principal));
    ui.line(&format!("groups: {groups}"));
    ui.line(&format!("device: {}", who.device));
    ui.line(&format!("login lasts until {} unless renewed", whole_second(who.login_expires)));
    Ok(0)
}

/// What `whoami --check` says.
#[derive(Debug, Serialize)]
struct Checked {
    /// Whether the login is good for as long as was asked.
    usable: bool,
    principal: String,
    /// Until when it is good without being renewed.
    until: Timestamp,
    /// Whether it renews itself while its provider lets it.
    renewable: bool,
}

async fn check(context: &Context, args: &Whoami) -> Result<u8, Failure> {
    let (api, now) = (context.api().await?, context.client.clock.now());
    let mut who = api.whoami().await?;
    let asked = args.lasts.and_then(|lasts| SignedDuration::try_from(lasts).ok()).unwrap_or_default();
    let wanted = now.checked_add(asked).unwrap_or(Timestamp::MAX);
    let lasts = api.identity().lasts()?;
    if who.login_expires < wanted && lasts != Lasts::AsItIs {
        // the proof that it can be renewed is that it is
        api.keep_alive().await?;
        who = api.whoami().await?;
    }
    let (until, renewable) = match lasts {
        Lasts::AsItIs => (who.login_expires, false),
        // what was exchanged last outlives the token by a little
        Lasts::Until(end) => (end.max(who.login_expires), false),
        Lasts::WhileRenewed => (who.login_expires, true),
    };
    let usable = renewable || until >= wanted;
    let ui = context.ui;
    if ui.json {
        ui.object(&Checked { usable, principal: who.principal.to_string(), until, renewable });
    } else {
        let renewed = if renewable { ", and is renewed" } else { "" };
        let line = format!("{}: the login is good until {}{renewed}", who.principal, whole_second(until));
        if usable { ui.line(&line) } else { ui.talk(&format!("{line}, which is not long enough")) }
    }
    Ok(if usable { 0 } else { exit::LOGIN_NEEDED })
}

/// Says why nothing that is for groups is for this person: nobody finds that by themselves.
pub fn warn_groupless(ui: Ui, who: &WhoAmI) {
    if let Some(why) = &who.groupless {
        ui.warning(&format!("you are in no group here, so no rule for groups lets you do anything: {why}"));
        ui.talk("hint: the operator says in `groups`, `groups_claim` and `scopes` of the provider where groups come from");
    }
}

fn whole_second(at: Timestamp) -> Timestamp {
    at.round(jiff::Unit::Second).unwrap_or(at)
}
