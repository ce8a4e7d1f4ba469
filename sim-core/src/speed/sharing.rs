//! What a task gets of a GPU that it shares: time-slicing, MPS, MIG.
//!
//! Pure functions. Each answers with the speed beside others over the speed alone on the whole GPU:
//! 1 is no loss. What a holder *executes* is that times its own [`Use::compute`](field@Use::compute).

use crate::units::{PPM, Ppm};

/// How a task uses a GPU if it has it for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// How busy the GPU is: what `nvidia-smi` calls utilisation.
    pub compute: Ppm,
    /// How busy its memory bandwidth is.
    pub bandwidth: Ppm,
}

impl Use {
    /// Busy all the time, without bandwidth to speak of.
    pub const FULL: Self = Self {
        compute: Ppm::ONE,
        bandwidth: Ppm::ZERO,
    };

    fn compute(self) -> f64 {
        f64::from(self.compute.0) / f64::from(PPM)
    }

    fn bandwidth(self) -> f64 {
        f64::from(self.bandwidth.0) / f64::from(PPM)
    }
}

/// What switching contexts costs of a GPU that is time-sliced (general knowledge: 3 %).
const SWITCH_LOSS: f64 = 0.03;

/// Time-slicing: tasks take turns, and what one leaves idle the others use.
///
/// Max-min fair: with one other or more the GPU has 0.97 to give (switching); nobody gets more than it
/// can use, and those who could use more get equal parts: e = min(u, λ) with Σ e = min(Σ u, 0.97).
/// The speed is e ÷ u. Reference: NVIDIA's guide to MPS, "When to use MPS"; the loss is general
/// knowledge. O(others²).
///
/// ```
/// use windtunnel_core::sharing::{Use, time_sliced};
/// use windtunnel_core::Ppm;
/// let light = Use { compute: Ppm(300_000), bandwidth: Ppm::ZERO };
/// assert_eq!(time_sliced(Use::FULL, [Use::FULL].into_iter()), Ppm(485_000));
/// assert_eq!(time_sliced(Use::FULL, [light].into_iter()), Ppm(670_000)); // 0.97 less 0.3
/// assert_eq!(time_sliced(light, [Use::FULL].into_iter()), Ppm::ONE); // less than its turn
/// ```
#[must_use]
pub fn time_sliced(own: Use, others: impl Iterator<Item = Use> + Clone) -> Ppm {
    if others.clone().next().is_none() {
        return Ppm::ONE;
    }
    let all = || std::iter::once(own).chain(others.clone());
    let mut level = 0.0;
    loop {
        let (mut free, mut greedy) = (1.0 - SWITCH_LOSS, 0_u32);
        for used in all().map(Use::compute) {
            if used > level {
                greedy += 1;
            } else {
                free -= used;
            }
        }
        if greedy == 0 {
            return Ppm::ONE;
        }
        let next = free / f64::from(greedy);
        if next <= level {
            break;
        }
        level = next;
    }
    part(level / own.compute())
}

/// MPS: kernels of several tasks run at once.
///
/// With U = Σ u over all: min(1 − 0.05·(U − u), (1 ÷ U)^0.57), less 0.3·max(0, Σ b − 1) for memory
/// bandwidth but at most half of it, at most `threads` ÷ u (`CUDA_MPS_ACTIVE_THREAD_PERCENTAGE`).
/// Reference: the exponent was solved from Lucid's co-location buckets, the rest is derived from the
/// same data. There the first term holds up to U = 1 and the second from there, which would make a
/// neighbour welcome at U = 1; the smaller of both is the same within 0.01 at the buckets and never
/// does. The half is ours: all was measured on pairs, which stay below it, and four that need all of
/// the bandwidth would stand still without a bound. O(others).
///
/// ```
/// use windtunnel_core::sharing::{Use, mps};
/// use windtunnel_core::Ppm;
/// let busy = mps(Use::FULL, [Use::FULL].into_iter(), Ppm::ONE);
/// assert_eq!(busy, Ppm(673_617)); // both together do 1.35 of what one does alone
/// assert_eq!(mps(Use::FULL, std::iter::empty(), Ppm(250_000)), Ppm(250_000));
/// ```
#[must_use]
pub fn mps(own: Use, others: impl Iterator<Item = Use>, threads: Ppm) -> Ppm {
    let (mut beside, mut bandwidth) = (0.0, own.bandwidth());
    let mut alone = true;
    for other in others {
        alone = false;
        beside += other.compute();
        bandwidth += other.bandwidth();
    }
    let cap = f64::from(threads.0) / f64::from(PPM) / own.compute();
    if alone {
        return part(cap);
    }
    let all = own.compute() + beside;
    let gentle = 1.0 - 0.05 * beside;
    let crowded = if all > 1.0 {
        libm::pow(1.0 / all, 0.57)
    } else {
        1.0
    };
    let speed = gentle.min(crowded);
    let slowed = (0.3 * (bandwidth - 1.0).max(0.0)).min(speed / 2.0);
    part((speed - slowed).min(cap))
}

