//! Jobs that wait for a scheduler: one list by submission and one per unit shape.
//!
//! Both are intrusive and ordered by job id. A new job goes to the end at once; one that comes back
//! (evicted, requeued) is searched its place from the front, where old jobs are: O(jobs before it).

use super::World;
use crate::ids::{DemandId, JobId};
use crate::live::{JobTable, Links, NONE};
use crate::task::TaskState;

/// Ends of an intrusive list, and its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobList {
    pub(crate) head: u32,
    pub(crate) tail: u32,
    pub(crate) len: u32,
}

impl Default for JobList {
    fn default() -> Self {
        Self {
            head: NONE,
            tail: NONE,
            len: 0,
        }
    }
}

/// Which pair of links of a job a list uses.
pub(crate) const BY_SUBMISSION: usize = 0;
pub(crate) const BY_SHAPE: usize = 1;

fn insert(list: &mut JobList, jobs: &mut JobTable, slot: u32, which: usize) {
    let id: JobId = jobs.id(slot);
    let mut after = list.tail;
    if after != NONE && jobs.id(after) > id {
        after = NONE;
        let mut next = list.head;
        while next != NONE && jobs.id(next) < id {
            after = next;
            next = jobs.links(next, which).next;
        }
    }
    let next = if after == NONE {
        list.head
    } else {
        jobs.links(after, which).next
    };
    *jobs.links_mut(slot, which) = Links { prev: after, next };
    match after {
        NONE => list.head = slot,
        _ => jobs.links_mut(after, which).next = slot,
    }
    match next {
        NONE => list.tail = slot,
        _ => jobs.links_mut(next, which).prev = slot,
    }
    list.len += 1;
}

fn remove(list: &mut JobList, jobs: &mut JobTable, slot: u32, which: usize) {
    let Links { prev, next } = jobs.links(slot, which);
    match prev {
        NONE => list.head = next,
        _ => jobs.links_mut(prev, which).next = next,
    }
    match next {
        NONE => list.tail = prev,
        _ => jobs.links_mut(next, which).prev = prev,
    }
    list.len -= 1;
}

impl World {
    /// Puts a job where its state says: listed under what it needs if a scheduler may place it now.
    pub(crate) fn relist(&mut self, slot: u32) {
        let job = self.jobs.slot(slot);
        let wanted = job.live && job.withheld.is_none() && job.in_state(TaskState::Pending) > 0;
        let demand = if wanted {
            self.unmet(slot).map(|(id, _)| id)
        } else {
            None
        };
        let job = self.jobs.slot(slot);
        if job.listed && demand == Some(job.demand) {
            return;
        }
        let stays = job.listed && demand.is_some();
        if job.listed {
            self.leave_shape(slot);
        }
        let scheduler = self.jobs.slot(slot).scheduler.index();
        match demand {
            Some(demand) => {
                self.join_shape(slot, demand);
                if !stays {
                    insert(
                        &mut self.lists[scheduler],
                        &mut self.jobs,
                        slot,
                        BY_SUBMISSION,
                    );
                }
            }
            None if self.jobs.slot(slot).listed => {
                remove(
                    &mut self.lists[scheduler],
                    &mut self.jobs,
                    slot,
                    BY_SUBMISSION,
                );
            }
            None => {}
        }
        self.jobs.slot_mut(slot).listed = demand.is_some();
    }

    fn join_shape(&mut self, slot: u32, demand: DemandId) {
        self.jobs.slot_mut(slot).demand = demand;
        let entry = &mut self.demands.list[demand.index()];
        let mut list = JobList {
            head: entry.head,
            tail: entry.tail,
            len: entry.listed,
        };
        insert(&mut list, &mut self.jobs, slot, BY_SHAPE);
        (entry.head, entry.tail, entry.listed) = (list.head, list.tail, list.len);
        if list.len == 1 {
            let listed = &mut self.listed_demands[entry.key.scheduler.index()];
            if let Err(place) = listed.binary_search(&demand) {
                listed.insert(place, demand);
            }
        }
    }

    fn leave_shape(&mut self, slot: u32) {
        let demand = self.jobs.slot(slot).demand;
        let entry = &mut self.demands.list[demand.index()];
        let mut list = JobList {
            head: entry.head,
            tail: entry.tail,
            len: entry.listed,
        };
        remove(&mut list, &mut self.jobs, slot, BY_SHAPE);
        (entry.head, entry.tail, entry.listed) = (list.head, list.tail, list.len);
        if list.len == 0 {
            let listed = &mut self.listed_demands[entry.key.scheduler.index()];
            if let Ok(place) = listed.binary_search(&demand) {
                listed.remove(place);
            }
        }
    }
}
