//! Comma-separated values (RFC 4180).
//!
//! NULL is an empty cell and an empty text is `""`, as PostgreSQL writes them. A cell that a spreadsheet would take
//! for a formula gets a `'` before it; numbers are left as they are. Control characters other than tabs and line
//! breaks are written out (`\u{1b}`): somebody will look at the file on a terminal.

/// Appends a record.
pub fn record<'c>(out: &mut Vec<u8>, cells: impl IntoIterator<Item = Option<&'c str>>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        if let Some(cell) = cell {
            put(out, cell);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn put(out: &mut Vec<u8>, cell: &str) {
    let formula = is_formula(cell);
    let quoted = cell.is_empty()
        || cell.contains(['"', ',', '\r', '\n'])
        || cell.starts_with(char::is_whitespace)
        || cell.ends_with(char::is_whitespace);
    if quoted {
        out.push(b'"');
    }
    if formula {
        out.push(b'\'');
    }
    let mut room = [0; 4];
    for c in cell.chars() {
        match c {
            '"' => out.extend_from_slice(b"\"\""),
            '\t' | '\r' | '\n' => out.extend_from_slice(c.encode_utf8(&mut room).as_bytes()),
            c if c.is_control() => out.extend_from_slice(c.escape_unicode().to_string().as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut room).as_bytes()),
        }
    }
    if quoted {
        out.push(b'"');
    }
}

/// Whether a spreadsheet may calculate it, also behind what it leaves out when it reads.
fn is_formula(cell: &str) -> bool {
    let begun = cell.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
    let formula = begun.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    formula && !is_number(cell)
}

/// Whether it is a number as databases write them.
fn is_number(cell: &str) -> bool {
    let unsigned = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = match mantissa.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (mantissa, None),
    };
    digits(whole)
        && part.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use proptest::prelude::*;

    use super::{is_formula, record};

    fn written(cells: &[Option<&str>]) -> String {
        let mut out = Vec::new();
        record(&mut out, cells.iter().copied());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn records_are_those_of_rfc_4180() {
        let cells =
            [Some("a"), None, Some(""), Some("x,y"), Some("say \"no\""), Some("two\r\nlines"), Some(" b")];
        assert_eq!(written(&cells), "a,,\"\",\"x,y\",\"say \"\"no\"\"\",\"two\r\nlines\",\" b\"\r\n");
        assert_eq!(written(&[]), "\r\n");
    }

    #[test]
    fn nothing_in_a_cell_steers_a_terminal() {
        assert_eq!(
            written(&[Some("a\u{1b}]0;x\u{7}b\u{9b}6n\u{7f}\0")]),
            "a\\u{1b}]0;x\\u{7}b\\u{9b}6n\\u{7f}\\u{0}\r\n"
        );
    }

    #[test]
    fn formulas_are_texts_and_numbers_stay_numbers() {
        for formula in [
            "=1+1",
            "+1+1",
            "-1+1",
            "@SUM(A1)",
            "=",
            "-",
            "\t=1",
            " =1",
            "\r=1",
            "\u{feff}=1",
            "\u{a0}=1",
            "＝1",
            "-cmd|' /C calc'!A0",
            "+",
            "-1e",
            "--1",
            "=HYPERLINK(\"x\")",
        ] {
            assert!(is_formula(formula), "{formula:?}");
            let line = written(&[Some(formula)]);
            assert!(line.starts_with('\'') || line.starts_with("\"'"), "{line:?}");
        }
        for plain in ["-1", "+1", "-1.5", "-1e-7", "+2.0E+10", "a=1", "1-1", "", "-1.50"] {
            assert!(!is_formula(plain), "{plain:?}");
        }
    }

    /// Reads it as the RFC says.
    fn read(line: &str) -> Vec<Option<String>> {
        let (mut cells, mut rest) = (Vec::new(), line.strip_suffix("\r\n").unwrap());
        loop {
            let cell;
            if let Some(quoted) = rest.strip_prefix('"') {
                let (mut text, mut after) = (String::new(), quoted);
                loop {
                    let (piece, tail) = after.split_once('"').unwrap();
                    text.push_str(piece);
                    match tail.strip_prefix('"') {
                        Some(tail) => {
                            text.push('"');
                            after = tail;
                        }
                        None => {
                            after = tail;
                            break;
                        }
                    }
                }
                (cell, rest) = (Some(text), after);
            } else {
                let (text, tail) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                assert!(!text.contains(['"', '\r', '\n']));
                (cell, rest) = ((!text.is_empty()).then(|| text.to_owned()), tail);
            }
            cells.push(cell);
            match rest.strip_prefix(',') {
                Some(tail) => rest = tail,
                None => break,
            }
        }
        assert!(rest.is_empty());
        cells
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(cells in proptest::collection::vec(any::<Option<String>>(), 1..5)) {
            let shown: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
            let safe = |cell: &String| {
                let shown: String = cell
                    .chars()
                    .map(|c| match c {
                        '\t' | '\r' | '\n' => c.to_string(),
                        c if c.is_control() => c.escape_unicode().to_string(),
                        c => c.to_string(),
                    })
                    .collect();
                if is_formula(cell) { format!("'{shown}") } else { shown }
            };
            let expected: Vec<Option<String>> = cells.iter().map(|cell| cell.as_ref().map(safe)).collect();
            prop_assert_eq!(read(&written(&shown)), expected);
        }
    }
}
