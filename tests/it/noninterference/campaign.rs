//! Plays conversations on two clusters that differ in protected cells only, and counts what came of them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::cells::Side;
use super::compare::{Excuse, Likeness, compare};
use super::conversation::{Conversation, Step, conversation};
use super::schema::World;
use super::talk::{Answer, Line};
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::Cluster;

/// How many conversations follow each other in one world, unless more are wished.
pub(super) const IN_A_WORLD: u64 = 8;

/// How many connections follow each other in one world, at least.
const LINES: u64 = 2;

/// The database that is encoded in LATIN1.
const LATIN: &str = "latin";

/// Two clusters, and the superusers who make worlds in them.
pub(super) struct Twins {
    /// Leaves out all masks of each world but the last: the control, in which there must be leaks.
    careless: bool,
    /// How many conversations follow each other in one world: making one costs as much as some twenty of them.
    in_a_world: u64,
    sides: [Twin; 2],
}

struct Twin {
    side: Side,
    cluster: Cluster,
    /// In the database in UTF-8, and in the one in LATIN1.
    admins: [tokio_postgres::Client; 2],
}

/// A world that is being played in, on both sides.
struct Stage {
    world: World,
    gateways: [Gateway; 2],
    /// Connections that are left open by the conversation before.
    lines: Option<[Line; 2]>,
    /// How much of what was entered belongs to conversations before.
    entered: [usize; 2],
    /// Whether a conversation was held in this world before: its tables may have grown.
    is_used: bool,
}

/// Verb, verdict and text of a statement, as it was entered.
type Entry = (String, String, String);

