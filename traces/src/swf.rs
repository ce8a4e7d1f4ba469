//! Job logs of supercomputers in the Standard Workload Format, SWF.
//!
//! Chapin, Cirne, Feitelson et al., "Benchmarks and Standards for the Evaluation of Parallel Job
//! Schedulers", JSSPP 1999; version 2.2 as the Parallel Workloads Archive keeps it. A line per job,
//! 18 fields between blanks, −1 for what is unknown; lines that begin with `;` are comments, those
//! before the first job a header ([`SwfHeader`]).
//!
//! | field | becomes | notes |
//! | --- | --- | --- |
//! | 1 job | name | |
//! | 2 submit | submission | seconds; the clock starts with the first job ([`SwfOptions::zero`]) |
//! | 3 wait | recorded start = submit + wait | what a replay repeats; unknown: none, with a remark |
//! | 4 run | work | whole, also beyond the time asked for; unknown or negative: the row is dropped |
//! | 5 processors used | processors | [`SwfOptions::size`] chooses between 5 and 8 |
//! | 8 processors asked for | | stand in for 5 if that is unknown or 0; the row counts as repaired |
//! | 9 time asked for | estimate | and the limit if [`SwfOptions::limit`] says so; unknown or 0: none |
//! | 11 status | ending | 1 completes, 0 fails, 5 is cancelled, −1 completes; 2 to 4 are parts of a job that has a row of its own, and are dropped |
//! | 12 user, 13 group | tenant `user4`, or `group6` ([`SwfOptions::tenant`]) | unknown: `default` |
//! | 15 queue, 16 partition | queue `queue3`; without one `partition4` | neither: `default` |
//! | 19 to 21 | queue, attribute `request` | of Alea's logs only: nodes in braces, name of the queue, request in the words of PBS |
//!
//! The other fields are not read: average CPU time (fractional in some logs), memory (kilobytes in
//! some, bytes or placeholders in others), application, preceding job and think time.
//!
//! # Rules
//! - **Processors are rigid.** A job of n processors is one task that asks for n cores, and the
//!   machine is one node that has them all ([`machine`]): allocation is exact, without fragments, and
//!   costs the same for 2 processors and for 93,312. With [`Processors::Gpus`] it is n tasks of one
//!   GPU each and the machine has as many nodes of one GPU, so that GPU policies can be compared on
//!   SWF logs; that costs O(n) per job.
//! - **The processors used count, not those asked for**: they were taken, they make up the log's
//!   processor-hours, and only they add up to the recorded utilization. In the Curie excerpt 260 rows
//!   ask for nodes of 16 cores where others ask for cores. Where both are known and differ, the row
//!   has a remark.
//! - **The time asked for is an estimate, not a limit.** In the machines logged it was both, yet in
//!   every log some jobs ran longer (475 in KTH-SP2). The run time is what happened, so it is
//!   replayed whole; such rows have a remark.
//! - A job that ran for 0 s on processors is kept. A job with neither processors nor run time was
//!   withdrawn while it waited: nothing says for how long its user would have waited elsewhere, so
//!   it is dropped, unless [`SwfOptions::keep_unstarted`] lets the processors asked for stand in.
//!
//! ```
//! use windtunnel_core::{MilliCores, Names, SimDuration, SimTime};
//! use windtunnel_traces::SwfReader;
//! let log = "\
//! ; MaxProcs: 100
//!   7  1000  20  3600  16  -1 -1  16  7200 -1 1 4 168 -1 2 10 -1 -1
//!   8  1060   0    -1   8  -1 -1   8  7200 -1 0 4 168 -1 2 10 -1 -1
//! ";
//! let reader = SwfReader::new(log.as_bytes(), "log.swf")?;
//! assert_eq!(reader.header().processors(), Some(100));
//! let trace = reader.read_all(&mut Names::default())?;
//! let job = &trace.jobs[0];
//! assert_eq!(job.request.groups[0].request.cpu, MilliCores::cores(16));
//! assert_eq!(job.request.estimate, Some(SimDuration::from_hours(2)));
//! assert_eq!((job.submit, trace.origin), (SimTime::ZERO, SimTime::from_secs(1_000)));
//! let recorded = job.profile.recorded.as_ref().unwrap();
//! assert_eq!(recorded.start, SimTime::from_secs(20));
//! assert_eq!(trace.issues[0].what(), "`-1` says that nobody knows how long it ran");
//! # Ok::<(), windtunnel_traces::TraceError>(())
//! ```

