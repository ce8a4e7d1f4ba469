//! (d) Two loops of one scheduler, one fast, one with a cursor that yields and resumes.

use windtunnel_policies::testing::TwoLoops;

use crate::support::{Case, at, job, nodes, secs};

/// One node of eight GPUs; a takes 6 for 100 s, b (4 GPUs) is next and blocks c d e f. Backfill
/// every 30 s, two jobs at a time, two seconds apart: b c at 30, d e at 32, f at 34; then b d at 64
/// and f at 66.
///
/// | from–to | runs beside a | free | why |
/// | --- | --- | --- | --- |
/// | 0–1 | | 2 | no demand |
/// | 1–30 | | 2 | c e f could start: head of line 58 |
/// | 30–32 | c | 1 | e f could start, backfill has not come that far: head of line 2 |
/// | 32–40 | c e | 0 | |
/// | 40–66 | e | 1 | f could start: head of line 26 |
/// | 66–76 | e f | 0 | |
/// | 76–82 | e | 1 | b and d need 4: insufficient 6 |
/// | 82–100 | | 2 | insufficient 36 |
/// | 100–120 | b d | 0 | |
///
/// Useful 6·100 + 4·20 + 10 + 4·20 + 50 + 10 = 830.
#[test]
fn backfill_yields_and_goes_on_where_it_stopped() {
    let jobs = vec![
        job(0, 6, 100),
        job(1, 4, 20),
        job(1, 1, 10),
        job(1, 4, 20),
        job(1, 1, 50),
        job(1, 1, 10),
    ];
    let policy = TwoLoops::new(secs(30), secs(2), 2);
    let proof = Case::new(nodes(1, 8), jobs, policy).prove("two_loops");
    assert_eq!(
        proof.ledger(),
        "idle.no_demand=2 idle.insufficient=42 idle.held(head_of_line)=86 allocated.useful=830"
    );
    assert_eq!(proof.paid(), "960");
    let starts: Vec<_> = (0..6).map(|id| proof.record(id).start.unwrap()).collect();
    assert_eq!(starts, [at(0), at(100), at(30), at(100), at(32), at(66)]);
}
