//! What an HTTP call does, as far as its head and body tell.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::AwsFacts;

/// The facts of one HTTP call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFacts {
    /// The method, as RFC 9110 spells it: `GET`.
    pub method: String,
    /// The path: percent-decoded where that changes no meaning, no dot segments, no doubled slashes, no
    /// `;parameters`; exactly what is sent upstream.
    pub path: String,
    /// The names in the query.
    pub query: BTreeSet<String>,
    /// The operation that the target's OpenAPI document names: `getTrace`; of gRPC, service and method:
    /// `package.Service/Method`.
    pub operation: Option<String>,
    /// `query`, `mutation` or `subscription`, of GraphQL.
    pub graphql: Option<String>,
    /// The name that the client gave its GraphQL operation, which says nothing of what it does.
    #[serde(default)]
    pub graphql_name: Option<String>,
    /// GraphQL fields that are selected, `Trace.apiKey`-like dotted paths from the root; top-level members of a JSON body,
    /// fields of a form, as written and in lower case.
    pub fields: BTreeSet<String>,
    /// The headers of the client's that are sent, by name in lower case, without those that every client sends and without
    /// what is secret; the value of a long one is empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The media type of the body, without parameters, in lower case.
    pub content_type: Option<String>,
    /// How many items it asks for, where a page-size parameter of the target says so.
    pub page_size: Option<i64>,
    /// Whether it lists things: an operation that is marked so, or a path that ends in a collection.
    pub listing: bool,
    /// Whether it would become something else than HTTP: `websocket`.
    pub upgrade: Option<String>,
    /// Whether masks of the target meet it for this principal.
    pub touches_masked: bool,
    /// What it does, where it is a call of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Box<AwsFacts>>,
}

impl CallFacts {
    /// Of a call of which no more is known than its method and path.
    #[must_use]
    pub fn unread(method: String, path: String) -> Self {
        Self {
            method,
            path,
            query: BTreeSet::new(),
            operation: None,
            graphql: None,
            graphql_name: None,
            fields: BTreeSet::new(),
            headers: BTreeMap::new(),
            content_type: None,
            page_size: None,
            listing: false,
            upgrade: None,
            touches_masked: false,
            aws: None,
        }
    }

    /// Safe methods of RFC 9110 §9.2.1, apart from TRACE, and GraphQL queries; nothing that becomes a stream of
    /// messages, which nobody judges.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        if self.upgrade.is_some() {
            return false;
        }
        if let Some(aws) = &self.aws {
            return aws.access.is_read_only();
        }
        match self.graphql.as_deref() {
            Some(kind) => kind == "query",
            None => matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS"),
        }
    }

    /// How many bytes of them the client chose.
    #[must_use]
    pub fn length(&self) -> usize {
        let one =
            [&self.operation, &self.graphql_name, &self.content_type, &self.upgrade].into_iter().flatten();
        let names = one.chain(&self.query).chain(&self.fields).map(|name| name.len() + 1);
        let aws = self.aws.as_ref().map_or(0, |aws| aws.length());
        self.method.len() + self.path.len() + names.sum::<usize>() + aws
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change_something_is_not_read_only() {
        let call = |method: &str| CallFacts::unread(method.into(), "/".into());
        assert!(call("GET").is_read_only());
        assert!(!call("POST").is_read_only());
        assert!(CallFacts { graphql: Some("query".into()), ..call("POST") }.is_read_only());
        assert!(!CallFacts { graphql: Some("mutation".into()), ..call("GET") }.is_read_only());
        assert!(!CallFacts { upgrade: Some("websocket".into()), ..call("GET") }.is_read_only());
    }
}
