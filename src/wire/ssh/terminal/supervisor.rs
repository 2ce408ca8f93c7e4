//! Collects what is typed into lines, and asks about each.

use std::collections::VecDeque;

use bytes::{Buf as _, BufMut as _, BytesMut};
use unicode_width::UnicodeWidthChar as _;

use crate::wire::ssh::refusal::Refusal;

/// A line discipline of ours, in front of the host's: nothing that is typed reaches the host before
/// its line is whole and answered.
///
/// It echoes what is typed and understands backspace, `^U`, `^W`, `^C`, `^D`, `^Z`, `^\` and Enter; other
/// controls and escape sequences (arrows, completion, history) are refused with a bell or passed over.
/// When a line is allowed, the echo is taken back before the line is sent, because the host
/// echoes it as its shell likes; a line that has wrapped may leave a trace. A pasted text of several
/// lines is several questions, sent in order; a refused line goes nowhere and those behind it are still asked.
///
/// Only for a channel with a terminal. On a channel without one, standard input is data: a byte 0x03 in it
/// is a byte, never `^C`. Whether there is one is the gateway's to know, which must not make a
/// `Supervisor` for a channel without `pty-req`.
///
/// Passwords: the host does not tell whether it echoes, so a password that is typed at a prompt would be
/// echoed and asked about as a line. [`conceal`](Self::conceal) is for a driver that knows better.
#[derive(Debug, Default)]
pub struct Supervisor {
    line: Vec<u8>,
    /// The bytes of a character that is not whole.
    partial: Vec<u8>,
    escape: Escape,
    after_return: bool,
    concealed: bool,
    waiting: VecDeque<Waiting>,
    last: u64,
    questions: VecDeque<Line>,
    to_client: BytesMut,
    to_host: BytesMut,
}

impl Supervisor {
    /// Nothing is typed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was typed, until too many lines wait.
    pub fn handle_client(&mut self, input: &mut BytesMut) {
        while self.wants_input() && !input.is_empty() {
            self.take(input.get_u8());
        }
    }

