//! Everything at once, at random: what a scheduler, an admission and an autoscaler may legally do, on
//! a cluster whose nodes fail unnoticed. The engine's own assertions (legal transitions, the balance
//! of the ledger, no GPU given away twice) are the test, and a fork and a run without a ledger end in
//! the same digest.

use windtunnel_core::{
    Admission, AdmissionCommand, Admissions, Advance, Autoscaler, Batch, Bytes, Claim, CloudQuota,
    Commit, Decision, Decisions, DriverFailures, Elastic, ExponentialFaults, Fit, FleetFaults,
    GpuRequest, HoldFor, HoldPart, JobList, JobSpec, JobView, Keeps, MaintenanceWindows, News,
    NoObserver, NodeModel, Outcome, Platform, Policy, PoolId, PoolSet, PoolSpec, Ppm, Promise,
    QueueId, Reason, RepairTimes, Route, RunOptions, Save, Scaling, ScalingCommand, Scheduler,
    SchedulerId, SeveralFaults, Sharing, SimDuration, SimTime, Simulation, Spot, Supply,
    TaskRequest, TaskState, TaskView, Then, View, WouldFit,
};

use crate::support::{at, same, secs};

/// xorshift64*: enough to be different every time and the same again.
#[derive(Clone, Copy, Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        let len = list.len() as u64;
        (len > 0).then(|| list[usize::try_from(self.roll(len)).unwrap()])
    }

    fn chance(&mut self, in_ten: u64) -> bool {
        self.roll(10) < in_ten
    }
}

/// Does one legal thing at a time.
#[derive(Clone, Debug)]
struct Chaos {
    dice: Dice,
    jobs: Vec<windtunnel_core::JobRef>,
}

