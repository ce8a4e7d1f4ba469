//! Instances (MIG): who must wait until one is made, and whom they do not concern. What becomes of those
//! who come after somebody whose memory does not suffice.

use std::sync::Arc;

use crate::support::{FirstFit, at, nodes, run, secs};
use windtunnel_core::{
    Batch, Behaviour, Bytes, Claim, Commit, Decisions, DeviceSet, Fault, Fit, GpuRequest, JobLog,
    JobSpec, Keeps, ListedFaults, MigTable, News, NodeId, NodeModel, Outcome, Platform, Policy,
    PoolId, Save, Sharing, SimDuration, Spot, Supply, TaskGroup, TaskRequest, TaskState, Then,
    View,
};

const MIG: Sharing = Sharing::Mig(MigTable::A100x80);

/// As much of a GPU as a 3g has: three sevenths.
fn part(submit: u64, run: u64) -> JobSpec {
    JobSpec::new(at(submit), TaskRequest::gpu_milli(428), secs(run))
}

fn ends(log: &JobLog) -> Vec<u64> {
    let mut records: Vec<_> = log.records.iter().collect();
    records.sort_by_key(|record| record.job);
    let end = |record: &&windtunnel_core::JobRecord| record.end.as_nanos() / 1_000_000_000;
    records.iter().map(end).collect()
}

/// A gang of a whole GPU and a task beside it that asks for none: 5 s for the instance, then 10 s at
/// full speed, as no instance is smaller than what either has to do.
#[test]
fn who_has_no_gpu_is_not_slowed_by_instances() {
    let mut gang = JobSpec::new(at(0), TaskRequest::gpus(1), secs(10));
    let beside = TaskRequest {
        gpus: GpuRequest::None,
        ..TaskRequest::gpus(1)
    };
    let groups = [TaskRequest::gpus(1), beside].map(|request| TaskGroup::new(request, 1));
    gang.request.groups = groups.to_vec().into();
    let gang = gang.behaviour(Arc::new(Behaviour::new("busy")));
    let platform = Platform::new("mig", FirstFit).sharing(MIG);
    let (_, log) = run(nodes(1, 1), vec![gang], platform, 100);
    assert_eq!(ends(&log), [15]);
}

/// Tries a gang of two once on the first node, where there is one GPU; what else waits goes where it fits.
#[derive(Clone, Debug, Default)]
struct TriesGangs {
    tried: bool,
}

impl Policy for TriesGangs {
    fn name(&self) -> &str {
        "tries-gangs"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        let mut gangs = view.pending_jobs().filter(|job| job.tasks().count() == 2);
        if let Some(job) = gangs.next().filter(|_| !self.tried) {
            self.tried = true;
            let spots = [Spot::from(NodeId(0)); 2];
            out.place_as(job.id(), spots, Commit::NOW, Claim::Try, None);
        }
        let mut plan = view.plan();
        for job in view.pending_jobs().filter(|job| job.tasks().count() == 1) {
            if let Fit::Now(spots) = plan.first_fit(job) {
                out.place(job.id(), spots);
            }
        }
    }
}

/// a's instance is made by 5, and it runs until 15. At 16 a gang of two whole GPUs is refused, as there is
/// only one: its first task would have had all slices, but nothing was made. So c finds a's instance.
#[test]
fn who_is_refused_makes_no_instance() {
    let gang = JobSpec::new(at(16), TaskRequest::gpus(1), secs(10)).tasks(2);
    let jobs = vec![part(0, 10), gang, part(20, 10)];
    let platform = Platform::new("mig", TriesGangs::default()).sharing(MIG);
    let (_, log) = run(nodes(2, 1), jobs, platform, 40);
    let records: Vec<_> = log.records.iter().filter(|r| r.outcome.is_some()).collect();
    let ends: Vec<_> = records.iter().map(|record| record.end).collect();
    assert_eq!(ends, [at(15), at(30)], "the gang never starts");
}

/// The same instance is there at 20, and is not any more at 60: the node was down from 40 to 50.
#[test]
fn instances_do_not_outlive_a_reboot() {
    let jobs = vec![part(0, 10), part(20, 10), part(60, 10)];
    let faults = ListedFaults::new(vec![(PoolId(0), 0, Fault::node(at(40), secs(10)))]);
    let platform = Platform::new("mig", FirstFit).sharing(MIG);
    let (_, log) = run(nodes(1, 1).with_faults(faults), jobs, platform, 100);
    assert_eq!(ends(&log), [15, 30, 75]);
}

