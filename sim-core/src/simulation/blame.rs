//! An invalid decision in the words of whoever has to mend the policy: which job, which node, what was
//! free there.

use super::Simulation;
use crate::decision::{Decision, Decisions, Promise, Scope, Spot, TaskSet};
use crate::device::NodeFree;
use crate::error::DecisionError;
use crate::ids::{JobRef, NodeId};
use crate::job::{GpuRequest, TaskRequest};
use crate::task::TaskState;

/// Nodes that are named one by one.
const NAMED: usize = 8;

impl Simulation {
    /// What was decided and why that can't be, to be read after the policy's name. What was decided
    /// must not have been applied, not even in part.
    pub(super) fn blame(
        &self,
        decision: Decision,
        arena: &Decisions,
        cause: DecisionError,
    ) -> String {
        let did = self.did(decision, arena);
        match (decision, cause) {
            (Decision::WakeAt(_), DecisionError::WakeInThePast(at)) => {
                let now = self.world.now;
                format!("asked for a wake-up at {at}, which is in the past (now {now})")
            }
            (Decision::Place { tasks, .. }, DecisionError::NothingToDo) => {
                format!("{did}: {}", self.no_task_is_pending(tasks.job()))
            }
            (
                Decision::Place {
                    tasks,
                    on,
                    within: None,
                    ..
                },
                DecisionError::DoesNotFit(_),
            ) => match self.too_little(tasks, arena.spots(on)) {
                Some(too_little) => format!("{did}{too_little}"),
                None => format!("{did}: {cause}"),
            },
            _ => format!("{did}: {cause}"),
        }
    }

    /// `placed job-1 (1 x 8 GPUs) on node 0`.
    fn did(&self, decision: Decision, arena: &Decisions) -> String {
        let whom = |tasks: TaskSet| match tasks {
            TaskSet::Task(task) => task.to_string(),
            TaskSet::Job(job) => format!("{job}{}", self.size(job)),
        };
        let on = |spots: &[Spot]| named(spots.iter().map(|spot| spot.node));
        match decision {
            Decision::Place { tasks, on: at, .. } => {
                format!("placed {} {}", whom(tasks), on(arena.spots(at)))
            }
            Decision::Replace { job, on: at } => {
                format!("moved {} {}", whom(job.into()), on(arena.spots(at)))
            }
            Decision::Hold { hold, .. } => {
                let parts = arena.parts(hold.parts).iter();
                format!("held capacity {}", named(parts.map(|part| part.node)))
            }
            Decision::Release { hold } => format!("released {hold}"),
            Decision::Commit { what } => format!("committed {}", promised(what)),
            Decision::Abandon { what } => format!("abandoned {}", promised(what)),
            Decision::Evict { tasks, .. } => format!("evicted {}", whom(tasks)),
            Decision::Resume { tasks } => format!("resumed {}", whom(tasks)),
            Decision::Finish { job, outcome } => {
                format!("finished {job} as {}", outcome.name())
            }
            Decision::Waiting { scope, .. } => match scope {
                Scope::Job(job) => format!("said why {job} waits"),
                Scope::Shape(_) => "said why jobs of a shape wait".to_owned(),
                Scope::Rest(_) => "said why a queue waits".to_owned(),
            },
            Decision::WakeAt(at) => format!("asked for a wake-up at {at}"),
        }
    }

    /// ` (2 x 8 GPUs)`, group by group; nothing of a job that is not there.
    fn size(&self, job: JobRef) -> String {
        let Some(found) = self.world.jobs.get(job) else {
            return String::new();
        };
        let groups = found.spec.request.groups.iter();
        let groups = groups.map(|group| format!("{} x {}", group.count, need(&group.request)));
        format!(" ({})", groups.collect::<Vec<_>>().join(" + "))
    }

    /// What the tasks of a job are that has none to place.
    fn no_task_is_pending(&self, job: JobRef) -> String {
        let tasks = self.world.jobs.get(job).map(|found| &found.tasks);
        let mut states: Vec<TaskState> =
            tasks.into_iter().flatten().map(|task| task.state).collect();
        if states.iter().all(|state| state.is_bound()) {
            return "all its tasks are bound already".to_owned();
        }
        states.sort_unstable();
        states.dedup();
        let states: Vec<String> = states.iter().map(ToString::to_string).collect();
        format!(
            "none of its tasks is pending (they are {})",
            states.join(", ")
        )
    }

