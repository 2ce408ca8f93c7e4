//! `hoopctl whoami`.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::ui::Ui;
use crate::wire::control::WhoAmI;

/// Shows who the caller is.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context) -> Result<u8, Failure> {
    let api = context.api().await?;
    let who = api.whoami().await?;
    let ui = context.ui;
    warn_groupless(ui, &who);
    if ui.json {
        ui.object(&who);
        return Ok(0);
    }
    let groups: Vec<&str> = who.groups.iter().map(crate::domain::name::GroupName::as_str).collect();
    let groups = if groups.is_empty() { "none".to_owned() } else { groups.join(", ") };
    ui.line(&format!("{} ({})", who.display, who.principal));
    ui.line(&format!("groups: {groups}"));
    ui.line(&format!("device: {}", who.device));
    ui.line(&format!(
        "login lasts until {} unless renewed",
        who.login_expires.round(jiff::Unit::Second).unwrap_or(who.login_expires)
    ));
    Ok(0)
}

/// Says why nothing that is for groups is for this person: nobody finds that by themselves.
pub fn warn_groupless(ui: Ui, who: &WhoAmI) {
    if let Some(why) = &who.groupless {
        ui.warning(&format!("you are in no group here, so no rule for groups lets you do anything: {why}"));
        ui.talk("hint: the operator says in `groups`, `groups_claim` and `scopes` of the provider where groups come from");
    }
}
