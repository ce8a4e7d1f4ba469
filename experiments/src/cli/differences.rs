//! "What made the difference": from the ledgers, paired by seed.

use windtunnel::Comparison;
use windtunnel::compare::{BucketDifference, Difference, PlatformFigures, Price};
use windtunnel::stats::Estimate;

use super::compare::name_width;
use super::page;
use super::words::{meaning, rounded, signed, things, time};

/// Most buckets that are named per platform.
const BUCKETS_SHOWN: usize = 3;

/// Whether a platform takes more per useful GPU-hour, beyond chance.
pub(super) fn is_worse(comparison: &Comparison, platform: usize, against: usize) -> bool {
    platform != against
        && Difference::between(comparison, platform, against)
            .per_useful_hour
            .is_some_and(|cost| cost.excludes_zero() && cost.mean > 0.0)
}

/// Appends the section, if there is anything to compare.
pub(super) fn section(out: &mut String, comparison: &Comparison, figures: &[PlatformFigures]) {
    let [best, others @ ..] = figures else {
        return;
    };
    if others.is_empty() {
        return;
    }
    let platforms = &comparison.scenario.platforms;
    *out += &format!(
        "\nWhat made the difference (against {})\n",
        platforms[best.platform].name
    );
    if comparison.scenario.run.seeds.len() < 2 {
        *out += "  one seed: no interval tells these from chance\n";
    }
    let width = name_width(comparison);
    for other in others {
        let difference = Difference::between(comparison, other.platform, best.platform);
        let name = &platforms[other.platform].name;
        let first = format!("  {name:width$}  ");
        platform(out, comparison, &difference, &first, width + 4);
    }
}

fn platform(
    out: &mut String,
    comparison: &Comparison,
    difference: &Difference,
    first: &str,
    indent: usize,
) {
    let seeds = comparison.scenario.run.seeds.len();
    let text = headline(difference, Price::of(comparison), seeds);
    page::hanging(out, first, &text, indent);
    for entry in difference.more.iter().take(BUCKETS_SHOWN) {
        page::hanging(out, &" ".repeat(indent), &bucket(entry), indent + 2);
    }
}

/// How much more or less a useful GPU-hour takes. Where that can't be told and buckets follow all the
/// same, it says that they are what differs.
fn headline(difference: &Difference, price: Price, seeds: usize) -> String {
    let (unit, measure) = match price {
        Price::Dollars => ("$", "dollars"),
        Price::GpuHours => ("GPU-hours", "paid GPU-hours"),
    };
    match difference.per_useful_hour {
        Some(cost) if cost.excludes_zero() || cost.half_width.is_none() => {
            format!("{} {unit} per useful GPU-hour", signed(cost, 2))
        }
        Some(cost) if !difference.more.is_empty() => format!(
            "no difference in {measure} that {seeds} seeds can tell ({} {unit}); what differs:",
            signed(cost, 2)
        ),
        Some(cost) => format!(
            "no difference per useful GPU-hour that {seeds} seeds can tell ({} {unit})",
            signed(cost, 2)
        ),
        None => "not to be compared: a run without useful time".to_owned(),
    }
}

/// One bucket: how much, which, what that means, whom it met.
fn bucket(entry: &BucketDifference) -> String {
    let points = Estimate {
        mean: 100.0 * entry.share.mean,
        half_width: entry.share.half_width.map(|half| 100.0 * half),
    };
    let (bucket, what) = (entry.bucket, meaning(entry.bucket, entry.reason));
    let mut text = format!("{} points {bucket}: {what}", signed(points, 1));
    if let Some((jobs, seconds)) = entry.waits.filter(|(jobs, _)| *jobs >= 0.5) {
        let (jobs, each) = (things(&rounded(jobs), "job"), time(seconds));
        text += &format!(" ({jobs} per run waited so, {each} each)");
    }
    text
}

#[cfg(test)]
mod tests {
    use windtunnel::core::Bucket;

    use super::*;

    #[test]
    fn buckets_that_follow_are_no_contradiction() {
        let estimate = |mean, half| Estimate {
            mean,
            half_width: Some(half),
        };
        let bucket = BucketDifference {
            bucket: Bucket::IdleHeld,
            share: estimate(0.02, 0.01),
            reason: None,
            waits: None,
        };
        let mut difference = Difference {
            platform: 1,
            per_useful_hour: Some(estimate(0.01, 0.02)),
            more: vec![bucket],
            less: Vec::new(),
        };
        let text = |difference: &Difference, price| headline(difference, price, 10);
        assert_eq!(
            text(&difference, Price::Dollars),
            "no difference in dollars that 10 seeds can tell (+0.01 ± 0.02 $); what differs:"
        );
        assert_eq!(
            text(&difference, Price::GpuHours),
            "no difference in paid GPU-hours that 10 seeds can tell (+0.01 ± 0.02 GPU-hours); what \
             differs:"
        );
        difference.more.clear();
        assert_eq!(
            text(&difference, Price::Dollars),
            "no difference per useful GPU-hour that 10 seeds can tell (+0.01 ± 0.02 $)"
        );
        difference.per_useful_hour = Some(estimate(0.03, 0.02));
        assert_eq!(
            text(&difference, Price::Dollars),
            "+0.03 ± 0.02 $ per useful GPU-hour"
        );
    }
}
