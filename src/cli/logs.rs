//! Logs on standard error: structured and without secrets.

use std::io;

use tracing_subscriber::EnvFilter;

/// Starts logging; `directives` are in the form of `RUST_LOG`.
pub fn start(directives: &str, json: bool) {
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("warn"));
    // what is signed for AWS is written to its logs, with the token in it
    let quiet = [
        "aws_sigv4=warn",
        "aws_config=warn",
        "aws_runtime=warn",
        "aws_sdk_sts=warn",
        "aws_smithy_runtime=warn",
    ];
    let quiet = quiet.iter().filter_map(|directive| directive.parse().ok());
    let filter = quiet.fold(filter, EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // a second start in one process has no effect, which is what tests want
    drop(if json { builder.json().try_init() } else { builder.with_ansi(false).try_init() });
}
