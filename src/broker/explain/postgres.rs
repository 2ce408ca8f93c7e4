//! What `explain` says of a PostgreSQL target.

use std::collections::BTreeMap;

use super::Told;
use crate::domain::filter::RowFilter;
use crate::domain::mask::{Mask, MaskRule};
use crate::domain::principal::Principal;
use crate::domain::target::{LeaseIssuer, PostgresTarget, RecordLevel, Target, UpstreamTls};
use crate::wire::control::{ExplainedFilter, ExplainedMask};

pub(super) fn told(who: &Principal, target: &Target, postgres: &PostgresTarget) -> Told {
    let masks: Vec<&MaskRule> = postgres.masks.iter().filter(|rule| rule.binds(&who.groups)).collect();
    let filters: Vec<ExplainedFilter> =
        postgres.filters.iter().filter_map(|rule| filter(rule, who, postgres)).collect();
    Told {
        place: postgres.database.clone(),
        masked: masks
            .iter()
            .map(|rule| mask(rule, postgres))
            .chain(postgres.detectors.iter().map(|name| detector(name)))
            .collect(),
        credential: credential(&postgres.issuer),
        broker_reach: reach(&postgres.issuer),
        objects: objects(target, postgres, &masks, &filters),
        not_covered: not_covered(target, postgres, &masks, &filters),
        filtered: filters,
    }
}

fn mask(rule: &MaskRule, postgres: &PostgresTarget) -> ExplainedMask {
    ExplainedMask {
        rule: rule.name.to_string(),
        column: rule.column.to_string(),
        path: rule.path.as_ref().map(|path| path.as_str().to_owned()),
        mask: match rule.mask {
            Mask::Full => "a constant".into(),
            Mask::Null => "null".into(),
            Mask::Partial { keep_last } => format!("stars and the last {keep_last} characters"),
            Mask::Token => "a keyed hash, tok_ and 32 digits: equal values stay equal".into(),
        },
        locks: locks(rule, postgres).into(),
    }
}

fn detector(name: &str) -> ExplainedMask {
    ExplainedMask {
        rule: format!("detector {name}"),
        column: "texts anywhere in results".into(),
        path: None,
        mask: "a constant in the place of what is found".into(),
        // the statement runs on what is not masked
        locks: "one lock".into(),
    }
}

fn filter(rule: &RowFilter, who: &Principal, postgres: &PostgresTarget) -> Option<ExplainedFilter> {
    let explained = ExplainedFilter {
        rule: rule.name.to_string(),
        table: rule.table.to_string(),
        predicate: Some(rule.predicate.clone()),
        slice: !rule.only_for.is_empty(),
        claims: BTreeMap::new(),
        missing: None,
        // without a view to read instead, the role itself may read every row of the table
        locks: if is_minted(postgres) && postgres.objects { "two locks" } else { "one lock" }.into(),
    };
    match rule.bind(&who.groups, &who.claims()) {
        Ok(None) => None,
        Ok(Some(bound)) => {
            Some(ExplainedFilter { predicate: bound.predicate, claims: bound.claims, ..explained })
        }
        Err(unbound) => Some(ExplainedFilter { missing: Some(unbound.claim), ..explained }),
    }
}

/// Design §3.3: the rewriting is the first lock. The second is that the session's role has no
/// privilege on the column, which only a minted role can promise; where the mask reads the value,
/// it takes a view of the broker's own.
fn locks(rule: &MaskRule, postgres: &PostgresTarget) -> &'static str {
    if is_minted(postgres) && (postgres.objects || !reads_value(rule)) { "two locks" } else { "one lock" }
}

fn is_minted(postgres: &PostgresTarget) -> bool {
    matches!(postgres.issuer, LeaseIssuer::PostgresRole(_))
}

fn reads_value(rule: &MaskRule) -> bool {
    rule.mask.reads_value() || rule.path.is_some()
}

/// What the broker makes in the database for these masks and filters, roles of sessions apart.
fn objects(
    target: &Target,
    postgres: &PostgresTarget,
    masks: &[&MaskRule],
    filters: &[ExplainedFilter],
) -> Vec<String> {
    let computes = masks.iter().any(|rule| reads_value(rule));
    if !postgres.objects || (!computes && filters.is_empty()) {
        return Vec::new();
    }
    let mut lines =
        vec!["the schema `hoopctl`, owned by the role `hoop_objects`, which cannot log in".to_owned()];
    if computes {
        lines.push(
            "in it a view for each table whose masks read the value; your session's role may read the view and not \
             the masked columns"
                .to_owned(),
        );
    }
    if !filters.is_empty() {
        lines.push(
            "in it a view for each table with a row filter; your session's role may use the view and has no privilege \
             on the table"
                .to_owned(),
        );
        lines.push(
            "and the table `hoopctl.claims` with what your login says, for the views to compare with, as long as \
             your session lasts; no session may read it"
                .to_owned(),
        );
    }
    if masks.iter().any(|rule| rule.mask == Mask::Token) {
        lines
            .push("and the table `hoopctl.key` with the key of tokens, which no session may read".to_owned());
    }
    lines.push(format!(
        "the operator lists them with `hoopctl broker objects {0}`, and removes them with `hoopctl broker objects {0} --remove`",
        target.name
    ));
    lines
}

