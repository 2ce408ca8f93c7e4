//! `hoopctl audit tail`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::args::Tail;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::cli::failure::{Failure, FailureKind};
use crate::client::api::Api;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::entry;
use crate::ledger::note::VerifierKey;
use crate::ledger::tile::{CHECKPOINT, Content, KEY, Tile, WIDTH, split_entry};

/// Shows the last entries, and goes on if asked to.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(context: &Context, args: &Tail) -> Result<u8, Failure> {
    let api = context.api().await?;
    let key = text(&api.ledger_file(KEY).await?);
    let key = VerifierKey::parse(key.trim()).map_err(|error| broken(&error.to_string()))?;
    let mut size = head(&api, &key).await?;
    show(context, &api, size.saturating_sub(args.lines), size).await?;
    if !args.follow {
        return Ok(0);
    }
    // whoever reads the first lines only (`| head`) does not want the rest
    while !context.ui.is_unheard() {
        tokio::time::sleep(POLL).await;
        let now = head(&api, &key).await?;
        if now < size {
            return Err(broken("it has become shorter").hint("type `hoopctl audit verify`"));
        }
        show(context, &api, size, now).await?;
        size = now;
    }
    Ok(exit::UNHEARD)
}

async fn head(api: &Api, key: &VerifierKey) -> Result<u64, Failure> {
    let note = text(&api.ledger_file(CHECKPOINT).await?);
    Ok(Checkpoint::open(&note, key).map_err(|error| broken(&error.to_string()))?.size)
}

/// Shows the entries from `from` up to and without `size`.
async fn show(context: &Context, api: &Api, from: u64, size: u64) -> Result<(), Failure> {
    let mut index = from;
    while index < size {
        let first = index / WIDTH * WIDTH;
        let last = (first + WIDTH).min(size) - 1;
        let bundle = api.ledger_file(&Tile::ending_at(Content::Entries, last).to_string()).await?;
        let mut rest = bundle.as_slice();
        let mut at = first;
        while let Some((entry, tail)) = split_entry(rest) {
            if at >= index && at <= last {
                show_entry(context, at, entry)?;
            }
            (rest, at) = (tail, at + 1);
        }
        if at <= last {
            return Err(broken(&format!("entry {at} is not there")));
        }
        index = last + 1;
    }
    Ok(())
}

fn show_entry(context: &Context, index: u64, bytes: &[u8]) -> Result<(), Failure> {
    let unreadable = |error: String| broken(&format!("entry {index}: {error}"));
    if context.ui.json {
        let entry: Value = serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
        context.ui.object(&json!({ "index": index, "entry": entry }));
        return Ok(());
    }
    let event = entry::decode(bytes).map_err(|error| unreadable(error.to_string()))?;
    let who = event.actor.as_ref().map_or_else(|| "broker".to_owned(), |actor| actor.principal.to_string());
    let mut what = serde_json::to_value(&event.what).unwrap_or_default();
    let kind = what.as_object_mut().and_then(|members| members.remove("type"));
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or("?").to_owned();
    context.ui.line(&format!("{index} {:.3} {who} {kind} {}", event.at, members(&what)));
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

fn broken(what: &str) -> Failure {
    Failure::new(FailureKind::BadData, format!("the ledger cannot be read: {what}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const POLL: Duration = Duration::from_secs(2);
