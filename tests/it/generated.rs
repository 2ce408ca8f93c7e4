//! Completions and man pages are what the command definitions say; `cargo gen` makes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn completions_and_man_pages_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let generated = hoopctl::cli::generate::files().expect("they can be generated");
    for file in &generated {
        let committed = fs::read(root.join(&file.path)).unwrap_or_default();
        assert!(committed == file.content, "{} is not fresh; type `cargo gen`", file.path.display());
    }
    let known: BTreeSet<PathBuf> = generated.into_iter().map(|file| file.path).collect();
    for folder in ["completions", "man"] {
        for entry in fs::read_dir(root.join(folder)).expect("a folder") {
            let path = Path::new(folder).join(entry.expect("an entry").file_name());
            assert!(known.contains(&path), "{} is of no command; remove it", path.display());
        }
    }
}

#[test]
fn every_command_has_a_page() {
    let text = String::from_utf8(
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/hoopctl.1")).expect("a page"),
    )
    .expect("text");
    for command in ["login", "connect", "exec", "session", "audit", "policy", "broker", "device"] {
        assert!(text.contains(&format!("hoopctl\\-{command}(1)")), "{command} is not in hoopctl.1");
    }
}
