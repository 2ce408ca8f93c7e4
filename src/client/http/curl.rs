//! curl's own configuration file and arguments.
//!
//! Job: `curl /v1/traces` works, whatever the user's `.curlrc` says. Boundary: an argument is changed only where it
//! can be nothing but a path to ask for. Failure mode: an argument that may be the value of an option stays as it is,
//! and curl says what it lacks.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::client::protocol::Form;

/// What the file of `-K` says: everything through the loopback, and whom to trust there.
#[must_use]
pub fn configuration(proxy: &str, authority: &Path) -> String {
    format!("proxy = {}\nnoproxy = \"\"\ncacert = {}\n", quoted(proxy), quoted(&authority.to_string_lossy()))
}

/// What to start for these words: the program that they begin with, or curl where they begin with an option, a URL, or
/// a path that is no file here. `None` without words.
#[must_use]
pub fn command(form: &Form, target: &str, mut words: Vec<OsString>) -> Option<(OsString, Vec<OsString>)> {
    let first = words.first()?.to_string_lossy();
    if first.starts_with(['-', '/']) && !Path::new(&*first).is_file() || first.contains("://") {
        return Some((form.client.clone(), arguments(&form.arguments, target, words)));
    }
    let program = words.remove(0);
    if Path::new(&program).file_name().is_some_and(|name| name == "curl") {
        return Some((program, arguments(&form.arguments, target, words)));
    }
    Some((program, words))
}

/// curl's arguments with our own in front and each path made a URL of the target.
fn arguments(own: &[OsString], target: &str, given: Vec<OsString>) -> Vec<OsString> {
    let mut given = given.into_iter().peekable();
    let mut arguments = Vec::new();
    // counts only where it is the first
    arguments.extend(given.next_if(|first| first == "-q" || first == "--disable"));
    arguments.extend(own.iter().cloned());
    let mut before = Before::Nothing;
    let mut literal = false;
    for argument in given {
        let next = if literal { Before::Nothing } else { Before::of(&argument) };
        literal = literal || (argument == "--" && before != Before::Value);
        arguments.push(match before {
            Before::Nothing | Before::Url => absolute(target, argument),
            Before::Value => argument,
        });
        // the value of an option is none itself
        before = if before == Before::Nothing { next } else { Before::Nothing };
    }
    arguments
}

/// What an argument means for the one after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// `--url`.
    Url,
    /// An option that takes a value, or one that we do not know.
    Value,
}

impl Before {
    fn of(argument: &OsStr) -> Self {
        let text = argument.to_string_lossy();
        if text == "--" || text == "-" {
            return Self::Nothing;
        }
        if let Some(long) = text.strip_prefix("--") {
            return match long {
                "url" => Self::Url,
                _ if SWITCHES.contains(&long) || long.starts_with("no-") || long.contains('=') => {
                    Self::Nothing
                }
                _ => Self::Value,
            };
        }
        let Some(letters) = text.strip_prefix('-') else { return Self::Nothing };
        // the first letter that takes a value takes the rest, or the next argument where there is no rest
        match letters.char_indices().find(|(_, letter)| !SWITCH_LETTERS.contains(*letter)) {
            Some((at, letter)) if at + letter.len_utf8() == letters.len() => Self::Value,
            Some(_) | None => Self::Nothing,
        }
    }
}

fn absolute(target: &str, argument: OsString) -> OsString {
    let text = argument.to_string_lossy();
    if let Some(path) = text.strip_prefix("--url=").filter(|path| path.starts_with('/')) {
        return format!("--url=http://{target}{path}").into();
    }
    if text.starts_with('/') { format!("http://{target}{text}").into() } else { argument }
}

/// A value of the file, quoted as curl reads it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Options of one letter without a value.
const SWITCH_LETTERS: &str = "#012346BGIJLMNORSVZafgijklnpqsv:";

