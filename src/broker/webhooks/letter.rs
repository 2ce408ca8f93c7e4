//! What a webhook is told, in words of its own.
//!
//! INVARIANT: no statement, literal, bind value or reason is in it: those can hold what is protected.
//! Names are written so that nothing in them steers or deceives whoever reads them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::broker::approvals::needs;
use crate::broker::config::{WebhookEvent, WebhookFormat};
use crate::broker::store::requests::Stored;
use crate::domain::approval::{Grant, Life, What};
use crate::domain::event::What as Event;
use crate::domain::facts::Facts;
use crate::domain::name::TargetName;
use crate::domain::text::line;
use crate::gateway::authority::SessionContext;

pub(super) fn write(
    format: WebhookFormat,
    event: WebhookEvent,
    request: &Stored,
    after: &Life,
    now: Timestamp,
) -> String {
    let facts = Told::new(request, after);
    match format {
        WebhookFormat::Standard => json!({
            "type": event.as_str(), "timestamp": now.to_string(), "data": facts.members(request, after),
        }),
        WebhookFormat::Slack => {
            let text = format!("*{}* · {}\n`{}`", Told::state(event), escape(&facts.summary), facts.command);
            json!({ "text": text })
        }
        WebhookFormat::Ticket => json!({
            "external_id": request.request.id,
            "summary": facts.summary,
            "description": format!("{}\nTakes {}.\nLook at it: {}", Told::state(event), facts.needs, facts.command),
            "status": after.state.word(),
            "labels": ["hoopctl", event.as_str(), request.request.target.as_str()],
        }),
    }
    .to_string()
}

/// That a grant was taken back. Its request is forgotten after a while.
pub(super) fn write_revoked(
    format: WebhookFormat,
    grant: &Grant,
    request: Option<&Stored>,
    by: &str,
    now: Timestamp,
) -> String {
    let event = WebhookEvent::Revoked;
    let principal = line(&grant.principal.to_string());
    let whose = request.map_or_else(|| principal.clone(), |stored| line(&stored.request.display));
    let by = line(by);
    let summary = format!("{by} took back the approval of {whose} for {}", grant.target);
    let command = format!("hoopctl request show {}", grant.request);
    match format {
        WebhookFormat::Standard => json!({
            "type": event.as_str(), "timestamp": now.to_string(), "data": {
                "grant": grant.id,
                "request": grant.request,
                "requester": principal,
                "display": whose,
                "target": grant.target,
                "by": by,
                "summary": summary,
                "command": command,
            },
        }),
        WebhookFormat::Slack | WebhookFormat::Ticket => {
            outside(format, event, &grant.request.to_string(), &summary, &command, &grant.target)
        }
    }
    .to_string()
}

/// That a statement reached a cap.
pub(super) fn write_capped(
    format: WebhookFormat,
    context: &SessionContext,
    what: &Event,
    now: Timestamp,
) -> String {
    let Event::StatementCapped { session, connection, statement, rule, cap, most, rows, bytes } = what else {
        return String::new();
    };
    let event = WebhookEvent::Capped;
    let (whose, target) = (line(&context.principal.display), &context.target.name);
    let summary =
        format!("a statement of {whose} on {target} reached the cap of {} (rule {rule})", cap.told(*most));
    let command = format!("hoopctl session show {session}");
    match format {
        WebhookFormat::Standard => json!({
            "type": event.as_str(), "timestamp": now.to_string(), "data": {
                "session": session,
                "connection": connection,
                "statement": statement,
                "principal": line(&context.principal.id.to_string()),
                "display": whose,
                "target": target,
                "rule": rule,
                "cap": cap,
                "most": most,
                "rows": rows,
                "bytes": bytes,
                "summary": summary,
                "command": command,
            },
        }),
        WebhookFormat::Slack | WebhookFormat::Ticket => {
            outside(format, event, &format!("{session}/{connection}/{statement}"), &summary, &command, target)
        }
    }
    .to_string()
}

/// What there is to be told in a line, for tools that know nothing of ours.
fn outside(
    format: WebhookFormat,
    event: WebhookEvent,
    id: &str,
    summary: &str,
    command: &str,
    target: &TargetName,
) -> Value {
    let state = Told::state(event);
    match format {
        WebhookFormat::Ticket => json!({
            "external_id": id,
            "summary": summary,
            "description": format!("{state}\nLook at it: {command}"),
            "status": state,
            "labels": ["hoopctl", event.as_str(), target.as_str()],
        }),
        WebhookFormat::Slack | WebhookFormat::Standard => {
            json!({ "text": format!("*{state}* · {}\n`{command}`", escape(summary)) })
        }
    }
}

struct Told {
    summary: String,
    needs: String,
    command: String,
    verb: Option<String>,
    relations: Vec<String>,
}

impl Told {
    fn new(request: &Stored, after: &Life) -> Self {
        let (who, target) = (line(&request.request.display), &request.request.target);
        let (summary, verb, relations) = match &request.subject.subject().what {
            What::Session(session) => {
                (format!("{who} asks for {} min on {target}", session.seconds.div_ceil(60)), None, Vec::new())
            }
            What::Deed(deed) => {
                let verb = line(&deed.facts.verb());
                let of = |facts: &Facts| {
                    let relations = facts.relations_written.iter().chain(&facts.relations_read);
                    relations.map(|name| line(name)).take(20).collect()
                };
                let relations = deed.facts.statement().map(of).unwrap_or_default();
                (format!("{who} asks to run {verb} on {target}"), Some(verb), relations)
            }
        };
        Self {
            summary,
            needs: needs(&after.threshold),
            command: format!("hoopctl request show {}", request.request.id),
            verb,
            relations,
        }
    }

    fn members(&self, request: &Stored, after: &Life) -> Value {
        json!({
            "request": request.request.id,
            "state": after.state.word(),
            "requester": line(&request.request.requester.to_string()),
            "display": line(&request.request.display),
            "target": request.request.target,
            "rules": request.subject.subject().rules,
            "needs": self.needs,
            "expires": request.request.expires.to_string(),
            "verb": self.verb,
            "relations": self.relations,
            "summary": self.summary,
            "command": self.command,
        })
    }

    fn state(event: WebhookEvent) -> &'static str {
        match event {
            WebhookEvent::Approved => "approved",
            WebhookEvent::Capped => "capped",
            WebhookEvent::Denied => "denied",
            WebhookEvent::Ended => "over",
            WebhookEvent::Filed => "waits for a review",
            WebhookEvent::Revoked => "revoked",
        }
    }
}

/// What Slack would read as markup (its three escapes).
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