impl Chaos {
    fn tasks<'a>(&self, view: &View<'a>, wanted: &[TaskState]) -> Vec<TaskView<'a>> {
        let jobs = self.jobs.iter().filter_map(|job| view.job(*job));
        jobs.flat_map(|job| job.tasks())
            .filter(|task| wanted.contains(&task.state()))
            .collect()
    }

    fn then(&mut self, view: &View<'_>) -> Then {
        match self.dice.roll(6) {
            0 => Then::Requeue { not_before: None },
            1 => Then::Requeue {
                not_before: Some(view.now() + secs(self.dice.roll(30))),
            },
            2 => Then::Kill,
            3 => Then::Suspend {
                keeps: Keeps::Nothing,
            },
            4 => Then::Suspend {
                keeps: Keeps::Memory,
            },
            _ => Then::Suspend {
                keeps: Keeps::Everything,
            },
        }
    }

    fn evict(&mut self, view: &View<'_>, out: &mut Decisions) {
        let then = self.then(view);
        let suspends = matches!(then, Then::Suspend { .. });
        let states: &[TaskState] = if suspends {
            &[TaskState::Starting, TaskState::Running]
        } else {
            use TaskState::{Reserved, Running, Starting, Suspended};
            &[Reserved, Starting, Running, Suspended]
        };
        let Some(task) = self.dice.pick(&self.tasks(view, states)) else {
            return;
        };
        let grace = secs(self.dice.roll(3) * self.dice.roll(8));
        let save = if self.dice.chance(5) {
            Save::Yes
        } else {
            Save::No
        };
        if self.dice.chance(6) {
            out.evict(task.id().job, grace, save, then);
        } else {
            out.evict(task.id(), grace, save, then);
        }
    }

    fn place(&mut self, view: &View<'_>, out: &mut Decisions) {
        let commit = match self.dice.roll(4) {
            0 => Commit::Reserve,
            1 => Commit::Bind {
                after: secs(self.dice.roll(4)),
            },
            _ => Commit::NOW,
        };
        let pending: Vec<JobView<'_>> = view.pending_jobs().collect();
        let Some(job) = self.dice.pick(&pending) else {
            return;
        };
        match self.dice.roll(4) {
            0 => {
                // Somewhere, whether it fits or not.
                let Some(task) = self.dice.pick(&self.tasks(view, &[TaskState::Pending])) else {
                    return;
                };
                let nodes: Vec<_> = view.nodes().map(|node| node.id()).collect();
                let node = self.dice.pick(&nodes).unwrap();
                let held = |h: &windtunnel_core::HoldView| {
                    h.owner == view.scheduler() && h.parts.iter().any(|part| part.0 == node)
                };
                let holds: Vec<_> = view.holds().filter(held).map(|h| h.id).collect();
                let within = self
                    .dice
                    .pick(&holds)
                    .filter(|_| view.job(task.id().job).is_some());
                if view
                    .job(task.id().job)
                    .is_some_and(|job| pending.iter().any(|p| p.id() == job.id()))
                {
                    out.place_as(task.id(), [Spot::from(node)], commit, Claim::Try, within);
                }
            }
            1 => {
                let task = job
                    .tasks()
                    .find(|task| task.state() == TaskState::Pending)
                    .unwrap();
                let node = view.plan().next_feasible(task, windtunnel_core::NodeId(0));
                if let Some(node) = node {
                    out.place_as(task.id(), [Spot::from(node)], commit, Claim::Sure, None);
                }
            }
            _ => {
                if let Fit::Now(spots) = view.plan().first_fit(job) {
                    out.place_as(job.id(), spots, commit, Claim::Sure, None);
                }
            }
        }
    }

    fn hold(&mut self, view: &View<'_>, out: &mut Decisions) {
        let nodes: Vec<_> = view.nodes().map(|node| node.id()).collect();
        let mut parts = Vec::new();
        for _ in 0..=self.dice.roll(3) {
            let node = self.dice.pick(&nodes).unwrap();
            let mut amount = TaskRequest::gpus(u16::try_from(self.dice.roll(4)).unwrap());
            if self.dice.chance(2) {
                amount = TaskRequest::gpu_milli(u16::try_from(1 + self.dice.roll(998)).unwrap());
            }
            amount = amount.with_memory(Bytes(self.dice.roll(40)));
            parts.push(HoldPart { node, amount });
        }
        let from = view.now() + secs(self.dice.roll(2) * self.dice.roll(20));
        let until = self.dice.chance(7).then(|| from + secs(self.dice.roll(40)));
        let commit = if self.dice.chance(5) {
            Commit::NOW
        } else {
            Commit::Reserve
        };
        let why = self
            .dice
            .pick(&[Reason::Reservation, Reason::Preemption])
            .unwrap();
        out.hold_as(parts, from, until, HoldFor::Anyone, why, commit, Claim::Try);
    }

    fn end_hold(&mut self, view: &View<'_>, out: &mut Decisions) {
        let mine = view.holds().filter(|hold| hold.owner == view.scheduler());
        let holds: Vec<_> = mine.map(|hold| hold.id).collect();
        let Some(hold) = self.dice.pick(&holds) else {
            return;
        };
        let what = Promise::Hold(hold);
        match self.dice.roll(3) {
            0 => out.release(hold),
            1 => out.push(Decision::Commit { what }),
            _ => out.push(Decision::Abandon { what }),
        }
    }

    fn promise(&mut self, view: &View<'_>, out: &mut Decisions) {
        let Some(task) = self.dice.pick(&self.tasks(view, &[TaskState::Reserved])) else {
            return;
        };
        let what = if self.dice.chance(5) {
            Promise::Tasks(task.id().into())
        } else {
            Promise::Tasks(task.id().job.into())
        };
        out.push(if self.dice.chance(6) {
            Decision::Commit { what }
        } else {
            Decision::Abandon { what }
        });
    }

    fn resume(&mut self, view: &View<'_>, out: &mut Decisions) {
        let Some(task) = self.dice.pick(&self.tasks(view, &[TaskState::Suspended])) else {
            return;
        };
        let admitted = view
            .job(task.id().job)
            .is_some_and(|job| job.withheld().is_none());
        if admitted && view.plan().resume(task) {
            out.resume(task.id());
        }
    }

    fn replace(&mut self, view: &View<'_>, out: &mut Decisions) {
        let running: Vec<JobView<'_>> = self.jobs.iter().filter_map(|job| view.job(*job)).collect();
        let usable = |job: &JobView<'_>| {
            use TaskState::{Pending, Reserved, Running, Starting};
            let count = [Pending, Reserved, Starting, Running].map(|state| job.tasks_in(state));
            count.iter().sum::<u32>()
        };
        let Some(job) = self.dice.pick(&running).filter(|job| job.tasks_bound() > 0) else {
            return;
        };
        let most = u64::from(usable(&job));
        let count = match job.advance() {
            Advance::Each => return,
            Advance::All => job.tasks().count() as u64,
            Advance::Between { min, max } => {
                u64::from(min) + self.dice.roll(u64::from(max - min + 1))
            }
        };
        if count > most {
            return;
        }
        let mut plan = view.plan();
        job.tasks()
            .filter(|task| task.state() != TaskState::Ending)
            .for_each(|task| plan.release(task));
        let mut spots = Vec::new();
        for task in job.tasks().take(usize::try_from(count).unwrap()) {
            let node = plan.next_feasible(task, windtunnel_core::NodeId(0));
            let Some(node) = node.filter(|node| plan.take(task, *node)) else {
                return;
            };
            spots.push(Spot::from(node));
        }
        // What a hold lent goes back to the hold, so the plan may promise too much.
        if view.holds().next().is_none() && job.tasks().all(|t| t.state() != TaskState::Suspended) {
            out.replace(job.id(), spots);
        }
    }
}

