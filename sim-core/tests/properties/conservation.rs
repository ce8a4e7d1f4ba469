//! Nothing is made or lost, nothing illegal happens, and watching, cutting or forking a run changes
//! nothing, whatever is decided.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use windtunnel_core::{
    Bucket, Claim, DeviceSet, Event, EventKind, GpuRequest, Grant, JobId, JobRecord, JobRef,
    JobView, Keeps, NoObserver, NodeFree, NodeView, Observer, Outcome, Refusal, Report, RunError,
    SetAside, Sharing, SimTime, Simulation, Step, TaskEnd, TaskState, TaskView, Timeline, View,
};

use crate::chaos::{Case, Log, Said, case, crowded_case, shared_case};

type Place = (JobId, u16, u32);

/// Checks every instant as it goes by.
struct Checker {
    case: Case,
    log: Log,
    now: SimTime,
    tape: Vec<Event>,
    states: BTreeMap<Place, TaskState>,
    live: BTreeSet<JobRef>,
    /// Since when jobs are queued, and for how long they were [ns].
    queued: BTreeMap<JobId, (bool, u64)>,
    ended: BTreeMap<JobId, Outcome>,
    records: BTreeMap<JobId, JobRecord>,
}

impl Checker {
    fn new(case: &Case, log: &Log) -> Self {
        Self {
            case: case.clone(),
            log: Log::clone(log),
            now: SimTime::ZERO,
            tape: Vec::new(),
            states: BTreeMap::new(),
            live: BTreeSet::new(),
            queued: BTreeMap::new(),
            ended: BTreeMap::new(),
            records: BTreeMap::new(),
        }
    }

    /// Steps of tasks are legal and follow each other; jobs begin and end once.
    fn steps(&mut self) {
        for event in &self.tape {
            assert_eq!(event.at, self.now);
            match event.kind {
                EventKind::Submitted { job } => assert!(self.live.insert(job), "{job}"),
                EventKind::Ended { job, outcome } => {
                    assert!(self.live.remove(&job), "{job} ends without having begun");
                    assert_eq!(self.ended.insert(job.id, outcome), None, "{job} ends twice");
                }
                EventKind::Task {
                    task,
                    from,
                    to,
                    node,
                    end,
                } => {
                    assert!(self.live.contains(&task.job), "{task} outlives its job");
                    let key = (task.job.id, task.group, task.index);
                    let before = self.states.insert(key, to).unwrap_or(TaskState::Unborn);
                    // The end of an attempt that is requeued is told as the next attempt's beginning.
                    let silent = from == TaskState::Over && before.may_become(from);
                    assert!(before == from || silent, "{task} was {before}, not {from}");
                    assert!(from.may_become(to), "{task}: {from} to {to}");
                    assert_eq!(to == TaskState::Over, end.is_some(), "{task}");
                    let placed = to.holds() || to == TaskState::Suspended;
                    assert_eq!(node.is_some(), placed, "{task} {to}");
                }
                _ => {}
            }
        }
    }

    /// No group of tasks is on both sides of a border that it must not cross. Those that end for good
    /// may be elsewhere.
    fn stays_within(view: &View<'_>, job: &JobView<'_>) {
        let stays = |task: &TaskView<'_>| task.state() != TaskState::Ending;
        let placed: Vec<_> = job.tasks().filter(stays).collect();
        for task in &placed {
            let mates = placed.iter().filter(|t| t.id().group == task.id().group);
            if let Some((level, node)) = task.level().zip(task.node()) {
                let group = |node| view.places().group(node, level);
                let there = mates.clone().filter_map(|mate| mate.node());
                assert!(
                    there.map(group).all(|there| there == group(node)),
                    "{}",
                    task.id()
                );
            }
        }
    }