/// Long options without a value, as far as people use them before a path.
const SWITCHES: &[&str] = &[
    "anyauth",
    "append",
    "basic",
    "compressed",
    "create-dirs",
    "digest",
    "disable",
    "fail",
    "fail-early",
    "fail-with-body",
    "get",
    "globoff",
    "head",
    "http0.9",
    "http1.0",
    "http1.1",
    "http2",
    "http2-prior-knowledge",
    "include",
    "insecure",
    "ipv4",
    "ipv6",
    "junk-session-cookies",
    "list-only",
    "location",
    "location-trusted",
    "netrc",
    "netrc-optional",
    "next",
    "parallel",
    "parallel-immediate",
    "path-as-is",
    "post301",
    "post302",
    "post303",
    "progress-bar",
    "raw",
    "remote-header-name",
    "remote-name",
    "remote-name-all",
    "remote-time",
    "remove-on-error",
    "retry-all-errors",
    "retry-connrefused",
    "show-error",
    "show-headers",
    "silent",
    "ssl-reqd",
    "styled-output",
    "tcp-nodelay",
    "tlsv1.2",
    "tlsv1.3",
    "tr-encoding",
    "trace-ids",
    "trace-time",
    "use-ascii",
    "verbose",
    "xattr",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(given: &str) -> String {
        let given = given.split_whitespace().map(OsString::from).collect();
        let arguments = arguments(&["-K".into(), "RC".into()], "api", given);
        arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn paths_become_urls_and_values_of_options_do_not() {
        for (given, expected) in [
            ("/v1", "-K RC http://api/v1"),
            ("-sS /v1 -o /tmp/x /v2", "-K RC -sS http://api/v1 -o /tmp/x http://api/v2"),
            ("-sSo /tmp/x /v1", "-K RC -sSo /tmp/x http://api/v1"),
            ("-o/tmp/x /v1", "-K RC -o/tmp/x http://api/v1"),
            ("--silent /v1", "-K RC --silent http://api/v1"),
            ("--output /tmp/x /v1", "-K RC --output /tmp/x http://api/v1"),
            ("--some-new-option /tmp/x /v1", "-K RC --some-new-option /tmp/x http://api/v1"),
            ("--no-buffer /v1", "-K RC --no-buffer http://api/v1"),
            ("--url /v1", "-K RC --url http://api/v1"),
            ("--url=/v1", "-K RC --url=http://api/v1"),
            ("-d @/etc/x -X POST /v1", "-K RC -d @/etc/x -X POST http://api/v1"),
            ("-o -s /v1", "-K RC -o -s http://api/v1"),
            ("-T /tmp/x -- /v1", "-K RC -T /tmp/x -- http://api/v1"),
            ("https://api.example/v1", "-K RC https://api.example/v1"),
            ("-q /v1", "-q -K RC http://api/v1"),
            ("-H Accept:/x --next /v2", "-K RC -H Accept:/x --next http://api/v2"),
        ] {
            assert_eq!(rewritten(given), expected, "{given}");
        }
    }

    #[test]
    fn what_begins_with_a_program_is_that_program() {
        let form = Form {
            client: "curl".into(),
            arguments: vec!["-K".into(), "RC".into()],
            variables: Vec::new(),
            named: Vec::new(),
            files: Vec::new(),
            hides: |_| false,
            door: None,
        };
        for (words, expected) in [
            ("", None),
            ("curl /v1", Some("curl -K RC http://api/v1")),
            ("/opt/curl/bin/curl /v1", Some("curl -K RC http://api/opt/curl/bin/curl http://api/v1")),
            ("-sS /v1", Some("curl -K RC -sS http://api/v1")),
            ("/v1", Some("curl -K RC http://api/v1")),
            ("https://api.example/v1", Some("curl -K RC https://api.example/v1")),
            ("/bin/sh -c /v1", Some("/bin/sh -c /v1")),
            ("./report /v1", Some("./report /v1")),
        ] {
            let given = words.split_whitespace().map(OsString::from).collect();
            let made = command(&form, "api", given).map(|(program, arguments)| {
                let all: Vec<_> = [program].into_iter().chain(arguments).collect();
                all.join(OsStr::new(" ")).to_string_lossy().into_owned()
            });
            assert_eq!(made.as_deref(), expected, "{words}");
        }
    }

    #[test]
    fn the_file_is_quoted() {
        assert_eq!(quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
    }
}
