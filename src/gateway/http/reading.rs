//! What a call asks for.
//!
//! Job: refuse what can be read in two ways, make the facts, and the text that people are shown. Boundary:
//! neither judges nor forwards. Failure mode: a [`Problem`]; the API never hears of the call.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};

use super::answer::{Form, Problem};
use super::refusal::{self, Sketch};
use super::shared::{Behind, Shared};
use super::specification::Specification;
use super::terms::Terms;
use super::{door, shown, stream};
use crate::domain::action::Deed;
use crate::domain::facts::CallFacts;
use crate::domain::name::TargetName;
use crate::domain::target::{HttpIssuer, HttpTarget, Injection};
use crate::gateway::aws::{self, Errand};
use crate::gateway::judge::Case;
use crate::wire::http::framing::Fault;
use crate::wire::http::graphql::{self, GraphqlFacts, Page};
use crate::wire::http::head::{self, HeadError};
use crate::wire::http::members;
use crate::wire::http::openapi::Operation;
use crate::wire::http::overrides::{self, Parts};
use crate::wire::http::pages;
use crate::wire::http::target::{self, PathPolicy, RequestTarget, Resource};

/// What a call is read by.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct Ground<'a> {
    /// What the target is called.
    pub(in crate::gateway) name: &'a TargetName,
    pub(in crate::gateway) target: &'a HttpTarget,
    pub(in crate::gateway) specification: &'a Specification,
    pub(in crate::gateway) terms: &'a Arc<Terms>,
}

/// A call that can be judged.
pub(in crate::gateway) struct Reading<B = Incoming> {
    pub(in crate::gateway) method: Method,
    /// Path and query as they are sent.
    pub(in crate::gateway) sent: String,
    pub(in crate::gateway) headers: HeaderMap,
    pub(in crate::gateway) facts: CallFacts,
    /// How it may be shown.
    pub(in crate::gateway) text: String,
    pub(in crate::gateway) body: Arriving<B>,
    /// What applies to its bodies.
    pub(in crate::gateway) terms: Arc<Terms>,
    /// Of a call of AWS: how it is sent.
    pub(in crate::gateway) aws: Option<Box<Errand>>,
}

/// A request's body.
pub(in crate::gateway) enum Arriving<B = Incoming> {
    /// There is none.
    Empty,
    /// It passes by.
    Stream(B),
    /// It was read to be judged.
    Whole(Bytes),
}

/// How much of a body is read to be judged or reviewed.
pub(in crate::gateway) const LONGEST: usize = 4 * 1024 * 1024;

impl Reading {
    /// Reads a call that has the session's secret; one that is refused is entered.
    pub(in crate::gateway) async fn admit(
        shared: &Shared,
        request: Request<Incoming>,
    ) -> Result<Self, Problem> {
        let sketch = Sketch::of(&request);
        match Self::screen(shared, request).await {
            Ok(reading) => Ok(reading),
            Err(problem) => Err(refusal::enter(shared, &sketch, problem).await),
        }
    }

    async fn screen(shared: &Shared, mut request: Request<Incoming>) -> Result<Self, Problem> {
        if let Some(fault) = request.extensions().get::<Fault>() {
            return Err(Problem::unclear(fault.to_string()));
        }
        let api = match &shared.behind {
            Behind::Account(account) => return account.read(&shared.context, request).await,
            Behind::Api(api) => api,
        };
        if !door::is_open(request.headers(), &shared.context.secret) {
            // in HTTP/2 every call says where it goes
            let is_proxied = request.version() < Version::HTTP_2 && request.uri().authority().is_some();
            return Err(Problem::closed(is_proxied));
        }
        if let Some(why) = &api.fault {
            return Err(Problem::unmaskable(why));
        }
        stream::flatten(&mut request)?;
        Self::of(api.ground(&shared.context), request).await
    }

    /// The whole body, before a review; a call that is too long for one is entered.
    pub(in crate::gateway) async fn gather_for_review(&mut self, shared: &Shared) -> Result<(), Problem> {
        let sketch = Sketch::of_reading(self);
        let gathered = match &self.aws {
            Some(_) => aws::gather(self).await,
            None => self.gather().await.map(|_| ()),
        };
        match gathered {
            Ok(()) => Ok(()),
            Err(problem) => Err(refusal::enter(shared, &sketch, problem).await),
        }
    }

