//! Every interleaving of everybody who touches a request or a grant.
//!
//! Everybody reads, computes the step with the very functions that the broker runs, and writes later:
//! in between, anybody else may have written, and the broker may have been restarted. A write counts
//! only if the stored version is still the one that was read; `Write::Blind` takes that guard away, and
//! the checker must then find what goes wrong.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use stateright::{Checker as _, HasDiscoveries, Model, Property};

use super::{Life, Misstep, Purpose, Step, Voice};
use crate::domain::approval::{Decision, Grant, GrantState, ReleasedBy, RequestState};
use crate::domain::name::{DeviceId, GrantId, GroupName, ProviderName, RequestId, RuleName, TargetName};
use crate::domain::principal::{Kin, Person, PrincipalId, PrincipalKind, Subject};

fn at(second: u8) -> Timestamp {
    Timestamp::from_second(i64::from(second)).unwrap()
}

fn person(name: &str) -> Person {
    let id =
        PrincipalId { provider: ProviderName::new("corp").unwrap(), subject: Subject::new(name).unwrap() };
    Person { id, kin: Kin::default() }
}

fn device(of: &str) -> DeviceId {
    DeviceId::new(of.repeat(43)).unwrap()
}

fn voice(name: &str, groups: &[&str], decision: Decision) -> Voice {
    let groups: BTreeSet<_> =
        groups.iter().map(|group| GroupName::new(format!("corp/{group}")).unwrap()).collect();
    let letter = name.get(..1).unwrap();
    Voice { person: person(name), kind: PrincipalKind::Human, device: device(letter), groups, decision }
}

fn rule() -> ReleasedBy {
    ReleasedBy::Rule(RuleName::new("auto").unwrap())
}

fn request(threshold: &str, purpose: Purpose) -> Life {
    Life {
        purpose,
        state: RequestState::Pending,
        requester: person("requester"),
        device: device("r"),
        threshold: threshold.parse().unwrap(),
        people_only: false,
        voices: Vec::new(),
        answer: None,
        expires: at(1),
    }
}

/// Whether a write looks at the version it was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Conditional,
    Blind,
}

/// The checker finds a state in which each of these does not hold.
fn finds<M>(model: M, properties: &[&'static str])
where
    M: Model + Send + Sync + 'static,
    M::State: std::fmt::Debug + std::hash::Hash + Clone + PartialEq + Send + Sync + 'static,
    M::Action: std::fmt::Debug + Clone + PartialEq + Send + Sync,
{
    let wanted = HasDiscoveries::AllOf(properties.iter().copied().collect());
    let found = model.checker().threads(2).finish_when(wanted).spawn_bfs().join();
    for property in properties {
        assert!(found.discovery(property).is_some(), "{property}");
    }
}

mod door;
mod held;
mod steps;
