//! The ledger: where every GPU-nanosecond and every dollar that was paid for went.
//!
//! Each GPU-nanosecond falls into exactly one [`Bucket`]; the buckets sum to the paid total, exactly.
//! Amounts are kept in integers (milli-GPU·ppm·ns, in 128 bits) and divided only at output, so it
//! does not matter where an interval is cut.

mod bill;
mod book;
mod bucket;
mod crowd;
mod probe;
mod split;
mod waits;

pub use bill::{LedgerReport, LedgerRow};
pub use bucket::{BUCKETS, Bucket};

pub(crate) use book::{Change, Charge, Entry, Gauge, Ledger};
pub(crate) use crowd::{Crowds, Useful};
pub(crate) use waits::Waits;
