//! `audit …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::export::{Export, StreamForm};
use super::prove::Prove;
use super::witness::{RunWitness, Witnesses};

/// `audit …`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Prove that nothing in the ledger was altered, removed or reordered
    ///
    /// Asks the broker for the ledger, or reads it from a folder with --dir, without any network. What
    /// was found in good order is remembered, so that a ledger that forgets is found the next time. With
    /// --policy, witnesses must have cosigned it too, so that a broker cannot show others another ledger.
    ///
    /// With FILE, what `audit prove` wrote is verified instead, without network, login or state, and it is said what
    /// that shows of the one session, and what it does not show.
    #[command(
        after_long_help = "Examples:\n  hoopctl audit verify\n  hoopctl audit verify --recordings\n  hoopctl audit verify --policy witnesses.txt --witnessed-within 1h\n  hoopctl audit verify --dir ./ledger --key ledger.pub --checkpoint kept.txt\n  hoopctl audit verify incident.proof --key ledger.pub"
    )]
    Verify(Verify),
    /// Write one session's record into a file that anybody can verify
    ///
    /// The entries of the session, each with its proof, the signed checkpoint with the cosignatures of witnesses, the reviews
    /// that it stands on with the devices that signed them, and chunks of its recording, if you choose some. Nothing
    /// of other sessions is in it. `hoopctl audit verify FILE` verifies it without network, login or state; the file is
    /// verified so before it gets its name.
    Prove(Prove),
    /// Write the ledger's entries as events of OCSF 1.5.0, or as a table
    ///
    /// One event in a line (JSONL), or CSV. Nothing is written that is not proven under the ledger's signed head; what
    /// is missing is found by `hoopctl audit verify`. The whole ledger is read: the options choose among its entries,
    /// and what is said of a session is taken from the entry that opened it, whenever that was.
    Export(Export),
    /// Show the last entries
    #[command(
        after_long_help = "Examples:\n  hoopctl audit tail -n 50\n  hoopctl audit tail --follow --output json\n  hoopctl audit tail --follow --format ocsf"
    )]
    Tail(Tail),
    /// Run a witness, which cosigns the checkpoints of ledgers that only ever grow
    ///
    /// Speaks C2SP's tlog-witness over plain HTTP: put it behind TLS where that matters; what it signs is safe anyway.
    /// Run it where the broker's operators cannot reach it. It remembers the last checkpoint of each ledger, and
    /// does not start without what it remembered.
    #[command(
        after_long_help = "Examples:\n  hoopctl audit witness --new --listen 127.0.0.1:7380 --name witness.example.org \\\n    --key witness.key --state witness --log \"$(cat ledger.pub)\""
    )]
    Witness(RunWitness),
}

/// `audit verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// What `audit prove` wrote, to verify instead of a ledger
    #[arg(value_name = "FILE", conflicts_with_all = ["dir", "checkpoint", "recordings"])]
    pub file: Option<PathBuf>,
    /// Read the ledger's files from this folder instead of from the broker
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// A file with the ledger's public key; else the one remembered, else the ledger's own word, or that of FILE
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// A file with an older checkpoint that somebody kept
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Check the chunks of all recordings too; with --dir, in this folder
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, default_missing_value = BESIDE)]
    pub recordings: Option<PathBuf>,
    /// Who must have cosigned it.
    #[command(flatten)]
    pub witnesses: Witnesses,
}

/// `audit tail`.
#[derive(Debug, Args)]
pub struct Tail {
    /// How many entries
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    pub lines: u64,
    /// Go on as entries come
    #[arg(short, long)]
    pub follow: bool,
    /// A file with the ledger's public key; else the one remembered
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Show them as events of this form, one in a line
    #[arg(long, value_enum, value_name = "FORM")]
    pub format: Option<StreamForm>,
}

/// What `--recordings` without a folder stands for: from the broker, or beside the ledger.
pub const BESIDE: &str = "-";
