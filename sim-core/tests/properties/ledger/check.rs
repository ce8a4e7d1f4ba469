//! The naive books against the engine's.

use std::collections::BTreeMap;

use proptest::prelude::*;
use windtunnel_core::{LedgerReport, Reason};

use super::{Line, Naive};

impl Naive {
    /// Compares with what the engine found.
    pub(crate) fn check(&self, ledger: &LedgerReport) -> Result<(), TestCaseError> {
        prop_assert_eq!(ledger.cpu_allocated, self.core_sum, "cores held");
        let mut theirs: BTreeMap<Line, u128> = BTreeMap::new();
        for row in &ledger.rows {
            *theirs
                .entry((row.pool, row.bucket, row.reason))
                .or_default() += row.amount;
        }
        let mut ours = self.sums.clone();
        ours.retain(|_, sum| *sum > 0);
        theirs.retain(|_, sum| *sum > 0);
        prop_assert_eq!(
            theirs,
            ours,
            "left: the engine's ledger, right: the naive one"
        );
        for record in &self.records {
            let unfinished = || self.live.iter().find(|(id, _)| id.id == record.job);
            let found = self.ended.get(&record.job);
            let job = found.or_else(|| unfinished().map(|(_, job)| job)).unwrap();
            let waited: BTreeMap<Reason, u64> = Reason::ALL
                .into_iter()
                .zip(record.waited)
                .filter(|(_, nanos)| *nanos > 0)
                .collect();
            let mut expected = job.waited.clone();
            expected.retain(|_, nanos| *nanos > 0);
            prop_assert_eq!(waited, expected, "why {} waited", record.job);
            prop_assert_eq!(record.lost, job.lost, "lost of {}", record.job);
            prop_assert_eq!(record.useful + record.lost, job.useful, "{}", record.job);
            prop_assert_eq!(record.never_fits, job.never, "{}", record.job);
        }
        Ok(())
    }
}
