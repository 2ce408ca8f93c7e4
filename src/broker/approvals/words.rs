//! Thresholds in words.

use crate::domain::approval::Threshold;
use crate::domain::approval::threshold::Reviewers;
use crate::domain::text;

/// `1 of corp/dba`, `2 of corp/dba and 1 of corp/security`.
pub(crate) fn needs(threshold: &Threshold) -> String {
    join(&threshold.needs().map(|need| format!("{} of {}", need.count, need.from)).collect::<Vec<_>>())
}

/// `1 more of corp/dba`; empty when nothing is missing.
pub(crate) fn missing(missing: &[(Reviewers, u8)]) -> String {
    join(&missing.iter().map(|(from, count)| format!("{count} more of {from}")).collect::<Vec<_>>())
}

fn join(parts: &[String]) -> String {
    // a group's name is its provider's, and these words go into notices and messages
    let parts: Vec<String> = parts.iter().map(|part| text::line(part)).collect();
    match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}
