//! `hoopctl session replay`: what a session asked and was shown, with its timing.

mod extent;
mod screen;

use std::collections::HashMap;
use std::io::IsTerminal as _;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::cli::args::Replay;
use crate::cli::commands::audit::named_key;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::client::api::Api;
use crate::client::ledger::Head;
use crate::domain::event::VerdictWord;
use crate::domain::name::{Digest, SessionId};
use crate::recording::item::{self, ItemKind, Outcome, Resize, Statement};
use crate::recording::replay::{Cursor, Item, Joined, Joiner, Speed};
use crate::wire::postgres::transcript::{Line, Transcript};
use extent::{Extent, known, patiently};
use screen::Screen;

/// Replays a session.
///
/// # Errors
/// [`Failure`]; a recording that is not what was entered is bad data.
pub(super) async fn run(context: &Context, args: &Replay) -> Result<u8, Failure> {
    let id = super::id(&args.session)?;
    let speed = Speed::new(args.speed).ok_or_else(|| {
        Failure::new(FailureKind::Usage, format!("`{}` is no speed: above 0, up to 1000000", args.speed))
    })?;
    let key = named_key(args.key.as_ref())?;
    let api = context.api().await?;
    let extent = Extent::read(&api, &id, key.as_ref()).await?;
    let ui = context.ui;
    if !ui.json {
        let (session, count) = (&extent.session, extent.connections.len());
        ui.line(&format!(
            "{} on {}, {} connection{}",
            session.display,
            session.target,
            count,
            if count == 1 { "" } else { "s" }
        ));
    }
    for stretch in &extent.connections {
        let player = Player {
            ui,
            connection: stretch.connection,
            transcript: Transcript::default(),
            joiner: Joiner::default(),
            screens: HashMap::new(),
        };
        player.play(&api, &extent.head, &id, stretch.chunks, speed).await?;
    }
    if let Some(words) = extent.last_words()? {
        ui.talk(&words);
    }
    Ok(0)
}

struct Player {
    ui: Ui,
    connection: u32,
    transcript: Transcript,
    /// A statement can be longer than what the cursor hands out at once.
    joiner: Joiner,
    /// What each deed, on each of its streams, has shown of a terminal so far.
    screens: HashMap<(u64, u8), Screen>,
}

impl Player {
    async fn play(
        mut self,
        api: &Api,
        head: &Head,
        id: &SessionId,
        chunks: u32,
        speed: Speed,
    ) -> Result<(), Failure> {
        if !self.ui.json {
            self.ui.line(&format!("\n-- connection {}", self.connection));
        }
        let mut cursor = Cursor::new(id.clone(), self.connection, speed);
        for number in 0..chunks {
            let bytes = self.chunk(api, head, id, number).await?;
            cursor.feed(&bytes).map_err(|error| Failure::new(FailureKind::BadData, error.to_string()))?;
            while let Some(item) = cursor.next_item() {
                if self.ui.is_unheard() {
                    break;
                }
                // what a program reads has its times in it
                if !self.ui.json {
                    tokio::time::sleep(item.wait).await;
                }
                self.take(item)?;
            }
        }
        let rest = cursor.finish();
        if rest.is_some() || self.joiner.has_begun() {
            // the rows that came are worth showing; half a statement cannot be read
            if let Some(item) = rest.filter(|item| item.kind == ItemKind::Answer) {
                self.show(&item)?;
            }
            self.ui.talk("the recording ends in the middle of an item");
        }
        self.clear(|_| true);
        Ok(())
    }

