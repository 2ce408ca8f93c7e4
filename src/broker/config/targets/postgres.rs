//! The keys of a target that is a PostgreSQL database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Known, detectors, filter, host, is_loopback, known_group, secret};
use crate::broker::config::reader::Section;
use crate::domain::mask::{ColumnPattern, JsonPath, Mask, MaskRule};
use crate::domain::name::{GroupName, RuleName};
use crate::domain::target::{
    GrantTemplate, LeaseIssuer, PostgresTarget, RoleIssuer, SecretSource, TablePrivilege, UpstreamTls,
};

/// Reads the keys of a target that is a database.
pub(super) fn read(section: &Section<'_, '_>, known: Known<'_>, base: &Path) -> Option<PostgresTarget> {
    let host = section.required_parsed("host", host);
    let port = section.number("port", 1..65_536).and_then(|port| u16::try_from(port).ok()).unwrap_or(5432);
    let database = section.required("database");
    let also_databases = section.texts("also_databases").into_iter().map(|at| at.value).collect();
    let tls = tls(section, host.as_deref().unwrap_or_default(), base);
    let objects = section.flag("objects").unwrap_or(false);
    let replication = section.flag("replication").unwrap_or(false);
    let (detectors, patterns) = detectors::read(section);
    let trusted_functions = section
        .parsed_list("trusted_functions", |text| dotted(text).ok_or("is written schema.function"))
        .into_iter()
        .collect();
    let max_connections = section.number("max_connections", 1..10_001).and_then(|n| u16::try_from(n).ok());
    let issuer = issuer(section, base);
    let grants = section.sections("grant").into_iter().filter_map(grant).collect();
    let masks = section.sections("mask").into_iter().enumerate();
    let masks: Vec<MaskRule> =
        masks.filter_map(|(number, section)| mask(section, number + 1, known.groups, objects)).collect();
    for (number, mask) in masks.iter().enumerate() {
        if masks.iter().take(number).any(|other| other.name == mask.name) {
            section.fault("mask", format!("`{}` is the name of two masks", mask.name));
        }
    }
    let filters = filter::read(section, known);
    let mut fields = BTreeMap::<String, BTreeSet<String>>::new();
    for (column, labels) in section.sections("field").into_iter().filter_map(field) {
        fields.entry(column).or_default().extend(labels);
    }
    if objects && matches!(issuer, Some(LeaseIssuer::Static { .. })) {
        section.fault("objects", "needs the issuer `postgres-role`, whose administrator makes them");
    }
    if replication && !masks.is_empty() {
        section.fault(
            "replication",
            "cannot be allowed on a target with masks: it would carry them in the clear",
        );
    }
    if replication && !detectors.is_empty() {
        section
            .fault("replication", "cannot be allowed on a target with detectors: they do not look into it");
    }
    if replication && !filters.is_empty() {
        section
            .fault("replication", "cannot be allowed on a target with row filters: it would carry every row");
    }
    Some(PostgresTarget {
        host: host?,
        port,
        database: database?,
        also_databases,
        tls,
        issuer: issuer?,
        grants,
        fields,
        masks,
        filters,
        objects,
        replication,
        detectors,
        patterns,
        trusted_functions,
        max_connections: max_connections.unwrap_or(10),
    })
}

fn tls(section: &Section<'_, '_>, host: &str, base: &Path) -> UpstreamTls {
    let root_certificates = section.text("root_certificates").map(|file| base.join(file));
    match section.text("tls").as_deref() {
        None | Some("verify-full") => {}
        Some("disable") if root_certificates.is_some() => {
            section.fault("root_certificates", "has no use with tls = \"disable\"; remove one of the two");
        }
        Some("disable") if is_loopback(host) => return UpstreamTls::Disable,
        Some("disable") => {
            section.fault(
                "tls",
                "can be `disable` only for a loopback host; use `verify-full` with root_certificates",
            );
        }
        Some(_) => section.fault("tls", "must be verify-full or disable"),
    }
    UpstreamTls::VerifyFull { root_certificates }
}

