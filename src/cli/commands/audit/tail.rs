//! `hoopctl audit tail`.

use std::ops::{ControlFlow, Range};
use std::time::Duration;

use serde_json::{Value, json};

use super::proven::{Entry, Proven};
use crate::cli::args::Tail;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::client::export::harmless;
use crate::domain::event::Event;
use crate::ledger::ocsf::{self, Known};

/// Shows the last entries, and goes on if asked to.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(context: &Context, args: &Tail) -> Result<u8, Failure> {
    let api = context.api().await?;
    let ledger = Proven::online(&api, super::named_key(args.key.as_ref())?, context.ui).await?;
    let mut reader = Reader { ui: context.ui, ledger, known: args.format.map(|_| Known::default()) };
    let (lines, ui) = (args.lines, context.ui);
    reader = super::blocking(move || reader.show(Some(lines))).await?;
    if !args.follow {
        return Ok(0);
    }
    // whoever reads the first lines only (`| head`) does not want the rest
    while !ui.is_unheard() {
        tokio::time::sleep(POLL).await;
        reader = super::blocking(move || reader.show(None)).await?;
    }
    Ok(exit::UNHEARD)
}

/// Reads the ledger's end.
struct Reader {
    ui: Ui,
    ledger: Proven,
    /// What was seen of sessions and requests, where entries are shown as events.
    known: Option<Known>,
}

impl Reader {
    /// Shows the last entries, or those that came since.
    fn show(mut self, last: Option<u64>) -> Result<Self, Failure> {
        let Range { start, end } = self.ledger.advance()?;
        let from = last.map_or(start, |count| end.saturating_sub(count));
        let Self { ui, ledger, known } = &mut self;
        // what was opened not long before is named by what it was opened for
        let begin = if last.is_some() && known.is_some() { from.saturating_sub(LOOK_BACK) } else { from };
        ledger.each(begin..end, |Entry { index, bytes, event, .. }| {
            if let Some(known) = known {
                known.follow(event);
            }
            if index >= from {
                match known {
                    Some(known) => {
                        let event = ocsf::event(index, ledger.origin(), event, known);
                        ui.raw(format!("{}\n", harmless(&event.to_string())).as_bytes());
                    }
                    None => show_entry(*ui, index, bytes, event)?,
                }
            }
            Ok(if ui.is_unheard() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(self)
    }
}

fn show_entry(ui: Ui, index: u64, bytes: &[u8], event: &Event) -> Result<(), Failure> {
    if ui.json {
        let entry: Value = serde_json::from_slice(bytes)
            .map_err(|error| Failure::new(FailureKind::BadData, format!("entry {index}: {error}")))?;
        ui.object(&json!({ "index": index, "entry": entry }));
        return Ok(());
    }
    let who = event.actor.as_ref().map_or_else(|| "broker".to_owned(), |actor| actor.principal.to_string());
    let mut what = serde_json::to_value(&event.what).unwrap_or_default();
    let kind = what.as_object_mut().and_then(|members| members.remove("type"));
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or("?").to_owned();
    ui.line(&format!("{index} {:.3} {who} {kind} {}", event.at, members(&what)));
    Ok(())
}

/// The members of an entry as `name=value`, without those that are long or empty.
fn members(value: &Value) -> String {
    let Some(members) = value.as_object() else { return String::new() };
    let shown = members.iter().filter_map(|(name, value)| match value {
        Value::String(text) if matches!(name.as_str(), "digest" | "sent") || text.is_empty() => None,
        Value::String(text) => {
            Some(format!("{name}={}", text.split_whitespace().collect::<Vec<_>>().join(" ")))
        }
        Value::Number(_) | Value::Bool(_) => Some(format!("{name}={value}")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// How many entries before the first one are read for what they say of it.
const LOOK_BACK: u64 = 4096;
const POLL: Duration = Duration::from_secs(2);
