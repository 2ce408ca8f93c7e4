//! What is in the demo's database, behind its API and on its host: reasoning traces of agents, with secrets where
//! real ones have them.
//!
//! Deterministic: the same rows on every machine, so that a tour's output can be compared. The
//! keys are in a format of nobody's, so that no scanner takes them for real ones.

use bytes::Bytes;
use futures_util::SinkExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio_postgres::{Client, Error};

/// The database.
pub(super) const DATABASE: &str = "traces";
/// The role that the broker mints session roles with.
pub(super) const ADMIN: &str = "hoop_admin";
/// How many traces there are.
pub(super) const ROWS: u32 = 3000;
/// How many of them the host has.
const LOGS: u32 = 24;

/// Makes the database; `client` is the superuser in any other.
pub(super) async fn create_database(client: &Client) -> Result<(), Error> {
    client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await
}

/// Fills the database and lets the broker in; `client` is the superuser in [`DATABASE`].
pub(super) async fn fill(client: &Client, admin_password: &SecretString) -> Result<(), Error> {
    client.batch_execute(SCHEMA).await?;
    for (table, lines) in [("projects", projects()), ("agents", agents()), ("reasoning_traces", traces())] {
        let sink = client.copy_in(&format!("COPY public.{table} FROM STDIN")).await?;
        let mut sink = Box::pin(sink);
        sink.send(Bytes::from(lines)).await?;
        sink.close().await?;
    }
    let version: i32 =
        client.query_one("SELECT current_setting('server_version_num')::int", &[]).await?.try_get(0)?;
    client.batch_execute(guide(if version >= 160_000 { "admin-16" } else { "admin-13" })).await?;
    client.batch_execute(&guide("grants").replace("DATABASE app ", &format!("DATABASE {DATABASE} "))).await?;
    client.batch_execute(BLIND).await?;
    // a verifier, so that the password itself never reaches the server's log
    let verifier = postgres_protocol::password::scram_sha_256(admin_password.expose_secret().as_bytes());
    client.batch_execute(&format!("ALTER ROLE {ADMIN} PASSWORD '{verifier}'")).await?;
    client.batch_execute("ANALYZE").await
}

/// A block of the administrator's guide: the demo sets itself up as the guide tells everybody to.
fn guide(block: &str) -> &'static str {
    let guide = include_str!("../../../../docs/postgres-admin.md");
    let start = format!("<!-- block: {block} -->\n```sql\n");
    guide.split_once(&start).and_then(|(_, rest)| rest.split_once("```")).map_or("", |(sql, _)| sql)
}

/// Every protected value, to look for where none may be.
pub(super) fn secrets() -> Vec<String> {
    let mut secrets: Vec<String> = (1..=ROWS).map(Trace::make).flat_map(|trace| trace.secrets).collect();
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}

/// The host's traces: names of files and what is in them.
pub(super) fn logs() -> Vec<(String, String)> {
    (1..=LOGS).map(|id| (format!("{id}.log"), Trace::make(id).log())).collect()
}

/// The addresses in them.
pub(super) fn askers() -> Vec<String> {
    (1..=LOGS).map(asker).collect()
}

/// A file of the host with nothing in it that is anybody's.
pub(super) fn report() -> (String, String) {
    let mut text = String::from("# Traces of each project\n\n");
    let projects: Vec<&str> = (1..=ROWS).map(|id| Trace::make(id).project).collect();
    for (project, team) in PROJECTS {
        let count = projects.iter().filter(|known| *known == project).count();
        text.push_str(&format!("- {project} ({team}): {count}\n"));
    }
    ("projects.md".into(), text)
}

/// Who asked for a trace. Names of nobody, at a domain that cannot exist (RFC 2606 §2).
fn asker(id: u32) -> String {
    let mut dice = Dice(!u64::from(id));
    format!("{}.{}@{}.example", dice.pick(FIRST), dice.pick(LAST), dice.pick(COMPANIES))
}

/// One trace.
pub(super) struct Trace {
    id: u32,
    project: &'static str,
    agent: &'static str,
    prompt: &'static str,
    steps: Value,
    api_key: String,
    customer: String,
    created: String,
    secrets: Vec<String>,
}

impl Trace {
    /// The trace with this id; the same every time.
    pub(super) fn make(id: u32) -> Self {
        // seeds far apart: neighbouring ones would give each other's numbers, one later
        let mut dice = Dice(Dice(u64::from(id)).next());
        let (project, _) = dice.pick(PROJECTS);
        let (agent, _, _) = dice.pick(AGENTS);
        let (prompt, tool) = dice.pick(WORK);
        let mut secrets = Vec::new();
        let api_key = dice.key();
        let customer = dice.customer();
        secrets.extend([api_key.clone(), customer.clone()]);
        let steps = steps(&mut dice, prompt, tool, &customer, &mut secrets);
        // about an hour and a half apart
        let minute = id * 97 + u32::try_from(dice.below(60)).unwrap_or_default();
        let created = format!(
            "2025-{:02}-{:02} {:02}:{:02}:{:02}+00",
            minute / 40_320 % 12 + 1,
            minute / 1440 % 28 + 1,
            minute / 60 % 24,
            minute % 60,
            dice.below(60),
        );
        Self { id, project, agent, prompt, steps, api_key, customer, created, secrets }
    }

