//! Times of entries, which are hostile: they may be the last there are.

use jiff::{SignedDuration, Timestamp};

/// Later, as far as there is a later.
pub(super) fn after(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// As a duration that can be added to any time of ours.
pub(super) fn seconds(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX).min(i64::from(u32::MAX)))
}

/// What the entries of one moment may be apart.
pub(super) const SLACK: SignedDuration = SignedDuration::from_secs(5);
