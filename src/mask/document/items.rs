//! Masks on the items in DynamoDB's answers (JSON in which each value says its type, `{"S": "…"}`).
//!
//! Job: paths are those of items (`$.steps[*].api_key`), and what stands for a protected value is a value of DynamoDB's. JSON
//! in a text is masked as well, at the place where the text is. Boundary: one answer is held until it is whole, up to
//! [`LONGEST`]; not covered are texts in texts in texts. Failure mode: an [`Unmaskable`] for an answer that has not the form of one; nothing
//! of it is given out.

use std::sync::Arc;

use bytes::BytesMut;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Unmaskable;
use super::hidden::{Hidden, MASKED, Shown};
use super::json::{Framing, JsonMasker};
use super::plan::{DocumentPlan, KeyCase, Live};
use crate::domain::mask::Mask;

/// Masks one answer.
#[derive(Debug)]
pub struct ItemMasker {
    plan: Arc<DocumentPlan>,
    /// What came; `None` after a fault.
    held: Option<Vec<u8>>,
    masked: u64,
    items: u64,
}

impl ItemMasker {
    /// A masker for one answer.
    #[must_use]
    pub fn new(plan: Arc<DocumentPlan>) -> Self {
        Self { plan, held: Some(Vec::new()), masked: 0, items: 0 }
    }

    /// Takes the next piece. Nothing is given out before the end.
    ///
    /// # Errors
    /// When the answer is too long. Every later call fails as well.
    pub fn feed(&mut self, input: &[u8]) -> Result<(), Unmaskable> {
        let mut held = self.held.take().ok_or(Unmaskable::Broken)?;
        if held.len() + input.len() > LONGEST {
            return Err(Unmaskable::Limit("length"));
        }
        held.extend_from_slice(input);
        self.held = Some(held);
        Ok(())
    }

    /// Ends the answer, and gives it out masked.
    ///
    /// # Errors
    /// When it has not the form of an answer of DynamoDB's about items.
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<(), Unmaskable> {
        let held = self.held.take().ok_or(Unmaskable::Broken)?;
        let mut copy = Copy { plan: &self.plan, out: Vec::with_capacity(held.len()), masked: 0, items: 0 };
        let mut reader = serde_json::Deserializer::from_slice(&held);
        let whole = Walk { shape: Shape::Members(ROOT), copy: &mut copy }.deserialize(&mut reader);
        whole
            .and_then(|()| reader.end())
            .map_err(|_| Unmaskable::Malformed { format: "DynamoDB JSON", at: 0 })?;
        self.masked += copy.masked;
        self.items += copy.items;
        out.extend_from_slice(&copy.out);
        Ok(())
    }

    /// How many values were replaced.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.masked
    }

    /// How many items the answer had.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items
    }
}

/// What a part of an answer is.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Elements of this shape.
    Array(&'static Self),
    /// One thing as an array, another as an object, a number as it is.
    Either { array: &'static Self, object: &'static Self },
    /// An item, or a map in one: attributes.
    Item(Live),
    /// A list in an item.
    List(Live),
    /// An object with these members, and plain values besides.
    Members(&'static [(&'static str, Self)]),
    /// Anything, without values of items.
    Plain,
    /// An item as it stands in an answer.
    Root,
    /// Numbers, texts, booleans.
    Scalar,
    /// An object with a member for each table.
    Tables(&'static Self),
    /// A text of an item.
    Text(Live),
    /// A set of texts or numbers.
    Texts(Live),
    /// A value of an attribute.
    Value(Live, Option<Mask>),
}

