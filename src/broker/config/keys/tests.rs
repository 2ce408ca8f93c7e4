#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::Path;

use toml::{Table as Toml, Value};

use super::{Form, Key, Otherwise, SECRET, TABLES, Table};
use crate::broker::config::{Config, ConfigError};
use crate::ledger::cosignature::Cosigner;

/// With its example each key is read, where it stands in the table; and what the table says counts without it does.
#[test]
fn every_key_is_read_and_its_default_is_true() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.cedar"), "").unwrap();
    let document = r#"{"openapi": "3.1.0", "info": {"title": "a", "version": "1"}, "paths": {}}"#;
    std::fs::write(folder.path().join("billing.json"), document).unwrap();
    for table in TABLES.iter().filter(|table| table.path != SECRET) {
        let plain = settings(&whole(table, None, None), folder.path(), table, "");
        for key in table.keys {
            let with = whole(table, Some(key), None);
            settings(&with, folder.path(), table, key.name);
            if let Otherwise::Is(value) = key.otherwise
                && !matches!(key.form, Form::Tables)
                && companion(table, key).is_none()
            {
                let said = settings(&whole(table, Some(key), Some(value)), folder.path(), table, key.name);
                assert_eq!(
                    said, plain,
                    "[{}] {}: {value} is not what counts without it",
                    table.path, key.name
                );
            }
        }
    }
}

/// Each way to say where a secret is.
#[test]
fn every_key_of_a_secret_is_read() {
    let secret = TABLES.iter().find(|table| table.path == SECRET).unwrap();
    let webhook = TABLES.iter().find(|table| table.path == "webhook").unwrap();
    for key in secret.keys {
        let mut root = whole(webhook, None, None);
        let source = toml(&format!("{} = {}", key.name, key.example));
        let Some(Value::Array(webhooks)) = root.get_mut("webhook") else { panic!("no webhook") };
        webhooks.first_mut().unwrap().as_table_mut().unwrap().insert("secret".into(), source.into());
        settings(&root, Path::new("/nonexistent"), webhook, key.name);
    }
}

#[test]
fn no_key_stands_there_twice() {
    for (number, table) in TABLES.iter().enumerate() {
        let known = |path: &Table, name: &str| path.keys.iter().filter(|key| key.name == name).count();
        for key in table.keys {
            assert_eq!(known(table, key.name), 1, "[{}] {}", table.path, key.name);
            let shared =
                TABLES.iter().take(number).filter(|other| other.path == table.path && other.of.is_empty());
            assert!(
                shared.map(|other| known(other, key.name)).sum::<usize>() == 0,
                "[{}] {}",
                table.path,
                key.name
            );
        }
    }
}

/// What a configuration comes to, without its compiled policy.
fn settings(root: &Toml, base: &Path, table: &Table, key: &str) -> String {
    let text = toml::to_string(root).unwrap();
    let config = match Config::parse(&text, base) {
        Ok(config) => config,
        Err(ConfigError::Faults(faults)) => panic!("[{}] {} {key}: {faults:?}\n{text}", table.path, table.of),
        Err(error) => panic!("{error}"),
    };
    let Config { data_dir, listen, public_url, tls, metrics_listen, trusted_proxies, .. } = &config;
    let Config { strangers_per_address, session_max, login_idle, drain, strict_ledger, .. } = &config;
    let Config { providers, workloads, targets, reviews, webhooks, witnesses, ledger_keys, .. } = &config;
    format!(
        "{:?}",
        (
            (data_dir, listen, public_url, tls, metrics_listen, trusted_proxies),
            (strangers_per_address, session_max, login_idle, drain, strict_ledger),
            (providers, workloads, targets, reviews, webhooks, witnesses, ledger_keys),
        )
    )
}

