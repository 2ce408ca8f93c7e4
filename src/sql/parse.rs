//! Text to statements, with PostgreSQL's own parser.
//!
//! Job: one bounded parse of what a client sent. Boundary: no catalog, no judgement. Failure mode: a
//! text that is too long, too deep, has NUL in it or is not SQL is a [`ParseError`].
//!
//! The parser and everything that walks its trees recurse. [`parse`] therefore refuses a text whose
//! nesting, as bounded by [`ParseLimits::depth`], could exhaust [`STACK`] bytes, and what does not
//! [fit a small stack](fits_small_stack) must be parsed, assessed and dropped on a thread that has them. An
//! overflow of the stack ends the process, so this is not a matter of taste.

mod bare;
mod copied;
mod copies;
mod pieces;
#[cfg(test)]
mod tests;
mod weight;

pub use self::bare::record_text;
pub(in crate::sql) use self::copied::copied_by;
pub use self::copied::{Copied, copied, copies_unsearchably};
pub use self::pieces::{Piece, PieceKind, pieces};

use pg_query::ParserOptions;
use pg_query::protobuf::{self, KeywordKind, Token};
use thiserror::Error;

/// The most tokens that are ever read of one text. Reading, rewriting and comparing takes up to 4.5 KB of memory for one
/// (`SELECT *, *, …`), and 1 KB in a list of numbers.
pub const MOST_TOKENS: usize = 250_000;

/// The stack that a thread needs for a text longer than [`ParseLimits::inline`].
pub const STACK: usize = 64 << 20;

/// How much of a text is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseLimits {
    /// The longest text, in bytes.
    pub bytes: usize,
    /// The most statements in one text.
    pub statements: usize,
    /// The most tokens in one text, as counted in a pass that reads nothing: they decide how much memory it takes.
    pub tokens: usize,
    /// The deepest nesting, as counted on tokens before parsing.
    pub depth: usize,
    /// The longest text that may be parsed on a thread with only 2 MiB of stack; the caller sees to it.
    pub inline: usize,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, statements: 1000, tokens: MOST_TOKENS, depth: 1000, inline: 4096 }
    }
}

/// Why a text could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// It nests too deeply.
    #[error("the statement nests more than {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// It has too many words and signs, which take a hundred times their length to read.
    #[error("the statement has more than {limit} words and signs")]
    TooHeavy {
        /// The limit.
        limit: usize,
    },
    /// It is too long.
    #[error("the statement is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// It holds too many statements.
    #[error("more than {limit} statements in one message")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// It holds a NUL character.
    #[error("the statement contains a NUL character")]
    Nul,
    /// PostgreSQL's grammar rejects it; the parser's message.
    #[error("{0}")]
    Syntax(String),
}

/// One parsed statement.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The client's text of this statement alone.
    text: String,
    /// The parser's tree.
    raw: protobuf::RawStmt,
}

impl Statement {
    /// The client's text of this statement alone, without the semicolon.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn node(&self) -> Option<&pg_query::NodeEnum> {
        self.raw.stmt.as_ref().and_then(|node| node.node.as_ref())
    }
}

/// Parses a text into its statements; an empty text has none.
///
/// # Errors
/// [`ParseError`]. On a target without masks the caller forwards such texts as `unparsed`, all but
/// [`ParseError::Nul`].
pub fn parse(text: &str, limits: &ParseLimits) -> Result<Vec<Statement>, ParseError> {
    if text.len() > limits.bytes {
        return Err(ParseError::TooLong { limit: limits.bytes });
    }
    if text.contains('\0') {
        return Err(ParseError::Nul);
    }
    if weight::weight(text) > limits.tokens {
        return Err(ParseError::TooHeavy { limit: limits.tokens });
    }
    let tokens = tokens(text).map_err(|error| ParseError::Syntax(message(&error)))?;
    if depth(&tokens) > limits.depth {
        return Err(ParseError::TooDeep { limit: limits.depth });
    }
    if copies::may_copy(text) && copies::copied(&tokens, limits.tokens) > limits.tokens {
        return Err(ParseError::TooHeavy { limit: limits.tokens });
    }
    drop(tokens);
    let parsed = pg_query::parse(text, 0).map_err(|error| ParseError::Syntax(message(&error)))?;
    let stmts = parsed.protobuf.stmts;
    if stmts.len() > limits.statements {
        return Err(ParseError::TooMany { limit: limits.statements });
    }
    Ok(stmts.into_iter().map(|raw| Statement { text: slice(text, &raw), raw }).collect())
}