    /// A chunk's bytes, as the ledger holds them.
    ///
    /// INVARIANT: what is shown has the digest of an entry that is proven under the one head of this replay; the
    /// index's digests are the broker's word.
    async fn chunk(&self, api: &Api, head: &Head, id: &SessionId, number: u32) -> Result<Vec<u8>, Failure> {
        let connection = self.connection;
        let proof = known(patiently(|| api.chunk_proof(id, connection, number, head)).await)?;
        let missing = || {
            let message = format!("chunk {number} of connection {connection} is in no entry of the ledger");
            Failure::new(FailureKind::BadData, message)
        };
        let entered = head.chunk(&proof.ok_or_else(missing)?, id, connection, number)?;
        let bytes = known(api.chunk(id, connection, number).await)?;
        let missing = || {
            let index = entered.index;
            let message = format!(
                "chunk {number} of connection {connection}, which entry {index} of the ledger holds, is missing"
            );
            Failure::new(FailureKind::BadData, message).hint("type `hoopctl audit verify --recordings`")
        };
        let bytes = bytes.ok_or_else(missing)?;
        let same = u64::try_from(bytes.len()) == Ok(entered.bytes)
            && Digest::from_bytes(&Sha256::digest(&bytes).into()) == entered.digest;
        if same {
            return Ok(bytes);
        }
        let index = entered.index;
        let message = format!(
            "chunk {number} of connection {connection} is not what entry {index} of the ledger holds"
        );
        Err(Failure::new(FailureKind::BadData, message).hint("type `hoopctl audit verify --recordings`"))
    }

    fn take(&mut self, item: Item) -> Result<(), Failure> {
        match self.joiner.join(item) {
            Some(Joined::Item(item)) => return self.show(&item),
            Some(Joined::TooLong(item, length)) => {
                let what = match item.kind {
                    ItemKind::Statement => "statement",
                    ItemKind::Head => "head",
                    _ => "outcome",
                };
                if self.ui.json {
                    self.object(time(&item), what, &json!({ "too_long": length }));
                } else {
                    self.ui.line(&format!("\n[the {what} is too large to be shown: {length} bytes]"));
                }
            }
            None => {}
        }
        Ok(())
    }

    fn show(&mut self, item: &Item) -> Result<(), Failure> {
        let at = time(item);
        match item.kind {
            ItemKind::Statement => self.statement(at, &read::<Statement>(&item.bytes)?),
            ItemKind::Outcome => self.outcome(at, &read::<Outcome>(&item.bytes)?),
            ItemKind::Screen => self.screen(at, &item.bytes),
            ItemKind::Resize => self.resize(at, &read::<Resize>(&item.bytes)?),
            ItemKind::Head => self.head(at, &read::<item::Head>(&item.bytes)?),
            ItemKind::Body => self.piece(at, "body", &item.bytes),
            ItemKind::Answer => {
                self.transcript.feed(&item.bytes);
                loop {
                    match self.transcript.poll_line() {
                        Ok(Some(line)) => self.answer(at, line),
                        Ok(None) => break,
                        Err(error) => return Err(Failure::new(FailureKind::BadData, error.to_string())),
                    }
                }
            }
        }
        Ok(())
    }

    fn statement(&self, at: Timestamp, statement: &Statement) {
        if self.ui.json {
            return self.object(at, "statement", &json!(statement));
        }
        let verdict = match statement.verdict {
            VerdictWord::Allow => "allowed",
            VerdictWord::Deny => "denied",
            VerdictWord::Hold => "held",
        };
        self.ui.line(&format!("\n[{at:.3}] statement {}: {verdict} by {}", statement.number, statement.rule));
        self.ui.line(&statement.text);
        if !statement.parameters.is_empty() {
            let shown: Vec<String> = (1..)
                .zip(&statement.parameters)
                .map(|(number, value)| format!("${number} = {}", value.as_deref().unwrap_or("NULL")))
                .collect();
            self.ui.line(&format!("with {}", shown.join(", ")));
        }
        if let Some(sent) = &statement.sent {
            self.ui.line(&format!("sent as: {sent}"));
        }
    }

    /// Shows what a terminal showed, as it showed it.
    fn screen(&mut self, at: Timestamp, bytes: &[u8]) {
        if self.ui.json {
            return self.piece(at, "screen", bytes);
        }
        let Some((number, rest)) = bytes.split_first_chunk::<8>() else { return };
        let Some((stream, bytes)) = rest.split_first() else { return };
        let key = (u64::from_be_bytes(*number), *stream);
        // a deed that goes on without end may have any number of streams only in a recording that was forged
        if self.screens.len() >= MOST_SCREENS && !self.screens.contains_key(&key) {
            self.screens.clear();
        }
        self.ui.raw(&self.screens.entry(key).or_default().feed(bytes));
    }

