//! Multi-Instance GPU: which instances a GPU can be split into, and where each may lie.
//!
//! A GPU has memory slices in a row, and an instance takes some next to each other from one of a few
//! legal starts. So what is left matters less than where: one small instance on the first slice keeps
//! every large one out.
//!
//! Sources: profile names from NVIDIA's MIG user guide, *Supported MIG Profiles*; slice counts and
//! starts are what `nvidia-smi mig -lgipp` lists (general knowledge, unverified).

use crate::job::GpuRequest;
use crate::units::Bytes;

/// The profiles of a GPU model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigTable {
    /// A100 with 40 GB, SXM or PCIe.
    A100x40,
    /// A100 with 80 GB, SXM or PCIe.
    A100x80,
    /// H100 with 80 GB.
    H100x80,
    /// H200 with 141 GB.
    H200x141,
    /// B200 with 180 GB.
    B200x180,
    /// A30 with 24 GB: four slices instead of eight.
    A30x24,
}

/// A kind of instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigProfile {
    /// Compute slices: `3` of `3g.40gb`.
    pub compute: u8,
    /// Memory slices.
    pub memory: u8,
    /// Memory slices at which it may start.
    pub starts: &'static [u8],
    /// Whether a share of a GPU is served by it: one profile per size is.
    pub by_share: bool,
}

/// Seven compute and eight memory slices. Smallest first.
const EIGHT: [MigProfile; 6] = [
    profile(1, 1, &[0, 1, 2, 3, 4, 5, 6], true),
    profile(1, 2, &[0, 2, 4, 6], false),
    profile(2, 2, &[0, 2, 4], true),
    profile(3, 4, &[0, 4], true),
    profile(4, 4, &[0], false),
    profile(7, 8, &[0], true),
];

/// Four of each. Smallest first.
const FOUR: [MigProfile; 3] = [
    profile(1, 1, &[0, 1, 2, 3], true),
    profile(2, 2, &[0, 2], true),
    profile(4, 4, &[0], true),
];

/// For each set of taken slices, how many instances could still be made, over all profiles and starts.
const EIGHT_LEFT: [u8; 256] = placements(&EIGHT);
const FOUR_LEFT: [u8; 256] = placements(&FOUR);

const fn profile(compute: u8, memory: u8, starts: &'static [u8], by_share: bool) -> MigProfile {
    MigProfile {
        compute,
        memory,
        starts,
        by_share,
    }
}

const fn placements(profiles: &[MigProfile]) -> [u8; 256] {
    let mut left = [0; 256];
    let mut taken = 0;
    while taken < 256 {
        let mut which = 0;
        while which < profiles.len() {
            let mut at = 0;
            while at < profiles[which].starts.len() {
                #[expect(clippy::cast_possible_truncation, reason = "below 256")]
                let is_free = profiles[which].mask(profiles[which].starts[at]) & taken as u8 == 0;
                left[taken] += is_free as u8;
                at += 1;
            }
            which += 1;
        }
        taken += 1;
    }
    left
}

impl MigProfile {
    /// The slices it takes from a start, as a bit mask.
    #[must_use]
    pub const fn mask(&self, start: u8) -> u8 {
        (0xFF >> (8 - self.memory)) << start
    }

    /// How many lie on a GPU of which `taken` is taken, at most: starts of one profile never overlap.
    #[must_use]
    pub fn fits(&self, taken: u8) -> u32 {
        self.free_starts(taken)
            .count()
            .try_into()
            .unwrap_or(u32::MAX)
    }

    /// Starts at which it could lie now.
    fn free_starts(&self, taken: u8) -> impl Iterator<Item = u8> + '_ {
        let starts = self.starts.iter().copied();
        starts.filter(move |&start| self.mask(start) & taken == 0)
    }
}

