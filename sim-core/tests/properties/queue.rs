//! The event queue against a sorted map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use windtunnel_core::SimTime;
use windtunnel_core::engine::{EventHandle, EventKey, EventQueue, Phase};
use windtunnel_core::hash::finalize;

const PHASES: [Phase; 5] = [
    Phase::Completions,
    Phase::Failures,
    Phase::Repairs,
    Phase::Submissions,
    Phase::Timers,
];

/// Something done to the queue, a number of times.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Schedule at most 2^`scale` nanoseconds from now.
    Schedule {
        scale: u32,
        seed: u64,
    },
    /// Cancel with any handle that was ever given out.
    Cancel {
        seed: u64,
    },
    /// Cancel, then schedule again.
    Reschedule {
        scale: u32,
        seed: u64,
    },
    Pop,
    Peek,
}

fn op() -> impl Strategy<Value = (Op, u64)> {
    // Small scales make ties, large ones reach the end of the clock.
    let scale = prop_oneof![0..4_u32, 4..24_u32, 24..65_u32];
    let schedule =
        (scale.clone(), any::<u64>()).prop_map(|(scale, seed)| Op::Schedule { scale, seed });
    let reschedule = (scale, any::<u64>()).prop_map(|(scale, seed)| Op::Reschedule { scale, seed });
    let op = prop_oneof![
        4 => schedule,
        1 => any::<u64>().prop_map(|seed| Op::Cancel { seed }),
        2 => reschedule,
        4 => Just(Op::Pop),
        1 => Just(Op::Peek),
    ];
    // Many at once, so that buckets overflow, are split, and are swept.
    let count = prop_oneof![3 => 1..4_u64, 2 => 4..200_u64, 1 => 200..2_000_u64];
    (op, count)
}

/// The queue, and what it should be.
#[derive(Clone, Default)]
struct Twins {
    queue: EventQueue<u64>,
    model: BTreeMap<EventKey, u64>,
    /// Every handle ever given out, with its key.
    handles: Vec<(EventHandle, EventKey)>,
    now: SimTime,
}

impl Twins {
    fn apply(&mut self, op: Op, n: u64) -> Result<(), TestCaseError> {
        match op {
            Op::Schedule { scale, seed } => self.schedule(scale, finalize(seed ^ n)),
            Op::Cancel { seed } => self.cancel(finalize(seed ^ n))?,
            Op::Reschedule { scale, seed } => {
                self.cancel(finalize(seed ^ n))?;
                self.schedule(scale, finalize(seed ^ !n));
            }
            Op::Pop => self.pop()?,
            Op::Peek => {
                let first = self.model.first_key_value().map(|(key, _)| *key);
                prop_assert_eq!(self.queue.peek_key(), first);
            }
        }
        prop_assert_eq!(self.queue.len(), self.model.len());
        prop_assert_eq!(self.queue.is_empty(), self.model.is_empty());
        Ok(())
    }

    fn schedule(&mut self, scale: u32, random: u64) {
        let length = (random >> 3)
            .checked_shr(61_u32.saturating_sub(scale))
            .unwrap_or(0)
            << scale.saturating_sub(61);
        let time = SimTime::from_nanos(self.now.as_nanos().saturating_add(length));
        let phase = PHASES[(random % 5) as usize];
        let seq = self.handles.len() as u64;
        let handle = self.queue.schedule(time, phase, seq);
        let key = EventKey { time, phase, seq };
        self.model.insert(key, seq);
        self.handles.push((handle, key));
    }

    fn cancel(&mut self, random: u64) -> Result<(), TestCaseError> {
        if self.handles.is_empty() {
            return Ok(());
        }
        // The youngest are the most likely to be pending.
        let back = random % (self.handles.len() as u64).min(1 << (random >> 59));
        let back = usize::try_from(back).expect("less than there are handles");
        let (handle, key) = self.handles[self.handles.len() - 1 - back];
        prop_assert_eq!(self.queue.cancel(handle), self.model.remove(&key));
        Ok(())
    }

    fn pop(&mut self) -> Result<(), TestCaseError> {
        let popped = self.queue.pop();
        prop_assert_eq!(popped, self.model.pop_first());
        if let Some((key, _)) = popped {
            prop_assert!(key.time >= self.now, "time went back");
            self.now = key.time;
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_map(ops in prop::collection::vec(op(), 1..40)) {
        let mut twins = Twins::default();
        for (op, count) in ops {
            for n in 0..count {
                twins.apply(op, n)?;
            }
        }
        let mut clone = twins.clone();
        for twins in [&mut twins, &mut clone] {
            while !twins.model.is_empty() {
                twins.pop()?;
            }
            prop_assert_eq!(twins.queue.pop(), None);
        }
    }

    #[test]
    fn a_cancelled_event_never_pops(
        times in prop::collection::vec((0..50_u64, 0..5_usize, any::<bool>()), 0..300),
        popped_before in 0..100_usize,
    ) {
        let mut queue = EventQueue::new();
        let mut doomed = Vec::new();
        for (n, (time, phase, cancelled)) in times.into_iter().enumerate() {
            let handle = queue.schedule(SimTime::from_nanos(time), PHASES[phase], n);
            if cancelled {
                doomed.push((handle, n));
            }
        }
        let mut popped: Vec<usize> = Vec::new();
        popped.extend((0..popped_before).map_while(|_| queue.pop()).map(|(_, n)| n));
        for (handle, n) in doomed {
            let expected = (!popped.contains(&n)).then_some(n);
            prop_assert_eq!(queue.cancel(handle), expected);
            prop_assert_eq!(queue.cancel(handle), None);
            if expected.is_some() {
                popped.push(n);
            }
        }
        while let Some((_, n)) = queue.pop() {
            prop_assert!(!popped.contains(&n), "event {} came twice", n);
        }
    }

    #[test]
    fn ties_pop_by_phase_then_insertion(phases in prop::collection::vec(0..5_usize, 0..500)) {
        let mut queue = EventQueue::new();
        for (n, phase) in phases.iter().enumerate() {
            queue.schedule(SimTime::from_secs(1), PHASES[*phase], n);
        }
        let popped: Vec<usize> = std::iter::from_fn(|| queue.pop().map(|(_, n)| n)).collect();
        let mut expected: Vec<usize> = (0..phases.len()).collect();
        expected.sort_by_key(|n| phases[*n]); // stable
        prop_assert_eq!(popped, expected);
    }
}
