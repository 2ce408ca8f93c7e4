//! Patterns of the operator's own that texts are searched for.

/// A pattern of the operator's own, used by its name beside the detectors that come with hoopctl.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnPattern {
    /// Its name among a target's `detectors`.
    pub name: String,
    /// A regular expression over bytes, whose longest match is bounded.
    pub pattern: String,
    /// What a match must be besides.
    pub check: PatternCheck,
}

/// What a match of an own pattern must be besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PatternCheck {
    /// ISO 7064's MOD 97-10 must hold, as for an IBAN.
    Iban,
    /// Luhn's check digit must be right.
    Luhn,
    /// Nothing.
    #[default]
    None,
}
