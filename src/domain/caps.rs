//! Caps: how much one statement may give out, and for how long it may run.
//!
//! Job: the values, as policy authors write them and as people read them, and which of several holds.
//! Boundary: counting is the wire's. Failure mode: a text that is no amount is none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::name::RuleName;

/// The caps that hold for a statement; none are there unless a rule names them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caps {
    /// The most bytes that the client is sent as rows or COPY data.
    pub bytes: Option<Cap>,
    /// The most rows that the client is sent, or lines of a COPY.
    pub rows: Option<Cap>,
    /// The most milliseconds that the database may take.
    pub time: Option<Cap>,
}

/// One cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    /// The amount that may not be exceeded; the unit is its kind's.
    pub most: u64,
    /// The rule that names it.
    pub rule: RuleName,
    /// What to do about it, in the policy author's words.
    pub hint: Option<String>,
}

/// What is capped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapKind {
    /// Bytes to the client.
    Bytes,
    /// Rows to the client.
    Rows,
    /// Milliseconds in the database.
    Time,
}

impl Caps {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_none() && self.rows.is_none() && self.time.is_none()
    }

    /// INVARIANT: where several rules name a cap, the smallest holds; a rule that names none lifts none.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            bytes: smaller(self.bytes, other.bytes.as_ref()),
            rows: smaller(self.rows, other.rows.as_ref()),
            time: smaller(self.time, other.time.as_ref()),
        }
    }

    /// Each with its kind.
    pub fn iter(&self) -> impl Iterator<Item = (CapKind, &Cap)> {
        let all = [(CapKind::Rows, &self.rows), (CapKind::Bytes, &self.bytes), (CapKind::Time, &self.time)];
        all.into_iter().filter_map(|(kind, cap)| Some((kind, cap.as_ref()?)))
    }
}

impl CapKind {
    /// The kind in a word, as in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Rows => "rows",
            Self::Time => "time",
        }
    }

    /// An amount for a person: `10000 rows`, `50 MiB`, `30 s`.
    #[must_use]
    pub fn told(self, amount: u64) -> String {
        let (units, smallest) = match self {
            Self::Bytes => (BYTES, "B"),
            Self::Rows => (&[][..], if amount == 1 { "row" } else { "rows" }),
            Self::Time => (TIMES, "ms"),
        };
        let whole = units.iter().rev().find(|(_, factor)| amount > 0 && amount.is_multiple_of(*factor));
        let (unit, factor) = whole.copied().unwrap_or((smallest, 1));
        format!("{} {unit}", amount / factor)
    }

    /// Reads an amount: `10000` rows, `50MiB`, `30s`; at least one.
    #[must_use]
    pub fn read(self, text: &str) -> Option<u64> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let units = match self {
            Self::Bytes => BYTES,
            Self::Rows => ROWS,
            Self::Time => TIMES,
        };
        let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
        let amount = number.parse::<u64>().ok()?.checked_mul(*factor)?;
        (1..=MOST).contains(&amount).then_some(amount)
    }

    /// What such an amount looks like.
    #[must_use]
    pub fn example(self) -> &'static str {
        match self {
            Self::Bytes => "a number with B, KiB, MiB or GiB, as 50MiB",
            Self::Rows => "a number of rows, as 10000",
            Self::Time => "a number with ms, s, m or h, as 30s",
        }
    }
}

impl Cap {
    /// As a time.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.most)
    }
}

fn smaller(one: Option<Cap>, other: Option<&Cap>) -> Option<Cap> {
    match (one, other) {
        (Some(one), Some(other)) if other.most < one.most => Some(other.clone()),
        (Some(one), _) => Some(one),
        (None, other) => other.cloned(),
    }
}

const ROWS: &[(&str, u64)] = &[("", 1)];
const BYTES: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const TIMES: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// What JSON carries exactly.
const MOST: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_told() {
        for (kind, text, amount, told) in [
            (CapKind::Rows, "10000", 10_000, "10000 rows"),
            (CapKind::Rows, "1", 1, "1 row"),
            (CapKind::Bytes, "50MiB", 50 << 20, "50 MiB"),
            (CapKind::Bytes, "1500B", 1500, "1500 B"),
            (CapKind::Time, "30s", 30_000, "30 s"),
            (CapKind::Time, "1500ms", 1500, "1500 ms"),
            (CapKind::Time, "2m", 120_000, "2 m"),
        ] {
            assert_eq!(kind.read(text), Some(amount), "{text}");
            assert_eq!(kind.told(amount), told);
        }
        let wrong = ["", "0", "-1", "1 0", "10MB", "MiB", "1e3", "30", "30 s", "9007199254740992", "x"];
        for text in wrong {
            let read = [CapKind::Bytes.read(text), CapKind::Time.read(text)];
            assert_eq!(read, [None, None], "{text}");
        }
        assert_eq!((CapKind::Rows.read("0"), CapKind::Rows.read("10s")), (None, None));
    }
}
