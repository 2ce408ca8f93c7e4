//! How the rows of a COPY to the client are written, and what their columns are called.
//!
//! Job: what the statement itself says. Boundary: what columns a table has is not looked up. Failure mode: a column whose
//! name the statement does not say has none.

use pg_query::NodeEnum;
use pg_query::protobuf::{CopyStmt, DefElem};

use super::Statement;
use crate::sql::tree::{definition, is_off};

/// The rows of a COPY to the client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Copied {
    /// What stands between columns.
    pub delimiter: u8,
    /// Whether values may stand in quotes.
    pub csv: bool,
    /// Whether the first row is the columns' names.
    pub header: bool,
    /// The columns' names, in order, as far as they are known; empty for one that has none.
    pub names: Vec<String>,
}

/// How this writes rows to the client, if it does and they are text.
#[must_use]
pub fn copied(statement: &Statement) -> Option<Copied> {
    copied_by(statement.node()?)
}

/// The same of a statement's tree.
pub(in crate::sql) fn copied_by(node: &NodeEnum) -> Option<Copied> {
    let NodeEnum::CopyStmt(copy) = node else { return None };
    let format = text_of(copy, "format");
    if copy.is_from || format.as_deref() == Some("binary") {
        return None;
    }
    let csv = format.as_deref() == Some("csv");
    let usual = if csv { b',' } else { b'\t' };
    let delimiter = text_of(copy, "delimiter").and_then(|text| text.bytes().next()).unwrap_or(usual);
    let header = option(copy, "header").is_some_and(|header| !is_off(header));
    Some(Copied { delimiter, csv, header, names: names(copy) })
}

/// Why rows of this COPY to the client cannot be searched as they are written, if so: they are in binary, or values have
/// other characters in them than they are.
#[must_use]
pub fn copies_unsearchably(statement: &Statement) -> Option<&'static str> {
    let NodeEnum::CopyStmt(copy) = statement.node()? else { return None };
    if copy.is_from {
        return None;
    }
    let other_than = |wanted, usual: &[&str]| {
        option(copy, wanted).is_some()
            && !text_of(copy, wanted).is_some_and(|text| usual.contains(&text.as_str()))
    };
    match text_of(copy, "format").as_deref() {
        Some("binary") => Some("binary"),
        Some("csv") => (other_than("quote", &["\""]) || other_than("escape", &["\""]))
            .then_some("CSV with quotes of its own"),
        // a delimiter in a value has a backslash before it
        _ => other_than("delimiter", &["\t", "|", ";", ","]).then_some("text with such a delimiter"),
    }
}

fn names(copy: &CopyStmt) -> Vec<String> {
    if !copy.attlist.is_empty() {
        return copy.attlist.iter().map(|name| string(name.node.as_ref())).collect();
    }
    let query = copy.query.as_deref().and_then(|query| query.node.as_ref());
    let Some(NodeEnum::SelectStmt(select)) = query else { return Vec::new() };
    let mut select = &**select;
    // a set operation has the names of its first member
    while let Some(first) = select.larg.as_deref() {
        select = first;
    }
    let mut names = Vec::with_capacity(select.target_list.len());
    for target in &select.target_list {
        let Some(NodeEnum::ResTarget(target)) = target.node.as_ref() else { return names };
        if !target.name.is_empty() {
            names.push(target.name.clone());
            continue;
        }
        names.push(match target.val.as_deref().and_then(|value| value.node.as_ref()) {
            Some(NodeEnum::ColumnRef(column)) => {
                match column.fields.last().and_then(|name| name.node.as_ref()) {
                    // how many columns come of it is not known here, and so what comes behind them
                    Some(NodeEnum::AStar(_)) => return names,
                    last => string(last),
                }
            }
            _ => String::new(),
        });
    }
    names
}

fn string(node: Option<&NodeEnum>) -> String {
    match node {
        Some(NodeEnum::String(text)) => text.sval.clone(),
        _ => String::new(),
    }
}

fn option<'a>(copy: &'a CopyStmt, wanted: &str) -> Option<&'a DefElem> {
    copy.options.iter().filter_map(definition).find(|option| option.defname == wanted)
}

/// What an option is set to; `None` where it is not set, or to nothing.
fn text_of(copy: &CopyStmt, wanted: &str) -> Option<String> {
    Some(match option(copy, wanted)?.arg.as_deref().and_then(|value| value.node.as_ref())? {
        NodeEnum::String(text) => text.sval.clone(),
        NodeEnum::TypeName(name) => string(name.names.last().and_then(|name| name.node.as_ref())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::sql::{ParseLimits, parse};

    fn of(text: &str) -> Option<(String, bool, bool, String)> {
        let copied = copied(parse(text, &ParseLimits::default()).unwrap().first().unwrap())?;
        let delimiter = char::from(copied.delimiter).to_string();
        Some((delimiter, copied.csv, copied.header, copied.names.join(" ")))
    }

    #[test]
    fn what_the_statement_says_of_columns_is_known() {
        for (text, told) in [
            ("COPY t TO STDOUT", ("\t", false, false, "")),
            ("COPY t (a, \"B\") TO STDOUT (FORMAT csv, HEADER)", (",", true, true, "a B")),
            ("COPY t TO STDOUT WITH CSV HEADER DELIMITER ';'", (";", true, true, "")),
            ("COPY t TO STDOUT (FORMAT csv, HEADER off)", (",", true, false, "")),
            ("COPY t TO STDOUT (HEADER match, DELIMITER '|')", ("|", false, true, "")),
            ("COPY (SELECT a, t.b, c AS d, 1, f(x) FROM t) TO STDOUT", ("\t", false, false, "a b d  ")),
            ("COPY (SELECT a, t.*, b FROM t) TO STDOUT", ("\t", false, false, "a")),
            ("COPY (SELECT a FROM t UNION SELECT b FROM u) TO STDOUT", ("\t", false, false, "a")),
            ("COPY t (a, b) TO STDOUT (FORMAT csv, DELIMITER 'X')", ("X", true, false, "a b")),
            ("COPY t TO STDOUT (FORMAT 'csv', HEADER 'OFF')", (",", true, false, "")),
            // which no server takes
            ("COPY t TO STDOUT (FORMAT 'CSV')", ("\t", false, false, "")),
            ("COPY (VALUES (1)) TO STDOUT", ("\t", false, false, "")),
        ] {
            let (delimiter, csv, header, names) = told;
            assert_eq!(of(text), Some((delimiter.into(), csv, header, names.into())), "{text}");
        }
        for text in ["SELECT 1", "COPY t FROM STDIN", "COPY t TO STDOUT (FORMAT binary)"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
