//! openb: pods and nodes of an Alibaba GPU cluster, 2023, with fractions of GPUs.
//!
//! Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient
//! Descent", USENIX ATC'23. The CSVs are those of `hkust-adsl/kubernetes-scheduler-simulator`,
//! `data/csv` (Apache-2.0), the same as `alibaba/clusterdata`, `cluster-trace-gpu-v2023/csv`.
//!
//! | column of a pod | becomes | unit |
//! | --- | --- | --- |
//! | `name` | name | text |
//! | `cpu_milli`, `memory_mib` | CPU and memory | thousandths of a core, MiB |
//! | `num_gpu`, `gpu_milli` | whole GPUs, or a part of one | GPUs, thousandths of each |
//! | `gpu_spec` | acceptable GPU models, `A\|B`; empty: any | text |
//! | `qos` | attribute `qos` | text |
//! | `pod_phase` | `Failed`: fails by itself; `Pending`: cancelled by its user; else completes | text |
//! | `creation_time` | submission | seconds from an arbitrary zero |
//! | `deletion_time` − `scheduled_time` | work | seconds |
//! | `scheduled_time` | recorded start | seconds |
//!
//! The first five are required. The `multigpu` variants have no others: their pods have no times, so
//! they are all submitted at 0 and never end. [`Fill`] ignores times anyway.
//!
//! # Rules
//! - A pod is a job of one task.
//! - A pod that was never scheduled (`Pending`) has no run time; its life, `deletion_time` −
//!   `creation_time`, stands in for it, which is a remark.
//! - A run time of zero, and a deletion at the end of the trace (12,902,960 s), are remarks.
//! - Creation times are not sorted in every variant: rows out of order are moved, which counts as
//!   repaired.
//! - A pod without GPUs may use any node, whatever its `gpu_spec`.
//! - A part of each of several GPUs is no request of ours: whole GPUs are asked for, and the row counts
//!   as repaired. No public row needs it.
//!
//! By its own clock the trace hardly loads its cluster: 51,471 GPU-hours on 6,212 GPUs in 149 days.
//! [`Fill`] makes of it what the paper studies, and [`NodeList`] reads the nodes.
//!
//! ```
//! use windtunnel_core::{GpuRequest, Names, SimDuration, Work};
//! use windtunnel_traces::OpenbReader;
//! let text = "\
//! name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
//! pod-1,6000,12288,1,460,V100M16|V100M32|V100M32,LS,Running,100,700,130
//! ";
//! let mut names = Names::default();
//! let trace = OpenbReader::new(text.as_bytes(), "pods.csv")?.read_all(&mut names)?;
//! let (job, request) = (&trace.jobs[0], trace.jobs[0].request.groups[0].request);
//! assert_eq!(request.gpus, GpuRequest::Milli(460));
//! assert_eq!(request.models, 0b11, "two models, the second of them named twice");
//! assert_eq!(job.profile.work, Work::Uniform(SimDuration::from_secs(570)));
//! # Ok::<(), windtunnel_traces::TraceError>(())
//! ```

mod fill;
mod nodes;

pub use fill::Fill;
pub use nodes::{ListedNode, NodeList};

use windtunnel_core::{
    Bytes, Ending, GpuRequest, JobSpec, MilliCores, Names, SimDuration, SimTime, TaskRequest, Work,
};

use crate::error::TraceError;
use crate::issue::{Notes, Problem};
use crate::number::{COUNT, Finer, Quantity};
use crate::rows::{Format, JobReader};
use crate::table::{Cell, Columns, Header, Row, Unknown};

/// Reads a list of openb pods.
pub type OpenbReader<R> = JobReader<R, Openb>;

const NAMES: [&str; 11] = [
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "gpu_spec",
    "qos",
    "pod_phase",
    "creation_time",
    "deletion_time",
    "scheduled_time",
];
/// Columns that every variant has.
const REQUIRED: usize = 5;
const NAME: usize = 0;
const CPU: usize = 1;
const MEMORY: usize = 2;
const GPUS: usize = 3;
const MILLI: usize = 4;
const SPEC: usize = 5;
const QOS: usize = 6;
const PHASE: usize = 7;
const CREATED: usize = 8;
const DELETED: usize = 9;
const SCHEDULED: usize = 10;