    /// Leaves a terminal in order when these deeds have ended, however they left theirs; returns whether they had one.
    fn clear(&mut self, ended: impl Fn(u64) -> bool) -> bool {
        let before = self.screens.len();
        self.screens.retain(|(number, _), _| !ended(*number));
        let had = self.screens.len() < before;
        if had && std::io::stdout().is_terminal() {
            self.ui.raw(screen::RESET);
        }
        had
    }

    fn outcome(&mut self, at: Timestamp, outcome: &Outcome) {
        if self.ui.json {
            return self.object(at, "outcome", &json!(outcome));
        }
        if self.clear(|number| number == outcome.number) {
            let how = outcome.error.as_deref().or(outcome.tag.as_deref()).unwrap_or("ended");
            return self.ui.line(&format!("[{at:.3}] {}: {how}", outcome.number));
        }
        let rows = outcome.rows;
        let tag = outcome.tag.as_deref().map(|tag| format!(" ({tag})")).unwrap_or_default();
        match &outcome.error {
            Some(error) => self.ui.line(&format!("statement {} failed: {error}", outcome.number)),
            None => self.ui.line(&format!("statement {}: {rows} rows{tag}", outcome.number)),
        }
    }

    /// A piece of a stream: the deed's number, the stream, the bytes.
    fn piece(&self, at: Timestamp, name: &str, bytes: &[u8]) {
        let Some((number, rest)) = bytes.split_first_chunk::<8>() else { return };
        let Some((stream, bytes)) = rest.split_first() else { return };
        let text = String::from_utf8_lossy(bytes);
        if self.ui.json {
            let number = u64::from_be_bytes(*number);
            return self.object(at, name, &json!({ "number": number, "stream": stream, "text": text }));
        }
        self.ui.line(text.trim_end_matches(['\r', '\n']));
    }

    fn resize(&self, at: Timestamp, resize: &Resize) {
        if self.ui.json {
            return self.object(at, "resize", &json!(resize));
        }
        // in the middle of a screen it would be part of the picture
        if self.screens.keys().any(|(number, _)| *number == resize.number) {
            return;
        }
        self.ui.line(&format!("[the terminal has {} columns and {} rows]", resize.columns, resize.rows));
    }

    fn head(&self, at: Timestamp, head: &item::Head) {
        if self.ui.json {
            return self.object(at, "head", &json!(head));
        }
        self.ui.line(&head.line);
        head.headers.iter().for_each(|(name, value)| self.ui.line(&format!("{name}: {value}")));
    }

    fn answer(&self, at: Timestamp, line: Line) {
        let cell = |value: Option<String>| value.unwrap_or_else(|| "NULL".into());
        let (name, value, text) = match line {
            Line::Columns(names) => ("columns", json!(names), Some(names.join(" | "))),
            Line::Row(values) => {
                let value = json!(values);
                ("row", value, Some(values.into_iter().map(cell).collect::<Vec<_>>().join(" | ")))
            }
            Line::Completed(tag) => ("completed", json!(tag), Some(tag)),
            Line::CopyData(data) => ("copy", json!(data), Some(data)),
            Line::Error(fields) => {
                let value =
                    json!({ "sqlstate": fields.sqlstate, "message": fields.message, "hint": fields.hint });
                ("error", value, Some(format!("ERROR:  {}: {}", fields.sqlstate, fields.message)))
            }
            Line::Notice(fields) => {
                let value = json!({ "sqlstate": fields.sqlstate, "message": fields.message });
                ("notice", value, Some(format!("NOTICE:  {}", fields.message)))
            }
            Line::Notification { channel, payload } => {
                let text = format!("NOTIFY {channel}: {payload}");
                ("notification", json!({ "channel": channel, "payload": payload }), Some(text))
            }
            Line::Suspended => ("suspended", Value::Bool(true), None),
            Line::Ready(_) => return,
        };
        if self.ui.json {
            self.object(at, name, &value);
        } else if let Some(text) = text {
            self.ui.line(&text);
        }
    }

    fn object(&self, at: Timestamp, name: &str, value: &Value) {
        self.ui.object(&json!({ "connection": self.connection, "at": at, name: value }));
    }
}

const MOST_SCREENS: usize = 1024;

fn time(item: &Item) -> Timestamp {
    Timestamp::from_microsecond(item.at).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::new(FailureKind::BadData, format!("an item of the recording cannot be read: {error}"))
    })
}
