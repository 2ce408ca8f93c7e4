//! Where the ledger's key was changed.

use serde_json::{Value, json};

use crate::cli::ui::Ui;
use crate::ledger::rotation::{Cause, Rotation};

/// Says at which entries.
pub(in crate::cli::commands) fn report(ui: Ui, rotations: &[Rotation]) {
    for rotation in rotations {
        let (index, new) = (rotation.index, &rotation.new);
        let why = match rotation.cause {
            Cause::Compromised => ", because others may know the key before",
            Cause::Planned => "",
        };
        ui.line(&format!("entry {index} changed the key{why}; since then it is {new}"));
    }
}

/// The same, for programs.
pub(in crate::cli::commands) fn as_json<'a>(rotations: impl IntoIterator<Item = &'a Rotation>) -> Vec<Value> {
    let all = rotations.into_iter().map(|rotation| {
        let cause = match rotation.cause {
            Cause::Compromised => "compromised",
            Cause::Planned => "planned",
        };
        json!({
            "entry": rotation.index,
            "old": rotation.old.to_string(),
            "new": rotation.new.to_string(),
            "cause": cause,
        })
    });
    all.collect()
}
