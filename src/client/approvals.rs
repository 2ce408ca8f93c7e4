//! Requests for approval, as their requester and their reviewers meet them.
//!
//! Job: believes of a request only what its subject's text says, signs a review over exactly the
//! text that was shown, waits for an answer. Boundary: shows and asks nothing itself. Failure mode:
//! [`DossierError`] when a broker says one thing and has another signed; nothing is signed then.

use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;
use tokio::time::Instant;

use super::api::{Api, ApiError};
use super::link::LinkError;
use crate::domain::approval::{
    Decision, RequestState, Review, Standing, Subject, SubjectError, SubjectText, What,
};
use crate::domain::name::{Digest, RequestId};
use crate::domain::principal::PrincipalId;
use crate::ledger::verify::{Reviews, SignedReview};
use crate::wire::control::{GiveReview, ProblemCode, RequestView};
use crate::wire::dpop::DeviceKey;
use crate::wire::review::{self, Claims};

/// A request whose subject has been read and fits it: the only thing that can be signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Dossier {
    view: RequestView,
    subject: SubjectText,
    digest: Digest,
}

/// Why a request cannot be shown or signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DossierError {
    /// It is not the request that was asked for.
    #[error("the broker answers with another request: {0}")]
    Another(RequestId),
    /// The subject says something else than the request does.
    #[error("the broker contradicts itself: the {0} of the request is not the one that would be signed")]
    Contradiction(&'static str),
    /// The subject cannot be read.
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

/// What there is to say of the signature of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// It holds, over this very subject.
    Holds,
    /// It does not, or was made for something else.
    Broken,
}

impl Dossier {
    /// Reads what the broker sent of a request.
    ///
    /// # Errors
    /// [`DossierError`].
    pub fn open(view: RequestView, asked: &RequestId) -> Result<Self, DossierError> {
        if view.request.id != *asked {
            return Err(DossierError::Another(view.request.id));
        }
        let subject = SubjectText::read(view.subject.as_str())?;
        let digest = subject.digest();
        // INVARIANT: nobody signs one thing and reads another; the digest is made here, of what is shown
        let (said, signed) = (&view.request, subject.subject());
        let contradictions = [
            ("id", said.id == signed.request),
            ("target", said.target == signed.target),
            ("requester", said.requester == signed.requester),
            ("digest", said.subject == digest),
        ];
        match contradictions.into_iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(DossierError::Contradiction(what)),
            None => Ok(Self { view, subject, digest }),
        }
    }

    /// What the broker says of the request.
    #[must_use]
    pub fn view(&self) -> &RequestView {
        &self.view
    }

    /// What is signed.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        self.subject.subject()
    }

    /// SHA-256 of the text that is signed.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many literals may be set free, and none when no standing decision can be made.
    #[must_use]
    pub fn literals(&self) -> Option<usize> {
        match &self.subject().what {
            What::Deed(deed) if self.view.request.standing_max > 0 => {
                deed.shape.as_ref().map(|shape| shape.literals.len())
            }
            What::Deed(_) | What::Session(_) => None,
        }
    }

    /// Signs a review of what this holds.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(
        &self,
        key: &DeviceKey,
        reviewer: PrincipalId,
        decision: Decision,
        reason: Option<String>,
        standing: Option<Standing>,
        now: Timestamp,
    ) -> Result<GiveReview, crate::wire::jws::JwsError> {
        let claims = Claims {
            request: self.view.request.id.clone(),
            subject: self.digest.clone(),
            reviewer,
            decision,
            reason,
            standing,
            iat: now.as_second(),
        };
        Ok(GiveReview { proof: review::sign(key, &claims)? })
    }

    /// Checks a review that somebody else gave. Whose device it was, only the ledger can tell.
    #[must_use]
    pub fn check(&self, given: &Review) -> Signature {
        let holds = review::open(&given.proof).is_ok_and(|signed| {
            let claims = signed.claims;
            signed.device == given.device
                && claims.request == self.view.request.id
                && claims.subject == self.digest
                && claims.reviewer == given.reviewer
                && claims.decision == given.decision
                && claims.reason == given.reason
                && claims.standing == given.standing
        });
        if holds { Signature::Holds } else { Signature::Broken }
    }
}