    /// As the gate is asked. What waits for a review is shown as a whole.
    pub(in crate::gateway) fn case(&self, may_wait: bool) -> Case {
        let headers = shown::headers(&self.headers);
        let content_type = self.facts.content_type.clone();
        Case {
            protocol: if self.aws.is_some() { "aws" } else { "http" },
            deed: Deed::Call(self.facts.clone()),
            text: self.text.clone(),
            sent: may_wait.then(|| shown::sent(self, &headers)),
            exact: shown::exact(self, &headers),
            settings: content_type.map(|value| ("content-type".to_owned(), value)).into_iter().collect(),
        }
    }
}

impl<B> Reading<B>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    /// Reads a call up to the end of its head, and its body where that tells what it does.
    pub(in crate::gateway) async fn of(ground: Ground<'_>, request: Request<B>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let unclear = |error: HeadError| Problem::unclear(error.to_string());
        let headers = parts.headers;
        head::check_framing(&headers).map_err(unclear)?;
        head::check_overrides(&headers).map_err(unclear)?;
        let called = parts
            .uri
            .authority()
            .map(|authority| authority.as_str().to_owned())
            .or_else(|| headers.get(HOST).and_then(|host| host.to_str().ok()).map(ToOwned::to_owned));
        let places =
            [called.as_deref().unwrap_or_default(), &place(&ground.target.base), ground.name.as_str()];
        head::check_origin(&headers, &places).map_err(unclear)?;
        if headers.get_all(HOST).iter().count() > 1 {
            return Err(Problem::unclear("more than one `Host`"));
        }
        let method = parts.method;
        if method == Method::CONNECT || !method.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
        {
            return Err(Problem::unclear(format!("the method `{method}` cannot be judged")));
        }
        let resource = resource(ground, &method, &parts.uri)?;
        if let HttpIssuer::Static { injection: Injection::Query { name }, .. } = &ground.target.issuer
            && resource.names().contains(&target::folded(name))
        {
            return Err(Problem::unclear(format!("the query has a field `{name}` of its own")));
        }
        if ground.terms.masks.is_some() {
            head::check_conditions(&method, &headers).map_err(unclear)?;
        }
        check_names(&resource.names())?;
        if ground.target.issuer != HttpIssuer::None && resource.names().contains(ACCESS_TOKEN) {
            return Err(Problem::unclear(format!("the query has an `{ACCESS_TOKEN}` of its own")));
        }
        let upgrade = head::upgrade(&headers);
        let content_type = media_type(&headers)?;
        let body = if body.is_end_stream() { Arriving::Empty } else { Arriving::Stream(body) };
        let masked = ground.terms.masks.is_some();
        let mut reading = Self {
            facts: CallFacts {
                method: method.as_str().to_owned(),
                path: resource.path().to_owned(),
                query: resource.names(),
                operation: None,
                graphql: None,
                graphql_name: None,
                fields: BTreeSet::new(),
                headers: shown::facts(&headers),
                content_type,
                page_size: None,
                listing: false,
                upgrade,
                touches_masked: masked,
                aws: None,
            },
            text: text(ground, &method, &resource),
            method,
            sent: resource.to_string(),
            headers,
            body,
            terms: Arc::clone(ground.terms),
            aws: None,
        };
        reading.look_inside(ground, &resource).await?;
        Ok(reading)
    }

    /// The body, read as a whole.
    pub(in crate::gateway) async fn gather(&mut self) -> Result<&Bytes, Problem> {
        static NOTHING: Bytes = Bytes::new();
        if let Arriving::Stream(body) = &mut self.body {
            let gathered = whole(body, LONGEST).await?;
            if self.parts().is_some_and(|mut parts| parts.feed(&gathered) || parts.finish()) {
                return Err(Problem::unclear(PART_OVERRIDE));
            }
            self.body = Arriving::Whole(gathered);
        }
        Ok(match &self.body {
            Arriving::Whole(body) => body,
            Arriving::Empty | Arriving::Stream(_) => &NOTHING,
        })
    }

    /// What looks at the parts of its body, where that has some.
    pub(in crate::gateway) fn parts(&self) -> Option<Parts> {
        self.facts
            .content_type
            .as_deref()
            .is_some_and(|media| media.starts_with("multipart/"))
            .then(Parts::default)
    }

    async fn look_inside(&mut self, ground: Ground<'_>, resource: &Resource) -> Result<(), Problem> {
        let operation = operation(ground, self.method.as_str(), resource)?.cloned();
        self.facts.page_size = page_size(ground.target, operation.as_ref(), resource);
        self.facts.listing = match &operation {
            Some(operation) => operation.is_listing,
            None => is_collection(ground.target, self.method.as_str(), resource),
        };
        self.facts.operation = operation.map(|operation| operation.id);
        if self.facts.operation.is_none() && Form::of(&self.headers) == Form::Grpc {
            let path = below_base(ground, resource.path());
            self.facts.operation = Some(path.trim_start_matches('/').to_owned());
        }
        if ground.target.graphql.as_deref().is_some_and(|path| is_at(ground, path, resource)) {
            let asked = self.graphql(resource).await?;
            if let Some(masks) = &ground.terms.masks
                && let Some(name) = masks.names().find(|name| asked.renamed.contains(*name))
            {
                return Err(Problem::unclear(format!("an alias for the masked field `{name}`")));
            }
            // the client invents it: it is no operation of the document's
            self.facts.graphql_name = asked.name;
            self.facts.graphql = Some(asked.kind.as_str().to_owned());
            self.facts.listing |= asked.page != Page::None;
            self.facts.page_size = match asked.page {
                Page::None => self.facts.page_size,
                Page::Size(size) => Some(size),
                Page::Unknown => None,
            };
            self.facts.fields = asked.fields;
        } else if self.facts.content_type.as_deref().is_some_and(is_json) {
            let body = self.gather().await?;
            if !body.is_empty() {
                let names = members::of_json(body);
                self.facts.fields = names.map_err(|_| Problem::unclear("its body is not JSON"))?;
            }
        } else if self.facts.content_type.as_deref() == Some(FORM) {
            let names = members::of_form(self.gather().await?);
            self.facts.fields = names.map_err(|_| Problem::unclear("its form is not UTF-8"))?;
            check_names(&self.facts.fields)?;
        }
        Ok(())
    }

    async fn graphql(&mut self, resource: &Resource) -> Result<GraphqlFacts, Problem> {
        let unjudged = |error: graphql::GraphqlError| Problem::unclear(error.to_string());
        if matches!(self.method, Method::GET | Method::HEAD) {
            if !self.gather().await?.is_empty() {
                return Err(Problem::unclear("a GraphQL query in the address and a body beside it"));
            }
            return graphql::of_query(resource).map_err(unjudged);
        }
        // servers disagree about which counts
        if self.facts.query.iter().any(|name| GRAPHQL.contains(&name.as_str())) {
            return Err(Problem::unclear("a GraphQL query in the address and a body beside it"));
        }
        match self.facts.content_type.clone().as_deref() {
            Some("application/graphql") => {
                let body = self.gather().await?;
                let document = std::str::from_utf8(body).map_err(|_| Problem::unclear("it is not UTF-8"))?;
                graphql::of_document(document).map_err(unjudged)
            }
            Some(json) if is_json(json) => graphql::of_body(self.gather().await?).map_err(unjudged),
            _ => Err(Problem::unclear("a GraphQL request is `application/json` or `application/graphql`")),
        }
    }
}

