//! Instances (MIG) that jobs ask for by profile, worked to the unit on one GPU of seven compute and
//! eight memory slices.

use std::sync::Arc;

use crate::support::{FirstFit, at, nodes, run, secs, waits};
use windtunnel_core::{
    Behaviour, Bucket, Bytes, Claim, Decisions, GpuRequest, HoldFor, HoldPart, JobList, JobLog,
    JobSpec, MigBlocked,
    MigInstance::{self, FourG, OneG, OneGDouble, ThreeG, TwoG},
    MigTable, News, NodeId, NodeModel, Observer, Outcome, Platform, Policy, Reason, Report,
    RunOptions, Sharing, SimDuration, Simulation, Supply, TaskRequest, View,
};

fn platform(sharing: Sharing) -> Platform {
    let mut platform = Platform::new("mig", FirstFit).sharing(sharing);
    platform.pool_default.reconfigure = SimDuration::ZERO;
    platform
}

fn mig() -> Platform {
    platform(Sharing::Mig(MigTable::A100x80))
}

fn ask(submit: u64, instance: MigInstance, run: u64) -> JobSpec {
    JobSpec::new(at(submit), TaskRequest::mig(instance), secs(run))
}

fn whole(submit: u64, run: u64) -> JobSpec {
    JobSpec::new(at(submit), TaskRequest::gpus(1), secs(run))
}

/// Milliseconds at which jobs ended, by id.
fn ends(log: &JobLog) -> Vec<u64> {
    let mut records: Vec<_> = log.records.iter().collect();
    records.sort_by_key(|record| record.job);
    let ends = records.iter().map(|record| record.end.as_nanos());
    ends.map(|end| end / 1_000_000).collect()
}

