//! Work in progress.

mod error;
pub mod helios;
mod issue;
pub mod native;
mod number;
mod open;
mod rows;
mod table;

pub use error::{TraceError, TraceErrorKind};
pub use helios::HeliosReader;
pub use issue::{Action, ISSUES_LISTED_MAX, Notes, Problem, RowCounts, RowIssue, Strictness};
pub use native::{Kinds, NATIVE_VERSION, NativeReader, write_native};
pub use open::{Decoded, Encoding, decode, open};
pub use rows::{Format, JobReader, Loaded};
pub use table::{Cell, Columns, Header, Row, Unknown};
