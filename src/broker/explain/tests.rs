#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::broker::testing::{PERMIT_ALL, config, target};
use crate::domain::filter::{RowFilter, TablePattern};
use crate::domain::mask::{ColumnPattern, JsonPath};
use crate::domain::mask::{Mask, MaskRule};
use crate::domain::name::{GroupName, ProviderName, RuleName};
use crate::domain::principal::{Kin, PrincipalId, PrincipalKind, Subject};
use crate::domain::target::{LeaseIssuer, PostgresTarget};
use crate::domain::target::{RoleIssuer, SecretSource};

fn who(groups: &[&str]) -> Principal {
    let provider = ProviderName::new("corp").unwrap();
    Principal {
        id: PrincipalId { provider, subject: Subject::new("alice").unwrap() },
        kind: PrincipalKind::Human,
        display: "alice".into(),
        groups: groups.iter().map(|group| GroupName::new(*group).unwrap()).collect(),
        kin: Kin::default(),
        attributes: BTreeMap::new(),
    }
}

fn rule(mask: Mask, path: Option<&str>) -> MaskRule {
    MaskRule {
        name: RuleName::new("keys").unwrap(),
        column: ColumnPattern::new("public.reasoning_traces.api_key").unwrap(),
        path: path.map(|path| JsonPath::new(path).unwrap()),
        mask,
        lifted_for: BTreeSet::from([GroupName::new("corp/dba").unwrap()]),
    }
}

fn explained(target: &Target, who: &Principal) -> Explanation {
    let home = std::path::Path::new("/nowhere");
    explain(&config(home, PERMIT_ALL), who, target)
}

fn with(change: impl FnOnce(&mut PostgresTarget)) -> Target {
    let mut target = target();
    let TargetKind::Postgres(postgres) = &mut target.kind else { panic!("a database") };
    change(postgres);
    target
}

fn minted() -> LeaseIssuer {
    let admin_password = SecretSource::Env("PASSWORD".into());
    LeaseIssuer::PostgresRole(Box::new(RoleIssuer {
        admin: "admin".into(),
        admin_password,
        rotate_admin: Some(86_400),
    }))
}

#[test]
fn a_mask_is_shown_to_whom_it_binds() {
    let target = with(|postgres| postgres.masks = vec![rule(Mask::Null, None)]);
    let bound = explained(&target, &who(&[]));
    assert_eq!(bound.masked.len(), 1);
    assert_eq!(bound.target.masked, Some(true));
    let lifted = explained(&target, &who(&["corp/dba"]));
    assert!(lifted.masked.is_empty() && lifted.target.masked == Some(false));
}

#[test]
fn locks_are_counted_as_they_are() {
    let cases = [
        (Mask::Full, None, true, false, "two locks"),
        (Mask::Null, None, true, false, "two locks"),
        (Mask::Partial { keep_last: 4 }, None, true, false, "one lock"),
        (Mask::Partial { keep_last: 4 }, None, true, true, "two locks"),
        (Mask::Full, Some("$.a"), true, false, "one lock"),
        (Mask::Token, None, true, true, "two locks"),
        (Mask::Null, None, false, true, "one lock"),
    ];
    for (mask, path, is_minted, objects, locks) in cases {
        let target = with(|postgres| {
            postgres.masks = vec![rule(mask, path)];
            postgres.objects = objects;
            if is_minted {
                postgres.issuer = minted();
            }
        });
        let explanation = explained(&target, &who(&[]));
        let [shown] = explanation.masked.as_slice() else { panic!("{explanation:?}") };
        assert_eq!(shown.locks, locks, "{mask:?} {path:?} minted {is_minted} objects {objects}");
        let confesses = explanation.not_covered.iter().any(|gap| gap.contains("one lock"));
        assert_eq!(confesses, locks == "one lock");
    }
}

#[test]
fn what_the_broker_keeps_in_the_database_is_said() {
    let kept = |mask, objects| {
        let target = with(|postgres| {
            postgres.masks = vec![rule(mask, None)];
            postgres.objects = objects;
            postgres.issuer = minted();
        });
        explained(&target, &who(&[])).objects.join("; ")
    };
    let token = kept(Mask::Token, true);
    assert!(
        token.contains("`hoopctl`") && token.contains("hoopctl.key") && token.contains("--remove"),
        "{token}"
    );
    assert!(!kept(Mask::Partial { keep_last: 4 }, true).contains("hoopctl.key"));
    assert_eq!((kept(Mask::Full, true), kept(Mask::Partial { keep_last: 4 }, false)), Default::default());
}

#[test]
fn rows_have_two_locks_where_a_view_keeps_them_back() {
    for (is_minted, objects, locks) in [
        (true, true, "two locks"),
        (true, false, "one lock"),
        (false, false, "one lock"),
        (false, true, "one lock"),
    ] {
        let target = with(|postgres| {
            postgres.filters = vec![RowFilter {
                name: RuleName::new("own").unwrap(),
                table: TablePattern::new("public.notes").unwrap(),
                predicate: "owner = principal.subject".into(),
                claims: BTreeSet::from(["subject".to_owned()]),
                only_for: BTreeSet::new(),
                lifted_for: BTreeSet::from([GroupName::new("corp/dba").unwrap()]),
            }];
            postgres.objects = objects;
            if is_minted {
                postgres.issuer = minted();
            }
        });
        let explanation = explained(&target, &who(&[]));
        let [shown] = explanation.filtered.as_slice() else { panic!("{explanation:?}") };
        assert_eq!(shown.locks, locks, "minted {is_minted} objects {objects}");
        let confesses =
            explanation.not_covered.iter().any(|gap| gap.contains("by the rewriting of statements alone"));
        assert_eq!(confesses, locks == "one lock");
        assert_eq!(explanation.objects.iter().any(|line| line.contains("hoopctl.claims")), objects);
        assert!(explained(&target, &who(&["corp/dba"])).objects.is_empty());
    }
}

#[test]
fn what_a_stolen_host_reaches_is_said() {
    let target = with(|postgres| postgres.issuer = minted());
    let explanation = explained(&target, &who(&[]));
    assert!(explanation.broker_reach.contains("`admin`"), "{}", explanation.broker_reach);
    assert!(explanation.broker_reach.contains("every 24 hours"), "{}", explanation.broker_reach);
}
