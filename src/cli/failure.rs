//! What went wrong, as a message, hints and an exit code.
//!
//! Job: the only place that maps errors of the floors below to what a person reads and a script
//! tests. Rules: lower case, no full stop, user input in backticks; the hint says what to type.

use serde_json::{Value, json};

use crate::broker::assembly::AssemblyError;
use crate::broker::config::ConfigError;
use crate::cli::commands::demo::DemoFailure;
use crate::cli::exit;
use crate::client::api::ApiError;
use crate::client::approvals::DossierError;
use crate::client::home::HomeError;
use crate::client::keychain::KeychainError;
use crate::client::launch::LaunchError;
use crate::client::ledger::LedgerError;
use crate::client::ledger::lookout::Contradiction;
use crate::client::link::LinkError;
use crate::client::login::LoginError;
use crate::client::loopback::{LoopbackError, PlaceError};
use crate::client::playback::PlaybackError;
use crate::client::protocol::FormError;
use crate::client::provider::ProviderError;
use crate::client::workload::{Source, WorkloadError};
use crate::domain::approval::SubjectError;
use crate::domain::name::RequestId;
use crate::ledger::verify::{Broken, VerifyError};
use crate::wire::control::{Problem, ProblemCode};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    kind: FailureKind,
    message: String,
    hints: Vec<String>,
    request: Option<RequestId>,
}

/// What kind of failure it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Verification failed.
    BadData,
    /// This machine or a file is not set up.
    Configuration,
    /// Denied.
    Denied,
    /// Held for review, or a request is pending.
    Held,
    /// A fault of ours.
    Internal,
    /// A login is needed.
    LoginNeeded,
    /// A reviewer said no.
    ReviewDenied,
    /// Revoked or expired.
    Revoked,
    /// A signal ended it.
    Signal(u8),
    /// Something cannot be reached.
    Unreachable,
    /// The command line is wrong.
    Usage,
}

impl Failure {
    /// A failure without hints.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), request: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same about this request, so that a script need not look for its id in the message.
    #[must_use]
    pub fn of_request(mut self, request: &RequestId) -> Self {
        self.request = Some(request.clone());
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The failure for programs: what `error` of an object on standard error holds.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut error = json!({
            "code": self.code(), "kind": self.kind.word(), "message": self.message, "hints": self.hints,
        });
        if let (Some(members), Some(request)) = (error.as_object_mut(), &self.request) {
            members.insert("request".into(), json!(request));
        }
        json!({ "error": error })
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do, one per line.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The same, as one of several targets'.
    #[must_use]
    pub fn about(mut self, target: &str) -> Self {
        self.message = format!("`{target}`: {}", self.message);
        self
    }

    /// Whether it is a signal.
    #[must_use]
    pub fn is_signal(&self) -> bool {
        matches!(self.kind, FailureKind::Signal(_))
    }

    /// How little waiting helps: of several failures, the one with the highest number is told last, and its exit
    /// code is the command's.
    #[must_use]
    pub fn severity(&self) -> u8 {
        match self.kind {
            FailureKind::Held => 0,
            FailureKind::Unreachable => 1,
            FailureKind::Revoked => 2,
            FailureKind::ReviewDenied => 3,
            FailureKind::Denied => 4,
            FailureKind::LoginNeeded => 5,
            FailureKind::Configuration => 6,
            FailureKind::Usage => 7,
            FailureKind::BadData => 8,
            FailureKind::Internal => 9,
            FailureKind::Signal(_) => 10,
        }
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self.kind {
            FailureKind::BadData => exit::BAD_DATA,
            FailureKind::Configuration => exit::CONFIGURATION,
            FailureKind::Denied => exit::DENIED,
            FailureKind::Internal => exit::INTERNAL,
            FailureKind::Held => exit::HELD,
            FailureKind::LoginNeeded => exit::LOGIN_NEEDED,
            FailureKind::ReviewDenied => exit::REVIEW_DENIED,
            FailureKind::Revoked => exit::REVOKED,
            FailureKind::Signal(signal) => exit::SIGNAL.saturating_add(signal),
            FailureKind::Unreachable => exit::UNREACHABLE,
            FailureKind::Usage => exit::USAGE,
        }
    }
}

impl FailureKind {
    /// The word that programs read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BadData => "bad-data",
            Self::Configuration => "configuration",
            Self::Denied => "denied",
            Self::Held => "held",
            Self::Internal => "internal",
            Self::LoginNeeded => "login-needed",
            Self::ReviewDenied => "review-denied",
            Self::Revoked => "revoked",
            Self::Signal(_) => "signal",
            Self::Unreachable => "unreachable",
            Self::Usage => "usage",
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Link(error) => error.into(),
            ApiError::Login(error) => error.into(),
        }
    }
}

