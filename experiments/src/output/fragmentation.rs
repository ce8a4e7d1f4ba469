//! `fragmentation.csv`: what was free, and in which shapes, at regular times; `slots.csv`: how many jobs
//! of so many GPUs could be placed within a rack, say.

use std::fmt::Write as _;
use std::io::{self, Write};

use windtunnel_core::fragmentation::{SIZES, SLOTS, SPANS};
use windtunnel_core::{Level, SimTime};

use super::number::{push_micro, push_seconds, push_text, scaled};
use crate::samples::Sample;
use crate::sweep::Comparison;

/// Name of the file.
pub(super) const FILE: &str = "fragmentation.csv";

/// Name of the file of slots.
pub(super) const SLOTS_FILE: &str = "slots.csv";

/// Writes slots: one row per sample and level.
pub(super) fn write_slots(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    let sizes: Vec<String> = SIZES.iter().map(|k| format!("slots_{k}")).collect();
    writeln!(out, "platform,seed,time_s,level,{}", sizes.join(","))?;
    let mut line = String::new();
    for run in &comparison.runs {
        let platform = &comparison.scenario.platforms[run.key.platform];
        let seed = comparison.scenario.run.seeds[run.key.seed];
        for sample in &run.samples {
            for (span, row) in SPANS.iter().zip(&sample.slots.slots) {
                line.clear();
                push_text(&mut line, &platform.name);
                let _ = write!(line, ",{seed},");
                push_seconds(&mut line, sample.at.since(SimTime::ZERO).as_nanos());
                let _ = write!(line, ",{}", span.map_or("all", Level::name));
                for slots in row {
                    let _ = write!(line, ",{slots}");
                }
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}

pub(super) fn write(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    let slots: String = SLOTS.iter().map(|k| format!("slots_{k},")).collect();
    writeln!(
        out,
        "platform,seed,time_s,idle_gpu_milli,{slots}frag_gpu_milli,frag_ratio,stranded_gpu_milli,\
         gar,gfr,mig_compute_blocked,mig_memory_blocked"
    )?;
    let mut line = String::new();
    for run in &comparison.runs {
        let platform = &comparison.scenario.platforms[run.key.platform];
        let mut start = String::new();
        push_text(&mut start, &platform.name);
        let seed = comparison.scenario.run.seeds[run.key.seed];
        let _ = write!(start, ",{seed},");
        for sample in &run.samples {
            line.clear();
            line.push_str(&start);
            row(&mut line, sample);
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

fn row(line: &mut String, sample: &Sample) {
    let (now, left) = (&sample.fragmentation, &sample.slots);
    push_seconds(line, sample.at.since(SimTime::ZERO).as_nanos());
    let _ = write!(line, ",{}", now.idle_milli);
    for slots in now.slots {
        let _ = write!(line, ",{slots}");
    }
    let weight = u128::from(now.weight);
    let idle = u128::from(now.idle_milli);
    for (sum, whole) in [
        (now.fragmented, weight),
        (now.fragmented, weight * idle),
        (now.stranded, weight),
        (left.allocated_milli.into(), left.gpu_milli.into()),
        (left.partly.into(), left.nodes.into()),
    ] {
        line.push(',');
        if let Some(millionths) = scaled(sum, 1_000_000, whole) {
            push_micro(line, millionths);
        }
    }
    let blocked = &sample.blocked;
    for slices in [blocked.compute, blocked.memory] {
        line.push(',');
        if blocked.gpus > 0 {
            let _ = write!(line, "{slices}");
        }
    }
}
