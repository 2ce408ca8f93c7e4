//! The reference of the command line, from its definitions.

use std::fmt::Write as _;

use clap::{Arg, Command};

/// The page, as Markdown.
pub(super) fn page(command: &Command) -> String {
    let mut page = String::from(HEAD);
    page.push_str("\n## Global options\n\n");
    page.push_str(&options(command.get_arguments().filter(|argument| argument.is_global_set())));
    section(command, &mut page);
    page
}

fn section(command: &Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut command = command.clone();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").lines().map(str::trim).collect::<Vec<_>>().join("`, `");
    // writing to a string cannot fail
    let _infallible = write!(page, "\n## {name}\n\n`{}`\n", usage.trim());
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        let _infallible = write!(page, "\n{}\n", escaped(&about.to_string()));
    }
    let own = command.get_arguments().filter(|argument| {
        !argument.is_global_set()
            && !argument.is_hide_set()
            && !["help", "version"].contains(&argument.get_id().as_str())
    });
    let own = options(own);
    if !own.is_empty() {
        let _infallible = write!(page, "\n{own}");
    }
    if let Some(after) = command.get_after_long_help() {
        page.push('\n');
        for line in after.to_string().lines() {
            let line = line.trim_end();
            let typed = line.trim_start();
            let is_command = ["hoopctl ", "ssh ", "rsync "].iter().any(|program| typed.starts_with(program));
            let _infallible = if is_command {
                writeln!(page, "- `{typed}`")
            } else if line.starts_with(' ') {
                writeln!(page, "{}", escaped(typed))
            } else {
                write!(page, "{}\n\n", escaped(line))
            };
        }
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        section(sub, page);
    }
}

fn options<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let rows: String = arguments.map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    format!("| Option | Means |\n|---|---|\n{rows}")
}

fn row(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    // the first line of a help text has no full stop
    let mut means = help.trim_end_matches('.').replacen(
        "

", ". ", 1,
    );
    let values = argument.get_possible_values();
    let takes = argument.get_action().takes_values();
    if takes && !values.is_empty() {
        let names: Vec<String> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        means = format!("{means}: {}", names.join(", "));
    }
    if let Some(variable) = argument.get_env() {
        means = format!("{means}. Variable: `{}`", variable.to_string_lossy());
    }
    let defaults = argument.get_default_values();
    if takes && !defaults.is_empty() {
        let defaults: Vec<String> =
            defaults.iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
        means = format!("{means}. Default: {}", defaults.join(", "));
    }
    let written = argument.to_string();
    format!("| `{written}` | {} |\n", escaped(&means).replace("\n\n", " ").replace('\n', " "))
}

/// Text in which nothing is markup but what stands between backticks.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

const HEAD: &str = "# Command line

<!-- made by `cargo gen` from src/cli/args.rs -->

What `hoopctl COMMAND --help` and the man pages say, on one page. Exit codes stand at the first command.
";
