//! Windtunnel's own table of jobs: CSV with a version line, columns by name.
//!
//! ```text
//! # windtunnel-jobs v1
//! job_id,submit_s,duration_s,gpus,tasks,tenant
//! train-1,0,7200,8,4,vision
//! notebook,12.5,600,0.3,1,speech
//! ```
//!
//! | column | type | default | meaning |
//! | --- | --- | --- | --- |
//! | `job_id` | text | required | name for output; may be empty |
//! | `submit_s` | seconds | required | submission, from the start of the run |
//! | `duration_s` | seconds, empty or `inf` | required | run time at the reference rate, per job or, under `each`, per task; empty and `inf`: it never ends |
//! | `gpus` | whole, a part below 1, or a MIG profile | required | GPUs per task: `8`, `0.3`, `4g.40gb` |
//! | `tasks` | count | 1 | tasks; of an elastic job the nominal number |
//! | `gpu_model` | `A\|B` | any | acceptable GPU models |
//! | `cpus` | cores | 0 | CPU per task, to the thousandth |
//! | `memory_gib` | GiB | 0 | memory per task |
//! | `advance` | `all`, `each`, `2..8` | `all` | which tasks must run for progress |
//! | `kind` | text | first kind | controller that owns it: `batch`, `array`, `service` |
//! | `limit_s` | seconds | none | walltime limit |
//! | `estimate_s` | seconds | none | the user's estimate of the run time |
//! | `priority` | integer | 0 | higher first |
//! | `tenant` | text | `default` | who pays |
//! | `queue` | text | `default` | queue it is submitted to |
//! | `startup_s` | seconds | 0 | from being bound to running |
//! | `restart_s` | seconds | `startup_s` | what a resize or a migration costs |
//! | `duty` | 0 to 1 | 1 | share of the running time in which its GPUs are busy |
//! | `checkpoint_interval_s` | seconds | none | running time between saves |
//! | `checkpoint_cost_s` | seconds | 0 | what one save costs |
//! | `ending` | `completed`, `failed`, `cancelled` | `completed` | how it ends in truth once the duration is over |
//! | `attrs` | `k=v;k=v` | none | attributes |
//! | `level` | `node`, `domain`, `rack`, `pod` | none | what all tasks of a gang must share |
//! | `behaviour` | name | none | how it uses its GPUs, one of those given to the reader |
//!
//! Times, memory and duty round to the nearest nanosecond, byte and millionth.
//!
//! ```
//! use windtunnel_core::{Names, SimTime};
//! use windtunnel_traces::NativeReader;
//! let text = "# windtunnel-jobs v1\n\
//!             job_id,submit_s,duration_s,gpus,tasks\n\
//!             train-1,0,7200,8,4\n\
//!             notebook,12.5,600,0.3,1\n";
//! let trace = NativeReader::new(text.as_bytes(), "jobs.csv")?.read_all(&mut Names::default())?;
//! assert_eq!(trace.jobs[0].request.gpu_milli(), 32_000);
//! assert_eq!(trace.jobs[1].submit, SimTime::from_millis(12_500));
//! assert!(trace.issues.is_empty());
//! # Ok::<(), windtunnel_traces::TraceError>(())
//! ```

mod instance;
mod kinds;
mod known;
mod parse;
mod write;

use windtunnel_core::{
    Checkpoint, Ending, JobSpec, MilliCores, Names, Ppm, SimDuration, SimTime, TaskRequest, Work,
};

use crate::error::TraceError;
use crate::issue::{Notes, Problem};
use crate::number::{CORES, SHARE};
use crate::rows::{Format, JobReader};
use crate::table::{Columns, Header, Row, Unknown};

pub use kinds::Kinds;
pub use known::KnownBehaviours;
pub use write::write_native;

/// Version line of the schema.
pub const NATIVE_VERSION: &str = "# windtunnel-jobs v1";

/// Reads the native table.
pub type NativeReader<R> = JobReader<R, Native>;

/// Columns, by their place in [`NAMES`].
#[derive(Clone, Copy, Debug)]
enum Column {
    JobId,
    Submit,
    Duration,
    Gpus,
    Tasks,
    GpuModel,
    Cpus,
    Memory,
    Advance,
    Kind,
    Limit,
    Estimate,
    Priority,
    Tenant,
    Queue,
    Startup,
    Restart,
    Duty,
    CheckpointInterval,
    CheckpointCost,
    Ending,
    Attrs,
    Level,
    Behaviour,
}

const NAMES: [&str; 24] = [
    "job_id",
    "submit_s",
    "duration_s",
    "gpus",
    "tasks",
    "gpu_model",
    "cpus",
    "memory_gib",
    "advance",
    "kind",
    "limit_s",
    "estimate_s",
    "priority",
    "tenant",
    "queue",
    "startup_s",
    "restart_s",
    "duty",
    "checkpoint_interval_s",
    "checkpoint_cost_s",
    "ending",
    "attrs",
    "level",
    "behaviour",
];

const REQUIRED: usize = 4;

const _: () = assert!(NAMES.len() == Column::Behaviour as usize + 1);

const ENDINGS: [(&str, Ending); 3] = [
    ("completed", Ending::Completes),
    ("failed", Ending::Fails),
    ("cancelled", Ending::Cancelled),
];

