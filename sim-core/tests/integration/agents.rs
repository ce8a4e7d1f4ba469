//! How agents choose among the devices of nodes whose parts are known.

use std::sync::Arc;

use crate::support::{FirstFit, job, run};
use crate::topology::{Build, set};
use windtunnel_core::topology::{Cpu, Topology};
use windtunnel_core::{
    Alignment, Arbitrary, Batch, Choice, CountOnly, DeviceChooser, DeviceRequest, DeviceSet,
    GpuRequest, NodeFree, NodeModel, NodeState, NvidiaPlugin, Outcome, Platform, Refusal,
    SimDuration, SlurmGres, Supply, TaskRequest, TopologyAware, TopologyManager,
};

/// `count` of the `free` GPUs of a node with all its cores free.
fn choose(
    agent: &mut dyn DeviceChooser,
    topology: &Topology,
    free: &[u32],
    count: u16,
) -> Result<Choice, Refusal> {
    choose_with(agent, topology, free, count, 0, &[16_000, 16_000])
}

/// The same with so many cores, where so many are free per NUMA node.
fn choose_with(
    agent: &mut dyn DeviceChooser,
    topology: &Topology,
    free: &[u32],
    count: u16,
    cpu: u32,
    cores: &[u32],
) -> Result<Choice, Refusal> {
    let mut state = NodeFree::empty(topology.gpus(), 32_000, 0);
    let taken = DeviceSet(topology.all().0 & !set(free).0);
    let grant = windtunnel_core::Grant::of(taken, 1_000);
    state.take(grant, 0, 0);
    let node = NodeState {
        free: &state,
        topology: Some(topology),
        cores,
    };
    let mut want = DeviceRequest::new(GpuRequest::Whole(count), 1_000);
    want.cpu.0 = cpu;
    agent.choose(&node, want)
}

fn devices(choice: Result<Choice, Refusal>) -> Vec<usize> {
    choice.unwrap().devices.iter().collect()
}

