//! Masks on server-sent events.
//!
//! Job: the `data` of each event is one JSON document, over one or several lines; its masked form is given
//! out as the same number of lines. Boundary: an event is held until its blank line, up to a limit, because only
//! then is it known to be JSON. Failure mode: an event whose data is neither JSON, nor empty, nor the
//! `[DONE]` that ends a stream of completions, ends the stream; with detectors in the plan and no paths it is
//! text.

use std::sync::Arc;

use bytes::BytesMut;

use super::json::{Framing, JsonMasker};
use super::plan::DocumentPlan;
use super::text::TextMasker;
use super::{Unmaskable, utf8::Utf8};

/// Masks one stream of events.
#[derive(Debug)]
pub struct SseMasker {
    plan: Arc<DocumentPlan>,
    utf8: Utf8,
    /// The line at hand.
    line: Vec<u8>,
    /// What the event at hand says, apart from its data.
    head: BytesMut,
    /// The data of the event at hand, its lines joined; none before the first.
    data: Option<Vec<u8>>,
    after_return: bool,
    first_line: bool,
    broken: bool,
    events: u64,
    before: u64,
    masked: u64,
}

impl SseMasker {
    /// A masker for one stream.
    #[must_use]
    pub fn new(plan: Arc<DocumentPlan>) -> Self {
        Self {
            plan,
            utf8: Utf8::default(),
            line: Vec::new(),
            head: BytesMut::new(),
            data: None,
            after_return: false,
            first_line: true,
            broken: false,
            events: 0,
            before: 0,
            masked: 0,
        }
    }

    /// Masks the next piece; every event that is whole is appended to `out`.
    ///
    /// # Errors
    /// When an event cannot be masked, or is too long. Every later call fails as well.
    pub fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<(), Unmaskable> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(Unmaskable::Broken);
        }
        if !self.utf8.feed(input) {
            return Err(self.malformed());
        }
        let mut rest = input;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            let (ending, after) = after.split_first().unwrap_or((&b'\n', &[]));
            rest = after;
            // CR LF is one ending
            let is_second = *ending == b'\n' && std::mem::take(&mut self.after_return) && end == 0;
            self.after_return = *ending == b'\r';
            if !is_second {
                self.add(line)?;
                let line = std::mem::take(&mut self.line);
                self.line_ended(&line, out)?;
            }
            self.before += 1 + end as u64;
        }
        self.add(rest)?;
        self.before += rest.len() as u64;
        self.after_return &= rest.is_empty();
        self.broken = false;
        Ok(())
    }

    /// Ends the stream. An event without its blank line is dropped, as every reader does.
    ///
    /// # Errors
    /// When the stream was refused before.
    pub fn finish(&mut self, _out: &mut BytesMut) -> Result<(), Unmaskable> {
        if std::mem::replace(&mut self.broken, true) { Err(Unmaskable::Broken) } else { Ok(()) }
    }

    /// How many values were replaced so far.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.masked
    }

    /// How many events with data came so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Unmaskable> {
        let held = self.line.len() + self.head.len() + self.data.as_ref().map_or(0, Vec::len);
        if held + bytes.len() > LONGEST_EVENT {
            return Err(Unmaskable::Limit("an event's length"));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn line_ended(&mut self, line: &[u8], out: &mut BytesMut) -> Result<(), Unmaskable> {
        let line = match std::mem::take(&mut self.first_line) {
            true => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            return self.event_ended(out);
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.into()),
            },
            b"event" | b"id" | b"retry" => {
                self.head.extend_from_slice(name);
                self.head.extend_from_slice(b": ");
                self.head.extend_from_slice(value);
                self.head.extend_from_slice(b"\n");
            }
            // a comment: it keeps the connection alive, and readers do not see what it says
            b"" => out.extend_from_slice(b":\n"),
            // readers ignore other fields
            _ => {}
        }
        Ok(())
    }

    fn event_ended(&mut self, out: &mut BytesMut) -> Result<(), Unmaskable> {
        out.unsplit(self.head.split());
        if let Some(data) = self.data.take() {
            self.events += 1;
            let mut shown = BytesMut::with_capacity(data.len());
            self.mask(&data, &mut shown)?;
            for line in shown.as_ref().split(|byte: &u8| *byte == b'\n') {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(line);
                out.extend_from_slice(b"\n");
            }
        }
        out.extend_from_slice(b"\n");
        Ok(())
    }

    fn mask(&mut self, data: &[u8], shown: &mut BytesMut) -> Result<(), Unmaskable> {
        if data.is_empty() || data == b"[DONE]" {
            shown.extend_from_slice(data);
            return Ok(());
        }
        let mut masker = JsonMasker::new(Arc::clone(&self.plan), Framing::Document);
        if masker.feed(data, shown).and_then(|()| masker.finish(shown)).is_ok() {
            self.masked += masker.masked();
            return Ok(());
        }
        // paths protect nothing in text
        let (Some(detectors), true) = (self.plan.detectors(), self.plan.is_empty()) else {
            return Err(self.malformed());
        };
        shown.clear();
        let mut masker = TextMasker::new(detectors);
        masker.feed(data, shown)?;
        masker.finish(shown)?;
        self.masked += masker.masked();
        Ok(())
    }

    fn malformed(&self) -> Unmaskable {
        Unmaskable::Malformed { format: "events of JSON", at: self.before }
    }
}

const LONGEST_EVENT: usize = 1024 * 1024;
