//! Texts of statements without their literals, for records.
//!
//! Job: leave out what may be somebody's secret, and keep what was done. Boundary: tokens; nothing is understood. Failure mode: a
//! text that cannot be read is left out as a whole.

use pg_query::protobuf::Token;

use super::tokens;

/// A text for records with every literal replaced by `…` and every comment left out; nothing but `…` when it
/// cannot be read at all.
#[must_use]
pub fn record_text(text: &str) -> String {
    let Ok(tokens) = tokens(text) else { return HIDDEN.into() };
    let mut record = String::with_capacity(text.len());
    let mut at = 0;
    for token in &tokens {
        let (start, end) =
            (usize::try_from(token.start).unwrap_or(0), usize::try_from(token.end).unwrap_or(0));
        let instead = match Token::try_from(token.token) {
            Ok(Token::SqlComment | Token::CComment) => " ",
            Ok(
                Token::Sconst
                | Token::Usconst
                | Token::Iconst
                | Token::Fconst
                | Token::Bconst
                | Token::Xconst,
            ) => HIDDEN,
            _ => continue,
        };
        let (Some(before), true) = (text.get(at..start), end >= start) else { return HIDDEN.into() };
        record.push_str(before);
        record.push_str(instead);
        at = end;
    }
    record.push_str(text.get(at..).unwrap_or_default());
    record
}

const HIDDEN: &str = "…";
