//! The simulated clock: whole nanoseconds, in two types.
//!
//! [`SimTime`] is a point on the clock, [`SimDuration`] a length. Two types, so that
//! "instant + instant" does not compile. "Never" is `Option<SimTime>`, not a magic maximum.
//!
//! A `u64` of nanoseconds reaches 584 years. Operators panic on overflow; `checked_*` and
//! `saturating_*` stand beside them.
//!
//! ```
//! use windtunnel_core::{SimDuration, SimTime};
//! let start = SimTime::ZERO + SimDuration::from_mins(90);
//! assert_eq!(start.to_string(), "1h 30m");
//! assert_eq!("1h 30m".parse::<SimDuration>()?, start.since(SimTime::ZERO));
//! assert!("90".parse::<SimDuration>().is_err(), "a bare number has no unit");
//! # Ok::<(), windtunnel_core::DurationError>(())
//! ```

use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Sub};
use std::str::FromStr;

/// Nanoseconds in a second.
pub const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A point on the simulated clock: whole nanoseconds since the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(u64);

/// A non-negative length of simulated time, in whole nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimDuration(u64);

impl SimTime {
    /// The start of the run.
    pub const ZERO: Self = Self(0);
    /// The last instant the clock can show.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the start of the run.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The time of day as people say it, the first day being d1, rounded down to a second.
    ///
    /// ```
    /// use windtunnel_core::SimTime;
    /// assert_eq!(SimTime::from_secs(2 * 86_400 + 9 * 3_600 + 65).clock(), "d3 09:01:05");
    /// ```
    #[must_use]
    pub fn clock(self) -> String {
        let seconds = self.0 / NANOS_PER_SEC;
        let (day, hour, minute, second) = (
            seconds / 86_400 + 1,
            seconds / 3_600 % 24,
            seconds / 60 % 60,
            seconds % 60,
        );
        format!("d{day} {hour:02}:{minute:02}:{second:02}")
    }

