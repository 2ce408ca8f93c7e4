//! What policy is asked about, as people write it.
//!
//! Job: the words of a case or of a command line → an action with its facts, by the code that makes them at the
//! gateway. Boundary: nothing is run, connected to or looked up, but for a target's OpenAPI document. Failure mode: a
//! usage error for what cannot be meant; what the gateway refuses before it asks policy is a denial.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::Request;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::failure::{Failure, FailureKind};
use crate::domain::action::{Action, Deed};
use crate::domain::facts::{Facts, FileFacts, FileOperation};
use crate::domain::name::{GroupName, RuleName};
use crate::domain::policy::Denial;
use crate::domain::target::{AwsAccessMode, Target, TargetKind};
use crate::gateway::http::facts;
use crate::shell::{self, Transfer};
use crate::sql::{ParseError, ParseLimits};
use crate::wire::ssh::path::{PathError, RemotePath};

/// What somebody wants to do; at most one of these is there.
#[derive(Debug, Default)]
pub(super) struct Wish {
    /// A statement.
    pub(super) sql: Option<String>,
    /// A command line on a host.
    pub(super) exec: Option<String>,
    /// Whether the command has a terminal.
    pub(super) terminal: bool,
    /// An operation on a host's files.
    pub(super) file: Option<FileWish>,
    /// A call of an API.
    pub(super) call: Option<CallWish>,
    /// Facts of a statement that its text alone does not tell: those of a database.
    pub(super) facts: Option<toml::Table>,
}

/// An operation on files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileWish {
    /// As policies spell it: `read`, `remove-directory`.
    pub(super) operation: FileOperation,
    /// Absolute.
    pub(super) path: String,
    /// The second path of a rename or link.
    pub(super) to: Option<String>,
}

/// A call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallWish {
    /// `GET` when absent.
    #[serde(default = "get")]
    pub(super) method: String,
    /// Path and query, or a whole URL.
    pub(super) path: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) body: String,
}

/// What policy is asked.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Something inside a session.
    Deed(Box<Deed>),
    /// Nothing: the gateway refuses it by a rule of its own.
    Refused(Denial),
    /// Something about sessions.
    Session(Action<'static>),
}

impl Attempt {
    /// The action and its facts.
    pub(super) async fn of(
        wish: &Wish,
        otherwise: Action<'static>,
        target: &Target,
        groups: &BTreeSet<GroupName>,
    ) -> Result<Self, Failure> {
        let Wish { sql, exec, terminal, file, call, facts } = wish;
        if facts.is_some() && sql.is_none() {
            return Err(usage("`facts` go with `sql`"));
        }
        if *terminal && exec.is_none() {
            return Err(usage("`terminal` goes with `exec`"));
        }
        let deed = match (sql, exec, file, call) {
            (None, None, None, None) => return Ok(Self::Session(otherwise)),
            (Some(sql), None, None, None) => Deed::Statement(changed(statement(sql)?, facts.as_ref())?),
            (None, Some(exec), None, None) => command(exec, *terminal)?,
            (None, None, Some(file), None) => operation(file)?,
            (None, None, None, Some(call)) => match (&target.kind, request(call)?) {
                (TargetKind::Aws(aws), request) => {
                    match crate::gateway::aws::facts::of(&target.name, aws, groups, request) {
                        Ok(facts) => Deed::Call(facts),
                        Err(unread) => return Ok(Self::refused(&unread)),
                    }
                }
                (TargetKind::Http(http), request) => {
                    match facts::of(&target.name, http, groups, request).await {
                        Ok(facts) => Deed::Call(facts),
                        Err(unread) => return Ok(Self::refused(&unread)),
                    }
                }
                _ => return Err(misplaced("call", target)),
            },
            _ => return Err(usage("it has more than one of `sql`, `exec`, `file` and `call`")),
        };
        let name = deed.action().name();
        if target.kind.actions().any(|known| known == name) {
            Ok(Self::Deed(Box::new(deed)))
        } else {
            Err(misplaced(name, target))
        }
    }

    /// Credentials of the target, for as long as it gives any.
    pub(super) fn issue(target: &Target, groups: &BTreeSet<GroupName>) -> Result<Self, Failure> {
        match &target.kind {
            TargetKind::Aws(aws) if aws.access == AwsAccessMode::Credentials => {
                Ok(Self::Deed(Box::new(Deed::Issue(aws.issue(groups, aws.seconds)))))
            }
            TargetKind::Aws(_) => Err(usage(format!("`{}` hands out no credentials", target.name))),
            _ => Err(misplaced("issue", target)),
        }
    }

