//! What a statement costs that is new, and one that was seen before; `benches/statements.sh` runs this, and it asserts
//! no time.
//!
//! The statement is an everyday one of some 350 bytes over masked tables, and 50 rules bind it.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use hoopctl::domain::action::Action;
use hoopctl::domain::policy::{Policy, PolicySource};
use rustix::time::{ClockId, clock_gettime};

use super::{DEFAULT_PATH, ParseLimits, Twins, parse, rules};
use crate::idle::say;
use crate::support::gateway::{BASE, Gateway, Setup, principal, target};

/// `~` is where texts differ.
const TEXT: &str = "SELECT t.project, p.owner, count(*) AS traces, max(t.created_at) AS latest, min(t.api_key) AS some_key \
    FROM reasoning_traces t JOIN projects p ON p.name = t.project LEFT JOIN notes n ON n.trace = t.id \
    WHERE t.created_at > '2025-06-01' AND p.budget BETWEEN 5 AND 5000 AND t.id <> ~ AND (n.body IS NULL OR n.body LIKE 'note%') \
    GROUP BY t.project, p.owner ORDER BY traces DESC, t.project LIMIT 20";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: benches/statements.sh"]
async fn what_a_statement_costs() {
    let twins = Twins::start(18).await;
    let text = TEXT.replace('~', "17");
    let policy: &'static str = Box::leak(fifty_rules().into_boxed_str());
    let open = Setup { database: "one".into(), masks: rules(), policy, ..Setup::open(&twins.cluster) };
    let (who, target) = (principal("alice"), target(&twins.cluster, &open));
    let sources = [PolicySource { name: "bench".into(), text: format!("{BASE}\n{policy}") }];
    let compiled = Policy::compile(&sources).expect("the policy").session(&who, &target);
    let facts = twins.allow(&text).facts;

    say("");
    say(&format!("a statement of {} bytes, rewritten to {}", text.len(), twins.allow(&text).sent.len()));
    let parsing = each(|| drop(black_box(parse(&text, &ParseLimits::default()))));
    let whole = each(|| drop(black_box(twins.assess(&text, DEFAULT_PATH))));
    let judging = each(|| drop(black_box(compiled.judge(&Action::Statement(&facts)))));
    say(&format!("| libpg_query's parser | {:.1} µs |", micros(parsing)));
    say(&format!("| names, facts, rewriting | {:.1} µs |", micros(whole.saturating_sub(parsing))));
    say(&format!("| Cedar, 50 rules | {:.1} µs |", micros(judging)));
    say(&format!("| together, of a new statement | {:.1} µs |", micros(whole + judging)));

    // the whole process, with the client in it: what is more is the gateway's
    let plain =
        Gateway::start(&twins.cluster, Setup { database: "one".into(), ..Setup::open(&twins.cluster) });
    let gateway = Gateway::start(&twins.cluster, open);
    let mut costs = Vec::new();
    for (gateway, is_new) in [(&plain, false), (&gateway, false), (&gateway, true)] {
        let client = gateway.connect().await;
        let mut least = Duration::MAX;
        for batch in 0..BATCHES {
            let texts: Vec<String> =
                (0..STATEMENTS).map(|at| shape(batch * STATEMENTS + at, is_new)).collect();
            let began = spent(ClockId::ProcessCPUTime);
            for text in &texts {
                client.simple_query(text).await.expect("an answer");
            }
            least = least.min(spent(ClockId::ProcessCPUTime).saturating_sub(began));
        }
        costs.push(micros(least) / f64::from(STATEMENTS));
    }
    let [plain, cached, new] = costs.as_slice() else { panic!("three: {costs:?}") };
    say(&format!("| end to end, no masks and no rules, the same text | {plain:.1} µs |"));
    say(&format!("| with masks and 50 rules, the same text | {cached:.1} µs |"));
    say(&format!("| with masks and 50 rules, each text of another shape | {new:.1} µs |"));
}

/// The same text each time, or one of another shape: no two have the same columns under the same names.
fn shape(at: u32, is_new: bool) -> String {
    let text = TEXT.replace('~', "17");
    if is_new { text.replace("AS traces", &format!("AS traces, {at} AS n{at}")) } else { text }
}

/// Of each command a few, of which none binds this statement but all have to be asked.
fn fifty_rules() -> String {
    let mut text = String::new();
    for at in 0..50 {
        let _infallible = writeln!(
            text,
            "@id(\"bench.{at}\") @reason(\"not this\")\n\
             forbid (principal, action == Hoop::Action::\"statement\", resource)\n\
             when {{ context.relations_read.contains(\"public.none_{at}\") && context.verb == \"select\" }};"
        );
    }
    text
}

/// The least CPU time of this thread that one run takes, of some batches.
fn each(mut run: impl FnMut()) -> Duration {
    (0..BATCHES)
        .map(|_| {
            let began = spent(ClockId::ThreadCPUTime);
            (0..STATEMENTS).for_each(|_| run());
            spent(ClockId::ThreadCPUTime).saturating_sub(began) / STATEMENTS
        })
        .min()
        .expect("batches")
}

fn spent(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("nanoseconds"))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

const BATCHES: u32 = 9;
const STATEMENTS: u32 = 300;
