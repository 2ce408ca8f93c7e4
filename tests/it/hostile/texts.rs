//! The hostile texts.

/// One text, by what is wrong with it.
pub(super) struct Hostile {
    pub(super) name: String,
    pub(super) text: Vec<u8>,
}

/// All of them.
pub(super) fn texts() -> Vec<Hostile> {
    let mut all: Vec<Hostile> = SHORT
        .iter()
        .map(|text| Hostile { name: String::from_utf8_lossy(text).into_owned(), text: text.to_vec() })
        .collect();
    let mut add = |name: String, text: String| all.push(Hostile { name, text: text.into_bytes() });
    for times in [24, 110, 1100, 5000] {
        for (before, after) in NESTS {
            let text = format!("SELECT {}1{}", before.repeat(times), after.repeat(times));
            add(format!("{times} times {before}…{after}"), text);
        }
        for (name, text) in [
            ("in brackets", format!("{}SELECT 1{}", "(".repeat(times), ")".repeat(times))),
            ("in WITH", format!("{}SELECT 1{}", "WITH a AS (".repeat(times), ") SELECT 1".repeat(times))),
            ("in EXPLAIN", format!("{}SELECT 1", "EXPLAIN ".repeat(times))),
            ("in PREPARE", format!("{}SELECT 1", "PREPARE a AS ".repeat(times))),
            ("in comments", format!("{}SELECT 1{}", "/*".repeat(times), "*/".repeat(times))),
            ("open brackets", format!("SELECT {}", "(".repeat(times))),
            ("open comments", format!("SELECT 1 {}", "/*".repeat(times))),
            ("closing brackets", format!("SELECT 1{}", ")".repeat(times))),
            ("NOT NOT", format!("SELECT {}true", "NOT ".repeat(times))),
        ] {
            add(format!("{times} times {name}"), text);
        }
    }
    let ids = (0..100_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    add("100,000 numbers in IN".into(), format!("SELECT id, name FROM people WHERE id IN ({ids})"));
    // its reading takes longer than a second here, after which a name is looked up again
    add("100,000 numbers of nobody".into(), format!("SELECT id FROM nobody WHERE id IN ({ids})"));
    add(
        "100,000 numbers in VALUES".into(),
        format!("SELECT count(*) FROM (VALUES ({})) v", ids.replace(',', "),(")),
    );
    add("10,000 statements".into(), "SELECT 1;".repeat(10_000));
    add("10 MB in a literal".into(), format!("SELECT length('{}')", "x".repeat(10 << 20)));
    add("10 MB in dollars".into(), format!("SELECT length($x${}$x$)", "$x".repeat(5 << 20)));
    add("10 MB in a comment".into(), format!("SELECT 1 /* {} */", "* /".repeat(3 << 20)));
    add("10 MB in a comment to the end".into(), format!("SELECT 1 --{}", " '".repeat(5 << 20)));
    add("a name of 10 MB".into(), format!("SELECT 1 AS {}", "é".repeat(5 << 20)));
    add("10 MB of JSON".into(), format!("SELECT length('[{}1]')", "{\"a\": [1, 2]},".repeat(700_000)));
    for piece in [
        "1,", "(", "'", "\"", "$", "/*", "+", ";", "a.", "[", "\\", "-", "$a$", "e'", "::a", "''", "\u{feff}",
    ] {
        add(format!("2 MB of {piece}"), format!("SELECT {}", piece.repeat((2 << 20) / piece.len())));
    }
    add("1,000,000 digits".into(), format!("SELECT {}", "9".repeat(1_000_000)));
    add("many columns".into(), format!("SELECT {}1", "ssn,".repeat(1_600)) + " FROM people WHERE id = 1");
    add(
        "the same table over and over".into(),
        format!("SELECT count(*) FROM people{}", " , people".repeat(3000)),
    );
    add(
        "unions of a masked table".into(),
        format!("SELECT 1{}", " UNION ALL SELECT id FROM people".repeat(900)),
    );
    all
}

const NESTS: &[(&str, &str)] = &[
    ("(", ")"),
    ("- ", ""),
    ("1+", ""),
    ("", "+1"),
    ("", "::int"),
    ("abs(", ")"),
    ("(SELECT ", ")"),
    ("CASE WHEN true THEN ", " END"),
    ("ARRAY[", "]"),
    ("", " UNION ALL SELECT 1"),
    ("(VALUES (", "))"),
    ("EXISTS(SELECT ", ")::int"),
];

const SHORT: &[&[u8]] = &[
    // nothing
    b"", b" ", b";", b";;; ;", b"--", b"-- x\n", b"/**/", b"/* /* */ */", b"\x0b", b"\xef\xbb\xbf", b"\x1a", b"\xa0",
    // bytes that are no text
    b"SELECT '\xff'", b"SELECT 1 \xc3", b"SELECT '\xc0\xaf'", b"SELECT '\xed\xa0\x80'", b"SELECT '\xf4\x90\x80\x80'",
    b"SELECT 1 /* \xff */", b"SELECT 1 -- \xfe", b"SELECT 1 AS \xe4", b"SELECT 1 AS \"\xc3\"", b"SELECT '\xc3''",
    b"SELECT E'\\xff'", b"SELECT E'\\xc3\\x28'", b"SELECT E'\\377'", b"SELECT E'\\0'", b"SELECT E'\\x00'", b"SELECT $$\x80$$",
    // NUL
    b"SELECT 1\0", b"SELECT 1\0; DROP TABLE precious", b"\0", b"SELECT '\0'", b"SELECT 1 --\0\nDROP TABLE precious",
    b"SELECT ssn\0 FROM people",
    // not closed
    b"SELECT 'abc", b"SELECT \"abc", b"SELECT $$abc", b"SELECT $a$abc$b$", b"SELECT $a$abc$a", b"SELECT 1 /*", b"SELECT 1 /* /* */",
    b"SELECT E'abc\\'", b"SELECT E'abc\\", b"SELECT U&'abc", b"SELECT U&\"abc", b"SELECT B'1", b"SELECT X'1", b"SELECT (1", b"SELECT ARRAY[1",
    b"SELECT 1 -", b"SELECT '''", b"SELECT \"\"\"", b"SELECT N'abc", b"SELECT 'a' 'b'", b"SELECT 'a'\n'b'", b"SELECT 'a' -- c\n'b'",
    b"SELECT 'a' /* c */ 'b'", b"SELECT 'a'\n/* c */ 'b'", b"SELECT E'a'\n'\\''", b"SELECT 'a'\n'\\'",
    // backslashes
    b"SELECT 'a\\'", b"SELECT 'a\\''; DROP TABLE precious; --'", b"SELECT E'a\\'; DROP TABLE precious; --'", b"SELECT E'\\'''",
    b"SELECT E'\\\\'", b"SELECT '\\\\'", b"SELECT \\", b"SELECT E'\\u0000'", b"SELECT E'\\ud800'", b"SELECT E'\\ud83d\\ude00'",
    b"SELECT E'\\u00e4'", b"SELECT E'\\U0001F600'", b"SELECT E'\\U00110000'", b"SELECT E'\\u12'", b"SELECT E'\\x'", b"SELECT E'\\8\\q'",
    b"SELECT e'\\n\\b\\f\\r\\t\\v'", b"SELECT xE'a'", b"SELECT E 'a\\'", b"SELECT E/**/'a\\'",
    // Unicode escapes
    b"SELECT U&'\\0061\\+01F600'", b"SELECT U&'\\d800'", b"SELECT U&'\\d83d\\de00'", b"SELECT U&'\\d83d' '\\de00'", b"SELECT U&'\\0000'",
    b"SELECT U&'!0061' UESCAPE '!'", b"SELECT U&'x' UESCAPE 'a'", b"SELECT U&'x' UESCAPE '+'", b"SELECT U&'x' UESCAPE ''''",
    b"SELECT U&'x' UESCAPE '!!'", b"SELECT U&'x' UESCAPE", b"SELECT U&'\\00'", b"SELECT U&'\\\\'", b"SELECT U & 'x'",
    b"SELECT U&\"s\\0073n\" FROM people", b"SELECT U&\"s!0073n\" UESCAPE '!' FROM people", b"SELECT u&\"\\0073\\0073\\006e\" FROM public.people",
    b"SELECT U&\"\\0000\"", b"SELECT 1 AS U&\"\\feff\"",
    // the secret behind quotes and comments
    b"SELECT s/**/sn FROM people", b"SELECT \"ssn\" FROM people", b"SELECT ss\xc2\xadn FROM people", b"SELECT SSN FROM PEOPLE",
    b"SELECT p.ssn FROM people/**/p ORDER BY 1", b"SELECT p./*a*/ssn FROM--x\npeople p ORDER BY id", b"SELECT (p).ssn FROM people p ORDER BY id",
    b"TABLE people", b"SELECT p FROM people p ORDER BY id", b"SELECT ssn FROM \"people\"", b"SELECT ssn FROM U&\"\\0070eople\" ORDER BY id",
    b"SELECT\x0bssn FROM people", b"SELECT\xc2\xa0ssn FROM people", b"SELECT \xef\xbd\x93\xef\xbd\x93\xef\xbd\x8e FROM people",
    b"SELECT *,/*/* */*/* FROM people ORDER BY id", b"SELECT ssn FROM ONLY (people) ORDER BY id", b"SELECT ssn FROM people* ORDER BY id",
    // numbers
    b"SELECT 1a", b"SELECT 1_000", b"SELECT 0x1F", b"SELECT 0b11, 0o17", b"SELECT 1_", b"SELECT 1e", b"SELECT 1e999999", b"SELECT 1..2",
    b"SELECT 99999999999999999999999999", b"SELECT $1", b"SELECT $0", b"SELECT $99999999999", b"SELECT $2147483648", b"SELECT $1a",
    b"SELECT .5.5", b"SELECT 1.e5", b"SELECT -2147483648, - -2147483648", b"SELECT 0xg", b"SELECT 1::int4(5)", b"SELECT 1 LIMIT 1e10",
    // names
    b"SELECT \"\"", b"SELECT 1 AS aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    b"SELECT 1 AS \"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\"",
    b"SELECT a.b.c.d.e.f", b"SELECT .a", b"SELECT a.", b"SELECT public.people.ssn FROM people ORDER BY id", b"SELECT postgres.public.people.ssn FROM people",
    b"SELECT 1 AS hoopctl_mask_0_", b"SELECT hoopctl_mask_0_ FROM people", b"SELECT 'hoopctl_mask_0_'", b"SELECT 1 AS \"a\\\"",
    // what parsers fell over
    b"SELECT 1 FROM ONLY ()", b"COPY", b"EXPLAIN", b"EXPLAIN EXPLAIN SELECT 1", b"PREPARE x AS PREPARE y AS SELECT 1", b"EXECUTE", b"MERGE INTO people",
    b"SELECT 1 GROUP BY ()", b"SELECT 1 GROUP BY CUBE(1,1,1,1,1,1,1,1,1,1,1,1,1)", b"SELECT 1 GROUP BY GROUPING SETS (GROUPING SETS (GROUPING SETS (())))",
    b"SELECT ROW() = ROW()", b"SELECT ROW()", b"VALUES ()", b"VALUES (1), (1, 2)", b"SELECT (SELECT)", b"SELECT", b"SELECT FROM people", b"SELECT *",
    b"SELECT CASE END", b"SELECT ARRAY[]", b"SELECT '{'::int[]", b"SELECT 1 = ANY ()", b"SELECT 1 IN ()", b"SELECT a[][] FROM people",
    b"SELECT OVERLAY('a' PLACING)", b"SELECT EXTRACT(FROM now())", b"SELECT XMLPARSE(DOCUMENT)", b"SELECT TRIM()", b"SELECT POSITION('a')",
    b"SELECT NULLIF()", b"SELECT GREATEST()", b"SELECT COALESCE()", b"SELECT f(VARIADIC)", b"SELECT f(a => 1, 2)", b"SELECT f(DISTINCT)",
    b"SELECT count(*) FILTER (WHERE) FROM people", b"SELECT sum(1) OVER (ROWS -1 PRECEDING)", b"SELECT 1 OPERATOR(pg_catalog.+) 1", b"SELECT 1 OPERATOR(+) 1",
    b"SELECT 1 @#@ 1", b"SELECT @-1", b"SELECT 2^^2", b"SELECT 1 <> ALL (ARRAY[2]::int[])", b"SELECT 1 = = 1", b"SELECT 1 NOTNULL ISNULL",
    b"SELECT INTERVAL '1' YEAR TO MONTH, INTERVAL(3) '1.123456 s'", b"SELECT DATE '2020-01-01' AT LOCAL", b"SELECT char 'a', bpchar 'b', \"char\" 'c'",
    b"SELECT CAST(1 AS SETOF int)", b"SELECT 1::nothing", b"SELECT x'7fffffff'::int, b'101'::int", b"SELECT x'zz'", b"SELECT 'a' COLLATE \"nope\"",
    b"CREATE FUNCTION", b"CREATE TRIGGER", b"ALTER TABLE people ALTER ssn SET STATISTICS 99999999999", b"SET x TO", b"SET a.b.c = 1", b"SHOW", b"SHOW a.b",
    b"DO", b"DO $$", b"CALL", b"LISTEN", b"NOTIFY a, b", b"DECLARE c CURSOR FOR", b"FETCH 99999999999 FROM c", b"BEGIN ISOLATION LEVEL", b"SAVEPOINT", b"COMMIT PREPARED",
    b"WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT n FROM a) SELECT", b"WITH a AS () SELECT 1", b"WITH a AS (SELECT 1) SELECT * FROM a, a AS a2, a",
    b"SELECT 1 INTO x", b"SELECT 1 FOR UPDATE OF nothing", b"SELECT 1 WHERE CURRENT OF c", b"SELECT * FROM people TABLESAMPLE", b"SELECT * FROM ROWS FROM ()",
    b"SELECT JSON_TABLE()", b"SELECT * FROM JSON_TABLE('{}', '$' COLUMNS ())", b"SELECT JSON_OBJECT('a' VALUE)", b"SELECT XMLTABLE()", b"SELECT 1;SELECT '",
    b"SELECT 1; SELECT ssn FROM people ORDER BY id", b"SELECT 1; -- DROP TABLE precious", b"SELECT 1; /* DROP TABLE precious */ SELECT 2", b"/* */ SELECT 1 /* -- */",
    b"-- \r SELECT ssn FROM people ORDER BY id", b"-- \x0b SELECT 1", b"-- \xe2\x80\xa8 SELECT 1", b"SELECT 1 --\\\nSELECT 2", b"SELECT 1/*--*/", b"SELECT 1--/*\n+1",
    b"SELECT 4 /*'*/ - /*'*/ 1", b"SELECT '/*' AS a, '*/' AS b", b"SELECT '--' AS a\n, 2 AS b", b"SELECT $$--$$, $a$/*$a$", b"SELECT $a$ $b$ $a$ , $b$ $a$ $b$",
    b"SELECT $1$x$1$", b"SELECT a$$b$$", b"SELECT $\xc3\xa4$x$\xc3\xa4$", b"SELECT $a$x$A$, $a$", b"SELECT $a$x$A$ $a$", b"SELECT $$ $ $$",
];
