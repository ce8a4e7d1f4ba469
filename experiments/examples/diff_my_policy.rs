//! A policy of one's own against a built-in one: where do they part, and what followed?
//!
//! Nodes do not fail here, as they do in the scenario `campus`: figures differ from `compare`'s.
//!
//! `cargo run --release --example diff_my_policy`

use windtunnel::core::{
    Bytes, Decisions, Fit, JobList, Names, News, NodeModel, Policy, RunOptions, SimDuration,
    Simulation, Supply, View, rng::Seed,
};
use windtunnel::diff::diff;
use windtunnel::policies::policy;
use windtunnel::traces::synthetic::Synthetic;

/// Small jobs first; among equals, the one that was submitted first.
#[derive(Clone, Debug)]
struct SmallFirst;

impl Policy for SmallFirst {
    fn name(&self) -> &str {
        "small-first"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        let mut jobs: Vec<_> = view.pending_jobs().collect();
        jobs.sort_by_key(|job| (job.gpu_milli(), job.job_id()));
        let mut plan = view.plan();
        for job in jobs {
            match plan.first_fit(job) {
                Fit::Now(spots) => out.place(job.id(), spots),
                Fit::Never => out.reject(job.id()),
                Fit::NotNow => {}
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut names = Names::default();
    let jobs = JobList::new(Synthetic::campus().generate(Seed(1), &mut names)?);
    let node = NodeModel::gpus_only("h100", 8)
        .with_cores(128)
        .with_memory(Bytes::gib(1_024));
    let supply = Supply::uniform(node, 38);
    let options = RunOptions::default()
        .seed(Seed(1))
        .names(names)
        .horizon(SimDuration::from_days(30));
    let run = |policy: Box<dyn Policy>| {
        Simulation::new(supply.clone(), jobs.clone(), policy, options.clone())
    };
    let theirs = std::env::args().nth(1).unwrap_or("fifo".to_owned());
    let found = diff(run(Box::new(SmallFirst))?, run(policy(&theirs)?)?)?;
    print!("{found}");
    Ok(())
}