/// milli-GPU·s per bucket, those that are not zero; all are whole.
fn ledger(report: &Report) -> String {
    let ledger = report.ledger.as_ref().unwrap();
    let lines = Bucket::ALL.into_iter().filter_map(|bucket| {
        let (unit, amount) = (1_000_000 * 1_000_000_000, ledger.amount(bucket));
        assert_eq!(amount % unit, 0, "{bucket}");
        (amount > 0).then(|| format!("{bucket}={}", amount / unit))
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// Blocked compute and memory slices at each instant at which they change, in seconds.
#[derive(Default)]
struct Blocked(Vec<(u64, u64, u64)>);

impl Observer for Blocked {
    fn on_instant(&mut self, view: &View<'_>) {
        let (now, blocked) = (view.now().as_nanos() / 1_000_000_000, MigBlocked::of(view));
        if self
            .0
            .last()
            .is_none_or(|&(_, c, m)| (c, m) != (blocked.compute, blocked.memory))
        {
            self.0.push((now, blocked.compute, blocked.memory));
        }
    }
}

fn blocked(jobs: Vec<JobSpec>, until: u64) -> Vec<(u64, u64, u64)> {
    let options = RunOptions::default().horizon(secs(until));
    let run = Simulation::new(nodes(1, 1), JobList::new(jobs), mig(), options).unwrap();
    let mut seen = Blocked::default();
    run.run_with(&mut seen).unwrap();
    seen.0
}

/// Four slices each of the memory, and four and three of the compute: nothing is left, nothing is in
/// anybody's way. What comes third waits for what is not there.
#[test]
fn four_and_three_fill_a_gpu() {
    let jobs = || vec![ask(0, FourG, 20), ask(0, ThreeG, 20), ask(0, OneG, 10)];
    let (report, log) = run(nodes(1, 1), jobs(), mig(), 30);
    assert_eq!(ends(&log), [20_000, 20_000, 30_000]);
    assert_eq!(waits(&log, 2), "insufficient=20");
    assert_eq!(
        ledger(&report),
        "idle.no_demand=8750 allocated.useful=21250"
    );
    // At 20 the 1g is alone, at 6: the slice after it is for those who have what lies before, too.
    assert_eq!(blocked(jobs(), 30), [(0, 0, 0), (20, 0, 1), (30, 0, 0)]);
}

/// The same in the other order: the `3g` comes first and leaves the only place that a `4g` can have.
#[test]
fn a_three_leaves_the_place_of_the_four() {
    let jobs = vec![ask(0, ThreeG, 20), ask(0, FourG, 20)];
    let (report, log) = run(nodes(1, 1), jobs, mig(), 20);
    assert_eq!(ends(&log), [20_000, 20_000]);
    assert_eq!(ledger(&report), "allocated.useful=20000");
}

/// Two `3g` have all of the memory and six of seven compute slices. The seventh has no memory: a `1g`
/// waits, and as the ledger counts memory slices none of the GPU is idle meanwhile. The count of blocked
/// slices shows it, for as long as both are there.
#[test]
fn three_and_three_leave_a_compute_slice() {
    let jobs = || vec![ask(0, ThreeG, 20), ask(0, ThreeG, 30), ask(0, OneG, 10)];
    let (report, log) = run(nodes(1, 1), jobs(), mig(), 30);
    assert_eq!(ends(&log), [20_000, 30_000, 30_000]);
    assert_eq!(waits(&log, 2), "insufficient=20");
    // 500 for 20 s, 500 for 30 s, 125 for 10 s.
    assert_eq!(
        ledger(&report),
        "idle.no_demand=3750 allocated.useful=26250"
    );
    // At 20 the 1g goes to 6, beside the second `3g` at 0: two more at 4 and 5, so one of the three free
    // compute slices is still nobody's, and the last memory slice with it.
    assert_eq!(blocked(jobs(), 40), [(0, 1, 0), (20, 1, 1), (30, 0, 0)]);
}

/// A `3g` at 4 ends and leaves half of the GPU free beside one at 0: room for a `3g`, and none for a `4g`,
/// which starts at 0 only. Its half is fragmented until the other ends.
#[test]
fn a_four_waits_for_its_only_start() {
    let jobs = vec![ask(0, ThreeG, 10), ask(0, ThreeG, 30), ask(0, FourG, 10)];
    let (report, log) = run(nodes(1, 1), jobs, mig(), 40);
    assert_eq!(ends(&log), [10_000, 30_000, 40_000]);
    assert_eq!(waits(&log, 2), "insufficient=10 fragmented=20");
    assert_eq!(
        ledger(&report),
        "idle.no_demand=5000 idle.fragmented=10000 allocated.useful=25000"
    );
}

/// Four small instances with twice the memory each have all of it: a fifth waits, and three compute
/// slices are nobody's.
#[test]
fn four_small_ones_with_double_memory() {
    let jobs = || -> Vec<JobSpec> { (0..5).map(|_| ask(0, OneGDouble, 10)).collect() };
    let (report, log) = run(nodes(1, 1), jobs(), mig(), 20);
    assert_eq!(ends(&log), [10, 10, 10, 10, 20].map(|end| end * 1_000));
    assert_eq!(waits(&log, 4), "insufficient=10");
    assert_eq!(
        ledger(&report),
        "idle.no_demand=7500 allocated.useful=12500"
    );
    assert_eq!(blocked(jobs(), 30), [(0, 3, 0), (10, 0, 0)]);
}

/// One of two slices at 6 goes where no `1g` could use the last one.
#[test]
fn a_double_one_at_the_end_wastes_nothing() {
    let mut jobs: Vec<JobSpec> = (0..6).map(|_| ask(0, OneG, 10)).collect();
    jobs.insert(0, ask(0, OneGDouble, 10));
    let (report, log) = run(nodes(1, 1), jobs.clone(), mig(), 10);
    assert_eq!(log.records.len(), 7);
    assert_eq!(ledger(&report), "allocated.useful=10000");
    assert_eq!(blocked(jobs, 10), [(0, 0, 0)]);
}

/// `7g` is a whole GPU: any instance, however small, keeps it out, and it keeps out all of them.
#[test]
fn seven_only_on_an_empty_gpu() {
    for instance in MigInstance::ALL {
        let jobs = vec![ask(0, instance, 10), whole(0, 10), ask(10, OneG, 10)];
        let (report, log) = run(nodes(1, 1), jobs, mig(), 30);
        assert_eq!(ends(&log), [10_000, 20_000, 30_000], "{instance:?}");
        assert_eq!(waits(&log, 1), "insufficient=10");
        let milli = u64::from(instance.milli());
        let expected = format!(
            "idle.no_demand=8750 idle.insufficient={} allocated.useful={}",
            (1_000 - milli) * 10,
            milli * 10 + 10_000 + 1_250
        );
        assert_eq!(ledger(&report), expected, "{instance:?}");
    }
}

/// Making an instance takes 5 s, booked as startup, unless the very same one lies there: a `4g` in place
/// of a `3g` is made anew, though it has the same memory, and so is a `1g.double` in place of a `2g`.
#[test]
fn other_instances_are_made_anew() {
    let platform = || Platform::new("mig", FirstFit).sharing(Sharing::Mig(MigTable::A100x80));
    let jobs = vec![
        ask(0, FourG, 10),
        ask(0, FourG, 10),
        ask(0, ThreeG, 50),
        ask(30, ThreeG, 10),
        whole(60, 10),
    ];
    let (report, log) = run(nodes(1, 1), jobs, platform(), 75);
    // The first 4g is made, the second finds it; the 3g at 4 is made, the 3g at 0 takes the place of the
    // 4g; the 7g that of both.
    assert_eq!(ends(&log), [15_000, 25_000, 55_000, 45_000, 75_000]);
    // 500 x 5 s three times, 1000 x 5 s; 500 from 25 to 30, from 45 on, and all from 55 to 60 are idle.
    assert_eq!(
        ledger(&report),
        "idle.no_demand=12500 allocated.startup=12500 allocated.useful=50000"
    );
    // A 1g at 6, a 2g at 4, a 4g at 0: the only place that comes free is that of the 2g.
    let same = vec![
        ask(0, OneG, 50),
        ask(0, TwoG, 10),
        ask(0, FourG, 50),
        ask(20, OneGDouble, 5),
        ask(30, OneGDouble, 5),
    ];
    let (_, log) = run(nodes(1, 1), same, platform(), 100);
    assert_eq!(ends(&log)[3..], [30_000, 35_000], "made, and found");
}

/// Speed goes by compute slices: 3, 4, 2 and 1 of 7 for a job that would keep the GPU busy, whatever the
/// memory. 10 s at (slices / 7)^0.9, rounded to the millisecond.
#[test]
fn speed_is_that_of_the_compute_slices() {
    let alone = |instance| {
        let job = ask(0, instance, 10).behaviour(Arc::new(Behaviour::new("busy")));
        let (report, log) = run(nodes(1, 1), vec![job], mig(), 100);
        let lost = report.ledger.as_ref().unwrap();
        assert_eq!(lost.amount(Bucket::AllocatedRounding), 0, "{instance:?}");
        ends(&log)[0]
    };
    let times = [ThreeG, FourG, TwoG, OneGDouble, OneG].map(alone);
    let by_formula = [3.0_f64, 4.0, 2.0, 1.0, 1.0].map(|slices| 10e3 / (slices / 7.0).powf(0.9));
    for (time, formula) in times.into_iter().zip(by_formula) {
        let distance = (time as f64 - formula).abs();
        assert!(distance < 1.5, "{time} ms against {formula}");
    }
}

/// What has 15 GiB at its peak runs out of memory in a tenth of 80 GB, and not in two.
#[test]
fn double_memory_is_for_those_that_need_it() {
    let mut model = NodeModel::gpus_only("h100", 1);
    model.gpu_memory = Bytes::gib(80);
    let mut large = Behaviour::new("large");
    large.gpu_memory = Bytes::gib(15);
    let outcome = |instance| {
        let job = ask(0, instance, 10).behaviour(Arc::new(large.clone()));
        let supply = Supply::uniform(model.clone(), 1);
        let (_, log) = run(supply, vec![job], mig(), 10_000);
        log.records[0].outcome.unwrap()
    };
    assert_eq!(outcome(OneG), Outcome::OutOfMemory);
    assert_eq!(outcome(OneGDouble), Outcome::Completed);
}

/// Where GPUs are not shared by MIG an instance is the part of a GPU that its memory is.
#[test]
fn elsewhere_an_instance_is_a_part() {
    let jobs = || {
        vec![
            ask(0, FourG, 10),
            ask(0, ThreeG, 10),
            ask(0, OneGDouble, 10),
        ]
    };
    let ledger_with = |sharing| {
        let (report, log) = run(nodes(1, 1), jobs(), platform(sharing), 40);
        (ends(&log), ledger(&report))
    };
    let seconds = |ends: [u64; 3]| ends.map(|end| end * 1_000).to_vec();
    // One after the other, with half and three quarters of the GPU rounded up.
    let one_each = "idle.no_demand=10000 allocated.rounding=17500 allocated.useful=12500";
    let expected = (seconds([10, 20, 30]), one_each.to_owned());
    assert_eq!(ledger_with(Sharing::Exclusive), expected);
    let parts = "idle.no_demand=27500 allocated.useful=12500";
    let expected = (seconds([10, 10, 20]), parts.to_owned());
    assert_eq!(ledger_with(Sharing::Fractions), expected);
    // An A30 has four slices of each: its 2g serves a 3g and a 4g, which finds two of four compute
    // slices for four of seven and is slower.
    let sharing = || platform(Sharing::Mig(MigTable::A30x24));
    let (report, log) = run(nodes(1, 1), jobs(), sharing(), 40);
    assert_eq!(ends(&log), [11_269, 10_000, 20_000]);
    let rounding = report.ledger.unwrap().amount(Bucket::AllocatedRounding);
    assert_eq!(rounding, 0);
}

/// A hold of a `4g` sets aside the first half, whoever comes, and nothing of the other.
#[test]
fn a_four_is_set_aside() {
    #[derive(Clone, Debug)]
    struct Holds;
    impl Policy for Holds {
        fn name(&self) -> &str {
            "holds"
        }
        fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
            if view.now() == at(0) && view.holds().count() == 0 {
                let part = HoldPart {
                    node: NodeId(0),
                    amount: TaskRequest::mig(FourG),
                };
                let until = Some(at(20));
                let reason = Reason::Reservation;
                out.hold([part], at(0), until, HoldFor::Anyone, reason, Claim::Sure);
            }
            FirstFit.decide(view, &News::default(), out);
        }
    }
    let jobs = vec![
        ask(0, OneG, 1),
        ask(10, ThreeG, 10),
        ask(10, ThreeG, 10),
        ask(10, FourG, 10),
    ];
    let mut platform = Platform::new("holds", Holds).sharing(Sharing::Mig(MigTable::A100x80));
    platform.pool_default.reconfigure = SimDuration::ZERO;
    let (report, log) = run(nodes(1, 1), jobs, platform, 40);
    // At 10 the first 3g goes to 4; all else waits until it ends and the hold, too.
    assert_eq!(ends(&log), [1_000, 20_000, 30_000, 30_000]);
    let amount = |bucket| report.ledger.as_ref().unwrap().amount(bucket);
    assert_eq!(
        amount(Bucket::IdleHeld) / (1_000_000 * 1_000_000_000),
        10_000
    );
}

/// A gang of `4g` needs a GPU each; with as many `3g` it needs no more.
#[test]
fn gangs_of_instances() {
    let gang = ask(0, FourG, 10).tasks(3);
    let mut both = ask(0, FourG, 10).tasks(2);
    both.request
        .groups
        .push(windtunnel_core::TaskGroup::new(TaskRequest::mig(ThreeG), 2));
    let (report, log) = run(nodes(1, 2), vec![gang.clone(), both], mig(), 10);
    let done = |job: u32| {
        log.records
            .iter()
            .any(|record| record.job.0 == job && record.outcome.is_some())
    };
    assert_eq!((done(0), done(1)), (false, true));
    assert_eq!(ledger(&report), "allocated.useful=20000");
    let (_, log) = run(nodes(1, 3), vec![gang], mig(), 10);
    assert_eq!(ends(&log), [10_000]);
}

#[test]
fn an_instance_is_less_than_a_gpu() {
    for instance in MigInstance::ALL {
        let gpus = GpuRequest::Instance(instance);
        assert_eq!((gpus.devices(), gpus.is_part()), (1, true));
        assert_eq!(gpus.milli(), 125 * u32::from(instance.profile().memory));
        assert_eq!(
            JobSpec::new(at(0), TaskRequest::mig(instance), secs(1)).check(),
            Ok(())
        );
    }
}
