//! What asks and changes nothing: `whoami`, `list`, `doctor`, and what a shell asks.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap_complete::Shell;

use super::approval;

/// `whoami`.
#[derive(Debug, Args)]
pub struct Whoami {
    /// Only check that the login is good; 79 when it is not
    #[arg(long)]
    pub check: bool,
    /// How long the login must be good for
    #[arg(long = "for", value_name = "TIME", requires = "check", value_parser = approval::duration)]
    pub lasts: Option<Duration>,
}

/// `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Also what a rule forbids although another would let you in, and why
    #[arg(long)]
    pub all: bool,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Look at the broker of this configuration file as well, which runs or shall run on this machine
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What a shell asks while somebody presses Tab.
#[derive(Debug, Args)]
pub struct Complete {
    /// For which shell the answers are written
    pub shell: Shell,
    /// The words up to the cursor, without the program; the last one is completed
    #[arg(last = true, value_name = "WORDS")]
    pub words: Vec<OsString>,
}
