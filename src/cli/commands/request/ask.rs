//! Filing a request: by hand, or because `connect` and `exec` were told that one is needed.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::result;
use super::wait::{finish, outcome, wait, wait_showing};
use super::words::{lasting, when};
use crate::cli::args::{Approval, Ask};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::{Waiting, harmless};
use crate::client::api::{Api, Scope};
use crate::client::signals::Signals;
use crate::domain::approval::{GrantState, RequestState, SubjectText, What};
use crate::domain::name::GrantId;
use crate::wire::control::{AskSession, Problem, RequestView};

/// `request approval`.
///
/// # Errors
/// [`Failure`]; with `--wait` also what was answered, unless it was yes.
pub(super) async fn run(context: &Context, args: Approval) -> Result<u8, Failure> {
    let now = context.client.clock.now();
    let starts = args.from.as_deref().map(|text| starts(text, now, &TimeZone::system())).transpose()?;
    let extends = args.extend.map(GrantId::new).transpose().map_err(|error| {
        Failure::new(FailureKind::Usage, error.to_string()).hint("`hoopctl grant list` shows the ids")
    })?;
    let ask = AskSession {
        target: args.target,
        reason: args.reason,
        seconds: args.lasts.as_secs(),
        starts,
        once: args.once,
        extends,
        key: args.idempotency_key,
    };
    let api = context.api().await?;
    let view = api.ask_session(&ask).await?;
    let Some(limit) = args.wait else {
        result(context.ui, &view, view.request.id.as_str());
        context.ui.talk(&filed(&view, now));
        return Ok(0);
    };
    context.ui.talk(&format!("filed {}", view.request.id));
    let view = match view.request.state {
        RequestState::Pending => wait(context, &api, &view.request.id, limit).await?,
        _ => view,
    };
    finish(context, &view)
}

/// How a target that needs approval is got through to.
pub struct Way<'a> {
    /// What the command line says.
    pub ask: &'a Ask,
    /// What the broker said.
    pub problem: &'a Problem,
    /// The target, as the user spelled it.
    pub target: &'a str,
}

/// The caller's own requests for sessions from now on, as they were at one moment after openings were refused.
pub struct Mine {
    views: Vec<RequestView>,
    at: Timestamp,
}

impl Mine {
    /// Asks the broker.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn of(api: &Api) -> Result<Self, Failure> {
        let mut views = api.requests(Scope::Mine, None).await?;
        views.retain(is_for_sessions_from_now_on);
        Ok(Self { views, at: api.context().clock.now() })
    }

    /// One that is to be waited for: pending, or approved and its grant not in force yet.
    fn awaited(&self, target: &str) -> Option<&RequestView> {
        self.on(target).find(|view| {
            let awaits = match view.request.state {
                RequestState::Pending => true,
                RequestState::Granted { .. } => view.grant.is_none(),
                _ => false,
            };
            awaits && view.request.expires > self.at
        })
    }

    /// Whether there is a grant that may not have been there when the opening was refused. Whether it admits is the
    /// broker's to say: one more try does no harm.
    #[must_use]
    pub fn may_admit(&self, target: &str) -> bool {
        self.on(target).any(|view| {
            view.grant.as_ref().is_some_and(|grant| grant.state == GrantState::Active && grant.ends > self.at)
        })
    }

    fn on(&self, target: &str) -> impl Iterator<Item = &RequestView> {
        self.views.iter().filter(move |view| view.request.target.as_str() == target)
    }
}

