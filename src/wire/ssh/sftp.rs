//! SFTP version 3 with OpenSSH's extensions, inspected.
//!
//! Job: stand between a client and the host's `sftp` subsystem; turn each request that acts into a
//! question about a path, hold it until it is answered, and let the data of what was allowed pass at
//! full speed. Boundary: bytes in; bytes, questions and events out. Failure mode: a request that
//! cannot be judged is answered with a STATUS and goes nowhere; a stream that cannot be followed is a
//! [`ClientFault`] or an [`UpstreamFault`], after which the machine must not be used again.
//!
//! Order of calls: [`handle_client`](Inspector::handle_client) with what the client sent and
//! [`handle_upstream`](Inspector::handle_upstream) with what the host sent, each when its
//! `wants_…_input` says so, again when an output was drained, and `handle_client` after `handle_upstream`,
//! because an answer can make room for what the client has sent already. After either:
//! [`poll_question`](Inspector::poll_question) until empty, [`poll_event`](Inspector::poll_event)
//! until empty, then write [`upstream_output`](Inspector::upstream_output) and
//! [`client_output`](Inspector::client_output). Any number of questions can be open, and they can be
//! answered in any order ([`handle_answer`](Inspector::handle_answer)); afterwards write the outputs
//! again. When the channel ends, [`finish`](Inspector::finish).
//!
//! What is forwarded is what was judged: a request with a path is written anew with the normalised
//! path; one with a handle goes as it came, except for its id, and for a READ's length when that is above
//! what one answer may hold. The client's ids are the client's affair: each request gets an id of ours
//! towards the host, so two requests with one id are two requests.
//!
//! Paths are lexical (see [`path`](crate::wire::ssh::path)). A link on the host leads where it leads:
//! whoever may open `/srv/link` reads what the host finds there. Policies that deny a tree should
//! therefore deny `symlink`, `link` and `rename` out of it and into what may be written, and the login
//! on the host should be one that cannot read it: that is the second lock.

mod client;
mod handles;
mod order;
mod packet;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::VecDeque;

use bytes::BytesMut;
use thiserror::Error;

pub use packet::{MAX_DATA, MAX_PACKET, Packet, PacketError};
pub use reply::Status;
pub use request::{Attributes, Request, RequestError};

use self::handles::{File, Handles};
use self::order::Order;
use self::upstream::Outstanding;
use super::path::RemotePath;
use super::refusal::Refusal;
use crate::domain::facts::FileFacts;
use crate::wire::buffer::ReadError;
use crate::wire::output::Output;

/// The machine between a client and the host's `sftp` subsystem.
#[derive(Debug)]
pub struct Inspector {
    options: Options,
    phase: Phase,
    /// The directory that relative paths start from, when the host has named one.
    start: Option<RemotePath>,
    /// Written by the client side and by answers.
    upstream: Output,
    /// Written by the upstream side, and by refusals.
    client: Output,
    /// What the host has not answered.
    outstanding: Outstanding,
    handles: Handles,
    order: Order,
    questions: VecDeque<Question>,
    last_question: u64,
    events: VecDeque<Event>,
}

impl Inspector {
    /// A channel on which nobody has said anything.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            phase: Phase::ExpectInit,
            start: None,
            upstream: Output::default(),
            client: Output::default(),
            outstanding: Outstanding::default(),
            handles: Handles::default(),
            order: Order::default(),
            questions: VecDeque::new(),
            last_question: 0,
            events: VecDeque::new(),
        }
    }

    /// Takes what the client sent. Consumes whole packets until something is full or input is short.
    ///
    /// # Errors
    /// [`ClientFault`]: end the channel.
    pub fn handle_client(&mut self, input: &mut BytesMut) -> Result<(), ClientFault> {
        while self.wants_client_input() {
            let Some(packet) = Packet::take(input)? else { break };
            self.take_request(packet)?;
        }
        Ok(())
    }

    /// Takes what the host sent. Consumes whole packets until the client's output is full or input is
    /// short.
    ///
    /// # Errors
    /// [`UpstreamFault`]: end the channel. What is in the client's output by then may be sent.
    pub fn handle_upstream(&mut self, input: &mut BytesMut) -> Result<(), UpstreamFault> {
        while self.wants_upstream_input() {
            let Some(packet) = Packet::take(input)? else { break };
            self.take_reply(packet)?;
        }
        Ok(())
    }

    /// The next question, once.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.questions.pop_front()
    }

    /// Answers a question. An answer to a question that is not open does nothing.
    pub fn handle_answer(&mut self, id: QuestionId, answer: &Answer) {
        self.take_answer(id, answer);
    }

    /// What was seen, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes for the host. The driver drains it.
    pub fn upstream_output(&mut self) -> &mut Output {
        &mut self.upstream
    }

    /// Bytes for the client. The driver drains it.
    pub fn client_output(&mut self) -> &mut Output {
        &mut self.client
    }

    /// Whether reading from the client makes sense now. It does not while too much is outstanding,
    /// waits for an answer, or waits to be written.
    #[must_use]
    pub fn wants_client_input(&self) -> bool {
        matches!(self.phase, Phase::ExpectInit | Phase::Open)
            && self.upstream.len() < self.options.output_cap
            && self.client.len() < self.options.output_cap
            && self.order.len() < self.options.waiting
            && self.order.bytes() < self.options.output_cap
            && self.outstanding.len() + self.order.len() < self.options.outstanding
    }

    /// Whether reading from the host makes sense now.
    #[must_use]
    pub fn wants_upstream_input(&self) -> bool {
        self.client.len() < self.options.output_cap
    }

    /// The channel is over: what was open is reported as events.
    pub fn finish(&mut self) {
        for asked in self.outstanding.drain() {
            self.events.push_back(Event::Unanswered { asked });
        }
        for file in self.handles.drain() {
            self.report_closed(file);
        }
    }

    fn report_closed(&mut self, file: File) {
        let File { path, asked, read, written, .. } = file;
        self.events.push_back(Event::Closed { asked, path: path.shown(), read, written });
    }
}

