//! A policy of one's own in one screen, run against two built-in ones.
//!
//! Nodes do not fail here, as they do in the scenario `campus`: figures differ from `windtunnel
//! compare`'s.
//!
//! `cargo run --release -p windtunnel-policies --example my_policy`

use windtunnel_core::{
    Bytes, Decisions, Fit, JobList, Names, News, NodeModel, Policy, RunOptions, SimDuration,
    Simulation, Supply, View, rng::Seed,
};
use windtunnel_policies::policy;
use windtunnel_traces::synthetic::Synthetic;

/// Small jobs first; among equals, the one that was submitted first.
#[derive(Clone, Debug)]
struct SmallFirst;

impl Policy for SmallFirst {
    fn name(&self) -> &str {
        "small-first"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        let mut jobs: Vec<_> = view.pending_jobs().collect();
        jobs.sort_by_key(|job| (job.gpu_milli(), job.job_id())); // every order ends with an id
        let mut plan = view.plan(); // what-if overlay on the free capacity
        for job in jobs {
            match plan.first_fit(job) {
                Fit::Now(spots) => out.place(job.id(), spots),
                Fit::Never => out.reject(job.id()),
                Fit::NotNow => {} // try the next one
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut names = Names::default();
    let jobs = Synthetic::campus().generate(Seed(1), &mut names)?; // 30 days, load 0.9
    let node = NodeModel::gpus_only("h100", 8)
        .with_cores(128)
        .with_memory(Bytes::gib(1_024));
    let policies: [Box<dyn Policy>; 3] = [
        Box::new(SmallFirst),
        policy("fifo")?,
        policy("kube-default")?,
    ];

    println!(
        "policy         mean wait    p95 wait   GPUs allocated   GPU-hours held by half gangs"
    );
    for policy in policies {
        let name = policy.name().to_owned();
        let supply = Supply::uniform(node.clone(), 38);
        let options = RunOptions::default()
            .seed(Seed(1))
            .names(names.clone())
            .horizon(SimDuration::from_days(30));
        let report = Simulation::new(supply, JobList::new(jobs.clone()), policy, options)?.run()?;

        let hours =
            |wait: Option<SimDuration>| wait.map_or(0.0, |wait| wait.as_secs_f64() / 3_600.0);
        let ledger = report
            .ledger
            .as_ref()
            .ok_or("the ledger is on by default")?;
        println!(
            "{name:<12} {:>9.1} h {:>9.1} h {:>14.1} % {:>30.0}",
            hours(report.summary.wait.mean()),
            hours(report.summary.wait.quantile(0.95)),
            100.0 * report.gpu_allocation().unwrap_or(0.0),
            ledger.gpu_seconds(windtunnel_core::Bucket::AllocatedWaiting) as f64 / 3_600.0,
        );
    }
    Ok(())
}
