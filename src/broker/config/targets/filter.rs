//! The `[[target.filter]]` tables: which rows of a database's tables are seen.

use std::collections::BTreeSet;

use super::{Known, known_group};
use crate::broker::config::reader::Section;
use crate::domain::filter::{BUILT_IN, RowFilter, TablePattern};
use crate::domain::name::RuleName;
use crate::sql::filter::claims_of;

/// Reads the row filters of a target.
pub(super) fn read(target: &Section<'_, '_>, known: Known<'_>) -> Vec<RowFilter> {
    let sections = target.sections("filter").into_iter().enumerate();
    let all: Vec<RowFilter> =
        sections.filter_map(|(number, section)| filter(section, number + 1, known)).collect();
    for (number, filter) in all.iter().enumerate() {
        if all.iter().take(number).any(|other| other.name == filter.name) {
            target.fault("filter", format!("`{}` is the name of two filters", filter.name));
        }
    }
    all
}

fn filter(section: Section<'_, '_>, number: usize, known: Known<'_>) -> Option<RowFilter> {
    let name = section.parsed("name", |text| RuleName::new(text));
    let name = name.or_else(|| RuleName::new(format!("filter.{number}")).ok());
    let table = section.required_parsed("table", TablePattern::new);
    let predicate = section.required_parsed("where", |text| {
        let claims = claims_of(text).map_err(|error| error.to_string())?;
        match unknown(&claims, known.attributes) {
            Some(why) => Err(why),
            None => Ok((text.to_owned(), claims)),
        }
    });
    let groups = |key| -> BTreeSet<_> {
        section.parsed_list(key, |text| known_group(text, known.groups)).into_iter().collect()
    };
    let (only_for, lifted_for) = (groups("for"), groups("lifted_for"));
    if section.has("for") && section.has("lifted_for") {
        section.fault(
            "lifted_for",
            "does not go with `for`: a slice binds nobody, it only adds rows, so there is nothing to lift; \
             let the others see all rows with a slice of their own and `where = \"true\"`",
        );
    }
    if section.has("for") && section.texts("for").is_empty() {
        section.fault("for", "names no group: leave it out for a fence around everybody");
    }
    section.finish();
    let (predicate, claims) = predicate?;
    Some(RowFilter { name: name?, table: table?, predicate, claims, only_for, lifted_for })
}

/// A claim that no login can carry lets nobody in.
fn unknown(claims: &BTreeSet<String>, attributes: &BTreeSet<String>) -> Option<String> {
    let unknown =
        claims.iter().find(|name| !BUILT_IN.contains(&name.as_str()) && !attributes.contains(*name));
    unknown.map(|name| {
        format!(
            "names principal.{name}, which no login carries: declare it where people or jobs come from, as \
             attributes = {{ {name} = \"CLAIM\" }} in [[provider]] or [[workload]]"
        )
    })
}
