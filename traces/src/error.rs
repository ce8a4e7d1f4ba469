//! Why a trace can't be read or written, with the place and a hint.

use std::fmt;
use std::io;
use std::sync::Arc;

use windtunnel_core::ArrivalError;

use crate::issue::RowIssue;

/// What kind of trouble a [`TraceError`] is, for callers that branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceErrorKind {
    /// The file can't be opened, read or written.
    Io,
    /// Compressed data break off in the middle: a download or a copy was cut short.
    Truncated,
    /// The file is in another format, another version of it, or an archive.
    Format,
    /// The header lacks a column, repeats one or has one that nobody knows.
    Header,
    /// A row can't be used as it is; only in [`Strictness::Strict`](crate::Strictness), or if a
    /// value runs over a line break.
    Row,
    /// A row was submitted before the one above it, and the reader streams.
    Order,
    /// There is not a single job in it.
    Empty,
    /// A job that the format has no words for.
    Unwritable,
}

/// Why a trace can't be read or written. None of its kinds can be resumed from: the reader that
/// gave it is at its end.
///
/// It prints place, cause and remedy in one line:
///
/// ```
/// use windtunnel_core::Names;
/// use windtunnel_traces::{NativeReader, Strictness};
/// let text = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus\nj1,0,60,-1\n";
/// let error = NativeReader::new(text.as_bytes(), "jobs.csv")?
///     .with_strictness(Strictness::Strict)
///     .read_all(&mut Names::default())
///     .unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "error at jobs.csv:3, column gpus: `-1` is not a number of GPUs; hint: it can't be negative"
/// );
/// assert_eq!((error.file(), error.line(), error.field()), ("jobs.csv", Some(3), Some("gpus")));
/// # Ok::<(), windtunnel_traces::TraceError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub struct TraceError {
    kind: TraceErrorKind,
    file: Arc<str>,
    line: Option<u64>,
    field: Option<Box<str>>,
    message: Box<str>,
    hint: Option<Box<str>>,
    source: Option<io::Error>,
}

impl TraceError {
    pub(crate) fn new(kind: TraceErrorKind, file: &Arc<str>, message: impl Into<String>) -> Self {
        Self {
            kind,
            file: Arc::clone(file),
            line: None,
            field: None,
            message: message.into().into(),
            hint: None,
            source: None,
        }
    }

    pub(crate) fn at(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) fn column(mut self, field: &str) -> Self {
        self.field = Some(field.into());
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.hint = (!hint.is_empty()).then(|| hint.into());
        self
    }

    /// An error of the reader or writer below.
    pub(crate) fn io(file: &Arc<str>, error: io::Error) -> Self {
        let mut this = Self::new(TraceErrorKind::Io, file, error.to_string());
        this.source = Some(error);
        this
    }

    /// An error of the table's writer.
    pub(crate) fn table(file: &Arc<str>, error: csv::Error) -> Self {
        Self::io(file, below(error))
    }

    /// An error of the reader below, after `line` was the last whole line.
    pub(crate) fn read(file: &Arc<str>, error: csv::Error, line: u64) -> Self {
        let error = below(error);
        if error.kind() != io::ErrorKind::UnexpectedEof {
            let mut this = Self::io(file, error);
            this.line = Some(line);
            return this;
        }
        let message = format!("compressed data break off; line {line} is the last that was read");
        let mut this = Self::new(TraceErrorKind::Truncated, file, message)
            .at(line)
            .with_hint("the file is cut short: download or copy it again");
        this.source = Some(error);
        this
    }

    /// A row issue that the reader was told not to put up with.
    pub(crate) fn row(kind: TraceErrorKind, file: &Arc<str>, issue: &RowIssue) -> Self {
        let mut this = Self::new(kind, file, issue.what()).at(issue.line);
        this.field = issue.field.map(Into::into);
        this.with_hint(issue.hint.clone())
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> TraceErrorKind {
        self.kind
    }

    /// The file as it was named to the reader.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1, header and version line included.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// The column.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// The error of the reader or writer below a table, with its kind.
fn below(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        // The tables here are bytes of any width, so that leaves nothing else.
        other => io::Error::other(format!("{other:?}")),
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "error at {}:{line}", self.file)?,
            None => write!(f, "error in {}", self.file)?,
        }
        if let Some(field) = &self.field {
            write!(f, ", column {field}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// What the engine reports when the stream it is fed with breaks off.
impl From<TraceError> for ArrivalError {
    fn from(error: TraceError) -> Self {
        Self {
            message: error.to_string(),
        }
    }
}
