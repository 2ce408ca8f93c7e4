//! `broker key …`.

use clap::{Args, Subcommand};

use super::ConfigFile;

/// `broker key …`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Give the ledger the key that the configuration names, in the place of the one before
    ///
    /// The configuration names both: the new one as `ledger.key`, the one before as `ledger.previous_key`. The broker
    /// must not run meanwhile. An entry that both keys have signed says where the key was changed, so whoever
    /// trusts the old key is led to the new one by the ledger itself. A new key in a file or a keyring is made when
    /// it is not there. Whatever interrupts this, typing it again, or starting the broker, finishes it.
    #[command(
        after_long_help = "Examples:\n  hoopctl broker key rotate --config broker.toml\n  hoopctl broker key rotate --compromised"
    )]
    Rotate(RotateKey),
    /// Print the ledger's public key, and where it was changed
    #[command(after_long_help = "Examples:\n  hoopctl broker key show --config broker.toml > ledger.pub")]
    Show(ConfigFile),
}

/// `broker key rotate`.
#[derive(Debug, Args)]
pub struct RotateKey {
    /// Others may know the old key: it signs nothing any more, and the entry says so
    #[arg(long)]
    pub compromised: bool,
    /// Where the keys are named
    #[command(flatten)]
    pub file: ConfigFile,
}
