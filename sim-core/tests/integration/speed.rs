//! What placements, neighbours and phases make of a job's speed, through whole runs.

use std::io::Write;
use std::sync::Arc;

use crate::boxes::{bridged, cube_mesh, hgx};
use crate::support::{at, ledger_line, secs};
use windtunnel_core::{
    Advance, Behaviour, Bytes, Choice, Clock, Curve, Cycle, Decisions, DeviceChooser,
    DeviceRequest, DeviceSet, DutyPhase, Efficiency, Exchange, Fabric, Fault, FaultKind, JobList,
    JobLog, JobSpec, ListedFaults, News, NodeId, NodeModel, NodeState, Platform, Policy, PoolId,
    Ppm, Reach, Refusal, Report, RunOptions, Sensitivity, SimDuration, Simulation, Spot, StepTime,
    Supply, TaskRequest, TopologySpeed, Traffic, Transport, View,
};

/// Puts the n-th job on the n-th list of spots, as soon as it is pending.
#[derive(Clone)]
struct Script(Vec<Vec<Spot>>);

impl Policy for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        for job in view.pending_jobs() {
            out.place(job.id(), self.0[job.id().id.0 as usize].iter().copied());
        }
    }
}

fn spot(node: u32, gpus: &[u32]) -> Spot {
    let devices = gpus.iter().fold(0, |set, gpu| set | 1 << gpu);
    Spot {
        node: NodeId(node),
        devices: Some(DeviceSet(devices)),
    }
}

/// Runs jobs where they are put.
fn run(supply: Supply, jobs: Vec<(JobSpec, Vec<Spot>)>) -> (Report, JobLog) {
    let (jobs, spots) = jobs.into_iter().unzip();
    let mut platform = Platform::from(Script(spots));
    platform.speed = Arc::new(TopologySpeed::default());
    let jobs = JobList::new(jobs);
    let options = RunOptions::default();
    let simulation = Simulation::new(supply, jobs, platform, options).unwrap();
    let mut log = JobLog::default();
    let report = simulation.run_with(&mut log).unwrap();
    (report, log)
}

/// Run time over work of one job alone.
fn slowdown(model: &NodeModel, fabric: Fabric, job: &Arc<Behaviour>, spots: &[Spot]) -> f64 {
    let supply = Supply::uniform(model.clone(), 4).with_fabric(fabric);
    let (_, log) = run(supply, vec![gang(job, spots, 1_000)]);
    log.records[0].run_time().as_nanos() as f64 / 1e12
}

/// A gang that is put somewhere.
fn gang(job: &Arc<Behaviour>, spots: &[Spot], work: u64) -> (JobSpec, Vec<Spot>) {
    let gpus = spots[0].devices.unwrap().len();
    let request = TaskRequest::gpus(u16::try_from(gpus).unwrap());
    let spec = JobSpec::new(at(0), request, secs(work)).tasks(u32::try_from(spots.len()).unwrap());
    (spec.behaviour(Arc::clone(job)), spots.to_vec())
}

/// Training with 1 GB of gradients after each 100 ms, most of it hidden.
fn training() -> Arc<Behaviour> {
    let mut job = Behaviour::new("training");
    job.traffic = Traffic::Step(StepTime {
        compute: SimDuration::from_millis(100),
        accumulate: 0,
        overlap: 2_500,
        exchange: Exchange::all_reduce(Bytes(1_000_000_000)),
    });
    job.check().unwrap();
    Arc::new(job)
}

/// The same, and nothing else to do: its speed is that of its links.
fn traffic_only() -> Arc<Behaviour> {
    let mut job = (*training()).clone();
    job.traffic = Traffic::Step(StepTime {
        compute: SimDuration::from_nanos(1),
        accumulate: 0,
        overlap: 1_000,
        exchange: Exchange::all_reduce(Bytes(1_000_000_000)),
    });
    Arc::new(job)
}

/// All ways to take four of eight.
fn fours() -> impl Iterator<Item = Vec<u32>> {
    let masks = (0..256_u32).filter(|mask| mask.count_ones() == 4);
    masks.map(|mask| (0..8).filter(|gpu| mask >> gpu & 1 == 1).collect())
}