impl Way<'_> {
    /// Files a request, or finds the one of `mine` that is awaited. `said` is the reason that a person has given, for this
    /// target or one before it.
    ///
    /// # Errors
    /// [`Failure`], also when nobody wants to wait for the answer.
    pub async fn file(
        &self,
        context: &Context,
        api: &Api,
        signals: &mut Signals,
        mine: &Mine,
        said: &mut Option<String>,
    ) -> Result<RequestView, Failure> {
        let pending = mine.awaited(self.target).cloned();
        let ui = context.ui;
        if self.ask.request && self.ask.wait.is_none() {
            let view = match pending {
                Some(view) => view,
                None => self.ask_for(context, api, self.ask.reason.clone().unwrap_or_default()).await?,
            };
            if ui.json {
                ui.object(&view);
            }
            outcome(context, &view)?;
            return Ok(view);
        }
        let view = match (pending, self.ask.reason.as_ref().or(said.as_ref())) {
            (Some(view), _) => {
                ui.talk(&format!("you have asked already: {}", view.request.id));
                view
            }
            (None, Some(reason)) if self.ask.wait.is_some() || ui.can_ask() => {
                self.ask_for(context, api, reason.clone()).await?
            }
            (None, None) if ui.can_ask() => {
                let reason = said.insert(self.question(context, signals).await?).clone();
                self.ask_for(context, api, reason).await?
            }
            (None, _) => return Err(refusal(self.problem)),
        };
        if view.request.state == RequestState::Pending {
            // whoever cannot be asked and did not say `--wait` does not want to wait
            if self.ask.wait.is_none() && !ui.can_ask() {
                outcome(context, &view)?;
            }
            ui.talk("Ctrl-C stops waiting; the request stays filed");
        }
        Ok(view)
    }

    /// Waits for the approval of what was filed. Nothing turns while several are waited for at once.
    ///
    /// # Errors
    /// [`Failure`], unless it was approved.
    pub async fn answer(
        &self,
        context: &Context,
        api: &Api,
        filed: &RequestView,
        alone: bool,
    ) -> Result<(), Failure> {
        let (id, limit) = (&filed.request.id, self.ask.wait.flatten());
        let answered = match alone {
            true => wait(context, api, id, limit).await?,
            false => wait_showing(context, api, id, limit, Waiting::unseen()).await?,
        };
        outcome(context, &answered)?;
        context.ui.talk(&approved(&answered, context.client.clock.now()));
        Ok(())
    }

    async fn ask_for(&self, context: &Context, api: &Api, reason: String) -> Result<RequestView, Failure> {
        let ask = AskSession {
            target: self.target.to_owned(),
            reason,
            seconds: self.ask.lasts.as_secs(),
            starts: None,
            once: false,
            extends: None,
            key: self.ask.idempotency_key.clone(),
        };
        let view = api.ask_session(&ask).await?;
        context.ui.talk(&filed(&view, context.client.clock.now()));
        Ok(view)
    }

    /// Asks for the reason. The terminal is read in a thread of its own, so that Ctrl-C is heard.
    async fn question(&self, context: &Context, signals: &mut Signals) -> Result<String, Failure> {
        let ui = context.ui;
        let problem = self.problem;
        let because = problem.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        ui.talk(&harmless::line(&format!("{}{because}", problem.title)));
        let lasts = lasting(self.ask.lasts.as_secs());
        let question = format!("To ask for {lasts}, say why (nothing to give up):");
        let asked = tokio::task::spawn_blocking(move || ui.ask(&question));
        let answer = tokio::select! {
            answer = asked => answer.map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?,
            signal = signals.ended() => {
                return Err(Failure::new(FailureKind::Signal(signal), "interrupted; nothing was filed"));
            }
        };
        answer.ok_or_else(|| refusal(self.problem))
    }
}

/// What the broker said, and what to type.
#[must_use]
pub fn refusal(problem: &Problem) -> Failure {
    Failure::from(problem.clone()).hint("or add `--wait --reason TEXT` here, to ask, wait and go on")
}

/// Whether an approval of this request would let `connect` in at once.
fn is_for_sessions_from_now_on(view: &RequestView) -> bool {
    let Ok(text) = SubjectText::read(view.subject.as_str()) else { return false };
    match &text.subject().what {
        What::Session(session) => session.starts.is_none() && session.extends.is_none(),
        What::Deed(_) => false,
    }
}

fn filed(view: &RequestView, now: Timestamp) -> String {
    let (id, request) = (&view.request.id, &view.request);
    match &request.state {
        RequestState::Pending => {
            let missing = harmless::line(&view.missing);
            format!("filed {id}: it awaits {missing}, until {}", when(request.expires, now))
        }
        _ => approved(view, now),
    }
}

fn approved(view: &RequestView, now: Timestamp) -> String {
    let id = &view.request.id;
    match &view.grant {
        Some(grant) if grant.starts > now => {
            format!("{id} is approved, from {} until {}", when(grant.starts, now), when(grant.ends, now))
        }
        Some(grant) => format!("{id} is approved, until {}", when(grant.ends, now)),
        None => format!("{id} is approved"),
    }
}

