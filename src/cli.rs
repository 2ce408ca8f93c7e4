//! The top floor: the only one that prints, prompts, reads the environment and exits.
//!
//! Job: parse, dispatch to one file per command, and turn what went wrong into a message and an exit
//! code. Boundary: decides nothing that the floors below could decide.

pub mod args;
pub mod commands;
pub mod context;
pub mod exit;
pub mod facts;
pub mod failure;
pub mod file;
pub mod generate;
pub mod logs;
pub mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use args::{BrokerCommand, Cli, Command, Output};
use context::{Context, set};
use failure::{Failure, FailureKind};
use ui::Ui;

/// Runs the program on these arguments.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let plain = set("NO_COLOR").is_some() || set("TERM").as_deref() == Some("dumb");
    let ui = Ui::new(false, plain);
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(Ui { json: asks_for_json(&arguments), ..ui }, &error),
    };
    let ui = Ui { json: cli.global.output == Output::Json, ..ui };
    match start(cli, ui) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            ui.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}

fn start(cli: Cli, ui: Ui) -> Result<u8, Failure> {
    let serves = matches!(cli.command, Command::Broker(BrokerCommand::Serve(_)));
    let level = set("HOOPCTL_LOG").unwrap_or_else(|| (if serves { "info" } else { "error" }).into());
    logs::start(&level, serves && ui.json);
    // what is not told which provider of cryptography to use takes this one; a second install is none
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    // a client has little to do at a time, and wakes one thread for it, not two in turns
    let mut builder = match cli.command {
        Command::Broker(_) | Command::Demo(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::new(FailureKind::Internal, format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(dispatch(cli, ui));
    // a thread that still waits for a terminal or a slow disk must not keep the program
    runtime.shutdown_background();
    outcome
}

async fn dispatch(cli: Cli, ui: Ui) -> Result<u8, Failure> {
    let context = |global| Context::read(global, ui);
    match cli.command {
        Command::Audit(command) => commands::audit::run(cli.global, ui, command).await,
        Command::AwsProfile(args) => commands::aws_profile::run(&context(cli.global)?, args).await,
        Command::Broker(command) => commands::broker::run(ui, command).await,
        Command::Complete(args) => commands::complete::run(cli.global, ui, &args).await,
        Command::Completions { shell } => {
            ui.raw(&generate::completions(shell));
            Ok(0)
        }
        Command::Connect(args) => commands::connect::run(&context(cli.global)?, args).await,
        Command::Credentials(args) => commands::credentials::run(&context(cli.global)?, &args.target).await,
        Command::Demo(args) => commands::demo_command(ui, args).await,
        Command::DemoApi(args) => commands::demo::api::serve(args.listen, &args.key_file).await,
        Command::Device(command) => commands::device::run(&context(cli.global)?, command).await,
        Command::Doctor(args) => commands::doctor::run(cli.global, ui, &args).await,
        Command::Exec(args) => commands::exec::run(&context(cli.global)?, args).await,
        Command::Explain(args) => commands::explain::run(&context(cli.global)?, &args).await,
        Command::Generate { folder } => commands::generate_files(&folder),
        Command::Grant(command) => commands::grant::run(&context(cli.global)?, command).await,
        Command::List(args) => commands::list::run(&context(cli.global)?, &args).await,
        Command::Login(args) => commands::login::run(&context(cli.global)?, &args).await,
        Command::Logout => commands::logout::run(&context(cli.global)?).await,
        Command::PgService(args) => commands::pg_service::run(&context(cli.global)?, args).await,
        Command::Policy(command) => commands::policy::run(ui, command).await,
        Command::Request(command) => commands::request::run(&context(cli.global)?, command).await,
        Command::Session(command) => commands::session::run(&context(cli.global)?, command).await,
        Command::SshConfig(args) => commands::ssh_config::run(&context(cli.global)?, args).await,
        Command::SshProxy(args) => commands::ssh_proxy::run(&context(cli.global)?, &args.target).await,
        Command::SshSocket { socket, carry } => commands::ssh_proxy::socket(&socket, carry).await,
        Command::Whoami(args) => commands::whoami::run(&context(cli.global)?, &args).await,
    }
}

/// Help and version are results; everything else that the parser says is a usage error.
fn usage(ui: Ui, error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        drop(error.print());
        return ExitCode::SUCCESS;
    }
    if ui.json {
        let told = error.to_string();
        let mut lines = told.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let failure = Failure::new(FailureKind::Usage, first.strip_prefix("error: ").unwrap_or(first));
        ui.failure(&lines.fold(failure, Failure::hint));
    } else {
        drop(error.print());
    }
    ExitCode::from(exit::USAGE)
}

/// Whether a command line that could not be parsed wants JSON; what follows `--` is the child's.
fn asks_for_json(arguments: &[OsString]) -> bool {
    let mut ours = arguments.iter().take_while(|word| *word != "--").peekable();
    while let Some(word) = ours.next() {
        if word == "--output=json" || (word == "--output" && ours.peek().is_some_and(|next| *next == "json"))
        {
            return true;
        }
    }
    false
}
