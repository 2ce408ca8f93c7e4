//! Non-interference, so that anybody can try to disprove it: worlds and conversations from seeds, played on two
//! clusters that differ in protected cells and nowhere else. What clients get must be the same.
//!
//! The role may read everything, so that the rewriting is judged alone. `docs/noninterference.md` says what is played,
//! what is excused, and how to play a seed again.

mod campaign;
mod cells;
mod change;
mod compare;
mod consequence;
mod conversation;
mod dice;
mod expression;
#[cfg(feature = "planted-leaks")]
mod planted;
mod query;
mod schema;
mod tables;
mod talk;
mod utility;

use std::io::Write as _;
use std::ops::Range;

use campaign::{IN_A_WORLD, Report, Twins};
use compare::Excuse;

use crate::idle::say;
use crate::support::postgres::majors;

/// Of a hundred conversations, how many must be answered rather than refused: a gateway that refuses everything would
/// tell nobody anything either.
const ANSWERED: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_get_does_not_depend_on_protected_cells() {
    let major = *majors().last().expect("a server");
    let report = Twins::start(major).await.staying(in_a_world()).play(seeds(0..240)).await;
    say(&format!("PostgreSQL {major}: {}", report.told()));
    assert!(report.leaks.is_empty(), "{}", report.told());
    assert!(report.share() >= ANSWERED, "{}", report.told());
    assert!(report.excused(Excuse::Number) < 8, "{}", report.told());
    assert!(report.excused(Excuse::Order) < 8, "{}", report.told());
    assert!(report.excused(Excuse::Write) < 8, "{}", report.told());
}

/// The control: with all masks but one forgotten, they tell the two apart.
#[tokio::test(flavor = "multi_thread")]
async fn masks_that_are_forgotten_are_missed() {
    let report = Twins::careless(*majors().last().expect("a server")).await.play(0..40).await;
    assert!(report.leaks.len() >= 3, "{}", report.told());
}

/// Goes on where the file of its progress ends, so that it may be interrupted.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes hours: tests/noninterference"]
async fn nor_in_a_long_run() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let major = variable("HOOPCTL_MAJOR").parse().expect("a version");
    let mut progress = std::fs::File::options()
        .append(true)
        .open(variable("HOOPCTL_PROGRESS"))
        .expect("a file to append to");
    let all = seeds(0..200_000);
    let twins = Twins::start(major).await.staying(in_a_world());
    let (mut leaks, mut answered) = (0, 0);
    let mut from = all.start;
    while from < all.end {
        let report = twins.play(from..all.end.min(from + PART)).await;
        leaks += report.leaks.len();
        answered += report.answered;
        from += report.conversations;
        writeln!(progress, "{from}\t{}", report.told().replace('\n', "\n\t")).expect("room for a line");
    }
    let share = 100 * answered / (all.end - all.start).max(1);
    assert!(all.is_empty() || share >= ANSWERED, "{share} % answered");
    assert_eq!(leaks, 0, "they are in the file of its progress");
}

/// How many conversations of a long run are played between two lines of its progress.
const PART: u64 = 400;

/// Those that `HOOPCTL_SEEDS` names, as `FROM..TO`.
fn seeds(otherwise: Range<u64>) -> Range<u64> {
    let Ok(named) = std::env::var("HOOPCTL_SEEDS") else { return otherwise };
    let (from, to) = named.split_once("..").expect("FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

/// How many conversations are played in each world, where `HOOPCTL_IN_A_WORLD` says it.
fn in_a_world() -> u64 {
    std::env::var("HOOPCTL_IN_A_WORLD").map_or(IN_A_WORLD, |count| count.parse().expect("a number"))
}

impl Report {
    /// How many differ as is excused by this.
    fn excused(&self, excuse: Excuse) -> usize {
        self.excused.get(&excuse).map_or(0, Vec::len)
    }

    /// Of a hundred conversations, how many were answered.
    fn share(&self) -> u64 {
        100 * self.answered / self.conversations.max(1)
    }

    /// In words: figures, why statements were not answered, and each leak with its seed.
    fn told(&self) -> String {
        let mut lines = vec![format!(
            "{} conversations, {} % answered; {} statements, {} refused, {} failed",
            self.conversations,
            self.share(),
            self.statements,
            self.refused,
            self.failed,
        )];
        let mut often: Vec<(&String, &u64)> = self.reasons.iter().collect();
        often.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        lines.extend(often.iter().map(|(reason, count)| format!("{count:>6} {reason}")));
        for (excuse, seeds) in &self.excused {
            let what = match excuse {
                Excuse::Order => "in another order",
                Excuse::Number => "with other OIDs",
                Excuse::Plan => "with another plan",
                Excuse::Time => "judged at another time",
                Excuse::Write => "that wrote on one side only",
            };
            lines.push(format!("{} {what}: seeds {seeds:?}", seeds.len()));
        }
        for leak in &self.leaks {
            let (steps, how) = &leak.conversation;
            lines.push(format!("seed {} (world {}) differs at {how}", leak.seed, leak.world));
            lines.extend(steps.iter().map(|step| format!("  {step:?}")));
        }
        lines.join("\n")
    }
}
