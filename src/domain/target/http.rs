//! An HTTP API as a target.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use url::Url;

use super::{OwnPattern, SecretSource};
use crate::domain::mask::Mask;
use crate::domain::name::{GroupName, RuleName};

/// An HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// Where it is: scheme, host, port and a path that every call's path is put behind. No user, query or
    /// fragment. Nothing that a call says changes host or port.
    pub base: Url,
    /// PEM file with the trusted roots of an `https` base; the platform's trust store when absent.
    pub root_certificates: Option<PathBuf>,
    /// Whether it speaks nothing but HTTP/2: without TLS that cannot be asked (RFC 9113 §3.3).
    pub only_http2: bool,
    /// Where the credential of a session comes from.
    pub issuer: HttpIssuer,
    /// What is masked in responses. Empty: bodies are passed on as they are.
    pub masks: Vec<BodyMask>,
    /// Names of detectors whose findings are masked in text.
    pub detectors: BTreeSet<String>,
    /// Patterns of the operator's own, which `detectors` may name.
    pub patterns: Vec<OwnPattern>,
    /// An OpenAPI 3 document that names operations.
    pub openapi: Option<PathBuf>,
    /// The path at which GraphQL is spoken.
    pub graphql: Option<String>,
    /// Query parameters that say how many items a call asks for, and what a call without them gets.
    pub pages: BTreeMap<String, Page>,
    /// The longest response body in bytes, before encoding; a longer one is cut off with an error.
    pub max_response: Option<u64>,
    /// The most items of one response: elements of an array, lines, records, events; what is longer is cut off with an
    /// error.
    pub max_items: Option<u64>,
    /// JSONPath of what is counted in a JSON document: `$.data[*]`. Without one, the elements of the array that a
    /// document is, or of those in the object that it is.
    pub items: Option<String>,
    /// How many connections one session may hold at a time.
    pub max_connections: u16,
}

/// What a page-size parameter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many items a call without the parameter gets; `None` when nobody knows.
    pub default: Option<i64>,
}

/// Where the credential of a session comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpIssuer {
    /// A token of the target's own provider, by the client credentials grant (RFC 6749 §4.4).
    ClientCredentials {
        /// The token endpoint.
        endpoint: Url,
        /// The client.
        client: String,
        /// Its secret.
        secret: SecretSource,
        /// What is asked for.
        scopes: Vec<String>,
        /// `audience`, or `resource` of RFC 8707.
        audience: Option<String>,
    },
    /// A JWT for each session (RFC 9068), signed by the broker, whose JWKS endpoint the API knows.
    Jwt {
        /// The audience.
        audience: String,
        /// The scopes that it carries.
        scopes: Vec<String>,
        /// How long it lasts, in seconds.
        seconds: u64,
    },
    /// A client certificate and its key, each PEM.
    MutualTls {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: SecretSource,
    },
    /// The API asks for none.
    None,
    /// One standing secret for all sessions.
    Static {
        /// Where in a call it goes.
        injection: Injection,
        /// The secret.
        secret: SecretSource,
    },
    /// A token of the target's provider in exchange for one of the broker's (RFC 8693).
    TokenExchange {
        /// The token endpoint.
        endpoint: Url,
        /// The client.
        client: String,
        /// Its secret.
        secret: SecretSource,
        /// What is asked for.
        scopes: Vec<String>,
        /// The audience.
        audience: Option<String>,
    },
}

impl HttpIssuer {
    /// What the ledger calls the credential: its kind, and whose it is.
    #[must_use]
    pub fn login(&self) -> String {
        match self {
            Self::ClientCredentials { client, .. } => format!("client-credentials {client}"),
            Self::Jwt { audience, .. } => format!("jwt {audience}"),
            Self::MutualTls { .. } => "mutual-tls".into(),
            Self::None => "none".into(),
            Self::Static { injection: Injection::Basic { user }, .. } => format!("basic {user}"),
            Self::Static { .. } => "static".into(),
            Self::TokenExchange { client, .. } => format!("token-exchange {client}"),
        }
    }
}

/// Where in a call a secret goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Injection {
    /// `Authorization: Basic …` with this user (RFC 7617).
    Basic {
        /// The user.
        user: String,
    },
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// A cookie.
    Cookie {
        /// Its name.
        name: String,
    },
    /// A header of its own.
    Header {
        /// Its name in lower case.
        name: String,
    },
    /// A parameter of the query.
    Query {
        /// Its name.
        name: String,
    },
}

/// What of a body is masked, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyMask {
    /// The rule's name.
    pub name: RuleName,
    /// JSONPath (RFC 9535) of what is masked: `$..api_key`; of CSV and forms the column or field is the last name.
    pub path: String,
    /// What it turns into.
    pub mask: Mask,
    /// Groups that see the value.
    pub lifted_for: BTreeSet<GroupName>,
}

impl BodyMask {
    /// Whether it binds somebody in these groups.
    #[must_use]
    pub fn binds(&self, groups: &BTreeSet<GroupName>) -> bool {
        self.lifted_for.is_disjoint(groups)
    }
}
