//! The operations of an API, from its OpenAPI 3 document, so that policies can name them.
//!
//! Job: method and path → `operationId`, whether it lists things, and which query parameters say how many. Boundary:
//! JSON only; what is needed of the document is copied, and bounded. Failure mode: an [`OpenApiError`] at
//! configuration time; a call that no operation describes has no name, and policies see that.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::target::{Ambiguous, PathPolicy, Resource};

#[cfg(test)]
mod tests;

/// An API's operations by method and path.
#[derive(Debug, Default)]
pub struct OpenApi {
    root: Node,
    /// The paths under which the API is served, without a slash at the end; the longest first.
    bases: Vec<String>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its `operationId`, or its method and template where it has none.
    pub id: String,
    /// Whether it lists things: `x-hoopctl-listing`, or a parameter for the page's size, or an answer that is an array.
    pub is_listing: bool,
    /// The query parameters that say how many things are asked for.
    pub page_sizes: BTreeSet<String>,
}

/// One segment of templates, and what follows it.
#[derive(Debug, Default)]
struct Node {
    literal: BTreeMap<String, Self>,
    /// Templates by their fixed parts; those with the longest first.
    templated: BTreeMap<(Reverse<usize>, Vec<String>), Self>,
    operations: BTreeMap<String, Operation>,
}

/// A document that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenApiError {
    /// Two operations that the same calls mean.
    #[error("two operations describe the same calls: `{0}`")]
    Ambiguous(String),
    /// It is not JSON.
    #[error("the OpenAPI document is not JSON (convert YAML first)")]
    Json,
    /// Some part does not have the shape it must have.
    #[error("the OpenAPI document is not well formed at `{0}`")]
    Shape(String),
    /// Too many operations, too long.
    #[error("the OpenAPI document is too big")]
    TooBig,
    /// Not version 3.
    #[error("only OpenAPI 3 is read")]
    Version,
}

impl OpenApi {
    /// Reads a document.
    ///
    /// # Errors
    /// When it cannot be read as a whole.
    pub fn parse(document: &[u8]) -> Result<Self, OpenApiError> {
        if document.len() > LONGEST {
            return Err(OpenApiError::TooBig);
        }
        let document: Value = serde_json::from_slice(document).map_err(|_| OpenApiError::Json)?;
        if !document.get("openapi").and_then(Value::as_str).is_some_and(|version| version.starts_with("3.")) {
            return Err(OpenApiError::Version);
        }
        let paths = match document.get("paths") {
            None => &Map::new(),
            Some(paths) => paths.as_object().ok_or_else(|| OpenApiError::Shape("paths".into()))?,
        };
        let mut api = Self { bases: bases(&document), ..Self::default() };
        let mut count = 0;
        for (template, item) in paths.iter().filter(|(template, _)| !template.starts_with("x-")) {
            let shape = || OpenApiError::Shape(template.clone());
            let item = resolve(&document, item).and_then(Value::as_object).ok_or_else(shape)?;
            let segments = segments(template).ok_or_else(shape)?;
            for (method, operation) in item.iter().filter(|(method, _)| METHODS.contains(&method.as_str())) {
                count += 1;
                if count > MOST_OPERATIONS {
                    return Err(OpenApiError::TooBig);
                }
                let method = method.to_ascii_uppercase();
                let described = describe(&document, &method, template, item, operation).ok_or_else(shape)?;
                if api.root.reach(&segments).operations.insert(method, described).is_some() {
                    return Err(OpenApiError::Ambiguous(template.clone()));
                }
            }
        }
        Ok(api)
    }

    /// The operation that a call means: `path` is normalised and begins with the path of the target's base. Where one of
    /// the document's servers lies at that base, above or below it, the document's paths are counted from that server;
    /// otherwise from the base.
    ///
    /// A server may overlook the case of letters and a slash at the end, so both are overlooked where nothing fits to the
    /// letter. What is written out wins over what a template fits (OpenAPI 3.1 §4.8.8.2). HEAD is described by GET where it
    /// is not itself.
    ///
    /// # Errors
    /// [`Unclear`] when the call is another operation for a server that minds case than for one that does not, or in the
    /// paths of two of the document's servers.
    pub fn operation(&self, method: &str, path: &str, base: &str) -> Result<Option<&Operation>, Unclear> {
        let base = base.trim_end_matches('/');
        let is_at = |server: &&String| {
            !server.is_empty() && !base.is_empty() && (is_below(server, base) || is_below(base, server))
        };
        let whole: Vec<&str> = self.bases.iter().filter(is_at).map(String::as_str).collect();
        let (servers, path) = match whole.as_slice() {
            [] => (self.bases.iter().map(String::as_str).collect(), path.strip_prefix(base).unwrap_or(path)),
            _ => (whole, path),
        };
        let mut found: Option<&Operation> = None;
        for server in servers {
            let Some(path) = path.strip_prefix(server).and_then(|path| path.strip_prefix('/')) else {
                continue;
            };
            let mut segments: Vec<&str> = path.split('/').collect();
            let meant = self.root.meant(method, &segments)?;
            let meant = match segments.pop() {
                Some("") if meant.is_none() && !segments.is_empty() => self.root.meant(method, &segments)?,
                _ => meant,
            };
            if let (Some(one), Some(other)) = (found, meant)
                && one != other
            {
                return Err(Unclear);
            }
            found = found.or(meant);
        }
        Ok(found)
    }
}

