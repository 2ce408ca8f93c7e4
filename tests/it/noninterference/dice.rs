//! Seeded randomness: the same seed makes the same world and the same conversations on every machine.

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;

/// A source of choices.
pub(super) struct Dice(Pcg64);

impl Dice {
    /// The choices of one seed and what they are for.
    pub(super) fn new(seed: u64, purpose: u64) -> Self {
        Self(Pcg64::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose.rotate_left(32)))
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }

    /// A number of a range, both ends in it.
    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        self.0.random_range(from..=to)
    }

    /// True so many times in a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    /// One of several.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// One of several, each as often as its weight says.
    pub(super) fn weighted<T: Copy>(&mut self, of: &[(u32, T)]) -> T {
        let total = of.iter().map(|(weight, _)| weight).sum::<u32>();
        let mut at = self.0.random_range(0..total.max(1));
        for (weight, item) in of {
            if at < *weight {
                return *item;
            }
            at -= weight;
        }
        of[0].1
    }

    /// Letters that mean nothing.
    pub(super) fn word(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(self.0.random_range(b'a'..=b'z'))).collect()
    }
}
