//! The main job, typed by the demo itself.
//!
//! Job: run the real program as a user would, show each command and its real output, check each
//! promise. Boundary: nothing is called but the program; signing in goes through the provider's
//! own form. Failure mode: the first promise that is not kept ends the tour.

mod api;
mod host;
mod review;
mod shell;

use std::path::PathBuf;

use super::stage::Stage;
use super::{DemoFailure, Show, seed};
use shell::{Said, Shell};

/// Performs the tour.
pub(super) async fn run(stage: &Stage, show: &mut (dyn Show + Send)) -> Result<(), DemoFailure> {
    let mut shell = Shell::new(stage, this_program()?, show);
    let secrets = seed::secrets();

    let mut login = vec!["login".to_owned(), "--broker".to_owned(), stage.broker_url.clone()];
    login.extend(stage.login_arguments());
    shell.sign_in(&login, "alice").await?;
    shell.succeeds(&["whoami"]).await?.tells("alice", "whoami names who signed in")?;
    let listed = shell.succeeds(&["list"]).await?;
    for target in ["db", "traces-api", "bastion"] {
        listed.tells(target, "list shows the database, the API and the host")?;
    }
    let explained = shell.succeeds(&["explain", "db"]).await?;
    explained.tells("api_key", "explain names what is masked")?;
    explained.tells("customer_id", "explain names what is masked")?;

    let rows = shell.succeeds(&["connect", "db", "--", "-c", MASKED]).await?;
    rows.tells("(3 rows)", "the query answers")?;
    rows.tells("\"customer_id\": ", "the JSON keeps its members")?;
    rows.hides(&secrets, "no protected value in the answer")?;
    let deep = shell.succeeds(&["connect", "db", "--", "-Atc", DEEP]).await?;
    deep.tells("\"api_key\": ", "members deep inside the JSON are still there")?;
    deep.hides(&secrets, "no protected value deep inside the JSON")?;
    let count = shell.succeeds(&["connect", "db", "--", "-Atc", DISTINCT]).await?;
    count.hides(&secrets, "no protected value through an expression")?;

    let dropped = shell
        .fails_with(
            1,
            &["connect", "db", "--", "-v", "VERBOSITY=verbose", "-c", "DROP TABLE reasoning_traces"],
        )
        .await?;
    denied(&dropped, "DROP TABLE")?;
    let listed = shell
        .fails_with(
            1,
            &["connect", "db", "--", "-v", "VERBOSITY=verbose", "-c", "SELECT * FROM reasoning_traces"],
        )
        .await?;
    denied(&listed, "a query that lists everything")?;
    listed.hides(&secrets, "no protected value in a denial")?;
    let still = shell.succeeds(&["connect", "db", "--", "-Atc", COUNT]).await?;
    still.tells(&seed::ROWS.to_string(), "the table is still there, with all its rows")?;

    api::call(&mut shell, &secrets).await?;
    host::work(stage, &mut shell).await?;
    review::hold_and_approve(stage, &mut shell, &login).await?;

    shell.succeeds(&["session", "list"]).await?.tells("db", "session list shows the sessions")?;
    let session = shell.first_session("db").await?;
    let replayed = shell.succeeds(&["session", "replay", &session, "--speed", "1000"]).await?;
    replayed.tells("reasoning_traces", "the replay shows the statement")?;
    replayed.tells("rows", "the replay shows what was answered")?;
    replayed.hides(&secrets, "no protected value in the recording")?;
    host::replay(&mut shell).await?;
    review::until_entered(&shell).await?;
    let verified = shell.succeeds(&["audit", "verify"]).await?;
    verified.tells("signed by its reviewers: 1 review", "the approval is verified again")?;
    shell.succeeds(&["logout"]).await?;
    shell.fails_with(LOGIN_NEEDED, &["list"]).await?;
    Ok(())
}

/// The program that is running now.
pub(super) fn this_program() -> Result<PathBuf, DemoFailure> {
    std::env::current_exe()
        .map_err(|source| DemoFailure::Io { what: "this program cannot find itself", source })
}

fn denied(said: &Said, what: &str) -> Result<(), DemoFailure> {
    said.tells("ERROR:", &format!("{what} is answered with an error"))?;
    said.tells("42501", &format!("{what} is denied with SQLSTATE 42501"))
}

const MASKED: &str = "SELECT id, project, api_key, customer_id, steps -> 1 -> 'arguments' AS arguments \
    FROM reasoning_traces WHERE project = 'billing-copilot' ORDER BY id LIMIT 3";
const DEEP: &str = "SELECT steps FROM reasoning_traces WHERE id = 7 LIMIT 1";
const DISTINCT: &str = "SELECT DISTINCT upper(api_key) FROM reasoning_traces WHERE id <= 50 LIMIT 5";
const COUNT: &str = "SELECT count(*) FROM reasoning_traces";
const LOGIN_NEEDED: i32 = 79;