    fn refused(unread: &facts::Unread) -> Self {
        let rule = RuleName::new(unread.rule).unwrap_or_else(|_| RuleName::default_deny());
        Self::Refused(Denial { rule, reason: unread.why.clone(), hint: None })
    }

    /// As policies call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Deed(deed) => deed.action().name(),
            Self::Refused(_) => "call",
            Self::Session(action) => action.name(),
        }
    }

    /// What it does, if it is a deed.
    pub(super) fn deed(&self) -> Option<&Deed> {
        match self {
            Self::Deed(deed) => Some(deed),
            Self::Refused(_) | Self::Session(_) => None,
        }
    }

    /// The facts for scripts.
    pub(super) fn facts(&self) -> Value {
        let value = match self.deed() {
            Some(Deed::Call(facts)) => serde_json::to_value(facts),
            Some(Deed::Exec(facts)) => serde_json::to_value(facts),
            Some(Deed::Issue(facts)) => serde_json::to_value(facts),
            Some(Deed::File(facts)) => serde_json::to_value(facts),
            Some(Deed::Statement(facts)) => serde_json::to_value(facts),
            _ => return Value::Null,
        };
        value.unwrap_or_default()
    }
}

/// The facts of one statement as its text alone tells them.
fn statement(text: &str) -> Result<Facts, Failure> {
    match crate::sql::parse(text, &ParseLimits::default()).as_deref() {
        Ok([statement]) => Ok(crate::sql::facts(statement)),
        Ok(all) => Err(usage(format!("one statement is wanted, and there are {}", all.len()))),
        // as on a target without masks
        Err(ParseError::Syntax(_)) => Ok(Facts::unparsed()),
        Err(error) => Err(usage(error.to_string())),
    }
}

/// The facts with some of them replaced.
fn changed(facts: Facts, changes: Option<&toml::Table>) -> Result<Facts, Failure> {
    let Some(changes) = changes else { return Ok(facts) };
    let Ok(Value::Object(mut all)) = serde_json::to_value(&facts) else { return Ok(facts) };
    for (name, value) in changes {
        // a misspelt fact must not pass for one that does not matter
        if !all.contains_key(name) {
            return Err(usage(format!("there is no fact `{name}`")));
        }
        let value = serde_json::to_value(value).map_err(|error| usage(error.to_string()))?;
        all.insert(name.clone(), value);
    }
    serde_json::from_value(Value::Object(all)).map_err(|error| usage(format!("its facts: {error}")))
}

fn command(text: &str, terminal: bool) -> Result<Deed, Failure> {
    let judged = shell::judge(text.as_bytes(), terminal);
    match judged.transfer {
        // the gateway takes these apart, whatever policy says of `exec`
        Some(Transfer::Sftp | Transfer::ScpFrom(_) | Transfer::ScpTo(_)) => {
            Err(usage("this command carries files, which are judged one by one: ask about each as a `file`"))
        }
        _ => Ok(Deed::Exec(judged.facts)),
    }
}

fn operation(wish: &FileWish) -> Result<Deed, Failure> {
    let wrong = |path: &str| {
        let shown = crate::domain::text::name(path, 80);
        move |error: PathError| usage(format!("the path `{shown}`: {error}"))
    };
    let path = RemotePath::absolute(wish.path.as_bytes()).map_err(wrong(&wish.path))?;
    let to = wish.to.as_ref().map(|to| {
        // where a link points is read from where the link is
        let to_path = match wish.operation {
            FileOperation::Symlink => path.parent().resolve(to.as_bytes()),
            _ => RemotePath::absolute(to.as_bytes()),
        };
        to_path.map_err(wrong(to))
    });
    let to = to.transpose()?.map(|to| to.shown());
    Ok(Deed::File(FileFacts { operation: wish.operation, path: path.shown(), to }))
}

fn request(wish: &CallWish) -> Result<Request<Bytes>, Failure> {
    let mut request = Request::builder().method(wish.method.as_str()).uri(wish.path.as_str());
    for (name, value) in &wish.headers {
        request = request.header(name, value);
    }
    let body = Bytes::copy_from_slice(wish.body.as_bytes());
    request.body(body).map_err(|error| usage(format!("this is no call: {error}")))
}

fn misplaced(name: &str, target: &Target) -> Failure {
    let protocol = target.kind.protocol();
    usage(format!("`{name}` cannot be attempted on `{}`, which speaks {protocol}", target.name))
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Usage, message.into())
}

fn get() -> String {
    "GET".into()
}
