//! The scheduling queue: activeQ, backoffQ and the map of unschedulable pods.
//!
//! ```text
//! new pod ───────────────► activeQ ──pop──► attempt ──► bound
//!                           ^   ^              │ no node
//!      backoff over (flush  │   │ not backing  v
//!      or, 1.36, popped) ── backoffQ ◄─event── unschedulable
//! ```
//!
//! All attempts of an instant happen in one call of the scheduler, so between calls activeQ is empty.
//! Pods wait in the other two, in plain lists, and each call sorts what it moves: the lists consist of
//! few sorted runs, which costs less than keeping heaps.

use std::cmp::Reverse;

use windtunnel_core::{NANOS_PER_SEC, SimDuration, SimTime, TaskRef};

use super::Version;
use crate::table::LookupMap;

/// How often pods are looked for that were left over in the unschedulable map.
const LEFTOVER_TICK: u64 = 30 * NANOS_PER_SEC;

/// A pod's place in the queue's table.
pub(super) type PodId = u32;

/// What was last said of why a pod waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Backoff,
    Unschedulable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active,
    Backoff,
    Unschedulable,
    /// Bound or deleted; whichever list it is in drops it when it is next read.
    Gone,
}

/// One incarnation of a task that waits to be scheduled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pod {
    pub(super) task: TaskRef,
    pub(super) priority: i64,
    /// When it was last put into the queue: at its creation or at its last failure.
    pub(super) since: SimTime,
    /// Breaks ties of `since`: the order in which pods were put into the queue.
    seq: u64,
    /// Which pods are equal to the scheduler.
    pub(super) class: u32,
    /// Failed attempts.
    pub(super) attempts: u32,
    place: Place,
    pub(super) told: Told,
}

/// Least is first: higher priority, then longer in the queue.
type Key = (Reverse<i64>, SimTime, u64, PodId);

/// The queue of one scheduler.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    version: Version,
    pods: Vec<Pod>,
    vacant: Vec<PodId>,
    index: LookupMap<TaskRef, PodId>,
    active: Vec<Key>,
    /// Entries of `active` that were popped already.
    popped: usize,
    backoff: Vec<PodId>,
    unschedulable: Vec<PodId>,
    seq: u64,
}

impl Queue {
    pub(super) fn new(version: Version) -> Self {
        Self {
            version,
            pods: Vec::new(),
            vacant: Vec::new(),
            index: LookupMap::default(),
            active: Vec::new(),
            popped: 0,
            backoff: Vec::new(),
            unschedulable: Vec::new(),
            seq: 0,
        }
    }

    pub(super) fn pod(&self, id: PodId) -> &Pod {
        &self.pods[id as usize]
    }

    pub(super) fn pod_mut(&mut self, id: PodId) -> &mut Pod {
        &mut self.pods[id as usize]
    }

    pub(super) fn find(&self, task: TaskRef) -> Option<&Pod> {
        self.index.get(&task).map(|&id| self.pod(id))
    }

    /// A new pod enters activeQ. Nothing happens if it is known.
    pub(super) fn add(&mut self, task: TaskRef, priority: i64, class: u32, now: SimTime) {
        if let Some(id) = self.insert(task, priority, class, now) {
            self.activate(id);
        }
    }

    /// A pod whose binding failed enters backoffQ.
    pub(super) fn add_failed(&mut self, task: TaskRef, priority: i64, class: u32, now: SimTime) {
        if let Some(id) = self.insert(task, priority, class, now) {
            let pod = self.pod_mut(id);
            pod.attempts = 1;
            pod.place = Place::Backoff;
            self.backoff.push(id);
        }
    }

    fn insert(&mut self, task: TaskRef, priority: i64, class: u32, now: SimTime) -> Option<PodId> {
        if self.index.contains_key(&task) {
            return None;
        }
        let pod = Pod {
            task,
            priority,
            since: now,
            seq: self.seq,
            class,
            attempts: 0,
            place: Place::Active,
            told: Told::Nothing,
        };
        self.seq += 1;
        let id = if let Some(id) = self.vacant.pop() {
            self.pods[id as usize] = pod;
            id
        } else {
            self.pods.push(pod);
            PodId::try_from(self.pods.len() - 1).expect("fewer than 2^32 pods wait")
        };
        self.index.insert(task, id);
        Some(id)
    }

