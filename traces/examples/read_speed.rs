//! Rows per second of the native reader and jobs per second of the streaming generator:
//! `cargo run --release -p windtunnel-traces --example read_speed`.

use std::fmt::Write as _;
use std::time::Instant;

use windtunnel_core::rng::Seed;
use windtunnel_core::{ArrivalError, Arrivals, Names};
use windtunnel_traces::NativeReader;
use windtunnel_traces::synthetic::Poisson;

const ROWS: u64 = 2_000_000;

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn timed(what: &str, mut arrivals: impl Arrivals) -> Result<(), ArrivalError> {
    let mut names = Names::default();
    let start = Instant::now();
    let mut jobs = 0_u32;
    while let Some(job) = arrivals.next(&mut names) {
        job?;
        jobs += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{what}: {jobs} jobs, {:.2} million/s",
        f64::from(jobs) / seconds / 1e6
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut small = String::from("# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus\n");
    let mut wide = String::from(
        "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,tasks,gpu_model,cpus,memory_gib,\
         limit_s,estimate_s,tenant,queue,startup_s,duty,ending\n",
    );
    for i in 0..ROWS {
        let run = i * 7_919 % 86_400;
        writeln!(small, "job-{i},{i},{run},{}", 1 + i % 8)?;
        writeln!(
            wide,
            "job-{i},{i}.5,{run},8,{},A100|H100,12.5,96,{run}.0,{run},team-{},batch,60,0.7,completed",
            1 + i % 4,
            i % 20
        )?;
    }
    timed(
        "native, 4 columns ",
        NativeReader::new(small.as_bytes(), "small.csv")?,
    )?;
    timed(
        "native, 15 columns",
        NativeReader::new(wide.as_bytes(), "wide.csv")?,
    )?;
    timed(
        "Poisson stream    ",
        Poisson::new(100_000, 0.9, 10_000_000).stream(Seed(1))?,
    )?;
    Ok(())
}
