//! `hoopctl policy …`.

mod answer;
mod attempt;
mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::json;

use self::answer::Answer;
use self::attempt::{Attempt, CallWish, FileWish, Wish};
use crate::broker::config::Config;
use crate::cli::args::{PolicyAction, PolicyCheck, PolicyCommand, PolicyExplain};
use crate::cli::exit;
use crate::cli::facts;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::domain::action::Action;
use crate::domain::name::{Digest, GroupName, NameError, ProviderName, TargetName};
use crate::domain::policy::{Policy, PolicySource};
use crate::domain::principal::{Kin, Principal, PrincipalId, PrincipalKind, Subject};

/// Checks policy or asks it questions.
///
/// # Errors
/// [`Failure`].
pub async fn run(ui: Ui, command: PolicyCommand) -> Result<u8, Failure> {
    match command {
        PolicyCommand::Check(args) => check(ui, &args),
        PolicyCommand::Explain(args) => explain(ui, &args).await,
        PolicyCommand::Test(args) => cases::run(ui, &args).await,
    }
}

fn check(ui: Ui, args: &PolicyCheck) -> Result<u8, Failure> {
    let digest = if args.files.is_empty() {
        let config = Config::load(&args.config.config)?;
        for (name, target) in &config.targets {
            for rule in config.policy.blind(target) {
                ui.warning(&format!(
                    "rule `{rule}` goes by full names of columns, and `{name}` resolves none: say what it means there by \
                     `columns_resolved` or `?.?.` names, or give the target a [[target.field]]"
                ));
            }
        }
        config.policy.digest().clone()
    } else {
        check_files(&args.files)?
    };
    if ui.json {
        ui.object(&json!({ "valid": true, "digest": digest }));
    } else {
        ui.line(&format!("policy is valid; its digest is {digest}"));
    }
    Ok(0)
}

fn check_files(files: &[PathBuf]) -> Result<Digest, Failure> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(FailureKind::Configuration, format!("cannot read `{}`: {error}", path.display()))
        })?;
        Ok(PolicySource { name: path.display().to_string(), text })
    };
    let sources = files.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    Policy::compile(&sources).map(|policy| policy.digest().clone()).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
        let count = faults.len();
        let message =
            format!("{count} problem{} in the policy{}", if count == 1 { "" } else { "s" }, lines.concat());
        Failure::new(FailureKind::Configuration, message)
    })
}

async fn explain(ui: Ui, args: &PolicyExplain) -> Result<u8, Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::new(FailureKind::Usage, error.to_string());
    let config = Config::load(&args.config.config)?;
    let name = TargetName::new(args.target.as_str()).map_err(|error| wrong(&error))?;
    let target = config.targets.get(&name).ok_or_else(|| {
        let known: Vec<&str> = config.targets.keys().map(TargetName::as_str).collect();
        Failure::new(FailureKind::Usage, format!("the configuration has no target `{name}`"))
            .hint(format!("it has {}", known.join(", ")))
    })?;
    let who = principal(&args.who, &args.groups, &config)?;
    let otherwise = match args.action {
        PolicyAction::Audit => Action::Audit,
        PolicyAction::Connect | PolicyAction::Issue => Action::Connect,
        PolicyAction::Kill => Action::Kill,
    };
    let attempt = match args.action {
        PolicyAction::Issue => Attempt::issue(target, &who.groups)?,
        _ => Attempt::of(&wish(args)?, otherwise, target, &who.groups).await?,
    };
    let Answer { word, rule, reason, hint, takes } = Answer::of(&config.policy, &who, target, &attempt);
    if ui.json {
        ui.object(&json!({
            "verdict": word, "rule": rule, "reason": reason, "hint": hint, "review": takes, "facts": attempt.facts(),
            "principal": who.id.to_string(), "action": attempt.name(), "target": name,
            "policy": config.policy.digest(),
        }));
    } else {
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        ui.line(&format!("{word} {} on {name} for {}, by {rule}{because}", attempt.name(), who.id));
        for fact in attempt.deed().iter().flat_map(|deed| facts::sentences(deed, None)) {
            ui.line(&format!("  {fact}"));
        }
        if let Some(takes) = takes {
            takes.sentences().iter().for_each(|sentence| ui.line(&format!("  {sentence}")));
        }
        if let Some(hint) = hint {
            ui.talk(&format!("hint: {hint}"));
        }
    }
    // a denial is an answer, and scripts want to tell it
    Ok(match word {
        "allow" => 0,
        "hold" => exit::HELD,
        _ => exit::DENIED,
    })
}

/// What the options ask about.
fn wish(args: &PolicyExplain) -> Result<Wish, Failure> {
    let usage = |message: String| Failure::new(FailureKind::Usage, message);
    let header = |header: &String| {
        let (name, value) =
            header.split_once(':').ok_or_else(|| usage(format!("`{header}` is not written NAME: VALUE")))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    let headers = args.headers.iter().map(header).collect::<Result<_, Failure>>()?;
    let call = args.call.as_ref().map(|call| {
        let (method, path) = call.split_once(' ').unwrap_or(("GET", call));
        let (method, path) = (method.to_owned(), path.trim().to_owned());
        CallWish { method, path, headers, body: args.body.clone().unwrap_or_default() }
    });
    let file = args.file.clone().map(|path| {
        let operation = serde_json::from_value(args.operation.as_str().into())
            .map_err(|_| usage(format!("`{}` is no operation on files", args.operation)))?;
        Ok::<_, Failure>(FileWish { operation, path, to: args.to.clone() })
    });
    Ok(Wish {
        sql: args.sql.clone(),
        exec: args.exec.clone(),
        terminal: args.terminal,
        file: file.transpose()?,
        call,
        facts: None,
    })
}

fn principal(who: &str, groups: &[String], config: &Config) -> Result<Principal, Failure> {
    let usage = |message: String| Failure::new(FailureKind::Usage, message);
    let (provider, subject) =
        who.split_once(':').ok_or_else(|| usage(format!("`{who}` is not written PROVIDER:SUBJECT")))?;
    let provider = ProviderName::new(provider).map_err(|error: NameError| usage(error.to_string()))?;
    let subject = Subject::new(subject).map_err(|error| usage(error.to_string()))?;
    let groups: BTreeSet<GroupName> = groups
        .iter()
        .map(|group| GroupName::new(group.as_str()).map_err(|error| usage(error.to_string())))
        .collect::<Result<_, _>>()?;
    let is_workload = config.workloads.iter().any(|workload| workload.name == provider);
    let kind = if is_workload { PrincipalKind::Machine } else { PrincipalKind::Human };
    Ok(Principal {
        display: subject.to_string(),
        id: PrincipalId { provider, subject },
        kind,
        groups,
        kin: Kin::default(),
        attributes: BTreeMap::new(),
    })
}
