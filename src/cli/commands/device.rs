//! `hoopctl device …`.

use serde_json::json;

use crate::cli::args::DeviceCommand;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::domain::name::DeviceId;

/// Lists or revokes devices.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, command: DeviceCommand) -> Result<u8, Failure> {
    match command {
        DeviceCommand::List => list(context).await,
        DeviceCommand::Revoke { device } => revoke(context, &device).await,
    }
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let api = context.api().await?;
    let devices = api.devices().await?;
    let ui = context.ui;
    if ui.json {
        devices.iter().for_each(|device| ui.object(device));
        return Ok(0);
    }
    let this = api.identity().key().thumbprint();
    let rows = devices
        .iter()
        .map(|device| {
            let state = match device.revoked {
                Some(at) => format!("revoked {at:.0}"),
                None if device.id == this => "this device".into(),
                None => "enrolled".into(),
            };
            vec![device.id.to_string(), device.host.clone(), format!("{:.0}", device.enrolled), state]
        })
        .collect();
    ui.table(&["device", "host", "enrolled", "state"], rows);
    Ok(0)
}

async fn revoke(context: &Context, text: &str) -> Result<u8, Failure> {
    let device = DeviceId::new(text).map_err(|error| {
        Failure::new(FailureKind::Usage, error.to_string()).hint("`hoopctl device list` shows the ids")
    })?;
    context.api().await?.revoke_device(&device).await?;
    if context.ui.json {
        context.ui.object(&json!({ "revoked": device }));
    } else {
        context.ui.line(&format!("revoked {device}; its sessions are closed"));
    }
    Ok(0)
}
