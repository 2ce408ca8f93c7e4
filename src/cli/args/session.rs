//! `session …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::export::SessionExport;

/// `session …`.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List your sessions, and those that you may audit
    #[command(after_long_help = "Examples:\n  hoopctl session list\n  hoopctl session list --output json")]
    List,
    /// Show one session
    #[command(after_long_help = "Examples:\n  hoopctl session show ses_…")]
    Show(SessionRef),
    /// See again what a session asked and was shown
    #[command(
        after_long_help = "Examples:\n  hoopctl session replay ses_… --speed 10\n  hoopctl session replay ses_… --output json"
    )]
    Replay(Replay),
    /// Write what a session asked and was shown into a file that other programs read
    ///
    /// Terminals as asciicast v2, calls of HTTP as HAR 1.2, results of SQL as CSV, anything as a transcript. Each
    /// chunk of the recording is proven before anything of it is written. What would steer a terminal is taken
    /// out, cells that a spreadsheet would take for formulas get a `'` before them, and what was masked stays masked.
    Export(SessionExport),
    /// End a session now
    #[command(after_long_help = "Examples:\n  hoopctl session kill ses_…")]
    Kill(SessionRef),
}

/// One session.
#[derive(Debug, Args)]
pub struct SessionRef {
    /// The session's id
    pub session: String,
}

/// `session replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The session's id
    pub session: String,
    /// How many times faster than it was
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    pub speed: f64,
    /// A file with the ledger's public key; else the one remembered
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}
