//! Leases of AWS: credentials of STS for one session.
//!
//! Job: assume the target's role in a principal's name, cut down to what the target allows them and to the session's
//! time; keep the result, and take it back where that is possible. Boundary: the secret goes to the gateway only; what
//! is asked of STS and IAM is in modules of their own. Failure mode: no lease without its entry, and where credentials
//! are to be taken back, none without a row by which a broker that was killed would find them.

mod base;
mod denials;
mod document;
mod fault;
mod iam;
mod name;
mod sts;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Serialize;

use self::base::Bases;
use self::denials::Denials;
pub(crate) use self::document::session_policy;
use self::name::{session_name, tag_value};
use self::sts::Order;
use super::issued::Issued;
use super::leases::Stamp;
use super::secrets::Secrets;
use super::store::Store;
use super::tokens::Minter;
use crate::domain::name::SessionId;
use crate::domain::target::{AwsIssuer, AwsRevocation, AwsTarget};
use crate::gateway::authority::{Credential, Lease, LeaseError, SessionContext};
use crate::gateway::journal::Journal;
use crate::wire::aws::call::is_of_aws;

/// The STS of a target that denies tokens by session tags, where it is not AWS's own: some take tags and forget them,
/// and no answer says so.
pub(crate) fn forgetful_sts(aws: &AwsTarget) -> Option<&str> {
    let denies_by_tag = aws.revoke == AwsRevocation::InlineDeny && aws.issuer.tags();
    let host = aws.sts.as_ref().filter(|_| denies_by_tag)?.host_str().unwrap_or_default();
    (!is_of_aws(host)).then_some(host)
}

/// Makes leases of AWS.
pub(crate) struct Accounts {
    minter: Minter,
    bases: Bases,
    denials: Denials,
    issued: Issued,
    /// One issue at a time for each session.
    turns: Mutex<HashMap<SessionId, Arc<tokio::sync::Mutex<()>>>>,
}

/// What a web identity says (OpenID Connect Core §2).
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
}

impl Accounts {
    /// Leases whose web identities this signs; `broker` tells this broker's policies of roles from other brokers'.
    pub(crate) fn new(
        minter: Minter,
        store: Arc<Store>,
        journal: Arc<dyn Journal>,
        secrets: Secrets,
        stamp: impl Fn() -> Stamp + Clone + Send + Sync + 'static,
    ) -> Self {
        let bases = Bases::new(secrets);
        let denials = Denials::new(
            store,
            Arc::clone(&journal),
            bases.clone(),
            minter.issuer.as_str(),
            Box::new(stamp.clone()),
        );
        Self { minter, bases, denials, issued: Issued::new(journal, stamp), turns: Mutex::default() }
    }