/// Reads a body of at most so many bytes.
pub(in crate::gateway) async fn whole<B>(body: &mut B, most: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::unclear(format!("the body ended early: {error}")))?;
        if let Some(piece) = frame.data_ref() {
            if gathered.len() + piece.len() > most {
                let why = format!("its body is longer than the {most} bytes that are read to judge it");
                return Err(Problem::too_long(why));
            }
            gathered.extend_from_slice(piece);
        }
    }
    Ok(gathered.freeze())
}

/// The path and query that are sent: the client's, behind the base's path.
fn resource(ground: Ground<'_>, method: &Method, uri: &Uri) -> Result<Resource, Problem> {
    let base = &ground.target.base;
    let written = uri.to_string();
    let read = RequestTarget::parse(method.as_str(), &written, PathPolicy::default());
    let (resource, is_full) = match read.map_err(|error| Problem::unclear(error.to_string()))? {
        RequestTarget::Origin(resource) => (resource, false),
        RequestTarget::Absolute { scheme, authority, resource } => {
            let by_name = authority == ground.name.as_str().to_ascii_lowercase();
            if !by_name && !is_base(base, &scheme, &authority) {
                let why =
                    format!("the call is for `{authority}`, and this session reaches {} only", place(base));
                return Err(Problem::elsewhere(why));
            }
            (resource, !by_name)
        }
        RequestTarget::Asterisk | RequestTarget::Authority(_) => {
            return Err(Problem::unclear("the call names no path"));
        }
    };
    let prefix = base.path().trim_end_matches('/');
    if prefix.is_empty() {
        return Ok(resource);
    }
    if is_full {
        let inside = resource.path().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        let why = || Problem::elsewhere(format!("this session reaches what is below {base} only"));
        return if inside { Ok(resource) } else { Err(why()) };
    }
    let joined = Resource::parse(&format!("{prefix}{resource}"), PathPolicy::default());
    joined.map_err(|error| Problem::unclear(error.to_string()))
}

