//! `hoopctl audit tail`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::fetch::Ledger;
use crate::cli::args::Tail;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::client::ledger::memory::Memory;
use crate::client::ledger::{Head, LedgerError};
use crate::domain::event::Event;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::{Prover, bundle, entries, proven};
use crate::ledger::tile::{CHECKPOINT, KEY, WIDTH};
use crate::ledger::verify::{Broken, Files as _, FilesError, Reason, VerifyError};

/// Shows the last entries, and goes on if asked to.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(context: &Context, args: &Tail) -> Result<u8, Failure> {
    let api = context.api().await?;
    let before = api.memory().read()?;
    let named = super::named_key(args.key.as_ref())?;
    let key = match (&before, named) {
        (Some(before), Some(named)) if before.key != named => return Err(LedgerError::NamedKey.into()),
        (Some(before), _) => before.key.clone(),
        (None, Some(named)) => named,
        (None, None) => {
            let key = super::verifier(&String::from_utf8_lossy(&api.ledger_file(KEY).await?))?;
            context.ui.talk(super::OWN_WORD);
            key
        }
    };
    let ledger = Ledger::new(&api, &Handle::current());
    let (lines, ui) = (args.lines, context.ui);
    let mut reader = Reader { ui, ledger, memory: api.memory().clone(), key, head: None };
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
    ledger: Ledger,
    memory: Memory,
    key: VerifierKey,
    /// The head up to which entries were shown.
    head: Option<Checkpoint>,
}

impl Reader {
    /// Shows the last entries, or those that came since.
    ///
    /// INVARIANT: no entry is printed that is not proven under a head that the key has signed, and
    /// that extends the one before and the one that is remembered.
    fn show(mut self, last: Option<u64>) -> Result<Self, Failure> {
        let remembered = self.memory.read()?;
        let shown = self.head()?;
        let head = *shown.checkpoint();
        let from = match (last, &self.head) {
            (Some(count), _) => head.size.saturating_sub(count),
            (None, before) => before.map_or(0, |before| before.size),
        };
        let prover = Prover::new(&self.ledger, head.size);
        if let Some(before) = &self.head {
            prover.continues(before, &head)?;
        }
        super::remember(&self.memory, remembered, &shown, &self.ledger)?;
        let mut index = from;
        while index < head.size {
            let next = (index / WIDTH + 1).saturating_mul(WIDTH).min(head.size);
            let bundle = self.read(index, &head)?;
            let mut found = entries(&bundle, index).filter(|(at, _)| (index..next).contains(at));
            for at in index..next {
                let missing = || Broken { index: Some(at), reason: Reason::Missing };
                let (_, bytes) = found.next().ok_or_else(missing)?;
                let proof = prover.inclusion(at).map_err(VerifyError::from)?;
                let unproven = || Broken { index: Some(at), reason: Reason::Unproven };
                let event = proven(at, bytes, &proof.ok_or_else(unproven)?, &head)?;
                show_entry(self.ui, at, bytes, &event)?;
            }
            index = next;
        }
        self.head = Some(head);
        Ok(self)
    }

    fn head(&self) -> Result<Head, Failure> {
        let note = self.ledger.read(CHECKPOINT).map_err(VerifyError::from)?;
        let note = note.ok_or(Broken { index: None, reason: Reason::CheckpointMissing })?;
        Ok(Head::open(&self.key, &note)?)
    }

    fn read(&self, index: u64, head: &Checkpoint) -> Result<Vec<u8>, Failure> {
        let read: Result<_, FilesError> = bundle(&self.ledger, index, head.size);
        let read = read.map_err(VerifyError::from)?;
        Ok(read.ok_or(Broken { index: Some(index), reason: Reason::Missing })?)
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

const POLL: Duration = Duration::from_secs(2);