    /// The instant `millis` milliseconds after the start of the run.
    ///
    /// # Panics
    /// If the result does not fit the clock.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(SimDuration::from_millis(millis).0)
    }

    /// The instant `secs` seconds after the start of the run.
    ///
    /// # Panics
    /// If the result does not fit the clock.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(SimDuration::from_secs(secs).0)
    }

    /// Nanoseconds since the start of the run.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start of the run, for people; never feed it back into the clock.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The length from `earlier` to `self`.
    ///
    /// # Panics
    /// If `earlier` is later than `self`: that is always a bug.
    #[must_use]
    pub fn since(self, earlier: Self) -> SimDuration {
        match self.0.checked_sub(earlier.0) {
            Some(nanos) => SimDuration(nanos),
            None => panic!("{earlier} is later than {self}"),
        }
    }

    /// `self + length`, or `None` if that is past the end of the clock.
    #[must_use]
    pub const fn checked_add(self, length: SimDuration) -> Option<Self> {
        match self.0.checked_add(length.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// `self + length`, at most [`SimTime::MAX`].
    #[must_use]
    pub const fn saturating_add(self, length: SimDuration) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest length the clock can measure.
    pub const MAX: Self = Self(u64::MAX);

    /// A length of `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A length of `micros` microseconds.
    ///
    /// # Panics
    /// If the result does not fit the clock.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self::times(micros, 1_000)
    }

    /// A length of `millis` milliseconds.
    ///
    /// # Panics
    /// If the result does not fit the clock.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self::times(millis, 1_000_000)
    }

    /// A length of `secs` seconds.
    ///
    /// # Panics
    /// If the result does not fit the clock.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self::times(secs, NANOS_PER_SEC)
    }

    /// A length of `mins` minutes.
    ///
    /// # Panics
    /// If the result does not fit the clock.
    #[must_use]
    pub const fn from_mins(mins: u64) -> Self {
        Self::times(mins, 60 * NANOS_PER_SEC)
    }

    /// A length of `hours` hours.
    ///
    /// # Panics
    /// If the result does not fit the clock.
    #[must_use]
    pub const fn from_hours(hours: u64) -> Self {
        Self::times(hours, 3_600 * NANOS_PER_SEC)
    }

    /// A length of `days` days of 24 hours.
    ///
    /// # Panics
    /// If the result does not fit the clock.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self::times(days, 86_400 * NANOS_PER_SEC)
    }

    const fn times(count: u64, unit: u64) -> Self {
        match count.checked_mul(unit) {
            Some(nanos) => Self(nanos),
            None => panic!("duration does not fit 64 bits of nanoseconds"),
        }
    }

    /// The one door from floating point: seconds, rounded to the nearest nanosecond.
    ///
    /// # Errors
    /// NaN, a negative number, or more seconds than the clock can hold.
    ///
    /// ```
    /// use windtunnel_core::SimDuration;
    /// assert_eq!(SimDuration::try_from_secs_f64(1.5)?, SimDuration::from_millis(1_500));
    /// assert!(SimDuration::try_from_secs_f64(1e300).is_err());
    /// assert!(SimDuration::try_from_secs_f64(f64::NAN).is_err());
    /// # Ok::<(), windtunnel_core::DurationError>(())
    /// ```
    pub fn try_from_secs_f64(secs: f64) -> Result<Self, DurationError> {
        if secs.is_nan() {
            return Err(DurationError::NotANumber);
        }
        if secs < 0.0 {
            return Err(DurationError::Negative);
        }
        let nanos = (secs * 1e9).round();
        // 2^64 as a float; anything at or above it does not fit.
        if nanos >= 18_446_744_073_709_551_616.0 {
            return Err(DurationError::TooLong);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "range checked above"
        )]
        Ok(Self(nanos as u64))
    }

    /// Whole nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / NANOS_PER_SEC
    }

    /// Seconds, for people; never feed it back into the clock.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Whether the length is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self + other`, or `None` on overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// `self - other`, at least zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self × factor`, at most [`SimDuration::MAX`].
    #[must_use]
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Add<SimDuration> for SimTime {
    type Output = Self;
    fn add(self, length: SimDuration) -> Self {
        Self(
            self.0
                .checked_add(length.0)
                .expect("simulated clock overflow"),
        )
    }
}

impl AddAssign<SimDuration> for SimTime {
    fn add_assign(&mut self, length: SimDuration) {
        *self = *self + length;
    }
}

impl Sub<SimDuration> for SimTime {
    type Output = Self;
    fn sub(self, length: SimDuration) -> Self {
        Self(
            self.0
                .checked_sub(length.0)
                .expect("instant before the start of the run"),
        )
    }
}

impl Add for SimDuration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.checked_add(other.0).expect("duration overflow"))
    }
}

impl AddAssign for SimDuration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for SimDuration {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.checked_sub(other.0).expect("negative duration"))
    }
}

impl Mul<u64> for SimDuration {
    type Output = Self;
    fn mul(self, factor: u64) -> Self {
        Self(self.0.checked_mul(factor).expect("duration overflow"))
    }
}

impl Div<u64> for SimDuration {
    type Output = Self;
    fn div(self, divisor: u64) -> Self {
        Self(self.0 / divisor)
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SimDuration(self.0).fmt(f)
    }
}

/// Units of [`SimDuration`]'s text form, largest first.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400 * NANOS_PER_SEC),
    ("h", 3_600 * NANOS_PER_SEC),
    ("m", 60 * NANOS_PER_SEC),
    ("s", NANOS_PER_SEC),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl fmt::Display for SimDuration {
    /// All non-zero units, largest first: `1h 30m`, `150ms`, `0s`. Lossless.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0s");
        }
        let mut rest = self.0;
        let mut text = String::new();
        for (unit, nanos) in UNITS {
            let count = rest / nanos;
            if count > 0 {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&count.to_string());
                text.push_str(unit);
                rest %= nanos;
            }
        }
        f.pad(&text)
    }
}

