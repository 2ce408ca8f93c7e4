//! Leaks that are planted on purpose, so that the tests can show that they would be found.
//!
//! Job: say whether a guard is switched off. Boundary: nothing can be planted but with the feature `planted-leaks`, which no
//! build without debug assertions takes and no other feature brings along. Failure mode: none.

#[cfg(all(feature = "planted-leaks", not(debug_assertions)))]
compile_error!("planted-leaks is for tests: it switches guards off");

/// A guard that is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leak {
    /// A name goes to the server without its schema, and means something else after `SET search_path`.
    Rebound,
    /// A client may choose a value for a protected column that a CHECK reads together with another.
    Check,
    /// An error keeps its details.
    Error,
    /// The definition of a view is not looked into.
    View,
    /// Partitions, children and generated columns are what their own names say.
    Spread,
    /// Arrays are not walked into for members at any depth.
    Elements,
    /// A changed row may be named as a whole.
    Row,
    /// ON CONFLICT may read the row that is there.
    Conflict,
    /// COPY writes the table itself.
    Copy,
    /// The conditions of a change read the column itself.
    Condition,
    /// Statistics may be read.
    Statistics,
    /// A row filter stands beside the conditions of the client, not before them.
    Fence,
    /// Of a text that is kept, what it is to be replaced by is forgotten.
    Cached,
    /// What was judged is sent as the client wrote it.
    Rewriting,
}

impl Leak {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Rebound,
        Self::Check,
        Self::Error,
        Self::View,
        Self::Spread,
        Self::Elements,
        Self::Row,
        Self::Conflict,
        Self::Copy,
        Self::Condition,
        Self::Statistics,
        Self::Fence,
        Self::Cached,
        Self::Rewriting,
    ];
}

/// Which one it is; its place in [`Leak::ALL`], and one more.
#[cfg(feature = "planted-leaks")]
static PLANTED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Switches this guard off, and all others on, in the whole process.
#[cfg(feature = "planted-leaks")]
pub fn plant(leak: Option<Leak>) {
    let place = Leak::ALL.iter().position(|other| Some(*other) == leak).map_or(0, |place| place + 1);
    PLANTED.store(place, std::sync::atomic::Ordering::SeqCst);
}

/// Whether this guard is off.
#[cfg(feature = "planted-leaks")]
#[must_use]
pub fn is_planted(leak: Leak) -> bool {
    let place = PLANTED.load(std::sync::atomic::Ordering::SeqCst);
    place.checked_sub(1).and_then(|place| Leak::ALL.get(place)) == Some(&leak)
}

/// Whether this guard is off: never.
#[cfg(not(feature = "planted-leaks"))]
#[must_use]
pub const fn is_planted(_: Leak) -> bool {
    false
}