/// Amazon DynamoDB API Reference: the answers of the operations on items, and the errors that carry items.
const ROOT: &[(&str, Shape)] = &[
    ("Attributes", Shape::Root),
    ("CancellationReasons", Shape::Array(&Shape::Members(&[("Item", Shape::Root)]))),
    ("ConsumedCapacity", Shape::Plain),
    ("Item", Shape::Root),
    ("ItemCollectionMetrics", Shape::Members(METRICS)),
    ("Items", ITEMS),
    ("LastEvaluatedKey", Shape::Root),
    (
        "Responses",
        Shape::Either {
            array: &Shape::Array(&Shape::Members(&[("Item", Shape::Root)])),
            object: &Shape::Tables(&ITEMS),
        },
    ),
    (
        "UnprocessedItems",
        Shape::Tables(&Shape::Array(&Shape::Members(&[
            ("DeleteRequest", Shape::Members(&[("Key", Shape::Root)])),
            ("PutRequest", Shape::Members(&[("Item", Shape::Root)])),
        ]))),
    ),
    (
        "UnprocessedKeys",
        Shape::Tables(&Shape::Members(&[
            ("AttributesToGet", Shape::Texts(0)),
            ("ExpressionAttributeNames", Shape::Plain),
            ("Keys", ITEMS),
        ])),
    ),
];
const ITEMS: Shape = Shape::Array(&Shape::Root);
/// Of one item, or of each table; a table may have any of these names.
const METRICS: &[(&str, Shape)] = &[
    ("ItemCollectionKey", Shape::Either { array: &METRICS_OF_ALL, object: &Shape::Root }),
    ("SizeEstimateRangeGB", Shape::Array(&Shape::Either { array: &Shape::Scalar, object: &METRICS_OF_ONE })),
    ("", METRICS_OF_ALL),
];
const METRICS_OF_ALL: Shape = Shape::Array(&METRICS_OF_ONE);
const METRICS_OF_ONE: Shape = Shape::Members(&[
    ("ItemCollectionKey", Shape::Root),
    ("SizeEstimateRangeGB", Shape::Array(&Shape::Scalar)),
]);

/// The copy that is made, masked.
struct Copy<'a> {
    plan: &'a Arc<DocumentPlan>,
    out: Vec<u8>,
    masked: u64,
    items: u64,
}

