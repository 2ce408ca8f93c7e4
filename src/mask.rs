//! Floor: to be written.
