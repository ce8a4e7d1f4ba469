//! Helios Venus: GPU jobs of a cluster of SenseTime, 2020.
//!
//! Hu et al., "Characterization and Prediction of Deep Learning Workloads in Large-Scale GPU
//! Datacenters", SC'21 (arXiv 2109.01313); data CC-BY-4.0, `S-Lab-System-Group/HeliosData`. What is
//! read here is the table that `mystous/gpu_scheduler` made of `data/Venus/cluster_log.csv`: CPU-only
//! jobs left out, run times clamped at 172,800 s, users, virtual clusters and states dropped.
//!
//! | column | becomes | unit |
//! | --- | --- | --- |
//! | `job_id` | name | text |
//! | `arrival_s` | submission | seconds after the first job, 2020-03-18 04:01:39 |
//! | `service_sec` | work | seconds, clamped at 172,800 |
//! | `gpu_count` | tasks and GPUs per task | GPUs |
//!
//! Other columns are ignored. Numbers are printed as floats ("651507.0").
//!
//! # Rules
//! - A job of `g` GPUs becomes ⌈g/8⌉ equal tasks (nodes had 8 GPUs) that advance together. If `g`
//!   does not divide, each task asks for ⌈g/tasks⌉ and the row is [`Repaired`](crate::Action);
//!   of the 77,574 public rows none needs it.
//! - CPU and memory are 0: the table does not have them.
//! - A run time at the clamp is [`Kept`](crate::Action) with a remark: the job ran longer.
//! - A row without GPUs is dropped.
//!
//! ```
//! use windtunnel_core::Names;
//! use windtunnel_traces::HeliosReader;
//! let text = "job_id,arrival_s,service_sec,gpu_count\n394948#2,651507.0,600.0,12\n";
//! let trace = HeliosReader::new(text.as_bytes(), "venus.csv")?.read_all(&mut Names::default())?;
//! let group = trace.jobs[0].request.groups[0];
//! assert_eq!((group.count, group.request.gpus.devices()), (2, 6));
//! # Ok::<(), windtunnel_traces::TraceError>(())
//! ```

use windtunnel_core::{JobSpec, Names, SimDuration, SimTime, TaskRequest};

use crate::error::TraceError;
use crate::gang::{GPU_COUNT, Split, gang};
use crate::issue::{Notes, Problem};
use crate::rows::{Format, JobReader};
use crate::table::{Columns, Header, Row, Unknown};

/// Reads the Helios Venus table.
pub type HeliosReader<R> = JobReader<R, Helios>;

const NAMES: [&str; 4] = ["job_id", "arrival_s", "service_sec", "gpu_count"];
const JOB_ID: usize = 0;
const ARRIVAL: usize = 1;
const SERVICE: usize = 2;
const GPUS: usize = 3;

/// Run time at which the conversion clamped.
const CLAMP: SimDuration = SimDuration::from_hours(48);

/// The Helios Venus table as a [`Format`].
#[derive(Clone, Debug)]
pub struct Helios {
    columns: Columns,
}

impl Format for Helios {
    const VERSION: Option<&'static str> = None;
    const SUBMIT: &'static str = NAMES[ARRIVAL];

    fn begin(header: &Header<'_>) -> Result<Self, TraceError> {
        let columns = Columns::find(header, &NAMES, NAMES.len(), Unknown::Ignore)?;
        Ok(Self { columns })
    }

    fn job(
        &mut self,
        row: &Row<'_>,
        _names: &mut Names,
        notes: &mut Notes,
    ) -> Result<JobSpec, Box<Problem>> {
        let cell = |column: usize| self.columns.cell(column, row);
        let name = cell(JOB_ID).text()?;
        let submit = SimTime::ZERO + cell(ARRIVAL).seconds(notes)?;
        let work = cell(SERVICE).seconds(notes)?;
        let gpus = cell(GPUS).number(&GPU_COUNT, notes)?;
        let Split {
            tasks, per_task, ..
        } = gang(cell(GPUS), gpus, notes)?;
        if work == CLAMP {
            notes.kept(*cell(SERVICE).problem(
                "is where the source clamped run times",
                "the job ran at least that long",
            ));
        }
        let mut job = JobSpec::new(submit, TaskRequest::gpus(per_task), work).tasks(tasks);
        job.name = (!name.is_empty()).then(|| name.into());
        Ok(job)
    }
}