/// Refuses fields that stand for another method.
fn check_names(names: &BTreeSet<String>) -> Result<(), Problem> {
    match names.iter().find(|name| overrides::is_override(name)) {
        Some(name) => Err(Problem::unclear(format!("the field `{name}` asks for another method"))),
        None => Ok(()),
    }
}

/// Host and port of the base, as `Host` has them.
pub(in crate::gateway) fn place(base: &url::Url) -> String {
    let host = base.host_str().unwrap_or_default();
    base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_base(base: &url::Url, scheme: &str, authority: &str) -> bool {
    let (host, port) =
        (base.host_str().unwrap_or_default(), base.port_or_known_default().unwrap_or_default());
    let usual = if scheme == "https" { 443 } else { 80 };
    authority == format!("{host}:{port}") || (authority == host && (port == usual || base.port().is_none()))
}

fn media_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Problem::unclear("more than one `Content-Type`"));
    }
    let Some(value) = first else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::unclear("a `Content-Type` that is not text"))?;
    let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // a server that heeds it would read other members than we
    if (is_json(&media) || media == "application/graphql") && !members::is_utf8(text) {
        return Err(Problem::unclear("its body is in another charset than UTF-8"));
    }
    Ok(Some(media))
}

pub(in crate::gateway) fn is_json(media: &str) -> bool {
    matches!(media, "application/json" | "text/json") || media.ends_with("+json")
}

/// The path without the base's.
fn below_base<'a>(ground: Ground<'_>, path: &'a str) -> &'a str {
    path.strip_prefix(ground.target.base.path().trim_end_matches('/')).unwrap_or(path)
}

fn is_at(ground: Ground<'_>, place: &str, resource: &Resource) -> bool {
    let path = resource.path().trim_end_matches('/');
    let place = place.trim_end_matches('/');
    // what a server that minds no case would take for it is judged as if it were
    path.eq_ignore_ascii_case(place) || below_base(ground, path).eq_ignore_ascii_case(place)
}

fn operation<'a>(
    ground: Ground<'a>,
    method: &str,
    resource: &Resource,
) -> Result<Option<&'a Operation>, Problem> {
    let Specification::Read(api) = ground.specification else { return Ok(None) };
    let meant = api.operation(method, resource.path(), ground.target.base.path());
    meant.map_err(|unclear| Problem::unclear(unclear.to_string()))
}

fn page_size(target: &HttpTarget, operation: Option<&Operation>, resource: &Resource) -> Option<i64> {
    let of_operation = operation.into_iter().flat_map(|operation| &operation.page_sizes);
    let names = target.pages.keys().chain(of_operation).map(String::as_str);
    pages::size(resource, names, target.pages.values().filter_map(|page| page.default).max())
}

/// Without a document that says so: a GET whose path ends in a plural, or that asks for pages.
fn is_collection(target: &HttpTarget, method: &str, resource: &Resource) -> bool {
    let names = target.pages.keys().map(String::as_str);
    matches!(method, "GET" | "HEAD") && (pages::is_plural(resource) || pages::is_asked(resource, names))
}

/// Method, path and query, with values only where they tell nothing that is protected.
fn text(ground: Ground<'_>, method: &Method, resource: &Resource) -> String {
    let mut text = format!("{method} {}", resource.path());
    for (at, field) in resource.query().unwrap_or_default().split('&').enumerate() {
        if field.is_empty() {
            continue;
        }
        text.push(if at == 0 { '?' } else { '&' });
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        text.push_str(name);
        if !value.is_empty() {
            text.push('=');
            text.push_str(if is_harmless(ground, name, value) { value } else { "[redacted]" });
        }
    }
    text
}

fn is_harmless(ground: Ground<'_>, name: &str, value: &str) -> bool {
    if head::is_secret_name(name) || value.len() > 256 {
        return false;
    }
    match &ground.terms.masks {
        None => true,
        Some(masks) => {
            let number = value.len() <= 6 && value.bytes().all(|byte| byte.is_ascii_digit());
            let protected = masks.names().any(|masked| masked.eq_ignore_ascii_case(name));
            !protected && (number || matches!(value, "true" | "false" | "asc" | "desc"))
        }
    }
}

/// Why a body with such a part is not sent.
pub(in crate::gateway) const PART_OVERRIDE: &str = "a part of its body asks for another method";
/// The field of a query that holds a credential (RFC 6750 §2.3).
const ACCESS_TOKEN: &str = "access_token";
pub(in crate::gateway) const FORM: &str = "application/x-www-form-urlencoded";
const GRAPHQL: &[&str] = &["query", "operationName", "variables", "extensions"];