    /// Forgets a pod that was deleted; `false` if it did not wait here.
    pub(super) fn remove(&mut self, task: TaskRef) -> bool {
        let Some(id) = self.index.remove(&task) else {
            return false;
        };
        self.pods[id as usize].place = Place::Gone;
        true
    }

    fn activate(&mut self, id: PodId) {
        let pod = &mut self.pods[id as usize];
        pod.place = Place::Active;
        let key = (Reverse(pod.priority), pod.since, pod.seq, id);
        self.active.push(key);
    }

    /// Something happened that may help: unschedulable pods that `concerned` picks go to backoffQ if
    /// they are still backing off, else to activeQ.
    pub(super) fn move_on_event(&mut self, now: SimTime, mut concerned: impl FnMut(&Pod) -> bool) {
        let mut list = std::mem::take(&mut self.unschedulable);
        list.retain(|&id| {
            let pod = &mut self.pods[id as usize];
            if pod.place == Place::Gone {
                self.vacant.push(id);
                return false;
            }
            catch_up(self.version, pod, now);
            if !concerned(pod) {
                return true;
            }
            if is_backing_off(self.version, pod, now) {
                pod.place = Place::Backoff;
                self.backoff.push(id);
            } else {
                self.activate(id);
            }
            false
        });
        self.unschedulable = list;
    }

    /// v1.20: the flush that runs at every whole second moves pods whose backoff is over to activeQ.
    pub(super) fn flush_backoff(&mut self, now: SimTime) {
        let ticks = now.as_nanos().is_multiple_of(NANOS_PER_SEC);
        if self.version != Version::V1_20 || !ticks || self.backoff.is_empty() {
            return;
        }
        let mut list = std::mem::take(&mut self.backoff);
        list.retain(|&id| {
            let pod = &self.pods[id as usize];
            if pod.place == Place::Gone {
                self.vacant.push(id);
                return false;
            }
            if expiry(self.version, pod) > now {
                return true;
            }
            self.activate(id);
            false
        });
        self.backoff = list;
    }

    /// Orders activeQ; to be called after all moves and before the first [`pop`](Self::pop).
    pub(super) fn sort(&mut self) {
        self.active.sort();
    }

    /// The next pod to be tried.
    pub(super) fn pop(&mut self) -> Option<PodId> {
        loop {
            while let Some(&(_, _, _, id)) = self.active.get(self.popped) {
                self.popped += 1;
                if self.pods[id as usize].place != Place::Gone {
                    return Some(id);
                }
                self.vacant.push(id);
            }
            self.active.clear();
            self.popped = 0;
            if self.version == Version::V1_20 || self.backoff.is_empty() {
                return None;
            }
            // 1.36: as long as activeQ is empty, backoffQ is served without waiting. Nothing enters
            // activeQ meanwhile, so all of it can be taken over at once.
            let version = self.version;
            let mut list = std::mem::take(&mut self.backoff);
            list.sort_by_cached_key(|&id| {
                let pod = &self.pods[id as usize];
                (
                    expiry(version, pod),
                    Reverse(pod.priority),
                    pod.since,
                    pod.seq,
                )
            });
            for id in list.drain(..) {
                if self.pods[id as usize].place == Place::Gone {
                    self.vacant.push(id);
                } else {
                    self.activate(id);
                }
            }
            self.backoff = list;
        }
    }

    /// No node was found: the pod goes behind its equals and into the unschedulable map.
    pub(super) fn fail(&mut self, id: PodId, now: SimTime) -> &mut Pod {
        self.unschedulable.push(id);
        let pod = &mut self.pods[id as usize];
        pod.attempts = pod.attempts.saturating_add(1);
        pod.since = now;
        pod.seq = self.seq;
        pod.place = Place::Unschedulable;
        self.seq += 1;
        pod
    }

    /// The pod was bound.
    pub(super) fn bound(&mut self, id: PodId) {
        let pod = &mut self.pods[id as usize];
        pod.place = Place::Gone;
        self.index.remove(&pod.task);
        self.vacant.push(id);
    }

    /// Pods in backoffQ.
    pub(super) fn backing_off(&self) -> &[PodId] {
        &self.backoff
    }

    /// Whether a pod waits at all.
    pub(super) fn waits(&self, id: PodId) -> bool {
        self.pods[id as usize].place != Place::Gone
    }

