//! What `@review` does to a verdict, and who may answer one.

use super::*;
use crate::domain::action::{Action, Petition};
use crate::domain::name::RuleName;
use crate::domain::policy::Hold;

const BASE: &str = r#"@id("open") permit (principal, action == Hoop::Action::"statement", resource);"#;

#[test]
fn a_reviewable_forbid_holds_and_carries_what_it_takes() {
    let hold = hold(
        r#"@id("drop") @reason("drops are looked at") @review("corp/dba:2, owner:1") @standing("2h")
           @review_by("people") forbid (principal, action == Hoop::Action::"statement", resource)
           when { context.verb == "drop table" };"#,
        "drop table",
    );
    assert_eq!(names(&hold.rules), ["drop"]);
    assert_eq!(hold.reason, "drops are looked at");
    assert_eq!(hold.threshold.to_string(), "corp/dba:2, owner:1");
    assert_eq!((hold.standing, hold.people_only), (7200, true));
}

#[test]
fn a_hard_forbid_wins_over_a_reviewable_one_and_is_named() {
    let rules = r#"@id("soft") @review("corp/dba:1") forbid (principal, action == Hoop::Action::"statement", resource);
                   @id("hard") @reason("never") forbid (principal, action == Hoop::Action::"statement", resource);"#;
    let Verdict::Deny(denial) = judge(rules, "select") else { panic!("not denied") };
    assert_eq!((denial.rule.as_str(), denial.reason.as_str()), ("hard", "never"));
}

