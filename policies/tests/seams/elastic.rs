//! (j) An elastic job that grows and shrinks.

use windtunnel_core::{Advance, SimTime};
use windtunnel_policies::testing::ElasticFiller;

use crate::support::{Case, at, job, nodes, secs};

/// Two nodes of four GPUs. The elastic job uses 2 to 8 GPUs, has 100 s of work at 4, and every start
/// costs 5 s. A rigid job (4 GPUs, 30 s) comes at 25.
///
/// | from–to | elastic | done | rigid |
/// | --- | --- | --- | --- |
/// | 0–5 | 8 start: startup 40 | | |
/// | 5–25 | 8 run at twice the rate: 160 | 40 | |
/// | 25–30 | 4 start: startup 20 | | 4·5 |
/// | 30–55 | 4 run at the rate: 100 | 65 | 4·25 |
/// | 55–60 | 8 start: startup 40 | | |
/// | 60–77.5 | 8 run: 140 | 100 | |
#[test]
fn it_shrinks_for_others_and_grows_into_what_is_idle() {
    let elastic = job(0, 1, 100)
        .tasks(4)
        .advance(Advance::Between { min: 2, max: 8 })
        .startup(secs(5));
    let jobs = vec![elastic, job(25, 4, 30)];
    let proof = Case::new(nodes(2, 4), jobs, ElasticFiller::default()).prove("elastic");
    assert_eq!(proof.ledger(), "allocated.startup=100 allocated.useful=520");
    assert_eq!(proof.paid(), "620");
    assert_eq!(proof.record(0).end, SimTime::from_millis(77_500));
    assert_eq!(
        (proof.record(1).start, proof.record(1).end),
        (Some(at(25)), at(55))
    );
    assert_eq!(
        proof.report.summary.preemptions, 0,
        "a resize is no preemption"
    );
    assert_eq!(proof.waits(0), "");
}
