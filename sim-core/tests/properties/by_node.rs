//! A speed that is put together from what nodes say is, to the bit, the one that is asked for as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use windtunnel_core::{
    Advance, Behaviour, Fault, FaultKind, JobList, JobProfile, JobSpec, Layout, Limits,
    ListedFaults, Neighbours, NodeLimits, NodeModel, NodePart, Placement, Platform, PoolId,
    PoolSpec, Ppm, ReferenceSpeed, Report, RunOptions, Sharing, SimDuration, SimTime, Simulation,
    Speed, SpeedByNode, SpeedModel, Supply, TaskRequest, TopologyAware, TopologySpeed,
};

use crate::speed::{FirstFit, behaviour, fabric, quad};

/// The same model, with a count of the nodes it was asked about, or without saying that it can answer
/// node by node.
#[derive(Clone, Debug)]
struct Dressed {
    model: Arc<dyn SpeedModel>,
    by_node: bool,
    asked: Arc<AtomicU32>,
}

impl SpeedModel for Dressed {
    fn speed(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        done: SimDuration,
    ) -> Speed {
        self.model.speed(profile, on, beside, done)
    }

    fn minds_neighbours(&self) -> bool {
        self.model.minds_neighbours()
    }

    fn by_node(&self) -> Option<&dyn SpeedByNode> {
        self.by_node.then_some(self)
    }

    fn bound(&self, supply: &Supply) -> Option<Arc<dyn SpeedModel>> {
        let model = self.model.bound(supply)?;
        Some(Arc::new(Self {
            model,
            ..self.clone()
        }))
    }
}

impl SpeedByNode for Dressed {
    fn limits(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        part: &NodePart,
    ) -> NodeLimits {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let model = self.model.by_node().unwrap();
        model.limits(profile, on, beside, part)
    }

    fn speed_within(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        limits: &Limits<'_>,
        done: SimDuration,
    ) -> Speed {
        let model = self.model.by_node().unwrap();
        model.speed_within(profile, on, limits, done)
    }
}

/// Everything that a run tells, and how many nodes were asked about one by one.
fn run(
    model: &Arc<dyn SpeedModel>,
    by_node: bool,
    (supply, jobs, sharing): (&Supply, &[JobSpec], Sharing),
) -> (String, u32) {
    let asked = Arc::new(AtomicU32::new(0));
    let mut platform = Platform::from(FirstFit).sharing(sharing);
    platform.pool_default.devices = Box::new(TopologyAware);
    platform.speed = Arc::new(Dressed {
        model: model.clone(),
        by_node,
        asked: asked.clone(),
    });
    let options = RunOptions::default().horizon(SimDuration::from_hours(1));
    let jobs = JobList::new(jobs.to_vec());
    let simulation = Simulation::new(supply.clone(), jobs, platform, options).unwrap();
    let report: Report = simulation.run().unwrap();
    (format!("{report:?}"), asked.load(Ordering::Relaxed))
}

/// Gangs that are wide, some elastic, and what comes and goes beside them.
fn job() -> impl Strategy<Value = JobSpec> {
    let wide = (
        9_u32..14,
        1_u16..=2,
        0_u32..12,
        100_u64..1_500,
        any::<bool>(),
    );
    let wide = wide.prop_map(|(tasks, gpus, cores, work, elastic)| {
        let run = SimDuration::from_secs(work);
        let job = JobSpec::new(
            SimTime::ZERO,
            TaskRequest::gpus(gpus).with_cores(cores),
            run,
        )
        .tasks(tasks);
        match elastic {
            true => job.advance(Advance::Between { min: 5, max: 20 }),
            false => job,
        }
    });
    let small = (
        1_u32..4,
        prop::sample::select(vec![250_u16, 500, 1_000, 2_000]),
        1_u64..300,
    );
    let small = small.prop_map(|(tasks, milli, work)| {
        let request = match milli {
            0..1_000 => TaskRequest::gpu_milli(milli),
            _ => TaskRequest::gpus(milli / 1_000),
        };
        let run = SimDuration::from_secs(work);
        JobSpec::new(SimTime::ZERO, request, run).tasks(tasks)
    });
    let kinds = prop_oneof![1 => wide, 3 => small];
    let parts = (
        kinds,
        0_u64..1_500,
        prop::option::of(behaviour()),
        0_u32..1_000_000,
    );
    parts.prop_map(|(mut job, submit, behaviour, host_loss)| {
        job.submit = SimTime::from_secs(submit);
        let Some(behaviour) = behaviour else {
            return job;
        };
        job.behaviour(Arc::new(Behaviour {
            host_loss: Ppm(host_loss),
            ..(*behaviour).clone()
        }))
    })
}

