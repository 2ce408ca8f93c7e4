//! The dependency law (ARCHITECTURE.md): a module names lower floors only.
//!
//! One crate has no walls between its modules, so this reads the sources. It reads text, not
//! syntax; what it cannot see is forbidden as well (`super::super::`).

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::files_below;

/// Floor by floor, lowest first.
const FLOORS: &[&[&str]] = &[
    &["domain"],
    &["wire", "sql", "shell", "mask", "ledger", "recording"],
    &["gateway"],
    &["broker"],
    &["client"],
    &["cli"],
];

/// Client and broker share wire types, and nothing else.
const STRANGERS: &[(&str, &str)] = &[("client", "broker")];

/// Below the gateway, time is an argument.
const CLOCKS: &[&str] = &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now"];
const TIMELESS: &[&str] = &["domain", "wire", "sql", "shell", "mask", "ledger", "recording"];

/// Only the top floor reads the environment, prints and exits.
const TOP: &str = "cli";
const TOP_ONLY: &[&str] =
    &["env::var", "env::home_dir", "env::args", "process::exit", "println!", "eprint", "dbg!"];

/// Below the client nothing is started (`psql \\!` on a gateway would be a shell there), but the command that an
/// operator named to give out a secret.
const STARTS: &[&str] = &["process::Command", "Command::new"];
const MAY_START: &[&str] = &["broker/secrets.rs"];

#[test]
fn every_module_names_lower_floors_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let files: Vec<PathBuf> = files_below(&src).into_iter().filter(is_source).collect();
    assert!(files.len() > 20, "the sources were not found");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let path = file.strip_prefix(&src).expect("below src").to_path_buf();
        faults.extend(faults_of(&path, &text));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn planted_faults_are_found() {
    let fault = |path: &str, text: &str| faults_of(Path::new(path), text).join("\n");
    assert!(fault("wire/postgres.rs", "\nuse crate::broker::store;").starts_with("wire/postgres.rs:2: "));
    assert!(fault("sql.rs", "fn f() { crate::mask::plan() }").contains("same floor"));
    assert!(fault("domain/name.rs", "let now = SystemTime::now();").contains("time is an argument"));
    assert!(fault("client/login.rs", "use crate::broker::store;").contains("do not know"));
    assert!(
        fault("client/home.rs", "\n\nlet home = std::env::var(\"HOME\");").starts_with("client/home.rs:3: ")
    );
    assert!(fault("broker/app.rs", "println!(\"up\");").contains("below the floor"));
    assert!(fault("gateway/relay.rs", "use tokio::process::Command;").contains("is started"));
    assert_eq!(fault("cli/context.rs", "std::env::var(name)"), "");
    assert!(fault("cli/ui.rs", "use super::super::args;").contains("super::super"));
    assert!(fault("gateway/gate.rs", "use crate::{domain::name, broker};").contains("broker"));
    assert_eq!(fault("broker/app.rs", "use crate::gateway::authority::Authority; // crate::cli"), "");
}

fn faults_of(path: &Path, text: &str) -> Vec<String> {
    let own = path.components().next().expect("a name").as_os_str().to_string_lossy().replace(".rs", "");
    let Some(floor) = floor_of(&own) else { return Vec::new() };
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split("//").next().unwrap_or_default();
        let mut fault = |what: String| faults.push(format!("{}:{number}: {what}", path.display()));
        if code.contains("super::super::") {
            fault("`super::super::` hides where a name comes from; write `crate::`".to_owned());
        }
        for clock in CLOCKS.iter().filter(|clock| TIMELESS.contains(&own.as_str()) && code.contains(**clock))
        {
            fault(format!("`{clock}` in `{own}`, where time is an argument"));
        }
        let starts = STARTS.iter().any(|word| code.contains(word));
        if starts && own != "client" && own != TOP && !MAY_START.iter().any(|may| path == Path::new(may)) {
            fault("a program is started below the client".to_owned());
        }
        for word in TOP_ONLY.iter().filter(|word| own != TOP && code.contains(**word)) {
            fault(format!("`{word}` in `{own}`, below the floor that may"));
        }
        for named in named_modules(code).filter(|named| *named != own) {
            let Some(other) = floor_of(&named) else { continue };
            if other > floor {
                fault(format!("`{own}` names `{named}`, which is a higher floor"));
            } else if other == floor {
                fault(format!("`{own}` names `{named}`, which is on the same floor"));
            } else if STRANGERS.contains(&(own.as_str(), named.as_str())) {
                fault(format!("`{own}` and `{named}` do not know each other"));
            }
        }
    }
    faults
}

/// The modules after `crate::` in a line, also in braces.
fn named_modules(code: &str) -> impl Iterator<Item = String> + '_ {
    let name =
        |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    code.split("crate::").skip(1).flat_map(move |rest| match rest.strip_prefix('{') {
        Some(list) => list.split(',').map(name).collect::<Vec<_>>(),
        None => vec![name(rest)],
    })
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}
