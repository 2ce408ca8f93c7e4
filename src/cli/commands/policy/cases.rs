//! `hoopctl policy test`.

use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use super::attempt::{Attempt, CallWish, FileWish, Wish};
use super::principal;
use crate::broker::config::Config;
use crate::cli::args::PolicyTest;
use crate::cli::exit;
use crate::cli::facts;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::domain::action::Action;
use crate::domain::name::TargetName;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The cases, in order.
    #[serde(default)]
    case: Vec<Case>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it is called in the table.
    name: Option<String>,
    /// Who, `PROVIDER:SUBJECT`.
    #[serde(rename = "as")]
    who: String,
    /// Their groups.
    #[serde(default)]
    groups: Vec<String>,
    /// The target.
    target: String,
    /// `connect`, `audit`, `issue` or `kill`; `connect` when there is nothing else to do.
    action: Option<String>,
    /// A statement instead.
    sql: Option<String>,
    /// A command line instead.
    exec: Option<String>,
    /// Whether the command line has a terminal.
    #[serde(default)]
    terminal: bool,
    /// An operation on files instead.
    file: Option<FileWish>,
    /// A call instead.
    call: Option<CallWish>,
    /// Facts that the text alone does not tell: those of a database.
    facts: Option<toml::Table>,
    /// `allow`, `deny` or `hold`.
    expect: String,
    /// The rule behind it.
    rule: Option<String>,
}

/// Judges every case.
pub(super) async fn run(ui: Ui, args: &PolicyTest) -> Result<u8, Failure> {
    let config = Config::load(&args.config.config)?;
    let shown = args.file.display();
    let wrong = |message: String| Failure::new(FailureKind::Configuration, message);
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| wrong(format!("cannot read `{shown}`: {error}")))?;
    let file: File = toml::from_str(&text).map_err(|error| wrong(format!("{shown}: {error}")))?;
    if file.case.is_empty() {
        // a file in which nothing is tested must not look like one that passes
        return Err(wrong(format!("{shown} has no [[case]]")));
    }
    let mut failed = 0;
    let mut rows = Vec::new();
    let mut surprises = Vec::new();
    for (place, case) in file.case.iter().enumerate() {
        let name = case.shown();
        let (attempt, answer) = judge(&config, case).await.map_err(|failure| {
            wrong(format!("{shown}: case {} ({name}): {}", place + 1, failure.message()))
        })?;
        let as_expected =
            answer.word == case.expect && case.rule.as_ref().is_none_or(|rule| rule == answer.rule.as_str());
        failed += u32::from(!as_expected);
        let result = if as_expected { "ok" } else { "FAILED" };
        if ui.json {
            ui.object(&json!({
                "name": name, "passed": as_expected, "verdict": answer.word, "rule": answer.rule,
                "reason": answer.reason, "review": answer.takes, "facts": attempt.facts(),
                "expected": { "verdict": case.expect, "rule": case.rule },
            }));
        }
        let expected = match &case.rule {
            Some(rule) => format!("{} by {rule}", case.expect),
            None => case.expect.clone(),
        };
        if !as_expected {
            let facts = attempt.deed().map(|deed| facts::sentences(deed, None)).unwrap_or_default();
            surprises.push((name.clone(), facts));
        }
        rows.push(vec![name, expected, format!("{} by {}", answer.word, answer.rule), result.into()]);
    }
    if !ui.json {
        ui.table(&["CASE", "EXPECTED", "VERDICT", ""], rows);
        for (name, facts) in surprises {
            ui.talk(&format!("what was judged of {name}:"));
            facts.iter().for_each(|fact| ui.talk(&format!("  {fact}")));
        }
        ui.talk(&format!("{} cases, {failed} failed", file.case.len()));
    }
    Ok(if failed == 0 { 0 } else { exit::BAD_DATA })
}

async fn judge(config: &Config, case: &Case) -> Result<(Attempt, Answer), Failure> {
    let usage = |message: String| Failure::new(FailureKind::Usage, message);
    if !["allow", "deny", "hold"].contains(&case.expect.as_str()) {
        return Err(usage(format!("`{}` is not allow, deny or hold", case.expect)));
    }
    let name = TargetName::new(case.target.as_str()).map_err(|error| usage(error.to_string()))?;
    let target = config
        .targets
        .get(&name)
        .ok_or_else(|| usage(format!("the configuration has no target `{name}`")))?;
    let who = principal(&case.who, &case.groups, config)?;
    let deeds = [case.sql.is_some(), case.exec.is_some(), case.file.is_some(), case.call.is_some()];
    if case.action.is_some() && deeds.contains(&true) {
        return Err(usage("it has `action` and something else to do".into()));
    }
    let otherwise = match case.what() {
        "audit" => Action::Audit,
        "connect" | "issue" => Action::Connect,
        "kill" => Action::Kill,
        other => return Err(usage(format!("`{other}` is not connect, audit, issue or kill"))),
    };
    let attempt = match case.what() {
        "issue" => Attempt::issue(target, &who.groups)?,
        _ => Attempt::of(&case.wish(), otherwise, target, &who.groups).await?,
    };
    let answer = Answer::of(&config.policy, &who, target, &attempt);
    Ok((attempt, answer))
}

impl Case {
    fn what(&self) -> &str {
        self.action.as_deref().unwrap_or("connect")
    }

    fn wish(&self) -> Wish {
        Wish {
            sql: self.sql.clone(),
            exec: self.exec.clone(),
            terminal: self.terminal,
            file: self.file.clone(),
            call: self.call.clone(),
            facts: self.facts.clone(),
        }
    }

    /// What it is called in the table.
    fn shown(&self) -> String {
        let file = |file: &FileWish| format!("{} {}", file.operation.as_str(), file.path);
        let call = |call: &CallWish| format!("{} {}", call.method, call.path);
        let said = [
            self.name.clone(),
            self.sql.clone(),
            self.exec.clone(),
            self.file.as_ref().map(file),
            self.call.as_ref().map(call),
        ];
        said.into_iter().flatten().next().unwrap_or_else(|| self.what().to_owned())
    }
}
