//! How a connection's texts are read.
//!
//! Job: text → [`Inspected`]. On a target without masks the text is parsed for its facts only, and
//! what our parser rejects passes as `unparsed`; on a target with masks each statement is assessed
//! and replaced by its masked deparse. Boundary: pure; asks nobody and sends nothing. Failure mode:
//! an [`Inspected`] with a refusal.

use std::sync::Arc;

use super::inspected::{Inspected, Part};
use super::marks::Marks;
use super::search_path::SearchPath;
use crate::domain::facts::{CopyDirection, Facts, StatementKind};
use crate::domain::name::RuleName;
use crate::domain::policy::Denial;
use crate::domain::target::PostgresTarget;
use crate::sql::{
    Catalog, Effect, ParseError, ParseLimits, Protection, Refusal, Scope, Statement, Temporary,
    TemporaryChange, TransactionStep,
};
use crate::wire::postgres::conversation::Expect;

/// How texts are read.
#[derive(Debug, Clone)]
pub(super) enum Lens {
    /// Through the masks of this principal.
    Masked(Box<Masked>),
    /// As they are.
    Plain,
}

/// How the server reads the bytes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// A backslash escapes in every string: `standard_conforming_strings` is off.
    Escaping,
    /// As we do, but for names beyond ASCII, which it may fold and cut otherwise, and bytes that are written as
    /// escapes: the database is not in UTF-8.
    Foreign {
        /// How many bytes a letter beyond ASCII may take there.
        widest: usize,
    },
    /// As we do.
    Standard,
    /// In another encoding than UTF-8, or nobody knows in which: names are other names, and in some a byte above ASCII
    /// can take the next one along.
    Unknown,
    /// Backslashes may escape or not.
    Unsure,
}

/// The settings that decide how the server reads a text, as it last reported them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    escaping: bool,
    client: Encoding,
    server: Encoding,
}

/// What bytes above ASCII are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// Of a client: whatever they are at the server.
    Bytes,
    /// A letter takes up to so many of them.
    Other(usize),
    Utf8,
}

impl Encoding {
    fn of(name: &str) -> Self {
        match name {
            "UTF8" => Self::Utf8,
            "SQL_ASCII" => Self::Bytes,
            "EUC_CN" | "EUC_JIS_2004" | "EUC_JP" | "EUC_KR" => Self::Other(3),
            _ => {
                let narrow = ["LATIN", "WIN", "ISO_8859_", "KOI8"];
                Self::Other(if narrow.iter().any(|begin| name.starts_with(begin)) { 1 } else { 4 })
            }
        }
    }

    /// How many bytes of a database a letter beyond ASCII of ours may take.
    fn widest(self) -> usize {
        match self {
            // as it was sent, and we cut what is longer ourselves
            Self::Bytes | Self::Utf8 => 1,
            Self::Other(widest) => widest,
        }
    }
}

impl Settings {
    /// Those that the server reported when the connection began.
    pub(super) fn new(reported: &[(String, String)]) -> Self {
        let mut settings = Self { escaping: false, client: Encoding::Utf8, server: Encoding::Utf8 };
        reported.iter().for_each(|(name, value)| settings.take(name, value));
        settings
    }

    /// A setting has this value from now on.
    pub(super) fn take(&mut self, name: &str, value: &str) {
        match name {
            "standard_conforming_strings" => self.escaping = value != "on",
            "client_encoding" => self.client = Encoding::of(value),
            "server_encoding" => self.server = Encoding::of(value),
            _ => {}
        }
    }

    /// How a text is read. `settled` when no settings are on their way that were not reported.
    pub(super) fn reading(self, text: &str, settled: bool) -> Reading {
        let converts = match self.client {
            Encoding::Utf8 => false,
            Encoding::Bytes => matches!(self.server, Encoding::Other(_)),
            Encoding::Other(_) => true,
        };
        if (converts || !settled) && !text.is_ascii() {
            return Reading::Unknown;
        }
        // U&"!00e9" UESCAPE '!'
        let telling = !text.is_ascii() || text.contains('\\') || text.contains("&\"");
        if self.server != Encoding::Utf8 && telling && settled && !self.escaping {
            return Reading::Foreign { widest: self.server.widest() };
        }
        match (text.contains('\\'), settled, self.escaping) {
            (false, ..) | (true, true, false) => Reading::Standard,
            (true, true, true) => Reading::Escaping,
            (true, false, _) => Reading::Unsure,
        }
    }
}

