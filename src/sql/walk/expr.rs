//! Expressions.

use pg_query::protobuf::{
    AConst, AExpr, AExprKind, FuncCall, SubLink, SubLinkType, WindowDef, XmlExpr, XmlExprOp, a_const,
};
use pg_query::{Node, NodeEnum};

use super::{Outcome, Walk, refuse, unsupported};
use crate::sql::facts::variant;
use crate::sql::tree;

impl<'a> Walk<'a> {
    pub(super) fn exprs(&mut self, nodes: &mut [Node]) -> Outcome {
        nodes.iter_mut().try_for_each(|node| self.expr(node))
    }

    pub(super) fn opt(&mut self, node: &mut Option<Box<Node>>) -> Outcome {
        match node {
            Some(node) => self.expr(node),
            None => Ok(()),
        }
    }

    /// Walks one expression, which may be replaced by another.
    pub(super) fn expr(&mut self, node: &mut Node) -> Outcome {
        let Some(inner) = node.node.as_mut() else { return Ok(()) };
        match inner {
            NodeEnum::AConst(constant) => self.constant(constant),
            NodeEnum::ParamRef(_) | NodeEnum::SetToDefault(_) => Ok(()),
            NodeEnum::SqlvalueFunction(_) | NodeEnum::String(_) | NodeEnum::Integer(_) => Ok(()),
            NodeEnum::ColumnRef(_) => self.column(node),
            NodeEnum::FuncCall(call) => {
                if let Some(instead) = self.call(call)? {
                    node.node = Some(instead);
                    // a projection's row is still a reference
                    if let Some(NodeEnum::AIndirection(row)) = node.node.as_mut() {
                        self.opt(&mut row.arg)?;
                    }
                }
                Ok(())
            }
            NodeEnum::TypeCast(cast) => {
                self.opt(&mut cast.arg)?;
                cast.type_name.as_mut().map_or(Ok(()), |name| self.type_name(name))
            }
            NodeEnum::CollateClause(collate) => {
                self.opt(&mut collate.arg)?;
                self.collation(&mut collate.collname)
            }
            NodeEnum::AExpr(operation) => self.operation(operation),
            NodeEnum::BoolExpr(boolean) => self.exprs(&mut boolean.args),
            NodeEnum::SubLink(link) => self.sublink(link),
            NodeEnum::CaseExpr(case) => {
                if case.arg.is_some() {
                    self.implicit_operator("=")?;
                }
                self.opt(&mut case.arg)?;
                self.exprs(&mut case.args)?;
                self.opt(&mut case.defresult)
            }
            NodeEnum::CaseWhen(when) => {
                self.opt(&mut when.expr)?;
                self.opt(&mut when.result)
            }
            NodeEnum::CoalesceExpr(coalesce) => self.exprs(&mut coalesce.args),
            NodeEnum::MinMaxExpr(extreme) => self.exprs(&mut extreme.args),
            NodeEnum::NullTest(test) => self.opt(&mut test.arg),
            NodeEnum::BooleanTest(test) => self.opt(&mut test.arg),
            NodeEnum::GroupingFunc(grouping) => self.exprs(&mut grouping.args),
            NodeEnum::AIndirection(indirection) => {
                self.opt(&mut indirection.arg)?;
                self.indirection(&mut indirection.indirection)
            }
            NodeEnum::AArrayExpr(array) => self.exprs(&mut array.elements),
            NodeEnum::RowExpr(row) => self.exprs(&mut row.args),
            NodeEnum::List(list) => self.exprs(&mut list.items),
            NodeEnum::NamedArgExpr(named) => self.opt(&mut named.arg),
            NodeEnum::SortBy(sort) => {
                self.opt(&mut sort.node)?;
                if sort.use_op.is_empty() { Ok(()) } else { self.operator(&mut sort.use_op) }
            }
            NodeEnum::GroupingSet(set) => self.exprs(&mut set.content),
            NodeEnum::ResTarget(target) => {
                self.opt(&mut target.val)?;
                self.indirection(&mut target.indirection)
            }
            NodeEnum::XmlExpr(xml) => self.xml(xml),
            NodeEnum::XmlSerialize(xml) => {
                self.opt(&mut xml.expr)?;
                xml.type_name.as_mut().map_or(Ok(()), |name| self.type_name(name))
            }
            NodeEnum::MergeSupportFunc(_) => self.since(17, "merge_action()"),
            other => self.json(other),
        }
    }

    /// Servers before 16 read `0x1F` and `1_000` as a number and a name.
    fn constant(&self, constant: &AConst) -> Outcome {
        match &constant.val {
            Some(a_const::Val::Fval(number))
                if number.fval.chars().any(|c| !matches!(c, '0'..='9' | '.' | 'e' | 'E' | '+' | '-')) =>
            {
                self.since(16, "a number with underscores, or not in decimal,")
            }
            _ => Ok(()),
        }
    }

