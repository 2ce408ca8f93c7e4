//! Requests that wait: for an answer, or for one before them that touches the same files.
//!
//! The protocol lets a server answer in any order, but requests that touch the same file are done in
//! the order in which they came (draft-ietf-secsh-filexfer-02 §6.1). So a held request holds up those
//! behind it that touch its paths, and no others.

use std::collections::VecDeque;

use super::Question;
use super::packet::Packet;
use super::upstream::Pending;
use crate::domain::facts::FileFacts;
use crate::wire::ssh::path::RemotePath;

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The client's id of it.
    pub(super) client: u32,
    /// What is left to ask before it may go.
    pub(super) asks: VecDeque<FileFacts>,
    /// What was asked; the last one is open while `open` says so.
    pub(super) asked: Vec<Question>,
    pub(super) open: bool,
    /// What goes to the host.
    pub(super) packet: Packet,
    pub(super) pending: Pending,
    pub(super) touches: Touches,
}

impl Waiting {
    fn is_judged(&self) -> bool {
        !self.open && self.asks.is_empty()
    }
}

/// All that wait, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Order {
    queue: VecDeque<Waiting>,
    bytes: usize,
}

impl Order {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many bytes of requests it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.queue.iter()
    }

    /// Whether something that waits touches the same files.
    pub(super) fn blocks(&self, touches: &Touches) -> bool {
        self.queue.iter().any(|earlier| earlier.touches.meets(touches))
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.packet.size();
        self.queue.push_back(waiting);
    }

    /// The request with this open question.
    pub(super) fn asking(&mut self, id: super::QuestionId) -> Option<&mut Waiting> {
        self.queue.iter_mut().find(|waiting| waiting.open && waiting.asked.last().is_some_and(|q| q.id == id))
    }

    /// Takes out the request with this open question.
    pub(super) fn take(&mut self, id: super::QuestionId) -> Option<Waiting> {
        let at = self
            .queue
            .iter()
            .position(|waiting| waiting.open && waiting.asked.last().is_some_and(|q| q.id == id))?;
        self.remove(at)
    }

    /// The first request that is judged and that nothing before it holds up.
    pub(super) fn next(&mut self) -> Option<Waiting> {
        let at = self.queue.iter().enumerate().position(|(at, waiting)| {
            waiting.is_judged()
                && !self.queue.iter().take(at).any(|earlier| earlier.touches.meets(&waiting.touches))
        })?;
        self.remove(at)
    }

    fn remove(&mut self, at: usize) -> Option<Waiting> {
        let waiting = self.queue.remove(at)?;
        self.bytes -= waiting.packet.size();
        Some(waiting)
    }
}

/// The files that a request touches, and how.
#[derive(Debug, Clone)]
pub(super) struct Touches {
    pub(super) path: Option<RemotePath>,
    pub(super) other: Option<RemotePath>,
    pub(super) how: Touch,
}

/// How a request touches files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// Changes nothing: two of these commute.
    Looks,
    /// Changes the file itself.
    Changes,
    /// Changes what names stand for, also those below it.
    Moves,
}

impl Touches {
    fn meets(&self, other: &Self) -> bool {
        if self.how == Touch::Looks && other.how == Touch::Looks {
            return false;
        }
        let deep = self.how == Touch::Moves || other.how == Touch::Moves;
        self.paths().any(|one| {
            other.paths().any(|two| one == two || (deep && (one.is_above(two) || two.is_above(one))))
        })
    }

    fn paths(&self) -> impl Iterator<Item = &RemotePath> {
        self.path.iter().chain(&self.other)
    }
}