impl Policy for Chaos {
    fn name(&self) -> &str {
        "chaos"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        let alive = |job: JobView<'_>| job.outcome().is_none();
        self.jobs.retain(|job| view.job(*job).is_some_and(alive));
        for change in news.jobs {
            match change.what {
                windtunnel_core::JobNews::Created => self.jobs.push(change.job),
                windtunnel_core::JobNews::Ended(_) => self.jobs.retain(|job| *job != change.job),
                _ => {}
            }
        }
        match self.dice.roll(20) {
            0..8 => self.place(view, out),
            8..12 => self.evict(view, out),
            12 => self.hold(view, out),
            13 => self.end_hold(view, out),
            14 | 15 => self.promise(view, out),
            16 | 17 => self.resume(view, out),
            18 => self.replace(view, out),
            _ => {
                let reasons = [Reason::DoesNotFit, Reason::Priority, Reason::Other];
                let why = self.dice.pick(&reasons).unwrap();
                if let Some(job) = self.dice.pick(&self.jobs) {
                    match self.dice.roll(8) {
                        0 => out.finish(job, Outcome::Killed),
                        1..4 => out.waiting(job, why),
                        4..6 => out.rest(QueueId(0), why),
                        _ => view
                            .pending_shapes()
                            .for_each(|s| out.waiting_shape(s.id(), why)),
                    }
                }
            }
        }
        out.wake_at(view.now() + SimDuration::from_millis(self.dice.roll(5_000)));
    }
}

/// Admits, withholds and revokes at random.
#[derive(Clone, Debug)]
struct Moods {
    dice: Dice,
    jobs: Vec<windtunnel_core::JobRef>,
}

impl Admission for Moods {
    fn name(&self) -> &str {
        "moods"
    }

    fn admit(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Admissions) {
        self.jobs.extend(news.jobs.iter().map(|change| change.job));
        self.jobs.retain(|job| view.job(*job).is_some());
        self.jobs.sort_unstable();
        self.jobs.dedup();
        for _ in 0..3 {
            let Some(job) = self.dice.pick(&self.jobs) else {
                break;
            };
            match self.dice.roll(12) {
                0 => out.revoke(job, secs(self.dice.roll(2) * 7), Reason::Quota),
                1 => out.withhold(job, Reason::Priority),
                2 => out.push(AdmissionCommand::Admit {
                    job,
                    pools: PoolSet::one(PoolId(0)),
                }),
                _ => out.admit(job),
            }
        }
        out.push(AdmissionCommand::WakeAt(view.now() + secs(3)));
    }
}

