//! What the stories share: real servers, private homes.
#![allow(dead_code, reason = "each story uses its own part of it")]

pub(crate) mod api;
pub(crate) mod broker;
pub(crate) mod ceph;
pub(crate) mod client;
pub(crate) mod demo_api;
pub(crate) mod dropbear;
pub(crate) mod env;
pub(crate) mod moto;
pub(crate) mod postgres;
pub(crate) mod provider;
pub(crate) mod sshd;
pub(crate) mod terminal;

pub(crate) mod gateway;
pub(crate) mod house;
pub(crate) mod masks;
pub(crate) mod raw;
pub(crate) mod reviewer;
pub(crate) mod world;

use std::path::{Path, PathBuf};

/// Where a script of `tests/setup` put something.
pub(crate) fn cached(name: &str, script: &str) -> PathBuf {
    let caches = [
        std::env::var_os("HOOPCTL_TEST_CACHE").map(PathBuf::from),
        Some(PathBuf::from("/var/cache/hoopctl-tests")),
        std::env::var_os("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("hoopctl-tests")),
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/hoopctl-tests")),
    ];
    let found = caches.into_iter().flatten().map(|cache| cache.join(name)).find(|at| at.exists());
    found.unwrap_or_else(|| panic!("{name} is not here; run: tests/setup/{script}.sh"))
}

/// Copies a folder with everything in it.
pub(crate) fn copy_all(from: &Path, to: &Path) {
    for path in files_below(from) {
        let copy = to.join(path.strip_prefix(from).expect("it is below"));
        std::fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        std::fs::copy(&path, &copy).expect("copied");
    }
}

/// Every file below a folder; folders do not count.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}
