//! Filters and scores, each opening with the formula it computes.

mod balanced;
mod fit;
mod least_allocated;

pub use balanced::{BalancedAllocation, BalancedFormula};
pub use fit::NodeResourcesFit;
pub use least_allocated::LeastAllocated;
