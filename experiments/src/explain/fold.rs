//! Many short waits to few long ones, for a screen.

use windtunnel_core::{Reason, SimDuration};

use super::{Chapter, Wait};

/// Joins waits that are shorter than a length into the wait before or after them; the length doubles
/// until at most `most` chapters are left or nothing can be joined any more. O(n log(time)).
pub(super) fn fold(chapters: &[Chapter], most: usize) -> Vec<Chapter> {
    let mut chapters = chapters.to_vec();
    let mut least = SimDuration::from_secs(1);
    while chapters.len() > most.max(1) {
        let before = chapters.len();
        chapters = join_shorter(chapters, least);
        let doubled = SimDuration::from_nanos(least.as_nanos().saturating_mul(2));
        if chapters.len() == before && doubled == least {
            break;
        }
        least = doubled;
    }
    chapters
}

fn join_shorter(chapters: Vec<Chapter>, least: SimDuration) -> Vec<Chapter> {
    let mut out: Vec<Chapter> = Vec::with_capacity(chapters.len());
    for chapter in chapters {
        match (out.last_mut(), &chapter) {
            (Some(Chapter::Wait(before)), Chapter::Wait(wait))
                if wait.length() < least || before.length() < least =>
            {
                join(before, wait);
            }
            _ => out.push(chapter),
        }
    }
    out
}

fn join(wait: &mut Wait, next: &Wait) {
    wait.until = next.until;
    for &(reason, length) in &next.reasons {
        match wait.reasons.iter_mut().find(|known| known.0 == reason) {
            Some(known) => known.1 = sum(known.1, length),
            None => wait.reasons.push((reason, length)),
        }
    }
    wait.reasons
        .sort_by_key(|&(reason, length): &(Reason, _)| (std::cmp::Reverse(length), reason));
    wait.changes += 1 + next.changes;
    wait.room = wait.room.and(next.room);
    if wait.says.is_none() {
        wait.says.clone_from(&next.says);
    }
    for head in &next.behind {
        if wait.behind.last() != Some(head) {
            wait.behind.push(*head);
        }
    }
}

fn sum(a: SimDuration, b: SimDuration) -> SimDuration {
    SimDuration::from_nanos(a.as_nanos().saturating_add(b.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::super::Room;
    use super::*;
    use windtunnel_core::SimTime;

    fn waits(lengths: &[(u64, Reason)]) -> Vec<Chapter> {
        let mut from = SimTime::ZERO;
        let wait = |&(secs, why): &(u64, Reason)| {
            let length = SimDuration::from_secs(secs);
            let until = from.checked_add(length).unwrap();
            let wait = Wait {
                from,
                until,
                reasons: vec![(why, length)],
                changes: 0,
                room: Room::default(),
                behind: Vec::new(),
                says: None,
            };
            from = until;
            Chapter::Wait(wait)
        };
        lengths.iter().map(wait).collect()
    }

    #[test]
    fn short_waits_join_and_no_time_is_lost() {
        use Reason::{Fragmented, HeadOfLine, Insufficient};
        let many = waits(&[
            (100, HeadOfLine),
            (1, Fragmented),
            (2, Insufficient),
            (1, Fragmented),
            (500, Insufficient),
        ]);
        assert_eq!(fold(&many, 9), many, "few enough");
        let few = fold(&many, 2);
        let [Chapter::Wait(first), Chapter::Wait(second)] = &few[..] else {
            panic!("{few:?}");
        };
        assert_eq!(first.why(), HeadOfLine);
        assert_eq!(first.length(), SimDuration::from_secs(104));
        assert_eq!(first.changes, 3);
        assert_eq!(first.reasons[1], (Insufficient, SimDuration::from_secs(2)));
        assert_eq!(first.reasons[2], (Fragmented, SimDuration::from_secs(2)));
        assert_eq!(second.length(), SimDuration::from_secs(500));
        let one = fold(&many, 1);
        let [Chapter::Wait(all)] = &one[..] else {
            panic!("{one:?}");
        };
        let sum: u64 = all
            .reasons
            .iter()
            .map(|(_, length)| length.as_nanos())
            .sum();
        assert_eq!(all.length().as_nanos(), sum);
        assert_eq!(all.why(), Insufficient);
    }
}