    /// What was placed as a whole starts as a whole, or not at all.
    fn wholes(&mut self) {
        let mut wanted: BTreeMap<JobRef, Vec<(usize, Claim)>> = BTreeMap::new();
        for said in std::mem::take(&mut *self.log.lock().unwrap()) {
            if let Said::Placed(job, count, claim) = said {
                wanted.entry(job).or_default().push((count, claim));
            }
        }
        for (job, all) in wanted {
            let of = |wanted: fn(&EventKind) -> Option<JobRef>| {
                let all = self.tape.iter().filter(|e| wanted(&e.kind) == Some(job));
                all.count()
            };
            let begun = of(|kind| match kind {
                EventKind::Task {
                    task,
                    from: TaskState::Pending,
                    to: TaskState::Reserved | TaskState::Starting | TaskState::Running,
                    ..
                } => Some(task.job),
                _ => None,
            });
            let refused = of(|kind| match kind {
                EventKind::Refused { task, .. } => Some(task.job),
                _ => None,
            });
            // A job that was moved or resized too takes pending tasks along.
            let resized = self.tape.iter().any(|event| match event.kind {
                EventKind::Task { task, from, to, .. } => {
                    let moved = matches!(from, TaskState::Running | TaskState::Starting)
                        && to == TaskState::Starting;
                    task.job == job && (moved || from == TaskState::Over)
                }
                _ => false,
            });
            if let ([(count, claim)], false) = (&all[..], resized) {
                let ran_out = self.tape.iter().any(|event| match event.kind {
                    EventKind::Task { task, end, .. } => {
                        task.job == job && end == Some(TaskEnd::Refused(Refusal::OutOfMemory))
                    }
                    _ => false,
                });
                if ran_out {
                    continue;
                }
                // Whoever is placed after somebody whose memory did not suffice is no longer sure.
                let astray = self.tape.iter().any(|event| match event.kind {
                    EventKind::Task { end, .. } => {
                        end == Some(TaskEnd::Refused(Refusal::OutOfMemory))
                    }
                    _ => false,
                });
                let tries = *claim == Claim::Try || astray;
                let none = tries && begun == 0 && refused >= *count;
                assert!(
                    begun == *count || none,
                    "{job}: {begun} of {count} in {:?}",
                    self.tape
                );
            }
        }
    }

    /// Free, taken by tasks and set aside by holds make the whole, device by device.
    fn node(&self, node: &NodeView<'_>) {
        let id = node.id();
        let mut left = *node.free();
        let mut owners = [0_u32; 16];
        let mut slices = [0_u8; 16];
        let mut cut = |grant: Grant| {
            let devices = if grant.milli_each > 0 {
                grant.devices
            } else {
                DeviceSet::EMPTY
            };
            for device in devices.iter() {
                assert_eq!(slices[device] & grant.slices, 0, "{id}: slices overlap");
                slices[device] |= grant.slices;
            }
        };
        for task in node.tasks() {
            let want = task.request();
            assert_eq!(task.node(), Some(id));
            let grant = task.grant().unwrap_or_default();
            cut(grant);
            for device in grant.devices.iter() {
                left.left[device] += grant.milli_each;
                owners[device] += u32::from(grant.milli_each > 0);
            }
            left.milli += grant.milli();
            let kept = task.suspended().map_or(Keeps::Everything, |kept| kept.0);
            left.cpu += if kept == Keeps::Everything {
                want.cpu.0
            } else {
                0
            };
            left.memory += if kept == Keeps::Nothing {
                0
            } else {
                want.memory.0
            };
            if task.grant().is_some() {
                let each = node.sharing().granted_each(want.gpus);
                assert_eq!(grant.devices.len(), want.gpus.devices(), "{}", task.id());
                assert_eq!(grant.milli_each, each, "{}", task.id());
            }
        }
        if node.sharing() == Sharing::Exclusive {
            assert!(owners.iter().all(|count| *count <= 1), "{id}: {owners:?}");
        }
        for part in node.set_aside() {
            cut(part.grant);
            for device in part.grant.devices.iter() {
                left.left[device] += part.grant.milli_each;
            }
            left.milli += part.grant.milli();
            left.cpu += part.cpu.0;
            left.memory += part.memory.0;
        }
        for device in node.failed_gpus().iter() {
            assert_eq!(left.left[device], 0, "{id}: GPU {device} is out of service");
            let all = node.sharing().full_each();
            left.left[device] = all;
            left.milli += u32::from(all);
            if let Sharing::Mig(table) = node.sharing() {
                slices[device] |= table.all();
            }
        }
        let full = node.capacity();
        let sums = |free: &NodeFree| (free.left, free.milli, free.cpu, free.memory);
        assert_eq!(sums(&left), sums(full), "{id}");
        let free = node.free();
        assert_eq!(free.taken[..], slices[..free.taken.len()], "{id}");
        let full = node.sharing().full_each();
        let idle = free.left.iter().filter(|left| **left == full).count();
        assert_eq!(free.whole() as usize, idle, "{id}");
        let sum: u32 = free.left.iter().map(|left| u32::from(*left)).sum();
        assert_eq!(free.milli, sum, "{id}");
        assert_eq!(free.open, node.is_open(), "{id}");
    }

