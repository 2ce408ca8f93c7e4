//! Whether an approval is what its reviewers have signed.
//!
//! Job: check each proof against what this gateway itself has written down. Boundary: which device belongs
//! to whom, and who is in which group, is the broker's word; a broker that lies about those can make up
//! people, and the ledger and every client's next visit show it. Failure mode: what is wrong, for the
//! ledger.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Pending;
use crate::domain::approval::{Decision, Review, Standing, SubjectText, What};
use crate::domain::name::{Digest, RequestId};
use crate::domain::principal::PrincipalId;
use crate::gateway::authority::SessionContext;
use crate::wire::review::{self, Claims};

/// Reviews of this very request.
pub(super) fn of_this(pending: &Pending, context: &SessionContext, reviews: &[Review]) -> Result<(), String> {
    let requester = &context.principal.id;
    signed(&pending.request, &pending.subject, requester, reviews)?;
    enough(pending, context, reviews)
}

/// Reviews of an earlier request, one of which made a standing decision that covers this one.
pub(super) fn of_earlier(
    pending: &Pending,
    context: &SessionContext,
    earlier: &SubjectText,
    reviews: &[Review],
    now: Timestamp,
) -> Result<(), String> {
    let subject = earlier.subject();
    let What::Deed(deed) = &subject.what else {
        return Err("a standing decision about a session".into());
    };
    if subject.requester != context.principal.id || subject.target != context.target.name {
        return Err("a standing decision for somebody or something else".into());
    }
    if deed.ground() != pending.ground {
        return Err("a standing decision for another database or under other settings".into());
    }
    if !pending.hold.rules.iter().all(|rule| subject.rules.contains(rule)) {
        return Err("a standing decision that answers other rules".into());
    }
    let claims = signed(&subject.request, &earlier.digest(), &subject.requester, reviews)?;
    enough(pending, context, reviews)?;
    let shapes = deed.shape.as_ref().zip(pending.shape.as_ref());
    let Some((reviewed, own)) = shapes else { return Err("a standing decision without a shape".into()) };
    let in_force = |(claims, review): (&Claims, &Review)| {
        let Some(Standing { free, seconds }) = &claims.standing else { return false };
        let age = now.as_second().saturating_sub(review.at.as_second());
        let signed_age = now.as_second().saturating_sub(claims.iat);
        // the rule of today may allow less than the one that it was made under
        let lasts = i64::try_from(pending.hold.standing.min(*seconds)).unwrap_or_default();
        age < lasts
            // the reviewer's own clock has the last word, as far as it can be trusted to be right
            && signed_age < lasts.saturating_add(SKEW)
            && reviewed.covers(free, own)
    };
    if claims.iter().zip(reviews).any(in_force) {
        Ok(())
    } else {
        Err("a standing decision that does not cover this, or is over".into())
    }
}

/// The claims of each review, once its proof holds.
fn signed(
    request: &RequestId,
    subject: &Digest,
    requester: &PrincipalId,
    reviews: &[Review],
) -> Result<Vec<Claims>, String> {
    let mut people = BTreeSet::new();
    let mut all = Vec::with_capacity(reviews.len());
    for review in reviews {
        let who = &review.reviewer;
        let signed = review::open(&review.proof).map_err(|error| format!("the review by {who}: {error}"))?;
        let claims = signed.claims;
        let fault = if signed.device != review.device {
            "was signed by another device"
        } else if claims.request != *request {
            "is of another request"
        } else if claims.subject != *subject {
            "is of another subject"
        } else if claims.decision != Decision::Approve || review.decision != Decision::Approve {
            "does not approve"
        } else if claims.reviewer != *who {
            "was signed by somebody else"
        } else if claims.standing != review.standing {
            "has another standing decision than was signed"
        } else if who == requester {
            "is of the requester's own"
        } else if !people.insert(who.clone()) {
            "is there twice"
        } else {
            all.push(claims);
            continue;
        };
        return Err(format!("the review by {who} {fault}"));
    }
    Ok(all)
}

/// Whether so many people of such groups are enough.
fn enough(pending: &Pending, context: &SessionContext, reviews: &[Review]) -> Result<(), String> {
    let threshold = pending.hold.threshold.resolve(context.target.owner.as_ref());
    let Some(threshold) = threshold.filter(|threshold| !threshold.is_empty()) else {
        return Err("an approval that nobody can give".into());
    };
    let people: Vec<_> = reviews.iter().map(|review| &review.groups).collect();
    match threshold.missing(&people).first() {
        Some((from, _)) => Err(format!("too few reviews by {from}")),
        None => Ok(()),
    }
}

/// How wrong a reviewer's clock may be, in seconds.
const SKEW: i64 = 300;