/// An instance of MIG: compute and memory slices of its own, whoever is beside it.
///
/// min(1, compute share ÷ u)^0.9 × min(1, memory share ÷ b). Reference: general knowledge.
///
/// ```
/// use windtunnel_core::sharing::{Use, mig};
/// use windtunnel_core::Ppm;
/// assert_eq!(mig(Use::FULL, (7, 7), (8, 8)), Ppm::ONE);
/// assert_eq!(mig(Use::FULL, (3, 7), (4, 8)), Ppm(466_467)); // less than linear
/// let light = Use { compute: Ppm(100_000), bandwidth: Ppm(100_000) };
/// assert_eq!(mig(light, (1, 7), (1, 8)), Ppm::ONE); // it needs no more
/// ```
///
/// # Panics
/// If a GPU has no slices.
#[must_use]
pub fn mig(own: Use, compute: (u32, u32), memory: (u32, u32)) -> Ppm {
    assert!(compute.1 > 0 && memory.1 > 0, "a GPU has slices");
    let share = |(slices, of): (u32, u32)| f64::from(slices) / f64::from(of);
    let threads = (share(compute) / own.compute()).min(1.0);
    let bytes = (share(memory) / own.bandwidth()).min(1.0);
    part(libm::pow(threads, 0.9) * bytes)
}

/// A speed in ppm, rounded once: at least one, so that nothing stands still, and at most all.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "1 to 10^6"
)]
pub(crate) fn part(speed: f64) -> Ppm {
    // NaN, which only no use of nothing gives, is no loss.
    if speed.is_nan() {
        return Ppm::ONE;
    }
    Ppm((speed * f64::from(PPM)).round().clamp(1.0, f64::from(PPM)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn busy(compute: f64) -> Use {
        Use {
            compute: Ppm::from_fraction(compute).unwrap(),
            bandwidth: Ppm::ZERO,
        }
    }

    fn fraction(part: Ppm) -> f64 {
        f64::from(part.0) / f64::from(PPM)
    }

    /// Lucid's buckets of 25 % (S-Lab-System-Group/Lucid, simulation/data/colocate_info.csv): mean speed of a
    /// pair by the sum of its members' solo utilisation.
    #[test]
    fn mps_is_near_lucid_s_buckets() {
        use std::io::Write;
        let measured = [0.976, 1.012, 1.007, 0.970, 0.926, 0.844, 0.753, 0.699];
        let mut worst: f64 = 0.0;
        for (bucket, &speed) in measured.iter().enumerate() {
            let middle = 0.25 * (f64::from(u32::try_from(bucket).unwrap()) + 0.5);
            let own = busy(middle / 2.0);
            let model = fraction(mps(own, [own].into_iter(), Ppm::ONE));
            let distance = (model - speed).abs();
            worst = worst.max(distance);
            writeln!(
                std::io::stderr(),
                "Lucid, sum of use {middle:.3}: measured {speed:.3}, model {model:.3}, distance {distance:.3}"
            )
            .unwrap();
        }
        assert!(worst <= 0.05, "{worst}");
    }

    #[test]
    fn two_busy_jobs_under_mps_are_near_gavel_s_median() {
        let pair = 2.0 * fraction(mps(Use::FULL, [Use::FULL].into_iter(), Ppm::ONE));
        assert!((pair - 1.37).abs() <= 0.05, "{pair}");
    }

    #[test]
    fn turns_are_fair_and_gaps_are_used() {
        // 0.97 over 0.2, 1, 1: the light one gets its 0.2, the others half of the rest.
        let others = [busy(0.2), Use::FULL];
        assert_eq!(time_sliced(Use::FULL, others.into_iter()), Ppm(385_000));
        let others = [Use::FULL, Use::FULL];
        assert_eq!(time_sliced(busy(0.2), others.into_iter()), Ppm::ONE);
        assert_eq!(time_sliced(busy(0.4), [busy(0.4)].into_iter()), Ppm::ONE);
    }

    proptest! {
        #[test]
        fn nobody_executes_more_than_there_is(uses in prop::collection::vec(1_u32..=PPM, 2..12)) {
            let uses: Vec<Use> = uses.iter().map(|&u| Use { compute: Ppm(u), bandwidth: Ppm::ZERO }).collect();
            let executed = |place: usize| {
                let others = uses.iter().enumerate().filter(move |(at, _)| *at != place).map(|(_, u)| *u);
                fraction(time_sliced(uses[place], others)) * fraction(uses[place].compute)
            };
            let sum: f64 = (0..uses.len()).map(executed).sum();
            let wanted: f64 = uses.iter().map(|u| u.compute()).sum();
            prop_assert!((sum - wanted.min(0.97)).abs() < 1e-5, "{sum} of {wanted}");
        }

        #[test]
        fn a_busier_neighbour_never_helps(own in 1_u32..=PPM, a in 0_u32..=PPM, more in 0_u32..=PPM, b in 0_u32..=PPM) {
            let own = Use { compute: Ppm(own), bandwidth: Ppm(b) };
            let with = |u: u32| Use { compute: Ppm(u.min(PPM)), bandwidth: Ppm(u.min(PPM)) };
            let (less, more) = (with(a), with(a + more));
            prop_assert!(mps(own, [more].into_iter(), Ppm::ONE) <= mps(own, [less].into_iter(), Ppm::ONE));
            prop_assert!(time_sliced(own, [more].into_iter()) <= time_sliced(own, [less].into_iter()));
        }
    }
}
