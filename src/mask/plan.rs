//! The rules that bind one principal, and what they make of a column.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::expression::{self, Members};
use crate::domain::mask::{JsonPath, JsonStep, Mask, MaskRule, MaskableColumn, Masked, Masker};
use crate::domain::name::{GroupName, TargetName};

/// The rules that bind one principal.
#[derive(Debug, Clone, Default)]
pub struct MaskPlan {
    rules: Vec<MaskRule>,
    tokens_of: Option<TargetName>,
}

impl MaskPlan {
    /// Keeps the rules that bind somebody who is in `groups`.
    #[must_use]
    pub fn new(rules: &[MaskRule], groups: &BTreeSet<GroupName>) -> Self {
        Self { rules: rules.iter().filter(|rule| rule.binds(groups)).cloned().collect(), tokens_of: None }
    }

    /// Where the broker keeps objects in the target's database: tokens are computed there, with the key of this
    /// target. Elsewhere they are full masks.
    #[must_use]
    pub fn with_objects(self, target: &TargetName) -> Self {
        Self { tokens_of: Some(target.clone()), ..self }
    }

    /// The target whose key tokens are computed with.
    #[must_use]
    pub fn tokens_of(&self) -> Option<&TargetName> {
        self.tokens_of.as_ref()
    }

    /// Whether some rule needs the protected value to compute what stands for it.
    #[must_use]
    pub fn reads_values(&self) -> bool {
        self.rules.iter().any(|rule| rule.path.is_some() || rule.mask.reads_value())
    }

    /// Whether no rule binds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Masker for MaskPlan {
    fn mask(&self, column: &MaskableColumn<'_>) -> Option<Masked> {
        let binding: Vec<&MaskRule> = self
            .rules
            .iter()
            .filter(|rule| rule.column.matches(column.schema, column.table, column.column))
            .collect();
        let first = *binding.first()?;
        // a rule for the whole value wins over rules for parts of it, and a constant over a part that is kept
        let whole =
            binding.iter().filter(|rule| rule.path.is_none()).max_by_key(|rule| strictness(rule.mask));
        Some(match whole {
            Some(rule) => whole_value(rule, column, self.tokens_of.as_ref()),
            None => parts(first, &binding, column),
        })
    }

    fn covers_table(&self, schema: &str, table: &str) -> bool {
        self.rules.iter().any(|rule| rule.column.matches_table(schema, table))
    }

    fn full(&self, type_schema: &str, type_name: &str) -> String {
        expression::full(type_schema, type_name).into()
    }
}

fn strictness(mask: Mask) -> u8 {
    match mask {
        Mask::Null => 3,
        Mask::Full => 2,
        Mask::Token => 1,
        Mask::Partial { .. } => 0,
    }
}

fn whole_value(rule: &MaskRule, column: &MaskableColumn<'_>, tokens_of: Option<&TargetName>) -> Masked {
    let full = |note: Option<&str>| Masked {
        rule: rule.name.clone(),
        expression: expression::full(column.type_schema, column.type_name).into(),
        reads_value: false,
        width: None,
        summary: "full".into(),
        note: note.map(Into::into),
    };
    let is_text = expression::is_text(column.type_schema, column.type_name);
    match rule.mask {
        Mask::Full => full(None),
        Mask::Null => Masked { expression: "NULL".into(), summary: "null".into(), ..full(None) },
        Mask::Partial { keep_last } if is_text => Masked {
            expression: expression::partial(keep_last),
            reads_value: true,
            summary: format!("partial(keep last {keep_last})"),
            ..full(None)
        },
        Mask::Partial { .. } => full(Some("only text can be masked in part, so all of it is masked")),
        Mask::Token => match tokens_of {
            Some(target) if is_text => Masked {
                expression: expression::token(target),
                reads_value: true,
                width: Some(expression::TOKEN_WIDTH),
                summary: "token".into(),
                ..full(None)
            },
            Some(_) => full(Some("only text can be replaced by tokens, so all of it is masked")),
            None => full(Some("tokens need objects in the database, so all of it is masked")),
        },
    }
}

fn parts(first: &MaskRule, rules: &[&MaskRule], column: &MaskableColumn<'_>) -> Masked {
    let is_json = column.type_name == "json";
    if column.type_schema != "pg_catalog" || !(is_json || column.type_name == "jsonb") {
        let whole = MaskRule { path: None, mask: Mask::Full, ..first.clone() };
        let note = Some("its type is neither json nor jsonb, so all of it is masked".into());
        return Masked { note, ..whole_value(&whole, column, None) };
    }
    let mut members = Members::default();
    for path in rules.iter().filter_map(|rule| rule.path.as_ref()) {
        add(&mut members, path);
    }
    members.anywhere.sort();
    members.anywhere.dedup();
    let summary: Vec<&str> =
        rules.iter().filter_map(|rule| rule.path.as_ref()).map(JsonPath::as_str).collect();
    Masked {
        rule: first.name.clone(),
        expression: expression::members(&members, is_json),
        reads_value: true,
        width: None,
        summary: summary.join(", "),
        note: None,
    }
}

/// Adds the members that a path names, or more: a path with `**`, or a long one, masks its last key wherever
/// it is. `[*]` says nothing new, because an array on the way always stands for its elements.
fn add(members: &mut Members, path: &JsonPath) {
    let keys: Vec<String> = path
        .steps()
        .iter()
        .filter_map(|step| match step {
            JsonStep::Member(key) => Some(key.clone()),
            JsonStep::Anywhere | JsonStep::Elements => None,
        })
        .collect();
    if keys.len() > LONGEST || path.steps().contains(&JsonStep::Anywhere) {
        members.anywhere.extend(keys.last().cloned());
    } else {
        members.paths.push(keys);
    }
}

/// The most members in a path that is followed step by step; each is an expression around the next.
const LONGEST: usize = 12;
