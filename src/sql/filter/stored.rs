//! Conditions that look claims up, for the broker's views: the same text for everybody whom the same filters bind.
//!
//! Job: an expression that reads a claim of whoever is logged in from the broker's table, as the very type that it is
//! compared with. Boundary: the table is the broker's to fill, and only the views' owner may read it. Failure mode: who
//! has no row there, or several values where one is needed, has NULL, for which no row is seen ([`guard`]).

use pg_query::protobuf::{AArrayExpr, Integer, TypeName};
use pg_query::{Node, NodeEnum};

use super::FilterError;
use super::kind::Kind;
use super::lower::{Claims, Lowered, Made, bad};
use super::read::Operand;
use crate::sql::tree;

impl Lowered<'_> {
    /// Whether claims are looked up.
    pub(super) fn looks_up(&self) -> bool {
        matches!(self.claims, Claims::Stored)
    }

    /// A claim that was looked up, as what it is compared with; anything else as it is.
    pub(super) fn meant(
        &self,
        operand: &Operand,
        value: NodeEnum,
        beside: &Operand,
        kind: &Kind,
    ) -> NodeEnum {
        match operand {
            Operand::Claim(_) if self.looks_up() => tree::cast(value, self.type_beside(beside, kind)),
            _ => value,
        }
    }

    /// An array with claims that are looked up in it; `None` for anything else.
    pub(super) fn looked_up(
        &self,
        operand: &Operand,
        array: impl FnOnce() -> TypeName,
    ) -> Made<Option<NodeEnum>> {
        match operand {
            Operand::Claim(name) if self.looks_up() => Ok(Some(tree::cast(several(name)?, array()))),
            Operand::Array(items)
                if self.looks_up() && items.iter().any(|item| matches!(item, Operand::Claim(_))) =>
            {
                let element = |item: &Operand| -> Made<Node> {
                    Ok(tree::node(match item {
                        Operand::Claim(name) => single(name)?,
                        Operand::Text(text) => self.constant(text)?,
                        Operand::Number(number) => NodeEnum::AConst(number.clone()),
                        _ => {
                            return Err(FilterError::Unsupported(
                                "an array of anything but constants".into(),
                            ));
                        }
                    }))
                };
                let texts = |node: Node| tree::node(tree::cast(node.node.unwrap_or_else(tree::null), text()));
                let elements = items.iter().map(|item| element(item).map(texts)).collect::<Made<_>>()?;
                let all =
                    NodeEnum::AArrayExpr(AArrayExpr { elements, location: -1, ..AArrayExpr::default() });
                Ok(Some(tree::cast(all, array())))
            }
            _ => Ok(None),
        }
    }

    /// The type of what stands beside a claim, or else what is usual for its kind.
    pub(super) fn type_beside(&self, beside: &Operand, kind: &Kind) -> TypeName {
        self.type_of(beside).unwrap_or_else(|| type_of_kind(kind))
    }

    /// The very type of a value; `None` for what takes the type of its neighbour.
    pub(super) fn type_of(&self, operand: &Operand) -> Option<TypeName> {
        match operand {
            Operand::Column(name) => {
                self.relation.column(name).map(|column| named_type(&column.base.0, &column.base.1))
            }
            Operand::Typed { name, .. } => Some(named_type("pg_catalog", name)),
            Operand::Now(_) => Some(tree::pg_type("timestamptz")),
            Operand::AsText(_) | Operand::Join(..) => Some(text()),
            Operand::Call { function, .. } => {
                let counts = matches!(*function, "length" | "char_length" | "character_length");
                Some(tree::pg_type(if counts { "int4" } else { "text" }))
            }
            Operand::Member { symbol, .. } => {
                Some(tree::pg_type(if symbol.ends_with(">>") { "text" } else { "jsonb" }))
            }
            Operand::Coalesce(items) => items.iter().find_map(|item| self.type_of(item)),
            Operand::Truth(_) => Some(tree::pg_type("bool")),
            Operand::Array(_) | Operand::Claim(_) | Operand::Number(_) | Operand::Text(_) => None,
        }
    }
}

/// True where whoever is logged in carries all of these claims.
pub(crate) fn guard<'a>(claims: impl IntoIterator<Item = &'a String>) -> Made<Vec<NodeEnum>> {
    claims.into_iter().map(|name| read(&format!("EXISTS ({})", row(name, "1")))).collect()
}

/// The value of a claim that has one.
pub(super) fn single(name: &str) -> Made {
    read(&format!("({})", row(name, ONE)))
}

/// The same where an empty text is none: every text begins with it.
pub(super) fn beginning(name: &str) -> Made {
    read(&format!("({})", row(name, &format!("NULLIF({ONE}, '')"))))
}

fn several(name: &str) -> Made {
    read(&format!("({})", row(name, "c.vals")))
}

/// What is usual for a kind.
pub(super) fn type_of_kind(kind: &Kind) -> TypeName {
    match kind {
        Kind::Array(element) => listed(type_of_kind(element)),
        Kind::Digits | Kind::Number => tree::pg_type("numeric"),
        Kind::Exact(name) | Kind::Stamp(name) => named_type("pg_catalog", name),
        Kind::Float => tree::pg_type("float8"),
        Kind::Json => tree::pg_type("jsonb"),
        Kind::Own { schema, name } => named_type(schema, name),
        Kind::Truth => tree::pg_type("bool"),
        Kind::Uuid => tree::pg_type("uuid"),
        Kind::Literal | Kind::Other(_) | Kind::Text => text(),
    }
}

/// Arrays of a type.
pub(super) fn listed(element: TypeName) -> TypeName {
    TypeName { array_bounds: vec![tree::node(NodeEnum::Integer(Integer { ival: -1 }))], ..element }
}

fn text() -> TypeName {
    tree::pg_type("text")
}

/// Of types that mean something else when no length is written, those that hold the same values.
fn named_type(schema: &str, name: &str) -> TypeName {
    let name = match (schema, name) {
        ("pg_catalog", "bit") => "varbit",
        ("pg_catalog", "bpchar") => "text",
        _ => name,
    };
    TypeName { names: vec![tree::string(schema), tree::string(name)], ..tree::pg_type(name) }
}

/// A query for one claim of the role that is logged in, whatever role it has taken since. What it compares with is a
/// name of the configuration's, never a value.
fn row(name: &str, what: &str) -> String {
    format!(
        "SELECT {what} FROM hoopctl.claims c WHERE c.role OPERATOR(pg_catalog.=) SESSION_USER \
         AND c.claim OPERATOR(pg_catalog.=) '{}'",
        name.replace('\'', "''")
    )
}

fn read(text: &str) -> Made {
    tree::expression(text).map_err(|_| bad("a claim"))
}

const ONE: &str = "CASE WHEN pg_catalog.cardinality(c.vals) OPERATOR(pg_catalog.=) 1 THEN c.vals[1] END";
