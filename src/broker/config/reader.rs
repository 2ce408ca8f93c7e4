//! Reads TOML tables and collects every problem on the way.
//!
//! Job: typed look-ups that never stop at the first problem, and a note of each key that was asked
//! for, so that unknown ones can be named. Boundary: knows nothing of what the keys mean, but that
//! [`keys`] must say it. Failure mode: a [`ConfigFault`] per problem; the look-up gives `None`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::ConfigFault;
use super::keys::{self, Form};

/// The problems of one file.
pub(super) struct Faults<'a> {
    text: &'a str,
    all: RefCell<Vec<ConfigFault>>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, all: RefCell::new(Vec::new()) }
    }

    /// Notes a problem at this place of the text.
    pub(super) fn add(&self, at: usize, key: &str, message: impl Into<String>) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        self.all.borrow_mut().push(ConfigFault { line, key: key.to_owned(), message: message.into() });
    }

    /// All problems, by line.
    pub(super) fn into_sorted(self) -> Vec<ConfigFault> {
        let mut all = self.all.into_inner();
        all.sort_by(|a, b| (a.line, &a.key).cmp(&(b.line, &b.key)));
        all
    }
}

/// One table, being read.
pub(super) struct Section<'a, 'i> {
    table: &'a DeTable<'i>,
    /// Its path, for messages: `target.issuer`.
    path: String,
    span: Range<usize>,
    faults: &'a Faults<'a>,
    asked: RefCell<BTreeSet<&'static str>>,
}

/// A value and where it stands.
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) start: usize,
}

impl<'a, 'i> Section<'a, 'i> {
    pub(super) fn new(
        table: &'a DeTable<'i>,
        path: impl Into<String>,
        span: Range<usize>,
        faults: &'a Faults<'a>,
    ) -> Self {
        Self { table, path: path.into(), span, faults, asked: RefCell::default() }
    }

    /// Notes a problem with a key of this table.
    pub(super) fn fault(&self, key: &str, message: impl Into<String>) {
        let start = self.table.get(key).map_or(self.span.start, |value| value.span().start);
        self.faults.add(start, &self.name(key), message);
    }

