//! A service: a set number of replicas that never finish.

use super::{Controller, Interest, Lifecycle};
use crate::news::{JobNews, News};
use crate::task::TaskState;
use crate::view::View;

/// Keeps a set number of replicas: recreates every one that is lost, at once. Following a demand
/// curve is another controller's job.
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

    fn react(&mut self, _view: &View<'_>, news: &News<'_>, out: &mut Lifecycle) {
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
            out.recreate(change.task, None);
        }
    }
}
