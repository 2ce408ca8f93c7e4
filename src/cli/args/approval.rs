//! `request …` and `grant …`.

use std::time::Duration;

use clap::{Args, Subcommand};

/// `request …`.
#[derive(Debug, Subcommand)]
pub enum RequestCommand {
    /// Ask for approval of sessions on a target
    ///
    /// Prints the request's id. With --wait it stays until somebody answers: 0 when approved, 76 when
    /// denied, 80 when it was withdrawn or has expired, 75 when the limit was reached and it is pending.
    #[command(
        after_long_help = "Examples:\n  hoopctl request approval db --reason 'look into incident 4711'\n  hoopctl request approval db --reason 'nightly export' --for 30m --once --wait=10m\n  hoopctl request approval db --reason 'maintenance' --from 2026-12-01T22:00 --for 2h"
    )]
    Approval(Approval),
    /// List your requests, and those that you may review
    #[command(
        after_long_help = "Examples:\n  hoopctl request list\n  hoopctl request list --reviewable --output json"
    )]
    List(RequestList),
    /// Show all that a reviewer must know of a request
    ///
    /// What was asked is shown with control characters and invisible characters written out. The digest
    /// at the end is what `request approve ID --digest` takes.
    #[command(after_long_help = "Examples:\n  hoopctl request show req_…")]
    Show(RequestRef),
    /// Approve a request
    ///
    /// Shows the request, asks, and signs with this device's key what was shown. In a script, give the
    /// digest of what was looked at before (`request show`), or --yes for whatever it is.
    #[command(
        after_long_help = "Examples:\n  hoopctl request approve req_…\n  hoopctl request approve req_… --digest 9f86d081…\n  hoopctl request approve req_… --standing 2h --free 1,3"
    )]
    Approve(Approve),
    /// Deny a request
    #[command(after_long_help = "Examples:\n  hoopctl request deny req_… --reason 'use the replica'")]
    Deny(Deny),
    /// Wait until a request is answered
    ///
    /// 0 when it was approved, 76 when denied, 80 when withdrawn or expired, 75 when it is still pending
    /// at the limit.
    #[command(after_long_help = "Examples:\n  hoopctl request wait req_… --limit 10m")]
    Wait(RequestWait),
    /// Take a request back
    #[command(after_long_help = "Examples:\n  hoopctl request withdraw req_…")]
    Withdraw(RequestRef),
}

/// One request.
#[derive(Debug, Args)]
pub struct RequestRef {
    /// The request's id
    pub request: String,
}

/// `request approval`.
#[derive(Debug, Args)]
pub struct Approval {
    /// The target's name, as `hoopctl list` shows it
    pub target: String,
    /// Why; reviewers read it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// For how long
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub lasts: Duration,
    /// From when on: `2026-12-01T22:00` (your time), `22:00` (the next), with an offset or `Z`, or `+30m`;
    /// from the approval on when absent
    #[arg(long, value_name = "WHEN")]
    pub from: Option<String>,
    /// For one session only
    #[arg(long)]
    pub once: bool,
    /// Make this grant last longer, instead of asking for another
    #[arg(long, value_name = "GRANT")]
    pub extend: Option<String>,
    /// File it once, however often this is called with the same key
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Wait for the answer, at most so long
    #[arg(long, value_name = "LIMIT", num_args = 0..=1, require_equals = true, value_parser = duration)]
    pub wait: Option<Option<Duration>>,
}

/// `request list`.
#[derive(Debug, Args)]
pub struct RequestList {
    /// Only your own
    #[arg(long, conflicts_with = "reviewable")]
    pub mine: bool,
    /// Only those that you may review
    #[arg(long)]
    pub reviewable: bool,
}

/// `request approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// The request's id
    pub request: String,
    /// Why; the requester reads it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Also approve, for so long, whatever this requester does that differs only in free literals
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub standing: Option<Duration>,
    /// Which literals may differ, by the numbers that `request show` gives them
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', requires = "standing")]
    pub free: Vec<u16>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Sign only if this is the digest of what is asked
    #[arg(long, value_name = "SHA256")]
    pub digest: Option<String>,
}

/// `request deny`.
#[derive(Debug, Args)]
pub struct Deny {
    /// The request's id
    pub request: String,
    /// Why; the requester reads it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `request wait`.
#[derive(Debug, Args)]
pub struct RequestWait {
    /// The request's id
    pub request: String,
    /// At most so long; until it expires when absent
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub limit: Option<Duration>,
}

/// `grant …`.
#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// List grants and standing decisions: your own, and those on targets where you may review
    #[command(after_long_help = "Examples:\n  hoopctl grant list")]
    List,
    /// Take a grant back and close its sessions, or take back a standing decision
    #[command(after_long_help = "Examples:\n  hoopctl grant revoke gra_…")]
    Revoke {
        /// The grant's id; of a standing decision, the id of the request that it was made with
        grant: String,
    },
}

/// What `connect` and `exec` do on a target that needs approval.
#[derive(Debug, Args)]
#[command(next_help_heading = "Approval, where the target needs it")]
pub struct Ask {
    /// File a request; ends with 75 and the request's id
    #[arg(long, requires = "reason")]
    pub request: bool,
    /// Why; reviewers read it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// For how long to ask
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub lasts: Duration,
    /// File a request, wait for the answer, at most so long, and go on when it is approved
    #[arg(
        long,
        value_name = "LIMIT",
        num_args = 0..=1,
        require_equals = true,
        requires = "reason",
        value_parser = duration
    )]
    pub wait: Option<Option<Duration>>,
    /// File it once, however often this is called with the same key: a job that is run again finds the answer
    #[arg(long, value_name = "KEY", requires = "reason")]
    pub idempotency_key: Option<String>,
}

impl Ask {
    /// Nothing is asked for.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            request: false,
            reason: None,
            lasts: Duration::from_secs(3600),
            wait: None,
            idempotency_key: None,
        }
    }
}

/// A time as people write it: `90s`, `10m`, `1h30m`, `2d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write 90s, 10m, 1h30m or 2d".to_owned();
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    // a month is not always as long
    let known = span.get_years() == 0 && span.get_months() == 0;
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let lasts = span.to_duration(days).ok().filter(|lasts| known && lasts.is_positive());
    lasts.and_then(|lasts| Duration::try_from(lasts).ok()).ok_or_else(wrong)
}
