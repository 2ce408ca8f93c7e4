//! The command line, declared.
//!
//! Job: names, help texts, examples. Boundary: imports nothing of the crate, so that completions and
//! man pages can be generated from it alone.

mod approval;
mod audit;
mod export;
mod inquiry;
mod key;
mod policy;
mod prove;
mod session;
mod witness;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use approval::{
    Approval, Approve, Ask, Deny, GrantCommand, RequestCommand, RequestList, RequestRef, RequestWait,
};
pub use audit::{AuditCommand, BESIDE, Tail, Verify};
pub use export::{Entries, Export, ExportForm, Moment, SessionExport, SessionForm, StreamForm};
pub use inquiry::{Complete, Doctor, List, Whoami};
pub use key::{KeyCommand, RotateKey};
pub use policy::{PolicyAction, PolicyCheck, PolicyCommand, PolicyExplain, PolicyTest};
pub use prove::Prove;
pub use session::{Replay, SessionCommand, SessionRef};
pub use witness::{RunWitness, Witnesses};

/// Access to databases without holding their credentials
///
/// hoopctl starts your own client (psql and friends) on a private socket. The broker decides what you
/// may reach, mints a credential for each session, masks what you may not see, and keeps a record
/// that anyone can verify.
#[derive(Debug, Parser)]
#[command(name = "hoopctl", version, max_term_width = 100, after_long_help = EXIT_CODES)]
#[command(propagate_version = true, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What applies to every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The broker to use; the one of the last login when absent
    #[arg(long, global = true, env = "HOOPCTL_BROKER", hide_env_values = true, value_name = "URL")]
    #[arg(help_heading = "Global options")]
    pub broker: Option<String>,
    /// What the broker's certificate must lead to: the SHA-256 of a public key
    #[arg(
        long,
        global = true,
        env = "HOOPCTL_BROKER_PIN",
        hide_env_values = true,
        value_name = "sha256:HEX"
    )]
    #[arg(help_heading = "Global options")]
    pub broker_pin: Option<String>,
    /// Sign in as a workload: `github`, `gitlab`, `kubernetes`, `token-file:PATH`, `env:NAME`, `client-credentials`
    ///
    /// For CI jobs, services and agents; nobody is asked, and tokens are got anew as they expire.
    /// `github[:AUDIENCE]` asks the runner, `gitlab[:NAME]` reads a variable of `id_tokens:`
    /// (HOOPCTL_ID_TOKEN), `kubernetes[:PATH]` a projected token (/var/run/secrets/hoopctl/token).
    /// HOOPCTL_WORKLOAD_AUDIENCE says whom it is to be for, where the broker takes several.
    /// `client-credentials[:NAME]` takes HOOPCTL_CLIENT_ID, and HOOPCTL_CLIENT_SECRET or
    /// HOOPCTL_CLIENT_SECRET_FILE, to HOOPCTL_CLIENT_ISSUER.
    ///
    /// A token is good for the key that it was first exchanged with, so the commands of a job share one: it
    /// lies below HOOPCTL_HOME, RUNNER_TEMP or XDG_RUNTIME_DIR, whichever is set first. Where none is, it
    /// lives as long as the command.
    #[arg(long, global = true, env = "HOOPCTL_WORKLOAD", hide_env_values = true, value_name = "SOURCE")]
    #[arg(help_heading = "Global options")]
    pub workload: Option<String>,
    /// How results are written to standard output
    #[arg(long, global = true, value_enum, default_value_t = Output::Text, value_name = "FORM")]
    #[arg(help_heading = "Global options")]
    pub output: Output,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Objects with a `version`; one per line for streams
    Json,
    /// For people
    Text,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign in
    ///
    /// Shows a page and a code; sign in there, on any device. The credential goes into the system's
    /// keyring, or into a file that only you can read where there is no keyring. HOOPCTL_CREDENTIAL_STORE says
    /// which: `keyring`, `file`, or `auto`.
    #[command(
        after_long_help = "Examples:\n  hoopctl login --broker https://broker.example:7443\n  hoopctl login --broker 127.0.0.1:7443 --broker-pin sha256:4f5a…\n  hoopctl login --workload github --broker https://broker.example:7443"
    )]
    Login(Login),
    /// Sign out at the provider, at the broker and on this machine
    #[command(after_long_help = "Examples:\n  hoopctl logout")]
    Logout,
    /// Show who you are to the broker
    ///
    /// With --check it says whether the login is good, without asking anybody anything: it ends with 0 when it is,
    /// and with 79 when there is none or it ends earlier than --for wants.
    #[command(
        after_long_help = "Examples:\n  hoopctl whoami\n  hoopctl whoami --check || hoopctl login\n  hoopctl whoami --check --for 10m --output json"
    )]
    Whoami(Whoami),
    /// List what you may reach
    ///
    /// Says of each target whether a session opens at once or takes an approval first. With --all also those that
    /// a rule forbids although another would let you in, with that rule's reason. What no rule gives you is never
    /// shown.
    #[command(
        after_long_help = "Examples:\n  hoopctl list\n  hoopctl list --all\n  hoopctl list --output json"
    )]
    List(List),
    /// Show what you may do on a target, what is masked, and what is not covered
    ///
    /// One example of each kind of action is put to policy as the gateway would put the real thing. A rule that
    /// speaks of particular tables, paths or values is listed, and judged when it is met.
    #[command(after_long_help = "Examples:\n  hoopctl explain db\n  hoopctl explain bastion --output json")]
    Explain(Target),
    /// Start the target's native client
    ///
    /// Runs your own client on this terminal and returns its exit code: psql for a database, ssh for a host.
    /// Everything after `--` goes to it unchanged. For an HTTP API it begins with the program instead; an option,
    /// a path or a URL there means curl, whose paths become URLs of the target. With --listen, for databases, no
    /// client is started: a connection string is printed, and any program of yours may use it until you press
    /// Ctrl-C.
    #[command(
        after_long_help = "Examples:\n  hoopctl connect db\n  hoopctl connect db -- -c 'select 1'\n  hoopctl connect bastion\n  hoopctl connect bastion -- uptime\n  hoopctl connect billing-api -- curl -sS /v1/traces/7\n  hoopctl connect db --listen 127.0.0.1:6543\n  hoopctl connect db --wait=15m --reason 'look into incident 4711'"
    )]
    Connect(Connect),
    /// Run any command with the environment of one or several targets
    ///
    /// Sets variables for the command and what it starts, and returns its exit code. Only the command and its
    /// children may use the connections. For a database: PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSFILE and
    /// DATABASE_URL. For a host: GIT_SSH_COMMAND, RSYNC_RSH, ANSIBLE_SSH_COMMON_ARGS, HOOP_SSH, which is a
    /// command line, and HOOP_SSH_CONFIG, a file for `ssh -F`, `scp -F` and `sftp -F`. For an HTTP API: HOOP_URL,
    /// HTTP_PROXY, HTTPS_PROXY and what to trust.
    ///
    /// With several targets of a kind, the one that is named first has these variables. Each target has its own
    /// below its name: DB_URL and DB_PGHOST, BASTION_SSH, BILLING_API_URL. One password file, one configuration of
    /// ssh and one proxy serve all of them. If one session cannot be opened, nothing is started.
    ///
    /// HUP, INT, QUIT, TERM, USR1 and USR2 are passed on to the command, each once; without a terminal it is in a
    /// process group of its own. When hoopctl itself is killed, the command is told to end (TERM, after ten seconds
    /// KILL), and sessions and files go.
    #[command(
        after_long_help = "Examples:\n  hoopctl exec db -- pg_dump -s\n  hoopctl exec db -- sh -c 'psql -c \"select 1\" && ./migrate'\n  hoopctl exec db bastion billing-api -- ./deploy.sh\n  hoopctl exec bastion -- git clone bastion:/srv/site.git\n  hoopctl exec bastion -- sh -c 'scp -F \"$HOOP_SSH_CONFIG\" notes bastion:'\n  hoopctl exec db --wait=15m --reason 'nightly report' -- ./report"
    )]
    Exec(Exec),
    /// Ask for approval, and review what others ask for
    #[command(subcommand)]
    Request(RequestCommand),
    /// See and take back what was approved
    #[command(subcommand)]
    Grant(GrantCommand),
    /// Look at sessions, replay them, end them
    #[command(subcommand)]
    Session(SessionCommand),
    /// Verify and read the audit ledger
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check policy and ask it questions
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Set up and run a broker
    #[command(subcommand)]
    Broker(BrokerCommand),
    /// Manage the devices that you signed in from
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Write profiles of AWS, so that every SDK and tool finds its credentials by `--profile hoop-TARGET`
    ///
    /// Writes one marked part into ~/.aws/config with a profile for each target that hands out credentials. Each
    /// profile runs `hoopctl credentials` when it needs them, so nothing is stored. Where a target needs approval, get
    /// it first (`hoopctl request approval`). Run it again when targets come or go.
    #[command(
        after_long_help = "Examples:\n  hoopctl aws-profile\n  aws --profile hoop-aws-prod s3 ls\n  hoopctl aws-profile --dry-run aws-prod\n  hoopctl aws-profile --remove"
    )]
    AwsProfile(AwsProfile),
    /// Print credentials of AWS, as `credential_process` of every SDK reads them
    ///
    /// Opens a session and prints what it is given, and nothing else. Never asks: a login or a workload must be there,
    /// and where the target needs approval, a grant. `hoopctl aws-profile` writes the profiles that use it. For a
    /// long job `hoopctl exec` is better: its credentials are renewed and taken back with the session.
    #[command(
        after_long_help = "Examples:\n  hoopctl credentials aws-prod\n\n  # in ~/.aws/config\n  [profile hoop-aws-prod]\n  credential_process = hoopctl credentials aws-prod"
    )]
    Credentials(Target),
    /// Make plain `ssh TARGET` work, and scp, sftp, rsync, git and ansible with it
    ///
    /// Writes a block for each SSH target into a file of its own, and one Include line at the top of
    /// ~/.ssh/config. Each connection opens a session of its own, over the standard input and output of
    /// hoopctl: no port listens, no agent is asked, and no key of yours is shown. Where a target needs approval,
    /// get it first (`hoopctl request approval`). Run it again when targets come or go.
    #[command(
        after_long_help = "Examples:\n  hoopctl ssh-config\n  ssh bastion\n  rsync -a site/ bastion:/srv/site/\n  hoopctl ssh-config --dry-run bastion\n  hoopctl ssh-config --remove"
    )]
    SshConfig(SshConfig),
    /// Carry an SSH connection to a target over standard input and output
    #[command(hide = true)]
    SshProxy(Target),
    /// Make `psql service=TARGET` work, and whatever else reads pg_service.conf
    ///
    /// Writes a section for each database into a block of its own at the top of ~/.pg_service.conf, or of the file
    /// that PGSERVICEFILE names. A section leads to the target's sticky socket, which is there while
    /// `hoopctl connect TARGET --sticky --listen …` runs, for any program of yours, or `hoopctl exec --sticky …`, for
    /// the command. No password is written. Run it again when targets come or go.
    #[command(
        after_long_help = "Examples:\n  hoopctl pg-service\n  hoopctl connect db --sticky --listen 127.0.0.1:0 &\n  psql service=db\n  hoopctl pg-service --dry-run db\n  hoopctl pg-service --remove"
    )]
    PgService(PgService),
    /// Hand ssh the socket of a session, on standard output
    #[command(hide = true)]
    SshSocket {
        /// The socket
        socket: PathBuf,
        /// Carry its bytes over standard input and output instead
        #[arg(long)]
        carry: bool,
    },
    /// Run the whole product on this machine, with a database of its own
    #[command(after_long_help = "Examples:\n  hoopctl demo\n  hoopctl demo --tour")]
    Demo(Demo),
    /// Serve the demo's API of reasoning traces, on loopback
    #[command(hide = true)]
    DemoApi(DemoApi),
    /// Find what is wrong with the set-up, and how to mend it
    ///
    /// Looks at this machine, the login, the way to the broker and what the targets need here, changes nothing and
    /// asks nobody. Each finding has its fix. Ends with 0 when all is well, else with the code of the worst fault.
    #[command(
        after_long_help = "Examples:\n  hoopctl doctor\n  hoopctl doctor --output json\n  hoopctl doctor --config broker.toml"
    )]
    Doctor(Doctor),
    /// Answer a shell that completes a command line
    #[command(name = "tab", hide = true)]
    Complete(Complete),
    /// Print the completions of a shell
    ///
    /// They know targets, requests, sessions, grants and devices: the shell asks this program while you press Tab. It
    /// never asks you anything, and waits for the broker half a second at most.
    #[command(
        after_long_help = "Examples:\n  hoopctl completions bash > ~/.local/share/bash-completion/completions/hoopctl\n  hoopctl completions zsh > ~/.zfunc/_hoopctl\n  hoopctl completions fish > ~/.config/fish/completions/hoopctl.fish"
    )]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write completions and man pages
    #[command(hide = true)]
    Generate {
        /// The folder that holds `completions` and `man`
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
}

