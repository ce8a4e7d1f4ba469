//! The indices behind plans against a scan over all nodes.

use proptest::prelude::*;
use rand::RngExt;
use windtunnel_core::rng::{Purpose, Seed, StreamRng, stream};
use windtunnel_core::{
    Advance, Decisions, DeviceSet, Fit, Grant, JobView, Level, News, NodeFree, NodeId, Plan,
    Policy, Score, Scorer, Simulation, TaskRequest, TaskState, TaskView, View,
};

use crate::chaos::{Case, Log, case, crowded_case, shared_case};
use crate::ledger::room::{Room, granted_each};

/// Checks what plans answer before another policy decides.
#[derive(Clone, Debug)]
struct Scan {
    inner: Box<dyn Policy>,
    case: Case,
    rng: StreamRng,
}

/// Every node as the plan has it, and whether a job may go there by pool and model.
fn nodes_for(
    plan: &Plan<'_>,
    case: &Case,
    job: &JobView<'_>,
    want: &TaskRequest,
    view: &View<'_>,
) -> Vec<Option<NodeFree>> {
    let count = u32::try_from(view.node_count()).unwrap();
    let seen = (0..count).map(NodeId).map(|node| {
        let pool = view.node(node).pool();
        let model = &case.supply().pools[pool.index()].model.gpu_model;
        let model: u32 = model[1..].parse().unwrap();
        let accepted = want.models == 0 || want.models >> model & 1 == 1;
        let mine = case.pools_of(job.queue()).contains(pool) && accepted;
        mine.then(|| *plan.free(node))
    });
    seen.collect()
}

/// Takes one task's share of a node, if it fits, by the count-only rule as the naive ledger has it.
fn take(free: &mut NodeFree, want: &TaskRequest) -> bool {
    let Some(parts) = Room::of(free).seat(want, false).filter(|_| free.open) else {
        return false;
    };
    let each = u16::try_from(granted_each(free.sharing, want.gpus)).unwrap();
    let gpus = parts.iter().fold(0, |set, (gpu, ..)| set | 1 << gpu);
    let grant = Grant {
        slices: parts.first().map_or(0, |(.., mask)| *mask),
        ..Grant::of(DeviceSet(gpus), each)
    };
    free.take(grant, want.cpu.0, want.memory.0);
    true
}

/// The node with most GPU and CPU left; ties are frequent.
struct Roomiest;

impl Scorer for Roomiest {
    fn score(free: &NodeFree, request: &TaskRequest) -> Score {
        -i64::from(free.milli / 500) - i64::from(free.cpu / 4_000) + i64::from(request.cpu.0)
    }
}

/// Leaves out nodes that are not in the same rack, say, as `home`.
fn keep_within(nodes: &mut [Option<NodeFree>], view: &View<'_>, level: Level, home: NodeId) {
    for (place, node) in nodes.iter_mut().zip((0..).map(NodeId)) {
        if view.places().group(node, level) != view.places().group(home, level) {
            *place = None;
        }
    }
}

/// Where the tasks of a group are, in truth or as this plan has it.
fn home_of(job: &JobView<'_>, group: u16, planned: Option<(u16, NodeId)>) -> Option<NodeId> {
    use TaskState::{Reserved, Running, Starting, Suspended};
    let placed = |state| matches!(state, Reserved | Starting | Running | Suspended);
    let mut tasks = job.tasks().filter(|task| task.id().group == group);
    let there = tasks.find(|task| placed(task.state()));
    let planned = planned.filter(|planned| planned.0 == group);
    there
        .and_then(|task| task.node())
        .or(planned.map(|(_, node)| node))
}

impl Scan {
    /// Answers about one pending task.
    fn check_task(
        &self,
        plan: &mut Plan<'_>,
        job: &JobView<'_>,
        task: TaskView<'_>,
        view: &View<'_>,
        home: Option<NodeId>,
    ) {
        let want = task.request();
        let mut nodes = nodes_for(plan, &self.case, job, want, view);
        if let (Some(level), Some(home)) = (task.level(), home) {
            keep_within(&mut nodes, view, level, home);
        }
        let (mut feasible, mut slots) = (Vec::new(), 0);
        for (free, id) in nodes.iter().zip(0..) {
            let node = NodeId(id);
            let mut count = 0;
            if let Some(free) = *free {
                count = if free.open {
                    Room::of(&free).count(want)
                } else {
                    0
                };
            }
            assert_eq!(plan.fits(task, node), count > 0, "{} on {node}", task.id());
            if count > 0 {
                feasible.push(node);
            }
            slots += count;
        }
        assert_eq!(plan.slots(task), slots, "slots of {want:?}");
        for from in (0..=nodes.len()).map(|n| NodeId(u32::try_from(n).unwrap())) {
            let next = feasible.iter().find(|node| **node >= from).copied();
            assert_eq!(plan.next_feasible(task, from), next, "{want:?} from {from}");
        }
    }