/// Whether a path is another or below it; neither ends in a slash.
fn is_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A call that means different operations to different servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the path means one operation of the target's OpenAPI document to one server and another to the next"
)]
pub struct Unclear;

impl Node {
    fn reach(&mut self, segments: &[Vec<String>]) -> &mut Self {
        let Some((segment, rest)) = segments.split_first() else { return self };
        let next = match segment.as_slice() {
            [literal] => self.literal.entry(literal.clone()).or_default(),
            _ => {
                let fixed = segment.iter().map(String::len).sum();
                self.templated.entry((Reverse(fixed), segment.clone())).or_default()
            }
        };
        next.reach(rest)
    }

    /// The operation of a path, however its letters are cased, if that is one.
    fn meant(&self, method: &str, segments: &[&str]) -> Result<Option<&Operation>, Unclear> {
        let find = |method: &str| match (
            self.find(method, segments, Case::Counts),
            self.find(method, segments, Case::Overlooked),
        ) {
            (Some(one), Some(other)) if one != other => Err(Unclear),
            (one, other) => Ok(one.or(other)),
        };
        match find(method)? {
            None if method == "HEAD" => find("GET"),
            found => Ok(found),
        }
    }

    /// Each node is looked at once at most, because only one run of segments leads to it.
    fn find(&self, method: &str, segments: &[&str], case: Case) -> Option<&Operation> {
        let Some((segment, rest)) = segments.split_first() else { return self.operations.get(method) };
        let literal = self.literal.get(*segment).and_then(|next| next.find(method, rest, case));
        let folded = || {
            let same = |known: &str| case == Case::Overlooked && known.eq_ignore_ascii_case(segment);
            self.literal
                .iter()
                .filter(|(known, _)| same(known))
                .find_map(|(_, next)| next.find(method, rest, case))
        };
        literal.or_else(folded).or_else(|| {
            let fitting = self.templated.iter().filter(|((_, template), _)| match case {
                Case::Counts => fits(template, segment),
                Case::Overlooked => {
                    let template: Vec<String> =
                        template.iter().map(|part| part.to_ascii_lowercase()).collect();
                    fits(&template, &segment.to_ascii_lowercase())
                }
            });
            fitting.into_iter().find_map(|(_, next)| next.find(method, rest, case))
        })
    }
}

/// Whether upper and lower case are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Counts,
    Overlooked,
}

/// Whether a segment is the fixed parts of a template with something, and no less, between each two.
fn fits(template: &[String], segment: &str) -> bool {
    let [first, middle @ .., last] = template else { return false };
    let Some(mut rest) = segment.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = rest
            .char_indices()
            .skip(1)
            .find_map(|(at, _)| rest.get(at..)?.starts_with(part.as_str()).then_some(at))
        else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.len() > last.len() && rest.ends_with(last.as_str())
}

/// The segments of a template, each as its fixed parts: `a` is `[a]`, `{id}.json` is `["", ".json"]`. Fixed parts are
/// spelled as normalised paths are.
fn segments(template: &str) -> Option<Vec<Vec<String>>> {
    let segments: Vec<&str> = template.strip_prefix('/')?.split('/').collect();
    if segments.len() > MOST_SEGMENTS {
        return None;
    }
    segments.into_iter().map(fixed_parts).collect()
}

fn fixed_parts(segment: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if name.is_empty() || name.contains('{') || before.contains('}') {
            return None;
        }
        parts.push(spelled(before));
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    parts.push(spelled(rest));
    Some(parts)
}

