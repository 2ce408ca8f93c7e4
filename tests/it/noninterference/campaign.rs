//! Plays conversations on two clusters that differ in protected cells only, and counts what came of them.

use std::collections::{BTreeMap, BTreeSet};

use hoopctl::domain::mask::{ColumnPattern, JsonPath, Mask, MaskRule};
use hoopctl::domain::name::RuleName;

use super::cells::Side;
use super::compare::{Likeness, compare};
use super::conversation::{Conversation, Step, conversation};
use super::schema::{Protection, World};
use super::talk::{Answer, talk};
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;

/// How many conversations follow each other in one world.
const IN_A_WORLD: u64 = 8;

/// Two clusters, and the superusers who make worlds in them.
pub(super) struct Twins {
    /// Leaves out all masks of each world but the last: the control, in which there must be leaks.
    careless: bool,
    sides: [(Side, Cluster, tokio_postgres::Client); 2],
}

/// What came of many conversations.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) conversations: u64,
    /// Of these, how many had no statement refused by the gateway, and one at least that did not fail.
    pub(super) answered: u64,
    /// The seeds of those with rows in another order, where their statement leaves it open.
    pub(super) reordered: Vec<u64>,
    pub(super) statements: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    /// Why statements were refused or failed, and how often.
    pub(super) reasons: BTreeMap<String, u64>,
    pub(super) leaks: Vec<Leak>,
}

/// A conversation that two sides answered differently.
#[derive(Debug)]
pub(super) struct Leak {
    pub(super) seed: u64,
    pub(super) world: u64,
    /// As short as it could be made, and how the answers differ.
    pub(super) conversation: (Conversation, String),
}

impl Twins {
    pub(super) async fn start(major: u32) -> Self {
        Self::start_with(major, false).await
    }

    /// Twins before whom all masks but one are forgotten.
    pub(super) async fn careless(major: u32) -> Self {
        Self::start_with(major, true).await
    }

    async fn start_with(major: u32, careless: bool) -> Self {
        let side = async |side| {
            let settings =
                ["autovacuum=off", "max_connections=60", "jit=off", "max_parallel_workers_per_gather=0"];
            let cluster = Cluster::start_with(major, &settings);
            let admin = cluster.admin().await;
            admin.batch_execute("ALTER DATABASE postgres SET search_path = s, public").await.expect("a path");
            (side, cluster, admin)
        };
        Self { careless, sides: [side(Side::One).await, side(Side::Other).await] }
    }

    /// Plays the conversations of these seeds.
    pub(super) async fn play(&self, seeds: std::ops::Range<u64>) -> Report {
        let mut report = Report::default();
        let mut now: Option<(u64, World, [Gateway; 2])> = None;
        for seed in seeds {
            let number = seed / IN_A_WORLD;
            if now.as_ref().is_none_or(|(known, ..)| *known != number) {
                let world = World::new(number);
                let gateways = self.make(&world).await;
                now = Some((number, world, gateways));
            }
            let (_, world, gateways) = now.as_ref().expect("a world");
            let steps = conversation(world, seed);
            let [one, other] = talked(gateways, &steps).await;
            report.count(&steps, &one);
            match likeness(gateways, &steps, &one, &other) {
                Likeness::Same => {}
                Likeness::Reordered => report.reordered.push(seed),
                Likeness::Different(..) => {
                    let shortest = self.shortened(world, steps).await;
                    report.leaks.push(Leak { seed, world: number, conversation: shortest });
                    // what differs now differs from here on
                    now = None;
                }
            }
        }
        report
    }

    /// A shorter conversation that still differs in a fresh world; the whole one where only what was said before it
    /// makes it differ.
    async fn shortened(&self, world: &World, steps: Conversation) -> (Conversation, String) {
        let Some(mut how) = self.differs(world, &steps).await else {
            return (steps, "only after the conversations before it in its world".into());
        };
        let mut shortest = steps;
        let mut at = 0;
        while at < shortest.len() {
            let mut shorter = shortest.clone();
            shorter.remove(at);
            match self.differs(world, &shorter).await {
                Some(still) => (shortest, how) = (shorter, still),
                None => at += 1,
            }
        }
        for at in 0..shortest.len() {
            let mut simpler = shortest.clone();
            simpler[at] = Step::Simple(simpler[at].sql().to_owned());
            if let Some(still) = self.differs(world, &simpler).await {
                (shortest, how) = (simpler, still);
            }
        }
        (shortest, how)
    }

