//! Draws of times: floats of `libm`, the same in every build, rounded once to whole milliseconds.

use crate::rng::StreamRng;
use crate::time::SimDuration;

/// Longest time drawn, in milliseconds: 316 years.
const LONGEST_MILLIS: f64 = 1e13;

/// A number above 0 and at most 1, of 53 bits.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(rng: &mut StreamRng) -> f64 {
    let bits = (rng.next_word() >> 11) + 1;
    bits as f64 / 9_007_199_254_740_992.0
}

/// A whole number below `below`, which must not be zero.
pub(super) fn below(rng: &mut StreamRng, below: u64) -> u64 {
    let product = u128::from(rng.next_word()) * u128::from(below);
    u64::try_from(product >> 64).expect("less than a word, by the shift")
}

/// So much, in whole milliseconds, rounded up, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped"
)]
fn rounded(millis: f64) -> SimDuration {
    SimDuration::from_millis(millis.ceil().clamp(1.0, LONGEST_MILLIS) as u64)
}

/// An exponential draw with `mean`, by inversion: −mean · ln u.
pub(super) fn exponential(mean: SimDuration, rng: &mut StreamRng) -> SimDuration {
    rounded(-libm::log(unit(rng)) * mean.as_secs_f64() * 1e3)
}

/// A lognormal draw: median · exp(sigma · z), z standard normal after Box and Muller (1958).
pub(super) fn lognormal(median: SimDuration, sigma: f64, rng: &mut StreamRng) -> SimDuration {
    let radius = (-2.0 * libm::log(unit(rng))).sqrt();
    let z = radius * libm::cos(2.0 * std::f64::consts::PI * unit(rng));
    rounded(median.as_secs_f64() * 1e3 * libm::exp(sigma * z))
}
