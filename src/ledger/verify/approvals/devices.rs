//! Who enrolled which device, and when it was revoked.

use std::collections::HashMap;

use jiff::Timestamp;

use super::moment::{SLACK, after};
use crate::domain::name::DeviceId;
use crate::domain::principal::PrincipalId;

/// All devices that were ever enrolled.
#[derive(Debug, Default)]
pub(super) struct Devices(HashMap<(PrincipalId, DeviceId), Option<Timestamp>>);

impl Devices {
    pub(super) fn enrol(&mut self, whose: &PrincipalId, device: &DeviceId) {
        self.0.insert((whose.clone(), device.clone()), None);
    }

    /// Whoever revoked it, it is nobody's any more.
    pub(super) fn revoke(&mut self, device: &DeviceId, at: Timestamp) {
        self.0
            .iter_mut()
            .filter(|((_, known), revoked)| known == device && revoked.is_none())
            .for_each(|(_, revoked)| *revoked = Some(at));
    }

    /// Whether it was somebody's at a time.
    pub(super) fn is_enrolled(&self, whose: &PrincipalId, device: &DeviceId, at: Timestamp) -> bool {
        let known = self.0.get(&(whose.clone(), device.clone()));
        known.is_some_and(|revoked| revoked.is_none_or(|revoked| at <= after(revoked, SLACK)))
    }
}