    /// A call with everything that can hang on one.
    pub(super) fn call(&mut self, call: &mut FuncCall) -> Outcome<Option<NodeEnum>> {
        // the name first: judging it may wrap an argument in nodes that must not be walked again
        self.exprs(&mut call.args)?;
        let instead = self.function(call)?;
        if instead.is_some() {
            return Ok(instead);
        }
        self.exprs(&mut call.agg_order)?;
        self.opt(&mut call.agg_filter)?;
        if let Some(window) = &mut call.over {
            self.window(window)?;
        }
        Ok(None)
    }

    pub(super) fn window(&mut self, window: &mut WindowDef) -> Outcome {
        self.exprs(&mut window.partition_clause)?;
        self.exprs(&mut window.order_clause)?;
        self.opt(&mut window.start_offset)?;
        self.opt(&mut window.end_offset)
    }

    fn operation(&mut self, operation: &mut AExpr) -> Outcome {
        self.opt(&mut operation.lexpr)?;
        self.opt(&mut operation.rexpr)?;
        let symbol = operation.name.last().and_then(tree::as_string).unwrap_or_default().to_owned();
        match operation.kind() {
            AExprKind::AexprOp | AExprKind::AexprOpAny | AExprKind::AexprOpAll => {
                self.operator(&mut operation.name)
            }
            AExprKind::AexprDistinct | AExprKind::AexprNotDistinct | AExprKind::AexprNullif => {
                self.implicit_operator("=")
            }
            AExprKind::AexprIn | AExprKind::AexprLike | AExprKind::AexprIlike | AExprKind::AexprSimilar => {
                self.implicit_operator(&symbol)
            }
            AExprKind::AexprBetween
            | AExprKind::AexprNotBetween
            | AExprKind::AexprBetweenSym
            | AExprKind::AexprNotBetweenSym => {
                ["<", "<=", ">", ">="].iter().try_for_each(|symbol| self.implicit_operator(symbol))
            }
            AExprKind::Undefined => Err(unsupported("an operator of an unknown kind")),
        }
    }

    fn sublink(&mut self, link: &mut SubLink) -> Outcome {
        self.opt(&mut link.testexpr)?;
        match link.sub_link_type() {
            SubLinkType::ExistsSublink | SubLinkType::ExprSublink | SubLinkType::ArraySublink => {}
            SubLinkType::AllSublink | SubLinkType::AnySublink => {
                if link.oper_name.is_empty() {
                    self.implicit_operator("=")?;
                } else {
                    self.operator(&mut link.oper_name)?;
                }
            }
            _ => return Err(unsupported("a subquery of an unknown kind")),
        }
        self.subquery(link.subselect.as_deref_mut())
    }

    fn xml(&mut self, xml: &mut XmlExpr) -> Outcome {
        match xml.op() {
            XmlExprOp::Undefined => return Err(unsupported("an XML expression of an unknown kind")),
            XmlExprOp::IsXmlconcat
            | XmlExprOp::IsXmlelement
            | XmlExprOp::IsXmlforest
            | XmlExprOp::IsXmlparse
            | XmlExprOp::IsXmlpi
            | XmlExprOp::IsXmlroot
            | XmlExprOp::IsXmlserialize
            | XmlExprOp::IsDocument => {}
        }
        self.exprs(&mut xml.named_args)?;
        self.exprs(&mut xml.args)
    }

    /// What follows a value: `.field`, `[subscript]`, `.*`.
    pub(super) fn indirection(&mut self, steps: &mut [Node]) -> Outcome {
        for step in steps {
            match step.node.as_mut() {
                Some(NodeEnum::String(field)) => self.implicit_call(&field.sval)?,
                Some(NodeEnum::AStar(_)) => {}
                Some(NodeEnum::AIndices(indices)) => {
                    self.opt(&mut indices.lidx)?;
                    self.opt(&mut indices.uidx)?;
                }
                _ => return Err(unsupported("this way of reaching into a value")),
            }
        }
        Ok(())
    }

    /// A reference to a column, a row, or all columns of a row.
    fn column(&mut self, node: &mut Node) -> Outcome {
        let Some(NodeEnum::ColumnRef(reference)) = node.node.as_mut() else { return Ok(()) };
        let (star, fields) = match reference.fields.as_slice() {
            [names @ .., last] if matches!(last.node, Some(NodeEnum::AStar(_))) => (true, names),
            names => (false, names),
        };
        let Some(fields) = tree::strings(fields) else {
            return Err(unsupported("this way of naming a column"));
        };
        let qualifiers = if star { fields.len() } else { fields.len().saturating_sub(1) };
        if qualifiers > 2 {
            return Err(refuse(
                "mask.unsupported",
                "a column with a database name",
                "leave the database out",
            ));
        }
        if let ([.., field], false, 1..) = (fields.as_slice(), star, qualifiers) {
            self.implicit_call(field)?;
        }
        let drop_schema = match fields.as_slice() {
            [schema, relation, ..] if qualifiers == 2 => {
                self.replaced.contains(&((*schema).to_owned(), (*relation).to_owned()))
            }
            _ => false,
        };
        if drop_schema {
            // a subquery stands there now, known by its alias alone
            reference.fields.remove(0);
        }
        self.target_column(node)
    }

    pub(super) fn unknown(&self, node: &NodeEnum) -> super::Refusal {
        unsupported(&format!("the construct {}", variant(node)))
    }
}
