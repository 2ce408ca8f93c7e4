//! A held statement: released at most once, and never after its end.

use super::*;

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
    /// Everybody.
    fn guarded() -> Self {
        let both = ["dba", "security"];
        Self {
            write: Write::Conditional,
            steps: vec![
                Step::Review(voice("alice", &both, Decision::Approve)),
                Step::Review(voice("carol", &["security"], Decision::Approve)),
                Step::Review(voice("bob", &["dba"], Decision::Deny)),
                Step::Answer(rule()),
                Step::Release,
                Step::Release,
                Step::Expire,
                Step::VoidDevice(device("a")),
            ],
        }
    }

    /// As many as it takes to go wrong.
    fn blind() -> Self {
        let no = Step::Review(voice("bob", &["dba"], Decision::Deny));
        Self { write: Write::Blind, steps: vec![no, Step::Answer(rule()), Step::Release, Step::Release] }
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
                if self.write == Write::Conditional {
                    // what was computed from an earlier version changes nothing any more
                    next.flights = vec![None; self.steps.len()];
                }
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
            Property::sometimes("a rule can answer", |_, scene: &Scene| {
                matches!(scene.life.state, RequestState::Released { by: Some(_) })
            }),
            Property::sometimes("people can answer", |_, scene: &Scene| {
                scene.life.state == RequestState::Released { by: None }
            }),
        ]
    }

    fn within_boundary(&self, scene: &Scene) -> bool {
        scene.version <= 4
    }
}

#[test]
fn a_held_statement_is_released_at_most_once_and_never_after_its_end() {
    let checker = Held::guarded().checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
}

#[test]
fn without_the_conditional_write_the_checker_finds_the_second_release() {
    finds(Held::blind(), &["released at most once", "never after denial, expiry, withdrawal or voiding"]);
}
