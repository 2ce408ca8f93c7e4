//! `docs/reference/json.md`: its members from `members.toml`, its examples from what commands print.
//!
//! `HOOPCTL_WRITE_DOCS=1 cargo test --test it -- contract::` writes it anew; without, what it says is compared with
//! what is printed. Examples may have other ids and times, but no other members.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::support::env::{Env, Ran};

/// One kind of object.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    /// The command, with what makes it print another kind of object.
    pub(super) name: String,
    /// One sentence or two.
    about: String,
    /// The command whose members it has, too.
    #[serde(default)]
    like: Option<String>,
    /// Why it is not seen in the story of this page, if it is not.
    #[serde(default)]
    unseen: Option<String>,
    /// Path, type and meaning; a path that ends in `?` is not always there, one in `*` holds what it likes.
    members: Vec<[String; 3]>,
    /// How many of them are its own.
    #[serde(skip)]
    own: usize,
}

#[derive(Debug, Deserialize)]
struct Members {
    object: Vec<Entry>,
}

/// What is promised.
pub(super) fn members() -> Vec<Entry> {
    let mut all: Members = toml::from_str(&read()).expect("TOML");
    let known: BTreeMap<String, Vec<[String; 3]>> =
        all.object.iter().map(|entry| (entry.name.clone(), entry.members.clone())).collect();
    for entry in &mut all.object {
        entry.own = entry.members.len();
        let like = entry.like.as_ref().map(|like| known.get(like).expect("a command"));
        entry.members.extend(like.into_iter().flatten().cloned());
    }
    all.object
}

/// What commands printed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    objects: BTreeMap<String, Vec<Value>>,
}

impl Seen {
    /// Runs a command with JSON, and takes what it prints as what the command prints.
    pub(super) async fn run(&mut self, env: &Env, arguments: &[&str], code: i32) {
        let ran = env.run(&[arguments, &["--output", "json"]].concat()).await.ends(code);
        let known = members();
        let line = arguments.join(" ");
        // the longest name that the line begins with, word by word
        let fits = |name: &&str| {
            let words: Vec<&str> = name.split(' ').collect();
            words.iter().all(|word| arguments.contains(word)) && line.starts_with(words[0])
        };
        let name = known.iter().map(|entry| entry.name.as_str()).filter(fits).max_by_key(|name| name.len());
        let name = name.unwrap_or_else(|| panic!("`{line}` is not in members.toml"));
        self.take(name, &ran);
    }

    /// Takes what was printed.
    #[track_caller]
    pub(super) fn take(&mut self, name: &str, ran: &Ran) {
        assert!(!ran.stdout.is_empty(), "{name} printed nothing: {}", ran.stderr);
        for line in ran.stdout.lines() {
            let value: Value = serde_json::from_str(line)
                .unwrap_or_else(|_| panic!("{name}: this is chatter on standard output: {line}"));
            assert_eq!(value["version"], 1, "{name}: {line}");
            self.objects.entry(name.to_owned()).or_default().push(value);
        }
    }

    /// Takes the error that was told on standard error.
    #[track_caller]
    pub(super) fn take_error(&mut self, ran: &Ran) -> Value {
        let told = ran.stderr.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
        let told = told.unwrap_or_else(|| panic!("no error in JSON: {}", ran.stderr));
        self.objects.entry("an own failure".into()).or_default().push(told.clone());
        told["error"].clone()
    }

    /// The last object of a command.
    pub(super) fn last(&self, name: &str) -> &Value {
        self.objects.get(name).and_then(|all| all.last()).unwrap_or_else(|| panic!("{name} was not run"))
    }

    /// Compares what was seen with what is promised, and the page with both.
    pub(super) fn compare(&self) {
        let known = members();
        let mut wrong = String::new();
        for entry in &known {
            let seen = self.objects.get(&entry.name).map(Vec::as_slice).unwrap_or_default();
            if seen.is_empty() && entry.unseen.is_none() {
                writeln!(wrong, "{}: never seen", entry.name).expect("text");
            }
            seen.iter().for_each(|value| entry.check(value, &mut wrong));
        }
        for name in self.objects.keys().filter(|name| known.iter().all(|entry| entry.name != **name)) {
            writeln!(wrong, "{name}: not in members.toml").expect("text");
        }
        assert!(wrong.is_empty(), "what is printed is not what is promised:\n{wrong}");
        self.compare_page(&known);
    }

    fn compare_page(&self, known: &[Entry]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/json.md");
        let text = std::fs::read_to_string(&path).expect("the page");
        let (head, committed) = text.split_once(MARK).expect("the mark");
        if std::env::var_os("HOOPCTL_WRITE_DOCS").is_some() {
            let sections: String = known.iter().map(|entry| self.section(entry)).collect();
            std::fs::write(&path, format!("{head}{MARK}\n{sections}")).expect("written");
            return;
        }
        for entry in known {
            let table = entry.table();
            assert!(committed.contains(&table), "the page says something else of {}:\n{table}", entry.name);
        }
        let mut wrong = String::new();
        for (name, example) in examples(committed) {
            let entry = known.iter().find(|entry| entry.name == name).expect("no such command");
            entry.check(&example, &mut wrong);
        }
        assert!(wrong.is_empty(), "examples of the page:\n{wrong}");
    }

    fn section(&self, entry: &Entry) -> String {
        let example = self.objects.get(&entry.name).and_then(|all| all.first()).map(|value| {
            format!(
                "\n```json\n{}\n```\n",
                serde_json::to_string_pretty(&shown(value.clone())).expect("JSON")
            )
        });
        format!("\n{}{}", entry.table(), example.unwrap_or_default())
    }
}

