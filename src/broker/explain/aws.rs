//! What `explain` says of an account of AWS.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Told;
use crate::broker::aws::forgetful_sts;
use crate::domain::mask::Mask;
use crate::domain::principal::Principal;
use crate::domain::target::{
    AwsAccessMode, AwsBase, AwsIssuer, AwsMask, AwsRevocation, AwsTarget, RecordLevel, Target,
};
use crate::wire::control::{ExplainedMask, OpenedAws};

/// What a client must know of it; `login_idle` is how long a login may be silent.
pub(crate) fn opened(aws: &AwsTarget, login_idle: Option<Duration>) -> OpenedAws {
    let hands_out = aws.access == AwsAccessMode::Credentials;
    OpenedAws {
        region: aws.region.clone(),
        hands_out,
        // whoever calls through the gateway need not know where that leads
        endpoints: if hands_out { aws.endpoints.clone() } else { BTreeMap::new() },
        silence: match aws.revoke {
            AwsRevocation::InlineDeny => login_idle.map(|idle| idle.as_secs()),
            AwsRevocation::None => None,
        },
    }
}

pub(super) fn told(who: &Principal, target: &Target, aws: &AwsTarget) -> Told {
    let masks: Vec<&AwsMask> = aws.masks.iter().filter(|rule| rule.mask.binds(&who.groups)).collect();
    Told {
        place: format!("{} in {}", aws.role, aws.region),
        masked: masks.iter().map(|rule| mask(rule)).collect(),
        filtered: Vec::new(),
        credential: credential(who, aws),
        broker_reach: reach(aws),
        objects: Vec::new(),
        not_covered: not_covered(target, aws, &masks),
    }
}

fn mask(rule: &AwsMask) -> ExplainedMask {
    let on = if rule.on.is_empty() { "answers".into() } else { rule.on.join(", ") };
    ExplainedMask {
        rule: rule.mask.name.to_string(),
        column: on,
        path: Some(rule.mask.path.clone()),
        mask: match rule.mask.mask {
            Mask::Full => "a constant".into(),
            Mask::Null => "null".into(),
            Mask::Partial { keep_last } => format!("stars and the last {keep_last} characters"),
            Mask::Token => "a keyed hash, tok_ and 32 digits: equal values stay equal".into(),
        },
        // the role can read what it reads
        locks: "one lock".into(),
    }
}

fn credential(who: &Principal, aws: &AwsTarget) -> String {
    let held = match aws.access {
        AwsAccessMode::Credentials => "credentials of STS, which you are given",
        AwsAccessMode::Gateway => {
            "credentials of STS that you never see; your tools sign with keys that are good on your loopback only"
        }
    };
    let end = match aws.revoke {
        AwsRevocation::InlineDeny => {
            "their tokens are denied when the session ends, as soon as IAM has spread that (seconds)"
        }
        AwsRevocation::None => {
            "they allow nothing after the time at which the session was to end, and cannot be taken back before, also when \
             the session is closed earlier"
        }
    };
    format!("{held}, for {} at a time; {}; {end}", lasting(aws.seconds), allowed(who, aws))
}

/// The permissions in words.
fn allowed(who: &Principal, aws: &AwsTarget) -> String {
    match aws.permissions_of(&who.groups) {
        None => "they allow everything that the role does: the target lists no permissions".into(),
        Some(permissions) if permissions.is_empty() => {
            "there are none for you: no permission of the target is for your groups".into()
        }
        Some(permissions) => {
            let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
            let words =
                permissions.iter().map(|one| format!("{} on {}", list(&one.actions), list(&one.resources)));
            format!("of what the role allows they allow {}", words.collect::<Vec<_>>().join("; and "))
        }
    }
}

fn lasting(seconds: u64) -> String {
    match (seconds / 3600, seconds % 3600 / 60) {
        (0, minutes) => format!("{minutes} minutes"),
        (1, 0) => "an hour".into(),
        (hours, 0) => format!("{hours} hours"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn reach(aws: &AwsTarget) -> String {
    let role = &aws.role;
    let write = match aws.revoke {
        AwsRevocation::InlineDeny => ", and write inline policies of that role",
        AwsRevocation::None => "",
    };
    match &aws.issuer {
        AwsIssuer::AssumeRole { base: AwsBase::Environment, .. } => format!(
            "assume {role} and every other role that trusts what its surroundings make it (instance role, container, web \
             identity){write}"
        ),
        AwsIssuer::AssumeRole { base: AwsBase::Keys { access_key_id, .. }, .. } => format!(
            "everything that the standing key {access_key_id} may do, which never leaves the broker{write}"
        ),
        AwsIssuer::WebIdentity { audience } => {
            format!(
                "assume {role} and every other role that trusts the broker's keys for {audience}, in anybody's name"
            )
        }
    }
}

fn not_covered(target: &Target, aws: &AwsTarget, masks: &[&AwsMask]) -> Vec<String> {
    let mut gaps = Vec::new();
    let mut gap = |text: &str| gaps.push(text.to_owned());
    match aws.access {
        AwsAccessMode::Credentials => {
            gap(
                "what is done with the credentials is not seen: AWS's own CloudTrail has it, under the session's name",
            );
            gap("nothing is masked in what AWS answers");
            gap("credentials can be copied, and work from anywhere that the role allows");
        }
        AwsAccessMode::Gateway => {
            if masks.is_empty() {
                gap("nothing is masked in objects and items");
            }
            if !masks.is_empty() {
                gap(
                    "masks do not hide the sizes of objects, how many items fit into a page, or the order of items whose sort key is \
                     masked",
                );
                gap(
                    "masks are for objects of S3 and items of DynamoDB: other services that the target names read the same data \
                     unmasked",
                );
                gap("binary attributes of DynamoDB (B, BS) pass as they are, whatever was packed into them");
            }
            if aws.max_response.is_none() && aws.max_items.is_none() {
                gap("how much one answer holds is not capped: neither max_response nor max_items is set");
            }
            if target.record != RecordLevel::Full {
                gap("what you are shown is not recorded, so it cannot be replayed");
            }
        }
    }
    if aws.permissions.is_empty() {
        gap("what the role allows is not cut down: the target lists no permissions");
    } else {
        gap(
            "permissions do not bind what the policy of a bucket, key or queue gives to the session's own ARN; the end of their \
             time does",
        );
    }
    if aws.revoke == AwsRevocation::None {
        gap("credentials last until they expire, also when their session is killed or its program has ended");
    }
    if forgetful_sts(aws).is_some() {
        gap(
            "credentials are taken back by their session tags, which an STS that is not AWS's own may forget",
        );
    }
    match &aws.issuer {
        AwsIssuer::AssumeRole { source_identity, tags, base, .. } => {
            if !source_identity {
                gap(
                    "CloudTrail has no source identity: a role that is assumed from this one hides who it was",
                );
            }
            if !tags {
                gap("CloudTrail and policies of AWS do not know the session's id");
            }
            if matches!(base, AwsBase::Keys { .. }) {
                gap("the broker's own key for AWS stands until somebody replaces it");
            }
        }
        AwsIssuer::WebIdentity { .. } => {
            gap("CloudTrail has no source identity and no tags: the session's name says who it was");
        }
    }
    gap("calls by other credentials of the account, and by other roles");
    gaps
}