mod header;
mod machines;

use std::fmt::Write as _;
use std::io::Read;

use windtunnel_core::{Ending, JobSpec, Names, QueueId, SimDuration, SimTime, TaskRequest};

use crate::error::TraceError;
use crate::issue::{Notes, Problem};
use crate::number::{COUNT, Finer, Quantity};
use crate::rows::{Format, JobReader, Layout, Zero};
use crate::table::{Cell, Header, Row};

pub use header::{SwfHeader, machine};
pub use machines::{Machine, read_machines};

/// Reads logs in SWF.
pub type SwfReader<R> = JobReader<R, Swf>;

/// What a processor of the log becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Processors {
    /// A core: a job is one task.
    #[default]
    Cores,
    /// A GPU: a job is as many tasks of one GPU each, which run together.
    Gpus,
}

/// Which of the log's two numbers of processors a job has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Size {
    /// Those it used.
    #[default]
    Used,
    /// Those it asked for.
    Requested,
}

/// Whether the time asked for is a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Limit {
    /// It is an estimate only.
    #[default]
    None,
    /// It is an estimate and the walltime limit: who enforces it ends the job there.
    Requested,
}

/// Who a job's tenant is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TenantOf {
    /// Its user.
    #[default]
    User,
    /// Its user's group.
    Group,
}

/// How a log is understood; the default is what the [module](self) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwfOptions {
    /// What a processor becomes.
    pub processors: Processors,
    /// Which number of processors counts.
    pub size: Size,
    /// Whether the time asked for is a limit.
    pub limit: Limit,
    /// Who the tenant is.
    pub tenant: TenantOf,
    /// Whether jobs that were withdrawn before they started are jobs.
    pub keep_unstarted: bool,
    /// Where the clock begins.
    pub zero: Zero,
}

impl Default for SwfOptions {
    fn default() -> Self {
        Self {
            processors: Processors::default(),
            size: Size::default(),
            limit: Limit::default(),
            tenant: TenantOf::default(),
            keep_unstarted: false,
            zero: Zero::FirstJob,
        }
    }
}

/// SWF as a [`Format`].
#[derive(Clone, Debug)]
pub struct Swf {
    header: SwfHeader,
    options: SwfOptions,
    /// Names under construction.
    text: String,
    /// The last queue that an id is left for was named.
    queues_full: bool,
}

impl<R: Read> SwfReader<R> {
    /// The same reader with another understanding of the log.
    #[must_use]
    pub fn with_options(mut self, options: SwfOptions) -> Self {
        self.format.options = options;
        self
    }

    /// What the comments before the first job say.
    #[must_use]
    pub fn header(&self) -> &SwfHeader {
        &self.format.header
    }
}

/// Fields, by their place in a row.
#[derive(Clone, Copy, Debug)]
enum Field {
    Job = 0,
    Submit = 1,
    Wait = 2,
    Run = 3,
    Used = 4,
    Requested = 7,
    RequestedTime = 8,
    Status = 10,
    User = 11,
    Group = 12,
    Queue = 14,
    Partition = 15,
    Nodes = 18,
    QueueName = 19,
    Request = 20,
}

const NAMES: [&str; 21] = [
    "job",
    "submit",
    "wait",
    "run",
    "procs_used",
    "cpu",
    "memory_used",
    "procs_requested",
    "time_requested",
    "memory_requested",
    "status",
    "user",
    "group",
    "application",
    "queue",
    "partition",
    "preceding_job",
    "think_time",
    "nodes",
    "queue_name",
    "request",
];

/// Fields that every row has.
const FIELDS: usize = 18;

