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
        let waited = run
            .report
            .summary
            .wait
            .mean()
            .unwrap_or_default()
            .as_secs_f64()
            / 3_600.0;
        println!(
            "{:10} waited {waited:4.1} h on average, {held:5.0} GPU-hours held idle",
            run.report.platform
        );
    }
    Ok(())
}
