//! COPY.

use pg_query::protobuf::{CopyStmt, RangeVar};
use pg_query::{Node, NodeEnum};

use crate::domain::facts::CopyDirection;
use crate::domain::planted::{Leak, is_planted};
use crate::sql::assess::Effect;
use crate::sql::catalog::Relation;
use crate::sql::tree;
use crate::sql::tree::definition;
use crate::sql::walk::dml::Change;
use crate::sql::walk::{Outcome, Walk, refuse, unsupported};

impl<'a> Walk<'a> {
    pub(super) fn copy(&mut self, copy: &mut CopyStmt) -> Outcome {
        if copy.is_program || !copy.filename.is_empty() {
            return Err(refuse(
                "mask.copy",
                "COPY with a file or program of the server",
                "use STDIN, STDOUT or \\copy",
            ));
        }
        for option in &copy.options {
            let known = definition(option).is_some_and(|option| OPTIONS.contains(&option.defname.as_str()));
            if !known {
                return Err(unsupported("this option of COPY"));
            }
        }
        self.effect = Effect::Copy(if copy.is_from { CopyDirection::In } else { CopyDirection::Out });
        if copy.is_from { self.copy_in(copy) } else { self.copy_out(copy) }
    }

    fn copy_in(&mut self, copy: &mut CopyStmt) -> Outcome {
        self.writes = true;
        let Some(name) = copy.relation.as_mut() else { return Err(unsupported("COPY FROM without a table")) };
        let relation = self.changed_relation(name)?;
        let protected = self.scope.protection.of(relation.oid);
        if protected.is_empty() {
            return self.opt(&mut copy.where_clause);
        }
        if copy.where_clause.is_some() {
            return Err(refuse(
                "mask.copy",
                &format!("COPY … WHERE into {}, which has masked columns,", relation.full_name()),
                "leave WHERE out, and send the rows that are wanted",
            ));
        }
        // new rows only: nothing that is there is read or overwritten
        let named: Vec<&str> = copy.attlist.iter().filter_map(tree::as_string).collect();
        for column in protected {
            if named.is_empty() || named.contains(&column.column.as_str()) {
                self.takes_values(relation, &column.column)?;
            }
        }
        Ok(())
    }

    fn copy_out(&mut self, copy: &mut CopyStmt) -> Outcome {
        if copy.query.is_some() {
            return self.subquery(copy.query.as_deref_mut());
        }
        let Some(name) = copy.relation.as_mut() else { return Err(unsupported("COPY of nothing")) };
        let mut ctes = std::mem::take(&mut self.ctes);
        let outcome = self.read(name);
        self.ctes.append(&mut ctes);
        if let Some(instead) = outcome?
            && !is_planted(Leak::Copy)
        {
            let relation = self.resolve(&mut name.clone())?;
            copy.query = tree::boxed(tree::select(columns(copy, relation), vec![tree::node(instead)]));
            copy.relation = None;
            copy.attlist = Vec::new();
        }
        Ok(())
    }

    /// The relation that a statement changes as a whole.
    pub(super) fn changed_relation(&mut self, name: &mut RangeVar) -> Outcome<&'a Relation> {
        self.changed(name, Change::Otherwise)
    }
}

/// The columns that COPY of a table writes: the ones listed, or all that are not generated.
fn columns(copy: &CopyStmt, relation: &Relation) -> Vec<Node> {
    let target = |name: &str| -> Node {
        tree::node(NodeEnum::ResTarget(Box::new(pg_query::protobuf::ResTarget {
            val: tree::boxed(tree::column(&[name])),
            location: -1,
            ..pg_query::protobuf::ResTarget::default()
        })))
    };
    if copy.attlist.is_empty() {
        relation
            .columns
            .iter()
            .filter(|column| !column.generated)
            .map(|column| target(&column.name))
            .collect()
    } else {
        copy.attlist.iter().filter_map(tree::as_string).map(target).collect()
    }
}

/// Options that change the format only. `encoding` is not one: results are read as UTF-8.
const OPTIONS: &[&str] = &[
    "format",
    "delimiter",
    "null",
    "header",
    "quote",
    "escape",
    "force_quote",
    "force_not_null",
    "force_null",
    "freeze",
    "default",
    "on_error",
    "log_verbosity",
    "reject_limit",
];
