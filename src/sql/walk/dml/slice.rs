//! Changes of rows behind a filter: through the broker's view, which shows the slice and takes nothing else in.
//!
//! Job: say whether a relation can be changed so, and name the view in its place. Boundary: the view is a fence for
//! conditions (`security_barrier`) and for new rows (`check_option`); both are the server's. Failure mode: a refusal that
//! says what would work.

use pg_query::protobuf::{Alias, RangeSubselect, RangeVar, SubLink, SubLinkType};
use pg_query::{Node, NodeEnum};

use crate::sql::catalog::Relation;
use crate::sql::filter::all;
use crate::sql::protect::{BROKER_SCHEMA, Fence, SOURCE};
use crate::sql::tree;
use crate::sql::walk::{Outcome, Refusal, Walk, refuse, unsupported};

/// What is about to change a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql::walk) enum Change {
    /// INSERT, UPDATE or DELETE, which a view takes.
    Rows,
    /// Anything else.
    Otherwise,
}

impl Walk<'_> {
    /// Refuses a change of filtered rows that no view takes.
    pub(super) fn slice_can_change(&self, relation: &Relation, name: &RangeVar, change: Change) -> Outcome {
        let protection = self.scope.protection;
        if !protection.is_filtered(relation.oid) {
            return Ok(());
        }
        let is_open = matches!(protection.fence(relation.oid), Some(Fence::Open { .. }))
            && protection.straddles(relation.oid).is_none();
        let view = protection.view(relation.oid).filter(|view| view.filters && is_open);
        let has_children = self.scope.catalog.has_children(relation.oid);
        match (view, change) {
            (None, _) if protection.is_walled() => Err(denied(
                relation,
                "rows of this relation can be read and not changed here: change the tables whose rows they are",
            )),
            (None, _) => Err(denied(
                relation,
                "rows of this relation can be read and not changed here; where the operator of this target sets \
                 `objects = true`, INSERT, UPDATE and DELETE change the rows that you see",
            )),
            (Some(_), Change::Otherwise) => Err(denied(
                relation,
                "INSERT without ON CONFLICT, UPDATE and DELETE change the rows that you see",
            )),
            (Some(view), Change::Rows) if !view.present => Err(refuse(
                "mask.objects",
                &format!(
                    "the relation {}, whose filters are computed in a view that is not there,",
                    relation.full_name()
                ),
                "connect again; if that does not help, the operator finds the reason in the broker's log",
            )),
            (Some(_), Change::Rows) if !name.inh && has_children => {
                Err(unsupported(&format!("ONLY {}, whose rows are filtered,", relation.full_name())))
            }
            (Some(_), Change::Rows) => Ok(()),
        }
    }

    /// Names the broker's view instead of the relation, under the name that the statement knows the relation by.
    pub(super) fn through_view(&mut self, relation: &Relation, name: &mut RangeVar) {
        let protection = self.scope.protection;
        let Some(view) = protection.view(relation.oid).filter(|_| protection.is_filtered(relation.oid))
        else {
            return;
        };
        self.fenced = true;
        if name.alias.is_none() {
            name.alias = Some(Alias { aliasname: name.relname.clone(), colnames: Vec::new() });
        }
        BROKER_SCHEMA.clone_into(&mut name.schemaname);
        name.relname.clone_from(&view.name);
        name.inh = true;
    }

    /// Adds the filter to the condition of a change, beside the one that the view has. So a view that is not as it
    /// should be does not let others' rows be changed.
    pub(super) fn within_slice(
        &mut self,
        relation: &Relation,
        name: &RangeVar,
        condition: &mut Option<Box<Node>>,
    ) {
        let protection = self.scope.protection;
        let Some(Fence::Open { condition: filter, .. }) = protection.fence(relation.oid) else { return };
        self.deepened = true;
        let row = name.alias.as_ref().map_or(&name.relname, |alias| &alias.aliasname);
        let read = protection.filtered().find(|table| table.relation == relation.oid);
        let columns: Vec<Node> = read
            .into_iter()
            .flat_map(|table| &table.reads)
            .map(|column| tree::target(column, tree::column(&[row, column])))
            .collect();
        let filter = (**filter).clone();
        let filter = if columns.is_empty() { filter } else { of_row(filter, columns) };
        let own = condition.take().and_then(|node| node.node);
        *condition = tree::boxed(all(own.into_iter().chain([filter]).collect()));
    }
}

/// `(SELECT the condition FROM (SELECT the columns) AS its source)`.
fn of_row(condition: NodeEnum, columns: Vec<Node>) -> NodeEnum {
    let source = NodeEnum::RangeSubselect(Box::new(RangeSubselect {
        lateral: false,
        subquery: tree::boxed(tree::select(columns, Vec::new())),
        alias: Some(Alias { aliasname: SOURCE.into(), colnames: Vec::new() }),
    }));
    let result = NodeEnum::ResTarget(Box::new(pg_query::protobuf::ResTarget {
        val: tree::boxed(condition),
        location: -1,
        ..pg_query::protobuf::ResTarget::default()
    }));
    NodeEnum::SubLink(Box::new(SubLink {
        sub_link_type: SubLinkType::ExprSublink as i32,
        subselect: tree::boxed(tree::select(vec![tree::node(result)], vec![tree::node(source)])),
        location: -1,
        ..SubLink::default()
    }))
}

fn denied(relation: &Relation, hint: &str) -> Refusal {
    refuse("mask.filter", &format!("a change of {}, whose rows are filtered,", relation.full_name()), hint)
}