/// Rents, returns, cordons and switches at random.
#[derive(Clone, Debug)]
struct Whims {
    dice: Dice,
}

impl Autoscaler for Whims {
    fn name(&self) -> &str {
        "whims"
    }

    fn scale(&mut self, view: &View<'_>, _news: &News<'_>, _: &dyn WouldFit, out: &mut Scaling) {
        let nodes = u64::try_from(view.node_count()).unwrap();
        let node = windtunnel_core::NodeId(u32::try_from(self.dice.roll(nodes)).unwrap());
        match self.dice.roll(12) {
            0 | 1 => out.grow(PoolId(1), 1 + u32::try_from(self.dice.roll(2)).unwrap()),
            2 | 3 => out.shrink(node),
            4 => out.push(ScalingCommand::Cordon { node, closed: true }),
            5..7 => out.push(ScalingCommand::Cordon {
                node,
                closed: false,
            }),
            7 => out.push(ScalingCommand::PowerOff { node }),
            8..10 => out.push(ScalingCommand::PowerOn {
                node,
                boot: secs(self.dice.roll(9)),
            }),
            _ => {}
        }
        out.wake_at(view.now() + secs(1 + self.dice.roll(9)));
    }
}

fn jobs(dice: &mut Dice) -> Vec<JobSpec> {
    let mut jobs = Vec::new();
    for _ in 0..25 {
        let mut request = TaskRequest::gpus(u16::try_from(dice.roll(4)).unwrap());
        if dice.chance(3) {
            request.gpus = GpuRequest::Milli(u16::try_from(1 + dice.roll(999)).unwrap());
        }
        request = request.with_memory(Bytes(dice.roll(40)));
        let mut job = JobSpec::new(at(dice.roll(120)), request, secs(1 + dice.roll(60)))
            .tasks(1 + u32::try_from(dice.roll(4)).unwrap())
            .startup(secs(dice.roll(3) * 2));
        match dice.roll(3) {
            0 => {}
            1 => {
                job = job
                    .advance(Advance::Each)
                    .kind(windtunnel_core::ControllerId(1))
            }
            _ => job = job.advance(Advance::Between { min: 1, max: 4 }),
        }
        if dice.chance(5) {
            job = job.checkpoint(secs(1 + dice.roll(20)), secs(dice.roll(3)));
        }
        if dice.chance(2) {
            job = job.limit(secs(1 + dice.roll(90)));
        }
        if dice.chance(3) {
            job.request.queue = QueueId(1);
        }
        jobs.push(job);
    }
    jobs
}

fn chaos(seed: u64, ledger: bool) -> Simulation {
    chaos_under(seed, ledger, Box::new(chaotic(seed, 1_000)))
}

fn chaotic(seed: u64, salt: u64) -> Chaos {
    Chaos {
        dice: Dice(seed * 2 + 1 + salt),
        jobs: Vec::new(),
    }
}

