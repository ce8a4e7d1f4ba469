//! The machinery that all table formats share: lines, issues, counts, order.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use csv::{ByteRecord, Terminator};
use windtunnel_core::{ArrivalError, Arrivals, JobSpec, Names, NotForkable, SimTime};

use crate::blanks::{Text, take_comments};
use crate::error::{TraceError, TraceErrorKind};
use crate::issue::{Action, IssueLog, Notes, Problem, RowCounts, RowIssue, Strictness, shown};
use crate::open::{Decoded, open};
use crate::table::{Header, Row};

/// How the lines of a format are cut into cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Cells between commas; the first line names the columns, every row is as wide as it.
    Csv,
    /// Cells between blanks, no header row; lines that begin with `;` are comments. A row has at
    /// least so many cells.
    Blanks {
        /// Fewest cells of a row.
        cells: usize,
    },
}

/// Where a run's clock begins in the times of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zero {
    /// At the log's own zero.
    #[default]
    Log,
    /// With the submission of the first job: logs that begin in the middle of another one, or tell
    /// the time of day, would keep a cluster empty for years.
    FirstJob,
}

/// A table format: how a header and a row are understood.
///
/// A reader for a format of your own is one implementation of this trait and
/// `JobReader::<_, MyFormat>::new`; lines, issues, counts, order and compression come with it.
pub trait Format: Sized + Send {
    /// First line of the file, such as `# windtunnel-jobs v1`, if the format has one.
    const VERSION: Option<&'static str>;

    /// Name of the column with the time of submission.
    const SUBMIT: &'static str;

    /// How lines are cut into cells.
    const LAYOUT: Layout = Layout::Csv;

    /// Whether rows come in order of submission as a rule: one that does not counts as repaired. A
    /// reader of other files must be read whole.
    const SORTED: bool = true;

    /// Where the clock begins.
    fn zero(&self) -> Zero {
        Zero::Log
    }

    /// Understands the header.
    ///
    /// # Errors
    /// The file can't be of this format.
    fn begin(header: &Header<'_>) -> Result<Self, TraceError>;

    /// The job of a row. Small trouble goes to `notes`.
    ///
    /// # Errors
    /// The row can't be a job; it will be dropped.
    fn job(
        &mut self,
        row: &Row<'_>,
        names: &mut Names,
        notes: &mut Notes,
    ) -> Result<JobSpec, Box<Problem>>;
}

/// Jobs and complaints of a whole trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The jobs in order of submission, ties in the order of the file.
    pub jobs: Vec<JobSpec>,
    /// What was not clean, by line; at most [`ISSUES_LISTED_MAX`](crate::ISSUES_LISTED_MAX).
    pub issues: Vec<RowIssue>,
    /// Where the rows went.
    pub counts: RowCounts,
    /// What was taken off all times of the log: with [`Zero::FirstJob`] the time at which the first
    /// job was submitted.
    pub origin: SimTime,
}

/// The reader below the `csv` crate. The newline at the end makes every row end with one, so that
/// lines can be counted from the end of a row: blank lines belong to none.
type Lines<R> = io::Chain<Text<R>, &'static [u8]>;

/// Reads jobs from a table, row by row or all at once.
///
/// As [`Arrivals`] it streams: memory does not grow with the trace, which must be in order of
/// submission. [`read_all`](Self::read_all) sorts.
#[derive(Debug)]
pub struct JobReader<R, F> {
    csv: csv::Reader<Lines<R>>,
    record: ByteRecord,
    pub(crate) format: F,
    file: Arc<str>,
    width: usize,
    lines_before: u64,
    line: u64,
    strictness: Strictness,
    notes: Notes,
    log: IssueLog,
    latest: SimTime,
    /// With [`Zero::FirstJob`], once a job has been yielded: what is taken off its times.
    origin: Option<SimTime>,
    ended: bool,
}

impl<F: Format> JobReader<Decoded<File>, F> {
    /// Opens a file, plain or compressed, and reads its header.
    ///
    /// # Errors
    /// As [`open`](crate::open()) and [`JobReader::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        let path = path.as_ref();
        Self::new(open(path)?, &path.display().to_string())
    }
}