#[test]
fn inside_a_box_it_matters_which_gpus_where_nvlinks_are_partial_and_only_there() {
    let worst = |model: &NodeModel| {
        let slow =
            fours().map(|set| slowdown(model, Fabric::default(), &training(), &[spot(0, &set)]));
        slow.fold(0.0, f64::max)
    };
    let (switched, mesh, pairs) = (worst(&hgx()), worst(&cube_mesh()), worst(&bridged()));
    writeln!(
        std::io::stderr(),
        "slowest four of eight over the best four: HGX H100 {switched:.4}, V100 cube mesh {mesh:.3}, \
         A100 in bridged pairs {pairs:.3}"
    )
    .unwrap();
    assert!((switched - 1.0).abs() <= 0.01, "HGX {switched}");
    assert!(mesh > 1.2, "cube mesh {mesh}");
    let pair = slowdown(
        &bridged(),
        Fabric::default(),
        &training(),
        &[spot(0, &[0, 2])],
    );
    writeln!(
        std::io::stderr(),
        "two of different bridges over a bridged pair: {pair:.3}"
    )
    .unwrap();
    assert!(pair > 1.05, "bridges {pair}");
}

#[test]
fn without_rdma_traffic_between_two_nodes_is_ten_to_fifty_times_as_slow() {
    let off = Fabric {
        rdma: false,
        ..Fabric::default()
    };
    let job = traffic_only();
    let boxes = [
        spot(0, &[0, 1, 2, 3, 4, 5, 6, 7]),
        spot(1, &[0, 1, 2, 3, 4, 5, 6, 7]),
    ];
    let seconds = |fabric: Fabric| {
        let model = TopologySpeed::new(&Supply::uniform(hgx(), 2).with_fabric(fabric));
        let best = model.best_step(&job, PoolId(0), 16, 8).unwrap();
        best * slowdown(&hgx(), fabric, &job, &boxes)
    };
    // Work is stated with RDMA, whether it is on or not: what it costs to do without is stalled.
    let (with, without) = (seconds(Fabric::default()), seconds(off));
    let ratio = without / with;
    writeln!(
        std::io::stderr(),
        "1 GB all-reduce over 2 x 8 H100, 8 x 400 Gb/s: {:.2} ms with RDMA, {:.2} ms without: \
         {ratio:.1} times (published: 10 to 50)",
        with * 1e3,
        without * 1e3
    )
    .unwrap();
    assert!((10.0..=50.0).contains(&ratio), "{ratio}");
}

#[test]
fn work_is_stated_at_the_best_placement_and_the_rest_is_stalled() {
    let mut job = Behaviour::new("vgg");
    job.traffic = Traffic::Loss(Sensitivity {
        nodes: Ppm(500_000),
        ..Sensitivity::default()
    });
    assert_eq!(Sensitivity::default().loss(Reach::Beyond), Ppm(0));
    let job = Arc::new(job);
    let supply = || Supply::uniform(hgx(), 2);
    let spots = [spot(0, &[0, 1]), spot(1, &[0, 1])];
    let (report, log) = run(supply(), vec![gang(&job, &spots, 100)]);
    // Half speed: 4 GPUs for 200 s, half of it stalled; the other 12 have nothing to do.
    assert_eq!(log.records[0].run_time(), secs(200));
    let line = "idle.no_demand=2400 allocated.stalled=400 allocated.useful=400";
    assert_eq!(ledger_line(&report), line);
    // Sixteen GPUs have no better place than two nodes: nothing is lost against it.
    let all = [0, 1, 2, 3, 4, 5, 6, 7];
    let spots = [spot(0, &all), spot(1, &all)];
    let (report, _) = run(supply(), vec![gang(&job, &spots, 100)]);
    assert_eq!(ledger_line(&report), "allocated.useful=1600");
}

#[test]
fn units_that_leave_a_node_by_one_card_share_it_and_by_cards_of_their_own_do_not() {
    let pairs = |model: NodeModel, first: [u32; 2], second: [u32; 2]| {
        let job = traffic_only();
        let one = [spot(0, &first), spot(1, &first)];
        let two = [spot(0, &second), spot(1, &second)];
        let supply = || Supply::uniform(model.clone(), 2);
        let (_, alone) = run(supply(), vec![gang(&job, &one, 100)]);
        let (_, both) = run(supply(), vec![gang(&job, &one, 100), gang(&job, &two, 100)]);
        let time = |log: &JobLog| log.records[0].run_time().as_nanos() as f64;
        time(&both) / time(&alone)
    };
    let one_card = pairs(bridged(), [0, 1], [2, 3]);
    let own_cards = pairs(hgx(), [0, 1], [4, 5]);
    // Twice what goes out; what goes between the two GPUs of a node and the hops stay as they are.
    assert!((1.85..=2.0).contains(&one_card), "{one_card}");
    assert!((own_cards - 1.0).abs() < 1e-6, "{own_cards}");
}

