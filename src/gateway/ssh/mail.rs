//! What a client asks of a channel, on its way to the channel's task.
//!
//! Job: take everything at once, so that the connection's own loop never waits for one channel, and tell how
//! much is waiting, so that the client can be slowed down. Boundary: knows nothing of what is asked.
//!
//! Why: russh gives a channel's window back when data arrives, not when it is used. A loop that waited for a
//! full channel could not read the other side's window adjustments any more, and two such loops wait for each
//! other for ever. So nothing waits here; instead the window that is given back shrinks to [`TRICKLE`] while
//! more than [`FULL`] bytes wait on the connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::{Pty, Sig};
use tokio::sync::{Notify, mpsc};

/// Something that a client asks of a channel.
#[derive(Debug)]
pub(super) enum Ask {
    /// Its agent may be used by what runs.
    Agent,
    /// It closes the channel.
    Close,
    /// Bytes for the command's standard input.
    Data(Bytes),
    /// It sends nothing more.
    Eof,
    /// A variable.
    Env(String, String),
    /// A command line.
    Exec(Vec<u8>),
    /// A terminal.
    Pty(Box<Terminal>),
    /// A shell.
    Shell,
    /// A signal.
    Signal(Sig),
    /// A subsystem.
    Subsystem(String),
    /// Another size of the terminal: columns, rows, and both in pixels.
    Window([u32; 4]),
    /// Its display may be used by what runs (RFC 4254 §6.3).
    X11 { single: bool, protocol: String, cookie: String, screen: u32 },
}

/// A terminal as the client has it (RFC 4254 §6.2).
#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) term: String,
    pub(super) size: [u32; 4],
    pub(super) modes: Vec<(Pty, u32)>,
}

/// How much waits on a connection.
#[derive(Debug, Default)]
pub(super) struct Load {
    bytes: AtomicUsize,
    less: Notify,
}

/// More than this, and the client is slowed down.
const FULL: usize = 4 << 20;
/// More than this, and the client does not keep to its windows: each channel's [`WINDOW`] may be on its way.
const ABUSE: usize = 256 << 20;
/// What a channel's window is.
pub(super) const WINDOW: u32 = 2 << 20;
/// A window that lets the client go on only to be looked at again.
const TRICKLE: u32 = 2;
/// How long a connection's loop may wait for a channel: so long that a slowed client costs nothing, so short
/// that nobody else on the connection notices.
const PAUSE: Duration = Duration::from_millis(10);
/// What an ask costs beside its bytes.
const COST: usize = 256;

impl Load {
    /// The next window of a channel.
    pub(super) fn window(&self) -> u32 {
        if self.is_full() { TRICKLE } else { WINDOW }
    }

    /// Waits a little for there to be less.
    pub(super) async fn pause(&self) {
        if self.is_full() {
            let less = self.less.notified();
            let _in_time = tokio::time::timeout(PAUSE, less).await;
        }
    }

    /// Whether a client sends more than it may.
    pub(super) fn is_abused(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > ABUSE
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > FULL
    }

    fn less(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if before > FULL && before.saturating_sub(bytes) <= FULL {
            self.less.notify_waiters();
        }
    }
}

/// Where asks go in.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    sender: mpsc::UnboundedSender<Ask>,
    load: Arc<Load>,
}

/// Where asks come out.
#[derive(Debug)]
pub(super) struct Mail {
    receiver: mpsc::UnboundedReceiver<Ask>,
    /// Taken out while something else was waited for.
    kept: VecDeque<Ask>,
    load: Arc<Load>,
}

/// A box for one channel.
pub(super) fn mail(load: &Arc<Load>) -> (Slot, Mail) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let slot = Slot { sender, load: Arc::clone(load) };
    (slot, Mail { receiver, kept: VecDeque::new(), load: Arc::clone(load) })
}

impl Slot {
    /// Puts an ask in; a channel that is over takes nothing.
    pub(super) fn put(&self, ask: Ask) {
        let cost = cost(&ask);
        self.load.bytes.fetch_add(cost, Ordering::Relaxed);
        if self.sender.send(ask).is_err() {
            self.load.less(cost);
        }
    }
}

impl Mail {
    /// The next ask; `None` when the connection is over.
    pub(super) async fn next(&mut self) -> Option<Ask> {
        let ask = match self.kept.pop_front() {
            Some(ask) => ask,
            None => self.receiver.recv().await?,
        };
        self.load.less(cost(&ask));
        Some(ask)
    }

    /// Comes when the client does not want to wait any longer: it closes the channel, leaves, sends the signal
    /// INT, or types Ctrl-C where there is a terminal. Without one, a byte 3 is a byte of a file.
    pub(super) async fn given_up(&mut self, terminal: bool) {
        loop {
            let Some(ask) = self.receiver.recv().await else { return };
            let over = match &ask {
                Ask::Close => true,
                Ask::Signal(signal) => matches!(signal, Sig::INT | Sig::TERM | Sig::HUP),
                Ask::Data(bytes) => terminal && bytes.contains(&CTRL_C),
                _ => false,
            };
            if over && !matches!(ask, Ask::Close) {
                self.load.less(cost(&ask));
            } else {
                self.kept.push_back(ask);
            }
            if over {
                return;
            }
        }
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.receiver.close();
        while let Ok(ask) = self.receiver.try_recv() {
            self.kept.push_back(ask);
        }
        let left: usize = self.kept.iter().map(cost).sum();
        self.load.less(left);
    }
}

fn cost(ask: &Ask) -> usize {
    let bytes = match ask {
        Ask::Data(bytes) => bytes.len(),
        Ask::Env(name, value) => name.len().saturating_add(value.len()),
        Ask::Exec(command) => command.len(),
        Ask::Pty(terminal) => terminal.term.len(),
        Ask::Subsystem(name) => name.len(),
        Ask::X11 { protocol, cookie, .. } => protocol.len().saturating_add(cookie.len()),
        Ask::Agent | Ask::Close | Ask::Eof | Ask::Shell | Ask::Signal(_) | Ask::Window(_) => 0,
    };
    bytes.saturating_add(COST)
}

/// End of text: what Ctrl-C types.
const CTRL_C: u8 = 3;
