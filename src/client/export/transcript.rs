//! A session as text, for people and for whoever searches it.
//!
//! Job: what was asked, what was said to it, what was shown, in the order of the recording. Boundary: nothing in it
//! steers a terminal; rows are lines with ` | ` between the cells. Failure mode: answers that cannot be read on
//! are an error.

use std::collections::HashMap;

use super::plain::{Plain, lines};
use super::results::Results;
use crate::client::playback::{Scene, Shown};
use crate::domain::event::VerdictWord;
use crate::domain::session::Session;
use crate::domain::text::line;
use crate::recording::item::{Head, Outcome, Statement};
use crate::wire::postgres::transcript::{Line, TranscriptError};

/// A transcript that is being written.
#[derive(Debug, Default)]
pub struct Script {
    results: Results,
    shown: HashMap<(u64, u8), Plain>,
    /// Whether the last line has its end.
    is_open: bool,
}

impl Script {
    /// Says whose session it is.
    pub fn begin(&self, session: &Session, out: &mut Vec<u8>) {
        let Session { id, principal, display, target, client_address, client_host, opened, .. } = session;
        let who = line(&format!("{display} ({principal}), from {client_address} ({client_host})"));
        out.extend_from_slice(format!("{id} on {target}, opened {opened}\n{who}\n").as_bytes());
    }

    /// A connection begins.
    pub fn connection(&mut self, number: u32, out: &mut Vec<u8>) {
        *self = Self { is_open: self.is_open, ..Self::default() };
        self.say(&format!("\n-- connection {number}"), out);
    }

    /// Takes the next scene.
    ///
    /// # Errors
    /// [`TranscriptError`].
    pub fn take(&mut self, scene: &Scene, out: &mut Vec<u8>) -> Result<(), TranscriptError> {
        let at = scene.at;
        match &scene.what {
            Shown::Answer(bytes) => self.answer(bytes, out)?,
            Shown::Body(piece) | Shown::Screen(piece) => {
                if self.shown.len() >= MOST {
                    self.shown.clear();
                }
                let text = self.shown.entry((piece.number, piece.stream)).or_default().feed(&piece.bytes);
                out.extend_from_slice(text.as_bytes());
                self.is_open = if text.is_empty() { self.is_open } else { !text.ends_with('\n') };
            }
            Shown::Cut(answer) => {
                self.answer(answer, out)?;
                self.say("[the recording ends in the middle of an item]", out);
            }
            Shown::Head(Head { line: first, headers, .. }) => {
                self.say(&line(first), out);
                headers.iter().for_each(|(name, value)| self.say(&line(&format!("{name}: {value}")), out));
                self.say("", out);
            }
            Shown::Outcome(Outcome { number, tag, error, .. }) => {
                self.shown.retain(|(of, _), _| of != number);
                let how = match (error, tag) {
                    (Some(error), _) => format!("failed: {}", line(error)),
                    (None, Some(tag)) => format!("ended: {}", line(tag)),
                    (None, None) => "ended".into(),
                };
                self.say(&format!("[{at:.3}] {number} {how}"), out);
            }
            Shown::Resize(resize) => {
                let (columns, rows) = (resize.columns, resize.rows);
                self.say(&format!("[the terminal has {columns} columns and {rows} rows]"), out);
            }
            Shown::Statement(statement) => self.statement(at, statement, out),
            Shown::TooLong(what, length) => {
                self.say(&format!("[the {what} is too large to be shown: {length} bytes]"), out);
            }
        }
        Ok(())
    }

    fn statement(&mut self, at: jiff::Timestamp, statement: &Statement, out: &mut Vec<u8>) {
        let verdict = match statement.verdict {
            VerdictWord::Allow => "allowed",
            VerdictWord::Deny => "denied",
            VerdictWord::Hold => "held",
        };
        self.say(&format!("\n[{at:.3}] {}: {verdict} by {}", statement.number, statement.rule), out);
        self.say(&lines(&statement.text), out);
        for (number, value) in (1..).zip(&statement.parameters) {
            self.say(&format!("${number} = {}", lines(value.as_deref().unwrap_or("NULL"))), out);
        }
        if let Some(sent) = &statement.sent {
            self.say(&format!("sent as: {}", lines(sent)), out);
        }
    }

    fn answer(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), TranscriptError> {
        self.results.feed(bytes);
        while let Some(told) = self.results.poll()? {
            if let Some(begun) = told.begins {
                self.say(&format!("-- result {}", begun.number), out);
                self.say(&line(&begun.columns.join(" | ")), out);
            }
            let is_heading = matches!(told.line, Line::Columns(_));
            // no cell looks like a line of ours
            if let Some(text) = told.line.text().filter(|_| !is_heading) {
                self.say(&line(text.trim_end_matches('\n')), out);
            }
        }
        Ok(())
    }

    fn say(&mut self, text: &str, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.is_open) {
            out.push(b'\n');
        }
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }
}

/// A deed that goes on without end may have any number of streams only in a recording that was forged.
const MOST: usize = 1024;
