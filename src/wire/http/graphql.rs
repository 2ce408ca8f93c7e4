//! What a GraphQL request asks for.
//!
//! Job: the operation's kind and name, and the fields it selects as dotted paths, with aliases resolved and fragments
//! expanded. Boundary: no schema; directives change nothing here (a field that `@skip` may leave out
//! counts), and arguments and variables only how many things are asked for. Failure mode: [`GraphqlError`] for whatever a server might
//! read another way, for persisted queries (whose text is elsewhere), and for what is too big.

use std::collections::{BTreeMap, BTreeSet};

use apollo_parser::Parser;
use apollo_parser::cst::{
    Arguments, CstNode as _, Definition, FragmentDefinition, Name, OperationDefinition, Selection,
    SelectionSet, Value,
};
use serde::Deserialize;

use super::target::Resource;

#[cfg(test)]
mod tests;

/// What one request, or one batch of requests, asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphqlFacts {
    /// The gravest kind of operation in it.
    pub kind: GraphqlKind,
    /// The operation's name; `None` for a batch of several names.
    pub name: Option<String>,
    /// The fields, each a path from the root by its own name: `trace.steps.apiKey`.
    pub fields: BTreeSet<String>,
    /// The fields that get another name in the answer, by their own name. Where one of these is a name in a mask's path
    /// (`DocumentPlan::names`), the mask would not find it: such a request must be refused.
    pub renamed: BTreeSet<String>,
    /// How many things it asks for, where an argument says so (`first`, `limit` …).
    pub page: Page,
}

/// How many things are asked for in the arguments of fields; the largest, and what is not known is more than any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Page {
    /// No argument says.
    #[default]
    None,
    /// So many.
    Size(i64),
    /// It cannot be told.
    Unknown,
}

/// The kinds of operations; the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GraphqlKind {
    /// Reads.
    Query,
    /// Reads on.
    Subscription,
    /// Changes.
    Mutation,
}

impl GraphqlKind {
    /// The name in facts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutation => "mutation",
            Self::Query => "query",
            Self::Subscription => "subscription",
        }
    }
}

/// Why a request cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GraphqlError {
    /// The body is no request: no JSON, a member twice or unknown.
    #[error("the body is not a GraphQL request")]
    Body,
    /// A fragment that contains itself, or that is missing or there twice.
    #[error("the GraphQL document's fragments do not fit together")]
    Fragments,
    /// Not one operation that is meant.
    #[error("the GraphQL document does not say which of its operations is meant")]
    Operation,
    /// The text of the query is not in the request.
    #[error("the GraphQL request names a persisted query, whose text is not known here")]
    Persisted,
    /// It is not GraphQL.
    #[error("the GraphQL document cannot be parsed")]
    Syntax,
    /// Too long, too deep, too many fields.
    #[error("the GraphQL document is too big to be judged")]
    TooBig,
}

/// Reads a body of `application/json`.
///
/// # Errors
/// When it cannot be judged.
pub fn of_body(body: &[u8]) -> Result<GraphqlFacts, GraphqlError> {
    if body.len() > LONGEST_BODY {
        return Err(GraphqlError::TooBig);
    }
    let mut requests = match body.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice::<Vec<Request>>(body),
        _ => serde_json::from_slice(body).map(|request| vec![request]),
    }
    .map_err(|_| GraphqlError::Body)?
    .into_iter();
    let mut budget = BUDGET;
    let mut facts = requests.next().ok_or(GraphqlError::Body)?.facts(&mut budget)?;
    for request in requests {
        let more = request.facts(&mut budget)?;
        facts.kind = facts.kind.max(more.kind);
        facts.name = facts.name.filter(|name| Some(name) == more.name.as_ref());
        facts.fields.extend(more.fields);
        facts.renamed.extend(more.renamed);
        facts.page = facts.page.max(more.page);
    }
    Ok(facts)
}

