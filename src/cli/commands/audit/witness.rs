//! `hoopctl audit witness`.

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::broker::witness::{Fresh, WitnessError, WitnessParts, WitnessServer};
use crate::cli::args::RunWitness;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::gateway::clock::Clock;
use crate::ledger::note::VerifierKey;

/// Serves until it is told to stop.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(ui: Ui, args: RunWitness) -> Result<u8, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(FailureKind::Internal, format!("cannot watch signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;

    let read = |key: &String| {
        VerifierKey::parse(key.trim())
            .map_err(|error| Failure::new(FailureKind::Usage, format!("the ledger's key `{key}`: {error}")))
    };
    let logs = args.logs.iter().map(read).collect::<Result<_, _>>()?;
    let new = if args.new { Fresh::WhereMissing } else { Fresh::Never };
    let parts = WitnessParts { name: args.name, key: args.key, logs, state: args.state, new };
    let server = WitnessServer::open(parts, args.listen, Clock::system()).await?;
    let (key, address) = (server.key().to_string(), server.address().unwrap_or(args.listen));
    if ui.json {
        ui.object(&json!({ "address": address, "key": key }));
    } else {
        ui.line(&format!("the witness listens on {address}"));
        ui.line(&format!("its key is {key}"));
    }
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(server.serve(stopped));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let _ = stop.send(true);
    serving.await.map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?;
    Ok(0)
}

impl From<WitnessError> for Failure {
    fn from(error: WitnessError) -> Self {
        let kind = match &error {
            WitnessError::State { .. } | WitnessError::Forgotten { .. } => FailureKind::BadData,
            _ => FailureKind::Configuration,
        };
        let failure = Self::new(kind, error.to_string());
        match error {
            WitnessError::Forgotten { .. } => failure
                .hint("a witness that forgets can be shown another history: give it a new key and tell those who trust it")
                .hint("if it has never cosigned this ledger, type `--new`"),
            WitnessError::State { .. } => failure
                .hint("what it kept was altered, or is of another key; it must not go on from there"),
            WitnessError::KeyMissing(_) => failure.hint("`--new` makes one"),
            WitnessError::Io { .. } => failure.hint("`--new` makes the folder, if it is the first time"),
            _ => failure,
        }
    }
}
