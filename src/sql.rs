//! Floor 1: what a statement does, and its rewriting under masks.
//!
//! Job: text → [`Statement`]s ([`parse()`]) → [`Facts`](crate::domain::facts::Facts) on targets without
//! masks ([`facts()`]) or [`Assessed`], the text that may be sent, on targets with masks ([`assess()`]).
//! Boundary: pure; what the database's names mean comes in as rows ([`Catalog`]), what is protected
//! as [`Protection`]. Failure mode: a construct that is not known to be sound is a [`Refusal`] that
//! names it; nothing is passed through because it was not understood.

mod assess;
mod catalog;
mod facts;
pub mod filter;
mod functions;
mod names;
mod parse;
mod pattern;
mod protect;
mod shape;
mod temporary;
mod tree;
mod walk;

pub use assess::{Assessed, Effect, Refusal, Scope, TransactionStep, assess, on_cursor, safe_text};
pub use catalog::{Builtins, Catalog, CatalogError, Rows};
pub use facts::facts;
pub use parse::{
    BeyondAscii, Copied, MOST_TOKENS, ParseError, ParseLimits, Piece, PieceKind, STACK, Statement,
    beyond_ascii, copied, copies_unsearchably, executes, fits_small_stack, is_heavy, parse, parse_escaping,
    pieces, prepares, record_text, same_statements,
};
pub use pattern::{Finding, Pattern, Template, free_literals};
pub use protect::{BROKER_SCHEMA, FilteredTable, MaskView, ProtectedColumn, Protection, ProtectionError};
pub use shape::{Literals, shape};
pub use temporary::{Temporary, TemporaryChange, TemporaryTable};
pub(crate) use tree::quoted;
pub use walk::may_begin_with;