#[test]
fn what_no_rule_permits_is_not_worth_a_review() {
    let policy =
        compile(&[("a", r#"@id("soft") @review("corp/dba:1") forbid (principal, action, resource);"#)]);
    let facts = Facts::unparsed();
    assert_eq!(word(&policy.judge(&alice(&[]), &db(), &Action::Statement(&facts))), "default");
}

#[test]
fn a_reviewable_permit_counts_only_once_it_is_reviewed() {
    let policy = compile(&[(
        "a",
        r#"@id("held") @review("corp/dba:1") permit (principal, action == Hoop::Action::"connect", resource);
           @id("free") permit (principal in Hoop::Group::"corp/ops", action == Hoop::Action::"connect", resource);"#,
    )]);
    assert_eq!(word(&policy.judge(&alice(&[]), &db(), &Action::Connect)), "held?");
    assert_eq!(word(&policy.judge_reviewed(&alice(&[]), &db(), &Action::Connect)), "held!");
    assert_eq!(word(&policy.judge(&alice(&["corp/ops"]), &db(), &Action::Connect)), "free!");
}

#[test]
fn several_reviewable_forbids_add_up() {
    let hold = hold(
        r#"@id("a") @review("corp/dba:1") @standing("1d") forbid (principal, action == Hoop::Action::"statement", resource);
           @id("b") @review("corp/dba:2") @standing("1h") forbid (principal, action == Hoop::Action::"statement", resource);
           @id("c") @review("owner:1") @review_by("people") forbid (principal, action == Hoop::Action::"statement", resource);"#,
        "select",
    );
    assert_eq!(names(&hold.rules), ["a", "b", "c"]);
    assert_eq!(hold.threshold.to_string(), "corp/dba:2, owner:1");
    // one of them allows no standing decision at all
    assert_eq!((hold.standing, hold.people_only), (0, true));
}

#[test]
fn an_error_denies_what_would_be_held() {
    let soft = r#"@id("soft") @review("corp/dba:1") forbid (principal, action == Hoop::Action::"statement", resource);"#;
    let broken = r#"@id("broken") forbid (principal, action == Hoop::Action::"statement", resource)
                    when { context has limit && context.limit + 1 > 9223372036854775807 };"#;
    let policy = compile(&[("a", BASE), ("b", soft), ("c", broken)]);
    let facts = Facts { limit: Some(i64::MAX), ..Facts::new("select", StatementKind::Read) };
    let verdict = policy.judge(&alice(&[]), &db(), &Action::Statement(&facts));
    assert!(matches!(verdict, Verdict::Deny(_)), "{verdict:?}");
    let reviewed = policy.judge_reviewed(&alice(&[]), &db(), &Action::Statement(&facts));
    assert_eq!(word(&reviewed), "broken");
}

#[test]
fn nothing_answers_a_review_unless_a_permit_says_approve() {
    for (rules, answer) in [
        ("", None),
        (r#"@id("all") permit (principal, action, resource);"#, None),
        (
            r#"@id("all") permit (principal, action, resource) when { action == Hoop::Action::"approve" };"#,
            None,
        ),
        (r#"@id("yes") permit (principal, action == Hoop::Action::"approve", resource);"#, Some("yes")),
        (
            r#"@id("yes") permit (principal, action in [Hoop::Action::"approve", Hoop::Action::"audit"], resource);"#,
            Some("yes"),
        ),
        (
            r#"@id("yes") permit (principal, action == Hoop::Action::"approve", resource);
               @id("no") forbid (principal, action, resource) when { resource.name == "db" };"#,
            None,
        ),
        (
            r#"@id("yes") permit (principal, action == Hoop::Action::"approve", resource);
               @id("broken") permit (principal, action == Hoop::Action::"approve", resource)
               when { context has seconds && context.seconds + 9223372036854775807 > 0 };"#,
            None,
        ),
        (
            r#"@id("small") permit (principal, action == Hoop::Action::"approve", resource)
               when { context.kind == "session" && context has seconds && context.seconds <= 600 };"#,
            Some("small"),
        ),
        (
            r#"@id("short") permit (principal, action == Hoop::Action::"approve", resource)
               when { context has seconds && context.seconds < 600 };"#,
            None,
        ),
    ] {
        let policy = compile(&[("a", rules)]);
        let petition = Petition { rules: &[], seconds: Some(600), action: None };
        let answered = policy.answers(&alice(&[]), &db(), &petition);
        assert_eq!(answered.as_ref().map(RuleName::as_str), answer, "{rules}");
    }
}

#[test]
fn an_answer_may_look_at_the_statement_and_at_the_rules_that_hold_it() {
    let policy = compile(&[(
        "a",
        r#"@id("few") permit (principal in Hoop::Group::"corp/ops", action == Hoop::Action::"approve", resource)
           when { context.rules == ["soft"] && context has statement && context.statement.read_only
                  && context.statement has estimate && context.statement.estimate < 10 };"#,
    )]);
    let answer = |rules: &[&str], groups: &[&str], estimate| {
        let rules: Vec<_> = rules.iter().map(|rule| RuleName::new(*rule).unwrap()).collect();
        let facts = Facts { read_only: true, estimate, ..Facts::new("select", StatementKind::Read) };
        let petition = Petition { rules: &rules, seconds: None, action: Some(Action::Statement(&facts)) };
        let answered = policy.answers(&alice(groups), &db(), &petition);
        // whoever asks for a session's policy is told the same
        assert_eq!(policy.session(&alice(groups), &db()).answers(&petition), answered);
        answered.is_some()
    };
    assert!(answer(&["soft"], &["corp/ops"], Some(3)));
    assert!(!answer(&["soft", "other"], &["corp/ops"], Some(3)));
    assert!(!answer(&["soft"], &["corp/dev"], Some(3)));
    assert!(!answer(&["soft"], &["corp/ops"], Some(10)));
    assert!(!answer(&["soft"], &["corp/ops"], None));
}

#[test]
fn a_rule_answers_for_the_rules_that_it_names_and_no_others() {
    let policy = compile(&[(
        "a",
        r#"@id("x") permit (principal, action == Hoop::Action::"approve", resource)
           when { context.rules.contains("x") };
           @id("y") permit (principal, action == Hoop::Action::"approve", resource)
           when { context.rules.contains("y") };"#,
    )]);
    let answer = |rules: &[&str]| {
        let rules: Vec<_> = rules.iter().map(|rule| RuleName::new(*rule).unwrap()).collect();
        let petition = Petition { rules: &rules, seconds: None, action: None };
        policy.answers(&alice(&[]), &db(), &petition).map(|rule| rule.to_string())
    };
    assert_eq!(answer(&["x"]).as_deref(), Some("x"));
    assert_eq!(answer(&["x", "y"]).as_deref(), Some("x"));
    assert_eq!(answer(&["x", "other"]), None);
    assert_eq!(answer(&["other", "x"]), None);
}

#[test]
fn where_a_rule_wants_people_no_rule_answers() {
    let policy = compile(&[(
        "a",
        r#"@id("yes") permit (principal, action == Hoop::Action::"approve", resource);
           @id("soft") @review("corp/dba:1") forbid (principal, action == Hoop::Action::"statement", resource);
           @id("people") @review("corp/dba:1") @review_by("people")
           forbid (principal, action == Hoop::Action::"statement", resource);"#,
    )]);
    let answer = |rules: &[&str]| {
        let rules: Vec<_> = rules.iter().map(|rule| RuleName::new(*rule).unwrap()).collect();
        let petition = Petition { rules: &rules, seconds: None, action: None };
        policy.answers(&alice(&[]), &db(), &petition).is_some()
    };
    assert!(answer(&["soft"]));
    assert!(!answer(&["soft", "people"]));
}

#[test]
fn a_permit_with_review_cannot_be_an_answer() {
    let text = r#"@id("circle") @review("corp/dba:1") permit (principal, action == Hoop::Action::"approve", resource);"#;
    let faults = Policy::compile(&[PolicySource { name: "a".into(), text: text.into() }]).unwrap_err();
    assert_eq!(
        faults.first().unwrap().message,
        "@review means nothing on a rule about `approve`: who would review the review?"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever the rules are: one more rule with `@review` allows nothing that was not allowed, and a
    /// verdict after reviews is never another hold.
    #[test]
    fn a_rule_with_review_never_allows(
        rules in proptest::collection::vec((any::<bool>(), any::<bool>(), 0..4_u8), 0..6),
        added in (any::<bool>(), 0..4_u8),
        verb in 0..4_u8,
        limit in prop_oneof![Just(None), Just(Some(1)), Just(Some(i64::MAX))],
    ) {
        let facts = Facts { limit, ..Facts::new(format!("v{verb}"), StatementKind::Read) };
        let text = |number: usize, forbid: bool, review: bool, about: u8| {
            let effect = if forbid { "forbid" } else { "permit" };
            let review = if review { r#"@review("corp/dba:1")"# } else { "" };
            let condition = match about {
                0 => "true".to_owned(),
                3 => "context has limit && context.limit + 1 > 0".to_owned(),
                other => format!("context.verb == \"v{other}\""),
            };
            format!("@id(\"r{number}\") {review} {effect} (principal, action == Hoop::Action::\"statement\", resource) when {{ {condition} }};\n")
        };
        let before: String =
            rules.iter().enumerate().map(|(number, (f, r, a))| text(number, *f, *r, *a)).collect();
        let after = format!("{before}{}", text(99, added.0, true, added.1));
        let judge = |text: &str| compile(&[("a", text)]).judge(&alice(&[]), &db(), &Action::Statement(&facts));
        if matches!(judge(&after), Verdict::Allow(_)) {
            prop_assert!(matches!(judge(&before), Verdict::Allow(_)));
        }
        let reviewed = compile(&[("a", &after)]).judge_reviewed(&alice(&[]), &db(), &Action::Statement(&facts));
        prop_assert!(!matches!(reviewed, Verdict::Hold(_)));
        // what is held is allowed by its reviews, and what is denied stays denied with them
        match judge(&after) {
            Verdict::Hold(_) => prop_assert!(matches!(reviewed, Verdict::Allow(_))),
            Verdict::Deny(_) => prop_assert!(matches!(reviewed, Verdict::Deny(_))),
            Verdict::Allow(_) => {}
        }
    }
}

fn judge(rules: &str, verb: &str) -> Verdict {
    let policy = compile(&[("base", BASE), ("rules", rules)]);
    policy.judge(&alice(&[]), &db(), &Action::Statement(&Facts::new(verb, StatementKind::Read)))
}

fn hold(rules: &str, verb: &str) -> Hold {
    match judge(rules, verb) {
        Verdict::Hold(hold) => hold,
        other => panic!("not held: {other:?}"),
    }
}

fn names(rules: &[RuleName]) -> Vec<&str> {
    rules.iter().map(RuleName::as_str).collect()
}

#[test]
fn what_is_only_prepared_waits_for_rules_on_estimates_and_for_no_others() {
    let judged = |base: &str, rules: &str, verb: &str| {
        let policy = compile(&[("base", base), ("rules", rules)]);
        let session = policy.session(&alice(&[]), &db());
        let facts = Facts::new(verb, StatementKind::Read);
        let now = word(&session.judge(&Action::Statement(&facts)));
        (word(&session.judge_prepared(&facts)), now)
    };
    let forbids = r#"@id("told") forbid (principal, action == Hoop::Action::"statement", resource)
                     when { !(context has estimate) };"#;
    assert_eq!(judged(BASE, forbids, "select"), ("open!".into(), "told".into()));
    let others = forbids.to_owned()
        + r#"@id("never") forbid (principal, action == Hoop::Action::"statement", resource)
             when { context.verb == "delete" };"#;
    assert_eq!(judged(BASE, &others, "delete").0, "never");
    assert_eq!(judged(BASE, forbids, "unparsed").0, "unjudged");
    let permits = r#"@id("little") permit (principal, action == Hoop::Action::"statement", resource)
                     when { context has estimate && context.estimate < 10 };"#;
    assert_eq!(judged(permits, "", "select"), ("little!".into(), "default".into()));
}