/// What reading through masks needs to know.
#[derive(Debug, Clone)]
pub(super) struct Masked {
    /// What the database's names mean.
    pub(super) catalog: Arc<Catalog>,
    /// The temporary tables that this connection has made since.
    pub(super) temporary: Temporary,
    /// What is protected from this session.
    pub(super) protection: Arc<Protection>,
    /// What each relation was when that was read.
    pub(super) marks: Arc<Marks>,
    /// The session's `search_path`.
    pub(super) path: SearchPath,
    /// The session's role.
    pub(super) role: String,
    /// `server_version_num`.
    pub(super) version: u32,
    /// The target, for the functions it trusts.
    pub(super) target: Arc<PostgresTarget>,
}

impl Lens {
    /// Whether a column of this name is protected in any table.
    pub(super) fn protects(&self, column: &str) -> bool {
        match self {
            Self::Masked(masked) => masked.protection.columns().any(|known| known.column == column),
            Self::Plain => false,
        }
    }

    /// Whether a statement meets tables of which some rows are hidden: what a planner says of them counts all.
    pub(super) fn meets_filtered(&self, facts: &Facts) -> bool {
        let Self::Masked(masked) = self else { return false };
        let met =
            |name: &String| facts.relations_read.contains(name) || facts.relations_written.contains(name);
        masked.protection.filtered().any(|table| met(&format!("{}.{}", table.schema, table.table)))
    }

    /// Whether texts are rewritten.
    pub(super) fn is_masked(&self) -> bool {
        matches!(self, Self::Masked(_))
    }

    /// A text that is not even text; PostgreSQL has the last word.
    pub(super) fn opaque() -> Inspected {
        unparsed("[not UTF-8]")
    }

    /// Reads a text. Deep texts need a deep stack: see [`needs_deep_stack`].
    pub(super) fn inspect(&self, text: &str, reading: Reading) -> Inspected {
        match reading {
            Reading::Standard => {}
            Reading::Foreign { widest } => {
                if let Some(inspected) = self.inspect_foreign(text, widest) {
                    return inspected;
                }
            }
            _ => return self.inspect_otherwise(text, reading),
        }
        let statements = match crate::sql::parse(text, &LIMITS) {
            Ok(statements) => statements,
            // too long or too deep for us is not too long or too deep for PostgreSQL
            Err(
                ParseError::Syntax(_)
                | ParseError::TooDeep { .. }
                | ParseError::TooHeavy { .. }
                | ParseError::TooLong { .. }
                | ParseError::TooMany { .. },
            ) if !self.is_masked() => return unparsed(text),
            Err(error) => return unreadable(&error),
        };
        self.inspect_statements(&statements)
    }

    /// Reads a text in which something means something else in a database that is not in UTF-8; `None` where nothing does.
    /// Through masks names are looked up, and sent in quotes, so that it is values that can, and names that are cut there.
    fn inspect_foreign(&self, text: &str, widest: usize) -> Option<Inspected> {
        let found = crate::sql::beyond_ascii(text, widest);
        if !self.is_masked() {
            return found.names.then(|| unparsed(text));
        }
        let (reason, hint) = if found.values {
            (
                "a byte written as an escape (E'\\xC3') cannot be judged where the database is not in UTF-8",
                "write the character itself, or \\u and its number",
            )
        } else if found.cut {
            (
                "a name that may be longer than 63 bytes in the encoding of the database cannot be judged",
                "use a shorter name",
            )
        } else {
            return None;
        };
        Some(Inspected::with_refusal(Denial {
            rule: RuleName::new("unjudged").unwrap_or_else(|_| RuleName::default_deny()),
            reason: reason.into(),
            hint: Some(hint.into()),
        }))
    }

    /// Reads a text that the server does not, or may not, read as the standard has it.
    fn inspect_otherwise(&self, text: &str, reading: Reading) -> Inspected {
        if self.is_masked() {
            // they are pinned there, so this is the work of somebody's trusted function
            let reason = "the connection's encoding or standard_conforming_strings was changed";
            return Inspected::refused("unjudged", reason.into());
        }
        let escaping = match reading {
            Reading::Foreign { .. } | Reading::Standard | Reading::Unknown => None,
            Reading::Escaping | Reading::Unsure => crate::sql::parse_escaping(text, &LIMITS),
        };
        let sure = |statements: &Vec<Statement>| {
            reading == Reading::Escaping
                || crate::sql::parse(text, &LIMITS)
                    .is_ok_and(|standard| crate::sql::same_statements(&standard, statements))
        };
        match escaping.filter(sure) {
            Some(statements) => self.inspect_statements(&statements),
            None => unparsed(text),
        }
    }

