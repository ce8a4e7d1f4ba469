//! Presets: the published figures they follow, and the same jobs for ever.

use windtunnel_core::rng::Seed;
use windtunnel_core::{Ending, JobSpec, Names, SimDuration, SimTime, Work};
use windtunnel_traces::WorkloadStats;
use windtunnel_traces::synthetic::{Preset, Published};

fn run_s(job: &JobSpec) -> u64 {
    match job.profile.work {
        Work::Uniform(run) => run.as_secs(),
        _ => panic!("a drawn job ends"),
    }
}

fn generate(config: Published, seed: u64) -> Vec<JobSpec> {
    config.generate(Seed(seed), &mut Names::default()).unwrap()
}

/// About 500,000 jobs or more.
fn many(preset: Preset) -> Vec<JobSpec> {
    let (gpus, load) = match preset {
        Preset::Philly => (14_000, 0.8),
        Preset::Helios => (22_500, 0.8),
        Preset::Openb => (5_800, 0.8),
    };
    let config = Published {
        window: SimDuration::from_days(35),
        ..Published::new(preset, gpus, load)
    };
    let jobs = generate(config, 1);
    assert!(jobs.len() > 490_000, "{}", jobs.len());
    jobs
}

/// `found` is within a share of `expected`.
fn near(what: &str, found: f64, expected: f64, tolerance: f64) {
    let off = (found / expected - 1.0).abs();
    assert!(off <= tolerance, "{what}: {found}, published {expected}");
}

#[expect(clippy::cast_precision_loss, reason = "statistics")]
fn mean(values: impl Iterator<Item = u64>) -> f64 {
    let (sum, count) = values.fold((0, 0), |(sum, count), value| (sum + value, count + 1));
    sum as f64 / f64::from(count)
}

/// What is published of a cluster's jobs.
struct Figures {
    run_median_s: f64,
    run_mean_s: f64,
    gpus_mean: f64,
    gpu_seconds_mean: f64,
    /// Standard deviation ÷ mean of run time, GPU time and number of GPUs, and of the largest of the
    /// three sums of GPU time by ending, by the distributions that are drawn from.
    spreads: [f64; 4],
    /// Shares of jobs that complete, fail, are cancelled.
    endings: [f64; 3],
    /// The same of GPU time.
    endings_gpu: Option<[f64; 3]>,
}

/// Tolerances are four standard errors of a sample of this size: of a mean, spread ÷ √n (5.7 % at a
/// spread of 10 and 500,000 jobs); of a median, 1.2533 σ ÷ √n with σ at most 3 (2.1 %); of a share,
/// at most 0.5 ÷ √n. A unit test beside the tables checks the same figures without sampling.
fn check(jobs: &[JobSpec], published: &Figures) {
    #[expect(clippy::cast_precision_loss, reason = "statistics")]
    let root = (jobs.len() as f64).sqrt();
    let [by_run, by_gpu_time, by_gpus, by_ending] = published.spreads.map(|s| 4.0 * s / root);
    let milli = |job: &JobSpec| job.request.gpu_milli();
    let mut runs: Vec<u64> = jobs.iter().map(run_s).collect();
    runs.sort_unstable();
    let median = mean(std::iter::once(runs[runs.len() / 2]));
    near(
        "median run",
        median,
        published.run_median_s,
        4.0 * 1.2533 * 3.0 / root,
    );
    near(
        "mean run",
        mean(jobs.iter().map(run_s)),
        published.run_mean_s,
        by_run,
    );
    let gpus = mean(jobs.iter().map(milli)) / 1e3;
    near("mean GPUs", gpus, published.gpus_mean, by_gpus);
    let gpu_time = |job: &JobSpec| milli(job) * run_s(job);
    let each = mean(jobs.iter().map(gpu_time));
    near(
        "GPU time per job",
        each / 1e3,
        published.gpu_seconds_mean,
        by_gpu_time,
    );
    let endings = [Ending::Completes, Ending::Fails, Ending::Cancelled];
    for (place, ending) in endings.into_iter().enumerate() {
        let is_it = |job: &JobSpec| u64::from(job.profile.ending == ending);
        let (share, expected) = (mean(jobs.iter().map(is_it)), published.endings[place]);
        assert!(
            (share - expected).abs() < 4.0 * 0.5 / root,
            "{ending:?}: {share}"
        );
        if let Some(of_gpu_time) = published.endings_gpu {
            let share = mean(jobs.iter().map(|job| is_it(job) * gpu_time(job))) / each;
            near("GPU time by ending", share, of_gpu_time[place], by_ending);
        }
    }
}