    /// A hold has no more than it wants, and what it lacks is not there.
    fn holds(node: &NodeView<'_>) {
        let id = node.id();
        let parts: Vec<SetAside> = node.set_aside().collect();
        let holds: BTreeSet<_> = parts.iter().map(|part| part.hold).collect();
        for hold in holds {
            let mine = || parts.iter().filter(|part| part.hold == hold);
            let lent = || node.tasks().filter(|task| task.within() == Some(hold));
            let gpus = |request: GpuRequest| u64::from(node.sharing().granted(request));
            let wanted: u64 = mine().map(|part| gpus(part.amount.gpus)).sum();
            let there: u64 = mine().map(|part| u64::from(part.grant.milli())).sum();
            let used = lent().filter_map(|task| task.grant());
            let used: u64 = used.map(|grant| u64::from(grant.milli())).sum();
            assert!(
                there + used <= wanted,
                "{id} {hold}: {there} + {used} of {wanted}"
            );
            let cpu: u32 = mine().map(|part| part.amount.cpu.0 - part.cpu.0).sum();
            let kept = |task: &TaskView<'_>| {
                task.suspended()
                    .is_none_or(|kept| kept.0 == Keeps::Everything)
            };
            let used: u32 = lent().filter(kept).map(|task| task.request().cpu.0).sum();
            assert!(used <= cpu, "{id} {hold}: CPU lent {used} of {cpu}");
            if node.is_open() && lent().count() == 0 {
                assert!(cpu == 0 || node.free().cpu == 0, "{id} {hold}: CPU is free");
                let whole = |part: &&SetAside| {
                    part.grant.devices.is_empty() && gpus(part.amount.gpus) % 1_000 == 0
                };
                for part in mine().filter(whole) {
                    let none = part.amount.gpus == GpuRequest::None;
                    assert!(
                        none || node.free().whole() == 0,
                        "{id} {hold}: a GPU is free"
                    );
                }
            }
        }
    }

    fn check(&self, report: &Report) -> Result<(), TestCaseError> {
        let specs = self.case.jobs();
        let ledger = report.ledger.as_ref().unwrap();
        let (mut useful, mut lost) = (0, 0);
        let submitted = usize::try_from(report.summary.submitted).unwrap();
        prop_assert_eq!(self.records.len(), submitted, "one record for each job");
        for (id, record) in &self.records {
            prop_assert_eq!(record.outcome, self.ended.get(id).copied());
            prop_assert!(record.end <= report.end && record.submit <= record.end);
            let queued = self.queued.get(id).map_or(0, |entry| entry.1);
            prop_assert_eq!(record.queued().as_nanos(), queued, "queued of {}", id);
            useful += record.useful;
            lost += record.lost;
        }
        // What periodic saves cost is a slice of its own.
        prop_assert_eq!(ledger.amount(Bucket::AllocatedUseful), useful);
        prop_assert!(ledger.amount(Bucket::AllocatedLost) >= lost);
        let free_saves = specs.iter().all(|spec| {
            spec.profile
                .checkpoint
                .is_none_or(|saves| saves.cost.is_zero())
        });
        prop_assert!(!free_saves || ledger.amount(Bucket::AllocatedLost) == lost);
        prop_assert_eq!(
            u64::try_from(self.live.len()).unwrap(),
            report.summary.unfinished
        );
        Ok(())
    }
}

impl Observer for Checker {
    fn on_event(&mut self, event: &Event, view: &View<'_>) {
        assert!(view.now() >= self.now, "time goes back");
        self.pass(view.now());
        self.tape.push(*event);
    }

    fn on_job(&mut self, record: &JobRecord) {
        let before = self.records.insert(record.job, record.clone());
        assert_eq!(before, None, "{} is recorded twice", record.job);
    }

    fn on_instant(&mut self, view: &View<'_>) {
        self.pass(view.now());
        self.steps();
        self.wholes();
        self.tape.clear();
        for pool in view_pools(view) {
            for node in view.nodes_of(pool) {
                self.node(&node);
                Self::holds(&node);
            }
        }
        for entry in self.queued.values_mut() {
            entry.0 = false;
        }
        for job in &self.live {
            let seen = view.job(*job).expect("a live job is seen");
            let entry = self.queued.entry(job.id).or_default();
            entry.0 = seen.is_queued();
            Self::stays_within(view, &seen);
            for task in seen.tasks() {
                let key = (job.id, task.id().group, task.id().index);
                let state = self.states.get(&key).copied();
                assert_eq!(task.state(), state.unwrap_or(TaskState::Unborn));
                let there = task.node().map(|node| view.node(node));
                if let Some(there) = there {
                    let listed = there.tasks().filter(|other| other.id() == task.id());
                    assert_eq!(listed.count(), 1, "{} on {}", task.id(), there.id());
                }
            }
        }
        // Listed are exactly those that may be placed; their lists agree with each other.
        let listed: Vec<JobId> = view.pending_jobs().map(|job| job.job_id()).collect();
        assert!(listed.is_sorted(), "{listed:?}");
        assert_eq!(listed.len(), view.pending_count() as usize);
        let mut by_shape: Vec<JobId> = view
            .pending_shapes()
            .flat_map(|shape| shape.jobs().map(|job| job.job_id()).collect::<Vec<_>>())
            .collect();
        by_shape.sort_unstable();
        assert_eq!(by_shape, listed);
    }
}