    /// A string.
    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        self.string(key, Form::Text)
    }

    /// A string that must be there.
    pub(super) fn required(&self, key: &'static str) -> Option<String> {
        if !keys::needs(&self.path, key) {
            self.fault(key, UNDOCUMENTED);
        }
        if self.value(key, Form::Text).is_none() {
            self.fault(key, "is missing");
            return None;
        }
        match self.text(key) {
            Some(text) if text.is_empty() => {
                self.fault(key, "is empty");
                None
            }
            text => text,
        }
    }

    /// A string, turned into something better.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key)?;
        self.or_fault(key, parse(&text))
    }

    /// A string that must be there, turned into something better.
    pub(super) fn required_parsed<T, E: std::fmt::Display>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.required(key)?;
        self.or_fault(key, parse(&text))
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, key: &'static str, bounds: Range<i64>) -> Option<i64> {
        let value = self.value(key, Form::Number)?;
        let DeValue::Integer(number) = value.get_ref() else {
            return self.expected(key, "a whole number", value.get_ref());
        };
        let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
        match read.filter(|number| bounds.contains(number)) {
            Some(number) => Some(number),
            None => {
                self.fault(key, format!("must be from {} to {}", bounds.start, bounds.end - 1));
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key, Form::Flag)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => self.expected(key, "true or false", other),
        }
    }

    /// A duration as `90s`, `10m`, `8h`, `1h 30m`; 30 days at the most.
    pub(super) fn duration(&self, key: &'static str) -> Option<Duration> {
        let text = self.string(key, Form::Duration)?;
        let read = |text: &str| {
            let span: jiff::SignedDuration =
                text.parse().map_err(|_| "is not a duration: write 90s, 10m or 8h")?;
            let duration = Duration::try_from(span).unwrap_or_default();
            if duration.is_zero() || duration > THIRTY_DAYS {
                return Err("must be longer than nothing and at most 720h");
            }
            Ok(duration)
        };
        self.or_fault(key, read(&text))
    }

    /// A list of strings; empty when it is not there.
    pub(super) fn texts(&self, key: &'static str) -> Vec<At<String>> {
        let Some(value) = self.value(key, Form::Texts) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            self.expected::<()>(key, "a list of strings", value.get_ref());
            return Vec::new();
        };
        let mut all = Vec::new();
        for item in array.iter() {
            match item.get_ref() {
                DeValue::String(text) => {
                    all.push(At { value: text.clone().into_owned(), start: item.span().start });
                }
                other => {
                    self.expected::<()>(key, "a list of strings", other);
                }
            }
        }
        all
    }

    /// A list of strings, each turned into something better.
    pub(super) fn parsed_list<T, E: std::fmt::Display>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let mut all = Vec::new();
        for item in self.texts(key) {
            match parse(&item.value) {
                Ok(value) => all.push(value),
                Err(error) => self.faults.add(item.start, &self.name(key), error.to_string()),
            }
        }
        all
    }

    /// A table of strings.
    pub(super) fn pairs(&self, key: &'static str) -> Vec<(String, String)> {
        let Some(value) = self.value(key, Form::Pairs) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            self.expected::<()>(key, "a table of strings", value.get_ref());
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, value) in table.iter() {
            match value.get_ref() {
                DeValue::String(text) => all.push((name.get_ref().to_string(), text.to_string())),
                other => {
                    self.expected::<()>(key, "a table of strings", other);
                }
            }
        }
        all
    }

    /// A table of strings, each alone or in a list of alternatives; empty when it is not there, `None` when
    /// it is something else.
    pub(super) fn choices(&self, key: &'static str) -> Option<Vec<(String, At<Vec<String>>)>> {
        let Some(value) = self.value(key, Form::Choices) else { return Some(Vec::new()) };
        let kind = "a table of strings, or of lists of strings";
        let DeValue::Table(table) = value.get_ref() else { return self.expected(key, kind, value.get_ref()) };
        let mut all = Vec::new();
        for (name, value) in table.iter() {
            let items = match value.get_ref() {
                DeValue::Array(items) => items.iter().collect(),
                _ => vec![value],
            };
            let mut texts = Vec::new();
            for item in items {
                match item.get_ref() {
                    DeValue::String(text) => texts.push(text.to_string()),
                    other => return self.expected(key, kind, other),
                }
            }
            all.push((name.get_ref().to_string(), At { value: texts, start: value.span().start }));
        }
        Some(all)
    }

    /// Notes a problem at this place.
    pub(super) fn fault_at(&self, start: usize, key: &str, message: impl Into<String>) {
        self.faults.add(start, &self.name(key), message);
    }

    /// A table within this one.
    pub(super) fn section(&self, key: &'static str) -> Option<Self> {
        self.table(key, Form::Table)
    }

    /// A table within this one that says where a secret is.
    pub(super) fn secret(&self, key: &'static str) -> Option<Self> {
        self.table(key, Form::Secret)
    }

    fn table(&self, key: &'static str, form: Form) -> Option<Self> {
        let value = self.value(key, form)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Self::new(table, self.name(key), value.span(), self.faults)),
            other => self.expected(key, "a table", other),
        }
    }

    /// A list of tables within this one: `[[key]]`.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.value(key, Form::Tables) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            self.expected::<()>(key, &format!("a list of tables: [[{key}]]"), value.get_ref());
            return Vec::new();
        };
        let mut all = Vec::new();
        for item in array.iter() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    all.push(Self::new(table, self.name(key), item.span(), self.faults));
                }
                other => {
                    self.expected::<()>(key, "a table", other);
                }
            }
        }
        all
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether the table that says where a secret is is there, and is a table.
    pub(super) fn has_secret(&self, key: &'static str) -> bool {
        self.value(key, Form::Secret).is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_)))
    }

    /// Ends the reading: what was not asked for is unknown.
    pub(super) fn finish(self) {
        self.check_unknown();
    }

    /// Notes every key that was not asked for.
    pub(super) fn check_unknown(&self) {
        let asked = self.asked.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if asked.contains(name) {
                continue;
            }
            let message = match nearest(name, &asked) {
                Some(near) => format!("is not a key here; did you mean `{near}`?"),
                None => format!(
                    "is not a key here; known: {}",
                    asked.iter().copied().collect::<Vec<_>>().join(", ")
                ),
            };
            self.faults.add(key.span().start, &self.name(name), message);
        }
    }

    /// What stands there. INVARIANT: nothing is read that the table of keys does not document.
    fn value(&self, key: &'static str, form: Form) -> Option<&'a Spanned<DeValue<'i>>> {
        self.asked.borrow_mut().insert(key);
        if !keys::knows(&self.path, key, form) {
            self.fault(key, UNDOCUMENTED);
            return None;
        }
        self.table.get(key)
    }

    fn string(&self, key: &'static str, form: Form) -> Option<String> {
        match self.value(key, form)?.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            other => self.expected(key, "a string", other),
        }
    }

    fn or_fault<T, E: std::fmt::Display>(&self, key: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(key, error.to_string());
                None
            }
        }
    }

    fn expected<T>(&self, key: &str, what: &str, found: &DeValue<'_>) -> Option<T> {
        self.fault(key, format!("must be {what}, and is {}", with_article(found.type_str())));
        None
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn with_article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

/// The known key that differs least, if it differs little.
fn nearest<'k>(name: &str, known: &BTreeSet<&'k str>) -> Option<&'k str> {
    let closest = known.iter().map(|key| (distance(name, key), *key)).min()?;
    (closest.0 <= 2).then_some(closest.1)
}

/// Whoever reads a new key sees this before anybody else does.
const UNDOCUMENTED: &str = "is read otherwise than config/keys.rs says: add a line there, then `cargo gen`";
const THIRTY_DAYS: Duration = Duration::from_secs(30 * 24 * 3600);

/// Levenshtein's distance of two short texts, compared up to 40 characters.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(40).collect();
    let b: Vec<char> = b.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let left = next.last().copied().unwrap_or(usize::MAX - 1) + 1;
            let up = row.get(j + 1).copied().unwrap_or(usize::MAX - 1) + 1;
            let diagonal = row.get(j).copied().unwrap_or(usize::MAX - 1) + usize::from(x != y);
            next.push(left.min(up).min(diagonal));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}
