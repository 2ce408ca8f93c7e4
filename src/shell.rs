//! Floor 1: what a command line does.
//!
//! Job: the text of an exec request, or a line of a supervised shell → [`ExecFacts`], and the [`Transfer`] that it
//! is when a client of `scp`, `rsync`, `git` or `sftp` sent it. Boundary: pure, no I/O, no policy; it sees text and
//! neither the host's files, nor its aliases, nor what a named script holds. Failure mode: what cannot be told, what
//! shells read differently, and what is too long or too deep is [`Effect::Unjudged`], never a guess.
//!
//! What is harmless is listed, per program and per option: an option, a variable, a quote or a builtin that is not
//! known leaves a command unjudged. What is changed below the system's folders or a home's hidden ones has a mark
//! in `paths`, wherever `cd` went before.
//!
//! A program that is not known here is known by its name: it is in `programs`, adds no effect, and ends `read_only`.
//! So `deploy-app v2` can be allowed by name, while a policy that allows only what is read-only does not let it
//! pass. Words that are not known make a command unjudged where they decide what it does (`rm $x`, `> $f`, `sh -c
//! "$x"`), and a path `?` where they only say what is read (`cat "$x"`). Patterns stand in `paths` as written.
//!
//! The grammar is bash's. Where other shells of its family (dash, ash, ksh, zsh) would read a text differently, it
//! is unjudged; csh and fish are not covered beyond what is cheap.

mod call;
mod code;
mod disk;
mod files;
mod git;
mod grammar;
mod judge;
mod machine;
mod options;
mod paths;
mod reader;
mod runner;
mod sed;
#[cfg(test)]
mod tests;
mod tool;
mod transfer;
mod variables;
mod vocabulary;
mod walk;
mod word;
mod wrapper;

use brush_parser::ast::{Command, CommandPrefixOrSuffixItem, Program, SeparatorOperator};

use self::call::{Context, Stdin};
use self::grammar::Trouble;
use self::judge::Judge;
use crate::domain::facts::{Effect, ExecFacts};

pub use self::transfer::Transfer;

/// What a command line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// For policies.
    pub facts: ExecFacts,
    /// Set when the whole line is the other half of a client's file transfer.
    pub transfer: Option<Transfer>,
}

/// What a line of an interactive shell is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A whole command.
    Complete(Judged),
    /// The shell would wait for more: an open quote, a `\` or `&&` at the end, `if` without `fi`. It must be
    /// judged again together with what follows, or refused.
    Incomplete,
}

/// Judges the command of an exec request.
#[must_use]
pub fn judge(command: &[u8], terminal: bool) -> Judged {
    let unjudged = || Judged { facts: ExecFacts::unjudged(terminal), transfer: None };
    let Ok(text) = std::str::from_utf8(command) else { return unjudged() };
    match grammar::parse(text) {
        // some servers start a shell for an empty command
        Ok(program) if program.complete_commands.is_empty() => unjudged(),
        Ok(program) => judge_program(&program, text, terminal),
        Err(_) => unjudged(),
    }
}

/// Judges a line that is typed into an interactive shell, without its final newline.
///
/// The state of that shell is not known: what earlier lines define is judged when they are typed.
#[must_use]
pub fn judge_line(line: &[u8]) -> Line {
    let unjudged = || Line::Complete(Judged { facts: ExecFacts::unjudged(true), transfer: None });
    let Ok(text) = std::str::from_utf8(line) else { return unjudged() };
    // history, completion, and a comment that zsh runs
    if expands_history(text) || text.contains('\t') {
        return unjudged();
    }
    if ends_in_continuation(text) {
        return Line::Incomplete;
    }
    match grammar::parse(text) {
        Ok(_) if grammar::has_comment(text) => unjudged(),
        Ok(program) => Line::Complete(judge_program(&program, text, true)),
        Err(Trouble::Incomplete) => Line::Incomplete,
        Err(Trouble::Refused) => unjudged(),
    }
}

