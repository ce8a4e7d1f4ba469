//! `windtunnel behaviours`: how kinds of jobs use their GPUs.

use std::path::Path;

use windtunnel::{Behaviours, ExperimentError, Profile};

use super::Verdict;
use super::page::{paragraph, print};

pub(super) fn command(file: Option<&Path>) -> Result<Verdict, ExperimentError> {
    let behaviours = match file {
        Some(file) => Behaviours::with_file(file)?,
        None => Behaviours::embedded(),
    };
    let mut out = String::new();
    for profile in behaviours.profiles() {
        out += &format!("{}\n", profile.name);
        paragraph(&mut out, &summary(profile), 4);
        let source = format!("{} ({})", profile.source, profile.verification);
        paragraph(&mut out, &source, 8);
    }
    out.push('\n');
    let how = "In a scenario: mix = [[\"NAME\", WEIGHT], ...] under [behaviours]; in a native table: the \
               column `behaviour`.";
    paragraph(&mut out, how, 0);
    print(&out);
    Ok(Verdict::Fine)
}

/// What it is, as far as it is not at its plainest.
fn summary(profile: &Profile) -> String {
    let mut parts = Vec::new();
    let mut figure = |name: &str, value: f64, plain: f64, unit: &str| {
        if (value - plain).abs() > 0.0 {
            parts.push(format!("{name} {value}{unit}"));
        }
    };
    figure("compute", profile.compute_use, 1.0, "");
    figure("bandwidth", profile.bandwidth_use, 0.0, "");
    figure("memory", profile.gpu_memory_gib, 0.0, " GiB");
    figure("far cores", -profile.host_loss, 0.0, "");
    let speeds = profile.gpu_speeds.iter();
    let speeds: Vec<String> = speeds
        .map(|(model, speed)| format!("{model} {speed}"))
        .collect();
    if !speeds.is_empty() {
        parts.push(format!("speed {}", speeds.join(" ")));
    }
    if let Some(step) = &profile.step {
        let compute = step.pass_ms + step.pass_ms_per_sample * f64::from(step.batch);
        let passes = match step.accumulate {
            0 => String::new(),
            more => format!("{} x ", u64::from(more) + 1),
        };
        parts.push(format!("steps of {passes}{compute:.0} ms"));
    }
    if let Some(all_reduce) = &profile.all_reduce {
        parts.push(format!("all-reduce of {} MB", all_reduce.mb));
    }
    if profile.fitted.is_some() {
        parts.push("fitted exchange".to_owned());
    }
    if let Some(loss) = &profile.loss {
        let losses = [
            ("islands", loss.islands),
            ("sockets", loss.sockets),
            ("nodes", loss.nodes),
            ("racks", loss.racks),
        ];
        let given = losses.iter().filter(|(_, loss)| *loss > 0.0);
        let given: Vec<String> = given.map(|(by, loss)| format!("{by} -{loss}")).collect();
        parts.push(format!("across {}", given.join(" ")));
    }
    if let Some(cycle) = &profile.cycle {
        let phases = cycle.phases.iter();
        let phases: Vec<String> = phases
            .map(|(length, duty)| format!("{length} at {duty}"))
            .collect();
        parts.push(format!("phases of {}", phases.join(", ")));
    }
    if profile.curve.is_some() {
        parts.push("scaling curve".to_owned());
    }
    if profile.efficiency.is_some() {
        parts.push("worth of its batch".to_owned());
    }
    if parts.is_empty() {
        return "busy all the time, as fast anywhere".to_owned();
    }
    parts.join("; ")
}
