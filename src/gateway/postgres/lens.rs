//! How a connection's texts are read.
//!
//! Job: text → [`Inspected`]. On a target without masks the text is parsed for its facts only, and
//! what our parser rejects passes as `unparsed`; on a target with masks each statement is assessed
//! and replaced by its masked deparse. Boundary: pure; asks nobody and sends nothing. Failure mode:
//! an [`Inspected`] with a refusal.

use std::sync::{Arc, OnceLock};

use super::inspected::{Inspected, Part};
use super::search_path::SearchPath;
use crate::domain::facts::{CopyDirection, Facts, StatementKind};
use crate::domain::policy::Denial;
use crate::domain::target::Target;
use crate::sql::{Catalog, Effect, ParseError, ParseLimits, Protection, Refusal, Scope, Statement};
use crate::wire::postgres::conversation::Expect;

/// How texts are read.
#[derive(Debug, Clone)]
pub(super) enum Lens {
    /// Through the masks of this principal.
    Masked(Box<Masked>),
    /// As they are.
    Plain,
}

/// What reading through masks needs to know.
#[derive(Debug, Clone)]
pub(super) struct Masked {
    /// What the database's names mean.
    pub(super) catalog: Arc<Catalog>,
    /// What is protected from this session.
    pub(super) protection: Arc<Protection>,
    /// The session's `search_path`.
    pub(super) path: SearchPath,
    /// The session's role.
    pub(super) role: String,
    /// `server_version_num`.
    pub(super) version: u32,
    /// The target, for the functions it trusts.
    pub(super) target: Arc<Target>,
}

impl Lens {
    /// Whether texts are rewritten.
    pub(super) fn is_masked(&self) -> bool {
        matches!(self, Self::Masked(_))
    }

    /// A text that is not even text; PostgreSQL has the last word.
    pub(super) fn opaque() -> Inspected {
        unparsed("[not UTF-8]")
    }

    /// Reads a text. Deep texts need a deep stack: see [`needs_deep_stack`].
    pub(super) fn inspect(&self, text: &str) -> Inspected {
        let statements = match crate::sql::parse(text, &LIMITS) {
            Ok(statements) => statements,
            Err(ParseError::Syntax(_)) if !self.is_masked() => return unparsed(text),
            Err(error) => return unreadable(&error),
        };
        if statements.is_empty() {
            return passing(
                vec![Part::new(Facts::new("empty", StatementKind::Transaction), "")],
                Expect::default(),
            );
        }
        match self {
            Self::Masked(masked) => masked.inspect(&statements),
            Self::Plain => plain(&statements),
        }
    }
}

impl Masked {
    fn inspect(&self, statements: &[Statement]) -> Inspected {
        let mut path = self.path.clone();
        let mut parts = Vec::with_capacity(statements.len());
        let mut sent = String::new();
        let mut expect = Expect::default();
        for statement in statements {
            let assessed = match crate::sql::assess(statement, &self.scope(path.current())) {
                Ok(assessed) => assessed,
                Err(refusal) => return refused(&refusal),
            };
            // a later statement of the same string is read as this one will have left the path
            path.foresee(&assessed.effect);
            if let Effect::Copy(direction) = assessed.effect {
                expect.copy_in |= direction == CopyDirection::In;
                expect.copy_out |= direction == CopyDirection::Out;
            }
            if !sent.is_empty() {
                sent.push_str("; ");
            }
            sent.push_str(&assessed.sent);
            // what is sent holds the client's literals, which are not to be shown beside masked data
            let sent_text = match assessed.facts.touches_masked {
                true => crate::sql::record_text(&assessed.sent),
                false => assessed.sent.clone(),
            };
            parts.push(Part {
                sent: (sent_text != assessed.record_text).then_some(sent_text),
                facts: assessed.facts,
                text: assessed.record_text,
                effect: assessed.effect,
                secret_values: assessed.redacted_parameters,
                guarded_values: assessed.protected_parameters,
                opinion: OnceLock::new(),
            });
        }
        Inspected { parts, sent: Some(sent), expect, refusal: None }
    }

    fn scope<'a>(&'a self, search_path: &'a [String]) -> Scope<'a> {
        let crate::domain::target::TargetKind::Postgres(target) = &self.target.kind;
        Scope {
            catalog: &self.catalog,
            protection: &self.protection,
            search_path,
            session_user: &self.role,
            server_version_num: self.version,
            trusted_functions: &target.trusted_functions,
        }
    }
}

/// Whether a text must be read on a thread with a deep stack.
pub(super) fn needs_deep_stack(text: &str) -> bool {
    !crate::sql::fits_small_stack(text, &LIMITS)
}

const LIMITS: ParseLimits = ParseLimits { bytes: 16 << 20, statements: 10_000, depth: 1000, inline: 4096 };

fn plain(statements: &[Statement]) -> Inspected {
    let mut expect = Expect::default();
    let mut parts = Vec::with_capacity(statements.len());
    for statement in statements {
        let facts = crate::sql::facts(statement);
        match facts.copy {
            Some(CopyDirection::In) => expect.copy_in = true,
            Some(CopyDirection::Out) => expect.copy_out = true,
            None => {}
        }
        if facts.kind == StatementKind::Unknown || facts.kind == StatementKind::Code {
            expect = Expect::ANYTHING;
        }
        parts.push(Part::new(facts, &crate::sql::safe_text(statement)));
    }
    passing(parts, expect)
}

/// On a target without masks PostgreSQL itself has the last word on what is SQL.
fn unparsed(text: &str) -> Inspected {
    passing(vec![Part::new(Facts::unparsed(), text)], Expect::ANYTHING)
}

fn passing(parts: Vec<Part>, expect: Expect) -> Inspected {
    Inspected { parts, sent: None, expect, refusal: None }
}

fn unreadable(error: &ParseError) -> Inspected {
    let reason = match error {
        ParseError::Syntax(message) => format!("the statement cannot be judged: {message}"),
        other => other.to_string(),
    };
    Inspected::refused("unjudged", reason)
}

fn refused(refusal: &Refusal) -> Inspected {
    let hint = Some(refusal.hint.clone());
    Inspected::with_refusal(Denial { rule: refusal.rule.clone(), reason: refusal.to_string(), hint })
}