fn credential(issuer: &LeaseIssuer) -> String {
    match issuer {
        LeaseIssuer::PostgresRole(_) => {
            "a role made for this session alone, with a password you never see, dropped when the session ends"
                .into()
        }
        LeaseIssuer::Static { user, .. } => {
            format!(
                "the standing role `{user}`, shared by all sessions; its password never leaves the broker"
            )
        }
    }
}

fn reach(issuer: &LeaseIssuer) -> String {
    match issuer {
        LeaseIssuer::PostgresRole(role) => {
            let rotation = match role.rotate_admin {
                Some(seconds) => format!("its password is replaced every {}", period(seconds)),
                None => "its password is replaced only by you".into(),
            };
            format!(
                "everything that the role `{}` may do in this database, masked columns included; {rotation}",
                role.admin
            )
        }
        LeaseIssuer::Static { user, .. } => {
            format!("everything that the role `{user}` may do in this database, masked columns included")
        }
    }
}

fn period(seconds: u64) -> String {
    match seconds {
        _ if seconds.is_multiple_of(3600) => format!("{} hours", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{} minutes", seconds / 60),
        _ => format!("{seconds} seconds"),
    }
}

fn not_covered(
    target: &Target,
    postgres: &PostgresTarget,
    masks: &[&MaskRule],
    filters: &[ExplainedFilter],
) -> Vec<String> {
    let mut gaps: Vec<String> = Vec::new();
    let mut gap = |text: &str| gaps.push(text.to_owned());
    if !postgres.detectors.is_empty() {
        gap(
            "detectors are a net under the masks, and no promise: what a predicate compares, an expression takes apart or encodes, or a number or bytea holds, they do not find",
        );
    }
    match (masks.is_empty() && postgres.detectors.is_empty(), filters.is_empty()) {
        (true, true) => gap("nothing is masked for you: you see what the session's role may read"),
        (true, false) => gap(
            "nothing is masked for you: of the rows that you see, you see all columns that the session's role may read",
        ),
        (false, _) => {}
    }
    if !masks.is_empty() {
        gap("how long a statement takes can depend on masked values");
    }
    if !filters.is_empty() {
        gap("how long a statement takes can depend on rows that you do not see");
        gap(
            "whether a write succeeds can depend on them, through unique, foreign-key and exclusion constraints; and sequences count them",
        );
        gap("what was taken from rows that you do not see and stored elsewhere is not hidden there");
    }
    if !masks.is_empty() {
        gap(
            "whether a write succeeds can depend on them too, through unique, foreign-key, check and exclusion constraints, partitions and triggers",
        );
        gap("values derived from a masked column and stored elsewhere before now are not masked there");
    }
    if masks.iter().any(|rule| matches!(rule.mask, Mask::Partial { .. })) {
        gap("a partial mask shows what it keeps, and how long the value is");
    }
    if masks.iter().any(|rule| rule.mask == Mask::Token) {
        gap("a keyed hash shows which values are equal; who can write the column can confirm a guess");
    }
    if masks.iter().any(|rule| locks(rule, postgres) == "one lock") {
        gap(
            "where one lock is listed, masking rests on the rewriting of statements alone: the session's role itself could read the value",
        );
    }
    if filters.iter().any(|filter| filter.locks == "one lock") {
        gap(
            "rows are hidden by the rewriting of statements alone: the session's role itself could read them",
        );
    }
    if matches!(postgres.issuer, LeaseIssuer::Static { .. }) {
        gap("the database sees all sessions as one role; who did what is in this ledger only");
    }
    if postgres.tls == UpstreamTls::Disable {
        gap("the way from the gateway to the database is not encrypted");
    }
    if postgres.replication {
        gap("replication connections are allowed, and carry rows unmasked");
    }
    if target.record != RecordLevel::Full {
        gap("what you are shown is not recorded, so it cannot be replayed");
    }
    gap("connections that reach the database by another way than this gateway");
    gaps
}