/// `+30m`, `22:00`, `2026-12-01T22:00`, or a time with its offset.
fn starts(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, Failure> {
    let wrong = || {
        Failure::new(FailureKind::Usage, format!("`{}` is not a time", harmless::line(text)))
            .hint("write +30m, 22:00, 2026-12-01T22:00 or 2026-12-01T22:00:00Z")
    };
    if let Some(later) = text.strip_prefix('+') {
        let later: jiff::SignedDuration = later.parse().map_err(|_| wrong())?;
        return now.checked_add(later).map_err(|_| wrong());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let here = now.to_zoned(zone.clone());
    let at = match (text.parse::<Time>(), text.contains(['-', 'T'])) {
        (Ok(time), false) => {
            let today = here.date().to_datetime(time);
            // a time of day that is over is tomorrow's
            if today > here.datetime() {
                today
            } else {
                today.checked_add(jiff::Span::new().days(1)).map_err(|_| wrong())?
            }
        }
        _ => text.parse::<DateTime>().map_err(|_| wrong())?,
    };
    at.to_zoned(zone.clone()).map(|at| at.timestamp()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::domain::approval::Grant;
    use crate::domain::name::{DeviceId, Digest, RequestId, TargetName};

    #[test]
    fn a_beginning_is_written_in_four_ways() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now: Timestamp = "2026-11-21T20:30:00Z".parse().unwrap();
        let at = |text: &str| starts(text, now, &zone).map(|at| at.to_string());
        assert_eq!(at("+30m").unwrap(), "2026-11-21T21:00:00Z");
        assert_eq!(at("23:00").unwrap(), "2026-11-21T21:00:00Z");
        assert_eq!(at("22:00").unwrap(), "2026-11-22T20:00:00Z", "over for today");
        assert_eq!(at("2026-12-01T22:00").unwrap(), "2026-12-01T20:00:00Z");
        assert_eq!(at("2026-12-01T22:00:00Z").unwrap(), "2026-12-01T22:00:00Z");
        for wrong in ["", "soon", "+", "+soon", "25:00", "2026-13-01T00:00"] {
            assert_eq!(at(wrong).unwrap_err().code(), crate::cli::exit::USAGE, "{wrong}");
        }
    }

    /// What was approved between a refusal and this look must not be asked for anew.
    #[test]
    fn what_is_pending_is_awaited_and_what_was_granted_is_tried() {
        let at: Timestamp = "2026-11-21T20:30:00Z".parse().unwrap();
        let found = |change: &dyn Fn(&mut RequestView)| {
            let mut view = view();
            change(&mut view);
            let mine = Mine { views: vec![view], at };
            (mine.awaited("db").is_some(), mine.may_admit("db"))
        };
        let granted = |grant: Option<Grant>| {
            move |view: &mut RequestView| {
                view.request.state = RequestState::Granted { grant: GrantId::from_random([3; 16]) };
                view.grant.clone_from(&grant);
            }
        };
        assert_eq!(found(&|_| ()), (true, false));
        assert_eq!(found(&|view| view.request.expires = at), (false, false), "nobody answers it any more");
        assert_eq!(found(&granted(None)), (true, false), "its grant is not in force yet");
        assert_eq!(found(&granted(Some(grant()))), (false, true));
        assert_eq!(found(&granted(Some(Grant { ends: at, ..grant() }))), (false, false));
        assert_eq!(found(&granted(Some(Grant { state: GrantState::Used, ..grant() }))), (false, false));
        assert_eq!(found(&|view| view.request.state = RequestState::Denied), (false, false));
        assert_eq!(found(&|view| view.request.target = TargetName::new("other").unwrap()), (false, false));
    }

    fn view() -> RequestView {
        serde_json::from_value(serde_json::json!({
            "request": {
                "id": RequestId::from_random([1; 16]), "requester": {"provider": "corp", "subject": "alice"},
                "display": "alice", "device": DeviceId::from_digest(&[1; 32]), "target": "db",
                "subject": Digest::from_bytes(&[0; 32]), "threshold": "corp/dba:1", "people_only": false,
                "standing_max": 0, "filed": Timestamp::UNIX_EPOCH, "expires": Timestamp::MAX,
                "state": RequestState::Pending, "reviews": []
            },
            "subject": "", "missing": "", "reviewable": false
        }))
        .unwrap()
    }

    fn grant() -> Grant {
        serde_json::from_value(serde_json::json!({
            "id": GrantId::from_random([3; 16]), "request": RequestId::from_random([1; 16]),
            "principal": {"provider": "corp", "subject": "alice"}, "target": "db", "reason": "incident 4711",
            "starts": Timestamp::UNIX_EPOCH, "ends": Timestamp::MAX, "once": false, "state": "active"
        }))
        .unwrap()
    }
}
