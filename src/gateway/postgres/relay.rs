//! The pump between a client and its database.
//!
//! Job: one task that polls both sides itself. Each direction moves whenever it can: neither waits
//! for the other, for a verdict it does not need, or for the end of a result. Boundary: what the
//! bytes mean is the [`Conversation`]'s business, what may pass is the [`Examiner`]'s. Failure mode:
//! an [`End`], said once and precisely. Memory is bounded by the caps of the two legs, the two
//! outputs of the conversation and the recorder's queue.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::brake::Brake;
use super::examiner::{Examiner, Proving, Resume, Step};
use super::observer::{Observer, Trouble};
use super::tape::Tape;
use crate::domain::session::CloseReason;
use crate::gateway::journal::JournalError;
use crate::gateway::leg::Leg;
use crate::wire::postgres::conversation::Conversation;
use crate::wire::postgres::fault::{ClientFault, UpstreamFault};

/// How much may be queued for a side before the other side is read no further.
const QUEUED: usize = 256 * 1024;
/// How much is read ahead from a client whose messages are not wanted yet.
const AHEAD: usize = 64 * 1024;
/// How many messages of a client are taken before what came of them is sent.
const TOGETHER: usize = 32;
/// How many turns one poll may take before others get theirs.
const TURNS: usize = 64;

/// Why a relay ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client broke the protocol.
    Client(ClientFault),
    /// The client left, with or without goodbye.
    ClientLeft,
    /// The session closed.
    Closed(CloseReason),
    /// An entry or the recording could not be written.
    Journal(JournalError),
    /// The database sent a result column whose origin is protected.
    Origin(String),
    /// A statement beyond its caps could not be stopped.
    Unstoppable,
    /// The database broke the protocol.
    Upstream(UpstreamFault),
    /// The database went away.
    UpstreamLost(String),
}

/// The pump.
pub(super) struct Relay<C, U> {
    client: Leg<C>,
    upstream: Leg<U>,
    talk: Conversation,
    examiner: Examiner,
    observer: Observer,
    tape: Tape,
    brake: Brake,
    waiting: Option<BoxFuture<'static, Result<Resume, JournalError>>>,
    /// What a guard could not prove is being looked at from elsewhere.
    proving: Option<Proving>,
    held: Option<Bytes>,
    closing: BoxFuture<'static, CloseReason>,
}

/// What a relay was made of.
pub(super) struct Parts<C, U> {
    pub(super) client: Leg<C>,
    pub(super) upstream: Leg<U>,
    pub(super) talk: Conversation,
    pub(super) examiner: Examiner,
    pub(super) observer: Observer,
    pub(super) tape: Tape,
}

