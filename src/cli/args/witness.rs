//! `audit witness`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::approval::duration;

/// `audit witness`.
#[derive(Debug, Args)]
pub struct RunWitness {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// The witness's name, as `witness.example.org`; it stands in its key and its cosignatures
    #[arg(long)]
    pub name: String,
    /// The file with the witness's private key
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The public key of a ledger to cosign, as `audit verify --key` reads it; may be repeated
    #[arg(long = "log", value_name = "KEY", required = true)]
    pub logs: Vec<String>,
    /// The folder in which it remembers what it has cosigned; never restore it from a backup
    #[arg(long, value_name = "FOLDER")]
    pub state: PathBuf,
    /// Make the key and the folder, and begin with ledgers that it does not remember
    #[arg(long)]
    pub new: bool,
}

/// Who must have cosigned a ledger.
#[derive(Debug, Args)]
pub struct Witnesses {
    /// A file that says which witnesses must have cosigned it (C2SP tlog-policy)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// How long ago they may have done so: 90s, 10m, 8h
    #[arg(long, value_name = "TIME", requires = "policy", value_parser = duration)]
    pub witnessed_within: Option<Duration>,
}