    /// How the two sides differ in a fresh world, if they do.
    async fn differs(&self, world: &World, steps: &[Step]) -> Option<String> {
        let gateways = self.make(world).await;
        let [one, other] = talked(&gateways, steps).await;
        match likeness(&gateways, steps, &one, &other) {
            Likeness::Different(step, how) => Some(format!("step {step}: {how}")),
            Likeness::Same | Likeness::Reordered => None,
        }
    }

    /// Makes a world on both sides, and a gateway before each.
    pub(super) async fn make(&self, world: &World) -> [Gateway; 2] {
        for (side, _, admin) in &self.sides {
            let script = world.script(*side);
            admin.batch_execute(&script).await.unwrap_or_else(|error| panic!("{error:?}\n{script}"));
        }
        let gateway = |cluster: &Cluster| {
            let mut masks = masks(world);
            if self.careless {
                masks = masks.split_off(masks.len().saturating_sub(1));
            }
            Gateway::start(cluster, Setup { masks, ..Setup::open(cluster) })
        };
        [gateway(&self.sides[0].1), gateway(&self.sides[1].1)]
    }
}

/// What both sides say.
pub(super) async fn talked(gateways: &[Gateway; 2], steps: &[Step]) -> [Vec<Answer>; 2] {
    let (one, other) = tokio::join!(talk(&gateways[0], steps), talk(&gateways[1], steps));
    [one, other]
}

/// Verdicts are compared as well.
fn likeness(gateways: &[Gateway; 2], steps: &[Step], one: &[Answer], other: &[Answer]) -> Likeness {
    let [a, b] = [&gateways[0], &gateways[1]].map(|gateway| gateway.book.statements());
    match (compare(steps, one, other), a == b) {
        (likeness, true) | (likeness @ Likeness::Different(..), false) => likeness,
        (_, false) => Likeness::Different(0, "the verdicts, or what is entered of them".into()),
    }
}

fn masks(world: &World) -> Vec<MaskRule> {
    let rule = |(number, rule): (usize, super::schema::Rule)| MaskRule {
        name: RuleName::new(format!("mask.{number}")).expect("a name"),
        column: ColumnPattern::new(&rule.column).expect("a pattern"),
        path: match &rule.protection {
            Protection::Path(path) => Some(JsonPath::new(path).expect("a path")),
            Protection::Full | Protection::Null | Protection::Partial => None,
        },
        mask: match rule.protection {
            Protection::Full | Protection::Path(_) => Mask::Full,
            Protection::Null => Mask::Null,
            Protection::Partial => Mask::Partial { keep_last: 4 },
        },
        lifted_for: BTreeSet::new(),
    };
    world.rules().into_iter().enumerate().map(rule).collect()
}

impl Report {
    fn count(&mut self, steps: &[Step], answers: &[Answer]) {
        self.conversations += 1;
        let (mut refused, mut worked) = (false, false);
        for (_, answer) in steps.iter().zip(answers) {
            self.statements += 1;
            let Some((_, body)) = answer.iter().find(|(tag, _)| *tag == b'E') else {
                worked = true;
                continue;
            };
            let field = |code: u8| {
                let field = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&code));
                String::from_utf8_lossy(field.map_or(&[][..], |field| &field[1..])).into_owned()
            };
            let message = field(b'M');
            let reason = match message.rsplit_once("(rule ") {
                Some((_, rule)) => {
                    self.refused += 1;
                    refused = true;
                    format!("refused by {}", rule.trim_end_matches(')'))
                }
                None => {
                    self.failed += 1;
                    format!("failed with {}", field(b'C'))
                }
            };
            *self.reasons.entry(reason).or_default() += 1;
        }
        self.answered += u64::from(!refused && worked);
    }
}
