//! Numbers and buckets in words.

use windtunnel::core::{Bucket, MicroDollars, Reason, SimDuration};
use windtunnel::stats::Estimate;
pub(super) use windtunnel::words::{clock, count, gpus, lasting, ranges, size, things};

/// A number that is not negative, as the nearest whole one.
pub(super) fn rounded(number: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count or a sum, not negative and far below 2^64; the cast saturates"
    )]
    count(number.round() as u64)
}

/// A length of time as people say it: `12 s`, `4 min`, `6.1 h`, `5.2 d`.
pub(super) fn time(seconds: f64) -> String {
    if seconds < 59.5 {
        format!("{seconds:.0} s")
    } else if seconds < 3_570.0 {
        format!("{:.0} min", seconds / 60.0)
    } else if seconds < 360_000.0 {
        format!("{:.1} h", seconds / 3_600.0)
    } else {
        format!("{:.1} d", seconds / 86_400.0)
    }
}

/// A share in percent.
pub(super) fn percent(share: Option<Estimate>) -> String {
    share.map_or_else(
        || "-".to_owned(),
        |share| format!("{:.1} %", 100.0 * share.mean),
    )
}

/// A length of time as it is written in a scenario, with air: `2 h 30 m`.
pub(super) fn length(length: SimDuration) -> String {
    let mut out = String::new();
    for part in length.to_string().split(' ') {
        let unit = part.find(char::is_alphabetic).unwrap_or(part.len());
        let air = if out.is_empty() { "" } else { " " };
        out += &format!("{air}{} {}", &part[..unit], &part[unit..]);
    }
    out
}

/// A mean with its interval, to so many decimals.
pub(super) fn interval(estimate: Option<Estimate>, decimals: usize) -> String {
    match estimate {
        Some(Estimate {
            mean,
            half_width: Some(half),
        }) => format!("{mean:.decimals$} ± {half:.decimals$}"),
        Some(Estimate { mean, .. }) => format!("{mean:.decimals$}"),
        None => "-".to_owned(),
    }
}

/// A difference with its sign and its interval.
pub(super) fn signed(estimate: Estimate, decimals: usize) -> String {
    let text = interval(Some(estimate), decimals);
    match text.strip_prefix('-') {
        // What rounds to zero has no sign.
        Some(rest)
            if rest
                .chars()
                .take_while(|c| *c != ' ')
                .all(|c| "0.".contains(c)) =>
        {
            format!("+{rest}")
        }
        Some(_) => text,
        None => format!("+{text}"),
    }
}

/// Dollars and cents.
pub(super) fn dollars(amount: MicroDollars) -> String {
    let cents = (amount.0 + 5_000) / 10_000;
    format!("$ {}.{:02}", count(cents / 100), cents % 100)
}

/// What it means that GPU time is in a bucket, as a clause.
pub(super) const fn meaning(bucket: Bucket, reason: Option<Reason>) -> &'static str {
    match bucket {
        Bucket::Provisioning => "nodes were paid while they booted",
        Bucket::Down => "nodes were down",
        Bucket::IdleNoDemand => "GPUs were free and nothing that waited could use them",
        Bucket::IdleInsufficient => "what waited needed more GPUs than were free in all",
        Bucket::IdleFragmented => "enough GPUs were free in sum, but scattered over the nodes",
        Bucket::IdleStranded => "GPUs were free, but the CPUs or memory beside them were not",
        Bucket::IdleHeld => match reason {
            Some(reason) => held(reason),
            None => "GPUs were kept free though work could have used them",
        },
        Bucket::AllocatedStartup => "tasks started and ended more often or for longer",
        Bucket::AllocatedWaiting => "gangs that were not complete held GPUs and did nothing",
        Bucket::AllocatedRounding => "whole GPUs were granted for parts of one",
        Bucket::AllocatedStalled => "work waited for slow links",
        Bucket::AllocatedInterference => "neighbours on the same GPU took time",
        Bucket::AllocatedUnderused => "the jobs that ran kept their GPUs busy part of the time",
        Bucket::AllocatedLost => "progress was thrown away and had to be made again",
        Bucket::AllocatedUseful => "useful work",
    }
}

/// Why capacity that work could have used was not given to it.
const fn held(reason: Reason) -> &'static str {
    match reason {
        Reason::HeadOfLine => "work that fit waited behind a job that did not",
        Reason::Backoff => "work that fit sat out a backoff",
        Reason::Latency => "work could start and nobody had decided yet",
        Reason::Gang => "GPUs were promised to gangs that were not complete",
        Reason::Quota => "work that fit was beyond a quota",
        Reason::Priority => "work that fit let others of higher priority pass",
        Reason::Reservation => "GPUs were reserved for later",
        Reason::Preemption => "GPUs were kept for work that waited for its victims to leave",
        _ => "GPUs were kept free though work could have used them",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(time(12.4), "12 s");
        assert_eq!(time(59.7), "1 min");
        assert_eq!(time(240.0), "4 min");
        assert_eq!(time(3_599.0), "1.0 h");
        assert_eq!(time(432_000.0), "5.0 d");
        assert_eq!(length(SimDuration::from_mins(150)), "2 h 30 m");
        let estimate = |mean| Estimate {
            mean,
            half_width: Some(0.01),
        };
        assert_eq!(signed(estimate(-0.001), 2), "+0.00 ± 0.01");
        assert_eq!(signed(estimate(-0.5), 1), "-0.5 ± 0.0");
        assert_eq!(dollars(MicroDollars(13_182_648)), "$ 13.18");
        assert_eq!(dollars(MicroDollars(1_999_999_999)), "$ 2,000.00");
    }
}