impl<R: Read, F: Format> JobReader<R, F> {
    /// Reads version line and header from `reader`, which is `file` in messages.
    ///
    /// # Errors
    /// It can't be read, or is not in this format and version.
    pub fn new(reader: R, file: &str) -> Result<Self, TraceError> {
        let file: Arc<str> = file.into();
        let mut reader = BufReader::with_capacity(1 << 16, reader);
        let mut lines_before = match F::VERSION {
            Some(version) => check_version(&mut reader, version, &file)?,
            None => 0,
        };
        let mut builder = csv::ReaderBuilder::new();
        builder
            .has_headers(false)
            .flexible(true)
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(1 << 16);
        let mut record = ByteRecord::new();
        let mut comments = String::new();
        let (mut csv, width) = match F::LAYOUT {
            Layout::Csv => {
                let lines: Lines<R> = Text::csv(reader).chain(&b"\n"[..]);
                (builder.from_reader(lines), 0)
            }
            Layout::Blanks { cells } => {
                lines_before += take_comments(&mut reader, &mut comments, &file)?;
                builder.delimiter(b' ').quoting(false);
                let lines: Lines<R> = Text::blanks(reader).chain(&b"\n"[..]);
                (builder.from_reader(lines), cells)
            }
        };
        let mut line = lines_before;
        if F::LAYOUT == Layout::Csv {
            let more = csv
                .read_byte_record(&mut record)
                .map_err(|error| TraceError::read(&file, error, lines_before))?;
            if !more {
                return Err(
                    TraceError::new(TraceErrorKind::Empty, &file, "the file is empty")
                        .with_hint("a trace has a header and one row per job"),
                );
            }
            line += csv.position().line().saturating_sub(1);
            record.trim();
        }
        let header = Header {
            record: &record,
            comments: &comments,
            file: &file,
            line,
        };
        let format = F::begin(&header)?;
        Ok(Self {
            width: width.max(record.len()),
            csv,
            record,
            format,
            file,
            lines_before,
            line,
            strictness: Strictness::Lenient,
            notes: Notes::default(),
            log: IssueLog::default(),
            latest: SimTime::ZERO,
            origin: None,
            ended: false,
        })
    }

