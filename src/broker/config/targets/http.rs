//! The keys of a target that is an HTTP API.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use http::HeaderName;
use url::Url;

use super::{detectors, is_loopback, known_group, secret};
use crate::broker::config::reader::Section;
use crate::domain::mask::Mask;
use crate::domain::name::{GroupName, RuleName};
use crate::domain::target::{BodyMask, HttpIssuer, HttpTarget, Injection, Page};
use crate::mask::document::{DocumentPath, DocumentPlan, DocumentRule, KeyCase};
use crate::wire::http::openapi::OpenApi;

/// Reads the keys of a target that is an API.
pub(super) fn read(
    section: &Section<'_, '_>,
    groups: &BTreeSet<GroupName>,
    base_dir: &Path,
) -> Option<HttpTarget> {
    let plaintext = section.flag("plaintext").unwrap_or(false);
    let base = section.required_parsed("base", |text| base(text, plaintext));
    let root_certificates = section.text("root_certificates").map(|file| base_dir.join(file));
    if root_certificates.is_some() && base.as_ref().is_some_and(|base| base.scheme() != "https") {
        section.fault("root_certificates", "has no use with a base that is not https; remove it");
    }
    let (detectors, patterns) = detectors::read(section);
    let openapi = section.text("openapi").map(|file| base_dir.join(file));
    if let Some(path) = &openapi
        && let Err(why) = readable(path)
    {
        section.fault("openapi", format!("`{}` cannot be used: {why}", path.display()));
    }
    let graphql = section.parsed("graphql", |text| {
        if text.starts_with('/') { Ok(text.to_owned()) } else { Err("is a path, as /graphql") }
    });
    let pages: BTreeMap<String, Page> = section.sections("page").into_iter().filter_map(page).collect();
    let masks = section.sections("mask").into_iter().enumerate();
    let masks: Vec<BodyMask> =
        masks.filter_map(|(number, section)| mask(section, number + 1, groups)).collect();
    for (number, mask) in masks.iter().enumerate() {
        if masks.iter().take(number).any(|other| other.name == mask.name) {
            section.fault("mask", format!("`{}` is the name of two masks", mask.name));
        }
    }
    let max_response = section.number("max_response", 1..i64::MAX).and_then(|n| u64::try_from(n).ok());
    let max_items = section.number("max_items", 1..i64::MAX).and_then(|n| u64::try_from(n).ok());
    let items = section.parsed("items", |text| DocumentPath::new(text).map(|_| text.to_owned()));
    if items.is_some() && max_items.is_none() {
        section.fault("items", "has no use without max_items; remove it, or say how many");
    }
    if let Err(error) = plan(&masks, items.as_deref()) {
        section.fault("mask", error);
    }
    let max_connections = section.number("max_connections", 1..10_001).and_then(|n| u16::try_from(n).ok());
    let only_http2 = section.flag("only_http2").unwrap_or(false);
    let issuer = issuer(section, base_dir);
    Some(HttpTarget {
        base: base?,
        root_certificates,
        only_http2,
        issuer: issuer?,
        masks,
        detectors,
        patterns,
        openapi,
        graphql,
        pages,
        max_response,
        max_items,
        items,
        max_connections: max_connections.unwrap_or(100),
    })
}

