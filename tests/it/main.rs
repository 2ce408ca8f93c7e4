//! One binary for all integration tests: one file per user story, shared parts in `support`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests fail by panicking; which of these fire changes with each story"
)]

mod asleep;
mod audit;
mod aws;
mod balancers;
mod bypass;
mod caps;
mod catalogs;
mod cli;
mod completions;
mod connect;
mod connect_http;
mod connect_ssh;
mod contract;
mod corpus;
mod crashes;
mod demo;
mod detectors;
mod devices;
mod docs;
mod doctor;
mod drift;
mod drivers;
mod endings;
mod exec;
mod exports;
mod faults;
mod filters;
mod floors;
mod flow;
mod fuzz;
mod gateway;
mod generated;
mod grants;
mod groups;
mod holds;
mod hostile;
mod http;
mod identity;
mod idle;
mod install;
mod interruptions;
mod issuance;
mod keyring;
mod keys;
mod leases;
mod login;
mod lookout;
mod metrics;
mod noninterference;
mod objects;
mod oracles;
mod proofs;
mod protocol;
mod redefinitions;
mod regress;
mod requests;
mod restarts;
mod reviews;
mod rewrite;
mod setup;
mod sftp;
mod ssh;
mod suites;
mod support;
mod tampering;
mod temporaries;
mod thresholds;
mod webhooks;
mod witnesses;
mod workloads;

/// A story that is not declared above would silently never run.
#[test]
fn every_file_is_declared() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let this = include_str!("main.rs");
    for entry in std::fs::read_dir(folder).expect("tests/it is readable") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.extension().is_some_and(|e| e == "rs") && stem != "main" {
            assert!(
                this.contains(&format!("\nmod {stem};")),
                "tests/it/{stem}.rs is not declared in main.rs"
            );
        }
    }
}
