//! A policy of one's own among the platforms of a scenario: the same jobs, node failures and prices.
//!
//! `cargo run --release --example compare_my_policy`

use windtunnel::compare::{Difference, ranked};
use windtunnel::core::{Decisions, Fit, News, Policy, View};
use windtunnel::stats::Estimate;
use windtunnel::{ExperimentError, Scenario, Sweep};

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

/// `1.23 ± 0.04`.
fn interval(estimate: Option<Estimate>) -> String {
    estimate.map_or("-".to_owned(), |estimate| {
        let half = estimate.half_width.unwrap_or(f64::NAN);
        format!("{:.2} ± {half:.2}", estimate.mean)
    })
}

fn main() -> Result<(), ExperimentError> {
    let mut scenario = Scenario::campus();
    scenario.run.seeds = vec![1, 2, 3];
    let sweep = Sweep::new(scenario).with_policy("small-first", || Box::new(SmallFirst));
    let comparison = sweep.run()?;
    let figures = ranked(&comparison);
    let best = figures[0].platform;
    println!("platform        $ per useful GPU-hour   more than the best   wait, 95 % [h]");
    for row in &figures {
        let more = Difference::between(&comparison, row.platform, best).per_useful_hour;
        println!(
            "{:14}  {:>21}  {:>19}  {:>15.1}",
            comparison.scenario.platforms[row.platform].name,
            interval(row.per_useful_hour),
            interval(more.filter(|_| row.platform != best)),
            row.wait_p95.map_or(f64::NAN, |wait| wait.mean / 3_600.0),
        );
    }
    Ok(())
}
