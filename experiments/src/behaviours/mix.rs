//! Gives behaviours to the jobs of a stream, by weight.

use std::sync::Arc;

use windtunnel_core::rng::{Purpose, Seed, stream};
use windtunnel_core::{ArrivalError, Arrivals, Behaviour, JobSpec, Names, NotForkable};

/// Behaviours and their weights.
pub(crate) type Weighted = Arc<[(Arc<Behaviour>, u32)]>;

/// What the draws are for: [`Purpose::Custom`] of this number.
const DRAWS: u32 = 0x0BE4_A0E5;

/// Jobs as another stream yields them, each with a behaviour.
///
/// Which one is drawn by seed and the job's place in the stream, so that it is the same on every
/// platform. Jobs without GPUs, and jobs that have a behaviour, keep what they have. O(mix) per job.
pub(crate) struct Behaving {
    jobs: Box<dyn Arrivals>,
    mix: Weighted,
    total: u64,
    seed: Seed,
    next: u64,
}

impl Behaving {
    pub(crate) fn new(jobs: Box<dyn Arrivals>, mix: Weighted, seed: Seed) -> Self {
        let total = mix.iter().map(|(_, weight)| u64::from(*weight)).sum();
        Self {
            jobs,
            mix,
            total,
            seed,
            next: 0,
        }
    }

    fn draw(&self) -> Option<&Arc<Behaviour>> {
        let word = match self.mix.len() {
            1 => 0,
            _ => stream(self.seed, Purpose::Custom(DRAWS), 0, self.next).next_word(),
        };
        let mut place = (u128::from(word) * u128::from(self.total)) >> 64;
        let mut mix = self.mix.iter();
        mix.find_map(
            |(behaviour, weight)| match place.checked_sub(u128::from(*weight)) {
                None => Some(behaviour),
                Some(rest) => {
                    place = rest;
                    None
                }
            },
        )
    }
}

impl Arrivals for Behaving {
    fn next(&mut self, names: &mut Names) -> Option<Result<JobSpec, ArrivalError>> {
        let job = self.jobs.next(names)?;
        Some(job.map(|mut job| {
            if job.profile.behaviour.is_none() && job.request.gpu_milli() > 0 {
                job.profile.behaviour = self.draw().cloned();
            }
            self.next += 1;
            job
        }))
    }

    fn fork(&self) -> Result<Box<dyn Arrivals>, NotForkable> {
        Ok(Box::new(Self {
            jobs: self.jobs.fork()?,
            mix: Arc::clone(&self.mix),
            ..*self
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windtunnel_core::{JobList, SimDuration, SimTime, TaskRequest};

    #[test]
    fn weights_are_kept_and_draws_are_by_place() {
        let job = |gpus| {
            JobSpec::new(
                SimTime::ZERO,
                TaskRequest::gpus(gpus),
                SimDuration::from_secs(1),
            )
        };
        let jobs = JobList::new((0..10_000).map(|n| job(u16::from(n % 10 != 0))).collect());
        let mix: Arc<[_]> = Arc::from(
            [("a", 3), ("b", 1), ("c", 0)]
                .map(|(name, weight)| (Arc::new(Behaviour::new(name)), weight)),
        );
        let all = |seed| {
            let mut jobs = Behaving::new(Box::new(jobs.clone()), Arc::clone(&mix), Seed(seed));
            let mut names = Names::default();
            let mut drawn = Vec::new();
            while let Some(job) = jobs.next(&mut names) {
                let behaviour = job.unwrap().profile.behaviour;
                drawn.push(behaviour.map_or(String::new(), |b| b.name.clone()));
            }
            drawn
        };
        let drawn = all(1);
        let count = |name: &str| drawn.iter().filter(|drawn| *drawn == name).count();
        assert_eq!(count(""), 1_000, "jobs without GPUs have none");
        assert!((6_600..6_900).contains(&count("a")), "{}", count("a"));
        assert_eq!(count("c"), 0);
        assert_eq!(drawn, all(1));
        assert_ne!(drawn, all(2));
    }
}
