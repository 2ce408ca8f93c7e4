#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use super::*;
use crate::sql::{ParseLimits, parse};

#[test]
fn records_hold_no_literal_and_no_comment() {
    let text = "SELECT a, 'x', E'\\'y', $$z$$, U&'w', B'1', 1.5, $1 FROM t -- sk-live\n WHERE /* s */ b = 42";
    assert_eq!(record_text(text), "SELECT a, …, …, …, …, …, …, $1 FROM t  \n WHERE   b = …");
}

#[test]
fn what_cannot_be_read_is_hidden_whole() {
    assert_eq!(record_text("SELECT 'sk-live"), "…");
}

#[test]
fn passwords_never_stay() {
    let statements = parse("ALTER ROLE a PASSWORD 'p'; SELECT 'q'", &ParseLimits::default()).unwrap();
    assert_eq!(safe_text(&statements[0]), "ALTER ROLE a PASSWORD …");
    assert_eq!(safe_text(&statements[1]), "SELECT 'q'");
}
