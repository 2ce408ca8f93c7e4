//! The keys of a target that say what its texts are searched for.

use std::collections::BTreeSet;

use crate::broker::config::reader::Section;
use crate::domain::target::{OwnPattern, PatternCheck};
use crate::mask::document::{Detector, Detectors};

/// Reads `detectors` and `[[target.pattern]]`.
pub(super) fn read(section: &Section<'_, '_>) -> (BTreeSet<String>, Vec<OwnPattern>) {
    let patterns: Vec<OwnPattern> =
        section.sections("pattern").into_iter().filter_map(|section| pattern(&section)).collect();
    for (number, pattern) in patterns.iter().enumerate() {
        if patterns.iter().take(number).any(|other| other.name == pattern.name) {
            section.fault("pattern", format!("`{}` is the name of two patterns", pattern.name));
        }
    }
    let detectors = section.parsed_list("detectors", |name| {
        if Detector::named(name).is_some() || patterns.iter().any(|own| own.name == name) {
            return Ok(name.to_owned());
        }
        let own = patterns.iter().map(|own| own.name.as_str());
        let all: Vec<&str> = Detector::ALL.map(Detector::as_str).into_iter().chain(own).collect();
        Err(format!("`{name}` is no detector; there are: {}", all.join(", ")))
    });
    let detectors: BTreeSet<String> = detectors.into_iter().collect();
    // each may be small enough, and all of them too much
    if let Err(error) = Detectors::named(&detectors, &patterns) {
        section.fault("detectors", error.to_string());
    }
    (detectors, patterns)
}

fn pattern(section: &Section<'_, '_>) -> Option<OwnPattern> {
    let name = section.required_parsed("name", |text| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if Detector::named(text).is_some() {
            return Err("is a detector that comes with hoopctl; take another name");
        }
        let is_name = text.len() <= 64 && text.bytes().all(fits);
        if is_name { Ok(text.to_owned()) } else { Err("is 1 to 64 lower-case letters, digits and `-`") }
    });
    let check = section.parsed("check", |text| match text {
        "iban" => Ok(PatternCheck::Iban),
        "luhn" => Ok(PatternCheck::Luhn),
        "none" => Ok(PatternCheck::None),
        _ => Err("must be luhn, iban or none"),
    });
    let pattern = section.required_parsed("pattern", |text| {
        let own = OwnPattern { name: String::new(), pattern: text.to_owned(), check: PatternCheck::None };
        Detectors::new(&[], &[own]).map(|_| text.to_owned())
    });
    section.check_unknown();
    Some(OwnPattern { name: name?, pattern: pattern?, check: check.unwrap_or_default() })
}
