#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;

fn shapes(times: usize) -> Vec<String> {
    let around = |open: &str, inner: &str, close: &str| {
        format!("SELECT {}{inner}{}", open.repeat(times), close.repeat(times))
    };
    vec![
        around("CASE WHEN true THEN ", "1", " END"),
        around("(SELECT ", "1", ")"),
        around("", &vec!["1"; times].join(" + "), ""),
        around("", &vec!["1"; times].join(" = 1 AND NOT 1 "), " = 1"),
        around("NOT ", "true", ""),
        around("- ", "x", ""),
        around("f(", "1", ")"),
        around("ARRAY[", "1", "]"),
        around("1 * (2 + ", "1", ")"),
        around("1", "", "::text"),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(times)),
        format!("SELECT 1 FROM a{}", " JOIN b ON true".repeat(times)),
        format!("SELECT 1 FROM {}a{}", "(".repeat(times), " JOIN b ON true)".repeat(times)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(times)),
        format!("SELECT * FROM {}a{}", "(SELECT * FROM ".repeat(times), ") x".repeat(times)),
        format!("{}SELECT 1{}", "WITH a AS (".repeat(times), ") SELECT 1".repeat(times)),
    ]
}

fn survives(stack: usize, text: String, limits: ParseLimits) {
    let handle = std::thread::Builder::new().stack_size(stack).spawn(move || {
        let parsed = parse(&text, &limits);
        if let Ok(statements) = &parsed {
            for statement in statements {
                let written = crate::sql::tree::deparse(statement.node().unwrap());
                assert!(crate::sql::tree::same(
                    statement.node().unwrap(),
                    &statement.node().unwrap().clone()
                ));
                let _facts = crate::sql::facts(statement);
                drop(written);
            }
        }
    });
    handle.unwrap().join().unwrap();
}

#[test]
fn what_fits_a_small_stack_does() {
    let limits = ParseLimits::default();
    for times in [4, 8, 10, 16, 22, 30, 50, 80, 100] {
        for text in shapes(times) {
            if fits_small_stack(&text, &limits) {
                survives(SMALL, text, limits);
            }
        }
    }
}

#[test]
fn what_is_accepted_fits_a_big_stack() {
    let limits = ParseLimits::default();
    for times in [400, 900, 1000, 5000, 50_000] {
        for text in shapes(times) {
            survives(STACK, text, limits);
        }
    }
}

#[test]
fn long_lists_are_not_deep() {
    let rows = vec!["(1, 'a', now() - interval '1 day', -5)"; 5000].join(", ");
    let parsed = parse(&format!("INSERT INTO t VALUES {rows}"), &ParseLimits::default());
    assert_eq!(parsed.unwrap().len(), 1);
}

#[test]
fn statements_keep_their_own_text() {
    let parsed = parse("SELECT 1; INSERT /* ; */ INTO t VALUES (';') ;; ", &ParseLimits::default()).unwrap();
    let texts: Vec<&str> = parsed.iter().map(Statement::text).collect();
    assert_eq!(texts, ["SELECT 1", "INSERT /* ; */ INTO t VALUES (';')"]);
}

#[test]
fn limits_have_their_errors() {
    let limits = ParseLimits { bytes: 20, statements: 2, ..ParseLimits::default() };
    assert_eq!(parse("SELECT 1\0", &limits).unwrap_err(), ParseError::Nul);
    assert_eq!(parse("SELECT 1;;;; SELECT 2222", &limits).unwrap_err(), ParseError::TooLong { limit: 20 });
    assert_eq!(parse("BEGIN;END;END", &limits).unwrap_err(), ParseError::TooMany { limit: 2 });
    assert!(matches!(parse("SELEC 1", &limits), Err(ParseError::Syntax(_))));
    assert_eq!(parse(" ; -- x", &limits).unwrap().len(), 0);
}

const SMALL: usize = 2 << 20;

/// `SET (a, b) = source` stands in the tree once for each column: nested, kilobytes become gigabytes.
#[test]
fn a_source_that_is_copied_for_each_column_counts_as_often() {
    let columns = vec!["a"; 300].join(",");
    let mut source = "1".to_owned();
    for _ in 0..3 {
        source = format!(
            "WITH x AS (UPDATE t SET ({columns}) /* - */\n = (SELECT {source}) RETURNING 1) SELECT 1"
        );
    }
    let text = format!("UPDATE t SET ({columns}) = ({source})");
    assert!(matches!(parse(&text, &ParseLimits::default()), Err(ParseError::TooHeavy { .. })));
    assert!(parse_escaping("UPDATE t SET (a, b) = (SELECT 1, 2)", &ParseLimits::default()).is_none());

    let pairs = vec!["(a, b) = (1, 2)"; 2000].join(" OR ");
    for ordinary in [
        "UPDATE t SET (a, b) = (SELECT 1, 2), (c, d) = (3, 4) WHERE f(x) = 1".to_owned(),
        format!("SELECT 1 FROM t WHERE {pairs}"),
    ] {
        // what nests so deeply is refused for that
        let parsed = parse(&ordinary, &ParseLimits { depth: 10_000, ..ParseLimits::default() });
        assert!(!matches!(parsed, Err(ParseError::TooHeavy { .. })), "{ordinary}: {parsed:?}");
    }
}

