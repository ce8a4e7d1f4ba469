//! GPU jobs of clusters whose nodes had 8 GPUs: a number of GPUs as equal tasks.

use crate::issue::{Notes, Problem};
use crate::number::{COUNT, Quantity};
use crate::table::Cell;

/// GPUs of a node.
const PER_NODE: u64 = 8;

/// GPUs of a job, whole.
pub(crate) const GPU_COUNT: Quantity = Quantity {
    noun: "a count",
    too_large: "a job has at most 1,000,000 GPUs",
    ..COUNT
};

/// A number of GPUs as equal tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) tasks: u32,
    pub(crate) per_task: u16,
    added: u64,
}

/// The tasks of a job with so many GPUs; the row is repaired if they are not equal.
pub(crate) fn gang(cell: Cell<'_>, gpus: u64, notes: &mut Notes) -> Result<Split, Box<Problem>> {
    let Some(split) = split(gpus) else {
        return Err(cell.problem("asks for no GPU", "only GPU jobs are read"));
    };
    if split.added > 0 {
        let Split {
            tasks,
            per_task,
            added,
        } = split;
        let reason = format!(
            "GPUs are not {tasks} equal tasks; each asks for {per_task}, which adds {added}"
        );
        notes.repaired(*cell.problem(reason, ""));
    }
    Ok(split)
}

fn split(gpus: u64) -> Option<Split> {
    if gpus == 0 {
        return None;
    }
    let tasks = gpus.div_ceil(PER_NODE);
    let per_task = gpus.div_ceil(tasks);
    Some(Split {
        tasks: u32::try_from(tasks).ok()?,
        per_task: u16::try_from(per_task).ok()?,
        added: tasks * per_task - gpus,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(gpus: u64, tasks: u32, per_task: u16, added: u64) {
        let expected = Split {
            tasks,
            per_task,
            added,
        };
        assert_eq!(split(gpus), Some(expected), "{gpus} GPUs");
    }

    #[test]
    fn tasks_are_equal_and_fit_a_node() {
        check(1, 1, 1, 0);
        check(7, 1, 7, 0);
        check(8, 1, 8, 0);
        check(9, 2, 5, 1);
        check(12, 2, 6, 0);
        check(17, 3, 6, 1);
        check(152, 19, 8, 0);
        assert_eq!(split(0), None);
        for gpus in 1..2_000 {
            let Split {
                tasks,
                per_task,
                added,
            } = split(gpus).unwrap();
            assert!(per_task <= 8 && added < u64::from(tasks), "{gpus} GPUs");
        }
    }
}
