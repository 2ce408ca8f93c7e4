//! The old scp protocol, inspected: what `scp -t` and `scp -f` speak on their standard input and
//! output.
//!
//! Job: stand between the side that has the files and the side that gets them; turn each file and
//! directory into a question, hold its line until it is answered, and let its contents pass. Boundary:
//! bytes in; bytes, questions and events out; what was asked of `scp` is a [`Command`], whose
//! [`line`](Command::line) is what the host must be made to run, so that names are not read by a shell
//! a second time. Failure mode: a file that is refused, or whose name nobody asked for, is skipped in the
//! protocol's own way (`\x01` and a message); a stream that cannot be followed is a [`Fault`].
//!
//! Order of calls: [`handle_client`](Inspector::handle_client) and
//! [`handle_upstream`](Inspector::handle_upstream) with what each side sent, and again with the rest of their
//! input whenever something else was called; [`poll_question`](Inspector::poll_question) and
//! [`handle_answer`](Inspector::handle_answer); [`poll_event`](Inspector::poll_event); write both outputs.
//!
//! The sides take turns: what one sends before the other has answered stays in its input. So neither
//! can slip a line past a question.

mod command;
mod line;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::{BufMut as _, BytesMut};
use thiserror::Error;

pub use command::{Command, CommandError, Direction};
pub use line::{Line, LineError};

use super::path::{RemotePath, shown};
use super::refusal::Refusal;
use crate::domain::facts::{FileFacts, FileOperation};

/// The machine between a client and the host's `scp`.
#[derive(Debug)]
pub struct Inspector {
    command: Command,
    state: State,
    /// The directory that each level stands for; where it cannot be told which of two, both.
    levels: Vec<Vec<RemotePath>>,
    /// The sources that have not come (download).
    expected: VecDeque<RemotePath>,
    /// Times that wait for the file that they belong to.
    times: Option<Line>,
    /// What the line that is being judged, or was sent, stands for.
    entering: Vec<RemotePath>,
    asks: VecDeque<FileFacts>,
    question: Option<Question>,
    open: Option<QuestionId>,
    last_question: u64,
    asked: Vec<Question>,
    /// How much of the file has passed.
    passed: u64,
    events: VecDeque<Event>,
    to_client: BytesMut,
    to_host: BytesMut,
}

impl Inspector {
    /// A channel on which nobody has said anything, with the command that was judged.
    #[must_use]
    pub fn new(command: Command) -> Self {
        let expected = match command.direction() {
            Direction::Download => command.paths().iter().cloned().collect(),
            Direction::Upload => VecDeque::new(),
        };
        Self {
            command,
            state: State::ExpectReady,
            levels: Vec::new(),
            expected,
            times: None,
            entering: Vec::new(),
            asks: VecDeque::new(),
            question: None,
            open: None,
            last_question: 0,
            asked: Vec::new(),
            passed: 0,
            events: VecDeque::new(),
            to_client: BytesMut::new(),
            to_host: BytesMut::new(),
        }
    }

    /// Takes what the client sent, as far as it is its turn.
    ///
    /// # Errors
    /// [`Fault`]: the client's. End the channel.
    pub fn handle_client(&mut self, input: &mut BytesMut) -> Result<(), Fault> {
        match self.command.direction() {
            Direction::Download => self.handle_sink(input),
            Direction::Upload => self.handle_source(input),
        }
    }

    /// Takes what the host sent, as far as it is its turn.
    ///
    /// # Errors
    /// [`Fault`]: the host's. End the channel.
    pub fn handle_upstream(&mut self, input: &mut BytesMut) -> Result<(), Fault> {
        match self.command.direction() {
            Direction::Download => self.handle_source(input),
            Direction::Upload => self.handle_sink(input),
        }
    }

