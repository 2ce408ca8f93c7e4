//! `hoopctl session replay`: what a session asked and was shown, with its timing.

use std::collections::HashMap;
use std::io::IsTerminal as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::args::Replay;
use crate::cli::commands::audit::named_key;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::client::playback::{Piece, Playback, Scene, Shown};
use crate::client::screen::{self, Screen};
use crate::domain::event::VerdictWord;
use crate::recording::item::{Head, Outcome, Resize, Statement};
use crate::recording::replay::Speed;
use crate::wire::postgres::transcript::{Line, Transcript};

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
    let playback = Playback::open(&api, &id, key.as_ref()).await?;
    let ui = context.ui;
    if !ui.json {
        let (session, count) = (playback.session(), playback.connections());
        ui.line(&format!(
            "{} on {}, {} connection{}",
            session.display,
            session.target,
            count,
            if count == 1 { "" } else { "s" }
        ));
    }
    for connection in 1..=playback.connections() {
        let player = Player { ui, connection, transcript: Transcript::default(), screens: HashMap::new() };
        player.play(&playback, speed).await?;
    }
    if let Some(words) = playback.last_words()? {
        ui.talk(&words);
    }
    Ok(0)
}

struct Player {
    ui: Ui,
    connection: u32,
    transcript: Transcript,
    /// What each deed, on each of its streams, has shown of a terminal so far.
    screens: HashMap<(u64, u8), Screen>,
}

impl Player {
    async fn play(mut self, playback: &Playback, speed: Speed) -> Result<(), Failure> {
        if !self.ui.json {
            self.ui.line(&format!("\n-- connection {}", self.connection));
        }
        let mut reel = playback.play(self.connection, speed);
        while let Some(scene) = reel.next().await? {
            if self.ui.is_unheard() {
                break;
            }
            // what a program reads has its times in it
            if !self.ui.json {
                tokio::time::sleep(scene.wait).await;
            }
            self.show(scene)?;
        }
        self.clear(|_| true);
        Ok(())
    }

    fn show(&mut self, scene: Scene) -> Result<(), Failure> {
        let at = scene.at;
        match scene.what {
            Shown::Statement(statement) => self.statement(at, &statement),
            Shown::Outcome(outcome) => self.outcome(at, &outcome),
            Shown::Screen(piece) => self.screen(at, &piece),
            Shown::Resize(resize) => self.resize(at, &resize),
            Shown::Head(head) => self.head(at, &head),
            Shown::Body(piece) => self.piece(at, "body", &piece),
            Shown::Answer(bytes) => self.answers(at, &bytes)?,
            Shown::TooLong(what, length) if self.ui.json => {
                self.object(at, what, &json!({ "too_long": length }));
            }
            Shown::TooLong(what, length) => {
                self.ui.line(&format!("\n[the {what} is too large to be shown: {length} bytes]"));
            }
            Shown::Cut(answer) => {
                self.answers(at, &answer)?;
                self.ui.talk("the recording ends in the middle of an item");
            }
        }
        Ok(())
    }

    fn answers(&mut self, at: Timestamp, bytes: &[u8]) -> Result<(), Failure> {
        self.transcript.feed(bytes);
        loop {
            match self.transcript.poll_line() {
                Ok(Some(line)) => self.answer(at, line),
                Ok(None) => return Ok(()),
                Err(error) => return Err(Failure::new(FailureKind::BadData, error.to_string())),
            }
        }
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
    fn screen(&mut self, at: Timestamp, piece: &Piece) {
        if self.ui.json {
            return self.piece(at, "screen", piece);
        }
        let key = (piece.number, piece.stream);
        // a deed that goes on without end may have any number of streams only in a recording that was forged
        if self.screens.len() >= MOST_SCREENS && !self.screens.contains_key(&key) {
            self.screens.clear();
        }
        self.ui.raw(&self.screens.entry(key).or_default().feed(&piece.bytes));
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

    /// A piece of a stream.
    fn piece(&self, at: Timestamp, name: &str, piece: &Piece) {
        let text = String::from_utf8_lossy(&piece.bytes);
        if self.ui.json {
            let Piece { number, stream, .. } = piece;
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

    fn head(&self, at: Timestamp, head: &Head) {
        if self.ui.json {
            return self.object(at, "head", &json!(head));
        }
        self.ui.line(&head.line);
        head.headers.iter().for_each(|(name, value)| self.ui.line(&format!("{name}: {value}")));
    }

    fn answer(&self, at: Timestamp, line: Line) {
        if !self.ui.json {
            if let Some(text) = line.text() {
                self.ui.line(&text);
            }
            return;
        }
        let (name, value) = match line {
            Line::Columns(names) => ("columns", json!(names)),
            Line::Row(values) => ("row", json!(values)),
            Line::Completed(tag) => ("completed", json!(tag)),
            Line::CopyData(data) => ("copy", json!(data)),
            Line::Error(fields) => (
                "error",
                json!({ "sqlstate": fields.sqlstate, "message": fields.message, "hint": fields.hint }),
            ),
            Line::Notice(fields) => {
                ("notice", json!({ "sqlstate": fields.sqlstate, "message": fields.message }))
            }
            Line::Notification { channel, payload } => {
                ("notification", json!({ "channel": channel, "payload": payload }))
            }
            Line::Suspended => ("suspended", Value::Bool(true)),
            Line::TooLong(bytes) => ("message", json!({ "too_long": bytes })),
            Line::Ready(_) => return,
        };
        self.object(at, name, &value);
    }

    fn object(&self, at: Timestamp, name: &str, value: &Value) {
        self.ui.object(&json!({ "connection": self.connection, "at": at, name: value }));
    }
}

const MOST_SCREENS: usize = 1024;