impl From<DossierError> for Failure {
    fn from(error: DossierError) -> Self {
        let kind = match &error {
            DossierError::Subject(SubjectError::Unreadable(_)) => FailureKind::Unreachable,
            _ => FailureKind::BadData,
        };
        let failure = Self::new(kind, error.to_string());
        match kind {
            FailureKind::Unreachable => failure.hint("a newer hoopctl may read it"),
            _ => failure.hint("nothing was signed; tell whoever answers for the broker"),
        }
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::new(FailureKind::BadData, format!("the ledger is broken: {broken}"))
            .hint("keep a copy of it as it is, and tell whoever answers for the broker")
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let failure = Self::new(FailureKind::BadData, error.to_string());
        match error {
            LedgerError::Api(error) => error.into(),
            LedgerError::Broken(broken) => broken.into(),
            LedgerError::Contradicted(contradiction, evidence) => {
                let kept = evidence.map(|at| format!("what it showed and what is remembered is kept in `{}`", at.display()));
                let failure = kept.into_iter().fold(failure, Self::hint);
                match contradiction {
                    Contradiction::Withheld => failure.hint("ask whoever answers for the broker what became of it"),
                    _ => failure.hint(
                        "tell whoever answers for the broker; only if they say why, as after a backup was restored: `hoopctl login --new-ledger`",
                    ),
                }
            }
            LedgerError::Crowded => Self { kind: FailureKind::Unreachable, ..failure },
            LedgerError::Home(error) => error.into(),
            LedgerError::Half | LedgerError::Kept(_) | LedgerError::Key(_) => {
                failure.hint("`hoopctl login --new-ledger` puts it aside and begins anew")
            }
            LedgerError::NamedKey => failure.hint(
                "compare both with what the operator gives; `hoopctl login --new-ledger` gives up the remembered one",
            ),
        }
    }
}

