//! What a connection's recording is given, in order, within bounds.
//!
//! Job: apply the target's record level, queue items while the recorder is busy, and let a task that
//! polls wait for room. Boundary: everything handed in is already masked and redacted. Failure mode:
//! the recorder's error, upon which the connection ends.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;

use crate::domain::target::RecordLevel;
use crate::gateway::journal::{JournalError, Recorder};
use crate::recording::item::{ItemKind, Outcome, Statement};

/// How many items may wait before the client is read no further.
const BACKLOG: usize = 64;

type MakingRoom = BoxFuture<'static, (Box<dyn Recorder>, Result<(), JournalError>)>;

/// One connection's recording.
pub(super) struct Tape {
    level: RecordLevel,
    recorder: Option<Box<dyn Recorder>>,
    room: Option<MakingRoom>,
    backlog: VecDeque<(ItemKind, Vec<u8>)>,
}

impl Tape {
    /// A tape at this level; `recorder` is `None` exactly when the level is `metadata`.
    pub(super) fn new(level: RecordLevel, recorder: Option<Box<dyn Recorder>>) -> Self {
        Self { level, recorder, room: None, backlog: VecDeque::new() }
    }

    /// Takes a statement that was judged.
    pub(super) fn statement(&mut self, statement: &Statement) {
        self.push(ItemKind::Statement, serde_json::to_vec(statement));
    }

    /// Takes how a statement ended.
    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        self.push(ItemKind::Outcome, serde_json::to_vec(outcome));
    }

    /// Whether so much waits that nothing more should be asked.
    pub(super) fn is_behind(&self) -> bool {
        self.backlog.len() >= BACKLOG
    }

    /// Takes what the client is about to be shown; `Pending` when the recorder is busy.
    pub(super) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        frames: &[u8],
    ) -> Poll<Result<(), JournalError>> {
        if self.level < RecordLevel::Full {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_backlog(cx))?;
        self.poll_record(cx, ItemKind::Answer, frames)
    }

    /// Hands over what waits.
    pub(super) fn poll_backlog(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), JournalError>> {
        while let Some((kind, bytes)) = self.backlog.pop_front() {
            match self.poll_record(cx, kind, &bytes) {
                Poll::Ready(done) => done?,
                Poll::Pending => {
                    self.backlog.push_front((kind, bytes));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Closes the recording and returns how many chunks it has.
    pub(super) async fn finish(mut self) -> Result<u32, JournalError> {
        std::future::poll_fn(|cx| self.poll_backlog(cx)).await?;
        if let Some(room) = self.room.take() {
            let (recorder, done) = room.await;
            done?;
            self.recorder = Some(recorder);
        }
        match self.recorder {
            Some(recorder) => recorder.finish().await,
            None => Ok(0),
        }
    }

    fn push(&mut self, kind: ItemKind, json: serde_json::Result<Vec<u8>>) {
        if self.level < RecordLevel::Statements {
            return;
        }
        // these types have no map with keys that are not text, so this cannot fail
        if let Ok(json) = json {
            self.backlog.push_back((kind, json));
        }
    }

    fn poll_record(
        &mut self,
        cx: &mut Context<'_>,
        kind: ItemKind,
        bytes: &[u8],
    ) -> Poll<Result<(), JournalError>> {
        loop {
            if let Some(room) = self.room.as_mut() {
                let (recorder, done) = ready!(room.as_mut().poll(cx));
                self.room = None;
                self.recorder = Some(recorder);
                done?;
            }
            let Some(recorder) = self.recorder.as_mut() else {
                return Poll::Ready(Err(JournalError::Unwritable("the recorder is gone".into())));
            };
            match recorder.record(kind, bytes) {
                Err(JournalError::Full) => {
                    let Some(mut recorder) = self.recorder.take() else { continue };
                    self.room = Some(Box::pin(async move {
                        let done = recorder.ready().await;
                        (recorder, done)
                    }));
                }
                done => return Poll::Ready(done),
            }
        }
    }
}