/// Parses a text as a server with `standard_conforming_strings = off` does: a backslash escapes in every
/// string. `None` when it cannot be parsed like that, or is longer than [`ParseLimits::inline`]. How deep it
/// nests cannot be told from its tokens, so it must be parsed on a thread with [`STACK`] bytes of stack.
#[must_use]
pub fn parse_escaping(text: &str, limits: &ParseLimits) -> Option<Vec<Statement>> {
    // what is copied, and how often, cannot be told from its tokens either
    if text.len() > limits.inline || text.contains('\0') || copies::may_copy(text) {
        return None;
    }
    let options = ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS;
    let stmts = pg_query::parse(text, options).ok()?.protobuf.stmts;
    (stmts.len() <= limits.statements)
        .then(|| stmts.into_iter().map(|raw| Statement { text: slice(text, &raw), raw }).collect())
}

/// The name that this gives a prepared statement, when it is a PREPARE.
#[must_use]
pub fn prepares(statement: &Statement) -> Option<String> {
    match statement.node()? {
        pg_query::NodeEnum::PrepareStmt(prepare) => Some(prepare.name.clone()),
        _ => None,
    }
}

/// The name of the prepared statement that this runs, when it is an EXECUTE or has one inside (`EXPLAIN
/// ANALYZE EXECUTE`, `CREATE TABLE … AS EXECUTE`).
#[must_use]
pub fn executes(statement: &Statement) -> Option<String> {
    use pg_query::NodeEnum;
    let mut node = statement.node()?;
    loop {
        let inner = match node {
            NodeEnum::ExecuteStmt(execute) => return Some(execute.name.clone()),
            NodeEnum::ExplainStmt(explain) => explain.query.as_deref(),
            NodeEnum::CreateTableAsStmt(make) => make.query.as_deref(),
            _ => return None,
        };
        node = inner?.node.as_ref()?;
    }
}

/// What of a text depends on the encoding of a database that is not in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeyondAscii {
    /// There are names beyond ASCII in it, which a server may fold to lower case and cut at 63 bytes of its own.
    pub names: bool,
    /// One of them may be longer than that there.
    pub cut: bool,
    /// There are bytes written as escapes, which are bytes of its own encoding.
    pub values: bool,
}

/// What of a text depends on the encoding of the database, where a letter beyond ASCII takes up to so many bytes; all
/// of it where it cannot be read.
#[must_use]
pub fn beyond_ascii(text: &str, widest: usize) -> BeyondAscii {
    let Ok(tokens) = tokens(text) else { return BeyondAscii { names: true, cut: true, values: true } };
    let mut found = BeyondAscii { names: false, cut: false, values: false };
    for token in &tokens {
        let bounds = usize::try_from(token.start).ok().zip(usize::try_from(token.end).ok());
        let written = bounds.and_then(|(start, end)| text.get(start..end)).unwrap_or("\u{fffd}");
        match Token::try_from(token.token) {
            Ok(Token::SqlComment | Token::CComment) => {}
            // the scanner makes one of the pieces of a literal, and of the letter before it
            Ok(Token::Sconst) => {
                let escapes = |pair: &[u8]| matches!(pair, [b'\\', b'0'..=b'7' | b'x']);
                found.values |= written.starts_with(['e', 'E']) && written.as_bytes().windows(2).any(escapes);
            }
            Ok(Token::Usconst | Token::Bconst | Token::Xconst) => {}
            // it may say behind it what its escapes begin with
            kind => {
                let is_name = !written.is_ascii() || kind == Ok(Token::Uident);
                // a letter that is written as an escape has five letters, more than it takes bytes
                let letters = written.trim_matches('"').chars();
                let bytes = letters.map(|letter| if letter.is_ascii() { 1 } else { widest });
                found.names |= is_name;
                found.cut |= is_name && bytes.sum::<usize>() > LONGEST_NAME;
            }
        }
    }
    found
}

/// Whether two readings of one text are the same.
#[must_use]
pub fn same_statements(one: &[Statement], other: &[Statement]) -> bool {
    let pairs = one.iter().zip(other);
    one.len() == other.len()
        && pairs.into_iter().all(|(one, other)| super::tree::same(&one.node(), &other.node()))
}

/// Whether a text may be parsed and assessed on a thread with 2 MiB of stack.
#[must_use]
pub fn fits_small_stack(text: &str, limits: &ParseLimits) -> bool {
    text.len() <= limits.inline
        && !text.contains('\0')
        && tokens(text).is_ok_and(|tokens| depth(&tokens) <= SHALLOW)
}

