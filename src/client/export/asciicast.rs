//! Terminals as asciicast v2 (<https://docs.asciinema.org/manual/asciicast/v2/>).
//!
//! Job: a header and one event in a line, with the times of the recording; connections follow each other. Boundary:
//! what steers a terminal is left out as in a replay ([`Screen`]), whoever plays it. Failure mode: what is no
//! terminal's is not written; [`Cast::is_empty`] says that there was none.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::harmless;
use crate::client::playback::{Piece, Scene, Shown};
use crate::client::screen::{RESET, Screen};
use crate::domain::session::Session;

/// A cast that is being written.
#[derive(Debug)]
pub struct Cast {
    title: String,
    /// Nothing is written before there is something to see, since the header has the size.
    is_begun: bool,
    size: (u32, u32),
    now: Duration,
    /// What each deed, on each of its streams, has shown so far.
    shown: HashMap<(u64, u8), Display>,
    /// The deeds that have a terminal.
    terminals: HashSet<u64>,
}

#[derive(Debug, Default)]
struct Display {
    screen: Screen,
    /// Whether the last byte was a carriage return.
    returned: bool,
}

impl Cast {
    /// A cast of this session.
    #[must_use]
    pub fn new(session: &Session) -> Self {
        Self {
            title: format!("{} on {}", session.id, session.target),
            is_begun: false,
            size: USUAL,
            now: Duration::ZERO,
            shown: HashMap::new(),
            terminals: HashSet::new(),
        }
    }

    /// Whether nothing was shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.is_begun
    }

    /// Takes the next scene; what is written of it goes to `out`.
    pub fn take(&mut self, scene: &Scene, out: &mut Vec<u8>) {
        self.now = self.now.saturating_add(scene.wait);
        match &scene.what {
            Shown::Resize(resize) => {
                // a terminal that does not know its size says 0
                let known = |count: u32, usual| if count == 0 { usual } else { count.min(WIDEST) };
                self.size = (known(resize.columns, USUAL.0), known(resize.rows, USUAL.1));
                if self.terminals.len() < MOST {
                    self.terminals.insert(resize.number);
                }
                if self.is_begun {
                    let (columns, rows) = self.size;
                    self.event(out, "r", &format!("{columns}x{rows}"));
                }
            }
            Shown::Screen(piece) => {
                if !self.is_begun {
                    self.begin(scene, out);
                }
                let text = self.text(piece);
                self.event(out, "o", &text);
            }
            Shown::Outcome(outcome) => self.over(out, |number| number == outcome.number),
            _ => {}
        }
    }

    /// A connection is over, whatever was open on it.
    pub fn pause(&mut self, out: &mut Vec<u8>) {
        self.over(out, |_| true);
    }

    fn begin(&mut self, scene: &Scene, out: &mut Vec<u8>) {
        self.is_begun = true;
        // the cast begins with what it shows
        self.now = Duration::ZERO;
        let (width, height) = self.size;
        let header = json!({
            "version": 2,
            "width": width,
            "height": height,
            "timestamp": scene.at.as_second(),
            "title": self.title,
            "env": { "TERM": "xterm-256color" },
        });
        out.extend_from_slice(harmless(&header.to_string()).as_bytes());
        out.push(b'\n');
    }

    fn text(&mut self, piece: &Piece) -> String {
        let key = (piece.number, piece.stream);
        if self.shown.len() >= MOST && !self.shown.contains_key(&key) {
            self.shown.clear();
        }
        let has_terminal = self.terminals.contains(&piece.number);
        let display = self.shown.entry(key).or_default();
        let safe = display.screen.feed(&piece.bytes);
        if has_terminal {
            return String::from_utf8_lossy(&safe).into_owned();
        }
        // where there was no terminal, nothing has put the cursor back at the end of a line
        let mut lines = Vec::with_capacity(safe.len());
        for byte in safe {
            if byte == b'\n' && !display.returned {
                lines.push(b'\r');
            }
            display.returned = byte == b'\r';
            lines.push(byte);
        }
        String::from_utf8_lossy(&lines).into_owned()
    }

    /// Leaves the terminal in order for what comes next.
    fn over(&mut self, out: &mut Vec<u8>, ended: impl Fn(u64) -> bool) {
        let before = self.shown.len();
        self.shown.retain(|(number, _), _| !ended(*number));
        let had_terminal = self.terminals.iter().any(|number| ended(*number));
        self.terminals.retain(|number| !ended(*number));
        if self.shown.len() < before && had_terminal {
            self.event(out, "o", &String::from_utf8_lossy(RESET));
        }
    }

    fn event(&self, out: &mut Vec<u8>, code: &str, data: &str) {
        if data.is_empty() {
            return;
        }
        let (seconds, micros) = (self.now.as_secs(), self.now.subsec_micros());
        let data = Value::from(data).to_string();
        let line = format!("[{seconds}.{micros:06}, \"{code}\", {}]\n", harmless(&data));
        out.extend_from_slice(line.as_bytes());
    }
}

/// What a terminal has when nobody says.
const USUAL: (u32, u32) = (80, 24);
/// A terminal is not larger, whatever a recording says.
const WIDEST: u32 = 2000;
/// A deed that goes on without end may have any number of streams only in a recording that was forged.
const MOST: usize = 1024;

#[cfg(test)]
mod tests;