    fn inspect_statements(&self, statements: &[Statement]) -> Inspected {
        if statements.is_empty() {
            let parts = vec![Part::new(Facts::new("empty", StatementKind::Transaction), "")];
            // a comment is not sent where nothing is sent that was not judged
            let sent = self.is_masked().then(String::new);
            return Inspected { parts, sent, expect: Expect::default(), refusal: None };
        }
        match self {
            Self::Masked(masked) => masked.inspect(statements),
            Self::Plain => plain(statements),
        }
    }
}

impl Masked {
    fn inspect(&self, statements: &[Statement]) -> Inspected {
        let (mut path, mut temporary) = (self.path.clone(), self.temporary.clone());
        let mut parts = Vec::with_capacity(statements.len());
        let mut sent = String::new();
        let mut expect = Expect::default();
        for statement in statements {
            let assessed = match crate::sql::assess(statement, &self.scope(path.current(), &temporary)) {
                Ok(assessed) => assessed,
                Err(refusal) => return refused(&refusal),
            };
            // a later statement of the same string is read as this one will have left path and tables
            path.foresee(&assessed.effect);
            expect.renames |= renames(&assessed.facts) || moves_tables(&assessed.effect, &temporary);
            foresee(&mut temporary, &self.temporary, &assessed.effect);
            expect.shifts |= shifts(&assessed.facts);
            if let Effect::Copy(direction) = assessed.effect {
                expect.copy_in |= direction == CopyDirection::In;
                expect.copy_out |= direction == CopyDirection::Out;
            }
            if !sent.is_empty() {
                sent.push_str("; ");
            }
            sent.push_str(&assessed.sent);
            parts.push(Part {
                unsearchable: crate::sql::copies_unsearchably(statement),
                copied: assessed.copied.map(Arc::new),
                sent: (assessed.record_sent != assessed.record_text).then_some(assessed.record_sent),
                facts: Arc::new(assessed.facts),
                text: assessed.record_text,
                effect: assessed.effect,
                secret_values: assessed.redacted_parameters,
                hints: Arc::default(),
                guarded_values: assessed.protected_parameters,
                ruled: Arc::default(),
            });
        }
        Inspected { parts, sent: Some(sent), expect, refusal: None }
    }

    /// What a text is sent as, before masks that read their columns are put in; `None` when that is not
    /// what `sent` was made of.
    pub(super) fn resolved(&self, text: &str, sent: &str) -> Option<String> {
        let statements = crate::sql::parse(text, &LIMITS).ok()?;
        let (mut path, mut temporary) = (self.path.clone(), self.temporary.clone());
        let (mut masked, mut resolved) = (Vec::new(), Vec::new());
        for statement in &statements {
            let assessed = crate::sql::assess(statement, &self.scope(path.current(), &temporary)).ok()?;
            path.foresee(&assessed.effect);
            foresee(&mut temporary, &self.temporary, &assessed.effect);
            resolved.push(assessed.unmasked.unwrap_or_else(|| assessed.sent.clone()));
            masked.push(assessed.sent);
        }
        (masked.join("; ") == sent).then(|| resolved.join("; "))
    }

    fn scope<'a>(&'a self, search_path: &'a [String], temporary: &'a Temporary) -> Scope<'a> {
        Scope {
            catalog: &self.catalog,
            temporary,
            protection: &self.protection,
            search_path,
            session_user: &self.role,
            server_version_num: self.version,
            trusted_functions: &self.target.trusted_functions,
            fields: &self.target.fields,
        }
    }
}

/// Whether a text must be read on a thread with a deep stack.
pub(super) fn needs_deep_stack(text: &str, reading: Reading) -> bool {
    reading != Reading::Standard || !crate::sql::fits_small_stack(text, &LIMITS)
}

