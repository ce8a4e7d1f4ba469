//! How long tasks take to start, and the instances (MIG) some of them wait for: one that is not there
//! yet is made, in place of whatever lies where it goes. A node that boots, or is back from repair, has
//! none.

use std::collections::{BTreeMap, BTreeSet};

use windtunnel_core::{
    Event, EventKind, Grant, JobRef, Keeps, NodeEvent, NodeId, SimDuration, SimTime, TaskRef,
    TaskState, View,
};

use super::Naive;

/// What is known of instances and of tasks that start.
#[derive(Default)]
pub(crate) struct Instances {
    /// What lies on each GPU.
    lying: BTreeMap<(NodeId, usize), BTreeSet<u8>>,
    /// Tasks whose place needs instances that were not there.
    made: BTreeSet<TaskRef>,
    /// Since when tasks start, and how long that is to take.
    starting: BTreeMap<TaskRef, (SimTime, SimDuration)>,
    /// Tasks that have run since they last began to start.
    ran: BTreeSet<TaskRef>,
    /// Jobs of which tasks were placed, or moved, in this instant.
    pub(crate) placed: BTreeSet<JobRef>,
    pub(crate) moved: BTreeSet<JobRef>,
    /// Tasks of which it is not known what their start takes.
    unknown: BTreeSet<TaskRef>,
    /// Nodes where something came and went within an instant: who was there is not known.
    murky: BTreeSet<NodeId>,
}

impl Instances {
    /// A task gets a place; returns whether something had to be made for it.
    fn give(&mut self, node: NodeId, grant: Grant) -> bool {
        let mut made = false;
        for device in grant.devices.iter().filter(|_| grant.slices != 0) {
            let lying = self.lying.entry((node, device)).or_default();
            if !lying.contains(&grant.slices) {
                lying.retain(|other| other & grant.slices == 0);
                lying.insert(grant.slices);
                made = true;
            }
        }
        made
    }
}

/// One step of a task.
#[derive(Clone, Copy)]
struct Move {
    task: TaskRef,
    from: TaskState,
    to: TaskState,
    node: Option<NodeId>,
}

fn steps(tape: &[Event]) -> Vec<Move> {
    let step = |event: &Event| match event.kind {
        EventKind::Task {
            task,
            from,
            to,
            node,
            ..
        } => Some(Move {
            task,
            from,
            to,
            node,
        }),
        _ => None,
    };
    tape.iter().filter_map(step).collect()
}

impl Naive {
    /// Tasks start when they should.
    pub(super) fn check_starts(&mut self, view: &View<'_>) {
        self.forget_instances();
        let steps = steps(&self.tape);
        self.give_instances(view, &steps);
        for step in &steps {
            if step.from == TaskState::Suspended {
                self.instances.placed.insert(step.task.job);
            }
        }
        for (place, step) in steps.iter().enumerate() {
            // What was bound and then moved in one instant has started twice.
            let mut later = steps[place + 1..].iter();
            let moved = self.instances.moved.contains(&step.task.job);
            let again = |other: &Move| other.task == step.task && other.to == TaskState::Starting;
            if !moved || !later.any(again) {
                self.check_step(view.now(), *step);
            }
        }
        self.instances.placed.clear();
        self.instances.moved.clear();
    }

    fn forget_instances(&mut self) {
        for event in &self.tape {
            if let EventKind::Node {
                node,
                what: NodeEvent::Booting | NodeEvent::Repaired,
                ..
            } = event.kind
            {
                self.instances.lying.retain(|(on, _), _| *on != node);
                self.instances.murky.remove(&node);
            }
        }
    }

    /// Whether a step gives a task its GPUs.
    fn is_given(&self, step: Move) -> bool {
        use TaskState::{Pending, Reserved, Running, Starting, Suspended};
        let there = matches!(step.to, Reserved | Starting | Running);
        match step.from {
            Pending => there,
            Suspended => there && self.keeps_of(step.task) != Keeps::Everything,
            _ => step.to == Starting && self.instances.moved.contains(&step.task.job),
        }
    }

    fn keeps_of(&self, task: TaskRef) -> Keeps {
        let job = &self.live[&task.job];
        job.keeps[&(task.group, task.index)]
    }

    fn give_instances(&mut self, view: &View<'_>, steps: &[Move]) {
        for (place, step) in steps.iter().enumerate() {
            if !self.is_given(*step) {
                continue;
            }
            let node = step.node.unwrap();
            let others = steps.iter().enumerate();
            let again = others
                .filter(|(at, other)| *at != place && other.task == step.task)
                .any(|(_, other)| self.is_given(*other));
            let job = view.job(step.task.job);
            let task = job.and_then(|job| job.tasks().find(|task| task.id() == step.task));
            let grant = task.filter(|task| task.node() == Some(node));
            match grant.and_then(|task| task.grant()) {
                Some(grant) if !again => {
                    self.instances.unknown.remove(&step.task);
                    if self.instances.give(node, grant) {
                        self.instances.made.insert(step.task);
                    } else {
                        self.instances.made.remove(&step.task);
                    }
                }
                _ => {
                    self.instances.unknown.insert(step.task);
                    self.instances.murky.insert(node);
                }
            }
        }
    }

    fn check_step(&mut self, now: SimTime, step: Move) {
        use TaskState::{Ending, Gated, Over, Pending, Running, Starting, Suspended};
        let Move { task, from, to, .. } = step;
        let moves = self.instances.moved.contains(&task.job);
        let begins = to == Starting || (to == Running && from != Starting);
        if begins {
            let profile = &self.live[&task.job].spec.profile;
            let mut length = match from {
                _ if moves && to == Starting => profile.restart,
                Suspended
                    if self.keeps_of(task) != Keeps::Nothing
                        && self.instances.ran.contains(&task) =>
                {
                    SimDuration::ZERO
                }
                _ => profile.startup,
            };
            if self.instances.made.remove(&task) {
                length += self.case.reconfigure();
            }
            if moves && self.instances.placed.contains(&task.job) {
                // Placed or moved: nobody can tell from outside.
                self.instances.unknown.insert(task);
            }
            self.instances.starting.insert(task, (now, length));
        }
        if to == Running
            && let Some((since, length)) = self.instances.starting.remove(&task)
        {
            let node = step.node.unwrap();
            let known = !self.instances.unknown.contains(&task);
            if known && !self.instances.murky.contains(&node) {
                assert_eq!(
                    now.since(since),
                    length,
                    "{task} on {node} started at {since}"
                );
            }
        }
        match to {
            Running => {
                self.instances.ran.insert(task);
            }
            Starting => {
                self.instances.ran.remove(&task);
            }
            Pending | Gated | Over => {
                self.instances.ran.remove(&task);
                self.instances.starting.remove(&task);
            }
            Ending | Suspended => {
                self.instances.starting.remove(&task);
            }
            _ => {}
        }
    }
}
