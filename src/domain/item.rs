//! Places in an item of a key-value store, and how they lie to what is protected.

/// One step from an item, or a value in it, to a value in that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemStep {
    /// An element of a list.
    Index(u64),
    /// An attribute, or a member of a map.
    Name(String),
}

/// How a place lies to the protected ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nothing protected is in it or around it.
    Clear,
    /// Something protected may be below it.
    Above,
    /// It is protected, or part of what is.
    Within,
}