    /// As the API shows it.
    pub(super) fn document(&self) -> Value {
        json!({
            "id": self.id,
            "project": self.project,
            "agent": self.agent,
            "prompt": self.prompt,
            "steps": self.steps,
            "api_key": self.api_key,
            "customer_id": self.customer,
            "created_at": self.created,
        })
    }

    /// As the host keeps it, for people: with the address of whoever asked, and no keys.
    fn log(&self) -> String {
        let Self { id, project, agent, prompt, created, .. } = self;
        let mut text = format!("trace {id} of {project} by {agent}, {created}\n");
        text.push_str(&format!("asked by {}: {prompt}\n", asker(*id)));
        for step in self.steps.as_array().into_iter().flatten() {
            let word = |names: &[&str]| {
                names.iter().find_map(|name| step.get(name)?.as_str()).unwrap_or_default().to_owned()
            };
            let number = step.get("step").map(Value::to_string).unwrap_or_default();
            text.push_str(&format!(
                "{number:>3}. {:<10} {}\n",
                word(&["type"]),
                word(&["text", "tool", "to"])
            ));
        }
        text
    }

    /// As COPY reads it.
    fn line(&self) -> String {
        let (id, steps) = (self.id.to_string(), self.steps.to_string());
        let fields = [
            &id,
            self.project,
            self.agent,
            self.prompt,
            &steps,
            &self.api_key,
            &self.customer,
            &self.created,
        ];
        fields.map(copy_escape).join("\t") + "\n"
    }
}

/// Three to six steps; secrets sit at several depths, in objects and in arrays.
fn steps(dice: &mut Dice, prompt: &str, tool: &str, customer: &str, secrets: &mut Vec<String>) -> Value {
    let mut key = |dice: &mut Dice| {
        let key = dice.key();
        secrets.push(key.clone());
        key
    };
    let mut steps = vec![
        json!({ "type": "thought", "text": format!("The task is: {prompt}. I will start with {tool}.") }),
        json!({
            "type": "tool_call",
            "tool": tool,
            "arguments": { "customer_id": customer, "limit": dice.below(50) + 1 },
            "result": { "status": 200, "rows": dice.below(400) },
            "milliseconds": dice.below(2400) + 12,
        }),
    ];
    if dice.below(3) > 0 {
        steps.push(json!({
            "type": "tool_call",
            "tool": "http.request",
            "arguments": {
                "method": "POST",
                "url": "https://ledger.internal/v2/entries",
                "auth": { "scheme": "key", "api_key": key(dice) },
            },
            "result": { "status": 201, "body": { "entry": dice.below(90_000), "owner": { "customer_id": customer } } },
            "milliseconds": dice.below(900) + 30,
        }));
    }
    if dice.below(4) == 0 {
        steps.push(json!({
            "type": "retry",
            "attempts": [
                { "request": { "api_key": key(dice), "region": "eu-1" }, "error": "timeout" },
                { "request": { "api_key": key(dice), "region": "eu-2" }, "error": null },
            ],
        }));
    }
    if dice.below(5) == 0 {
        steps.push(json!({
            "type": "handover",
            "to": dice.pick(AGENTS).0,
            "context": { "messages": [{ "role": "tool", "content": { "session": { "api_key": key(dice), "customer_id": customer } } }] },
        }));
    }
    let (answer, confidence) = dice.pick(ANSWERS);
    steps.push(json!({ "type": "answer", "text": answer, "confidence": confidence }));
    for (number, step) in (1..).zip(steps.iter_mut()) {
        if let Some(members) = step.as_object_mut() {
            members.insert("step".into(), Value::from(number));
        }
    }
    Value::Array(steps)
}

fn traces() -> String {
    (1..=ROWS).map(|id| Trace::make(id).line()).collect()
}

fn projects() -> String {
    (1..).zip(PROJECTS).map(|(id, (name, team)): (u32, _)| format!("{id}\t{name}\t{team}\n")).collect()
}

fn agents() -> String {
    let line =
        |(id, (name, model, owner)): (u32, &(&str, &str, &str))| format!("{id}\t{name}\t{model}\t{owner}\n");
    (1..).zip(AGENTS).map(line).collect()
}

/// COPY's text format: backslash, tab, newline and carriage return are escaped.
fn copy_escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

/// Steele, Lea, Flood: SplitMix64. Not for secrets, and these are none.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn pick<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let length = u64::try_from(from.len()).unwrap_or(1);
        let at = usize::try_from(self.below(length)).unwrap_or_default();
        from.get(at).copied().unwrap_or_default()
    }

    fn key(&mut self) -> String {
        let letters: String = (0..28).map(|_| char::from(self.pick(KEY_LETTERS))).collect();
        format!("tracekey.{letters}")
    }

    fn customer(&mut self) -> String {
        format!("cust-{:04}-{:05}", self.below(9000) + 1000, self.below(90_000) + 10_000)
    }
}