    /// The open question, once.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.question.take()
    }

    /// Answers the open question. An answer to another does nothing.
    pub fn handle_answer(&mut self, id: QuestionId, answer: &Answer) {
        if self.open != Some(id) {
            return;
        }
        self.open = None;
        match answer {
            Answer::Forward => self.ask(),
            Answer::Refuse(refusal) => self.skip(&refusal.to_string()),
        }
    }

    /// What was seen, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes for the client. The driver drains it.
    pub fn client_output(&mut self) -> &mut BytesMut {
        &mut self.to_client
    }

    /// Bytes for the host. The driver drains it.
    pub fn upstream_output(&mut self) -> &mut BytesMut {
        &mut self.to_host
    }

    /// The side with the files: lines, contents, and a byte that ends them.
    fn handle_source(&mut self, input: &mut BytesMut) -> Result<(), Fault> {
        while !input.is_empty() && self.sink_output().len() < OUTPUT_CAP {
            match &mut self.state {
                State::ExpectLine => {
                    let Some(line) = line::take(input)? else { break };
                    self.take_line(Line::parse(&line)?)?;
                }
                State::Contents { left } => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    let passed = u64::try_from(count).unwrap_or_default();
                    *left -= passed;
                    self.passed = self.passed.saturating_add(passed);
                    if *left == 0 {
                        self.state = State::ExpectEnd;
                    }
                    let piece = input.split_to(count);
                    self.sink_output().unsplit(piece);
                }
                State::ExpectEnd => {
                    // a zero, or what went wrong while reading
                    let Some(end) = line::take_reply(input)? else { break };
                    self.sink_output().put_slice(&end);
                    self.state = if end.first() == Some(&FATAL) { State::Over } else { State::ExpectDone };
                }
                State::Over => return Err(Fault::AfterTheEnd),
                // it is not this side's turn
                _ => break,
            }
        }
        Ok(())
    }

    /// The side that gets the files: it answers.
    fn handle_sink(&mut self, input: &mut BytesMut) -> Result<(), Fault> {
        while self.state.is_sinks_turn() {
            let Some(reply) = line::take_reply(input)? else { break };
            let good = reply.first() == Some(&0);
            match std::mem::replace(&mut self.state, State::ExpectLine) {
                State::ExpectTimes(line) if good => {
                    // the source was told already
                    self.send(line);
                    continue;
                }
                State::ExpectReply(Line::File { size: 0, .. }) if good => self.state = State::ExpectEnd,
                State::ExpectReply(Line::File { size, .. }) if good => {
                    self.state = State::Contents { left: size };
                }
                State::ExpectReply(Line::Directory { .. }) if good => {
                    self.report(true);
                    self.levels.push(std::mem::take(&mut self.entering));
                }
                State::ExpectReply(Line::Leave) | State::ExpectReady => {}
                _ => self.report(good),
            }
            if reply.first() == Some(&FATAL) {
                self.state = State::Over;
            }
            self.source_output().put_slice(&reply);
        }
        if self.state == State::Over && !input.is_empty() {
            return Err(Fault::AfterTheEnd);
        }
        Ok(())
    }

    fn take_line(&mut self, line: Line) -> Result<(), Fault> {
        match line {
            Line::Warning(_) | Line::Fatal(_) => {
                if matches!(line, Line::Fatal(_)) {
                    self.state = State::Over;
                }
                line.put(self.sink_output());
            }
            Line::Times { .. } => {
                // whose times they are comes next; the source waits for an answer before it says so
                self.times = Some(line);
                self.source_output().put_u8(0);
            }
            Line::Leave => {
                self.levels.pop().ok_or(Fault::Leave)?;
                self.times = None;
                self.send(line);
            }
            Line::Directory { .. } | Line::File { .. } => {
                if self.levels.len() >= DEEPEST {
                    return Err(Fault::TooDeep);
                }
                self.judge(line);
            }
        }
        Ok(())
    }

    fn judge(&mut self, line: Line) {
        let (Line::Directory { mode, name } | Line::File { mode, name, .. }) = &line else { return };
        let is_directory = matches!(line, Line::Directory { .. });
        let shown_name = shown(name);
        self.entering = match self.places(name, is_directory) {
            Ok(places) => places,
            Err(reason) => {
                let reason = format!("hoopctl: `{shown_name}` {reason}");
                self.skip(&reason);
                self.events.push_back(Event::Refused { name: shown_name, reason });
                return;
            }
        };
        let mut operations = vec![match (self.command.direction(), is_directory) {
            (Direction::Download, false) => FileOperation::Read,
            (Direction::Download, true) => FileOperation::List,
            (Direction::Upload, false) => FileOperation::Write,
            (Direction::Upload, true) => FileOperation::MakeDirectory,
        }];
        let special = self.times.is_some() || mode & 0o7000 != 0;
        if special && self.command.direction() == Direction::Upload {
            operations.push(FileOperation::Attributes);
        }
        for operation in operations {
            for place in &self.entering {
                self.asks.push_back(FileFacts { operation, path: place.shown(), to: None });
            }
        }
        self.state = State::Asking(line);
        self.ask();
    }

    /// What a name stands for.
    fn places(&mut self, name: &[u8], is_directory: bool) -> Result<Vec<RemotePath>, &'static str> {
        if is_directory && !self.command.is_recursive() {
            return Err("is a directory, and nobody asked for one");
        }
        // INVARIANT: a name never leaves the directory that was judged
        if matches!(name, b"" | b"." | b"..")
            || name.iter().any(|byte| *byte == b'/' || *byte < b' ' || *byte == 127)
        {
            return Err("is no name for a file");
        }
        let below = |places: &[RemotePath]| {
            places.iter().map(|place| place.resolve(name)).collect::<Result<Vec<_>, _>>()
        };
        let places = match (self.levels.last(), self.command.direction()) {
            (Some(level), _) => below(level),
            (None, Direction::Download) => {
                let found = self.expected.iter().position(|path| path.name() == Some(name));
                let path = found.and_then(|at| self.expected.drain(..=at).next_back());
                return path.map(|path| vec![path]).ok_or("was not asked for");
            }
            (None, Direction::Upload) => below(self.command.paths()).map(|mut places| {
                if !self.command.is_directory() {
                    // the host knows whether the target is a directory or the file itself
                    places.extend_from_slice(self.command.paths());
                }
                places
            }),
        };
        places.map_err(|_| "makes a path that is too long")
    }

    /// Asks what is left to ask; then sends.
    fn ask(&mut self) {
        if let Some(facts) = self.asks.pop_front() {
            self.last_question += 1;
            let question = Question { id: QuestionId(self.last_question), facts };
            self.open = Some(question.id);
            self.asked.push(question.clone());
            self.question = Some(question);
            return;
        }
        let State::Asking(line) = std::mem::replace(&mut self.state, State::ExpectLine) else { return };
        match self.times.take() {
            Some(times) => {
                times.put(self.sink_output());
                self.state = State::ExpectTimes(line);
            }
            None => self.send(line),
        }
    }

    // INVARIANT: only called with what was judged
    fn send(&mut self, line: Line) {
        line.put(self.sink_output());
        self.state = State::ExpectReply(line);
    }

    /// Does as if the sink would not have the file, and as if the source had said so.
    fn skip(&mut self, reason: &str) {
        self.times = None;
        self.asks.clear();
        self.asked.clear();
        self.entering.clear();
        self.state = State::ExpectLine;
        let warning = Line::Warning(reason.as_bytes().to_vec());
        warning.put(self.source_output());
        if self.command.direction() == Direction::Download {
            // or the client would not know
            warning.put(self.sink_output());
        }
    }

    fn report(&mut self, good: bool) {
        let (asked, bytes) = (std::mem::take(&mut self.asked), std::mem::take(&mut self.passed));
        if !asked.is_empty() {
            self.events.push_back(Event::Finished { asked, bytes, good });
        }
    }

    fn sink_output(&mut self) -> &mut BytesMut {
        match self.command.direction() {
            Direction::Download => &mut self.to_client,
            Direction::Upload => &mut self.to_host,
        }
    }

    fn source_output(&mut self) -> &mut BytesMut {
        match self.command.direction() {
            Direction::Download => &mut self.to_host,
            Direction::Upload => &mut self.to_client,
        }
    }
}

