//! What the author of a broken policy is told: which job, which node, what was free there.

use windtunnel_core::{
    Bytes, Claim, Commit, Decisions, GpuModelId, JobList, JobSpec, MilliCores, News, NodeId,
    NodeModel, Policy, PoolSpec, RunOptions, SimDuration, SimTime, Simulation, Spot, Supply,
    TaskRequest, View,
};

/// Does what it is told, right or wrong.
#[derive(Clone, Debug)]
struct Bad(fn(&View<'_>, &mut Decisions));

impl Policy for Bad {
    fn name(&self) -> &str {
        "bad"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        (self.0)(view, out);
    }
}

fn on(nodes: &[u32]) -> impl Iterator<Item = Spot> {
    nodes.iter().map(|node| Spot::from(NodeId(*node)))
}

/// The error of a run: nodes 0 and 1 have 8 GPUs and 16 cores, node 2 has 8 of another model; job 0
/// needs 2 × 4 GPUs and comes at 0 s, job 1 needs 8 and comes at 10 s.
fn told(jobs: Vec<JobSpec>, decide: fn(&View<'_>, &mut Decisions)) -> String {
    let node = |model| {
        NodeModel::gpus_only(model, 8)
            .with_cores(16)
            .with_memory(Bytes::gib(64))
    };
    let supply = Supply::new(vec![
        PoolSpec::owned("a", node("h100"), 2),
        PoolSpec::owned("b", node("a100"), 1),
    ]);
    let jobs = JobList::new(jobs);
    let run = Simulation::new(supply, jobs, Bad(decide), RunOptions::default()).unwrap();
    run.run().unwrap_err().to_string()
}

fn job(at: u64, tasks: u32, request: TaskRequest) -> JobSpec {
    let hour = SimDuration::from_hours(1);
    JobSpec::new(SimTime::from_secs(at), request, hour).tasks(tasks)
}

fn two_jobs() -> Vec<JobSpec> {
    vec![
        job(0, 2, TaskRequest::gpus(4)),
        job(10, 1, TaskRequest::gpus(8)),
    ]
}

#[test]
fn a_node_that_is_too_full() {
    let text = told(two_jobs(), |view, out| {
        for job in view.pending_jobs() {
            match job.job_id().0 {
                0 => out.place(job.id(), on(&[0, 1])),
                _ => out.place(job.id(), on(&[0])),
            }
        }
    });
    let expected =
        "at 10s, policy `bad` placed job-1 (1 x 8 GPUs) on node 0, which has 4 of 8 GPUs free";
    assert_eq!(text, expected);
}

#[test]
fn a_node_that_is_too_full_for_all_of_them() {
    let three = vec![job(0, 3, TaskRequest::gpus(4))];
    let text = told(three, |view, out| {
        for job in view.pending_jobs() {
            out.place(job.id(), on(&[1, 1, 1]));
        }
    });
    let expected = "at 0s, policy `bad` placed job-0 (3 x 4 GPUs) on nodes 1, 1, 1: node 1 has 8 of 8 \
                    GPUs free for 3 tasks";
    assert_eq!(text, expected);
}

#[test]
fn a_node_without_the_cores_or_the_memory() {
    let place: fn(&View<'_>, &mut Decisions) = |view, out| {
        for job in view.pending_jobs() {
            out.place(job.id(), on(&[0]));
        }
    };
    let mut request = TaskRequest::gpus(1);
    request.cpu = MilliCores(16_500);
    let expected = "at 0s, policy `bad` placed job-0 (1 x 1 GPU) on node 0, which has 16 of 16 cores free \
                    (16.5 asked)";
    assert_eq!(told(vec![job(0, 1, request)], place), expected);
    let mut request = TaskRequest::gpus(0);
    request.memory = Bytes::gib(65);
    let expected = "at 0s, policy `bad` placed job-0 (1 x 0 cores) on node 0, which has 64.0 of 64.0 GiB \
                    free (65.0 asked)";
    assert_eq!(told(vec![job(0, 1, request)], place), expected);
}

#[test]
fn a_job_that_is_placed_twice() {
    let text = told(two_jobs(), |view, out| {
        for job in view.pending_jobs() {
            out.place(job.id(), on(&[0, 0]));
            out.place(job.id(), on(&[1, 1]));
        }
    });
    let expected = "at 0s, policy `bad` placed job-0 (2 x 4 GPUs) on nodes 1, 1: all its tasks are bound \
                    already";
    assert_eq!(text, expected);
    let text = told(two_jobs(), |view, out| {
        for job in view.pending_jobs() {
            for _ in 0..2 {
                out.place_as(job.id(), on(&[0, 1]), Commit::Reserve, Claim::Sure, None);
            }
        }
    });
    let expected = "at 0s, policy `bad` placed job-0 (2 x 4 GPUs) on nodes 0, 1: none of its tasks is \
                    pending (they are reserved)";
    assert_eq!(text, expected);
}

#[test]
fn a_node_that_does_not_exist_or_has_the_wrong_model() {
    let text = told(two_jobs(), |view, out| {
        for job in view.pending_jobs() {
            out.place(job.id(), on(&[0, 99]));
        }
    });
    let expected = "at 0s, policy `bad` placed job-0 (2 x 4 GPUs) on nodes 0, 99: there is no such node \
                    in this scheduler's pools";
    assert_eq!(text, expected);
    let mut request = TaskRequest::gpus(1);
    request.models = 1 << GpuModelId(0).0;
    let text = told(vec![job(0, 1, request)], |view, out| {
        for job in view.pending_jobs() {
            out.place(job.id(), on(&[2]));
        }
    });
    let expected = "at 0s, policy `bad` placed job-0 (1 x 1 GPU) on node 2: the job does not accept the \
                    GPU model of that node";
    assert_eq!(text, expected);
}

#[test]
fn a_wrong_number_of_spots_and_a_wake_up_in_the_past() {
    let text = told(two_jobs(), |view, out| {
        for job in view.pending_jobs() {
            out.place(job.id(), on(&[0]));
        }
    });
    let expected = "at 0s, policy `bad` placed job-0 (2 x 4 GPUs) on node 0: 1 spots for 2 tasks";
    assert_eq!(text, expected);
    let text = told(two_jobs(), |view, out| {
        if view.now() > SimTime::ZERO {
            out.wake_at(SimTime::from_secs(1));
        }
    });
    let expected = "at 10s, policy `bad` asked for a wake-up at 1s, which is in the past (now 10s)";
    assert_eq!(text, expected);
}
