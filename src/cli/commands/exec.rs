//! `hoopctl exec TARGET -- CMD…`.

use crate::cli::args::Exec;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};

use super::connect::{Run, run_child};

/// Runs any command with the target's environment.
///
/// # Errors
/// [`Failure`], of ours only.
pub async fn run(context: &Context, args: Exec) -> Result<u8, Failure> {
    let mut words = args.command.into_iter();
    let Some(program) = words.next() else {
        return Err(Failure::new(FailureKind::Usage, "there is no command to run"));
    };
    run_child(context, (&args.target, &args.ask), args.listen, Run::Program(program, words.collect())).await
}
