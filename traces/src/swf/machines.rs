//! The `.machines` file that the Alea simulator keeps beside a log: the machine, which the log's
//! header may not tell.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use crate::error::{TraceError, TraceErrorKind};
use crate::issue::{Notes, shown};
use crate::number::{COUNT, Quantity};
use crate::table::Cell;

/// One kind of node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// How many nodes.
    pub nodes: u32,
    /// Cores of each.
    pub cores: u32,
}

impl Machine {
    /// Nodes × cores.
    #[must_use]
    pub fn processors(&self) -> u64 {
        u64::from(self.nodes) * u64::from(self.cores)
    }
}

const NAMES: [&str; 6] = ["id", "name", "nodes", "cores", "speed", "memory"];

const CELLS: Quantity = Quantity {
    too_large: "it ends at 1,000,000",
    ..COUNT
};

/// Reads a `.machines` file: id, name, nodes, cores per node, speed and memory, between tabs. Speed
/// and memory, whose unit the files do not say, are not kept.
///
/// # Errors
/// It can't be read, or a line is no machine.
///
/// ```
/// use windtunnel_traces::swf::read_machines;
/// let text = "0\tlarge\t20\t80\t1\t529426432\n1\tsmall\t48\t12\t1\t94035968\n";
/// let machines = read_machines(text.as_bytes(), "log.machines")?;
/// assert_eq!((&*machines[0].name, machines[0].processors()), ("large", 1_600));
/// assert_eq!(machines.iter().map(|m| m.processors()).sum::<u64>(), 2_176);
/// # Ok::<(), windtunnel_traces::TraceError>(())
/// ```
pub fn read_machines<R: Read>(reader: R, file: &str) -> Result<Vec<Machine>, TraceError> {
    let file: Arc<str> = file.into();
    let mut machines = Vec::new();
    let mut lines = 0;
    for line in BufReader::new(reader).lines() {
        let line = line.map_err(|error| TraceError::read(&file, error.into(), lines))?;
        lines += 1;
        if !line.trim().is_empty() {
            machines.push(machine(&line, &file, lines)?);
        }
    }
    if machines.is_empty() {
        return Err(
            TraceError::new(TraceErrorKind::Empty, &file, "it has no machine")
                .with_hint("a line has id, name, nodes, cores, speed and memory, between tabs"),
        );
    }
    Ok(machines)
}

fn machine(line: &str, file: &Arc<str>, number: u64) -> Result<Machine, TraceError> {
    let error = |field: &str, message: String, hint: &str| {
        TraceError::new(TraceErrorKind::Row, file, message)
            .at(number)
            .column(field)
            .with_hint(hint)
    };
    let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
    if cells.len() < 4 {
        let message = format!("`{}` is no machine", shown(line.as_bytes()));
        let hint = "write id, name, nodes, cores, speed and memory, between tabs";
        return Err(error(NAMES[0], message, hint));
    }
    let mut counts = [0; 2];
    for (count, place) in counts.iter_mut().zip([2, 3]) {
        let cell = Cell {
            name: NAMES[place],
            bytes: cells[place].as_bytes(),
        };
        let found = cell.number(&CELLS, &mut Notes::default());
        let found = found.map_err(|problem| {
            let message = format!("`{}` {}", problem.value, problem.reason);
            error(cell.name, message, &problem.hint)
        })?;
        if found == 0 {
            let message = format!("a machine without {}", cell.name);
            return Err(error(cell.name, message, "leave its line out"));
        }
        *count = u32::try_from(found).unwrap_or(u32::MAX);
    }
    let [nodes, cores] = counts;
    Ok(Machine {
        name: cells[1].to_owned(),
        nodes,
        cores,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let error = read_machines(text.as_bytes(), "m").unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn lines_that_are_no_machine_are_named() {
        check(
            "0\ta\t20\t80\t1\t5\n\n1 b 48 12\n",
            "error at m:3, column id: `1 b 48 12` is no machine; hint: write id, name, nodes, cores, speed and memory, between tabs",
        );
        check(
            "0\ta\tmany\t80\n",
            "error at m:1, column nodes: `many` is not a count; hint: write digits and a decimal point",
        );
        check(
            "0\ta\t20\t0\n",
            "error at m:1, column cores: a machine without cores; hint: leave its line out",
        );
        check(
            "\n",
            "error in m: it has no machine; hint: a line has id, name, nodes, cores, speed and memory, between tabs",
        );
    }
}
