//! Masks on documents that stream by: JSON in its framings, server-sent events, CSV, forms, text.
//!
//! Job: bytes of a body in, in pieces of any size; the same bytes out, with what the plan protects
//! replaced. Boundary: pure; no protocol, no content coding, no I/O. Memory does not grow with the body.
//! Failure mode: an [`Unmaskable`] as soon as the body is not, to the last byte, what its media type says;
//! what was given out before is masked, and nothing comes after. So a body is passed masked, or not whole.

mod csv;
mod detect;
mod form;
mod hidden;
mod items;
mod json;
mod path;
mod plan;
mod sse;
mod text;
mod utf8;

use std::sync::Arc;

use bytes::BytesMut;

pub use csv::CsvMasker;
pub use detect::{Detector, DetectorError, Detectors, Named};
pub use form::FormMasker;
pub use hidden::TokenKey;
pub use items::ItemMasker;
pub use json::{Framing, JsonMasker};
pub use path::{DocumentPath, PathError};
pub use plan::{DocumentPlan, DocumentRule, KeyCase, PlanError};
pub use sse::SseMasker;
pub use text::TextMasker;

/// A masker for one body, chosen by its media type.
#[derive(Debug)]
pub enum BodyMasker {
    /// CSV and TSV.
    Csv(Box<CsvMasker>),
    /// `application/x-www-form-urlencoded`.
    Form(Box<FormMasker>),
    /// JSON in any framing.
    Json(Box<JsonMasker>),
    /// Server-sent events.
    Sse(Box<SseMasker>),
    /// Other text, by detectors.
    Text(Box<TextMasker>),
}

impl BodyMasker {
    /// The masker for a `Content-Type`.
    ///
    /// # Errors
    /// [`Unmaskable::MediaType`] when there is none, when it cannot be read, or names anything else than
    /// the formats above in UTF-8. Text needs detectors in the plan, and a plan without paths, because
    /// paths protect nothing in it.
    pub fn new(content_type: Option<&str>, plan: &Arc<DocumentPlan>) -> Result<Self, Unmaskable> {
        let content_type = content_type.ok_or(Unmaskable::MediaType)?;
        let mut parts = content_type.split(';');
        let media = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else {
                if parameter.trim().is_empty() {
                    continue;
                }
                return Err(Unmaskable::MediaType);
            };
            // RFC 4180 §3: without a header no column has a name
            let value_is = |known: &str| value.trim().trim_matches('"').eq_ignore_ascii_case(known);
            if name.trim().eq_ignore_ascii_case("header") && value_is("absent") && !plan.is_empty() {
                return Err(Unmaskable::MediaType);
            }
            let is_known = ["utf-8", "utf8", "us-ascii"].iter().any(|known| value_is(known));
            if name.trim().eq_ignore_ascii_case("charset") && !is_known {
                return Err(Unmaskable::MediaType);
            }
        }
        let plan = Arc::clone(plan);
        Ok(match media.as_str() {
            "application/json" | "text/json" => Self::json(plan, Framing::Document),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines"
            | "application/json-lines"
            | "application/x-json-lines" => Self::json(plan, Framing::Lines),
            "application/json-seq" => Self::json(plan, Framing::Sequence),
            "application/x-www-form-urlencoded" => Self::Form(Box::new(FormMasker::new(plan))),
            "text/csv" | "application/csv" => Self::Csv(Box::new(CsvMasker::new(plan, b','))),
            "text/event-stream" => Self::Sse(Box::new(SseMasker::new(plan))),
            "text/tab-separated-values" => Self::Csv(Box::new(CsvMasker::new(plan, b'\t'))),
            _ if media.starts_with("application/") && media.ends_with("+json") => {
                Self::json(plan, Framing::Document)
            }
            _ if media.starts_with("application/") && media.ends_with("+json-seq") => {
                Self::json(plan, Framing::Sequence)
            }
            _ if media.starts_with("text/") => match plan.detectors() {
                Some(detectors) if plan.is_empty() => Self::Text(Box::new(TextMasker::new(detectors))),
                _ => return Err(Unmaskable::MediaType),
            },
            _ => return Err(Unmaskable::MediaType),
        })
    }

    /// Masks the next piece; what can be given out is appended to `out`.
    ///
    /// # Errors
    /// When the body is not what its media type says. Every later call fails as well.
    pub fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<(), Unmaskable> {
        match self {
            Self::Csv(masker) => masker.feed(input, out),
            Self::Form(masker) => masker.feed(input, out),
            Self::Json(masker) => masker.feed(input, out),
            Self::Sse(masker) => masker.feed(input, out),
            Self::Text(masker) => masker.feed(input, out),
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// When the body is not whole.
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<(), Unmaskable> {
        match self {
            Self::Csv(masker) => masker.finish(out),
            Self::Form(masker) => masker.finish(out),
            Self::Json(masker) => masker.finish(out),
            Self::Sse(masker) => masker.finish(out),
            Self::Text(masker) => masker.finish(out),
        }
    }

    /// How many values were replaced so far.
    #[must_use]
    pub fn masked(&self) -> u64 {
        match self {
            Self::Csv(masker) => masker.masked(),
            Self::Form(masker) => masker.masked(),
            Self::Json(masker) => masker.masked(),
            Self::Sse(masker) => masker.masked(),
            Self::Text(masker) => masker.masked(),
        }
    }

    /// How many items came so far: elements of an array, lines, records, events; none, of what has none.
    #[must_use]
    pub fn items(&self) -> u64 {
        match self {
            Self::Csv(masker) => masker.records(),
            Self::Form(_) | Self::Text(_) => 0,
            Self::Json(masker) => masker.items(),
            Self::Sse(masker) => masker.events(),
        }
    }

    fn json(plan: Arc<DocumentPlan>, framing: Framing) -> Self {
        Self::Json(Box::new(JsonMasker::new(plan, framing)))
    }
}

/// Why a body cannot be masked. None of them quotes the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unmaskable {
    /// An earlier piece was refused.
    #[error("the body was refused before")]
    Broken,
    /// More columns, deeper nesting, a longer event than is handled.
    #[error("the body exceeds a limit: {0}")]
    Limit(&'static str),
    /// No media type, or one that is not handled.
    #[error("the body's media type cannot be masked")]
    MediaType,
    /// The body is not what its media type says. Where it is not is for the log: it tells how long what came before was.
    #[error("the body is not valid {format}")]
    Malformed {
        /// Which format was expected.
        format: &'static str,
        /// How many bytes came before.
        at: u64,
    },
    /// The body ended in the middle.
    #[error("the body ended before it was whole")]
    Truncated,
}

#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod tests;