/// What came of many conversations.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) conversations: u64,
    /// Of these, how many had no statement refused by the gateway, and one at least that did not fail.
    pub(super) answered: u64,
    /// The seeds of those that differ as is excused.
    pub(super) excused: BTreeMap<Excuse, Vec<u64>>,
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

    /// With worlds that are played in for longer.
    pub(super) fn staying(self, in_a_world: u64) -> Self {
        assert!(in_a_world > 0 && in_a_world.is_multiple_of(LINES), "lines end with their world");
        Self { in_a_world, ..self }
    }

    async fn start_with(major: u32, careless: bool) -> Self {
        let twin = async |side| {
            let settings =
                ["autovacuum=off", "max_connections=60", "jit=off", "max_parallel_workers_per_gather=0"];
            let cluster = Cluster::start_with(major, &settings);
            let admin = cluster.admin().await;
            let latin = format!(
                "CREATE DATABASE {LATIN} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
            );
            admin.batch_execute(&latin).await.expect("a database");
            for database in ["postgres", LATIN] {
                let path = format!("ALTER DATABASE {database} SET search_path = s, public");
                admin.batch_execute(&path).await.expect("a path");
            }
            let latin = cluster.connect("postgres", &cluster.password, LATIN).await.expect("the superuser");
            Twin { side, cluster, admins: [admin, latin] }
        };
        Self { careless, in_a_world: IN_A_WORLD, sides: [twin(Side::One).await, twin(Side::Other).await] }
    }

    /// Plays the conversations of these seeds.
    pub(super) async fn play(&self, seeds: Range<u64>) -> Report {
        let mut report = Report::default();
        let mut now: Option<(u64, Stage)> = None;
        for seed in seeds {
            let (number, mut stage) = match now.take() {
                Some((number, stage)) if number == seed / self.in_a_world => (number, stage),
                _ => (seed / self.in_a_world, self.stage(World::new(seed / self.in_a_world)).await),
            };
            if stage.is_over() {
                stage = self.before(stage.world);
            }
            let steps = conversation(&stage.world, seed);
            let keep = !(seed + 1).is_multiple_of(self.in_a_world / LINES);
            let likeness = stage.likeness(&steps, keep, Some(&mut report)).await;
            match likeness {
                Likeness::Same => now = Some((number, stage)),
                Likeness::Excused(excuse) => {
                    report.excused.entry(excuse).or_default().push(seed);
                    // what was written on one side only differs from here on
                    now = excuse.leaves_the_same().then_some((number, stage));
                }
                Likeness::Different(step, how) => {
                    let told = format!("step {step}: {how}");
                    let conversation = self.shortened(&stage.world, steps, told).await;
                    report.leaks.push(Leak { seed, world: number, conversation });
                }
            }
        }
        report
    }

    /// The first of these seeds whose conversation tells the sides apart, and how; as it was said.
    #[cfg(feature = "planted-leaks")]
    pub(super) async fn hunt(&self, seeds: Range<u64>) -> Option<Leak> {
        let mut now: Option<(u64, Stage)> = None;
        for seed in seeds {
            let number = seed / self.in_a_world;
            let mut stage = match now.take() {
                Some((known, stage)) if known == number => stage,
                _ => self.stage(World::new(number)).await,
            };
            if stage.is_over() {
                stage = self.before(stage.world);
            }
            let steps = conversation(&stage.world, seed);
            match stage.likeness(&steps, !(seed + 1).is_multiple_of(self.in_a_world / LINES), None).await {
                Likeness::Different(step, how) => {
                    let said = steps[..=step.min(steps.len() - 1)].to_vec();
                    return Some(Leak { seed, world: number, conversation: (said, how) });
                }
                Likeness::Excused(excuse) if !excuse.leaves_the_same() => {}
                Likeness::Same | Likeness::Excused(_) => now = Some((number, stage)),
            }
        }
        None
    }

    /// A shorter conversation that still differs in a fresh world; the whole one where only what was said before it
    /// makes it differ.
    async fn shortened(&self, world: &World, steps: Conversation, told: String) -> (Conversation, String) {
        let Some(mut how) = self.differs(world, &steps).await else {
            return (steps, format!("only after the conversations before it in its world: {told}"));
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
            simpler[at] = Step::Simple(simpler[at].sql());
            if let Some(still) = self.differs(world, &simpler).await {
                (shortest, how) = (simpler, still);
            }
        }
        (shortest, how)
    }

    /// How the two sides differ in a fresh world, if they do.
    async fn differs(&self, world: &World, steps: &[Step]) -> Option<String> {
        match self.stage(world.clone()).await.likeness(steps, false, None).await {
            Likeness::Different(step, how) => Some(format!("step {step}: {how}")),
            Likeness::Same | Likeness::Excused(_) => None,
        }
    }

    /// Makes a world on both sides, and a gateway before each.
    async fn stage(&self, world: World) -> Stage {
        let made = async |twin: &Twin| {
            let script = world.script(twin.side);
            let admin = &twin.admins[usize::from(world.latin)];
            admin.batch_execute(&script).await.unwrap_or_else(|error| panic!("{error:?}\n{script}"));
        };
        self.level().await;
        let [one, other] = &self.sides;
        tokio::join!(made(one), made(other));
        self.before(world)
    }

    /// Has both clusters give the next object the same OID: values that are stored out of line take some, too.
    async fn level(&self) {
        let taken = async |twin: &Twin, count: u32| {
            let take = format!(
                "SELECT max(o), count(lo_unlink(o)) FROM (SELECT lo_creat(-1) AS o FROM generate_series(1, {count}) OFFSET 0) t"
            );
            let row = twin.admins[0].query_one(&take, &[]).await.expect("an OID");
            row.get::<_, u32>(0)
        };
        let [one, other] = &self.sides;
        let (at, also_at) = tokio::join!(taken(one, 1), taken(other, 1));
        match at.cmp(&also_at) {
            std::cmp::Ordering::Less => drop(taken(one, also_at - at).await),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => drop(taken(other, at - also_at).await),
        }
    }

    /// New gateways before a world that is there.
    fn before(&self, world: World) -> Stage {
        let gateways = [0, 1].map(|side: usize| {
            let mut masks = world.rules();
            if self.careless {
                masks = masks.split_off(masks.len().saturating_sub(1));
            }
            let database = if world.latin { LATIN } else { "postgres" }.to_owned();
            let filters = world.filters();
            let cluster = &self.sides[side].cluster;
            Gateway::start(cluster, Setup { masks, filters, database, ..Setup::open(cluster) })
        });
        Stage { world, gateways, lines: None, entered: [0; 2], is_used: false }
    }
}

