//! Free capacity over the time to come, node by node, with everything that is promised taken out.

use std::ops::{AddAssign, Neg};

use windtunnel_core::{NodeFree, NodeId, NodeView, SimTime, TaskRequest};

/// Whole GPUs, CPU and memory; below zero where somebody stays longer than was thought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    gpus: i64,
    cpu: i64,
    memory: i64,
}

impl Amount {
    /// What a task takes: a fraction counts as a whole GPU, wherever it will be put.
    pub(super) fn of(request: &TaskRequest) -> Self {
        Self {
            gpus: i64::from(request.gpus.devices()),
            cpu: i64::from(request.cpu.0),
            memory: signed(request.memory.0),
        }
    }

    /// What an empty node has, without GPUs that are out of service; nothing if it takes no tasks.
    pub(super) fn of_node(node: NodeView<'_>) -> Self {
        if !node.is_open() {
            return Self::default();
        }
        let capacity = node.capacity();
        Self {
            gpus: i64::from(capacity.devices) - i64::from(node.failed_gpus().len()),
            cpu: i64::from(capacity.cpu),
            memory: signed(capacity.memory),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        self.gpus >= other.gpus && self.cpu >= other.cpu && self.memory >= other.memory
    }

    fn min(&self, other: &Self) -> Self {
        Self {
            gpus: self.gpus.min(other.gpus),
            cpu: self.cpu.min(other.cpu),
            memory: self.memory.min(other.memory),
        }
    }

    /// A node of this capacity with so much free.
    pub(super) fn on(&self, capacity: &NodeFree) -> NodeFree {
        let gpus = u8::try_from(self.gpus.max(0)).unwrap_or(u8::MAX);
        let cpu = u32::try_from(self.cpu.max(0)).unwrap_or(u32::MAX);
        let memory = u64::try_from(self.memory.max(0)).unwrap_or(0);
        let mut free = NodeFree::empty(gpus.min(capacity.devices), cpu, memory);
        free = free.shared(capacity.sharing);
        free.devices = capacity.devices;
        free
    }
}

/// Memory beyond 2⁶³ bytes counts as that.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 2)
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.gpus += other.gpus;
        self.cpu += other.cpu;
        self.memory = self.memory.saturating_add(other.memory);
    }
}

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            gpus: -self.gpus,
            cpu: -self.cpu,
            memory: -self.memory,
        }
    }
}

/// A step function of time: from each point on so much, until the next.
#[derive(Clone, Debug)]
struct Lane(Vec<(SimTime, Amount)>);

impl Lane {
    fn new(amount: Amount) -> Self {
        Self(vec![(SimTime::ZERO, amount)])
    }

    /// The step that holds at `at`.
    fn step(&self, at: SimTime) -> usize {
        self.0
            .partition_point(|(from, _)| *from <= at)
            .saturating_sub(1)
    }

    /// Makes `at` the begin of a step, and returns which.
    fn split(&mut self, at: SimTime) -> usize {
        let step = self.step(at);
        let (from, amount) = self.0[step];
        if from == at {
            return step;
        }
        self.0.insert(step + 1, (at, amount));
        step + 1
    }

    fn add(&mut self, from: SimTime, to: SimTime, amount: Amount) {
        if from >= to {
            return;
        }
        let first = self.split(from);
        let last = if to == SimTime::MAX {
            self.0.len()
        } else {
            self.split(to)
        };
        for (_, free) in &mut self.0[first..last] {
            *free += amount;
        }
        // Equal neighbours are one step.
        for step in [last, first] {
            if step > 0 && step < self.0.len() && self.0[step].1 == self.0[step - 1].1 {
                self.0.remove(step);
            }
        }
    }

    /// The least over [from, to).
    fn least(&self, from: SimTime, to: SimTime) -> Amount {
        let first = self.step(from);
        let rest = self.0[first + 1..].iter().take_while(|(at, _)| *at < to);
        rest.fold(self.0[first].1, |least, (_, amount)| least.min(amount))
    }

