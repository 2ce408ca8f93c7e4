//! `hoopctl grant …`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::request::away;
use crate::cli::args::GrantCommand;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::{self, harmless};
use crate::domain::approval::{Grant, GrantState};
use crate::domain::name::{GrantId, RequestId};
use crate::domain::principal::PrincipalId;
use crate::wire::control::StandingView;

/// Lists or revokes grants.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, command: GrantCommand) -> Result<u8, Failure> {
    match command {
        GrantCommand::List => list(context).await,
        GrantCommand::Revoke { grant } => revoke(context, &grant).await,
    }
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let api = context.api().await?;
    let (grants, standing) = (api.grants().await?, api.standing().await?);
    let (ui, now) = (context.ui, context.client.clock.now());
    if ui.json {
        grants.iter().for_each(|grant| ui.object(&tagged("grant", grant)));
        standing.iter().for_each(|decision| ui.object(&tagged("standing", decision)));
    } else if grants.is_empty() && standing.is_empty() {
        ui.talk("there are no grants");
    } else {
        ui.line(&table(&grants, &standing, now, None));
    }
    Ok(0)
}

/// An object of a list in which there are two kinds.
fn tagged(kind: &str, value: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.insert("kind".into(), json!(kind));
    }
    value
}

/// Grants and standing decisions as a table, at most `width` wide.
#[must_use]
pub fn table(grants: &[Grant], standing: &[StandingView], now: Timestamp, width: Option<u16>) -> String {
    let row = |id: String, who: &PrincipalId, what: String, state: String| {
        vec![id, harmless::short(who.subject.as_str(), 12), harmless::short(&what, 60), state]
    };
    let grants = grants.iter().map(|grant| {
        let what = format!("{}: {}", grant.target, grant.reason);
        row(grant.id.to_string(), &grant.principal, what, state(grant, now))
    });
    let standing = standing.iter().map(|decision| {
        let what = format!("{}: {}", decision.target, decision.text);
        row(decision.request.to_string(), &decision.principal, what, standing_state(decision, now))
    });
    ui::table(&["grant", "who", "for", "state"], grants.chain(standing).collect(), Some(2), width)
}

fn state(grant: &Grant, now: Timestamp) -> String {
    let once = if grant.once { "once, " } else { "" };
    match grant.state {
        GrantState::Revoked => "revoked".into(),
        GrantState::Used => "used".into(),
        GrantState::Active if grant.ends <= now => "over".into(),
        GrantState::Active if grant.starts > now => format!("{once}{}", away(grant.starts, now)),
        GrantState::Active => format!("{once}{} left", left(grant.ends, now)),
    }
}

fn standing_state(decision: &StandingView, now: Timestamp) -> String {
    match decision.revoked {
        true => "revoked".into(),
        false if decision.ends <= now => "over".into(),
        false => format!("{} left", left(decision.ends, now)),
    }
}

fn left(ends: Timestamp, now: Timestamp) -> String {
    let away = away(ends, now);
    away.strip_prefix("in ").unwrap_or(&away).to_owned()
}

async fn revoke(context: &Context, text: &str) -> Result<u8, Failure> {
    let api = context.api().await?;
    let done = match (GrantId::new(text), RequestId::new(text)) {
        (Ok(grant), _) => {
            api.revoke_grant(&grant).await?;
            format!("revoked {grant}; its sessions are closed")
        }
        (Err(_), Ok(request)) => {
            api.revoke_standing(&request).await?;
            format!("revoked the standing decision of {request}")
        }
        (Err(error), Err(_)) => {
            return Err(Failure::new(FailureKind::Usage, error.to_string())
                .hint("`hoopctl grant list` shows the ids"));
        }
    };
    if context.ui.json {
        context.ui.object(&json!({ "revoked": text }));
    } else {
        context.ui.line(&done);
    }
    Ok(0)
}
