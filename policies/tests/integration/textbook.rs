//! EASY as in the textbook, on a single count of processors and O(n²): what `easy-backfill` must do
//! on one large node, job by job.

/// A job of the textbook; times in ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rigid {
    pub(crate) submit: u64,
    pub(crate) run: u64,
    pub(crate) estimate: u64,
    pub(crate) procs: u64,
    /// By the log it comes from, if from one.
    pub(crate) wait: u64,
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

/// A reservation, or what runs.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: u64,
    to: u64,
    procs: u64,
}

/// The earliest start at or after `now` that fits besides everything in `taken`.
fn earliest(now: u64, job: &Rigid, taken: &[Span], total: u64) -> u64 {
    let mut times: Vec<u64> = taken.iter().map(|span| span.to).collect();
    times.push(now);
    times.sort_unstable();
    let used = |at: u64| -> u64 {
        let spans = taken.iter().filter(|span| span.from <= at && at < span.to);
        spans.map(|span| span.procs).sum()
    };
    let fits = |start: &u64| {
        let end = start + job.estimate.max(1);
        let inside = taken.iter().map(|span| span.from);
        let mut points = inside.filter(|at| start < at && *at < end).chain([*start]);
        points.all(|at| used(at) + job.procs <= total)
    };
    times
        .into_iter()
        .filter(|time| *time >= now)
        .find(fits)
        .unwrap()
}

/// Start of every job under conservative backfilling with compression; nobody overruns his estimate.
pub(crate) fn conservative_starts(jobs: &[Rigid], total: u64) -> Vec<u64> {
    let mut starts: Vec<u64> = vec![u64::MAX; jobs.len()];
    let (mut waiting, mut running): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut arrived = 0;
    // A job of no length is planned for the clock's smallest step.
    let estimate = |job: usize| jobs[job].estimate.max(1);
    loop {
        let arrival = jobs.get(arrived).map(|job| job.submit);
        let ending = running.iter().map(|&job| starts[job] + jobs[job].run).min();
        let promised = waiting.iter().map(|&job| starts[job]).min();
        let events = [arrival, ending, promised];
        let Some(now) = events.into_iter().flatten().min() else {
            return starts;
        };
        let over = |job: &usize| starts[*job] + jobs[*job].run <= now;
        let mut early = running.iter().filter(|job| over(job));
        let compress = early.any(|&job| now < starts[job] + estimate(job));
        running.retain(|job| !over(job));
        let newcomers = waiting.len();
        while arrived < jobs.len() && jobs[arrived].submit == now {
            waiting.push(arrived);
            arrived += 1;
        }
        let first = if compress { 0 } else { newcomers };
        for place in first..waiting.len() {
            let job = waiting[place];
            starts[job] = u64::MAX;
            let others = running
                .iter()
                .chain(&waiting)
                .filter(|other| starts[**other] < u64::MAX);
            let span = |other: &usize| Span {
                from: starts[*other],
                to: starts[*other] + estimate(*other),
                procs: jobs[*other].procs,
            };
            let taken: Vec<Span> = others.map(span).collect();
            starts[job] = earliest(now, &jobs[job], &taken, total);
        }
        running.extend(waiting.iter().filter(|job| starts[**job] == now));
        waiting.retain(|job| starts[*job] > now);
    }
}
