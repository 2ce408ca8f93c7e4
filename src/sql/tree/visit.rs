//! Seeing every part of a tree, whatever its kind.
//!
//! The trees describe themselves through `serde`, so this visit misses no node, also of statements that
//! nothing else in this crate knows.

use std::fmt::Display;

use serde::ser::{self, Serialize};

/// What is told about a tree.
pub(crate) trait Visitor {
    /// A struct begins. `above` are the structs around it, outermost first, each with the field in
    /// which the next one stands; `Node` wrappers are left out.
    fn enter(&mut self, name: &'static str, above: &[(&'static str, &'static str)]);

    /// A text in a field; the last of `above` is the struct it belongs to.
    fn text(&mut self, text: &str, above: &[(&'static str, &'static str)]);

    /// A struct ends.
    fn leave(&mut self, name: &'static str, above: &[(&'static str, &'static str)]);

    /// A flag or an enumeration's number in a field.
    fn number(&mut self, number: i64, above: &[(&'static str, &'static str)]) {
        let _ = (number, above);
    }
}

/// Shows every part of a tree to a visitor, in the order of its fields.
pub(crate) fn visit(tree: &impl Serialize, visitor: &mut dyn Visitor) {
    // this serializer has no errors of its own
    let _never = tree.serialize(&mut Walk { visitor, above: Vec::new() });
}

struct Walk<'v> {
    visitor: &'v mut dyn Visitor,
    above: Vec<(&'static str, &'static str)>,
}

struct Fields<'w, 'v> {
    walk: &'w mut Walk<'v>,
    name: &'static str,
}

#[derive(Debug)]
struct Never;

impl Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("never")
    }
}

impl std::error::Error for Never {}

impl ser::Error for Never {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

type Nothing = ser::Impossible<(), Never>;

macro_rules! ignored {
    ($($name:ident: $type:ty;)*) => {$(
        fn $name(self, _: $type) -> Result<(), Never> { Ok(()) }
    )*};
}

impl<'w, 'v> ser::Serializer for &'w mut Walk<'v> {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Self;
    type SerializeTuple = Nothing;
    type SerializeTupleStruct = Nothing;
    type SerializeTupleVariant = Nothing;
    type SerializeMap = Nothing;
    type SerializeStruct = Fields<'w, 'v>;
    type SerializeStructVariant = Nothing;

    ignored! {
        serialize_i8: i8; serialize_i16: i16; serialize_i64: i64; serialize_u8: u8;
        serialize_u16: u16; serialize_u32: u32; serialize_u64: u64; serialize_f32: f32; serialize_f64: f64;
        serialize_char: char; serialize_bytes: &[u8]; serialize_unit_struct: &'static str;
    }

    fn serialize_bool(self, value: bool) -> Result<(), Never> {
        self.visitor.number(value.into(), &self.above);
        Ok(())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Never> {
        self.visitor.number(value.into(), &self.above);
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Never> {
        self.visitor.text(value, &self.above);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Never> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Nothing, Never> {
        Err(Never)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Nothing, Never> {
        Err(Never)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Nothing, Never> {
        Err(Never)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Nothing, Never> {
        Err(Never)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'w, 'v>, Never> {
        if name != WRAPPER {
            self.visitor.enter(name, &self.above);
            self.above.push((name, ""));
        }
        Ok(Fields { walk: self, name })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Nothing, Never> {
        Err(Never)
    }
}

impl ser::SerializeSeq for &mut Walk<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Never> {
        Ok(())
    }
}

impl ser::SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Never> {
        if self.name != WRAPPER
            && let Some(last) = self.walk.above.last_mut()
        {
            last.1 = name;
        }
        value.serialize(&mut *self.walk)
    }

    fn end(self) -> Result<(), Never> {
        if self.name != WRAPPER {
            self.walk.above.pop();
            self.walk.visitor.leave(self.name, &self.walk.above);
        }
        Ok(())
    }
}

const WRAPPER: &str = "Node";
