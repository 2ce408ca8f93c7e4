//! `hoopctl list`.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::domain::target::RecordLevel;

/// Lists what the caller may reach.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context) -> Result<u8, Failure> {
    let targets = context.api().await?.targets().await?;
    let ui = context.ui;
    if ui.json {
        targets.iter().for_each(|target| ui.object(target));
        return Ok(0);
    }
    if targets.is_empty() {
        ui.talk("there is nothing that you may reach");
        return Ok(0);
    }
    let rows = targets
        .iter()
        .map(|target| {
            let masked = if target.masked { "yes" } else { "no" };
            let name = target.name.to_string();
            vec![
                name,
                target.protocol.clone(),
                masked.into(),
                level(target.record).into(),
                target.description.clone(),
            ]
        })
        .collect();
    ui.table(&["name", "protocol", "masked", "recorded", "description"], rows);
    Ok(0)
}

/// What is recorded, in a word.
#[must_use]
pub fn level(level: RecordLevel) -> &'static str {
    match level {
        RecordLevel::Metadata => "metadata",
        RecordLevel::Statements => "statements",
        RecordLevel::Full => "full",
    }
}
