//! `hoopctl request …`.

pub mod ask;
pub mod page;
mod review;
pub mod wait;
mod words;

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::json;

use crate::cli::args::{RequestCommand, RequestList};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::{self, Ui, harmless};
use crate::client::api::{Api, Scope};
use crate::client::approvals::Dossier;
use crate::domain::approval::SubjectText;
use crate::domain::name::RequestId;
use crate::wire::control::RequestView;
pub use words::{away, lasting};

/// Files, lists, shows, answers, awaits or withdraws requests.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, command: RequestCommand) -> Result<u8, Failure> {
    match command {
        RequestCommand::Approval(args) => ask::run(context, args).await,
        RequestCommand::Approve(args) => review::approve(context, args).await,
        RequestCommand::Deny(args) => review::deny(context, args).await,
        RequestCommand::List(args) => list(context, &args).await,
        RequestCommand::Show(which) => show(context, &which.request).await,
        RequestCommand::Wait(args) => wait::run(context, &args).await,
        RequestCommand::Withdraw(which) => withdraw(context, &which.request).await,
    }
}

async fn list(context: &Context, args: &RequestList) -> Result<u8, Failure> {
    let api = context.api().await?;
    let mut views = Vec::new();
    if !args.mine {
        views.extend(all(&api, Scope::Reviewable).await?);
    }
    if !args.reviewable {
        views.extend(all(&api, Scope::Mine).await?);
    }
    let mut seen = HashSet::new();
    views.retain(|view| seen.insert(view.request.id.clone()));
    views.sort_by(|a, b| b.request.filed.cmp(&a.request.filed).then(a.request.id.cmp(&b.request.id)));
    let ui = context.ui;
    if ui.json {
        views.iter().for_each(|view| ui.object(view));
    } else if views.is_empty() {
        ui.talk(if args.reviewable { "nothing awaits your review" } else { "there are no requests" });
    } else {
        ui.line(&table(&views, context.client.clock.now(), None));
    }
    Ok(0)
}

/// Page by page, up to a thousand.
async fn all(api: &Api, scope: Scope) -> Result<Vec<RequestView>, Failure> {
    let mut views: Vec<RequestView> = Vec::new();
    while views.len() < MOST {
        let before = views.last().map(|view| view.request.id.clone());
        let page = api.requests(scope, before.as_ref()).await?;
        if page.is_empty() {
            break;
        }
        views.extend(page);
    }
    Ok(views)
}

/// Requests as a table, at most `width` wide.
#[must_use]
pub fn table(views: &[RequestView], now: Timestamp, width: Option<u16>) -> String {
    let rows = views
        .iter()
        .map(|view| {
            let request = &view.request;
            let what = match SubjectText::read(view.subject.as_str()) {
                Ok(text) => words::brief(text.subject()),
                Err(_) => "cannot be read".into(),
            };
            vec![
                request.id.to_string(),
                harmless::short(&request.display, 12),
                harmless::short(&format!("{}: {what}", request.target), 60),
                words::brief_state(view, now),
            ]
        })
        .collect();
    ui::table(&["request", "who", "what", "state"], rows, Some(2), width)
}

async fn show(context: &Context, text: &str) -> Result<u8, Failure> {
    let dossier = fetch(&*context.api().await?, &id(text)?).await?;
    let ui = context.ui;
    if ui.json {
        ui.object(&with_digest(&dossier));
        return Ok(0);
    }
    ui.line(&page::page(&dossier, context.client.clock.now()));
    if dossier.view().reviewable {
        let (id, digest) = (&dossier.view().request.id, dossier.digest());
        ui.talk(&format!("\nhint: `hoopctl request approve {id} --digest {digest}`"));
        ui.talk(&format!("hint: `hoopctl request deny {id} --reason TEXT`"));
    }
    Ok(0)
}

async fn withdraw(context: &Context, text: &str) -> Result<u8, Failure> {
    let id = id(text)?;
    context.api().await?.withdraw(&id).await?;
    if context.ui.json {
        context.ui.object(&json!({ "withdrawn": id }));
    } else {
        context.ui.line(&format!("withdrew {id}"));
    }
    Ok(0)
}

/// Gets a request and reads what would be signed.
async fn fetch(api: &Api, id: &RequestId) -> Result<Dossier, Failure> {
    Ok(Dossier::open(api.request(id, None).await?, id)?)
}

/// What the broker said, and the digest as this client makes it.
fn with_digest(dossier: &Dossier) -> serde_json::Value {
    let mut value = serde_json::to_value(dossier.view()).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.insert("digest".into(), json!(dossier.digest()));
    }
    value
}

/// A request as a result of a command: its JSON, or one line.
fn result(ui: Ui, view: &RequestView, line: &str) {
    if ui.json {
        ui.object(view);
    } else {
        ui.line(line);
    }
}

fn id(text: &str) -> Result<RequestId, Failure> {
    RequestId::new(text).map_err(|error| {
        Failure::new(FailureKind::Usage, error.to_string()).hint("`hoopctl request list` shows the ids")
    })
}

/// More than anybody reads.
const MOST: usize = 1000;
