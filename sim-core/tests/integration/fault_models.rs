//! Fault models against expectation, and their draws against each other.

use std::collections::BTreeMap;

use crate::support::{FirstFit, StrictFifo, at, job, nodes, secs};
use windtunnel_core::rng::Seed;
use windtunnel_core::{
    Event, EventKind, ExponentialFaults, Fault, FaultKind, FaultModel, FaultStep, FleetFaults,
    JobList, MaintenanceWindows, NodeEvent, Observer, Platform, PoolId, PoolSet, Ppm, RepairTimes,
    RunOptions, SeveralFaults, SimDuration, SimTime, Simulation, Site, View,
};

fn site(ordinal: u32) -> Site {
    Site {
        pool: PoolId(0),
        ordinal,
        gpus: 8,
    }
}

/// Faults of one node that begin before `end`, as if each were asked for when the one before begins.
fn faults(model: &dyn FaultModel, ordinal: u32, end: SimTime) -> Vec<Fault> {
    let mut all = Vec::new();
    for mut stream in model.streams(Seed(5), site(ordinal)) {
        let mut from = SimTime::ZERO;
        while let Some(fault) = stream.next(from).filter(|fault| fault.at < end) {
            let lasts = if stream.overlaps() {
                SimDuration::ZERO
            } else {
                fault.repair
            };
            from = fault.at + lasts;
            all.push(fault);
        }
    }
    all
}

fn kind(fault: &Fault) -> &'static str {
    match fault.what {
        FaultKind::Node => "node",
        FaultKind::Gpu(_) => "gpu",
        FaultKind::Nvlink(_) => "nvlink",
        FaultKind::Nic(_) => "nic",
        FaultKind::Slow(_) => "slow",
        _ => "other",
    }
}

/// The fleet that the rates come from: 2,048 nodes of 8 GPUs over 54 days. Ten times as long, for
/// tighter bounds.
#[test]
fn a_fleet_fails_as_often_as_the_one_it_is_taken_from() {
    let fleet = FleetFaults::llama3();
    let end = SimTime::ZERO + SimDuration::from_days(540);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut gpus = [0_u32; 8];
    for ordinal in 0..2_048 {
        for fault in faults(&fleet, ordinal, end) {
            *counts.entry(kind(&fault)).or_default() += 1;
            if let FaultKind::Gpu(gpu) = fault.what {
                gpus[usize::from(gpu)] += 1;
            }
        }
    }
    for (kind, recorded) in [("gpu", 253_u32), ("nvlink", 15), ("nic", 42), ("node", 46)] {
        let (found, expected) = (f64::from(counts[kind]), f64::from(recorded * 10));
        // Four standard deviations of a Poisson count.
        let bound = 4.0 * expected.sqrt();
        assert!(
            (found - expected).abs() < bound,
            "{kind}: {found} in 540 days, {expected} expected"
        );
    }
    assert!(!counts.contains_key("slow"));
    // No GPU of a node fails more often than another.
    let mean = f64::from(gpus.iter().sum::<u32>()) / 8.0;
    let even = |count: &u32| (f64::from(*count) - mean).abs() < 4.0 * mean.sqrt();
    assert!(gpus.iter().all(even), "{gpus:?}");
}

/// Three in a thousand GPUs are slow at any time, and between 1.1 and 1.5 times.
#[test]
fn stragglers_are_as_many_as_said() {
    let fleet = FleetFaults::none().with_stragglers();
    let end = SimTime::ZERO + SimDuration::from_days(1_000);
    let mut slow = 0.0;
    for ordinal in 0..1_000 {
        for fault in faults(&fleet, ordinal, end) {
            slow += fault.repair.as_secs_f64() / 86_400.0;
            let FaultKind::Slow(to) = fault.what else {
                panic!("{fault:?}");
            };
            assert!((Ppm(666_667)..=Ppm(909_091)).contains(&to), "{to:?}");
        }
    }
    let share = slow / (1_000.0 * 1_000.0 * 8.0);
    // 24,000 slowdowns expected, of a day each: four standard deviations are 3.7 %.
    assert!((share / 0.003 - 1.0).abs() < 0.037, "{share}");
}

/// Switching one kind on moves no fault of another, nor does the way in which things are repaired.
#[test]
fn kinds_do_not_share_draws() {
    let end = SimTime::ZERO + SimDuration::from_days(20_000);
    let all = FleetFaults::llama3().with_stragglers();
    let everything: Vec<Fault> = (0..20).flat_map(|n| faults(&all, n, end)).collect();
    let alone = [
        (
            "node",
            FleetFaults {
                node: all.node,
                ..FleetFaults::none()
            },
        ),
        (
            "gpu",
            FleetFaults {
                gpu: all.gpu,
                ..FleetFaults::none()
            },
        ),
        (
            "nvlink",
            FleetFaults {
                nvlink: all.nvlink,
                ..FleetFaults::none()
            },
        ),
        (
            "nic",
            FleetFaults {
                nic: all.nic,
                ..FleetFaults::none()
            },
        ),
        (
            "slow",
            FleetFaults {
                slow: all.slow,
                ..FleetFaults::none()
            },
        ),
    ];
    for (name, only) in alone {
        let of_all: Vec<Fault> = everything
            .iter()
            .filter(|fault| kind(fault) == name)
            .copied()
            .collect();
        assert!(of_all.len() > 3, "{name}");
        let by_itself: Vec<Fault> = (0..20).flat_map(|n| faults(&only, n, end)).collect();
        assert_eq!(of_all, by_itself, "{name}");
        let quick = FleetFaults {
            repair: RepairTimes::Fixed(secs(1)),
            slow_for: RepairTimes::Fixed(secs(1)),
            ..only
        };
        let when = |faults: &[Fault]| faults.iter().map(|f| (f.at, f.what)).collect::<Vec<_>>();
        let repaired: Vec<Fault> = (0..20).flat_map(|n| faults(&quick, n, end)).collect();
        assert_eq!(when(&repaired), when(&of_all), "{name}");
    }
}

