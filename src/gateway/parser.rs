//! Threads with a big stack, for texts that the parser could recurse deeply into.
//!
//! Job: run short pieces of work on a stack of `STACK` bytes. libpg_query and the walk over its
//! tree recurse with the nesting of the text; a tokio worker's stack is too small for hostile
//! nesting. Boundary: two threads, a bounded queue, and one text at a time that takes a lot of memory, so that a
//! thread is left for the others; the caller waits, nobody else does. Failure
//! mode: a piece of work that panics is reported as [`Overwhelmed`], and its thread goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Stack of each parser thread, in bytes. Virtual memory; touched only as deep as a text goes.
const STACK: usize = 64 * 1024 * 1024;
/// How many texts may wait. A connection has at most one waiting.
const QUEUE: usize = 256;
const THREADS: usize = 2;

type Job = Box<dyn FnOnce() + Send>;

/// The parser threads.
#[derive(Clone)]
pub struct Parser {
    jobs: mpsc::Sender<Job>,
    heavy: Arc<Semaphore>,
}

/// How much memory a piece of work takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Burden {
    /// Up to a gigabyte.
    Heavy,
    /// Little.
    Light,
}

/// The text was too much for the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the statement is too complex to be judged")]
pub struct Overwhelmed;

impl Parser {
    /// Starts the threads; they end when the last handle is dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..THREADS {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name(format!("parser-{number}")).stack_size(STACK).spawn(
                move || {
                    loop {
                        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                        let Some(job) = job else { return };
                        // a panic is reported to the waiting caller by its dropped channel
                        drop(catch_unwind(AssertUnwindSafe(job)));
                    }
                },
            )?;
        }
        Ok(Self { jobs, heavy: Arc::new(Semaphore::new(1)) })
    }

    /// Runs `work` on a big stack and waits for it.
    ///
    /// # Errors
    /// [`Overwhelmed`] when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        burden: Burden,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overwhelmed> {
        let alone = match burden {
            Burden::Heavy => Some(Arc::clone(&self.heavy).acquire_owned().await.map_err(|_| Overwhelmed)?),
            Burden::Light => None,
        };
        let (answer, done) = oneshot::channel();
        let job: Job = Box::new(move || {
            // the caller may have gone; then nobody wants the answer
            let _unwanted = answer.send(work());
            // not before: who has gone does not wait, and the work goes on
            drop(alone);
        });
        self.jobs.send(job).await.map_err(|_| Overwhelmed)?;
        done.await.map_err(|_| Overwhelmed)
    }
}

impl std::fmt::Debug for Parser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parser")
    }
}
