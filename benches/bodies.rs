//! How fast bodies are masked, in CPU time of one thread: `cargo bench --bench bodies`.
//!
//! The body is a store of reasoning traces as JSON lines, with three protected names at any depth.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and says what it measured"
)]

use std::hint::black_box;
use std::sync::Arc;

use bytes::BytesMut;
use hoopctl::domain::mask::Mask;
use hoopctl::domain::name::RuleName;
use hoopctl::mask::document::{
    BodyMasker, Detector, Detectors, DocumentPath, DocumentPlan, DocumentRule, KeyCase,
};

fn main() {
    let rule = |path: &str| DocumentRule {
        name: RuleName::new("rule").expect("a name"),
        path: DocumentPath::new(path).expect("a path"),
        mask: Mask::Full,
    };
    let rules = ["$..api_key", "$..authorization", "$..email"].map(rule);
    let plan = Arc::new(DocumentPlan::new(&rules, KeyCase::Exact).expect("a plan"));
    let text = DocumentPlan::new(&[], KeyCase::Exact).expect("a plan");
    let text =
        Arc::new(text.with_detectors(Arc::new(Detectors::new(&Detector::ALL, &[]).expect("detectors"))));

    let lines: String = (0..20_000).map(trace).collect();
    run("JSON lines, 3 names at any depth", "application/x-ndjson", &plan, lines.as_bytes());
    let spans: String = (0..120_000).map(span).collect();
    run("JSON lines, short values", "application/x-ndjson", &plan, spans.as_bytes());
    let pretty = format!("[{}]", (0..5_000).map(|at| indented(&trace(at))).collect::<Vec<_>>().join(","));
    run("JSON, indented", "application/json", &plan, pretty.as_bytes());
    let table: String = std::iter::once("id,email,note\n".to_owned())
        .chain((0..300_000).map(|at| format!("{at},user{at}@example.org,\"called twice, no answer\"\n")))
        .collect();
    run("CSV, 1 of 3 columns", "text/csv", &plan, table.as_bytes());
    run("text, all detectors", "text/plain", &text, lines.as_bytes());
}

fn trace(at: usize) -> String {
    format!(
        "{{\"trace_id\":\"{at:032x}\",\"model\":\"large-3\",\"started_at\":\"2026-11-21T14:22:20.{at:06}Z\",\"usage\":{{\"input\":{},\"output\":{}}},\"steps\":[{{\"kind\":\"thought\",\"text\":\"The user asks for the balance of the account; I need to call the billing API with the customer's number and then sum the open invoices.\\nFirst I look \\\"it\\\" up.\"}},{{\"kind\":\"call\",\"tool\":\"http\",\"request\":{{\"method\":\"GET\",\"path\":\"/v1/invoices?customer={at}\",\"headers\":{{\"authorization\":\"Bearer abcdefghijklmnop{at}\",\"accept\":\"application/json\"}},\"api_key\":\"key-{at:024}\"}},\"duration_ms\":{}}},{{\"kind\":\"answer\",\"text\":\"There are three open invoices, which add up to 1,204.50 EUR; the oldest is due since the third of October. A reminder was sent to the address on file, and a second one is planned.\",\"score\":0.{at}}}],\"user\":{{\"id\":{at},\"email\":\"user{at}@example.org\",\"tags\":[\"a\",\"b\"]}}}}\n",
        at * 3,
        at * 7,
        at % 900,
    )
}

fn span(at: usize) -> String {
    format!(
        "{{\"id\":{at},\"kind\":\"call\",\"ok\":true,\"ms\":{},\"user\":{{\"id\":{},\"email\":\"u{at}@example.org\"}},\"n\":[1,2,3]}}\n",
        at % 900,
        at % 77
    )
}

fn indented(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    serde_json::to_string_pretty(&value).expect("JSON")
}

/// The best of several rounds over pieces of 16 KiB, as they come from a socket.
fn run(what: &str, media: &str, plan: &Arc<DocumentPlan>, body: &[u8]) {
    let mut out = BytesMut::with_capacity(128 * 1024);
    let mut best = f64::MAX;
    for _ in 0..9 {
        let before = cpu_seconds();
        let mut masker = BodyMasker::new(Some(media), plan).expect("a masker");
        for piece in body.chunks(16 * 1024) {
            masker.feed(piece, &mut out).expect("a body that can be masked");
            black_box(&out);
            out.clear();
        }
        masker.finish(&mut out).expect("a whole body");
        best = best.min(cpu_seconds() - before);
    }
    let rate = body.len() as f64 / 1e6 / best;
    println!("{what}: {rate:.0} MB/s of {} MB", body.len() / 1_000_000);
}

fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