/// The same surroundings around another policy: every second time beside a chaotic one on the same
/// pools.
fn chaos_under(seed: u64, ledger: bool, policy: Box<dyn Policy>) -> Simulation {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    dice.roll(2);
    let model = NodeModel::gpus_only("h100", 4).with_memory(Bytes(100));
    let elastic = Elastic {
        min: 1,
        max: 4,
        request_delay: secs(3),
        boot_delay: secs(8),
    };
    let pools = vec![
        PoolSpec::owned("owned", model.clone(), 3),
        PoolSpec::rented("cloud", model, elastic),
    ];
    let mut supply = Supply::new(pools).with_faults(ExponentialFaults {
        mean_between: secs(200),
        mean_repair: secs(30),
    });
    if seed % 2 == 1 {
        let every = |seconds| Some(secs(seconds));
        let parts = FleetFaults {
            node: every(900),
            gpu: every(400),
            nvlink: every(900),
            nic: every(900),
            slow: every(900),
            repair: RepairTimes::Exponential(secs(30)),
            slow_for: RepairTimes::Fixed(secs(20)),
            ..FleetFaults::none()
        };
        let windows = MaintenanceWindows {
            lead: secs(9),
            ..MaintenanceWindows::once(SimTime::from_secs(40), secs(6))
        };
        let all = SeveralFaults::default().and(parts);
        supply = supply.with_faults(all.and(windows.every(secs(55))));
    }
    supply.quotas.push(CloudQuota {
        pools: PoolSet::one(PoolId(1)),
        max_nodes: 3,
    });
    let mut platform = Platform::new("chaos", policy);
    if seed.is_multiple_of(2) {
        platform.schedulers.push(Scheduler {
            policy: Box::new(chaotic(seed, 2_000)),
            pools: PoolSet::ALL,
        });
        platform.router = vec![Route {
            queue: Some(QueueId(1)),
            scheduler: SchedulerId(1),
            ..Route::default()
        }];
    }
    let moods = Moods {
        dice: Dice(seed * 2 + 11),
        jobs: Vec::new(),
    };
    platform = platform
        .batch(
            Batch::new()
                .gang_timeout(secs(40))
                .backoff(secs(2), secs(20)),
        )
        .detection_delay(secs(dice.roll(2) * 15))
        .driver_failures(DriverFailures {
            probability: Ppm(if seed % 2 == 1 { 200_000 } else { 0 }),
            retry_min: secs(2),
            retry_max: secs(5),
        })
        .autoscaler(Whims {
            dice: Dice(seed * 2 + 13),
        });
    if seed.is_multiple_of(3) {
        platform = platform.admission(moods);
    }
    if seed % 4 < 2 {
        platform = platform.sharing(Sharing::Fractions);
    }
    let mut options = RunOptions::default()
        .seed(windtunnel_core::rng::Seed(seed))
        .horizon(secs(400));
    options.ledger = ledger;
    Simulation::new(supply, JobList::new(jobs(&mut dice)), platform, options).unwrap()
}

/// Paid time is whole nodes from their instance's start: checked by the engine against the buckets.
#[test]
fn whatever_legal_things_happen_the_books_balance() {
    let seeds = std::env::var_os("CHAOS")
        .and_then(|s| s.to_str()?.parse().ok())
        .unwrap_or(60);
    for seed in 1..=seeds {
        let report = match chaos(seed, true).run() {
            Ok(report) => report,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        let mut half = chaos(seed, true);
        half.run_until(SimTime::from_secs(97), &mut NoObserver)
            .unwrap();
        same(&half.fork().unwrap().run().unwrap(), &report);
        assert_eq!(
            chaos(seed, false).run().unwrap().digest,
            report.digest,
            "seed {seed}"
        );
    }
}

/// Every policy of the registry in surroundings that fail, withhold, revoke, rent and cordon: its
/// decisions stay valid, the books balance, and a fork goes on as the whole.
#[test]
fn every_policy_survives_what_happens_around_it() {
    let seeds = std::env::var_os("CHAOS")
        .and_then(|s| s.to_str()?.parse().ok())
        .unwrap_or(24);
    let more = [
        "easy-backfill{by=oracle,placer=best-fit}",
        "conservative-backfill{by=oracle,order=sjf}",
        "priority{grace=6s}",
        "replay{unrecorded=wait}",
    ];
    let names = windtunnel_policies::known().iter().map(|info| info.name);
    for name in names.chain(more) {
        // Under the last one a fifo's head stops fitting anywhere while it waits, and is rejected.
        for seed in (1..=seeds).chain([78]) {
            let make = |ledger| {
                let policy = windtunnel_policies::policy(name).unwrap();
                chaos_under(seed, ledger, policy)
            };
            let report = match make(true).run() {
                Ok(report) => report,
                Err(error) => panic!("{name}, seed {seed}: {error}"),
            };
            let mut half = make(true);
            half.run_until(SimTime::from_secs(97), &mut NoObserver)
                .unwrap();
            same(&half.fork().unwrap().run().unwrap(), &report);
            let bare = make(false).run().unwrap();
            assert_eq!(bare.digest, report.digest, "{name}, seed {seed}");
        }
    }
}
