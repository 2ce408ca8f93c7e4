#![expect(clippy::panic, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::*;

/// What the patterns make of texts that come one after the other, and how many of them were found.
fn follow(texts: &[String]) -> usize {
    let (mut patterns, lens) = (Patterns::new(64), Lens::Plain);
    let mut found = 0;
    for text in texts {
        let whole = lens.inspect(text, Reading::Standard);
        match patterns.find(text) {
            Alike::Found(made) => {
                assert_eq!(made.refusal, whole.refusal);
                assert_eq!(finding(&made), finding(&whole), "{text}");
                found += 1;
            }
            alike => patterns.learn(text, &whole, alike, &lens),
        }
    }
    found
}

#[test]
fn the_third_text_of_a_pattern_is_found() {
    let simple = |id: u32| format!("SELECT abalance FROM pgbench_accounts WHERE aid = {id};");
    assert_eq!(follow(&[simple(1), simple(2), simple(3), simple(1_000_000)]), 2);
    let limited = |limit: u32| format!("SELECT a FROM t WHERE b = 1 LIMIT {limit}");
    assert_eq!(follow(&[limited(1), limited(2), limited(3), limited(4)]), 0);
    assert_eq!(follow(&[limited(5), limited(5), limited(5)]), 1);
}

#[test]
fn policy_and_ledger_hear_of_a_pattern_once() {
    let (mut patterns, lens) = (Patterns::new(64), Lens::Plain);
    let mut parts = Vec::new();
    for id in 1..=4 {
        let text = format!("SELECT a FROM t WHERE id = {id}");
        match patterns.find(&text) {
            Alike::Found(made) => parts.extend(made.parts.first().cloned()),
            alike => patterns.learn(&text, &lens.inspect(&text, Reading::Standard), alike, &lens),
        }
    }
    let [third, fourth] = parts.as_slice() else { panic!("two are found") };
    assert!(third.ruled.facts_entered.set(3).is_ok());
    assert_eq!(fourth.ruled.facts_entered.get(), Some(&3));
}

/// What comes of a text: `f`ound, `n`othing, or that it was learned from.
fn step(patterns: &mut Patterns, text: &str) -> char {
    let alike = patterns.find(text);
    let word = match alike {
        Alike::Found(_) => 'f',
        Alike::Nothing => 'n',
        Alike::New(_) => 'w',
        Alike::Seen(_) => 's',
        Alike::Other(..) => 'o',
    };
    let lens = Lens::Plain;
    patterns.learn(text, &lens.inspect(text, Reading::Standard), alike, &lens);
    word
}

fn page(id: u32, limit: u32) -> String {
    format!("SELECT a FROM t WHERE b = {id} LIMIT {limit}")
}

#[test]
fn pages_that_come_once_are_not_learned() {
    let mut patterns = Patterns::new(64);
    let steps: String = (1..=12).map(|limit| step(&mut patterns, &page(1, limit))).collect();
    assert_eq!(steps, "wsnnnnnnnnnn");
}

#[test]
fn a_page_that_comes_again_is_learned_beside_the_first() {
    let mut patterns = Patterns::new(64);
    let pages = [(1, 10), (2, 10), (3, 20), (4, 20), (5, 20), (6, 10)];
    let steps: String = pages.map(|(id, limit)| step(&mut patterns, &page(id, limit))).into_iter().collect();
    assert_eq!(steps, "wsnoff");
}

#[test]
fn stencils_without_use_come_to_an_end() {
    let mut patterns = Patterns::new(64);
    let pairs = (1..=7).flat_map(|limit| [(1, limit), (2, limit)]);
    let steps: String = pairs.map(|(id, limit)| step(&mut patterns, &page(id, limit))).collect();
    // the first, and three more
    assert_eq!(steps, "wsnonononnnnnn");
    // one of use starts the count anew
    let after: String = [(3, 1), (1, 8), (2, 8), (3, 8)]
        .map(|(id, limit)| step(&mut patterns, &page(id, limit)))
        .into_iter()
        .collect();
    assert_eq!(after, "fnof");
}

#[test]
fn a_page_that_cannot_be_learned_leaves_the_others() {
    let mut patterns = Patterns::new(64);
    // this one is a mark of the templates' own
    let pages = [(1, 10), (2, 10), (3, 1_847_390_000), (4, 1_847_390_000), (5, 10)];
    let steps: String = pages.map(|(id, limit)| step(&mut patterns, &page(id, limit))).into_iter().collect();
    assert_eq!(steps, "wsnof");
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..100_u32).prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        "[a-z ]{0,5}".prop_map(|text| format!("'{text}'")),
        prop::sample::select(vec![
            "0",
            "007",
            "-1",
            "2147483647",
            "2147483648",
            "1.5",
            "'it''s'",
            "E'\\n'",
            "$$x$$",
            "'[masked]'",
            "NULL",
            "'1'::int",
            "'password'",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands where: what a template makes is what inspecting the text gives.
    #[test]
    fn what_is_made_is_what_would_be_found(
        form in prop::sample::select(vec![
            "SELECT a FROM t WHERE b = ? AND c IN (?, ?)",
            "SELECT a FROM t WHERE b = ? LIMIT ?",
            "SELECT f(?), ? FROM t WHERE b BETWEEN ? AND ? ORDER BY 1",
            "SELECT a FROM t WHERE b::varchar(10) = ? AND NOT c > -?",
            "UPDATE t SET a = ?, b = b + ? WHERE c = ? AND d = f(?)",
            "INSERT INTO t (a, b) VALUES (?, ?), (?, 1)",
            "DELETE FROM t WHERE a = ?; SELECT ?",
            "ALTER ROLE a PASSWORD ?",
        ]),
        literals in prop::collection::vec(literal(), 24),
    ) {
        let mut literals = literals.iter();
        let mut texts = Vec::new();
        while literals.len() >= 4 {
            let mut fill = |whole: String, piece: &str| whole + literals.next().map_or("1", String::as_str) + piece;
            let (first, rest) = form.split_once('?').unwrap_or((form, ""));
            texts.push(rest.split('?').fold(first.to_owned(), &mut fill));
        }
        // each twice, so that those with unusual literals are learned from as well
        let twice: Vec<String> = texts.iter().flat_map(|text| [text.clone(), text.clone()]).chain(texts.clone()).collect();
        follow(&twice);
    }
}