const SCHEMA: &str = "
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON DATABASE traces FROM PUBLIC;
CREATE ROLE app_owner NOLOGIN;
GRANT USAGE, CREATE ON SCHEMA public TO app_owner;
SET ROLE app_owner;
CREATE TABLE public.projects (id int PRIMARY KEY, name text NOT NULL UNIQUE, team text NOT NULL);
CREATE TABLE public.agents (id int PRIMARY KEY, name text NOT NULL UNIQUE, model text NOT NULL, owner text NOT NULL);
CREATE TABLE public.reasoning_traces (
    id bigint PRIMARY KEY,
    project text NOT NULL,
    agent text NOT NULL,
    prompt text NOT NULL,
    steps jsonb NOT NULL,
    api_key text NOT NULL,
    customer_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX reasoning_traces_project_created ON public.reasoning_traces (project, created_at);
COMMENT ON TABLE public.reasoning_traces IS 'What agents thought and did, step by step';
RESET ROLE;
";

/// Nobody's masks are lifted here, so not even the broker's administrator reads these columns.
const BLIND: &str = "
REVOKE SELECT ON public.reasoning_traces FROM hoop_admin;
GRANT SELECT (id, project, agent, prompt, steps, created_at) ON public.reasoning_traces
    TO hoop_admin WITH GRANT OPTION;
";

const KEY_LETTERS: &[u8] = b"abcdefghjkmnpqrstvwxyz23456789";

const PROJECTS: &[(&str, &str)] = &[
    ("billing-copilot", "payments"),
    ("claims-triage", "insurance"),
    ("fraud-review", "risk"),
    ("inbox-router", "support"),
    ("procurement-agent", "operations"),
    ("release-notes", "platform"),
];

const AGENTS: &[(&str, &str, &str)] = &[
    ("auditor", "small-2", "risk"),
    ("coder", "large-3", "platform"),
    ("planner", "large-3", "platform"),
    ("researcher", "medium-2", "operations"),
    ("summariser", "small-2", "support"),
];

const FIRST: &[&str] = &["ada", "bela", "chen", "dora", "emeka", "farah", "goran", "hanna"];
const LAST: &[&str] = &["adeyemi", "brandt", "castro", "dufour", "eriksen", "fontaine", "grabner"];
const COMPANIES: &[&str] = &["northwind", "fabrikam", "contoso", "tailspin"];

const WORK: &[(&str, &str)] = &[
    ("Explain why invoice totals differ between March and April", "sql.query"),
    ("Find duplicate claims of the last quarter", "claims.search"),
    ("Draft a reply to a customer whose card was declined twice", "crm.lookup"),
    ("Check whether the refund of 129.90 was booked", "ledger.find"),
    ("List suppliers whose contracts end within 60 days", "contracts.list"),
    ("Summarise the incident of last night for the status page", "logs.search"),
    ("Decide which mailbox this message belongs to", "inbox.classify"),
    ("Compare the chargeback rate with last year's", "sql.query"),
    ("Write release notes from the merged changes", "git.log"),
    ("Score this transaction for fraud and say why", "risk.score"),
];

const ANSWERS: &[(&str, f64)] = &[
    ("The difference comes from two credit notes booked late.", 0.93),
    ("Nothing unusual found; the numbers agree within rounding.", 0.88),
    ("Three candidates found, one needs a person to look.", 0.71),
    ("Done; the entry was written and confirmed.", 0.97),
    ("Not enough evidence; escalated to the owner's queue.", 0.42),
];

#[cfg(test)]
mod tests {
    use super::{ROWS, Trace, askers, guide, logs, secrets};

    #[test]
    fn the_guide_has_the_blocks_that_the_demo_runs() {
        for block in ["admin-13", "admin-16", "grants"] {
            assert!(!guide(block).is_empty(), "{block}");
        }
    }

    #[test]
    fn the_trace_of_the_tour_has_keys_deep_inside() {
        assert!(Trace::make(7).secrets.len() > 3);
    }

    #[test]
    fn the_hosts_traces_name_who_asked_and_hold_no_key() {
        let secrets = secrets();
        for ((_, text), asker) in logs().iter().zip(askers()) {
            assert!(text.contains(&asker), "{text}");
            assert!(!secrets.iter().any(|secret| text.contains(secret.as_str())), "{text}");
        }
    }

    #[test]
    fn rows_are_the_same_every_time_and_secrets_are_where_they_belong() {
        let trace = Trace::make(7);
        assert_eq!(trace.line(), Trace::make(7).line());
        assert_eq!(trace.line().matches('\t').count(), 7);
        for secret in &trace.secrets {
            assert!(trace.line().contains(secret.as_str()));
            assert!(trace.document().to_string().contains(secret.as_str()));
        }
        assert!(secrets().len() > usize::try_from(ROWS).unwrap_or_default() * 2);
    }
}
