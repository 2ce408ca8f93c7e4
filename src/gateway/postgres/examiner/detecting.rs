//! What a target's detectors have to do with statements.
//!
//! Job: refuse a COPY that they could not look into, tell the conversation what the columns of another are called, and
//! take out of what is entered and recorded what they would find in a result. Boundary: results are the conversation's.
//! Failure mode: none; without detectors a text is shown as it may be shown.
//!
//! INVARIANT: of what detectors find only the redacted view is stored: a literal with which somebody looks for a value is
//! that value. What an entry is about is known by its keyed digest, which is of the text as it was sent.

use std::sync::Arc;

use bytes::Bytes;

use super::{Denial, Examiner, Inspected, Opinion, Part, Reading, rule, values};
use crate::domain::facts::Facts;
use crate::gateway::postgres::redaction;
use crate::gateway::postgres::values::Known;
use crate::wire::postgres::veil::{CopyLayout, Veil};

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

    /// What was found out about a text, as it may be stored.
    pub(super) fn veiled(&self, inspected: Inspected, reading: Reading) -> Arc<Inspected> {
        Arc::new(veiled(self.veil.as_ref(), inspected, reading))
    }

    /// The values that are bound to a statement, as they may be stored.
    pub(super) fn shown(
        &self,
        values: &[Option<Bytes>],
        formats: &[i16],
        types: &[u32],
        part: &Part,
    ) -> Vec<Option<String>> {
        let secret = part.secret_values || part.facts.touches_masked;
        let known = Known { types, hints: &part.hints, secret, veil: self.veil.as_ref() };
        values::shown(values, formats, known)
    }

    /// The same of a literal of this text.
    pub(super) fn redact_literal(&self, text: &str, shown: &mut String) {
        let found = self.veil.as_ref().and_then(|veil| redaction::literal(veil, text, shown));
        *shown = found.unwrap_or_else(|| std::mem::take(shown));
    }

    /// What a statement does, as it may be stored, where that is less than it does.
    pub(super) fn shown_facts(&self, facts: &Facts) -> Option<Facts> {
        redaction::facts(self.veil.as_ref()?, facts)
    }

    /// The same where they are to be entered: of what policy allows they are once.
    pub(super) fn facts_to_enter(&self, part: &Part, facts: &Facts) -> Option<Facts> {
        let allowed = matches!(part.ruled.opinion.get(), Some(Opinion::Allow(_)));
        let are_entered = allowed && part.ruled.facts_entered.get().is_some();
        if are_entered { None } else { self.shown_facts(facts) }
    }

    /// A value without what is found in it.
    pub(super) fn redacted(&self, value: String) -> String {
        self.veil.as_ref().and_then(|veil| redaction::value(veil, &value)).unwrap_or(value)
    }
}

/// The same for a text that is read elsewhere.
pub(super) fn veiled(veil: Option<&Veil>, inspected: Inspected, reading: Reading) -> Inspected {
    match veil {
        Some(veil) => redaction::redacted(inspected, veil, reading),
        None => inspected,
    }
}
