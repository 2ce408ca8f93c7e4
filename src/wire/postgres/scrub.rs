//! What of an error the client may read on a masked target.

/// What to hide in errors, notices and notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrub {
    /// Everything that could hold a row's value.
    Generic,
    /// Nothing.
    None,
}
