//! Lines, sequences, events, tables, forms, text.

use super::*;
use crate::domain::target::{OwnPattern, PatternCheck};

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
    let body = "a=1+2&key=se%20cret&%6Bey=2&user[key]=3&user.key=4&tail=gr%C3%BC%C3%9Fe&none=x&&key=";
    let shown = "a=1+2&key=%5Bmasked%5D&%6Bey=%5Bmasked%5D&user[key]=%5Bmasked%5D&user.key=%5Bmasked%5D&\
                 tail=****%C3%9Fe&none=&&key=%5Bmasked%5D";
    assert_eq!(masked("application/x-www-form-urlencoded", &keys(), body), shown);
    for body in ["a=1;key=2", "a=%", "a=%zz", "a=\n", "%FF=1", "key=%FF", "é=1"] {
        refused("application/x-www-form-urlencoded", &keys(), body.as_bytes());
    }
}

fn own_pattern(pattern: &str, check: PatternCheck) -> OwnPattern {
    OwnPattern { name: "own".into(), pattern: pattern.into(), check }
}

fn detecting(own: &[&str]) -> Arc<DocumentPlan> {
    let own: Vec<OwnPattern> = own.iter().map(|pattern| own_pattern(pattern, PatternCheck::None)).collect();
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
            Detectors::new(&[], &[own_pattern(pattern, PatternCheck::None)]).err(),
            Some(DetectorError::Endless),
            "{pattern}"
        );
    }
    let broken = own_pattern("(", PatternCheck::None);
    assert_eq!(Detectors::new(&[], &[broken]).err(), Some(DetectorError::Pattern));
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

