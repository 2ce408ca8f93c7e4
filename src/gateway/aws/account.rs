//! An account of AWS, as one connection of a client has it before it.
//!
//! Job: the session's keys, the endpoint of each service, and the connections to it. Boundary: only endpoints of services
//! that the target names are ever dialled, whatever a call says. Failure mode: what cannot be kept is a fault, upon which
//! every call is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use super::held::HeldCalls;
use crate::domain::name::TargetName;
use crate::domain::policy::Permit;
use crate::domain::target::AwsTarget;
use crate::gateway::authority::SessionContext;
use crate::gateway::http::dial::{Endpoint, Upstreams};
use crate::gateway::http::terms;
use crate::gateway::judge::Turnstile;
use crate::mask::document::TokenKey;
use crate::wire::aws::sigv4::{SessionKeys, session_keys};

/// An account, and the connections to its services.
pub(in crate::gateway) struct Account {
    pub(super) target: AwsTarget,
    /// What the session's child signs with; `None` when they cannot be made.
    pub(super) keys: Option<SessionKeys>,
    /// What tokens in the place of masked values are made with.
    pub(super) token_key: Option<TokenKey>,
    pub(super) turnstile: Turnstile,
    /// The calls of all sessions that wait.
    pub(in crate::gateway) held: HeldCalls,
    name: TargetName,
    first: Mutex<Option<Permit>>,
    upstreams: Mutex<BTreeMap<String, Arc<Upstreams>>>,
}

impl Account {
    pub(super) fn new(
        context: &SessionContext,
        target: &AwsTarget,
        turnstile: &Turnstile,
        permit: Permit,
        held: HeldCalls,
    ) -> Self {
        let keys = bytes(context.secret.as_str()).map(|digest| session_keys(context.id.as_str(), &digest));
        Self {
            target: target.clone(),
            keys,
            token_key: terms::token_key(context),
            turnstile: turnstile.clone(),
            held,
            name: context.target.name.clone(),
            first: Mutex::new(Some(permit)),
            upstreams: Mutex::default(),
        }
    }

    /// The connections to a service; `None` for one that the target does not name.
    pub(super) fn upstreams(&self, service: &str) -> Option<Arc<Upstreams>> {
        // INVARIANT: nobody dials what the target does not name
        if !self.target.services.contains(service) {
            return None;
        }
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = upstreams.get(service) {
            return Some(Arc::clone(known));
        }
        let endpoint = Endpoint {
            base: endpoint(&self.target, service)?,
            root_certificates: self.target.root_certificates.clone(),
            only_http2: false,
        };
        let permit = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let new = Arc::new(Upstreams::new(self.name.clone(), self.turnstile.clone(), permit, endpoint));
        upstreams.insert(service.to_owned(), Arc::clone(&new));
        Some(new)
    }
}

/// Where a service is: as the target says, or AWS's own endpoint of the region ("AWS service endpoints"). Buckets are
/// addressed in the path, which every region's endpoint of S3 takes.
pub(super) fn endpoint(target: &AwsTarget, service: &str) -> Option<Url> {
    if let Some(endpoint) = target.endpoints.get(service) {
        return Some(endpoint.clone());
    }
    let suffix = if target.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Url::parse(&format!("https://{service}.{}.{suffix}", target.region)).ok()
}

/// The 32 bytes of a digest.
fn bytes(digest: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digest.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digest.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use crate::domain::name::Digest;

    #[test]
    fn a_digest_is_its_bytes() {
        let digest: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap_or_default().wrapping_mul(9));
        assert_eq!(super::bytes(Digest::from_bytes(&digest).as_str()), Some(digest));
        assert_eq!(super::bytes("00"), None);
    }
}
