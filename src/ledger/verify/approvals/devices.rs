//! Who enrolled which device, and when it was revoked.

use std::collections::HashMap;

use jiff::Timestamp;

use super::moment::{SLACK, after};
use crate::domain::name::DeviceId;
use crate::domain::principal::PrincipalId;

/// All devices that were ever enrolled. One entry costs the same however many came before: ledgers may be hostile.
#[derive(Debug, Default)]
pub(super) struct Devices(HashMap<DeviceId, Device>);

#[derive(Debug, Default)]
struct Device {
    /// For everybody who enrolled it, how often it had been revoked before.
    enrolled: HashMap<PrincipalId, usize>,
    /// When, in order of the entries.
    revoked: Vec<Timestamp>,
}

impl Devices {
    pub(super) fn enrol(&mut self, whose: &PrincipalId, device: &DeviceId) {
        let device = self.0.entry(device.clone()).or_default();
        device.enrolled.insert(whose.clone(), device.revoked.len());
    }

    /// Whoever revoked it, it is nobody's any more.
    pub(super) fn revoke(&mut self, device: &DeviceId, at: Timestamp) {
        if let Some(device) = self.0.get_mut(device) {
            device.revoked.push(at);
        }
    }

    /// Whether it was somebody's at a time.
    pub(super) fn is_enrolled(&self, whose: &PrincipalId, device: &DeviceId, at: Timestamp) -> bool {
        let known = self.0.get(device).and_then(|device| Some((device, device.enrolled.get(whose)?)));
        known.is_some_and(|(device, before)| {
            // the first that came after it was enrolled
            device.revoked.get(*before).is_none_or(|revoked| at <= after(*revoked, SLACK))
        })
    }
}
