//! Keyed digests of what is not shown.
//!
//! Job: let two records be told to be of the same thing without saying what. Whoever sees a digest could
//! try guesses in a statement of their own, where that got the same digest, so no key is shared: what a
//! record needs is comparable within its session, and what standing decisions go by among the sessions of
//! one requester on one target. Boundary: the target's key comes from the authority and is used for
//! nothing but these two. Failure mode: no digests, and so no connection.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha2::Sha256;

use super::authority::SessionContext;
use crate::domain::name::Digest;

/// The keys of one session.
#[derive(Clone)]
pub(super) struct Digests {
    session: Hmac<Sha256>,
    requester: Hmac<Sha256>,
}

impl Digests {
    /// Those of a session; `None` when its target's key is unusable.
    pub(super) fn new(context: &SessionContext) -> Option<Self> {
        let target = Hmac::<Sha256>::new_from_slice(context.digest_key.expose_secret().as_bytes()).ok()?;
        let who = &context.principal.id;
        let (provider, subject) = (who.provider.as_str().as_bytes(), who.subject.as_str().as_bytes());
        // INVARIANT: no two requesters share a key, or one could test guesses of what the other sent
        let derived = |parts: &[&[u8]]| Hmac::<Sha256>::new_from_slice(&mac(&target, parts)).ok();
        Some(Self {
            session: derived(&[b"session", provider, subject, context.id.as_str().as_bytes()])?,
            requester: derived(&[b"requester", provider, subject])?,
        })
    }

    /// Of something in this session.
    pub(super) fn in_session(&self, parts: &[&[u8]]) -> Digest {
        Digest::from_bytes(&mac(&self.session, parts))
    }

    /// Of something that is to be known again in other sessions of this requester on this target.
    pub(super) fn of_requester(&self, parts: &[&[u8]]) -> Digest {
        Digest::from_bytes(&mac(&self.requester, parts))
    }
}

fn mac(key: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    for part in parts {
        // the length keeps ("ab", "c") and ("a", "bc") apart
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
