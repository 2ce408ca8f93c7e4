//! What is attempted on a target.

use serde::{Deserialize, Serialize};

use super::facts::{CallFacts, ExecFacts, Facts, FileFacts, ForwardFacts, IssueFacts};
use super::name::RuleName;

/// What is attempted. Each becomes a Cedar action of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Answer a request for approval instead of people.
    Approve(&'a Petition<'a>),
    /// See the record of other people's sessions on the target, and the ledger.
    Audit,
    /// Make one HTTP call.
    Call(&'a CallFacts),
    /// Open a session.
    Connect,
    /// Set a variable of this name in the environment of what runs on a host.
    Env(&'a str),
    /// Run one command line on a host.
    Exec(&'a ExecFacts),
    /// Do something with a host's files.
    File(&'a FileFacts),
    /// Forward a port, a socket, an agent or a display.
    Forward(&'a ForwardFacts),
    /// Hand out credentials of the resource.
    Issue(&'a IssueFacts),
    /// Close other people's sessions on the target.
    Kill,
    /// Start an interactive shell on a host.
    Shell(Shell),
    /// Run one SQL statement.
    Statement(&'a Facts),
    /// Start a subsystem of this name on a host, other than `sftp`, whose operations are judged one by one.
    Subsystem(&'a str),
}

/// How an interactive shell is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Whether each command line is judged before the host's shell gets it.
    pub supervised: bool,
}

impl<'a> Action<'a> {
    /// The names of all actions.
    pub const NAMES: [&'static str; 13] = [
        "connect",
        "audit",
        "kill",
        "statement",
        "approve",
        "exec",
        "shell",
        "file",
        "forward",
        "env",
        "subsystem",
        "call",
        "issue",
    ];

    /// The action's name in policies and records.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Audit => "audit",
            Self::Call(_) => "call",
            Self::Connect => "connect",
            Self::Env(_) => "env",
            Self::Exec(_) => "exec",
            Self::File(_) => "file",
            Self::Forward(_) => "forward",
            Self::Issue(_) => "issue",
            Self::Kill => "kill",
            Self::Shell(_) => "shell",
            Self::Statement(_) => "statement",
            Self::Subsystem(_) => "subsystem",
        }
    }

    /// What a connection would do, to be kept; `None` for what is not done on the data path.
    #[must_use]
    pub fn deed(&self) -> Option<Deed> {
        Some(match *self {
            Self::Approve(_) | Self::Audit | Self::Connect | Self::Kill => return None,
            Self::Call(facts) => Deed::Call(facts.clone()),
            Self::Env(name) => Deed::Env { name: name.to_owned() },
            Self::Exec(facts) => Deed::Exec(facts.clone()),
            Self::File(facts) => Deed::File(facts.clone()),
            Self::Forward(facts) => Deed::Forward(facts.clone()),
            Self::Issue(facts) => Deed::Issue(facts.clone()),
            Self::Shell(shell) => Deed::Shell(shell),
            Self::Statement(facts) => Deed::Statement(facts.clone()),
            Self::Subsystem(name) => Deed::Subsystem { name: name.to_owned() },
        })
    }

    /// Whether it is proven to change nothing where it is done.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Call(facts) => facts.is_read_only(),
            Self::Exec(facts) => facts.read_only,
            Self::File(facts) => facts.operation.is_read_only(),
            Self::Statement(facts) => facts.read_only,
            _ => false,
        }
    }
}

/// What a connection does on the data path: one action with all its facts, as it is kept and reviewed.
///
/// A statement is written as its facts alone, as it was before there were other deeds; the others have a
/// member `action`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Deed {
    /// An HTTP call.
    Call(CallFacts),
    /// A variable for what runs on a host.
    Env {
        /// Its name.
        name: String,
    },
    /// A command line.
    Exec(ExecFacts),
    /// An operation on files.
    File(FileFacts),
    /// A forwarding.
    Forward(ForwardFacts),
    /// Credentials that are handed out.
    Issue(IssueFacts),
    /// An interactive shell.
    Shell(Shell),
    /// A SQL statement.
    Statement(Facts),
    /// A subsystem.
    Subsystem {
        /// Its name.
        name: String,
    },
}

impl Deed {
    /// As policy is asked about it.
    #[must_use]
    pub fn action(&self) -> Action<'_> {
        match self {
            Self::Call(facts) => Action::Call(facts),
            Self::Env { name } => Action::Env(name),
            Self::Exec(facts) => Action::Exec(facts),
            Self::File(facts) => Action::File(facts),
            Self::Forward(facts) => Action::Forward(facts),
            Self::Issue(facts) => Action::Issue(facts),
            Self::Shell(shell) => Action::Shell(*shell),
            Self::Statement(facts) => Action::Statement(facts),
            Self::Subsystem { name } => Action::Subsystem(name),
        }
    }

    /// The facts of a statement, if it is one.
    #[must_use]
    pub fn statement(&self) -> Option<&Facts> {
        match self {
            Self::Statement(facts) => Some(facts),
            _ => None,
        }
    }

    /// What it is, in a word for whoever waits for it.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Call(_) => "call",
            Self::Env { .. } => "variable",
            Self::Exec(_) => "command",
            Self::File(_) => "operation",
            Self::Forward(_) => "forwarding",
            Self::Issue(_) => "issue of credentials",
            Self::Shell(_) => "shell",
            Self::Statement(_) => "statement",
            Self::Subsystem { .. } => "subsystem",
        }
    }

    /// What it does, in a word or two that hold nothing of its text: `drop table`, `exec`, `file remove`.
    #[must_use]
    pub fn verb(&self) -> String {
        match self {
            Self::Call(facts) => match (&facts.aws, &facts.operation) {
                (Some(aws), _) => format!("call {}:{}", aws.service, aws.operation),
                (None, Some(operation)) => format!("call {operation}"),
                (None, None) => format!("call {}", facts.method),
            },
            Self::Env { name } => format!("env {name}"),
            Self::Exec(facts) if facts.programs.len() == 1 => {
                let program = facts.programs.first().map(String::as_str).unwrap_or_default();
                format!("exec {program}")
            }
            Self::Exec(_) => "exec".into(),
            Self::File(facts) => format!("file {}", facts.operation.as_str()),
            Self::Forward(facts) => format!("forward {}", facts.kind.as_str()),
            Self::Issue(_) => "issue".into(),
            Self::Shell(_) => "shell".into(),
            Self::Statement(facts) => facts.verb.clone(),
            Self::Subsystem { name } => format!("subsystem {name}"),
        }
    }
}

