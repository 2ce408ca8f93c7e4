//! `audit prove`.

use std::path::PathBuf;

use clap::Args;

use super::audit::BESIDE;

/// `audit prove`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  hoopctl audit prove --session ses_… --out incident.proof\n  hoopctl audit prove --session ses_… --recordings --chunk 1-0 --chunk 1-1 --out incident.proof\n  hoopctl audit prove --session ses_… --dir ./ledger --key ledger.pub --out incident.proof"
)]
pub struct Prove {
    /// The session to show
    #[arg(long, value_name = "SESSION")]
    pub session: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Add its recording too; with --dir, from this folder
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, default_missing_value = BESIDE)]
    pub recordings: Option<PathBuf>,
    /// Of the recording, only this chunk, as connection and chunk are numbered in the ledger; may be repeated
    #[arg(long = "chunk", value_name = "CONNECTION-CHUNK", requires = "recordings", value_parser = chunk)]
    pub chunks: Vec<(u32, u32)>,
    /// Read the ledger's files from this folder instead of from the broker
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// A file with the ledger's public key; else the one remembered, and with --dir the ledger's own word
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

fn chunk(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once('-').and_then(|(connection, chunk)| {
        let numbers = (connection.parse().ok()?, chunk.parse().ok()?);
        // one chunk has one spelling
        (format!("{}-{}", numbers.0, numbers.1) == text).then_some(numbers)
    });
    numbers.ok_or_else(|| "it is no chunk: `1-0` is the first of connection 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::chunk;

    #[test]
    fn chunks_are_named_by_two_numbers() {
        assert_eq!(chunk("1-0"), Ok((1, 0)));
        assert_eq!(chunk("12-345"), Ok((12, 345)));
        for bad in ["", "1", "-", "1-", "-1", "1-0-0", "01-0", "+1-0", "1-4294967296", "a-b"] {
            assert!(chunk(bad).is_err(), "{bad}");
        }
    }
}
