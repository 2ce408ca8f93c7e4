//! Lines, sequences, events, tables, forms, text.

use super::*;

fn keys() -> Arc<DocumentPlan> {
    plan(&[("$..key", Mask::Full), ("$..tail", Mask::Partial { keep_last: 2 }), ("$..none", Mask::Null)])
}

#[test]
fn each_line_is_a_document() {
    let body = "{\"key\":1}\n\r\n  [2]\r\n\"x\" \n{\"key\":3}";
    let shown = "{\"key\":\"[masked]\"}\n\r\n  [2]\r\n\"x\" \n{\"key\":\"[masked]\"}";
    assert_eq!(masked("application/x-ndjson", &keys(), body), shown);
    assert_eq!(masked("application/x-ndjson", &keys(), ""), "");
    assert_eq!(
        masked("application/x-ndjson", &plan(&[("$", Mask::Full)]), "1\n23"),
        "\"[masked]\"\n\"[masked]\""
    );
    for body in ["{} {}", "{\n}", "[1,\n2]", "{\"key\":\r1}", "{\"key\":1}\n{", "1 2"] {
        refused("application/x-ndjson", &keys(), body.as_bytes());
    }
}

#[test]
fn a_sequence_has_separators() {
    let body = "\u{1e}{\"key\":1}\n\u{1e}[\n2]\n";
    assert_eq!(masked("application/json-seq", &keys(), body), "\u{1e}{\"key\":\"[masked]\"}\n\u{1e}[\n2]\n");
    for body in ["{}", "\u{1e}{}{}", "\u{1e}{\u{1e}}", "\u{1e}"] {
        refused("application/json-seq", &keys(), body.as_bytes());
    }
}

#[test]
fn events_are_masked_one_by_one() {
    let body = ": hi\nevent: step\nid: 7\ndata: {\"key\":\ndata: \"secret\",\ndata:\"a\":1}\n\nretry: 5\r\n\r\ndata: [DONE]\n\nother: x\ndata\n\ndata: {\"key\":2}";
    let shown = ":\nevent: step\nid: 7\ndata: {\"key\":\ndata: \"[masked]\",\ndata: \"a\":1}\n\nretry: 5\n\ndata: [DONE]\n\ndata: \n\n";
    assert_eq!(masked("text/event-stream", &keys(), body), shown);
    for body in
        ["data: hello\n\n", "data: {\"key\":1\n\n", "data: {}\ndata: {}\n\n", "data: [DONE] {\"key\":1}\n\n"]
    {
        refused("text/event-stream", &keys(), body.as_bytes());
    }
    let long = format!("data: \"{}\"\n\n", "x".repeat(1 << 20));
    assert_eq!(
        mask("text/event-stream", &keys(), &[long.as_bytes()]),
        Err(Unmaskable::Limit("an event's length"))
    );
}

#[test]
fn columns_are_masked_by_their_header() {
    let body = "\u{feff}id,Key , \"tail\",none,note\r\n1,secret,abcdef,x,\"a \"\"b\"\",\r\nc\"\r\n2,\"se\"\"cr,\net\",\"a,b\"\"\",,\r\n";
    // a quote after a blank is refused; without the blank it is a name
    refused("text/csv", &keys(), body.as_bytes());
    let body = body.replace(" \"tail\"", "\"tail\"");
    let shown = "\u{feff}id,Key ,\"tail\",none,note\r\n1,[masked],****ef,,\"a \"\"b\"\",\r\nc\"\r\n2,[masked],\"****b\"\"\",,\r\n";
    assert_eq!(masked("text/csv", &keys(), &body), shown);
    assert_eq!(masked("text/csv", &keys(), "a,key\n1,2"), "a,key\n1,[masked]");
    assert_eq!(masked("text/tab-separated-values", &keys(), "a\tkey\n1\t2\n"), "a\tkey\n1\t[masked]\n");
    for body in [
        "a;key\n1;2\n",
        "a,key\n1\n",
        "a,key\n1,2,3\n",
        "a,key\n1,\"x\"y\n",
        "a,key\n1,x\"y\"\n",
        "a,key\n1,\"x",
        "a,key\r1,2",
        "key\n\n",
    ] {
        refused("text/csv", &keys(), body.as_bytes());
    }
}