    /// When the next flush has something to move, if ever.
    pub(super) fn next_flush(&self) -> Option<SimTime> {
        if self.version != Version::V1_20 {
            return None;
        }
        let waiting = self.backoff.iter().map(|&id| self.pod(id));
        let first = waiting
            .filter(|pod| pod.place == Place::Backoff)
            .map(|pod| expiry(self.version, pod))
            .min()?;
        let seconds = first.as_nanos().div_ceil(NANOS_PER_SEC);
        Some(SimTime::from_secs(seconds))
    }
}

/// How long a pod backs off after its `attempts`-th failure: 1, 2, 4, 8, 10, 10, … s.
pub(super) const fn backoff(attempts: u32) -> SimDuration {
    SimDuration::from_secs(match attempts {
        0 => 0,
        1..=4 => 1 << (attempts - 1),
        _ => 10,
    })
}

/// When a pod's backoff is over; in 1.36 cut to whole seconds.
fn expiry(version: Version, pod: &Pod) -> SimTime {
    let exact = pod.since.saturating_add(backoff(pod.attempts));
    match version {
        Version::V1_20 => exact,
        Version::V1_36 => whole_seconds(exact),
    }
}

fn is_backing_off(version: Version, pod: &Pod, now: SimTime) -> bool {
    match version {
        Version::V1_20 => expiry(version, pod) > now,
        Version::V1_36 => expiry(version, pod) >= whole_seconds(now),
    }
}

const fn whole_seconds(at: SimTime) -> SimTime {
    SimTime::from_secs(at.as_nanos() / NANOS_PER_SEC)
}

