//! Where the paid GPU-hours went, as bars.

use windtunnel::Comparison;
use windtunnel::compare::PlatformFigures;
use windtunnel::core::Bucket;

use super::compare::{name_width, shortened};
use super::page::{self, WIDTH};
use super::words::rounded;

/// Buckets that share a glyph, in the order of the bar.
const GROUPS: [(char, &str, &[Bucket]); 12] = [
    ('#', "useful", &[Bucket::AllocatedUseful]),
    ('u', "underused", &[Bucket::AllocatedUnderused]),
    ('r', "rounding", &[Bucket::AllocatedRounding]),
    ('s', "stalled", &[Bucket::AllocatedStalled]),
    ('n', "lost to neighbours", &[Bucket::AllocatedInterference]),
    ('l', "lost", &[Bucket::AllocatedLost]),
    (
        'w',
        "waiting or starting",
        &[Bucket::AllocatedWaiting, Bucket::AllocatedStartup],
    ),
    (
        'f',
        "fragmented or stranded",
        &[Bucket::IdleFragmented, Bucket::IdleStranded],
    ),
    ('i', "insufficient", &[Bucket::IdleInsufficient]),
    ('h', "held", &[Bucket::IdleHeld]),
    (
        'd',
        "down or booting",
        &[Bucket::Down, Bucket::Provisioning],
    ),
    ('.', "no demand", &[Bucket::IdleNoDemand]),
];

/// One bar per platform, one glyph per group of buckets.
pub(super) fn bars(out: &mut String, comparison: &Comparison, figures: &[PlatformFigures]) {
    let paid: Vec<f64> = figures
        .iter()
        .filter_map(|row| Some(row.paid_gpu_hours?.mean))
        .collect();
    let Some(&most) = paid.iter().max_by(|a, b| a.total_cmp(b)) else {
        return;
    };
    let least = paid.iter().copied().fold(most, f64::min);
    *out += &if most - least < 0.5 {
        format!("Where {} paid GPU-hours went\n", rounded(most))
    } else {
        format!(
            "Where {} to {} paid GPU-hours went\n",
            rounded(least),
            rounded(most)
        )
    };
    let width = name_width(comparison);
    let room = WIDTH - width - 4;
    let mut seen = [false; GROUPS.len()];
    for row in figures {
        let shares = GROUPS.map(|(_, _, buckets)| {
            buckets
                .iter()
                .map(|bucket| row.shares[bucket.index()])
                .sum::<f64>()
        });
        let bar: String = glyphs(&shares, room)
            .into_iter()
            .enumerate()
            .flat_map(|(place, count)| {
                seen[place] |= count > 0;
                std::iter::repeat_n(GROUPS[place].0, count)
            })
            .collect();
        let name = shortened(&comparison.scenario.platforms[row.platform].name);
        *out += &format!("  {name:width$}  {bar}\n");
    }
    let legend = GROUPS.iter().zip(seen).filter(|(_, seen)| *seen);
    let legend: Vec<String> = legend
        .map(|((glyph, meaning, _), _)| format!("{glyph} {meaning}"))
        .collect();
    page::parts(out, &" ".repeat(width + 4), "  ", &legend);
}

/// `room` glyphs distributed by largest remainder, ties to the first group.
fn glyphs(shares: &[f64], room: usize) -> Vec<usize> {
    #[expect(clippy::cast_precision_loss, reason = "a width")]
    let wanted: Vec<f64> = shares.iter().map(|share| share * room as f64).collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "shares are from 0 to 1"
    )]
    let mut counts: Vec<usize> = wanted
        .iter()
        .map(|wanted| wanted.floor() as usize)
        .collect();
    let mut places: Vec<usize> = (0..shares.len()).collect();
    let rest = |place: &usize| wanted[*place] - wanted[*place].floor();
    places.sort_by(|a, b| rest(b).total_cmp(&rest(a)).then(a.cmp(b)));
    let missing = room.saturating_sub(counts.iter().sum());
    if shares.iter().sum::<f64>() > 0.5 {
        for place in places.into_iter().take(missing) {
            counts[place] += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_full() {
        assert_eq!(glyphs(&[0.5, 0.25, 0.25], 10), [5, 3, 2]);
        assert_eq!(glyphs(&[1.0, 0.0], 10), [10, 0]);
        assert_eq!(glyphs(&[0.0, 0.0], 10), [0, 0], "nothing was paid");
    }

    #[test]
    fn every_bucket_has_a_glyph() {
        for bucket in Bucket::ALL {
            let groups = GROUPS
                .iter()
                .filter(|(_, _, buckets)| buckets.contains(&bucket));
            assert_eq!(groups.count(), 1, "{bucket}");
        }
    }
}
