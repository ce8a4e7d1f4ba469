//! Cases of the family `swf`: logs of supercomputers whose scheduler is known.

use std::path::Path;

use windtunnel_core::{JobList, Names, Platform, RunOptions, Simulation};
use windtunnel_policies::registry;
use windtunnel_traces::SwfReader;
use windtunnel_traces::swf::{Processors, machine};

use super::{Case, Family, Row, Seen};
use crate::error::ExperimentError;

/// KTH's SP2, 1996 and 1997: it ran EASY itself.
const KTH: &str = "KTH-SP2-1996-2.swf.gz";
/// Its processors, by the header.
const KTH_PROCESSORS: u32 = 100;
/// The mean wait in the log \[s\], as published with it.
const KTH_WAIT: f64 = 15_390.0;
/// Half a second, to which the published figure is rounded.
const ROUNDED: f64 = 0.5;
/// Most processors in use at once by the log's own times, which were not taken to the second.
const KTH_IN_USE: u32 = 104;

/// Why nobody can expect the log's wait of a simulator.
const WHY: &str = "it passes if jobs wait no longer than in the log; equality cannot be expected: in the log \
    jobs spend 53 % of their waiting time while as many processors as they need are idle, once \
    nothing ran for 7.6 h while 33 waited, and nearly all waits are whole minutes. Outages, bookings, limits \
    and priorities, which would explain that, are not recorded";

/// Logs in SWF with a published figure.
pub(super) struct SwfFamily;

impl Family for SwfFamily {
    fn name(&self) -> &'static str {
        "swf"
    }

    fn files(&self) -> &'static str {
        KTH
    }

    fn look(&self, folder: &Path, name: &str) -> Result<Seen, ExperimentError> {
        let path = folder.join(KTH);
        if !path.exists() {
            return Ok(Seen::Unknown);
        }
        let (log, case) = (path.clone(), format!("{name}/kth-sp2/replay"));
        let replayed = Case::new(case.clone(), move || Ok(vec![replay(&log, &case)?]));
        let case = format!("{name}/kth-sp2/easy-backfill");
        let easy = Case::new(case.clone(), move || Ok(vec![backfill(&path, &case)?]));
        Ok(Seen::Cases(vec![replayed, easy]))
    }
}

/// What the log says is what comes out, to the second.
fn replay(log: &Path, case: &str) -> Result<Row, ExperimentError> {
    let simulated = mean_wait(log, "replay", KTH_IN_USE)?;
    let distance = (simulated - KTH_WAIT).abs();
    Ok(Row {
        case: case.to_owned(),
        compared: "mean wait of the jobs, each started when the log says".to_owned(),
        real: KTH_WAIT,
        simulated,
        distance,
        pass: distance <= ROUNDED,
        run_to_run: None,
        unit: "s",
        note: format!(
            "equal to the second, on {KTH_IN_USE} processors: so many are in use at once by the log's own \
             times"
        ),
    })
}

/// The scheduler that the machine ran, on the jobs it had.
fn backfill(log: &Path, case: &str) -> Result<Row, ExperimentError> {
    let simulated = mean_wait(log, "easy-backfill", KTH_PROCESSORS)?;
    Ok(Row {
        case: case.to_owned(),
        compared: "mean wait of the jobs under the policy that the machine ran".to_owned(),
        real: KTH_WAIT,
        simulated,
        distance: (simulated - KTH_WAIT).abs(),
        pass: simulated <= KTH_WAIT,
        run_to_run: None,
        unit: "s",
        note: WHY.to_owned(),
    })
}

/// The mean wait of a log under a policy on a machine of rigid processors \[s\].
fn mean_wait(log: &Path, policy: &str, processors: u32) -> Result<f64, ExperimentError> {
    let mut names = Names::default();
    let trace = SwfReader::open(log)?.read_all(&mut names)?;
    let text = policy;
    let policy = registry::policy(text).map_err(|cause| ExperimentError::Policy {
        platform: text.to_owned(),
        cause,
    })?;
    let supply = machine(processors, Processors::Cores)
        .ok_or_else(|| ExperimentError::setting("processors", "a machine has at least one"))?;
    let options = RunOptions::default().without_ledger().names(names);
    let platform = Platform::new(text, policy);
    let report = Simulation::new(supply, JobList::new(trace.jobs), platform, options)?
        .run()
        .map_err(|cause| ExperimentError::Run {
            platform: text.to_owned(),
            seed: 0,
            cause,
        })?;
    let wait = report.summary.wait.mean().unwrap_or_default();
    Ok(wait.as_secs_f64())
}
