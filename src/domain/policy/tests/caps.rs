use super::*;
use crate::domain::caps::{CapKind, Caps};

const SELECT: &str = r#"permit (principal, action == Hoop::Action::"statement", resource)"#;

fn caps_of(rules: &str, facts: &Facts) -> Option<String> {
    let policy = compile(&[("a", rules)]);
    let judge = |verdict| match verdict {
        Verdict::Allow(permit) => Some(shown(permit.caps())),
        Verdict::Deny(_) | Verdict::Hold(_) => None,
    };
    let action = Action::Statement(facts);
    let told = judge(policy.judge_reviewed(&alice(&[]), &db(), &action));
    // what is kept of a session says the same
    assert_eq!(told, judge(policy.session(&alice(&[]), &db()).judge_reviewed(&action)));
    told
}

fn shown(caps: &Caps) -> String {
    let told =
        |(kind, cap): (CapKind, &crate::domain::caps::Cap)| format!("{} {}", cap.rule, kind.told(cap.most));
    caps.iter().map(told).collect::<Vec<_>>().join(", ")
}

fn read(relation: &str) -> Facts {
    let relations_read = BTreeSet::from([relation.to_owned()]);
    Facts { relations_read, ..Facts::new("select", StatementKind::Read) }
}

/// INVARIANT: a permit that is added never widens what another one caps.
#[test]
fn of_all_permits_that_allow_a_statement_the_smallest_caps_hold() {
    let rules = format!(
        r#"@id("plain") {SELECT};
           @id("wide") @max_rows("10000") @max_bytes("1MiB") {SELECT};
           @id("narrow") @max_rows("100") @statement_timeout("30s") {SELECT};
           @id("orders") @max_rows("5") {SELECT} when {{ context.relations_read.contains("public.orders") }};"#
    );
    let all = "narrow 100 rows, wide 1 MiB, narrow 30 s";
    assert_eq!(caps_of(&rules, &read("public.t")).as_deref(), Some(all));
    let orders = "orders 5 rows, wide 1 MiB, narrow 30 s";
    assert_eq!(caps_of(&rules, &read("public.orders")).as_deref(), Some(orders));
    let policy = compile(&[("a", &rules)]);
    assert_eq!(shown(policy.session(&alice(&[]), &db()).strictest_caps()), orders);
    assert_eq!(policy.capping(&alice(&[]), &db()).len(), 3);
}

#[test]
fn a_permit_that_takes_a_review_caps_what_was_reviewed() {
    let rules = format!(r#"@id("asked") @review("corp/dba:1") @max_rows("7") {SELECT};"#);
    assert_eq!(caps_of(&rules, &read("public.t")).as_deref(), Some("asked 7 rows"));
}

#[test]
fn rules_that_bind_others_cap_nothing() {
    let rules = format!(
        r#"@id("open") {SELECT};
           @id("dev") @max_rows("7") permit (principal in Hoop::Group::"corp/dev", action == Hoop::Action::"statement", resource);"#
    );
    assert_eq!(caps_of(&rules, &read("public.t")).as_deref(), Some(""));
    let policy = compile(&[("a", &rules)]);
    assert!(policy.session(&alice(&[]), &db()).strictest_caps().is_empty());
    assert!(policy.capping(&alice(&[]), &db()).is_empty());
}

#[test]
fn caps_that_mean_nothing_are_faults_with_their_lines() {
    let text = r#"
@id("a") @max_rows("many") permit (principal, action, resource);
@id("b") @max_bytes("50MB") permit (principal, action, resource);
@id("c") @statement_timeout("0s") permit (principal, action, resource);
@id("d") @max_rows("7") forbid (principal, action, resource);
@id("e") @max_rows("7") permit (principal, action == Hoop::Action::"connect", resource);
@id("f") @max_row("7") permit (principal, action, resource);
"#;
    let sources = [PolicySource { name: "caps.cedar".into(), text: text.into() }];
    let faults = Policy::compile(&sources).unwrap_err();
    let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(list.join("\n"), @r#"
    caps.cedar:2: @max_rows("many"): write a number of rows, as 10000
    caps.cedar:3: @max_bytes("50MB"): write a number with B, KiB, MiB or GiB, as 50MiB
    caps.cedar:4: @statement_timeout("0s"): write a number with ms, s, m or h, as 30s
    caps.cedar:5: @max_rows means nothing on a forbid: it caps what a permit of statements lets through
    caps.cedar:6: @max_rows means nothing on a rule that is not about statements
    caps.cedar:7: unknown annotation @max_row: id, reason, hint, review, review_by, standing, max_rows, max_bytes and statement_timeout are known
    "#);
}
