//! Tables of recordings.

use std::io::Read;
use std::path::{Path, PathBuf};

use windtunnel_core::SimDuration;
use windtunnel_traces::open;

use crate::error::ExperimentError;

/// A CSV file that is read whole; cells may be quoted, lines are rows.
pub(super) struct Table {
    file: PathBuf,
    text: String,
}

impl Table {
    pub(super) fn read(file: &Path) -> Result<Self, ExperimentError> {
        let mut text = String::new();
        let mut reader = open(file)?;
        reader
            .read_to_string(&mut text)
            .map_err(|cause| ExperimentError::Read {
                path: file.to_owned(),
                cause,
            })?;
        Ok(Self::of(file.to_owned(), text))
    }

    /// A text that is known by a name in messages.
    pub(super) fn of(file: PathBuf, text: String) -> Self {
        Self { file, text }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn columns<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[usize; N], ExperimentError> {
        let header = self.text.lines().next().unwrap_or("");
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            let found = header.split(',').position(|column| column.trim() == name);
            *place = found.ok_or_else(|| {
                let what = format!("{}:1, column {name}", self.file.display());
                ExperimentError::setting(what, "the column is missing")
            })?;
        }
        Ok(places)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let lines = self.text.lines().zip(1..).skip(1);
        lines
            .filter(|(line, _)| !line.is_empty())
            .map(|(line, number)| Row {
                file: &self.file,
                line: number,
                cells: cells(line),
            })
    }
}

pub(super) struct Row<'a> {
    file: &'a Path,
    line: usize,
    cells: Vec<&'a str>,
}

impl<'a> Row<'a> {
    /// A cell; empty if the row is too short.
    pub(super) fn text(&self, column: usize) -> &'a str {
        self.cells.get(column).map_or("", |cell| cell.trim())
    }

    /// A number, or nothing in an empty cell.
    pub(super) fn optional<T: std::str::FromStr>(
        &self,
        column: usize,
    ) -> Result<Option<T>, ExperimentError> {
        let is_empty = self.text(column).is_empty();
        (!is_empty).then(|| self.number(column)).transpose()
    }

    /// Seconds with decimals, exact to the nanosecond.
    pub(super) fn seconds(&self, column: usize) -> Result<SimDuration, ExperimentError> {
        let wrong = || self.wrong(column, "expected a time in seconds, such as `12.5`");
        let text = self.text(column);
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > 9 {
            return Err(wrong());
        }
        let nanos: u64 = format!("{part:0<9}").parse().map_err(|_| wrong())?;
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let total = whole
            .checked_mul(1_000_000_000)
            .and_then(|whole| whole.checked_add(nanos));
        total.map(SimDuration::from_nanos).ok_or_else(wrong)
    }

    pub(super) fn number<T: std::str::FromStr>(&self, column: usize) -> Result<T, ExperimentError> {
        let number = self.text(column).parse();
        number.map_err(|_| self.wrong(column, "expected a number"))
    }

    /// `2-3-4` as a mask.
    pub(super) fn mask(&self, column: usize) -> Result<u16, ExperimentError> {
        let mut mask = 0_u16;
        for part in self.text(column).split('-').filter(|part| !part.is_empty()) {
            let bit = part.parse().ok().and_then(|gpu| 1_u16.checked_shl(gpu));
            mask |= bit.ok_or_else(|| self.wrong(column, "expected GPUs such as `2-3`"))?;
        }
        Ok(mask)
    }

    pub(super) fn wrong(&self, column: usize, hint: &str) -> ExperimentError {
        let place = format!(
            "{}:{}, column {}",
            self.file.display(),
            self.line,
            column + 1
        );
        ExperimentError::setting(format!("{place}, `{}`", self.text(column)), hint)
    }
}

/// The cells of a line. A cell in quotes is given without them; a quote inside stays doubled, as only
/// cells that nobody reads have any.
fn cells(line: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let (mut start, mut in_quotes) = (0, false);
    for (place, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => in_quotes = !in_quotes,
            b',' if !in_quotes => {
                cells.push(&line[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    cells.push(&line[start..]);
    for cell in &mut cells {
        let inner = cell
            .strip_prefix('"')
            .and_then(|cell| cell.strip_suffix('"'));
        *cell = inner.unwrap_or(cell);
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_part_nothing() {
        assert_eq!(cells("a,,b"), ["a", "", "b"]);
        assert_eq!(
            cells("a,\"{\"\"x\"\":1,2}\",b"),
            ["a", "{\"\"x\"\":1,2}", "b"]
        );
        assert_eq!(cells(""), [""]);
    }
}
