//! The API, with the user's own curl.

use super::shell::Shell;
use crate::cli::commands::demo::DemoFailure;

/// What is said of it, a call whose answer is masked, and two that would take too much.
pub(super) async fn call(shell: &mut Shell<'_>, secrets: &[String]) -> Result<(), DemoFailure> {
    let explained = shell.succeeds(&["explain", "traces-api"]).await?;
    explained.tells("$..api_key", "explain names what is masked")?;
    explained.tells(NOT_COVERED, "explain says what is not covered")?;
    let trace = shell.succeeds(&curl("--fail", "/traces/7")).await?;
    trace.tells("\"api_key\":\"[masked]\"", "the API's answer keeps its members")?;
    trace.hides(secrets, "no protected value in the API's answer")?;
    for (path, rule) in [("/traces?limit=3000", "bulk-read.page"), ("/traces/export", "demo-api-export")] {
        let taken = shell.fails_with(REFUSED, &curl("--fail-with-body", path)).await?;
        taken.tells(rule, "whoever takes everything is denied with the rule's name")?;
        taken.hides(secrets, "no protected value in a denial")?;
    }
    Ok(())
}

fn curl<'a>(fails: &'a str, path: &'a str) -> [&'a str; 7] {
    ["connect", "traces-api", "--", "curl", "-sS", fails, path]
}

/// The heading of what `explain` admits.
pub(super) const NOT_COVERED: &str = "Not covered";
/// curl's own, of an answer from 400 on.
const REFUSED: i32 = 22;