fn base(text: &str, plaintext: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    match url.scheme() {
        "https" => {}
        "http" if plaintext || is_loopback(&host) => {}
        "http" => {
            return Err(
                "must be https: credentials and data would pass in the clear (plaintext = true allows that)"
                    .into(),
            );
        }
        _ => return Err("must be an https URL".into()),
    }
    if host.is_empty() {
        return Err("names no host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a credential, which never stands in the configuration".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has no query and no fragment".into());
    }
    Ok(url)
}

fn readable(path: &Path) -> Result<(), String> {
    let document = std::fs::read(path).map_err(|error| error.to_string())?;
    OpenApi::parse(&document).map(|_| ()).map_err(|error| error.to_string())
}

fn page(section: Section<'_, '_>) -> Option<(String, Page)> {
    let parameter = section.required("parameter");
    let default = section.number("default", 0..i64::MAX);
    section.finish();
    Some((parameter?, Page { default }))
}

fn mask(section: Section<'_, '_>, number: usize, groups: &BTreeSet<GroupName>) -> Option<BodyMask> {
    let mask = body_mask(&section, number, groups);
    section.finish();
    mask
}

/// The keys of a mask on bodies, which others may stand beside.
pub(super) fn body_mask(
    section: &Section<'_, '_>,
    number: usize,
    groups: &BTreeSet<GroupName>,
) -> Option<BodyMask> {
    let name = section.parsed("name", |text| RuleName::new(text));
    let name = name.or_else(|| RuleName::new(format!("mask.{number}")).ok());
    let path = section.required_parsed("path", |text| DocumentPath::new(text).map(|_| text.to_owned()));
    let keep_last = section.number("keep_last", 1..65).and_then(|n| u16::try_from(n).ok());
    let mask = section.required_parsed("mask", |text| match text {
        "full" => Ok(Mask::Full),
        "null" => Ok(Mask::Null),
        "partial" => Ok(Mask::Partial { keep_last: keep_last.unwrap_or(4) }),
        "token" => Ok(Mask::Token),
        _ => Err("must be full, null, partial or token"),
    });
    if keep_last.is_some() && !matches!(mask, Some(Mask::Partial { .. }) | None) {
        section.fault("keep_last", "belongs to the mask `partial` only");
    }
    let lifted_for = section.parsed_list("lifted_for", |text| known_group(text, groups));
    Some(BodyMask { name: name?, path: path?, mask: mask?, lifted_for: lifted_for.into_iter().collect() })
}

/// Whether all masks together can be kept, and items be counted beside them.
fn plan(masks: &[BodyMask], items: Option<&str>) -> Result<(), String> {
    let rules = masks.iter().filter_map(|mask| {
        let path = DocumentPath::new(&mask.path).ok()?;
        Some(DocumentRule { name: mask.name.clone(), path, mask: mask.mask })
    });
    let rules: Vec<_> = rules.collect();
    let plan = DocumentPlan::new(&rules, KeyCase::Exact).map_err(|error| error.to_string())?;
    match items.and_then(|path| DocumentPath::new(path).ok()) {
        Some(path) => plan.with_items(&path).map(drop).map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

fn issuer(section: &Section<'_, '_>, base: &Path) -> Option<HttpIssuer> {
    let Some(issuer) = section.section("issuer") else {
        section.fault(
            "issuer",
            "is missing: say where a session's credential comes from, in [target.issuer]; kind = \"none\" for nowhere",
        );
        return None;
    };
    let kind = issuer.required("kind")?;
    let injection = match kind.as_str() {
        "bearer" => Some(Injection::Bearer),
        "basic" => issuer.required_parsed("user", basic_user).map(|user| Injection::Basic { user }),
        "cookie" => issuer.required_parsed("name", token).map(|name| Injection::Cookie { name }),
        "header" => issuer.required_parsed("name", header).map(|name| Injection::Header { name }),
        "query" => issuer.required_parsed("name", token).map(|name| Injection::Query { name }),
        _ => None,
    };
    let read = match kind.as_str() {
        "basic" | "bearer" | "cookie" | "header" | "query" => {
            let secret = secret(&issuer, "secret", base);
            injection.zip(secret).map(|(injection, secret)| HttpIssuer::Static { injection, secret })
        }
        "client-credentials" | "token-exchange" => oauth(&issuer, &kind, base),
        "jwt" => {
            let audience = issuer.required("audience");
            let scopes = issuer.parsed_list("scopes", token);
            let seconds = issuer.duration("valid").map_or(VALID, |valid| valid.as_secs());
            if !(60..=MOST_VALID).contains(&seconds) {
                issuer.fault("valid", "must be from 1m to 1h: a token cannot be taken back");
            }
            audience.map(|audience| HttpIssuer::Jwt { audience, scopes, seconds })
        }
        "mutual-tls" => {
            let certificate = issuer.required("certificate").map(|file| base.join(file));
            let key = secret(&issuer, "key", base);
            certificate.zip(key).map(|(certificate, key)| HttpIssuer::MutualTls { certificate, key })
        }
        "none" => Some(HttpIssuer::None),
        _ => {
            issuer.fault(
                "kind",
                "must be none, bearer, basic, header, cookie, query, client-credentials, token-exchange, jwt or mutual-tls",
            );
            None
        }
    };
    // after an unknown kind every key would be unknown
    if read.is_some() {
        issuer.finish();
    }
    read
}

fn oauth(issuer: &Section<'_, '_>, kind: &str, base: &Path) -> Option<HttpIssuer> {
    let endpoint = issuer.required_parsed("endpoint", |text| self::base(text, false));
    let client = issuer.required("client");
    let secret = secret(issuer, "secret", base);
    let scopes = issuer.parsed_list("scopes", token);
    let audience = issuer.text("audience");
    let (endpoint, client, secret) = (endpoint?, client?, secret?);
    Some(match kind {
        "client-credentials" => HttpIssuer::ClientCredentials { endpoint, client, secret, scopes, audience },
        _ => HttpIssuer::TokenExchange { endpoint, client, secret, scopes, audience },
    })
}

/// A colon would end the user too early (RFC 7617 §2).
fn basic_user(text: &str) -> Result<String, &'static str> {
    let fits = !text.contains(':') && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("must be without colons and control characters") }
}

fn token(text: &str) -> Result<String, &'static str> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"(),;<=>?@[\\]{}&".contains(&byte);
    if !text.is_empty() && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("must be one plain word")
    }
}

fn header(text: &str) -> Result<String, &'static str> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| "is not the name of a header")?;
    if FRAMING.contains(&name.as_str()) {
        return Err("is a header of the connection, which holds no secret");
    }
    Ok(name.as_str().to_owned())
}

/// How long a token of ours is good unless the configuration says otherwise, in seconds.
const VALID: u64 = 300;
const MOST_VALID: u64 = 3600;
const FRAMING: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