/// How a channel is to be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many requests may be on their way before the client has to wait. OpenSSH has 64 on their way,
    /// others some hundreds.
    pub outstanding: usize,
    /// How many requests may wait for an answer, or for one before them that does.
    pub waiting: usize,
    /// How many files and directories may be open at once.
    pub handles: usize,
    /// How many bytes may wait in each output, and in held requests, before input is left alone. One packet
    /// more can be there.
    pub output_cap: usize,
    /// Which of a SYMLINK's two paths is the link.
    pub symlink: SymlinkOrder,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            outstanding: 1024,
            waiting: 64,
            handles: 1024,
            output_cap: 1024 * 1024,
            symlink: SymlinkOrder::TargetFirst,
        }
    }
}

/// Which of a SYMLINK's two paths is the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymlinkOrder {
    /// As the draft has it.
    LinkFirst,
    /// As OpenSSH has it, by mistake and for good, and nearly everybody after it.
    TargetFirst,
}

/// Counts the questions of a channel, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// May this go to the host? A request that does several things has several questions, one after the
/// other; all must be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its number.
    pub id: QuestionId,
    /// What the request does.
    pub facts: FileFacts,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It may.
    Forward,
    /// It may not. The client gets `SSH_FX_PERMISSION_DENIED` with this as its message; OpenSSH's client does
    /// not show that, so write it to the channel's stderr as well.
    Refuse(Refusal),
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A file or directory was closed, or its channel has ended.
    Closed {
        /// What was asked when it was opened.
        asked: Vec<Question>,
        /// Its path.
        path: String,
        /// How many bytes the host has sent of it.
        read: u64,
        /// How many bytes the host says it has written.
        written: u64,
    },
    /// The host has answered a request that was asked about.
    Finished {
        /// What was asked.
        asked: Vec<Question>,
        /// The code of its STATUS; 0 for success.
        status: u32,
    },
    /// A request was refused without a question, because it cannot be judged.
    Refused {
        /// The packet type.
        kind: u8,
        /// What the client was told.
        reason: String,
    },
    /// The host has named the directory that relative paths start from, or would not.
    Started {
        /// The directory. Without it, relative paths are refused.
        directory: Option<String>,
    },
    /// A request was sent, and the channel ended before it was answered.
    Unanswered {
        /// What was asked.
        asked: Vec<Question>,
    },
}

/// The client broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientFault {
    /// A packet's length cannot be.
    #[error("the SFTP client sent {0}")]
    Packet(#[from] PacketError),
    /// It did not begin with INIT, or did so twice.
    #[error("the SFTP client sent a packet of type {0} out of turn")]
    Unexpected(u8),
    /// It speaks a version before 3.
    #[error("the SFTP client speaks version {0}; hoopctl speaks version 3")]
    Version(u32),
}

/// The host broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpstreamFault {
    /// An answer's body is not what its type says.
    #[error("the SFTP server sent an answer of type {kind} that is malformed: {error}")]
    Malformed {
        /// The packet type.
        kind: u8,
        /// What is wrong.
        error: ReadError,
    },
    /// It gave more data than was asked for.
    #[error("the SFTP server sent more data than was asked for")]
    Oversized,
    /// A packet's length cannot be.
    #[error("the SFTP server sent {0}")]
    Packet(#[from] PacketError),
    /// It gave a handle that is open already.
    #[error("the SFTP server gave a handle that is open already")]
    Reused,
    /// It answered what nobody asked.
    #[error("the SFTP server answered a request that was not made")]
    Unasked,
    /// The type does not fit what was asked.
    #[error("the SFTP server sent a packet of type {0} out of turn")]
    Unexpected(u8),
    /// It does not speak version 3.
    #[error("the SFTP server speaks version {0}; hoopctl speaks version 3")]
    Version(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The client has to say INIT.
    ExpectInit,
    /// INIT is sent; the host has to say VERSION.
    ExpectVersion,
    /// Our REALPATH is sent; the host has to say where it starts.
    ExpectStart,
    Open,
}
