//! Microsoft Philly: deep-learning jobs of a shared GPU cluster, 2017.
//!
//! Jeon et al., "Analysis of Large-Scale Multi-Tenant GPU Clusters for DNN Training Workloads",
//! USENIX ATC'19; data CC-BY-4.0, `msr-fiddle/philly-traces`. What is read here is the list of jobs
//! that Pollux (OSDI'21, `petuum/adaptdl`) made of it and others use too. It is a part of the log:
//! 82,247 of 117,325 jobs, with fewer of the large and the retried ones.
//!
//! | column | becomes | unit |
//! | --- | --- | --- |
//! | `timestamp` | submission | wall clock, `2017-10-09 07:01:55`, of a zone that is not named; the clock starts with the first job |
//! | `duration` | work | seconds |
//! | `num_gpus` | tasks and GPUs per task | GPUs |
//! | `cluster` | tenant and queue | virtual cluster |
//!
//! Other columns are ignored (`gpu_time` is duration × GPUs).
//!
//! # Rules
//! - Rows are in no order; the table has to be read whole, which sorts, and no row is to blame.
//! - A job of `g` GPUs becomes ⌈g/8⌉ equal tasks (nodes had at most 8 GPUs) that advance together,
//!   as in [`helios`](crate::helios).
//! - Jobs have no names. A row that repeats an earlier one to the last character is
//!   [`Kept`](crate::Action) with a remark: two equal jobs of one second cannot be told from one job
//!   listed twice.
//! - Clocks were set back by an hour on 2017-11-05: times after that may be an hour early. Nothing
//!   is made of it.
//!
//! ```
//! use windtunnel_core::{Names, SimTime};
//! use windtunnel_traces::PhillyReader;
//! let text = "timestamp,duration,num_gpus,gpu_time,cluster\n\
//!             2017-10-09 07:01:55,66.0,1,66.0,11cb48\n\
//!             2017-10-09 06:13:03,2951.0,16,47216.0,6214e9\n";
//! let mut names = Names::default();
//! let trace = PhillyReader::new(text.as_bytes(), "philly.csv")?.read_all(&mut names)?;
//! assert_eq!(trace.jobs[1].submit, SimTime::from_secs(48 * 60 + 52));
//! assert_eq!(trace.jobs[0].request.groups[0].count, 2);
//! assert_eq!(names.tenant_name(trace.jobs[0].request.tenant), "6214e9");
//! assert!(trace.issues.is_empty());
//! # Ok::<(), windtunnel_traces::TraceError>(())
//! ```

use std::collections::BTreeSet;

use windtunnel_core::{JobSpec, Names, QueueId, SimTime, TaskRequest, TenantId};

use crate::error::TraceError;
use crate::gang::{GPU_COUNT, Split, gang};
use crate::issue::{Notes, Problem};
use crate::rows::{Format, JobReader, Zero};
use crate::table::{Cell, Columns, Header, Row, Unknown};

/// Reads the Philly table.
pub type PhillyReader<R> = JobReader<R, Philly>;

const NAMES: [&str; 4] = ["timestamp", "duration", "num_gpus", "cluster"];
const TIMESTAMP: usize = 0;
const DURATION: usize = 1;
const GPUS: usize = 2;
const CLUSTER: usize = 3;

/// Most virtual clusters: each is a queue, of which a run has 65,536.
const CLUSTERS_MAX: u32 = 60_000;

/// The Philly table as a [`Format`].
#[derive(Clone, Debug)]
pub struct Philly {
    columns: Columns,
    /// Submission, work \[ns\], GPUs and virtual cluster of the rows read so far.
    seen: BTreeSet<(SimTime, u64, u64, TenantId)>,
}

impl Format for Philly {
    const VERSION: Option<&'static str> = None;
    const SUBMIT: &'static str = NAMES[TIMESTAMP];
    const SORTED: bool = false;

    fn zero(&self) -> Zero {
        Zero::FirstJob
    }

    fn begin(header: &Header<'_>) -> Result<Self, TraceError> {
        let columns = Columns::find(header, &NAMES, NAMES.len(), Unknown::Ignore)?;
        let seen = BTreeSet::new();
        Ok(Self { columns, seen })
    }