const LIMITS: ParseLimits = ParseLimits {
    bytes: 16 << 20,
    statements: 10_000,
    tokens: crate::sql::MOST_TOKENS,
    depth: 1000,
    inline: 4096,
};

fn plain(statements: &[Statement]) -> Inspected {
    let mut expect = Expect::default();
    let mut parts = Vec::with_capacity(statements.len());
    for statement in statements {
        let facts = crate::sql::facts(statement);
        expect.renames |= renames(&facts);
        expect.shifts |= shifts(&facts);
        match facts.copy {
            Some(CopyDirection::In) => expect.copy_in = true,
            Some(CopyDirection::Out) => expect.copy_out = true,
            None => {}
        }
        if facts.kind == StatementKind::Unknown || facts.kind == StatementKind::Code {
            expect = Expect::ANYTHING;
        }
        let part = Part::new(facts, &crate::sql::safe_text(statement));
        let prepares = crate::sql::prepares(statement).map(|name| Effect::Prepare { name });
        let executes = || crate::sql::executes(statement).map(|name| Effect::Execute { name });
        let effect = prepares.or_else(executes).or_else(|| crate::sql::on_cursor(statement));
        let effect = effect.unwrap_or(Effect::None);
        let unsearchable = crate::sql::copies_unsearchably(statement);
        let copied = crate::sql::copied(statement).map(Arc::new);
        parts.push(Part { effect, unsearchable, copied, ..part });
    }
    Inspected::passing(parts, expect)
}

/// Whether names of statements or portals stand for others afterwards.
fn renames(facts: &Facts) -> bool {
    let verbs = ["prepare", "deallocate", "discard", "declare cursor", "close"];
    verbs.contains(&facts.verb.as_str())
}

/// Whether unqualified names may mean other tables afterwards: temporary ones come first.
fn moves_tables(effect: &Effect, temporary: &Temporary) -> bool {
    match effect {
        Effect::Temporary(_) => true,
        Effect::DiscardAll => !temporary.is_empty(),
        Effect::Transaction(step) => {
            !temporary.is_empty()
                && !matches!(
                    step,
                    TransactionStep::Begin | TransactionStep::Savepoint(_) | TransactionStep::Release(_)
                )
        }
        _ => false,
    }
}

/// What a statement will have done to temporary tables, where a string found those of `before`.
fn foresee(temporary: &mut Temporary, before: &Temporary, effect: &Effect) {
    match effect {
        Effect::Temporary(change) => temporary.change(change),
        Effect::DiscardAll => temporary.change(&TemporaryChange::Cleared),
        Effect::Transaction(TransactionStep::Commit) => temporary.commit(),
        Effect::Transaction(TransactionStep::Rollback | TransactionStep::RollbackTo(_)) => {
            *temporary = before.clone();
        }
        _ => {}
    }
}

/// Whether its columns are those of what a name stands for when it runs.
fn shifts(facts: &Facts) -> bool {
    ["execute", "fetch"].contains(&facts.verb.as_str())
}

/// On a target without masks PostgreSQL itself has the last word on what is SQL.
fn unparsed(text: &str) -> Inspected {
    // what cannot be read could hold a password
    let hidden = text.to_ascii_lowercase().contains("password").then(|| crate::sql::record_text(text));
    let text = hidden.as_deref().unwrap_or(text);
    Inspected::passing(vec![Part::new(Facts::unparsed(), text)], Expect::ANYTHING)
}

/// The parser's message without what it quotes, unless that is a name or a sign: a literal may be a protected value, and
/// what the client is told is recorded.
fn bared(message: &str) -> &str {
    let Some((told, near)) = message.split_once(" at or near \"") else { return message };
    let near = near.strip_suffix('"').unwrap_or(near);
    let is_name = near.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && near.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_sign = near.len() <= 2 && near.chars().all(|c| c.is_ascii_punctuation() && !"'\"$".contains(c));
    if is_name || is_sign { message } else { told }
}

fn unreadable(error: &ParseError) -> Inspected {
    let reason = match error {
        ParseError::Syntax(message) => format!("the statement cannot be judged: {}", bared(message)),
        other => other.to_string(),
    };
    Inspected::refused("unjudged", reason)
}

fn refused(refusal: &Refusal) -> Inspected {
    let hint = Some(refusal.hint.clone());
    Inspected::with_refusal(Denial { rule: refusal.rule.clone(), reason: refusal.to_string(), hint })
}
