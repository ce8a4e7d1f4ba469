//! Why a job can never run, and what it held all the same.

use windtunnel::core::JobRecord;
use windtunnel::explain::Life;
use windtunnel::{Comparison, Scenario};

use super::compare::mean;
use super::words::{count, gpus, rounded, things};

/// Milli-GPU·ns of a GPU-hour.
const GPU_HOUR: f64 = 1_000.0 * 3_600.0 * 1e9;

/// The note on jobs of a comparison that can never run; nothing if there are none.
pub(super) fn note(comparison: &Comparison) -> Option<String> {
    let runs = &comparison.runs;
    let never = runs.iter().map(|run| run.report.summary.never_fit).sum();
    let first = runs.iter().find_map(|run| run.never.first.as_ref())?;
    let jobs = things(&rounded(mean(never, runs.len())), "job");
    let name = first.name.as_deref();
    let name = name.map_or_else(|| first.job.to_string(), str::to_owned);
    let lack = lack(&comparison.scenario, first, None);
    let mut text =
        format!("{jobs} per run can never run (jobs_never_fit); the first is {name}: {lack}");
    let platforms = comparison.scenario.platforms.iter().enumerate();
    let held = platforms.filter_map(|(place, platform)| {
        let runs = comparison.of_platform(place);
        let held: u128 = runs.iter().map(|run| run.never.held).sum();
        let each = hours(held) / runs.len() as f64;
        (held > 0).then(|| format!("{} {}", platform.name, in_hours(each)))
    });
    let held: Vec<String> = held.collect();
    if !held.is_empty() {
        text += &format!("; held in vain per run: {}", held.join(", "));
    }
    Some(text)
}

/// The same of one job whose life is known.
pub(super) fn of_life(scenario: &Scenario, life: &Life) -> String {
    let mut text = lack(scenario, &life.record, Some(&life.pools));
    if life.record.held > 0 {
        let held = in_hours(hours(life.record.held));
        text += &format!("; what fitted of it held {held} in vain");
    }
    text
}

/// What the supply lacks, as far as a record tells; more exactly if its pools are known.
fn lack(scenario: &Scenario, record: &JobRecord, pools: Option<&[usize]>) -> String {
    let tasks = u64::from(record.tasks.max(1));
    let each = record.gpu_milli / tasks;
    let largest = u64::from(scenario.gpus_per_node_max());
    let all = scenario.gpu_count();
    if each > 1_000 * largest {
        let each = gpus(each);
        return format!("a task asks for {each} of one node, and the largest has {largest}");
    }
    if record.gpu_milli > 1_000 * all {
        let asked = gpus(record.gpu_milli);
        return format!("it asks for {asked}, and the cluster has {}", count(all));
    }
    if pools.is_some_and(<[usize]>::is_empty) {
        return "no pool has a GPU model that it accepts".to_owned();
    }
    "no nodes have what it asks for at once: look at its GPU model, cores, memory, and tasks per \
     node"
        .to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn hours(held: u128) -> f64 {
    held as f64 / GPU_HOUR
}

fn in_hours(hours: f64) -> String {
    if hours < 9.95 {
        format!("{hours:.1} GPU-hours")
    } else {
        things(&rounded(hours), "GPU-hour")
    }
}
