//! What an unqualified name means: PostgreSQL's search path.

use super::catalog::{Catalog, Relation};
use super::temporary::{TEMPORARY_SCHEMA, Temporary};

/// A search path as it takes effect.
#[derive(Debug, Clone)]
pub(crate) struct Names<'a> {
    catalog: &'a Catalog,
    /// The tables in the temporary schema that the catalog does not know.
    made: Option<&'a Temporary>,
    /// Schemas in the order of search, without the temporary one.
    path: Vec<String>,
    /// The place of the temporary schema in the order for relations and types.
    temporary_at: usize,
}

impl<'a> Names<'a> {
    pub(crate) fn new(
        catalog: &'a Catalog,
        made: &'a Temporary,
        search_path: &[String],
        session_user: &str,
    ) -> Self {
        let mut path: Vec<String> = Vec::new();
        let mut temporary_at = None;
        for element in search_path {
            let name = if element == "$user" { session_user } else { element };
            if name == TEMPORARY_SCHEMA || Some(name) == catalog.temporary_schema() {
                temporary_at.get_or_insert(path.len());
            } else if catalog.schema(name).is_some_and(|schema| schema.usable)
                && !path.iter().any(|known| known == name)
            {
                path.push(name.into());
            }
        }
        if !path.iter().any(|name| name == "pg_catalog") {
            path.insert(0, "pg_catalog".into());
            // pg_catalog goes before everything that is listed, but not before an unlisted pg_temp
            temporary_at = temporary_at.map(|place| place + 1);
        }
        Self { catalog, made: Some(made), path, temporary_at: temporary_at.unwrap_or(0) }
    }

    /// The path of texts that the server wrote with every other name qualified.
    pub(crate) fn catalog_only(catalog: &'a Catalog) -> Self {
        Self { catalog, made: None, path: vec!["pg_catalog".into()], temporary_at: 0 }
    }

    /// The schemas in which functions and operators are looked for; never the temporary one.
    pub(crate) fn path(&self) -> &[String] {
        &self.path
    }

    /// The schemas in which relations and types are looked for.
    fn with_temporary(&self) -> impl Iterator<Item = &str> {
        let (before, after) = self.path.split_at_checked(self.temporary_at).unwrap_or((&self.path, &[]));
        let temporary = self.made.map(|_| TEMPORARY_SCHEMA);
        before.iter().map(String::as_str).chain(temporary).chain(after.iter().map(String::as_str))
    }

    pub(crate) fn relation(&self, schema: &str, name: &str) -> Option<&'a Relation> {
        match schema {
            "" => self.with_temporary().find_map(|schema| self.in_schema(schema, name)),
            _ => self.in_schema(schema, name),
        }
    }

    fn in_schema(&self, schema: &str, name: &str) -> Option<&'a Relation> {
        if schema != TEMPORARY_SCHEMA {
            return self.catalog.relation(schema, name);
        }
        let known = || self.catalog.relation(self.catalog.temporary_schema()?, name);
        self.made?.relation(name).or_else(known)
    }

    /// The schema of a type. Each table is one, too.
    pub(crate) fn type_schema(&self, name: &str) -> Option<&str> {
        self.with_temporary().find(|schema| match *schema {
            TEMPORARY_SCHEMA => {
                let known = self.catalog.temporary_schema();
                self.made.is_some_and(|made| made.relation(name).is_some())
                    || known.is_some_and(|schema| self.catalog.has_type(schema, name))
            }
            _ => self.catalog.has_type(schema, name),
        })
    }

    /// The schema of a collation.
    pub(crate) fn collation_schema(&self, name: &str) -> Option<&str> {
        self.path.iter().map(String::as_str).find(|schema| self.catalog.has_collation(schema, name))
    }
}
