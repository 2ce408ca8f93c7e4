//! Calls about requests, reviews and grants.

use reqwest::Method;

use super::{Api, ApiError};
use crate::domain::approval::Grant;
use crate::domain::name::{GrantId, RequestId};
use crate::wire::control::{self, AskSession, GiveReview, Listing, RequestView, StandingView};

/// Which requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The caller's own.
    Mine,
    /// Those that the caller may review.
    Reviewable,
}

impl Api {
    /// Files a request for sessions on a target.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn ask_session(&self, ask: &AskSession) -> Result<RequestView, ApiError> {
        self.call(Method::POST, control::REQUESTS, Some(ask)).await
    }

    /// Requests, newest first: at most 100, those before `before`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn requests(
        &self,
        scope: Scope,
        before: Option<&RequestId>,
    ) -> Result<Vec<RequestView>, ApiError> {
        let scope = match scope {
            Scope::Mine => "mine",
            Scope::Reviewable => "reviewable",
        };
        let mut path = format!("{}?{}={scope}", control::REQUESTS, control::SCOPE);
        if let Some(before) = before {
            path.push_str(&format!("&{}={before}", control::BEFORE));
        }
        Ok(self.get::<Listing<RequestView>>(&path).await?.items)
    }

    /// One request; with `wait`, once it has changed or that many seconds (at most 30) are over.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn request(&self, request: &RequestId, wait: Option<u64>) -> Result<RequestView, ApiError> {
        let query = wait.map(|seconds| format!("?{}={seconds}", control::WAIT)).unwrap_or_default();
        self.get(&format!("{}/{request}{query}", control::REQUESTS)).await
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn withdraw(&self, request: &RequestId) -> Result<(), ApiError> {
        self.order(Method::DELETE, &format!("{}/{request}", control::REQUESTS)).await
    }

    /// Hands in a signed review.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn review(&self, request: &RequestId, review: &GiveReview) -> Result<RequestView, ApiError> {
        self.call(Method::POST, &format!("{}/{request}/reviews", control::REQUESTS), Some(review)).await
    }

    /// The caller's grants, and those on targets where they may review.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn grants(&self) -> Result<Vec<Grant>, ApiError> {
        Ok(self.get::<Listing<Grant>>(control::GRANTS).await?.items)
    }

    /// Revokes a grant, and closes its sessions.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn revoke_grant(&self, grant: &GrantId) -> Result<(), ApiError> {
        self.order(Method::DELETE, &format!("{}/{grant}", control::GRANTS)).await
    }

    /// Standing decisions, as for [`Api::grants`].
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn standing(&self) -> Result<Vec<StandingView>, ApiError> {
        Ok(self.get::<Listing<StandingView>>(control::STANDING).await?.items)
    }

    /// Revokes the standing decision that was made in the review of a request.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn revoke_standing(&self, request: &RequestId) -> Result<(), ApiError> {
        self.order(Method::DELETE, &format!("{}/{request}", control::STANDING)).await
    }
}
