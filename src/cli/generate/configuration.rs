//! The reference of the configuration, from the table of keys that its reader consults.

use std::fmt::Write as _;

use crate::broker::config::keys::{Form, Key, Otherwise, SECRET, TABLES, Table};

/// The page, as Markdown.
pub(super) fn page() -> String {
    let mut page = String::from(HEAD);
    for table in TABLES {
        // writing to a string cannot fail
        let _infallible = write!(page, "\n## {}\n\n{}\n\n", heading(table), table.about);
        page.push_str("| Key | Value | Without it | Means | Example |\n|---|---|---|---|---|\n");
        for key in table.keys {
            page.push_str(&row(key));
        }
    }
    page
}

fn heading(table: &Table) -> String {
    let of = match table.of.split_once('/') {
        _ if table.of.is_empty() => String::new(),
        Some((protocol, kind)) => format!(", {protocol}: `{kind}`"),
        None => format!(", {}", table.of),
    };
    match table.path {
        "" => "The file".to_owned(),
        SECRET => "Secrets".to_owned(),
        path if is_list(path) => format!("`[[{path}]]`{of}"),
        path => format!("`[{path}]`{of}"),
    }
}

/// Whether a table may stand there several times.
fn is_list(path: &str) -> bool {
    let (above, name) = path.rsplit_once('.').unwrap_or(("", path));
    let tables = TABLES.iter().filter(|table| table.path == above);
    tables.flat_map(|table| table.keys).any(|key| key.name == name && key.form == Form::Tables)
}

fn row(key: &Key) -> String {
    let form = match key.form {
        Form::Choices => "table of strings or lists",
        Form::Duration => "duration",
        Form::Flag => "true or false",
        Form::Number => "number",
        Form::Pairs => "table of strings",
        Form::Secret => "[secret](#secrets)",
        Form::Table => "table",
        Form::Tables => "tables",
        Form::Text => "string",
        Form::Texts => "list of strings",
    };
    let otherwise = match key.otherwise {
        Otherwise::Absent => String::new(),
        Otherwise::Is(value) => code(value),
        Otherwise::Needed => "refused".to_owned(),
    };
    format!("| `{}` | {form} | {otherwise} | {} | {} |\n", key.name, key.text, code(key.example))
}

fn code(toml: &str) -> String {
    if toml.is_empty() { String::new() } else { format!("`{}`", toml.replace('\'', "\"")) }
}

const HEAD: &str = "# Configuration

<!-- made by `cargo gen` from src/broker/config/keys.rs -->

Every key of `broker.toml`. `hoopctl broker init` writes a file with the most common ones, `hoopctl broker check` lists
every problem of one at once, with lines. A key that is not here is refused, with the nearest that is. Durations are
written `90s`, `10m`, `8h`, `1h 30m`; 30 days are the most.
";
