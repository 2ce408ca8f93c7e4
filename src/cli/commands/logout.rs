//! `hoopctl logout`.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::client::login::{Person, sign_out};

/// Signs out everywhere.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context) -> Result<u8, Failure> {
    let place = context.place()?;
    let (_, pinned) = Person::find(&context.client, &place)?;
    let link = context.link(place.url(), context.pin()?.or(pinned))?;
    super::complete::forget(&place);
    let ended = sign_out(&context.client, &link, &place).await?;
    if let Err(error) = &ended.broker {
        context.ui.warning(&format!("the broker was not told, so the login lapses there by itself: {error}"));
    }
    if let Err(error) = &ended.provider {
        context.ui.warning(&format!("the provider did not revoke the login: {error}"));
    }
    if context.ui.json {
        let (broker, provider) = (ended.broker.is_ok(), ended.provider.is_ok());
        context
            .ui
            .object(&json!({ "url": place.url(), "broker": broker, "provider": provider, "local": true }));
    } else {
        context.ui.line(&format!("logged out of {}", place.url()));
    }
    Ok(0)
}
