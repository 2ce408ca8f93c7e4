//! From an ID token to an access token.
//!
//! Job: the exchange at the broker, with what it takes when that does not work at once: another ID
//! token where the provider signed the same one twice, the confirmation of another device where the
//! sign-in is too old. Boundary: one person, one provider, one broker. Failure mode: [`LoginError`]; a
//! refresh token is on disk before anything is done with what came along with it.

use std::time::Duration;

use url::Url;

use super::{Access, LoginError, LoginView, exchange, form};
use crate::client::ClientContext;
use crate::client::keychain::{Credential, Keychain};
use crate::client::link::{Caller, Link, LinkError};
use crate::client::provider::{Evidence, Provider};
use crate::wire::control::{Confirmation, Problem, ProblemCode, TOKEN_TYPE_ID};

/// What a person's exchange needs.
pub(super) struct Redemption<'a> {
    pub(super) context: &'a ClientContext,
    pub(super) link: &'a Link,
    pub(super) public_url: &'a Url,
    pub(super) provider: &'a Provider,
    pub(super) keychain: &'a Keychain,
}

impl Redemption<'_> {
    /// Gets another ID token, and what goes with it, from the provider; none without a refresh token.
    pub(super) async fn renew(&self, credential: &mut Credential) -> Result<Option<Evidence>, LoginError> {
        let Some(token) = credential.refresh_token.clone() else { return Ok(None) };
        let signed = self.provider.refresh(&token).await?;
        // INVARIANT: a rotated token is on disk before anything is done with what came along with it
        credential.refresh_token = Some(signed.refresh_token.unwrap_or(token));
        self.keychain.save(credential)?;
        Ok(Some(signed.evidence))
    }

    /// Exchanges an ID token. A provider that signs twice within a second may sign the same bytes
    /// for two devices; the second one asks for another token when the second has passed.
    pub(super) async fn redeem(
        &self,
        credential: &mut Credential,
        mut evidence: Evidence,
    ) -> Result<Access, LoginError> {
        for _ in 0..MOST_TWINS {
            match self.exchange(credential, &evidence).await {
                Err(error) if problem(&error).is_some_and(|p| p.code == ProblemCode::TokenSpent) => {
                    tokio::time::sleep(A_SECOND).await;
                    evidence = self.renew(credential).await?.ok_or(error)?;
                }
                other => return other,
            }
        }
        self.exchange(credential, &evidence).await
    }

    /// The same, waiting for the confirmation of another device if the broker wants one.
    pub(super) async fn redeem_confirmed(
        &self,
        credential: &mut Credential,
        mut evidence: Evidence,
        view: &dyn LoginView,
    ) -> Result<Access, LoginError> {
        let mut shown: Option<Confirmation> = None;
        let mut renewed = false;
        loop {
            let outcome = self.redeem(credential, evidence.clone()).await;
            let Err(error) = &outcome else { return outcome };
            let Some(problem) = problem(error) else { return outcome };
            match (&problem.confirmation, problem.code, &shown) {
                // the code that was shown has expired, and the broker gave another
                (Some(wanted), _, Some(known)) if wanted.code != known.code => {
                    return Err(LoginError::Unconfirmed);
                }
                (Some(_), _, Some(_)) => renewed = false,
                (Some(wanted), _, None) => {
                    view.confirm(wanted, &credential.device_key.thumbprint());
                    shown = Some(wanted.clone());
                }
                // the ID token has expired while the other device was looked for
                (None, ProblemCode::LoginNeeded, Some(_)) if !renewed => {
                    renewed = true;
                    match self.renew(credential).await? {
                        Some(newer) => evidence = newer,
                        None => return outcome,
                    }
                    continue;
                }
                (None, _, _) => return outcome,
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn exchange(&self, credential: &Credential, evidence: &Evidence) -> Result<Access, LoginError> {
        let caller = Caller { key: &credential.device_key, token: None, public_url: self.public_url };
        let form = form(TOKEN_TYPE_ID, &evidence.id_token, evidence.userinfo.as_ref(), self.context);
        exchange(self.link, caller, form, self.context).await
    }
}

fn problem(error: &LoginError) -> Option<&Problem> {
    match error {
        LoginError::Link(LinkError::Problem(problem)) => Some(problem),
        _ => None,
    }
}

/// A little more than the granularity of `iat`.
const A_SECOND: Duration = Duration::from_millis(1100);
/// How often another token is asked for before it is called a failure.
const MOST_TWINS: u32 = 3;
const ASK_AGAIN: Duration = Duration::from_secs(2);
