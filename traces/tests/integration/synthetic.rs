//! Drawn workloads: the statistics that were asked for, and the same jobs for ever.

use windtunnel_core::rng::Seed;
use windtunnel_core::{
    Arrivals, Ending, GpuRequest, JobSpec, MigInstance, Names, SimDuration, SimTime, Work,
};
use windtunnel_traces::WorkloadStats;
use windtunnel_traces::synthetic::{Pattern, Poisson, Synthetic, SyntheticError};

fn run(job: &JobSpec) -> SimDuration {
    match job.profile.work {
        Work::Uniform(run) => run,
        _ => panic!("a drawn job ends"),
    }
}

/// Share of `jobs` for which `what` holds, in percent.
fn percent(jobs: &[JobSpec], what: impl Fn(&JobSpec) -> bool) -> usize {
    jobs.iter().filter(|job| what(job)).count() * 100 / jobs.len()
}

fn table(jobs: impl IntoIterator<Item = JobSpec>) -> String {
    let row = |job: JobSpec| {
        let group = job.request.groups[0];
        format!(
            "{} {}x{} {} {} {}\n",
            job.submit.as_nanos() / 1_000_000,
            group.count,
            group.request.gpus.devices(),
            run(&job).as_millis(),
            job.profile.duty.0 / 1_000,
            job.request.estimate.map_or(0, SimDuration::as_secs),
        )
    };
    jobs.into_iter().map(row).collect()
}

#[test]
fn campus_hits_load_and_mix_for_every_seed() {
    let campus = Synthetic::campus();
    for seed in 1..=5 {
        let jobs = campus.generate(Seed(seed), &mut Names::default()).unwrap();
        let stats = WorkloadStats::of(&jobs);
        assert_eq!(stats.jobs, 5_000);
        let load = stats.offered_load(campus.gpus, campus.window);
        assert!((load - 0.9).abs() < 0.0005, "load {load}");
        let mean = stats.gpus_mean();
        assert!(
            (3.7..4.3).contains(&mean),
            "mean GPUs {mean}, 3.98 by the mix"
        );
        let median = stats.run_median.as_secs_f64() / 3_600.0;
        assert!((2.5..3.6).contains(&median), "median run {median} h");

        assert!((48..=52).contains(&percent(&jobs, |j| j.request.gpu_milli() == 1_000)));
        assert!((5..=9).contains(&percent(&jobs, |j| j.request.groups[0].count > 1)));
        assert!((10..=14).contains(&percent(&jobs, |j| j.profile.ending == Ending::Fails)));
        let duty: u64 = jobs.iter().map(|j| u64::from(j.profile.duty.0)).sum();
        let duty = duty / 5_000;
        assert!((690_000..=710_000).contains(&duty), "mean duty {duty} ppm");

        assert!(jobs.is_sorted_by_key(|job| job.submit));
        for job in &jobs {
            job.check().unwrap();
            let (run, request) = (run(job), &job.request);
            assert!(job.submit < SimTime::ZERO + campus.window);
            assert!(run >= campus.run_min && run <= campus.run_max);
            let (estimate, limit) = (request.estimate.unwrap(), request.limit.unwrap());
            assert!(run <= estimate && estimate < limit);
            let many = request.gpu_milli() > 1_000;
            assert_eq!(job.profile.checkpoint.is_some(), many);
            let task = request.groups[0].request;
            assert!(task.cpu.0 <= 96_000 && task.gpus.devices() <= 8);
        }
    }
}

#[test]
fn a_load_alone_takes_as_many_jobs_as_it_needs() {
    let config = Synthetic {
        jobs: None,
        load: Some(0.5),
        pattern: Pattern::Homogeneous,
        ..Synthetic::campus()
    };
    let jobs = config.generate(Seed(3), &mut Names::default()).unwrap();
    let stats = WorkloadStats::of(&jobs);
    assert!((2_300..=3_300).contains(&stats.jobs), "{} jobs", stats.jobs);
    let load = stats.offered_load(config.gpus, config.window);
    assert!((load - 0.5).abs() < 0.0005, "load {load}");
}

/// Parts of a GPU are drawn beside whole ones, count as what they are, and get their part of a GPU's
/// cores and memory; without them nothing moves.
#[test]
fn parts_of_gpus_are_drawn_beside_whole_ones() {
    let config = Synthetic {
        gpu_mix: vec![(1, 25), (2, 25)],
        gpu_parts: vec![(250, 25), (500, 25)],
        cpu_heavy: 0.0,
        ..Synthetic::campus()
    };
    let jobs = config.generate(Seed(5), &mut Names::default()).unwrap();
    for milli in [250, 500, 1_000, 2_000] {
        let share = percent(&jobs, |job| job.request.gpu_milli() == milli);
        assert!((23..=27).contains(&share), "{share} % of {milli}");
    }
    let half = jobs.iter().find(|job| job.request.gpu_milli() == 500);
    let request = half.unwrap().request.groups[0].request;
    assert_eq!((request.cpu.0, request.memory.0), (6_000, 48 << 30));
    assert!(half.unwrap().profile.checkpoint.is_none());
    let load = WorkloadStats::of(&jobs).offered_load(config.gpus, config.window);
    assert!((load - 0.9).abs() < 0.001, "load {load}");
    let whole = Synthetic {
        gpu_mix: vec![(1, 25), (2, 75)],
        gpu_parts: Vec::new(),
        ..config
    };
    let jobs = whole.generate(Seed(5), &mut Names::default()).unwrap();
    assert!(jobs.iter().all(|job| job.request.gpu_milli() >= 1_000));
}