impl Copy<'_> {
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn quoted(&mut self, text: &str) {
        self.raw(&serde_json::Value::from(text).to_string());
    }

    /// A text of an item: as it is, or if it is JSON, masked inside.
    fn text(&mut self, live: Live, text: &str) -> Result<(), Unmaskable> {
        if live != 0 && text.trim_start_matches(['\u{feff}', ' ', '\t', '\n', '\r']).starts_with(['{', '[']) {
            match self.inner(live, text)? {
                Some(inner) => self.quoted(&inner),
                None if self.names_protected(text) => {
                    self.masked += 1;
                    self.quoted(MASKED);
                }
                None => self.quoted(text),
            }
            return Ok(());
        }
        match self.plan.detected(text) {
            Some((shown, count)) => {
                self.masked += count;
                self.quoted(&shown);
            }
            None => self.quoted(text),
        }
        Ok(())
    }

    /// A text that is a JSON document, or one in each line, masked; `None` when it is neither.
    fn inner(&mut self, live: Live, text: &str) -> Result<Option<String>, Unmaskable> {
        for framing in [Framing::Document, Framing::Lines] {
            let mut masker = JsonMasker::within(Arc::clone(self.plan), framing, live);
            let mut out = BytesMut::new();
            match masker.feed(text.as_bytes(), &mut out).and_then(|()| masker.finish(&mut out)) {
                Ok(()) => {
                    self.masked += masker.masked();
                    return Ok(Some(String::from_utf8_lossy(&out).into_owned()));
                }
                Err(limit @ Unmaskable::Limit(_)) => return Err(limit),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Whether what looks like JSON and is none has a protected name in it.
    fn names_protected(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        self.plan.names().any(|name| match self.plan.case() {
            KeyCase::Exact => text.contains(name),
            KeyCase::Ignore => lower.contains(&name.to_ascii_lowercase()),
        })
    }

    /// What stands for a protected value.
    fn shown(&mut self, shown: Shown) {
        self.masked += 1;
        match shown {
            Shown::Null => self.raw("{\"NULL\":true}"),
            Shown::Text(text) => {
                self.raw("{\"S\":");
                self.quoted(&text);
                self.raw("}");
            }
        }
    }
}

/// Reads one part and copies it.
struct Walk<'a, 'p> {
    shape: Shape,
    copy: &'a mut Copy<'p>,
}

impl Walk<'_, '_> {
    fn scalar<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match self.shape {
            Shape::Plain | Shape::Scalar | Shape::Either { .. } => {
                self.copy.raw(text);
                Ok(())
            }
            _ => Err(E::custom("not the form of an answer")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an answer of DynamoDB's")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.scalar(if value { "true" } else { "false" })
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.scalar(&value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.scalar(&value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.scalar(&serde_json::Value::from(value).to_string())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar("null")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match self.shape {
            Shape::Text(live) => self.copy.text(live, text).map_err(E::custom),
            Shape::Plain | Shape::Scalar => {
                self.copy.quoted(text);
                Ok(())
            }
            _ => Err(E::custom("not the form of an answer")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let Self { mut shape, copy } = self;
        if let Shape::Either { array, .. } = shape {
            shape = *array;
        }
        copy.raw("[");
        let mut place = 0_u64;
        loop {
            let shape = match shape {
                Shape::Array(shape) => *shape,
                Shape::List(live) => {
                    let live = copy.plan.element(live, place);
                    Shape::Value(live, copy.plan.mask(live))
                }
                Shape::Plain => Shape::Plain,
                Shape::Texts(live) => Shape::Text(copy.plan.element(live, place)),
                _ => return Err(A::Error::custom("not the form of an answer")),
            };
            let before = copy.out.len();
            if place > 0 {
                copy.raw(",");
            }
            if sequence.next_element_seed(Walk { shape, copy: &mut *copy })?.is_none() {
                copy.out.truncate(before);
                break;
            }
            place += 1;
            copy.items += u64::from(matches!(shape, Shape::Root));
        }
        copy.raw("]");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { mut shape, copy } = self;
        let wrong = || A::Error::custom("not the form of an answer");
        if let Shape::Either { object, .. } = shape {
            shape = *object;
        }
        if let Shape::Value(live, mask) = shape {
            return value(live, mask, copy, map);
        }
        // a path may protect items as a whole; then each attribute is
        let mut all = None;
        if let Shape::Root = shape {
            shape = Shape::Item(copy.plan.initial());
            all = copy.plan.mask(copy.plan.initial());
        }
        copy.raw("{");
        let mut first = true;
        while let Some(name) = map.next_key::<String>()? {
            if !std::mem::replace(&mut first, false) {
                copy.raw(",");
            }
            copy.quoted(&name);
            copy.raw(":");
            let shape = match shape {
                Shape::Item(live) => {
                    let live = copy.plan.member(live, name.as_bytes());
                    Shape::Value(live, all.or_else(|| copy.plan.mask(live)))
                }
                Shape::Members(members) => {
                    let named = |wanted: &str| members.iter().find(|(known, _)| *known == wanted);
                    let other = || named("").map_or(Shape::Scalar, |(_, shape)| *shape);
                    named(&name).map_or_else(other, |(_, shape)| *shape)
                }
                Shape::Plain => Shape::Plain,
                Shape::Tables(shape) => *shape,
                _ => return Err(wrong()),
            };
            map.next_value_seed(Walk { shape, copy: &mut *copy })?;
        }
        copy.raw("}");
        Ok(())
    }
}

/// A value of an attribute: one member, named for its type.
fn value<'de, A: MapAccess<'de>>(
    live: Live,
    mask: Option<Mask>,
    copy: &mut Copy<'_>,
    mut map: A,
) -> Result<(), A::Error> {
    let wrong = || A::Error::custom("not a value of an attribute");
    let kind = map.next_key::<String>()?.ok_or_else(wrong)?;
    let shape = match kind.as_str() {
        "B" => Shape::Text(0),
        "BOOL" | "NULL" => Shape::Scalar,
        "BS" | "NS" => Shape::Texts(0),
        "SS" => Shape::Texts(live),
        "L" => Shape::List(live),
        "M" => Shape::Item(live),
        "N" => Shape::Text(0),
        "S" => Shape::Text(live),
        _ => return Err(wrong()),
    };
    match mask {
        Some(mask) => {
            let mut hidden = match kind.as_str() {
                "NULL" => Hidden::absence(mask),
                "S" => Hidden::text(mask, copy.plan),
                _ => Hidden::other(mask),
            };
            if kind == "S" {
                hidden.push(map.next_value::<String>()?.as_bytes());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            copy.shown(hidden.show());
        }
        None => {
            copy.raw("{");
            copy.quoted(&kind);
            copy.raw(":");
            map.next_value_seed(Walk { shape, copy: &mut *copy })?;
            copy.raw("}");
        }
    }
    // two types would be two readings
    if map.next_key::<IgnoredAny>()?.is_some() { Err(wrong()) } else { Ok(()) }
}

/// BatchGetItem gives 16 MB, which escapes and types make longer.
const LONGEST: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests;
