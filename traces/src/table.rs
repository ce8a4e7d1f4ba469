//! Header and cells of a table: columns by name in any order, cells with the name to complain by.

use std::borrow::Cow;
use std::sync::Arc;

use csv::ByteRecord;
use windtunnel_core::SimDuration;

use crate::error::{TraceError, TraceErrorKind};
use crate::issue::{Action, Notes, Problem, did_you_mean, shown};
use crate::number::{self, COUNT, Finer, Fixed, NumberError, Quantity, SECONDS};

/// The header row of a file.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    pub(crate) record: &'a ByteRecord,
    /// The comments before the first row, a line each, without their mark; only of
    /// [`Layout::Blanks`](crate::Layout).
    pub(crate) comments: &'a str,
    pub(crate) file: &'a Arc<str>,
    pub(crate) line: u64,
}

/// One row of a file.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    record: &'a ByteRecord,
    /// Place of the cell that ends with the `\r` of the line's end, if any.
    carriage_return: usize,
}

impl<'a> Row<'a> {
    pub(crate) fn new(record: &'a ByteRecord) -> Self {
        let carriage_return = match record.as_slice().last() {
            Some(b'\r') => record.len() - 1,
            _ => ABSENT,
        };
        Self {
            record,
            carriage_return,
        }
    }

    /// The cell at a place, of a file whose columns have places instead of names; empty past the end.
    /// `name` is what messages call it.
    #[inline]
    #[must_use]
    pub fn at(&self, place: usize, name: &'static str) -> Cell<'a> {
        let bytes = self.record.get(place).unwrap_or_default();
        Cell { name, bytes }
    }
}

/// What to do about columns that a format has no meaning for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Refuse the file: a misspelt column would silently mean its default.
    Refuse,
    /// Ignore them: the public file has more than is needed.
    Ignore,
}

/// Where the columns of a format are in one file.
#[derive(Clone, Debug)]
pub struct Columns {
    names: &'static [&'static str],
    /// One entry per name: its place in the row, [`ABSENT`] if the file has no such column.
    at: Vec<usize>,
}

const ABSENT: usize = usize::MAX;

impl Columns {
    /// Finds the columns `names`, of which the first `required` must be there.
    ///
    /// # Errors
    /// A required column is missing, one occurs twice, or one is unknown and that is refused.
    pub fn find(
        header: &Header<'_>,
        names: &'static [&'static str],
        required: usize,
        unknown: Unknown,
    ) -> Result<Self, TraceError> {
        let mut at = vec![ABSENT; names.len()];
        let mut strange = Vec::new();
        for (place, cell) in header.record.iter().enumerate() {
            let cell = cell.trim_ascii();
            let Some(column) = names.iter().position(|name| name.as_bytes() == cell) else {
                if unknown == Unknown::Refuse {
                    strange.push(cell);
                }
                continue;
            };
            if at[column] != ABSENT {
                return Err(header
                    .error("the column occurs twice")
                    .column(names[column]));
            }
            at[column] = place;
        }
        let missing = (0..required).filter(|&column| at[column] == ABSENT);
        let missing: Vec<&str> = missing.map(|column| names[column]).collect();
        if !strange.is_empty() {
            return Err(header.unknown(&strange, &missing, names));
        }
        let hint = format!("required: {}", names[..required].join(", "));
        match missing[..] {
            [] => Ok(Self { names, at }),
            [one] => Err(header.missing(one, &hint)),
            _ => Err(header
                .error(&listed("missing column", &missing))
                .with_hint(hint)),
        }
    }

    /// Whether the file has the column `names[index]`.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.at[index] != ABSENT
    }

    /// The cell of `row` in the column `names[index]`; empty if the file has no such column.
    #[inline]
    #[must_use]
    pub fn cell<'a>(&self, index: usize, row: &Row<'a>) -> Cell<'a> {
        let place = self.at[index];
        let mut bytes = row.record.get(place).unwrap_or_default();
        if place == row.carriage_return {
            bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        }
        Cell {
            name: self.names[index],
            bytes,
        }
    }
}

impl Header<'_> {
    /// The comments before the first row, a line each, without their mark.
    #[must_use]
    pub fn comments(&self) -> &str {
        self.comments
    }

    fn error(&self, message: &str) -> TraceError {
        TraceError::new(TraceErrorKind::Header, self.file, message).at(self.line)
    }

    /// The error of a column that another one makes necessary.
    pub(crate) fn missing(&self, column: &str, hint: &str) -> TraceError {
        self.error("the column is missing")
            .column(column)
            .with_hint(hint)
    }

    /// The error of columns that nobody knows; it names those that are missing as well, so that one
    /// look at the file mends both.
    fn unknown(
        &self,
        cells: &[&[u8]],
        missing: &[&str],
        names: &'static [&'static str],
    ) -> TraceError {
        let texts: Vec<String> = cells.iter().map(|cell| shown(cell)).collect();
        let mut message = listed("unknown column", &texts);
        if self.record.len() == 1 && texts[0].contains([';', '\t', '|']) {
            let hint = "separate the columns by commas";
            return self.error(&message).with_hint(hint);
        }
        if !missing.is_empty() {
            message += &format!(", {}", listed("missing column", missing));
        }
        let hint = match &texts[..] {
            [one] => did_you_mean(one, names.iter().copied()),
            _ => format!("known: {}", names.join(", ")),
        };
        self.error(&message).with_hint(hint)
    }
}