/// The smallest configuration with this table, and with one key of it more.
fn whole(table: &Table, key: Option<&Key>, value: Option<&str>) -> Toml {
    let (protocol, kind) = table.of.split_once('/').unwrap_or((table.of, ""));
    let protocol = if protocol.is_empty() { "postgres" } else { protocol };
    let kind = if kind.is_empty() { first_kind(protocol) } else { kind };
    let more = More { table, key, value, protocol, kind };
    let mut root = more.fill("");
    let Some(Value::Table(policy)) = root.get_mut("policy") else { panic!("no policy") };
    policy.entry("presets").or_insert_with(|| vec!["allow-statements".to_owned()].into());
    if table.path == "ledger" {
        let witness = |name: &str, key: &str| {
            toml(&format!("name = '{name}'\nkey = '{key}'\nurl = 'https://witness.example.com'"))
        };
        let key = |number| Cosigner::new("w", &[number; 32]).unwrap().public().to_string();
        let both = vec![Value::Table(witness("a", &key(1))), Value::Table(witness("b", &key(2)))];
        root.insert("witness".into(), both.into());
    }
    if let Some(Value::Table(ledger)) = root.get_mut("ledger") {
        place_keys(ledger);
    }
    let provider = root.entry("provider").or_insert_with(|| vec![Value::Table(more.fill("provider"))].into());
    let provider = provider.as_array_mut().unwrap().first_mut().unwrap().as_table_mut().unwrap();
    // others speak of it
    if table.path != "provider" {
        provider.entry("groups").or_insert_with(|| vec!["dba".to_owned()].into());
        provider.entry("attributes").or_insert_with(|| toml("project = 'team_project'").into());
    }
    root
}

/// A key of the ledger is in one place, and a command comes with the key that its answers are checked with.
fn place_keys(ledger: &mut Toml) {
    if ledger.contains_key("previous_key") {
        ledger.entry("key").or_insert_with(|| toml("file = 'new.key'").into());
    }
    for name in ["key", "previous_key"] {
        let Some(Value::Table(place)) = ledger.get_mut(name) else { continue };
        if place.contains_key("command") || place.contains_key("public") {
            place.entry("command").or_insert_with(|| vec!["sign".to_owned()].into());
            let public = crate::ledger::note::Signer::new("log", &[1; 32]).unwrap().verifier().to_string();
            place.entry("public").or_insert_with(|| public.into());
        } else if place.is_empty() {
            place.insert("file".into(), format!("{name}.key").into());
        }
    }
}

struct More<'a> {
    table: &'a Table,
    key: Option<&'a Key>,
    value: Option<&'a str>,
    protocol: &'a str,
    kind: &'a str,
}

impl More<'_> {
    /// A table with all that it needs, and what leads to the key in question.
    fn fill(&self, path: &str) -> Toml {
        let of = [String::new(), self.protocol.to_owned(), format!("{}/{}", self.protocol, self.kind)];
        let mut filled = Toml::new();
        for table in TABLES.iter().filter(|table| table.path == path && of.contains(&table.of.to_owned())) {
            for key in table.keys {
                let below =
                    if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
                let leads = self.table.path == below || self.table.path.starts_with(&format!("{below}."));
                let asked =
                    std::ptr::eq(table, self.table) && self.key.is_some_and(|other| other.name == key.name);
                if !(leads || asked || key.otherwise == Otherwise::Needed) {
                    continue;
                }
                let example = match (key.name, path) {
                    ("protocol", "target") => self.protocol.into(),
                    _ if key.form == Form::Table => Value::Table(self.fill(&below)),
                    _ if key.form == Form::Tables => vec![Value::Table(self.fill(&below))].into(),
                    _ => value(self.value.filter(|_| asked).unwrap_or(key.example)),
                };
                filled.insert(key.name.to_owned(), example);
            }
            if std::ptr::eq(table, self.table)
                && let Some(other) = self.key.and_then(|key| companion(table, key))
            {
                filled.extend(toml(other));
            }
        }
        filled
    }
}

/// What some keys have no use without.
fn companion(table: &Table, key: &Key) -> Option<&'static str> {
    match (table.path, table.of, key.name) {
        ("target.mask", _, "keep_last") => Some("mask = 'partial'"),
        ("provider", _, "groups_required") => Some("groups = ['dba']"),
        ("target", "http", "items") => Some("max_items = 1000"),
        _ => None,
    }
}

fn first_kind(protocol: &str) -> &'static str {
    let kind = TABLES.iter().find_map(|table| {
        let (of, kind) = table.of.split_once('/')?;
        (of == protocol && table.path == "target.issuer").then_some(kind)
    });
    kind.unwrap_or_default()
}

fn toml(text: &str) -> Toml {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn value(text: &str) -> Value {
    toml(&format!("value = {text}")).remove("value").unwrap()
}