/// `login`.
#[derive(Debug, Args)]
pub struct Login {
    /// The identity provider, when the broker knows several
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Do not open a browser
    #[arg(long)]
    pub no_browser: bool,
    /// Give up what is remembered of the broker's ledger, and remember what it shows now
    #[arg(long)]
    pub new_ledger: bool,
}

/// A target.
#[derive(Debug, Args)]
pub struct Target {
    /// The target's name, as `hoopctl list` shows it
    pub target: String,
}

/// `connect`.
#[derive(Debug, Args)]
pub struct Connect {
    /// The target's name, as `hoopctl list` shows it
    pub target: String,
    /// Listen on this loopback address and start no client; port 0 for any free one
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "args")]
    pub listen: Option<SocketAddr>,
    /// The same socket and port each time, for programs that are set up once
    ///
    /// The socket is below the state directory (`hoopctl pg-service` writes it down for libpq); port 0 means the
    /// target's own port, and another one is remembered. One hoopctl at a time can have them.
    #[arg(long)]
    pub sticky: bool,
    /// What to do where approval is needed.
    #[command(flatten)]
    pub ask: Ask,
    /// Arguments for the client
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

/// `exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// The targets' names, as `hoopctl list` shows them; the first of a kind has the variables without a name
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<String>,
    /// Listen on this loopback address, for programs that know no Unix sockets; port 0 for any free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// The same sockets and ports each time, for programs that are set up once; one hoopctl at a time
    #[arg(long)]
    pub sticky: bool,
    /// What to do where approval is needed.
    #[command(flatten)]
    pub ask: Ask,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `aws-profile`.
