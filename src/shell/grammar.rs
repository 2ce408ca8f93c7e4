//! Text → tree, within bounds.
//!
//! The grammar is brush-parser's (bash's). Its tokenizer recurses at each expansion and its grammar backtracks,
//! so what nests is counted before either runs. Of its entry points only those without a cache are used: the
//! cached ones keep the last 64 texts, with whatever secrets they hold, for the life of the process.

use std::panic::{AssertUnwindSafe, catch_unwind};

use brush_parser::ast::Program;
use brush_parser::{ParseError, ParserOptions, Token, TokenizerError};

/// Why there is no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The shell would wait for another line.
    Incomplete,
    /// Too long, too deep, not text, not in the grammar, or a construct that shells read differently.
    Refused,
}

/// The commands of a text.
pub(super) fn parse(text: &str) -> Result<Program, Trouble> {
    admit(text)?;
    // The parser is somebody else's code over hostile input: a panic in it is a refusal. It also logs whole trees
    // at the debug level, which must not reach a log: commands hold secrets.
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
        catch_unwind(AssertUnwindSafe(|| parse_admitted(text))).unwrap_or(Err(Trouble::Refused))
    })
}

/// Whether the text has a comment: an interactive zsh runs what follows the `#`.
pub(super) fn has_comment(text: &str) -> bool {
    let count = |text: &str| text.chars().filter(|c| *c == '#').count();
    let Ok(tokens) = brush_parser::uncached_tokenize_str(text, &options().tokenizer_options()) else {
        return true;
    };
    count(text) != tokens.iter().map(|token| count(token.to_str())).sum::<usize>()
}

fn parse_admitted(text: &str) -> Result<Program, Trouble> {
    let options = options();
    let tokens =
        brush_parser::uncached_tokenize_str(text, &options.tokenizer_options()).map_err(|error| {
            trouble(error.is_incomplete() || matches!(error, TokenizerError::MissingHereTag(_)))
        })?;
    admit_tokens(&tokens)?;
    brush_parser::parse_tokens(&tokens, &options)
        .map_err(|error| trouble(matches!(error, ParseError::ParsingAtEndOfInput)))
}

fn options() -> ParserOptions {
    // without extended globs, their parentheses are syntax errors: zsh runs code in some
    ParserOptions { enable_extended_globbing: false, ..ParserOptions::default() }
}

fn trouble(incomplete: bool) -> Trouble {
    if incomplete { Trouble::Incomplete } else { Trouble::Refused }
}

/// What is refused before the tokenizer.
fn admit(text: &str) -> Result<(), Trouble> {
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.len() > MAX_LENGTH || text.chars().any(control) {
        return Err(Trouble::Refused);
    }
    let expansions = ["$(", "${", "$["].iter().map(|opener| text.matches(opener).count()).sum::<usize>();
    // the tokenizer may look for the end of a document without end where an expansion is near
    let openers = ["$(", "${", "$[", "`", "<(", ">("];
    let document = text.contains("<<") && openers.iter().any(|opener| text.contains(opener));
    if expansions > MAX_EXPANSIONS || document { Err(Trouble::Refused) } else { Ok(()) }
}

/// What is refused before the grammar.
fn admit_tokens(tokens: &[Token]) -> Result<(), Trouble> {
    let mut openers = 0;
    let mut cases = 0;
    let mut documents = 0;
    if tokens.len() > MAX_TOKENS {
        return Err(Trouble::Refused);
    }
    for (place, token) in tokens.iter().enumerate() {
        let next = tokens.get(place.saturating_add(1));
        let next_operator = match next {
            Some(Token::Operator(operator, _)) => operator.as_str(),
            _ => "",
        };
        match token {
            // `((`: arithmetic here (also with a space between, which only this grammar accepts), a subshell
            // elsewhere; and the rule for it backtracks without end
            Token::Operator(operator, _) if operator == "(" && next_operator == "(" => {
                return Err(Trouble::Refused);
            }
            Token::Operator(operator, _) => {
                openers += usize::from(operator == "(");
                documents += usize::from(operator.starts_with("<<") && operator != "<<<");
            }
            Token::Word(word, _) => {
                openers += usize::from(OPENERS.contains(&word.as_str()));
                cases += usize::from(word == "case");
                // arrays: elements are arithmetic, which runs code
                let array = word.ends_with('=') && next_operator == "(";
                if array || unsafe_index(word) {
                    return Err(Trouble::Refused);
                }
                // the grammar unwraps such a number into an i32
                let digits = word.chars().all(|c| c.is_ascii_digit());
                if digits && (word.is_empty() || word.len() > 4) && next_operator.starts_with(['<', '>']) {
                    return Err(Trouble::Refused);
                }
            }
        }
    }
    // a body that two documents share is read differently by different shells
    let refused = openers > MAX_OPENERS || cases > MAX_CASES || documents > 1;
    if refused { Err(Trouble::Refused) } else { Ok(()) }
}

/// Whether a word starts like an element of an array with something that the grammar would recurse into.
fn unsafe_index(word: &str) -> bool {
    let Some((name, rest)) = word.split_once('[') else { return false };
    let named = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    named && (rest.len() > 256 || rest.contains(['$', '`', '\'', '"', '\\', '(', '[', '{', '=']))
}

/// In bytes.
const MAX_LENGTH: usize = 64 * 1024;
const MAX_TOKENS: usize = 16 * 1024;
/// Altogether, however they nest: closers can be faked in quotes, so that depth is not known before parsing.
const MAX_EXPANSIONS: usize = 48;
const MAX_OPENERS: usize = 40;
/// Each nested `case` without a `;;` is parsed twice.
const MAX_CASES: usize = 4;

const OPENERS: &[&str] =
    &["!", "[[", "case", "coproc", "elif", "else", "for", "function", "if", "select", "until", "while", "{"];