/// Draws spelled out: they may change only with a line in the changelog.
#[test]
fn value_stability() {
    let all = FleetFaults::llama3().with_stragglers();
    let end = SimTime::ZERO + SimDuration::from_days(1_500);
    let lines: Vec<String> = faults(&all, 3, end)
        .iter()
        .map(|fault| {
            let (at, repair) = (fault.at.as_nanos(), fault.repair.as_millis());
            format!("{} {} {repair}", at / 1_000_000, fault.what)
        })
        .collect();
    let (slow, parts): (Vec<String>, Vec<String>) =
        lines.into_iter().partition(|line| line.contains("speed"));
    assert_eq!(
        slow[..3],
        [
            "2245159551 speed 77.2 % 110018383",
            "12207110799 speed 76.7 % 206936486",
            "18455059422 speed 88.3 % 110641230",
        ]
    );
    assert_eq!(
        parts,
        [
            "17500676080 nvlink 6 50246478",
            "57203159010 gpu 1 1006384",
            "96993165370 gpu 4 357753884",
            "110794412026 gpu 4 37818193",
            "116736863279 gpu 7 400531",
            "121505244093 gpu 2 776519",
            "121935837295 gpu 1 233296417",
        ]
    );
}

/// What befell a node itself, and what of it.
#[derive(Default)]
struct Diary(Vec<(SimTime, String)>);

impl Observer for Diary {
    fn on_event(&mut self, event: &Event, _: &View<'_>) {
        let entry = match event.kind {
            EventKind::Fault {
                step: FaultStep::Began | FaultStep::Ended,
                ..
            } => true,
            EventKind::Node { what, .. } => {
                matches!(what, NodeEvent::Failed | NodeEvent::Repaired)
            }
            _ => false,
        };
        if entry {
            self.0.push((event.at, event.kind.to_string()));
        }
    }
}

/// The same things break at the same times whoever schedules, and however late they are noticed.
#[test]
fn faults_do_not_depend_on_the_platform() {
    let hours = |hours| Some(SimDuration::from_hours(hours));
    let fleet = FleetFaults {
        node: hours(9),
        gpu: hours(30),
        nvlink: hours(90),
        nic: hours(90),
        slow: hours(90),
        ..FleetFaults::none()
    };
    let diary = |platform: Platform| {
        let jobs = (0..40).map(|n| job(1 + n % 8, 4_000).tasks(u32::from(1 + n % 2)));
        let supply = nodes(5, 8).with_faults(SeveralFaults::default().and(fleet.clone()).and(
            MaintenanceWindows {
                lead: secs(3_600),
                ..MaintenanceWindows::once(at(36_000), secs(7_200))
            },
        ));
        let options = RunOptions::default().horizon(SimDuration::from_days(3));
        let run = Simulation::new(supply, JobList::new(jobs.collect()), platform, options);
        let mut diary = Diary::default();
        run.unwrap().run_with(&mut diary).unwrap();
        diary.0
    };
    let first = diary(Platform::from(FirstFit).detection_delay(secs(900)));
    assert_eq!(first, diary(Platform::from(StrictFifo)));
    for word in ["failed", "gpu", "nvlink", "nic", "speed", "maintenance"] {
        let told = first.iter().filter(|entry| entry.1.contains(word)).count();
        assert!(told > 2, "{word}: {told}");
    }
}

/// Windows are where and when the calendar says.
#[test]
fn windows_follow_the_calendar() {
    let windows = MaintenanceWindows {
        lead: secs(30),
        pools: PoolSet::one(PoolId(0)),
        nodes: 2..4,
        ..MaintenanceWindows::once(at(20), secs(10))
    };
    let end = at(300);
    assert_eq!(faults(&windows, 1, end), []);
    assert_eq!(faults(&windows, 4, end), []);
    // The first lead would begin before the run, the others before the last window is over.
    let again = windows.clone().every(secs(25));
    let found = faults(&again, 2, at(100));
    let told: Vec<(SimTime, SimDuration)> = found.iter().map(|f| (f.at, f.repair)).collect();
    let expected = [(0, 30), (30, 25), (55, 25), (80, 25)];
    assert_eq!(told, expected.map(|(when, long)| (at(when), secs(long))));
    // A window that would open before the last has closed is left out.
    let crowded = windows.every(secs(4));
    let opens: Vec<SimTime> = faults(&crowded, 3, at(70))
        .iter()
        .map(|fault| fault.at)
        .collect();
    assert_eq!(opens, [at(0), at(30), at(42), at(54), at(66)]);
}

/// Rates add up.
#[test]
fn mean_times_between_stops() {
    let nodes = ExponentialFaults {
        mean_between: SimDuration::from_days(100),
        mean_repair: SimDuration::from_hours(1),
    };
    let gpus = FleetFaults {
        gpu: Some(SimDuration::from_days(400)),
        nic: Some(SimDuration::from_days(1)),
        ..FleetFaults::none()
    };
    let both = SeveralFaults::default().and(nodes).and(gpus);
    // 2 ÷ 100 + 8 ÷ 400 = 1 ÷ 25 per day.
    let days = SimDuration::from_days;
    assert_eq!(both.mean_between_stops(2, 8), Some(days(25)));
    assert_eq!(FleetFaults::none().mean_between_stops(2, 8), None);
    assert_eq!(both.mean_between_stops(0, 0), None);
}
