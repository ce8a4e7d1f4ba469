//! A service: a set number of replicas that never finish.

use super::{Controller, Interest, Lifecycle};
use crate::news::{JobNews, News};
use crate::task::{TaskEnd, TaskState};
use crate::time::SimDuration;
use crate::view::View;

/// Delay before the second attempt of a replica that was refused, doubled each time, and its cap:
/// Kubernetes' `CrashLoopBackOff`.
const CRASH_LOOP: (SimDuration, SimDuration) =
    (SimDuration::from_secs(10), SimDuration::from_mins(5));

/// Keeps a set number of replicas: recreates every one that is lost, at once; one that was refused after
/// it was bound (its GPUs lack memory, or are not aligned) after 10 s, 20 s, 40 s and so on, at most 5 min.
/// Following a demand curve is another controller's job.
#[derive(Clone, Copy, Debug, Default)]
pub struct Service;

impl Controller for Service {
    fn name(&self) -> &str {
        "service"
    }

    fn interest(&self) -> Interest {
        Interest {
            lost: true,
            progress: false,
        }
    }

    fn react(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Lifecycle) {
        for change in news.jobs {
            match change.what {
                JobNews::Submitted => out.create(change.job),
                // A replica with an end in its profile: the job is over when all are.
                JobNews::WorkDone(outcome) => out.finish(change.job, outcome),
                _ => {}
            }
        }
        for change in news
            .tasks
            .iter()
            .filter(|change| change.now == TaskState::Over)
        {
            // One that was refused would be refused again at once, for ever.
            let refused = matches!(change.end, Some(TaskEnd::Refused(_)));
            let not_before = refused.then(|| {
                let delay = CRASH_LOOP
                    .0
                    .saturating_mul(1 << change.task.attempt.min(40));
                view.now().saturating_add(delay.min(CRASH_LOOP.1))
            });
            out.recreate(change.task, not_before);
        }
    }
}