    fn job(
        &mut self,
        row: &Row<'_>,
        names: &mut Names,
        notes: &mut Notes,
    ) -> Result<JobSpec, Box<Problem>> {
        let cell = |column: usize| self.columns.cell(column, row);
        let submit = wall_clock(cell(TIMESTAMP))?;
        let work = cell(DURATION).seconds(notes)?;
        let gpus = cell(GPUS).number(&GPU_COUNT, notes)?;
        let Split {
            tasks, per_task, ..
        } = gang(cell(GPUS), gpus, notes)?;
        let cluster = cell(CLUSTER).text()?;
        if cluster.is_empty() {
            return Err(cell(CLUSTER).problem("the virtual cluster is missing", ""));
        }
        let tenant = names.tenant(cluster);
        if tenant.0 > CLUSTERS_MAX {
            let hint = "is `cluster` the right column?";
            return Err(cell(CLUSTER).problem("is one virtual cluster too many", hint));
        }
        let queue: QueueId = names.queue(cluster);
        if !self.seen.insert((submit, work.as_nanos(), gpus, tenant)) {
            notes.kept(*cell(TIMESTAMP).problem(
                "begins a row that is there already",
                "two equal jobs, or one listed twice",
            ));
        }
        let mut job = JobSpec::new(submit, TaskRequest::gpus(per_task), work).tasks(tasks);
        job.request.tenant = tenant;
        job.request.queue = queue;
        Ok(job)
    }
}

/// Days of the months before each, in a year that begins in March.
const DAYS_BEFORE: [u64; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];

/// `2017-10-09 07:01:55` as a time since 1970-01-01 00:00:00 of the same clock.
fn wall_clock(cell: Cell<'_>) -> Result<SimTime, Box<Problem>> {
    let wrong = || {
        cell.problem(
            "is no point in time",
            "write YYYY-MM-DD HH:MM:SS, from 1970 on",
        )
    };
    let [year, month, day, hour, minute, second] = parts(cell.bytes).ok_or_else(wrong)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let fits = (1970..=2100).contains(&year)
        && (1..=12).contains(&month)
        && (1..=length).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !fits {
        return Err(wrong());
    }
    // Years from March to February, so that the leap day comes last.
    let (years, months) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    #[expect(clippy::cast_possible_truncation, reason = "below 12")]
    let before = DAYS_BEFORE[months as usize];
    let days = 365 * years + years / 4 - years / 100 + years / 400 + before + day - 1;
    // 1970-01-01 by the same count.
    let since = days - (365 * 1969 + 1969 / 4 - 1969 / 100 + 1969 / 400 + 306);
    Ok(SimTime::from_secs(
        ((since * 24 + hour) * 60 + minute) * 60 + second,
    ))
}

/// The six numbers of a point in time.
fn parts(bytes: &[u8]) -> Option<[u64; 6]> {
    const MARKS: &[u8; 19] = b"dddd-dd-dd dd:dd:dd";
    let bytes = bytes.trim_ascii();
    if bytes.len() != MARKS.len() {
        return None;
    }
    let (mut parts, mut place) = ([0; 6], 0);
    for (&byte, &mark) in bytes.iter().zip(MARKS) {
        if mark == b'd' && byte.is_ascii_digit() {
            parts[place] = parts[place] * 10 + u64::from(byte - b'0');
        } else if mark == byte && mark != b'd' {
            place += 1;
        } else {
            return None;
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        let cell = Cell {
            name: "timestamp",
            bytes: text.as_bytes(),
        };
        let time = wall_clock(cell).ok()?;
        Some(time.as_nanos() / 1_000_000_000)
    }

    /// Expected: `date -u -d "…" +%s`.
    #[test]
    fn points_in_time_are_seconds() {
        for (text, expected) in [
            ("1970-01-01 00:00:00", 0),
            ("2000-02-29 23:59:59", 951_868_799),
            ("2000-03-01 00:00:00", 951_868_800),
            ("2017-10-09 07:01:55", 1_507_532_515),
            ("2017-12-31 23:59:59", 1_514_764_799),
            ("2100-03-01 00:00:00", 4_107_542_400),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_point_in_time_is_refused() {
        for text in [
            "",
            "2017-10-09",
            "2017-10-09T07:01:55",
            "2017-13-09 07:01:55",
            "2017-02-29 07:01:55",
            "2100-02-29 07:01:55",
            "2017-10-00 07:01:55",
            "2017-10-09 24:00:00",
            "2017-10-09 07:60:00",
            "1969-12-31 23:59:59",
            "2017-1d-09 07:01:55",
            "20171-0-09 07:01:55",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
