//! `hoopctl whoami`.

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// Shows who the caller is.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context) -> Result<u8, Failure> {
    let api = context.api().await?;
    let who = api.whoami().await?;
    let ui = context.ui;
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
