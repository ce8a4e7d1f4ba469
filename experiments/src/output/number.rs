//! Numbers in files: decimals made of integers, so that no digit depends on a float.

use std::fmt::Write as _;

use windtunnel_core::SimDuration;

/// One GPU-hour in the ledger's unit [milli-GPU·ppm·ns].
pub(crate) const GPU_HOUR: u128 = 3_600 * GPU_SECOND;
/// One GPU-second in the ledger's unit.
pub(crate) const GPU_SECOND: u128 = 1_000 * 1_000_000 * 1_000_000_000;

/// round-half-up(part × scale ÷ whole); `None` if `whole` is zero.
pub(crate) fn scaled(part: u128, scale: u128, whole: u128) -> Option<u128> {
    if whole == 0 {
        return None;
    }
    // Past 128 bits the last bits of both terms are dropped: by then they are below the 10⁻²⁰th part.
    let (mut part, mut whole) = (part, whole);
    while part
        .checked_mul(scale)
        .is_none_or(|product| product.checked_add(whole / 2).is_none())
    {
        part >>= 1;
        whole = (whole >> 1).max(1);
    }
    Some((part * scale + whole / 2) / whole)
}

/// An amount of the ledger in millionths of a GPU-hour, rounded half up.
pub(crate) const fn micro_gpu_hours(amount: u128) -> u128 {
    let micro = GPU_HOUR / 1_000_000;
    (amount + micro / 2) / micro
}

/// Appends millionths with six decimals.
pub(crate) fn push_micro(out: &mut String, millionths: u128) {
    let (whole, rest) = (millionths / 1_000_000, millionths % 1_000_000);
    let _ = write!(out, "{whole}.{rest:06}");
}

/// Millionths with six decimals; nothing for nothing.
pub(crate) fn micro(millionths: impl Into<Option<u128>>) -> String {
    let mut out = String::new();
    if let Some(millionths) = millionths.into() {
        push_micro(&mut out, millionths);
    }
    out
}

/// Appends a duration in seconds, exact, without zeros at the end: `3600`, `12.5`.
pub(crate) fn push_seconds(out: &mut String, nanos: u64) {
    let (whole, mut rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let _ = write!(out, "{whole}");
    if rest > 0 {
        let mut digits = 9;
        while rest % 10 == 0 {
            rest /= 10;
            digits -= 1;
        }
        let _ = write!(out, ".{rest:0digits$}");
    }
}

/// A duration in seconds, exact; nothing for nothing.
pub(crate) fn seconds(length: Option<SimDuration>) -> String {
    let mut out = String::new();
    if let Some(length) = length {
        push_seconds(&mut out, length.as_nanos());
    }
    out
}

/// Appends a cell of a CSV table, quoted if it has to be.
pub(crate) fn push_text(out: &mut String, text: &str) {
    if text.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(micro(1_234_567), "1.234567");
        assert_eq!(micro(5), "0.000005");
        assert_eq!(micro(None), "");
        let seconds = |nanos| seconds(Some(SimDuration::from_nanos(nanos)));
        assert_eq!(seconds(0), "0");
        assert_eq!(seconds(12_500_000_000), "12.5");
        assert_eq!(seconds(1), "0.000000001");
        assert_eq!(seconds(3_600_000_000_000), "3600");
    }

    #[test]
    fn ratios_round_half_up_and_survive_large_terms() {
        assert_eq!(scaled(1, 1_000_000, 3), Some(333_333));
        assert_eq!(scaled(1, 1, 2), Some(1));
        assert_eq!(scaled(1, 1, 0), None);
        assert_eq!(
            scaled(u128::MAX / 2, 1_000_000, u128::MAX / 2),
            Some(1_000_000)
        );
        assert_eq!(micro_gpu_hours(GPU_HOUR / 2), 500_000);
    }

    #[test]
    fn cells_are_quoted_if_they_must() {
        let cell = |text| {
            let mut out = String::new();
            push_text(&mut out, text);
            out
        };
        assert_eq!(cell("fifo{never=reject}"), "fifo{never=reject}");
        assert_eq!(cell("k{a=1,b=2}"), "\"k{a=1,b=2}\"");
        assert_eq!(cell("a \"b\""), "\"a \"\"b\"\"\"");
    }
}
