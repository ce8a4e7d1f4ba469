//! `ledger.csv`: where every paid GPU-hour and every dollar went.

use std::io::{self, Write};

use windtunnel_core::{Bucket, LedgerReport, LedgerRow, MicroDollars, Reason};

use super::number::{micro, micro_gpu_hours, push_text};
use crate::sweep::Comparison;

pub(super) fn write(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    writeln!(out, "platform,seed,bucket,reason,gpu_hours,usd")?;
    for run in &comparison.runs {
        let Some(ledger) = &run.report.ledger else {
            continue;
        };
        let mut start = String::new();
        push_text(
            &mut start,
            &comparison.scenario.platforms[run.key.platform].name,
        );
        let seed = comparison.scenario.run.seeds[run.key.seed];
        for (bucket, reason, amount, cost) in rows(ledger) {
            let reason = reason.map_or("", Reason::name);
            let hours = micro(micro_gpu_hours(amount));
            writeln!(out, "{start},{seed},{bucket},{reason},{hours},{cost}")?;
        }
        for (name, cost) in [
            ("usd.billing_rounding", ledger.billing_rounding),
            ("usd.no_gpu", ledger.no_gpu),
            ("usd.staff", ledger.staff),
        ] {
            writeln!(out, "{start},{seed},{name},,,{cost}")?;
        }
    }
    Ok(())
}

/// Over all pools: every bucket once, `idle.held` once per reason that occurs.
fn rows(ledger: &LedgerReport) -> Vec<(Bucket, Option<Reason>, u128, MicroDollars)> {
    let mut rows = Vec::new();
    let mut add = |bucket, reason, keep_zero: bool| {
        let is_it = |row: &&LedgerRow| row.bucket == bucket && row.reason == reason;
        let found = || ledger.rows.iter().filter(is_it);
        let amount: u128 = found().map(|row| row.amount).sum();
        let cost: u64 = found().map(|row| row.cost.0).sum();
        if keep_zero || amount > 0 {
            rows.push((bucket, reason, amount, MicroDollars(cost)));
        }
    };
    for bucket in Bucket::ALL {
        if bucket == Bucket::IdleHeld && ledger.amount(bucket) > 0 {
            for reason in Reason::ALL {
                add(bucket, Some(reason), false);
            }
        } else {
            add(bucket, None, true);
        }
    }
    rows
}
