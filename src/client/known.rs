//! The devices that this one has seen enrolled for the same person.
//!
//! Job: finds keys that were enrolled since the person last looked at the list. Boundary: compares
//! what the broker lists with what is on this machine; whom to tell is the caller's. Failure mode:
//! without a list nothing is said; what the broker hides is found in its ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::home::{BrokerHome, HomeError};
use crate::domain::device::Device;
use crate::domain::name::DeviceId;

/// What a look at the list found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing on the list is known: the first look from this machine, or what was known is lost.
    /// The others.
    First(Vec<Device>),
    /// These were enrolled since.
    Since(Vec<Device>),
}

/// Compares a list with what is known. A key stays unknown until [`know`] is told of it.
pub(super) fn look(place: &BrokerHome, this: &DeviceId, listed: &[Device]) -> Result<Look, HomeError> {
    let others = |device: &&Device| device.id != *this && device.revoked.is_none();
    let Some(whose) = listed.first().map(|device| device.principal.to_string()) else {
        return Ok(Look::Since(Vec::new()));
    };
    let Some(known) = read(place)?.remove(&whose) else {
        return Ok(Look::First(listed.iter().filter(others).cloned().collect()));
    };
    let strangers = listed.iter().filter(others).filter(|device| !known.contains(&device.id));
    Ok(Look::Since(strangers.cloned().collect()))
}

/// Remembers that the person has seen these.
pub(super) fn know(place: &BrokerHome, seen: &[Device]) -> Result<(), HomeError> {
    let mut known = read(place)?;
    for device in seen {
        known.entry(device.principal.to_string()).or_default().insert(device.id.clone());
    }
    // ids are always JSON
    place.write(FILE, &serde_json::to_vec(&known).unwrap_or_default())
}

/// By principal: several people may use one machine.
fn read(place: &BrokerHome) -> Result<BTreeMap<String, BTreeSet<DeviceId>>, HomeError> {
    let bytes = place.read(FILE)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

const FILE: &str = "devices.json";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use jiff::Timestamp;

    use super::*;
    use crate::client::home::Home;

    fn device(number: u8) -> Device {
        Device {
            id: DeviceId::from_digest(&[number; 32]),
            principal: serde_json::from_str(r#"{"provider":"corp","subject":"alice"}"#).unwrap(),
            host: "laptop".into(),
            enrolled: Timestamp::UNIX_EPOCH,
            revoked: None,
            confirmed_by: None,
        }
    }

    #[test]
    fn a_key_is_strange_until_the_person_has_seen_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("state")).unwrap();
        let place = home.broker(&"https://a.example".parse().unwrap()).unwrap();
        let (this, old, new) = (device(1), device(2), device(3));
        let before = [this.clone(), old.clone()];
        assert_eq!(look(&place, &this.id, &before).unwrap(), Look::First(vec![old.clone()]));
        know(&place, &before).unwrap();
        let after = [this.clone(), old.clone(), new.clone()];
        for _ in 0..2 {
            assert_eq!(look(&place, &this.id, &after).unwrap(), Look::Since(vec![new.clone()]));
        }
        know(&place, &after).unwrap();
        assert_eq!(look(&place, &this.id, &after).unwrap(), Look::Since(Vec::new()));
        let gone = Device { revoked: Some(Timestamp::UNIX_EPOCH), ..device(4) };
        assert_eq!(look(&place, &this.id, &[this.clone(), gone]).unwrap(), Look::Since(Vec::new()));
        // what was known is lost: nobody is taken as known, however often one looks
        place.write(FILE, b"rubbish").unwrap();
        for _ in 0..2 {
            assert_eq!(look(&place, &this.id, &after).unwrap(), Look::First(vec![old.clone(), new.clone()]));
        }
    }
}
