#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Har, MOST};
use crate::client::export::stage::{outcome, piece, scene, session, statement};
use crate::client::playback::Shown;
use crate::recording::item::Head;

fn head(number: u64, line: &str, headers: &[(&str, &str)]) -> Shown {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Shown::Head(Head { number, line: line.into(), headers })
}

fn entries(scenes: Vec<Shown>) -> Vec<Value> {
    let (mut har, mut out) = (Har::new(&session()), Vec::new());
    har.connection(1);
    scenes.into_iter().for_each(|what| har.take(scene(what), &mut out).unwrap());
    har.pause(&mut out).unwrap();
    har.end(&mut out).unwrap();
    if har.is_empty() {
        assert!(out.is_empty());
        return Vec::new();
    }
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    let whole: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(whole["log"]["version"], "1.2");
    whole["log"]["entries"].as_array().unwrap().clone()
}

#[test]
fn calls_that_overlap_are_told_apart() {
    let entries = entries(vec![
        statement(1, "POST /v1/traces?a=b%20c"),
        head(1, "POST /v1/traces?a=b%20c", &[("Content-Type", "application/json")]),
        Shown::Body(piece(1, 1, "{\"a\":\"\u{9b}\x1b")),
        statement(2, "GET /v1/traces/7"),
        head(2, "GET /v1/traces/7", &[]),
        Shown::Body(piece(1, 1, "\"}")),
        head(2, "302", &[("location", "/v1/traces/8")]),
        head(2, "trailers", &[("x", "y")]),
        outcome(2, "302"),
        head(1, "200", &[("content-type", "image/png")]),
        Shown::Body(piece(1, 2, [0xff, 0xd8])),
        Shown::Body(piece(1, 2, [0x00])),
        outcome(1, "200"),
    ]);
    assert_eq!(entries.len(), 2);
    let (moved, made) = (&entries[0], &entries[1]);
    assert_eq!(moved["request"]["url"], "http://bastion/v1/traces/7");
    assert_eq!(moved["response"]["status"], 302);
    assert_eq!(moved["response"]["statusText"], "Found");
    assert_eq!(moved["response"]["redirectURL"], "/v1/traces/8");
    assert_eq!(moved["response"]["content"], json!({ "mimeType": "", "size": 0 }));
    assert!(moved["request"].get("postData").is_none());
    assert_eq!(moved["time"], 2500.0);
    assert_eq!(made["request"]["queryString"], json!([{ "name": "a", "value": "b c" }]));
    assert_eq!(made["request"]["postData"]["text"], "{\"a\":\"\u{9b}\u{1b}\"}");
    let content = json!({ "encoding": "base64", "mimeType": "image/png", "size": 3, "text": "/9gA" });
    assert_eq!(made["response"]["content"], content);
    assert_eq!(made["timings"], json!({ "send": 0, "wait": 4500.0, "receive": 1500.0 }));
    let place = json!({
        "connection": 1, "number": 1, "rule": "rule", "session": "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa", "verdict": "allow",
    });
    assert_eq!(made["_hoopctl"], place);
}

#[test]
fn large_bodies_go_through_whole() {
    // characters of three bytes, so that pieces cut them
    let text = "\u{20ac}uro\n".repeat(100_000);
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let mut scenes = vec![statement(1, "PUT /x"), head(1, "PUT /x", &[])];
    scenes.extend(text.as_bytes().chunks(4099).map(|part| Shown::Body(piece(1, 1, part))));
    scenes.extend(bytes.chunks(5003).map(|part| Shown::Body(piece(1, 2, part))));
    scenes.push(outcome(1, "200"));
    let entries = entries(scenes);
    assert_eq!(entries[0]["request"]["postData"]["text"], text);
    assert_eq!(entries[0]["request"]["bodySize"], text.len());
    assert_eq!(entries[0]["response"]["content"]["text"], STANDARD.encode(&bytes));
}

#[test]
fn what_is_no_call_or_has_no_end_is_told_apart() {
    // a session of SQL, and bodies of nobody
    let none = entries(vec![
        statement(1, "SELECT 1"),
        outcome(1, "SELECT 1"),
        Shown::Body(piece(7, 1, "x")),
        Shown::Body(piece(7, 0, "x")),
        Shown::Body(piece(7, 255, "x")),
    ]);
    assert!(none.is_empty());
    let cut =
        entries(vec![statement(1, "GET /x"), head(1, "GET /x", &[]), Shown::Body(piece(1, 2, [0xe2, 0x82]))]);
    assert_eq!(cut[0]["comment"], "its end is not in the recording");
    assert_eq!(cut[0]["response"]["status"], 0);
    // half a character is no text
    assert_eq!(cut[0]["response"]["content"]["encoding"], "base64");
    let denied = entries(vec![statement(1, "DELETE /x y"), outcome(1, "403")]);
    assert_eq!(denied[0]["response"]["status"], 403);
    let odd = entries(vec![head(1, "GET /\u{1b}]0;x \"\\", &[("\u{1b}", "\u{9d}")]), outcome(1, "nine")]);
    assert_eq!(odd[0]["response"]["status"], 0);
}

#[test]
fn no_more_calls_are_held_open_than_there_can_be() {
    let (mut har, mut out) = (Har::new(&session()), Vec::new());
    for number in 0..1000 {
        har.take(scene(statement(number, "GET /x")), &mut out).unwrap();
        assert!(har.open.len() <= MOST);
    }
    har.pause(&mut out).unwrap();
    assert_eq!(har.count, 1000);
}
