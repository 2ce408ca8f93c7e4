//! `hoopctl broker …`.

mod key;
mod objects;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::broker::assembly::Broker;
use crate::broker::config::{Config, ConfigError};
use crate::broker::pki;
use crate::broker::secrets::Secrets;
use crate::cli::args::BrokerCommand;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::gateway::clock::Clock;

/// Sets up, checks or runs a broker.
///
/// # Errors
/// [`Failure`].
pub async fn run(ui: Ui, command: BrokerCommand) -> Result<u8, Failure> {
    match command {
        BrokerCommand::Init(file) => init(ui, &file.config),
        BrokerCommand::Check(file) => check(ui, &file.config),
        BrokerCommand::Key(command) => key::run(ui, command).await,
        BrokerCommand::Objects(args) => objects::run(ui, &args).await,
        BrokerCommand::SshCa(file) => ssh_ca(ui, &file.config),
        BrokerCommand::Serve(file) => serve(ui, &file.config).await,
    }
}

fn init(ui: Ui, path: &Path) -> Result<u8, Failure> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(
        |error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Failure::new(FailureKind::Configuration, format!("`{}` is there already", path.display()))
                    .hint("choose another place with `--config FILE`")
            }
            _ => Failure::new(
                FailureKind::Configuration,
                format!("cannot write `{}`: {error}", path.display()),
            ),
        },
    )?;
    file.write_all(Config::template().as_bytes()).map_err(|error| {
        Failure::new(FailureKind::Configuration, format!("cannot write `{}`: {error}", path.display()))
    })?;
    if ui.json {
        ui.object(&json!({ "written": path }));
    } else {
        ui.line(&format!("wrote {}", path.display()));
        ui.talk("hint: change what is in it, then type `hoopctl broker check`");
    }
    Ok(0)
}

fn check(ui: Ui, path: &Path) -> Result<u8, Failure> {
    match Config::load(path) {
        Ok(config) if ui.json => ui.object(&json!({
            "valid": true, "targets": config.targets.keys().collect::<Vec<_>>(), "policy": config.policy.digest(),
            "warnings": config.warnings(),
        })),
        Ok(config) => {
            warn(ui, &config);
            let (targets, policy) = (config.targets.len(), config.policy.digest());
            ui.line(&format!("{} is valid: {targets} targets, policy {policy}", path.display()));
        }
        Err(ConfigError::Faults(faults)) if ui.json => {
            for fault in &faults {
                ui.object(&json!({ "valid": false, "line": fault.line, "key": fault.key, "message": fault.message }));
            }
            return Err(ConfigError::Faults(faults).into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(0)
}

fn ssh_ca(ui: Ui, path: &Path) -> Result<u8, Failure> {
    let config = Config::load(path)?;
    let key = pki::ssh_authority(&config)
        .map_err(|error| Failure::new(FailureKind::Configuration, error.to_string()))?;
    if ui.json {
        ui.object(&json!({ "ssh_ca": key }));
    } else {
        ui.line(&key);
    }
    Ok(0)
}

async fn serve(ui: Ui, path: &Path) -> Result<u8, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(FailureKind::Internal, format!("cannot watch signals: {error}"));
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;

    let config = Config::load(path)?;
    warn(ui, &config);
    let in_force = Config::load(path)?;
    let secrets = Secrets::new(|name| std::env::var(name).ok());
    let broker = Broker::start(config, Clock::system(), secrets).await?;
    announce(ui, &broker);
    let unwritable = loop {
        tokio::select! {
            _ = hangup.recv() => reload(ui, path, &in_force, &broker).await,
            _ = interrupt.recv() => break None,
            _ = terminate.recv() => break None,
            error = broker.unwritable() => break Some(error),
        }
    };
    // without a ledger nothing moves: there is nothing to wait for, and only a start opens it again
    let patience = if unwritable.is_some() { Duration::ZERO } else { in_force.drain };
    ui.talk("draining; a second signal stops at once");
    let drained = tokio::select! {
        drained = broker.drain(patience) => drained,
        _ = interrupt.recv() => return Err(Failure::new(FailureKind::Signal(2), "stopped without draining")),
        _ = terminate.recv() => return Err(Failure::new(FailureKind::Signal(15), "stopped without draining")),
    };
    if let Some(error) = unwritable {
        return Err(Failure::new(FailureKind::Internal, error.to_string())
            .hint("see that `data_dir` can be written and has room, and start the broker again"));
    }
    drained.map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?;
    Ok(0)
}

/// A configuration with problems changes nothing; what only a restart can change is named.
async fn reload(ui: Ui, path: &Path, in_force: &Config, broker: &Broker) {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            let failure = Failure::from(error);
            ui.warning(&format!("the old configuration stays: {}", failure.message()));
            return;
        }
    };
    warn(ui, &config);
    let restart = in_force.needs_restart(&config);
    if !restart.is_empty() {
        ui.warning(&format!("a restart is needed to change {}", restart.join(", ")));
    }
    match broker.reload(config).await {
        Ok(()) => ui.talk("the configuration was read again and is in force"),
        Err(error) => ui.warning(&format!("the old configuration stays: {error}")),
    }
}

fn warn(ui: Ui, config: &Config) {
    for warning in config.warnings() {
        ui.warning(&warning);
    }
}

fn announce(ui: Ui, broker: &Broker) {
    let running = broker.running();
    let pin = running.ca().map(|(_, key)| format!("sha256:{key}"));
    if ui.json {
        let (address, metrics) = (running.address(), running.metrics_address());
        return ui.object(&json!({ "address": address, "metrics": metrics, "pin": pin }));
    }
    ui.line(&format!("the broker listens on {}", running.address()));
    if let Some(metrics) = running.metrics_address() {
        ui.line(&format!("metrics are at http://{metrics}/metrics"));
    }
    if let Some(pin) = pin {
        ui.line(&format!("its CA is its own; clients log in with `--broker-pin {pin}`"));
    }
}
