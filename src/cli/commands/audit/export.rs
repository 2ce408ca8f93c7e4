//! `hoopctl audit export`.

use std::ops::ControlFlow;

use jiff::Timestamp;
use serde_json::Value;

use super::proven::{self, Entry, Proven};
use crate::cli::args::{Entries, Export, ExportForm, Global, Moment};
use crate::cli::exit;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::client::export::{self, csv};
use crate::domain::event::{Event, What};
use crate::domain::name::{SessionId, TargetName};
use crate::gateway::clock::Clock;
use crate::ledger::ocsf::{self, Known, Subject};

/// Writes entries, each proven before.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(global: Global, ui: Ui, args: Export) -> Result<u8, Failure> {
    let chosen = Chosen::new(&args.entries, Clock::system().now())?;
    let (ledger, _) = proven::source(global, ui, args.dir, args.key).await?;
    super::blocking(move || write(ui, ledger, args.format, &chosen)).await
}

fn write(ui: Ui, mut ledger: Proven, form: ExportForm, chosen: &Chosen) -> Result<u8, Failure> {
    let range = ledger.advance()?;
    let (mut known, mut lines) = (Known::default(), Vec::new());
    if form == ExportForm::Csv {
        csv::record(&mut lines, COLUMNS.map(Some));
    }
    ledger.each(range, |Entry { index, bytes, event, .. }| {
        known.follow(event);
        if chosen.has(event, &known) {
            match form {
                ExportForm::Csv => row(&mut lines, index, bytes, event, &known),
                ExportForm::Ocsf => {
                    let event = ocsf::event(index, ledger.origin(), event, &known);
                    lines.extend_from_slice(export::harmless(&event.to_string()).as_bytes());
                    lines.push(b'\n');
                }
            }
        }
        if lines.len() >= AT_ONCE {
            ui.raw(&lines);
            lines.clear();
        }
        Ok(if ui.is_unheard() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if !lines.is_empty() {
        ui.raw(&lines);
    }
    Ok(if ui.is_unheard() { exit::UNHEARD } else { 0 })
}

/// Which entries are wanted.
struct Chosen {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    session: Option<SessionId>,
    target: Option<String>,
}

impl Chosen {
    fn new(entries: &Entries, now: Timestamp) -> Result<Self, Failure> {
        let time = |moment: Option<Moment>| match moment {
            None => Ok(None),
            Some(Moment::At(time)) => Ok(Some(time)),
            Some(Moment::Ago(long)) => now.checked_sub(long).map(Some).map_err(|error| {
                Failure::new(FailureKind::Usage, format!("there is no time so long ago: {error}"))
            }),
        };
        let session = entries.session.as_deref().map(crate::cli::commands::session::id).transpose()?;
        let target = entries.target.as_deref().map(TargetName::new).transpose().map_err(|error| {
            Failure::new(FailureKind::Usage, error.to_string()).hint("`hoopctl list` shows the targets")
        })?;
        let target = target.map(|target| target.as_str().to_owned());
        Ok(Self { from: time(entries.from)?, to: time(entries.to)?, session, target })
    }

    fn has(&self, event: &Event, known: &Known) -> bool {
        self.from.is_none_or(|from| event.at >= from)
            && self.to.is_none_or(|to| event.at < to)
            && self.session.as_ref().is_none_or(|session| known.session(&event.what) == Some(session))
            && self.target.as_deref().is_none_or(|target| known.target(&event.what) == Some(target))
    }
}

/// An entry as a record of the table.
fn row(out: &mut Vec<u8>, index: u64, bytes: &[u8], event: &Event, known: &Known) {
    let subject = Subject::of(&event.what);
    let entry: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let member = |name: &str| entry.pointer(&format!("/unmapped/{name}")).and_then(Value::as_str);
    let statement = match &event.what {
        What::DeedJudged { statement, .. }
        | What::StatementCapped { statement, .. }
        | What::StatementJudged { statement, .. } => Some(statement.to_string()),
        _ => None,
    };
    let actor = event.actor.as_ref();
    let (index, time) = (index.to_string(), event.at.to_string());
    let connection = subject.connection.map(|connection| connection.to_string());
    let all = entry.get("unmapped").map(Value::to_string);
    let cells: [Option<&str>; COLUMNS.len()] = [
        Some(&index),
        Some(&time),
        entry.get("type").and_then(Value::as_str),
        actor.map(|actor| actor.principal.provider.as_str()),
        actor.map(|actor| actor.principal.subject.as_str()),
        actor.and_then(|actor| actor.device.as_ref()).map(|device| device.as_str()),
        actor.map(|actor| actor.address.as_str()),
        actor.map(|actor| actor.host.as_str()),
        known.target(&event.what),
        known.session(&event.what).map(SessionId::as_str),
        connection.as_deref(),
        statement.as_deref(),
        member("verdict"),
        member("rule"),
        member("text"),
        all.as_deref(),
    ];
    csv::record(out, cells);
}

const COLUMNS: [&str; 16] = [
    "index",
    "time",
    "type",
    "provider",
    "user",
    "device",
    "address",
    "host",
    "target",
    "session",
    "connection",
    "statement",
    "verdict",
    "rule",
    "text",
    "entry",
];

/// How much is written at once, in bytes; it only saves calls to the system.
const AT_ONCE: usize = 1 << 16;