/// Starts the first job at 0 and suspends it at 15, in memory, for the second one; takes it back at 25, ends
/// that start at 27, and places it again.
#[derive(Clone, Debug)]
struct BackAndForth;

impl Policy for BackAndForth {
    fn name(&self) -> &str {
        "back-and-forth"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        let here = view.node(NodeId(0)).tasks();
        let here: Vec<_> = here.filter_map(|task| view.job(task.id().job)).collect();
        let all = || view.pending_jobs().chain(here.iter().copied());
        let job = |id: u32| all().find(|job| job.job_id().0 == id);
        let place = |id: u32, out: &mut Decisions| {
            if let Some(job) = job(id)
                && let Fit::Now(spots) = view.plan().first_fit(job)
            {
                out.place(job.id(), spots);
            }
        };
        for second in [15, 25, 27] {
            if view.now() < at(second) {
                out.wake_at(at(second));
                break;
            }
        }
        let keeps = Keeps::Memory;
        match (view.now().as_nanos() / 1_000_000_000, job(0)) {
            (0, _) => place(0, out),
            (15, Some(job)) if job.tasks_in(TaskState::Running) == 1 => {
                out.evict(
                    job.id(),
                    SimDuration::ZERO,
                    Save::No,
                    Then::Suspend { keeps },
                );
                out.wake_at(at(15));
            }
            (15, _) => place(1, out),
            (25, Some(job)) if job.tasks_in(TaskState::Suspended) == 1 => out.resume(job.id()),
            (27, Some(job)) if job.tasks_in(TaskState::Starting) == 1 => {
                let then = Then::Requeue { not_before: None };
                out.evict(job.id(), SimDuration::ZERO, Save::No, then);
                out.wake_at(at(27));
            }
            (27, _) => place(0, out),
            _ => {}
        }
    }
}

/// a's instance is made by 5, and it does 10 s until 15. b has the whole GPU until 25: 5 s for its
/// instance, then 5 s. a is back with its 10 s, but its instance is to be made again, and at 27, before
/// that is over, it is evicted without a save. What it kept in memory is gone: it does all of its 100 s
/// from 27, on the instance that was made for it.
#[test]
fn who_is_evicted_on_the_way_back_has_lost_what_it_kept() {
    let whole = JobSpec::new(at(0), TaskRequest::gpus(1), secs(5));
    let platform = Platform::new("mig", BackAndForth).sharing(MIG);
    let (_, log) = run(nodes(1, 1), vec![part(0, 100), whole], platform, 200);
    assert_eq!(ends(&log), [127, 25]);
    // 428 thousandths for 10 s.
    assert_eq!(log.records[1].lost, 428 * 1_000_000 * 10_000_000_000);
}

/// Places everything at once where it fits: the first job on the second GPU, those after it where the
/// agent puts them, the last on the first GPU, as its plan has that one free.
#[derive(Clone, Debug)]
struct AllAtOnce;

impl Policy for AllAtOnce {
    fn name(&self) -> &str {
        "all-at-once"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            let task = job.tasks().next().unwrap();
            let gpu = [Some(1), None, Some(0)][job.job_id().0 as usize % 3];
            let spot = Spot {
                node: NodeId(0),
                devices: gpu.map(DeviceSet::one),
            };
            let taken = match gpu {
                Some(_) => plan.take_devices(task, spot),
                None => plan.take(task, spot.node),
            };
            if taken {
                out.place(task.id(), [spot]);
            }
        }
    }
}

/// a is to have half of GPU 1, b beside it, as that is the tighter one, and c all of GPU 0. But a runs
/// out of memory, so b goes to GPU 0 and c does not fit: it is refused, and placed again when b ends.
#[test]
fn nobody_foresees_that_memory_does_not_suffice() {
    let hungry = Behaviour {
        gpu_memory: Bytes(90),
        ..Behaviour::new("hungry")
    };
    let part = || JobSpec::new(at(0), TaskRequest::gpu_milli(500), secs(10));
    let whole = JobSpec::new(at(0), TaskRequest::gpus(1), secs(10));
    let jobs = vec![part().behaviour(Arc::new(hungry)), part(), whole];
    let model = NodeModel::gpus_only("h100", 2).with_gpu_memory(Bytes(80));
    let once = Batch::new().retries(0, secs(1), secs(1));
    let platform = Platform::new("at-once", AllAtOnce)
        .sharing(Sharing::Fractions)
        .batch(once);
    let (_, log) = run(Supply::uniform(model, 1), jobs, platform, 40);
    assert_eq!(ends(&log), [0, 10, 20]);
    assert_eq!(log.records[0].outcome, Some(Outcome::OutOfMemory));
}
