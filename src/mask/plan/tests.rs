#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::domain::mask::ColumnPattern;
use crate::domain::name::RuleName;

fn rule(column: &str, path: Option<&str>, mask: Mask) -> MaskRule {
    MaskRule {
        name: RuleName::new(column.replace('*', "all")).unwrap(),
        column: ColumnPattern::new(column).unwrap(),
        path: path.map(|path| JsonPath::new(path).unwrap()),
        mask,
        lifted_for: BTreeSet::from([GroupName::new("corp/dba").unwrap()]),
    }
}

fn mask(rules: &[MaskRule], type_name: &str) -> Option<Masked> {
    let column =
        MaskableColumn { schema: "public", table: "t", column: "c", type_schema: "pg_catalog", type_name };
    MaskPlan::new(rules, &BTreeSet::new()).mask(&column)
}

#[test]
fn a_lifted_rule_does_not_bind() {
    let groups = BTreeSet::from([GroupName::new("corp/dba").unwrap()]);
    assert!(MaskPlan::new(&[rule("public.t.c", None, Mask::Full)], &groups).is_empty());
}

#[test]
fn a_constant_does_not_read_the_value() {
    let masked = mask(&[rule("public.t.c", None, Mask::Full)], "text").unwrap();
    assert_eq!((masked.expression.as_str(), masked.reads_value), ("'[masked]'", false));
}

#[test]
fn the_stricter_of_two_rules_wins() {
    let rules = [rule("public.t.c", None, Mask::Partial { keep_last: 4 }), rule("*.*.c", None, Mask::Null)];
    assert_eq!(mask(&rules, "text").unwrap().expression, "NULL");
}

/// Two rules of one column: what is left when the stricter is lifted.
#[test]
fn a_group_sees_the_last_four_of_what_others_do_not_see() {
    let group = |name: &str| BTreeSet::from([GroupName::new(name).unwrap()]);
    let strict = MaskRule {
        lifted_for: group("corp/support").into_iter().chain(group("corp/security")).collect(),
        ..rule("public.t.c", None, Mask::Full)
    };
    let weak = MaskRule {
        lifted_for: group("corp/security"),
        ..rule("public.t.c", None, Mask::Partial { keep_last: 4 })
    };
    let column = MaskableColumn {
        schema: "public",
        table: "t",
        column: "c",
        type_schema: "pg_catalog",
        type_name: "text",
    };
    let seen = |groups: &BTreeSet<GroupName>| {
        let plan = MaskPlan::new(&[strict.clone(), weak.clone()], groups);
        plan.mask(&column).map(|masked| masked.summary)
    };
    assert_eq!(seen(&BTreeSet::new()).unwrap(), "full");
    assert_eq!(seen(&group("corp/support")).unwrap(), "partial(keep last 4)");
    assert_eq!(seen(&group("corp/security")), None);
}

#[test]
fn a_mask_that_does_not_fit_the_type_becomes_full() {
    for (mask_kind, path) in [(Mask::Partial { keep_last: 4 }, None), (Mask::Full, Some("$.a"))] {
        let masked = mask(&[rule("public.t.c", path, mask_kind)], "int4").unwrap();
        assert_eq!(masked.expression, "'0'");
        assert!(masked.note.is_some());
    }
}

#[test]
fn a_token_is_computed_where_the_broker_has_objects_and_on_text_only() {
    let plan = MaskPlan::new(&[rule("public.t.c", None, Mask::Token)], &BTreeSet::new());
    let column = |type_name| MaskableColumn {
        schema: "public",
        table: "t",
        column: "c",
        type_schema: "pg_catalog",
        type_name,
    };
    let without = plan.mask(&column("text")).unwrap();
    assert!(!without.reads_value && without.expression == "'[masked]'" && without.note.is_some());
    let plan = plan.with_objects(&TargetName::new("db").unwrap());
    let token = plan.mask(&column("text")).unwrap();
    assert!(token.reads_value && token.width == Some(36), "{token:?}");
    assert_eq!(token.expression.matches("$1").count(), 1);
    let number = plan.mask(&column("int4")).unwrap();
    assert!(!number.reads_value && number.note.is_some(), "{number:?}");
}

#[test]
fn the_column_occurs_once() {
    let rules = [
        rule("public.t.c", Some("$.a.b.c"), Mask::Full),
        rule("public.t.c", Some("$.**.key"), Mask::Full),
        rule("public.t.c", Some("$.d[*].e"), Mask::Full),
    ];
    let masked = mask(&rules, "jsonb").unwrap();
    assert_eq!(masked.expression.matches("$1").count(), 1);
    assert_eq!(masked.summary, "$.a.b.c, $.**.key, $.d[*].e");
}