    /// Remembered scores against a scan of all nodes, and not at all against none.
    fn check_scores(&self, plan: &mut Plan<'_>, job: JobView<'_>) {
        let mark = plan.mark();
        let scanned = plan.best_by(job, Roomiest::score);
        plan.undo_to(mark);
        let may_fit = plan.may_fit_of::<Roomiest>(job);
        assert!(may_fit || !matches!(scanned, Fit::Now(_)), "{}", job.id());
        for _ in 0..2 {
            let remembered = plan.best_of::<Roomiest>(job);
            plan.undo_to(mark);
            assert_eq!(remembered, scanned, "{}", job.id());
        }
    }

    /// First fit of a gang of which groups must not cross a level: every rack in order, task by task.
    fn check_bounded(
        &self,
        plan: &mut Plan<'_>,
        job: JobView<'_>,
        view: &View<'_>,
        home: Option<(u16, NodeId)>,
    ) {
        let pending = |task: &TaskView<'_>| task.state() == TaskState::Pending;
        let tasks: Vec<TaskView<'_>> = job.tasks().filter(pending).collect();
        let count = u32::try_from(view.node_count()).unwrap();
        let mut free: Vec<NodeFree> = (0..count).map(|id| *plan.free(NodeId(id))).collect();
        let mut expected = Vec::new();
        let all = tasks
            .chunk_by(|a, b| a.id().group == b.id().group)
            .all(|group| {
                let home = home_of(&job, group[0].id().group, home);
                let first = match (group[0].level(), home) {
                    (None, _) => vec![None],
                    (Some(level), Some(home)) => vec![Some((level, home))],
                    // The first node of every rack in turn stands for it.
                    (Some(level), None) => (0..view.places().group_count(level))
                        .map(|rack| Some((level, view.places().nodes(level, rack)[0])))
                        .collect(),
                };
                first.into_iter().any(|within| {
                    let mut tried = free.clone();
                    let seat = |task: &TaskView<'_>| {
                        let mut nodes = nodes_for(plan, &self.case, &job, task.request(), view);
                        if let Some((level, home)) = within {
                            keep_within(&mut nodes, view, level, home);
                        }
                        (0..count).map(NodeId).find(|node| {
                            let free = &mut tried[node.index()];
                            nodes[node.index()].is_some() && take(free, task.request())
                        })
                    };
                    let seats: Option<Vec<NodeId>> = group.iter().map(seat).collect();
                    if let Some(seats) = &seats {
                        expected.extend(seats);
                        free = tried;
                    }
                    seats.is_some()
                })
            });
        let mark = plan.mark();
        let may = plan.may_fit(job);
        if home.is_none() {
            // The shape of a larger job may be what is left of another.
            let shape = plan.may_fit_shape(job.shape()) && job.can_ever_fit();
            assert!(may || !shape, "{}", job.id());
        }
        match plan.first_fit(job) {
            Fit::Now(spots) => {
                let nodes: Vec<NodeId> = spots.iter().map(|spot| spot.node).collect();
                assert!(all && may, "{} on {nodes:?}", job.id());
                assert_eq!(nodes, expected, "{}", job.id());
            }
            Fit::Never => assert!(!job.can_ever_fit()),
            Fit::NotNow => assert!(!all, "{} fits on {expected:?}", job.id()),
        }
        plan.undo_to(mark);
        // Whatever the order of racks and nodes, it fits or does not.
        let best = plan.best_by(job, Roomiest::score);
        if tasks
            .iter()
            .all(|task| task.id().group == tasks[0].id().group)
        {
            assert_eq!(matches!(best, Fit::Now(_)), all && job.can_ever_fit());
        }
        plan.undo_to(mark);
    }

    /// First fit of a whole job, task by task over all nodes.
    fn check_job(&self, plan: &mut Plan<'_>, job: JobView<'_>, view: &View<'_>) {
        let pending: Vec<TaskView<'_>> = job
            .tasks()
            .filter(|task| task.state() == TaskState::Pending)
            .collect();
        let wanted = match job.advance() {
            Advance::Between { min, .. } => {
                let placed = job.tasks().filter(|task| task.state().holds()).count();
                (min as usize).saturating_sub(placed).min(pending.len())
            }
            _ => pending.len(),
        };
        let count = u32::try_from(view.node_count()).unwrap();
        let mut free: Vec<NodeFree> = (0..count).map(|id| *plan.free(NodeId(id))).collect();
        let mut expected = Vec::new();
        for task in &pending[..wanted] {
            let accepted = nodes_for(plan, &self.case, &job, task.request(), view);
            let seat = (0..count).map(NodeId).find(|node| {
                let free = &mut free[node.index()];
                accepted[node.index()].is_some() && take(free, task.request())
            });
            match seat {
                Some(node) => expected.push(node),
                None => break,
            }
        }
        let fits =
            expected.len() == wanted || (job.advance() == Advance::Each && !expected.is_empty());
        let mark = plan.mark();
        let may = plan.may_fit(job);
        match plan.first_fit(job) {
            Fit::Now(spots) => {
                assert!(fits && may, "{}", job.id());
                let nodes: Vec<NodeId> = spots.iter().map(|spot| spot.node).collect();
                assert_eq!(nodes, expected, "{}", job.id());
                for (id, free) in free.iter().enumerate() {
                    let node = NodeId(u32::try_from(id).unwrap());
                    assert_eq!(plan.free(node), free, "{node} after {}", job.id());
                }
            }
            // What is left of a job larger than the supply may fit, and yet the job never does.
            Fit::Never => assert!(!job.can_ever_fit()),
            Fit::NotNow => assert!(!fits, "{} fits on {expected:?}", job.id()),
        }
        plan.undo_to(mark);
    }
}

