//! What people and programs see.
//!
//! Job: results to standard output, talk to standard error, and nothing else anywhere. Rules: JSON
//! objects carry `version`; colour and spinners only on a terminal, and never with NO_COLOR or TERM=dumb;
//! whatever comes from elsewhere is stripped of control characters, so that no text can steer the
//! terminal. Failure mode: an output that is closed ends the talk silently.

pub mod harmless;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use comfy_table::{ColumnConstraint, ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use super::failure::Failure;

/// Standard output and standard error.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    /// Whether results are JSON.
    pub json: bool,
    /// Whether talk may have colour.
    pub color: bool,
}

impl Ui {
    /// Output as the user wants it.
    #[must_use]
    pub fn new(json: bool, plain: bool) -> Self {
        Self { json, color: !plain && io::stderr().is_terminal() }
    }

    /// Writes one line of result.
    pub fn line(&self, text: &str) {
        self.raw(format!("{}\n", clean(text)).as_bytes());
    }

    /// Writes a result as it is, byte for byte.
    pub fn raw(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
            UNHEARD.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nobody reads the results any more (`| head -1`): what goes on for ever ends then.
    #[must_use]
    pub fn is_unheard(&self) -> bool {
        UNHEARD.load(Ordering::Relaxed)
    }

    /// Writes a JSON object in one line, with the version of its form.
    pub fn object(&self, value: &impl Serialize) {
        self.raw(versioned(value).as_bytes());
    }

    /// Says something to the person.
    pub fn talk(&self, text: &str) {
        drop(writeln!(io::stderr().lock(), "{}", clean(text)));
    }

    /// Says what went wrong, and what to do; to programs in one line of JSON.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            drop(io::stderr().lock().write_all(versioned(&failure.document()).as_bytes()));
            return;
        }
        let (message, hints) = (failure.message(), failure.hints());
        let (red, dim, off) = if self.color { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
        let mut err = io::stderr().lock();
        drop(writeln!(err, "{red}error:{off} {}", clean(message)));
        for hint in hints {
            drop(writeln!(err, "{dim}hint:{off} {}", clean(hint)));
        }
    }

    /// Warns.
    pub fn warning(&self, message: &str) {
        let (yellow, off) = if self.color { ("\x1b[1;33m", "\x1b[0m") } else { ("", "") };
        drop(writeln!(io::stderr().lock(), "{yellow}warning:{off} {}", clean(message)));
    }

    /// Writes a table for people; nothing but the header when there are no rows.
    pub fn table(&self, header: &[&str], rows: Vec<Vec<String>>) {
        self.line(&table(header, rows, None, None));
    }

    /// Shows that something is being waited for, while the returned value lives.
    #[must_use]
    pub fn wait(&self, what: &str) -> Waiting {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // a spinner is drawn with the same codes as colour is
        if !self.color {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.set_message(clean(what));
        bar.enable_steady_tick(Duration::from_millis(120));
        Waiting(bar)
    }

    /// Whether there is a person to ask.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks for one line; `None` when it is empty or there is none.
    #[must_use]
    pub fn ask(&self, question: &str) -> Option<String> {
        let mut err = io::stderr().lock();
        drop(write!(err, "{} ", clean(question)).and_then(|()| err.flush()));
        drop(err);
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).ok()?;
        let answer = answer.trim();
        (!answer.is_empty()).then(|| answer.to_owned())
    }

    /// Rings the bell of a terminal, if there is one.
    pub fn bell(&self) {
        let mut err = io::stderr().lock();
        if err.is_terminal() {
            drop(err.write_all(b"\x07").and_then(|()| err.flush()));
        }
    }

    /// Asks a question that must be answered with `yes`.
    #[must_use]
    pub fn asks_yes(&self, question: &str) -> bool {
        self.ask(question).is_some_and(|answer| answer.eq_ignore_ascii_case("yes"))
    }
}

/// Shows that something is being waited for, until it is dropped.
#[derive(Debug)]
pub struct Waiting(ProgressBar);

impl Waiting {
    /// Shows nothing.
    #[must_use]
    pub fn unseen() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Changes what it says.
    pub fn say(&self, what: &str) {
        self.0.set_message(clean(what));
    }

    /// Whether anybody sees it.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        !self.0.is_hidden()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// An object in one line, with the version of its form, which no member can replace.
fn versioned(value: &impl Serialize) -> String {
    let members = match serde_json::to_value(value) {
        Ok(Value::Object(members)) => members,
        Ok(other) => serde_json::Map::from_iter([("value".to_owned(), other)]),
        Err(error) => serde_json::Map::from_iter([("error".to_owned(), json!(error.to_string()))]),
    };
    let mut all = serde_json::Map::from_iter([("version".to_owned(), json!(VERSION))]);
    all.extend(members.into_iter().filter(|(name, _)| name != "version"));
    format!("{}\n", Value::Object(all))
}

/// A table as text, at most `width` wide, else as wide as the terminal. The first column, where ids
/// stand, is never broken; with `gives`, only that column is.
#[must_use]
pub fn table(header: &[&str], rows: Vec<Vec<String>>, gives: Option<usize>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        if place == 0 || gives.is_some_and(|gives| gives != place) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Text without anything that could steer a terminal; line breaks and tabs stay.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// The version of every object (docs/reference/json.md says when it changes).
pub const VERSION: u64 = 1;

/// Set when standard output was found closed.
static UNHEARD: AtomicBool = AtomicBool::new(false);