/// Opens the signed form of reviews, for whoever verifies a ledger.
#[derive(Debug, Clone, Copy)]
pub struct SignedReviews;

impl Reviews for SignedReviews {
    fn open(&self, proof: &str) -> Result<SignedReview, String> {
        let signed = review::open(proof).map_err(|error| error.to_string())?;
        let claims = signed.claims;
        Ok(SignedReview {
            device: signed.device,
            request: claims.request,
            subject: claims.subject,
            reviewer: claims.reviewer,
            decision: claims.decision,
            standing: claims.standing,
        })
    }
}

/// Waits until a request is answered and what the answer gives is in force, or `limit` is over; `changed` gets every state on the
/// way. A broker that restarts meanwhile is waited for as well; one where too many calls wait is asked every
/// few seconds instead.
///
/// # Errors
/// [`ApiError`].
pub async fn answer(
    api: &Api,
    request: &RequestId,
    limit: Option<Duration>,
    changed: impl FnMut(&RequestView),
) -> Result<RequestView, ApiError> {
    watch(async |wait| api.request(request, wait).await, limit, changed).await
}

async fn watch(
    ask: impl AsyncFn(Option<u64>) -> Result<RequestView, ApiError>,
    limit: Option<Duration>,
    mut changed: impl FnMut(&RequestView),
) -> Result<RequestView, ApiError> {
    let end = limit.map(|limit| Instant::now() + limit);
    let mut silent_since: Option<Instant> = None;
    let mut latest: Option<RequestView> = None;
    let (mut is_crowded, mut unissued) = (false, 0);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        // the first call never waits, so that `changed` is called at once
        let waits = latest.is_some() && !is_crowded;
        let wait = waits.then(|| left.map_or(POLL, |left| left.as_secs().clamp(1, POLL)));
        let asked = Instant::now();
        match ask(wait).await {
            Ok(view) => {
                silent_since = None;
                changed(&view);
                let over = end.is_some_and(|end| Instant::now() >= end);
                if is_settled(&view) || over || unissued >= MOST_UNISSUED {
                    return Ok(view);
                }
                unissued += u32::from(view.request.state != RequestState::Pending);
                // a broker that does not wait must not be asked without a pause
                if is_crowded || (latest.as_ref() == Some(&view) && asked.elapsed() < PAUSE) {
                    tokio::time::sleep(PAUSE).await;
                }
                latest = Some(view);
            }
            Err(error) if wait.is_some() && is_too_many(&error) => is_crowded = true,
            Err(error) if is_passing(&error) => {
                let since = *silent_since.get_or_insert_with(Instant::now);
                let over = end.is_some_and(|end| Instant::now() >= end);
                match latest {
                    // it was pending when last heard of, and the time is up
                    Some(view) if over => return Ok(view),
                    _ if since.elapsed() > PATIENCE || latest.is_none() => return Err(error),
                    _ => tokio::time::sleep(PAUSE).await,
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Answered, and what the answer gives is in force: a grant enters the ledger first, and is shown after that.
fn is_settled(view: &RequestView) -> bool {
    match view.request.state {
        RequestState::Pending => false,
        RequestState::Granted { .. } => view.grant.is_some(),
        _ => true,
    }
}

/// Whether more calls wait for an answer than may.
fn is_too_many(error: &ApiError) -> bool {
    matches!(error, ApiError::Link(LinkError::Problem(problem)) if problem.status == 429)
}

/// Whether a broker that restarts, or a network that is away for a moment, explains it.
fn is_passing(error: &ApiError) -> bool {
    let ApiError::Link(error) = error else { return false };
    match error {
        LinkError::Unreachable { .. } => true,
        LinkError::Problem(problem) => problem.code == ProblemCode::Unavailable,
        _ => false,
    }
}

/// Seconds that the broker is asked to wait.
const POLL: u64 = 25;
/// Between two attempts to reach a broker that is away.
const PAUSE: Duration = Duration::from_secs(1);
/// How often an approved request is asked for whose grant is not there: a grant that ended long ago never comes.
const MOST_UNISSUED: u32 = 30;
/// How long a broker may be away.
const PATIENCE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
