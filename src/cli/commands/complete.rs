//! `hoopctl tab`: what a shell asks while somebody presses Tab.
//!
//! Job: one line that says what kind of thing may come next, and a line for each word, with what is said of it behind
//! a tab. Boundary: never asks a person, never opens a keyring, never renews a login, waits for the broker half a
//! second at most, and offers no word that a shell could read as more than a word. Failure mode: it knows less.

mod words;

use std::ffi::OsString;
use std::time::Duration;

use clap::CommandFactory as _;
use clap_complete::Shell;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::words::{Line, Next};
use super::list::about;
use crate::cli::args::{Cli, Complete, Global};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::ui::{Ui, harmless};
use crate::client::api::{Api, ApiError, Scope};
use crate::client::home::BrokerHome;
use crate::client::keychain::{Keychain, StoredIn};
use crate::domain::approval::{GrantState, RequestState};
use crate::domain::session::SessionState;
use crate::wire::control::RequestView;

/// What only the broker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Devices that are not revoked.
    Devices,
    /// Grants that are good.
    Grants,
    /// Sessions that are open.
    Live,
    /// Requests of the caller's that are pending.
    Pending,
    /// Requests.
    Requests,
    /// Requests that the caller may answer.
    Reviewable,
    /// Sessions.
    Sessions,
    /// Targets.
    Targets,
}

/// Answers a shell.
///
/// # Errors
/// None: whoever presses Tab wants no message.
pub async fn run(global: Global, ui: Ui, args: &Complete) -> Result<u8, Failure> {
    let words: Vec<String> = args.words.iter().map(text).collect();
    let mut command = Cli::command();
    command.build();
    let Line { next, begun, given } = words::read(&command, &words);
    let (kind, words) = match next {
        Next::Commands => ("commands", Vec::new()),
        Next::Files => ("files", Vec::new()),
        Next::Words(words) => ("words", words),
        Next::Known(kind, lead) => {
            let option = |name: &str, known: Option<String>| given.get(name).cloned().or(known);
            let global = Global {
                broker: option("broker", global.broker),
                broker_pin: option("broker-pin", global.broker_pin),
                workload: option("workload", global.workload),
                output: global.output,
            };
            let known = known(global, ui, kind).await.into_iter();
            // zsh replaces a word that begins with `=` by a program's path
            let known = known.filter(|item| !item.word.starts_with(['=', '~']));
            ("words", known.map(|item| (format!("{lead}{}", item.word), item.about)).collect())
        }
    };
    let mut answer = format!("{kind}\n");
    for (word, about) in words {
        if word.starts_with(&begun) && is_plain(&word) {
            // a shell shows one line of it, and bash none
            let about = harmless::short(&about, ABOUT);
            answer.push_str(&if about.is_empty() || args.shell == Shell::Bash {
                format!("{word}\n")
            } else {
                format!("{word}\t{about}\n")
            });
        }
    }
    ui.raw(answer.as_bytes());
    Ok(0)
}

/// Keeps what a command has just been told, for the next time that somebody presses Tab.
pub fn remember(context: &Context, kind: Kind, items: impl Iterator<Item = (String, String)>) {
    let Ok(place) = context.place() else { return };
    let items = items.map(|(word, about)| Item { word, about }).collect();
    // a job leaves nothing that it does not need
    if context.stays() && !context.is_workload() {
        keep(&place, kind, &Kept { at: context.client.clock.now(), items: Some(items) });
    }
}

async fn known(global: Global, ui: Ui, kind: Kind) -> Vec<Item> {
    let Ok(context) = Context::read(global, ui) else { return Vec::new() };
    let Ok(place) = context.place() else { return Vec::new() };
    let kept = kept(&place, kind);
    let now = context.client.clock.now();
    let age = kept.as_ref().map(|kept| now.duration_since(kept.at).abs());
    if let (Some(kept), Some(age)) = (&kept, age)
        && age < FRESH
    {
        return kept.items.clone().unwrap_or_default();
    }
    let asked = tokio::time::timeout(LIMIT, ask(&context, kind)).await;
    if let Ok(Some(items)) = asked {
        keep(&place, kind, &Kept { at: now, items: Some(items.clone()) });
        return items;
    }
    // who could not be asked is not asked at every key; what was known before is better than nothing
    let old = kept.and_then(|kept| kept.items);
    keep(&place, kind, &Kept { at: now, items: old.clone() });
    old.unwrap_or_default()
}

/// Asks the broker, with what an earlier command left for that.
async fn ask(context: &Context, kind: Kind) -> Option<Vec<Item>> {
    let place = context.place().ok()?;
    if !context.is_workload() {
        // INVARIANT: a locked keyring asks the person when it is opened, so it is not opened
        let stored = Keychain::new(place, context.client.store).marker().ok()??;
        if stored == StoredIn::Keyring {
            return None;
        }
    }
    let api = context.api_at_hand().await?;
    fetch(&api, kind, context.client.clock.now()).await.ok()
}

