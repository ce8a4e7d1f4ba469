//! The event queue: what happens next.

use std::fmt;

use super::ladder::{Entry, Ladder};
use super::{EventKey, Phase};
use crate::time::SimTime;

/// The number of cancelled entries that is not worth a compaction.
const STALE_MIN: usize = 1024;
/// The number of bits of an entry's order that hold the sequence number; the phase is above them.
const SEQ_BITS: u32 = 60;

/// Names one scheduled event, to [`cancel`](EventQueue::cancel) it.
///
/// It stays harmless when the event is gone: slots are reused, but every use has its own generation.
/// It means nothing to another queue, except to a clone made while the event was pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHandle {
    /// Where the event is stored.
    pub(super) slot: u32,
    /// Which use of the slot it is.
    pub(super) generation: u32,
}

/// A queue of future events with a total order: earlier time, then phase, then insertion.
///
/// It knows nothing about what the events mean.
///
/// # Complexity
/// In n pending events: `schedule`, `pop` and `peek_key` take constant time on average if the events are
/// spread over time, and at most O(log n) amortised. `cancel` takes constant time: it leaves a stale
/// entry behind that is skipped later, and all of those are swept out once they outnumber the live ones.
/// Memory is proportional to the largest number of events pending at once. Nothing is allocated while
/// that number does not grow.
///
/// # Examples
/// ```
/// use windtunnel_core::SimTime;
/// use windtunnel_core::engine::{EventQueue, Phase};
///
/// let mut queue = EventQueue::new();
/// let noon = SimTime::from_secs(43_200);
/// queue.schedule(noon, Phase::Timers, "wake up");
/// let failure = queue.schedule(noon, Phase::Failures, "node fails");
/// queue.schedule(noon, Phase::Completions, "job ends");
///
/// assert_eq!(queue.cancel(failure), Some("node fails"));
/// assert_eq!(queue.cancel(failure), None, "it is gone");
///
/// let (key, event) = queue.pop().expect("two are left");
/// assert_eq!((key.time, event), (noon, "job ends"));
/// assert_eq!(queue.pop().map(|(_, event)| event), Some("wake up"));
/// assert!(queue.is_empty());
/// ```
#[derive(Clone)]
pub struct EventQueue<E> {
    ladder: Ladder,
    slots: Slots<E>,
    /// The number of events ever scheduled.
    seq: u64,
    /// The time of the last event popped.
    now: SimTime,
    /// The next event, if it is known: it is asked for several times before it is popped.
    next: Option<Entry>,
}

impl<E> EventQueue<E> {
    /// Returns an empty queue. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ladder: Ladder::default(),
            slots: Slots::default(),
            seq: 0,
            now: SimTime::ZERO,
            next: None,
        }
    }

    /// Adds an event, behind all events of the same instant and phase.
    ///
    /// Scheduling for the current instant is fine even if later phases of it were popped already: the
    /// event is next, and time does not go back.
    ///
    /// # Panics
    /// If `at` is before the time of the last event popped: that is always a bug of the caller. Also
    /// if 2³² events are pending.
    ///
    /// ```should_panic
    /// use windtunnel_core::SimTime;
    /// use windtunnel_core::engine::{EventQueue, Phase};
    /// let mut queue = EventQueue::new();
    /// queue.schedule(SimTime::from_secs(60), Phase::Timers, ());
    /// queue.pop();
    /// queue.schedule(SimTime::from_secs(59), Phase::Timers, ());
    /// ```
    #[inline]
    pub fn schedule(&mut self, at: SimTime, phase: Phase, event: E) -> EventHandle {
        assert!(
            at >= self.now,
            "event scheduled for {at}, but the clock is already at {}",
            self.now
        );
        // At one event per nanosecond, 60 bits last for 36 years.
        debug_assert!(self.seq >> SEQ_BITS == 0, "out of sequence numbers");
        let handle = self.slots.insert(event);
        let entry = Entry {
            time: at.as_nanos(),
            order: (phase as u64) << SEQ_BITS | self.seq,
            handle,
        };
        self.ladder.push(entry);
        self.next = self.next.map(|next| next.min(entry));
        self.seq += 1;
        handle
    }

    /// Removes an event and returns it, or `None` if it was popped or cancelled before.
    pub fn cancel(&mut self, handle: EventHandle) -> Option<E> {
        let event = self.slots.remove(handle)?;
        self.next = self.next.filter(|next| next.handle != handle);
        let live = self.slots.live;
        if self.ladder.len() - live > live.max(STALE_MIN) {
            self.ladder.retain(|entry| self.slots.holds(entry.handle));
        }
        Some(event)
    }

    /// Returns the key of the next event without popping it.
    ///
    /// Takes `&mut self` because it drops cancelled entries on its way.
    #[inline]
    pub fn peek_key(&mut self) -> Option<EventKey> {
        self.first().map(key)
    }

    /// Returns the time of the next event without popping it.
    ///
    /// Takes `&mut self` because it drops cancelled entries on its way.
    #[inline]
    pub fn peek_time(&mut self) -> Option<SimTime> {
        self.first().map(|entry| SimTime::from_nanos(entry.time))
    }

    /// Removes the next event and returns it with its key, or `None` if there is none.
    ///
    /// The time of successive keys never decreases.
    #[inline]
    pub fn pop(&mut self) -> Option<(EventKey, E)> {
        if self.slots.live == 0 {
            return None;
        }
        // What is remembered is where it was; the ladder may have moved it since.
        let entry = self.ladder.first(|entry| self.slots.holds(entry.handle))?;
        debug_assert!(self.next.is_none_or(|next| next == entry));
        self.next = None;
        self.ladder.remove_first(entry);
        let event = self.slots.remove(entry.handle)?;
        let key = key(entry);
        debug_assert!(key.time >= self.now, "time went back");
        self.now = key.time;
        Some((key, event))
    }

    /// Returns the number of pending events. Cancelled ones do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.live
    }

    /// Returns whether no event is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.live == 0
    }

    #[inline]
    fn first(&mut self) -> Option<Entry> {
        if self.next.is_some() {
            return self.next;
        }
        self.find_first()
    }

    #[inline(never)]
    fn find_first(&mut self) -> Option<Entry> {
        if self.slots.live > 0 {
            self.next = self.ladder.first(|entry| self.slots.holds(entry.handle));
        }
        self.next
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for EventQueue<E> {
    /// The size and the clock; a million events help nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventQueue")
            .field("len", &self.len())
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

#[inline]
fn key(entry: Entry) -> EventKey {
    const PHASES: [Phase; 5] = [
        Phase::Completions,
        Phase::Failures,
        Phase::Repairs,
        Phase::Submissions,
        Phase::Timers,
    ];
    EventKey {
        time: SimTime::from_nanos(entry.time),
        phase: PHASES[(entry.order >> SEQ_BITS) as usize],
        seq: entry.order & ((1 << SEQ_BITS) - 1),
    }
}

/// The pending events, in slots that are reused, last freed first.
#[derive(Clone)]
struct Slots<E> {
    slots: Vec<Slot<E>>,
    /// The first free slot, or [`Slots::NO_SLOT`].
    free: u32,
    live: usize,
}

#[derive(Clone)]
struct Slot<E> {
    event: Option<E>,
    /// The number of times the slot was freed.
    generation: u32,
    /// The next free slot, if this one is free.
    next_free: u32,
}

impl<E> Default for Slots<E> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Self::NO_SLOT,
            live: 0,
        }
    }
}

