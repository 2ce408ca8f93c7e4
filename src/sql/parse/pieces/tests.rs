#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use pg_query::protobuf::Token;

use super::*;
use crate::sql::parse::tests::PIECES;
use crate::sql::parse::tokens;

/// What is said, as it is read; numbers and parameters by what stands before them.
fn said(text: &str, escaping: bool) -> Vec<String> {
    let read = |piece: Piece| {
        let written = text.get(piece.inner.clone()).unwrap();
        let read = piece.read.map_or_else(|| written.to_owned(), |read| String::from_utf8(read).unwrap());
        let mark = match piece.kind {
            PieceKind::Code => "code",
            PieceKind::Comment | PieceKind::Comments => "--",
            PieceKind::Literal => "'",
            PieceKind::Name => "\"",
            PieceKind::Number => "#",
            PieceKind::Parameter(number) => return format!("${number}"),
        };
        format!("{mark}{read}")
    };
    pieces(text, escaping).map(read).collect()
}

#[test]
fn what_is_said_is_read_as_the_server_reads_it() {
    for (text, read) in [
        ("SELECT 'a''b', E'a\\x40b\\100\\u0040\\'', U&'a\\0040' , 7", vec!["'a'b", "'a@b@@'", "'a@", "#7"]),
        ("SELECT U&'a!0040!!b' UESCAPE '!', U&\"!0041\" UESCAPE '!'", vec!["'a@!b", "'!", "\"A", "'!"]),
        ("SELECT 'alice@'\n 'example.org' x", vec!["'alice@example.org"]),
        ("SELECT $$a'b$$, $t$ $$ $t$, $12, N'n', B'01'", vec!["'a'b", "' $$ ", "$12", "'n", "'01"]),
        ("a -- b\n /* c */ d /* e /* f */ */", vec!["---- b\n /* c */", "-- e /* f */ "]),
        ("a /* -- b */ c", vec!["-- -- b "]),
        ("\"a\"\"b\" = 536-22-1870 AND b - -1 --1", vec!["\"a\"b", "#536-22-1870", "#1", "--1"]),
        ("DO $$ x $$; SELECT $$ y $$", vec!["code x ", "' y "]),
        (
            "CREATE OR REPLACE FUNCTION f(a text = 'v') LANGUAGE 'sql' AS 'body'",
            vec!["'v", "'sql", "codebody"],
        ),
        ("INSERT INTO t VALUES ('a') ON CONFLICT DO NOTHING", vec!["'a"]),
        ("SELECT 'not closed", vec!["'not closed"]),
    ] {
        assert_eq!(said(text, false), read, "{text}");
    }
    assert_eq!(said("SELECT 'a\\'b', 'c'", true), ["'a'b", "'c"]);
}

/// INVARIANT: what is taken for a value or a comment is one to PostgreSQL's scanner, from the same place to the same.
#[test]
fn what_is_said_ends_where_postgresql_says() {
    use rand::{Rng as _, SeedableRng as _};
    let mut dice = rand_pcg::Pcg64Mcg::seed_from_u64(7);
    let (mut scanned, mut compared) = (0, 0);
    for _ in 0..60_000 {
        let mut text = String::new();
        for _ in 0..dice.next_u32() % 24 + 1 {
            text.push_str(PIECES.get(dice.next_u32() as usize % PIECES.len()).unwrap());
        }
        let Ok(tokens) = tokens(&text) else { continue };
        scanned += 1;
        let mut theirs = Vec::new();
        for token in tokens {
            let place = usize::try_from(token.start).unwrap()..usize::try_from(token.end).unwrap();
            let is_name = || text.get(place.clone()).unwrap().contains('"');
            match Token::try_from(token.token) {
                Ok(Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst) => theirs.push(place),
                Ok(Token::Ident | Token::Uident) if is_name() => theirs.push(place),
                Ok(Token::SqlComment | Token::CComment) => theirs.push(place),
                _ => {}
            }
        }
        let mut ours = pieces(&text, false)
            .filter(|piece| !matches!(piece.kind, PieceKind::Number | PieceKind::Parameter(_)));
        let mut theirs = theirs.into_iter().peekable();
        while let Some(first) = theirs.next() {
            let piece = ours.next();
            let mut end = first.end;
            // comments that follow each other are one of ours
            while piece
                .as_ref()
                .is_some_and(|piece| piece.kind == PieceKind::Comments && end < piece.place.end)
            {
                end = theirs.next().unwrap().end;
            }
            // theirs has no letter before it
            let place = piece.map(|piece| piece.place).unwrap_or_default();
            assert!(
                place.end == end && place.start <= first.start && first.start - place.start <= 2,
                "{text:?}: {place:?} {first:?}"
            );
            compared += 1;
        }
        assert!(ours.next().is_none(), "{text:?}");
    }
    assert!(scanned > 5_000 && compared > 10_000, "{scanned} {compared}");
}