#[test]
fn instances_are_drawn_beside_the_rest() {
    let config = Synthetic {
        gpu_mix: vec![(1, 25)],
        gpu_parts: vec![(500, 25)],
        gpu_instances: vec![(MigInstance::FourG, 25), (MigInstance::OneGDouble, 25)],
        cpu_heavy: 0.0,
        ..Synthetic::campus()
    };
    let jobs = config.generate(Seed(5), &mut Names::default()).unwrap();
    let asks = |job: &JobSpec| job.request.groups[0].request.gpus;
    let all = [
        GpuRequest::Whole(1),
        GpuRequest::Milli(500),
        GpuRequest::Instance(MigInstance::FourG),
        GpuRequest::Instance(MigInstance::OneGDouble),
    ];
    for gpus in all {
        let share = percent(&jobs, |job| asks(job) == gpus);
        assert!((23..=27).contains(&share), "{share} % of {gpus:?}");
    }
    let load = WorkloadStats::of(&jobs).offered_load(config.gpus, config.window);
    assert!((load - 0.9).abs() < 0.001, "load {load}");
}

#[test]
fn more_jobs_do_not_change_what_the_first_ask_for() {
    let many = Synthetic {
        load: None,
        ..Synthetic::campus()
    };
    let few = Synthetic {
        jobs: Some(100),
        ..many.clone()
    };
    let draw = |config: &Synthetic| config.generate(Seed(9), &mut Names::default()).unwrap();
    let (many, few) = (draw(&many), draw(&few));
    for (a, b) in few.iter().zip(&many) {
        assert_eq!((&a.request, &a.profile), (&b.request, &b.profile));
    }
}

#[test]
fn senseless_settings_are_named() {
    let check = |config: Synthetic, expected: &str| {
        let error = config.generate(Seed(1), &mut Names::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let campus = Synthetic::campus;
    check(
        Synthetic {
            load: Some(f64::NAN),
            ..campus()
        },
        "synthetic workload, load = `NaN`; hint: it must be above 0 and of sane size",
    );
    check(
        Synthetic {
            gpu_mix: vec![(12, 1)],
            ..campus()
        },
        "synthetic workload, gpu_mix = `12`; hint: a job larger than a node must be a whole number of nodes",
    );
    check(
        Synthetic {
            gpu_parts: vec![(1_000, 1)],
            ..campus()
        },
        "synthetic workload, gpu_parts = `1000`; hint: a part is from 1 to 999 thousandths of a GPU",
    );
    check(
        Synthetic {
            jobs: None,
            load: None,
            ..campus()
        },
        "synthetic workload, jobs = `none`; hint: give a number of jobs, a load, or both",
    );
    let few = Synthetic {
        jobs: Some(3),
        ..campus()
    };
    let error = few.generate(Seed(1), &mut Names::default()).unwrap_err();
    assert!(
        matches!(error, SyntheticError::LoadOutOfReach { .. }),
        "{error}"
    );
}

#[test]
fn poisson_hits_its_load_in_the_long_run() {
    let poisson = Poisson::new(1_000, 0.8, 200_000);
    let mut stream = poisson.stream(Seed(4)).unwrap();
    let names = &mut Names::default();
    let jobs: Vec<JobSpec> = std::iter::from_fn(|| stream.next(names))
        .collect::<Result<_, _>>()
        .unwrap();
    let stats = WorkloadStats::of(&jobs);
    let window = jobs[jobs.len() - 1].submit.since(SimTime::ZERO);
    let load = stats.offered_load(1_000, window);
    assert!((load - 0.8).abs() < 0.02, "load {load}");
    assert!((stats.gpus_mean() - 2.7).abs() < 0.03);
    // ln 2 of the mean.
    let median = stats.run_median.as_secs_f64() / 3_600.0;
    assert!((median - 0.693).abs() < 0.01, "median {median} h");
}

#[test]
fn a_fork_yields_the_same_rest() {
    let names = &mut Names::default();
    let mut stream = Poisson::new(8, 0.5, 100).stream(Seed(1)).unwrap();
    for _ in 0..40 {
        stream.next(names);
    }
    let mut fork = stream.fork().unwrap();
    for _ in 0..60 {
        assert_eq!(stream.next(names), fork.next(names));
    }
    assert!(stream.next(names).is_none() && fork.next(names).is_none());
}

/// Columns: submit [ms], tasks x GPUs, run [ms], duty [thousandths], estimate [s].
#[test]
fn value_stability() {
    let jobs = Synthetic::campus()
        .generate(Seed(1), &mut Names::default())
        .unwrap();
    assert_eq!(
        table(jobs.into_iter().take(10)),
        "\
321016 1x1 11628000 690 36600
352764 1x1 8136000 1000 22800
956459 1x1 3614000 624 4200
1352932 4x8 59490000 542 96600
1566248 1x1 9679000 545 30600
2272440 1x1 910000 895 1800
2886189 1x1 2676000 732 3000
3087831 1x8 11353000 916 27000
3380255 1x1 1532000 751 1800
6721698 1x1 25710000 638 41400
"
    );

    let names = &mut Names::default();
    let mut stream = Poisson::new(1_000, 0.9, 10).stream(Seed(1)).unwrap();
    let jobs = std::iter::from_fn(|| stream.next(names)).map(Result::unwrap);
    assert_eq!(
        table(jobs),
        "\
1751 1x1 1807513 1000 0
24677 1x2 2566203 1000 0
25521 1x4 6776556 1000 0
36279 1x2 2175078 1000 0
58021 1x1 1382477 1000 0
67871 1x1 5009219 1000 0
75817 1x1 1418589 1000 0
81040 1x1 3312263 1000 0
89167 1x1 457842 1000 0
96221 1x2 1506897 1000 0
"
    );
}
