//! Completions, man pages and references, from the definitions of commands and keys.
//!
//! Job: every generated file with its place. Boundary: depends on [`super::args`] and the table of keys alone;
//! writes nothing itself.

mod commands;
mod configuration;

use std::io;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::args::Cli;

/// A generated file: its path below the repository, and its content.
#[derive(Debug)]
pub struct Generated {
    /// Where it belongs.
    pub path: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
}

/// All generated files.
///
/// # Errors
/// When a page cannot be rendered.
pub fn files() -> io::Result<Vec<Generated>> {
    let shells = [("hoopctl.bash", Shell::Bash), ("_hoopctl", Shell::Zsh), ("hoopctl.fish", Shell::Fish)];
    let mut files: Vec<Generated> = shells
        .into_iter()
        .map(|(name, shell)| Generated {
            path: PathBuf::from("completions").join(name),
            content: completions(shell),
        })
        .collect();
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    man_pages(&command, &mut files)?;
    for (name, text) in [("cli.md", commands::page(&command)), ("configuration.md", configuration::page())] {
        files
            .push(Generated { path: PathBuf::from("docs/reference").join(name), content: text.into_bytes() });
    }
    Ok(files)
}

/// The completions of one shell.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    // these ask the program itself, which knows targets and ids
    match shell {
        Shell::Bash => return BASH.into(),
        Shell::Fish => return FISH.into(),
        Shell::Zsh => return ZSH.into(),
        _ => {}
    }
    let mut content = Vec::new();
    generate(shell, &mut Cli::command(), "hoopctl", &mut content);
    content
}

fn man_pages(command: &clap::Command, files: &mut Vec<Generated>) -> io::Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        man_pages(sub, files)?;
    }
    let man = Man::new(command.clone());
    let mut content = Vec::new();
    man.render(&mut content)?;
    files.push(Generated { path: PathBuf::from("man").join(man.get_filename()), content });
    Ok(())
}

const BASH: &[u8] = include_bytes!("generate/hoopctl.bash");
const FISH: &[u8] = include_bytes!("generate/hoopctl.fish");
const ZSH: &[u8] = include_bytes!("generate/_hoopctl");
