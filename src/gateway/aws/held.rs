//! Calls that wait for a review longer than their clients do.
//!
//! Job: SDKs give up after a minute and try again, over another connection: such a try joins the call that waits, so that
//! people are asked once and AWS is called once. Boundary: what the same call is, whoever tries says by its digest; a
//! signature is made anew for each try, and is no part of it. Failure mode: a call to which nobody has come back for a while is
//! taken back, which is entered.
//!
//! INVARIANT: one approval sends one call, and one client gets its answer: the one that tried last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Response;
use tokio::sync::watch;

use crate::domain::name::{Digest, SessionId};
use crate::gateway::http::answer::{Body, Problem};
use crate::gateway::http::shared::Shared;

type Answer = Result<Response<Body>, Problem>;
/// Of a session, a call.
type Key = (SessionId, Digest);
type Known = Arc<Mutex<HashMap<Key, Arc<Wait>>>>;

/// The calls that wait.
#[derive(Clone, Default)]
pub(in crate::gateway) struct HeldCalls(Known);

/// One of them.
struct Wait {
    answer: Mutex<Option<Answer>>,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// How many wait for it now.
    waiting: usize,
    /// How many have tried.
    tries: u64,
    is_answered: bool,
    is_taken: bool,
}

impl HeldCalls {
    /// The answer to a call: by `go`, or where the same call waits already, by that one.
    pub(in crate::gateway) async fn answer(
        &self,
        shared: &Arc<Shared>,
        call: Digest,
        go: impl Future<Output = Answer> + Send + 'static,
    ) -> Answer {
        let key = (shared.context.id.clone(), call);
        let (wait, number) = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // one whose answer was given belongs to a call that is over
            let waiting = known.get(&key).filter(|wait| !wait.state.borrow().is_taken).cloned();
            let is_new = waiting.is_none();
            let wait = waiting.unwrap_or_else(Wait::new);
            let number = wait.arrive();
            if is_new {
                known.insert(key.clone(), Arc::clone(&wait));
                let keeper = Keeper { known: Arc::clone(&self.0), key, wait: Arc::clone(&wait) };
                shared.spawn(keeper.keep(go));
            }
            (wait, number)
        };
        let _here = Here(Arc::clone(&wait));
        wait.join(number).await
    }
}

impl Wait {
    fn new() -> Arc<Self> {
        Arc::new(Self { answer: Mutex::default(), state: watch::Sender::new(State::default()) })
    }

    /// One more waits; which try it is.
    fn arrive(&self) -> u64 {
        self.state.send_modify(|state| {
            state.waiting += 1;
            state.tries += 1;
        });
        self.state.borrow().tries
    }

    async fn join(&self, number: u64) -> Answer {
        let mut state = self.state.subscribe();
        // what comes is a lock on the state; the sender is in `self`
        drop(state.wait_for(|state| state.is_answered || state.tries > number).await);
        let answer = match self.state.borrow().tries > number {
            true => None,
            false => self.answer.lock().unwrap_or_else(PoisonError::into_inner).take(),
        };
        self.state.send_modify(|state| state.is_taken |= answer.is_some());
        answer.unwrap_or_else(|| Err(Problem::unclear("another try of the same call has taken its place")))
    }

    /// Comes when nobody has waited for it for a while.
    async fn forsaken(&self) {
        let mut state = self.state.subscribe();
        loop {
            // the sender is in `self`
            drop(state.wait_for(|state| state.waiting == 0).await);
            let back = state.wait_for(|state| state.waiting > 0 || state.is_taken);
            let is_back = tokio::time::timeout(GRACE, back).await.is_ok();
            if !is_back || self.state.borrow().is_taken {
                return;
            }
        }
    }
}

/// Somebody who waits.
struct Here(Arc<Wait>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.waiting -= 1);
    }
}

/// Who sees a call through, and forgets it.
struct Keeper {
    known: Known,
    key: Key,
    wait: Arc<Wait>,
}

impl Keeper {
    async fn keep(self, go: impl Future<Output = Answer>) {
        tokio::select! {
            biased;
            answer = go => self.put(answer),
            // what runs is dropped, which takes the call back
            () = self.wait.forsaken() => return,
        }
        self.wait.forsaken().await;
    }

    fn put(&self, answer: Answer) {
        *self.wait.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.wait.state.send_modify(|state| state.is_answered = true);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&self.key).is_some_and(|wait| Arc::ptr_eq(wait, &self.wait)) {
            known.remove(&self.key);
        }
        drop(known);
        if !self.wait.state.borrow().is_answered {
            self.put(Err(Problem::over("the connection on which the call waited has ended")));
        }
    }
}

/// How long a client may take to try again: SDKs wait for up to 20 seconds between two tries.
const GRACE: Duration = Duration::from_secs(45);