const PHASES: [&str; 4] = ["Running", "Succeeded", "Failed", "Pending"];

/// The last deletion of the trace: pods that were alive then.
const TRACE_END: SimTime = SimTime::from_secs(12_902_960);

/// CPU, in thousandths of a core.
const CPU_MILLI: Quantity = Quantity {
    noun: "a number of thousandths of a core",
    decimals: 0,
    max: u32::MAX as u64,
    too_large: "`cpu_milli` ends at 4,294,967,295",
    finer: Finer::Refuse,
};
/// Memory, in MiB.
const MEMORY_MIB: Quantity = Quantity {
    noun: "a number of MiB",
    decimals: 0,
    max: 1 << 40,
    too_large: "`memory_mib` ends at 2^40; is this in bytes?",
    finer: Finer::Refuse,
};
/// GPUs of one pod or node.
const GPU_COUNT: Quantity = Quantity {
    max: u16::MAX as u64,
    too_large: "GPUs end at 65,535",
    ..COUNT
};
/// A part of a GPU, in thousandths.
const GPU_MILLI: Quantity = Quantity {
    noun: "a number of thousandths of a GPU",
    max: 1_000,
    too_large: "`gpu_milli` is per GPU and ends at 1000",
    ..COUNT
};

/// A list of openb pods as a [`Format`].
#[derive(Clone, Debug)]
pub struct Openb {
    columns: Columns,
    /// Whether it has times.
    timed: bool,
}

impl Format for Openb {
    const VERSION: Option<&'static str> = None;
    const SUBMIT: &'static str = NAMES[CREATED];

    fn begin(header: &Header<'_>) -> Result<Self, TraceError> {
        let columns = Columns::find(header, &NAMES, REQUIRED, Unknown::Refuse)?;
        let timed = columns.has(CREATED);
        if timed != columns.has(DELETED) || (columns.has(SCHEDULED) && !timed) {
            let missing = if timed { DELETED } else { CREATED };
            return Err(header.missing(NAMES[missing], "times come together, or not at all"));
        }
        Ok(Self { columns, timed })
    }

    fn job(
        &mut self,
        row: &Row<'_>,
        names: &mut Names,
        notes: &mut Notes,
    ) -> Result<JobSpec, Box<Problem>> {
        let cell = |column: usize| self.columns.cell(column, row);
        let gpus = gpus(cell(GPUS), cell(MILLI), notes)?;
        let memory = cell(MEMORY).number(&MEMORY_MIB, notes)?;
        let cpu = cell(CPU).number(&CPU_MILLI, notes)?;
        let request = TaskRequest {
            gpus,
            models: models(cell(SPEC), gpus, names, notes)?,
            cpu: MilliCores(u32::try_from(cpu).unwrap_or(u32::MAX)),
            memory: Bytes(memory << 20),
        };
        let mut job = JobSpec::new(SimTime::ZERO, request, SimDuration::ZERO);
        let name = cell(NAME).text()?;
        job.name = (!name.is_empty()).then(|| name.into());
        let qos = cell(QOS).text()?;
        if !qos.is_empty() {
            job.request.attrs = names.attrs(&[("qos", qos)]);
        }
        if self.timed {
            let times = [cell(CREATED), cell(DELETED), cell(SCHEDULED)];
            live(&mut job, times, notes)?;
            job.profile.ending = ending(cell(PHASE))?;
        } else {
            job.profile.work = Work::Endless;
            notes.kept(Problem {
                field: None,
                value: String::new(),
                reason: "the table has no times: the pod is submitted at 0 and never ends".into(),
                hint: "fill the cluster with it, or give the run a horizon".into(),
            });
        }
        Ok(job)
    }
}

