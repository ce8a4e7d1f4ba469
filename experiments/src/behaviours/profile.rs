//! One profile as a file has it, in units for people, and as the engine takes it.

use std::collections::BTreeMap;

use serde::Deserialize;
use windtunnel_core::{
    Algorithm, Behaviour, Bytes, Clock, Curve, Cycle, DutyPhase, Efficiency, Exchange,
    FittedExchange, Ppm, Sensitivity, SimDuration, StepTime, Traffic,
};

/// How a kind of job uses its GPUs, as a file says it. Formulas: docs/MODELS.md.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Where the figures are from.
    pub source: String,
    /// How far they were checked: `source`, `secondary`, `general` or `derived`.
    pub verification: String,
    /// How busy a GPU is that it has for itself, 0 to 1.
    #[serde(default = "one")]
    pub compute_use: f64,
    /// How busy that GPU's memory bandwidth is, 0 to 1.
    #[serde(default)]
    pub bandwidth_use: f64,
    /// Memory of each GPU at its peak \[GiB\].
    #[serde(default)]
    pub gpu_memory_gib: f64,
    /// Share of the speed lost with all cores on the wrong socket, 0 to below 1.
    #[serde(default)]
    pub host_loss: f64,
    /// Speed by GPU model over that on the reference model.
    #[serde(default)]
    pub gpu_speeds: BTreeMap<String, f64>,
    /// Its steps; their exchange is `all_reduce` or `fitted`, or there is none.
    pub step: Option<Step>,
    /// Gradients over links.
    pub all_reduce: Option<AllReduce>,
    /// Constants of the exchange that were fitted.
    pub fitted: Option<Fitted>,
    /// Plain losses, in place of steps.
    pub loss: Option<Losses>,
    /// Phases of its duty.
    pub cycle: Option<Phases>,
    /// [tasks, speed], … of an elastic job.
    pub curve: Option<Vec<(u32, f64)>>,
    /// What a larger batch is worth.
    pub efficiency: Option<Worth>,
}

/// Steps of training.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Computing of a pass on the reference GPU, but for its samples [ms].
    pub pass_ms: f64,
    /// Computing of each sample [ms].
    #[serde(default)]
    pub pass_ms_per_sample: f64,
    /// Samples of a pass on each GPU.
    #[serde(default)]
    pub batch: u32,
    /// Passes accumulated before the one that synchronises.
    #[serde(default)]
    pub accumulate: u32,
    /// γ: 1 hides nothing, 10 all of the shorter of computing and exchange.
    #[serde(default = "overlap")]
    pub overlap: f64,
}

/// An all-reduce.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllReduce {
    /// Gradients [MB = 10⁶ bytes].
    pub mb: f64,
    /// `best` (default), `ring`, `tree` or `hierarchical`.
    #[serde(default)]
    pub algorithm: Option<String>,
}

/// Pollux's constants.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// αr [ms].
    pub inside_ms: f64,
    /// βr [ms].
    pub inside_each_ms: f64,
    /// αn [ms].
    pub outside_ms: f64,
    /// βn [ms].
    pub outside_each_ms: f64,
    /// c: what ranks cost that share a card [ms].
    #[serde(default)]
    pub shared_card_ms: f64,
    /// Bus bandwidth within a node when measured [MB/s]; 0: unknown.
    #[serde(default)]
    pub measured_inside_mb_s: u32,
    /// Bandwidth out of a node when measured [MB/s]; 0: unknown.
    #[serde(default)]
    pub measured_outside_mb_s: u32,
}

/// Losses by how far apart its GPUs are, 0 to below 1.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// Not all linked by NVLink.
    #[serde(default)]
    pub islands: f64,
    /// Across sockets, too.
    #[serde(default)]
    pub sockets: f64,
    /// On several nodes.
    #[serde(default)]
    pub nodes: f64,
    /// Beyond a rack.
    #[serde(default)]
    pub racks: f64,
}

/// A repeating cycle.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// `progress` (default) or `time`.
    #[serde(default)]
    pub clock: Option<String>,
    /// [length, duty from 0 to 1], ….
    pub phases: Vec<(String, f64)>,
}

/// Pollux's statistical efficiency.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worth {
    /// Samples per step and GPU.
    pub batch_each: u32,
    /// M₀.
    pub batch: u32,
    /// [progress, φ], …, the first at `0s`.
    pub noise: Vec<(String, u32)>,
}

fn one() -> f64 {
    1.0
}

fn overlap() -> f64 {
    2.5
}

impl Profile {
    /// The same with another batch per GPU and pass.
    #[must_use]
    pub fn at_batch(&self, batch: u32) -> Self {
        let mut copy = self.clone();
        if let Some(step) = &mut copy.step {
            step.batch = batch;
        }
        copy
    }

    /// As the engine takes it.
    ///
    /// # Errors
    /// A value out of its range, two kinds of traffic, or a rule of [`Behaviour::check`]; in words.
    pub fn behaviour(&self) -> Result<Behaviour, String> {
        let mut behaviour = Behaviour::new(&self.name);
        behaviour.compute_use = part("compute_use", self.compute_use)?;
        behaviour.bandwidth_use = part("bandwidth_use", self.bandwidth_use)?;
        behaviour.host_loss = part("host_loss", self.host_loss)?;
        let gib = within("gpu_memory_gib", self.gpu_memory_gib, 0.0, 4_096.0)?;
        behaviour.gpu_memory = Bytes(whole(gib * f64::from(1 << 30)));
        for (model, speed) in &self.gpu_speeds {
            let speed = within("gpu_speeds", *speed, 1e-3, 1_000.0)?;
            behaviour
                .gpu_speeds
                .push((model.clone(), millionths(speed)));
        }
        behaviour.traffic = self.traffic()?;
        behaviour.cycle = self.cycle.as_ref().map(Phases::cycle).transpose()?;
        if let Some(points) = &self.curve {
            let point = |&(tasks, speed): &(u32, f64)| {
                Ok((tasks, millionths(within("curve", speed, 0.0, 4_000.0)?)))
            };
            let points = points.iter().map(point).collect::<Result<_, String>>()?;
            behaviour.curve = Some(Curve { points });
        }
        behaviour.efficiency = self
            .efficiency
            .as_ref()
            .map(Worth::efficiency)
            .transpose()?;
        behaviour.check().map_err(|error| error.to_string())?;
        Ok(behaviour)
    }

