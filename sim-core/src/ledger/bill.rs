//! The ledger's report: GPU time per bucket, and the dollars that follow.

use super::book::{Ledger, PoolBook};
use super::bucket::Bucket;
use crate::ids::PoolId;
use crate::reason::Reason;
use crate::supply::Supply;
use crate::time::SimDuration;
use crate::units::{MILLI_PER_GPU, MicroDollars, NANOS_PER_HOUR, PPM};

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// The pool (the price class: prices do not change during a run yet).
    pub pool: PoolId,
    /// The bucket.
    pub bucket: Bucket,
    /// For `idle.held`: why.
    pub reason: Option<Reason>,
    /// GPU time [milli-GPU·ppm·ns]; exact.
    pub amount: u128,
    /// What it cost.
    pub cost: MicroDollars,
}

/// Where every GPU-nanosecond and every dollar went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerReport {
    /// Rows by pool, bucket, reason; rows of zero are left out.
    pub rows: Vec<LedgerRow>,
    /// Billed beyond exact use: granularity and minimum.
    pub billing_rounding: MicroDollars,
    /// Nodes without GPUs, control planes.
    pub no_gpu: MicroDollars,
    /// The people who run it.
    pub staff: MicroDollars,
    /// CPU time that tasks held, whatever they did with it [core/1000 × ns]; exact. No part of the
    /// buckets: cores are not priced apart from their node.
    pub cpu_allocated: u128,
    /// CPU time of the nodes that were paid [core/1000 × ns]; exact.
    pub cpu_paid: u128,
}

/// One GPU-hour in the unit of [`LedgerRow::amount`].
pub(crate) const GPU_HOUR: u128 = MILLI_PER_GPU as u128 * PPM as u128 * NANOS_PER_HOUR;

impl LedgerReport {
    /// GPU time in a bucket, over all pools [milli-GPU·ppm·ns].
    #[must_use]
    pub fn amount(&self, bucket: Bucket) -> u128 {
        self.rows
            .iter()
            .filter(|row| row.bucket == bucket)
            .map(|row| row.amount)
            .sum()
    }

    /// GPU-seconds in a bucket, over all pools, rounded down; for checks by hand.
    #[must_use]
    pub fn gpu_seconds(&self, bucket: Bucket) -> u128 {
        self.amount(bucket) / (GPU_HOUR / 3_600)
    }

    /// GPU-hours in a bucket, over all pools.
    #[must_use]
    pub fn gpu_hours(&self, bucket: Bucket) -> f64 {
        gpu_hours(self.amount(bucket))
    }

    /// Paid GPU time: the sum over all buckets [milli-GPU·ppm·ns].
    #[must_use]
    pub fn paid(&self) -> u128 {
        self.rows.iter().map(|row| row.amount).sum()
    }

    /// GPU time assigned to tasks [milli-GPU·ppm·ns].
    #[must_use]
    pub fn allocated(&self) -> u128 {
        self.rows
            .iter()
            .filter(|row| row.bucket.is_allocated())
            .map(|row| row.amount)
            .sum()
    }

    /// What a bucket cost, over all pools.
    #[must_use]
    pub fn cost(&self, bucket: Bucket) -> MicroDollars {
        MicroDollars(
            self.rows
                .iter()
                .filter(|row| row.bucket == bucket)
                .map(|r| r.cost.0)
                .sum(),
        )
    }

    /// What everything cost.
    #[must_use]
    pub fn total_cost(&self) -> MicroDollars {
        let rows: u64 = self.rows.iter().map(|row| row.cost.0).sum();
        MicroDollars(rows + self.billing_rounding.0 + self.no_gpu.0 + self.staff.0)
    }
}

/// GPU-hours of an amount, for output.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "for output; thousandths of a GPU-second are exact"
)]
pub(crate) fn gpu_hours(amount: u128) -> f64 {
    // Divide in integers first: whole micro-GPU-hours, which a float holds exactly up to 2^53.
    let micro = (amount + GPU_HOUR / 2_000_000) / (GPU_HOUR / 1_000_000);
    micro as f64 / 1e6
}

/// Round-half-up of `node_ns × price ÷ 3.6·10¹²`.
fn exact_cost(node_ns: u128, price: MicroDollars) -> u128 {
    (node_ns * u128::from(price.0) + NANOS_PER_HOUR / 2) / NANOS_PER_HOUR
}

/// Distributes `total` in proportion to `weights` by largest remainder, ties in order.
fn distribute(total: u128, weights: &[u128]) -> Vec<u64> {
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let mut shares = Vec::with_capacity(weights.len());
    let mut left = total;
    for (place, &weight) in weights.iter().enumerate() {
        let (share, remainder) = mul_div(total, weight, sum);
        left -= share;
        shares.push((share, remainder, place));
    }
    shares.sort_by(|a, b| b.1.cmp(&a.1).then(a.2.cmp(&b.2)));
    for share in &mut shares {
        if left == 0 {
            break;
        }
        share.0 += 1;
        left -= 1;
    }
    shares.sort_by_key(|share| share.2);
    shares
        .into_iter()
        .map(|share| u64::try_from(share.0).unwrap_or(u64::MAX))
        .collect()
}