/// Most columns that one message names.
const LISTED_MAX: usize = 8;

/// ``unknown columns `a`, `b` ``, at most a few of them.
fn listed<T: AsRef<str>>(what: &str, columns: &[T]) -> String {
    let named = columns.iter().take(LISTED_MAX);
    let named: Vec<String> = named
        .map(|column| format!("`{}`", column.as_ref()))
        .collect();
    let plural = if columns.len() == 1 { "" } else { "s" };
    let more = match columns.len().saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{what}{plural} {}{more}", named.join(", "))
}

/// One cell, with the name of its column.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    /// The column's name.
    pub name: &'static str,
    /// What is in it.
    pub bytes: &'a [u8],
}

impl<'a> Cell<'a> {
    /// Whether there is nothing in it, or no such column.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(
        &self,
        reason: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Box<Problem> {
        Box::new(Problem {
            field: Some(self.name),
            value: shown(self.bytes),
            reason: reason.into(),
            hint: hint.into(),
        })
    }

    /// The cell as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    #[inline]
    pub fn text(&self) -> Result<&'a str, Box<Problem>> {
        std::str::from_utf8(self.bytes)
            .map_err(|_| self.problem("is not UTF-8", "save the file as UTF-8"))
    }

    /// The place of the cell's text in `known`.
    pub(crate) fn choice(&self, known: &[&str]) -> Result<usize, Box<Problem>> {
        let text = self.text()?.trim_ascii();
        known.iter().position(|&name| name == text).ok_or_else(|| {
            let hint = did_you_mean(text, known.iter().copied());
            self.problem("is unknown", hint)
        })
    }

    /// The cell as a length of time in seconds, rounded to the nanosecond.
    ///
    /// # Errors
    /// It is no number, not finite, negative, or longer than 146 years.
    #[inline]
    pub fn seconds(&self, notes: &mut Notes) -> Result<SimDuration, Box<Problem>> {
        self.number(&SECONDS, notes).map(SimDuration::from_nanos)
    }

    /// The cell as a whole number of at most a million; "8.0" is one.
    ///
    /// # Errors
    /// It is no number, not whole, negative, or larger.
    #[inline]
    pub fn count(&self, notes: &mut Notes) -> Result<u32, Box<Problem>> {
        let count = self.number(&COUNT, notes)?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The cell as a number in units of the quantity.
    #[inline]
    pub(crate) fn number(
        &self,
        quantity: &Quantity,
        notes: &mut Notes,
    ) -> Result<u64, Box<Problem>> {
        match number::fixed(self.bytes, quantity.decimals) {
            Ok(Fixed { units, exact: true }) if units <= quantity.max => Ok(units),
            other => self.unusual(other, quantity, notes),
        }
    }

    #[cold]
    fn unusual(
        &self,
        number: Result<Fixed, NumberError>,
        quantity: &Quantity,
        notes: &mut Notes,
    ) -> Result<u64, Box<Problem>> {
        let is_not = || format!("is not {}", quantity.noun);
        let (reason, hint) = match number {
            Ok(Fixed { units, .. }) if units > quantity.max => {
                ("is too large".into(), quantity.too_large)
            }
            Ok(Fixed { units, .. }) => match quantity.finer {
                Finer::Round => return Ok(units),
                // What is next to nothing must not become nothing.
                Finer::Repair if units > 0 => {
                    let reason = "is finer than a thousandth and was rounded";
                    notes
                        .list
                        .push((Action::Repaired, *self.problem(reason, "")));
                    return Ok(units);
                }
                Finer::Repair => (is_not(), "the smallest is a thousandth, 0.001"),
                Finer::Refuse => (is_not(), "it must be whole"),
            },
            Err(NumberError::Empty) => ("the value is missing".to_owned(), ""),
            Err(NumberError::NotANumber) if quantity.noun == SECONDS.noun => {
                (is_not(), self.how_to_write_seconds())
            }
            Err(NumberError::NotANumber) => (is_not(), "write digits and a decimal point"),
            Err(NumberError::Infinite) => (is_not(), "it must be finite"),
            Err(NumberError::Negative) => (is_not(), "it can't be negative"),
            Err(NumberError::TooLong) => ("has too many digits".to_owned(), "write at most 32"),
            Err(NumberError::TooLarge) => ("is too large".to_owned(), quantity.too_large),
        };
        Err(self.problem(reason, hint))
    }

    /// What to do about a time that is no number.
    fn how_to_write_seconds(&self) -> &'static str {
        let count = |bytes: &[u8]| self.bytes.iter().filter(|b| bytes.contains(b)).count();
        if count(b"0123456789") == 0 {
            "write digits and a decimal point"
        } else if count(b"-/") >= 2 {
            "write seconds from the start of the run, e.g. 5400"
        } else if count(b":") >= 1 {
            "write seconds, e.g. 5400 for 1:30:00"
        } else {
            "write digits and a decimal point"
        }
    }
}