    /// Whether reading from the client makes sense now.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.waiting.len() < MOST_WAITING && self.to_client.len() < OUTPUT_CAP
    }

    /// The next line to be answered, once.
    pub fn poll_question(&mut self) -> Option<Line> {
        self.questions.pop_front()
    }

    /// Answers a line. An answer to one that does not wait does nothing.
    pub fn handle_answer(&mut self, id: LineId, answer: &Answer) {
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.line.id == id) else { return };
        if waiting.answer.is_none() {
            waiting.answer = Some(answer.clone());
        }
        while self.waiting.front().is_some_and(|first| first.answer.is_some()) {
            let Some(Waiting { line, answer, columns }) = self.waiting.pop_front() else { return };
            match answer {
                Some(Answer::Forward) => {
                    self.erase(columns);
                    // INVARIANT: the only line that is sent is one that was allowed
                    self.to_host.put_slice(line.text.as_bytes());
                    self.to_host.put_u8(b'\r');
                }
                Some(Answer::Refuse(refusal)) => {
                    self.to_client.put_slice(format!("\r\n{refusal}\r\n").as_bytes());
                }
                None => {}
            }
        }
    }

    /// While set, nothing is echoed, and lines are marked as concealed.
    pub fn conceal(&mut self, concealed: bool) {
        self.concealed = concealed;
    }

    /// Bytes for the client. The driver drains it.
    pub fn client_output(&mut self) -> &mut BytesMut {
        &mut self.to_client
    }

    /// Bytes for the host. The driver drains it.
    pub fn upstream_output(&mut self) -> &mut BytesMut {
        &mut self.to_host
    }

    fn take(&mut self, byte: u8) {
        if self.escape.swallows(byte) {
            return;
        }
        let after_return = std::mem::take(&mut self.after_return);
        if byte < 0x80 && !self.partial.is_empty() {
            self.partial.clear();
            self.bell();
        }
        match byte {
            b'\n' if after_return => {}
            b'\r' | b'\n' => {
                self.after_return = byte == b'\r';
                self.submit();
            }
            0x1b => self.escape = Escape::Begun,
            0x7f | 0x08 => self.rub(1),
            ERASE_LINE => self.rub(usize::MAX),
            ERASE_WORD => self.rub_word(),
            END if !self.line.is_empty() || !self.waiting.is_empty() => self.bell(),
            END => self.to_host.put_u8(END),
            INTERRUPT | SUSPEND | QUIT => {
                // what waits is given up with what is typed
                self.rub(usize::MAX);
                self.waiting.clear();
                self.questions.clear();
                self.to_host.put_u8(byte);
            }
            0x20..=0x7e => self.add(&[byte]),
            0x80.. => self.add_partial(byte),
            _ => self.bell(),
        }
    }

    fn add_partial(&mut self, byte: u8) {
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(text) if text.chars().all(|c| !c.is_control()) => {
                let whole = std::mem::take(&mut self.partial);
                self.add(&whole);
            }
            Err(error) if error.error_len().is_none() => {}
            _ => {
                self.partial.clear();
                self.bell();
            }
        }
    }

    fn add(&mut self, character: &[u8]) {
        if self.line.len() + character.len() > LONGEST_LINE {
            return self.bell();
        }
        self.line.extend_from_slice(character);
        if !self.concealed {
            self.to_client.put_slice(character);
        }
    }

    fn rub(&mut self, count: usize) {
        for _ in 0..count {
            let text = std::str::from_utf8(&self.line).unwrap_or_default();
            let Some(last) = text.chars().next_back() else { return };
            self.line.truncate(self.line.len() - last.len_utf8());
            if !self.concealed {
                self.erase(last.width().unwrap_or(0));
            }
        }
    }

    fn rub_word(&mut self) {
        while self.line.last() == Some(&b' ') {
            self.rub(1);
        }
        while self.line.last().is_some_and(|byte| *byte != b' ') {
            self.rub(1);
        }
    }

    fn erase(&mut self, columns: usize) {
        for _ in 0..columns {
            self.to_client.put_slice(b"\x08 \x08");
        }
    }

    fn submit(&mut self) {
        // only whole characters are ever added
        let text = String::from_utf8(std::mem::take(&mut self.line)).unwrap_or_default();
        let columns = text.chars().map(|c| c.width().unwrap_or(0)).sum();
        let columns = if self.concealed { 0 } else { columns };
        self.last += 1;
        let line = Line { id: LineId(self.last), text, concealed: self.concealed };
        self.questions.push_back(line.clone());
        self.waiting.push_back(Waiting { line, answer: None, columns });
    }

    fn bell(&mut self) {
        self.to_client.put_u8(0x07);
    }
}

/// Counts the lines of a channel, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(pub u64);

/// A whole line. May the host have it? An empty one may mean something to a program that asks.
///
/// It need not be a whole command: a backslash, an open quote or a here-document goes on in the
/// next line, and `!` stands for an earlier one. Whoever judges it has to deny what is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub id: LineId,
    /// The text, without its end and without controls.
    pub text: String,
    /// It was typed while nothing was echoed: do not record it.
    pub concealed: bool,
}

/// The answer to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Send it.
    Forward,
    /// Send nothing; the user is told.
    Refuse(Refusal),
}

#[derive(Debug)]
struct Waiting {
    line: Line,
    answer: Option<Answer>,
    /// How many columns its echo takes.
    columns: usize,
}

/// Where in an escape sequence from the keyboard the input is. They are passed over: arrows, function
/// keys, the marks around a paste.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Escape {
    Begun,
    Control,
    #[default]
    None,
    /// `ESC O`, and one byte more.
    Single,
}

impl Escape {
    fn swallows(&mut self, byte: u8) -> bool {
        let (next, swallowed) = match (*self, byte) {
            (Self::None, _) => return false,
            (Self::Begun, b'[') => (Self::Control, true),
            (Self::Begun, b'O') => (Self::Single, true),
            (Self::Control, 0x20..=0x3f) => (Self::Control, true),
            // a control ends the sequence, and counts
            (_, 0..=0x1f | 0x7f) => (Self::None, false),
            (Self::Begun | Self::Control | Self::Single, _) => (Self::None, true),
        };
        *self = next;
        swallowed
    }
}

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const ERASE_LINE: u8 = 0x15;
const ERASE_WORD: u8 = 0x17;
const SUSPEND: u8 = 0x1a;
const QUIT: u8 = 0x1c;

/// Linux's longest line of a terminal.
const LONGEST_LINE: usize = 4095;

/// How many lines may wait for an answer before the client has to.
const MOST_WAITING: usize = 64;

const OUTPUT_CAP: usize = 64 * 1024;
