//! The keys of a target that is an account of AWS.

mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use url::Url;

use self::shape::{action, arn, endpoint, external_id, region, role, service};
use super::http::body_mask;
use super::{known_group, secret};
use crate::broker::aws::{forgetful_sts, session_policy};
use crate::broker::config::reader::Section;
use crate::domain::name::GroupName;
use crate::domain::target::{
    AwsAccessMode, AwsBase, AwsIssuer, AwsMask, AwsPermission, AwsRevocation, AwsTarget,
};

/// Reads the keys of a target that is an account of AWS.
pub(super) fn read(
    section: &Section<'_, '_>,
    groups: &BTreeSet<GroupName>,
    base: &Path,
) -> Option<AwsTarget> {
    let access = section.required_parsed("access", |text| match text {
        "credentials" => Ok(AwsAccessMode::Credentials),
        "gateway" => Ok(AwsAccessMode::Gateway),
        _ => Err("must be credentials or gateway"),
    });
    let region = section.required_parsed("region", region);
    let role = section.required_parsed("role", role);
    let endpoints = endpoints(section);
    let sts = endpoints.get("sts").cloned();
    let root_certificates = section.text("root_certificates").map(|file| base.join(file));
    let permissions: Vec<AwsPermission> =
        section.sections("permission").into_iter().filter_map(|one| permission(one, groups)).collect();
    if let Err(why) = fits(&permissions) {
        section.fault("permission", why);
    }
    let seconds = section.duration("valid").map_or(HOUR, |duration| duration.as_secs());
    if !(SHORTEST..=LONGEST).contains(&seconds) {
        section.fault("valid", "must be from 15m to 12h: STS gives no others");
    }
    let revoke = section.parsed("revoke", |text| match text {
        "none" => Ok(AwsRevocation::None),
        "inline-deny" => Ok(AwsRevocation::InlineDeny),
        _ => Err("must be none or inline-deny"),
    });
    let revoke = revoke.unwrap_or(AwsRevocation::None);
    let issuer = issuer(section, base);
    if revoke == AwsRevocation::InlineDeny && matches!(issuer, Some(AwsIssuer::WebIdentity { .. })) {
        section.fault(
            "revoke",
            "inline-deny is for the issuer `assume-role`: a web identity may not write the role's policies",
        );
    }
    let Through { services, masks, max_response, max_items, unsigned_payload } =
        through(section, groups, access);
    let max_connections = section.number("max_connections", 1..10_001).and_then(|n| u16::try_from(n).ok());
    Some(AwsTarget {
        access: access?,
        region: region?,
        role: role?,
        issuer: issuer?,
        sts,
        endpoints,
        services,
        root_certificates,
        permissions,
        seconds,
        revoke,
        masks,
        max_response,
        max_items,
        unsigned_payload,
        max_connections: max_connections.unwrap_or(100),
    })
}

/// What cannot be found out by asking.
pub(super) fn warning(aws: &AwsTarget) -> Option<String> {
    let sts = forgetful_sts(aws)?;
    Some(format!(
        "takes credentials back by session tags (revoke = \"inline-deny\") at {sts}, which is not AWS's own: some such \
         servers take tags and forget them (Ceph's gateway), and then nothing is taken back; set issuer.tags = false"
    ))
}

/// What is about calls that go through the gateway.
struct Through {
    services: BTreeSet<String>,
    masks: Vec<AwsMask>,
    max_response: Option<u64>,
    max_items: Option<u64>,
    unsigned_payload: bool,
}

fn through(
    section: &Section<'_, '_>,
    groups: &BTreeSet<GroupName>,
    access: Option<AwsAccessMode>,
) -> Through {
    if access == Some(AwsAccessMode::Credentials) {
        for key in ["services", "mask", "max_response", "max_items", "unsigned_payload"] {
            if section.has(key) {
                section.fault(key, "has no use with access = \"credentials\", whose calls are not seen");
            }
        }
    }
    let services: BTreeSet<String> = section.parsed_list("services", service).into_iter().collect();
    if access == Some(AwsAccessMode::Gateway) && services.is_empty() {
        section.fault("services", "is missing: the services that may be called, as [\"s3\", \"dynamodb\"]");
    }
    let masks = section.sections("mask").into_iter().enumerate();
    let masks: Vec<AwsMask> =
        masks.filter_map(|(number, section)| mask(section, number + 1, groups)).collect();
    for (number, rule) in masks.iter().enumerate() {
        if masks.iter().take(number).any(|other| other.mask.name == rule.mask.name) {
            section.fault("mask", format!("`{}` is the name of two masks", rule.mask.name));
        }
    }
    let most = |key| section.number(key, 1..i64::MAX).and_then(|n| u64::try_from(n).ok());
    Through {
        services,
        masks,
        max_response: most("max_response"),
        max_items: most("max_items"),
        unsigned_payload: section.flag("unsigned_payload").unwrap_or(false),
    }
}

