//! `hoopctl policy test`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::principal;
use crate::broker::config::Config;
use crate::cli::args::PolicyTest;
use crate::cli::exit;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::domain::action::Action;
use crate::domain::facts::Facts;
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
    /// `connect`, `audit` or `kill`; `connect` when there is no statement.
    action: Option<String>,
    /// A statement instead.
    sql: Option<String>,
    /// Facts that the text alone does not tell: those of a database.
    facts: Option<toml::Table>,
    /// `allow`, `deny` or `hold`.
    expect: String,
    /// The rule behind it.
    rule: Option<String>,
}

/// Judges every case.
pub(super) fn run(ui: Ui, args: &PolicyTest) -> Result<u8, Failure> {
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
    for (place, case) in file.case.iter().enumerate() {
        let name = case.name.clone().or_else(|| case.sql.clone()).unwrap_or_else(|| case.what().into());
        let answer = judge(&config, case).map_err(|failure| {
            wrong(format!("{shown}: case {} ({name}): {}", place + 1, failure.message()))
        })?;
        let as_expected =
            answer.word == case.expect && case.rule.as_ref().is_none_or(|rule| rule == answer.rule.as_str());
        failed += u32::from(!as_expected);
        let result = if as_expected { "ok" } else { "FAILED" };
        if ui.json {
            ui.object(&json!({
                "name": name, "passed": as_expected, "verdict": answer.word, "rule": answer.rule,
                "reason": answer.reason, "review": answer.takes,
                "expected": { "verdict": case.expect, "rule": case.rule },
            }));
        }
        let expected = match &case.rule {
            Some(rule) => format!("{} by {rule}", case.expect),
            None => case.expect.clone(),
        };
        rows.push(vec![name, expected, format!("{} by {}", answer.word, answer.rule), result.into()]);
    }
    if !ui.json {
        ui.table(&["CASE", "EXPECTED", "VERDICT", ""], rows);
        ui.talk(&format!("{} cases, {failed} failed", file.case.len()));
    }
    Ok(if failed == 0 { 0 } else { exit::BAD_DATA })
}

fn judge(config: &Config, case: &Case) -> Result<Answer, Failure> {
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
    let facts = match (&case.sql, &case.action, &case.facts) {
        (Some(_), Some(_), _) => return Err(usage("it has both `sql` and `action`".into())),
        (None, _, Some(_)) => return Err(usage("`facts` go with `sql`".into())),
        (Some(sql), None, changes) => Some(changed(answer::facts(sql)?, changes.as_ref())?),
        (None, _, None) => None,
    };
    let action = match (&facts, case.what()) {
        (Some(facts), _) => Action::Statement(facts),
        (None, "audit") => Action::Audit,
        (None, "connect") => Action::Connect,
        (None, "kill") => Action::Kill,
        (None, other) => return Err(usage(format!("`{other}` is not connect, audit or kill"))),
    };
    Ok(Answer::of(&config.policy, &who, target, &action))
}

/// The facts with some of them replaced.
fn changed(facts: Facts, changes: Option<&toml::Table>) -> Result<Facts, Failure> {
    let usage = |message: String| Failure::new(FailureKind::Usage, message);
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

impl Case {
    fn what(&self) -> &str {
        self.action.as_deref().unwrap_or("connect")
    }
}
