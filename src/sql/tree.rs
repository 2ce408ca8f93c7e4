//! Building and comparing parse trees.
//!
//! Job: small constructors, and [`same`], which compares two trees but for where their
//! tokens stood in the text, and [`visit()`], which sees every part of a tree. Boundary: no meaning. Failure mode: whatever cannot be serialised is different.

mod digest;
mod visit;

pub(crate) use digest::{blanked, same};
pub(crate) use visit::{Visitor, visit};

use pg_query::protobuf::{self, DefElem, a_const};
use pg_query::{Node, NodeEnum};

pub(crate) fn node(inner: NodeEnum) -> Node {
    Node { node: Some(inner) }
}

pub(crate) fn boxed(inner: NodeEnum) -> Option<Box<Node>> {
    Some(Box::new(node(inner)))
}

pub(crate) fn string(text: &str) -> Node {
    node(NodeEnum::String(protobuf::String { sval: text.into() }))
}

pub(crate) fn as_string(item: &Node) -> Option<&str> {
    match item.node.as_ref()? {
        NodeEnum::String(string) => Some(&string.sval),
        _ => None,
    }
}

/// A list of string nodes as texts; `None` when it holds anything else.
pub(crate) fn strings(items: &[Node]) -> Option<Vec<&str>> {
    items.iter().map(as_string).collect()
}

/// An option of a statement, `name value`.
pub(crate) fn definition(node: &Node) -> Option<&DefElem> {
    match node.node.as_ref()? {
        NodeEnum::DefElem(element) => Some(element),
        _ => None,
    }
}

/// Whether it is set, and set to off.
pub(crate) fn is_off(option: &DefElem) -> bool {
    match option.arg.as_deref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::String(text)) => matches!(text.sval.to_lowercase().as_str(), "off" | "false"),
        Some(NodeEnum::Integer(number)) => number.ival == 0,
        Some(NodeEnum::Boolean(truth)) => !truth.boolval,
        _ => false,
    }
}

/// A name as an identifier, in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn column(fields: &[&str]) -> NodeEnum {
    NodeEnum::ColumnRef(protobuf::ColumnRef {
        fields: fields.iter().map(|field| string(field)).collect(),
        location: -1,
    })
}

pub(crate) fn target(name: &str, value: NodeEnum) -> Node {
    node(NodeEnum::ResTarget(Box::new(protobuf::ResTarget {
        name: name.into(),
        indirection: Vec::new(),
        val: boxed(value),
        location: -1,
    })))
}

pub(crate) fn literal(text: &str) -> NodeEnum {
    NodeEnum::AConst(protobuf::AConst {
        isnull: false,
        location: -1,
        val: Some(a_const::Val::Sval(protobuf::String { sval: text.into() })),
    })
}

pub(crate) fn null() -> NodeEnum {
    NodeEnum::AConst(protobuf::AConst { isnull: true, location: -1, val: None })
}

pub(crate) fn pg_type(name: &str) -> protobuf::TypeName {
    protobuf::TypeName {
        names: vec![string("pg_catalog"), string(name)],
        typemod: -1,
        location: -1,
        ..protobuf::TypeName::default()
    }
}

pub(crate) fn cast(value: NodeEnum, to: protobuf::TypeName) -> NodeEnum {
    NodeEnum::TypeCast(Box::new(protobuf::TypeCast { arg: boxed(value), type_name: Some(to), location: -1 }))
}

/// A SELECT with only a target list and a FROM clause.
pub(crate) fn select(target_list: Vec<Node>, from_clause: Vec<Node>) -> NodeEnum {
    NodeEnum::SelectStmt(Box::new(protobuf::SelectStmt {
        target_list,
        from_clause,
        limit_option: protobuf::LimitOption::Default as i32,
        op: protobuf::SetOperation::SetopNone as i32,
        ..protobuf::SelectStmt::default()
    }))
}

/// The expression that a text holds; the text is ours and without names that need resolving.
pub(crate) fn expression(text: &str) -> Result<NodeEnum, String> {
    let parsed = pg_query::parse(&format!("SELECT {text}"), 0).map_err(|error| error.to_string())?;
    let mut stmts = parsed.protobuf.stmts.into_iter();
    let (Some(raw), None) = (stmts.next(), stmts.next()) else { return Err("not one statement".into()) };
    let Some(NodeEnum::SelectStmt(select)) = raw.stmt.and_then(|stmt| stmt.node) else {
        return Err("not an expression".into());
    };
    let mut targets = select.target_list.into_iter();
    match (targets.next().and_then(|target| target.node), targets.next()) {
        (Some(NodeEnum::ResTarget(target)), None) => {
            target.val.and_then(|value| value.node).ok_or_else(|| "no expression".into())
        }
        _ => Err("not one expression".into()),
    }
}

/// One statement as SQL.
pub(crate) fn deparse(statement: &NodeEnum) -> Result<String, String> {
    let result = protobuf::ParseResult {
        version: 0,
        stmts: vec![protobuf::RawStmt { stmt: boxed(statement.clone()), stmt_location: 0, stmt_len: 0 }],
    };
    pg_query::deparse(&result, pg_query::DeparseOptions::default()).map_err(|error| error.to_string())
}