    /// The session's lease; another one when less than a third of its life is left.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub(crate) async fn issue(
        &self,
        context: &SessionContext,
        target: &AwsTarget,
    ) -> Result<Lease, LeaseError> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(context.id.clone()).or_default())
        };
        let _turn = turn.lock().await;
        let third = SignedDuration::from_secs(i64::try_from(target.seconds / 3).unwrap_or(i64::MAX));
        if let Some(lease) = self.issued.lasting_for(context, third) {
            return Ok(lease);
        }
        let permissions = target.permissions_of(&context.principal.groups);
        if permissions.as_ref().is_some_and(Vec::is_empty) {
            return Err(LeaseError::Issuer("no permission of this target is for your groups".into()));
        }
        let turn = self.issued.begin(&context.id);
        let now = self.issued.now();
        let until = Issued::limit(context, now);
        let left = until.duration_since(now).as_secs().max(0).unsigned_abs();
        let order = Order {
            role: &target.role,
            name: session_name(&context.principal.id, (!target.issuer.tags()).then_some(&context.id)),
            policy: session_policy(permissions.as_deref(), until),
            // the shortest that covers the session, of what STS gives
            seconds: left.clamp(SHORTEST, target.seconds.max(SHORTEST)),
            tags: match target.issuer.tags() {
                true => vec![
                    ("hoop-session", context.id.to_string()),
                    ("hoop-principal", tag_value(&context.principal.id.to_string())),
                ],
                false => Vec::new(),
            },
        };
        let revocable = target.revoke == AwsRevocation::InlineDeny;
        let mut is_first = false;
        if revocable {
            // INVARIANT: what a broker must take back is on the disk before it exists
            let longest = later(now, order.seconds).checked_add(SKEW).unwrap_or(Timestamp::MAX);
            is_first = self.denials.begin(context, target, &order.name, longest).await?;
        }
        let assumed = self.assumed(context, target, &order, now).await;
        if is_first && matches!(assumed, Err(LeaseError::Issuer(_))) {
            // STS said no: there is nothing to take back, and no room to be kept for it
            self.denials.never_began(&context.id);
        }
        let keys = assumed?;
        let expires = keys.expires.min(until);
        let note = match revocable {
            true => format!("its tokens are denied by the policy `{}` of the role", self.denials.policy()),
            false => format!("the credentials cannot be taken back; they last until {expires}"),
        };
        let lease =
            Lease { user: keys.user, credential: Credential::Aws(Box::new(keys.credential)), expires };
        let given = self.issued.give(turn, context, lease, note);
        if given.is_err() && revocable {
            // nobody has them, and nobody will ask for their end
            drop(self.denials.end(&context.id).await);
        }
        given
    }

    async fn assumed(
        &self,
        context: &SessionContext,
        target: &AwsTarget,
        order: &Order<'_>,
        now: Timestamp,
    ) -> Result<sts::Keys, LeaseError> {
        match &target.issuer {
            AwsIssuer::AssumeRole { base, external_id, source_identity, .. } => {
                let base = self.bases.of(target, base).await?;
                let source = source_identity.then(|| session_name(&context.principal.id, None));
                sts::assume(&base, target, order, external_id.as_deref(), source).await
            }
            AwsIssuer::WebIdentity { audience } => {
                let token = self.identity(context, audience, now)?;
                let base = self.bases.nobody(target).await?;
                sts::assume_with(&base, target, order, &token).await
            }
        }
    }

    /// Ends the session's lease, and denies its tokens where the target says so.
    pub(crate) async fn revoke(&self, session: &SessionId) {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
        let failed = self.denials.end(session).await.err();
        self.issued.end_with(session, |note| match &failed {
            None => (true, note),
            Some(error) => (false, format!("its tokens are not denied yet, which is tried again: {error}")),
        });
    }

    /// Denies what former processes and failures left, and forgets what has expired; how many tokens are not denied.
    pub(crate) async fn reap(&self) -> usize {
        self.denials.reap().await
    }

    /// What the broker says to STS of a principal.
    fn identity(
        &self,
        context: &SessionContext,
        audience: &str,
        now: Timestamp,
    ) -> Result<SecretString, LeaseError> {
        let nonce: [u8; 8] = rand::random();
        let claims = Claims {
            iss: self.minter.issuer.as_str().trim_end_matches('/'),
            sub: context.principal.id.to_string(),
            aud: audience,
            iat: now.as_second(),
            exp: now.as_second().saturating_add(IDENTITY),
            jti: format!("{}.{:016x}", context.id, u64::from_be_bytes(nonce)),
        };
        let signed = self.minter.signer.sign("JWT", &claims);
        signed.map_err(|error| LeaseError::Issuer(error.to_string()))
    }
}

fn later(now: Timestamp, seconds: u64) -> Timestamp {
    let by = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// What STS gives at least, in seconds.
const SHORTEST: u64 = 900;
/// How long a web identity is good, in seconds: for one call of STS.
const IDENTITY: i64 = 120;
/// How much longer than ours AWS's clock may take credentials to be good.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