/// Applies the flushes of left-over pods that happened since a pod failed.
///
/// Every 30 s, pods that were unschedulable for more than 60 s (1.36: 5 min) are tried again. Nothing
/// that could help has happened meanwhile, or they would have been moved, so each of these attempts
/// fails and only counts: simulating them would be idle ticks.
fn catch_up(version: Version, pod: &mut Pod, now: SimTime) {
    let patience = NANOS_PER_SEC
        * match version {
            Version::V1_20 => 60,
            Version::V1_36 => 300,
        };
    let (since, now) = (pod.since.as_nanos(), now.as_nanos());
    if now.saturating_sub(since) <= patience {
        return;
    }
    let first = ((since + patience) / LEFTOVER_TICK + 1) * LEFTOVER_TICK;
    if first >= now {
        return;
    }
    // "For more than" is strict: after a flush, the tick at which patience ends is one too early.
    let period = patience + LEFTOVER_TICK;
    let more = (now - 1 - first) / period;
    pod.since = SimTime::from_nanos(first + more * period);
    let flushes = u32::try_from(more + 1).unwrap_or(u32::MAX);
    pod.attempts = pod.attempts.saturating_add(flushes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use windtunnel_core::{JobId, JobRef};

    fn task(job: u32) -> TaskRef {
        let job = JobRef {
            slot: job,
            id: JobId(job),
        };
        TaskRef {
            job,
            group: 0,
            index: 0,
            attempt: 0,
        }
    }

    fn millis(n: u64) -> SimTime {
        SimTime::from_nanos(n * 1_000_000)
    }

    /// Jobs popped until nothing is left; `fail` puts each back at `now`.
    fn drain(queue: &mut Queue, now: SimTime) -> Vec<u32> {
        queue.sort();
        let mut jobs = Vec::new();
        while let Some(id) = queue.pop() {
            jobs.push(queue.pod(id).task.job.id.0);
            queue.fail(id, now);
        }
        jobs
    }

    fn with_pods(version: Version, priorities: &[i64], now: SimTime) -> Queue {
        let mut queue = Queue::new(version);
        for (job, &priority) in (0..).zip(priorities) {
            queue.add(task(job), priority, 0, now);
        }
        queue
    }

    #[test]
    fn backoff_doubles_up_to_ten_seconds() {
        let seconds: Vec<u64> = (1..=6)
            .map(|k| backoff(k).as_nanos() / NANOS_PER_SEC)
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff(u32::MAX), SimDuration::from_secs(10));
    }

    #[test]
    fn priority_then_time_then_order() {
        let mut queue = with_pods(Version::V1_36, &[0, 5, 0, 5], millis(0));
        assert_eq!(drain(&mut queue, millis(0)), [1, 3, 0, 2]);
    }

    #[test]
    fn a_retried_pod_goes_behind_its_equals() {
        let mut queue = with_pods(Version::V1_36, &[0, 0], millis(0));
        drain(&mut queue, millis(0));
        queue.add(task(7), 0, 0, millis(20_000));
        queue.move_on_event(millis(20_000), |pod| pod.task != task(0));
        assert_eq!(drain(&mut queue, millis(20_000)), [1, 7]);
        queue.move_on_event(millis(40_000), |_| true);
        assert_eq!(drain(&mut queue, millis(40_000)), [0, 1, 7]);
    }

    /// kubernetes.md §1: a failure at 10.3 s with 1 s of backoff is over at 11, yet counts at 11.9.
    #[test]
    fn backoff_of_1_36_is_cut_to_seconds() {
        let mut queue = with_pods(Version::V1_36, &[0], millis(10_300));
        drain(&mut queue, millis(10_300));
        let pod = *queue.pod(0);
        assert_eq!(expiry(Version::V1_36, &pod), millis(11_000));
        assert!(is_backing_off(Version::V1_36, &pod, millis(11_900)));
        assert!(!is_backing_off(Version::V1_36, &pod, millis(12_000)));
        assert!(is_backing_off(Version::V1_20, &pod, millis(11_299)));
        assert!(!is_backing_off(Version::V1_20, &pod, millis(11_300)));
    }

    #[test]
    fn v1_20_sits_out_backoff_until_a_whole_second() {
        let mut queue = with_pods(Version::V1_20, &[0], millis(300));
        drain(&mut queue, millis(300));
        queue.move_on_event(millis(500), |_| true);
        assert!(drain(&mut queue, millis(500)).is_empty());
        assert_eq!(queue.next_flush(), Some(millis(2_000)), "over at 1.3 s");
        queue.flush_backoff(millis(1_300));
        assert!(drain(&mut queue, millis(1_300)).is_empty(), "no tick");
        queue.flush_backoff(millis(2_000));
        assert_eq!(drain(&mut queue, millis(2_000)), [0]);
        assert_eq!(queue.next_flush(), None);
    }

    /// Those not backing off first; then backoffQ by end of backoff, then priority.
    #[test]
    fn v1_36_pops_from_backoff_once_active_is_empty() {
        let mut queue = with_pods(Version::V1_36, &[0, 0, 9], millis(0));
        drain(&mut queue, millis(0));
        queue.move_on_event(millis(5_000), |pod| pod.task == task(1));
        drain(&mut queue, millis(5_000)); // job 1: second failure, backs off until 7
        queue.add(task(3), 9, 0, millis(6_000));
        drain(&mut queue, millis(6_000)); // job 3: first failure, backs off until 7
        queue.move_on_event(millis(6_500), |_| true);
        assert_eq!(drain(&mut queue, millis(6_500)), [2, 0, 3, 1]);
        assert_eq!(queue.next_flush(), None, "backoff delays nothing");
    }

    /// Failed at 10: flushed at the first multiple of 30 s after 70 (90), then every 90 s: 180, 270.
    #[test]
    fn left_over_pods_are_counted_not_simulated() {
        let mut queue = with_pods(Version::V1_20, &[0], millis(10_000));
        drain(&mut queue, millis(10_000));
        for (now, since, attempts) in [(90, 10, 1), (91, 90, 2), (180, 90, 2), (300, 270, 4)] {
            queue.move_on_event(SimTime::from_secs(now), |_| false);
            let pod = queue.pod(0);
            assert_eq!(
                (pod.since, pod.attempts),
                (SimTime::from_secs(since), attempts)
            );
        }
        let mut queue = with_pods(Version::V1_36, &[0], millis(0));
        drain(&mut queue, millis(0));
        queue.move_on_event(SimTime::from_secs(700), |_| false);
        assert_eq!(
            (queue.pod(0).since, queue.pod(0).attempts),
            (SimTime::from_secs(660), 3)
        );
    }

    #[test]
    fn deleted_pods_are_dropped_and_their_places_reused() {
        let mut queue = with_pods(Version::V1_36, &[0, 0], millis(0));
        assert!(queue.remove(task(0)));
        assert!(!queue.remove(task(0)));
        assert_eq!(drain(&mut queue, millis(0)), [1]);
        queue.add(task(2), 0, 0, millis(0));
        assert_eq!(queue.pods.len(), 2);
        assert!(queue.remove(task(1)), "while unschedulable");
        queue.move_on_event(millis(9_000), |_| true);
        assert_eq!(drain(&mut queue, millis(9_000)), [2]);
    }
}
