//! The door: a request for a session, the grant that it becomes, the sessions that it opens.
//!
//! What is stored outlives a restart; what somebody has read and not written, or written and not entered,
//! is gone with them, and whoever comes next goes on from what is stored. Two guards can be taken away:
//! the conditional write, and that an entry comes before what it tells. The checker must then find what
//! goes wrong.

use super::*;

/// The door, and everybody who touches it.
struct Door {
    write: Write,
    order: Order,
    asks: Vec<Step>,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Entry,
    Effect,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scene {
    now: u8,
    version: u8,
    life: Life,
    /// The grant once the request became one, and whether it may be used.
    grant: Option<(Grant, Stage)>,
    /// The end of an extension that was approved and is not in force.
    promised: Option<Timestamp>,
    extended: bool,
    /// What everybody who answers, and each of [`USE`], has read and computed and not written yet.
    asks: Vec<Option<(u8, Life)>>,
    uses: Vec<Option<(Grant, Grant)>>,
    /// Who has used the grant up and has not entered it.
    won: u8,
    restarts: u8,
    ledger: Ledger,
    // what an onlooker has seen
    sessions: u8,
    ended: bool,
    revoked: bool,
    wrong: BTreeSet<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Issuing,
    InForce,
}

/// What is told, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Ledger {
    /// Until when the grant lasts by what is entered; absent before it is issued.
    ends: Option<Timestamp>,
    uses: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Move {
    Ask(usize),
    AskWrite(usize),
    /// The entry of the grant, and the effect.
    EnterGrant,
    Issue,
    /// An extension is approved, entered, put in force.
    Promise,
    EnterLonger,
    Lengthen,
    Use(usize),
    UseWrite(usize),
    /// The entry of a use, and the session with it.
    Open,
    Restart,
    Tick,
}

const USE: [&str; 3] = ["open", "open", "revoke"];

/// Everybody who answers.
fn answers() -> Vec<Step> {
    vec![
        Step::Review(voice("alice", &["dba"], Decision::Approve)),
        Step::Review(voice("bob", &["dba"], Decision::Deny)),
        Step::Answer(rule()),
        Step::Expire,
    ]
}

fn grant(now: u8) -> Grant {
    Grant {
        id: GrantId::from_random([1; 16]),
        request: RequestId::from_random([2; 16]),
        principal: person("requester").id,
        target: TargetName::new("db").unwrap(),
        reason: String::new(),
        starts: at(now),
        ends: at(now + 1),
        once: true,
        state: GrantState::Active,
    }
}

impl Scene {
    fn in_force(&self) -> Option<&Grant> {
        self.grant.as_ref().filter(|(_, stage)| *stage == Stage::InForce).map(|(grant, _)| grant)
    }

    fn written(&mut self, life: Life) {
        match life.state {
            RequestState::Granted { .. } => {
                if self.ended {
                    self.wrong.insert("granted after its end");
                }
                if self.grant.is_some() {
                    self.wrong.insert("granted twice");
                }
                self.grant = Some((grant(self.now), Stage::Issuing));
            }
            _ if life.state.is_final() => self.ended = true,
            _ => {}
        }
        self.life = life;
        self.version += 1;
    }

    fn used(&mut self, place: usize, next: Grant) {
        if USE.get(place) == Some(&"revoke") {
            self.revoked = true;
        } else {
            if self.revoked {
                self.wrong.insert("used after revocation");
            }
            if self.ledger.ends.is_none() {
                self.wrong.insert("used before its entry");
            }
            self.won += 1;
        }
        self.grant = Some((next, Stage::InForce));
    }
}

impl Door {
    /// What was computed from an earlier version changes nothing any more.
    fn drop_stale(&self, scene: &mut Scene) {
        if self.write == Write::Conditional {
            scene.asks = vec![None; scene.asks.len()];
            scene.uses = vec![None; scene.uses.len()];
        }
    }
}

impl Model for Door {
    type State = Scene;
    type Action = Move;

    fn init_states(&self) -> Vec<Scene> {
        vec![Scene {
            now: 0,
            version: 0,
            life: Life {
                expires: at(2),
                ..request("corp/dba:1", Purpose::Session(GrantId::from_random([1; 16])))
            },
            grant: None,
            promised: None,
            extended: false,
            asks: vec![None; self.asks.len()],
            uses: vec![None; USE.len()],
            won: 0,
            restarts: 0,
            ledger: Ledger::default(),
            sessions: 0,
            ended: false,
            revoked: false,
            wrong: BTreeSet::new(),
        }]
    }

    fn actions(&self, scene: &Scene, moves: &mut Vec<Move>) {
        for (place, flight) in scene.asks.iter().enumerate() {
            moves.push(if flight.is_none() { Move::Ask(place) } else { Move::AskWrite(place) });
        }
        for (place, flight) in scene.uses.iter().enumerate() {
            moves.push(if flight.is_none() { Move::Use(place) } else { Move::UseWrite(place) });
        }
        moves.extend([Move::EnterGrant, Move::Issue, Move::Promise, Move::EnterLonger, Move::Lengthen]);
        moves.push(Move::Open);
        if scene.now < 3 {
            moves.push(Move::Tick);
        }
        if scene.restarts < 1 {
            moves.push(Move::Restart);
        }
    }

