//! What instances a GPU can be split into, as NVIDIA's tables list them, and where the next one goes.

use windtunnel_core::MigTable;

/// A kind of instance: name, compute and memory slices, where it may start, and whether a request for
/// a share of a GPU gets one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    pub(crate) compute: u32,
    pub(crate) memory: u32,
    starts: &'static [u8],
    by_share: bool,
}

type Row = (u32, u32, &'static [u8], bool);

/// GPUs with seven compute and eight memory slices: A100, H100, H200, B200.
const EIGHT: &[Row] = &[
    (1, 1, &[0, 1, 2, 3, 4, 5, 6], true),
    (1, 2, &[0, 2, 4, 6], false),
    (2, 2, &[0, 2, 4], true),
    (3, 4, &[0, 4], true),
    (4, 4, &[0], false),
    (7, 8, &[0], true),
];

/// The A30: four of each.
const FOUR: &[Row] = &[
    (1, 1, &[0, 1, 2, 3], true),
    (2, 2, &[0, 2], true),
    (4, 4, &[0], true),
];

/// Compute and memory slices of a GPU.
pub(crate) fn slices(table: MigTable) -> (u32, u32) {
    match table {
        MigTable::A30x24 => (4, 4),
        _ => (7, 8),
    }
}

/// All memory slices of a GPU.
pub(crate) fn all(table: MigTable) -> u8 {
    u8::try_from((1_u32 << slices(table).1) - 1).unwrap()
}

fn profiles(table: MigTable) -> impl Iterator<Item = Profile> + Clone {
    let rows = match table {
        MigTable::A30x24 => FOUR,
        _ => EIGHT,
    };
    let profile = |&(compute, memory, starts, by_share): &Row| Profile {
        compute,
        memory,
        starts,
        by_share,
    };
    rows.iter().map(profile)
}

/// Thousandths of a GPU that an instance counts for.
pub(crate) fn milli(table: MigTable, profile: &Profile) -> u32 {
    profile.memory * 1_000 / slices(table).1
}

/// The smallest instance with at least so many thousandths of the memory.
pub(crate) fn serving(table: MigTable, share: u32) -> Profile {
    let able = profiles(table).filter(|p| p.by_share && milli(table, p) >= share);
    able.min_by_key(|profile| profile.memory).unwrap()
}

/// The instance that lies on so many memory slices.
pub(crate) fn lying_on(table: MigTable, memory: u32) -> Profile {
    let mut able = profiles(table).filter(|p| p.by_share && p.memory == memory);
    able.next().unwrap()
}

/// Where instances of a profile could lie on a GPU of which some slices are taken.
fn places(profile: Profile, taken: u8) -> impl Iterator<Item = u8> {
    let mask = move |start: &u8| u8::try_from(((1_u32 << profile.memory) - 1) << start).unwrap();
    let masks = profile.starts.iter().map(mask);
    masks.filter(move |mask| mask & taken == 0)
}

/// How many instances of whatever profile could be made next.
fn choices(table: MigTable, taken: u8) -> usize {
    profiles(table).map(|p| places(p, taken).count()).sum()
}

/// Where an instance goes on a GPU, and how many choices that spoils: as few as possible, then as high
/// as possible.
pub(crate) fn best(table: MigTable, profile: Profile, taken: u8) -> Option<(usize, u8)> {
    let before = choices(table, taken);
    let spoiled = |mask: u8| before - choices(table, taken | mask);
    let all = places(profile, taken).map(|mask| (spoiled(mask), mask));
    all.min_by_key(|&(spoiled, mask)| (spoiled, u8::MAX - mask))
}
