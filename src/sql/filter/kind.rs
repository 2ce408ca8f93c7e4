//! What a value is, as far as predicates are concerned.
//!
//! Two values may be compared when that cannot fail, and means the same whatever the session has set. So instants are
//! compared with instants of their own kind only (others are converted in the session's time zone), and constants
//! beside them must be written in the one way that `DateStyle` and `TimeZone` do not change.

use crate::sql::catalog::Catalog;

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Array(Box<Self>),
    /// A number without a type of its own.
    Digits,
    /// `bytea`, bit strings, addresses.
    Exact(String),
    Float,
    Json,
    /// A constant or claim without a type of its own: it is what it is compared with.
    Literal,
    Number,
    /// Nothing that may be compared.
    Other(String),
    /// An enum; it cannot be told from a range, so constants beside it must not look like one.
    Own {
        schema: String,
        name: String,
    },
    /// An instant: `date`, `time`, `timestamp`, `timestamptz`.
    Stamp(String),
    Text,
    Truth,
    Uuid,
}

impl Kind {
    /// The kind of a type, given as schema and name.
    pub(super) fn of(catalog: &Catalog, schema: &str, name: &str) -> Self {
        if schema == "pg_catalog" {
            return match name {
                "bool" => Self::Truth,
                "int2" | "int4" | "int8" | "numeric" => Self::Number,
                "float4" | "float8" => Self::Float,
                "text" | "varchar" | "bpchar" => Self::Text,
                "uuid" => Self::Uuid,
                "date" | "time" | "timestamp" | "timestamptz" => Self::Stamp(name.into()),
                "jsonb" => Self::Json,
                "bytea" | "oid" | "varbit" | "bit" | "inet" | "cidr" | "macaddr" | "macaddr8" => {
                    Self::Exact(name.into())
                }
                _ => match name.strip_prefix('_') {
                    Some(element) => Self::Array(Box::new(Self::of(catalog, schema, element))),
                    None => Self::Other(name.into()),
                },
            };
        }
        let full = || Self::Other(format!("{schema}.{name}"));
        match catalog.user_type(schema, name) {
            Some(known) if known.functions.is_empty() && !known.domain => match &known.under {
                Some((schema, element)) => Self::Array(Box::new(Self::of(catalog, schema, element))),
                None if catalog.relation(schema, name).is_none() => {
                    Self::Own { schema: schema.into(), name: name.into() }
                }
                None => full(),
            },
            _ => full(),
        }
    }

    /// Whether values of these kinds may be compared, and what they are then.
    pub(super) fn with(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Other(_), _) | (_, Self::Other(_)) => None,
            (Self::Literal, Self::Digits) | (Self::Digits, Self::Literal) => Some(Self::Number),
            (Self::Literal, kind) | (kind, Self::Literal) => Some(kind.clone()),
            // a `numeric` of a row may be too large for a float
            (Self::Digits, Self::Digits) => Some(Self::Number),
            (Self::Digits, kind @ (Self::Float | Self::Number))
            | (kind @ (Self::Float | Self::Number), Self::Digits) => Some(kind.clone()),
            (Self::Array(one), Self::Array(other)) => Some(Self::Array(Box::new(one.with(other)?))),
            (one, other) => (one == other).then(|| one.clone()),
        }
    }

    /// Whether a text reads as a value of this kind, and in one way only. What PostgreSQL reads in one way whatever
    /// is set is left to it: it does so before it looks at any row.
    pub(super) fn reads(&self, text: &str) -> bool {
        match self {
            Self::Stamp(name) => is_stamp(name, text),
            Self::Own { .. } => !text.trim_start().starts_with(['[', '(', '{']),
            Self::Number => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
                are_digits(whole) && are_digits(part)
            }
            Self::Truth => matches!(text, "true" | "false" | "t" | "f"),
            Self::Uuid => {
                text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
            }
            Self::Array(_) | Self::Other(_) => false,
            Self::Exact(_) | Self::Digits | Self::Float | Self::Json | Self::Literal | Self::Text => true,
        }
    }

    /// What errors call it.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Array(inner) => format!("an array of {}", inner.described()),
            Self::Exact(name) => name.clone(),
            Self::Digits | Self::Number => "a number".into(),
            Self::Float => "a float".into(),
            Self::Json => "a document".into(),
            Self::Literal => "a constant".into(),
            Self::Other(name) => format!("something of type {name}"),
            Self::Own { schema, name } => format!("something of type {schema}.{name}"),
            Self::Stamp(name) => match name.as_str() {
                "date" => "a date (2026-01-31)".into(),
                "time" => "a time (23:59:00)".into(),
                "timestamp" => "a timestamp (2026-01-31 23:59:00)".into(),
                _ => "a timestamptz (2026-01-31 23:59:00+00)".into(),
            },
            Self::Text => "text".into(),
            Self::Truth => "true or false".into(),
            Self::Uuid => "a uuid".into(),
        }
    }
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// ISO 8601 and nothing else; an instant in every zone has its offset.
fn is_stamp(name: &str, text: &str) -> bool {
    match name {
        "date" => fits(text, "0000-00-00"),
        "time" => is_time(text),
        "timestamp" => parts(text).is_some_and(|(date, time)| fits(date, "0000-00-00") && is_time(time)),
        _ => parts(text).is_some_and(|(date, rest)| {
            let (time, offset) = match rest.find(['+', '-', 'Z']) {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            let zone = offset == "Z"
                || offset
                    .strip_prefix(['+', '-'])
                    .is_some_and(|offset| fits(offset, "00") || fits(offset, "00:00"));
            fits(date, "0000-00-00") && is_time(time) && zone
        }),
    }
}

fn parts(text: &str) -> Option<(&str, &str)> {
    text.split_once([' ', 'T'])
}

fn is_time(text: &str) -> bool {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    (fits(whole, "00:00:00") || fits(whole, "00:00")) && part.len() <= 6 && are_digits(part)
}

/// Whether a text has digits where the form has, and else the same characters.
fn fits(text: &str, form: &str) -> bool {
    let alike = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(alike)
}