/// Reads the query of a GET request.
///
/// # Errors
/// When it cannot be judged.
pub fn of_query(resource: &Resource) -> Result<GraphqlFacts, GraphqlError> {
    let mut request = Request { query: None, operation_name: None, variables: None, extensions: None };
    // a server that separates with `;` as well must not see other fields than we
    if resource.query().is_some_and(|query| query.contains(';')) {
        return Err(GraphqlError::Body);
    }
    for (name, value) in resource.fields() {
        let place = match name.as_str() {
            "query" => &mut request.query,
            "operationName" => &mut request.operation_name,
            "extensions" => {
                let extensions = serde_json::from_str(&value).map_err(|_| GraphqlError::Body)?;
                match request.extensions.replace(extensions) {
                    None => continue,
                    Some(_) => return Err(GraphqlError::Body),
                }
            }
            "variables" => {
                let variables = serde_json::from_str(&value).map_err(|_| GraphqlError::Body)?;
                match request.variables.replace(variables) {
                    None => continue,
                    Some(_) => return Err(GraphqlError::Body),
                }
            }
            _ => return Err(GraphqlError::Body),
        };
        if place.replace(value).is_some() {
            return Err(GraphqlError::Body);
        }
    }
    request.facts(&mut BUDGET.clone())
}

/// Reads a body of `application/graphql`: the document itself.
///
/// # Errors
/// When it cannot be judged.
pub fn of_document(document: &str) -> Result<GraphqlFacts, GraphqlError> {
    judge(document, None, None, &mut BUDGET.clone())
}

/// A member that occurs twice, or that is not known, is an error: servers disagree about which counts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    query: Option<String>,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
    variables: Option<serde_json::Value>,
    extensions: Option<serde_json::Value>,
}

impl Request {
    fn facts(self, budget: &mut usize) -> Result<GraphqlFacts, GraphqlError> {
        let persisted = self.extensions.is_some_and(|extensions| extensions.get("persistedQuery").is_some());
        let query = self.query.filter(|_| !persisted).ok_or(GraphqlError::Persisted)?;
        let wanted = self.operation_name.as_deref().filter(|name| !name.is_empty());
        judge(&query, wanted, self.variables.as_ref(), budget)
    }
}

fn judge(
    document: &str,
    wanted: Option<&str>,
    variables: Option<&serde_json::Value>,
    budget: &mut usize,
) -> Result<GraphqlFacts, GraphqlError> {
    if document.len() > LONGEST_DOCUMENT {
        return Err(GraphqlError::TooBig);
    }
    let tree = Parser::new(document).recursion_limit(DEEPEST).token_limit(MOST_TOKENS).parse();
    // the parser goes on after an error; a server would not
    if tree.errors().len() > 0 {
        return Err(GraphqlError::Syntax);
    }
    let mut operations: Vec<OperationDefinition> = Vec::new();
    let mut fragments = BTreeMap::new();
    for definition in tree.document().definitions() {
        match definition {
            Definition::OperationDefinition(operation) => operations.push(operation),
            Definition::FragmentDefinition(fragment) => {
                let name =
                    fragment.fragment_name().and_then(|name| name.name()).ok_or(GraphqlError::Syntax)?;
                if fragments.insert(text(&name), fragment).is_some() {
                    return Err(GraphqlError::Fragments);
                }
            }
            _ => return Err(GraphqlError::Syntax),
        }
    }
    let name = |operation: &OperationDefinition| operation.name().map(|name| text(&name));
    let mut meant =
        operations.iter().filter(|operation| wanted.is_none() || name(operation).as_deref() == wanted);
    let (Some(operation), None) = (meant.next(), meant.next()) else { return Err(GraphqlError::Operation) };
    let kind = match operation.operation_type() {
        None => GraphqlKind::Query,
        Some(kind) if kind.query_token().is_some() => GraphqlKind::Query,
        Some(kind) if kind.subscription_token().is_some() => GraphqlKind::Subscription,
        Some(_) => GraphqlKind::Mutation,
    };
    let mut walk = Walk {
        fragments: &fragments,
        open: Vec::new(),
        fields: BTreeSet::new(),
        renamed: BTreeSet::new(),
        page: Page::None,
        variables,
        budget,
    };
    walk.set(&operation.selection_set().ok_or(GraphqlError::Syntax)?, "", 0)?;
    let Walk { fields, renamed, page, .. } = walk;
    Ok(GraphqlFacts { kind, name: name(operation), fields, renamed, page })
}