impl<E> Slots<E> {
    const NO_SLOT: u32 = u32::MAX;

    #[inline]
    fn insert(&mut self, event: E) -> EventHandle {
        self.live += 1;
        let slot = self.free;
        if let Some(free) = self.slots.get_mut(slot as usize) {
            free.event = Some(event);
            self.free = free.next_free;
            return EventHandle {
                slot,
                generation: free.generation,
            };
        }
        self.grow(event)
    }

    #[cold]
    fn grow(&mut self, event: E) -> EventHandle {
        let slot = u32::try_from(self.slots.len())
            .ok()
            .filter(|slot| *slot != Self::NO_SLOT)
            .expect("fewer than 2^32 pending events");
        self.slots.push(Slot {
            event: Some(event),
            generation: 0,
            next_free: Self::NO_SLOT,
        });
        EventHandle {
            slot,
            generation: 0,
        }
    }

    /// Whether the event is still pending.
    #[inline]
    fn holds(&self, handle: EventHandle) -> bool {
        self.slots
            .get(handle.slot as usize)
            .is_some_and(|slot| slot.generation == handle.generation)
    }

    #[inline]
    fn remove(&mut self, handle: EventHandle) -> Option<E> {
        let slot = self.slots.get_mut(handle.slot as usize)?;
        if slot.generation != handle.generation {
            return None;
        }
        let event = slot.event.take()?;
        self.live -= 1;
        slot.generation += 1;
        // A slot whose generations are used up is never used again, so that no old handle fits.
        if slot.generation < u32::MAX {
            slot.next_free = self.free;
            self.free = handle.slot;
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> SimTime {
        SimTime::from_nanos(nanos)
    }

    fn events<E>(queue: &mut EventQueue<E>) -> Vec<E> {
        std::iter::from_fn(|| queue.pop().map(|(_, event)| event)).collect()
    }

    #[test]
    fn ties_pop_by_phase_then_insertion() {
        let mut queue = EventQueue::new();
        queue.schedule(at(5), Phase::Timers, 6);
        queue.schedule(at(5), Phase::Submissions, 5);
        queue.schedule(at(5), Phase::Completions, 1);
        queue.schedule(at(5), Phase::Repairs, 4);
        queue.schedule(at(5), Phase::Failures, 3);
        queue.schedule(at(5), Phase::Completions, 2);
        queue.schedule(at(4), Phase::Timers, 0);
        assert_eq!(events(&mut queue), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn keys_are_what_was_scheduled() {
        let mut queue = EventQueue::new();
        for (seq, phase) in [Phase::Timers, Phase::Repairs, Phase::Failures]
            .into_iter()
            .enumerate()
        {
            queue.schedule(SimTime::MAX, phase, ());
            let key = EventKey {
                time: SimTime::MAX,
                phase,
                seq: seq as u64,
            };
            assert_eq!(queue.peek_key(), Some(key));
        }
        queue.schedule(SimTime::ZERO, Phase::Submissions, ());
        assert_eq!(
            queue.peek_key().map(|key| key.phase),
            Some(Phase::Submissions)
        );
        assert_eq!(queue.len(), 4);
    }

    #[test]
    fn an_old_handle_does_not_cancel_the_next_event_in_its_slot() {
        let mut queue = EventQueue::new();
        let first = queue.schedule(at(1), Phase::Timers, 'a');
        assert_eq!(queue.cancel(first), Some('a'));
        let second = queue.schedule(at(2), Phase::Timers, 'b');
        assert_eq!(second.slot, first.slot, "slots are reused");
        assert_eq!(queue.cancel(first), None);
        assert_eq!(
            queue.pop().map(|(key, event)| (key.time, event)),
            Some((at(2), 'b'))
        );
        assert_eq!(queue.cancel(second), None);
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_worn_out_slot_is_retired() {
        let mut queue = EventQueue::new();
        queue.schedule(at(1), Phase::Timers, ());
        queue.pop();
        queue.slots.slots[0].generation = u32::MAX - 1;
        let last = queue.schedule(at(1), Phase::Timers, ());
        assert_eq!((last.slot, last.generation), (0, u32::MAX - 1));
        queue.pop();
        assert_eq!(queue.schedule(at(1), Phase::Timers, ()).slot, 1);
        assert_eq!(queue.cancel(last), None);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn the_current_instant_can_be_reopened() {
        let mut queue = EventQueue::new();
        queue.schedule(at(5), Phase::Timers, 1);
        queue.pop();
        queue.schedule(at(5), Phase::Completions, 2);
        assert_eq!(events(&mut queue), [2]);
    }

    #[test]
    #[should_panic(expected = "scheduled for 4ns, but the clock is already at 5ns")]
    fn scheduling_in_the_past_is_a_bug() {
        let mut queue = EventQueue::new();
        queue.schedule(at(5), Phase::Timers, ());
        queue.pop();
        queue.schedule(at(4), Phase::Timers, ());
    }

    #[test]
    fn peeking_does_not_move_the_clock() {
        let mut queue = EventQueue::new();
        queue.schedule(at(5), Phase::Timers, 2);
        queue.peek_key();
        queue.schedule(at(4), Phase::Timers, 1);
        assert_eq!(events(&mut queue), [1, 2]);
    }

    #[test]
    fn a_clone_goes_its_own_way() {
        let mut queue = EventQueue::new();
        let handles: Vec<_> = (0..1_000)
            .map(|n| queue.schedule(at(n), Phase::Timers, n))
            .collect();
        queue.pop();
        let mut clone = queue.clone();
        assert_eq!(clone.cancel(handles[1]), Some(1));
        assert_eq!(events(&mut queue), (1..1_000).collect::<Vec<_>>());
        assert_eq!(events(&mut clone), (2..1_000).collect::<Vec<_>>());
    }

    /// Holds and reschedules for `rounds` rounds; returns the sizes of the storage.
    fn churn(
        queue: &mut EventQueue<usize>,
        handles: &mut [EventHandle],
        rounds: u64,
    ) -> [usize; 2] {
        let random = crate::hash::finalize;
        for n in 0..rounds {
            let length = random(n) % 1_000_000;
            let event = if n % 2 == 0 {
                queue.pop().expect("not empty").1
            } else {
                let chosen = usize::try_from(random(!n) >> 33).expect("31 bits");
                queue
                    .cancel(handles[chosen % handles.len()])
                    .expect("pending")
            };
            let again = at(queue.now.as_nanos() + length);
            handles[event] = queue.schedule(again, Phase::Timers, event);
        }
        [queue.slots.slots.len(), queue.ladder.storage()]
    }

    #[test]
    fn memory_stops_growing() {
        let mut queue = EventQueue::new();
        let mut handles: Vec<_> = (0..5_000)
            .map(|n| queue.schedule(SimTime::ZERO, Phase::Timers, n))
            .collect();
        let [slots, warm] = churn(&mut queue, &mut handles, 1_000_000);
        assert_eq!(slots, 5_000);
        assert_eq!(churn(&mut queue, &mut handles, 200_000), [slots, warm]);
        assert_eq!(queue.len(), 5_000);
    }

    #[test]
    fn cancelled_entries_are_swept_out() {
        let mut queue = EventQueue::new();
        queue.schedule(at(1 << 50), Phase::Timers, 0);
        for n in 0..100_000 {
            let handle = queue.schedule(at(n), Phase::Timers, 1);
            queue.cancel(handle);
            assert!(queue.ladder.len() <= STALE_MIN + 2);
        }
        assert_eq!(events(&mut queue), [0]);
    }

    #[test]
    fn debug_is_short() {
        let mut queue = EventQueue::new();
        queue.schedule(at(1), Phase::Timers, ());
        assert_eq!(
            format!("{queue:?}"),
            "EventQueue { len: 1, now: SimTime(0), .. }"
        );
    }
}
