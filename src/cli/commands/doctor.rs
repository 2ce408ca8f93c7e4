//! `hoopctl doctor`.
//!
//! Job: looks at everything that a session needs, in the order in which things need each other, and says of each
//! whether it is well, and if not, what mends it. Boundary: changes nothing but a login's token, and asks nobody.
//! Failure mode: none of its own; what could not be looked at is said to be so.

mod machine;
mod server;

use serde::Serialize;

use crate::cli::args::{Doctor, Global};
use crate::cli::failure::Failure;
use crate::cli::ui::Ui;

/// Finds what is wrong.
///
/// # Errors
/// [`Failure`].
pub async fn run(global: Global, ui: Ui, args: &Doctor) -> Result<u8, Failure> {
    let mut findings = Vec::new();
    if let Some(config) = &args.config {
        server::look(config, &mut findings).await;
    }
    machine::look(global, ui, &mut findings).await;
    // what comes first is what the others may rest on
    let worst = findings.iter().find_map(|finding: &Finding| finding.code);
    if ui.json {
        ui.object(&Report { healthy: worst.is_none(), code: worst.unwrap_or(0), findings: &findings });
    } else {
        findings.iter().for_each(|finding| show(ui, finding));
    }
    Ok(worst.unwrap_or(0))
}

/// What programs read.
#[derive(Debug, Serialize)]
struct Report<'a> {
    healthy: bool,
    /// The exit code.
    code: u8,
    findings: &'a [Finding],
}

/// What was found of one thing.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at: a word that stays the same.
    check: &'static str,
    state: State,
    /// What was found, for people.
    says: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<String>,
    /// The exit code that it would lead to.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

/// Whether something is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It is not.
    Fault,
    /// Nothing needs it, or something before it must be mended first.
    NotLookedAt,
    /// It is.
    Ok,
}

impl Finding {
    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, state: State::Ok, says: says.into(), fixes: Vec::new(), code: None }
    }

    fn not_looked_at(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, state: State::NotLookedAt, says: says.into(), fixes: Vec::new(), code: None }
    }

    fn fault(check: &'static str, failure: &Failure) -> Self {
        Self {
            check,
            state: State::Fault,
            says: failure.message().to_owned(),
            fixes: failure.hints().to_vec(),
            code: Some(failure.code()),
        }
    }
}

fn show(ui: Ui, finding: &Finding) {
    let mark = match finding.state {
        State::Fault => "✗",
        State::NotLookedAt => "-",
        State::Ok => "✓",
    };
    ui.line(&format!("{mark} {}: {}", finding.check, finding.says));
    finding.fixes.iter().for_each(|fix| ui.line(&format!("    fix: {fix}")));
}
