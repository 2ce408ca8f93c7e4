//! What the documentation says is true: every block of every page is run.

mod debian;
mod page;
mod pipeline;
mod rules;
mod runner;
mod setting;
mod stage;

use std::collections::BTreeMap;
use std::path::Path;

use self::page::Block;
use self::runner::Play;
use self::setting::Setting;
use self::stage::Stage;
use crate::support::files_below;

/// Why a block may be left out, and how many are: whoever adds one changes the number.
const REASONS: &[(&str, &str, usize)] = &[
    ("another-test", "a test of its own runs it; it is named behind the word", 3),
    ("hours", "it takes longer than a test may", 3),
    ("itself", "it runs the tests, of which this is one", 4),
    ("root", "it changes the machine that it is typed at", 1),
    ("other-program", "configuration of a program that is not here", 1),
];

/// From the first to the last line of each page, on one stage. `HOOPCTL_TEST_PAGE=docs/http.md` plays one page only.
#[tokio::test(flavor = "multi_thread")]
async fn every_block_of_every_page_runs() {
    let only = std::env::var("HOOPCTL_TEST_PAGE").ok();
    let pages = page::all();
    let stage = Stage::open().await;
    let mut problems = Vec::new();
    for page in pages.iter().filter(|page| only.as_ref().is_none_or(|only| *only == page.name)) {
        let setting = Setting::of(page, &stage).await;
        let mut play = Play::new(&setting);
        problems.extend(play.play(page).await);
        play.leave();
    }
    assert!(
        problems.is_empty(),
        "\n{}\n\nthe broker says:\n{}",
        problems.join("\n\n"),
        tail(&stage.broker.log())
    );
}

#[test]
fn what_is_not_run_is_counted() {
    let mut skipped = BTreeMap::<String, Vec<String>>::new();
    for page in page::all() {
        for block in &page.blocks {
            if let Some(reason) = block.note("skip") {
                let word = reason.split(' ').next().unwrap_or_default().to_owned();
                skipped.entry(word).or_default().push(format!("{}:{}", page.name, block.line));
            }
        }
    }
    for (reason, why, count) in REASONS {
        let found = skipped.remove(*reason).unwrap_or_default();
        assert_eq!(found.len(), *count, "{reason} ({why}): {found:?}");
    }
    assert!(skipped.is_empty(), "no reason: {skipped:?}");
}

/// Whether a reason is one, and its test exists.
fn excused(reason: &str, text: &str) -> Result<(), String> {
    let (word, rest) = reason.split_once(' ').unwrap_or((reason, ""));
    if !REASONS.iter().any(|(known, _, _)| *known == word) {
        return Err(format!("`{word}` is no reason; see tests/it/docs.rs"));
    }
    if word == "another-test" && !sources().contains(&format!("fn {rest}(")) {
        return Err(format!("there is no test `{rest}`"));
    }
    // metrics that nobody counts raise no alarm
    let known = include_str!("../../src/broker/metrics.rs");
    let metrics = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut unknown = metrics.filter(|name| name.starts_with("hoopctl_") && !known.contains(*name));
    unknown.next().map_or(Ok(()), |name| Err(format!("there is no metric `{name}`")))
}

/// SQL that another test takes from the page by its name.
fn run_elsewhere(block: &Block) -> Result<(), String> {
    let name = block.note("block").unwrap_or_default();
    let known = sources().contains(&format!("\"{name}\""));
    if known { Ok(()) } else { Err(format!("no test takes the block `{name}`")) }
}

/// `docs/failures.md` names tests; each must exist.
#[test]
fn every_test_that_the_docs_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/failures.md")).expect("the page");
    let sources = sources();
    let named = page.split('`').skip(1).step_by(2).filter(|name| name.contains('_'));
    let missing: Vec<&str> = named.filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/failures.md names tests that do not exist: {missing:?}");
}

/// Links between pages lead somewhere, also to headings.
#[test]
fn every_link_of_the_pages_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    for page in page::all() {
        let folder = root.join(&page.name).parent().expect("a folder").to_owned();
        let text = std::fs::read_to_string(root.join(&page.name)).expect("a page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") || link.contains(' ') {
                continue;
            }
            let target = if file.is_empty() { root.join(&page.name) } else { folder.join(file) };
            let there = std::fs::read_to_string(&target).ok().or_else(|| target.is_dir().then(String::new));
            let found =
                there.is_some_and(|text| heading.is_empty() || anchors(&text).any(|known| known == heading));
            if !found {
                broken.push(format!("{}: {link}", page.name));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The headings of a page as links name them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let name = line.trim_start_matches('#').trim().to_lowercase();
        let kept = name.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

fn sources() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for path in ["src", "tests/it"].iter().flat_map(|folder| files_below(&root.join(folder))) {
        if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).expect("a source"));
        }
    }
    sources
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
