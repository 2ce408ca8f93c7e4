//! The mail boxes of one connection's channels.
//!
//! Job: a box for each channel that is open, from when it opens until its task has ended, and no more of them
//! than the target allows. Boundary: knows nothing of what is in them. Failure mode: what comes for a channel
//! that has no box is dropped; a client may send it until it has heard that the channel is closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::ChannelId;
use tokio::sync::Notify;

use super::mail::{Ask, Load, Mail, Slot, mail};

/// All boxes of one connection.
#[derive(Debug)]
pub(super) struct Boxes {
    /// How many a client may have open.
    most: usize,
    load: Arc<Load>,
    state: Mutex<State>,
    /// Rings when a client has let a channel be that the host opened.
    confirmed: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<ChannelId, Slot>,
    /// Of channels that the host opened, until their tasks have come for it.
    unclaimed: HashMap<ChannelId, Mail>,
    is_over: bool,
}

impl Boxes {
    pub(super) fn new(most: usize, load: Arc<Load>) -> Self {
        Self { most, load, state: Mutex::default(), confirmed: Notify::new() }
    }

    /// A box for a channel that the client opens; `None` when it has as many as its target allows.
    pub(super) fn open(&self, channel: ChannelId) -> Option<Mail> {
        let mut state = self.state();
        if state.open.len() >= self.most {
            return None;
        }
        let (slot, mail) = mail(&self.load);
        state.open.insert(channel, slot);
        Some(mail)
    }

    /// The client lets a channel be that the host opened. Must be called before anything is put in.
    pub(super) fn confirm(&self, channel: ChannelId) {
        let (slot, mail) = mail(&self.load);
        let mut state = self.state();
        state.open.insert(channel, slot);
        state.unclaimed.insert(channel, mail);
        drop(state);
        self.confirmed.notify_waiters();
    }

    /// The box of a channel that the client let be, with what it has sent already; `None` when the connection
    /// is over.
    pub(super) async fn claim(&self, channel: ChannelId) -> Option<Mail> {
        loop {
            let confirmed = self.confirmed.notified();
            tokio::pin!(confirmed);
            confirmed.as_mut().enable();
            {
                let mut state = self.state();
                if let Some(mail) = state.unclaimed.remove(&channel) {
                    return Some(mail);
                }
                if state.is_over {
                    return None;
                }
            }
            confirmed.await;
        }
    }

    /// Puts in what a client asks of a channel.
    pub(super) fn put(&self, channel: ChannelId, ask: Ask) {
        let slot = self.state().open.get(&channel).cloned();
        // INVARIANT: only what opens a channel makes a box, so that a late word takes nobody's place
        if let Some(slot) = slot {
            slot.put(ask);
        }
    }

    /// A channel is over.
    pub(super) fn close(&self, channel: ChannelId) {
        self.state().open.remove(&channel);
    }

    /// The connection is over: no channel gets anything more.
    pub(super) fn hang_up(&self) {
        *self.state() = State { is_over: true, ..State::default() };
        self.confirmed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use russh::keys::ssh_key::encoding::Decode as _;

    use super::*;

    fn channel(number: u8) -> ChannelId {
        ChannelId::decode(&mut [0, 0, 0, number].as_slice()).unwrap()
    }

    /// The client's EOF crosses our CLOSE.
    #[tokio::test]
    async fn a_word_that_comes_after_the_close_takes_no_place() {
        let boxes = Boxes::new(2, Arc::default());
        for number in 0..100 {
            let mut mail = boxes.open(channel(number)).unwrap();
            boxes.put(channel(number), Ask::Shell);
            assert!(matches!(mail.next().await, Some(Ask::Shell)));
            boxes.close(channel(number));
            boxes.put(channel(number), Ask::Eof);
        }
        let _two = (boxes.open(channel(100)).unwrap(), boxes.open(channel(101)).unwrap());
        assert!(boxes.open(channel(102)).is_none(), "and no more than the target allows");
    }

    #[tokio::test]
    async fn what_comes_before_a_task_does_waits_for_it() {
        let boxes = Arc::new(Boxes::new(2, Arc::default()));
        boxes.confirm(channel(1));
        boxes.put(channel(1), Ask::Eof);
        assert!(matches!(boxes.claim(channel(1)).await.unwrap().next().await, Some(Ask::Eof)));
        // and a task that comes first waits
        let claimed = tokio::spawn({
            let boxes = Arc::clone(&boxes);
            async move { boxes.claim(channel(2)).await }
        });
        tokio::task::yield_now().await;
        boxes.confirm(channel(2));
        boxes.put(channel(2), Ask::Shell);
        assert!(matches!(claimed.await.unwrap().unwrap().next().await, Some(Ask::Shell)));
        boxes.hang_up();
        assert!(boxes.claim(channel(3)).await.is_none(), "nobody waits for what never comes");
    }
}