/// A fixed part as a normalised path spells it.
fn spelled(part: &str) -> String {
    const RESERVED: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'[')
        .add(b']')
        .add(b'\\')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    let encoded = percent_encoding::utf8_percent_encode(part, RESERVED).to_string();
    let policy = PathPolicy {
        encoded_slash: Ambiguous::Keep,
        encoded_percent: Ambiguous::Keep,
        ..PathPolicy::default()
    };
    let normal = Resource::parse(&format!("/{encoded}"), policy);
    normal.ok().and_then(|path| path.path().strip_prefix('/').map(Into::into)).unwrap_or(encoded)
}

/// The paths of the document's servers.
fn bases(document: &Value) -> Vec<String> {
    let servers = document.get("servers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut bases: Vec<String> = servers
        .iter()
        .take(MOST_SERVERS)
        .filter_map(|server| server.get("url").and_then(Value::as_str))
        .filter(|url| !url.contains('{'))
        .map(|url| {
            let path = match url.split_once("://") {
                Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
                None => url,
            };
            let path = path.trim_matches('/');
            if path.is_empty() { String::new() } else { format!("/{path}") }
        })
        .collect();
    if bases.is_empty() {
        bases.push(String::new());
    }
    bases.sort_by_key(|base| Reverse(base.len()));
    bases.dedup();
    bases
}

fn describe(
    document: &Value,
    method: &str,
    template: &str,
    item: &Map<String, Value>,
    operation: &Value,
) -> Option<Operation> {
    let operation = operation.as_object()?;
    let id = match operation.get("operationId") {
        None => format!("{method} {template}"),
        Some(id) => id.as_str().filter(|id| !id.is_empty() && id.len() <= LONGEST_ID)?.into(),
    };
    let mut page_sizes = BTreeSet::new();
    for parameters in [item.get("parameters"), operation.get("parameters")].into_iter().flatten() {
        for parameter in parameters.as_array()?.iter().take(MOST_PARAMETERS) {
            let parameter = resolve(document, parameter)?;
            if parameter.get("in").and_then(Value::as_str) != Some("query") {
                continue;
            }
            let name = parameter.get("name").and_then(Value::as_str)?;
            let is_page_size = match parameter.get("x-hoopctl-page-size").and_then(Value::as_bool) {
                Some(marked) => marked,
                None => PAGE_SIZES.contains(&plain(name).as_str()),
            };
            if is_page_size && name.len() <= LONGEST_ID {
                page_sizes.insert(name.to_owned());
            }
        }
    }
    let is_listing = match operation.get("x-hoopctl-listing").and_then(Value::as_bool) {
        Some(marked) => marked,
        None => method == "GET" && (!page_sizes.is_empty() || answers_array(document, operation)),
    };
    Some(Operation { id, is_listing, page_sizes })
}

/// Whether a successful answer is an array.
fn answers_array(document: &Value, operation: &Map<String, Value>) -> bool {
    let responses = operation.get("responses").and_then(Value::as_object);
    let mut successes = responses
        .into_iter()
        .flatten()
        .filter(|(status, _)| status.starts_with('2'))
        .map(|(_, response)| response);
    successes.any(|response| {
        let content = resolve(document, response)
            .and_then(|response| response.get("content"))
            .and_then(Value::as_object);
        content.into_iter().flatten().any(|(_, media)| {
            let schema = media.get("schema").and_then(|schema| resolve(document, schema));
            schema.and_then(|schema| schema.get("type")).and_then(Value::as_str) == Some("array")
        })
    })
}

/// Follows `$ref` within the document.
fn resolve<'a>(document: &'a Value, mut value: &'a Value) -> Option<&'a Value> {
    for _ in 0..LONGEST_CHAIN {
        match value.get("$ref") {
            None => return Some(value),
            Some(reference) => value = document.pointer(reference.as_str()?.strip_prefix('#')?)?,
        }
    }
    None
}

/// A name without what styles differ in.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

const METHODS: &[&str] = &["delete", "get", "head", "options", "patch", "post", "put", "query", "trace"];
const PAGE_SIZES: &[&str] = &[
    "count",
    "first",
    "last",
    "limit",
    "maxresults",
    "pagelimit",
    "pagesize",
    "perpage",
    "size",
    "take",
    "top",
];
const LONGEST: usize = 16 * 1024 * 1024;
const LONGEST_ID: usize = 256;
const LONGEST_CHAIN: usize = 8;
const MOST_OPERATIONS: usize = 10_000;
const MOST_PARAMETERS: usize = 256;
const MOST_SEGMENTS: usize = 64;
const MOST_SERVERS: usize = 64;
