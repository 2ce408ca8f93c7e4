//! The host, with the user's own ssh and scp.

use std::fs;

use super::api::NOT_COVERED;
use super::shell::{Shell, promise};
use crate::cli::commands::demo::stage::Stage;
use crate::cli::commands::demo::{DemoFailure, seed};

/// What is said of it, a command whose output is masked, one that is denied in disguise, and files.
pub(super) async fn work(stage: &Stage, shell: &mut Shell<'_>) -> Result<(), DemoFailure> {
    let askers = seed::askers();
    let explained = shell.succeeds(&["explain", "bastion"]).await?;
    explained.tells("email", "explain names what is masked")?;
    explained.tells(NOT_COVERED, "explain says what is not covered")?;
    let shown = shell.succeeds(&["connect", "bastion", "--", "cat", LOG]).await?;
    shown.tells("trace 7 of", "the command's output arrives")?;
    shown.tells("asked by ***", "the address of whoever asked is masked")?;
    shown.hides(&askers, "no address in what the command shows")?;

    let removed = shell.fails_with(DENIED, &["connect", "bastion", "--", DISGUISED]).await?;
    removed.tells("dangerous-shell.delete-tree", "`rm -rf` is denied in every spelling")?;
    let still = shell.succeeds(&["connect", "bastion", "--", "ls", "traces"]).await?;
    still.tells("7.log", "the traces are still there")?;

    let (name, content) = seed::report();
    let script = scp(&format!("reports/{name}"));
    shell.succeeds(&["exec", "bastion", "--", "sh", "-c", &script]).await?;
    let copied = fs::read_to_string(stage.home().join(name)).unwrap_or_default();
    if copied != content {
        return Err(promise("scp brings the file as it is".into()));
    }
    let copied = shell.fails_with(1, &["exec", "bastion", "--", "sh", "-c", &scp(LOG)]).await?;
    copied.tells("demo-host-traces", "a copy of what only commands mask is denied with the rule's name")?;
    if stage.home().join("7.log").exists() {
        return Err(promise("nothing of a denied file arrives".into()));
    }
    Ok(())
}

/// The session of the command, as it was shown.
pub(super) async fn replay(shell: &mut Shell<'_>) -> Result<(), DemoFailure> {
    let session = shell.first_session("bastion").await?;
    let replayed = shell.succeeds(&["session", "replay", &session, "--speed", "1000"]).await?;
    replayed.tells("cat traces/7.log", "the replay shows the command")?;
    replayed.tells("asked by ***", "the replay shows what was shown")?;
    replayed.hides(&seed::askers(), "no address in the recording")
}

fn scp(file: &str) -> String {
    format!(r#"scp -q -F "$HOOP_SSH_CONFIG" bastion:{file} "$HOME""#)
}

const LOG: &str = "traces/7.log";
const DISGUISED: &str = r#"env sh -c "r''m -'r'f traces""#;
const DENIED: i32 = 77;
