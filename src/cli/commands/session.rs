//! `hoopctl session …`.

mod export;
mod replay;

use serde_json::json;

use crate::cli::args::SessionCommand;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::domain::name::SessionId;
use crate::domain::session::{Session, SessionState};

/// Lists, shows, replays or ends sessions.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, command: SessionCommand) -> Result<u8, Failure> {
    match command {
        SessionCommand::List => list(context).await,
        SessionCommand::Show(which) => show(context, &which.session).await,
        SessionCommand::Replay(args) => replay::run(context, &args).await,
        SessionCommand::Export(args) => export::run(context, args).await,
        SessionCommand::Kill(which) => kill(context, &which.session).await,
    }
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let sessions = context.api().await?.sessions().await?;
    let ui = context.ui;
    if ui.json {
        sessions.iter().for_each(|session| ui.object(session));
        return Ok(0);
    }
    let rows = sessions
        .iter()
        .map(|session| {
            vec![
                session.id.to_string(),
                session.target.to_string(),
                session.display.clone(),
                format!("{:.0}", session.opened),
                session.statements.to_string(),
                state(session),
            ]
        })
        .collect();
    ui.table(&["session", "target", "who", "opened", "statements", "state"], rows);
    Ok(0)
}

async fn show(context: &Context, text: &str) -> Result<u8, Failure> {
    let id = id(text)?;
    let session = context.api().await?.session(&id).await?;
    let ui = context.ui;
    if ui.json {
        ui.object(&session);
        return Ok(0);
    }
    for (name, value) in [
        ("session", session.id.to_string()),
        ("target", session.target.to_string()),
        ("who", format!("{} ({})", session.display, session.principal)),
        ("device", session.device.to_string()),
        ("from", format!("{} ({})", session.client_address, session.client_host)),
        ("opened", format!("{:.0}", session.opened)),
        ("expires", format!("{:.0}", session.expires)),
        ("statements", session.statements.to_string()),
        ("state", state(&session)),
    ] {
        ui.line(&format!("{name:<11} {value}"));
    }
    Ok(0)
}

async fn kill(context: &Context, text: &str) -> Result<u8, Failure> {
    let id = id(text)?;
    context.api().await?.kill_session(&id).await?;
    if context.ui.json {
        context.ui.object(&json!({ "killed": id }));
    } else {
        context.ui.line(&format!("killed {id}"));
    }
    Ok(0)
}

pub(super) fn id(text: &str) -> Result<SessionId, Failure> {
    SessionId::new(text).map_err(|error| {
        Failure::new(FailureKind::Usage, error.to_string()).hint("`hoopctl session list` shows the ids")
    })
}

fn state(session: &Session) -> String {
    match session.state {
        SessionState::Pending => "pending".into(),
        SessionState::Active => "active".into(),
        SessionState::Closing { reason } => format!("closing: {}", reason.sentence()),
        SessionState::Closed { reason, .. } => format!("closed: {}", reason.sentence()),
    }
}
