//! How fast detectors search text like rows, in CPU time of one thread: `cargo bench --bench detectors`.
//!
//! With `HOOPCTL_DETECTED_ROWS=FILE` it also writes labelled rows and what is found in them, for `benches/detectors.py`,
//! which tells precision and recall; `benches/detectors.sh` does both.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and says what it measured"
)]

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;

use bytes::BytesMut;
use hoopctl::mask::document::{Detector, Detectors, Named, TextMasker};

use self::corpus::Sample;

#[path = "../tests/it/detectors/corpus.rs"]
mod corpus;

fn main() {
    let samples = corpus::samples(corpus::REPORTED, ROWS);
    let labels: usize = samples.iter().map(|sample| sample.labels.len()).sum();
    let text: String = samples.iter().map(|sample| format!("{}\n", sample.text)).collect();
    let megabytes = text.len() as f64 / 1e6;
    println!(
        "{ROWS} rows, {megabytes:.1} MB, {labels} labels, MB/s of one thread's CPU time, best of {ROUNDS}"
    );
    let all = Arc::new(Detectors::new(&Detector::ALL, &[]).expect("detectors"));
    let mut at = 0;
    let rows: Vec<_> = samples
        .iter()
        .map(|sample| {
            let row = text.get(at..at + sample.text.len()).expect("it is made of rows");
            at += row.len() + 1;
            (row.as_bytes(), sample.column.as_deref().map_or_else(Named::default, |name| all.named_by(name)))
        })
        .collect();
    run("all detectors, as one text", &text, || {
        black_box(all.find(&text));
    });
    run("all detectors, row by row", &text, || {
        for (row, named) in &rows {
            black_box(all.find_value(row, *named));
        }
    });
    let mut out = BytesMut::with_capacity(128 * 1024);
    run("all detectors, masked as it streams by in pieces of 16 KiB", &text, || {
        let mut masker = TextMasker::new(Arc::clone(&all));
        for piece in text.as_bytes().chunks(16 * 1024) {
            masker.feed(piece, &mut out).expect("text");
            out.clear();
        }
        masker.finish(&mut out).expect("whole text");
    });
    for detector in Detector::ALL {
        let one = Detectors::new(&[detector], &[]).expect("a detector");
        run(&format!("`{}` alone, as one text", detector.as_str()), &text, || {
            black_box(one.find(&text));
        });
    }
    if let Some(file) = std::env::var_os("HOOPCTL_DETECTED_ROWS") {
        let mut file = std::io::BufWriter::new(std::fs::File::create(file).expect("a file"));
        let ones = Detector::ALL
            .map(|detector| (detector.as_str(), Detectors::new(&[detector], &[]).expect("a detector")));
        let unseen = corpus::unseen(corpus::REPORTED, LABELLED / 4);
        let known = samples.iter().take(LABELLED).map(|sample| ("known", sample));
        for (set, sample) in known.chain(unseen.iter().map(|sample| ("unseen", sample))) {
            writeln!(file, "{}", described(set, sample, &ones)).expect("room on the disk");
        }
    }
}

/// As the product looks: a field with its column's name, any other text as it is.
fn places(detectors: &Detectors, sample: &Sample) -> Vec<std::ops::Range<usize>> {
    match &sample.column {
        Some(column) => detectors.find_value(sample.text.as_bytes(), detectors.named_by(column)),
        None => detectors.find(&sample.text),
    }
}

fn described(set: &str, sample: &Sample, ones: &[(&str, Detectors)]) -> serde_json::Value {
    let labels: Vec<_> = sample.labels.iter().map(|label| (label.kind, label.start, label.end)).collect();
    let found: serde_json::Map<_, _> = ones
        .iter()
        .map(|(kind, detectors)| {
            let places = places(detectors, sample).into_iter().map(|place| (place.start, place.end));
            ((*kind).to_owned(), serde_json::json!(places.collect::<Vec<_>>()))
        })
        .collect();
    serde_json::json!({
        "set": set, "column": sample.column, "text": sample.text, "labels": labels, "found": found,
    })
}

fn run(what: &str, text: &str, mut search: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let before = cpu_seconds();
        search();
        best = best.min(cpu_seconds() - before);
    }
    println!("{what}: {:.0} MB/s", text.len() as f64 / 1e6 / best);
}

fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

const ROWS: usize = 200_000;
/// How many of the rows are given to others as well.
const LABELLED: usize = 20_000;
const ROUNDS: usize = 9;