/// Whether reading a text takes so much memory that there should be one such at a time.
#[must_use]
pub fn is_heavy(text: &str) -> bool {
    text.len() > HEAVY && weight::weight(text) > HEAVY
}

/// Runs `work` on a stack of [`STACK`] bytes, and waits for it; `None` when it could not be run.
pub(crate) fn on_big_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).ok()?;
        thread.join().ok()
    })
}

/// The tokens of a text, comments among them; an error where there are more than [`MOST_TOKENS`].
pub(super) fn tokens(text: &str) -> Result<Vec<protobuf::ScanToken>, pg_query::Error> {
    // INVARIANT: a text without a token must not get to the scanner: pg_query 18.1 makes a slice of the null
    // pointer that comes back, which is undefined behaviour. Whitespace alone, as PostgreSQL's scanner knows
    // it, has no token; everything else has one or is an error.
    if text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)) {
        return Ok(Vec::new());
    }
    if weight::weight(text) > MOST_TOKENS {
        return Err(pg_query::Error::Scan("there are too many tokens".into()));
    }
    pg_query::scan_tokens(text)
}

fn message(error: &pg_query::Error) -> String {
    match error {
        pg_query::Error::Parse(message) | pg_query::Error::Scan(message) => message.clone(),
        other => other.to_string(),
    }
}

/// The statement's own text. A length of zero is the parser's way of saying "to the end".
fn slice(text: &str, raw: &protobuf::RawStmt) -> String {
    let start = usize::try_from(raw.stmt_location).unwrap_or(0);
    let end = match usize::try_from(raw.stmt_len) {
        Ok(length) if length > 0 => start.saturating_add(length),
        _ => text.len(),
    };
    text.get(start..end).unwrap_or(text).trim().into()
}

/// A bound on how deep the tree of this text can be, from its tokens alone: open brackets, plus on each
/// open level the operators and keywords that may nest into each other without brackets. A comma ends
/// such a chain, but not one of joins and set operations.
fn depth(tokens: &[protobuf::ScanToken]) -> usize {
    let mut levels: Vec<Level> = vec![Level::default()];
    let (mut sum, mut deepest) = (1_usize, 1_usize);
    for token in tokens {
        let reserved = token.keyword_kind >= KeywordKind::ColNameKeyword as i32;
        match Token::try_from(token.token).unwrap_or(Token::Nul) {
            Token::Ascii40 | Token::Ascii91 => {
                levels.push(Level::default());
                sum += 1;
            }
            Token::Ascii41 | Token::Ascii93 if levels.len() > 1 => {
                if let Some(closed) = levels.pop() {
                    sum = sum.saturating_sub(1 + closed.chain + closed.joins);
                }
            }
            Token::Ascii44 => {
                if let Some(level) = levels.last_mut() {
                    sum = sum.saturating_sub(level.chain);
                    level.chain = 0;
                }
            }
            Token::Ascii59 => {
                levels = vec![Level::default()];
                sum = 1;
            }
            Token::Join | Token::Union | Token::Intersect | Token::Except => {
                if let Some(level) = levels.last_mut() {
                    level.joins += 1;
                    sum += 1;
                }
            }
            Token::SqlComment | Token::CComment | Token::Ascii46 | Token::As => {}
            Token::Ident
            | Token::Uident
            | Token::Sconst
            | Token::Usconst
            | Token::Iconst
            | Token::Fconst
            | Token::Bconst
            | Token::Xconst
            | Token::Param => {}
            // the one keyword that nests (`x AT LOCAL AT LOCAL`) and is not reserved
            Token::At => {
                if let Some(level) = levels.last_mut() {
                    level.chain += 1;
                    sum += 1;
                }
            }
            _ if token.keyword_kind != KeywordKind::NoKeyword as i32 && !reserved => {}
            _ => {
                if let Some(level) = levels.last_mut() {
                    level.chain += 1;
                    sum += 1;
                }
            }
        }
        deepest = deepest.max(sum);
    }
    deepest
}

/// How many bytes of a name a server keeps.
const LONGEST_NAME: usize = 63;

/// From how many tokens on a text is heavy: some 100 MB.
const HEAVY: usize = 25_000;

#[derive(Default)]
struct Level {
    chain: usize,
    joins: usize,
}

/// How deep a text may nest to be handled on 2 MiB of stack: a level of SELECT takes 80 KiB in an
/// unoptimised build, where 20 of them fit, and every other level less than a third of that.
const SHALLOW: usize = if cfg!(debug_assertions) { 24 } else { 100 };