impl From<PlaybackError> for Failure {
    fn from(error: PlaybackError) -> Self {
        let message = error.to_string();
        match error {
            PlaybackError::Altered { .. } | PlaybackError::Missing { .. } => {
                Self::new(FailureKind::BadData, message).hint("type `hoopctl audit verify --recordings`")
            }
            PlaybackError::Api(error) => error.into(),
            PlaybackError::Broken(broken) => broken.into(),
            PlaybackError::Ledger(error) => error.into(),
            PlaybackError::TooOld => Self::new(FailureKind::Unreachable, message)
                .hint("an auditor can: `hoopctl audit verify --recordings`"),
            PlaybackError::Unproven(_) => Self::new(FailureKind::BadData, message)
                .hint("what was shown is proven; there may be more that was not shown"),
            PlaybackError::Absent { .. }
            | PlaybackError::Chunks { .. }
            | PlaybackError::Connections { .. }
            | PlaybackError::Elsewhere
            | PlaybackError::Item(_)
            | PlaybackError::Replay(_) => Self::new(FailureKind::BadData, message),
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Broken(broken) => broken.into(),
            VerifyError::Files(error) => Self::new(FailureKind::Unreachable, error.to_string()),
        }
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let message = error.to_string();
        match error {
            LinkError::Malformed(_) => Self::new(FailureKind::Unreachable, message)
                .hint("is it a hoopctl broker, and of a version that fits this client?"),
            LinkError::PinMismatch { .. } => Self::new(FailureKind::BadData, message)
                .hint("somebody may be in between; ask the broker's operator for the pin before you go on")
                .hint("if the operator confirms the new pin: `hoopctl login --broker-pin sha256:…`"),
            LinkError::Problem(problem) => (*problem).into(),
            LinkError::Proof(_) | LinkError::Tls(_) => Self::new(FailureKind::Internal, message),
            LinkError::Unreachable { .. } => {
                Self::new(FailureKind::Unreachable, message).hint("is the broker running, and the URL right?")
            }
            LinkError::Untrusted { shown } => Self::new(FailureKind::BadData, message).hint(format!(
                "if the broker's operator confirms it: `hoopctl login --broker-pin {}`",
                shown.pin
            )),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let kind = match problem.code {
            ProblemCode::BadRequest => FailureKind::Usage,
            ProblemCode::Denied | ProblemCode::Unknown => FailureKind::Denied,
            ProblemCode::Internal => FailureKind::Internal,
            ProblemCode::LoginNeeded | ProblemCode::TokenSpent | ProblemCode::Unconfirmed => {
                FailureKind::LoginNeeded
            }
            ProblemCode::ReviewNeeded => FailureKind::Held,
            ProblemCode::Conflict | ProblemCode::Revoked => FailureKind::Revoked,
            ProblemCode::Unavailable => FailureKind::Unreachable,
        };
        let message = match problem.detail {
            Some(detail) => format!("{}: {detail}", problem.title),
            None => problem.title,
        };
        let failure = Self::new(kind, message);
        match (problem.hint, problem.code) {
            (Some(hint), _) => failure.hint(hint),
            (None, ProblemCode::LoginNeeded) => failure.hint("type `hoopctl login`"),
            (None, ProblemCode::Unknown) => failure.hint("`hoopctl list` shows what you may reach"),
            (None, _) => failure,
        }
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        let message = error.to_string();
        match error {
            LoginError::Home(error) => error.into(),
            LoginError::Keychain(error) => error.into(),
            LoginError::Ledger(error) => (*error).into(),
            LoginError::Link(error) => error.into(),
            LoginError::Needed(url) => Self::new(FailureKind::LoginNeeded, message)
                .hint(format!("type `hoopctl login --broker {url}`")),
            LoginError::Provider(error) => error.into(),
            LoginError::Task(_) => Self::new(FailureKind::Internal, message),
            LoginError::Unconfirmed => Self::new(FailureKind::LoginNeeded, message).hint(
                "type `hoopctl login` for a new code, and `hoopctl device confirm CODE` on the other device",
            ),
            LoginError::UnknownProvider { .. } => {
                Self::new(FailureKind::Usage, message).hint("choose one with `--provider NAME`")
            }
            LoginError::Workload(error) => error.into(),
        }
    }
}

impl From<WorkloadError> for Failure {
    fn from(error: WorkloadError) -> Self {
        let failure = Self::new(FailureKind::LoginNeeded, error.to_string());
        match error {
            WorkloadError::Audience { .. } => failure.hint(
                "ask the platform for a token with the broker's audience: `aud:` below `id_tokens:`, `audience:` of a projected volume; docs/workloads.md shows each",
            ),
            WorkloadError::Empty(Source::Gitlab(name)) => failure.hint(format!(
                "give the job `id_tokens: {{{name}: {{aud: AUDIENCE}}}}`, with the audience that the broker wants"
            )),
            WorkloadError::Empty(_) => {
                failure.hint(format!("`--workload` and HOOPCTL_WORKLOAD take {WORKLOAD_SOURCES}"))
            }
            WorkloadError::Exposed(path) => failure.hint(format!("type `chmod 600 {}`", path.display())),
            WorkloadError::Issuer { .. } => {
                failure.hint("make sure of the broker before its issuer gets the secret")
            }
            WorkloadError::Missing { missing: "GITLAB_CI", .. } => {
                failure.hint("elsewhere, `env:NAME` reads a token from a variable")
            }
            WorkloadError::Missing { missing, .. } if missing.starts_with("ACTIONS_") => failure.hint(
                "give the job `permissions: {id-token: write}`; pull requests of forks get no such tokens",
            ),
            WorkloadError::Missing { missing: "HOOPCTL_CLIENT_ISSUER", .. } => {
                failure.hint("set it to the URL of the identity provider that knows this client")
            }
            WorkloadError::Missing { .. } => failure.hint(
                "set HOOPCTL_CLIENT_ISSUER, HOOPCTL_CLIENT_ID, and HOOPCTL_CLIENT_SECRET or HOOPCTL_CLIENT_SECRET_FILE",
            ),
            WorkloadError::Provider(error) => error.into(),
            WorkloadError::Refused { .. } => failure.hint(
                "the job needs `permissions: {id-token: write}`, and must reach GitHub's token service",
            ),
            WorkloadError::Unclear { .. } => failure.hint(
                "name one: `github:AUDIENCE` or HOOPCTL_WORKLOAD_AUDIENCE, `client-credentials:NAME`; one secret, not two",
            ),
            WorkloadError::Unreadable { .. } => {
                failure.hint(
                "it must be a file that this user can read; docs/workloads.md shows a pod's projected token",
            )
            }
        }
    }
}

/// What `--workload` takes.
pub const WORKLOAD_SOURCES: &str =
    "`github`, `gitlab[:NAME]`, `kubernetes[:PATH]`, `token-file:PATH`, `env:NAME` or `client-credentials`";

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        let message = error.to_string();
        match error {
            ProviderError::Denied | ProviderError::Ended | ProviderError::Expired => {
                Self::new(FailureKind::LoginNeeded, message).hint("type `hoopctl login` to try again")
            }
            ProviderError::Discovery(_) | ProviderError::Refused(_) => {
                Self::new(FailureKind::Configuration, message)
            }
            ProviderError::Unreachable { .. } => Self::new(FailureKind::Unreachable, message),
        }
    }
}

