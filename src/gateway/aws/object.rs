//! Objects of S3 that masks bind.
//!
//! Job: tell by its media type, by its name and by its first line what an object is, and mask it as that. Boundary: an
//! object's media type is the word of whoever wrote it, so what it holds must bear it out. Failure mode: what is no JSON, lines
//! of JSON, CSV or TSV, or is another of these than it says, is refused before its first byte goes on.

use std::sync::Arc;

use bytes::BytesMut;

use crate::mask::document::{BodyMasker, DocumentPlan};

/// A masker for one object.
#[derive(Debug)]
pub(in crate::gateway) struct ObjectMasker {
    masker: BodyMasker,
    sniff: Option<Sniff>,
}

/// What waits for its first line.
#[derive(Debug)]
struct Sniff {
    /// What sets columns apart.
    delimiter: u8,
    held: BytesMut,
}

impl ObjectMasker {
    /// For the object of this key, with this `Content-Type`.
    pub(in crate::gateway) fn new(
        content_type: Option<&str>,
        key: &str,
        plan: &Arc<DocumentPlan>,
    ) -> Result<Self, String> {
        let written = content_type.unwrap_or_default();
        let media = written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let told = if GENERIC.contains(&media.as_str()) {
            by_name(key).ok_or("neither its media type nor its name says what it is")?.to_owned()
        } else {
            written.to_owned()
        };
        let masker = BodyMasker::new(Some(&told), plan).map_err(|error| error.to_string())?;
        let sniff = match (&masker, told.to_ascii_lowercase()) {
            // the masker itself refuses what is no JSON
            (BodyMasker::Json(_), _) => None,
            (BodyMasker::Csv(_), told) => {
                let delimiter = if told.starts_with("text/tab") { b'\t' } else { b',' };
                Some(Sniff { delimiter, held: BytesMut::new() })
            }
            _ => return Err("objects are masked as JSON, lines of JSON, CSV or TSV, and it is none".into()),
        };
        Ok(Self { masker, sniff })
    }

    /// Takes the next piece.
    pub(in crate::gateway) fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<(), String> {
        let Some(sniff) = &mut self.sniff else { return self.mask(input, out) };
        sniff.held.extend_from_slice(input);
        if !sniff.held.contains(&b'\n') {
            return if sniff.held.len() > LONGEST_LINE {
                Err("its first line is too long".into())
            } else {
                Ok(())
            };
        }
        self.believe(out)
    }

    /// Ends the object.
    pub(in crate::gateway) fn finish(&mut self, out: &mut BytesMut) -> Result<(), String> {
        self.believe(out)?;
        self.masker.finish(out).map_err(|error| error.to_string())
    }

    /// How many items came so far.
    pub(in crate::gateway) fn items(&self) -> u64 {
        self.masker.items()
    }

    fn mask(&mut self, input: &[u8], out: &mut BytesMut) -> Result<(), String> {
        self.masker.feed(input, out).map_err(|error| error.to_string())
    }

    /// Lets what was held go on, if its first line bears out what it says that it is.
    fn believe(&mut self, out: &mut BytesMut) -> Result<(), String> {
        let Some(Sniff { delimiter, held }) = self.sniff.take() else { return Ok(()) };
        check(&held, delimiter)?;
        self.mask(&held, out)
    }
}

/// INVARIANT: a column has no name, and so no mask, in a table that is read with another delimiter than it was written with.
fn check(held: &[u8], delimiter: u8) -> Result<(), String> {
    let first = held.strip_prefix(b"\xef\xbb\xbf").unwrap_or(held);
    let line = first.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    if matches!(line.trim_ascii_start().first(), Some(b'{' | b'[' | b'<')) {
        return Err("it says that it is a table, and is none".into());
    }
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') || std::str::from_utf8(line).is_err()
    {
        return Err("it is no text".into());
    }
    let count = |wanted: u8| line.iter().filter(|byte| **byte == wanted).count();
    let own = count(delimiter);
    match DELIMITERS.iter().find(|other| **other != delimiter && count(**other) > own) {
        Some(_) => Err("its columns are set apart by something else than it says".into()),
        None => Ok(()),
    }
}

/// What an object is by the end of its name.
fn by_name(key: &str) -> Option<&'static str> {
    let (_, end) = key.rsplit_once('.')?;
    Some(match end.to_ascii_lowercase().as_str() {
        "json" => "application/json",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        _ => return None,
    })
}

/// Media types that say nothing: what tools write when nobody tells them.
const GENERIC: [&str; 4] = ["", "application/octet-stream", "binary/octet-stream", "text/plain"];
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
const LONGEST_LINE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::domain::mask::Mask;
    use crate::domain::name::RuleName;
    use crate::mask::document::{DocumentPath, DocumentRule, KeyCase};

    fn masked(media: Option<&str>, key: &str, body: &[u8], cut: usize) -> Result<String, String> {
        let rule = DocumentRule {
            name: RuleName::new("keys").unwrap(),
            path: DocumentPath::new("$..api_key").unwrap(),
            mask: Mask::Full,
        };
        let plan = Arc::new(DocumentPlan::new(&[rule], KeyCase::Exact).unwrap());
        let mut masker = ObjectMasker::new(media, key, &plan)?;
        let mut out = BytesMut::new();
        for piece in body.chunks(cut) {
            masker.feed(piece, &mut out)?;
        }
        masker.finish(&mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn an_object_is_masked_as_what_it_is() {
        let json = br#"{"n":1,"api_key":"s3cret"}"#;
        for (media, key, body) in [
            (Some("application/json"), "a", &json[..]),
            (None, "x/a.json", json),
            (Some("binary/octet-stream"), "a.NDJSON", json),
            (Some("text/plain; charset=utf-8"), "a.jsonl", json),
            (Some("text/csv"), "a", b"n,api_key\n1,s3cret\n"),
            (None, "a.csv", b"n,api_key\n1,s3cret"),
            (None, "a.tsv", b"n\tapi_key\n1\ts3cret\n"),
        ] {
            for cut in [1, 1000] {
                let shown = masked(media, key, body, cut).unwrap();
                assert!(!shown.contains("s3cret") && shown.contains("api_key"), "{media:?} {key}: {shown}");
            }
        }
    }

    #[test]
    fn an_object_that_is_not_what_it_says_is_refused() {
        for (media, key, body) in [
            (Some("text/csv"), "a.json", &br#"{"api_key":"s3cret"}"#[..]),
            (Some("text/csv"), "a", b"n\tapi_key\n1\ts3cret\n"),
            (Some("text/csv"), "a", b"n;api_key\n1;s3cret\n"),
            (None, "a.csv", b"\x1f\x8b\x08\x00"),
            (None, "a.json", b"\x1f\x8b\x08\x00"),
            (Some("application/json"), "a", b"n,api_key\n1,s3cret\n"),
            (None, "a.parquet", b"PAR1"),
            (None, "a", b"{}"),
            (Some("text/html"), "a.json", b"{}"),
            (Some("application/x-www-form-urlencoded"), "a.json", b"api_key=s3cret"),
        ] {
            for cut in [1, 1000] {
                assert!(masked(media, key, body, cut).is_err(), "{media:?} {key}");
            }
        }
    }
}
