//! Randomness: one seed, keyed streams, no hidden entropy.
//!
//! A draw is keyed by what it is for, never taken in the order of events: the stream of
//! `(purpose, pool, ordinal)` is `ChaCha8` seeded by [`stream_seed`]. So the same node fails at the
//! same time on every platform that is compared, and differences paired by seed mean something.
//! This is the only file that names a generator.

use std::convert::Infallible;

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng, TryRng};

use crate::hash::{WordHash, finalize};

/// The root of all randomness of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed(pub u64);

/// What a random stream is for. A new purpose never shifts the draws of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// When jobs arrive.
    Arrivals,
    /// What jobs ask for and how long they run.
    Jobs,
    /// What fails when, and how long repairs take.
    Faults,
    /// How long a rented node takes to start.
    Provisioning,
    /// Whether the driver of a starting node comes up.
    Drivers,
    /// What a policy draws, such as the seeded breaking of ties.
    Policy,
    /// Anything of an embedder's own.
    Custom(u32),
}

impl Purpose {
    const fn word(self) -> u64 {
        match self {
            Self::Arrivals => 1,
            Self::Jobs => 2,
            Self::Faults => 3,
            Self::Provisioning => 4,
            Self::Policy => 5,
            Self::Drivers => 6,
            Self::Custom(n) => (1 << 32) | n as u64,
        }
    }
}

/// A stream's generator. Portable: the same bits on every platform. A clone goes on from the same
/// point, so that forked runs draw alike.
#[derive(Debug)]
pub struct StreamRng(ChaCha8Rng);

impl Clone for StreamRng {
    fn clone(&self) -> Self {
        let mut copy = ChaCha8Rng::from_seed(self.0.get_seed());
        copy.set_stream(self.0.get_stream());
        copy.set_word_pos(self.0.get_word_pos());
        Self(copy)
    }
}

impl StreamRng {
    /// The next 64 bits, for those who draw no distribution and need no generator's traits.
    pub fn next_word(&mut self) -> u64 {
        self.0.next_u64()
    }
}

impl TryRng for StreamRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

/// The 256-bit seed of a stream: [`WordHash`] over (seed, purpose, domain, ordinal), stretched by
/// adding the golden ratio and applying the finaliser of `SplitMix64` for each 64-bit word.
///
/// `domain` is a pool's id where the stream belongs to a pool, else 0; `ordinal` a node's place in
/// its pool or a job's id.
///
/// ```
/// use windtunnel_core::rng::{Purpose, Seed, stream_seed};
/// let node = |ordinal| stream_seed(Seed(7), Purpose::Faults, 0, ordinal);
/// assert_eq!(node(3), node(3));
/// assert_ne!(node(3), node(4));
/// ```
#[must_use]
pub fn stream_seed(seed: Seed, purpose: Purpose, domain: u64, ordinal: u64) -> [u8; 32] {
    let mut hash = WordHash::default();
    for word in [seed.0, purpose.word(), domain, ordinal] {
        hash.word(word);
    }
    let mut state = hash.digest().0;
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        chunk.copy_from_slice(&finalize(state).to_le_bytes());
    }
    bytes
}

/// The generator of a stream; see [`stream_seed`].
#[must_use]
pub fn stream(seed: Seed, purpose: Purpose, domain: u64, ordinal: u64) -> StreamRng {
    StreamRng(ChaCha8Rng::from_seed(stream_seed(
        seed, purpose, domain, ordinal,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_stability() {
        let mut rng = stream(Seed(1), Purpose::Faults, 2, 3);
        let draws: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(
            draws,
            [
                15377391699561270983,
                9134991324949578471,
                6226054106188182822
            ]
        );
    }

    #[test]
    fn a_clone_goes_on_from_the_same_point() {
        let mut rng = stream(Seed(1), Purpose::Faults, 0, 0);
        let _ = (rng.next_u32(), rng.next_u64());
        let mut copy = rng.clone();
        assert_eq!(rng.next_u64(), copy.next_u64());
    }

    #[test]
    fn streams_do_not_depend_on_each_other() {
        let first = stream(Seed(1), Purpose::Faults, 0, 0).next_u64();
        let other = stream(Seed(1), Purpose::Faults, 0, 1).next_u64();
        assert_ne!(first, other);
        assert_eq!(first, stream(Seed(1), Purpose::Faults, 0, 0).next_u64());
    }
}
