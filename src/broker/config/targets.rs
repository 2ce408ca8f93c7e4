//! The `[[target]]` tables: what all protocols share; each has a module for its own keys.

mod aws;
mod detectors;
mod filter;
mod http;
mod postgres;
mod ssh;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use super::ReviewsConfig;
use super::reader::Section;
use crate::domain::name::{GroupName, TargetName};
use crate::domain::target::{RecordLevel, SecretSource, Target, TargetKind};

/// What somebody's login may carry.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// The groups that there can be.
    pub(super) groups: &'a BTreeSet<GroupName>,
    /// The names that `attributes` declares.
    pub(super) attributes: &'a BTreeSet<String>,
}

/// Reads all targets. Groups and attributes must be known.
pub(super) fn read(
    root: &Section<'_, '_>,
    known: Known<'_>,
    owners: &BTreeMap<String, GroupName>,
    reviews: &mut ReviewsConfig,
    base: &Path,
) -> BTreeMap<TargetName, Target> {
    let mut all = BTreeMap::new();
    for section in root.sections("target") {
        let name = section.required_parsed("name", |text| TargetName::new(text));
        if let Some(name) = name.as_ref().filter(|name| all.contains_key(*name)) {
            section.fault("name", format!("`{name}` is used for two targets"));
        }
        // also without a name, so that the problems of its other keys are told
        let grant_max = section.duration("grant_max");
        reviews.grant_max_of.extend(name.clone().zip(grant_max));
        let target = target(&section, name, known, owners, base);
        section.finish();
        all.extend(target.map(|target| (target.name.clone(), target)));
    }
    all
}

/// What is valid of a target and yet unlikely to work as it is meant.
pub(super) fn warning(target: &Target) -> Option<String> {
    match &target.kind {
        TargetKind::Aws(aws) => aws::warning(aws),
        _ => None,
    }
}

fn target(
    section: &Section<'_, '_>,
    name: Option<TargetName>,
    known: Known<'_>,
    owners: &BTreeMap<String, GroupName>,
    base: &Path,
) -> Option<Target> {
    let protocol = section.required("protocol");
    let description = section.text("description").unwrap_or_default();
    if description.chars().any(char::is_control) {
        section.fault("description", "must be one line without control characters");
    }
    let labels: BTreeMap<String, String> = section.pairs("labels").into_iter().collect();
    if let Some(key) = labels.keys().find(|key| key.is_empty() || key.contains('=')) {
        section.fault("labels", format!("`{key}` is not a key: policies see a label as key=value"));
    }
    // said outright, or by the project that it belongs to
    let owner = section.parsed("owner", |text| known_group(text, known.groups));
    let owner = owner.or_else(|| labels.get("project").and_then(|project| owners.get(project)).cloned());
    let record = section.parsed("record", |text| match text {
        "metadata" => Ok(RecordLevel::Metadata),
        "statements" => Ok(RecordLevel::Statements),
        "full" => Ok(RecordLevel::Full),
        _ => Err("must be metadata, statements or full"),
    });
    let kind = match protocol.as_deref() {
        // also when there is none, so that the problems of the other keys are told
        None | Some("postgres") => TargetKind::Postgres(Box::new(postgres::read(section, known, base)?)),
        Some("aws") => TargetKind::Aws(Box::new(aws::read(section, known.groups, base)?)),
        Some("http") => TargetKind::Http(Box::new(http::read(section, known.groups, base)?)),
        Some("ssh") => TargetKind::Ssh(Box::new(ssh::read(section, base)?)),
        Some(other) => {
            section.fault(
                "protocol",
                format!(
                    "`{other}` is not supported; this version speaks `postgres`, `ssh`, `http` and `aws`"
                ),
            );
            // its keys are of a protocol that nobody knows
            TargetKind::Postgres(Box::new(postgres::read(section, known, base)?))
        }
    };
    Some(Target {
        name: name?,
        description,
        labels,
        owner,
        record: record.unwrap_or(RecordLevel::Full),
        kind,
    })
}

pub(super) fn secret(section: &Section<'_, '_>, key: &'static str, base: &Path) -> Option<SecretSource> {
    if !section.has(key) {
        section.fault(key, "is missing: { file = \"…\" }, { env = \"…\" } or { command = [\"…\"] }");
        return None;
    }
    if !section.has_secret(key) {
        section.fault(
            key,
            "is a secret, which never stands in the configuration: name a file, an env or a command",
        );
        return None;
    }
    let source = section.secret(key)?;
    let file = source.text("file").map(|file| SecretSource::File(base.join(file)));
    let env = source.text("env").map(SecretSource::Env);
    let command: Vec<String> = source.texts("command").into_iter().map(|at| at.value).collect();
    let command = (!command.is_empty()).then_some(SecretSource::Command(command));
    let mut given = [file, env, command].into_iter().flatten();
    let (first, second) = (given.next(), given.next());
    if first.is_none() || second.is_some() {
        section.fault(key, "must name exactly one of file, env and command");
    }
    source.finish();
    first
}

pub(super) fn known_group(text: &str, groups: &BTreeSet<GroupName>) -> Result<GroupName, String> {
    let group = GroupName::new(text).map_err(|error| error.to_string())?;
    if groups.contains(&group) {
        return Ok(group);
    }
    Err(format!("no provider or workload may assert the group `{group}`"))
}

pub(super) fn host(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') {
        Err("must be a host name or an address; Unix sockets are not supported")
    } else if text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@')) {
        Err("must be a host name or an address")
    } else {
        Ok(text.to_owned())
    }
}

/// Whether a host can only be this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
