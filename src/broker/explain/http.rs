//! What `explain` says of an HTTP API.

use super::Told;
use crate::domain::mask::Mask;
use crate::domain::principal::Principal;
use crate::domain::target::{BodyMask, HttpIssuer, HttpTarget, Injection, RecordLevel, Target};
use crate::wire::control::ExplainedMask;

pub(super) fn told(who: &Principal, target: &Target, http: &HttpTarget) -> Told {
    let masks: Vec<&BodyMask> = http.masks.iter().filter(|rule| rule.binds(&who.groups)).collect();
    let mut masked: Vec<ExplainedMask> = masks.iter().map(|rule| mask(rule)).collect();
    masked.extend(http.detectors.iter().map(|name| ExplainedMask {
        rule: format!("detector {name}"),
        column: "text anywhere in a body".into(),
        path: None,
        mask: "a constant".into(),
        locks: "one lock".into(),
    }));
    Told {
        place: http.base.to_string(),
        masked,
        filtered: Vec::new(),
        credential: credential(&http.issuer),
        broker_reach: reach(&http.issuer),
        objects: Vec::new(),
        not_covered: not_covered(target, http, &masks),
    }
}

fn mask(rule: &BodyMask) -> ExplainedMask {
    ExplainedMask {
        rule: rule.name.to_string(),
        column: "answers".into(),
        path: Some(rule.path.clone()),
        mask: match rule.mask {
            Mask::Full => "a constant".into(),
            Mask::Null => "null".into(),
            Mask::Partial { keep_last } => format!("stars and the last {keep_last} characters"),
            Mask::Token => "a keyed hash, tok_ and 32 digits: equal values stay equal".into(),
        },
        // an API's credential can read what it reads
        locks: "one lock".into(),
    }
}

fn credential(issuer: &HttpIssuer) -> String {
    match issuer {
        HttpIssuer::ClientCredentials { .. } => {
            "a token of the API's own provider, renewed while the session lasts; you never see it".into()
        }
        HttpIssuer::Jwt { seconds, .. } => format!(
            "a token in your name that the broker signs, good for {} minutes; you never see it",
            seconds.div_ceil(60)
        ),
        HttpIssuer::MutualTls { .. } => {
            "a client certificate, shared by all sessions; its key never leaves the broker".into()
        }
        HttpIssuer::None => "none: the API asks for none".into(),
        HttpIssuer::Static { injection, .. } => {
            let place = match injection {
                Injection::Basic { .. } => "as Basic credentials",
                Injection::Bearer => "as a bearer token",
                Injection::Cookie { .. } => "in a cookie",
                Injection::Header { .. } => "in a header",
                Injection::Query { .. } => "in the query",
            };
            format!("a standing secret {place}, shared by all sessions; it never leaves the broker")
        }
        HttpIssuer::TokenExchange { .. } => {
            "a token in your name, which the API's provider gives in exchange for one of the broker's; you never see it".into()
        }
    }
}

fn reach(issuer: &HttpIssuer) -> String {
    match issuer {
        HttpIssuer::ClientCredentials { .. } | HttpIssuer::TokenExchange { .. } => {
            "everything that its client may get a token for".into()
        }
        HttpIssuer::Jwt { .. } => "every API that trusts the broker's keys, in anybody's name".into(),
        HttpIssuer::MutualTls { .. } | HttpIssuer::Static { .. } => {
            "everything that the credential may do at this API".into()
        }
        HttpIssuer::None => "nothing that others on its network may not do".into(),
    }
}

fn not_covered(target: &Target, http: &HttpTarget, masks: &[&BodyMask]) -> Vec<String> {
    let mut gaps = vec!["what the API does by itself once a call is let through".to_owned()];
    let mut gap = |text: &str| gaps.push(text.to_owned());
    if masks.is_empty() && http.detectors.is_empty() {
        gap("nothing is masked in what the API answers");
    } else {
        gap("response headers are searched for the credential only: masks are for bodies");
        gap("a filter or an order that the API offers can tell of a masked value what its mask does not");
        if http.graphql.is_none() {
            gap(
                "GraphQL, should the API speak it: no `graphql` path is named, so an alias could hide a field from its mask",
            );
        }
    }
    if matches!(http.issuer, HttpIssuer::Static { .. } | HttpIssuer::MutualTls { .. }) {
        gap("the API sees all sessions as one; who did what is in this ledger only");
    }
    if http.openapi.is_none() {
        gap("operations have no names: rules speak of methods and paths");
    }
    if http.base.scheme() == "http" {
        gap("the way to the API is not encrypted, and whoever answers its name is believed");
    }
    if http.max_response.is_none() && http.max_items.is_none() {
        gap("how much one answer holds is not capped: neither max_response nor max_items is set");
    }
    if !matches!(http.issuer, HttpIssuer::None | HttpIssuer::MutualTls { .. }) {
        gap(
            "a server that cuts, reverses or encrypts the credential that it echoes, or gives it out in ranges",
        );
    }
    if target.record != RecordLevel::Full {
        gap("what you are shown is not recorded, so it cannot be replayed");
    }
    if masks.is_empty() && http.detectors.is_empty() {
        gap("what passes after an upgrade (websocket), or in messages of gRPC, is recorded, and not judged");
    }
    gap("connections that reach the API by another way than this gateway");
    gaps
}