/// Arrivals per hour of the day and per day of the week against the weights, in whole weeks. Four
/// standard deviations of a count.
fn check_arrivals(jobs: &[JobSpec], hours: &[f64; 24], days: &[f64; 7]) {
    let hour = |job: &JobSpec| job.submit.as_nanos() / 3_600_000_000_000;
    let count = |place: u64, of: u64, unit: u64| {
        let hits = jobs.iter().filter(|job| hour(job) / unit % of == place);
        mean(std::iter::once(hits.count() as u64))
    };
    let all = mean(std::iter::once(jobs.len() as u64));
    let (hours_sum, days_sum) = (hours.iter().sum::<f64>(), days.iter().sum::<f64>());
    for (place, weight) in (0..).zip(hours) {
        let (found, expected) = (count(place, 24, 1), all * weight / hours_sum);
        assert!(
            (found - expected).abs() < 4.0 * expected.sqrt(),
            "hour {place}: {found}"
        );
    }
    for (place, weight) in (0..).zip(days) {
        let (found, expected) = (count(place, 7, 24), all * weight / days_sum);
        assert!(
            (found - expected).abs() < 4.0 * expected.sqrt(),
            "day {place}: {found}"
        );
    }
}

/// Summary of the full log by the authors of Acme; hours and days as in the shared table.
#[test]
fn philly_follows_its_published_figures() {
    let jobs = many(Preset::Philly);
    check(
        &jobs,
        &Figures {
            run_median_s: 874.0,
            run_mean_s: 18_006.055,
            gpus_mean: 1.928,
            gpu_seconds_mean: 6_894_650_654.0 / 112_956.0,
            spreads: [7.5, 25.8, 2.4, 52.7],
            endings: [0.604, 0.305, 0.090],
            endings_gpu: Some([0.321, 0.386, 0.294]),
        },
    );
    let hours = [
        3624., 2907., 3224., 2591., 1460., 3226., 4888., 5801., 2706., 2521., 2716., 2410., 2201.,
        1942., 1603., 1474., 2526., 1787., 1735., 1732., 2891., 2543., 3120., 2855.,
    ];
    let days = [771., 855., 1020., 1085., 1327., 605., 622.];
    check_arrivals(&jobs, &hours, &days);
    let one = jobs
        .iter()
        .filter(|job| job.request.gpu_milli() == 1_000)
        .count();
    near(
        "jobs of one GPU",
        mean(std::iter::once(one as u64)),
        0.865_9 * mean(std::iter::once(jobs.len() as u64)),
        0.01,
    );
    assert_eq!(
        jobs.iter().map(|job| job.request.gpu_milli()).max(),
        Some(128_000)
    );
    assert!(jobs.iter().all(|job| job.request.estimate.is_some()));
}

/// The authors' summary of Venus; the mean number of GPUs is that of the shared part (published of
/// the whole: 6.736).
#[test]
fn helios_follows_its_published_figures() {
    let jobs = many(Preset::Helios);
    check(
        &jobs,
        &Figures {
            run_median_s: 204.0,
            run_mean_s: 13_040.598,
            gpus_mean: 6.58,
            gpu_seconds_mean: 12_345_612_608.0 / 125_303.0,
            spreads: [10.2, 25.3, 2.3, 75.6],
            endings: [0.526, 0.202, 0.272],
            endings_gpu: Some([0.516, 0.085, 0.399]),
        },
    );
    let hours = [
        2974., 1865., 1859., 1035., 832., 551., 524., 592., 1181., 2877., 4718., 4984., 3778.,
        4340., 5011., 5053., 5485., 5612., 4053., 4130., 4379., 4300., 3720., 3632.,
    ];
    check_arrivals(&jobs, &hours, &[695., 714., 720., 743., 589., 435., 541.]);
    let largest = jobs.iter().map(|job| job.request.gpu_milli()).max();
    assert_eq!(largest, Some(160_000));
}

/// The default trace's own figures: 8,152 pods, 6,086.8 GPUs, 51,471 GPU-hours over 7,255 pods that
/// were scheduled.
#[test]
fn openb_follows_its_published_figures() {
    let jobs = many(Preset::Openb);
    check(
        &jobs,
        &Figures {
            run_median_s: 616.0,
            run_mean_s: 28_949.0,
            gpus_mean: 6_086.8 / 8_152.0,
            gpu_seconds_mean: 51_471.0 * 3_600.0 / 7_255.0,
            spreads: [10.6, 16.2, 0.9, 16.2],
            endings: [0.742, 0.258, 0.0],
            endings_gpu: None,
        },
    );
    let share = |what: &dyn Fn(&JobSpec) -> bool| {
        mean(jobs.iter().map(|job| u64::from(what(job)))) * 8_152.0
    };
    let milli = |job: &JobSpec| job.request.gpu_milli();
    near(
        "CPU-only pods",
        share(&|job| milli(job) == 0),
        1_088.0,
        0.02,
    );
    near(
        "parts of a GPU",
        share(&|job| (1..1_000).contains(&milli(job))),
        3_078.0,
        0.02,
    );
    near(
        "whole single GPUs",
        share(&|job| milli(job) == 1_000),
        3_911.0,
        0.02,
    );
    near(
        "pods of 8 GPUs",
        share(&|job| milli(job) == 8_000),
        44.0,
        0.15,
    );
    assert!(jobs.iter().all(|job| job.request.estimate.is_none()));
}

