//! The `[[webhook]]` tables.

use std::collections::BTreeSet;
use std::path::Path;

use url::Url;

use super::identity::secure_url;
use super::reader::Section;
use super::targets::secret;
use crate::domain::target::SecretSource;

/// An address that is told what happens to requests and grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Its name here.
    pub name: String,
    /// Where to: https, or http that cannot leave the machine.
    pub url: Url,
    /// The signing secret as Standard Webhooks writes it: `whsec_` and base64.
    pub secret: SecretSource,
    /// How a message is written.
    pub format: WebhookFormat,
    /// What it is told.
    pub events: BTreeSet<WebhookEvent>,
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// The members of Standard Webhooks: `type`, `timestamp`, `data`.
    Standard,
    /// A message for Slack's incoming webhooks.
    Slack,
    /// Summary, description and labels, for a ticket system.
    Ticket,
}

/// What a webhook can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WebhookEvent {
    /// `request.approved`: by people, or by a rule for a session.
    Approved,
    /// `statement.capped`: a statement reached a cap of a rule.
    Capped,
    /// `request.denied`.
    Denied,
    /// `request.ended`: withdrawn, expired or void.
    Ended,
    /// `request.filed`.
    Filed,
    /// `grant.revoked`: taken back, so that its sessions are closed.
    Revoked,
}

impl WebhookEvent {
    /// The event's name in configuration and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "request.approved",
            Self::Capped => "statement.capped",
            Self::Denied => "request.denied",
            Self::Ended => "request.ended",
            Self::Filed => "request.filed",
            Self::Revoked => "grant.revoked",
        }
    }

    const ALL: [Self; 6] =
        [Self::Approved, Self::Capped, Self::Denied, Self::Ended, Self::Filed, Self::Revoked];
}

/// Reads all webhooks.
pub(super) fn read(root: &Section<'_, '_>, base: &Path) -> Vec<WebhookConfig> {
    let mut all: Vec<WebhookConfig> = Vec::new();
    for section in root.sections("webhook") {
        let name = section.required_parsed("name", |text| {
            let fits = text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if fits { Ok(text.to_owned()) } else { Err("is 1 to 63 of letters, digits and -") }
        });
        if let Some(name) = name.as_ref().filter(|name| all.iter().any(|other| other.name == **name)) {
            section.fault("name", format!("`{name}` is used for two webhooks"));
        }
        let url = section.required_parsed("url", secure_url);
        let secret = secret(&section, "secret", base);
        let format = section.parsed("format", |text| match text {
            "standard" => Ok(WebhookFormat::Standard),
            "slack" => Ok(WebhookFormat::Slack),
            "ticket" => Ok(WebhookFormat::Ticket),
            _ => Err("must be standard, slack or ticket"),
        });
        let events = section.parsed_list("events", |text| {
            let known = WebhookEvent::ALL.into_iter().find(|event| event.as_str() == text);
            known.ok_or("is request.filed, request.approved, request.denied, request.ended, grant.revoked or statement.capped")
        });
        let events: BTreeSet<_> =
            if section.has("events") { events.into_iter().collect() } else { WebhookEvent::ALL.into() };
        section.finish();
        if let (Some(name), Some(url), Some(secret)) = (name, url, secret) {
            let format = format.unwrap_or(WebhookFormat::Standard);
            all.push(WebhookConfig { name, url, secret, format, events });
        }
    }
    all
}
