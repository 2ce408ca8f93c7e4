//! What of an error the client may read on a masked target.
//!
//! Job: turn what the database says into what can hold no value of a row. Boundary: masking itself is
//! done in the statement; this is the net for what statements still make the database say. Failure
//! mode: says too little.
//!
//! SQLSTATE alone does not make a text safe. `RAISE … USING ERRCODE = '42P01', MESSAGE = secret` and
//! `select secret::regclass` both put a value into a "relation does not exist". So a text is kept
//! only if its SQLSTATE is listed below *and* nothing ran when it was made:
//! - errors of parsing and analysis carry a position in the statement's own text, and speak of what
//!   stands there; the same SQLSTATEs raised while rows are read carry none;
//! - errors from inside functions carry a context;
//! - the rest is compared with the text that PostgreSQL itself has for that SQLSTATE.
//!
//! Detail, hint, context, and the names of columns and constraints are never kept.

use super::error::{ErrorFields, Fields, Severity};
use crate::domain::planted::{Leak, is_planted};

/// What to hide in errors, notices and notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrub {
    /// Everything that could hold a row's value.
    Generic,
    /// Nothing.
    None,
}

/// What the client is told instead.
#[must_use]
pub fn scrub(fields: &Fields<'_>) -> ErrorFields {
    let summary = fields.summary();
    let sqlstate = known(fields, &summary.sqlstate);
    let safe = sqlstate == summary.sqlstate && is_safe(fields, &summary);
    let message = if safe {
        summary.message
    } else if sqlstate == "00000" {
        "the database sent a notice; its text is withheld on a masked target".to_owned()
    } else {
        let word = if matches!(summary.severity, Severity::Warning | Severity::Notice) {
            "warning"
        } else {
            "error"
        };
        format!(
            "the database reported {word} {sqlstate} ({}); details are withheld on a masked target",
            name(&sqlstate)
        )
    };
    let detail = summary.detail.filter(|_| is_planted(Leak::Error));
    // a position inside a function's own text would tell nothing to the client
    let position = summary.position.filter(|_| fields.field(b'q').is_none());
    ErrorFields { severity: summary.severity, sqlstate, message, detail, hint: None, position, routine: None }
}

fn is_safe(fields: &Fields<'_>, summary: &ErrorFields) -> bool {
    let from_inside = fields.field(b'W').is_some() || fields.field(b'q').is_some();
    if from_inside {
        return false;
    }
    let state = summary.sqlstate.as_str();
    (ANALYSIS.contains(&state) && summary.position.is_some())
        || FIXED.iter().any(|(s, text)| *s == state && *text == summary.message)
        || (state == "42501" && is_plain_denial(&summary.message))
}

/// `permission denied for table reasoning_traces`: the name of an object that exists.
fn is_plain_denial(message: &str) -> bool {
    message.strip_prefix("permission denied for ").is_some_and(|object| {
        let mut words = object.split(' ');
        words.next().is_some_and(|kind| DENIABLE.contains(&kind))
            && words
                .all(|word| word.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '$')))
    })
}

/// The SQLSTATE that may be told. A function can raise any five letters, which is room for a value; so
/// from inside one only the usual ones pass, and of others the class.
fn known(fields: &Fields<'_>, sqlstate: &str) -> String {
    let usual = NAMES.iter().any(|(state, _)| *state == sqlstate) || ANALYSIS.contains(&sqlstate);
    let class = CLASSES.iter().find(|(class, _)| sqlstate.starts_with(class));
    match class {
        Some(_) if usual || fields.field(b'W').is_none() => sqlstate.to_owned(),
        Some((class, _)) => format!("{class}000"),
        None => "P0001".to_owned(),
    }
}

fn name(sqlstate: &str) -> &'static str {
    let exact = NAMES.iter().find(|(state, _)| *state == sqlstate);
    let class = CLASSES.iter().find(|(class, _)| sqlstate.starts_with(class));
    exact.or(class).map_or("unknown error", |(_, name)| name)
}

/// Errors of parsing and analysis: their texts name what stands in the statement.
const ANALYSIS: &[&str] = &[
    "42601", // syntax error
    "42602", // invalid name
    "42622", // name too long
    "42701", // duplicate column
    "42702", // ambiguous column
    "42703", // undefined column
    "42704", // undefined object
    "42712", // duplicate alias
    "42725", // ambiguous function
    "42803", // grouping error
    "42804", // datatype mismatch
    "42809", // wrong object type
    "42846", // cannot coerce
    "42883", // undefined function
    "42P01", // undefined table
    "42P02", // undefined parameter
    "42P09", // ambiguous alias
    "42P10", // invalid column reference
    "42P18", // indeterminate datatype
];

