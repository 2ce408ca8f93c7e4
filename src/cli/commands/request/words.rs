//! Times and states in words.

use jiff::Timestamp;

use crate::domain::approval::request::ReleasedBy;
use crate::domain::approval::{Decision, RequestState, Subject, What};
use crate::wire::control::RequestView;

/// A time, and how far away it is.
#[must_use]
pub(super) fn when(at: Timestamp, now: Timestamp) -> String {
    format!("{at:.0} ({})", away(at, now))
}

/// How far away a time is: `in 9 min`, `2 h ago`.
#[must_use]
pub fn away(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second().saturating_sub(now.as_second());
    let rough = rough(seconds.unsigned_abs());
    if seconds >= 0 { format!("in {rough}") } else { format!("{rough} ago") }
}

/// A length of time, exactly: `1 h 30 min`.
#[must_use]
pub fn lasting(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds % 86_400 / 3600, "h"),
        (seconds % 3600 / 60, "min"),
        (seconds % 60, "s"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    if parts.is_empty() { "0 s".into() } else { parts.join(" ") }
}

/// Where a request is in its life, for a page.
#[must_use]
pub(super) fn state(view: &RequestView, now: Timestamp) -> String {
    let request = &view.request;
    match &request.state {
        RequestState::Pending if request.expires <= now => "pending, but its time is over".into(),
        RequestState::Pending => format!("pending, until {}", when(request.expires, now)),
        RequestState::Approved => "approved, and not yet released".into(),
        RequestState::Granted { grant } => match &view.grant {
            Some(given) => format!("approved: {grant}, until {}", when(given.ends, now)),
            None => format!("approved: {grant}"),
        },
        RequestState::Released { by: None } => "approved and released".into(),
        RequestState::Released { by: Some(ReleasedBy::Rule(rule)) } => {
            format!("released by the rule {rule}, without people")
        }
        RequestState::Released { by: Some(ReleasedBy::Standing(earlier)) } => {
            format!("released by the standing decision of {earlier}")
        }
        RequestState::Denied => match denial(view) {
            Some((by, _)) => format!("denied by {by}"),
            None => "denied".into(),
        },
        RequestState::Withdrawn => "withdrawn".into(),
        RequestState::Expired => "expired: nobody answered in time".into(),
        RequestState::Void => "void: what it was for is gone".into(),
    }
}

/// The same for a line of a list.
#[must_use]
pub(super) fn brief_state(view: &RequestView, now: Timestamp) -> String {
    match &view.request.state {
        RequestState::Pending if view.request.expires > now => {
            let left = away(view.request.expires, now);
            let left = left.strip_prefix("in ").unwrap_or(&left);
            format!("{left} left")
        }
        RequestState::Pending | RequestState::Expired => "expired".into(),
        RequestState::Approved | RequestState::Granted { .. } => "approved".into(),
        RequestState::Released { .. } => "released".into(),
        RequestState::Denied => "denied".into(),
        RequestState::Withdrawn => "withdrawn".into(),
        RequestState::Void => "void".into(),
    }
}

/// For what, in a few words that hold nothing of the statement but its command and relations.
#[must_use]
pub(super) fn brief(subject: &Subject) -> String {
    match &subject.what {
        What::Session(session) => {
            let once = if session.once { "once, " } else { "" };
            let extends = if session.extends.is_some() { "longer, " } else { "" };
            format!("session, {once}{extends}{}", lasting(session.seconds))
        }
        What::Deed(deed) => {
            let relation = deed
                .facts
                .statement()
                .and_then(|facts| facts.relations_written.first().or_else(|| facts.relations_read.first()));
            match relation {
                Some(relation) => format!("{} {relation}", deed.facts.verb()),
                None => deed.facts.verb(),
            }
        }
    }
}

/// Who said no, and why.
#[must_use]
pub(super) fn denial(view: &RequestView) -> Option<(&str, Option<&str>)> {
    let no = view.request.reviews.iter().rev().find(|review| review.decision == Decision::Deny)?;
    Some((&no.display, no.reason.as_deref()))
}

fn rough(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