    /// The same reader with another way to treat rows that are not clean.
    #[must_use]
    pub fn with_strictness(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// What was not clean so far, in the order of the file.
    #[must_use]
    pub fn issues(&self) -> &[RowIssue] {
        &self.log.issues
    }

    /// Where the rows read so far went.
    #[must_use]
    pub fn counts(&self) -> RowCounts {
        self.log.counts
    }

    /// The next job of a sorted trace, or `None` at the end.
    ///
    /// # Errors
    /// A read error, a row that was submitted before the one above it, an empty trace, and in
    /// [`Strictness::Strict`] the first row that is not clean. Nothing comes after an error.
    pub fn next_job(&mut self, names: &mut Names) -> Option<Result<JobSpec, TraceError>> {
        let mut job = match self.row(names)? {
            Ok(job) => job,
            Err(error) => return Some(Err(error)),
        };
        if job.submit < self.latest {
            let issue = self.late(job.submit, "sort the file, or read it whole, which sorts");
            return Some(Err(self.fail(TraceErrorKind::Order, &issue)));
        }
        self.latest = job.submit;
        if self.format.zero() == Zero::FirstJob {
            let origin = *self.origin.get_or_insert(job.submit);
            shift(&mut job, origin);
        }
        Some(Ok(job))
    }

    /// All jobs, sorted by submission (stable); rows out of order count as repaired.
    ///
    /// # Errors
    /// A read error, an empty trace, and in [`Strictness::Strict`] the first row that is not clean.
    pub fn read_all(mut self, names: &mut Names) -> Result<Loaded, TraceError> {
        let mut jobs = Vec::new();
        let mut sorted = true;
        while let Some(job) = self.row(names) {
            let job = job?;
            if job.submit < self.latest && !F::SORTED {
                sorted = false;
            } else if job.submit < self.latest {
                sorted = false;
                let issue = self.late(job.submit, "rows are sorted by submission");
                if self.strictness == Strictness::Strict {
                    return Err(self.fail(TraceErrorKind::Order, &issue));
                }
                // A row that was repaired before counts once.
                let before = self.log.issues.last();
                let again =
                    before.is_some_and(|i| i.line == self.line && i.action == Action::Repaired);
                self.log.counts.repaired += u64::from(!again);
                self.log.push(issue);
            }
            self.latest = self.latest.max(job.submit);
            jobs.push(job);
        }
        if !sorted {
            jobs.sort_by_key(|job: &JobSpec| job.submit);
        }
        let origin = match (self.format.zero(), jobs.first()) {
            (Zero::FirstJob, Some(first)) => first.submit,
            _ => SimTime::ZERO,
        };
        if origin > SimTime::ZERO {
            jobs.iter_mut().for_each(|job| shift(job, origin));
        }
        Ok(Loaded {
            origin,
            jobs,
            issues: self.log.issues,
            counts: self.log.counts,
        })
    }

    /// The job of the next row that has one, in whatever order.
    fn row(&mut self, names: &mut Names) -> Option<Result<JobSpec, TraceError>> {
        while !self.ended {
            match self.csv.read_byte_record(&mut self.record) {
                Ok(true) => {}
                Ok(false) => {
                    self.ended = true;
                    return self.empty().map(Err);
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(TraceError::read(&self.file, error, self.line)));
                }
            }
            self.line = self.lines_before + self.csv.position().line() - 1;
            if let Err(error) = self.one_line() {
                self.ended = true;
                return Some(Err(error));
            }
            if self.width > 1 && self.record.len() == 1 && self.record[0].trim_ascii().is_empty() {
                continue; // a blank line of a file with \r\n, or of spaces
            }
            self.log.counts.rows_read += 1;
            let job = self.understand(names);
            match self.settle(job) {
                Ok(Some(job)) => return Some(Ok(job)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// Refuses values that run over the end of a line: an open quote would swallow the rest of the
    /// file as one value.
    fn one_line(&self) -> Result<(), TraceError> {
        let bytes = self.record.as_slice();
        let breaks = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if breaks == 0 {
            return Ok(());
        }
        // A quote that is open at the end of the file has taken the newline that ends the row.
        let first = self.line + u64::from(bytes.ends_with(b"\n")) - breaks;
        let message = format!("a value runs over {} lines", breaks + 1);
        Err(TraceError::new(TraceErrorKind::Row, &self.file, message)
            .at(first)
            .with_hint("close the quote in this line; values can't contain line breaks"))
    }

    fn understand(&mut self, names: &mut Names) -> Result<JobSpec, Box<Problem>> {
        self.notes.list.clear();
        let (found, width) = (self.record.len(), self.width);
        match F::LAYOUT {
            Layout::Csv if found != width => {
                return Err(whole_row(
                    format!("the row has {found} cells, not {width}"),
                    "was the file cut short, or a comma left unquoted?",
                ));
            }
            Layout::Blanks { .. } if found < width => {
                return Err(whole_row(
                    format!("the row has {found} fields, not {width}"),
                    "fields are separated by blanks; -1 stands for what is unknown",
                ));
            }
            _ => {}
        }
        let row = Row::new(&self.record);
        let job = self.format.job(&row, names, &mut self.notes)?;
        job.check()
            .map_err(|error| whole_row(error.to_string(), ""))?;
        Ok(job)
    }

    /// Counts the row and logs its issues; in strict mode the first one that matters is an error.
    fn settle(
        &mut self,
        job: Result<JobSpec, Box<Problem>>,
    ) -> Result<Option<JobSpec>, TraceError> {
        let mut notes = std::mem::take(&mut self.notes.list);
        let job = match job {
            Ok(job) => Some(job),
            Err(problem) => {
                notes.clear();
                notes.push((Action::Dropped, *problem));
                None
            }
        };
        let mut repaired = false;
        for (action, problem) in notes.drain(..) {
            let issue = problem.on(self.line, action);
            if action != Action::Kept && self.strictness == Strictness::Strict {
                return Err(self.fail(TraceErrorKind::Row, &issue));
            }
            repaired |= action == Action::Repaired;
            self.log.counts.remarks += u64::from(action == Action::Kept);
            self.log.push(issue);
        }
        self.notes.list = notes;
        let counts = &mut self.log.counts;
        counts.repaired += u64::from(repaired);
        match job {
            Some(_) => counts.jobs += 1,
            None => counts.dropped += 1,
        }
        Ok(job)
    }

    fn fail(&mut self, kind: TraceErrorKind, issue: &RowIssue) -> TraceError {
        self.ended = true;
        TraceError::row(kind, &self.file, issue)
    }

    fn late(&self, submit: SimTime, hint: &'static str) -> RowIssue {
        RowIssue {
            line: self.line,
            field: Some(F::SUBMIT),
            value: submit.as_secs_f64().to_string(),
            action: Action::Repaired,
            reason: "is before the rows above it".into(),
            hint: hint.into(),
        }
    }

    /// The error of a trace that ended without a job.
    fn empty(&self) -> Option<TraceError> {
        let counts = self.log.counts;
        if counts.jobs > 0 {
            return None;
        }
        let error = |message| TraceError::new(TraceErrorKind::Empty, &self.file, message);
        let Some(first) = self.log.issues.first() else {
            return Some(
                error("the trace has no rows".to_owned())
                    .with_hint("a trace has a header and one row per job"),
            );
        };
        let field = first
            .field
            .map_or(String::new(), |f| format!(", column {f}"));
        Some(
            error(format!("none of {} rows is a job", counts.rows_read)).with_hint(format!(
                "the first trouble is in line {}{field}: {}",
                first.line,
                first.what()
            )),
        )
    }
}

/// Takes `origin` off the times of a job that was submitted at or after it.
fn shift(job: &mut JobSpec, origin: SimTime) {
    let less = |time: SimTime| SimTime::ZERO + time.since(origin);
    job.submit = less(job.submit);
    if let Some(recorded) = &mut job.profile.recorded {
        let recorded = Arc::make_mut(recorded);
        recorded.start = less(recorded.start);
    }
}

fn whole_row(reason: String, hint: &'static str) -> Box<Problem> {
    Box::new(Problem {
        field: None,
        value: String::new(),
        reason: reason.into(),
        hint: hint.into(),
    })
}

/// Takes the first line off `reader` and compares it; says how many lines that were.
fn check_version<R: Read>(
    reader: &mut BufReader<R>,
    expected: &str,
    file: &Arc<str>,
) -> Result<u64, TraceError> {
    let mut line = Vec::new();
    reader
        .by_ref()
        .take(256)
        .read_until(b'\n', &mut line)
        .map_err(|error| TraceError::read(file, error.into(), 0))?;
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
    let text = String::from_utf8_lossy(line);
    // Spreadsheets pad the line to as many cells as the table has.
    let text = text.trim().trim_end_matches([',', ';']).trim_end();
    if text == expected {
        return Ok(1);
    }
    let error = |kind, message| TraceError::new(kind, file, message);
    if line.is_empty() {
        return Err(error(TraceErrorKind::Empty, "the file is empty".to_owned())
            .with_hint(format!("a trace starts with the line `{expected}`")));
    }
    let format = expected.trim_end_matches(|c: char| c.is_ascii_digit());
    let error = match text.strip_prefix(format) {
        Some(version) => error(
            TraceErrorKind::Format,
            format!("version `{}` is unknown", shown(version.as_bytes())),
        )
        .with_hint(format!("this release reads `{expected}`")),
        None => error(
            TraceErrorKind::Format,
            "the version line is missing".to_owned(),
        )
        .with_hint(format!("the first line must be `{expected}`")),
    };
    Err(error.at(1))
}

/// Streams the trace; it must be in order of submission.
impl<R: Read + Send, F: Format> Arrivals for JobReader<R, F> {
    fn next(&mut self, names: &mut Names) -> Option<Result<JobSpec, ArrivalError>> {
        Some(self.next_job(names)?.map_err(ArrivalError::from))
    }

    fn fork(&self) -> Result<Box<dyn Arrivals>, NotForkable> {
        Err(NotForkable)
    }
}