    /// If less than `wanted` is free at some time in [from, to): when the last such step ends.
    fn blocked_until(&self, from: SimTime, to: SimTime, wanted: &Amount) -> Option<SimTime> {
        let steps = self.0[self.step(from)..]
            .iter()
            .take_while(|(at, _)| *at < to || *at <= from);
        let last = steps
            .enumerate()
            .filter(|(_, (_, free))| !free.covers(wanted))
            .last()?
            .0;
        let next = self.0.get(self.step(from) + last + 1);
        Some(next.map_or(SimTime::MAX, |(at, _)| *at))
    }

    fn forget_before(&mut self, now: SimTime) {
        let step = self.step(now);
        self.0.drain(..step);
    }
}

/// The lanes of all nodes, and their sum.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    nodes: Vec<Lane>,
    sum: Lane,
}

impl Profile {
    pub(super) fn new(nodes: &[Amount]) -> Self {
        let mut sum = Amount::default();
        nodes.iter().for_each(|node| sum += *node);
        Self {
            nodes: nodes.iter().map(|node| Lane::new(*node)).collect(),
            sum: Lane::new(sum),
        }
    }

    pub(super) fn take(&mut self, node: NodeId, from: SimTime, to: SimTime, amount: Amount) {
        self.give(node, from, to, -amount);
    }

    pub(super) fn give(&mut self, node: NodeId, from: SimTime, to: SimTime, amount: Amount) {
        self.nodes[node.index()].add(from, to, amount);
        self.sum.add(from, to, amount);
    }

    /// What is free on a node throughout [from, to).
    pub(super) fn least(&self, node: NodeId, from: SimTime, to: SimTime) -> Amount {
        self.nodes[node.index()].least(from, to)
    }

    /// If all nodes together have not enough throughout [from, to): when it may be tried again.
    pub(super) fn blocked_until(
        &self,
        from: SimTime,
        to: SimTime,
        wanted: &Amount,
    ) -> Option<SimTime> {
        self.sum.blocked_until(from, to, wanted)
    }

    /// Forgets the past, at a cost of O(nodes): not to be called at each event.
    pub(super) fn forget_before(&mut self, now: SimTime) {
        self.nodes
            .iter_mut()
            .for_each(|lane| lane.forget_before(now));
        self.sum.forget_before(now);
    }

    /// Steps of the sum: how much there is to go through.
    pub(super) fn steps(&self) -> usize {
        self.sum.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> SimTime {
        SimTime::from_secs(n)
    }

    fn gpus(count: u16) -> Amount {
        Amount::of(&TaskRequest::gpus(count))
    }

    #[test]
    fn a_lane_agrees_with_a_list_of_seconds() {
        let mut lane = Lane::new(gpus(8));
        let mut plain = [8_i64; 40];
        let mut state = 7;
        let mut dice = |sides: u64| {
            state = windtunnel_core::hash::finalize(state + 1);
            state % sides
        };
        for _ in 0..2_000 {
            let (from, len) = (dice(30), dice(9));
            let amount = if dice(2) == 0 { gpus(1) } else { -gpus(1) };
            lane.add(at(from), at(from + len), amount);
            for second in from..from + len {
                plain[usize::try_from(second).unwrap()] += amount.gpus;
            }
            let (from, len) = (dice(30), 1 + dice(9));
            let window = usize::try_from(from).unwrap()..usize::try_from(from + len).unwrap();
            let least = lane.least(at(from), at(from + len));
            assert_eq!(Some(&least.gpus), plain[window.clone()].iter().min());
            let until = lane.blocked_until(at(from), at(from + len), &gpus(6));
            let last = window.rev().find(|second| plain[*second] < 6);
            assert_eq!(until.is_some(), last.is_some());
            if let (Some(until), Some(last)) = (until, last) {
                assert!(
                    until > at(last as u64),
                    "{until} is not behind second {last}"
                );
            }
        }
        assert!(lane.0.len() <= 41, "equal neighbours are one step");
    }

    #[test]
    fn forgetting_the_past_changes_nothing_to_come() {
        let mut profile = Profile::new(&[gpus(4), gpus(4)]);
        profile.take(NodeId(1), at(5), at(10), gpus(3));
        profile.forget_before(at(7));
        assert_eq!(profile.least(NodeId(1), at(7), at(8)), gpus(1));
        assert_eq!(profile.blocked_until(at(7), at(9), &gpus(6)), Some(at(10)));
        assert_eq!(profile.steps(), 2);
    }
}