#[derive(Debug, Args)]
pub struct AwsProfile {
    /// Only these targets
    #[arg(value_name = "TARGET", conflicts_with = "remove")]
    pub targets: Vec<String>,
    /// Show what would be written, and write nothing
    #[arg(long, conflicts_with = "remove")]
    pub dry_run: bool,
    /// Take away what was written
    #[arg(long)]
    pub remove: bool,
    /// The configuration of AWS; AWS_CONFIG_FILE or ~/.aws/config when absent
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `ssh-config`.
#[derive(Debug, Args)]
pub struct SshConfig {
    /// Only these targets
    #[arg(value_name = "TARGET", conflicts_with = "remove")]
    pub targets: Vec<String>,
    /// Show what would be written, and write nothing
    #[arg(long, conflicts_with = "remove")]
    pub dry_run: bool,
    /// Take away what was written
    #[arg(long)]
    pub remove: bool,
    /// The configuration of ssh that includes it; ~/.ssh/config when absent
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `pg-service`.
#[derive(Debug, Args)]
pub struct PgService {
    /// Only these targets
    #[arg(value_name = "TARGET", conflicts_with = "remove")]
    pub targets: Vec<String>,
    /// Show what would be written, and write nothing
    #[arg(long, conflicts_with = "remove")]
    pub dry_run: bool,
    /// Take away what was written
    #[arg(long)]
    pub remove: bool,
    /// The file of services; that of PGSERVICEFILE, else ~/.pg_service.conf, when absent
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// A broker's configuration file.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The broker's configuration file
    #[arg(
        long,
        env = "HOOPCTL_CONFIG",
        hide_env_values = true,
        value_name = "FILE",
        default_value = "broker.toml"
    )]
    pub config: PathBuf,
}