    /// What the first node lacks that was to take more than it has free; `None` if none is short of
    /// GPUs, cores or memory.
    fn too_little(&self, tasks: TaskSet, spots: &[Spot]) -> Option<String> {
        let job = self.world.jobs.get(tasks.job())?;
        let pending = |place: &usize| job.tasks[*place].state == TaskState::Pending;
        let places: Vec<usize> = match tasks {
            TaskSet::Task(task) => vec![self.world.find_task(task)?],
            TaskSet::Job(_) => (0..job.tasks.len()).filter(pending).collect(),
        };
        let request =
            |place: usize| job.spec.request.groups[usize::from(job.tasks[place].group)].request;
        let both = || places.iter().zip(spots);
        let lacks = |node: NodeId| {
            let here = both().filter(|(_, spot)| spot.node == node);
            let asked: Vec<TaskRequest> = here.map(|(place, _)| request(*place)).collect();
            let state = self.world.cluster.nodes.get(node.index())?;
            let full = &self.world.cluster.pools[state.pool.index()].full;
            let what = short_of(&state.free, full, &asked)?;
            Some(match (spots.len(), asked.len()) {
                (1, _) => format!(", which has {what}"),
                (_, 1) => format!(": node {} has {what}", node.0),
                (_, tasks) => format!(": node {} has {what} for {tasks} tasks", node.0),
            })
        };
        both().find_map(|(_, spot)| lacks(spot.node))
    }
}

/// What a node has too little of for all of these: `4 of 8 GPUs free`.
fn short_of(free: &NodeFree, full: &NodeFree, asked: &[TaskRequest]) -> Option<String> {
    let sum = |of: &dyn Fn(&TaskRequest) -> u64| asked.iter().map(of).sum::<u64>();
    let whole = sum(&|request| match request.gpus {
        GpuRequest::Whole(count) => count.into(),
        _ => 0,
    });
    if whole > free.whole().into() {
        return Some(format!("{} of {} GPUs free", free.whole(), full.devices));
    }
    if sum(&|request| request.gpus.milli().into()) > free.milli.into() {
        let left = f64::from(free.milli) / 1e3;
        return Some(format!("{left} of {} GPUs free", full.devices));
    }
    // Free slices need not be where an instance may lie.
    let lies = |request: &TaskRequest| free.gpu_slots(request, free.sharing) > 0;
    let mut parts = asked.iter().filter(|request| request.gpus.is_part());
    if let Some(part) = parts.find(|part| free.open && !lies(part)) {
        return Some(format!("no GPU with room for {}", need(part)));
    }
    let (cpu, memory) = (
        sum(&|request| request.cpu.0.into()),
        sum(&|request| request.memory.0),
    );
    if cpu > free.cpu.into() {
        let (free, full, asked) = (cores(free.cpu.into()), cores(full.cpu.into()), cores(cpu));
        return Some(format!("{free} of {full} cores free ({asked} asked)"));
    }
    let gib = |bytes: u64| {
        let tenths = (u128::from(bytes) * 10) >> 30;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    let (left, all, asked) = (gib(free.memory), gib(full.memory), gib(memory));
    (memory > free.memory).then(|| format!("{left} of {all} GiB free ({asked} asked)"))
}

/// Cores with what they have after the point, if anything.
fn cores(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1_000, milli % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What one task needs: GPUs, or cores if none.
fn need(request: &TaskRequest) -> String {
    match request.gpus {
        GpuRequest::Whole(1) => "1 GPU".to_owned(),
        GpuRequest::Whole(count) => format!("{count} GPUs"),
        GpuRequest::Milli(milli) => format!("{} GPUs", f64::from(milli) / 1e3),
        GpuRequest::Instance(instance) => format!("MIG {}", instance.name()),
        GpuRequest::None => format!("{} cores", cores(request.cpu.0.into())),
    }
}

/// `on node 0`, `on nodes 0, 0, 3`.
fn named(nodes: impl Iterator<Item = NodeId>) -> String {
    let mut nodes: Vec<String> = nodes.map(|node| node.0.to_string()).collect();
    let word = match nodes.len() {
        0 => return "on no node".to_owned(),
        1 => "node",
        _ => "nodes",
    };
    if nodes.len() > NAMED {
        nodes.truncate(NAMED);
        nodes.push("…".to_owned());
    }
    format!("on {word} {}", nodes.join(", "))
}

fn promised(what: Promise) -> String {
    match what {
        Promise::Tasks(TaskSet::Task(task)) => task.to_string(),
        Promise::Tasks(TaskSet::Job(job)) => job.to_string(),
        Promise::Hold(hold) => hold.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceSet, Grant, MigInstance, MigTable, Sharing};

    #[test]
    fn free_slices_are_not_always_room() {
        let full = NodeFree::empty(1, 0, 0).shared(Sharing::Mig(MigTable::A100x80));
        let four = [TaskRequest::mig(MigInstance::FourG)];
        assert_eq!(short_of(&full, &full, &four), None);
        let mut free = full;
        let three = Grant {
            slices: 0b0000_1111,
            ..Grant::of(DeviceSet::one(0), 500)
        };
        free.take(three, 0, 0);
        let what = short_of(&free, &full, &four);
        assert_eq!(what.as_deref(), Some("no GPU with room for MIG 4g"));
        let three = [TaskRequest::mig(MigInstance::ThreeG)];
        assert_eq!(short_of(&free, &full, &three), None, "it lies at 4");
        let both = [three[0], four[0]];
        let what = short_of(&free, &full, &both);
        assert_eq!(what.as_deref(), Some("0.5 of 1 GPUs free"));
    }
}