/// What a pod asks of GPUs.
fn gpus(count: Cell<'_>, milli: Cell<'_>, notes: &mut Notes) -> Result<GpuRequest, Box<Problem>> {
    let gpus = u16::try_from(count.number(&GPU_COUNT, notes)?).unwrap_or(u16::MAX);
    let each = u16::try_from(milli.number(&GPU_MILLI, notes)?).unwrap_or(u16::MAX);
    Ok(match (gpus, each) {
        (0, 0) => GpuRequest::None,
        (0, _) => {
            notes.repaired(*milli.problem("of no GPU is ignored", "`num_gpu` is 0"));
            GpuRequest::None
        }
        (_, 0) => {
            let hint = "write 1000 for a whole GPU, or `num_gpu` 0 for none";
            return Err(milli.problem("is no part of a GPU", hint));
        }
        (count, 1_000) => GpuRequest::Whole(count),
        (1, part) => GpuRequest::Milli(part),
        (count, _) => {
            let hint = "only a single GPU can be asked for in part";
            let reason = format!("of each of {count} GPUs is no request; whole ones are asked for");
            notes.repaired(*milli.problem(reason, hint));
            GpuRequest::Whole(count)
        }
    })
}

/// The mask of the models in `A|B`.
fn models(
    spec: Cell<'_>,
    gpus: GpuRequest,
    names: &mut Names,
    notes: &mut Notes,
) -> Result<u64, Box<Problem>> {
    let text = spec.text()?;
    let models = text.split('|').map(str::trim).filter(|m| !m.is_empty());
    if gpus == GpuRequest::None {
        if models.count() > 0 {
            notes.kept(*spec.problem("does not bind a pod without GPUs", ""));
        }
        return Ok(0);
    }
    let mut mask = 0;
    for model in models {
        let Some(id) = names.gpu_model(model) else {
            return Err(spec.problem("names more than the 64th GPU model", ""));
        };
        mask |= 1 << id.0;
    }
    Ok(mask)
}

/// Submission, work and recorded start, from creation, deletion and scheduling.
fn live(
    job: &mut JobSpec,
    [created, deleted, scheduled]: [Cell<'_>; 3],
    notes: &mut Notes,
) -> Result<(), Box<Problem>> {
    let time = |cell: Cell<'_>, notes: &mut Notes| -> Result<SimTime, Box<Problem>> {
        Ok(SimTime::ZERO + cell.seconds(notes)?)
    };
    let submit = time(created, notes)?;
    let end = time(deleted, notes)?;
    let never = scheduled.bytes.trim_ascii().is_empty();
    let start = if never {
        submit
    } else {
        time(scheduled, notes)?
    };
    if start < submit {
        return Err(scheduled.problem("is before the pod's creation", ""));
    }
    if end < start {
        return Err(deleted.problem("is before the pod's start", ""));
    }
    if never {
        let hint = "its life from creation to deletion stands in for its run time";
        notes.kept(*scheduled.problem("is missing: the pod was never scheduled", hint));
    } else {
        *job = std::mem::replace(
            job,
            JobSpec::new(submit, TaskRequest::default(), SimDuration::ZERO),
        )
        .recorded(start, &[]);
    }
    if end == start {
        notes.kept(*deleted.problem("is when the pod started: it runs for no time", ""));
    } else if end == TRACE_END {
        let hint = "the pod lived at least that long";
        notes.kept(*deleted.problem("is the end of the trace", hint));
    }
    job.submit = submit;
    job.profile.work = Work::Uniform(end.since(start));
    Ok(())
}

/// How a pod ended, from a snapshot of its phase.
fn ending(phase: Cell<'_>) -> Result<Ending, Box<Problem>> {
    if phase.is_empty() {
        return Ok(Ending::Completes);
    }
    Ok(match PHASES[phase.choice(&PHASES)?] {
        "Failed" => Ending::Fails,
        "Pending" => Ending::Cancelled,
        _ => Ending::Completes,
    })
}
