//! Rows of a COPY to the client, by columns.

use std::ops::Range;

/// How the rows of a COPY are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyLayout {
    /// What stands between columns.
    pub delimiter: u8,
    /// Whether a value may stand in quotes, where a delimiter is one of its characters.
    pub csv: bool,
    /// Whether the next row is the columns' names.
    pub header: bool,
    /// The columns' names, in order, as far as they are known; empty for one that has none.
    pub names: Vec<String>,
}

impl CopyLayout {
    /// Where each column's value is in a row without its end of line, and without quotes around it.
    pub(super) fn columns(&self, record: &[u8]) -> Vec<Range<usize>> {
        let (mut columns, mut start, mut is_quoted) = (Vec::new(), 0, false);
        let mut escaped = false;
        for (at, byte) in record.iter().enumerate() {
            match byte {
                b'"' if self.csv => is_quoted = !is_quoted,
                b'\\' if !self.csv => {
                    escaped = !escaped;
                    continue;
                }
                byte if *byte == self.delimiter && !is_quoted && !escaped => {
                    columns.push(self.bare(record, start..at));
                    start = at + 1;
                }
                _ => {}
            }
            escaped = false;
        }
        columns.push(self.bare(record, start..record.len()));
        columns
    }

    /// The values of a row with its end of line, as names.
    pub(in crate::wire::postgres) fn fields(&self, record: &[u8]) -> Vec<String> {
        let bare = record.trim_ascii_end();
        let value =
            |column: Range<usize>| String::from_utf8_lossy(bare.get(column).unwrap_or_default()).into_owned();
        self.columns(bare).into_iter().map(value).collect()
    }

    fn bare(&self, record: &[u8], column: Range<usize>) -> Range<usize> {
        let value = record.get(column.clone()).unwrap_or_default();
        let is_quoted = self.csv && value.len() >= 2 && value.starts_with(b"\"") && value.ends_with(b"\"");
        if is_quoted { column.start + 1..column.end - 1 } else { column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_where_postgresql_writes_them() {
        let layout =
            |csv: bool, delimiter: u8| CopyLayout { delimiter, csv, header: false, names: Vec::new() };
        let split = |layout: &CopyLayout, row: &str| layout.fields(row.as_bytes()).join("#");
        let csv = layout(true, b',');
        assert_eq!(split(&csv, "1,\"a,b\",\"say \"\"x\"\"\",,\"\"\n"), "1#a,b#say \"\"x\"\"##");
        assert_eq!(split(&layout(true, b';'), "1;a,b\r\n"), "1#a,b");
        let text = layout(false, b'\t');
        assert_eq!(split(&text, "1\ta\\tb\t\\N\t\"x\n"), "1#a\\tb#\\N#\"x");
        assert_eq!(split(&layout(false, b'|'), "1|a\\|b|\\\\|c\n"), "1#a\\|b#\\\\#c");
    }
}