impl Entry {
    fn table(&self) -> String {
        let mut text = format!("## `{}`\n\n{}", self.name, self.about);
        if let Some(like) = &self.like {
            let more = if self.own > 0 { ", and:" } else { "." };
            write!(text, " Members of `{like}`{more}").expect("text");
        }
        if let Some(why) = &self.unseen {
            write!(text, " Not compared by the test of this page: {why}.").expect("text");
        }
        text.push('\n');
        if self.own > 0 {
            text.push_str("\n| Member | Type | Means |\n|---|---|---|\n");
        }
        for [path, kind, means] in &self.members[..self.own] {
            let often = if path.ends_with('?') { ", not always there" } else { "" };
            let path = path.trim_end_matches(['?', '*']);
            writeln!(text, "| `{path}` | {kind}{often} | {means} |").expect("text");
        }
        text
    }

    /// Whether an object has the members that are promised, and no other.
    fn check(&self, value: &Value, wrong: &mut String) {
        let mut found = BTreeMap::new();
        self.shape(value, "", &mut found);
        let name = &self.name;
        for (path, kinds) in &found {
            match self.member(path) {
                None => writeln!(wrong, "[{name}] [\"{path}\", \"{}\", \"\"],", join(kinds)),
                Some([_, kind, _]) if !kinds.iter().all(|seen| kind.contains(seen)) => {
                    writeln!(wrong, "[{name}] {path} is {}, not {kind}", join(kinds))
                }
                Some(_) => Ok(()),
            }
            .expect("text");
        }
        let needed = self.members.iter().map(|[path, _, _]| path.as_str());
        let needed = needed
            .filter(|path| !path.ends_with('?') && !path.contains("[]") && !is_below_optional(self, path));
        for path in needed.map(|path| path.trim_end_matches('*')).filter(|path| !found.contains_key(*path)) {
            writeln!(wrong, "[{name}] {path} is not there").expect("text");
        }
    }

    fn member(&self, path: &str) -> Option<&[String; 3]> {
        self.members.iter().find(|[known, _, _]| known.trim_end_matches(['?', '*']) == path)
    }

    /// Every path of a value with the types that it has.
    fn shape(&self, value: &Value, path: &str, found: &mut BTreeMap<String, BTreeSet<&'static str>>) {
        if !path.is_empty() && path != "version" {
            found.entry(path.to_owned()).or_default().insert(kind(value));
        }
        let is_free = self
            .members
            .iter()
            .any(|[known, _, _]| known.contains('*') && known.trim_end_matches(['?', '*']) == path);
        match value {
            _ if is_free => {}
            Value::Object(members) => {
                for (name, value) in members {
                    let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.shape(value, &below, found);
                }
            }
            Value::Array(items) => {
                for item in items.iter().filter(|item| item.is_object()) {
                    self.shape(item, &format!("{path}[]"), found);
                }
                found.remove(&format!("{path}[]"));
            }
            _ => {}
        }
    }
}

fn is_below_optional(entry: &Entry, path: &str) -> bool {
    let optional = entry.members.iter().filter_map(|[known, _, _]| known.strip_suffix('?'));
    optional.map(|known| known.trim_end_matches('*')).any(|known| path.starts_with(&format!("{known}.")))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn join(kinds: &BTreeSet<&'static str>) -> String {
    kinds.iter().copied().collect::<Vec<_>>().join(" or ")
}

/// The examples of the page, with the commands that they belong to.
fn examples(page: &str) -> Vec<(String, Value)> {
    let sections = page.split("\n## `").skip(1);
    let example = |section: &str| {
        let (name, rest) = section.split_once('`')?;
        let (_, rest) = rest.split_once("```json\n")?;
        let (json, _) = rest.split_once("\n```")?;
        Some((name.to_owned(), serde_json::from_str(json).expect("an example is JSON")))
    };
    sections.filter_map(example).collect()
}

/// An example without what is only of the machine that it was made on.
fn shown(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(&text)),
        Value::Array(items) => Value::Array(items.into_iter().take(2).map(shown).collect()),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name.clone(), told(&name, shown(value)))).collect()
        }
        other => other,
    }
}

fn told(name: &str, value: Value) -> Value {
    match (name, &value) {
        ("client_host" | "host", Value::String(_)) => "laptop".into(),
        // nothing that looks like a secret, even of a session that is over
        ("proof", Value::String(_)) => "eyJ0eXAi…".into(),
        ("url", Value::String(text)) if text.starts_with("postgres") => {
            "postgresql://alice:…@127.0.0.1:7443/postgres".into()
        }
        ("client_address" | "address", Value::String(_)) => "192.0.2.7:50112".into(),
        _ => value,
    }
}

/// Folders of the test become a user's.
fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for (marker, instead) in [("/hoopctl-it-", "/home/alice"), ("/hoopctl-broker-", "/srv/hoopctl")] {
        while let Some(at) = text.find(marker) {
            let from =
                text[..at].rfind(|c: char| c.is_whitespace() || "\"=`'".contains(c)).map_or(0, |at| at + 1);
            let rest = at + marker.len();
            let to =
                text[rest..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(text.len(), |to| rest + to);
            text.replace_range(from..to, instead);
        }
    }
    while let Some(at) = text.find("127.0.0.1:").filter(|at| !text[at + 10..].starts_with("7443")) {
        let rest = at + "127.0.0.1:".len();
        let to = text[rest..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |to| rest + to);
        text.replace_range(at..to, "127.0.0.1:7443");
    }
    text
}

const MARK: &str = "<!-- What follows is written by a test from what commands print. -->";

fn read() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/contract/members.toml");
    std::fs::read_to_string(path).expect("the members")
}
