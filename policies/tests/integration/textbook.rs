//! EASY as in the textbook, on a single count of processors and O(n²): what `easy-backfill` must do
//! on one large node, job by job.

/// A job of the textbook; times in ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rigid {
    pub(crate) submit: u64,
    pub(crate) run: u64,
    pub(crate) estimate: u64,
    pub(crate) procs: u64,
}

/// Something that runs.
#[derive(Clone, Copy, Debug)]
struct Running {
    end: u64,
    expected: u64,
    procs: u64,
}

/// Start of every job under EASY (or strict fifo) on `total` processors; jobs sorted by submission.
pub(crate) fn starts(jobs: &[Rigid], total: u64, backfill: bool) -> Vec<u64> {
    let mut starts = vec![0; jobs.len()];
    let (mut queue, mut running): (Vec<usize>, Vec<Running>) = (Vec::new(), Vec::new());
    let mut arrived = 0;
    loop {
        let arrival = jobs.get(arrived).map(|job| job.submit);
        let ending = running.iter().map(|job| job.end).min();
        let Some(now) = arrival.into_iter().chain(ending).min() else {
            return starts;
        };
        running.retain(|job| job.end > now);
        while arrived < jobs.len() && jobs[arrived].submit == now {
            queue.push(arrived);
            arrived += 1;
        }
        let mut begin = |job: usize, running: &mut Vec<Running>| {
            starts[job] = now;
            let Rigid {
                run,
                estimate,
                procs,
                ..
            } = jobs[job];
            let (end, expected) = (now + run, now.saturating_add(estimate));
            running.push(Running {
                end,
                expected,
                procs,
            });
        };
        let free = |running: &[Running]| total - running.iter().map(|job| job.procs).sum::<u64>();
        while queue
            .first()
            .is_some_and(|&head| jobs[head].procs <= free(&running))
        {
            begin(queue.remove(0), &mut running);
        }
        let Some(&head) = queue.first().filter(|_| backfill) else {
            continue;
        };
        // What overran its estimate is expected to end in the smallest step of the clock.
        let (mut shadow, mut available) = (now, free(&running));
        while available < jobs[head].procs {
            let coming = running.iter().map(|job| job.expected.max(now + 1));
            shadow = coming.filter(|&end| end > shadow).min().unwrap();
            let due = running
                .iter()
                .filter(|job| job.expected.max(now + 1) == shadow);
            available += due.map(|job| job.procs).sum::<u64>();
        }
        let mut extra = available - jobs[head].procs;
        for job in queue.split_off(1) {
            let Rigid {
                estimate, procs, ..
            } = jobs[job];
            let is_short = now.saturating_add(estimate) <= shadow;
            if procs <= free(&running) && (is_short || procs <= extra) {
                extra -= if is_short { 0 } else { procs };
                begin(job, &mut running);
            } else {
                queue.push(job);
            }
        }
    }
}
