//! Cells of the native table to values of a job.

use smallvec::SmallVec;
use windtunnel_core::units::MILLI_PER_GPU;
use windtunnel_core::{Advance, AttrId, Bytes, Ending, GpuRequest, Level, Names, QueueId};

use super::ENDINGS;
use super::instance::instance;
use crate::issue::{Notes, Problem};
use crate::number::{GIBIBYTES, GPUS};
use crate::table::Cell;

type Parsed<T> = Result<T, Box<Problem>>;

/// What `parse` makes of the cell, or the default of an empty one.
#[inline]
pub(super) fn or_default<'a, T: Default>(
    cell: Cell<'a>,
    parse: impl FnOnce(Cell<'a>) -> Parsed<T>,
) -> Parsed<T> {
    if cell.is_empty() {
        return Ok(T::default());
    }
    parse(cell)
}

/// Whole devices, a part of one, or the name of a MIG profile that the models of the row have.
#[inline]
pub(super) fn gpus(cell: Cell<'_>, models: Cell<'_>, notes: &mut Notes) -> Parsed<GpuRequest> {
    let milli = match cell.number(&GPUS, notes) {
        Ok(milli) => milli,
        Err(problem) => return instance(cell, models)?.ok_or(problem),
    };
    let (whole, part) = (
        milli / u64::from(MILLI_PER_GPU),
        milli % u64::from(MILLI_PER_GPU),
    );
    match (u16::try_from(whole), u16::try_from(part)) {
        (Ok(0), Ok(0)) => Ok(GpuRequest::None),
        (Ok(0), Ok(part)) => Ok(GpuRequest::Milli(part)),
        (Ok(whole), Ok(0)) => Ok(GpuRequest::Whole(whole)),
        _ => Err(cell.problem(
            "is neither whole nor a part of one GPU",
            "a part never spans devices: use a whole number, or less than 1",
        )),
    }
}

/// A bit per GPU model of `A|B`; none set accepts any.
pub(super) fn models(cell: Cell<'_>, names: &mut Names) -> Parsed<u64> {
    let mut mask = 0;
    if cell.is_empty() {
        return Ok(mask);
    }
    for name in cell.text()?.split('|').map(str::trim) {
        if name.is_empty() {
            return Err(cell.problem("names no GPU model", "write A or A|B; empty accepts any"));
        }
        let Some(model) = names.gpu_model(name) else {
            return Err(cell.problem(
                "is one GPU model too many",
                "at most 64 models can be told apart",
            ));
        };
        mask |= 1 << model.0;
    }
    Ok(mask)
}

/// GiB to bytes, rounded half up.
pub(super) fn memory(cell: Cell<'_>, notes: &mut Notes) -> Parsed<Bytes> {
    const ONE: u128 = 10_u128.pow(GIBIBYTES.decimals);
    let parts = u128::from(cell.number(&GIBIBYTES, notes)?);
    let bytes = ((parts << 30) + ONE / 2) / ONE;
    // At most 10^9 GiB, which fits.
    Ok(Bytes(u64::try_from(bytes).unwrap_or(u64::MAX)))
}

/// `all`, `each` or `min..max`.
pub(super) fn advance(cell: Cell<'_>) -> Parsed<Advance> {
    match cell.bytes {
        b"" | b"all" => return Ok(Advance::All),
        b"each" => return Ok(Advance::Each),
        _ => {}
    }
    let range = cell.text()?.split_once("..").and_then(|(min, max)| {
        Some(Advance::Between {
            min: min.trim().parse().ok()?,
            max: max.trim().parse().ok()?,
        })
    });
    match range {
        Some(Advance::Between { min, max }) if min == 0 || max < min => {
            Err(cell.problem("is an empty range", "write min..max with 1 <= min <= max"))
        }
        Some(range) => Ok(range),
        None => Err(cell.problem(
            "is no way to advance",
            "write all, each, or a range of tasks such as 2..8",
        )),
    }
}

/// The level that a gang must not cross, if any.
pub(super) fn level(cell: Cell<'_>, advance: Advance) -> Parsed<Option<Level>> {
    if cell.is_empty() {
        return Ok(None);
    }
    if advance != Advance::All {
        return Err(cell.problem(
            "is a level for tasks that come and go one by one",
            "levels are for gangs: leave it empty, or let advance be all",
        ));
    }
    let place = cell.choice(&Level::ALL.map(Level::name))?;
    Ok(Some(Level::ALL[place]))
}

/// A whole number, negative or not.
pub(super) fn integer(cell: Cell<'_>) -> Parsed<i64> {
    cell.text()?
        .trim()
        .parse()
        .map_err(|_| cell.problem("is not a whole number", "priorities are 64-bit integers"))
}

/// The queue of a name. Once the last id is given out every further row is refused, even one with a
/// known name: the file has something else in that column.
pub(super) fn queue(cell: Cell<'_>, names: &mut Names, full: &mut bool) -> Parsed<QueueId> {
    if *full {
        return Err(cell.problem(
            "comes after 65,536 queues",
            "is `queue` the right column? job names belong in `job_id`",
        ));
    }
    let queue = names.queue(cell.text()?);
    *full = queue == QueueId(u16::MAX);
    Ok(queue)
}

/// How the job ends.
pub(super) fn ending(cell: Cell<'_>) -> Parsed<Ending> {
    let place = cell.choice(&ENDINGS.map(|(name, _)| name))?;
    Ok(ENDINGS[place].1)
}

/// `k=v;k=v`; empty parts are skipped.
pub(super) fn attrs(cell: Cell<'_>, names: &mut Names) -> Parsed<AttrId> {
    let mut list: SmallVec<[(&str, &str); 8]> = SmallVec::new();
    for part in cell.text()?.split(';') {
        match part.split_once('=') {
            Some((key, value)) if !key.is_empty() => list.push((key, value)),
            None if part.is_empty() => {}
            _ => return Err(cell.problem("is no list of attributes", "write key=value;key=value")),
        }
    }
    Ok(names.attrs(&list))
}

/// Whether a duration says that the job never ends.
#[inline]
pub(super) fn is_endless(bytes: &[u8]) -> bool {
    bytes.is_empty() || bytes.eq_ignore_ascii_case(b"inf")
}