/// Counts the questions of a channel, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// May this file or directory pass? One may have several questions, one after the other; all must be
/// allowed: where only the host knows whether the target is a directory, both paths are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its number.
    pub id: QuestionId,
    /// What would happen.
    pub facts: FileFacts,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It may.
    Forward,
    /// It may not. Both sides are told as the protocol tells them, and go on with the next file.
    Refuse(Refusal),
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A file has passed, or a directory was entered.
    Finished {
        /// What was asked.
        asked: Vec<Question>,
        /// How many bytes of it have passed.
        bytes: u64,
        /// Whether the side that gets it says that all went well.
        good: bool,
    },
    /// A file was refused without a question: its name cannot be, or was not asked for.
    Refused {
        /// Its name.
        name: String,
        /// What was told.
        reason: String,
    },
}

/// One side broke the protocol: the one whose bytes were handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// It goes on after it, or the other, has given up.
    #[error("scp goes on after its end")]
    AfterTheEnd,
    /// It leaves a directory that it never entered.
    #[error("scp leaves a directory that it has not entered")]
    Leave,
    /// A line cannot be read.
    #[error("scp sent {0}")]
    Line(#[from] LineError),
    /// The tree is too deep.
    #[error("scp sent more than {DEEPEST} directories inside each other")]
    TooDeep,
}

/// Whose turn it is. The source has the files, the sink gets them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Nobody's: a question is open.
    Asking(Line),
    Contents {
        left: u64,
    },
    /// The sink's, after contents.
    ExpectDone,
    ExpectEnd,
    ExpectLine,
    /// The sink's, before anything.
    ExpectReady,
    /// The sink's, after a line.
    ExpectReply(Line),
    /// The sink's, after times that belong to this line.
    ExpectTimes(Line),
    Over,
}

impl State {
    fn is_sinks_turn(&self) -> bool {
        matches!(self, Self::ExpectDone | Self::ExpectReady | Self::ExpectReply(_) | Self::ExpectTimes(_))
    }
}

/// The first byte of a message after which nothing comes.
const FATAL: u8 = 2;

const DEEPEST: usize = 256;

/// How many bytes may wait in an output before its input is left alone.
const OUTPUT_CAP: usize = 256 * 1024;
