//! Opening the sessions of one command: all of them, or none.
//!
//! Job: open them side by side; where targets need approval, file every request before any is waited for; close what is
//! open when one cannot be opened. Boundary: starts nothing. Failure mode: the failure that waiting helps least, by the
//! name of its target, after the others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{join_all, try_join_all};
use futures_util::stream::FuturesUnordered;
use secrecy::SecretString;

use crate::cli::args::Ask;
use crate::cli::commands::request::ask::{Mine, Way, refusal};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::client::api::{Api, ApiError};
use crate::client::link::LinkError;
use crate::client::session::LiveSession;
use crate::client::signals::Signals;
use crate::wire::control::{Problem, ProblemCode};

/// A session that is wanted.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The target, as the user called it.
    pub target: &'a str,
    /// The public key that it will use, for SSH.
    pub key: Option<String>,
    /// Whether it goes on when this program has ended.
    pub lasts: bool,
}

/// A session, and the secret for whoever uses it.
pub type Opened = (LiveSession, SecretString);

/// Opens all sessions, after the approvals that are needed; they come in the order in which they are wanted.
///
/// # Errors
/// [`Failure`]; nothing is left open then.
pub async fn open(
    context: &Context,
    api: &Arc<Api>,
    wanted: Vec<Wanted<'_>>,
    ask: &Ask,
    signals: &mut Signals,
) -> Result<Vec<Opened>, Failure> {
    let openings = wanted.into_iter().map(|wanted| Opening { wanted, opened: None }).collect();
    let mut all = Openings { context, api, ask, openings };
    let outcome = all.open(signals).await;
    let opened: Vec<Opened> = all.openings.into_iter().filter_map(|opening| opening.opened).collect();
    match outcome {
        Ok(()) => Ok(opened),
        Err(failure) => {
            close(context, opened.into_iter().map(|(session, _)| session)).await;
            Err(failure)
        }
    }
}

/// Closes sessions; those that cannot be closed end by themselves.
pub async fn close(context: &Context, sessions: impl IntoIterator<Item = LiveSession>) {
    for closed in join_all(sessions.into_iter().map(LiveSession::close)).await {
        if let Err(error) = closed {
            let message = format!("the session could not be closed and ends by itself: {error}");
            context.ui.warning(&message);
        }
    }
}

/// Does what a signal may interrupt.
///
/// # Errors
/// Whatever went wrong, or the signal.
pub async fn until_signal<T>(
    signals: &mut Signals,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        signal = signals.ended() => Err(interrupted(signal)),
    }
}

/// Where this program is, for programs that start it.
///
/// # Errors
/// When the system does not say.
pub fn own() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| {
        Failure::new(FailureKind::Configuration, format!("this program cannot find itself: {error}"))
    })
}

struct Openings<'a> {
    context: &'a Context,
    api: &'a Arc<Api>,
    ask: &'a Ask,
    openings: Vec<Opening<'a>>,
}

struct Opening<'a> {
    wanted: Wanted<'a>,
    opened: Option<Opened>,
}

