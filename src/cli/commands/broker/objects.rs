//! `hoopctl broker objects`.

use serde_json::json;

use crate::broker::config::Config;
use crate::broker::leases::objects;
use crate::broker::secrets::Secrets;
use crate::cli::args::Objects;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::gateway::authority::LeaseError;

/// Lists what the broker keeps in a target's databases, or removes it.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(ui: Ui, args: &Objects) -> Result<u8, Failure> {
    let config = Config::load(&args.file.config)?;
    let found = config.targets.iter().find(|(name, _)| name.as_str() == args.target);
    let Some((_, target)) = found else {
        let names: Vec<&str> = config.targets.keys().map(|name| name.as_str()).collect();
        let message = format!("no target `{}` in `{}`", args.target, args.file.config.display());
        return Err(Failure::new(FailureKind::Usage, message).hint(format!("one of {}", names.join(", "))));
    };
    let secrets = Secrets::new(|name| std::env::var(name).ok());
    if args.remove {
        let left = objects::remove(target, secrets).await.map_err(|error| failed(&error))?;
        if ui.json {
            ui.object(&json!({ "removed": target.name, "left": left }));
        } else {
            ui.line(&format!("removed the broker's objects of target `{}`", target.name));
            if let Some(left) = left {
                ui.warning(&left);
            }
            ui.talk("hint: the next session makes them anew, unless `objects = false` for this target");
        }
        return Ok(0);
    }
    let list = objects::list(target, secrets).await.map_err(|error| failed(&error))?;
    if ui.json {
        ui.object(&list);
    } else if list.objects.is_empty() {
        ui.line("nothing");
    }
    for object in list.objects.iter().filter(|_| !ui.json) {
        let place =
            object.database.as_deref().map(|name| format!(" in database `{name}`")).unwrap_or_default();
        ui.line(&format!("{} {}{place}: {}", object.kind, object.name, object.about));
    }
    Ok(0)
}

fn failed(error: &LeaseError) -> Failure {
    let message = match error {
        // its other words speak of a session
        LeaseError::Upstream(reason) => reason.clone(),
        other => other.to_string(),
    };
    Failure::new(FailureKind::Unreachable, message)
}