/// Texts that never vary, as PostgreSQL has them in English.
const FIXED: &[(&str, &str)] = &[
    ("25001", "there is already a transaction in progress"),
    ("25P01", "there is no transaction in progress"),
    ("25P02", "current transaction is aborted, commands ignored until end of transaction block"),
    ("25P03", "terminating connection due to idle-in-transaction timeout"),
    ("40001", "could not serialize access due to concurrent update"),
    ("40001", "could not serialize access due to read/write dependencies among transactions"),
    ("40P01", "deadlock detected"),
    ("55P03", "canceling statement due to lock timeout"),
    ("57014", "canceling statement due to statement timeout"),
    ("57014", "canceling statement due to user request"),
    ("57P01", "terminating connection due to administrator command"),
    ("57P03", "the database system is shutting down"),
    ("57P05", "terminating connection due to idle-session timeout"),
];

const DENIABLE: &[&str] = &[
    "column",
    "database",
    "foreign-data",
    "function",
    "language",
    "materialized",
    "procedure",
    "relation",
    "routine",
    "schema",
    "sequence",
    "table",
    "tablespace",
    "type",
    "view",
];

/// SQLSTATEs that people meet.
const NAMES: &[(&str, &str)] = &[
    ("00000", "success"),
    ("22001", "value too long"),
    ("22003", "number out of range"),
    ("22007", "invalid date or time"),
    ("22008", "date or time out of range"),
    ("22012", "division by zero"),
    ("22023", "invalid parameter value"),
    ("22P02", "invalid text representation"),
    ("22P03", "invalid binary representation"),
    ("22P04", "bad COPY file format"),
    ("22P05", "untranslatable character"),
    ("23502", "not-null violation"),
    ("23503", "foreign key violation"),
    ("23505", "unique violation"),
    ("23514", "check violation"),
    ("23P01", "exclusion violation"),
    ("25P01", "no active transaction"),
    ("25P02", "failed transaction"),
    ("25P03", "idle-in-transaction timeout"),
    ("28P01", "wrong password"),
    ("2BP01", "dependent objects still exist"),
    ("40001", "serialization failure"),
    ("40P01", "deadlock"),
    ("42501", "insufficient privilege"),
    ("42601", "syntax error"),
    ("42703", "undefined column"),
    ("42704", "undefined object"),
    ("42883", "undefined function"),
    ("42P01", "undefined table"),
    ("42P02", "undefined parameter"),
    ("42P03", "duplicate cursor"),
    ("42P04", "duplicate database"),
    ("42P05", "duplicate prepared statement"),
    ("42P06", "duplicate schema"),
    ("42P07", "duplicate table"),
    ("42P08", "ambiguous parameter"),
    ("42P09", "ambiguous alias"),
    ("42P10", "invalid column reference"),
    ("42P11", "invalid cursor definition"),
    ("42P12", "invalid database definition"),
    ("42P13", "invalid function definition"),
    ("42P14", "invalid prepared statement definition"),
    ("42P15", "invalid schema definition"),
    ("42P16", "invalid table definition"),
    ("42P17", "invalid object definition"),
    ("42P18", "indeterminate datatype"),
    ("42P19", "invalid recursion"),
    ("42P20", "windowing error"),
    ("42P21", "collation mismatch"),
    ("42P22", "indeterminate collation"),
    ("55P02", "cannot change a parameter at run time"),
    ("55P03", "lock not available"),
    ("57014", "query canceled"),
    ("57P01", "administrator shutdown"),
    ("57P02", "crash shutdown"),
    ("57P03", "cannot connect now"),
    ("57P04", "database dropped"),
    ("57P05", "idle session timeout"),
    ("P0001", "an error raised by a function"),
    ("P0002", "no data found"),
    ("P0003", "too many rows"),
    ("P0004", "assertion failure"),
    ("XX000", "internal error"),
    ("XX001", "data corrupted"),
    ("XX002", "index corrupted"),
];

/// Classes of SQLSTATEs.
const CLASSES: &[(&str, &str)] = &[
    ("00", "success"),
    ("01", "warning"),
    ("02", "no data"),
    ("08", "connection exception"),
    ("0A", "feature not supported"),
    ("0L", "invalid grantor"),
    ("0P", "invalid role"),
    ("21", "cardinality violation"),
    ("22", "data exception"),
    ("23", "integrity constraint violation"),
    ("24", "invalid cursor state"),
    ("25", "invalid transaction state"),
    ("26", "invalid statement name"),
    ("27", "triggered data change"),
    ("28", "invalid authorization"),
    ("2B", "dependent objects still exist"),
    ("2D", "invalid transaction termination"),
    ("2F", "SQL routine exception"),
    ("34", "invalid cursor name"),
    ("38", "external routine exception"),
    ("39", "external routine invocation exception"),
    ("3B", "savepoint exception"),
    ("3D", "invalid database name"),
    ("3F", "invalid schema name"),
    ("40", "transaction rollback"),
    ("42", "syntax error or access rule violation"),
    ("44", "check option violation"),
    ("53", "insufficient resources"),
    ("54", "limit exceeded"),
    ("55", "object not in prerequisite state"),
    ("57", "operator intervention"),
    ("58", "system error"),
    ("F0", "configuration file error"),
    ("HV", "foreign data wrapper error"),
    ("P0", "PL/pgSQL error"),
    ("XX", "internal error"),
];

#[cfg(test)]
mod tests;