/// `broker …`.
#[derive(Debug, Subcommand)]
pub enum BrokerCommand {
    /// Write a commented configuration file
    #[command(after_long_help = "Examples:\n  hoopctl broker init --config broker.toml")]
    Init(ConfigFile),
    /// List every problem of a configuration
    #[command(after_long_help = "Examples:\n  hoopctl broker check --config broker.toml")]
    Check(ConfigFile),
    /// Show the key that signs the ledger, or change it
    #[command(subcommand)]
    Key(KeyCommand),
    /// List what the broker keeps in a target's database, or remove it
    ///
    /// On targets with `objects = true` these are the schema `hoopctl` with its views and keys, and the role
    /// that owns them; on all targets with minted roles, the group roles. Sessions that are open lose the views
    /// when they are removed; the next session makes them anew unless `objects` is false by then. Tokens that
    /// were given out are never given out again once their key is removed.
    #[command(
        after_long_help = "Examples:\n  hoopctl broker objects db\n  hoopctl broker objects db --remove"
    )]
    Objects(Objects),
    /// Print the key that hosts must trust, for TrustedUserCAKeys of sshd
    ///
    /// It signs the certificates of sessions. It is made when there is none yet, as the broker would.
    #[command(after_long_help = "Examples:\n  hoopctl broker ssh-ca > /etc/ssh/hoopctl_ca.pub")]
    SshCa(ConfigFile),
    /// Run the broker
    ///
    /// SIGHUP reads the configuration again without dropping a session; SIGTERM and Ctrl-C let sessions
    /// end first, for half a minute at the most.
    #[command(after_long_help = "Examples:\n  hoopctl broker serve --config broker.toml")]
    Serve(ConfigFile),
}

