//! Row filters resolved to relations.

use super::{Protection, ProtectionError};
use crate::domain::filter::BoundFilter;
use crate::domain::name::RuleName;
use crate::sql::catalog::Catalog;
use crate::sql::filter::FilterError;

/// One relation whose rows are filtered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilteredTable {
    /// The relation's schema.
    pub schema: String,
    /// The relation.
    pub table: String,
    /// The relation's OID.
    pub relation: u32,
    /// The filters, in the order in which they are configured.
    pub filters: Vec<RuleName>,
    /// The columns that their predicates read, so that the role needs the privilege.
    pub reads: Vec<String>,
    /// Why it is filtered although no filter names it, or why it cannot be read at all.
    pub note: Option<String>,
}

impl Protection {
    /// The relations whose rows are filtered.
    pub fn filtered(&self) -> impl Iterator<Item = &FilteredTable> {
        self.filtered.iter()
    }

    pub(super) fn fence(
        &mut self,
        catalog: &Catalog,
        filters: &[BoundFilter],
    ) -> Result<(), ProtectionError> {
        for relation in catalog.relations() {
            let mut matching = filters.iter();
            if let Some(filter) = matching.find(|filter| filter.table.matches(&relation.schema, &relation.name))
            {
                return Err(ProtectionError::Filter {
                    filter: filter.name.clone(),
                    table: relation.full_name(),
                    reason: FilterError::Unsupported("a row filter".into()),
                });
            }
        }
        Ok(())
    }
}