/// Processors of a job.
const PROCESSORS: Quantity = Quantity {
    noun: "a number of processors",
    decimals: 0,
    max: u32::MAX as u64 / 1_000,
    too_large: "a job has at most 4,294,967 processors",
    finer: Finer::Refuse,
};

/// The same as tasks.
const TASKS: Quantity = Quantity {
    too_large: "as GPUs a job has at most 1,000,000 processors",
    max: COUNT.max,
    ..PROCESSORS
};

type Parsed<T> = Result<T, Box<Problem>>;

impl Format for Swf {
    const VERSION: Option<&'static str> = None;
    const SUBMIT: &'static str = NAMES[Field::Submit as usize];
    const LAYOUT: Layout = Layout::Blanks { cells: FIELDS };

    fn zero(&self) -> Zero {
        self.options.zero
    }

    fn begin(header: &Header<'_>) -> Result<Self, TraceError> {
        Ok(Self {
            header: SwfHeader::of(header.comments()),
            options: SwfOptions::default(),
            text: String::new(),
            queues_full: false,
        })
    }

    fn job(
        &mut self,
        row: &Row<'_>,
        names: &mut Names,
        notes: &mut Notes,
    ) -> Result<JobSpec, Box<Problem>> {
        let submit = SimTime::ZERO + field(row, Field::Submit).seconds(notes)?;
        let run = run_time(field(row, Field::Run), notes)?;
        let ending = ending(field(row, Field::Status))?;
        let size = self.size(row, run, notes)?;
        let (request, tasks) = match self.options.processors {
            Processors::Cores => (TaskRequest::gpus(0).with_cores(size), 1),
            Processors::Gpus => (TaskRequest::gpus(1), size),
        };
        let mut job = JobSpec::new(submit, request, run).tasks(tasks);
        job.profile.ending = ending;
        let name = field(row, Field::Job).text()?;
        job.name = Some(name.into());
        let wait = field(row, Field::Wait);
        match is_known(wait).then(|| wait.seconds(notes)).transpose()? {
            Some(length) => job = job.recorded(submit + length, &[]),
            None => notes.kept(*wait.problem("says that nobody knows when it started", "")),
        }
        self.time_requested(row, run, &mut job, notes)?;
        self.people(row, names, &mut job)?;
        Ok(job)
    }
}

impl Swf {
    /// The processors of a job.
    fn size(&self, row: &Row<'_>, run: SimDuration, notes: &mut Notes) -> Parsed<u32> {
        let quantity = match self.options.processors {
            Processors::Cores => &PROCESSORS,
            Processors::Gpus => &TASKS,
        };
        let cells = [Field::Used, Field::Requested].map(|at| field(row, at));
        let mut counts = [None; 2];
        for (count, cell) in counts.iter_mut().zip(cells) {
            if is_known(cell) {
                let number = u32::try_from(cell.number(quantity, notes)?).unwrap_or(u32::MAX);
                *count = (number > 0).then_some(number);
            }
        }
        let [used, requested] = counts;
        if used.is_none() && run.is_zero() && !self.options.keep_unstarted {
            return Err(cells[0].problem(
                "processors and no run time: it was withdrawn before it started",
                "to keep such rows, let the processors asked for stand in (keep_unstarted)",
            ));
        }
        let (first, second) = match self.options.size {
            Size::Used => (0, 1),
            Size::Requested => (1, 0),
        };
        match (counts[first], counts[second]) {
            (Some(count), Some(other)) if count != other => {
                let reason = format!("processors count, though {} is {other}", cells[second].name);
                notes.kept(*cells[first].problem(reason, ""));
                Ok(count)
            }
            (Some(count), _) => Ok(count),
            (None, Some(other)) => {
                let reason = format!("processors: {}, {other}, stands in", cells[second].name);
                notes.repaired(*cells[first].problem(reason, ""));
                Ok(other)
            }
            (None, None) => {
                let reason = "processors, and the log has no other number";
                debug_assert!(requested.is_none());
                Err(cells[first].problem(reason, "a job has at least one processor"))
            }
        }
    }