/// The native table as a [`Format`].
#[derive(Clone, Debug)]
pub struct Native {
    columns: Columns,
    kinds: Kinds,
    behaviours: KnownBehaviours,
    /// The last queue that an id is left for was named; one more would be too many.
    queues_full: bool,
}

impl<R: std::io::Read> NativeReader<R> {
    /// The same reader with other names for `kind`.
    #[must_use]
    pub fn with_kinds(mut self, kinds: Kinds) -> Self {
        self.format.kinds = kinds;
        self
    }

    /// The same reader with behaviours that jobs may name.
    #[must_use]
    pub fn with_behaviours(mut self, behaviours: KnownBehaviours) -> Self {
        self.format.behaviours = behaviours;
        self
    }
}

impl Format for Native {
    const VERSION: Option<&'static str> = Some(NATIVE_VERSION);
    const SUBMIT: &'static str = NAMES[Column::Submit as usize];

    fn begin(header: &Header<'_>) -> Result<Self, TraceError> {
        Ok(Self {
            columns: Columns::find(header, &NAMES, REQUIRED, Unknown::Refuse)?,
            kinds: Kinds::default(),
            behaviours: KnownBehaviours::default(),
            queues_full: false,
        })
    }

    fn job(
        &mut self,
        row: &Row<'_>,
        names: &mut Names,
        notes: &mut Notes,
    ) -> Result<JobSpec, Box<Problem>> {
        let columns = &self.columns;
        let cell = |column: Column| columns.cell(column as usize, row);
        let optional = |column: Column, notes: &mut Notes| {
            let cell = cell(column);
            (!cell.is_empty()).then(|| cell.seconds(notes)).transpose()
        };

        let submit = SimTime::ZERO + cell(Column::Submit).seconds(notes)?;
        let request = TaskRequest {
            gpus: parse::gpus(cell(Column::Gpus), cell(Column::GpuModel), notes)?,
            models: parse::models(cell(Column::GpuModel), names)?,
            cpu: parse::or_default(cell(Column::Cpus), |c| {
                let milli = c.number(&CORES, notes)?;
                Ok(MilliCores(u32::try_from(milli).unwrap_or(u32::MAX)))
            })?,
            memory: parse::or_default(cell(Column::Memory), |c| parse::memory(c, notes))?,
        };
        let mut job = JobSpec::new(submit, request, SimDuration::ZERO);

        let name = cell(Column::JobId).text()?;
        job.name = (!name.is_empty()).then(|| name.into());
        let asked = &mut job.request;
        let tasks = cell(Column::Tasks);
        if !tasks.is_empty() {
            let count = tasks.count(notes)?;
            if count == 0 {
                return Err(tasks.problem("is no number of tasks", "a job has at least one task"));
            }
            asked.groups[0].count = count;
        }
        asked.advance = parse::advance(cell(Column::Advance))?;
        asked.groups[0].level = parse::level(cell(Column::Level), asked.advance)?;
        asked.kind = self.kinds.of(cell(Column::Kind))?;
        asked.limit = optional(Column::Limit, notes)?;
        asked.estimate = optional(Column::Estimate, notes)?;
        asked.priority = parse::or_default(cell(Column::Priority), parse::integer)?;
        asked.tenant = parse::or_default(cell(Column::Tenant), |c| Ok(names.tenant(c.text()?)))?;
        asked.queue = parse::or_default(cell(Column::Queue), |c| {
            parse::queue(c, names, &mut self.queues_full)
        })?;
        asked.attrs = parse::or_default(cell(Column::Attrs), |c| parse::attrs(c, names))?;

        let truth = &mut job.profile;
        let duration = cell(Column::Duration);
        truth.work = if parse::is_endless(duration.bytes) {
            if duration.is_empty() && self.kinds.name(job.request.kind) != Some("service") {
                notes.kept(*duration.problem(
                    "the job has no duration and never ends",
                    "write `inf` if that is meant, or leave the job out",
                ));
            }
            Work::Endless
        } else {
            Work::Uniform(duration.seconds(notes)?)
        };
        truth.startup = optional(Column::Startup, notes)?.unwrap_or_default();
        truth.restart = optional(Column::Restart, notes)?.unwrap_or(truth.startup);
        let duty = cell(Column::Duty);
        if !duty.is_empty() {
            let ppm = duty.number(&SHARE, notes)?;
            truth.duty = Ppm(u32::try_from(ppm).unwrap_or(u32::MAX));
        }
        let interval = optional(Column::CheckpointInterval, notes)?;
        let cost = optional(Column::CheckpointCost, notes)?;
        truth.checkpoint = match (interval, cost) {
            (None, None) => None,
            (Some(interval), cost) => Some(Checkpoint {
                interval,
                cost: cost.unwrap_or_default(),
            }),
            (None, Some(_)) => {
                return Err(cell(Column::CheckpointCost).problem(
                    "is the cost of checkpoints that never happen",
                    "fill in checkpoint_interval_s as well",
                ));
            }
        };
        truth.ending = parse::or_default(cell(Column::Ending), parse::ending)?;
        truth.behaviour = self.behaviours.of(cell(Column::Behaviour))?;
        Ok(job)
    }
}
