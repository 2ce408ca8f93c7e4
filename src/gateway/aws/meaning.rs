//! What a call of AWS does, under the masks and caps of its target.
//!
//! Job: facts, what applies to the answer, and what is sent in place of a call that asks for too much. Boundary: pure; who
//! called was found out before. Failure mode: a [`Problem`] for what cannot be judged, and for what would tell masked
//! values in another way than by showing them masked.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::domain::facts::{AwsAccess, AwsFacts, CallFacts};
use crate::domain::name::GroupName;
use crate::domain::target::{AwsMask, AwsTarget};
use crate::gateway::http::answer::Problem;
use crate::gateway::http::shown;
use crate::gateway::http::terms::{self, BodyForm, Terms};
use crate::mask::document::{DocumentPlan, TokenKey};
use crate::wire::aws::call::{self, AwsCall, Detail, Head, Unjudged};
use crate::wire::aws::cap;
use crate::wire::aws::protected::{self, Protection, Treatment};

/// For whom, and on what, a call is read.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) target: &'a AwsTarget,
    pub(super) groups: &'a BTreeSet<GroupName>,
    /// What tokens in the place of masked values are made with.
    pub(super) token_key: Option<&'a TokenKey>,
    /// The service's endpoint.
    pub(super) base: &'a Url,
}

/// What a call does.
pub(super) struct Meaning {
    pub(super) facts: CallFacts,
    /// In a line, for people.
    pub(super) text: String,
    /// Path and query as they are sent.
    pub(super) sent: String,
    /// What is sent in place of the body.
    pub(super) body: Option<Vec<u8>>,
    /// What applies to the answer.
    pub(super) terms: Terms,
    /// What masks make of the call.
    pub(super) treatment: Treatment,
    /// Whether the answer is an object's bytes.
    pub(super) downloads: bool,
}