/// What detectors find is masked in every format; what they find nothing in stays byte for byte.
#[test]
fn detectors_look_into_values_of_every_format() {
    let plan = detecting(&[]);
    for (media, body, shown) in [
        (
            "application/json",
            r#"{"to":"alice@example.org","n":[1, "a\u0040b", "caf\u00e9\/x"],"alice@example.org":{}}"#,
            r#"{"to":"[masked]","n":[1, "a\u0040b", "caf\u00e9\/x"],"[masked]":{}}"#,
        ),
        (
            "application/json",
            r#"[ "to \"alice\u0040example.org\"" , 4111111111111111, -4111111111111111,4111111111111112 ]"#,
            r#"[ "to \"[masked]\"" , "[masked]", "-[masked]",4111111111111112 ]"#,
        ),
        ("application/json", " 4111111111111111", " \"[masked]\""),
        ("application/json", r#""-----BEGIN PRIVATE KEY-----\nMIIE\n""#, r#""[masked]""#),
        (
            "application/x-ndjson",
            "{\"a\":\"alice@example.org\"}\n\n4111111111111111\n",
            "{\"a\":\"[masked]\"}\n\n\"[masked]\"\n",
        ),
        (
            "text/event-stream",
            "data: {\"a\":\"alice\\u0040example.org\"}\n\n",
            "data: {\"a\":\"[masked]\"}\n\n",
        ),
        (
            "text/csv",
            "who,n\r\n\"to \"\"alice@example.org\"\"\",1\r\nalice@example.org,\"x\"\r\n",
            "who,n\r\n\"to \"\"[masked]\"\"\",1\r\n[masked],\"x\"\r\n",
        ),
        (
            "application/x-www-form-urlencoded",
            "a=alice%40example.org&b=c+d%2f&c=",
            "a=%5Bmasked%5D&b=c+d%2f&c=",
        ),
    ] {
        assert_eq!(masked(media, &plan, body), shown, "{media}");
    }
    let long = format!("{{\"a\":\"{} alice@example.org\"}}", "x ".repeat(70_000));
    assert!(masked("application/json", &plan, &long).ends_with(" [masked]\"}"));
    // a text that is held to be looked at is bounded
    let endless = format!("\"{}", "x".repeat(5 << 20));
    let pieces: Vec<&[u8]> = endless.as_bytes().chunks(1 << 16).collect();
    assert_eq!(mask("application/json", &plan, &pieces), Err(Unmaskable::Limit("a text's length")));
    assert_eq!(
        mask("text/csv", &plan, &[b"a\n", endless.as_bytes()]),
        Err(Unmaskable::Limit("a field's length"))
    );
    let endless = format!("a={}", "x".repeat(5 << 20));
    let form = "application/x-www-form-urlencoded";
    assert_eq!(mask(form, &plan, &[endless.as_bytes()]), Err(Unmaskable::Limit("a value's length")));
}

/// Paths hide first; detectors look at what is left.
#[test]
fn paths_and_detectors_work_together() {
    let rule = DocumentRule {
        name: RuleName::new("rule").unwrap(),
        path: DocumentPath::new("$..who").unwrap(),
        mask: Mask::Partial { keep_last: 3 },
    };
    let detectors = Detectors::new(&[Detector::Email], &[]).unwrap();
    let plan = DocumentPlan::new(&[rule], KeyCase::Exact).unwrap().with_detectors(Arc::new(detectors));
    assert_eq!(
        masked(
            "application/json",
            &Arc::new(plan),
            r#"{"who":"alice@example.org","cc":["bob@example.org"]}"#
        ),
        r#"{"who":"****org","cc":["[masked]"]}"#
    );
}

#[test]
fn items_are_counted_as_the_plan_says_or_at_the_outermost_arrays() {
    let count = |media: &str, plan: &Arc<DocumentPlan>, body: &str| {
        let mut masker = BodyMasker::new(Some(media), plan).unwrap();
        let mut out = BytesMut::new();
        for piece in body.as_bytes().chunks(3) {
            masker.feed(piece, &mut out).unwrap();
        }
        masker.finish(&mut out).unwrap();
        masker.items()
    };
    let plain = plan(&[]);
    for (media, body, expected) in [
        ("application/json", "[1,[2,3],{\"a\":[4]}]", 3),
        ("application/json", r#"{"data":[{"a":[1]},{}],"next":["x"],"n":{"deep":[1,2]}}"#, 3),
        ("application/json", "[]", 0),
        ("application/json", r#"{"a":1}"#, 0),
        ("application/x-ndjson", "{}\n\n[1,2]\n", 2),
        ("application/json-seq", "\x1e{}\n\x1e1\n", 2),
        ("text/csv", "a,b\r\n1,2\r\n\"x\r\ny\",4", 2),
        ("text/event-stream", "data: 1\n\n: \n\ndata: 2\r\n\r\nid: 3\n\n", 2),
        ("application/x-www-form-urlencoded", "a=b", 0),
    ] {
        assert_eq!(count(media, &plain, body), expected, "{media} {body}");
    }
    let path = DocumentPath::new("$.page.rows[*]").unwrap();
    let counting = Arc::new(DocumentPlan::new(&[], KeyCase::Exact).unwrap().with_items(&path).unwrap());
    assert_eq!(count("application/json", &counting, r#"{"page":{"rows":[1,{"rows":[2]},3]},"x":[1]}"#), 3);
    // what is inside of a masked value is not shown, so it does not count
    assert_eq!(count("application/json", &plan(&[("$.data", Mask::Full)]), r#"{"data":[1,2],"x":[3]}"#), 1);
}

/// A client can often choose the media type of an answer; a document in the wrong one must not get past its masks.
#[test]
fn a_media_type_that_lies_carries_nothing_past_a_mask() {
    let form = "application/x-www-form-urlencoded";
    for (media, body) in [
        (form, "{\"key\":\"sk-secret-123456\",\"id\":7}"),
        (form, "sk-secret-123456"),
        (form, "a=1&sk-secret-123456"),
        (form, "sk-secret-123456&a=1"),
        (form, "<key>sk-secret-123456</key>="),
        (form, "[\"sk-secret-123456\"]="),
        ("text/csv", "key: sk-secret-123456\nid: 7\n"),
        ("text/csv", "<key>sk-secret-123456</key>\n"),
        ("text/csv", "{\"\"key\"\":\"\"sk-secret-123456\"\"}\n"),
        ("text/csv", "7,sk-secret-123456,alice\n8,sk-secret-234567,bob\n"),
        ("text/csv", "7,sk-secret-123456,alice"),
        ("text/csv; header=absent", "key,sk-secret-123456\n"),
        ("text/csv; header=\"Absent\"", "key,sk-secret-123456\n"),
    ] {
        let Ok(mut masker) = BodyMasker::new(Some(media), &keys()) else { continue };
        let mut out = BytesMut::new();
        let fed = body.as_bytes().chunks(1).try_for_each(|piece| masker.feed(piece, &mut out));
        assert!(fed.and_then(|()| masker.finish(&mut out)).is_err(), "{media}: {body:?} passed");
        let out = String::from_utf8_lossy(&out).into_owned();
        assert!(!out.contains("secret"), "{media}: {body:?} gave {out:?} out before it was refused");
    }
    // a plan of detectors alone looks for its own
    assert_eq!(masked("text/csv", &plan(&[]), "7,b\n8,c\n"), "7,b\n8,c\n");
}

/// `creds.key`, `key[0]` and the like are what depth is written as in formats without any.
#[test]
fn nested_names_of_flat_formats_are_masked() {
    for name in ["creds.key", "key[0]", "creds[key]", "key[value]", "key.value", "[key]", "a/key"] {
        let csv = format!("id,{name}\n1,sk-secret-123456\n");
        assert_eq!(masked("text/csv", &keys(), &csv), format!("id,{name}\n1,[masked]\n"));
        let form = format!("id=1&{name}=sk-secret-123456");
        let shown = format!("id=1&{name}=%5Bmasked%5D");
        assert_eq!(masked("application/x-www-form-urlencoded", &keys(), &form), shown);
    }
    assert_eq!(masked("text/csv", &keys(), "keys,key\n1,2\n"), "keys,key\n1,[masked]\n");
}

/// Names are no place that detectors overlook: a record that is called a header is refused where they find something.
#[test]
fn names_of_flat_formats_hold_nothing_that_detectors_find() {
    for (media, body) in [
        ("text/csv", "alice@example.org,1\nbob@example.org,2\n"),
        ("application/x-www-form-urlencoded", "alice%40example.org=1"),
        ("application/x-www-form-urlencoded", "a=1&alice%40example.org"),
    ] {
        refused(media, &detecting(&[]), body.as_bytes());
    }
}
