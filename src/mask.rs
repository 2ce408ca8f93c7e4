//! Floor 1: what a masked value looks like.
//!
//! Job: rules and a principal's groups → for each column the SQL expression that stands in its place;
//! and [`document`], the masks on bodies that stream by. Boundary: pure; it knows neither SQL's parser nor
//! catalog, nor where a body comes from. Failure mode: a rule that does not fit a column's type turns into
//! a full mask and says so; a body that is not what it says is refused.

pub mod document;
mod expression;
mod plan;

pub use plan::MaskPlan;