    fn traffic(&self) -> Result<Traffic, String> {
        let exchange = match (&self.all_reduce, &self.fitted) {
            (Some(_), Some(_)) => return Err("give `all_reduce` or `fitted`, not both".to_owned()),
            (Some(reduce), None) => Some(reduce.exchange()?),
            (None, Some(fitted)) => Some(fitted.exchange()?),
            (None, None) => None,
        };
        match (&self.step, &self.loss, exchange) {
            (Some(_), Some(_), _) => Err("give `step` or `loss`, not both".to_owned()),
            (None, _, Some(_)) => Err("an exchange needs a `step`".to_owned()),
            (None, None, None) => Ok(Traffic::None),
            (None, Some(loss), None) => Ok(Traffic::Loss(loss.sensitivity()?)),
            (Some(step), None, exchange) => {
                let samples = f64::from(step.batch) * step.pass_ms_per_sample;
                let nothing = Exchange::Fitted(FittedExchange::default());
                Ok(Traffic::Step(StepTime {
                    compute: millis("pass_ms", step.pass_ms + samples)?,
                    accumulate: step.accumulate,
                    overlap: millionths(within("overlap", step.overlap, 1.0, 10.0)?) / 1_000,
                    exchange: exchange.unwrap_or(nothing),
                }))
            }
        }
    }
}

impl AllReduce {
    fn exchange(&self) -> Result<Exchange, String> {
        let algorithm = match self.algorithm.as_deref() {
            None | Some("best") => Algorithm::Best,
            Some("ring") => Algorithm::Ring,
            Some("tree") => Algorithm::Tree,
            Some("hierarchical") => Algorithm::Hierarchical,
            Some(other) => {
                let known = "best, ring, tree, hierarchical";
                return Err(format!("`algorithm` is one of: {known}; not `{other}`"));
            }
        };
        let bytes = Bytes(whole(within("mb", self.mb, 0.0, 1e9)? * 1e6));
        Ok(Exchange::AllReduce { bytes, algorithm })
    }
}

impl Fitted {
    fn exchange(&self) -> Result<Exchange, String> {
        Ok(Exchange::Fitted(FittedExchange {
            inside: millis("inside_ms", self.inside_ms)?,
            inside_each: millis("inside_each_ms", self.inside_each_ms)?,
            outside: millis("outside_ms", self.outside_ms)?,
            outside_each: millis("outside_each_ms", self.outside_each_ms)?,
            shared_card: millis("shared_card_ms", self.shared_card_ms)?,
            measured_inside: self.measured_inside_mb_s,
            measured_outside: self.measured_outside_mb_s,
        }))
    }
}

impl Losses {
    fn sensitivity(&self) -> Result<Sensitivity, String> {
        Ok(Sensitivity {
            islands: part("islands", self.islands)?,
            sockets: part("sockets", self.sockets)?,
            nodes: part("nodes", self.nodes)?,
            racks: part("racks", self.racks)?,
        })
    }
}

impl Phases {
    fn cycle(&self) -> Result<Cycle, String> {
        let clock = match self.clock.as_deref() {
            None | Some("progress") => Clock::Progress,
            Some("time") => Clock::Time,
            Some(other) => return Err(format!("`clock` is `progress` or `time`, not `{other}`")),
        };
        let phase = |(length, duty): &(String, f64)| {
            Ok(DutyPhase {
                length: duration(length)?,
                duty: part("phases", *duty)?,
            })
        };
        let phases = self
            .phases
            .iter()
            .map(phase)
            .collect::<Result<_, String>>()?;
        Ok(Cycle { clock, phases })
    }
}

impl Worth {
    fn efficiency(&self) -> Result<Efficiency, String> {
        let mark = |(from, noise): &(String, u32)| Ok((duration(from)?, *noise));
        Ok(Efficiency {
            batch_each: self.batch_each,
            batch: self.batch,
            noise: self.noise.iter().map(mark).collect::<Result<_, String>>()?,
        })
    }
}

fn duration(text: &str) -> Result<SimDuration, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

fn within(key: &str, value: f64, low: f64, high: f64) -> Result<f64, String> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(format!("`{key}` is from {low} to {high}"))
}

fn part(key: &str, value: f64) -> Result<Ppm, String> {
    Ppm::from_fraction(value).ok_or_else(|| format!("`{key}` is from 0 to 1"))
}

/// Milliseconds, to the nearest nanosecond.
fn millis(key: &str, value: f64) -> Result<SimDuration, String> {
    let nanos = within(key, value, 0.0, 1e9)? * 1e6;
    Ok(SimDuration::from_nanos(whole(nanos)))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranges are checked before"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranges are checked before: at most 4,000"
)]
fn millionths(value: f64) -> u32 {
    (value * 1e6).round() as u32
}
