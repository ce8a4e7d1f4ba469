//! Jobs to the native table.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use windtunnel_core::{
    Advance, Ending, GpuModelId, GpuRequest, JobSpec, Level, Names, SimDuration, Work,
};

use super::instance::written;
use super::{ENDINGS, Kinds, NAMES, NATIVE_VERSION};
use crate::error::{TraceError, TraceErrorKind};

/// Writes jobs as the native table, all columns, in the order given.
///
/// Reading it back with the same names, kinds and behaviours gives the same jobs. `names` and `kinds`
/// are those the jobs were made with; of a behaviour only the name is written.
///
/// # Errors
/// The writer below fails, or a job is beyond the format: several task groups, work per task,
/// attributes of a group, a behaviour without a name, an instance (MIG) of GPU models without it, times past 146 years, memory past 10⁹ GiB, or names with line
/// breaks or with the marks `|`, `;`, `=` where those separate.
///
/// ```
/// use windtunnel_core::{JobSpec, Names, SimDuration, SimTime, TaskRequest};
/// use windtunnel_traces::{Kinds, NativeReader, write_native};
/// let mut names = Names::default();
/// let job = JobSpec::new(SimTime::ZERO, TaskRequest::gpus(8), SimDuration::from_hours(2)).tasks(4);
/// let mut file = Vec::new();
/// write_native(&mut file, [&job], &names, &Kinds::default())?;
/// let back = NativeReader::new(&file[..], "memory")?.read_all(&mut names)?;
/// assert_eq!(back.jobs, [job]);
/// # Ok::<(), windtunnel_traces::TraceError>(())
/// ```
pub fn write_native<'j, W: Write>(
    mut out: W,
    jobs: impl IntoIterator<Item = &'j JobSpec>,
    names: &Names,
    kinds: &Kinds,
) -> Result<(), TraceError> {
    let file: Arc<str> = "output".into();
    let failed = |error: csv::Error| TraceError::table(&file, error);
    writeln!(out, "{NATIVE_VERSION}").map_err(|error| TraceError::io(&file, error))?;
    let mut table = csv::Writer::from_writer(out);
    table.write_record(NAMES).map_err(failed)?;
    let mut row = Cells::default();
    for (index, job) in jobs.into_iter().enumerate() {
        row.fill(job, names, kinds).map_err(|what| {
            let name = match &job.name {
                Some(name) => format!("job {index} (`{name}`)"),
                None => format!("job {index}"),
            };
            TraceError::new(
                TraceErrorKind::Unwritable,
                &file,
                format!("{name}: the native table can't hold {what}"),
            )
        })?;
        table.write_record(row.cells()).map_err(failed)?;
    }
    table.flush().map_err(|error| TraceError::io(&file, error))
}

/// One row under construction: all text in one buffer, and where each cell ends.
#[derive(Debug, Default)]
struct Cells {
    text: String,
    ends: Vec<usize>,
}

type Refused<T> = Result<T, &'static str>;