#[test]
fn names_that_may_be_cut_elsewhere_are_known() {
    let cut = |text: &str, widest| beyond_ascii(text, widest).cut;
    let (short, long) = ("\u{4e42}".repeat(15), "\u{4e42}".repeat(16));
    assert!(!cut(&format!("SELECT \"{short}\" FROM {short}"), 4));
    for name in [
        long.clone(),
        format!("\"{long}\""),
        format!("U&\"{long}\""),
        format!("U&\"{}\"", "!4E42".repeat(13)),
    ] {
        assert!(cut(&format!("SELECT {name} FROM t"), 4), "{name}");
    }
    assert!(!cut(&format!("SELECT {long}, '{long}{long}' -- {long}{long}"), 3));
    assert!(!cut(&"a".repeat(100), 4), "ASCII is cut in the same place everywhere");
    assert!(beyond_ascii("SELECT U&\"!00e9\" UESCAPE '!'", 1).names);
    // we cut names as a server in UTF-8 does, between letters
    let parsed = parse(&format!("SELECT 1 AS {}", "\u{e4}".repeat(40)), &ParseLimits::default()).unwrap();
    let written = crate::sql::tree::deparse(parsed.first().unwrap().node().unwrap()).unwrap();
    assert!(written.ends_with(&format!("\"{}\"", "\u{e4}".repeat(31))), "{written}");
}

/// Whatever the scanner takes for one token is not counted as none.
#[test]
fn a_text_weighs_no_less_than_its_tokens() {
    use rand::{Rng as _, SeedableRng as _};
    let mut dice = rand_pcg::Pcg64Mcg::seed_from_u64(7);
    let mut scanned = 0;
    for _ in 0..60_000 {
        let mut text = String::new();
        for _ in 0..dice.next_u32() % 24 + 1 {
            text.push_str(PIECES.get(dice.next_u32() as usize % PIECES.len()).unwrap());
        }
        // what comes before an error has been read as well
        for end in (0..=text.len()).rev().filter(|end| text.is_char_boundary(*end)) {
            let head = text.get(..end).unwrap();
            let Ok(found) = tokens(head) else { continue };
            assert!(weight::weight(head) >= found.len(), "{head:?}: {} tokens", found.len());
            scanned += 1;
            break;
        }
    }
    assert!(scanned > 50_000, "{scanned}");
}

/// Neither the pass that counts nor what follows is given more than it may have.
#[test]
fn a_text_of_many_tokens_is_refused_before_it_is_read() {
    let limits = ParseLimits { bytes: 16 << 20, tokens: 1000, ..ParseLimits::default() };
    let heavy = ParseError::TooHeavy { limit: 1000 };
    for piece in ["1,", "(", "+", "a.", ";", "$", "''", "\"\"", "$1", "\\", "e''", "/**/", "\u{e4} "] {
        assert_eq!(parse(&piece.repeat(4 << 20 >> piece.len()), &limits).unwrap_err(), heavy, "{piece}");
    }
    for one in ["'", "E'\\'", "$x$", "--", "/*", "\""] {
        let text = format!("SELECT {one}{}", "1,".repeat(1 << 20));
        assert!(!matches!(parse(&text, &limits), Err(ParseError::TooHeavy { .. })), "{one}");
    }
}

pub(super) const PIECES: &[&str] = &[
    "'",
    "''",
    "\"",
    "E'",
    "e'",
    "U&'",
    "u&\"",
    "N'",
    "b'",
    "x'",
    "$$",
    "$a$",
    "$b$",
    "$",
    "$1",
    "--",
    "/*",
    "*/",
    "/",
    "*",
    "-",
    "+",
    "\\",
    "\\'",
    "\n",
    "\r",
    " ",
    "\t",
    "\u{b}",
    "\u{c}",
    "a",
    "E",
    "e",
    "b$",
    "1",
    "1.5",
    ".",
    "1e",
    "::",
    ":=",
    "=>",
    "<>",
    "<",
    "@",
    ",",
    ";",
    "(",
    ")",
    "[",
    "]",
    "ä",
    "\u{1f600}",
    "SELECT",
    "0x1f",
    "_",
    "'a'\n'b'",
    "E'a'\n--c\n'\\''",
    "UESCAPE '!'",
    "%",
    "?",
    "!",
    "|",
    "&",
    "~",
    "#",
    "^",
    "`",
    "{",
    "}",
];
