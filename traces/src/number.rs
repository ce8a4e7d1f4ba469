//! Decimal text to whole numbers, exactly: no float on the way.

/// What a column's numbers mean and how fine they may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    /// What it is, for "is not …".
    pub(crate) noun: &'static str,
    /// Decimals of the unit it is kept in: 9 keeps seconds in nanoseconds.
    pub(crate) decimals: u32,
    /// Largest value, in that unit.
    pub(crate) max: u64,
    /// What to do about a value above it.
    pub(crate) too_large: &'static str,
    /// What becomes of finer decimals.
    pub(crate) finer: Finer,
}

/// What becomes of decimals finer than the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finer {
    /// Rounded to the nearest, half up: nobody measures below it.
    Round,
    /// Rounded likewise, and the row counts as repaired.
    Repair,
    /// No such value can be.
    Refuse,
}

/// Longest time a trace may name: three of them still fit the clock.
const TIME_MAX: u64 = 1 << 62;

/// Seconds, kept in nanoseconds.
pub(crate) const SECONDS: Quantity = Quantity {
    noun: "a time in seconds",
    decimals: 9,
    max: TIME_MAX,
    too_large: "times are in seconds and end at 146 years; is this in milliseconds?",
    finer: Finer::Round,
};

/// A whole number of something countable.
pub(crate) const COUNT: Quantity = Quantity {
    noun: "a count",
    decimals: 0,
    max: windtunnel_core::MAX_TASKS as u64,
    too_large: "a job has at most 1,000,000 tasks",
    finer: Finer::Refuse,
};

/// GPUs, kept in thousandths.
pub(crate) const GPUS: Quantity = Quantity {
    noun: "a number of GPUs",
    decimals: 3,
    max: u16::MAX as u64 * 1_000,
    too_large: "`gpus` is per task and ends at 65,535; use `tasks` for more",
    finer: Finer::Repair,
};

/// CPU cores, kept in thousandths.
pub(crate) const CORES: Quantity = Quantity {
    noun: "a number of cores",
    decimals: 3,
    max: u32::MAX as u64,
    too_large: "`cpus` is in cores per task and ends at 4,294,967",
    finer: Finer::Repair,
};

/// Gibibytes, kept in 10⁻¹⁰ so that every byte has a text.
pub(crate) const GIBIBYTES: Quantity = Quantity {
    noun: "an amount of memory in GiB",
    decimals: 10,
    max: 1_000_000_000 * 10_000_000_000,
    too_large: "`memory_gib` is in GiB per task and ends at 10^9; is this in bytes?",
    finer: Finer::Round,
};

/// A share of a whole, kept in parts per million.
pub(crate) const SHARE: Quantity = Quantity {
    noun: "a share between 0 and 1",
    decimals: 6,
    max: windtunnel_core::units::PPM as u64,
    too_large: "write 0.7 for 70 %",
    finer: Finer::Round,
};

/// Why a text is no number of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    Empty,
    NotANumber,
    Infinite,
    Negative,
    TooLong,
    TooLarge,
}

/// A number in a column's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    /// The number in units of 10^-decimals, rounded half up.
    pub(crate) units: u64,
    /// Whether nothing was rounded.
    pub(crate) exact: bool,
}

const LONGEST: usize = 32;

const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut i = 1;
    while i < 20 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// Reads `12`, `12.5`, `651507.0`, `1e-3` in units of 10^-`decimals`; spaces around are ignored.
pub(crate) fn fixed(text: &[u8], decimals: u32) -> Result<Fixed, NumberError> {
    if let Some(units) = short(text, decimals) {
        return Ok(Fixed { units, exact: true });
    }
    let text = text.trim_ascii();
    let (negative, digits) = match text {
        [] => return Err(NumberError::Empty),
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.eq_ignore_ascii_case(b"inf") || digits.eq_ignore_ascii_case(b"infinity") {
        return Err(NumberError::Infinite);
    }
    let number = decimal(digits)?;
    if negative && number.mantissa > 0 {
        return Err(NumberError::Negative);
    }
    number.scaled(decimals)
}

/// The common case: at most 18 digits and a point, nothing finer than the unit.
#[inline]
fn short(text: &[u8], decimals: u32) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    let mut value = 0_u64;
    let mut point = None;
    for (i, &byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            value = value * 10 + u64::from(digit);
        } else if byte == b'.' && point.is_none() && i > 0 {
            point = Some(i);
        } else {
            return None;
        }
    }
    let fraction = point.map_or(0, |i| text.len() - 1 - i);
    let missing = (decimals as usize).checked_sub(fraction);
    match missing {
        Some(missing) => value.checked_mul(POWERS[missing]),
        // "651507.0" as a whole number.
        None => {
            let excess = POWERS[fraction - decimals as usize];
            value.is_multiple_of(excess).then(|| value / excess)
        }
    }
}

