//! The one hash of this crate: small, written down, and none of the standard library's.
//!
//! Results depend on it twice (random streams are keyed by it, digests are made of it), so it may
//! change only with a *Results* line in the changelog.
//!
//! A value is a sequence of 64-bit words. The state starts at `0x57494E4454554E4C` ("WINDTUNL");
//! each word `w` is folded in as `state = mix(rotate_left(state, 5) ^ w)` with
//! `mix(x) = (x × 0x9E3779B97F4A7C15) ^ ((x × 0x9E3779B97F4A7C15) >> 32)`; at the end the state goes
//! through the finaliser of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

const START: u64 = 0x5749_4E44_5455_4E4C;
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of `SplitMix64`.
#[must_use]
pub const fn finalize(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A running hash over 64-bit words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordHash(u64);

impl Default for WordHash {
    fn default() -> Self {
        Self(START)
    }
}

impl WordHash {
    /// Folds one word in.
    #[inline]
    pub const fn word(&mut self, word: u64) {
        let x = (self.0.rotate_left(5) ^ word).wrapping_mul(GOLDEN);
        self.0 = x ^ (x >> 32);
    }

    /// Folds a pair of words in as one: the first times an odd constant, plus the second. Half the
    /// latency of two words; pairs collide only if their difference is a multiple of the constant.
    #[inline]
    pub const fn pair(&mut self, first: u64, second: u64) {
        self.word(
            first
                .wrapping_mul(0xD6E8_FEB8_6659_FD93)
                .wrapping_add(second),
        );
    }

    /// Folds a text in: its bytes in little-endian words, then its length.
    pub fn text(&mut self, text: &str) {
        for chunk in text.as_bytes().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(bytes));
        }
        self.word(text.len() as u64);
    }

    /// The hash of everything folded in so far.
    #[must_use]
    pub const fn digest(self) -> Digest {
        Digest(finalize(self.0))
    }
}

/// The fingerprint of a run: equal digests mean that every event and every decision was the same.
///
/// ```
/// use windtunnel_core::hash::{Digest, WordHash};
/// let mut hash = WordHash::default();
/// hash.word(1);
/// assert_eq!(hash.digest().to_string().parse::<Digest>(), Ok(hash.digest()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub u64);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for Digest {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Digest)
    }
}

/// A [`Hasher`] over [`WordHash`], so that look-up tables inside the engine are the same everywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableHasher(WordHash);

impl Hasher for TableHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0.word(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, value: u8) {
        self.0.word(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.0.word(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.0.word(value);
    }
    fn write_usize(&mut self, value: usize) {
        self.0.word(value as u64);
    }
    fn finish(&self) -> u64 {
        self.0.digest().0
    }
}

/// A look-up table keyed by [`TableHasher`]. Look things up in it; never iterate it.
#[expect(
    clippy::disallowed_types,
    reason = "the one place where the std map is named"
)]
pub(crate) type LookupMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<TableHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_stability() {
        let mut hash = WordHash::default();
        let mut seen = Vec::new();
        for word in 0..3 {
            hash.word(word);
            seen.push(hash.digest().to_string());
        }
        assert_eq!(
            seen,
            ["bf43c81fdca6ec60", "9d1340895b6289ae", "938368d004bfaa01"]
        );
    }

    #[test]
    fn text_and_length_matter() {
        let of = |text: &str| {
            let mut hash = WordHash::default();
            hash.text(text);
            hash.digest()
        };
        assert_ne!(of("a"), of("a\0"));
        assert_ne!(of(""), WordHash::default().digest());
    }
}