impl MigTable {
    /// All tables, with the GPU models each is for, as node models call them.
    pub const ALL: [(Self, &'static [&'static str]); 6] = [
        (Self::A100x40, &["a100-sxm4-40", "a100-pcie-40"]),
        (Self::A100x80, &["a100-sxm4-80", "a100-pcie-80", "a100"]),
        (Self::H100x80, &["h100-sxm5-80", "h100-pcie-80", "h100"]),
        (Self::H200x141, &["h200-sxm-141", "h200"]),
        (Self::B200x180, &["b200-sxm", "b200"]),
        (Self::A30x24, &["a30"]),
    ];

    /// The table of a GPU model; `None` for one without MIG, or not known.
    ///
    /// ```
    /// use windtunnel_core::MigTable;
    /// assert_eq!(MigTable::of("h100-sxm5-80"), Some(MigTable::H100x80));
    /// assert_eq!(MigTable::of("V100"), None);
    /// ```
    #[must_use]
    pub fn of(gpu_model: &str) -> Option<Self> {
        let model = gpu_model.to_ascii_lowercase();
        let names = |entry: &&(Self, &[&str])| entry.1.contains(&model.as_str());
        Self::ALL.iter().find(names).map(|(table, _)| *table)
    }

    /// Its profiles, smallest first.
    #[must_use]
    pub const fn profiles(self) -> &'static [MigProfile] {
        match self {
            Self::A30x24 => &FOUR,
            _ => &EIGHT,
        }
    }

    /// Memory slices of a GPU.
    #[must_use]
    pub const fn slices(self) -> u8 {
        match self {
            Self::A30x24 => 4,
            _ => 8,
        }
    }

    /// Compute slices of a GPU.
    #[must_use]
    pub const fn compute_slices(self) -> u8 {
        match self {
            Self::A30x24 => 4,
            _ => 7,
        }
    }

    /// Thousandths of a GPU in the ledger's count that a memory slice is: 125, or 250 on an A30.
    #[must_use]
    pub const fn slice_milli(self) -> u16 {
        1_000 / self.slices() as u16
    }

    /// All slices of a GPU, as a bit mask.
    #[must_use]
    pub const fn all(self) -> u8 {
        0xFF >> (8 - self.slices())
    }

    /// The profile that serves a share of a GPU, in thousandths: the smallest of at least so much of
    /// the memory.
    ///
    /// ```
    /// use windtunnel_core::MigTable;
    /// let compute = |milli| MigTable::A100x40.serves(milli).compute;
    /// assert_eq!([125, 126, 251, 500, 501].map(compute), [1, 2, 3, 3, 7]);
    /// ```
    #[must_use]
    pub const fn serves(self, milli: u16) -> &'static MigProfile {
        let profiles = self.profiles();
        let mut which = 0;
        while which + 1 < profiles.len() {
            let profile = &profiles[which];
            if profile.by_share && profile.memory as u16 * self.slice_milli() >= milli {
                return profile;
            }
            which += 1;
        }
        &profiles[which]
    }

    /// The profile that serves a request: the one it names, the one that serves its share, or all of
    /// the GPU. An instance that the GPU does not have, which is any on an A30, is served as a share.
    #[must_use]
    pub const fn profile(self, gpus: GpuRequest) -> &'static MigProfile {
        let profiles = self.profiles();
        match (gpus, self) {
            (GpuRequest::Instance(instance), Self::A30x24) => self.serves(instance.milli()),
            (GpuRequest::Instance(instance), _) => &profiles[instance as usize],
            (GpuRequest::Milli(milli), _) => self.serves(milli),
            (GpuRequest::None | GpuRequest::Whole(_), _) => &profiles[profiles.len() - 1],
        }
    }

    /// Thousandths of a GPU granted to a request, on each.
    pub(crate) const fn granted(self, gpus: GpuRequest) -> u16 {
        self.profile(gpus).memory as u16 * self.slice_milli()
    }

    /// Memory of an instance of so many memory slices, on a GPU with `gpu_memory`.
    #[must_use]
    pub fn memory(self, slices: u8, gpu_memory: Bytes) -> Bytes {
        Bytes(gpu_memory.0 / u64::from(self.slices()) * u64::from(slices))
    }

    /// Where an instance of a profile goes on a GPU of which `taken` is taken: to the start that
    /// leaves the most placements over all profiles, then to the highest. Returns its slices, and how
    /// many placements it spoils.
    ///
    /// ```
    /// use windtunnel_core::MigTable;
    /// let table = MigTable::A100x40;
    /// assert_eq!(table.best(table.serves(125), 0), Some((1 << 6, 4)), "1g keeps off the large ones");
    /// assert_eq!(table.best(table.serves(1_000), 1 << 6), None);
    /// ```
    #[must_use]
    pub fn best(self, profile: &MigProfile, taken: u8) -> Option<(u8, u8)> {
        let left = match self {
            Self::A30x24 => &FOUR_LEFT,
            _ => &EIGHT_LEFT,
        };
        let spoils = |mask: u8| left[usize::from(taken)] - left[usize::from(taken | mask)];
        let masks = profile.free_starts(taken).map(|start| profile.mask(start));
        masks
            .map(|mask| (mask, spoils(mask)))
            .min_by_key(|&(mask, spoiled)| (spoiled, std::cmp::Reverse(mask)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lies = Vec<(MigProfile, u8)>;

    /// Every legal configuration: sets of instances at legal starts that do not overlap, by deciding for
    /// each profile and start whether it is there.
    fn configurations(table: MigTable) -> Vec<Lies> {
        let places: Lies = table
            .profiles()
            .iter()
            .flat_map(|profile| profile.starts.iter().map(|&start| (*profile, start)))
            .collect();
        let mut all: Vec<Lies> = vec![Vec::new()];
        for place in places {
            let with: Vec<Lies> = all
                .iter()
                .filter(|lies| lies.iter().all(|other| !overlap(*other, place)))
                .map(|lies| lies.iter().copied().chain([place]).collect())
                .collect();
            all.extend(with);
        }
        all
    }

    /// Whether two instances have a slice in common, slice by slice.
    fn overlap((a, at): (MigProfile, u8), (b, other): (MigProfile, u8)) -> bool {
        let slices = |profile: MigProfile, start: u8| start..start + profile.memory;
        slices(a, at).any(|slice| slices(b, other).contains(&slice))
    }

    fn taken(lies: &Lies) -> u8 {
        let masks = lies.iter().map(|(profile, start)| profile.mask(*start));
        masks.fold(0, |taken, mask| taken | mask)
    }

    #[test]
    fn no_configuration_needs_more_than_there_is() {
        for (table, _) in MigTable::ALL {
            let all = configurations(table);
            let compute =
                |lies: &Lies| -> u8 { lies.iter().map(|(profile, _)| profile.compute).sum() };
            let most = all.iter().map(compute).max();
            assert_eq!(most, Some(table.compute_slices()), "{table:?}");
            // As many at once as `nvidia-smi mig -lgip` says.
            let profiles = table.profiles().iter();
            let most = |profile: &MigProfile| {
                let count = |lies: &Lies| lies.iter().filter(|(other, _)| other == profile).count();
                all.iter().map(count).max().unwrap()
            };
            let most: Vec<usize> = profiles.map(most).collect();
            match table {
                MigTable::A30x24 => assert_eq!(most, [4, 2, 1]),
                _ => assert_eq!(most, [7, 4, 3, 2, 1, 1]),
            }
        }
    }

    /// In every legal configuration of a GPU: which profiles still have a place, how often, what a
    /// request gets, and what no further instance can have, against all configurations that contain it.
    #[test]
    fn what_is_free_is_what_all_configurations_say() {
        for (table, _) in MigTable::ALL {
            let all = configurations(table);
            for lies in &all {
                let (here, used) = (taken(lies), lies.iter().map(|(p, _)| p.compute).sum::<u8>());
                let larger = all
                    .iter()
                    .filter(|other| lies.iter().all(|place| other.contains(place)));
                let more: Vec<Lies> = larger
                    .map(|other| {
                        let added = other.iter().filter(|place| !lies.contains(place));
                        added.copied().collect()
                    })
                    .collect();
                for profile in table.profiles() {
                    let count = |more: &Lies| more.iter().filter(|(p, _)| p == profile).count();
                    let most = more.iter().map(count).max().unwrap();
                    assert_eq!(profile.fits(here) as usize, most, "{here:#b} {profile:?}");
                    let best = table.best(profile, here).map(|(mask, _)| mask);
                    let one = more.iter().filter(|more| more.len() == 1);
                    let mut one = one.filter(|more| more[0].0 == *profile).map(taken);
                    assert_eq!(best.is_some(), most > 0);
                    assert!(best.is_none_or(|best| one.any(|mask| mask == best)));
                }
                let sum = |of: fn(&MigProfile) -> u8| {
                    let sums = more
                        .iter()
                        .map(|more| more.iter().map(|(p, _)| of(p)).sum());
                    sums.max().unwrap_or(0_u8)
                };
                let (compute, memory) = (sum(|p| p.compute), sum(|p| p.memory));
                assert_eq!(table.reach(here), (compute, memory), "{here:#b}");
                let free = u8::try_from((!here & table.all()).count_ones()).unwrap();
                let blocked = (table.compute_slices() - used - compute, free - memory);
                assert_eq!(table.blocked(here, used), blocked, "{here:#b}");
            }
        }
    }

    /// The count of placements against a count by hand of free intervals, for every set of slices.
    #[test]
    fn what_is_left_is_what_brute_force_finds() {
        for (table, _) in MigTable::ALL {
            for taken in 0..=table.all() {
                for profile in table.profiles() {
                    let free = |start: &&u8| {
                        (**start..**start + profile.memory).all(|slice| taken >> slice & 1 == 0)
                    };
                    let starts: Vec<u8> = profile.starts.iter().filter(free).copied().collect();
                    assert_eq!(profile.fits(taken) as usize, starts.len(), "{taken:#b}");
                    let best = table.best(profile, taken);
                    assert_eq!(best.is_some(), !starts.is_empty());
                    let Some((mask, spoiled)) = best else {
                        continue;
                    };
                    // No other start leaves more.
                    let left =
                        |taken: u8| -> u32 { table.profiles().iter().map(|p| p.fits(taken)).sum() };
                    let most = starts
                        .iter()
                        .map(|&start| left(taken | profile.mask(start)))
                        .max();
                    assert_eq!(Some(left(taken | mask)), most, "{taken:#b} {profile:?}");
                    assert_eq!(u32::from(spoiled), left(taken) - left(taken | mask));
                }
            }
        }
    }

    /// A small instance on the first slice: six sevenths are free, and neither half nor whole fits
    /// there; two sevenths only elsewhere.
    #[test]
    fn one_small_instance_on_the_first_slice_blocks_the_large_ones() {
        let fits: Vec<u32> = EIGHT.iter().map(|profile| profile.fits(1)).collect();
        //             1g  1g+ 2g 3g 4g 7g
        assert_eq!(fits, [6, 3, 2, 1, 0, 0]);
        let seven = 0b0111_1111;
        assert!(
            EIGHT.iter().all(|profile| profile.fits(seven) == 0),
            "7 x 1g leave a slice"
        );
    }
}
