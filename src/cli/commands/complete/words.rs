//! What may come next on a command line.
//!
//! Job: walks the declared commands along the words that are there. Boundary: pure; what only the broker knows is
//! named, not looked up. Failure mode: a line that makes no sense has nothing to come next.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, Command};

use super::Kind;

/// What may come next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A program.
    Commands,
    /// A file.
    Files,
    /// One of what the broker knows, behind what is written before it (`--option=`).
    Known(Kind, String),
    /// One of these words, each with what is said of it.
    Words(Vec<(String, String)>),
}

/// A command line up to the cursor.
#[derive(Debug)]
pub(super) struct Line {
    /// What may come next.
    pub(super) next: Next,
    /// What the last word begins with.
    pub(super) begun: String,
    /// The options that were given, by their long names, with their values.
    pub(super) given: BTreeMap<String, String>,
}

/// Reads a line; the last of `words` is the one at the cursor.
pub(super) fn read(root: &Command, words: &[String]) -> Line {
    let (begun, before) = match words.split_last() {
        Some((last, before)) => (last.clone(), before),
        None => (String::new(), &[][..]),
    };
    let mut walk = Walk { command: root, place: 0, open: None, childs: None, given: BTreeMap::new() };
    before.iter().for_each(|word| walk.take(word));
    // bash makes a word of its own of `=`
    let (begun, prefix) = match begun.split_once('=') {
        Some(("", rest)) if walk.open.is_some() => (rest.to_owned(), begun.len() - rest.len()),
        _ => (begun, 0),
    };
    let lead = if prefix > 0 { "=" } else { "" };
    let next = walk.next(&begun, lead);
    Line { next, begun: format!("{lead}{begun}"), given: walk.given }
}

struct Walk<'a> {
    command: &'a Command,
    /// How many positional arguments there were.
    place: usize,
    /// The option whose value is the next word.
    open: Option<&'a Arg>,
    /// How many words there were after `--`, once it was there.
    childs: Option<usize>,
    given: BTreeMap<String, String>,
}

impl<'a> Walk<'a> {
    fn take(&mut self, word: &str) {
        if let Some(count) = &mut self.childs {
            *count += 1;
        } else if word == "=" && self.open.is_some() {
            // bash's own word between an option and its value
        } else if let Some(option) = self.open.take().filter(|option| !wants_equals(option)) {
            self.give(option, word);
        } else if word == "--" {
            self.childs = Some(0);
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let option = self.long(name);
            match (option, value) {
                (Some(option), Some(value)) => self.give(option, value),
                (Some(option), None) if takes_value(option) => self.open = Some(option),
                _ => {}
            }
        } else if let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty()) {
            let last = short.chars().last();
            let option = self.command.get_arguments().find(|arg| arg.get_short() == last);
            self.open = option.filter(|option| takes_value(option));
        } else if let Some(sub) = self.command.find_subcommand(word) {
            (self.command, self.place) = (sub, 0);
        } else {
            self.place += 1;
        }
    }

    fn give(&mut self, option: &Arg, value: &str) {
        if let Some(long) = option.get_long() {
            self.given.insert(long.to_owned(), value.to_owned());
        }
    }

    fn long(&self, name: &str) -> Option<&'a Arg> {
        self.command.get_arguments().find(|arg| arg.get_long() == Some(name))
    }

    fn next(&self, begun: &str, lead: &str) -> Next {
        if let Some(count) = self.childs {
            let own = self.command.get_positionals().find(|arg| arg.is_last_set());
            let program = own.is_some_and(|arg| arg.is_required_set());
            return if program && count == 0 { Next::Commands } else { Next::Files };
        }
        if let Some(option) = self.open.filter(|option| !wants_equals(option) || !lead.is_empty()) {
            return self.value(option, lead);
        }
        if let Some((name, _)) = begun.strip_prefix("--").and_then(|long| long.split_once('=')) {
            return match self.long(name).filter(|option| option.get_action().takes_values()) {
                Some(option) => self.value(option, &format!("--{name}=")),
                None => Next::Words(Vec::new()),
            };
        }
        if begun.starts_with('-') {
            return Next::Words(self.options());
        }
        if self.command.has_subcommands() {
            let shown = self.command.get_subcommands().filter(|sub| !sub.is_hide_set());
            let about = |sub: &Command| sub.get_about().map(ToString::to_string).unwrap_or_default();
            return Next::Words(shown.map(|sub| (sub.get_name().to_owned(), about(sub))).collect());
        }
        let mut places = self.command.get_positionals().filter(|arg| !arg.is_last_set());
        // the last one may take many
        let all: Vec<&Arg> = places.by_ref().collect();
        let many = all.last().filter(|arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1));
        match all.get(self.place).or(many) {
            Some(arg) => self.value(arg, ""),
            None => Next::Words(Vec::new()),
        }
    }

    fn options(&self) -> Vec<(String, String)> {
        let shown = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
        let options = shown.filter_map(|arg| {
            let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let equals = if wants_equals(arg) { "=" } else { "" };
            Some((format!("--{}{equals}", arg.get_long()?), about))
        });
        options.collect()
    }

    fn value(&self, arg: &Arg, lead: &str) -> Next {
        let values = arg.get_possible_values();
        if !values.is_empty() {
            let about = |value: &clap::builder::PossibleValue| {
                value.get_help().map(ToString::to_string).unwrap_or_default()
            };
            let shown = values.iter().filter(|value| !value.is_hide_set());
            return Next::Words(
                shown.map(|value| (format!("{lead}{}", value.get_name()), about(value))).collect(),
            );
        }
        match (arg.get_id().as_str(), self.command.get_name()) {
            ("target" | "targets", _) => Next::Known(Kind::Targets, lead.to_owned()),
            ("request", "approve" | "deny") => Next::Known(Kind::Reviewable, lead.to_owned()),
            ("request", "wait" | "withdraw") => Next::Known(Kind::Pending, lead.to_owned()),
            // `--request` of connect is a flag
            ("request", "show") => Next::Known(Kind::Requests, lead.to_owned()),
            ("session", "kill") => Next::Known(Kind::Live, lead.to_owned()),
            ("session", _) => Next::Known(Kind::Sessions, lead.to_owned()),
            ("grant" | "extend", _) => Next::Known(Kind::Grants, lead.to_owned()),
            ("device", _) => Next::Known(Kind::Devices, lead.to_owned()),
            _ if arg.get_value_parser().type_id() == TypeId::of::<PathBuf>() => Next::Files,
            _ => Next::Words(Vec::new()),
        }
    }
}

