#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod aws;
mod caps;
mod holds;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use super::{Policy, PolicySource, Role, Verdict, preset, preset_names};
use crate::domain::action::Action;
use crate::domain::facts::{CopyDirection, Facts, StatementKind};
use crate::domain::name::{GroupName, ProviderName, RuleName, TargetName};
use crate::domain::principal::{Kin, Principal, PrincipalId, PrincipalKind, Subject};
use crate::domain::target::{
    LeaseIssuer, PostgresTarget, RecordLevel, SecretSource, Target, TargetKind, UpstreamTls,
};

/// Presets that say nothing of statements.
const OF_OTHER_PROTOCOLS: &[&str] = &["aws-bulk", "aws-read-only", "bulk-read", "dangerous-shell"];

#[test]
fn each_preset_judges_as_its_file_says() {
    let mut table = String::new();
    for (label, facts) in statements() {
        write!(table, "{label:<34}").unwrap();
        for name in preset_names().filter(|name| !OF_OTHER_PROTOCOLS.contains(name)) {
            let policy = compile(&[("preset", &preset(name).unwrap().text), ("open", OPEN)]);
            let rule = word(&policy.judge(&alice(&[]), &db(), &Action::Statement(&facts)));
            write!(table, " {:<22}", rule.strip_prefix(name).unwrap_or(&rule)).unwrap();
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    insta::assert_snapshot!(table, @r##"
    begin                              !                      open!                  open!                  open!                  open!                  open!
    prepare transaction                !                      open!                  open!                  open!                  .session               open!
    set work_mem                       !                      open!                  open!                  open!                  open!                  open!
    set role                           !                      open!                  .privileges            open!                  .session               open!
    lock                               !                      open!                  open!                  open!                  .session               open!
    select 1                           !                      open!                  open!                  open!                  open!                  open!
    select nextval()                   !                      open!                  open!                  open!                  .changes               open!
    select * from t                    !                      .list-everything       open!                  open!                  open!                  .read?
    select * from unresolved           !                      .list-everything       open!                  open!                  open!                  .read?
    select … where                     !                      open!                  open!                  open!                  open!                  .read?
    select … limit 1000                !                      open!                  open!                  open!                  open!                  .read?
    select … limit 1001                !                      .list-everything       open!                  open!                  open!                  .read?
    select * from pg_catalog.pg_class  !                      open!                  open!                  open!                  open!                  open!
    declare cursor for select * from t !                      .list-everything       open!                  open!                  open!                  .read?
    explain select * from t            !                      open!                  open!                  open!                  open!                  open!
    copy t to stdout                   !                      .copy                  open!                  open!                  open!                  .copy?
    copy t from stdin                  !                      open!                  open!                  open!                  .changes               open!
    insert                             !                      open!                  open!                  open!                  .changes               .read?
    update … where                     !                      open!                  open!                  open!                  .changes               .read?
    update                             !                      open!                  .no-where              open!                  .changes               .read?
    delete                             !                      open!                  .no-where              open!                  .changes               .read?
    with (delete) select               !                      open!                  .no-where              open!                  .changes               .read?
    with (delete) insert               !                      open!                  .no-where              open!                  .changes               .read?
    truncate                           !                      open!                  .truncate              open!                  .changes               .read?
    create table                       !                      open!                  open!                  open!                  .changes               open!
    drop table                         !                      open!                  .drop                  open!                  .changes               open!
    drop owned                         !                      open!                  .drop                  open!                  .changes               open!
    alter table                        !                      open!                  .alter                 open!                  .changes               open!
    alter owner                        !                      open!                  .privileges            open!                  .changes               open!
    rename                             !                      open!                  .alter                 open!                  .changes               open!
    grant                              !                      open!                  .privileges            open!                  .changes               open!
    revoke role                        !                      open!                  .privileges            open!                  .changes               open!
    create role                        !                      open!                  .privileges            open!                  .changes               open!
    do                                 !                      open!                  .code                  .unknown?              .changes               .unknown?
    function call                      !                      open!                  .code                  .unknown?              .changes               .unknown?
    unparsed                           !                      .unknown               .unknown               unjudged               .changes               unjudged
    "##);
}

#[test]
fn nothing_is_allowed_by_default() {
    let policy = compile(&[]);
    for action in [Action::Connect, Action::Audit, Action::Kill, Action::Statement(&Facts::unparsed())] {
        let Verdict::Deny(denial) = policy.judge(&alice(&[]), &db(), &action) else { panic!("allowed") };
        assert_eq!(
            (denial.rule.as_str(), denial.reason.as_str(), denial.hint.as_deref()),
            ("default", "no rule allows it", Some("see what is allowed: hoopctl explain db"))
        );
    }
}

#[test]
fn what_cannot_be_read_goes_on_only_where_no_rule_binds() {
    let no_drop = r#"@id("no-drop") forbid (principal in Hoop::Group::"corp/dev", action == Hoop::Action::"statement", resource)
                     when { context.verb == "drop table" };"#;
    let policy = compile(&[("a", OPEN), ("b", no_drop)]);
    let facts = Facts::unparsed();
    let action = Action::Statement(&facts);
    let nobody: &[&str] = &[];
    for (groups, said) in [(nobody, "open!"), (&["corp/dev"], "unjudged")] {
        assert_eq!(word(&policy.judge(&alice(groups), &db(), &action)), said);
        assert_eq!(word(&policy.session(&alice(groups), &db()).judge(&action)), said);
    }
}

#[test]
fn a_denial_carries_the_first_forbid_in_source_order() {
    let policy = compile(&[
        (
            "a",
            r#"@id("open") permit (principal, action, resource); @id("second") @reason("b") forbid (principal, action, resource);"#,
        ),
        ("b", r#"@id("first") @reason("a") @hint("c") forbid (principal, action, resource);"#),
    ]);
    let Verdict::Deny(denial) = policy.judge(&alice(&[]), &db(), &Action::Connect) else { panic!("allowed") };
    assert_eq!((denial.rule.as_str(), denial.reason.as_str(), denial.hint), ("second", "b", None));
    let why: Vec<String> =
        policy.why(&alice(&[]), &db(), &Action::Connect).iter().map(ToString::to_string).collect();
    assert_eq!(why, ["second", "first"]);
}

#[test]
fn a_permit_names_target_action_and_rule() {
    let policy = compile(&[("a", OPEN)]);
    let Verdict::Allow(permit) = policy.judge(&alice(&[]), &db(), &Action::Connect) else { panic!("denied") };
    assert_eq!(
        (permit.target().as_str(), permit.action(), permit.rule().as_str()),
        ("db", "connect", "open")
    );
}

#[test]
fn an_evaluation_error_denies_and_names_the_rule() {
    let policy = compile(&[
        ("a", OPEN),
        (
            "b",
            r#"@id("overflow") permit (principal, action == Hoop::Action::"statement", resource)
               when { context has limit && context.limit + 1 > 0 };"#,
        ),
    ]);
    let mut facts = Facts::new("select", StatementKind::Read);
    facts.limit = Some(i64::MAX);
    let verdict = policy.judge(&alice(&[]), &db(), &Action::Statement(&facts));
    assert_eq!(word(&verdict), "overflow");
    let Verdict::Deny(denial) = verdict else { panic!("allowed") };
    assert_eq!(denial.reason, "the rule could not be evaluated, so nothing is allowed");
}

#[test]
fn scopes_bind_by_group_kind_principal_target_and_label() {
    let policy = compile(&[(
        "a",
        r#"
@id("dba") permit (principal in Hoop::Group::"corp/dba", action == Hoop::Action::"connect", resource == Hoop::Target::"db");
@id("ci") permit (principal is Hoop::Machine in Hoop::Group::"ci/deploy", action == Hoop::Action::"connect", resource);
@id("bob") permit (principal == Hoop::Human::"corp:bob", action in [Hoop::Action::"audit", Hoop::Action::"kill"], resource)
    when { resource.labels.contains("env=production") };"#,
    )]);
    let machine = Principal { kind: PrincipalKind::Machine, ..person("corp", "bot", &["ci/deploy"]) };
    let other = Target { name: TargetName::new("other").unwrap(), ..db() };
    let plain = Target { labels: BTreeMap::new(), ..db() };
    let judge = |who: &Principal, target: &Target, action| word(&policy.judge(who, target, &action));
    assert_eq!(judge(&alice(&["corp/dba"]), &db(), Action::Connect), "dba!");
    assert_eq!(judge(&alice(&["corp/dba"]), &other, Action::Connect), "default");
    assert_eq!(judge(&alice(&["corp/dev"]), &db(), Action::Connect), "default");
    assert_eq!(judge(&machine, &other, Action::Connect), "ci!");
    assert_eq!(judge(&alice(&["ci/deploy"]), &db(), Action::Connect), "default");
    assert_eq!(judge(&person("corp", "bob", &[]), &db(), Action::Kill), "bob!");
    assert_eq!(judge(&person("corp", "bob", &[]), &plain, Action::Audit), "default");
    assert_eq!(
        judge(&Principal { kind: PrincipalKind::Machine, ..person("corp", "bob", &[]) }, &db(), Action::Kill),
        "default"
    );
}

#[test]
fn hostile_names_are_only_names() {
    let policy = compile(&[(
        "a",
        r#"@id("dba") permit (principal in Hoop::Group::"corp/dba", action, resource);
           @id("root") permit (principal == Hoop::Human::"corp:root", action, resource);
           @id("label") permit (principal, action, resource) when { resource.labels.contains("env=dev") };"#,
    )]);
    for name in
        ["dba\"", "x\" || true || \"", "dba\\u{0}", "dba//", "*", "Hoop::Group::\"corp/dba\"", "DBA", "dba "]
    {
        let groups = [format!("corp/{name}"), format!("corp/x {name}")];
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let subject = format!("root{name}");
        let who = person("corp", &subject, &groups);
        let target = Target { labels: BTreeMap::from([("env".into(), format!("dev{name}"))]), ..db() };
        assert_eq!(word(&policy.judge(&who, &target, &Action::Connect)), "default", "{name}");
    }
}

#[test]
fn the_digest_changes_with_every_byte_and_boundary() {
    let digest = |sources: &[(&str, &str)]| compile(sources).digest().to_string();
    let one = [("a", "// x"), ("b", "// y")];
    assert_eq!(digest(&one), digest(&one));
    let others: [&[(&str, &str)]; 6] = [
        &[("a", "// z"), ("b", "// y")],
        &[("c", "// x"), ("b", "// y")],
        &[("b", "// y"), ("a", "// x")],
        &[("a", "// x"), ("b", "// y ")],
        &[("a", "// x")],
        &[("a/", "/ x".trim_start_matches("/ x")), ("b", "// y")],
    ];
    let all: BTreeSet<String> = others.iter().map(|sources| digest(sources)).chain([digest(&one)]).collect();
    assert_eq!(all.len(), others.len() + 1);
}

#[test]
fn all_faults_are_told_with_their_lines() {
    let first = r#"@id("fine") permit (principal, action, resource);

permit (principal, action, resource);

@id("two words")
permit (principal, action, resource);
@id("fine")
permit (principal, action, resource);
@id("typo")
@reveiw("corp/dba:1")
permit (principal, action, resource);
@id("held")
@review("corp/dba")
permit (principal, action, resource);
@id("default") @reason("")
forbid (principal, action, resource);
@id("wrong-attribute")
forbid (principal, action == Hoop::Action::"statement", resource)
when {
    context.verbs == "drop"
};
@id("everywhere")
forbid (principal, action, resource) when { context.verb == "drop" };
@id("wrong-action")
forbid (principal, action == Hoop::Action::"conect", resource);
@id("no-namespace")
forbid (principal in Group::"corp/dba", action, resource);
@id("impossible")
forbid (principal, action, resource) when { resource.name == "a" && false };
@id("template")
permit (principal == ?principal, action, resource);
"#;
    let sources = [
        PolicySource { name: "first.cedar".into(), text: first.into() },
        PolicySource {
            name: "second.cedar".into(),
            text: "\n\npermit (principal, action);\nforbid (;".into(),
        },
    ];
    let faults = Policy::compile(&sources).unwrap_err();
    let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(list.join("\n"), @r##"
    first.cedar:3: every policy needs a name: write @id("some-name") above it
    first.cedar:5: `two words` is not a rule name: 1 to 128 of letters, digits and . _ : -
    first.cedar:7: the name `fine` is already taken at first.cedar:1
    first.cedar:9: unknown annotation @reveiw: id, reason, hint, review, review_by, standing, max_rows, max_bytes and statement_timeout are known
    first.cedar:12: @review: `corp/dba` is not a threshold: write PROVIDER/GROUP:COUNT or owner:COUNT, several of them with commas
    first.cedar:15: @reason must be 1 to 300 characters without control characters
    first.cedar:15: the name `default` is what a denial without a rule is called
    first.cedar:20: rule `wrong-attribute`: attribute `verbs` in context for Hoop::Action::"statement" not found (did you mean `verb`?)
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"approve" not found (did you mean `env`?)
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"audit" not found
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"call" not found (did you mean `query`?)
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"connect" not found
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"env" not found (did you mean `name`?)
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"exec" not found (did you mean `paths`?)
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"file" not found (did you mean `path`?)
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"forward" not found (did you mean `port`?)
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"issue" not found (did you mean `role`?)
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"kill" not found
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"shell" not found (did you mean `terminal`?)
    first.cedar:23: rule `everywhere`: attribute `verb` in context for Hoop::Action::"subsystem" not found (did you mean `name`?)
    first.cedar:25: rule `wrong-action`: unrecognized action `Hoop::Action::"conect"` (connect, audit, kill, statement, approve, exec, shell, file, forward, env, subsystem, call, issue are known)
    first.cedar:27: rule `no-namespace`: unrecognized entity type `Group` (did you mean `Hoop::Group`?)
    first.cedar:28: rule `impossible`: policy is impossible: the policy expression evaluates to false for all valid requests
    first.cedar:30: templates (`?principal`, `?resource`) are not supported
    second.cedar:4: unexpected token `;`
    "##);
}

#[test]
fn what_the_policies_name_is_listed() {
    let policy = compile(&[(
        "a",
        "\n@id(\"x\") forbid (principal in Hoop::Group::\"corp/dba\", action, resource == Hoop::Target::\"db\")\nunless { principal == Hoop::Human::\"corp:bob\" };",
    )]);
    let named: Vec<_> = policy.references().iter().map(|r| (r.role, r.id.as_str(), r.line)).collect();
    assert_eq!(
        named,
        [(Role::Group, "corp/dba", 2), (Role::Principal, "corp:bob", 2), (Role::Target, "db", 2)]
    );
}

#[test]
fn forbidding_lists_what_could_bind() {
    let policy = compile(&[(
        "a",
        r#"@id("for-dba") @reason("r") forbid (principal in Hoop::Group::"corp/dba", action, resource);
           @id("for-others") forbid (principal in Hoop::Group::"corp/dev", action, resource);
           @id("conditional") forbid (principal, action == Hoop::Action::"statement", resource) when { context.has_where };
           @id("elsewhere") forbid (principal, action, resource == Hoop::Target::"other");
           @id("permit") permit (principal, action, resource);"#,
    )]);
    let found = policy.forbidding(&alice(&["corp/dba"]), &db());
    let found: Vec<_> = found.iter().map(|rule| (rule.name.as_str(), rule.reason.as_str())).collect();
    assert_eq!(found, [("for-dba", "r"), ("conditional", "the rule conditional forbids it")]);
}

#[test]
fn facts_conform_to_the_schema() {
    // a policy that reads every fact compiles strictly, and no fact is missing when it is evaluated
    let policy = compile(&[(
        "a",
        r#"@id("all") permit (principal, action == Hoop::Action::"statement", resource) when {
            context.verb == "v" && context.kind == "write" && context.read_only &&
            context.relations_read == ["a.b"] && context.relations_written == ["c.d"] &&
            context.columns_read == ["a.b.c"] && context.functions == ["e.f"] && context.has_where &&
            context has limit && context.limit == 3 && context has copy && context.copy == "in" &&
            context has object && context.object == "o" && context has setting && context.setting == "s" &&
            context.touches_masked && context.reads_user_rows && context.at_most_one_row &&
            context.labels == ["high-risk"] && context has estimate && context.estimate == 7 &&
            (context.columns_written == ["g.h.i"] && context.columns_resolved && context.changes == ["delete"] &&
            context.without_where == ["update"] && context.joins == 2 && context.has_cross_join &&
            context has copy_target && context.copy_target == "file" && context has ddl && context.ddl == "drop" &&
            context has set_value && context.set_value == "on") &&
            resource.name == "db" && resource.protocol == "postgres"
        };"#,
    )]);
    let one = |text: &str| BTreeSet::from([text.to_owned()]);
    let facts = Facts {
        read_only: true,
        relations_read: one("a.b"),
        relations_written: one("c.d"),
        columns_read: one("a.b.c"),
        functions: one("e.f"),
        has_where: true,
        limit: Some(3),
        copy: Some(CopyDirection::In),
        object: Some("o".into()),
        setting: Some("s".into()),
        touches_masked: true,
        at_most_one_row: true,
        labels: one("high-risk"),
        estimate: Some(7),
        columns_written: one("g.h.i"),
        columns_resolved: true,
        changes: one("delete"),
        without_where: one("update"),
        joins: 2,
        has_cross_join: true,
        copy_target: Some("file".into()),
        ddl: Some("drop".into()),
        set_value: Some("on".into()),
        ..Facts::new("v", StatementKind::Write)
    };
    assert_eq!(word(&policy.judge(&alice(&[]), &db(), &Action::Statement(&facts))), "all!");
}

#[test]
fn rules_about_columns_know_where_no_names_are_resolved() {
    let rule = |id: &str, condition: &str| {
        format!(
            r#"@id("{id}") forbid (principal, action == Hoop::Action::"statement", resource) when {{ {condition} }};"#
        )
    };
    let text = [
        rule("blind", r#"context.columns_read.contains("a.b.c")"#),
        rule("blind-too", r#"context.columns_written == ["a.b.c"]"#),
        rule("closed", r#"!context.columns_resolved || context.columns_read.contains("a.b.c")"#),
        rule("spelled", r#"context.columns_read.containsAny(["a.b.c", "?.?.c", "?.?.*"])"#),
        rule("other", "context.has_where"),
    ];
    let policy = compile(&[("a", &text.concat())]);
    let names: Vec<&str> = policy.blind(&db()).into_iter().map(RuleName::as_str).collect();
    assert_eq!(names, ["blind", "blind-too"]);
}

#[test]
fn a_session_judges_as_the_policy_does() {
    let policy = compile(&[
        ("p", &preset("destructive-sql").unwrap().text),
        ("q", &preset("bulk-export").unwrap().text),
        ("o", OPEN),
    ]);
    let session = policy.session(&alice(&[]), &db());
    assert_eq!(session.digest(), policy.digest());
    for (label, facts) in statements() {
        let action = Action::Statement(&facts);
        assert_eq!(
            word(&session.judge(&action)),
            word(&policy.judge(&alice(&[]), &db(), &action)),
            "{label}"
        );
    }
    assert_eq!(word(&session.judge(&Action::Connect)), "open!");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn judging_never_panics(verb in ".*", name in ".*", setting in ".*", label in ".*", group in ".*", limit: i64) {
        let policy = compile(&[("p", &preset("destructive-sql").unwrap().text), ("q", &preset("bulk-export").unwrap().text)]);
        let mut facts = Facts::new(verb, StatementKind::Unknown);
        facts.relations_read = BTreeSet::from([name.clone()]);
        facts.functions = BTreeSet::from([name]);
        facts.setting = Some(setting);
        facts.limit = Some(limit);
        let mut who = alice(&[]);
        who.groups.extend(GroupName::new(format!("corp/{group}")).ok());
        let target = Target { labels: BTreeMap::from([(label.clone(), label)]), ..db() };
        // no rule permits: whatever the strings are, the answer is no
        prop_assert!(matches!(policy.judge(&who, &target, &Action::Statement(&facts)), Verdict::Deny(_)));
    }

    #[test]
    fn compiling_never_panics(text in "(@id|permit|forbid|principal|action|resource|when|[(){};,\"= a-z?\n])*") {
        drop(Policy::compile(&[PolicySource { name: "x".into(), text }]));
    }
}

const OPEN: &str = r#"@id("open") permit (principal, action, resource);"#;

/// `rule!` when allowed, `rule?` when held, `rule` when denied.
fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow(permit) => format!("{}!", permit.rule()),
        Verdict::Deny(denial) => denial.rule.to_string(),
        Verdict::Hold(hold) => format!("{}?", hold.rules.first().unwrap()),
    }
}

fn compile(sources: &[(&str, &str)]) -> Policy {
    let sources: Vec<PolicySource> = sources
        .iter()
        .map(|(name, text)| PolicySource { name: (*name).into(), text: (*text).into() })
        .collect();
    Policy::compile(&sources).expect("the policy compiles")
}

fn statements() -> Vec<(&'static str, Facts)> {
    use StatementKind::{Code, Definition, Read, Session, Transaction, Write};
    let with = |verb: &str, kind, change: fn(&mut Facts)| {
        let mut facts = Facts::new(verb, kind);
        change(&mut facts);
        facts
    };
    let user = |facts: &mut Facts| {
        facts.read_only = true;
        facts.relations_read = BTreeSet::from(["public.t".to_owned()]);
    };
    vec![
        ("begin", with("begin", Transaction, |_| {})),
        ("prepare transaction", with("prepare transaction", Transaction, |_| {})),
        ("set work_mem", with("set", Session, |f| f.setting = Some("work_mem".into()))),
        ("set role", with("set", Session, |f| f.setting = Some("role".into()))),
        ("lock", with("lock", Session, |_| {})),
        ("select 1", with("select", Read, |f| f.read_only = true)),
        ("select nextval()", with("select", Read, |_| {})),
        ("select * from t", with("select", Read, user)),
        (
            "select * from unresolved",
            with("select", Read, |f| {
                f.read_only = true;
                f.relations_read = BTreeSet::from(["?.pg_class".to_owned()]);
            }),
        ),
        (
            "select … where",
            with("select", Read, |f| {
                f.read_only = true;
                f.has_where = true;
                f.relations_read = BTreeSet::from(["public.t".to_owned()]);
            }),
        ),
        (
            "select … limit 1000",
            with("select", Read, |f| {
                f.read_only = true;
                f.limit = Some(1000);
                f.relations_read = BTreeSet::from(["public.t".to_owned()]);
            }),
        ),
        (
            "select … limit 1001",
            with("select", Read, |f| {
                f.read_only = true;
                f.limit = Some(1001);
                f.relations_read = BTreeSet::from(["public.t".to_owned()]);
            }),
        ),
        (
            "select * from pg_catalog.pg_class",
            with("select", Read, |f| {
                f.read_only = true;
                f.relations_read = BTreeSet::from(["pg_catalog.pg_class".to_owned()]);
            }),
        ),
        ("declare cursor for select * from t", with("declare cursor", Read, user)),
        ("explain select * from t", with("explain", Read, user)),
        (
            "copy t to stdout",
            with("copy", Read, |f| {
                f.read_only = true;
                f.copy = Some(CopyDirection::Out);
            }),
        ),
        ("copy t from stdin", with("copy", Write, |f| f.copy = Some(CopyDirection::In))),
        ("insert", with("insert", Write, |_| {})),
        ("update … where", with("update", Write, |f| f.has_where = true)),
        ("update", with("update", Write, |_| {})),
        ("delete", with("delete", Write, |_| {})),
        ("with (delete) select", with("select", Write, |_| {})),
        (
            "with (delete) insert",
            with("insert", Write, |f| f.without_where = BTreeSet::from(["delete".to_owned()])),
        ),
        ("truncate", with("truncate", Write, |_| {})),
        ("create table", with("create table", Definition, |_| {})),
        ("drop table", with("drop table", Definition, |_| {})),
        ("drop owned", with("drop owned", Definition, |_| {})),
        ("alter table", with("alter table", Definition, |_| {})),
        ("alter owner", with("alter owner", Definition, |_| {})),
        ("rename", with("rename", Definition, |_| {})),
        ("grant", with("grant", Definition, |_| {})),
        ("revoke role", with("revoke role", Definition, |_| {})),
        ("create role", with("create role", Definition, |_| {})),
        ("do", with("do", Code, |_| {})),
        ("function call", with("function call", Code, |_| {})),
        ("unparsed", Facts::unparsed()),
    ]
}

fn alice(groups: &[&str]) -> Principal {
    person("corp", "alice", groups)
}

fn person(provider: &str, subject: &str, groups: &[&str]) -> Principal {
    Principal {
        id: PrincipalId {
            provider: ProviderName::new(provider).unwrap(),
            subject: Subject::new(subject).unwrap(),
        },
        kind: PrincipalKind::Human,
        display: subject.into(),
        groups: groups.iter().map(|group| GroupName::new(*group).unwrap()).collect(),
        kin: Kin::default(),
        attributes: BTreeMap::new(),
    }
}

fn db() -> Target {
    Target {
        name: TargetName::new("db").unwrap(),
        description: String::new(),
        labels: BTreeMap::from([("env".into(), "production".into())]),
        owner: None,
        record: RecordLevel::Full,
        kind: TargetKind::Postgres(Box::new(PostgresTarget {
            host: "localhost".into(),
            port: 5432,
            database: "db".into(),
            also_databases: BTreeSet::new(),
            tls: UpstreamTls::Disable,
            issuer: LeaseIssuer::Static { user: "u".into(), password: SecretSource::Env("P".into()) },
            grants: Vec::new(),
            fields: BTreeMap::new(),
            masks: Vec::new(),
            filters: Vec::new(),
            objects: false,
            replication: false,
            detectors: BTreeSet::new(),
            patterns: Vec::new(),
            trusted_functions: BTreeSet::new(),
            max_connections: 1,
        })),
    }
}
