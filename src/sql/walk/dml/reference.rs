//! References to columns of a protected relation that is being changed.

use pg_query::{Node, NodeEnum};

use crate::domain::planted::{Leak, is_planted};
use crate::sql::protect::Template;
use crate::sql::tree;
use crate::sql::walk::{Outcome, Walk, refuse};

impl Walk<'_> {
    /// Replaces a reference to a protected column of the target by its mask, refuses what might be one.
    /// Without a protected target there is nothing to do: whatever else is in sight is already masked.
    pub(in crate::sql::walk) fn target_column(&mut self, node: &mut Node) -> Outcome {
        let Some(target) = &self.target else { return Ok(()) };
        // `schema.table.column`, as some mappers write, is `table.column` where nothing else is in sight
        if self.inside == 0
            && target.alone
            && target.name == target.relation.name
            && let Some(NodeEnum::ColumnRef(reference)) = node.node.as_mut()
        {
            let fields: Vec<&str> = reference.fields.iter().filter_map(tree::as_string).collect();
            if matches!(fields.as_slice(), [schema, table, _]
                if *schema == target.relation.schema && *table == target.name)
            {
                reference.fields.remove(0);
            }
        }
        let Some(NodeEnum::ColumnRef(reference)) = node.node.as_ref() else { return Ok(()) };
        let star =
            reference.fields.last().is_some_and(|field| matches!(field.node, Some(NodeEnum::AStar(_))));
        let fields: Vec<&str> = reference.fields.iter().filter_map(tree::as_string).collect();
        let known = |name: &str| target.relation.column(name);
        let protected = |name: &str| {
            known(name)
                .filter(|column| self.scope.protection.is_protected(target.relation.oid, column.number))
        };
        let divided = self.scope.protection.is_divided(target.relation.oid);
        let system_column = |name: &str| is_system(name) || (name == "tableoid" && divided);
        let ours = |qualifier: &str| qualifier == target.name || is_row_alias(qualifier);
        let column = match (fields.as_slice(), star) {
            ([], true) if self.inside > 0 => return Ok(()),
            ([qualifier], true) if !ours(qualifier) => return Ok(()),
            (_, true) => return Err(whole_row(&target.name)),
            ([name], _) => match protected(name) {
                Some(column) if self.inside == 0 && target.alone => column,
                Some(_) => {
                    return Err(refuse(
                        "mask.write",
                        &format!("the column {name} without its table, while several tables are in sight,"),
                        "write its table before it",
                    ));
                }
                None if system_column(name) => return Err(system(name)),
                None if is_planted(Leak::Row) => return Ok(()),
                None if known(name).is_none() && ours(name) => return Err(whole_row(name)),
                None => return Ok(()),
            },
            ([qualifier, name], _) if ours(qualifier) => match protected(name) {
                Some(column) if *qualifier == target.name => column,
                Some(_) => return Err(whole_row(qualifier)),
                None if system_column(name) => return Err(system(name)),
                None if known(name).is_some() || *name == "tableoid" => return Ok(()),
                None => return Err(whole_row(qualifier)),
            },
            ([_, _], _) => return Ok(()),
            _ => {
                return Err(refuse(
                    "mask.write",
                    "a column with schema and table",
                    "give the table an alias, or write the table alone before the column",
                ));
            }
        };
        if is_planted(Leak::Condition) || (is_planted(Leak::Conflict) && !target.substitute) {
            return Ok(());
        }
        if !target.substitute {
            return Err(refuse(
                "mask.write",
                &format!("the masked column {} in ON CONFLICT", column.name),
                "leave the column out",
            ));
        }
        let (relation, number) = (target.relation.oid, column.number);
        if matches!(self.scope.protection.template(relation, number), Some(Template::Viewed)) {
            return Err(refuse(
                "mask.write",
                &format!("the masked column {} in a statement that changes its table", column.name),
                "find the rows with a subquery and an alias, as in WHERE id IN (SELECT x.id FROM … x WHERE …), and name \
                 the other columns after RETURNING",
            ));
        }
        let (name, column) = (target.name.clone(), column.name.clone());
        node.node = self.mask(relation, number, &name, &column);
        Ok(())
    }
}

/// Names that mean the changed row in RETURNING and ON CONFLICT.
fn is_row_alias(name: &str) -> bool {
    matches!(name, "excluded" | "old" | "new")
}

fn is_system(name: &str) -> bool {
    matches!(name, "ctid" | "xmin" | "xmax" | "cmin" | "cmax")
}

fn system(name: &str) -> crate::sql::walk::Refusal {
    refuse(
        "mask.write",
        &format!("the system column {name} of a relation with masked columns or filtered rows"),
        "use its key",
    )
}

fn whole_row(name: &str) -> crate::sql::walk::Refusal {
    refuse(
        "mask.write",
        &format!("the whole row {name} of a relation with masked columns or filtered rows"),
        "name the columns that you need",
    )
}
