//! Every interleaving of everybody who touches a request or a grant.
//!
//! Everybody reads, computes the step with the very functions that the broker runs, and writes later:
//! in between, anybody else may have written, and the broker may have been restarted. A write counts
//! only if the stored version is still the one that was read; `Write::Blind` takes that guard away, and
//! the checker must then find what goes wrong.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use stateright::{Checker as _, Model, Property};

use super::{Life, Misstep, Purpose, Step, Voice};
use crate::domain::approval::{Decision, Grant, GrantState, RequestState};
use crate::domain::name::{DeviceId, GrantId, GroupName, ProviderName, RequestId, TargetName};
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

/// A held statement and everybody who touches its request.
struct Held {
    write: Write,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scene {
    version: u8,
    life: Life,
    now: u8,
    /// For each step, what its owner has read and computed and not written yet.
    flights: Vec<Option<(u8, Life)>>,
    restarts: u8,
    // what an onlooker has seen
    released: u8,
    ended: bool,
    released_after_end: bool,
    released_unmet: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Move {
    Read(usize),
    Write(usize),
    Restart,
    Tick,
}

impl Held {
    fn new(write: Write) -> Self {
        let both = ["dba", "security"];
        Self {
            write,
            steps: vec![
                Step::Review(voice("alice", &both, Decision::Approve)),
                Step::Review(voice("carol", &["security"], Decision::Approve)),
                Step::Review(voice("bob", &["dba"], Decision::Deny)),
                Step::Release,
                Step::Release,
                Step::Expire,
                Step::VoidDevice(device("a")),
            ],
        }
    }
}

impl Model for Held {
    type State = Scene;
    type Action = Move;

    fn init_states(&self) -> Vec<Scene> {
        vec![Scene {
            version: 0,
            life: request("corp/dba:1, corp/security:1", Purpose::Deed),
            now: 0,
            flights: vec![None; self.steps.len()],
            restarts: 0,
            released: 0,
            ended: false,
            released_after_end: false,
            released_unmet: false,
        }]
    }

    fn actions(&self, scene: &Scene, moves: &mut Vec<Move>) {
        for place in 0..self.steps.len() {
            match scene.flights.get(place).unwrap() {
                None => moves.push(Move::Read(place)),
                Some(_) => moves.push(Move::Write(place)),
            }
        }
        if scene.now < 1 {
            moves.push(Move::Tick);
        }
        if scene.restarts < 1 {
            moves.push(Move::Restart);
        }
    }

    fn next_state(&self, scene: &Scene, action: Move) -> Option<Scene> {
        let mut next = scene.clone();
        match action {
            Move::Tick => next.now += 1,
            Move::Restart => {
                // the connection that waited is gone, and so is everything under way
                next.flights = vec![None; self.steps.len()];
                next.restarts += 1;
                if let Ok(life) = scene.life.clone().step(&Step::Void, at(scene.now)) {
                    next.ended = true;
                    next.life = life;
                    next.version += 1;
                }
            }
            Move::Read(place) => {
                let life = scene.life.clone().step(self.steps.get(place)?, at(scene.now)).ok()?;
                *next.flights.get_mut(place)? = Some((scene.version, life));
            }
            Move::Write(place) => {
                let (version, life) = next.flights.get_mut(place)?.take()?;
                if self.write == Write::Conditional && version != scene.version {
                    return Some(next);
                }
                if matches!(life.state, RequestState::Released { .. }) {
                    next.released += 1;
                    next.released_after_end |= scene.ended;
                    next.released_unmet |= scene.life.state != RequestState::Approved;
                } else if life.state.is_final() {
                    next.ended = true;
                }
                next.life = life;
                next.version += 1;
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("released at most once", |_, scene: &Scene| scene.released <= 1),
            Property::always("never after denial, expiry, withdrawal or voiding", |_, scene: &Scene| {
                !scene.released_after_end
            }),
            Property::always("only what is approved", |_, scene: &Scene| !scene.released_unmet),
            Property::always("what is final stays", |_, scene: &Scene| {
                !scene.ended || scene.life.state.is_final()
            }),
            Property::sometimes("it can be released", |_, scene: &Scene| scene.released == 1),
        ]
    }

    fn within_boundary(&self, scene: &Scene) -> bool {
        scene.version <= 4
    }
}

#[test]
fn a_held_statement_is_released_at_most_once_and_never_after_its_end() {
    let checker = Held::new(Write::Conditional).checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
}

#[test]
fn without_the_conditional_write_the_checker_finds_the_second_release() {
    let checker = Held::new(Write::Blind).checker().threads(2).spawn_bfs().join();
    assert!(checker.discovery("released at most once").is_some());
    assert!(checker.discovery("never after denial, expiry, withdrawal or voiding").is_some());
}

/// A grant for one session, and everybody who touches it.
struct Once(Write);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Uses {
    grant: Grant,
    now: u8,
    flights: Vec<Option<(Grant, Grant)>>,
    opened: u8,
    revoked: bool,
    opened_after_revocation: bool,
}

const USERS: [&str; 4] = ["open", "open", "revoke", "extend"];

impl Model for Once {
    type State = Uses;
    type Action = Move;

    fn init_states(&self) -> Vec<Uses> {
        let grant = Grant {
            id: GrantId::from_random([1; 16]),
            request: RequestId::from_random([2; 16]),
            principal: person("requester").id,
            target: TargetName::new("db").unwrap(),
            reason: String::new(),
            starts: at(1),
            ends: at(3),
            once: true,
            state: GrantState::Active,
        };
        vec![Uses {
            grant,
            now: 0,
            flights: vec![None; USERS.len()],
            opened: 0,
            revoked: false,
            opened_after_revocation: false,
        }]
    }

    fn actions(&self, uses: &Uses, moves: &mut Vec<Move>) {
        for (place, flight) in uses.flights.iter().enumerate() {
            moves.push(if flight.is_none() { Move::Read(place) } else { Move::Write(place) });
        }
        if uses.now < 4 {
            moves.push(Move::Tick);
        }
        moves.push(Move::Restart);
    }

    fn next_state(&self, uses: &Uses, action: Move) -> Option<Uses> {
        let mut next = uses.clone();
        let now = at(uses.now);
        match action {
            Move::Tick => next.now += 1,
            Move::Restart => next.flights = vec![None; USERS.len()],
            Move::Read(place) => {
                let grant = uses.grant.clone();
                let stepped = match *USERS.get(place)? {
                    "open" => grant.open(now),
                    "revoke" => grant.revoke(now),
                    _ => grant
                        .lengthened(None, SignedDuration::from_secs(1), now)
                        .and_then(|ends| grant.extend(ends, now)),
                };
                *next.flights.get_mut(place)? = Some((uses.grant.clone(), stepped.ok()?));
            }
            Move::Write(place) => {
                let (read, grant) = next.flights.get_mut(place)?.take()?;
                // as the UPDATE does: state and end are what was read
                let is_same = (read.state, read.ends) == (uses.grant.state, uses.grant.ends);
                if self.0 == Write::Conditional && !is_same {
                    return Some(next);
                }
                match *USERS.get(place)? {
                    "open" => {
                        next.opened += 1;
                        next.opened_after_revocation |= uses.revoked;
                    }
                    "revoke" => next.revoked = true,
                    _ => {}
                }
                next.grant = grant;
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one session", |_, uses: &Uses| uses.opened <= 1),
            Property::always("none after revocation", |_, uses: &Uses| !uses.opened_after_revocation),
            Property::always("revoked for good", |_, uses: &Uses| {
                !uses.revoked || uses.grant.state == GrantState::Revoked
            }),
            Property::sometimes("a session", |_, uses: &Uses| uses.opened == 1),
        ]
    }

    fn within_boundary(&self, uses: &Uses) -> bool {
        uses.grant.ends <= at(5)
    }
}

#[test]
fn a_grant_for_one_session_opens_one_and_none_after_it_was_revoked() {
    Once(Write::Conditional).checker().threads(2).spawn_bfs().join().assert_properties();
    let blind = Once(Write::Blind).checker().threads(2).spawn_bfs().join();
    assert!(blind.discovery("one session").is_some());
    assert!(blind.discovery("none after revocation").is_some());
}

#[test]
fn each_person_counts_towards_one_need() {
    let life = request("corp/dba:1, corp/security:1", Purpose::Deed);
    let both = voice("alice", &["dba", "security"], Decision::Approve);
    let life = life.step(&Step::Review(both.clone()), at(0)).unwrap();
    assert_eq!(life.state, RequestState::Pending);
    // alice was put where dba was needed; who is only in dba moves her to security
    let dba = voice("dave", &["dba"], Decision::Approve);
    assert_eq!(life.clone().step(&Step::Review(dba), at(0)).unwrap().state, RequestState::Approved);
    let again = life.clone().step(&Step::Review(both), at(0));
    assert_eq!(again, Err(Misstep::Twice));
    // the same person under a second account
    let mut twin = voice("alice2", &["dba", "security"], Decision::Approve);
    twin.person.kin.owner = Some(person("alice").id);
    assert_eq!(life.clone().step(&Step::Review(twin), at(0)), Err(Misstep::Twice));
    let no = voice("bob", &["security"], Decision::Deny);
    assert_eq!(life.step(&Step::Review(no), at(0)).unwrap().state, RequestState::Denied);
}

#[test]
fn nobody_reviews_their_own_request_under_any_account() {
    let mut life = request("corp/dba:1", Purpose::Deed);
    life.requester.kin.email = Some("requester@corp.example".into());
    let review = |change: &dyn Fn(&mut Person)| {
        let mut voice = voice("other", &["dba"], Decision::Approve);
        change(&mut voice.person);
        life.clone().step(&Step::Review(voice), at(0)).map(|life| life.state)
    };
    assert_eq!(review(&|_| {}), Ok(RequestState::Approved));
    assert_eq!(review(&|who| *who = person("requester")), Err(Misstep::Own));
    assert_eq!(review(&|who| who.kin.email = Some("requester@corp.example".into())), Err(Misstep::Own));
    // a workload that the requester owns
    assert_eq!(review(&|who| who.kin.owner = Some(person("requester").id)), Err(Misstep::Own));
    // and the other way round: the person who owns the workload that asks
    life.requester.kin.owner = Some(person("other").id);
    let owner = voice("other", &["dba"], Decision::Approve);
    assert_eq!(life.step(&Step::Review(owner), at(0)), Err(Misstep::Own));
}

#[test]
fn where_people_are_demanded_neither_a_machine_nor_a_rule_answers() {
    let mut life = request("corp/dba:1", Purpose::Deed);
    let mut machine = voice("robot", &["dba"], Decision::Approve);
    machine.kind = PrincipalKind::Machine;
    let by_machine = life.clone().step(&Step::Review(machine.clone()), at(0)).unwrap();
    assert_eq!(by_machine.state, RequestState::Approved);
    life.people_only = true;
    assert_eq!(life.clone().step(&Step::Review(machine), at(0)), Err(Misstep::NotReviewer));
    let rule = super::ReleasedBy::Rule(crate::domain::name::RuleName::new("auto").unwrap());
    assert_eq!(life.step(&Step::Answer(rule), at(0)), Err(Misstep::PeopleOnly));
}
