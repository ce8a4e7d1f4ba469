//! How often drawn jobs save their progress.

use serde::{Serialize, Serializer};
use windtunnel_core::{Checkpoint, JobSpec, SimDuration};

use super::faults::Faults;
use super::fields::Fields;
use super::source::SourceError;

/// How often jobs with more than one GPU save their progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Saves {
    /// Not at all.
    #[default]
    Never,
    /// After so much running time.
    Every(SimDuration),
    /// At the interval of Young and Daly, √(2 · cost · MTBF), with the mean time between failures of the
    /// job's own nodes and GPUs; not at all where nothing fails.
    YoungDaly,
}

/// The word for [`Saves::YoungDaly`].
const YOUNG_DALY: &str = "young-daly";

impl Serialize for Saves {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => out.serialize_str("never"),
            Self::Every(interval) => out.collect_str(interval),
            Self::YoungDaly => out.serialize_str(YOUNG_DALY),
        }
    }
}

impl Saves {
    /// What a generator is told; intervals of Young and Daly are filled in by [`plan`](Self::plan).
    pub(super) fn checkpoint(self, cost: SimDuration) -> Option<Checkpoint> {
        let interval = match self {
            Self::Never => return None,
            Self::Every(interval) => interval,
            Self::YoungDaly => SimDuration::from_hours(1),
        };
        Some(Checkpoint { interval, cost })
    }

    /// Gives each job that saves the interval that suits its size. O(jobs).
    pub(crate) fn plan(self, faults: &Faults, jobs: &mut [JobSpec]) {
        if self != Self::YoungDaly {
            return;
        }
        for job in jobs {
            if let Some(checkpoint) = job.profile.checkpoint {
                let gpus = job.request.gpu_milli().div_ceil(1_000);
                let mtbf = faults.mean_between_stops(job.request.task_count(), gpus);
                job.profile.checkpoint =
                    mtbf.map(|mtbf| Checkpoint::young_daly(checkpoint.cost, mtbf));
            }
        }
    }

    /// Reads it.
    pub(super) fn read(
        fields: &Fields<'_>,
        cost: SimDuration,
        otherwise: Self,
    ) -> Result<Self, Box<SourceError>> {
        const KEY: &str = "checkpoint_interval";
        let word = fields.value(KEY).map(toml::Spanned::get_ref);
        let saves = match word {
            Some(toml::de::DeValue::String(text)) if text == YOUNG_DALY => Self::YoungDaly,
            _ => match fields.duration_or(KEY, "never") {
                Ok(Some(Some(interval))) => Self::Every(interval),
                Ok(Some(None)) => Self::Never,
                Ok(None) => otherwise,
                Err(mut error) => {
                    error.label = format!("{}, or \"{YOUNG_DALY}\"", error.label);
                    return Err(error);
                }
            },
        };
        if saves == Self::YoungDaly && cost.is_zero() {
            let hint = "it follows from what a save costs: give checkpoint_cost, longer than 0s";
            return Err(fields.wrong(KEY, hint));
        }
        Ok(saves)
    }
}
