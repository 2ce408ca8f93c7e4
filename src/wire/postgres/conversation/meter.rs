//! What the answers to statements count against.
//!
//! Job: count the rows and bytes of one result against the caps of the statement that it is of, however
//! many messages fetch it. Boundary: it says that a cap is reached; what is done about it is `capping`'s.
//! Failure mode: counts stop at the largest number there is, which no cap reaches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::domain::caps::{Cap, CapKind, Caps};

/// Counts what the client is sent of one statement's result, and for how long the database has worked on
/// it. A portal and a cursor have one for all their pieces.
#[derive(Debug)]
pub struct Meter {
    statement: u64,
    caps: Arc<Caps>,
    rows: AtomicU64,
    bytes: AtomicU64,
    /// In microseconds.
    time: AtomicU64,
}

/// A cap that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overrun {
    /// The statement whose result it is, as the meter knows it.
    pub statement: u64,
    /// What is capped.
    pub kind: CapKind,
    /// The cap.
    pub cap: Cap,
    /// How many rows, or lines of a COPY, the client was sent.
    pub rows: u64,
    /// How many bytes those were.
    pub bytes: u64,
}

impl Meter {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(statement: u64, caps: Arc<Caps>) -> Self {
        let zero = AtomicU64::default;
        Self { statement, caps, rows: zero(), bytes: zero(), time: zero() }
    }

    /// The same counts against other caps.
    #[must_use]
    pub fn under(&self, caps: Arc<Caps>) -> Self {
        let copy = |count: &AtomicU64| AtomicU64::new(count.load(Relaxed));
        let (rows, bytes, time) = (copy(&self.rows), copy(&self.bytes), copy(&self.time));
        Self { statement: self.statement, caps, rows, bytes, time }
    }

    /// The statement whose result it measures, as whoever made it counts.
    #[must_use]
    pub fn statement(&self) -> u64 {
        self.statement
    }

    /// The caps that it counts against.
    #[must_use]
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// How long the database may still take; `None` where nothing limits that.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let spent = Duration::from_micros(self.time.load(Relaxed));
        Some(self.caps.time.as_ref()?.duration().saturating_sub(spent))
    }

    /// The database has worked on it for so long.
    pub fn spend(&self, time: Duration) {
        add(&self.time, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    fn has_room(&self, size: u64) -> Result<(), (CapKind, &Cap)> {
        let is_over =
            |cap: &&Cap, count: &AtomicU64, more| count.load(Relaxed).saturating_add(more) > cap.most;
        if let Some(cap) = self.caps.rows.as_ref().filter(|cap| is_over(cap, &self.rows, 1)) {
            return Err((CapKind::Rows, cap));
        }
        match self.caps.bytes.as_ref().filter(|cap| is_over(cap, &self.bytes, size)) {
            Some(cap) => Err((CapKind::Bytes, cap)),
            None => Ok(()),
        }
    }

    fn overrun(&self, kind: CapKind, cap: &Cap) -> Overrun {
        let (rows, bytes) = (self.rows.load(Relaxed), self.bytes.load(Relaxed));
        Overrun { statement: self.statement, kind, cap: cap.clone(), rows, bytes }
    }
}

fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Relaxed).saturating_add(more), Relaxed);
}

/// A limit on time that what ends a transaction has because of a statement in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    statement: u64,
    cap: Cap,
}

impl Due {
    /// The smaller one.
    pub(super) fn stricter(self, other: Self) -> Self {
        if other.cap.most < self.cap.most { other } else { self }
    }

    /// Nothing of it is spent yet.
    pub(super) fn meter(&self) -> Arc<Meter> {
        let caps = Caps { time: Some(self.cap.clone()), ..Caps::default() };
        Arc::new(Meter::new(self.statement, Arc::new(caps)))
    }
}

/// The meters of one message: of each of its statements those that its result counts against.
#[derive(Debug, Clone, Default)]
pub struct Meters {
    statements: Vec<Vec<Arc<Meter>>>,
    at: usize,
    /// Which of its statements carry out what earlier ones of the transaction have put off.
    ending: Vec<usize>,
}

impl Meters {
    /// For these statements, in order; where no meter has a cap, there is nothing to count.
    #[must_use]
    pub fn new(statements: Vec<Vec<Arc<Meter>>>) -> Self {
        let mut all = Self { statements, at: 0, ending: Vec::new() };
        if all.all().all(|meter| meter.caps.is_empty()) {
            all.statements.clear();
        }
        all
    }

    /// The same, where these statements, by their places, carry out what earlier ones of the transaction have put off:
    /// COMMIT runs deferred triggers.
    #[must_use]
    pub fn ending(self, places: Vec<usize>) -> Self {
        Self { ending: places, ..self }
    }

    /// For the end of a transaction.
    pub(super) fn of_end(due: Option<&Due>) -> Self {
        Self { statements: due.map(|due| vec![due.meter()]).into_iter().collect(), ..Self::default() }
    }

    /// What ends a transaction is limited as the strictest statement of that, and so is the last statement of a string:
    /// the string's own transaction ends with it.
    pub(super) fn with_due(mut self, due: Option<&Due>) -> Self {
        if let Some(due) = due {
            for place in std::mem::take(&mut self.ending) {
                self.limit(place, due);
            }
        }
        if self.statements.len() > 1
            && let Some(own) = self.strictest()
        {
            self.limit(self.statements.len() - 1, &own);
        }
        self
    }

    fn limit(&mut self, place: usize, due: &Due) {
        if self.statements.len() <= place {
            self.statements.resize_with(place + 1, Vec::new);
        }
        if let Some(meters) = self.statements.get_mut(place) {
            meters.push(due.meter());
        }
    }

    /// The strictest limit on the time of any of its statements.
    pub(super) fn strictest(&self) -> Option<Due> {
        let limited = self
            .all()
            .filter_map(|meter| Some(Due { statement: meter.statement, cap: meter.caps.time.clone()? }));
        limited.reduce(Due::stricter)
    }

    /// Whether anything is capped.
    pub(super) fn limit_anything(&self) -> bool {
        self.all().any(|meter| !meter.caps.is_empty())
    }

    /// A statement is done. More statements than were foreseen count along with the last.
    pub(super) fn next(&mut self) {
        if self.at + 1 < self.statements.len() {
            self.at += 1;
        }
    }

    /// Which statement of the message.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Those that limit how long the database may take, of every statement that is not answered: of a text
    /// of several the database keeps answers back, and nobody knows which one it works on.
    pub(super) fn clocked(&self) -> impl Iterator<Item = &Arc<Meter>> {
        let unanswered = self.statements.get(self.at..).unwrap_or_default();
        unanswered.iter().flatten().filter(|meter| meter.caps.time.is_some())
    }

    /// Counts a row of so many bytes, or says which cap is in the way.
    pub(super) fn take(&self, size: u64) -> Result<(), Overrun> {
        for meter in self.current() {
            meter.has_room(size).map_err(|(kind, cap)| meter.overrun(kind, cap))?;
        }
        for meter in self.current() {
            add(&meter.rows, 1);
            add(&meter.bytes, size);
        }
        Ok(())
    }

    /// The cap on time that is the tightest by now.
    pub(super) fn overdue(&self) -> Option<Overrun> {
        let meter = self.clocked().min_by_key(|meter| meter.left())?;
        Some(meter.overrun(CapKind::Time, meter.caps.time.as_ref()?))
    }

    fn current(&self) -> &[Arc<Meter>] {
        self.statements.get(self.at).map(Vec::as_slice).unwrap_or_default()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Meter>> {
        self.statements.iter().flatten()
    }
}
