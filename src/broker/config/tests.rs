#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::path::Path;

use super::*;

#[test]
fn the_template_is_a_configuration() {
    let config = Config::parse(Config::template(), Path::new("/etc/hoopctl")).unwrap();
    assert_eq!(config.data_dir, Path::new("/etc/hoopctl/data"));
    assert_eq!(config.session_max, Duration::from_secs(8 * 3600));
    assert_eq!(config.targets.len(), 1);
}

/// Somebody who uncomments a line of the template gets a key that exists.
#[test]
fn every_commented_key_of_the_template_is_known() {
    let uncommented: String = Config::template()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            // the second [target.issuer] replaces the first
            Some(rest) if rest.starts_with("kind = \"static\"") || rest.starts_with("user =") => {
                String::new()
            }
            Some(rest) if rest.starts_with("password =") || rest.starts_with("[target.issuer]") => {
                String::new()
            }
            Some(rest) if rest.contains(" = ") || rest.starts_with('[') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let Err(ConfigError::Faults(faults)) = Config::parse(&uncommented, Path::new("/nonexistent")) else {
        panic!("policy.cedar is not there");
    };
    let unknown: Vec<String> =
        faults.iter().map(ToString::to_string).filter(|fault| fault.contains("not a key")).collect();
    assert!(unknown.is_empty(), "{faults:?}");
}

