//! Which entries of a ledger tell the story of one session, and nobody else's.
//!
//! The session's own; requests that were filed in it and those behind the grant that it was opened with, with their
//! reviews; the devices that signed those, as they were enrolled and revoked; of a standing decision, the request in
//! whose review it was made; and the starts of the broker in between, with which connections ended.

use std::collections::{BTreeSet, HashMap};

use crate::domain::event::{Event, What};
use crate::domain::name::{DeviceId, GrantId, RequestId, SessionId};
use crate::domain::principal::PrincipalId;
use crate::ledger::ocsf::Subject;
use crate::ledger::verify::Reviews;

/// Chooses, as entries are read. It has a record for each request, grant and device, as the verifier has.
#[derive(Debug)]
pub struct Choice {
    session: SessionId,
    /// The session's own entries.
    own: Vec<u64>,
    is_open: bool,
    /// Starts of the broker since the session was opened.
    starts: Vec<u64>,
    requests: HashMap<RequestId, Request>,
    grants: HashMap<GrantId, Vec<Granted>>,
    devices: HashMap<DeviceId, Vec<Change>>,
    /// Those that were filed in the session.
    filed: Vec<RequestId>,
    /// Those with which it was opened.
    used: Vec<GrantId>,
}

#[derive(Debug, Default)]
struct Request {
    entries: Vec<u64>,
    /// Whose standing decisions answered it.
    standing: Vec<RequestId>,
    /// Who signed reviews, with which device.
    signers: Vec<(PrincipalId, DeviceId)>,
}

/// An entry about a grant.
#[derive(Debug)]
struct Granted {
    index: u64,
    /// The request that it came of.
    request: Option<RequestId>,
}

/// An entry about a device.
#[derive(Debug)]
struct Change {
    index: u64,
    /// For whom it was enrolled; nobody when it was revoked.
    whose: Option<PrincipalId>,
}

impl Choice {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            own: Vec::new(),
            is_open: false,
            starts: Vec::new(),
            requests: HashMap::new(),
            grants: HashMap::new(),
            devices: HashMap::new(),
            filed: Vec::new(),
            used: Vec::new(),
        }
    }

    /// Takes the next entry of the ledger.
    pub fn follow(&mut self, index: u64, event: &Event, reviews: &dyn Reviews) {
        let actor = || event.actor.as_ref().map(|actor| actor.principal.clone());
        match &event.what {
            What::BrokerStarted { .. } if self.is_open => self.starts.push(index),
            What::DeviceEnrolled { device } => {
                if let Some(whose) = actor() {
                    self.devices
                        .entry(device.clone())
                        .or_default()
                        .push(Change { index, whose: Some(whose) });
                }
            }
            What::DeviceRevoked { device } => {
                self.devices.entry(device.clone()).or_default().push(Change { index, whose: None });
            }
            What::GrantExtended { grant, request, .. } | What::GrantIssued { grant, request, .. } => {
                let granted = Granted { index, request: Some(request.clone()) };
                self.grants.entry(grant.clone()).or_default().push(granted);
            }
            What::GrantRevoked { grant, .. } => {
                self.grants.entry(grant.clone()).or_default().push(Granted { index, request: None });
            }
            What::GrantUsed { grant, session } if *session == self.session => {
                self.own.push(index);
                self.used.push(grant.clone());
            }
            What::RequestFiled { request, session, .. } => {
                self.request(request).entries.push(index);
                if session.as_ref() == Some(&self.session) {
                    self.filed.push(request.clone());
                }
            }
            What::RequestAnswered { request, standing, .. } => {
                let known = self.request(request);
                known.entries.push(index);
                known.standing.extend(standing.clone());
            }
            What::ReviewGiven { request, proof, .. } => {
                let signer = actor().zip(reviews.open(proof).ok().map(|signed| signed.device));
                let known = self.request(request);
                known.entries.push(index);
                known.signers.extend(signer);
            }
            What::RequestEnded { request, .. }
            | What::ReviewRejected { request, .. }
            | What::StandingRevoked { request, .. } => self.request(request).entries.push(index),
            other if Subject::of(other).session == Some(&self.session) => {
                self.own.push(index);
                self.is_open |= matches!(other, What::SessionOpened { .. });
            }
            _ => {}
        }
    }

    /// The entries that were chosen, in order; none when there is no such session.
    #[must_use]
    pub fn finish(self) -> Vec<u64> {
        let mut chosen: BTreeSet<u64> = self.own.iter().copied().collect();
        if !self.is_open {
            return Vec::new();
        }
        let of_filed = self.filed.iter().filter_map(|request| self.requests.get(request));
        chosen.extend(of_filed.flat_map(|request| request.entries.iter().copied()));
        // what came after its last entry is none of its story
        let last = chosen.last().copied().unwrap_or_default();
        let mut waiting = self.filed.clone();
        for granted in self.used.iter().filter_map(|grant| self.grants.get(grant)).flatten() {
            if granted.index <= last {
                chosen.insert(granted.index);
                waiting.extend(granted.request.clone());
            }
        }
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            let Some(request) = self.requests.get(&id) else { continue };
            if !seen.insert(id) {
                continue;
            }
            chosen.extend(&request.entries);
            waiting.extend(request.standing.iter().cloned());
            for (reviewer, device) in &request.signers {
                let changes = self.devices.get(device).into_iter().flatten();
                let theirs = changes
                    .filter(|change| change.whose.as_ref().is_none_or(|whose| whose == reviewer))
                    .map(|change| change.index);
                chosen.extend(theirs);
            }
        }
        chosen.extend(&self.starts);
        chosen.into_iter().take_while(|index| *index <= last).collect()
    }

    fn request(&mut self, id: &RequestId) -> &mut Request {
        self.requests.entry(id.clone()).or_default()
    }
}
