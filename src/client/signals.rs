//! Signals that come to this process, and which of them are for the program that it started.
//!
//! Job: watch from before a session is opened, so that it can always be closed; tell what to pass on so that a
//! program gets each signal once. Boundary: sends nothing. Failure mode: a signal that whoever started this process
//! had ignored (`nohup`) stays ignored, here and in the program.
//!
//! On a terminal the program is in this process's group, and what is typed there reaches both: Ctrl-C and Ctrl-\ are
//! passed on only when this group is not the one in the foreground, because then somebody sent them to this process
//! alone. Without a terminal (CI, cron) the program has a group of its own, so that whether somebody means this process
//! or its whole group, the program gets the signal from here and from nowhere else.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, getpgrp};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::launch::LaunchError;

/// The signals that end or interrupt this process, or that a program may wait for.
#[derive(Debug)]
pub struct Signals {
    hangup: Watched,
    interrupt: Watched,
    quit: Watched,
    terminate: Watched,
    others: Vec<(Signal, Watched)>,
    terminal: Option<OwnedFd>,
}

/// A signal to pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// To the program, and to nobody below it: it decides what they get.
    Program(Signal),
    /// To the program and all that is in its group, as a terminal does it.
    Group(Signal),
}

impl Signals {
    /// Starts to watch.
    ///
    /// # Errors
    /// When the system says no.
    pub fn watch() -> Result<Self, LaunchError> {
        let ignored = Ignored::now();
        let watch = |number: Signal| Watched::start(number, &ignored);
        Ok(Self {
            hangup: watch(Signal::HUP)?,
            interrupt: watch(Signal::INT)?,
            quit: watch(Signal::QUIT)?,
            terminate: watch(Signal::TERM)?,
            others: Vec::new(),
            terminal: rustix::fs::open(
                "/dev/tty",
                OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .ok(),
        })
    }

    /// Whether a program must be in a group of its own to get each signal once.
    #[must_use]
    pub fn wants_group(&self) -> bool {
        self.terminal.is_none()
    }

    /// Watches also what has no meaning here and may have one to the program that is about to be started.
    ///
    /// # Errors
    /// When the system says no.
    pub(super) fn watch_for_program(&mut self) -> Result<(), LaunchError> {
        let ignored = Ignored::now();
        let mut wanted = vec![Signal::USR1, Signal::USR2];
        // a terminal tells everybody in the foreground by itself; and stops this process with the program
        if self.wants_group() {
            wanted.extend([Signal::WINCH, Signal::CONT, Signal::TSTP]);
        }
        for number in wanted {
            self.others.push((number, Watched::start(number, &ignored)?));
        }
        Ok(())
    }

    /// Waits for a signal that ends a program without a child; returns its number.
    pub async fn ended(&mut self) -> u8 {
        tokio::select! {
            () = self.hangup.next() => 1,
            () = self.interrupt.next() => 2,
            () = self.quit.next() => 3,
            () = self.terminate.next() => 15,
        }
    }

    /// Waits for a signal that the program must be told of.
    pub(super) async fn next_passed(&mut self) -> Passed {
        loop {
            let others = self.others.iter_mut().map(|(number, watched)| {
                let number = *number;
                Box::pin(async move {
                    watched.next().await;
                    number
                })
            });
            let others: Vec<_> = others.collect();
            let other = async {
                if others.is_empty() {
                    return std::future::pending().await;
                }
                futures_util::future::select_all(others).await.0
            };
            let typed = tokio::select! {
                () = self.hangup.next() => return Passed::Group(Signal::HUP),
                () = self.terminate.next() => return Passed::Program(Signal::TERM),
                () = self.interrupt.next() => Signal::INT,
                () = self.quit.next() => Signal::QUIT,
                other = other => return match other {
                    Signal::USR1 | Signal::USR2 => Passed::Program(other),
                    _ => Passed::Group(other),
                },
            };
            if !self.is_typed() {
                return Passed::Group(typed);
            }
        }
    }

    /// Whether what came was, as far as one can tell, typed at the terminal, which tells the program as well.
    fn is_typed(&self) -> bool {
        let foreground = self.terminal.as_ref().map(rustix::termios::tcgetpgrp);
        matches!(foreground, Some(Ok(group)) if group == getpgrp())
    }
}

/// A signal that is watched, or left alone.
#[derive(Debug)]
struct Watched(Option<Stream>);

impl Watched {
    fn start(number: Signal, ignored: &Ignored) -> Result<Self, LaunchError> {
        if ignored.holds(number) {
            return Ok(Self(None));
        }
        signal(SignalKind::from_raw(number.as_raw()))
            .map(|stream| Self(Some(stream)))
            .map_err(LaunchError::Signals)
    }

    async fn next(&mut self) {
        let came = match &mut self.0 {
            Some(stream) => stream.recv().await,
            None => None,
        };
        if came.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// What whoever started this process had it ignore: to watch a signal would undo that, for the program as well.
struct Ignored(u64);

impl Ignored {
    /// As the kernel says (proc_pid_status(5)); nothing where it does not.
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default())
    }

    fn holds(&self, number: Signal) -> bool {
        let bit = u32::try_from(number.as_raw()).ok().and_then(|number| number.checked_sub(1));
        bit.and_then(|bit| 1_u64.checked_shl(bit)).is_some_and(|bit| self.0 & bit != 0)
    }
}