/// The written form of a [`Deed`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Other(Box<Other>),
    Statement(Box<Facts>),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
enum Other {
    Call(CallFacts),
    Env { name: String },
    Exec(ExecFacts),
    File(FileFacts),
    Forward(ForwardFacts),
    Issue(IssueFacts),
    Shell(Shell),
    Subsystem { name: String },
}

impl From<Written> for Deed {
    fn from(written: Written) -> Self {
        let other = match written {
            Written::Statement(facts) => return Self::Statement(*facts),
            Written::Other(other) => *other,
        };
        match other {
            Other::Call(facts) => Self::Call(facts),
            Other::Env { name } => Self::Env { name },
            Other::Exec(facts) => Self::Exec(facts),
            Other::File(facts) => Self::File(facts),
            Other::Forward(facts) => Self::Forward(facts),
            Other::Issue(facts) => Self::Issue(facts),
            Other::Shell(shell) => Self::Shell(shell),
            Other::Subsystem { name } => Self::Subsystem { name },
        }
    }
}

impl From<Deed> for Written {
    fn from(deed: Deed) -> Self {
        Self::Other(Box::new(match deed {
            Deed::Statement(facts) => return Self::Statement(Box::new(facts)),
            Deed::Call(facts) => Other::Call(facts),
            Deed::Env { name } => Other::Env { name },
            Deed::Exec(facts) => Other::Exec(facts),
            Deed::File(facts) => Other::File(facts),
            Deed::Forward(facts) => Other::Forward(facts),
            Deed::Issue(facts) => Other::Issue(facts),
            Deed::Shell(shell) => Other::Shell(shell),
            Deed::Subsystem { name } => Other::Subsystem { name },
        }))
    }
}

/// A request for approval, as rules that may answer it see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Petition<'a> {
    /// The rules that demand the review.
    pub rules: &'a [RuleName],
    /// For how long, of a session; in seconds.
    pub seconds: Option<u64>,
    /// What is to be done; `None` for sessions on the target.
    pub action: Option<Action<'a>>,
}

impl Petition<'_> {
    /// What is asked for, as policies say it: `session`, or the action's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.action.map_or("session", |action| action.name())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

    use super::*;

    /// Subjects that were written before there were other deeds hold a statement's facts and nothing else.
    #[test]
    fn a_statement_is_written_as_its_facts_alone() {
        let facts = Facts::unparsed();
        let written = serde_json::to_string(&Deed::Statement(facts.clone())).unwrap();
        assert_eq!(written, serde_json::to_string(&facts).unwrap());
        assert_eq!(serde_json::from_str::<Deed>(&written).unwrap(), Deed::Statement(facts));
    }

    #[test]
    fn other_deeds_say_what_they_are() {
        let all = [
            Deed::Env { name: "LANG".into() },
            Deed::Exec(ExecFacts::unjudged(false)),
            Deed::Shell(Shell { terminal: true, supervised: false }),
            Deed::Subsystem { name: "netconf".into() },
        ];
        for deed in all {
            let written = serde_json::to_value(&deed).unwrap();
            assert_eq!(written["action"], deed.action().name());
            assert_eq!(deed.action().deed().as_ref(), Some(&deed));
            assert_eq!(serde_json::from_value::<Deed>(written).unwrap(), deed);
        }
        serde_json::from_str::<Deed>(r#"{"action":"reboot"}"#).unwrap_err();
    }
}
