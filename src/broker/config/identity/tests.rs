#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::Path;

use crate::broker::config::{Config, ConfigError, JwksSource};

fn config(workloads: &str) -> Result<Config, String> {
    let text = format!(
        "[broker]\ndata_dir = \"data\"\nlisten = \"127.0.0.1:7443\"\npublic_url = \"https://broker.example\"\n\
         [policy]\npresets = [\"allow-statements\"]\n{workloads}"
    );
    Config::parse(&text, Path::new("/etc/hoopctl")).map_err(|error| match error {
        ConfigError::Faults(faults) => faults.iter().map(|fault| format!("{fault}\n")).collect(),
        ConfigError::Unreadable { .. } => panic!("nothing is read"),
    })
}

fn rule(issuer: &str, claims: &str) -> Result<Config, String> {
    config(&format!(
        "[[workload]]\nname = \"ci\"\nissuer = \"{issuer}\"\naudience = \"https://broker.example\"\n\
         [[workload.rule]]\nclaims = {{ {claims} }}\ngroups = [\"deploy\"]\n"
    ))
}

#[test]
fn a_rule_for_everybody_on_github_is_refused() {
    let issuer = "https://token.actions.githubusercontent.com";
    for (claims, mine) in [
        (r#"repository = "acme/app""#, true),
        (r#"repository = "acme/*", ref = "refs/heads/main""#, true),
        (r#"repository_owner_id = "65", ref_protected = "true""#, true),
        (r#"repository_id = ["74", "75"]"#, true),
        (r#"sub = "repo:acme/*:environment:production""#, true),
        (r#"sub = "repo:acme@65/app@*:ref:refs/heads/main""#, true),
        (r#"sub = "repository_owner_id:65:*""#, true),
        (r#"repository = "*/app""#, false),
        (r#"repository = ["acme/app", "*/app"]"#, false),
        (r#"repository_owner = "acme*""#, false),
        (r#"repository_id = "7*""#, false),
        (r#"sub = "repo:*/app:ref:refs/heads/main""#, false),
        (r#"sub = "repo:acme*/app:ref:refs/heads/main""#, false),
        (r#"sub = "ref:refs/heads/main""#, false),
        (r#"ref = "refs/heads/main", event_name = "push""#, false),
        (r#"job_workflow_ref = "acme/ci/.github/workflows/x.yml@refs/heads/main""#, false),
        (r#"actor = "octocat""#, false),
    ] {
        let read = rule(issuer, claims);
        assert_eq!(read.is_ok(), mine, "{claims}: {:?}", read.err());
        assert!(
            mine || read.is_err_and(|faults| faults.contains("must say whose jobs are meant")),
            "{claims}"
        );
        // who has an issuer of their own is alone there
        rule("https://token.actions.githubusercontent.com/acme", claims).unwrap();
        rule("https://ghes.example/_services/token", claims).unwrap();
    }
}

#[test]
fn a_rule_for_everybody_on_gitlab_is_refused() {
    for (claims, mine) in [
        (r#"project_path = "acme/app""#, true),
        (r#"namespace_id = "72""#, true),
        (r#"sub = "project_path:acme/*:ref_type:branch:ref:main""#, true),
        (r#"project_path = "*/app""#, false),
        (r#"sub = "project_path:*/app:ref_type:branch:ref:main""#, false),
        (r#"ref = "main", ref_protected = "true""#, false),
    ] {
        assert_eq!(rule("https://gitlab.com", claims).is_ok(), mine, "{claims}");
        rule("https://gitlab.example", claims).unwrap();
    }
}

#[test]
fn a_rule_for_everybody_on_a_platform_with_one_issuer_for_all_is_refused() {
    for (issuer, claims, mine) in [
        ("https://agent.buildkite.com", r#"organization_slug = "acme", pipeline_slug = "deploy""#, true),
        (
            "https://agent.buildkite.com",
            r#"sub = "organization:acme:pipeline:deploy:ref:refs/heads/main:*""#,
            true,
        ),
        ("https://agent.buildkite.com", r#"pipeline_slug = "deploy""#, false),
        ("https://agent.buildkite.com", r#"sub = "organization:acme*:pipeline:deploy:ref:main""#, false),
        ("https://oidc.codefresh.io", r#"account_id = "628a80b693a1""#, true),
        ("https://oidc.codefresh.io", r#"pipeline_name = "shop/deploy""#, false),
        ("https://accounts.google.com", r#"sub = "117""#, true),
        ("https://accounts.google.com/", r#"email = "bot@shop.iam.gserviceaccount.com""#, true),
        ("https://accounts.google.com", r#"email = "bot@*""#, false),
        ("https://accounts.google.com", r#"email_verified = "true""#, false),
        (
            "https://app.terraform.io",
            r#"terraform_organization_id = "org-1", terraform_run_phase = "apply""#,
            true,
        ),
        (
            "https://app.terraform.io",
            r#"sub = "organization:acme:project:*:workspace:prod:run_phase:apply""#,
            true,
        ),
        ("https://app.terraform.io", r#"terraform_workspace_name = "prod""#, false),
        ("https://oidc.vercel.com", r#"owner_id = "team_1", environment = "production""#, true),
        ("https://oidc.vercel.com", r#"project = "shop", environment = "production""#, false),
        // one customer's own
        ("https://oidc.vercel.com/acme", r#"project = "shop""#, true),
        ("https://tfe.example.com", r#"terraform_workspace_name = "prod""#, true),
        ("https://oidc.circleci.com/org/b9b8", r#"vcs_ref = "refs/heads/main""#, true),
    ] {
        let read = rule(issuer, claims);
        assert_eq!(read.is_ok(), mine, "{issuer} {claims}: {:?}", read.err());
    }
}

#[test]
fn claims_are_values_lists_and_patterns_and_nothing_else() {
    let why = |claims: &str| rule("https://ci.example", claims).unwrap_err();
    let faults =
        [r#"a = """#, r#"a = []"#, r#"a = "*""#, r#"a = ["x", "y**"]"#, r#"a = 7"#, r#"a = ["x", 7]"#, ""];
    insta::assert_snapshot!(faults.map(why).concat(), @r"
    line 12: workload.rule.claims.a is empty
    line 12: workload.rule.claims.a names no value
    line 12: workload.rule.claims.a must not be `*` alone: it would say nothing
    line 12: workload.rule.claims.a `y**` has two `*` side by side
    line 12: workload.rule.claims must be a table of strings, or of lists of strings, and is an integer
    line 12: workload.rule.claims must be a table of strings, or of lists of strings, and is an integer
    line 12: workload.rule.claims must name at least one claim: the audience alone says nothing about the job
    ");
    rule("https://ci.example", r#"a = "x", b = ["y", "z-*"], "kubernetes.io" = "c""#).unwrap();
}

#[test]
fn an_issuer_is_trusted_once_and_says_where_its_keys_are() {
    let workload = |name: &str, jwks: &str| {
        format!(
            "[[workload]]\nname = \"{name}\"\nissuer = \"https://ci.example\"\naudience = \"x\"\njwks = \"{jwks}\"\n\
             [workload.client_credentials]\nscopes = [\"a\"]\nresource = \"r\"\n\
             [[workload.rule]]\nclaims = {{ sub = \"x\" }}\n"
        )
    };
    let mut read = config(&workload("ci", "keys.json")).unwrap();
    let ci = read.workloads.remove(0);
    assert_eq!(ci.jwks, Some(JwksSource::File("/etc/hoopctl/keys.json".into())));
    let asked = ci.client_credentials.unwrap();
    assert_eq!((asked.scopes, asked.resource, asked.audience), (vec!["a".into()], Some("r".into()), None));
    let read = config(&workload("ci", "https://ci.example/keys")).unwrap();
    assert!(matches!(&read.workloads[..], [one] if matches!(one.jwks, Some(JwksSource::Url(_)))));
    assert!(config(&workload("ci", "http://ci.example/keys")).unwrap_err().contains("must be https"));
    let twice = config(&format!("{}{}", workload("ci", "a"), workload("cd", "b"))).unwrap_err();
    assert!(twice.contains("is trusted already, as `ci`"), "{twice}");
}