impl Stage {
    /// Whether a session has ended, as after repeated attempts on its policy.
    fn is_over(&self) -> bool {
        self.gateways.iter().any(|gateway| gateway.closing.borrow().is_some())
    }

    /// Holds a conversation with both sides, and compares it, verdicts as well. The connections are kept for the next
    /// one, as new, when that is wished and works.
    async fn likeness(&mut self, steps: &[Step], keep: bool, report: Option<&mut Report>) -> Likeness {
        let [one, other] = &self.gateways;
        let [mut a, mut b] = match self.lines.take() {
            Some(lines) => lines,
            None => {
                let (one, other) = tokio::join!(Line::open(one), Line::open(other));
                [one, other]
            }
        };
        let (said, also) = tokio::join!(a.talk(steps), b.talk(steps));
        if let Some(report) = report {
            report.count(steps, &said);
        }
        let chooses_plans = self.world.analyzed || std::mem::replace(&mut self.is_used, true);
        let likeness = compare(&self.world, chooses_plans, steps, &said, &also);
        let anew = ["ROLLBACK", "DISCARD ALL"].map(|sql| Step::Simple(sql.into()));
        let open = |answers: &[Answer]| {
            answers.last().is_some_and(|answer| answer.last().is_some_and(|(tag, _)| *tag == b'Z'))
        };
        if keep && open(&said) && open(&also) && !matches!(likeness, Likeness::Different(..)) {
            let (said, also) = tokio::join!(a.talk(&anew), b.talk(&anew));
            if said != also && likeness == Likeness::Same {
                return Likeness::Different(steps.len(), "what is said to ROLLBACK and DISCARD ALL".into());
            }
            self.lines = Some([a, b]);
        } else {
            tokio::join!(a.close(), b.close());
        }
        let entries = self.entries();
        let failed = steps.iter().zip(&said).any(|(step, answer)| {
            matches!(step, Step::Extended(_)) && answer.iter().any(|(tag, _)| *tag == b'E')
        });
        // a session that ends for what was tried in it may end in front of an answer
        let cut_off = self.is_over() && !(open(&said) && open(&also));
        match likeness {
            Likeness::Different(..) if cut_off => Likeness::Excused(Excuse::Time),
            // what is said behind a write that succeeded on one side is not compared
            Likeness::Different(..) | Likeness::Excused(Excuse::Write) => likeness,
            _ if entries[0] == entries[1] => likeness,
            // what follows an error in a pipeline is judged, unless the error was faster, or the session's end
            _ if (failed || self.is_over())
                && (is_part(&entries[0], &entries[1]) || is_part(&entries[1], &entries[0])) =>
            {
                Likeness::Excused(Excuse::Time)
            }
            _ => {
                let [one, other] = &entries;
                let at = one.iter().zip(other).take_while(|(one, other)| one == other).count();
                let shown = format!("{:?}\n    {:?}", one.get(at), other.get(at));
                Likeness::Different(0, format!("the verdicts, or what is entered of them:\n    {shown}"))
            }
        }
    }

    /// What was entered on each side since the last time.
    fn entries(&mut self) -> [Vec<Entry>; 2] {
        let mut entries = [0, 1].map(|side| self.gateways[side].book.statements());
        for (side, entries) in entries.iter_mut().enumerate() {
            let known = self.entered[side];
            self.entered[side] = entries.len();
            entries.drain(..known);
        }
        entries
    }
}

/// Whether some entries are others, in their order, but for what is left out.
fn is_part(some: &[Entry], others: &[Entry]) -> bool {
    let mut others = others.iter();
    some.iter().all(|entry| others.any(|other| other == entry))
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
