//! What leaves hoopctl for other programs: `audit export`, `session export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// `audit export`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  hoopctl audit export > events.jsonl\n  hoopctl audit export --from 2026-11-17 --to 2026-11-18 --target db\n  hoopctl audit export --format csv --session ses_…\n  hoopctl audit export --dir ./ledger --key ledger.pub"
)]
pub struct Export {
    /// The form
    #[arg(long, value_enum, default_value_t = ExportForm::Ocsf, value_name = "FORM")]
    pub format: ExportForm,
    /// Which entries.
    #[command(flatten)]
    pub entries: Entries,
    /// Read the ledger's files from this folder instead of from the broker
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// A file with the ledger's public key; else the one remembered, and with --dir the ledger's own word
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// Which entries are meant; all of them when nothing is said.
#[derive(Debug, Args)]
pub struct Entries {
    /// From this time on: `2026-11-17` (UTC), `2026-11-17T09:30:00Z`, or `24h` for as long ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<Moment>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Option<Moment>,
    /// What belongs to this session
    #[arg(long, value_name = "SESSION")]
    pub session: Option<String>,
    /// What is about this target
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
}

/// What entries are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// A table (RFC 4180)
    Csv,
    /// Events of OCSF 1.5.0, one in a line
    Ocsf,
}

/// What entries are shown as while they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StreamForm {
    /// Events of OCSF 1.5.0
    Ocsf,
}

/// `session export`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  hoopctl session export ses_… --format asciicast --out shell.cast\n  hoopctl session export ses_… --format csv --connection 1 --result 2 > result.csv\n  hoopctl session export ses_… --format csv --out results/\n  hoopctl session export ses_… --format har --out calls.har"
)]
pub struct SessionExport {
    /// The session's id
    pub session: String,
    /// The form
    #[arg(long, value_enum, value_name = "FORM")]
    pub format: SessionForm,
    /// This connection of the session only, counted from 1
    #[arg(long, value_name = "NUMBER")]
    pub connection: Option<u32>,
    /// With `csv`, this result of the connection only, counted from 1
    #[arg(long, value_name = "NUMBER", requires = "connection")]
    pub result: Option<u64>,
    /// Write into this file; with `csv`, into a folder, where each result gets a file of its own
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// A file with the ledger's public key; else the one remembered
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// What a session is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SessionForm {
    /// Terminals, as asciinema plays them (asciicast v2)
    Asciicast,
    /// Results of SQL (RFC 4180)
    Csv,
    /// Calls of HTTP (HAR 1.2)
    Har,
    /// Text
    Transcript,
}

/// A time as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long ago.
    Ago(SignedDuration),
    /// This one.
    At(Timestamp),
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Moment::At(time));
    }
    if let Ok(date) = text.parse::<Date>() {
        let time = date.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
        return Ok(Moment::At(time.timestamp()));
    }
    let long = super::approval::duration(text)
        .map_err(|_| "it is no time: `2026-11-17`, `2026-11-17T09:30:00Z` or `24h`".to_owned())?;
    SignedDuration::try_from(long).map(Moment::Ago).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Moment, moment};

    #[test]
    fn times_are_read_as_people_write_them() {
        let at = |text: &str| match moment(text) {
            Ok(Moment::At(time)) => time.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(at("2026-11-17"), "2026-11-17T00:00:00Z");
        assert_eq!(at("2026-11-17T09:30:00+01:00"), "2026-11-17T08:30:00Z");
        assert!(matches!(moment("90m"), Ok(Moment::Ago(long)) if long.as_secs() == 5400));
        for bad in ["", "yesterday", "2026-13-01", "-5m", "99999999999999999999h"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
