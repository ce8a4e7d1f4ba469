//! Fill a cluster with pods that never leave.

use rand::RngExt;
use windtunnel_core::rng::{Purpose, Seed, stream};
use windtunnel_core::{JobSpec, SimDuration, SimTime, Work};

/// Submits pods one by one, none of which ever ends, until so much of a cluster has been asked for.
///
/// # Rule
/// 1. Pods are sorted by name and shuffled (Fisher-Yates).
/// 2. If they ask for more than `percent` of the GPUs: uniformly random pods are left out until they
///    do not.
/// 3. Otherwise clones of uniformly random pods (with replacement), named `NAME-tuned-I`, are appended.
///    The first whose GPU thousandths *per GPU* would exceed the target is left out, and ends it.
/// 4. Pod *i* is submitted at *i* × `interval`. A run to the drain ends with the last.
///
/// # Differences
/// The shuffle and the clones are drawn from our own keyed streams, so a seed gives another sequence
/// than in the original. The original tries each pod once; ours stay pending, which comes to the same,
/// since capacity is never freed. It also permutes the order of nodes by seed; ours is the list's.
///
/// # Reference
/// Artefact of Weng et al., USENIX ATC 2023: `hkust-adsl/kubernetes-scheduler-simulator`, tuning ratio
/// 1.3. That a clone counts per GPU where the stop is decided is a quirk of the original.
///
/// # Examples
/// ```
/// use windtunnel_core::{JobSpec, SimDuration, SimTime, TaskRequest, Work, rng::Seed};
/// use windtunnel_traces::openb::Fill;
/// let pod = |name, gpus| {
///     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), SimDuration::ZERO).named(name)
/// };
/// let jobs = Fill::new(10_000).generate(Seed(1), vec![pod("b", 2), pod("a", 1)]);
/// let asked: u64 = jobs.iter().map(|job| job.request.gpu_milli()).sum();
/// assert!((12_000..=14_000).contains(&asked), "130 % of ten GPUs, or one pod less");
/// assert!(jobs.iter().all(|job| job.profile.work == Work::Endless));
/// assert_eq!(jobs[2].submit, SimTime::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// GPUs of the cluster \[thousandths\].
    pub gpu_milli: u64,
    /// How much of them to ask for \[%\].
    pub percent: u32,
    /// Time between two pods.
    pub interval: SimDuration,
}

impl Fill {
    /// The paper's: 130 % of a cluster of so many thousandths of GPUs; a pod every second.
    #[must_use]
    pub const fn new(gpu_milli: u64) -> Self {
        Self {
            gpu_milli,
            percent: 130,
            interval: SimDuration::from_secs(1),
        }
    }

    /// The pods of one seed, in order of submission. Without a pod that asks for GPUs there are no
    /// clones.
    #[must_use]
    pub fn generate(&self, seed: Seed, mut pods: Vec<JobSpec>) -> Vec<JobSpec> {
        pods.sort_by(|a, b| name(a).cmp(name(b)));
        let mut rng = stream(seed, Purpose::Arrivals, 0, 0);
        for last in (1..pods.len()).rev() {
            pods.swap(last, rng.random_range(0..=last));
        }
        let target = u128::from(self.gpu_milli) * u128::from(self.percent);
        let exceeds = |milli: u64| u128::from(milli) * 100 > target;
        let total: u64 = pods.iter().map(|pod| pod.request.gpu_milli()).sum();
        if exceeds(total) {
            leave_out(seed, &mut pods, total, exceeds);
        } else if total > 0 {
            add_clones(seed, &mut pods, total, exceeds);
        }
        let mut at = SimTime::ZERO;
        for pod in &mut pods {
            pod.submit = at;
            pod.profile.work = Work::Endless;
            pod.profile.recorded = None;
            at = at.saturating_add(self.interval);
        }
        pods
    }
}

fn name(pod: &JobSpec) -> &str {
    pod.name.as_deref().unwrap_or("")
}

/// Leaves random pods out until the rest asks for no more than the target.
fn leave_out(seed: Seed, pods: &mut Vec<JobSpec>, mut total: u64, exceeds: impl Fn(u64) -> bool) {
    let mut rng = stream(seed, Purpose::Jobs, 0, 0);
    let mut left: Vec<usize> = (0..pods.len()).collect();
    let mut gone = vec![false; pods.len()];
    while exceeds(total) && !left.is_empty() {
        let pod = left.swap_remove(rng.random_range(0..left.len()));
        gone[pod] = true;
        total -= pods[pod].request.gpu_milli();
    }
    let mut gone = gone.into_iter();
    pods.retain(|_| gone.next() != Some(true));
}

/// Appends clones of random pods up to the target.
fn add_clones(seed: Seed, pods: &mut Vec<JobSpec>, mut total: u64, exceeds: impl Fn(u64) -> bool) {
    let originals = pods.len();
    let mut rng = stream(seed, Purpose::Jobs, 0, 0);
    for number in 0_u64.. {
        let mut clone = pods[rng.random_range(0..originals)].clone();
        let gpus = clone.request.groups[0].request.gpus;
        let each = gpus.milli().checked_div(gpus.devices()).unwrap_or(0);
        if exceeds(total + u64::from(each)) {
            break;
        }
        total += clone.request.gpu_milli();
        let name = format!("{}-tuned-{number}", name(&clone));
        clone.name = Some((&*name).into());
        pods.push(clone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windtunnel_core::TaskRequest;

    fn pods(gpus: &[u16]) -> Vec<JobSpec> {
        let pod = |(gpus, number): (&u16, u32)| {
            let request = TaskRequest::gpus(*gpus);
            JobSpec::new(SimTime::ZERO, request, SimDuration::ZERO).named(&format!("p{number}"))
        };
        gpus.iter().zip(0..).map(pod).collect()
    }

    fn names(jobs: &[JobSpec]) -> Vec<&str> {
        jobs.iter().map(name).collect()
    }

    #[test]
    fn draws_stay_what_they_are() {
        let jobs = Fill::new(6_000).generate(Seed(42), pods(&[1, 2, 0, 1]));
        let order = ["p1", "p2", "p3", "p0"];
        let clones = ["p2-tuned-0", "p0-tuned-1", "p3-tuned-2", "p0-tuned-3"];
        assert_eq!(names(&jobs), [order, clones].concat());
        let mut reversed = pods(&[1, 2, 0, 1]);
        reversed.reverse();
        let again = Fill::new(6_000).generate(Seed(42), reversed);
        assert_eq!(
            names(&again),
            names(&jobs),
            "the order of the file plays no part"
        );
    }

    #[test]
    fn too_many_pods_are_left_out_at_random() {
        let jobs = Fill::new(2_000).generate(Seed(1), pods(&[1; 20]));
        assert_eq!(jobs.len(), 2, "2.6 GPUs");
        let other = Fill::new(2_000).generate(Seed(2), pods(&[1; 20]));
        assert_ne!(names(&jobs), names(&other));
    }

    #[test]
    fn the_stop_counts_a_clone_per_gpu() {
        // 13 GPUs are the target. Clones are added at 12 still, since one more per GPU is 13.
        let jobs = Fill::new(10_000).generate(Seed(1), pods(&[4]));
        assert_eq!(jobs.len(), 4, "16 GPUs: four times four");
    }

    #[test]
    fn nothing_to_clone() {
        assert_eq!(Fill::new(1_000).generate(Seed(1), pods(&[0, 0])).len(), 2);
        assert_eq!(Fill::new(1_000).generate(Seed(1), Vec::new()).len(), 0);
    }
}