async fn fetch(api: &Api, kind: Kind, now: Timestamp) -> Result<Vec<Item>, ApiError> {
    let item = |word: String, about: String| Item { word, about };
    Ok(match kind {
        Kind::Devices => {
            let devices = api.devices().await?.into_iter().filter(|device| device.revoked.is_none());
            devices.map(|device| item(device.id.to_string(), device.host)).collect()
        }
        Kind::Grants => {
            let grants = api.grants().await?.into_iter();
            let good = grants.filter(|grant| grant.state == GrantState::Active && grant.ends > now);
            good.map(|grant| item(grant.id.to_string(), format!("{}: {}", grant.target, grant.reason)))
                .collect()
        }
        Kind::Live | Kind::Sessions => {
            let sessions = api.sessions().await?.into_iter();
            let is_live = |state| matches!(state, SessionState::Pending | SessionState::Active);
            let wanted = sessions.filter(|session| kind == Kind::Sessions || is_live(session.state));
            wanted
                .map(|session| {
                    let state = if is_live(session.state) { "open" } else { "closed" };
                    let about = format!("{} on {}, {state}", session.display, session.target);
                    item(session.id.to_string(), about)
                })
                .collect()
        }
        Kind::Pending | Kind::Requests | Kind::Reviewable => {
            let mut views = Vec::new();
            if kind != Kind::Reviewable {
                views.extend(api.requests(Scope::Mine, None).await?);
            }
            if kind != Kind::Pending {
                views.extend(api.requests(Scope::Reviewable, None).await?);
            }
            let pending = |view: &RequestView| view.request.state == RequestState::Pending;
            views.retain(|view| kind == Kind::Requests || pending(view));
            views.sort_by(|a, b| a.request.id.cmp(&b.request.id));
            views.dedup_by(|a, b| a.request.id == b.request.id);
            views
                .into_iter()
                .map(|view| {
                    let state = state(&view.request.state);
                    let about = format!("{}: {} asks, {state}", view.request.target, view.request.display);
                    item(view.request.id.to_string(), about)
                })
                .collect()
        }
        Kind::Targets => {
            let targets = api.targets().await?;
            targets.iter().map(|target| item(target.name.to_string(), about(target))).collect()
        }
    })
}

fn state(state: &RequestState) -> &'static str {
    match state {
        RequestState::Pending => "pending",
        RequestState::Approved | RequestState::Granted { .. } | RequestState::Released { .. } => "approved",
        RequestState::Denied => "denied",
        RequestState::Withdrawn => "withdrawn",
        RequestState::Expired => "expired",
        RequestState::Void => "void",
    }
}

/// A word that may come next, and what is said of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Item {
    word: String,
    about: String,
}

/// What was known, and when it was asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    at: Timestamp,
    /// None when the broker could never be asked.
    items: Option<Vec<Item>>,
}

fn kept(place: &BrokerHome, kind: Kind) -> Option<Kept> {
    serde_json::from_slice(&place.read(kind.file()).ok()??).ok()
}

fn keep(place: &BrokerHome, kind: Kind, kept: &Kept) {
    // what cannot be kept is asked for again
    if let Ok(bytes) = serde_json::to_vec(kept) {
        drop(place.write(kind.file(), &bytes));
    }
}

/// Removes what is kept for completions of a broker.
pub fn forget(place: &BrokerHome) {
    Kind::ALL.iter().for_each(|kind| drop(place.remove(kind.file())));
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Devices,
        Self::Grants,
        Self::Live,
        Self::Pending,
        Self::Requests,
        Self::Reviewable,
        Self::Sessions,
        Self::Targets,
    ];

    fn file(self) -> &'static str {
        match self {
            Self::Devices => "complete-devices.json",
            Self::Grants => "complete-grants.json",
            Self::Live => "complete-live.json",
            Self::Pending => "complete-pending.json",
            Self::Requests => "complete-requests.json",
            Self::Reviewable => "complete-reviewable.json",
            Self::Sessions => "complete-sessions.json",
            Self::Targets => "complete-targets.json",
        }
    }
}

/// INVARIANT: a word that is offered means itself in every shell, unquoted: whoever names things at the broker
/// cannot make somebody's shell run anything.
fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/@+,=:-".contains(c);
    !word.is_empty() && word.len() <= LONGEST && word.chars().all(plain) && !word.starts_with(':')
}

fn text(word: &OsString) -> String {
    word.to_string_lossy().into_owned()
}

/// How much is said of a word.
const ABOUT: usize = 60;
/// How long an answer is used again without asking: somebody presses Tab twice.
const FRESH: SignedDuration = SignedDuration::from_secs(5);
/// How long the broker is waited for.
const LIMIT: Duration = Duration::from_millis(500);
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_offered_that_a_shell_reads_as_more() {
        for word in ["db", "req_01h", "--wait=", "=json", "sha256:ab", "a.b-c_d"] {
            assert!(is_plain(word), "{word}");
        }
        for word in
            ["", "$(rm)", "`rm`", "a;b", "a b", "a\nb", "~x", "a*", "a'", "\u{1b}[31m", "ä", ":x", "!x"]
        {
            assert!(!is_plain(word), "{word}");
        }
    }
}
