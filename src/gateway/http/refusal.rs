//! Calls that are refused before policy is asked.
//!
//! Job: enter each as a denied deed, by a rule of the gateway's own, on the same way as one that policy denies: one at
//! a time, through the same gate, into the same recording. Boundary: says nothing of headers, query or body, which
//! nobody has read yet. Failure mode: where it cannot be entered, the session ends.

use http::Request;

use super::answer::Problem;
use super::exchange::unrecorded;
use super::reading::Reading;
use super::shared::{Behind, Shared};
use crate::domain::action::Deed;
use crate::domain::facts::CallFacts;
use crate::domain::policy::Denial;
use crate::gateway::judge::Case;
use crate::recording::item::Outcome;
use crate::wire::http::framing::Fault;
use crate::wire::http::target::{PathPolicy, Resource};

/// What can be said of a call that was not read.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Sketch {
    method: Option<String>,
    path: Option<String>,
}

impl Sketch {
    /// Of a request: its method and path, as far as they are spelled as they should be.
    pub(in crate::gateway) fn of<B>(request: &Request<B>) -> Self {
        let method = request.method().as_str();
        let is_method = method.len() <= LONGEST_METHOD
            && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        let path = Resource::parse(request.uri().path(), PathPolicy::default()).ok();
        Self {
            method: is_method.then(|| method.to_owned()),
            path: path.map(|path| path.path().to_owned()).filter(|path| path.len() <= LONGEST_PATH),
        }
    }

    /// Of a call that was read.
    pub(in crate::gateway) fn of_reading(reading: &Reading) -> Self {
        let path = Some(reading.facts.path.clone()).filter(|path| path.len() <= LONGEST_PATH);
        Self { method: Some(reading.facts.method.clone()), path }
    }

    fn case(&self, behind: &Behind, why: &str) -> Case {
        let unknown = || "?".to_owned();
        let (method, path) =
            (self.method.clone().unwrap_or_else(unknown), self.path.clone().unwrap_or_else(unknown));
        let text = format!("{method} {path} ({why})");
        Case {
            protocol: match behind {
                Behind::Account(_) => "aws",
                Behind::Api(_) => "http",
            },
            exact: format!("{method} {path}").into_bytes(),
            text,
            sent: None,
            deed: Deed::Call(CallFacts { touches_masked: true, ..CallFacts::unread(method, path) }),
            settings: std::collections::BTreeMap::new(),
        }
    }
}

/// Enters a refusal; what the client is told.
pub(in crate::gateway) async fn enter(shared: &Shared, sketch: &Sketch, problem: Problem) -> Problem {
    let (status, why) = problem.told();
    let (status, why) = (status.as_u16().to_string(), why.to_owned());
    let denial = Denial { rule: problem.built_in(), reason: why.clone(), hint: None };
    let entered = async {
        let number = shared.turnstile.refuse(&sketch.case(&shared.behind, &why), denial).await?;
        let outcome = Outcome { number, rows: 0, tag: Some(status), error: Some(why) };
        shared.turnstile.reel().outcome(&outcome).await
    };
    match entered.await {
        Ok(()) => problem,
        Err(error) => unrecorded(shared, &error),
    }
}

/// Enters what was not even read as a call; the server has answered it.
pub(in crate::gateway) async fn enter_unread(shared: &Shared, fault: Option<Fault>) {
    let why = fault.map_or_else(|| "it is no HTTP".to_owned(), |fault| fault.to_string());
    let _told = enter(shared, &Sketch::default(), Problem::unclear(why)).await;
}

const LONGEST_METHOD: usize = 32;
const LONGEST_PATH: usize = 1024;