const ALL: [u32; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// Count-only takes a pair without links; the aware one a double link, the plugin the best partition.
#[test]
fn pairs_on_a_cube_mesh() {
    let mesh = Build::cube_mesh().topology();
    let free = [1, 4, 5, 7];
    assert_eq!(devices(choose(&mut CountOnly, &mesh, &free, 2)), [1, 4]);
    assert_eq!(devices(choose(&mut TopologyAware, &mesh, &free, 2)), [1, 5]);
    // {1,5} + {4,7}: two double links; the first set found of them.
    let mut plugin = NvidiaPlugin::default();
    assert_eq!(devices(choose(&mut plugin, &mesh, &free, 2)), [4, 7]);
    // Asked again, it remembers.
    assert_eq!(devices(choose(&mut plugin, &mesh, &free, 2)), [4, 7]);
}

/// The plugin's own example: of all eight GPUs of a cube mesh four that leave four as good.
#[test]
fn the_plugin_leaves_good_sets() {
    let mesh = Build::cube_mesh().topology();
    let mut plugin = NvidiaPlugin::default();
    let first = devices(choose(&mut plugin, &mesh, &ALL, 4));
    let rest: Vec<u32> = ALL
        .into_iter()
        .filter(|&gpu| !first.contains(&(gpu as usize)))
        .collect();
    let second = devices(choose(&mut plugin, &mesh, &rest, 4));
    let score = |gpus: &[usize]| {
        let mask = DeviceSet(gpus.iter().fold(0, |mask, gpu| mask | 1 << gpu));
        mesh.collective(mask)
    };
    assert_eq!(
        (score(&first), score(&second)),
        (80_000, 80_000),
        "{first:?} {second:?}"
    );
    // Three of four, padded: what remains is one GPU.
    assert_eq!(
        devices(choose(&mut plugin, &mesh, &[0, 1, 2, 5], 3)),
        [0, 1, 2]
    );
    assert_eq!(
        choose(&mut plugin, &mesh, &[3], 2),
        Err(Refusal::NotFree).or(Err(Refusal::Devices))
    );
}

#[test]
fn arbitrary_devices_differ_by_task_and_not_by_run() {
    let mesh = Build::cube_mesh().topology();
    let once = devices(choose(&mut Arbitrary, &mesh, &ALL, 4));
    assert_eq!(once, devices(choose(&mut Arbitrary, &mesh, &ALL, 4)));
    assert_eq!(once.len(), 4);
}

/// Four GPUs and 12 cores on each of two NUMA nodes of 16 cores.
#[test]
fn the_topology_manager_aligns_or_refuses() {
    let mesh = Build::cube_mesh().topology();
    let of = |alignment| TopologyManager::new(alignment);
    // Two free GPUs on each NUMA node, but cores on the second only.
    let free = [0, 1, 4, 5];
    let cores = [2_000, 16_000];
    let ask =
        |alignment, count, cpu| choose_with(&mut of(alignment), &mesh, &free, count, cpu, &cores);
    // Nobody looks: the lowest GPUs, the lowest cores.
    let unaligned = Choice {
        devices: set(&[0, 1]),
        numa: 0,
    };
    assert_eq!(ask(Alignment::None, 2, 8_000), Ok(unaligned));
    // GPUs and cores of NUMA node 1.
    let aligned = Choice {
        devices: set(&[4, 5]),
        numa: 0b10,
    };
    for alignment in [
        Alignment::BestEffort,
        Alignment::Restricted,
        Alignment::SingleNumaNode,
    ] {
        assert_eq!(ask(alignment, 2, 8_000), Ok(aligned), "{alignment:?}");
    }
    // Three GPUs would fit one NUMA node of an empty box, and none of this one.
    assert_eq!(
        ask(Alignment::Restricted, 3, 1_000),
        Err(Refusal::Alignment)
    );
    assert_eq!(
        ask(Alignment::SingleNumaNode, 3, 1_000),
        Err(Refusal::Alignment)
    );
    // Merged with the cores' hint the lowest NUMA node is narrowest, though it lacks a GPU.
    let across = Choice {
        devices: set(&[0, 1, 4]),
        numa: 0b01,
    };
    assert_eq!(ask(Alignment::BestEffort, 3, 1_000), Ok(across));
}

/// Six GPUs never fit one NUMA node: two are the fewest, so `restricted` admits them and
/// `single-numa-node` never does.
#[test]
fn restricted_admits_what_needs_several_nodes() {
    let mesh = Build::cube_mesh().topology();
    let mut restricted = TopologyManager::new(Alignment::Restricted);
    assert_eq!(
        devices(choose(&mut restricted, &mesh, &ALL, 6)),
        [0, 1, 2, 3, 4, 5]
    );
    let mut single = TopologyManager::new(Alignment::SingleNumaNode);
    assert_eq!(choose(&mut single, &mesh, &ALL, 6), Err(Refusal::Alignment));
}

/// A hint without GPUs or cores prefers nothing and refuses nothing.
#[test]
fn nothing_asked_nothing_refused() {
    let mesh = Build::cube_mesh().topology();
    let mut single = TopologyManager::new(Alignment::SingleNumaNode);
    let state = NodeFree::empty(8, 32_000, 0);
    let node = NodeState {
        free: &state,
        topology: Some(&mesh),
        cores: &[0, 16_000],
    };
    let mut want = DeviceRequest::new(GpuRequest::None, 0);
    assert_eq!(single.choose(&node, want), Ok(Choice::default()));
    want.cpu.0 = 4_000;
    let second = Choice {
        devices: DeviceSet::EMPTY,
        numa: 0b10,
    };
    assert_eq!(single.choose(&node, want), Ok(second));
}

/// Slots of shared GPUs are chosen within the aligned NUMA node, too, a request for two on two GPUs.
#[test]
fn slots_are_aligned_like_whole_gpus() {
    let mesh = Build::cube_mesh().topology();
    let slots = windtunnel_core::Sharing::TimeSliced { slots: 4 };
    let mut state = NodeFree::empty(8, 32_000, 0).shared(slots);
    // Every GPU of the first NUMA node but one has all its slots taken.
    let taken = windtunnel_core::Grant::of(set(&[0, 1, 2]), 250);
    for _ in 0..4 {
        state.take(taken, 0, 0);
    }
    let node = NodeState {
        free: &state,
        topology: Some(&mesh),
        cores: &[16_000, 16_000],
    };
    let mut agent = TopologyManager::new(Alignment::SingleNumaNode).pair_scores();
    let two = agent.choose(&node, DeviceRequest::new(GpuRequest::Whole(2), 250));
    let second = two.unwrap();
    assert_eq!((second.devices.len(), second.numa), (2, 0b10));
    assert_eq!(second.devices.0 & 0b1111, 0);
    let one = agent.choose(&node, DeviceRequest::new(GpuRequest::Whole(1), 250));
    assert_eq!(one.unwrap().devices, set(&[3]));
}

#[test]
fn slurm_chooses_by_sockets_and_links() {
    let mesh = Build::cube_mesh().topology();
    let mut plain = SlurmGres::default();
    assert_eq!(devices(choose(&mut plain, &mesh, &ALL, 3)), [0, 1, 2]);
    // From 0 the double links lead to 3 and 4, of which 3 is lower; then 1, with a link to both.
    let mut links = SlurmGres {
        links: true,
        ..plain
    };
    assert_eq!(devices(choose(&mut links, &mesh, &ALL, 2)), [0, 3]);
    // The socket with more free cores.
    let mut cores = SlurmGres {
        cores: true,
        ..plain
    };
    let roomy = [4_000, 16_000];
    let choice = choose_with(&mut cores, &mesh, &ALL, 2, 8_000, &roomy).unwrap();
    assert_eq!((choice.devices, choice.numa), (set(&[4, 5]), 0b10));
    // Cores of both sockets: one GPU from each first.
    let choice = choose_with(&mut cores, &mesh, &ALL, 2, 18_000, &roomy).unwrap();
    assert_eq!((choice.devices, choice.numa), (set(&[0, 4]), 0b11));
    // No socket with free GPUs has the cores: remote GPUs, unless binding is enforced.
    let choice = choose_with(&mut cores, &mesh, &[0, 1], 2, 8_000, &roomy).unwrap();
    assert_eq!(choice.devices, set(&[0, 1]));
    let mut enforce = SlurmGres {
        enforce: true,
        ..cores
    };
    let refused = choose_with(&mut enforce, &mesh, &[0, 1], 2, 8_000, &roomy);
    assert_eq!(refused, Err(Refusal::Alignment));
}

/// Three GPUs are never on one of two NUMA nodes with two each: the job is refused, bound and refused again,
/// with the delays of Kubernetes' job controller, and given up. Two that would fit on one node go there
/// once it is free.
#[test]
fn who_is_refused_tries_again_later_and_gives_up() {
    let mut build = Build::new(Cpu::Skylake, 2);
    for numa in [0, 0, 1, 1] {
        let bridge = build.bridge(numa);
        build.gpu(bridge, 3);
    }
    let model = NodeModel::gpus_only("v100", 4).with_topology(Arc::new(build.topology()));
    let strict = |retries: Option<u32>| {
        let mut platform = Platform::new("strict", FirstFit);
        platform.pool_default.devices = Box::new(TopologyManager::new(Alignment::SingleNumaNode));
        if let Some(retries) = retries {
            let (second, minute) = (SimDuration::from_secs(1), SimDuration::from_mins(1));
            platform = platform.batch(Batch::new().retries(retries, second, minute));
        }
        let supply = Supply::uniform(model.clone(), 1);
        let (_, log) = run(supply, vec![job(3, 10)], platform, 10_000);
        let record = &log.records[0];
        (record.outcome, record.attempts, record.end)
    };
    let at = crate::support::at;
    // 10 + 20 + 40 + 80 + 160 + 320 s.
    assert_eq!(strict(None), (Some(Outcome::Killed), 7, at(630)));
    assert_eq!(strict(Some(2)), (Some(Outcome::Killed), 3, at(3)));
    assert_eq!(strict(Some(0)), (Some(Outcome::Killed), 1, at(0)));

    // From 5 s on one GPU of each NUMA node is free: the pair is refused then and at 15 s, and finds two of
    // one node at 35 s; they were free at 25 s.
    let mut platform = Platform::new("strict", FirstFit);
    platform.pool_default.devices = Box::new(TopologyManager::new(Alignment::SingleNumaNode));
    let jobs = vec![job(1, 25), job(1, 5), job(1, 60), job(1, 5), job(2, 10)];
    let (_, log) = run(Supply::uniform(model, 1), jobs, platform, 100);
    let pair = log.records.iter().find(|record| record.job.0 == 4).unwrap();
    assert_eq!((pair.start, pair.attempts), (Some(at(35)), 3));
}

/// Cores are taken near the GPUs, remembered and given back: the second job gets the second NUMA
/// node, and a third, after the first, the first again.
#[test]
fn cores_are_pinned_and_given_back() {
    let mut build = Build::new(Cpu::Skylake, 2);
    for numa in [0, 0, 1, 1] {
        let bridge = build.bridge(numa);
        build.gpu(bridge, 3);
    }
    let model = NodeModel::gpus_only("v100", 4)
        .with_cores(32)
        .with_topology(Arc::new(build.topology()));
    let mut platform = Platform::new("pinned", FirstFit);
    platform.pool_default.devices = Box::new(TopologyManager::new(Alignment::SingleNumaNode));
    let gpus_and_cores = TaskRequest::gpus(2).with_cores(16);
    let mut jobs = vec![job(2, 10), job(2, 30), job(2, 10)];
    for entry in &mut jobs {
        entry.request.groups[0].request = gpus_and_cores;
    }
    let (_, log) = run(Supply::uniform(model, 1), jobs, platform, 60);
    let starts: Vec<_> = log
        .records
        .iter()
        .map(|record| (record.job.0, record.start))
        .collect();
    let at = |seconds| Some(crate::support::at(seconds));
    assert_eq!(starts, [(0, at(0)), (2, at(10)), (1, at(0))]);
}
