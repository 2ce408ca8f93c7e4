//! What a predicate says → the condition on one relation.

use std::collections::BTreeMap;

use pg_query::protobuf::{
    AExpr, AExprKind, BoolExpr, BoolExprType, BooleanTest, CoalesceExpr, CoercionForm, FuncCall, Integer,
    NullTest, TypeName, a_const,
};
use pg_query::{Node, NodeEnum};

use super::FilterError;
use super::kind::Kind;
use super::read::{Condition, Operand, Predicate};
use super::stored;
use crate::domain::filter::Claim;
use crate::sql::catalog::{Catalog, Relation};
use crate::sql::tree;
use crate::sql::walk::PLACE;

/// What a condition needs to know.
pub(crate) struct Lowered<'a> {
    /// What types are.
    pub(crate) catalog: &'a Catalog,
    /// The relation whose rows are filtered.
    pub(crate) relation: &'a Relation,
    /// The name under which the condition knows it.
    pub(crate) source: &'a str,
    /// What the claims say.
    pub(crate) claims: Claims<'a>,
}

/// Where the values of claims come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Claims<'a> {
    /// They are known, and become constants.
    Said(&'a BTreeMap<String, Claim>),
    /// The condition looks them up for the session's role: see `stored`.
    Stored,
}

pub(super) type Made<T = NodeEnum> = Result<T, FilterError>;

