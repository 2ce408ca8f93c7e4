//! A tree as a flat list of bytes, without the places where its tokens stood.

use std::fmt::Display;

use serde::ser::{self, Serialize};

/// Whether two trees are the same but for locations.
pub(crate) fn same(one: &impl Serialize, other: &impl Serialize) -> bool {
    match (flatten(one), flatten(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

fn flatten(tree: &impl Serialize) -> Option<Vec<u8>> {
    let mut flat = Flat { bytes: Vec::with_capacity(4096), blanks: None };
    tree.serialize(&mut flat).ok()?;
    Some(flat.bytes)
}

/// Fields that say where something stood in the text.
fn is_place(field: &str) -> bool {
    matches!(
        field,
        "location"
            | "stmt_location"
            | "stmt_len"
            | "list_start"
            | "list_end"
            | "rexpr_list_start"
            | "rexpr_list_end"
            | "name_location"
            | "arg_location"
            | "payload_location"
    )
}

/// A tree in which every literal is a blank of its kind, and the literals in order.
pub(crate) fn blanked(tree: &impl Serialize) -> Option<(Vec<u8>, Vec<Blank>)> {
    let mut flat = Flat { bytes: Vec::with_capacity(4096), blanks: Some(Vec::new()) };
    tree.serialize(&mut flat).ok()?;
    Some((flat.bytes, flat.blanks?))
}

/// A literal: what kind it is of, and its value as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blank {
    pub(crate) kind: &'static str,
    pub(crate) value: String,
}

impl Blank {
    /// From the parser's `A_Const`, as JSON; `None` when it is of no kind that is known.
    fn of(constant: &serde_json::Value) -> Option<Self> {
        let Some(value) = constant.get("val").filter(|value| !value.is_null()) else {
            return Some(Self { kind: "null", value: "NULL".into() });
        };
        let (kind, inner) = value.as_object()?.iter().next()?;
        let inner = inner.as_object()?.values().next()?;
        let kind = match kind.as_str() {
            // which of the two it is depends on nothing but its length
            "Ival" | "Fval" => "number",
            "Sval" => "text",
            "Bsval" => "bits",
            "Boolval" => "truth",
            _ => return None,
        };
        let value = inner.as_str().map_or_else(|| inner.to_string(), str::to_owned);
        Some(Self { kind, value })
    }
}

struct Flat {
    bytes: Vec<u8>,
    /// Literals that were left out, where they are to be.
    blanks: Option<Vec<Blank>>,
}

#[derive(Debug)]
struct Unserialisable;

impl Display for Unserialisable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cannot be compared")
    }
}

impl std::error::Error for Unserialisable {}

impl ser::Error for Unserialisable {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl Flat {
    fn tag(&mut self, tag: u8) {
        self.bytes.push(tag);
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend_from_slice(&text.len().to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

macro_rules! numbers {
    ($($name:ident: $type:ty, $tag:literal;)*) => {$(
        fn $name(self, value: $type) -> Result<(), Unserialisable> {
            self.tag($tag);
            self.bytes.extend_from_slice(&value.to_le_bytes());
            Ok(())
        }
    )*};
}

impl ser::Serializer for &mut Flat {
    type Ok = ();
    type Error = Unserialisable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = ser::Impossible<(), Unserialisable>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_i8: i8, 1; serialize_i16: i16, 2; serialize_i32: i32, 3; serialize_i64: i64, 4;
        serialize_u8: u8, 5; serialize_u16: u16, 6; serialize_u32: u32, 7; serialize_u64: u64, 8;
        serialize_f32: f32, 9; serialize_f64: f64, 10;
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unserialisable> {
        self.tag(if value { 11 } else { 12 });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Unserialisable> {
        self.serialize_u32(value.into())
    }

    fn serialize_str(self, value: &str) -> Result<(), Unserialisable> {
        self.tag(13);
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unserialisable> {
        self.tag(14);
        self.bytes.extend_from_slice(&value.len().to_le_bytes());
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unserialisable> {
        self.tag(15);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unserialisable> {
        self.tag(16);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unserialisable> {
        self.tag(17);
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Unserialisable> {
        self.serialize_str(name)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Unserialisable> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unserialisable> {
        self.text(name);
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unserialisable> {
        if variant == "AConst"
            && let Some(blanks) = &mut self.blanks
        {
            let constant = serde_json::to_value(value).map_err(|_| Unserialisable)?;
            let blank = Blank::of(&constant).ok_or(Unserialisable)?;
            // a blank keeps its kind: no NULL in the place of a number
            let kind = blank.kind;
            blanks.push(blank);
            self.tag(25);
            self.text(kind);
            return Ok(());
        }
        self.tag(18);
        self.text(variant);
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Unserialisable> {
        self.tag(19);
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Unserialisable> {
        self.tag(19);
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Unserialisable> {
        self.tag(19);
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Unserialisable> {
        self.tag(20);
        self.text(variant);
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unserialisable> {
        Err(Unserialisable)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self, Unserialisable> {
        self.tag(21);
        self.text(name);
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Unserialisable> {
        self.tag(22);
        self.text(variant);
        Ok(self)
    }
}

macro_rules! elements {
    ($($of:ident, $method:ident;)*) => {$(
        impl ser::$of for &mut Flat {
            type Ok = ();
            type Error = Unserialisable;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unserialisable> {
                self.tag(23);
                value.serialize(&mut **self)
            }
            fn end(self) -> Result<(), Unserialisable> {
                self.tag(24);
                Ok(())
            }
        }
    )*};
}

elements! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}

macro_rules! fields {
    ($($of:ident;)*) => {$(
        impl ser::$of for &mut Flat {
            type Ok = ();
            type Error = Unserialisable;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Unserialisable> {
                // every struct of one name has its fields in one order, so names need not be kept
                if is_place(name) { Ok(()) } else { value.serialize(&mut **self) }
            }
            fn end(self) -> Result<(), Unserialisable> {
                self.tag(24);
                Ok(())
            }
        }
    )*};
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}
