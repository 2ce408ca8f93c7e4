//! Floor 1: what a masked value looks like.
//!
//! Job: rules and a principal's groups → for each column the SQL expression that stands in its place.
//! Boundary: pure text; it knows neither parser nor catalog. Failure mode: a rule that does not fit
//! a column's type turns into a full mask and says so.

mod expression;
mod plan;

pub use plan::MaskPlan;
