//! What `explain TARGET` says.
//!
//! Job: put into words, for one principal and one target, what is masked, denied, recorded and not
//! covered. Boundary: reads the same configuration that is enforced, and nothing else. Failure
//! mode: none; where it cannot promise, it says so.

mod aws;
mod deeds;
mod http;
mod postgres;
mod ssh;

pub(crate) use self::aws::opened;

use crate::broker::approvals::needs;
use crate::broker::config::Config;
use crate::domain::caps::{Cap, CapKind};
use crate::domain::principal::Principal;
use crate::domain::target::{AwsAccessMode, RecordLevel, Target, TargetKind};
use crate::wire::control::{ExplainedFilter, ExplainedMask, ExplainedRule, Explanation, TargetSummary};

/// The line of `list` for a target.
pub(crate) fn summarise(who: &Principal, target: &Target) -> TargetSummary {
    let masked = match &target.kind {
        TargetKind::Aws(aws) => aws.masks.iter().any(|rule| rule.mask.binds(&who.groups)),
        TargetKind::Http(http) => http.masks.iter().any(|rule| rule.binds(&who.groups)),
        TargetKind::Postgres(postgres) => {
            !postgres.detectors.is_empty() || postgres.masks.iter().any(|rule| rule.binds(&who.groups))
        }
        TargetKind::Ssh(ssh) => !ssh.detectors.is_empty(),
    };
    TargetSummary {
        name: target.name.clone(),
        protocol: target.kind.protocol().into(),
        description: target.description.clone(),
        masked: Some(masked),
        record: Some(target.record),
        approval: None,
        aws: match &target.kind {
            TargetKind::Aws(aws) => Some(opened(aws, None)),
            _ => None,
        },
        denied: None,
    }
}

/// Explains a target to somebody who may connect to it.
pub(crate) fn explain(config: &Config, who: &Principal, target: &Target) -> Explanation {
    let Told { place, masked, filtered, credential, broker_reach, objects, not_covered } = match &target.kind
    {
        TargetKind::Aws(aws) => aws::told(who, target, aws),
        TargetKind::Http(http) => http::told(who, target, http),
        TargetKind::Ssh(ssh) => ssh::told(target, ssh),
        TargetKind::Postgres(postgres) => postgres::told(who, target, postgres),
    };
    let forbidding = config.policy.forbidding(who, target);
    Explanation {
        target: summarise(who, target),
        database: place,
        may: deeds::judged(config, who, target),
        masked,
        filtered,
        capped: capped(config, who, target),
        denied: forbidding
            .into_iter()
            .map(|rule| ExplainedRule { rule: rule.name.to_string(), reason: rule.reason })
            .collect(),
        held: held(config, who, target),
        recorded: recorded(target),
        credential,
        broker_reach,
        objects,
        not_covered,
    }
}

/// What a protocol has to tell of a target.
#[derive(Debug, Default)]
struct Told {
    /// The database, the login and host, the base URL.
    place: String,
    masked: Vec<ExplainedMask>,
    filtered: Vec<ExplainedFilter>,
    credential: String,
    broker_reach: String,
    objects: Vec<String>,
    not_covered: Vec<String>,
}

fn capped(config: &Config, who: &Principal, target: &Target) -> Vec<ExplainedRule> {
    let told = |(kind, cap): (CapKind, &Cap)| kind.told(cap.most);
    let rules = config.policy.capping(who, target).into_iter();
    let explained = rules.map(|(rule, caps)| {
        let most: Vec<String> = caps.iter().map(told).collect();
        let reason = format!("at most {} for one statement", most.join(", "));
        ExplainedRule { rule: rule.to_string(), reason }
    });
    explained.collect()
}

fn held(config: &Config, who: &Principal, target: &Target) -> Vec<ExplainedRule> {
    let rules = config.policy.holding(who, target).into_iter();
    rules
        .map(|(rule, threshold)| {
            let threshold = threshold.resolve(target.owner.as_ref()).unwrap_or(threshold);
            let reason = format!("{} (takes {})", rule.reason, needs(&threshold));
            ExplainedRule { rule: rule.name.to_string(), reason }
        })
        .collect()
}

fn recorded(target: &Target) -> String {
    let deed = match &target.kind {
        TargetKind::Aws(aws) if aws.access == AwsAccessMode::Credentials => "issue of credentials",
        TargetKind::Aws(_) | TargetKind::Http(_) => "call",
        TargetKind::Postgres(_) => "statement",
        TargetKind::Ssh(_) => "command and operation on files",
    };
    match target.record {
        RecordLevel::Metadata => {
            format!("every verdict with its {deed} in redacted form, and counts; not what you are shown")
        }
        RecordLevel::Statements => {
            format!("every {deed} with its verdict, in redacted form; not what you are shown")
        }
        RecordLevel::Full if deed == "issue of credentials" => {
            format!("every {deed} with its verdict; never the credentials, nor what is done with them")
        }
        RecordLevel::Full => {
            format!("every {deed} with its verdict, and everything you are shown, after masking")
        }
    }
}

#[cfg(test)]
mod tests;