fn issuer(section: &Section<'_, '_>, base: &Path) -> Option<LeaseIssuer> {
    let Some(issuer) = section.section("issuer") else {
        section
            .fault("issuer", "is missing: say where a session's credential comes from, in [target.issuer]");
        return None;
    };
    let kind = issuer.required("kind");
    let read = match kind.as_deref() {
        Some("postgres-role") => {
            let admin = issuer.required("admin");
            let admin_password = secret(&issuer, "admin_password", base);
            let rotate_admin = issuer.duration("rotate_admin").map(|every| every.as_secs());
            if rotate_admin.is_some() && !matches!(admin_password, Some(SecretSource::File(_)) | None) {
                issuer.fault("rotate_admin", "needs an admin_password from a file, which can be written");
            }
            admin.zip(admin_password).map(|(admin, admin_password)| {
                LeaseIssuer::PostgresRole(Box::new(RoleIssuer { admin, admin_password, rotate_admin }))
            })
        }
        Some("static") => {
            let user = issuer.required("user");
            let password = secret(&issuer, "password", base);
            user.zip(password).map(|(user, password)| LeaseIssuer::Static { user, password })
        }
        Some(_) => {
            issuer.fault("kind", "must be postgres-role or static");
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

fn grant(section: Section<'_, '_>) -> Option<GrantTemplate> {
    let privileges: BTreeSet<TablePrivilege> =
        section.parsed_list("privileges", privilege).into_iter().collect();
    if privileges.is_empty() {
        section.fault("privileges", "must list SELECT, INSERT, UPDATE or DELETE");
    }
    let on = section.required_parsed("on", |text| {
        dotted(text).ok_or("is written schema.table, each a name or a pattern with *")
    });
    section.finish();
    Some(GrantTemplate { privileges, on: on? })
}

fn privilege(text: &str) -> Result<TablePrivilege, &'static str> {
    match text.to_ascii_uppercase().as_str() {
        "DELETE" => Ok(TablePrivilege::Delete),
        "INSERT" => Ok(TablePrivilege::Insert),
        "SELECT" => Ok(TablePrivilege::Select),
        "UPDATE" => Ok(TablePrivilege::Update),
        _ => Err("a privilege is SELECT, INSERT, UPDATE or DELETE"),
    }
}

fn mask(
    section: Section<'_, '_>,
    number: usize,
    groups: &BTreeSet<GroupName>,
    objects: bool,
) -> Option<MaskRule> {
    let name = section.parsed("name", |text| RuleName::new(text));
    let name = name.or_else(|| RuleName::new(format!("mask.{number}")).ok());
    let column = section.required_parsed("column", ColumnPattern::new);
    let path = section.parsed("path", JsonPath::new);
    let keep_last = section.number("keep_last", 1..65).and_then(|n| u16::try_from(n).ok());
    let mask = section.required_parsed("mask", |text| match text {
        "full" => Ok(Mask::Full),
        "null" => Ok(Mask::Null),
        "partial" => Ok(Mask::Partial { keep_last: keep_last.unwrap_or(4) }),
        "token" if !objects => Err("`token` needs `objects = true`: its key must not stand in SQL text"),
        "token" => Ok(Mask::Token),
        _ => Err("must be full, null, partial or token"),
    });
    if keep_last.is_some() && !matches!(mask, Some(Mask::Partial { .. }) | None) {
        section.fault("keep_last", "belongs to the mask `partial` only");
    }
    if path.is_some() && matches!(mask, Some(Mask::Partial { .. } | Mask::Token)) {
        section.fault("path", "takes the mask full or null");
    }
    let lifted_for = section.parsed_list("lifted_for", |text| known_group(text, groups));
    section.finish();
    Some(MaskRule {
        name: name?,
        column: column?,
        path,
        mask: mask?,
        lifted_for: lifted_for.into_iter().collect(),
    })
}

/// What kind of thing a column holds, for rules.
fn field(section: Section<'_, '_>) -> Option<(String, Vec<String>)> {
    let column = section.required_parsed("column", |text| ColumnPattern::new(text).map(|_| text.to_owned()));
    let labels = section.parsed_list("labels", |text| {
        let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(text.to_owned()) } else { Err("a label is 1 to 64 printable characters without spaces") }
    });
    if labels.is_empty() {
        section.fault("labels", "must name at least one label, as \"high-risk\"");
    }
    section.finish();
    Some((column?, labels))
}

/// Exactly two names with a dot between them.
fn dotted(text: &str) -> Option<String> {
    let (schema, name) = text.split_once('.')?;
    (!schema.is_empty() && !name.is_empty() && !name.contains('.')).then(|| text.to_owned())
}