impl Checker {
    fn pass(&mut self, now: SimTime) {
        let length = now.since(self.now).as_nanos();
        self.now = now;
        for (queued, nanos) in self.queued.values_mut() {
            *nanos += if *queued { length } else { 0 };
        }
    }
}

fn view_pools<'v>(view: &View<'v>) -> impl Iterator<Item = windtunnel_core::PoolId> + use<'v> {
    let mut pools: Vec<_> = (0..view.node_count())
        .map(|node| {
            view.node(windtunnel_core::NodeId(u32::try_from(node).unwrap()))
                .pool()
        })
        .collect();
    pools.dedup();
    pools.into_iter()
}

fn fails(error: &RunError) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn plain(case: &Case) -> Result<Report, TestCaseError> {
    let run = case.simulation(&Log::default());
    run.run().map_err(|error| fails(&error))
}

fn text(report: &Report) -> String {
    format!("{:?} {:?} {:?}", report.end, report.ledger, report.digest)
}

/// Runs on to the end.
fn rest(mut run: Simulation) -> Result<Report, TestCaseError> {
    while let Step::Instant(_) = run.step().map_err(|error| fails(&error))? {}
    Ok(run.report())
}

fn check_instants(case: &Case) -> Result<(), TestCaseError> {
    let log = Log::default();
    let mut checker = Checker::new(case, &log);
    let run = case.simulation(&log).run_with(&mut checker);
    let report = run.map_err(|error| fails(&error))?;
    checker.check(&report)
}

fn check_looks(case: &Case, cuts: Vec<u64>) -> Result<(), TestCaseError> {
    let first = plain(case)?;
    prop_assert_eq!(text(&first), text(&plain(case)?), "the same again");

    let mut timeline = Timeline::default();
    let run = case.simulation(&Log::default()).run_with(&mut timeline);
    prop_assert_eq!(
        text(&first),
        text(&run.map_err(|error| fails(&error))?),
        "watched"
    );

    let options = case.options().without_ledger();
    let run = case.simulation_with(&Log::default(), options).run();
    let digest = run.map_err(|error| fails(&error))?.digest;
    prop_assert_eq!(first.digest, digest, "without the ledger");

    let mut run = case.simulation(&Log::default());
    let mut forks = Vec::new();
    let mut cuts = cuts;
    cuts.sort_unstable();
    for cut in cuts {
        let until = SimTime::from_nanos(case.tick().as_nanos() * cut);
        let cut = run.run_until(until, &mut NoObserver);
        cut.map_err(|error| fails(&error))?;
        let _ = run.report();
        forks.push(run.fork().unwrap());
    }
    prop_assert_eq!(text(&first), text(&rest(run)?), "cut");
    for fork in forks {
        prop_assert_eq!(text(&first), text(&rest(fork)?), "forked");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn every_instant_is_legal(case in case()) {
        check_instants(&case)?;
    }

    #[test]
    fn every_instant_is_legal_however_gpus_are_shared(case in shared_case()) {
        check_instants(&case)?;
    }

    #[test]
    fn every_instant_is_legal_where_gpus_are_crowded(case in crowded_case()) {
        check_instants(&case)?;
    }

    #[test]
    fn every_instant_is_legal_at_any_speed(case in shared_case()) {
        check_instants(&case.unsteady())?;
    }

    #[test]
    fn nothing_that_looks_changes_speeds(
        case in shared_case(),
        cuts in prop::collection::vec(0..200_u64, 0..3),
    ) {
        check_looks(&case.unsteady(), cuts)?;
    }

    #[test]
    fn nothing_that_looks_changes_how_gpus_are_shared(
        case in shared_case(),
        cuts in prop::collection::vec(0..200_u64, 0..3),
    ) {
        check_looks(&case, cuts)?;
    }

    /// With and without observers, ledger and cuts, forked or not, again and again: one result.
    #[test]
    fn nothing_that_looks_changes_anything(case in case(), cuts in prop::collection::vec(0..200_u64, 0..4)) {
        check_looks(&case, cuts)?;
    }
}
