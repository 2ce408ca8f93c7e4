#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

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
    assert_eq!(unknown, [String::new(); 0], "{faults:?}");
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
    line 14: policy.presets `harmless` is not a preset; there are: allow-statements, bulk-export, destructive-sql, read-only
    line 18: target.protocol `mysql` is not supported; this version speaks `postgres`
    line 21: target.tls can be `disable` only for a loopback host; use `verify-full` with root_certificates
    line 25: target.issuer.password is a secret, which never stands in the configuration: name a file, an env or a command
    line 27: target.mask.column a column is written schema.table.column, each part a name or a pattern with *
    line 28: target.mask.mask `token` needs `objects = true`: its key must not stand in SQL text
    line 29: target.mask.lifted_for no provider or workload may assert the group `corp/nobody`
    ");
    assert!(!shown.contains("hunter2"));
}

#[test]
fn a_reload_says_what_it_cannot_change() {
    let old = Config::parse(Config::template(), Path::new("/a")).unwrap();
    let new = Config::parse(Config::template(), Path::new("/b")).unwrap();
    assert_eq!(old.needs_restart(&new), ["broker.data_dir"]);
}
