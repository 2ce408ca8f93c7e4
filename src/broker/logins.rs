//! Logins and their access tokens.
//!
//! Job: who is logged in with which device key, until when, and which access tokens that login has.
//! Kept in memory and in the store, so that a restart ends nobody's login. Boundary: it does not
//! judge identity (`authn` does) and does not close sessions (`app` does). Failure mode: what could
//! not be stored did not happen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::broker::store::{Store, StoreError, logins as table};
use crate::domain::name::DeviceId;
use crate::domain::principal::Principal;

/// SHA-256 of a token.
pub(crate) type TokenDigest = [u8; 32];

/// A principal on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// Who, with the groups of the last exchange.
    pub(crate) principal: Principal,
    /// Why they are in no group, where configuration names some.
    pub(crate) groupless: Option<String>,
    /// The host name that the device gave.
    pub(crate) host: String,
    /// When it last exchanged a token.
    pub(crate) exchanged: Timestamp,
    /// How long it lasts without another exchange.
    pub(crate) idle: SignedDuration,
    /// How long its sessions may last, where its issuer's rule says so.
    pub(crate) session_cap: Option<SignedDuration>,
}

impl Login {
    /// When it ends unless there is another exchange.
    pub(crate) fn expires(&self) -> Timestamp {
        self.exchanged.checked_add(self.idle).unwrap_or(Timestamp::MAX)
    }
}

/// What an access token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// The only device that may use it.
    pub(crate) device: DeviceId,
    /// Until when.
    pub(crate) expires: Timestamp,
}

/// All logins.
pub(crate) struct Logins {
    store: Arc<Store>,
    state: Mutex<State>,
    // held while the store is written, so that store and memory change in the same order; `state` is
    // not, because every call of the API looks into it
    writing: Mutex<()>,
}

#[derive(Default)]
struct State {
    logins: HashMap<DeviceId, Login>,
    tokens: HashMap<TokenDigest, Access>,
}

impl Logins {
    /// Takes up what the store remembers.
    pub(crate) fn load(store: Arc<Store>) -> Result<Self, StoreError> {
        let (logins, tokens) = store.read(|on| Ok((table::all(on)?, table::all_tokens(on)?)))?;
        let state = State { logins: logins.into_iter().collect(), tokens: tokens.into_iter().collect() };
        Ok(Self { store, state: Mutex::new(state), writing: Mutex::new(()) })
    }

    /// Begins or refreshes the login of a device and gives it an access token; returns the login that holds
    /// now: a newer exchange of the same principal, should one have been faster. A login of somebody else on
    /// that device ends.
    pub(crate) fn put(
        &self,
        device: &DeviceId,
        login: Login,
        token: TokenDigest,
        token_expires: Timestamp,
    ) -> Result<Login, StoreError> {
        let access = Access { device: device.clone(), expires: token_expires };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.state().logins.get(device).cloned();
        let replaces = old.as_ref().is_some_and(|old| old.principal.id != login.principal.id);
        // INVARIANT: groups that somebody lost do not come back with an exchange that took longer
        let login = match old {
            Some(newer) if !replaces && newer.exchanged > login.exchanged => newer,
            _ => login,
        };
        self.store.write(|on| {
            if replaces {
                table::remove(on, device)?;
            }
            table::put(on, device, &login)?;
            table::put_token(on, &token, &access)
        })?;
        let mut state = self.state();
        if replaces {
            state.tokens.retain(|_, access| access.device != *device);
        }
        state.tokens.insert(token, access);
        state.logins.insert(device.clone(), login.clone());
        Ok(login)
    }

    /// The login behind an access token of this device.
    pub(crate) fn bearer(&self, token: &TokenDigest, device: &DeviceId, now: Timestamp) -> Option<Login> {
        let state = self.state();
        let access =
            state.tokens.get(token).filter(|access| access.device == *device && now < access.expires)?;
        state.logins.get(&access.device).filter(|login| now < login.expires()).cloned()
    }

    /// The login of a device, if it still lasts.
    pub(crate) fn of(&self, device: &DeviceId, now: Timestamp) -> Option<Login> {
        self.state().logins.get(device).filter(|login| now < login.expires()).cloned()
    }

    /// Ends the login of a device and all its tokens; returns it if there was one.
    pub(crate) fn end(&self, device: &DeviceId) -> Result<Option<Login>, StoreError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        // first in memory: when the store fails, the login is gone for this process at least
        state.tokens.retain(|_, access| access.device != *device);
        let login = state.logins.remove(device);
        drop(state);
        self.store.write(|on| table::remove(on, device))?;
        Ok(login)
    }

    /// The devices whose login has run out.
    pub(crate) fn lapsed(&self, now: Timestamp) -> Vec<DeviceId> {
        let state = self.state();
        let lapsed = state.logins.iter().filter(|(_, login)| login.expires() <= now);
        lapsed.map(|(device, _)| device.clone()).collect()
    }

    /// The devices that are logged in through this provider or issuer.
    pub(crate) fn through(&self, belongs: impl Fn(&Principal) -> bool) -> Vec<DeviceId> {
        let state = self.state();
        let found = state.logins.iter().filter(|(_, login)| belongs(&login.principal));
        found.map(|(device, _)| device.clone()).collect()
    }

    /// Forgets tokens that have expired.
    pub(crate) fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        self.state().tokens.retain(|_, access| now < access.expires);
        self.store.write(|on| table::prune(on, now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::domain::name::{GroupName, ProviderName};
    use crate::domain::principal::{Kin, PrincipalId, PrincipalKind, Subject};

    fn login(second: i64, groups: &[&str]) -> Login {
        let subject = Subject::new("alice").unwrap();
        Login {
            principal: Principal {
                id: PrincipalId { provider: ProviderName::new("corp").unwrap(), subject },
                kind: PrincipalKind::Human,
                display: "alice".into(),
                groups: groups.iter().map(|group| GroupName::new(*group).unwrap()).collect(),
                kin: Kin::default(),
                attributes: BTreeMap::new(),
            },
            groupless: None,
            host: "laptop".into(),
            exchanged: Timestamp::from_second(second).unwrap(),
            idle: SignedDuration::from_mins(10),
            session_cap: None,
        }
    }

    #[test]
    fn an_exchange_that_took_longer_brings_no_lost_group_back() {
        let store = Arc::new(Store::in_memory().unwrap());
        let logins = Logins::load(Arc::clone(&store)).unwrap();
        let device = DeviceId::from_digest(&[1; 32]);
        let now = Timestamp::from_second(1005).unwrap();
        let put = |login, token| logins.put(&device, login, [token; 32], Timestamp::MAX).unwrap();
        let (slow, newer) = (login(1000, &["corp/dba"]), login(1001, &[]));
        assert_eq!(put(newer.clone(), 1), newer);
        assert_eq!(put(slow, 2), newer);
        for logins in [&logins, &Logins::load(Arc::clone(&store)).unwrap()] {
            assert_eq!(logins.bearer(&[2; 32], &device, now).unwrap().principal.groups, BTreeSet::new());
        }
    }
}
