//! Where a scenario's jobs come from, as plain data.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use windtunnel_core::{Bytes, Level, MigInstance, SimDuration};
use windtunnel_traces::Zero;
use windtunnel_traces::openb::Fill;
use windtunnel_traces::swf::{Limit, Processors, Size, SwfOptions, TenantOf};
use windtunnel_traces::synthetic::{self, Pattern, Poisson, Preset, Synthetic};

use super::{Saves, text};

/// The jobs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Workload {
    /// Drawn like a campus cluster's jobs; what is not given is as in `Synthetic::campus`.
    Campus(Drawn),
    /// Drawn plainly: what is not given has the plainest value.
    Synthetic(Drawn),
    /// Drawn such that its statistics follow those published of a real cluster.
    Preset(Published),
    /// A Poisson stream of any length in constant memory.
    Poisson(Stream),
    /// Read from a table in Windtunnel's own format.
    Native(Table),
    /// Read from the Helios Venus table.
    Helios(Table),
    /// Read from a list of openb pods, by their own clock.
    Openb(Table),
    /// openb pods that fill the cluster one by one and never leave.
    OpenbFill(FillPods),
    /// Read from the Microsoft Philly table.
    Philly(Table),
    /// Read from a supercomputer's log in the Standard Workload Format.
    Swf(Log),
}

impl Workload {
    /// The word in `kind`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Campus(_) => "campus",
            Self::Synthetic(_) => "synthetic",
            Self::Preset(_) => "preset",
            Self::Poisson(_) => "poisson",
            Self::Native(_) => "native",
            Self::Helios(_) => "helios",
            Self::Openb(_) => "openb",
            Self::OpenbFill(_) => "openb-fill",
            Self::Philly(_) => "philly",
            Self::Swf(_) => "swf",
        }
    }

    /// The file it is read from, if it is.
    #[must_use]
    pub fn table(&self) -> Option<Table> {
        match self {
            Self::Native(table)
            | Self::Helios(table)
            | Self::Openb(table)
            | Self::Philly(table) => Some(table.clone()),
            Self::Swf(log) => Some(log.table()),
            _ => None,
        }
    }
}

/// A list that is drawn anew for each seed. The fields are those of
/// [`Synthetic`](windtunnel_traces::synthetic::Synthetic), which says what they mean.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// GPUs that the load refers to; 0: those of the pools.
    pub gpus: u32,
    /// GPUs of a node: larger jobs become tasks of one full node; 0: those of the first pool.
    pub gpus_per_node: u16,
    /// Jobs are submitted from the start to before this; `0s`: the horizon, or 30 days under `drain`.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub window: SimDuration,
    /// Number of jobs, or `none`.
    #[serde(serialize_with = "text::number")]
    #[schemars(with = "NumberOrWord")]
    pub jobs: Option<u32>,
    /// Offered load, or `none`.
    #[serde(serialize_with = "text::number")]
    #[schemars(with = "NumberOrWord")]
    pub load: Option<f64>,
    /// `office-hours`, `homogeneous`, or weights of hours and days.
    #[schemars(with = "RateText")]
    pub pattern: Rate,
    /// [GPUs of a job, weight], ….
    pub gpu_mix: Vec<(u32, u32)>,
    /// [thousandths of a GPU that a job asks for, weight], …: drawn among those of `gpu_mix`.
    pub gpu_parts: Vec<(u16, u32)>,
    /// [instance (MIG) that a job asks for, weight], …: drawn among those of `gpu_mix`. By their names
    /// on the pools' GPUs (`4g.40gb`), or without the memory: `1g`, `1g.double`, `2g`, `3g`, `4g`.
    #[serde(serialize_with = "text::instances")]
    #[schemars(with = "Vec<(String, u32)>")]
    pub gpu_instances: Vec<(MigInstance, u32)>,
    /// Median of the log-normal run time.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub run_median: SimDuration,
    /// Standard deviation of the logarithm of the run time.
    pub run_sigma: f64,
    /// Shortest run time.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub run_min: SimDuration,
    /// Longest run time.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub run_max: SimDuration,
    /// Mean duty cycle, 0 to 1.
    pub duty_mean: f64,
    /// Standard deviation of the duty cycle over jobs.
    pub duty_spread: f64,
    /// From being bound to running.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub startup: SimDuration,
    /// Running time between saves of jobs with more than one GPU; `young-daly`: what suits the job's size,
    /// the cost of a save and the faults; or `never`.
    #[schemars(with = "String")]
    pub checkpoint_interval: Saves,
    /// What one save costs.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub checkpoint_cost: SimDuration,
    /// Median of estimate ÷ run time.
    pub estimate_median: f64,
    /// Standard deviation of the logarithm of estimate ÷ run time.
    pub estimate_sigma: f64,
    /// Walltime limit ÷ estimate, or `none`.
    #[serde(serialize_with = "text::number")]
    #[schemars(with = "NumberOrWord")]
    pub limit_factor: Option<f64>,
    /// CPU cores per GPU.
    pub cores_per_gpu: u32,
    /// Memory per GPU in GiB.
    pub memory_gib_per_gpu: u32,
    /// Share of jobs that ask for more cores, 0 to 1.
    pub cpu_heavy: f64,
    /// How many times the cores those ask for.
    pub cpu_heavy_factor: u32,
    /// [tenant, weight], …; empty: all jobs are the default tenant's.
    pub tenants: Vec<(String, u32)>,
    /// Share of jobs that fail by themselves, 0 to 1.
    pub failed: f64,
    /// Share of jobs that their user cancels, 0 to 1.
    pub cancelled: f64,
    /// What all tasks of a job of several tasks must share: `node`, `domain`, `rack`, `pod` or `none`.
    #[serde(serialize_with = "text::level")]
    #[schemars(with = "String", extend("enum" = ["node", "domain", "rack", "pod", "none"]))]
    pub level: Option<Level>,
}

