//! What a target's detectors have to do with statements.
//!
//! Job: refuse a COPY that they could not look into, tell the conversation what the columns of another are called, and
//! take out of what is entered and recorded what they would find in a result. Boundary: results are the conversation's.
//! Failure mode: none; without detectors a text is shown as it may be shown.
//!
//! INVARIANT: of what detectors find only the redacted view is stored: a literal with which somebody looks for a value is
//! that value. What an entry is about is known by its keyed digest, which is of the text as it was sent.

use super::{Denial, Examiner, Inspected, rule};
use crate::wire::postgres::veil::CopyLayout;

impl Examiner {
    /// Why this is not sent to a target with detectors, which do not look into a COPY in binary.
    pub(super) fn unseen_by_detectors(&self, inspected: &Inspected) -> Option<Denial> {
        self.veil.as_ref()?;
        inspected.parts.iter().find_map(|part| part.unsearchable).map(|what| Denial {
            rule: rule("detectors.copy"),
            reason: format!("the target's detectors do not look into a COPY in {what}"),
            hint: Some("use text or CSV, with the delimiters and quotes that they have by default".into()),
        })
    }

    /// What the columns of this COPY are called, if it is one and the only statement.
    pub(super) fn note_layout(&mut self, inspected: &Inspected) {
        self.layout = match (&self.veil, inspected.parts.as_slice()) {
            (Some(_), [part]) => part.copied.clone(),
            _ => None,
        };
    }

    /// How the rows of the message that was just let through are written, if it copies.
    pub(in crate::gateway::postgres) fn take_layout(&mut self) -> Option<CopyLayout> {
        self.layout.take().map(|copied| {
            let crate::sql::Copied { delimiter, csv, header, names } = (*copied).clone();
            CopyLayout { delimiter, csv, header, names }
        })
    }

    /// A text without what is found in it.
    pub(super) fn redacted(&self, text: &str) -> String {
        let shown = self.veil.as_ref().and_then(|veil| veil.statement(text.as_bytes()));
        shown.map_or_else(|| text.to_owned(), |shown| String::from_utf8_lossy(&shown).into_owned())
    }

    /// The same of each value.
    pub(super) fn redacted_all(&self, values: &[Option<String>]) -> Vec<Option<String>> {
        values.iter().map(|value| value.as_deref().map(|value| self.redacted(value))).collect()
    }
}