#[test]
fn fields_of_forms_are_masked() {
    let body = "a=1+2&key=se%20cret&%6Bey=2&user[key]=3&user.key=4&tail=gr%C3%BC%C3%9Fe&none=x&flag&key=";
    let shown = "a=1+2&key=%5Bmasked%5D&%6Bey=%5Bmasked%5D&user[key]=%5Bmasked%5D&user.key=%5Bmasked%5D&\
                 tail=****%C3%9Fe&none=&flag&key=%5Bmasked%5D";
    assert_eq!(masked("application/x-www-form-urlencoded", &keys(), body), shown);
    for body in ["a=1;key=2", "a=%", "a=%zz", "a=\n", "%FF=1", "key=%FF", "é=1"] {
        refused("application/x-www-form-urlencoded", &keys(), body.as_bytes());
    }
}

fn detecting(own: &[&str]) -> Arc<DocumentPlan> {
    let own: Vec<String> = own.iter().map(|pattern| (*pattern).to_owned()).collect();
    let detectors = Detectors::new(&Detector::ALL, &own).unwrap();
    Arc::new(DocumentPlan::new(&[], KeyCase::Exact).unwrap().with_detectors(Arc::new(detectors)))
}

#[test]
fn detectors_find_what_they_name() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----";
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    for (text, shown) in [
        ("mail alice@example.org, now", "mail [masked], now"),
        ("card 4111 1111 1111 1111 5", "card [masked] 5"),
        ("card 4111-1111-1111-1111.", "card [masked]."),
        ("no card 4111 1111 1111 1112 at all", "no card 4111 1111 1111 1112 at all"),
        ("order 1234567890123", "order 1234567890123"),
        ("iban DE89 3704 0044 0532 0130 00 end", "iban [masked] end"),
        ("iban de89370400440532013000", "iban [masked]"),
        ("iban DE88370400440532013000", "iban DE88370400440532013000"),
        ("AKIAIOSFODNN7EXAMPLE", "[masked]"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "[masked]"),
        ("key=sk-proj-abcdefghijklmnop1234 x", "key=[masked] x"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "[masked]"),
        ("task-force-is-a-long-word-indeed", "task-force-is-a-long-word-indeed"),
        (&format!("a {jwt} b"), "a [masked] b"),
        (&format!("a\n{key}\nb"), "a\n[masked]\nb"),
        ("a -----BEGIN PRIVATE KEY-----\nMIIabc", "a [masked]"),
        ("", ""),
    ] {
        assert_eq!(masked("text/plain", &detecting(&[]), text), shown);
    }
}

#[test]
fn detectors_work_across_any_cut_of_a_long_text() {
    let filler = "lorem ipsum dolor 12 3456 ".repeat(40);
    let text = format!(
        "{filler}4111 1111 1111 1111 {filler}alice@example.org\n{filler}DE89 3704 0044 0532 0130 00 {filler}"
    );
    let shown = masked("text/plain", &detecting(&[]), &text);
    assert_eq!(shown, format!("{filler}[masked] {filler}[masked]\n{filler}[masked] {filler}"));
    let word = format!("x eyJ{}.{}.c y", "a".repeat(2000), "b".repeat(20_000));
    for size in [999, 10_000, 30_000] {
        let pieces: Vec<&[u8]> = word.as_bytes().chunks(size).collect();
        let shown = mask("text/plain", &detecting(&[]), &pieces).unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), "x [masked] y", "{size}");
    }
}

#[test]
fn own_patterns_are_bounded() {
    let plan = detecting(&[r"EMP [0-9]{6}"]);
    assert_eq!(masked("text/plain", &plan, "id EMP 123456 EMP 12345"), "id [masked] EMP 12345");
    for pattern in ["a+", "", "x*", "a{9000}"] {
        assert_eq!(
            Detectors::new(&[], &[pattern.to_owned()]).err(),
            Some(DetectorError::Endless { at: 0 }),
            "{pattern}"
        );
    }
    assert_eq!(Detectors::new(&[], &["(".to_owned()]).err(), Some(DetectorError::Pattern { at: 0 }));
}

#[test]
fn text_is_refused_where_paths_are_protected_or_it_is_no_text() {
    assert!(BodyMasker::new(Some("text/plain"), &keys()).is_err());
    refused("text/plain", &detecting(&[]), b"a\0l\0i\0c\0e\0");
    refused("text/plain", &detecting(&[]), b"\xff\xfea");
    assert_eq!(
        masked("text/event-stream", &detecting(&[]), "data: to alice@example.org\n\n"),
        "data: to [masked]\n\n"
    );
}
