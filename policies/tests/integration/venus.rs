//! The first 10,000 jobs of a real trace under every policy, where there is hardly any queue and
//! where there is a long one. The public data is not in the repository; `.ci/run` replays all of it.

use std::io::Write;
use std::path::PathBuf;

use windtunnel_core::{
    Bucket, JobList, JobLog, JobSpec, Names, NodeModel, RunOptions, Simulation, Supply,
};
use windtunnel_policies::{known, policy};
use windtunnel_traces::HeliosReader;

const ROWS: usize = 10_000;

/// The first rows of Venus; `None`, visibly, where the data is missing and need not be there.
fn venus() -> Option<JobList> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/traces/helios-venus/venus_gpu_jobs.csv.gz");
    if !path.exists() {
        let ci = std::env::vars().any(|(key, value)| key == "CI" && value == "true");
        assert!(
            !ci,
            "CI needs the public traces beside the project: {}",
            path.display()
        );
        // Not through `eprintln`, which tests that pass keep to themselves.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: the public traces are not beside the project ({})",
            path.display()
        );
        return None;
    }
    let reader = HeliosReader::open(&path).unwrap();
    let loaded = reader.read_all(&mut Names::default()).unwrap();
    let counts = loaded.counts;
    assert_eq!(
        counts.rows_read,
        counts.jobs + counts.dropped,
        "a row is a job or an issue"
    );
    assert_eq!((counts.rows_read, counts.dropped), (77_574, 0));
    let jobs: Vec<JobSpec> = loaded.jobs.into_iter().take(ROWS).collect();
    Some(JobList::new(jobs))
}

#[test]
fn every_policy_replays_venus() {
    let Some(jobs) = venus() else { return };
    for info in known() {
        for nodes in [133, 72] {
            let name = format!("{} on {nodes} nodes", info.name);
            let run = |options: RunOptions, log: &mut JobLog| {
                let supply = Supply::uniform(NodeModel::gpus_only("v100", 8), nodes);
                let policy = policy(info.name).unwrap();
                Simulation::new(supply, jobs.clone(), policy, options)
                    .unwrap()
                    .run_with(log)
                    .unwrap()
            };
            let mut log = JobLog::default();
            let report = run(RunOptions::default(), &mut log);
            let summary = &report.summary;
            assert_eq!(summary.submitted, ROWS as u64, "{name}");
            assert_eq!(
                summary.completed() + summary.unfinished,
                ROWS as u64,
                "{name}"
            );
            assert_eq!((summary.never_fit, log.records.len()), (0, ROWS), "{name}");
            let ledger = report.ledger.as_ref().unwrap();
            // Nothing is lost and nothing saved: useful is exactly what the jobs did.
            let useful: u128 = log.records.iter().map(|record| record.useful).sum();
            assert_eq!(ledger.amount(Bucket::AllocatedUseful), useful, "{name}");
            let length = u128::from(report.end.as_nanos());
            assert_eq!(
                ledger.paid(),
                length * u128::from(nodes) * 8 * 1_000 * 1_000_000,
                "{name}"
            );
            let bare = run(
                RunOptions::default().without_ledger(),
                &mut JobLog::default(),
            );
            assert_eq!(
                bare.digest, report.digest,
                "{name}: the ledger changed something"
            );
        }
    }
}