impl Openings<'_> {
    async fn open(&mut self, signals: &mut Signals) -> Result<(), Failure> {
        let mut faults = self.attempt(signals).await?;
        if !only_held(&faults) {
            return self.unless(faults);
        }
        // asked after the refusals: what was approved since then opens now, and what was not by now is waited for
        let mine = until_signal(signals, Mine::of(self.api)).await?;
        if faults.iter().any(|fault| mine.may_admit(&fault.target)) {
            faults = self.attempt(signals).await?;
            if !only_held(&faults) {
                return self.unless(faults);
            }
        }
        let held: Vec<Held<'_>> = faults.iter().filter_map(Held::of).collect();
        self.approved(&held, &mine, signals).await?;
        for opening in &mut self.openings {
            // somebody may have taken his time
            opening.opened.take_if(|(session, _)| *session.stopped().borrow());
        }
        let faults = self.attempt(signals).await?;
        self.unless(faults)
    }

    /// Tries to open what is not open; returns what cannot be.
    async fn attempt(&mut self, signals: &mut Signals) -> Result<Vec<Fault>, Failure> {
        let api = self.api;
        let closed = self.openings.iter().enumerate().filter(|(_, opening)| opening.opened.is_none());
        let mut running: FuturesUnordered<_> = closed
            .map(|(place, Opening { wanted, .. })| async move {
                let opened = match wanted.lasts {
                    true => LiveSession::open_to_last(api, wanted.target).await,
                    false => LiveSession::open(api, wanted.target, wanted.key.clone()).await,
                };
                (place, opened)
            })
            .collect();
        let (mut done, mut signal) = (Vec::new(), None);
        let patience = tokio::time::sleep(Duration::MAX);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                ended = running.next() => match ended {
                    Some(ended) => done.push(ended),
                    None => break,
                },
                // what is being opened at the broker can only be closed when it is known
                number = signals.ended(), if signal.is_none() => {
                    signal = Some(number);
                    patience.as_mut().reset(tokio::time::Instant::now() + LAST_ANSWERS);
                }
                () = &mut patience, if signal.is_some() => break,
            }
        }
        drop(running);
        let mut faults = Vec::new();
        for (place, outcome) in done {
            let Some(opening) = self.openings.get_mut(place) else { continue };
            match outcome {
                Ok(opened) => opening.opened = Some(opened),
                Err(error) => faults.push(Fault { place, target: opening.wanted.target.to_owned(), error }),
            }
        }
        faults.sort_by_key(|fault| fault.place);
        match signal {
            Some(signal) => Err(interrupted(signal)),
            None => Ok(faults),
        }
    }

    /// Files every request, and then waits for all answers.
    async fn approved(&self, held: &[Held<'_>], mine: &Mine, signals: &mut Signals) -> Result<(), Failure> {
        let ways = held.iter().map(|held| Way { ask: self.ask, problem: held.problem, target: held.target });
        let ways: Vec<Way<'_>> = ways.collect();
        let (mut filed, mut failures, mut reason) = (Vec::new(), Vec::new(), None);
        for way in &ways {
            match way.file(self.context, self.api, signals, mine, &mut reason).await {
                Ok(view) => filed.push((way, view)),
                Err(failure) if failure.is_signal() => return Err(failure),
                Err(failure) => failures.push((way.target.to_owned(), failure)),
            }
        }
        if !failures.is_empty() {
            return Err(self.worst(failures));
        }
        let alone = ways.len() == 1;
        let answers = filed.iter().map(|(way, view)| async move {
            let answered = way.answer(self.context, self.api, view, alone).await;
            answered.map_err(|failure| self.named(way.target, failure))
        });
        tokio::select! {
            answered = try_join_all(answers) => answered.map(drop),
            signal = signals.ended() => {
                let ids: Vec<String> = filed.iter().map(|(_, view)| view.request.id.to_string()).collect();
                let stays = if alone { "stays" } else { "stay" };
                let mut failure = Failure::new(FailureKind::Signal(signal), format!("{} {stays} filed", ids.join(", ")));
                if let [(_, view)] = filed.as_slice() {
                    failure = failure.of_request(&view.request.id);
                }
                for ((way, _), id) in filed.iter().zip(&ids) {
                    failure = failure.hint(format!(
                        "`hoopctl connect {}` waits on, `hoopctl request withdraw {id}` gives up", way.target
                    ));
                }
                Err(failure)
            }
        }
    }

    fn unless(&self, faults: Vec<Fault>) -> Result<(), Failure> {
        let failures = faults.into_iter().map(|fault| {
            let failure = match Held::of(&fault) {
                Some(held) => refusal(held.problem),
                None => fault.error.into(),
            };
            (fault.target, failure)
        });
        let failures: Vec<_> = failures.collect();
        if failures.is_empty() { Ok(()) } else { Err(self.worst(failures)) }
    }

    /// Says all failures but the one that waiting helps least, and returns that one.
    fn worst(&self, failures: Vec<(String, Failure)>) -> Failure {
        let mut named: Vec<Failure> =
            failures.into_iter().map(|(target, failure)| self.named(&target, failure)).collect();
        // the order in which they were named decides among equals
        named.sort_by_key(Failure::severity);
        let worst = named.pop();
        for failure in named {
            self.context.ui.failure(&failure);
        }
        worst.unwrap_or_else(|| Failure::new(FailureKind::Internal, "nothing failed"))
    }

    /// With one target it is clear which one is meant.
    fn named(&self, target: &str, failure: Failure) -> Failure {
        if self.openings.len() == 1 { failure } else { failure.about(target) }
    }
}

/// Whether there is something to ask for, and nothing that asking does not help.
fn only_held(faults: &[Fault]) -> bool {
    !faults.is_empty() && faults.iter().all(|fault| Held::of(fault).is_some())
}

/// A session that could not be opened.
#[derive(Debug)]
struct Fault {
    place: usize,
    target: String,
    error: ApiError,
}

/// A session that needs approval.
struct Held<'a> {
    target: &'a str,
    problem: &'a Problem,
}

impl<'a> Held<'a> {
    fn of(fault: &'a Fault) -> Option<Self> {
        match &fault.error {
            ApiError::Link(LinkError::Problem(problem)) if problem.code == ProblemCode::ReviewNeeded => {
                Some(Self { target: &fault.target, problem })
            }
            _ => None,
        }
    }
}

fn interrupted(signal: u8) -> Failure {
    Failure::new(FailureKind::Signal(signal), "interrupted")
}

/// How long an interrupted command waits to hear what the broker has opened for it.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
