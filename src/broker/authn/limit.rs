//! How often one address may try to log in.
//!
//! Job: a token bucket per address, of IPv6 per network. Failure mode: when more addresses are trying than can be
//! remembered, further ones are refused until some have calmed down.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

#[derive(Default)]
pub(super) struct Limiter {
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// Thousandths of a try that are left.
    left: i64,
    at: Timestamp,
}

impl Limiter {
    /// Whether this address may try now.
    pub(super) fn admits(&self, address: IpAddr, now: Timestamp) -> bool {
        let address = network(address);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS {
            buckets.retain(|_, bucket| bucket.refilled(now) < BURST);
        }
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&address) {
            return false;
        }
        let bucket = buckets.entry(address).or_insert(Bucket { left: BURST, at: now });
        let left = bucket.refilled(now);
        let admits = left >= 1000;
        *bucket = Bucket { left: if admits { left - 1000 } else { left }, at: now };
        admits
    }

    pub(super) fn prune(&self, now: Timestamp) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.retain(|_, bucket| bucket.refilled(now) < BURST);
    }
}

/// Who is counted as one: a subscriber of IPv6 has 2^64 addresses.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from(u128::from(six) & (u128::MAX << 64)).into(),
        four => four,
    }
}

impl Bucket {
    fn refilled(self, now: Timestamp) -> i64 {
        let passed = now.as_millisecond().saturating_sub(self.at.as_millisecond()).max(0);
        self.left.saturating_add(passed.saturating_mul(PER_SECOND)).min(BURST)
    }
}

/// Thousandths of a try: 120 tries at once, 5 a second after that. A build farm behind one address
/// logs in with many jobs at a time.
const BURST: i64 = 120_000;
const PER_SECOND: i64 = 5;
const MAX_BUCKETS: usize = 10_000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn all_addresses_of_one_subscriber_are_one() {
        let limiter = Limiter::default();
        let admits = |text: &str| limiter.admits(text.parse().unwrap(), Timestamp::UNIX_EPOCH);
        for host in 0..120 {
            assert!(admits(&format!("2001:db8::{host:x}")));
        }
        assert!(!admits("2001:db8::ffff"));
        assert!(admits("2001:db8:0:1::1"));
    }
}
