//! `hoopctl broker key …`.

use serde_json::json;

use crate::broker::config::Config;
use crate::broker::ledger::{DirectoryFiles, LedgerError, Occasion, rotate};
use crate::cli::args::{ConfigFile, KeyCommand, RotateKey};
use crate::cli::commands::audit::rotations;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::gateway::clock::Clock;
use crate::ledger::rotation::{Cause, Chain};
use crate::ledger::tile::KEY;
use crate::ledger::verify::{Files as _, VerifyError};

/// Shows or changes the key of the ledger.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(ui: Ui, command: KeyCommand) -> Result<u8, Failure> {
    // a keyring or a command may take its time
    let done = tokio::task::spawn_blocking(move || match command {
        KeyCommand::Rotate(args) => change(ui, &args),
        KeyCommand::Show(file) => show(ui, &file),
    });
    done.await.map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?
}

fn show(ui: Ui, file: &ConfigFile) -> Result<u8, Failure> {
    let config = Config::load(&file.config)?;
    let files = DirectoryFiles::new(&config.data_dir.join("ledger"));
    let unread = |error: VerifyError| match error {
        VerifyError::Broken(broken) => broken.into(),
        VerifyError::Files(error) => Failure::new(FailureKind::Configuration, error.to_string()),
    };
    let key = files.read(KEY).map_err(|error| unread(error.into()))?;
    let key = key.map(|key| String::from_utf8_lossy(&key).trim().to_owned()).ok_or_else(|| {
        let message = format!("there is no ledger in `{}` yet", config.data_dir.display());
        Failure::new(FailureKind::Configuration, message)
            .hint("the broker makes it, and its key, when it starts")
    })?;
    let chain = Chain::of(&files).map_err(unread)?;
    if ui.json {
        ui.object(&json!({ "key": key, "rotations": rotations::as_json(chain.rotations()) }));
        return Ok(0);
    }
    ui.line(&key);
    for rotation in chain.rotations() {
        ui.talk(&format!("note: entry {} changed the key from {}", rotation.index, rotation.old));
    }
    Ok(0)
}

fn change(ui: Ui, args: &RotateKey) -> Result<u8, Failure> {
    let config = Config::load(&args.file.config)?;
    let cause = if args.compromised { Cause::Compromised } else { Cause::Planned };
    let occasion = Occasion { at: Clock::system().now(), policy: config.policy.digest().clone(), cause };
    let done = rotate(&config.data_dir.join("ledger"), &config.ledger_keys, &occasion)
        .map_err(|error| failed(&error))?;
    let (rotation, is_new) = (&done.rotation, done.is_new);
    if ui.json {
        let (entry, old, new) = (rotation.index, rotation.old.to_string(), rotation.new.to_string());
        ui.object(&json!({ "rotated": is_new, "entry": entry, "old": old, "new": new }));
        return Ok(0);
    }
    let said = if is_new { "the key of the ledger was changed" } else { "the ledger has this key already" };
    ui.line(&format!("{said}, with entry {}: {}", rotation.index, rotation.new));
    if rotation.cause == Cause::Planned {
        ui.talk(
            "hint: start the broker; take `previous_key` out of the configuration once every witness and auditor has the new key",
        );
    } else {
        ui.talk("hint: take `previous_key` out of the configuration, start the broker, and tell every witness and auditor");
    }
    Ok(0)
}

fn failed(error: &LedgerError) -> Failure {
    let failure = Failure::new(FailureKind::Configuration, error.to_string());
    match error {
        LedgerError::CheckpointMissing => failure.hint("a new ledger takes its key when the broker starts"),
        LedgerError::InUse => failure.hint("stop the broker first"),
        LedgerError::NoPreviousKey => failure.hint(
            "name the new key as `key` and the one that the ledger has as `previous_key`, both in [ledger]",
        ),
        _ => failure,
    }
}