struct Walk<'a> {
    fragments: &'a BTreeMap<String, FragmentDefinition>,
    /// The fragments that are being expanded, which must not occur again.
    open: Vec<String>,
    fields: BTreeSet<String>,
    renamed: BTreeSet<String>,
    page: Page,
    variables: Option<&'a serde_json::Value>,
    /// How many bytes of paths may still be written.
    budget: &'a mut usize,
}

impl Walk<'_> {
    /// How many things the arguments of a field ask for.
    fn asked(&self, arguments: Option<Arguments>) -> Result<Page, GraphqlError> {
        let mut page = Page::None;
        for argument in arguments.into_iter().flat_map(|arguments| arguments.arguments()) {
            let name =
                text(&argument.name().ok_or(GraphqlError::Syntax)?).to_ascii_lowercase().replace('_', "");
            if !PAGES.contains(&name.as_str()) {
                continue;
            }
            let size = match argument.value().ok_or(GraphqlError::Syntax)? {
                Value::IntValue(size) => size.source_string().trim().parse().ok(),
                Value::Variable(variable) => {
                    let name = text(&variable.name().ok_or(GraphqlError::Syntax)?);
                    self.variables.and_then(|variables| variables.get(&name)?.as_i64())
                }
                _ => None,
            };
            page = page.max(size.filter(|size| *size > 0).map_or(Page::Unknown, Page::Size));
        }
        Ok(page)
    }

    fn set(&mut self, set: &SelectionSet, path: &str, depth: usize) -> Result<(), GraphqlError> {
        if depth > DEEPEST {
            return Err(GraphqlError::TooBig);
        }
        for selection in set.selections() {
            *self.budget = self.budget.checked_sub(1).ok_or(GraphqlError::TooBig)?;
            match selection {
                Selection::Field(field) => {
                    let name = text(&field.name().ok_or(GraphqlError::Syntax)?);
                    if let Some(alias) = field.alias() {
                        let alias = alias.name().ok_or(GraphqlError::Syntax)?;
                        if text(&alias) != name {
                            self.renamed.insert(name.clone());
                        }
                    }
                    self.page = self.page.max(self.asked(field.arguments())?);
                    let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                    *self.budget = self.budget.checked_sub(path.len()).ok_or(GraphqlError::TooBig)?;
                    if let Some(below) = field.selection_set() {
                        self.set(&below, &path, depth + 1)?;
                    }
                    self.fields.insert(path);
                }
                Selection::FragmentSpread(spread) => {
                    let name = text(
                        &spread.fragment_name().and_then(|name| name.name()).ok_or(GraphqlError::Syntax)?,
                    );
                    let fragment = self.fragments.get(&name).ok_or(GraphqlError::Fragments)?;
                    if self.open.contains(&name) {
                        return Err(GraphqlError::Fragments);
                    }
                    self.open.push(name);
                    self.set(&fragment.selection_set().ok_or(GraphqlError::Syntax)?, path, depth + 1)?;
                    self.open.pop();
                }
                Selection::InlineFragment(fragment) => {
                    self.set(&fragment.selection_set().ok_or(GraphqlError::Syntax)?, path, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

fn text(name: &Name) -> String {
    name.source_string().trim().to_owned()
}

/// Arguments that say how many, in lower case and without `_`.
const PAGES: &[&str] =
    &["count", "first", "last", "limit", "max", "maxresults", "pagesize", "perpage", "size", "take", "top"];
const LONGEST_BODY: usize = 1024 * 1024;
const LONGEST_DOCUMENT: usize = 256 * 1024;
const MOST_TOKENS: usize = 50_000;
const DEEPEST: usize = 64;
/// Bytes of paths, and selections, in one request with its fragments expanded.
const BUDGET: usize = 1024 * 1024;
