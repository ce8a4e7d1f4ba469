//! How what a GPU yields is split among those who have the whole of it, or a slot, at once.
//!
//! A GPU yields 1,000 thousandths per ns, whoever holds it. Each holder's useful time is what the
//! speed model says it executes; of the rest, `interference` takes what the holders would execute
//! alone beyond what they do, as far as the rest goes; what remains is `underused`. Both are split by
//! grant. A holder that does not advance books its part of both under what it does instead.

use smallvec::SmallVec;

use crate::speed::Slices;
use crate::units::{MILLI_PER_GPU, PPM};

/// One of those who hold a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Thousandths granted.
    pub(crate) grant: u16,
    /// Thousandths it keeps busy if its slices say that it is always busy.
    pub(crate) size: u16,
    /// What its speed model says it does, if it advances.
    pub(crate) slices: Option<Slices>,
}

/// What one of them has of it [milli-GPU·ppm].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) useful: u64,
    /// Overhead of saving.
    pub(crate) lost: u64,
    pub(crate) interference: u64,
    pub(crate) underused: u64,
}

impl Part {
    #[cfg(test)]
    fn sum(&self) -> u64 {
        self.useful + self.lost + self.interference + self.underused
    }
}

/// Splits one GPU; there must be a holder with a grant above zero. The parts sum to the whole.
pub(crate) fn split(holders: &[Holder]) -> SmallVec<[Part; 4]> {
    let whole = u64::from(MILLI_PER_GPU) * u64::from(PPM);
    let mut parts: SmallVec<[Part; 4]> = holders.iter().map(executes).collect();
    let mut executed: u64 = parts.iter().map(|part| part.useful + part.lost).sum();
    if executed > whole {
        // No model that knows of its neighbours says so.
        for part in &mut parts {
            part.useful = scaled(part.useful, whole, executed);
            part.lost = scaled(part.lost, whole, executed);
        }
        executed = parts.iter().map(|part| part.useful + part.lost).sum();
    }
    let rest = whole - executed;
    let missed: u64 = holders.iter().map(misses).sum();
    let interference = missed.min(rest);
    let grants = || holders.iter().map(|holder| u64::from(holder.grant));
    let shares = by_grant(interference, grants());
    for (part, share) in parts.iter_mut().zip(shares) {
        part.interference = share;
    }
    let shares = by_grant(rest - interference, grants());
    for (part, share) in parts.iter_mut().zip(shares) {
        part.underused = share;
    }
    parts
}

/// What a holder executes.
fn executes(holder: &Holder) -> Part {
    let milli = u64::from(holder.size);
    let slices = holder.slices;
    slices.map_or(Part::default(), |slices| Part {
        useful: milli * u64::from(slices.useful),
        lost: milli * u64::from(slices.lost),
        ..Part::default()
    })
}

/// What a holder would execute alone beyond what it does. With t, s and d as slices are made of them it
/// executes t·s·d and would t·d.
fn misses(holder: &Holder) -> u64 {
    let Some(slices) = holder.slices else {
        return 0;
    };
    let advances = u64::from(PPM - slices.stalled);
    let beside = advances - u64::from(slices.interference);
    if beside == 0 {
        return u64::from(holder.size) * advances;
    }
    let executed = u64::from(holder.size) * u64::from(slices.useful + slices.lost);
    scaled(executed, advances, beside) - executed
}

/// Splits an amount by grant: rounded down, what is left over to the largest remainders, then to who
/// came first.
fn by_grant(amount: u64, grants: impl Iterator<Item = u64> + Clone) -> SmallVec<[u64; 4]> {
    let all: u64 = grants.clone().sum();
    let mut shares: SmallVec<[u64; 4]> = grants.clone().map(|g| scaled(amount, g, all)).collect();
    let mut left = amount - shares.iter().sum::<u64>();
    if left == 0 {
        return shares;
    }
    let remainder = |grant: u64| u128::from(amount) * u128::from(grant) % u128::from(all);
    let mut order: SmallVec<[(u128, usize); 4]> = grants
        .zip(0..)
        .map(|(grant, place)| (remainder(grant), place))
        .collect();
    order.sort_by_key(|&(remainder, place)| (std::cmp::Reverse(remainder), place));
    for (_, place) in order {
        if left == 0 {
            break;
        }
        shares[place] += 1;
        left -= 1;
    }
    shares
}

/// `amount × part ÷ whole`, rounded down.
#[expect(clippy::cast_possible_truncation, reason = "at most a few times a GPU")]
fn scaled(amount: u64, part: u64, whole: u64) -> u64 {
    (u128::from(amount) * u128::from(part) / u128::from(whole.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ppm;
    use proptest::prelude::*;

    fn slices(sharing: u32, duty: u32) -> Slices {
        Slices::from_factors(Ppm::ONE, Ppm(sharing), Ppm(duty), None)
    }

    fn holder(slices: Option<Slices>) -> Holder {
        Holder {
            grant: 250,
            size: 1_000,
            slices,
        }
    }

    /// (useful, interference, underused) in thousandths.
    fn parts(holders: &[Holder]) -> Vec<(u64, u64, u64)> {
        let milli = |amount: u64| {
            assert_eq!(amount % u64::from(PPM), 0, "{amount}");
            amount / u64::from(PPM)
        };
        let parts = split(holders);
        let parts = parts.iter();
        parts
            .map(|p| (milli(p.useful), milli(p.interference), milli(p.underused)))
            .collect()
    }

    #[test]
    fn whoever_is_alone_has_the_whole() {
        let alone = holder(Some(slices(PPM, 600_000)));
        assert_eq!(parts(&[alone]), [(600, 0, 400)]);
        assert_eq!(parts(&[holder(None)]), [(0, 0, 1_000)]);
    }

    /// Two that are always busy execute 485 each and miss 515 each: all of the rest is interference.
    #[test]
    fn two_that_are_always_busy() {
        let half = holder(Some(slices(485_000, PPM)));
        assert_eq!(parts(&[half, half]), [(485, 15, 0), (485, 15, 0)]);
    }

    /// Together 0.8: nobody misses anything, what is left is nobody's fault but theirs.
    #[test]
    fn two_that_fit_beside_each_other() {
        let (a, b) = (slices(PPM, 500_000), slices(PPM, 300_000));
        let parts = parts(&[holder(Some(a)), holder(Some(b))]);
        assert_eq!(parts, [(500, 0, 100), (300, 0, 100)]);
    }

    /// One that starts has half of what the other leaves.
    #[test]
    fn one_that_does_not_advance_has_its_part_of_the_rest() {
        let busy = holder(Some(slices(PPM, 700_000)));
        assert_eq!(parts(&[busy, holder(None)]), [(700, 0, 150), (0, 0, 150)]);
    }

    proptest! {
        #[test]
        fn parts_always_sum_to_the_whole(
            list in prop::collection::vec(
                (1_u16..=1_000, 1_u16..=1_000, prop::option::of((0_u32..=PPM, 0_u32..=PPM, 0_u32..=PPM))),
                1..12,
            ),
        ) {
            let holders: Vec<Holder> = list.iter().map(|&(grant, size, factors)| Holder {
                grant,
                size,
                slices: factors.map(|(t, s, d)| Slices::from_factors(Ppm(t), Ppm(s), Ppm(d), None)),
            }).collect();
            let parts = split(&holders);
            prop_assert_eq!(parts.iter().map(Part::sum).sum::<u64>(), 1_000_000_000);
        }
    }
}