impl Policy for Scan {
    fn name(&self) -> &str {
        "scan"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        {
            let mut plan = view.plan();
            for node in view.nodes() {
                assert_eq!(plan.free(node.id()), node.free(), "{}", node.id());
            }
            let mut running: Vec<TaskView<'_>> =
                view.nodes().flat_map(|node| node.tasks()).collect();
            let jobs: Vec<JobView<'_>> = view.pending_jobs().collect();
            for job in &jobs {
                // A world that differs from the real one, and comes back to it.
                let mark = plan.mark();
                let pending = job.tasks().find(|task| task.state() == TaskState::Pending);
                let task = pending.expect("it is listed as pending");
                let mut home = None;
                match self.rng.random_range(0..3) {
                    0 => {
                        while let Some(node) = plan.next_feasible(task, NodeId(0)) {
                            assert!(plan.take(task, node));
                            home = home.or(Some((task.id().group, node)));
                            if self.rng.random_range(0..3) == 0 {
                                break;
                            }
                        }
                    }
                    1 if !running.is_empty() => {
                        let place = self.rng.random_range(0..running.len());
                        plan.release(running.swap_remove(place));
                    }
                    _ => {}
                }
                let at = home_of(job, task.id().group, home);
                self.check_task(&mut plan, job, task, view, at);
                self.check_scores(&mut plan, *job);
                if job.groups().iter().any(|group| group.level.is_some()) {
                    self.check_bounded(&mut plan, *job, view, home);
                } else {
                    self.check_job(&mut plan, *job, view);
                }
                if self.rng.random_range(0..2) == 0 {
                    plan.undo_to(mark);
                }
            }
        }
        let mut plan = view.plan();
        for node in view.nodes() {
            assert_eq!(plan.free(node.id()), node.free(), "{}", node.id());
        }
        for job in view.pending_jobs() {
            let mut tasks = job.tasks();
            let task = tasks.find(|task| task.state() == TaskState::Pending);
            let home = home_of(&job, task.unwrap().id().group, None);
            self.check_task(&mut plan, &job, task.unwrap(), view, home);
        }
        drop(plan);
        self.inner.decide(view, news, out);
    }
}

fn agrees(case: &Case) -> Result<(), TestCaseError> {
    let mut platform = case.platform(&Log::default());
    for scheduler in &mut platform.schedulers {
        scheduler.policy = Box::new(Scan {
            inner: scheduler.policy.clone(),
            case: case.clone(),
            rng: stream(Seed(1), Purpose::Policy, 2, 0),
        });
    }
    let jobs = windtunnel_core::JobList::new(case.jobs());
    let run = Simulation::new(case.supply(), jobs, platform, case.options()).unwrap();
    run.run()
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    Ok(())
}

proptest! {
    #[test]
    fn indices_agree_with_a_scan(case in case()) {
        agrees(&case)?;
    }

    /// The same with slots, MPS, MIG and GPUs that nobody counts.
    #[test]
    fn indices_agree_with_a_scan_however_gpus_are_shared(case in shared_case()) {
        agrees(&case)?;
    }

    /// The same with few GPUs for many small jobs.
    #[test]
    fn indices_agree_with_a_scan_where_gpus_are_crowded(case in crowded_case()) {
        agrees(&case)?;
    }
}
