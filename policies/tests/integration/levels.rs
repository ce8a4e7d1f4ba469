//! Every policy keeps a gang within the level it asks for.

use proptest::prelude::*;
use windtunnel_core::{Event, Fabric, JobSpec, Level, Observer, Supply, TaskState, View};
use windtunnel_policies::registry;

use crate::support::{Dice, Scenario, job, later, mixed_jobs, nodes};

fn fabric(rack: u32, pod: u32) -> Fabric {
    Fabric {
        nodes_per_rack: rack,
        racks_per_pod: pod,
        ..Fabric::default()
    }
}

/// Fails as soon as a group is on both sides of a border that it must not cross.
#[derive(Default)]
struct Watch {
    placed: u64,
}

impl Observer for Watch {
    fn on_event(&mut self, event: &Event, view: &View<'_>) {
        let windtunnel_core::EventKind::Task { task, to, .. } = event.kind else {
            return;
        };
        let Some(job) = view.job(task.job).filter(|_| to == TaskState::Running) else {
            return;
        };
        let group = job.tasks().filter(|other| other.id().group == task.group);
        let level = job.groups()[usize::from(task.group)].level;
        if let Some(level) = level {
            let at = group.filter_map(|task| task.node());
            let mut at: Vec<u32> = at.map(|node| view.places().group(node, level)).collect();
            at.dedup();
            // The view is from after the instant, in which the group may have been evicted again.
            assert!(at.len() <= 1, "{} must not cross a {level}", job.id());
            self.placed += u64::from(at.len() == 1);
        }
    }
}

/// Jobs of all kinds, of which some gangs ask for a level.
fn jobs(seed: u64) -> Vec<JobSpec> {
    let mut dice = Dice(seed << 20);
    let mut jobs = mixed_jobs(seed, 60);
    for spec in &mut jobs {
        let level = usize::try_from(dice.roll(6)).unwrap();
        if spec.request.advance == windtunnel_core::Advance::All {
            spec.request.groups[0].level = Level::ALL.get(level).copied();
        }
    }
    jobs
}

fn supply(seed: u64) -> Supply {
    let rack = 1 + u32::try_from(seed % 3).unwrap();
    let mut supply = nodes(7, 8).with_fabric(fabric(rack, 2));
    supply.pools[0].model = supply.pools[0].model.clone().with_cores(32);
    supply
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_policy_crosses_a_level(seed in 0..1_000_u64) {
        let mut scenario = Scenario::new(supply(seed), jobs(seed));
        scenario.horizon = Some(400);
        let more = [
            "easy-backfill{order=sjf,placer=best-fit}",
            "conservative-backfill{placer=random}",
            "priority{placer=worst-fit,grace=2s}",
            "kube-default{version=1.20,requeue=all,tie=upstream}",
        ];
        let names = registry::known().iter().map(|entry| entry.name).chain(more);
        let mut placed = 0;
        for policy in names {
            let mut watch = Watch::default();
            scenario.watched(policy, &mut watch);
            placed += watch.placed;
        }
        prop_assert!(placed > 0);
    }
}

/// Whether a batch policy starts a lone gang is whether some rack has room for it: all ways to fill six
/// nodes of two GPUs, in racks of three, two and one.
#[test]
fn a_gang_starts_if_and_only_if_some_rack_has_room() {
    for rack in 1..=3_u32 {
        for taken in 0..3_u32.pow(6) {
            // One digit per node: GPUs that are taken.
            let digits = || (0..6).map(move |node| taken / 3_u32.pow(node) % 3);
            for tasks in [2, 3] {
                if (taken + tasks + rack) % 5 > 0 {
                    continue; // A fifth of all cases is enough for a test.
                }
                let free: Vec<u32> = digits().map(|taken| 2 - taken).collect();
                let fits = free
                    .chunks(rack as usize)
                    .any(|rack| rack.iter().sum::<u32>() >= tasks);
                let mut world =
                    windtunnel_core::World::new(&nodes(6, 2).with_fabric(fabric(rack, 0))).unwrap();
                for (node, gpus) in (0..).zip(digits()).filter(|(_, gpus)| *gpus > 0) {
                    let filler = job(u16::try_from(gpus).unwrap(), 10);
                    let filler = world.submit(filler).unwrap();
                    let task = world
                        .view()
                        .job(filler)
                        .unwrap()
                        .tasks()
                        .next()
                        .unwrap()
                        .id();
                    world.start(task, windtunnel_core::NodeId(node)).unwrap();
                }
                let gang = world
                    .submit(job(1, 10).tasks(tasks).within(Level::Rack))
                    .unwrap();
                let view = world.view();
                let gang = view.job(gang).unwrap();
                let mut plan = view.plan();
                let mark = plan.mark();
                let first = matches!(plan.first_fit(gang), windtunnel_core::Fit::Now(_));
                plan.undo_to(mark);
                let best = plan.best_by(gang, |free, _| free.milli.into());
                let best = matches!(best, windtunnel_core::Fit::Now(_));
                let ever = rack * 2 >= tasks;
                assert_eq!(
                    (first, best),
                    (fits && ever, fits && ever),
                    "{free:?} in racks of {rack}"
                );
            }
        }
    }
}

/// Kubernetes places pods one by one: the first of a gang where it scores best, the second beside it.
#[test]
fn pod_by_pod() {
    // Racks of two nodes of 2 GPUs. The filler takes node 0. The gang's first pod goes to node 1, like
    // the others empty, and its second waits for the filler's end; the second gang goes by.
    let jobs = vec![
        job(2, 10),
        later(1, job(2, 20).tasks(2).within(Level::Rack)),
        later(2, job(2, 5).tasks(2).within(Level::Rack)),
    ];
    let mut scenario = Scenario::new(nodes(4, 2).with_fabric(fabric(2, 0)), jobs);
    scenario.horizon = Some(60);
    crate::golden::check(
        "levels",
        &scenario,
        &["first-fit", "best-fit", "kube-default"],
    );
}