impl Ground<'_> {
    /// What a call does whose signature is taken out, and believed. Headers that it has in its query become headers.
    pub(super) fn read(
        self,
        service: &str,
        parts: &mut Parts,
        body: Option<&[u8]>,
        presigned: bool,
    ) -> Result<Meaning, Problem> {
        let call = call::read(service, &head(parts), body, &self.target.region);
        let mut call = call.map_err(|why| unjudged(&why))?;
        call.facts.presigned = presigned;
        if !call::is_s3_of_aws(self.base.host_str().unwrap_or_default()) {
            call.check_elsewhere().map_err(|why| unjudged(&why))?;
        }
        if service == "sts" && call.facts.operation != "GetCallerIdentity" {
            return Err(Problem::elsewhere("it would give out keys that work without this gateway"));
        }
        for (name, value) in std::mem::take(&mut call.headers) {
            let bad = || Problem::unclear("a parameter that cannot be a header");
            let name = HeaderName::try_from(name).map_err(|_| bad())?;
            parts.headers.insert(name, HeaderValue::try_from(value).map_err(|_| bad())?);
        }
        let lowered = match self.most() {
            Some(most) => cap::lower(&mut call, most, body).map_err(|why| unjudged(&why))?,
            None => None,
        };
        let (terms, treatment, touches_masked) = self.protect(&call)?;
        let hidden = if touches_masked { hide(&mut parts.headers) } else { BTreeSet::new() };
        let mut headers = shown::facts(&parts.headers);
        // a rule against a header is one against it here, too
        headers.extend(hidden.into_iter().map(|name| (name, String::new())));
        let query = call.query.to_string();
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = |value: &str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Ok(Meaning {
            text: text(&call.facts),
            sent: if query.is_empty() { call.path.clone() } else { format!("{}?{query}", call.path) },
            body: lowered,
            terms,
            treatment,
            downloads: matches!(&call.detail, Detail::S3(detail) if detail.downloads),
            facts: CallFacts {
                query: call.query.iter().map(|(name, _)| name.to_owned()).collect(),
                headers,
                content_type: content_type.map(media),
                page_size: call.facts.limit,
                listing: call.facts.access == AwsAccess::List,
                touches_masked,
                aws: Some(Box::new(call.facts)),
                ..CallFacts::unread(parts.method.as_str().to_owned(), call.path)
            },
        })
    }

    /// How many entries one answer may have.
    fn most(self) -> Option<NonZeroU32> {
        let most = self.target.max_items?;
        Some(NonZeroU32::new(u32::try_from(most).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN))
    }

    /// What masks make of a call, and whether some meet it.
    fn protect(self, call: &AwsCall) -> Result<(Terms, Treatment, bool), Problem> {
        let binds = |mask: &&AwsMask| mask.mask.binds(self.groups) && protected::meets(call, &mask.on);
        let bound: Vec<&AwsMask> = self.target.masks.iter().filter(binds).collect();
        let listing = || BodyForm::Listing(Box::new(call.clone()));
        if bound.is_empty() {
            return Ok((self.terms(None, listing()), Treatment::default(), false));
        }
        let (plan, _) = terms::plan(bound.iter().map(|mask| &mask.mask)).map_err(Problem::unmaskable)?;
        let plan = match self.token_key {
            Some(key) => plan.with_tokens(key.clone()),
            None => plan,
        };
        let on: Vec<&[String]> = bound.iter().map(|mask| mask.on.as_slice()).collect();
        let protection =
            Protection { reach: &|path| plan.reach(path), shifts: &|list| plan.protects_by_place(list) };
        let treatment = protected::check(call, &on, protection);
        let treatment = treatment.map_err(|refusal| Problem::protected(refusal.to_string()))?;
        let plan = Some(Arc::new(plan));
        let terms = match &call.detail {
            Detail::S3(detail) if treatment.body => {
                self.terms(plan, BodyForm::Object(detail.key.clone().unwrap_or_default()))
            }
            // INVARIANT: bytes of an object that a mask binds do not pass by it
            Detail::S3(detail) if detail.downloads => {
                return Err(Problem::protected("its answer cannot be masked"));
            }
            _ if treatment.items => self.terms(plan, BodyForm::Items),
            _ if treatment.digests => self.terms(plan, listing()),
            _ => self.terms(None, listing()),
        };
        Ok((terms, treatment, true))
    }

    fn terms(self, masks: Option<Arc<DocumentPlan>>, form: BodyForm) -> Terms {
        let AwsTarget { max_items, max_response, .. } = *self.target;
        Terms { masks, counting: None, max_response, max_items, base: self.base.clone(), form }
    }

    /// What applies to errors, which hold nothing that is masked and list nothing.
    pub(super) fn plain(self) -> Terms {
        Terms { max_items: None, ..self.terms(None, BodyForm::Document) }
    }
}

/// A head, as it is read.
pub(super) fn head(parts: &Parts) -> Head<'_> {
    Head {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &parts.headers,
    }
}

fn unjudged(why: &Unjudged) -> Problem {
    Problem::unclear(why.to_string())
}

/// Marks what is said of an object that is masked: it is neither recorded nor shown, as is what is written there. Returns
/// which headers say it.
pub(super) fn hide(headers: &mut HeaderMap) -> BTreeSet<String> {
    let mut hidden = BTreeSet::new();
    for (name, value) in headers {
        let name = name.as_str();
        let is_told = OF_OBJECTS.iter().any(|told| match told.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *told,
        });
        if is_told {
            value.set_sensitive(true);
            hidden.insert(name.to_owned());
        }
    }
    hidden
}

/// What it does, in a line.
fn text(facts: &AwsFacts) -> String {
    let mut text = format!("{}:{}", facts.service, facts.operation);
    for resource in facts.resources.iter().take(MOST_SHOWN) {
        text.push(' ');
        text.extend(resource.chars().flat_map(|letter| match letter {
            letter if letter.is_control() => letter.escape_default().collect::<Vec<_>>(),
            letter => vec![letter],
        }));
    }
    if facts.resources.len() > MOST_SHOWN {
        text.push_str(&format!(" and {} more", facts.resources.len() - MOST_SHOWN));
    }
    if facts.presigned {
        text.push_str(" (presigned)");
    }
    text
}

/// Headers that hold what their author says of an object: digests of it, or parts; `*` stands for what follows.
const OF_OBJECTS: &[&str] = &["content-md5", "x-amz-checksum-*", "x-amz-meta-*", "x-amz-tagging"];
/// How many resources a line names.
const MOST_SHOWN: usize = 20;

#[cfg(test)]
mod tests;