/// `mantissa × 10^exponent`.
struct Decimal {
    mantissa: u128,
    exponent: i32,
}

fn decimal(text: &[u8]) -> Result<Decimal, NumberError> {
    let end = text
        .iter()
        .position(|b| matches!(b, b'e' | b'E'))
        .unwrap_or(text.len());
    let (digits, power) = text.split_at(end);
    let mut number = Decimal {
        mantissa: 0,
        exponent: 0,
    };
    let (mut any, mut point) = (false, false);
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                any = true;
                if digits.len() > LONGEST {
                    continue;
                }
                number.mantissa = number.mantissa * 10 + u128::from(byte - b'0');
                number.exponent -= i32::from(point);
            }
            b'.' if !point => point = true,
            _ => return Err(NumberError::NotANumber),
        }
    }
    if !any {
        return Err(NumberError::NotANumber);
    }
    if digits.len() > LONGEST {
        return Err(NumberError::TooLong);
    }
    if let [_, power @ ..] = power {
        let power: i32 = std::str::from_utf8(power)
            .ok()
            .and_then(|p| p.parse().ok())
            .ok_or(NumberError::NotANumber)?;
        number.exponent = number.exponent.saturating_add(power);
    }
    Ok(number)
}

impl Decimal {
    fn scaled(self, decimals: u32) -> Result<Fixed, NumberError> {
        let power = self.exponent.saturating_add_unsigned(decimals);
        let ten = 10_u128.checked_pow(power.unsigned_abs());
        let (units, exact) = match ten {
            _ if self.mantissa == 0 => (0, true),
            Some(ten) if power >= 0 => {
                let units = self.mantissa.checked_mul(ten);
                (units.ok_or(NumberError::TooLarge)?, true)
            }
            None if power >= 0 => return Err(NumberError::TooLarge),
            Some(ten) => {
                let (whole, rest) = (self.mantissa / ten, self.mantissa % ten);
                (whole + u128::from(rest >= ten / 2), rest == 0)
            }
            // Below 10^-38 of the unit.
            None => (0, false),
        };
        let units = u64::try_from(units).map_err(|_| NumberError::TooLarge)?;
        Ok(Fixed { units, exact })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, decimals: u32, expected: Result<(u64, bool), NumberError>) {
        let found = fixed(text.as_bytes(), decimals).map(|n| (n.units, n.exact));
        assert_eq!(found, expected, "{text} with {decimals} decimals");
    }

    #[test]
    fn numbers_are_exact() {
        check("0", 0, Ok((0, true)));
        check("651507.0", 0, Ok((651_507, true)));
        check("651507.0", 9, Ok((651_507_000_000_000, true)));
        check("0.3", 3, Ok((300, true)));
        check(".5", 3, Ok((500, true)));
        check("5.", 3, Ok((5_000, true)));
        check(" 12 ", 0, Ok((12, true)));
        check("+7", 0, Ok((7, true)));
        check("-0.0", 0, Ok((0, true)));
        check("1e3", 0, Ok((1_000, true)));
        check("1.5E-3", 9, Ok((1_500_000, true)));
        check("18446744073709551615", 0, Ok((u64::MAX, true)));
    }

    #[test]
    fn finer_decimals_round_half_up() {
        check("0.30000000000000004", 3, Ok((300, false)));
        check("0.0004", 3, Ok((0, false)));
        check("0.0005", 3, Ok((1, false)));
        check("1e-300", 9, Ok((0, false)));
        check("2.5", 0, Ok((3, false)));
    }

    #[test]
    fn nonsense_has_a_name() {
        check("", 0, Err(NumberError::Empty));
        check("  ", 0, Err(NumberError::Empty));
        for text in [
            "NaN",
            "nan",
            "abc",
            "1.2.3",
            "1,5",
            ".",
            "-",
            "e5",
            "1e",
            "0x10",
            "1e99999999999",
        ] {
            check(text, 3, Err(NumberError::NotANumber));
        }
        for text in ["inf", "-inf", "+Infinity"] {
            check(text, 3, Err(NumberError::Infinite));
        }
        check("-1", 3, Err(NumberError::Negative));
        check("1e300", 9, Err(NumberError::TooLarge));
        check("18446744073709551616", 0, Err(NumberError::TooLarge));
        check(
            "99999999999999999999999999999999",
            9,
            Err(NumberError::TooLarge),
        );
        check(&"9".repeat(33), 0, Err(NumberError::TooLong));
        check(
            &format!("0.{}", "1".repeat(60)),
            9,
            Err(NumberError::TooLong),
        );
    }
}
