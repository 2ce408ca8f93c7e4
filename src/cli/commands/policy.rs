//! `hoopctl policy …`.

mod answer;
mod cases;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use self::answer::Answer;
use crate::broker::config::Config;
use crate::cli::args::{PolicyAction, PolicyCheck, PolicyCommand, PolicyExplain};
use crate::cli::exit;
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
pub fn run(ui: Ui, command: PolicyCommand) -> Result<u8, Failure> {
    match command {
        PolicyCommand::Check(args) => check(ui, &args),
        PolicyCommand::Explain(args) => explain(ui, &args),
        PolicyCommand::Test(args) => cases::run(ui, &args),
    }
}

fn check(ui: Ui, args: &PolicyCheck) -> Result<u8, Failure> {
    let digest = if args.files.is_empty() {
        Config::load(&args.config.config)?.policy.digest().clone()
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

fn explain(ui: Ui, args: &PolicyExplain) -> Result<u8, Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::new(FailureKind::Usage, error.to_string());
    let config = Config::load(&args.config.config)?;
    let name = TargetName::new(args.target.as_str()).map_err(|error| wrong(&error))?;
    let target = config.targets.get(&name).ok_or_else(|| {
        let known: Vec<&str> = config.targets.keys().map(TargetName::as_str).collect();
        Failure::new(FailureKind::Usage, format!("the configuration has no target `{name}`"))
            .hint(format!("it has {}", known.join(", ")))
    })?;
    let who = principal(&args.who, &args.groups, &config)?;
    let facts = args.sql.as_deref().map(answer::facts).transpose()?;
    let action = match (&facts, args.action) {
        (Some(facts), _) => Action::Statement(facts),
        (None, PolicyAction::Audit) => Action::Audit,
        (None, PolicyAction::Connect) => Action::Connect,
        (None, PolicyAction::Kill) => Action::Kill,
    };
    let Answer { word, rule, reason, hint, takes } = Answer::of(&config.policy, &who, target, &action);
    if ui.json {
        ui.object(&json!({
            "verdict": word, "rule": rule, "reason": reason, "hint": hint, "review": takes, "facts": facts,
            "principal": who.id.to_string(), "action": action.name(), "target": name,
            "policy": config.policy.digest(),
        }));
    } else {
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        ui.line(&format!("{word} {} on {name} for {}, by {rule}{because}", action.name(), who.id));
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
    })
}
