//! Evasions and everyday commands, as tables; and what holds for every input.

mod evasions;
mod everyday;
mod hostile;
mod neighbours;
mod properties;
mod review;
mod transfers;

use super::{Judged, judge};
use crate::domain::facts::Effect;

fn judged(command: &str) -> Judged {
    judge(command.as_bytes(), false)
}

fn has(judged: &Judged, effect: Effect) -> bool {
    judged.facts.effects.contains(&effect)
}
