//! The doorway: everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    hoopctl::cli::run(std::env::args_os())
}