/// Whether the next word is its value.
fn takes_value(option: &Arg) -> bool {
    option.get_action().takes_values()
}

/// Whether its value is written behind `=` only.
fn wants_equals(option: &Arg) -> bool {
    option.get_action().takes_values() && option.is_require_equals_set()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, reason = "tests fail by panicking")]

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::Cli;

    fn next(line: &str) -> Next {
        let mut command = Cli::command();
        command.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        read(&command, &words).next
    }

    fn words(line: &str) -> Vec<String> {
        match next(line) {
            Next::Words(words) => words.into_iter().map(|(word, _)| word).collect(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn arguments_are_known_by_their_place() {
        let known = |kind| Next::Known(kind, String::new());
        for (line, wanted) in [
            ("connect ", known(Kind::Targets)),
            ("--output json exec d", known(Kind::Targets)),
            ("connect --for 1h ", known(Kind::Targets)),
            ("connect --wait ", known(Kind::Targets)),
            ("request approval ", known(Kind::Targets)),
            ("request approval db --extend ", known(Kind::Grants)),
            ("request approve ", known(Kind::Reviewable)),
            ("request withdraw ", known(Kind::Pending)),
            ("session kill ", known(Kind::Live)),
            ("device revoke --only ", known(Kind::Devices)),
            ("exec db -- ", Next::Commands),
            ("exec db -- ls ", Next::Files),
            ("connect db -- ", Next::Files),
            ("audit verify --dir ", Next::Files),
            ("connect db x", Next::Words(Vec::new())),
        ] {
            assert_eq!(next(line), wanted, "{line}");
        }
    }

    #[test]
    fn commands_options_and_their_values_are_words() {
        assert!(words("").contains(&"connect".to_owned()));
        assert!(!words("").contains(&"generate".to_owned()), "hidden");
        assert!(words("connect --").contains(&"--wait=".to_owned()));
        for line in ["--output ", "--output = ", "list --output "] {
            assert_eq!(words(line), ["json", "text"], "{line}");
        }
        assert_eq!(words("--output=j"), ["--output=json", "--output=text"]);
        assert_eq!(words("--output ="), ["=json", "=text"]);
    }
}
