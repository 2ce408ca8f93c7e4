#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::*;
use crate::wire::aws::call::{Head, read};
use crate::wire::aws::dynamodb::tests::call as dynamo;

fn run(call: &AwsCall, blind: bool, answer: &str, size: usize) -> Result<(u64, String), ListingError> {
    let mut listing = Listing::new(call, blind).unwrap();
    let mut out = BytesMut::new();
    for piece in answer.as_bytes().chunks(size) {
        listing.feed(piece, &mut out)?;
    }
    let entries = listing.entries();
    listing.finish()?;
    Ok((entries, String::from_utf8(out.to_vec()).unwrap()))
}

fn objects() -> AwsCall {
    let headers = http::HeaderMap::new();
    let head = Head { method: "GET", path: "/bkt", query: Some("list-type=2"), headers: &headers };
    read("s3", &head, None, "eu-west-1").unwrap()
}

const OBJECTS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bkt</Name>\
    <Contents><Key>&lt;Contents&gt;</Key><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><Size>0</Size></Contents>\
    <Contents><Key>b</Key><ETag>&#34;0cc175b9c0f1b6a831c399e269772661-2&#34;</ETag></Contents><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes></ListBucketResult>\n";

#[test]
fn entries_are_counted_however_the_listing_is_cut() {
    for size in [1, 7, 10_000] {
        assert_eq!(run(&objects(), false, OBJECTS, size), Ok((3, OBJECTS.into())));
        let (entries, blinded) = run(&objects(), true, OBJECTS, size).unwrap();
        let etag = "<ETag>&quot;00000000000000000000000000000000&quot;</ETag>";
        let expected = OBJECTS
            .replace("<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag>", etag)
            .replace("<ETag>&#34;0cc175b9c0f1b6a831c399e269772661-2&#34;</ETag>", etag);
        assert_eq!((entries, blinded.trim_end()), (3, expected.trim_end()));
    }
    for answer in [
        "",
        "{}",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a>&e;</a>",
        "<!DOCTYPE a><a/>",
        "<a><![CDATA[<Contents>]]></a>",
    ] {
        assert!(run(&objects(), true, answer, 3).is_err(), "{answer}");
    }
}

#[test]
fn items_are_counted_however_the_answer_is_cut() {
    let scan = dynamo("Scan", r#"{"TableName": "t"}"#).unwrap();
    for (answer, entries) in [
        (r#"{"Items": [{"a": {"L": [{"S": "x"}, {"N": "1"}]}}, {"b": {"S": "\"}],"}}], "Count": 2}"#, 2),
        (r#"{"Count":0,"Items":[],"LastEvaluatedKey":{"Items":{"L":[{"S":"x"}]}}}"#, 0),
        (r#"{"TableNames": ["a", "b", "c"], "LastEvaluatedTableName": "c"}"#, 3),
        (r#"{"Responses": {"Items": [{}, {}], "t": [{}]}, "UnprocessedKeys": {}}"#, 3),
        (r#"{"Responses": [{"Item": {"a": {"L": [{"S": "x"}]}}}, {}]}"#, 2),
        (" {\"Item\" : {} } \n", 0),
    ] {
        for size in [1, 5, 1000] {
            assert_eq!(run(&scan, false, answer, size), Ok((entries, answer.into())), "{answer}");
        }
    }
    for answer in ["", "[]", "{", r#"{"Items": ["#, r#"{"\u0049tems": []}"#, "{]", "{}{}", "{};"] {
        assert!(run(&scan, false, answer, 1).is_err(), "{answer}");
    }
}

proptest! {
    #[test]
    fn a_cut_changes_nothing(answer in "[<>/a-cE{}\\[\\]\"\\\\:, &;?!]{0,60}", size in 1..9_usize) {
        for call in [objects(), dynamo("Scan", r#"{"TableName": "t"}"#).unwrap()] {
            for blind in [false, true] {
                prop_assert_eq!(run(&call, blind, &answer, size), run(&call, blind, &answer, 100));
            }
        }
    }
}