/// The words of a line that is one plain command, as its program gets them; `None` where it is not, or where one
/// of them is known to the shell alone.
#[must_use]
pub fn words(command: &[u8]) -> Option<Vec<String>> {
    let program = grammar::parse(std::str::from_utf8(command).ok()?).ok()?;
    words_of(&program)?.iter().map(|word| word.as_known().map(str::to_owned)).collect()
}

fn judge_program(program: &Program, text: &str, terminal: bool) -> Judged {
    let transfer = words_of(program).and_then(|words| transfer::of(&words));
    if let Some(transfer) = transfer {
        return Judged { facts: transfer_facts(&transfer, terminal), transfer: Some(transfer) };
    }
    let mut judge = Judge::new(terminal);
    if judge.enter(text.len()) {
        judge.program_tree(program, &Context { stdin: Stdin::Caller, terminal });
    }
    Judged { facts: judge.finish(), transfer: None }
}

/// The words of a program that is one plain command.
fn words_of(program: &Program) -> Option<Vec<word::Word>> {
    let [list] = program.complete_commands.as_slice() else { return None };
    let [item] = list.0.as_slice() else { return None };
    let pipeline = &item.0.first;
    let alone = item.0.additional.is_empty() && matches!(item.1, SeparatorOperator::Sequence);
    if !alone || pipeline.bang || pipeline.timed.is_some() {
        return None;
    }
    let [Command::Simple(simple)] = pipeline.seq.as_slice() else { return None };
    if simple.prefix.is_some() {
        return None;
    }
    let mut raw = vec![simple.word_or_name.as_ref()?];
    for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
        match item {
            CommandPrefixOrSuffixItem::Word(word) | CommandPrefixOrSuffixItem::AssignmentWord(_, word) => {
                raw.push(word);
            }
            _ => return None,
        }
    }
    raw.iter()
        .map(|raw| {
            let scanned = word::scan(&raw.value);
            scanned.word.filter(|_| !scanned.refused && scanned.scripts.is_empty())
        })
        .collect()
}

fn transfer_facts(transfer: &Transfer, terminal: bool) -> ExecFacts {
    let mut judge = Judge::new(terminal);
    let (name, paths) = match transfer {
        Transfer::GitArchive(path) => ("git-upload-archive", Some(vec![path.clone()])),
        Transfer::GitFetch(path) => ("git-upload-pack", Some(vec![path.clone()])),
        Transfer::GitPush(path) => ("git-receive-pack", Some(vec![path.clone()])),
        Transfer::RsyncFrom(paths) | Transfer::RsyncTo { paths, .. } => ("rsync", paths.clone()),
        Transfer::ScpFrom(paths) | Transfer::ScpTo(paths) => ("scp", Some(paths.clone())),
        Transfer::Sftp => ("sftp-server", Some(Vec::new())),
    };
    judge.program(name);
    match transfer {
        Transfer::GitPush(_) | Transfer::ScpTo(_) => judge.effect(Effect::Write),
        Transfer::RsyncTo { paths, deletes } => {
            judge.effect(Effect::Write);
            if *deletes {
                judge.effects(&[Effect::Delete, Effect::DeleteTree]);
            }
            if paths.is_none() {
                judge.unjudged();
            }
        }
        Transfer::Sftp => judge.effects(&[Effect::Unjudged, Effect::Write]),
        Transfer::RsyncFrom(None) => judge.unjudged(),
        Transfer::GitArchive(_) | Transfer::GitFetch(_) | Transfer::RsyncFrom(_) | Transfer::ScpFrom(_) => {}
    }
    let writes = matches!(
        transfer,
        Transfer::GitPush(_) | Transfer::RsyncTo { .. } | Transfer::ScpTo(_) | Transfer::Sftp
    );
    for path in paths.unwrap_or_else(|| vec![paths::UNKNOWN.to_owned()]) {
        if writes { judge.alters(path) } else { judge.path(path) }
    }
    judge.finish()
}

/// Whether an interactive shell would put earlier commands into the line. Quotes are not looked at.
fn expands_history(text: &str) -> bool {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '!' && chars.peek().is_some_and(|next| !matches!(next, ' ' | '=' | '\n')) {
            return true;
        }
    }
    text.trim_start().starts_with('^')
}

fn ends_in_continuation(text: &str) -> bool {
    text.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}
