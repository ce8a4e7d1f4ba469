//! Two schedulers over two pools, with a router.

use windtunnel_core::{
    ControllerId, Decisions, Fit, News, Platform, Policy, PoolId, PoolSet, Reason, Route,
    Scheduler, SchedulerId, View,
};

use super::Greedy;

/// Starts jobs strictly in order of submission; one that does not fit holds up all behind it.
#[derive(Clone, Copy, Debug, Default)]
pub struct InOrder;

impl Policy for InOrder {
    fn name(&self) -> &str {
        "in-order"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            match plan.first_fit(job) {
                Fit::Now(spots) => out.place(job.id(), spots),
                Fit::NotNow | Fit::Never => {
                    out.waiting(job.id(), Reason::DoesNotFit);
                    out.rest(job.queue(), Reason::HeadOfLine);
                    break;
                }
            }
        }
    }
}

/// A hybrid platform: services (the third controller) go to a greedy scheduler over pool 0, all
/// other jobs to a strict one over pool 1. Neither may use the other's nodes.
#[must_use]
pub fn hybrid() -> Platform {
    let mut platform = Platform::new("hybrid", Greedy);
    platform.schedulers[0].pools = PoolSet::one(PoolId(0));
    platform.schedulers.push(Scheduler {
        policy: Box::new(InOrder),
        pools: PoolSet::one(PoolId(1)),
    });
    platform.router = vec![
        Route {
            kind: Some(ControllerId(2)),
            scheduler: SchedulerId(0),
            ..Route::default()
        },
        Route {
            scheduler: SchedulerId(1),
            ..Route::default()
        },
    ];
    platform
}
