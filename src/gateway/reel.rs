//! A recording that several tasks of one connection write to.
//!
//! Job: apply the target's record level, and wait while the recorder is busy. Boundary: everything handed
//! in is already masked and redacted; PostgreSQL's connections are polled and have a tape of their own.
//! Failure mode: the recorder's error, upon which the connection ends.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Mutex;

use super::journal::{ItemKind, JournalError, Recorder};
use crate::domain::target::RecordLevel;
use crate::recording::item::{Outcome, Statement};

/// One connection's recording.
#[derive(Clone)]
pub(super) struct Reel {
    level: RecordLevel,
    /// Held while there is no room: that is the queue in which writers wait for it.
    recorder: Arc<Mutex<Option<Box<dyn Recorder>>>>,
}

impl Reel {
    /// A recording at this level; `recorder` is `None` exactly when the level is `metadata`.
    pub(super) fn new(level: RecordLevel, recorder: Option<Box<dyn Recorder>>) -> Self {
        Self { level, recorder: Arc::new(Mutex::new(recorder)) }
    }

    /// Whether what the client is shown is kept.
    pub(super) fn is_full(&self) -> bool {
        self.level >= RecordLevel::Full
    }

    /// Takes a deed that was judged.
    pub(super) async fn statement(&self, statement: &Statement) -> Result<(), JournalError> {
        self.json(ItemKind::Statement, statement).await
    }

    /// Takes how a deed ended.
    pub(super) async fn outcome(&self, outcome: &Outcome) -> Result<(), JournalError> {
        self.json(ItemKind::Outcome, outcome).await
    }

    /// Takes something that is told in JSON.
    pub(super) async fn json(&self, kind: ItemKind, item: &impl Serialize) -> Result<(), JournalError> {
        if self.level < RecordLevel::Statements {
            return Ok(());
        }
        // these types have no map with keys that are not text, so this cannot fail
        let Ok(bytes) = serde_json::to_vec(item) else { return Ok(()) };
        self.record(kind, &bytes).await
    }

    /// Takes a piece of a stream that the client is about to be shown.
    pub(super) async fn piece(
        &self,
        kind: ItemKind,
        number: u64,
        stream: u8,
        bytes: &[u8],
    ) -> Result<(), JournalError> {
        if !self.is_full() || bytes.is_empty() {
            return Ok(());
        }
        let mut item = Vec::with_capacity(bytes.len().saturating_add(9));
        item.extend_from_slice(&number.to_be_bytes());
        item.push(stream);
        item.extend_from_slice(bytes);
        self.record(kind, &item).await
    }

    /// Closes the recording and returns how many chunks it has.
    pub(super) async fn finish(&self) -> Result<u32, JournalError> {
        match self.recorder.lock().await.take() {
            Some(recorder) => recorder.finish().await,
            None => Ok(0),
        }
    }

    async fn record(&self, kind: ItemKind, bytes: &[u8]) -> Result<(), JournalError> {
        let mut recorder = self.recorder.lock().await;
        let Some(recorder) = recorder.as_mut() else {
            return Err(JournalError::Unwritable("the recording is closed".into()));
        };
        loop {
            match recorder.record(kind, bytes) {
                Err(JournalError::Full) => recorder.ready().await?,
                done => return done,
            }
        }
    }
}