fn endpoints(section: &Section<'_, '_>) -> BTreeMap<String, Url> {
    let mut all = BTreeMap::new();
    for (name, place) in section.pairs("endpoints") {
        match service(&name).map_err(str::to_owned).and_then(|name| Ok((name, endpoint(&place)?))) {
            Ok((name, url)) => drop(all.insert(name, url)),
            Err(why) => section.fault("endpoints", format!("`{name}` {why}")),
        }
    }
    all
}

fn permission(section: Section<'_, '_>, groups: &BTreeSet<GroupName>) -> Option<AwsPermission> {
    let actions: BTreeSet<String> = section.parsed_list("actions", action).into_iter().collect();
    let resources: BTreeSet<String> = section.parsed_list("resources", arn).into_iter().collect();
    let (some_actions, some_resources) = (!actions.is_empty(), !resources.is_empty());
    if !some_actions && section.texts("actions").is_empty() {
        section.fault("actions", "is missing: as IAM names them, [\"s3:GetObject\"]");
    }
    if !some_resources && section.texts("resources").is_empty() {
        section.fault("resources", "is missing: ARNs, [\"arn:aws:s3:::traces/*\"]");
    }
    let for_groups = section.parsed_list("groups", |text| known_group(text, groups));
    section.finish();
    (some_actions && some_resources).then(|| AwsPermission {
        actions,
        resources,
        groups: for_groups.into_iter().collect(),
    })
}

/// Whether a session policy can hold them all.
fn fits(permissions: &[AwsPermission]) -> Result<(), String> {
    let all: Vec<&AwsPermission> = permissions.iter().collect();
    let length = session_policy(Some(&all), jiff::Timestamp::UNIX_EPOCH).len();
    if length > SESSION_POLICY {
        return Err(format!(
            "all together make a session policy of {length} characters; STS takes {SESSION_POLICY}: merge some, with `*`"
        ));
    }
    Ok(())
}

fn mask(section: Section<'_, '_>, number: usize, groups: &BTreeSet<GroupName>) -> Option<AwsMask> {
    let mask = body_mask(&section, number, groups);
    let on = section.parsed_list("on", |text| match text {
        "" => Err("is empty: a bucket and prefix, or a table"),
        _ => Ok(text.to_owned()),
    });
    section.finish();
    Some(AwsMask { mask: mask?, on })
}

fn issuer(section: &Section<'_, '_>, base: &Path) -> Option<AwsIssuer> {
    let Some(issuer) = section.section("issuer") else {
        section.fault(
            "issuer",
            "is missing: say how the role is assumed, in [target.issuer]; kind = \"assume-role\" by what the broker's \
             surroundings say that it is",
        );
        return None;
    };
    let read = match issuer.required("kind").as_deref() {
        Some("assume-role") => {
            let external_id = issuer.parsed("external_id", external_id);
            let source_identity = issuer.flag("source_identity").unwrap_or(true);
            let tags = issuer.flag("tags").unwrap_or(true);
            let base =
                issuer.section("keys").map_or(Some(AwsBase::Environment), |keys| base_keys(keys, base));
            base.map(|base| AwsIssuer::AssumeRole { base, external_id, source_identity, tags })
        }
        Some("web-identity") => {
            let audience = issuer.text("audience").unwrap_or_else(|| "sts.amazonaws.com".into());
            Some(AwsIssuer::WebIdentity { audience })
        }
        Some(_) => {
            issuer.fault("kind", "must be assume-role or web-identity");
            None
        }
        None => None,
    };
    // after an unknown kind every key would be unknown
    if read.is_some() {
        issuer.finish();
    }
    read
}

fn base_keys(keys: Section<'_, '_>, base: &Path) -> Option<AwsBase> {
    let access_key_id = keys.required_parsed("access_key_id", shape::key_id);
    let secret = secret(&keys, "secret", base);
    keys.finish();
    Some(AwsBase::Keys { access_key_id: access_key_id?, secret: secret? })
}

const HOUR: u64 = 3600;
/// What STS gives (API reference, AssumeRole, DurationSeconds).
const SHORTEST: u64 = 900;
const LONGEST: u64 = 43_200;
/// What STS takes as a session policy, in characters (API reference, AssumeRole, Policy).
const SESSION_POLICY: usize = 2048;
