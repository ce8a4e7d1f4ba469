//! What the seams promise beyond the worked examples, each found by a scheduler that relied on it.

use crate::support::{FirstFit, at, job, ledger_line, nodes, run, secs};
use windtunnel_core::{Decisions, News, Policy, View};

/// One step of a [`Script`].
type Step = fn(&View<'_>, &mut Decisions);

/// Starts whatever fits and takes scripted steps at given seconds, after that.
#[derive(Clone, Debug)]
struct Script {
    steps: Vec<(u64, Step)>,
}

impl Script {
    fn new(steps: &[(u64, Step)]) -> Self {
        let steps = steps.to_vec();
        Self { steps }
    }
}

impl Policy for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        FirstFit.decide(view, news, out);
        while self
            .steps
            .first()
            .is_some_and(|step| at(step.0) <= view.now())
        {
            self.steps.remove(0).1(view, out);
        }
        if let Some(next) = self.steps.first() {
            out.wake_at(at(next.0));
        }
    }
}

/// Owned nodes are paid from 0 even if nothing happens before the first submission.
#[test]
fn owned_nodes_are_paid_before_the_first_event() {
    let mut late = job(1, 5);
    late.submit = at(10);
    let (report, _) = run(nodes(2, 1), vec![late], FirstFit, 20);
    assert_eq!(ledger_line(&report), "idle.no_demand=35 allocated.useful=5");
}
