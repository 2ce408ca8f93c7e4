//! How much memory hostile texts take of a broker, which is a process of its own here.

use std::io::Write as _;

use super::texts::{Hostile, texts};
use crate::support::world::{MASKED, PLANTED, Twist, World};

/// In bytes: what one text of 10 MB, of 100,000 elements or of any depth may have it grow to. About twice what was seen.
const MOST: u64 = 640 << 20;

/// What psql itself has no objection to, from the longest and the deepest.
fn whole(name: &str, text: &[u8]) -> bool {
    // psql waits for the end of these
    let open = ["open brackets", "open comments", "closing brackets", "2 MB of"];
    if name == "10 MB in a comment" {
        return false;
    }
    let is_deep = name.starts_with("5000 times") || name.starts_with("1100 times");
    (is_deep || text.len() > 50_000) && !open.iter().any(|part| name.contains(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_take_a_bounded_amount_of_memory() {
    let world = World::start(Twist { below: MASKED, ..Twist::default() }).await;
    let alice = world.login("alice").await;
    alice.run(&["connect", "db", "--", "-XAtc", "SELECT 1"]).await.ends(0);
    let before = world.broker.most_memory();
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let mut names = Vec::new();
    for Hostile { name, text } in texts() {
        if whole(&name, &text) {
            // of masked columns as well
            let text = String::from_utf8(text).expect("text").replace("people", "reasoning_traces");
            let text = text.replace("ssn", "api_key").replace("name", "agent");
            writeln!(file, "\\echo {}\n{text}\n;", names.len()).expect("written");
            names.push(name);
        }
    }
    file.flush().expect("written");
    let path = file.path().to_str().expect("a path");
    let ran = alice.run(&["connect", "db", "--", "-XAt", "-v", "VERBOSITY=terse", "-f", path]).await.ends(0);
    assert!(!ran.stdout.contains(PLANTED), "it is masked");
    for number in 0..names.len() {
        assert!(ran.stdout.lines().any(|line| line == number.to_string()), "{number} was not sent");
    }
    let refused = ran.stderr.matches("ERROR:").count();
    let most = world.broker.most_memory();
    crate::idle::say(&format!(
        "{} hostile texts, {refused} of them refused: {} MiB at most, {} before",
        names.len(),
        most >> 20,
        before >> 20
    ));
    assert!(most < MOST, "{} MiB", most >> 20);
    // and it is there for others
    assert_eq!(alice.run(&["connect", "db", "--", "-XAtc", "SELECT 2"]).await.ends(0).stdout, "2\n");
}