impl Lowered<'_> {
    /// The condition, which only this module's nodes are in: nothing of the predicate's own tree.
    pub(crate) fn condition(&self, predicate: &Predicate) -> Made {
        self.made(&predicate.condition)
    }

    fn made(&self, condition: &Condition) -> Made {
        let each = |inner: &[Condition]| inner.iter().map(|inner| self.made(inner)).collect::<Made<Vec<_>>>();
        match condition {
            Condition::All(inner) => Ok(all(each(inner)?)),
            Condition::Any(inner) => Ok(any(each(inner)?)),
            Condition::Not(inner) => Ok(boolean(BoolExprType::NotExpr, vec![self.made(inner)?])),
            Condition::Is { inner, test } => Ok(NodeEnum::BooleanTest(Box::new(BooleanTest {
                arg: tree::boxed(self.made(inner)?),
                booltesttype: *test as i32,
                location: -1,
                ..BooleanTest::default()
            }))),
            Condition::Null { operand, test } => Ok(NodeEnum::NullTest(Box::new(NullTest {
                arg: tree::boxed(self.value(operand)?.0),
                nulltesttype: *test as i32,
                location: -1,
                ..NullTest::default()
            }))),
            Condition::Compare { left, symbol, right } => {
                let (one, other) = (self.value(left)?, self.value(right)?);
                let kind = meet(&one.1, &other.1)?;
                self.fits(left, &kind)?;
                self.fits(right, &kind)?;
                let (one, other) =
                    (self.meant(left, one.0, right, &kind), self.meant(right, other.0, left, &kind));
                Ok(operation(AExprKind::AexprOp, symbol, one, other))
            }
            Condition::Like { left, symbol, pattern } => {
                let left = self.text(left)?;
                Ok(operation(AExprKind::AexprOp, symbol, left, self.constant(pattern)?))
            }
            Condition::StartsWith { left, prefix } => {
                // every text starts with an empty one
                if self.written(prefix).is_some_and(str::is_empty) {
                    return Err(FilterError::Value {
                        what: named(prefix),
                        kind: "a beginning of a text".into(),
                    });
                }
                let left = self.text(left)?;
                let prefix = match prefix {
                    Operand::Claim(name) if self.looks_up() => stored::beginning(name)?,
                    _ => self.text(prefix)?,
                };
                Ok(call("starts_with", vec![tree::node(left), tree::node(prefix)]))
            }
            Condition::Many { left, symbol, every, values } => self.many(left, symbol, *every, values),
            Condition::Holds { left, symbol, right } => self.holds(left, symbol, right),
            Condition::Value(operand) => match self.value(operand)? {
                (value, Kind::Truth) => Ok(value),
                (_, kind) => Err(FilterError::Unsupported(format!("{}, by itself,", kind.described()))),
            },
        }
    }

    fn many(&self, left: &Operand, symbol: &str, every: bool, values: &Operand) -> Made {
        let (value, kind) = self.value(left)?;
        let mut shared = kind.clone();
        let array =
            if let Some(found) = self.looked_up(values, || stored::listed(self.type_beside(left, &kind)))? {
                found
            } else if let Some(texts) = self.several(values)? {
                self.array(&texts, values, &kind)?
            } else {
                let (array, Kind::Array(element)) = self.value(values)? else {
                    return Err(FilterError::Unsupported("ANY of what is no array and no claim".into()));
                };
                shared = meet(&kind, &element)?;
                self.fits(left, &shared)?;
                array
            };
        let value = self.meant(left, value, left, &shared);
        let form = if every { AExprKind::AexprOpAll } else { AExprKind::AexprOpAny };
        Ok(operation(form, symbol, value, array))
    }

    fn holds(&self, left: &Operand, symbol: &str, right: &Operand) -> Made {
        let kind = |operand: &Operand| match operand {
            Operand::Array(_) | Operand::Claim(_) | Operand::Text(_) => Ok(Kind::Literal),
            _ => self.value(operand).map(|(_, kind)| kind),
        };
        let (one, other) = (kind(left)?, kind(right)?);
        let refused = || FilterError::Kinds(one.described(), other.described());
        let side = |operand: &Operand, other: &Operand, element: &Kind| {
            let exact =
                || self.type_of(other).unwrap_or_else(|| stored::listed(stored::type_of_kind(element)));
            if let Some(found) = self.looked_up(operand, exact)? {
                return Ok(found);
            }
            match self.several(operand)? {
                Some(texts) => self.array(&texts, operand, element),
                None => self.value(operand).map(|(value, _)| value),
            }
        };
        let (left, right) = match (symbol, &one, &other) {
            ("&&" | "@>" | "<@", Kind::Array(element), Kind::Literal)
            | ("&&" | "@>" | "<@", Kind::Literal, Kind::Array(element)) => {
                (side(left, right, element)?, side(right, left, element)?)
            }
            ("&&" | "@>" | "<@", Kind::Array(_), Kind::Array(_)) => {
                meet(&one, &other)?;
                (self.value(left)?.0, self.value(right)?.0)
            }
            ("@>" | "?", Kind::Json, Kind::Literal) | ("@>" | "<@", Kind::Json, Kind::Json) => {
                self.fits(right, &Kind::Json)?;
                let like = if symbol == "?" { Kind::Text } else { Kind::Json };
                let value = self.value(right)?.0;
                (self.value(left)?.0, self.meant(right, value, right, &like))
            }
            ("?|" | "?&", Kind::Json, Kind::Literal) => {
                (self.value(left)?.0, side(right, right, &Kind::Text)?)
            }
            _ => return Err(refused()),
        };
        Ok(operation(AExprKind::AexprOp, symbol, left, right))
    }

    /// A value, and what it is.
    fn value(&self, operand: &Operand) -> Made<(NodeEnum, Kind)> {
        match operand {
            Operand::Column(name) => {
                let column = self.relation.column(name).ok_or_else(|| FilterError::Column(name.clone()))?;
                let kind = Kind::of(self.catalog, &column.base.0, &column.base.1);
                Ok((tree::column(&[self.source, name]), kind))
            }
            Operand::Claim(name) if self.looks_up() => Ok((stored::single(name)?, Kind::Literal)),
            Operand::Claim(_) | Operand::Text(_) => {
                let Some(text) = self.written(operand) else {
                    return Err(FilterError::Unsupported(format!(
                        "{}, which has several values, anywhere but in = ANY (…),",
                        named(operand)
                    )));
                };
                Ok((self.constant(text)?, Kind::Literal))
            }
            Operand::Number(number) => Ok((NodeEnum::AConst(number.clone()), Kind::Digits)),
            Operand::Truth(truth) => Ok((constant(*truth), Kind::Truth)),
            Operand::Typed { value, name } => {
                let kind = Kind::of(self.catalog, "pg_catalog", name);
                self.fits(value, &kind)?;
                Ok((tree::cast(self.value(value)?.0, tree::pg_type(name)), kind))
            }
            Operand::Now(span) => {
                let now = call("now", Vec::new());
                let value = match span {
                    Some((sign, span)) => {
                        let span = tree::cast(tree::literal(span), tree::pg_type("interval"));
                        operation(AExprKind::AexprOp, sign, now, span)
                    }
                    None => now,
                };
                Ok((value, Kind::Stamp("timestamptz".into())))
            }
            Operand::AsText(inner) => match self.value(inner)? {
                (value, Kind::Text | Kind::Number | Kind::Truth | Kind::Uuid | Kind::Json) => {
                    Ok((tree::cast(value, tree::pg_type("text")), Kind::Text))
                }
                (_, kind) => Err(FilterError::Unsupported(format!(
                    "{} as text, which the session's settings change,",
                    kind.described()
                ))),
            },
            Operand::Call { function, argument } => {
                let argument = self.text(argument)?;
                let counts = matches!(*function, "length" | "char_length" | "character_length");
                let kind = if counts { Kind::Number } else { Kind::Text };
                Ok((call(function, vec![tree::node(argument)]), kind))
            }
            Operand::Join(left, right) => {
                let (left, right) = (self.text(left)?, self.text(right)?);
                Ok((operation(AExprKind::AexprOp, "||", left, right), Kind::Text))
            }
            Operand::Coalesce(items) => {
                let mut kind = Kind::Literal;
                let mut values = Vec::with_capacity(items.len());
                for item in items {
                    let (value, other) = self.value(item)?;
                    kind = meet(&kind, &other)?;
                    values.push(value);
                }
                items.iter().try_for_each(|item| self.fits(item, &kind))?;
                let meant = |(item, value)| tree::node(self.meant(item, value, operand, &kind));
                let args = items.iter().zip(values).map(meant).collect();
                // the server would not know better
                let kind = if kind == Kind::Literal { Kind::Text } else { kind };
                let coalesce = CoalesceExpr { args, location: -1, ..CoalesceExpr::default() };
                Ok((NodeEnum::CoalesceExpr(Box::new(coalesce)), kind))
            }
            Operand::Member { of, symbol, key } => match self.value(of)? {
                (value, Kind::Json) => {
                    let kind = if symbol.ends_with(">>") { Kind::Text } else { Kind::Json };
                    if let Some(a_const::Val::Sval(text)) = &key.val {
                        sound(&text.sval).ok_or_else(|| bad("a key"))?;
                    }
                    Ok((operation(AExprKind::AexprOp, symbol, value, NodeEnum::AConst(key.clone())), kind))
                }
                (_, kind) => Err(FilterError::Unsupported(format!("{symbol} of {}", kind.described()))),
            },
            Operand::Array(_) => Err(FilterError::Unsupported("ARRAY anywhere but beside a column".into())),
        }
    }

    /// A value that is a text, or a constant that can be one.
    fn text(&self, operand: &Operand) -> Made {
        match self.value(operand)? {
            (value, Kind::Text) => Ok(value),
            // beside other constants its type would be open
            (value, Kind::Literal) => Ok(tree::cast(value, tree::pg_type("text"))),
            (_, kind) => Err(FilterError::Kinds(kind.described(), Kind::Text.described())),
        }
    }

    /// Sees to it that a constant or claim reads as what it is compared with.
    fn fits(&self, operand: &Operand, kind: &Kind) -> Made<()> {
        match self.written(operand) {
            Some(text) if *kind != Kind::Literal && !kind.reads(text) => {
                Err(FilterError::Value { what: named(operand), kind: kind.described() })
            }
            _ => Ok(()),
        }
    }

    /// The text of a constant or of a claim with one value.
    fn written<'s>(&'s self, operand: &'s Operand) -> Option<&'s str> {
        match operand {
            Operand::Text(text) => Some(text),
            Operand::Claim(name) => match self.said(name) {
                Some(Claim::One(value)) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    fn said(&self, name: &str) -> Option<&Claim> {
        match self.claims {
            Claims::Said(claims) => claims.get(name),
            Claims::Stored => None,
        }
    }

    /// The texts of an array of constants, or of a claim; `None` for anything else.
    fn several(&self, operand: &Operand) -> Made<Option<Vec<String>>> {
        match operand {
            Operand::Array(items) => {
                let written = |item: &Operand| match (self.written(item), item) {
                    (Some(text), _) => Ok(text.to_owned()),
                    (None, Operand::Number(number)) => match &number.val {
                        Some(a_const::Val::Ival(number)) => Ok(number.ival.to_string()),
                        Some(a_const::Val::Fval(number)) => Ok(number.fval.clone()),
                        _ => Err(bad("a number")),
                    },
                    _ => Err(FilterError::Unsupported("an array of anything but constants".into())),
                };
                items.iter().map(written).collect::<Made<_>>().map(Some)
            }
            Operand::Claim(name) => match self.said(name) {
                Some(Claim::One(value)) => Ok(Some(vec![value.clone()])),
                Some(Claim::Many(values)) => Ok(Some(values.iter().cloned().collect())),
                None => Err(FilterError::Unsupported(format!("principal.{name}, which has no value,"))),
            },
            _ => Ok(None),
        }
    }

    /// An array of these texts, each of which reads as `kind`, as one constant: PostgreSQL reads it before it looks at
    /// any row.
    fn array(&self, texts: &[String], operand: &Operand, kind: &Kind) -> Made {
        if matches!(kind, Kind::Array(_) | Kind::Other(_)) {
            return Err(FilterError::Kinds(kind.described(), "several constants".into()));
        }
        if let Some(odd) = texts.iter().find(|text| *kind != Kind::Literal && !kind.reads(text)) {
            let what = if matches!(operand, Operand::Claim(_)) { named(operand) } else { format!("`{odd}`") };
            return Err(FilterError::Value { what, kind: kind.described() });
        }
        let quoted = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let written = format!("{{{}}}", texts.iter().map(quoted).collect::<Vec<_>>().join(","));
        let array = self.constant(&written)?;
        Ok(match kind {
            Kind::Own { schema, name } => tree::cast(
                array,
                TypeName {
                    names: vec![tree::string(schema), tree::string(name)],
                    array_bounds: vec![tree::node(NodeEnum::Integer(Integer { ival: -1 }))],
                    ..tree::pg_type(name)
                },
            ),
            _ => array,
        })
    }

    pub(super) fn constant(&self, text: &str) -> Made {
        sound(text).map(tree::literal).ok_or_else(|| bad("a constant or claim"))
    }
}

pub(super) fn bad(what: &str) -> FilterError {
    FilterError::Unsupported(format!(
        "{what} with a character zero, with {PLACE}, or of more than {LONGEST} bytes,"
    ))
}

/// A text that can be a literal of a statement.
fn sound(text: &str) -> Option<&str> {
    (!text.contains('\0') && !text.contains(PLACE) && text.len() <= LONGEST).then_some(text)
}

fn named(operand: &Operand) -> String {
    match operand {
        Operand::Claim(name) => format!("principal.{name}"),
        Operand::Text(text) => format!("`{text}`"),
        _ => "a value".into(),
    }
}

fn meet(one: &Kind, other: &Kind) -> Made<Kind> {
    one.with(other).ok_or_else(|| FilterError::Kinds(one.described(), other.described()))
}

fn operation(kind: AExprKind, symbol: &str, left: NodeEnum, right: NodeEnum) -> NodeEnum {
    NodeEnum::AExpr(Box::new(AExpr {
        kind: kind as i32,
        // what others define under the same name is out of sight
        name: vec![tree::string("pg_catalog"), tree::string(symbol)],
        lexpr: tree::boxed(left),
        rexpr: tree::boxed(right),
        location: -1,
        ..AExpr::default()
    }))
}

fn call(name: &str, args: Vec<Node>) -> NodeEnum {
    NodeEnum::FuncCall(Box::new(FuncCall {
        funcname: vec![tree::string("pg_catalog"), tree::string(name)],
        args,
        funcformat: CoercionForm::CoerceExplicitCall as i32,
        location: -1,
        ..FuncCall::default()
    }))
}

/// All of them at once. What nests is made flat, as the parser does.
pub(crate) fn all(conditions: Vec<NodeEnum>) -> NodeEnum {
    joined(BoolExprType::AndExpr, conditions)
}

/// Any of them.
pub(crate) fn any(conditions: Vec<NodeEnum>) -> NodeEnum {
    joined(BoolExprType::OrExpr, conditions)
}

/// No row.
pub(crate) fn never() -> NodeEnum {
    constant(false)
}

fn joined(kind: BoolExprType, conditions: Vec<NodeEnum>) -> NodeEnum {
    let mut flat = Vec::with_capacity(conditions.len());
    for condition in conditions {
        match condition {
            NodeEnum::BoolExpr(inner) if inner.boolop() == kind => {
                flat.extend(inner.args.into_iter().filter_map(|arg| arg.node));
            }
            other => flat.push(other),
        }
    }
    match (flat.pop(), flat.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            flat.push(last);
            boolean(kind, flat)
        }
        // nothing is neither all nor any of something
        (None, _) => never(),
    }
}

fn boolean(kind: BoolExprType, args: Vec<NodeEnum>) -> NodeEnum {
    NodeEnum::BoolExpr(Box::new(BoolExpr {
        boolop: kind as i32,
        args: args.into_iter().map(tree::node).collect(),
        location: -1,
        ..BoolExpr::default()
    }))
}

fn constant(truth: bool) -> NodeEnum {
    let value = NodeEnum::AConst(pg_query::protobuf::AConst {
        isnull: false,
        location: -1,
        val: Some(a_const::Val::Boolval(pg_query::protobuf::Boolean { boolval: truth })),
    });
    tree::cast(value, tree::pg_type("bool"))
}

/// The longest constant; an array of many values is one.
const LONGEST: usize = 1 << 16;