impl Drawn {
    /// What `kind = "campus"` starts from.
    #[must_use]
    pub fn campus() -> Self {
        Self::of(&Synthetic::campus())
    }

    /// What `kind = "synthetic"` starts from: a constant rate, single GPUs, run times of an hour at
    /// full duty, nothing else.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            jobs: None,
            load: None,
            pattern: Rate::Homogeneous,
            gpu_mix: vec![(1, 1)],
            run_median: SimDuration::from_hours(1),
            run_sigma: 0.0,
            duty_mean: 1.0,
            duty_spread: 0.0,
            startup: SimDuration::ZERO,
            checkpoint_interval: Saves::Never,
            checkpoint_cost: SimDuration::ZERO,
            estimate_median: 1.0,
            estimate_sigma: 0.0,
            limit_factor: None,
            cores_per_gpu: 0,
            memory_gib_per_gpu: 0,
            cpu_heavy: 0.0,
            cpu_heavy_factor: 1,
            tenants: Vec::new(),
            failed: 0.0,
            cancelled: 0.0,
            level: None,
            ..Self::campus()
        }
    }

    fn of(drawn: &Synthetic) -> Self {
        Self {
            gpus: 0,
            gpus_per_node: 0,
            window: SimDuration::ZERO,
            jobs: drawn.jobs,
            load: drawn.load,
            pattern: Rate::OfficeHours,
            gpu_mix: drawn.gpu_mix.clone(),
            gpu_parts: drawn.gpu_parts.clone(),
            gpu_instances: drawn.gpu_instances.clone(),
            run_median: drawn.run_median,
            run_sigma: drawn.run_sigma,
            run_min: drawn.run_min,
            run_max: drawn.run_max,
            duty_mean: drawn.duty_mean,
            duty_spread: drawn.duty_spread,
            startup: drawn.startup,
            checkpoint_interval: drawn
                .checkpoint
                .map_or(Saves::Never, |c| Saves::Every(c.interval)),
            checkpoint_cost: drawn.checkpoint.map_or(SimDuration::ZERO, |c| c.cost),
            estimate_median: drawn.estimate_median,
            estimate_sigma: drawn.estimate_sigma,
            limit_factor: drawn.limit_factor,
            cores_per_gpu: drawn.cores_per_gpu,
            memory_gib_per_gpu: u32::try_from(drawn.memory_per_gpu.0 >> 30).unwrap_or(u32::MAX),
            cpu_heavy: drawn.cpu_heavy,
            cpu_heavy_factor: drawn.cpu_heavy_factor,
            tenants: drawn.tenants.clone(),
            failed: drawn.failed,
            cancelled: drawn.cancelled,
            level: drawn.level,
        }
    }

    /// The generator.
    #[must_use]
    pub fn generator(&self) -> Synthetic {
        Synthetic {
            gpus: self.gpus,
            gpus_per_node: self.gpus_per_node,
            window: self.window,
            jobs: self.jobs,
            load: self.load,
            pattern: match &self.pattern {
                Rate::OfficeHours => Pattern::office_hours(),
                Rate::Homogeneous => Pattern::Homogeneous,
                Rate::Weekly(week) => Pattern::Weekly {
                    hours: week.hours,
                    days: week.days,
                },
            },
            gpu_mix: self.gpu_mix.clone(),
            gpu_parts: self.gpu_parts.clone(),
            gpu_instances: self.gpu_instances.clone(),
            run_median: self.run_median,
            run_sigma: self.run_sigma,
            run_min: self.run_min,
            run_max: self.run_max,
            duty_mean: self.duty_mean,
            duty_spread: self.duty_spread,
            startup: self.startup,
            checkpoint: self.checkpoint_interval.checkpoint(self.checkpoint_cost),
            estimate_median: self.estimate_median,
            estimate_sigma: self.estimate_sigma,
            limit_factor: self.limit_factor,
            cores_per_gpu: self.cores_per_gpu,
            memory_per_gpu: Bytes(u64::from(self.memory_gib_per_gpu) << 30),
            cpu_heavy: self.cpu_heavy,
            cpu_heavy_factor: self.cpu_heavy_factor,
            tenants: self.tenants.clone(),
            failed: self.failed,
            cancelled: self.cancelled,
            level: self.level,
        }
    }
}

