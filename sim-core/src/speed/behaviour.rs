//! What a job does with the hardware it is given, as a speed model needs to know it.

use super::cycle::Cycle;
use super::scaling::{Curve, Efficiency};
use super::sensitivity::Sensitivity;
use super::step::StepTime;
use crate::units::{Bytes, PPM, Ppm};

/// How a kind of job uses its GPUs: the same for all jobs of that kind, so jobs share one.
///
/// Whole numbers only. Fields that it does not know are at their plainest ([`new`](Self::new)): such a
/// job is busy all the time, and as fast anywhere.
///
/// ```
/// use windtunnel_core::{Behaviour, Bytes, Exchange, Ppm, SimDuration, StepTime};
/// let mut resnet = Behaviour::new("resnet50");
/// resnet.gpu_memory = Bytes::gib(11);
/// resnet.gpu_speeds = vec![("a100".into(), 2_300_000), ("v100".into(), 1_000_000)];
/// resnet.traffic = windtunnel_core::Traffic::Step(StepTime {
///     compute: SimDuration::from_millis(180),
///     accumulate: 0,
///     overlap: 2_500,
///     exchange: Exchange::all_reduce(Bytes(102_000_000)),
/// });
/// assert_eq!(resnet.check(), Ok(()));
/// assert_eq!(resnet.speed_on("a100"), 2_300_000);
/// assert_eq!(resnet.speed_on("a100-sxm4-80"), 2_300_000); // one of them
/// assert_eq!(resnet.speed_on("t4"), 1_000_000); // not known: as the reference
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Its name, for output.
    pub name: String,
    /// How busy one of its GPUs is if it has it for itself.
    pub compute_use: Ppm,
    /// How busy that GPU's memory bandwidth is.
    pub bandwidth_use: Ppm,
    /// Memory it takes of each GPU at its peak.
    pub gpu_memory: Bytes,
    /// Speed on GPU models over that on its reference model \[ppm\], by name; models that are not
    /// named are as fast as the reference, see [`speed_on`](Self::speed_on).
    pub gpu_speeds: Vec<(String, u32)>,
    /// What it has to say to its other GPUs, and what that costs.
    pub traffic: Traffic,
    /// Share of its speed that it loses if its cores are all on another socket than its GPUs.
    pub host_loss: Ppm,
    /// A repeating cycle of duty, if it has one; else its GPUs' duty is [`compute_use`](Self::compute_use).
    pub cycle: Option<Cycle>,
    /// How an elastic job's speed grows with its tasks; without one it follows from the step time, and
    /// without that from the number of tasks.
    pub curve: Option<Curve>,
    /// What a larger batch is worth, for elastic jobs with a step time and no curve.
    pub efficiency: Option<Efficiency>,
}

/// What a job's GPUs have to say to one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Traffic {
    /// Nothing, or nothing that is known: every placement is as good as another.
    #[default]
    None,
    /// Steps of so much computing and so much exchange.
    Step(StepTime),
    /// Plain losses by how far apart they are.
    Loss(Sensitivity),
}

impl Behaviour {
    /// Busy all the time, without memory to speak of, and as fast anywhere.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            compute_use: Ppm::ONE,
            bandwidth_use: Ppm::ZERO,
            gpu_memory: Bytes(0),
            gpu_speeds: Vec::new(),
            traffic: Traffic::None,
            host_loss: Ppm::ZERO,
            cycle: None,
            curve: None,
            efficiency: None,
        }
    }

    /// Speed on a GPU model over that on the reference model \[ppm\]. A name stands for its variants,
    /// unless a longer one is known: `h100` for `h100-sxm5-80`, and not for `h1000`. Compares names:
    /// speed models remember the answer.
    #[must_use]
    pub fn speed_on(&self, gpu_model: &str) -> u32 {
        let names = |name: &str| {
            let rest = gpu_model.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let known = self.gpu_speeds.iter().filter(|(name, _)| names(name));
        let closest = known.max_by_key(|(name, _)| name.len());
        closest.map_or(PPM, |&(_, speed)| speed)
    }

    /// Checks what speed models rely on.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), BehaviourError> {
        if self.compute_use == Ppm::ZERO {
            return Err(BehaviourError::NoUse);
        }
        let parts = [self.compute_use, self.bandwidth_use, self.host_loss];
        if parts.iter().any(|part| *part > Ppm::ONE) {
            return Err(BehaviourError::Part);
        }
        if self.host_loss == Ppm::ONE {
            return Err(BehaviourError::AllLost);
        }
        if let Some((model, _)) = self.gpu_speeds.iter().find(|(_, speed)| *speed == 0) {
            return Err(BehaviourError::NoSpeed(model.clone()));
        }
        match &self.traffic {
            Traffic::None => {}
            Traffic::Step(step) => step.check()?,
            Traffic::Loss(loss) => loss.check()?,
        }
        if let Some(cycle) = &self.cycle {
            cycle.check()?;
        }
        if let Some(curve) = &self.curve {
            curve.check()?;
        }
        self.efficiency.as_ref().map_or(Ok(()), Efficiency::check)
    }
}

/// What is wrong with a behaviour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BehaviourError {
    /// Its GPUs do nothing.
    #[error("compute use must be above zero")]
    NoUse,
    /// A share above one.
    #[error("a share can't exceed one")]
    Part,
    /// No speed on a GPU model.
    #[error("the speed on `{0}` must be above zero")]
    NoSpeed(String),
    /// A step that takes no time.
    #[error("the computing of a step must take some time")]
    NoStep,
    /// An overlap outside of Pollux's bounds.
    #[error("overlap must be between 1 and 10")]
    Overlap,
    /// A loss of everything.
    #[error("a loss must be below one")]
    AllLost,
    /// A cycle without phases, or with one that takes no time.
    #[error("a cycle needs phases, each of some length")]
    NoPhase,
    /// A curve that is empty, not sorted, or stands still.
    #[error("a curve needs points, by rising number of tasks, each with a speed above zero")]
    Curve,
    /// A batch of nothing.
    #[error("batches and noise scales must be above zero, and the first noise starts at zero")]
    Batch,
}
