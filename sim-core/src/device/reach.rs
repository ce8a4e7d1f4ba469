//! What instances (MIG) could still be made of a GPU at most, and what is left over whatever is made.

use super::mig::{MigProfile, MigTable};

/// For each set of taken memory slices, the most compute and memory slices that further instances can
/// have at once.
type Reach = [(u8, u8); 256];

const EIGHT: Reach = reach(MigTable::A100x80.profiles());
const FOUR: Reach = reach(MigTable::A30x24.profiles());

const fn reach(profiles: &[MigProfile]) -> Reach {
    let mut most = [(0, 0); 256];
    let mut taken = 256;
    // Whatever is taken in addition is a larger number, and known already.
    while taken > 0 {
        taken -= 1;
        let mut which = 0;
        while which < profiles.len() {
            let profile = &profiles[which];
            let mut at = 0;
            while at < profile.starts.len() {
                let mask = profile.mask(profile.starts[at]) as usize;
                if mask & taken == 0 {
                    let (compute, memory) = most[taken | mask];
                    most[taken] = (
                        larger(most[taken].0, compute + profile.compute),
                        larger(most[taken].1, memory + profile.memory),
                    );
                }
                at += 1;
            }
            which += 1;
        }
    }
    most
}

const fn larger(a: u8, b: u8) -> u8 {
    if a > b { a } else { b }
}

impl MigTable {
    /// The most compute slices, and the most memory slices, that further instances can have at once on a
    /// GPU of whose memory slices `taken` is taken. The two need not be reached by the same instances.
    ///
    /// ```
    /// use windtunnel_core::MigTable;
    /// let table = MigTable::A100x80;
    /// assert_eq!(table.reach(0), (7, 8));
    /// assert_eq!(table.reach(0b1111_0000), (4, 4), "a 4g beside a 3g");
    /// assert_eq!(table.reach(0b0000_1111), (3, 4), "no 4g there");
    /// assert_eq!(table.reach(0b0111_1111), (0, 0), "no instance lies on the last slice alone");
    /// ```
    #[must_use]
    pub const fn reach(self, taken: u8) -> (u8, u8) {
        match self {
            Self::A30x24 => FOUR[taken as usize],
            _ => EIGHT[taken as usize],
        }
    }

    /// Compute slices and memory slices of a GPU that nobody has and no further instance can have, given
    /// the memory slices that are taken and how many compute slices go with them.
    ///
    /// ```
    /// use windtunnel_core::MigTable;
    /// let table = MigTable::A100x80;
    /// assert_eq!(table.blocked(0b1111_1111, 4 + 3), (0, 0), "4g + 3g");
    /// assert_eq!(table.blocked(0b1111_1111, 3 + 3), (1, 0), "3g + 3g");
    /// assert_eq!(table.blocked(0b0111_1111, 7), (0, 1), "7 x 1g");
    /// assert_eq!(table.blocked(0b1111_1111, 4), (3, 0), "4 x 1g.20gb");
    /// ```
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most eight")]
    pub const fn blocked(self, taken: u8, compute: u8) -> (u8, u8) {
        let (more_compute, more_memory) = self.reach(taken);
        let free = self.slices() - (taken & self.all()).count_ones() as u8;
        (
            self.compute_slices().saturating_sub(compute + more_compute),
            free.saturating_sub(more_memory),
        )
    }
}
