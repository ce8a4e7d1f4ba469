//! Units in types: one for each idea, whole numbers only.

use std::fmt;

/// One whole GPU in thousandths.
pub const MILLI_PER_GPU: u32 = 1_000;
/// Parts per million that make a whole.
pub const PPM: u32 = 1_000_000;
/// The reference rate of progress: parts per 10⁹.
pub const RATE_ONE: u64 = 1_000_000_000;
/// Nanoseconds in an hour.
pub const NANOS_PER_HOUR: u128 = 3_600_000_000_000;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// `n` gibibytes.
    ///
    /// # Panics
    /// If that does not fit 64 bits.
    #[must_use]
    pub const fn gib(n: u64) -> Self {
        Self(n * (1 << 30))
    }
    /// `n` mebibytes.
    ///
    /// # Panics
    /// If that does not fit 64 bits.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n * (1 << 20))
    }
}

/// Thousandths of a CPU core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MilliCores(pub u32);

impl MilliCores {
    /// `n` whole cores.
    ///
    /// # Panics
    /// If that does not fit 32 bits of thousandths.
    #[must_use]
    pub const fn cores(n: u32) -> Self {
        Self(n * 1_000)
    }
}

/// Parts per million of a whole: 1,000,000 is all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ppm(pub u32);

impl Ppm {
    /// All of it.
    pub const ONE: Self = Self(PPM);
    /// Nothing of it.
    pub const ZERO: Self = Self(0);

    /// Parts per million nearest to a fraction between 0 and 1; NaN and values outside are `None`.
    #[must_use]
    pub fn from_fraction(fraction: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&fraction) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 10^6"
        )]
        Some(Self((fraction * f64::from(PPM)).round() as u32))
    }
}

/// An amount of money: millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroDollars(pub u64);

impl MicroDollars {
    /// Nearest whole number of micro-dollars; NaN, negatives and amounts over 10¹² $ are `None`.
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        if !(0.0..=1e12).contains(&dollars) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "range checked"
        )]
        Some(Self((dollars * 1e6).round() as u64))
    }

    /// Dollars, for people.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl fmt::Display for MicroDollars {
    /// Dollars with six decimals, exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_from_floats_refuse_nonsense() {
        assert_eq!(Ppm::from_fraction(0.7), Some(Ppm(700_000)));
        assert_eq!(Ppm::from_fraction(f64::NAN), None);
        assert_eq!(Ppm::from_fraction(1.1), None);
        assert_eq!(MicroDollars::from_dollars(1e300), None);
        assert_eq!(
            MicroDollars::from_dollars(13.18).unwrap().to_string(),
            "13.180000"
        );
    }
}