impl From<KeychainError> for Failure {
    fn from(error: KeychainError) -> Self {
        let message = error.to_string();
        match error {
            KeychainError::Corrupt => {
                Self::new(FailureKind::LoginNeeded, message).hint("type `hoopctl login` to make a new one")
            }
            KeychainError::Home(error) => error.into(),
            KeychainError::Keyring(_) => Self::new(FailureKind::Configuration, message)
                .hint("unlock it, or set HOOPCTL_CREDENTIAL_STORE=file and log in again"),
        }
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        let message = error.to_string();
        match error {
            HomeError::NotADirectory { .. } => Self::new(FailureKind::Configuration, message),
            HomeError::Exposed { path } => Self::new(FailureKind::Configuration, message)
                .hint(format!("type `chmod go-rwx {}`, if you trust what is in it", path.display())),
            HomeError::Io { .. } => Self::new(FailureKind::Configuration, message),
            HomeError::NotABroker(_) => Self::new(FailureKind::Usage, message),
        }
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        let message = error.to_string();
        match error {
            LaunchError::NotFound(program) if program == "psql" => {
                Self::new(FailureKind::Configuration, message)
                    .hint("install it (Debian: `apt-get install postgresql-client`), or use `hoopctl exec`")
            }
            LaunchError::NotFound(program) if program == "ssh" => {
                Self::new(FailureKind::Configuration, message)
                    .hint("install it (Debian: `apt-get install openssh-client`), or use `hoopctl exec`")
            }
            LaunchError::NotFound(_) | LaunchError::Start { .. } => {
                Self::new(FailureKind::Configuration, message)
            }
            LaunchError::Signals(_) => Self::new(FailureKind::Internal, message),
        }
    }
}

impl From<LoopbackError> for Failure {
    fn from(error: LoopbackError) -> Self {
        let message = error.to_string();
        match error {
            LoopbackError::Place(error) => error.into(),
            LoopbackError::PortTaken { target, .. } => {
                Self::new(FailureKind::Configuration, message).hint(format!(
                    "`--listen 127.0.0.1:PORT --sticky` gives `{target}` another one, which is remembered"
                ))
            }
            LoopbackError::Listen { .. } => Self::new(FailureKind::Configuration, message),
            LoopbackError::NotLoopback(_) => {
                Self::new(FailureKind::Usage, message).hint("others could reach it; use 127.0.0.1 or [::1]")
            }
        }
    }
}

impl From<PlaceError> for Failure {
    fn from(error: PlaceError) -> Self {
        let message = error.to_string();
        match error {
            PlaceError::Home(error) => error.into(),
            PlaceError::InUse(_) => Self::new(FailureKind::Configuration, message)
                .hint("use that one, or leave out `--sticky` for a place of its own"),
            PlaceError::Make { .. } => Self::new(FailureKind::Configuration, message),
            PlaceError::TooLong(_) => Self::new(FailureKind::Configuration, message)
                .hint("set HOOPCTL_HOME to a directory with a shorter path"),
        }
    }
}

impl From<FormError> for Failure {
    fn from(error: FormError) -> Self {
        let message = error.to_string();
        match error {
            FormError::Home(error) => error.into(),
            FormError::Missing(_) => Self::new(FailureKind::Unreachable, message)
                .hint("is it a hoopctl broker, and of a version that fits this client?"),
            FormError::Certificate(_) | FormError::Key(_) => Self::new(FailureKind::Internal, message),
            FormError::Path(_) => Self::new(FailureKind::Configuration, message)
                .hint("set HOOPCTL_HOME to a directory with a plainer name"),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let message = error.to_string();
        match error {
            ConfigError::Faults(faults) => {
                let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
                Self::new(FailureKind::Configuration, message + &lines.concat())
            }
            ConfigError::Unreadable { .. } => Self::new(FailureKind::Configuration, message)
                .hint("`hoopctl broker init` writes a commented one"),
        }
    }
}

impl From<AssemblyError> for Failure {
    fn from(error: AssemblyError) -> Self {
        Self::new(FailureKind::Configuration, error.to_string())
    }
}

impl From<DemoFailure> for Failure {
    fn from(error: DemoFailure) -> Self {
        let kind = match error {
            DemoFailure::Cluster(_) | DemoFailure::FolderInUse(_) | DemoFailure::Host(_) => {
                FailureKind::Configuration
            }
            DemoFailure::Interrupted => FailureKind::Signal(2),
            DemoFailure::Promise { .. } => FailureKind::BadData,
            _ => FailureKind::Internal,
        };
        let hint = error.hint();
        let failure = Self::new(kind, error.to_string());
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