/// A list that is drawn anew for each seed; the fields are those of
/// [`Published`](synthetic::Published), which says what is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Whose statistics: `philly`, `helios` or `openb`.
    #[serde(serialize_with = "text::preset")]
    #[schemars(with = "String", extend("enum" = ["philly", "helios", "openb"]))]
    pub preset: Preset,
    /// Offered load.
    pub load: f64,
    /// GPUs that the load refers to; 0: those of the pools.
    pub gpus: u32,
    /// Jobs are submitted from the start to before this; `0s`: the horizon, or 30 days under `drain`.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub window: SimDuration,
}

impl Published {
    /// The generator.
    #[must_use]
    pub fn generator(&self) -> synthetic::Published {
        synthetic::Published {
            preset: self.preset,
            gpus: self.gpus,
            load: self.load,
            window: self.window,
        }
    }
}

/// When jobs arrive: a shape of the rate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rate {
    /// Busy afternoons, quiet nights and weekends: `office-hours`.
    OfficeHours,
    /// The same rate all the time: `homogeneous`.
    #[default]
    Homogeneous,
    /// The product of an hour's and a day's weight, from Monday at midnight.
    Weekly(Week),
}

/// Weights of hours and days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Week {
    /// Weight of each hour of the day.
    pub hours: [u16; 24],
    /// Weight of each day of the week, from Monday.
    pub days: [u16; 7],
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::OfficeHours => out.serialize_str("office-hours"),
            Self::Homogeneous => out.serialize_str("homogeneous"),
            Self::Weekly(week) => week.serialize(out),
        }
    }
}

/// For the schema: a word or weights.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum RateText {
    /// `office-hours` or `homogeneous`.
    Word(String),
    Weekly(Week),
}

/// A stream; the fields are those of [`Poisson`].
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Number of jobs.
    pub jobs: u64,
    /// Offered load in the long run.
    pub load: f64,
    /// GPUs that the load refers to; 0: those of the pools.
    pub gpus: u32,
    /// Mean run time.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub run_mean: SimDuration,
}

impl Stream {
    /// The generator.
    #[must_use]
    pub fn generator(&self) -> Poisson {
        Poisson {
            gpus: self.gpus,
            load: self.load,
            jobs: self.jobs,
            run_mean: self.run_mean,
        }
    }
}

