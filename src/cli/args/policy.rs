//! `policy …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ConfigFile;

/// `policy …`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Validate the policy of a configuration, or of Cedar files
    #[command(
        after_long_help = "Examples:\n  hoopctl policy check\n  hoopctl policy check rules.cedar more.cedar"
    )]
    Check(PolicyCheck),
    /// Ask whether somebody may do something, and why
    #[command(
        after_long_help = "Examples:\n  hoopctl policy explain db --as corp:alice --group corp/dba\n  hoopctl policy explain db --as corp:alice --group corp/dba --action audit\n  hoopctl policy explain db --as corp:alice --sql 'DELETE FROM orders'\n  hoopctl policy explain bastion --as corp:alice --exec 'rm -rf /srv'\n  hoopctl policy explain bastion --as corp:alice --file /etc/passwd --operation write\n  hoopctl policy explain billing-api --as corp:alice --call 'GET /traces?limit=5000'"
    )]
    Explain(Box<PolicyExplain>),
    /// Judge the cases of a file, and compare with what is expected of them
    #[command(
        after_long_help = "Examples:\n  hoopctl policy test cases.toml\n  hoopctl policy test cases.toml --output json"
    )]
    Test(PolicyTest),
}

/// `policy test`.
#[derive(Debug, Args)]
pub struct PolicyTest {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The cases, in TOML
    pub file: PathBuf,
}

/// `policy check`.
#[derive(Debug, Args)]
pub struct PolicyCheck {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Cedar files to validate instead
    pub files: Vec<PathBuf>,
}

/// `policy explain`.
#[derive(Debug, Args)]
pub struct PolicyExplain {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The target's name
    pub target: String,
    /// Who asks, as `hoopctl whoami` shows it
    #[arg(long = "as", value_name = "PROVIDER:SUBJECT")]
    pub who: String,
    /// A group that they are in; may be repeated
    #[arg(long = "group", value_name = "PROVIDER/GROUP")]
    pub groups: Vec<String>,
    /// What they want
    #[arg(long, value_enum, default_value_t = PolicyAction::Connect)]
    pub action: PolicyAction,
    /// A statement that they want to run, instead; its names are read as they are written
    #[arg(long, value_name = "STATEMENT", conflicts_with = "action")]
    pub sql: Option<String>,
    /// A command line that they want to run on a host, instead
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["action", "sql"])]
    pub exec: Option<String>,
    /// The command has a terminal, as with `ssh -t`
    #[arg(long, requires = "exec")]
    pub terminal: bool,
    /// A file of a host that they want to reach over SFTP or scp, instead
    #[arg(long, value_name = "PATH", conflicts_with_all = ["action", "sql", "exec"])]
    pub file: Option<String>,
    /// What they want to do with the file, as policies spell it
    #[arg(long, default_value = "read", requires = "file")]
    pub operation: String,
    /// The second path of a rename or link
    #[arg(long, value_name = "PATH", requires = "file")]
    pub to: Option<String>,
    /// A call of an API that they want to make, instead; `GET` when there is no method
    #[arg(long, value_name = "METHOD PATH", conflicts_with_all = ["action", "sql", "exec", "file"])]
    pub call: Option<String>,
    /// A header of the call; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", requires = "call")]
    pub headers: Vec<String>,
    /// The body of the call
    #[arg(long, value_name = "TEXT", requires = "call")]
    pub body: Option<String>,
}

/// What policy can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyAction {
    /// See other people's sessions and the ledger
    Audit,
    /// Open a session
    Connect,
    /// Be given credentials of the target, as an account of AWS hands them out
    Issue,
    /// End other people's sessions
    Kill,
}