impl Cells {
    fn cells(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let cell = &self.text[start..end];
            start = end;
            cell
        })
    }

    fn end(&mut self) {
        self.ends.push(self.text.len());
    }

    /// Fills the cells in the order of [`NAMES`].
    fn fill(&mut self, job: &JobSpec, names: &Names, kinds: &Kinds) -> Refused<()> {
        self.text.clear();
        self.ends.clear();
        let (asked, truth) = (&job.request, &job.profile);
        let [group] = asked.groups.as_slice() else {
            return Err("several task groups");
        };
        if group.attrs.0 != 0 {
            return Err("attributes of a task group");
        }
        self.name(job.name.as_deref().unwrap_or_default(), &[])?;
        self.seconds(SimDuration::from_nanos(job.submit.as_nanos()))?;
        match &truth.work {
            Work::Endless => self.word("inf"),
            Work::Uniform(length) => self.seconds(*length)?,
            Work::PerTask(_) => return Err("work per task"),
        }
        match group.request.gpus {
            GpuRequest::None => self.word("0"),
            GpuRequest::Whole(count) => self.integer(count),
            GpuRequest::Milli(milli) => self.decimal(u64::from(milli), 3),
            part @ GpuRequest::Instance(_) => {
                let name = written(part, group.request.models, names);
                self.word(name.ok_or("an instance of GPU models that have none such")?);
            }
        }
        self.integer(group.count);
        self.models(group.request.models, names)?;
        self.decimal(u64::from(group.request.cpu.0), 3);
        self.memory(group.request.memory.0)?;
        match asked.advance {
            Advance::All => self.word("all"),
            Advance::Each => self.word("each"),
            Advance::Between { min, max } => {
                let _ = write!(self.text, "{min}..{max}");
                self.end();
            }
        }
        let kind = kinds.name(asked.kind).ok_or("a kind without a name")?;
        self.name(kind, &[])?;
        self.optional(asked.limit)?;
        self.optional(asked.estimate)?;
        self.integer(asked.priority);
        self.name(names.tenant_name(asked.tenant), &[])?;
        self.name(names.queue_name(asked.queue), &[])?;
        self.seconds(truth.startup)?;
        self.seconds(truth.restart)?;
        self.decimal(u64::from(truth.duty.0), 6);
        self.optional(truth.checkpoint.map(|c| c.interval))?;
        self.optional(truth.checkpoint.map(|c| c.cost))?;
        self.ending(truth.ending);
        self.attrs(job, names)?;
        self.word(group.level.map_or("", Level::name));
        match truth.behaviour.as_deref() {
            Some(behaviour) if behaviour.name.is_empty() => {
                return Err("a behaviour without a name");
            }
            behaviour => self.name(behaviour.map_or("", |known| known.name.as_str()), &[])?,
        }
        assert_eq!(self.ends.len(), NAMES.len(), "one cell per column");
        Ok(())
    }

    fn word(&mut self, word: &str) {
        self.text.push_str(word);
        self.end();
    }

    fn integer(&mut self, number: impl Into<i128>) {
        let _ = write!(self.text, "{}", number.into());
        self.end();
    }

    /// A name without line breaks and without the marks that separate names here.
    fn name(&mut self, name: &str, marks: &[char]) -> Refused<()> {
        self.push_name(name, marks)?;
        self.end();
        Ok(())
    }

    fn push_name(&mut self, name: &str, marks: &[char]) -> Refused<()> {
        if name.contains(['\n', '\r']) {
            return Err("a line break in a name");
        }
        if name.contains(marks) {
            return Err("a name with one of | ; = in it");
        }
        self.text.push_str(name);
        Ok(())
    }

    /// `units` × 10^-`decimals`, without trailing zeros.
    fn decimal(&mut self, units: u64, decimals: u32) {
        let scale = 10_u64.pow(decimals);
        let _ = write!(self.text, "{}", units / scale);
        if !units.is_multiple_of(scale) {
            let _ = write!(
                self.text,
                ".{:0width$}",
                units % scale,
                width = decimals as usize
            );
            self.text.truncate(self.text.trim_end_matches('0').len());
        }
        self.end();
    }

    fn seconds(&mut self, length: SimDuration) -> Refused<()> {
        if length.as_nanos() > crate::number::SECONDS.max {
            return Err("a time past 146 years");
        }
        self.decimal(length.as_nanos(), 9);
        Ok(())
    }

    fn optional(&mut self, length: Option<SimDuration>) -> Refused<()> {
        match length {
            Some(length) => self.seconds(length),
            None => {
                self.end();
                Ok(())
            }
        }
    }

    /// Bytes as GiB with ten decimals, the fewest with which every byte reads back.
    fn memory(&mut self, bytes: u64) -> Refused<()> {
        const ONE: u128 = 10_u128.pow(crate::number::GIBIBYTES.decimals);
        let parts = (u128::from(bytes) * ONE + (1 << 29)) >> 30;
        match u64::try_from(parts) {
            Ok(parts) if parts <= crate::number::GIBIBYTES.max => {
                self.decimal(parts, 10);
                Ok(())
            }
            _ => Err("memory past 10^9 GiB"),
        }
    }

    fn models(&mut self, mask: u64, names: &Names) -> Refused<()> {
        let mut rest = mask;
        let start = self.text.len();
        while rest != 0 {
            let model = GpuModelId(u8::try_from(rest.trailing_zeros()).unwrap_or(u8::MAX));
            if self.text.len() > start {
                self.text.push('|');
            }
            self.push_name(names.gpu_model_name(model), &['|'])?;
            rest &= rest - 1;
        }
        self.end();
        Ok(())
    }

    fn ending(&mut self, ending: Ending) {
        let name = ENDINGS.iter().find(|(_, known)| *known == ending);
        self.word(name.map_or("", |(name, _)| name));
    }

    fn attrs(&mut self, job: &JobSpec, names: &Names) -> Refused<()> {
        for (i, (key, value)) in names.attr_list(job.request.attrs).iter().enumerate() {
            if i > 0 {
                self.text.push(';');
            }
            if key.is_empty() {
                return Err("an attribute without a key");
            }
            self.push_name(key, &[';', '='])?;
            self.text.push('=');
            self.push_name(value, &[';'])?;
        }
        self.end();
        Ok(())
    }
}