    fn next_state(&self, scene: &Scene, action: Move) -> Option<Scene> {
        let mut next = scene.clone();
        let now = at(scene.now);
        let entry_first = self.order == Order::Entry;
        match action {
            Move::Tick => next.now += 1,
            Move::Restart => {
                next.asks = vec![None; scene.asks.len()];
                next.uses = vec![None; scene.uses.len()];
                // whoever was about to open a session is gone, and the use is lost
                next.won = 0;
                next.restarts += 1;
            }
            Move::Ask(place) => {
                let life = scene.life.clone().step(self.asks.get(place)?, now).ok()?;
                *next.asks.get_mut(place)? = Some((scene.version, life));
            }
            Move::AskWrite(place) => {
                let (version, life) = next.asks.get_mut(place)?.take()?;
                if self.write == Write::Blind || version == scene.version {
                    next.written(life);
                    self.drop_stale(&mut next);
                }
            }
            Move::EnterGrant => {
                let (grant, _) = scene.grant.as_ref().filter(|_| scene.ledger.ends.is_none())?;
                next.ledger.ends = Some(grant.ends);
            }
            Move::Issue => {
                let (grant, _) = scene.grant.clone().filter(|(_, stage)| *stage == Stage::Issuing)?;
                if entry_first && scene.ledger.ends.is_none() {
                    return None;
                }
                next.grant = Some((grant, Stage::InForce));
            }
            Move::Promise => {
                let grant = scene.in_force().filter(|_| !scene.extended)?;
                next.promised = Some(grant.lengthened(None, SignedDuration::from_secs(1), now).ok()?);
                next.extended = true;
            }
            Move::EnterLonger => {
                let told = scene.ledger.ends?;
                next.ledger.ends = Some(scene.promised.filter(|ends| *ends > told)?);
            }
            Move::Lengthen => {
                let ends = scene.promised?;
                if entry_first && scene.ledger.ends != Some(ends) {
                    return None;
                }
                next.promised = None;
                if let Ok(longer) = scene.in_force()?.clone().extend(ends, now) {
                    next.grant = Some((longer, Stage::InForce));
                    self.drop_stale(&mut next);
                }
            }
            Move::Use(place) => {
                let grant = scene.in_force()?.clone();
                let stepped = match *USE.get(place)? {
                    "open" => grant.clone().open(now),
                    _ => grant.clone().revoke(now),
                };
                *next.uses.get_mut(place)? = Some((grant, stepped.ok()?));
            }
            Move::UseWrite(place) => {
                let (read, used) = next.uses.get_mut(place)?.take()?;
                let grant = scene.in_force()?;
                // as the UPDATE does: state and end are what was read
                if self.write == Write::Blind || (read.state, read.ends) == (grant.state, grant.ends) {
                    next.used(place, used);
                    self.drop_stale(&mut next);
                }
            }
            Move::Open => {
                next.won = scene.won.checked_sub(1)?;
                next.ledger.uses += 1;
                // a revocation that came meanwhile wins
                if scene.in_force()?.carries(now) {
                    next.sessions += 1;
                    let told = scene.ledger.ends;
                    if told.is_none_or(|told| scene.in_force().is_some_and(|grant| grant.ends > told)) {
                        next.wrong.insert("lasts longer than is told");
                    }
                }
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one session", |_, scene: &Scene| scene.sessions <= 1),
            Property::always("nothing else goes wrong", |_, scene: &Scene| scene.wrong.is_empty()),
            Property::always("no session that is not told", |_, scene: &Scene| {
                scene.sessions <= scene.ledger.uses
            }),
            Property::always("no longer than is told", |_, scene: &Scene| {
                scene.in_force().is_none_or(|grant| scene.ledger.ends.is_some_and(|told| grant.ends <= told))
            }),
            Property::always("what is final stays", |_, scene: &Scene| {
                !scene.ended || (scene.life.state.is_final() && scene.grant.is_none())
            }),
            Property::always("revoked for good", |_, scene: &Scene| {
                !scene.revoked || scene.in_force().is_some_and(|grant| grant.state == GrantState::Revoked)
            }),
            Property::sometimes("a session that people approved", |_, scene: &Scene| {
                scene.sessions == 1 && scene.life.answer.is_none()
            }),
            Property::sometimes("a session that a rule answered", |_, scene: &Scene| {
                scene.sessions == 1 && scene.life.answer.is_some()
            }),
            Property::sometimes("a session after a restart", |_, scene: &Scene| {
                scene.sessions == 1 && scene.restarts == 1
            }),
            Property::sometimes("a session in the time that was added", |_, scene: &Scene| {
                scene.sessions == 1
                    && scene
                        .in_force()
                        .is_some_and(|grant| at(scene.now) >= grant.ends - SignedDuration::from_secs(1))
            }),
            Property::sometimes("a denial", |_, scene: &Scene| scene.life.state == RequestState::Denied),
        ]
    }

    fn within_boundary(&self, scene: &Scene) -> bool {
        scene.version <= 2
    }
}

#[test]
fn a_door_opens_once_and_only_by_what_was_approved_and_told() {
    let door = Door { write: Write::Conditional, order: Order::Entry, asks: answers() };
    door.checker().threads(2).spawn_bfs().join().assert_properties();
}

#[test]
fn without_the_conditional_write_the_checker_finds_the_second_session() {
    let no = Step::Review(voice("bob", &["dba"], Decision::Deny));
    let asks = vec![Step::Answer(rule()), no];
    let door = Door { write: Write::Blind, order: Order::Entry, asks };
    finds(door, &["one session", "nothing else goes wrong", "what is final stays", "revoked for good"]);
}

#[test]
fn without_the_entry_first_the_checker_finds_what_is_not_told() {
    let door = Door { write: Write::Conditional, order: Order::Effect, asks: vec![Step::Answer(rule())] };
    finds(door, &["no longer than is told", "nothing else goes wrong"]);
}