/// Why a text or a number is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// The number of seconds is NaN.
    #[error("not a number")]
    NotANumber,
    /// The number of seconds is negative.
    #[error("a duration can't be negative")]
    Negative,
    /// More than 584 years.
    #[error("longer than the clock can hold (584 years)")]
    TooLong,
    /// A number without a unit, or with an unknown one.
    #[error("`{text}` needs a unit: d, h, m (or min), s, ms, us, ns, as in `2h 30m`")]
    Unit {
        /// The offending part of the text.
        text: String,
    },
    /// No number where one was expected.
    #[error("`{text}` is not a duration: write a number and a unit, as in `2h 30m`")]
    Syntax {
        /// The offending part of the text.
        text: String,
    },
}

impl FromStr for SimDuration {
    type Err = DurationError;

    /// Reads what [`Display`](fmt::Display) writes, and friendlier forms: `1.5 h`, `30 days`, `10min`.
    fn from_str(text: &str) -> Result<Self, DurationError> {
        let mut total = Self::ZERO;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(DurationError::Syntax {
                text: text.to_owned(),
            });
        }
        while !rest.is_empty() {
            let number_end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
                .unwrap_or(rest.len());
            let (number, after) = rest.split_at(number_end);
            let after = after.trim_start();
            let unit_end = after
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(after.len());
            let (unit, next) = after.split_at(unit_end);
            if number.is_empty() {
                return Err(DurationError::Syntax {
                    text: rest.to_owned(),
                });
            }
            let part = parse_part(&number.replace('_', ""), unit, rest)?;
            total = total.checked_add(part).ok_or(DurationError::TooLong)?;
            rest = next.trim_start();
        }
        Ok(total)
    }
}

/// One `number unit` of a duration's text.
fn parse_part(number: &str, unit: &str, context: &str) -> Result<SimDuration, DurationError> {
    let nanos = match unit {
        "d" | "day" | "days" => UNITS[0].1,
        "h" | "hour" | "hours" => UNITS[1].1,
        "m" | "min" | "mins" | "minute" | "minutes" => UNITS[2].1,
        "s" | "sec" | "secs" | "second" | "seconds" => UNITS[3].1,
        "ms" => UNITS[4].1,
        "us" => UNITS[5].1,
        "ns" => UNITS[6].1,
        _ => {
            return Err(DurationError::Unit {
                text: context.to_owned(),
            });
        }
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole
            .checked_mul(nanos)
            .map(SimDuration)
            .ok_or(DurationError::TooLong);
    }
    let value: f64 = number.parse().map_err(|_| DurationError::Syntax {
        text: context.to_owned(),
    })?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "units are exact powers and small"
    )]
    SimDuration::try_from_secs_f64(value * (nanos as f64 / 1e9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_and_parse_are_inverse() {
        for nanos in [
            0,
            1,
            999,
            1_000,
            60 * NANOS_PER_SEC,
            90_061_000_000_001,
            u64::MAX,
        ] {
            let length = SimDuration::from_nanos(nanos);
            assert_eq!(
                length.to_string().parse::<SimDuration>(),
                Ok(length),
                "{length}"
            );
        }
    }

    #[test]
    fn friendly_forms() {
        assert_eq!("30 days".parse(), Ok(SimDuration::from_days(30)));
        assert_eq!("1.5h".parse(), Ok(SimDuration::from_mins(90)));
        assert_eq!("10 min".parse(), Ok(SimDuration::from_mins(10)));
    }

    #[test]
    fn nonsense_is_refused_with_a_hint() {
        for text in ["", "5", "h", "5 parsecs", "-3s", "99999999999d", "1..5h"] {
            assert!(text.parse::<SimDuration>().is_err(), "{text}");
        }
    }

    #[test]
    #[should_panic(expected = "is later than")]
    fn since_a_later_instant_is_a_bug() {
        let _ = SimTime::ZERO.since(SimTime::from_secs(1));
    }
}