#[test]
fn a_leaf_that_is_oversubscribed_divides_what_crosses_it() {
    let time = |ratio: u32, rails: bool, nodes: [u32; 2]| {
        let fabric = Fabric {
            nodes_per_rack: 2,
            rack_oversubscription: ratio,
            rail_optimised: rails,
            ..Fabric::default()
        };
        let spots = nodes.map(|node| spot(node, &[0]));
        slowdown(&hgx(), fabric, &traffic_only(), &spots)
    };
    let within = time(4_000, false, [0, 1]);
    let across = time(4_000, false, [0, 2]);
    assert!((across / within - 4.0).abs() < 0.01, "{across} {within}");
    assert!((time(1_000, false, [0, 2]) - within).abs() < 1e-9);
    assert!((time(4_000, true, [0, 2]) - within).abs() < 1e-9);
}

#[test]
fn a_faster_gpu_changes_the_rate_and_not_the_slices() {
    let mut job = Behaviour::new("resnet");
    job.gpu_speeds = vec![("h100".into(), 2_500_000)];
    let job = Arc::new(job);
    let run = |model: NodeModel| {
        let spots = [spot(0, &[0])];
        let (report, log) = run(Supply::uniform(model, 1), vec![gang(&job, &spots, 100)]);
        (ledger_line(&report), log.records[0].run_time())
    };
    let line = |useful: u32| format!("idle.no_demand={} allocated.useful={useful}", useful * 7);
    assert_eq!(run(hgx()), (line(40), secs(40)));
    assert_eq!(run(bridged()), (line(100), secs(100)));
}

#[test]
fn a_cycle_comes_out_in_the_ledger_with_its_mean() {
    let phase = |length, duty| DutyPhase {
        length: secs(length),
        duty: Ppm(duty),
    };
    for clock in [Clock::Progress, Clock::Time] {
        let mut job = Behaviour::new("notebook");
        let phases = vec![phase(15, 600_000), phase(85, 0)];
        job.cycle = Some(Cycle { clock, phases });
        assert_eq!(job.cycle.as_ref().unwrap().mean(), Ppm(90_000));
        let spots = [spot(0, &[0])];
        let supply = Supply::uniform(NodeModel::gpus_only("t4", 1), 1);
        let (report, _) = run(supply, vec![gang(&Arc::new(job), &spots, 10_000)]);
        let line = "allocated.underused=9100 allocated.useful=900";
        assert_eq!(ledger_line(&report), line, "{clock:?}");
    }
}

/// GPU 0, and cores of a NUMA node.
#[derive(Clone)]
struct CoresOf(u8);

impl DeviceChooser for CoresOf {
    fn choose(&mut self, _node: &NodeState<'_>, _want: DeviceRequest) -> Result<Choice, Refusal> {
        Ok(Choice {
            devices: DeviceSet::one(0),
            numa: 1 << self.0,
        })
    }

    fn pins_cores(&self) -> bool {
        true
    }
}

#[test]
fn cores_on_the_wrong_socket_stall_a_job() {
    let time = |numa: u8, cores: u32| {
        let mut job = Behaviour::new("served");
        job.host_loss = Ppm(200_000);
        let request = TaskRequest::gpus(1).with_cores(cores);
        let job = JobSpec::new(at(0), request, secs(80)).behaviour(Arc::new(job));
        let mut platform = Platform::from(Script(vec![vec![NodeId(0).into()]]));
        platform.speed = Arc::new(TopologySpeed::default());
        platform.pool_default.devices = Box::new(CoresOf(numa));
        let supply = Supply::uniform(hgx().with_cores(64), 1);
        let (_, log) = crate::support::run(supply, vec![job], platform, 1_000);
        log.records[0].run_time()
    };
    assert_eq!(time(0, 16), secs(80));
    assert_eq!(time(1, 16), secs(100), "a fifth of the speed is lost");
    // 32 of 64 cores are near: half of the cores, half of the loss.
    assert_eq!(time(0, 64).as_millis(), 88_888);
}

/// A job slowed by half goes through its epochs at half the pace; its users do not.
#[test]
fn a_cycle_runs_by_progress_or_by_time() {
    let mut job = Behaviour::new("two phases");
    job.traffic = Traffic::Loss(Sensitivity {
        nodes: Ppm(500_000),
        ..Sensitivity::default()
    });
    let phase = |length, duty| DutyPhase {
        length: secs(length),
        duty: Ppm(duty),
    };
    let phases = vec![phase(100, 1_000_000), phase(1_000, 500_000)];
    let useful = |clock| {
        let mut job = job.clone();
        let phases = phases.clone();
        job.cycle = Some(Cycle { clock, phases });
        let spots = [spot(0, &[0]), spot(1, &[0])];
        let supply = Supply::uniform(hgx(), 2);
        let (report, _) = run(supply, vec![gang(&Arc::new(job), &spots, 100)]);
        report
            .ledger
            .unwrap()
            .gpu_seconds(windtunnel_core::Bucket::AllocatedUseful)
    };
    // 2 GPUs for 200 s at half speed. All of it in the first phase: 200; half of it: 100 + 50.
    assert_eq!(useful(Clock::Progress), 200);
    assert_eq!(useful(Clock::Time), 150);
}