/// `(a × b ÷ c, a × b mod c)` exactly, for b ≤ c, where the product may exceed 128 bits.
fn mul_div(a: u128, b: u128, c: u128) -> (u128, u128) {
    if let Some(product) = a.checked_mul(b) {
        return (product / c, product % c);
    }
    // Long multiplication by the bits of `a`, keeping quotient and remainder modulo c. Remainders
    // stay below c < 2^126 (a month of 10^7 GPUs is below 2^120), so doubling does not overflow.
    let (mut quotient, mut remainder) = (0u128, 0u128);
    for bit in (0..128 - a.leading_zeros()).rev() {
        quotient *= 2;
        remainder *= 2;
        if a >> bit & 1 == 1 {
            remainder += b;
        }
        while remainder >= c {
            remainder -= c;
            quotient += 1;
        }
    }
    (quotient, remainder)
}

impl Ledger {
    /// The report of a closed ledger.
    ///
    /// # Panics
    /// If the books do not balance: Σ buckets must be the paid GPU time, to the unit.
    pub(crate) fn report(
        &self,
        supply: &Supply,
        length: SimDuration,
        staff_per_hour: MicroDollars,
        control_plane_per_hour: MicroDollars,
        cpu_allocated: u128,
    ) -> LedgerReport {
        let mut rows = Vec::new();
        let mut cpu_paid = 0;
        let mut rounding = 0;
        let per_run = |price| exact_cost(u128::from(length.as_nanos()), price);
        let mut no_gpu = per_run(control_plane_per_hour);
        for ((book, spec), id) in self.pools.iter().zip(&supply.pools).zip(0..) {
            let node_ns = book.nodes.sum();
            cpu_paid += node_ns * u128::from(spec.model.cpu.0);
            let cost = exact_cost(node_ns, spec.price.per_node_hour);
            let billed = exact_cost(node_ns + book.billed_extra, spec.price.per_node_hour);
            rounding += billed - cost;
            if spec.model.gpus == 0 {
                no_gpu += cost;
                continue;
            }
            let paid = node_ns * u128::from(spec.model.gpus) * u128::from(MILLI_PER_GPU * PPM);
            let booked: u128 = Bucket::ALL
                .into_iter()
                .map(|bucket| book.total(bucket))
                .sum();
            assert_eq!(
                booked, paid,
                "pool `{}`: the ledger does not balance",
                spec.name
            );
            rows.extend(rows_of(PoolId(id), book, cost));
        }
        let micro = |amount: u128| MicroDollars(u64::try_from(amount).unwrap_or(u64::MAX));
        LedgerReport {
            rows,
            billing_rounding: micro(rounding),
            no_gpu: micro(no_gpu),
            staff: micro(per_run(staff_per_hour)),
            cpu_allocated,
            cpu_paid,
        }
    }
}

fn rows_of(pool: PoolId, book: &PoolBook, cost: u128) -> Vec<LedgerRow> {
    let amounts: Vec<u128> = Bucket::ALL
        .into_iter()
        .map(|bucket| book.total(bucket))
        .collect();
    let costs = distribute(cost, &amounts);
    let mut rows = Vec::new();
    for ((bucket, amount), cost) in Bucket::ALL.into_iter().zip(amounts).zip(costs) {
        if bucket == Bucket::IdleHeld {
            let parts: Vec<u128> = book.held.iter().map(super::book::Gauge::sum).collect();
            let costs = distribute(u128::from(cost), &parts);
            for ((reason, amount), cost) in Reason::ALL.into_iter().zip(parts).zip(costs) {
                let reason = Some(reason);
                rows.push(LedgerRow {
                    pool,
                    bucket,
                    reason,
                    amount,
                    cost: MicroDollars(cost),
                });
            }
        } else {
            let reason = None;
            rows.push(LedgerRow {
                pool,
                bucket,
                reason,
                amount,
                cost: MicroDollars(cost),
            });
        }
    }
    rows.retain(|row| row.amount > 0 || row.cost.0 > 0);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_remainder_ties_in_order() {
        assert_eq!(distribute(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(
            distribute(666_667, &[10, 20, 10]),
            [166_667, 333_333, 166_667]
        );
        assert_eq!(distribute(5, &[0, 0]), [0, 0]);
    }

    #[test]
    fn long_division_agrees_with_the_short_one() {
        for (a, b, c) in [(7, 3, 10), (1_000_003, 999, 1_000), (12, 5, 5)] {
            assert_eq!(mul_div(a, b, c), (a * b / c, a * b % c));
        }
        let big = 1u128 << 100;
        assert_eq!(mul_div(1 << 40, big / 2, big), (1 << 39, 0));
    }

    #[test]
    fn cost_rounds_half_up() {
        let hour = NANOS_PER_HOUR;
        assert_eq!(exact_cost(hour / 2, MicroDollars(1)), 1);
        assert_eq!(exact_cost(hour / 2 - 1, MicroDollars(1)), 0);
    }
}