#[test]
fn all_problems_are_listed_at_once_with_their_lines() {
    let text = r#"
[broker]
data_dir = ""
listen = "everywhere"
public_url = "http://broker.example"
sesion_max = "8h"

[[provider]]
name = "Corp"
issuer = "http://login.example.com"
groups = ["dba"]

[policy]
presets = ["harmless"]

[[target]]
name = "db"
protocol = "mysql"
host = "db.example"
database = "traces"
tls = "disable"
[target.issuer]
kind = "static"
user = "reader"
password = "hunter2"
[[target.mask]]
column = "api_key"
mask = "token"
lifted_for = ["corp/nobody"]
"#;
    let Err(ConfigError::Faults(faults)) = Config::parse(text, Path::new("/nonexistent")) else {
        panic!("it is thoroughly broken");
    };
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let shown = shown.join("\n");
    insta::assert_snapshot!(shown, @r"
    line 3: broker.data_dir is empty
    line 4: broker.listen must be ADDRESS:PORT, as 127.0.0.1:7443
    line 5: broker.public_url must be https; plain http is for loopback hosts only
    line 6: broker.sesion_max is not a key here; did you mean `session_max`?
    line 8: provider.client_id is missing
    line 9: provider.name `Corp` is not a provider name: 1 to 63 of a-z, 0-9 and -, starting with a letter
    line 10: provider.issuer must be https; plain http is for loopback hosts only
    line 14: policy.presets `harmless` is not a preset; there are: allow-statements, aws-bulk, aws-read-only, bulk-export, bulk-read, dangerous-shell, destructive-sql, high-risk-fields, read-only, single-trace
    line 18: target.protocol `mysql` is not supported; this version speaks `postgres`, `ssh`, `http` and `aws`
    line 21: target.tls can be `disable` only for a loopback host; use `verify-full` with root_certificates
    line 25: target.issuer.password is a secret, which never stands in the configuration: name a file, an env or a command
    line 27: target.mask.column a column is written schema.table.column, each part a name or a pattern with *
    line 28: target.mask.mask `token` needs `objects = true`: its key must not stand in SQL text
    line 29: target.mask.lifted_for no provider or workload may assert the group `corp/nobody`
    ");
    assert!(!shown.contains("hunter2"));
}

#[test]
fn what_is_wrong_with_an_account_is_told_at_once() {
    let account = r#"
[[target]]
name = "aws-prod"
protocol = "aws"
access = "credentials"
region = "Frankfurt!"
role = "reader"
valid = "5m"
revoke = "inline-deny"
services = ["s3"]
endpoints = { s3 = "http://s3.example.com" }
[target.issuer]
kind = "web-identity"
[[target.permission]]
actions = ["GetObject"]
resources = ["arn:aws:s3:::${aws:username}/*"]
groups = ["corp/nobody"]
[[target.permission]]
actions = ["s3:GetObject"]
[[target.mask]]
path = "$..api_key"
mask = "full"
"#;
    let Err(ConfigError::Faults(faults)) =
        Config::parse(&(Config::template().to_owned() + account), Path::new("/nonexistent"))
    else {
        panic!("it is thoroughly broken");
    };
    let shown: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.key, fault.message)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    target.region must be the name of a region, as eu-central-1
    target.role must be the ARN of a role, as arn:aws:iam::123456789012:role/traces-reader
    target.valid must be from 15m to 12h: STS gives no others
    target.revoke inline-deny is for the issuer `assume-role`: a web identity may not write the role's policies
    target.services has no use with access = "credentials", whose calls are not seen
    target.endpoints `s3` must be an https URL, or http on this machine
    target.permission.actions must be an action as IAM names it, as s3:GetObject or s3:List*
    target.permission.resources must be an ARN, as arn:aws:s3:::traces/*, without policy variables
    target.permission.groups no provider or workload may assert the group `corp/nobody`
    target.permission.resources is missing: ARNs, ["arn:aws:s3:::traces/*"]
    target.mask has no use with access = "credentials", whose calls are not seen
    "#);
}

#[test]
fn a_reload_says_what_it_cannot_change() {
    let old = Config::parse(Config::template(), Path::new("/a")).unwrap();
    let new = Config::parse(Config::template(), Path::new("/b")).unwrap();
    assert_eq!(old.needs_restart(&new), ["broker.data_dir"]);
}

#[test]
fn what_stands_in_the_way_of_safety_is_refused() {
    let text = r#"
[broker]
data_dir = "data"
listen = "127.0.0.1:7443"
public_url = "https://broker.example/prefix"
session_max = "9999h"
trusted_proxies = ["10.0.0.0/33"]

[[provider]]
name = "corp"
issuer = "https://login.example.com"
client_id = "hoopctl"
client_secret = "hunter2"
groups = ["dba"]

[[provider]]
name = "corp"
issuer = "https://login.example.com"
client_id = "hoopctl"

[[workload]]
name = "corp"
issuer = "ftp://ci.example.com"
audience = "x"
[[workload.rule]]
groups = ["deploy"]

[policy]
presets = ["allow-statements"]
files = ["strangers.cedar"]

[[target]]
name = "Bad Name"
protocol = "postgres"
host = "/var/run/postgresql"
database = "db"
labels = { "a=b" = "c" }
trusted_functions = ["now"]
[target.issuer]
kind = "postgres-role"
admin = "root"
admin_password = { env = "A", file = "b" }

[[target]]
name = "db"
protocol = "postgres"
host = "db.example"
database = "db"
objects = true
replication = true
[target.issuer]
kind = "static"
user = "u"
password = { command = ["get"] }
[[target.grant]]
privileges = ["select", "ALL"]
on = "public"
[[target.mask]]
name = "twice"
column = "public.t.a"
mask = "full"
[[target.mask]]
name = "twice"
column = "public.t.b"
mask = "null"
keep_last = 2

[[target]]
name = "db"
protocol = "postgres"
host = "localhost"
port = 70000
database = "db"
tls = "disable"
root_certificates = "root.pem"
[target.issuer]
kind = "postgres-role"
admin = "root"
admin_password = { env = "A" }
rotate_admin = "24h"
"#;
    let folder = tempfile::tempdir().unwrap();
    let policy = r#"
@id("typo")
forbid (principal in Hoop::Group::"corp/dab", action, resource);
@id("strangers")
forbid (principal == Hoop::Human::"crop:alice", action, resource == Hoop::Target::"bd");
"#;
    std::fs::write(folder.path().join("strangers.cedar"), policy).unwrap();
    let Err(ConfigError::Faults(faults)) = Config::parse(text, folder.path()) else {
        panic!("it is thoroughly broken");
    };
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let shown = shown.join("\n");
    assert!(!shown.contains("hunter2"));
    insta::assert_snapshot!(shown, @r##"
    line 5: broker.public_url must be scheme, host and port only
    line 6: broker.session_max must be longer than nothing and at most 720h
    line 7: broker.trusted_proxies is not a network: write 10.0.0.0/8 or an address
    line 13: provider.client_secret is not a key here; known: attributes, client_id, groups, groups_claim, groups_required, issuer, name, scopes
    line 17: provider.name `corp` is used for two providers
    line 22: workload.name `corp` is used already
    line 23: workload.issuer must be https, not ftp
    line 25: workload.rule.claims must name at least one claim: the audience alone says nothing about the job
    line 28: policy strangers.cedar:2: no provider or workload may assert the group `corp/dab`
    line 28: policy strangers.cedar:4: there is no target `bd`
    line 28: policy strangers.cedar:4: no provider or workload signs in the principal (they are written PROVIDER:SUBJECT) `crop:alice`
    line 33: target.name `Bad Name` is not a target name: 1 to 63 of a-z, 0-9 and -, starting with a letter
    line 35: target.host must be a host name or an address; Unix sockets are not supported
    line 37: target.labels `a=b` is not a key: policies see a label as key=value
    line 38: target.trusted_functions is written schema.function
    line 42: target.issuer.admin_password must name exactly one of file, env and command
    line 49: target.objects needs the issuer `postgres-role`, whose administrator makes them
    line 50: target.replication cannot be allowed on a target with masks: it would carry them in the clear
    line 56: target.grant.privileges a privilege is SELECT, INSERT, UPDATE or DELETE
    line 57: target.grant.on is written schema.table, each a name or a pattern with *
    line 58: target.mask `twice` is the name of two masks
    line 66: target.mask.keep_last belongs to the mask `partial` only
    line 69: target.name `db` is used for two targets
    line 72: target.port must be from 1 to 65535
    line 75: target.root_certificates has no use with tls = "disable"; remove one of the two
    line 80: target.issuer.rotate_admin needs an admin_password from a file, which can be written
    "##);
}

const FILTERED: &str = r#"
[broker]
data_dir = "data"
listen = "127.0.0.1:7443"
public_url = "https://broker.example:7443"
[[provider]]
name = "corp"
issuer = "https://login.example.com"
client_id = "hoopctl"
groups = ["dba", "eu"]
attributes = { project = "https://example.com/team_project" }
[policy]
presets = ["allow-statements"]
[[target]]
name = "db"
protocol = "postgres"
host = "db.internal"
database = "app"
[target.issuer]
kind = "static"
user = "reader"
password = { env = "A" }
[[target.filter]]
name = "own-project"
table = "public.reasoning_traces"
where = "project = principal.project AND owner = principal.email"
lifted_for = ["corp/dba"]
[[target.filter]]
table = "public.*"
where = "region = 'eu'"
for = ["corp/eu"]
"#;

#[test]
fn row_filters_are_read_with_the_claims_that_they_name() {
    let config = Config::parse(FILTERED, Path::new("/etc/hoopctl")).unwrap();
    assert_eq!(config.providers[0].attributes["project"], "https://example.com/team_project");
    let postgres = config.targets.values().next().unwrap().kind.postgres().unwrap();
    let [own, eu] = postgres.filters.as_slice() else { panic!("{:?}", postgres.filters) };
    assert_eq!(own.claims.iter().collect::<Vec<_>>(), ["email", "project"]);
    assert_eq!((own.name.as_str(), own.lifted_for.len(), own.only_for.len()), ("own-project", 1, 0));
    assert_eq!((eu.name.as_str(), eu.lifted_for.len(), eu.only_for.len()), ("filter.2", 0, 1));
}

#[test]
fn a_filter_that_cannot_be_kept_is_refused() {
    let spoilt = FILTERED
        .replace("database = \"app\"", "database = \"app\"\nreplication = true")
        .replace(
            "attributes = { project =",
            "attributes = { Team = \"a\", email = \"mail\", team = \"\", project =",
        )
        .replace("owner = principal.email", "owner = principal.owner")
        .replace("table = \"public.*\"", "table = \"traces\"")
        .replace("\"corp/eu\"]", "\"corp/eu\", \"corp/us\"]\nlifted_for = [\"corp/dba\"]")
        + "[[target.filter]]\nname = \"own-project\"\ntable = \"public.t\"\nwhere = \"a = (\"\nfor = []\n";
    let Err(ConfigError::Faults(faults)) = Config::parse(&spoilt, Path::new("/etc/hoopctl")) else {
        panic!("it is thoroughly broken");
    };
    let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in [
        "provider.attributes `Team` is not a name for a filter",
        "provider.attributes `email` is carried by every login",
        "provider.attributes `team` names no claim",
        "target.filter.where names principal.owner, which no login carries: declare it",
        "target.filter.table a table is written schema.table",
        "target.filter.for no provider or workload may assert the group `corp/us`",
        "target.filter.lifted_for does not go with `for`",
        "target.filter.for names no group",
        "target.filter.where the predicate",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let twice =
        format!("{FILTERED}[[target.filter]]\nname = \"own-project\"\ntable = \"a.b\"\nwhere = \"true\"\n")
            .replace("database = \"app\"", "database = \"app\"\nreplication = true");
    let Err(ConfigError::Faults(faults)) = Config::parse(&twice, Path::new("/etc/hoopctl")) else {
        panic!("it is broken");
    };
    let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(told.contains("`own-project` is the name of two filters"), "{told}");
    assert!(told.contains("target.replication cannot be allowed on a target with row filters"), "{told}");
}

#[test]
fn the_examples_are_configurations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let result = Config::load(&path);
            assert!(result.is_ok(), "{}: {result:?}", path.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}

#[test]
fn secrets_never_show() {
    let config = Config::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/laptop.toml")).unwrap();
    let shown = format!("{config:?}");
    // only where a secret comes from is kept
    assert!(shown.contains(r#"Env("DB_PASSWORD")"#), "{shown}");
}

/// A rule that asks somebody who cannot answer, an owner who does not exist, and so on: all at once.
#[test]
fn reviews_that_nobody_can_give_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let policy = r#"
        @id("connect") @review("corp/ghosts:1, owner:1")
        permit(principal, action == Hoop::Action::"connect", resource);
    "#;
    std::fs::write(folder.path().join("policy.cedar"), policy).unwrap();
    let text = Config::template()
        .replace("# files = [\"policy.cedar\"]", "files = [\"policy.cedar\"]")
        .replace("# [reviews] ", "[reviews] ")
        .replace("# grant_max = \"8h\"", "grant_max = \"8 hours or so\"")
        .replace("# owners = { traces = \"corp/dba\" }", "owners = { traces = \"corp/nobody\" }");
    let Err(ConfigError::Faults(faults)) = Config::parse(&text, folder.path()) else {
        panic!("it is broken")
    };
    let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in [
        "reviews.grant_max is not a duration",
        "reviews.owners `traces`: no provider or workload may assert the group `corp/nobody`",
        "the rule connect asks for reviews of the group `corp/ghosts`",
        "the rule connect asks the owner of the target `db`, which has none",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let owned = Config::template()
        .replace("# files = [\"policy.cedar\"]", "files = [\"policy.cedar\"]")
        .replace("# [reviews] ", "[reviews] ")
        .replace("# owners = ", "owners = ")
        .replace("# labels = { env = \"production\" }", "labels = { project = \"traces\" }");
    std::fs::write(folder.path().join("policy.cedar"), policy.replace("corp/ghosts:1, ", "")).unwrap();
    let config = Config::parse(&owned, folder.path()).unwrap();
    let owner = config.targets.values().next().unwrap().owner.as_ref().map(ToString::to_string);
    assert_eq!(owner.as_deref(), Some("corp/dba"));
}

#[test]
fn an_api_is_read_with_all_that_belongs_to_it() {
    let config = Config::parse(API, Path::new("/etc/hoopctl")).unwrap();
    let target = config.targets.values().next().unwrap();
    let crate::domain::target::TargetKind::Http(api) = &target.kind else { panic!("{target:?}") };
    assert_eq!(api.base.as_str(), "https://api.example/v1");
    assert_eq!(api.masks.len(), 2);
    assert_eq!(api.pages["limit"].default, Some(50));
    assert_eq!((api.max_response, api.max_connections), (Some(1_000_000), 100));
    assert_eq!((api.max_items, api.items.as_deref()), (Some(1000), Some("$.data[*]")));
    assert!(matches!(api.issuer, crate::domain::target::HttpIssuer::Jwt { seconds: 300, .. }));
}

#[test]
fn every_problem_of_an_api_is_told() {
    let spoilt = API
        .replace("https://api.example/v1", "http://user:pw@api.example/v1?a=b")
        .replace("\"$..api_key\"", "\"$[?@.a]\"")
        .replace("\"email\"", "\"smell\"")
        .replace("\"/graphql\"", "\"graphql\"")
        .replace("kind = \"jwt\"", "kind = \"header\"\nname = \"Host\"\nsecret = \"plain\"")
        .replace("audience = \"api\"", "");
    let Err(ConfigError::Faults(faults)) = Config::parse(&spoilt, Path::new("/etc/hoopctl")) else {
        panic!("it is thoroughly broken");
    };
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    for key in [
        "target.base",
        "target.detectors",
        "target.graphql",
        "target.mask.path",
        "target.issuer.name",
        "target.issuer.secret",
    ] {
        assert!(keys.contains(&key), "{key}: {faults:?}");
    }
    assert!(faults.iter().all(|fault| fault.line > 10), "{faults:?}");
}

const API: &str = r#"
[broker]
data_dir = "data"
listen = "127.0.0.1:7443"
public_url = "https://broker.example:7443"
[[provider]]
name = "corp"
issuer = "https://login.example.com"
client_id = "hoopctl"
groups = ["dba"]
[policy]
presets = ["bulk-read"]
[[target]]
name = "api"
protocol = "http"
owner = "corp/dba"
base = "https://api.example/v1"
detectors = ["email"]
graphql = "/graphql"
max_response = 1000000
max_items = 1000
items = "$.data[*]"
[target.issuer]
kind = "jwt"
audience = "api"
[[target.page]]
parameter = "limit"
default = 50
[[target.mask]]
path = "$..api_key"
mask = "full"
[[target.mask]]
path = "$.customer_id"
mask = "token"
lifted_for = ["corp/dba"]
"#;

/// A pattern that cannot be used is told with its line, whatever the protocol; one that can be is a detector.
#[test]
fn own_patterns_are_detectors_of_their_target() {
    let with = |pattern: &str, named: &str| {
        let own =
            format!("[[target.pattern]]\nname = \"{named}\"\npattern = '{pattern}'\ncheck = \"luhn\"\n");
        API.replace("[\"email\"]", "[\"email\", \"customer-id\"]") + &own
    };
    let config = Config::parse(&with(r"\bC-[0-9]{6}\b", "customer-id"), Path::new("/etc/hoopctl")).unwrap();
    let target = config.targets.values().next().unwrap();
    let crate::domain::target::TargetKind::Http(api) = &target.kind else { panic!("{target:?}") };
    assert_eq!(api.patterns.len(), 1);
    assert_eq!(api.patterns[0].check, crate::domain::target::PatternCheck::Luhn);
    for (pattern, named, key, says) in [
        ("C-[0-9]+", "customer-id", "target.pattern.pattern", "{1,64}"),
        ("C-[", "customer-id", "target.pattern.pattern", "regular expression"),
        ("C-[0-9]{6}", "email", "target.pattern.name", "comes with hoopctl"),
        ("C-[0-9]{6}", "other", "target.detectors", "`customer-id` is no detector"),
    ] {
        let text = with(pattern, named);
        let Err(ConfigError::Faults(faults)) = Config::parse(&text, Path::new("/etc/hoopctl")) else {
            panic!("{pattern} is taken");
        };
        let fault = faults.iter().find(|fault| fault.key == key).unwrap_or_else(|| panic!("{faults:?}"));
        assert!(fault.message.contains(says), "{fault}");
        let line = text.lines().nth(fault.line - 1).unwrap();
        assert!(line.starts_with(key.rsplit('.').next().unwrap()), "{fault} is not {line}");
    }
}

/// Nobody is told when tokens that were to be denied by their tag have none.
#[test]
fn a_denial_by_tags_that_an_sts_may_forget_is_warned_of() {
    let warnings = |sts: &str, more: &str, tags: &str| {
        let target = format!(
            "[[target]]\nname = \"bucket\"\nprotocol = \"aws\"\naccess = \"credentials\"\nregion = \"eu-central-1\"\n\
             role = \"arn:aws:iam::123456789012:role/r\"\nendpoints = {{ sts = \"{sts}\" }}\n{more}\n\
             [target.issuer]\nkind = \"assume-role\"\n{tags}\n"
        );
        let text = format!("{}\n{target}", Config::template());
        Config::parse(&text, Path::new("/etc/hoopctl")).unwrap().warnings().join("; ")
    };
    let (ceph, aws) = ("https://ceph.internal", "https://sts.eu-central-1.amazonaws.com");
    let deny = "revoke = \"inline-deny\"";
    let warned = warnings(ceph, deny, "");
    assert!(warned.contains("target `bucket`") && warned.contains("tags = false"), "{warned}");
    assert_eq!(warnings(ceph, deny, "tags = false"), "");
    assert_eq!(warnings(ceph, "", ""), "");
    assert_eq!(warnings(aws, deny, ""), "");
}
