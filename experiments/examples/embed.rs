//! Windtunnel as a library: a scenario made in code, a sweep, numbers. No files, no printing inside.
//!
//! `cargo run --release --example embed`

use windtunnel::core::Bucket;
use windtunnel::{ExperimentError, PlatformSpec, Scenario, Sweep};

fn main() -> Result<(), ExperimentError> {
    let mut scenario = Scenario::campus();
    scenario.run.seeds = vec![1, 2, 3];
    scenario.platforms = ["fifo", "first-fit"]
        .map(|policy| PlatformSpec::new(policy, policy))
        .into();
    let comparison = Sweep::new(scenario).run()?;
    for run in &comparison.runs {
        let held = run
            .report
            .ledger
            .as_ref()
            .map_or(0.0, |ledger| ledger.gpu_hours(Bucket::IdleHeld));
        let waited = run.report.summary.wait.mean().unwrap_or_default();
        println!(
            "{:10} waited {waited} on average, held {held:.0} GPU-hours",
            run.report.platform
        );
    }
    Ok(())
}