#[test]
fn load_size_and_length_are_parameters() {
    for preset in [Preset::Philly, Preset::Helios, Preset::Openb] {
        for (gpus, load, days) in [(8, 0.5, 60), (256, 1.3, 7), (2_000, 0.7, 3)] {
            let window = SimDuration::from_days(days);
            let config = Published {
                window,
                ..Published::new(preset, gpus, load)
            };
            let jobs = generate(config, 3);
            let found = WorkloadStats::of(&jobs).offered_load(gpus, window);
            assert!((found - load).abs() < 1e-4, "{preset:?}: load {found}");
            assert!(jobs.is_sorted_by_key(|job| job.submit));
            for job in &jobs {
                job.check().unwrap();
                assert!(job.submit < SimTime::ZERO + window);
                assert!(job.request.gpu_milli() <= u64::from(gpus) * 1_000);
            }
        }
    }
}

#[test]
fn senseless_settings_are_named() {
    let check = |config: Published, expected: &str| {
        let error = config.generate(Seed(1), &mut Names::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        Published::new(Preset::Philly, 0, 0.5),
        "synthetic workload, gpus = `0`; hint: it is from 1 to 10,000,000",
    );
    check(
        Published::new(Preset::Philly, 8, f64::NAN),
        "synthetic workload, load = `NaN`; hint: it is above 0 and at most 1000",
    );
    check(
        Published {
            window: SimDuration::ZERO,
            ..Published::new(Preset::Openb, 8, 0.5)
        },
        "synthetic workload, window = `0s`; hint: it is from 1s to 36500d",
    );
}

/// Columns: submit [ms], tasks x GPUs (milli), run [s], estimate [s], cores, MiB, ending.
#[test]
fn value_stability() {
    let mut table = String::new();
    for preset in [Preset::Philly, Preset::Helios, Preset::Openb] {
        let jobs = generate(Published::new(preset, 256, 0.8), 1);
        table += &format!("{preset:?}: {} jobs\n", jobs.len());
        for job in jobs.iter().take(8) {
            let group = job.request.groups[0];
            table += &format!(
                "{} {}x{} {} {} {} {} {:?}\n",
                job.submit.as_nanos() / 1_000_000,
                group.count,
                group.request.gpus.milli(),
                run_s(job),
                job.request
                    .estimate
                    .map_or("-".to_owned(), |e| e.as_secs().to_string()),
                group.request.cpu.0,
                group.request.memory.0 >> 20,
                job.profile.ending,
            );
        }
    }
    assert_eq!(
        table,
        "\
Philly: 7222 jobs
305665 1x1000 419 214 0 0 Completes
454491 1x1000 75884 48567 0 0 Completes
532348 1x1000 147 168 0 0 Completes
544242 2x8000 349 1 0 0 Fails
874503 1x1000 42 215 0 0 Completes
956459 1x1000 10758 9070 0 0 Completes
1352932 1x1000 816 999 0 0 Completes
1958980 1x4000 27713 27772 0 0 Completes
Helios: 4898 jobs
712391 1x1000 62 31 0 0 Fails
918159 1x1000 102848 65825 0 0 Completes
956459 1x1000 44 50 0 0 Completes
1024939 6x8000 5 1 0 0 Fails
1566248 1x1000 9 46 0 0 Completes
2272440 1x1000 9116 7686 0 0 Completes
3380255 1x1000 372 455 0 0 Completes
3510894 2x8000 6846 6860 0 0 Fails
Openb: 20414 jobs
36563 1x650 507 - 4000 15258 Completes
58808 1x470 215524 - 8000 30517 Completes
102073 1x470 126 - 4000 15258 Completes
113270 1x1000 37 - 11400 48128 Completes
204382 1x110 15 - 8000 30517 Completes
254249 1x0 16017 - 12500 49152 Completes
265741 1x320 826 - 4000 15258 Completes
306955 1x1000 43935 - 11400 48128 Completes
"
    );
}