fn fault() -> impl Strategy<Value = (PoolId, u32, Fault)> {
    let what = prop_oneof![
        Just(FaultKind::Node),
        Just(FaultKind::Gpu(1)),
        Just(FaultKind::Nic(0)),
        Just(FaultKind::Nvlink(0)),
        Just(FaultKind::Slow(Ppm(600_000))),
    ];
    (0_u8..3, 0_u32..6, 0_u64..1_500, 1_u64..600, what).prop_map(
        |(pool, node, at, repair, what)| {
            let (at, repair) = (SimTime::from_secs(at), SimDuration::from_secs(repair));
            (PoolId(pool), node, Fault { at, repair, what })
        },
    )
}

proptest! {
    #[test]
    fn what_is_kept_of_nodes_is_what_is_there(
        jobs in prop::collection::vec(job(), 4..40),
        faults in prop::collection::vec(fault(), 0..4),
        fabric in fabric(),
        domain in 1_u32..4,
        mode in 0_usize..4,
        reference in any::<bool>(),
    ) {
        let mut jobs = jobs;
        jobs.sort_by_key(|job| job.submit);
        let layout = Layout { nodes_per_domain: Some(domain), nodes_per_rack: Some(0) };
        let pools = vec![
            PoolSpec::owned("a", quad("a", true).with_cores(32), 6).with_layout(layout),
            PoolSpec::owned("b", quad("b", false).with_cores(32), 6),
            PoolSpec::owned("c", quad("a", false).with_cores(32), 4),
        ];
        let supply = Supply::new(pools).with_fabric(fabric).with_faults(ListedFaults::new(faults));
        let sharing = [Sharing::Fractions, Sharing::Mps, Sharing::TimeSliced { slots: 4 }, Sharing::Exclusive][mode];
        if sharing == Sharing::Exclusive {
            jobs.retain(|job| job.request.groups[0].request.gpus.milli() >= 1_000);
        }
        let model: Arc<dyn SpeedModel> = match reference {
            true => Arc::new(ReferenceSpeed),
            false => Arc::new(TopologySpeed::default()),
        };
        let (by_node, _) = run(&model, true, (&supply, &jobs, sharing));
        let (whole, _) = run(&model, false, (&supply, &jobs, sharing));
        prop_assert_eq!(by_node, whole);
    }
}

/// Ten tasks have a GPU each on ten nodes. What comes to share the first is a reason to look at all
/// ten, as nothing is kept yet; when it goes, and for each that comes or goes later, one is looked at.
#[test]
fn only_nodes_where_something_changed_are_asked_about() {
    let job = |submit: u64, milli: u16, run: u64| {
        let request = TaskRequest::gpu_milli(milli);
        let run = SimDuration::from_secs(run);
        JobSpec::new(SimTime::from_secs(submit), request, run)
    };
    let jobs = [
        job(0, 600, 500).tasks(10),
        job(10, 300, 5),
        job(30, 300, 5),
        job(31, 300, 10),
    ];
    let node = NodeModel::gpus_only("a", 1);
    let supply = Supply::uniform(node, 10);
    let model: Arc<dyn SpeedModel> = Arc::new(ReferenceSpeed);
    let (by_node, asked) = run(&model, true, (&supply, &jobs, Sharing::Mps));
    assert_eq!(asked, 10 + 1 + 4);
    let (whole, asked) = run(&model, false, (&supply, &jobs, Sharing::Mps));
    assert_eq!(asked, 0);
    assert_eq!(by_node, whole);
}
