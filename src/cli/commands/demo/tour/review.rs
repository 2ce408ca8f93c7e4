//! A statement that waits for a second person.

use std::time::Duration;

use serde_json::Value;

use super::shell::{Shell, promise};
use crate::cli::commands::demo::stage::Stage;
use crate::cli::commands::demo::{DemoFailure, private};

/// alice deletes; bob looks at it and approves; her psql, which has waited, goes on.
pub(super) async fn hold_and_approve(
    stage: &Stage,
    shell: &mut Shell<'_>,
    login: &[String],
) -> Result<(), DemoFailure> {
    private::folder(&stage.folder().join(BOB))
        .map_err(|source| DemoFailure::Io { what: "a folder could not be made", source })?;
    let typed = ["connect", "db", "--", "-c", DELETE];
    let held = shell.begins(&typed);
    let reviewed = async {
        shell.remark("(The statement waits. In another terminal, bob looks at what awaits him.)\n");
        shell.becomes(stage, BOB);
        shell.sign_in(login, "bob").await?;
        let (request, digest) = awaited(shell).await?;
        let inbox = shell.succeeds(&["request", "list", "--reviewable"]).await?;
        inbox.tells(&request, "the request is in the inbox of who may review it")?;
        let page = shell.succeeds(&["request", "show", &request]).await?;
        // on a table with masks the literal itself is not for everybody's eyes
        page.tells("DELETE FROM reasoning_traces WHERE id = ", "a reviewer sees the statement")?;
        page.tells(&digest, "a reviewer sees the digest of what they would sign")?;
        shell.succeeds(&["request", "approve", &request, "--digest", &digest]).await?;
        shell.becomes(stage, ALICE);
        shell.remark("(alice's psql goes on.)");
        Ok(())
    };
    let (output, ()) = tokio::try_join!(held, reviewed)?;
    let said = shell.ended(&typed, &output)?;
    said.tells("held for review", "psql says that the statement is held")?;
    said.tells("DELETE 1", "the statement runs once it is approved")
}

/// The request that waits, and the digest of what is asked.
async fn awaited(shell: &Shell<'_>) -> Result<(String, String), DemoFailure> {
    let text = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    for _ in 0..ATTEMPTS {
        let inbox = shell.asks(&["request", "list", "--reviewable", "--output", "json"]).await?;
        if let Some(request) = inbox.first().and_then(|view| text(view, "/request/id")) {
            let shown = shell.asks(&["request", "show", &request, "--output", "json"]).await?;
            let digest = shown.first().and_then(|view| text(view, "/digest"));
            return Ok((request, digest.unwrap_or_default()));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(promise("a held statement awaits a reviewer".into()))
}

/// Waits until the ledger's next checkpoint covers the review.
pub(super) async fn until_entered(shell: &Shell<'_>) -> Result<(), DemoFailure> {
    for _ in 0..ATTEMPTS {
        let verified = shell.asks(&["audit", "verify", "--output", "json"]).await?;
        let reviews = verified.first().and_then(|told| told.pointer("/reviews")).and_then(Value::as_u64);
        if reviews == Some(1) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(promise("the ledger holds the review".into()))
}

const ALICE: &str = "home";
const BOB: &str = "bob";
const DELETE: &str = "DELETE FROM reasoning_traces WHERE id = 7";
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);
