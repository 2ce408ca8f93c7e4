//! `hoopctl list`.

use serde::Serialize;

use super::complete::{Kind, remember};
use crate::cli::args::List;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::domain::target::RecordLevel;
use crate::wire::control::TargetSummary;

/// A target as programs read it.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    /// `now`, `after-approval` or `denied`.
    access: &'static str,
    #[serde(flatten)]
    target: &'a TargetSummary,
}

/// Lists what the caller may reach.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, args: &List) -> Result<u8, Failure> {
    let api = context.api().await?;
    let targets = if args.all { api.all_targets().await? } else { api.targets().await? };
    let reached = targets.iter().filter(|target| target.denied.is_none());
    remember(context, Kind::Targets, reached.map(|target| (target.name.to_string(), about(target))));
    let ui = context.ui;
    if ui.json {
        targets.iter().for_each(|target| ui.object(&Listed { access: access(target), target }));
        return Ok(0);
    }
    if targets.is_empty() {
        ui.talk("there is nothing that you may reach");
        return Ok(0);
    }
    let rows = targets
        .iter()
        .map(|target| {
            let masked = target.masked.map_or("", |masked| if masked { "yes" } else { "no" });
            vec![
                target.name.to_string(),
                target.protocol.clone(),
                how(target),
                masked.into(),
                target.record.map_or("", level).into(),
                target.description.clone(),
            ]
        })
        .collect();
    ui.table(&["name", "protocol", "access", "masked", "recorded", "description"], rows);
    for target in &targets {
        if let Some(hint) = target.denied.as_ref().and_then(|denied| denied.hint.as_ref()) {
            ui.talk(&format!("hint: {}: {hint}", target.name));
        }
    }
    if targets.iter().any(|target| target.approval.is_some()) {
        ui.talk("hint: `hoopctl request approval NAME --reason TEXT` asks for approval");
    }
    Ok(0)
}

/// How a target is reached, in a word for programs.
fn access(target: &TargetSummary) -> &'static str {
    match (&target.denied, &target.approval) {
        (Some(_), _) => "denied",
        (None, Some(_)) => "after-approval",
        (None, None) => "now",
    }
}

/// The same for people.
fn how(target: &TargetSummary) -> String {
    match (&target.denied, &target.approval) {
        (Some(denied), _) if denied.reason.is_empty() => format!("denied by {}", denied.rule),
        (Some(denied), _) => format!("denied by {}: {}", denied.rule, denied.reason),
        (None, Some(approval)) => format!("after {approval}"),
        (None, None) => "now".into(),
    }
}

/// What a shell says beside a target's name.
#[must_use]
pub fn about(target: &TargetSummary) -> String {
    match target.description.as_str() {
        "" => target.protocol.clone(),
        description => format!("{}: {description}", target.protocol),
    }
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
