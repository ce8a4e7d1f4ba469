//! How GPUs are shared, as a scenario file says it: a word, and what goes with it.

use windtunnel_core::{MigTable, NodeFree, Sharing};

use super::decode::Read;
use super::fields::Fields;
use super::text::Words;
use super::{PlatformSpec, Pool};

/// Slots of a time-sliced GPU, unless a scenario says otherwise.
pub const SLOTS_PER_GPU: u8 = 4;

/// How the GPUs of a pool are shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SharingMode {
    /// `exclusive`: a GPU belongs to one task at a time.
    #[default]
    Exclusive,
    /// `fractions`: fractions share a GPU and do nothing to each other.
    Fractions,
    /// `mps`: the same, but they slow each other.
    Mps,
    /// `time-sliced`: a GPU is some slots, and tasks take turns.
    TimeSliced,
    /// `mig`: a GPU is split into isolated instances.
    Mig,
    /// `unchecked`: nobody counts, and tasks take turns.
    Unchecked,
}

/// The words of scenario files.
pub(crate) const SHARING: Words<SharingMode> = &[
    ("exclusive", SharingMode::Exclusive),
    ("fractions", SharingMode::Fractions),
    ("mps", SharingMode::Mps),
    ("time-sliced", SharingMode::TimeSliced),
    ("mig", SharingMode::Mig),
    ("unchecked", SharingMode::Unchecked),
];

/// The words alone, for the schema.
pub(super) fn words() -> Vec<&'static str> {
    SHARING.iter().map(|(word, _)| *word).collect()
}

impl SharingMode {
    /// What it is on GPUs of a model, with so many slots where it has slots; `None` for `mig` on a
    /// model without MIG.
    #[must_use]
    pub fn on(self, gpu_model: &str, slots: u8) -> Option<Sharing> {
        Some(match self {
            Self::Exclusive => Sharing::Exclusive,
            Self::Fractions => Sharing::Fractions,
            Self::Mps => Sharing::Mps,
            Self::TimeSliced => Sharing::TimeSliced { slots },
            Self::Mig => Sharing::Mig(MigTable::of(gpu_model)?),
            Self::Unchecked => Sharing::Unchecked,
        })
    }
}

impl PlatformSpec {
    /// How it shares the GPUs of a model in pools that do not say otherwise, or in one that does.
    pub(super) fn sharing_on(&self, gpu_model: &str, own: Option<SharingMode>) -> Option<Sharing> {
        let slots = self.slots_per_gpu.unwrap_or(SLOTS_PER_GPU);
        own.unwrap_or(self.sharing).on(gpu_model, slots)
    }
}

/// Whether every pool can be shared as it is to be.
pub(super) fn check(
    pools: (&[Pool], &[Fields<'_>]),
    platforms: (&[PlatformSpec], &[Fields<'_>]),
) -> Read<()> {
    for (platform, fields) in platforms.0.iter().zip(platforms.1) {
        let own = pools.0.iter().map(|pool| pool.sharing);
        let mut modes = own.map(|own| own.unwrap_or(platform.sharing));
        let is_sliced = platform.sharing == SharingMode::TimeSliced
            || modes.any(|mode| mode == SharingMode::TimeSliced);
        if platform.slots_per_gpu.is_some() && !is_sliced {
            let hint = "only time-sliced GPUs have slots: give `sharing = \"time-sliced\"`, too";
            return Err(fields.wrong("slots_per_gpu", hint));
        }
        if platform.sharing == SharingMode::Mig && pools.0.is_empty() {
            let hint = "a [cluster] from a list of nodes can't be shared by MIG; give [[pools]]";
            return Err(fields.wrong("sharing", hint));
        }
        for (pool, fields) in pools.0.iter().zip(pools.1) {
            if pool.sharing.unwrap_or(platform.sharing) == SharingMode::Mig {
                mig(pool, fields)?;
            }
        }
    }
    Ok(())
}

/// Whether a pool can be shared by MIG.
fn mig(pool: &Pool, fields: &Fields<'_>) -> Read<()> {
    if pool.gpus_per_node == 0 {
        return Ok(());
    }
    if MigTable::of(&pool.gpu_model).is_none() {
        let known = MigTable::ALL.iter().flat_map(|(_, models)| models.iter());
        let known = known.copied().collect::<Vec<_>>().join(", ");
        let key = match fields.value("gpu_model") {
            Some(_) => "gpu_model",
            None => "name",
        };
        let hint = format!(
            "the pool is to be shared by MIG, which these models have: {known}; or give the pool \
             a `sharing` of its own"
        );
        return Err(fields.wrong(key, hint));
    }
    if usize::from(pool.gpus_per_node) > NodeFree::MIG_DEVICES {
        let most = NodeFree::MIG_DEVICES;
        let hint = format!("at most {most} GPUs of a node can be shared by MIG");
        return Err(fields.wrong("gpus_per_node", hint));
    }
    Ok(())
}
