//! The places where any literal of its kind does.

use pg_query::protobuf::{
    AConst, AExpr, AExprKind, ColumnRef, DeleteStmt, InsertStmt, SelectStmt, SetOperation, UpdateStmt,
    a_const,
};
use pg_query::{Node, NodeEnum};

use super::{Kind, Pattern};
use crate::sql::parse::Statement;
use crate::sql::tree;

/// For each literal of the pattern whether it is free: whatever stands there, the statement does the same
/// to the same things and must be told in the same words. `is_protected` says whether a column
/// of that name is protected anywhere.
#[must_use]
pub fn free_literals(
    statements: &[Statement],
    text: &str,
    pattern: &Pattern,
    is_protected: &dyn Fn(&str) -> bool,
) -> Vec<bool> {
    let mut places = Places { text, pattern, is_protected, free: vec![false; pattern.literals.len()] };
    if let [statement] = statements
        && let Some(node) = statement.node()
    {
        places.statement(node);
    }
    places.free
}

struct Places<'p> {
    text: &'p str,
    pattern: &'p Pattern,
    is_protected: &'p dyn Fn(&str) -> bool,
    free: Vec<bool>,
}

/// Everything that is not named here keeps its literals.
impl Places<'_> {
    fn statement(&mut self, node: &NodeEnum) {
        match node {
            NodeEnum::SelectStmt(select) => self.select(select),
            NodeEnum::InsertStmt(insert) => self.insert(insert),
            NodeEnum::UpdateStmt(update) => self.update(update),
            NodeEnum::DeleteStmt(delete) => self.delete(delete),
            _ => {}
        }
    }

    fn select(&mut self, select: &SelectStmt) {
        if select.op() == SetOperation::SetopNone && select.with_clause.is_none() {
            select.from_clause.iter().for_each(|item| self.source(item));
            self.condition(select.where_clause.as_deref());
        }
    }

    fn source(&mut self, item: &Node) {
        if let Some(NodeEnum::JoinExpr(join)) = &item.node {
            [&join.larg, &join.rarg].into_iter().flatten().for_each(|side| self.source(side));
            self.condition(join.quals.as_deref());
        }
    }

    fn delete(&mut self, delete: &DeleteStmt) {
        if delete.with_clause.is_none() {
            self.condition(delete.where_clause.as_deref());
        }
    }

    fn update(&mut self, update: &UpdateStmt) {
        if update.with_clause.is_some() {
            return;
        }
        for assignment in &update.target_list {
            if let Some(NodeEnum::ResTarget(assignment)) = &assignment.node
                && assignment.indirection.is_empty()
                && !(self.is_protected)(&assignment.name)
            {
                self.assigned(assignment.val.as_deref());
            }
        }
        self.condition(update.where_clause.as_deref());
    }

    fn insert(&mut self, insert: &InsertStmt) {
        let open = |column: &Node| match &column.node {
            Some(NodeEnum::ResTarget(column)) => {
                column.indirection.is_empty() && !(self.is_protected)(&column.name)
            }
            _ => false,
        };
        let source = insert.select_stmt.as_deref().and_then(|source| source.node.as_ref());
        let Some(NodeEnum::SelectStmt(values)) = source else { return };
        if insert.cols.is_empty() || !insert.cols.iter().all(open) || insert.with_clause.is_some() {
            return;
        }
        for row in &values.values_lists {
            if let Some(NodeEnum::List(row)) = &row.node {
                row.items.iter().for_each(|item| self.literal(item));
            }
        }
    }

    /// `literal`, or `column + literal`.
    fn assigned(&mut self, value: Option<&Node>) {
        let Some(value) = value else { return };
        match &value.node {
            Some(NodeEnum::AExpr(sum))
                if is_operator(sum, &["+", "-", "*"]) && self.is_open_column(sum.lexpr.as_deref()) =>
            {
                self.maybe_literal(sum.rexpr.as_deref());
            }
            _ => self.literal(value),
        }
    }

    fn condition(&mut self, condition: Option<&Node>) {
        match condition.and_then(|condition| condition.node.as_ref()) {
            Some(NodeEnum::BoolExpr(all)) => all.args.iter().for_each(|one| self.condition(Some(one))),
            Some(NodeEnum::AExpr(comparison)) => self.comparison(comparison),
            _ => {}
        }
    }

    /// A column beside a literal, or beside a list of them.
    fn comparison(&mut self, comparison: &AExpr) {
        let (left, right) = (comparison.lexpr.as_deref(), comparison.rexpr.as_deref());
        match comparison.kind() {
            AExprKind::AexprOp if is_operator(comparison, COMPARISONS) => {
                if self.is_open_column(left) {
                    self.maybe_literal(right);
                } else if self.is_open_column(right) {
                    self.maybe_literal(left);
                }
            }
            AExprKind::AexprIn | AExprKind::AexprBetween | AExprKind::AexprNotBetween
                if self.is_open_column(left) =>
            {
                if let Some(NodeEnum::List(list)) = right.and_then(|right| right.node.as_ref()) {
                    list.items.iter().for_each(|item| self.literal(item));
                }
            }
            _ => {}
        }
    }

    fn is_open_column(&self, node: Option<&Node>) -> bool {
        let Some(NodeEnum::ColumnRef(ColumnRef { fields, .. })) = node.and_then(|node| node.node.as_ref())
        else {
            return false;
        };
        let name = tree::strings(fields).and_then(|names| names.last().copied());
        name.is_some_and(|name| !(self.is_protected)(name))
    }

    fn maybe_literal(&mut self, node: Option<&Node>) {
        if let Some(node) = node {
            self.literal(node);
        }
    }

    fn literal(&mut self, node: &Node) {
        let Some(NodeEnum::AConst(constant)) = &node.node else { return };
        let Some((kind, start)) = self.written(constant) else { return };
        let literals = self.pattern.literals.iter();
        let found = literals.zip(&mut self.free).find(|(literal, _)| literal.place.start == start);
        if let Some((literal, free)) = found {
            *free |= literal.kind == kind;
        }
    }

    /// What a constant is, and where it is written. A negative number stands where its sign does.
    fn written(&self, constant: &AConst) -> Option<(Kind, usize)> {
        let start = usize::try_from(constant.location).ok()?;
        match constant.val.as_ref()? {
            a_const::Val::Sval(_) => Some((Kind::String, start)),
            a_const::Val::Ival(number) if number.ival >= 0 => Some((Kind::Number, start)),
            a_const::Val::Ival(_) => {
                let rest = self.text.get(start..)?.strip_prefix('-')?;
                let digits = rest.trim_start_matches(' ');
                Some((Kind::Number, self.text.len() - digits.len()))
            }
            _ => None,
        }
    }
}

fn is_operator(expression: &AExpr, symbols: &[&str]) -> bool {
    let known = |name: &str| symbols.contains(&name);
    expression.kind() == AExprKind::AexprOp
        && matches!(tree::strings(&expression.name).as_deref(), Some([name]) if known(name))
}

const COMPARISONS: &[&str] = &["=", "<>", "<", "<=", ">", ">="];
