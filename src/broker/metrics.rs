//! What Prometheus reads.
//!
//! Job: counters and gauges of the broker. Failure mode: a metric that cannot be registered is left
//! out; nothing else depends on metrics.

use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use super::ledger::{Unsigned, Unwitnessed};
use crate::domain::event::{VerdictWord, What};

/// All metrics.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) sessions: IntGauge,
    pub(crate) connections: IntGauge,
    verdicts: IntCounterVec,
    capped: IntCounterVec,
    leases: IntCounterVec,
    pub(crate) leases_stuck: IntGauge,
    entries: IntCounter,
    pub(crate) entry_failures: IntCounter,
    pub(crate) turned_away: IntCounter,
    unsigned: IntGauge,
    unsigned_seconds: IntGauge,
    unwitnessed: IntGauge,
    unwitnessed_seconds: IntGauge,
    disputes: IntGauge,
    answers: IntCounterVec,
    logins: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let vec = |name: &str, help: &str, label: &str| -> prometheus::Result<IntCounterVec> {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let verdicts = vec("hoopctl_verdicts_total", "Statements judged, by verdict.", "verdict")?;
        let capped = vec("hoopctl_capped_total", "Statements that reached a cap, by what is capped.", "cap")?;
        let leases = vec("hoopctl_leases_total", "Leases, by what became of them.", "event")?;
        let answers = vec("hoopctl_api_answers_total", "Answers of the API, by status.", "status")?;
        let logins = vec("hoopctl_logins_total", "Token exchanges, by outcome.", "outcome")?;
        let sessions = gauge("hoopctl_sessions", "Sessions that are not over.")?;
        let leases_stuck =
            gauge("hoopctl_leases_stuck", "Leases that could not be taken back; alarm when it is not 0.")?;
        let connections = gauge("hoopctl_connections", "Connections of sessions.")?;
        let entries = counter("hoopctl_ledger_entries_total", "Entries written to the ledger.")?;
        let entry_failures = counter("hoopctl_ledger_failures_total", "Entries that could not be written.")?;
        let turned_away =
            counter("hoopctl_turned_away_total", "Connections and calls beyond the limit of an address.")?;
        let unsigned =
            gauge("hoopctl_unsigned_entries", "Entries that wait because the ledger's key does not sign.")?;
        let unsigned_seconds = gauge(
            "hoopctl_unsigned_seconds",
            "How long the ledger's key has not signed; alarm when it is not 0.",
        )?;
        let unwitnessed =
            gauge("hoopctl_unwitnessed_entries", "Entries that witnesses have not cosigned yet.")?;
        let unwitnessed_seconds =
            gauge("hoopctl_unwitnessed_seconds", "How long the first of these entries has waited.")?;
        let disputes = gauge(
            "hoopctl_witness_disputes",
            "Witnesses that saw another history of the ledger; alarm when it is not 0.",
        )?;
        Ok(Self {
            registry,
            sessions,
            connections,
            verdicts,
            capped,
            leases,
            leases_stuck,
            entries,
            entry_failures,
            turned_away,
            unsigned,
            unsigned_seconds,
            unwitnessed,
            unwitnessed_seconds,
            disputes,
            answers,
            logins,
        })
    }

    /// Counts what was entered.
    pub(crate) fn entered(&self, what: &What) {
        self.entries.inc();
        match what {
            What::DeedJudged { verdict, .. } | What::StatementJudged { verdict, .. } => {
                let word = match verdict {
                    VerdictWord::Allow => "allow",
                    VerdictWord::Deny => "deny",
                    VerdictWord::Hold => "hold",
                };
                self.verdicts.with_label_values(&[word]).inc();
            }
            What::StatementCapped { cap, .. } => self.capped.with_label_values(&[cap.as_str()]).inc(),
            What::LeaseIssued { .. } => self.leases.with_label_values(&["issued"]).inc(),
            What::LeaseRevoked { clean: true, .. } => self.leases.with_label_values(&["revoked"]).inc(),
            What::LeaseRevoked { clean: false, .. } => self.leases.with_label_values(&["left over"]).inc(),
            What::LoggedIn { refresh } => {
                self.logins.with_label_values(&[if *refresh { "refresh" } else { "login" }]).inc();
            }
            _ => {}
        }
    }

    /// Notes what is not witnessed.
    pub(crate) fn witnessed(&self, unwitnessed: Option<&Unwitnessed>) {
        let Some(unwitnessed) = unwitnessed else { return };
        self.unwitnessed.set(i64::try_from(unwitnessed.entries).unwrap_or(i64::MAX));
        self.unwitnessed_seconds.set(i64::try_from(unwitnessed.age.as_secs()).unwrap_or(i64::MAX));
        self.disputes.set(i64::try_from(unwitnessed.disputes).unwrap_or(i64::MAX));
    }

    /// Notes what is not signed.
    pub(crate) fn signed(&self, unsigned: Option<&Unsigned>) {
        let entries = unsigned.map_or(0, |unsigned| unsigned.entries);
        // one that has just failed is no second old, and worth an alarm
        let seconds = unsigned.map_or(0, |unsigned| unsigned.age.as_secs().max(1));
        self.unsigned.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.unsigned_seconds.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Counts a login that failed.
    pub(crate) fn login_refused(&self) {
        self.logins.with_label_values(&["refused"]).inc();
    }

    /// Counts an answer of the API.
    pub(crate) fn answered(&self, status: u16) {
        self.answers.with_label_values(&[status.to_string().as_str()]).inc();
    }

    /// Prometheus' text format.
    pub(crate) fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
