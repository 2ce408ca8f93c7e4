//! What somebody may do on a target: one example of each kind of action, judged.
//!
//! Job: puts plain examples to policy as the gateway would put the real thing. Boundary: they have nothing special
//! about them; what a rule says of tables, labels, paths and values is seen only where an example meets it.
//! Failure mode: none; an example that cannot be made is left out.

use super::needs;
use crate::broker::config::Config;
use crate::domain::action::{Action, Deed, Shell};
use crate::domain::facts::{CallFacts, FileFacts, FileOperation, ForwardFacts, ForwardKind};
use crate::domain::policy::Verdict;
use crate::domain::principal::Principal;
use crate::domain::target::{Target, TargetKind};
use crate::shell;
use crate::sql::ParseLimits;
use crate::wire::control::{ExplainedDeed, Judged};

/// Judges an example of everything that the target's protocol knows.
pub(super) fn judged(config: &Config, who: &Principal, target: &Target) -> Vec<ExplainedDeed> {
    let session = config.policy.session(who, target);
    let tell = |what: &str, action: &Action<'_>| {
        let (verdict, rule, reason, takes) = match session.judge(action) {
            Verdict::Allow(permit) => (Judged::Allow, permit.rule().to_string(), String::new(), None),
            Verdict::Deny(denial) => (Judged::Deny, denial.rule.to_string(), denial.reason, None),
            Verdict::Hold(hold) => {
                let threshold = hold.threshold.resolve(target.owner.as_ref()).unwrap_or(hold.threshold);
                let rule = hold.rules.first().map(ToString::to_string).unwrap_or_default();
                (Judged::Hold, rule, hold.reason, Some(needs(&threshold)))
            }
        };
        ExplainedDeed { what: what.to_owned(), verdict, rule, reason, takes }
    };
    let sessions = [("open a session", Action::Connect), ("see other people's records", Action::Audit)];
    let sessions = sessions.iter().map(|(what, action)| tell(what, action));
    let deeds = examples(target);
    sessions.chain(deeds.iter().map(|(what, deed)| tell(what, &deed.action()))).collect()
}

fn examples(target: &Target) -> Vec<(String, Deed)> {
    let examples = match &target.kind {
        // what its own page says of its calls depends on services and regions
        TargetKind::Aws(_) => Vec::new(),
        TargetKind::Http(_) => CALLS.iter().map(|method| call(method)).collect(),
        TargetKind::Postgres(_) => STATEMENTS.iter().filter_map(|text| statement(text)).collect(),
        TargetKind::Ssh(_) => hosts(),
    };
    let known: Vec<&str> = target.kind.actions().collect();
    examples.into_iter().filter(|(_, deed)| known.contains(&deed.action().name())).collect()
}

fn statement(text: &str) -> Option<(String, Deed)> {
    let parsed = crate::sql::parse(text, &ParseLimits::default()).ok()?;
    Some((text.to_owned(), Deed::Statement(crate::sql::facts(parsed.first()?))))
}

fn call(method: &str) -> (String, Deed) {
    let facts = CallFacts::unread(method.to_owned(), "/example".to_owned());
    (format!("{method} /example"), Deed::Call(facts))
}

fn hosts() -> Vec<(String, Deed)> {
    let command = |line: &str| (line.to_owned(), Deed::Exec(shell::judge(line.as_bytes(), false).facts));
    let file = |what: &str, operation| {
        let facts = FileFacts { operation, path: "/tmp/example".into(), to: None };
        (format!("{what} /tmp/example"), Deed::File(facts))
    };
    let forward = ForwardFacts { kind: ForwardKind::Local, host: "localhost".into(), port: 80 };
    let shell = Shell { terminal: true, supervised: true };
    let commands = COMMANDS.iter().map(|line| command(line));
    let others = [
        ("an interactive shell".to_owned(), Deed::Shell(shell)),
        file("read the file", FileOperation::Read),
        file("write the file", FileOperation::Write),
        ("forward a port to localhost:80".to_owned(), Deed::Forward(forward)),
    ];
    commands.chain(others).collect()
}

const CALLS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const COMMANDS: [&str; 3] = ["uptime", "touch example", "rm -rf example"];
const STATEMENTS: [&str; 8] = [
    "SELECT a FROM example LIMIT 10",
    "SELECT * FROM example",
    "INSERT INTO example VALUES (1)",
    "UPDATE example SET a = 1 WHERE id = 1",
    "DELETE FROM example WHERE id = 1",
    "DELETE FROM example",
    "CREATE TABLE example (id int)",
    "DROP TABLE example",
];
