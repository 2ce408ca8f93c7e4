//! `hoopctl device …`.

use serde_json::json;

use crate::cli::args::DeviceCommand;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::domain::name::DeviceId;

/// Lists, confirms or revokes devices.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, command: DeviceCommand) -> Result<u8, Failure> {
    match command {
        DeviceCommand::Confirm { code, key } => confirm(context, &code, key.as_deref()).await,
        DeviceCommand::List => list(context).await,
        DeviceCommand::Revoke { device, only } => revoke(context, &device, only).await,
    }
}

async fn confirm(context: &Context, code: &str, compared: Option<&str>) -> Result<u8, Failure> {
    let ui = context.ui;
    let compared = compared.map(device_id).transpose()?;
    if compared.is_none() && !ui.can_ask() {
        return Err(Failure::new(FailureKind::Usage, "there is nobody to ask whether the keys are the same")
            .hint("name the key that the new device shows: `--key DEVICE`"));
    }
    let api = context.api().await?;
    let waits = api.confirm_device(code, None).await?;
    ui.talk(&format!("waiting: {} on `{}`, from {}", waits.device, waits.host, waits.address));
    ui.talk(&format!("this device: {}", api.identity().key().thumbprint()));
    let same = match &compared {
        Some(compared) => *compared == waits.device,
        None => ui.asks_yes("Does the new device show the key that waits? Type yes to let it in:"),
    };
    if !same {
        return Err(Failure::new(FailureKind::Denied, "the device was not let in")
            .hint("if the keys differ, somebody else signed in as you: end that at the identity provider"));
    }
    let enrolled = api.confirm_device(code, Some(&waits.device)).await?;
    // only this one was compared: another that came meanwhile stays unknown
    api.meet_device(&enrolled.device, &api.devices().await?)?;
    if ui.json {
        ui.object(&json!({ "confirmed": enrolled.device }));
    } else {
        ui.line(&format!("confirmed {}", enrolled.device));
    }
    Ok(0)
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let api = context.api().await?;
    let (devices, waiting) = (api.devices().await?, api.pending_devices().await?);
    let strangers = api.meet_devices(&devices)?;
    let ui = context.ui;
    if ui.json {
        for device in &devices {
            // whoever reads this sees what the table says
            let mut object = json!(device);
            if let Some(fields) = object.as_object_mut() {
                fields.insert("new".into(), strangers.contains(&device.id).into());
            }
            ui.object(&object);
        }
        for waits in &waiting {
            ui.object(&json!({ "pending": waits }));
        }
        return Ok(0);
    }
    let this = api.identity().key().thumbprint();
    let enrolled = devices.iter().map(|device| {
        let state = match device.revoked {
            Some(at) => format!("revoked {at:.0}"),
            None if device.id == this => "this device".into(),
            None if strangers.contains(&device.id) => "enrolled, not seen before".into(),
            None if device.confirmed_by.is_some() => "enrolled, let in by another".into(),
            None => "enrolled".into(),
        };
        vec![device.id.to_string(), device.host.clone(), format!("{:.0}", device.enrolled), state]
    });
    let waiting = waiting.iter().map(|waits| {
        let state = format!("waits until {:.0}", waits.expires);
        vec![waits.device.to_string(), waits.host.clone(), "-".into(), state]
    });
    ui.table(&["device", "host", "enrolled", "state"], enrolled.chain(waiting).collect());
    Ok(0)
}

async fn revoke(context: &Context, text: &str, only: bool) -> Result<u8, Failure> {
    let (ui, device) = (context.ui, device_id(text)?);
    let api = context.api().await?;
    let further = match only {
        true => api.revoke_device_only(&device).await?,
        false => api.revoke_device(&device).await?,
    };
    if ui.json {
        let ids: Vec<_> = further.iter().map(|device| &device.id).collect();
        ui.object(&json!({ "revoked": device, "further": ids }));
    } else {
        ui.line(&format!("revoked {device}; its sessions are closed"));
    }
    for other in &further {
        let by = other.confirmed_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        ui.warning(&format!("revoked as well: {} on `{}`, which was let in{by}", other.id, other.host));
    }
    let this = api.identity().key().thumbprint();
    if further.iter().any(|other| other.id == this) {
        ui.talk(
            "hint: that is this device; `hoopctl logout`, then `hoopctl login`, enrols it with a new key",
        );
    }
    Ok(0)
}

fn device_id(text: &str) -> Result<DeviceId, Failure> {
    DeviceId::new(text).map_err(|error| {
        Failure::new(FailureKind::Usage, error.to_string()).hint("`hoopctl device list` shows the ids")
    })
}