/// A file of jobs, the same for every seed; plain, gzip or zstd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The file, relative to the scenario file.
    pub path: PathBuf,
    /// Whether a row that would have to be repaired or dropped is an error.
    pub strict: bool,
    /// Whether the file is read row by row during each run: memory does not grow with it, and it
    /// must be sorted by submission. Otherwise it is read once, before the first run, and sorted.
    pub stream: bool,
    /// Only the first so many jobs, or `none` for all.
    #[serde(serialize_with = "text::number")]
    #[schemars(with = "NumberOrWord")]
    pub first: Option<u64>,
}

/// A list of pods that fill the cluster, drawn anew for each seed; see
/// [`Fill`](windtunnel_traces::openb::Fill).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FillPods {
    /// The file, relative to the scenario file.
    pub path: PathBuf,
    /// Whether a row that would have to be repaired or dropped is an error.
    pub strict: bool,
    /// How much of the GPUs is asked for in the end, in percent.
    pub percent: u32,
    /// Time between two pods.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub interval: SimDuration,
}

impl FillPods {
    /// The generator, for a cluster of so many GPUs.
    #[must_use]
    pub fn generator(&self, gpus: u64) -> Fill {
        Fill {
            percent: self.percent,
            interval: self.interval,
            ..Fill::new(gpus.saturating_mul(1_000))
        }
    }

    /// The file as a table of its own.
    #[must_use]
    pub fn table(&self) -> Table {
        Table {
            path: self.path.clone(),
            strict: self.strict,
            stream: false,
            first: None,
        }
    }
}

/// A supercomputer's log, the same for every seed; plain, gzip or zstd. The first four fields are
/// those of [`Table`], the others those of [`SwfOptions`], which say what they mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The file, relative to the scenario file.
    pub path: PathBuf,
    /// Whether a row that would have to be repaired or dropped is an error.
    pub strict: bool,
    /// Whether the file is read row by row during each run.
    pub stream: bool,
    /// Only the first so many jobs, or `none` for all.
    #[serde(serialize_with = "text::number")]
    #[schemars(with = "NumberOrWord")]
    pub first: Option<u64>,
    /// What a processor becomes: `cores` (a job is one task, the machine one node without GPUs) or
    /// `gpus` (a job is as many tasks of one GPU).
    #[serde(serialize_with = "text::processors")]
    #[schemars(with = "String", extend("enum" = ["cores", "gpus"]))]
    pub processors: Processors,
    /// Which number of processors counts: `used` or `requested`.
    #[serde(serialize_with = "text::size")]
    #[schemars(with = "String", extend("enum" = ["used", "requested"]))]
    pub size: Size,
    /// Whether the time asked for is a walltime limit: `none` or `requested`.
    #[serde(serialize_with = "text::log_limit")]
    #[schemars(with = "String", extend("enum" = ["none", "requested"]))]
    pub limit: Limit,
    /// Who a job's tenant is: `user` or `group`.
    #[serde(serialize_with = "text::tenant_of")]
    #[schemars(with = "String", extend("enum" = ["user", "group"]))]
    pub tenant: TenantOf,
    /// Whether jobs that were withdrawn before they started are jobs.
    pub keep_unstarted: bool,
    /// Where the run's clock begins: with the `first-job`, or at the zero of the `log`.
    #[serde(serialize_with = "text::zero")]
    #[schemars(with = "String", extend("enum" = ["first-job", "log"]))]
    pub zero: Zero,
}

impl Log {
    /// Its file.
    #[must_use]
    pub fn table(&self) -> Table {
        Table {
            path: self.path.clone(),
            strict: self.strict,
            stream: self.stream,
            first: self.first,
        }
    }

    /// How it is understood.
    #[must_use]
    pub fn options(&self) -> SwfOptions {
        SwfOptions {
            processors: self.processors,
            size: self.size,
            limit: self.limit,
            tenant: self.tenant,
            keep_unstarted: self.keep_unstarted,
            zero: self.zero,
        }
    }
}

/// For the schema: a number or `"none"`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum NumberOrWord {
    Number(f64),
    Word(String),
}