fn elastic(job: Behaviour, running: u32, work: u64) -> SimDuration {
    job.check().unwrap();
    let spots = (0..running).map(|gpu| spot(0, &[gpu])).collect();
    let spec = JobSpec::new(at(0), TaskRequest::gpus(1), secs(work))
        .tasks(4)
        .advance(Advance::Between { min: 1, max: 8 })
        .behaviour(Arc::new(job));
    let (_, log) = run(Supply::uniform(hgx(), 1), vec![(spec, spots)]);
    log.records[0].run_time()
}

#[test]
fn an_elastic_job_follows_its_curve() {
    let mut job = Behaviour::new("elastic");
    assert_eq!(elastic(job.clone(), 8, 300), secs(150), "in proportion");
    let points = vec![(1, 750_000), (4, 3_000_000), (8, 4_500_000)];
    job.curve = Some(Curve { points });
    assert_eq!(elastic(job.clone(), 4, 300), secs(300));
    assert_eq!(elastic(job.clone(), 8, 300), secs(200));
    assert_eq!(elastic(job.clone(), 1, 300), secs(1_200));
    assert_eq!(elastic(job, 6, 300), secs(240), "half-way between");
}

#[test]
fn a_larger_batch_is_worth_more_as_training_goes_on() {
    let mut job = Behaviour::new("pollux");
    job.traffic = Traffic::Step(StepTime {
        compute: SimDuration::from_millis(100),
        accumulate: 0,
        overlap: 1_000,
        exchange: Exchange::all_reduce(Bytes(0)),
    });
    job.efficiency = Some(Efficiency {
        batch_each: 100,
        batch: 100,
        noise: vec![(secs(0), 400), (secs(150), 1_200)],
    });
    // 8 tasks instead of 4 at noise 400: twice the samples, each worth (400 + 400)/(400 + 800), so 4/3;
    // at noise 1,200: 2 × 1,600/2,000 = 8/5. The exchange of nothing costs some hops of 100 ms.
    let time = elastic(job, 8, 300).as_nanos() as f64 / 1e9;
    let expected = 150.0 / (4.0 / 3.0) + 150.0 / (8.0 / 5.0);
    assert!((time / expected - 1.0).abs() < 1e-3, "{time} {expected}");
}

#[test]
fn a_transport_carries_what_it_does() {
    let time = |transport| {
        let fabric = Fabric {
            transport,
            ..Fabric::default()
        };
        let spots = [spot(0, &[0]), spot(1, &[0])];
        slowdown(&bridged(), fabric, &traffic_only(), &spots)
    };
    let order = [
        Transport::InfiniBand,
        Transport::Roce,
        Transport::Efa,
        Transport::Tcp,
    ]
    .map(time);
    assert!(order.is_sorted(), "{order:?}");
    assert!((order[3] / order[0] - 1.0 / 0.42).abs() < 0.1, "{order:?}");
}

/// A straggler takes a job along; a broken NVLink leaves PCIe, and a lost card the others.
#[test]
fn what_is_broken_slows_what_runs_there() {
    let all = [0, 1, 2, 3, 4, 5, 6, 7];
    let time = |what: Option<FaultKind>| {
        let fault = |what| Fault {
            at: at(0),
            repair: secs(1_000_000),
            what,
        };
        let faults = what.map(|what| (PoolId(0), 0, fault(what)));
        let faults = ListedFaults::new(faults.into_iter().collect());
        let supply = Supply::uniform(hgx(), 2).with_faults(faults);
        let spots = [spot(0, &all), spot(1, &all)];
        let (_, log) = run(supply, vec![gang(&training(), &spots, 1_000)]);
        log.records[0].run_time().as_secs_f64()
    };
    let plain = time(None);
    let slow = time(Some(FaultKind::Slow(Ppm(500_000))));
    assert!(slow > 1.9 * plain && slow <= 2.0 * plain, "{slow} {plain}");
    let unlinked = time(Some(FaultKind::Nvlink(3)));
    assert!(unlinked > 1.2 * plain, "{unlinked} {plain}");
    let card = time(Some(FaultKind::Nic(0)));
    assert!(card > plain && card < 1.05 * plain, "{card} {plain}");
}