/// `broker objects`.
#[derive(Debug, Args)]
pub struct Objects {
    /// The target's name
    pub target: String,
    /// Remove the schema `hoopctl`, and its owner where no other database needs it
    #[arg(long)]
    pub remove: bool,
    /// Where the target is configured
    #[command(flatten)]
    pub file: ConfigFile,
}

/// `device …`.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Let a new device in that waits with this code
    ///
    /// A new device needs a sign-in of the last five minutes, or the word of one that is enrolled. Compare
    /// the key that is shown here with the one on the new device before you say yes.
    #[command(after_long_help = "Examples:\n  hoopctl device confirm BCDF-GHJK")]
    Confirm {
        /// The code that the new device shows
        code: String,
        /// Do not ask; the key that you have compared
        #[arg(long, value_name = "DEVICE", allow_hyphen_values = true)]
        key: Option<String>,
    },
    /// List your devices, and those that wait to be confirmed
    #[command(after_long_help = "Examples:\n  hoopctl device list")]
    List,
    /// Revoke a device and those that it let in, and end their sessions
    ///
    /// A device that was let in by the word of another (`hoopctl device confirm`) goes with it: whoever
    /// stole the one may have let in the other. Pending reviews of all of them are void.
    #[command(
        after_long_help = "Examples:\n  hoopctl device revoke 3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n  hoopctl device revoke --only 3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    )]
    Revoke {
        /// The device's id
        #[arg(allow_hyphen_values = true)]
        device: String,
        /// Leave the devices that it let in
        #[arg(long)]
        only: bool,
    },
}

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Do the main job from login to verification, check every promise, and end
    #[arg(long)]
    pub tour: bool,
    /// The folder that holds everything; it must be new or empty
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// The broker's port; any free one when absent
    #[arg(long)]
    pub port: Option<u16>,
}

/// `demo-api`.
#[derive(Debug, Args)]
pub struct DemoApi {
    /// The loopback address
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// The file with the key that callers must show
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
}

const EXIT_CODES: &str = "Exit codes:
  connect and exec return the child's. Our own failures:
  64 usage · 65 verification failed · 69 unreachable · 70 internal · 75 held, or a request is pending
  76 denied by a reviewer · 77 denied · 78 configuration · 79 login needed · 80 revoked or expired
  128 and the signal's number when a signal ended it";