    /// Estimate and limit.
    fn time_requested(
        &self,
        row: &Row<'_>,
        run: SimDuration,
        job: &mut JobSpec,
        notes: &mut Notes,
    ) -> Parsed<()> {
        let cell = field(row, Field::RequestedTime);
        if !is_known(cell) {
            return Ok(());
        }
        let length = cell.seconds(notes)?;
        if length.is_zero() {
            notes.kept(*cell.problem("is no time to ask for, and taken for unknown", ""));
            return Ok(());
        }
        job.request.estimate = Some(length);
        if self.options.limit == Limit::Requested {
            job.request.limit = Some(length);
        }
        if run > length {
            let reason = format!("was asked for, and it ran for {} s", run.as_secs());
            notes.kept(*cell.problem(reason, "the run time counts"));
        }
        Ok(())
    }

    /// Tenant, queue and attributes.
    fn people(&mut self, row: &Row<'_>, names: &mut Names, job: &mut JobSpec) -> Parsed<()> {
        let (tenant, word) = match self.options.tenant {
            TenantOf::User => (field(row, Field::User), "user"),
            TenantOf::Group => (field(row, Field::Group), "group"),
        };
        if is_known(tenant) {
            job.request.tenant = names.tenant(self.word(word, tenant.text()?));
        }
        let is_alea = field(row, Field::Nodes).bytes.starts_with(b"{");
        let (queue, partition) = (field(row, Field::Queue), field(row, Field::Partition));
        if is_alea {
            let name = field(row, Field::QueueName);
            let request = field(row, Field::Request).text()?;
            if !request.is_empty() {
                job.request.attrs = names.attrs(&[("request", request)]);
            }
            if !name.is_empty() {
                let text = name.text()?;
                self.word("", text);
                job.request.queue = self.queue(name, names)?;
                return Ok(());
            }
        }
        for (cell, word) in [(queue, "queue"), (partition, "partition")] {
            if is_known(cell) {
                self.word(word, cell.text()?);
                job.request.queue = self.queue(cell, names)?;
                break;
            }
        }
        Ok(())
    }

    /// Writes a name such as `user4`.
    fn word(&mut self, word: &str, number: &str) -> &str {
        self.text.clear();
        let _ = write!(self.text, "{word}{number}");
        &self.text
    }

    /// The queue of the name that was written last. Once the last id is given out every further row
    /// is refused: the field has something else in it.
    fn queue(&mut self, cell: Cell<'_>, names: &mut Names) -> Parsed<QueueId> {
        if self.queues_full {
            return Err(cell.problem("comes after 65,536 queues", "is that the right field?"));
        }
        let queue = names.queue(&self.text);
        self.queues_full = queue == QueueId(u16::MAX);
        Ok(queue)
    }
}

fn field<'a>(row: &Row<'a>, at: Field) -> Cell<'a> {
    row.at(at as usize, NAMES[at as usize])
}

/// Whether a field says something: −1 says nothing.
fn is_known(cell: Cell<'_>) -> bool {
    !matches!(cell.bytes, b"-1" | b"-1.0" | b"-1.00")
}

fn run_time(cell: Cell<'_>, notes: &mut Notes) -> Parsed<SimDuration> {
    if is_known(cell) {
        return cell.seconds(notes);
    }
    Err(cell.problem("says that nobody knows how long it ran", ""))
}

fn ending(cell: Cell<'_>) -> Parsed<Ending> {
    match cell.bytes {
        b"0" => Ok(Ending::Fails),
        b"5" => Ok(Ending::Cancelled),
        b"1" | b"-1" => Ok(Ending::Completes),
        b"2" | b"3" | b"4" => Err(cell.problem(
            "says that this is a part of a job, which has a row of its own",
            "",
        )),
        _ => Err(cell.problem(
            "is no status",
            "1 completed, 0 failed, 5 cancelled, 2 to 4 parts of a job, -1 unknown",
        )),
    }
}

const _: () = assert!(NAMES.len() == Field::Request as usize + 1);
