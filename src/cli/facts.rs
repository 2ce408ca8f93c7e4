//! What a deed does, for people: one sentence for each fact that may matter.

use std::collections::BTreeSet;

use crate::domain::action::{Deed, Shell};
use crate::domain::facts::{
    CallFacts, CopyDirection, ExecFacts, Facts, FileFacts, ForwardFacts, ForwardKind, IssueFacts,
    StatementKind,
};

/// The sentences of any deed.
#[must_use]
pub fn sentences(deed: &Deed, estimate: Option<u64>) -> Vec<String> {
    match deed {
        Deed::Call(facts) => call(facts),
        Deed::Env { name } => vec![format!("sets the variable {name} for what runs on the host")],
        Deed::Exec(facts) => exec(facts),
        Deed::File(facts) => file(facts),
        Deed::Forward(facts) => forward(facts),
        Deed::Issue(facts) => issue(facts),
        Deed::Shell(shell) => vec![shell_words(*shell)],
        Deed::Statement(facts) => statement(facts, estimate),
        Deed::Subsystem { name } => vec![format!("starts the subsystem {name}")],
    }
}

fn call(facts: &CallFacts) -> Vec<String> {
    let mut said = vec![format!("{} {}", facts.method, facts.path)];
    let named = [
        ("operation", &facts.operation),
        ("GraphQL", &facts.graphql),
        ("named by the client", &facts.graphql_name),
        ("body", &facts.content_type),
    ];
    for (what, value) in named {
        said.extend(value.as_ref().map(|value| format!("{what}: {value}")));
    }
    for (what, names) in [("query", &facts.query), ("fields", &facts.fields)] {
        if !names.is_empty() {
            said.push(format!("{what}: {}", list(names)));
        }
    }
    said.extend(facts.page_size.map(|items| format!("asks for {items} items")));
    if facts.listing {
        said.push("lists things".into());
    }
    said.extend(facts.upgrade.as_ref().map(|to| format!("becomes {to}")));
    if facts.is_read_only() {
        said.push("changes nothing, by what HTTP says of its method".into());
    }
    if facts.touches_masked {
        said.push("its answer has masks for the requester".into());
    }
    said
}

fn exec(facts: &ExecFacts) -> Vec<String> {
    let effects: BTreeSet<String> = facts.effects.iter().map(|effect| effect.as_str().to_owned()).collect();
    let mut said = Vec::new();
    for (what, names) in [("starts", &facts.programs), ("effects", &effects), ("paths", &facts.paths)] {
        if !names.is_empty() {
            said.push(format!("{what}: {}", list(names)));
        }
    }
    if facts.read_only {
        said.push("every program in it is known to change nothing".into());
    }
    if facts.terminal {
        said.push("has a terminal".into());
    }
    said
}

fn file(facts: &FileFacts) -> Vec<String> {
    let to = facts.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
    vec![format!("{} {}{to}", facts.operation.as_str(), facts.path)]
}

fn forward(facts: &ForwardFacts) -> Vec<String> {
    let (host, port) = (&facts.host, facts.port);
    vec![match facts.kind {
        ForwardKind::Agent => "lets the host use the agent of the requester".into(),
        ForwardKind::Local => format!("reaches {host}:{port} from the host"),
        ForwardKind::Remote => format!("lets the host reach back, from {host}:{port}"),
        ForwardKind::X11 => "lets the host use the display of the requester".into(),
    }]
}

fn issue(facts: &IssueFacts) -> Vec<String> {
    vec![
        format!("credentials of {} for {} seconds", facts.role, facts.seconds),
        format!("good for: {}", list(&facts.actions)),
        format!("on: {}", list(&facts.resources)),
        "what is done with them is not seen".into(),
    ]
}

fn shell_words(shell: Shell) -> String {
    let terminal = if shell.terminal { "with a terminal" } else { "without a terminal" };
    let judged = if shell.supervised { "each line is judged" } else { "what is typed is not judged" };
    format!("an interactive shell {terminal}; {judged}")
}

fn list(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(", ")
}

/// What a statement does, one sentence for each fact that a reviewer may need.
fn statement(facts: &Facts, estimate: Option<u64>) -> Vec<String> {
    let mut said = vec![format!("{}: {}", facts.verb, kind(facts.kind))];
    if facts.read_only {
        said.push("proven to change nothing".into());
    }
    for (what, names) in [
        ("writes", &facts.relations_written),
        ("reads", &facts.relations_read),
        ("columns read", &facts.columns_read),
        ("columns written", &facts.columns_written),
        ("labels of what is read", &facts.labels),
        ("calls", &facts.functions),
    ] {
        if !names.is_empty() {
            said.push(format!("{what}: {}", list(names)));
        }
    }
    let rows = matches!(facts.verb.as_str(), "select" | "update" | "delete");
    if rows && !facts.has_where {
        said.push("it has no WHERE".into());
    }
    let hidden: BTreeSet<String> =
        facts.without_where.iter().filter(|verb| **verb != facts.verb).cloned().collect();
    if !hidden.is_empty() {
        said.push(format!("in it, without WHERE: {}", list(&hidden)));
    }
    if facts.has_cross_join {
        said.push("seems to combine relations without a condition between them".into());
    }
    if let Some(limit) = facts.limit {
        said.push(format!("LIMIT {limit}"));
    }
    if facts.at_most_one_row {
        said.push("proven to touch at most one row".into());
    } else if facts.summary {
        said.push("answers with one row of figures".into());
    }
    match facts.copy {
        Some(CopyDirection::In) => said.push("copies data into the database".into()),
        Some(CopyDirection::Out) => said.push("copies data out of the database".into()),
        None => {}
    }
    if let Some(target @ ("file" | "program")) = facts.copy_target.as_deref() {
        said.push(format!("by a {target} of the server"));
    }
    if let Some(object) = &facts.object {
        said.push(format!("the object is a {object}"));
    }
    if let Some(setting) = &facts.setting {
        let value = facts.set_value.as_ref().map(|value| format!(", set to {value}")).unwrap_or_default();
        said.push(format!("the parameter is {setting}{value}"));
    }
    if facts.touches_masked {
        said.push("touches a relation that has masks for the requester".into());
    }
    if let Some(rows) = estimate.or(facts.estimate) {
        let plural = if rows == 1 { "row" } else { "rows" };
        said.push(format!("the planner expects about {rows} {plural}"));
    }
    said
}

fn kind(kind: StatementKind) -> &'static str {
    match kind {
        StatementKind::Transaction => "begins or ends a transaction",
        StatementKind::Session => "changes the state of the connection",
        StatementKind::Read => "reads rows",
        StatementKind::Write => "changes rows",
        StatementKind::Definition => "creates, alters or drops objects, or changes privileges",
        StatementKind::Code => "runs code inside the server",
        StatementKind::Unknown => "what it does could not be told",
    }
}
