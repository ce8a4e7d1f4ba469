//! A gang over many nodes, and neighbours that come and go beside it on two of them.

use std::sync::Arc;

use windtunnel::Behaviours;
use windtunnel_core::{
    JobList, JobProfile, JobSpec, Neighbours, Placement, Platform, RunOptions, SimDuration,
    SimTime, Simulation, Speed, SpeedByNode, SpeedModel, Supply, TaskRequest, TopologySpeed,
};
use windtunnel_policies::registry::policy;

/// How the gang is asked for its speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// As a whole, each time.
    Whole,
    /// By node, where something changed.
    ByNode,
    /// Not at all: it is not there.
    Not,
}

/// A model that does not say that it can answer node by node.
#[derive(Debug)]
struct Whole(Arc<dyn SpeedModel>);

impl SpeedModel for Whole {
    fn speed(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        done: SimDuration,
    ) -> Speed {
        self.0.speed(profile, on, beside, done)
    }

    fn minds_neighbours(&self) -> bool {
        true
    }

    fn by_node(&self) -> Option<&dyn SpeedByNode> {
        None
    }

    fn bound(&self, supply: &Supply) -> Option<Arc<dyn SpeedModel>> {
        let model = self.0.bound(supply)?;
        Some(Arc::new(Self(model)))
    }
}

/// A gang with five of the eight GPUs of each of `nodes` nodes, beside which `neighbours` gangs of two
/// tasks of two GPUs run one after the other, on two of the nodes. The gang may be left out.
///
/// # Panics
/// Never: the names are known.
#[must_use]
pub fn simulation(nodes: u32, neighbours: u64, asked: Asked) -> Simulation {
    let hardware = windtunnel::hardware::model("hgx-h100").expect("in the catalogue");
    let supply = Supply::uniform(hardware.node_model(), nodes);
    let known = Behaviours::embedded();
    let profile = known.named("llm-7b").expect("one of ours");
    let behaviour = Arc::new(profile.behaviour().expect("ours are legal"));
    let job = |submit: u64, run: u64, (tasks, gpus): (u32, u16)| {
        let run = SimDuration::from_secs(run);
        JobSpec::new(SimTime::from_secs(submit), TaskRequest::gpus(gpus), run)
            .tasks(tasks)
            .behaviour(behaviour.clone())
    };
    let mut jobs = Vec::new();
    if asked != Asked::Not {
        jobs.push(job(0, 1 << 20, (nodes, 5)));
    }
    jobs.extend((1..=neighbours).map(|turn| job(20 * turn, 10, (2, 2))));
    let policy = policy("first-fit").expect("first-fit is built in");
    let mut platform = Platform::new("first-fit", policy);
    let model: Arc<dyn SpeedModel> = Arc::new(TopologySpeed::default());
    platform.speed = match asked {
        Asked::Whole => Arc::new(Whole(model)),
        _ => model,
    };
    let end = SimDuration::from_secs(20 * (neighbours + 1));
    let options = RunOptions::default().horizon(end);
    Simulation::new(supply, JobList::new(jobs), platform, options).expect("builds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_run_either_way() {
        let run = |asked| simulation(12, 20, asked).run().expect("runs").digest;
        assert_eq!(run(Asked::Whole), run(Asked::ByNode));
        assert_ne!(run(Asked::Whole), run(Asked::Not));
    }
}
