//! What an unqualified name means: PostgreSQL's search path.

use super::catalog::{Catalog, Relation};

/// A search path as it takes effect.
#[derive(Debug, Clone)]
pub(crate) struct Names<'a> {
    catalog: &'a Catalog,
    /// Schemas in the order of search, without the temporary one.
    path: Vec<String>,
    /// The temporary schema, and its place in the order for relations and types.
    temporary: Option<(String, usize)>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(catalog: &'a Catalog, search_path: &[String], session_user: &str) -> Self {
        let mut path: Vec<String> = Vec::new();
        let mut temporary_at = None;
        for element in search_path {
            let name = if element == "$user" { session_user } else { element };
            if name == "pg_temp" || Some(name) == catalog.temporary_schema() {
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
        let temporary = catalog.temporary_schema().map(|name| (name.to_owned(), temporary_at.unwrap_or(0)));
        Self { catalog, path, temporary }
    }

    /// The path of texts that the server wrote with every other name qualified.
    pub(crate) fn catalog_only(catalog: &'a Catalog) -> Self {
        Self { catalog, path: vec!["pg_catalog".into()], temporary: None }
    }

    /// The schemas in which functions and operators are looked for; never the temporary one.
    pub(crate) fn path(&self) -> &[String] {
        &self.path
    }

    /// The schemas in which relations and types are looked for.
    fn with_temporary(&self) -> impl Iterator<Item = &str> {
        let place = self.temporary.as_ref().map_or(0, |(_, place)| *place);
        let (before, after) = self.path.split_at_checked(place).unwrap_or((&self.path, &[]));
        let temporary = self.temporary.as_ref().map(|(name, _)| name);
        before.iter().chain(temporary).chain(after).map(String::as_str)
    }

    pub(crate) fn relation(&self, schema: &str, name: &str) -> Option<&'a Relation> {
        match schema {
            "" => self.with_temporary().find_map(|schema| self.catalog.relation(schema, name)),
            "pg_temp" => self.catalog.relation(self.catalog.temporary_schema()?, name),
            _ => self.catalog.relation(schema, name),
        }
    }

    /// The schema of a type.
    pub(crate) fn type_schema(&self, name: &str) -> Option<&str> {
        self.with_temporary().find(|schema| self.catalog.has_type(schema, name))
    }

    /// The schema of a collation.
    pub(crate) fn collation_schema(&self, name: &str) -> Option<&str> {
        self.path.iter().map(String::as_str).find(|schema| self.catalog.has_collation(schema, name))
    }
}
