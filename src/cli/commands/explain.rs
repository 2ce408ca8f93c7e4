//! `hoopctl explain TARGET`.

use crate::cli::args::Target;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::ui::Ui;
use crate::domain::filter::Claim;
use crate::wire::control::{
    ExplainedDeed, ExplainedFilter, ExplainedMask, ExplainedRule, Explanation, Judged,
};

/// Says what is enforced on a target, and what is not.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, args: &Target) -> Result<u8, Failure> {
    let explanation = context.api().await?.explain(&args.target).await?;
    if context.ui.json {
        context.ui.object(&explanation);
    } else {
        show(context.ui, &explanation);
    }
    Ok(0)
}

fn show(ui: Ui, told: &Explanation) {
    let protocol = told.target.protocol.as_str();
    let what = match protocol {
        "aws" => "role",
        "http" => "API",
        "ssh" => "login",
        _ => "database",
    };
    ui.line(&format!("{}: {protocol} {what} `{}`", told.target.name, told.database));
    if !told.target.description.is_empty() {
        ui.line(&format!("  {}", told.target.description));
    }
    for (title, verdict) in
        [("You may", Judged::Allow), ("After approval", Judged::Hold), ("You may not", Judged::Deny)]
    {
        let deeds: Vec<String> = told.may.iter().filter(|deed| deed.verdict == verdict).map(deed).collect();
        if !deeds.is_empty() {
            section(ui, title, deeds);
        }
    }
    section(ui, "Masked for you", told.masked.iter().map(mask).collect());
    if !told.filtered.is_empty() {
        section(ui, "Rows that you see", told.filtered.iter().map(filter).collect());
    }
    if !told.capped.is_empty() {
        section(ui, "Capped", told.capped.iter().map(rule).collect());
    }
    section(ui, "Denied", told.denied.iter().map(rule).collect());
    section(ui, "Held for review", told.held.iter().map(rule).collect());
    section(ui, "Recorded", vec![told.recorded.clone()]);
    section(ui, "Credential", vec![told.credential.clone()]);
    section(ui, "Reach of a stolen broker host", vec![told.broker_reach.clone()]);
    if protocol == "postgres" {
        section(ui, "Kept in the database by the broker", told.objects.clone());
    }
    section(ui, "Not covered", told.not_covered.clone());
}

fn section(ui: Ui, title: &str, lines: Vec<String>) {
    ui.line(&format!("\n{title}"));
    if lines.is_empty() {
        ui.line("  nothing");
    }
    for line in lines {
        ui.line(&format!("  {line}"));
    }
}

fn mask(mask: &ExplainedMask) -> String {
    let path = mask.path.as_deref().map(|path| format!(" at {path}")).unwrap_or_default();
    format!("{}{path}: {} ({}, rule {})", mask.column, mask.mask, mask.locks, mask.rule)
}

fn filter(filter: &ExplainedFilter) -> String {
    let end = format!("({}, rule {})", filter.locks, filter.rule);
    let Some(predicate) = &filter.predicate else {
        return format!("{}: none of a slice that is for others {end}", filter.table);
    };
    if let Some(claim) = &filter.missing {
        return format!(
            "{}: where {predicate}; your login carries no principal.{claim}, so no session opens {end}",
            filter.table
        );
    }
    let claims: Vec<String> = filter.claims.iter().map(|(name, claim)| value(name, claim)).collect();
    let claims = if claims.is_empty() { String::new() } else { format!("; {}", claims.join(", ")) };
    let kind = if filter.slice { "a slice, " } else { "" };
    format!("{}: {kind}where {predicate}{claims} {end}", filter.table)
}

/// A claim of the caller's own.
fn value(name: &str, claim: &Claim) -> String {
    match claim {
        Claim::One(one) => format!("your {name} is `{one}`"),
        Claim::Many(many) => {
            let many: Vec<String> = many.iter().map(|one| format!("`{one}`")).collect();
            format!("your {name}: {}", if many.is_empty() { "none".into() } else { many.join(", ") })
        }
    }
}

/// An example of an action, with the rule that decides it.
fn deed(deed: &ExplainedDeed) -> String {
    let because = if deed.reason.is_empty() { String::new() } else { format!(": {}", deed.reason) };
    let takes = deed.takes.as_ref().map(|takes| format!("; takes {takes}")).unwrap_or_default();
    format!("{} ({}{because}{takes})", deed.what, deed.rule)
}

fn rule(rule: &ExplainedRule) -> String {
    if rule.reason.is_empty() { rule.rule.clone() } else { format!("{}: {}", rule.rule, rule.reason) }
}