impl<C, U> Relay<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    U: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// A relay between two sides that are both past their start-up.
    pub(super) fn new(
        parts: Parts<C, U>,
        brake: Brake,
        mut closing: watch::Receiver<Option<CloseReason>>,
    ) -> Self {
        let Parts { client, upstream, talk, examiner, observer, tape } = parts;
        let closing = Box::pin(async move { closed(&mut closing).await });
        Self {
            client,
            upstream,
            talk,
            examiner,
            observer,
            tape,
            brake,
            waiting: None,
            proving: None,
            held: None,
            closing,
        }
    }

    /// Pumps until one side is done.
    pub(super) async fn run(&mut self) -> End {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Takes the relay apart.
    pub(super) fn into_parts(self) -> Parts<C, U> {
        let Self { client, upstream, talk, examiner, observer, tape, .. } = self;
        Parts { client, upstream, talk, examiner, observer, tape }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(reason) = self.closing.as_mut().poll(cx) {
            return Poll::Ready(End::Closed(reason));
        }
        for _ in 0..TURNS {
            match self.turn(cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(end) => return Poll::Ready(end),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One turn in each direction; whether anything moved.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        self.brake.poll(cx, &mut self.talk).map_err(|_| End::Unstoppable)?;
        let mut moved = self.take_upstream(cx)?;
        moved |= self.take_proof(cx);
        moved |= self.show_client(cx)?;
        // a client's messages mostly come as one, and are sent on as one: each write wakes the database
        for _ in 0..TOGETHER {
            let more = self.take_answer(cx)? | self.take_client(cx)?;
            moved |= more;
            if !more {
                break;
            }
        }
        moved |= self.send_upstream(cx)?;
        self.examiner.note_busy(self.talk.outstanding() > 0);
        self.examiner.note_judging(self.waiting.is_some() || self.talk.waits_for_proof().is_some());
        Ok(moved)
    }

    fn take_upstream(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let is_full = self.client.queued() >= QUEUED && !self.talk.throws_away();
        if !self.talk.wants_upstream_input() || is_full || self.held.is_some() {
            return Ok(false);
        }
        let mut moved = false;
        match self.upstream.poll_read(cx) {
            Poll::Ready(Ok(0)) => {
                if self.upstream.input.is_empty() && self.talk.client_output().is_empty() {
                    return Err(self.lost("it closed the connection".into()));
                }
            }
            Poll::Ready(Ok(_)) => moved = true,
            Poll::Ready(Err(error)) => return Err(self.lost(gone(&error))),
            Poll::Pending => {}
        }
        if self.upstream.input.is_empty() {
            return Ok(moved);
        }
        let before = self.upstream.input.len();
        // what was seen before a fault is entered all the same
        let fault = self.talk.handle_upstream(&mut self.upstream.input).err();
        let consumed = before != self.upstream.input.len();
        if fault.is_none() && !consumed && self.upstream.ended() {
            return Err(End::UpstreamLost("it closed the connection in the middle of a message".into()));
        }
        while let Some(observation) = self.talk.poll_observation() {
            self.observer.observe(observation, &mut self.examiner, &mut self.tape).map_err(|trouble| {
                match trouble {
                    Trouble::Journal(error) => End::Journal(error),
                    Trouble::Leak(column) => End::Origin(column),
                }
            })?;
        }
        if let Some(fault) = fault {
            return Err(End::Upstream(fault));
        }
        Ok(moved | consumed)
    }

    /// INVARIANT: what waits for a proof goes only with its own.
    fn take_proof(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(proving) = self.examiner.prove() {
            self.proving = Some(proving);
        }
        if self.talk.waits_for_proof().is_none() {
            // what it was for has failed meanwhile
            self.proving = None;
            return false;
        }
        // what is sent now could meet a cancel of ours that is still on its way
        if self.brake.is_pulled() {
            return false;
        }
        if let Some(question) = self.talk.is_proven() {
            self.talk.handle_proof(question, None);
            return true;
        }
        let Some(proving) = self.proving.as_mut() else { return false };
        let Poll::Ready(proof) = proving.as_mut().poll(cx) else { return false };
        self.proving = None;
        let refusal = self.examiner.proved(&proof);
        self.talk.handle_proof(proof.question, refusal);
        true
    }

    /// INVARIANT: what the client is shown was taken by the recorder first.
    fn show_client(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut moved = false;
        while self.client.queued() < QUEUED {
            let Some(run) = self.held.take().or_else(|| self.talk.client_output().pop()) else { break };
            match self.tape.poll_answer(cx, &run) {
                Poll::Ready(Ok(())) => self.client.push(run),
                Poll::Ready(Err(error)) => return Err(End::Journal(error)),
                Poll::Pending => {
                    self.held = Some(run);
                    break;
                }
            }
            moved = true;
        }
        let before = self.client.queued();
        match self.client.poll_write(cx) {
            Poll::Ready(Err(_)) => Err(End::ClientLeft),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(moved | (before != self.client.queued())),
        }
    }

    fn take_answer(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if let Poll::Ready(Err(error)) = self.tape.poll_backlog(cx) {
            return Err(End::Journal(error));
        }
        // what is sent now could meet a cancel of ours that is still on its way
        if self.tape.is_behind() || self.brake.is_pulled() {
            return Ok(false);
        }
        let resume = match self.waiting.as_mut() {
            Some(waiting) => match Pin::new(waiting).poll(cx) {
                Poll::Ready(resume) => Some(resume.map_err(End::Journal)?),
                Poll::Pending => return Ok(self.tell()),
            },
            None => None,
        };
        self.waiting = None;
        self.examiner.note_busy(self.talk.outstanding() > 0);
        let step = match (resume, self.talk.poll_question()) {
            (Some(resume), _) => self.examiner.resume(resume),
            (None, Some(question)) => self.examiner.ask(question),
            (None, None) => return Ok(false),
        };
        match step.map_err(End::Journal)? {
            Step::Answer(answer) => {
                self.talk.handle_meters(self.examiner.take_meters());
                self.talk.handle_layout(self.examiner.take_layout());
                match self.examiner.take_guard() {
                    Some(offered) => {
                        if self.talk.handle_guarded_answer(&offered.guard, answer) {
                            self.examiner.guarded(offered);
                        }
                    }
                    None => self.talk.handle_answer(answer),
                }
            }
            Step::Wait(waiting) => self.waiting = Some(waiting),
        }
        self.tell();
        for statement in self.examiner.take_judged() {
            self.tape.statement(&statement);
        }
        Ok(true)
    }

    /// Tells the client what it should know while it waits.
    fn tell(&mut self) -> bool {
        let notices = self.examiner.take_notices();
        notices.iter().for_each(|notice| self.talk.send_notice(notice));
        !notices.is_empty()
    }

    fn take_client(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.talk.is_terminated() {
            return Err(End::ClientLeft);
        }
        let is_braked = self.brake.is_pulled() && !self.talk.copies_in();
        let wanted = self.talk.wants_client_input() && self.upstream.queued() < QUEUED && !is_braked;
        let before = self.client.input.len();
        if wanted && (before > 0 || self.talk.takes_again()) {
            self.talk.handle_client(&mut self.client.input).map_err(End::Client)?;
            if before != self.client.input.len() || !self.talk.wants_client_input() {
                return Ok(true);
            }
        }
        // also while nothing more is wanted: a client that goes away must be noticed
        if !wanted && before >= AHEAD {
            return Ok(false);
        }
        match self.client.poll_read(cx) {
            Poll::Ready(Ok(0) | Err(_)) => Err(End::ClientLeft),
            Poll::Ready(Ok(_)) => Ok(true),
            Poll::Pending => Ok(false),
        }
    }

    fn send_upstream(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut moved = false;
        let output = self.talk.upstream_output();
        if !output.is_empty() && self.upstream.queued() < QUEUED {
            let bytes = output.split().freeze();
            self.upstream.push(bytes);
            moved = true;
        }
        let before = self.upstream.queued();
        match self.upstream.poll_write(cx) {
            // what it had to say before it went is still to be read
            Poll::Ready(Err(error)) if !self.upstream.ended() && before > 0 => Err(self.lost(gone(&error))),
            Poll::Ready(_) | Poll::Pending => Ok(moved | (before != self.upstream.queued())),
        }
    }

    /// After the client's goodbye the database is expected to hang up, which is nobody's failure.
    fn lost(&self, why: String) -> End {
        if self.talk.is_terminated() { End::ClientLeft } else { End::UpstreamLost(why) }
    }
}

/// How a connection came to its end, for a person; each way to hang up reads the same.
fn gone(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        _ => error.to_string(),
    }
}

/// Waits until the session closes.
pub(super) async fn closed(closing: &mut watch::Receiver<Option<CloseReason>>) -> CloseReason {
    match closing.wait_for(Option::is_some).await {
        Ok(reason) => (*reason).unwrap_or(CloseReason::ClientEnded),
        // the broker dropped the session
        Err(_) => CloseReason::BrokerRestarted,
    }
}
