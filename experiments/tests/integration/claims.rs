//! The claims of the field about why GPUs are hard to schedule, each as a scenario that comes with the
//! program, with its check. The figures seen are printed: `-- claims --nocapture`.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use windtunnel::core::{Bucket, JobRecord, Names, Outcome, Reason};
use windtunnel::policies::testing::ElasticFiller;
use windtunnel::{
    Comparison, EMBEDDED, ExperimentError, Hooks, RecordSink, RunKey, RunResult, Scenario, Sweep,
};

use super::support::Place;

/// Job records by (platform, seed), by job.
type Kept = BTreeMap<(usize, usize), Vec<JobRecord>>;

/// Keeps all records, and wants fragmentation sampled.
#[derive(Default)]
struct Keep(Arc<Mutex<Kept>>);

struct Sink {
    key: RunKey,
    records: Vec<JobRecord>,
    kept: Arc<Mutex<Kept>>,
}

impl Hooks for Keep {
    fn records(&self, key: RunKey) -> Result<Option<Box<dyn RecordSink>>, ExperimentError> {
        let (records, kept) = (Vec::new(), Arc::clone(&self.0));
        Ok(Some(Box::new(Sink { key, records, kept })))
    }

    fn wants_samples(&self) -> bool {
        true
    }
}

impl RecordSink for Sink {
    fn record(&mut self, record: &JobRecord, _: &Names) -> Result<(), ExperimentError> {
        self.records.push(record.clone());
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExperimentError> {
        self.records.sort_by_key(|record| record.job);
        let key = (self.key.platform, self.key.seed);
        self.kept.lock().unwrap().insert(key, self.records);
        Ok(())
    }
}

/// A scenario that was run.
struct Seen {
    comparison: Comparison,
    kept: Kept,
}

impl Seen {
    /// Runs the scenario `claim-NAME`.
    fn of(name: &str) -> Self {
        let name = format!("claim-{name}");
        let hooks = Keep::default();
        let sweep = Sweep::new(Scenario::named(&name).unwrap());
        let comparison = sweep.run_with(&hooks).unwrap();
        let kept = std::mem::take(&mut *hooks.0.lock().unwrap());
        say(&name);
        Self { comparison, kept }
    }

    fn place(&self, platform: &str) -> usize {
        let scenario = &self.comparison.scenario;
        scenario.platform_named(platform).unwrap()
    }

    fn runs(&self, platform: &str) -> &[RunResult] {
        self.comparison.of_platform(self.place(platform))
    }

    /// A figure of each seed.
    fn each(&self, platform: &str, what: &str, figure: impl Fn(&RunResult) -> f64) -> Vec<f64> {
        let figures: Vec<f64> = self.runs(platform).iter().map(figure).collect();
        let told: Vec<String> = figures.iter().map(|x| format!("{x:.4}")).collect();
        let mean = mean(&figures);
        say(&format!(
            "  {platform:<24} {what:<28} mean {mean:.4} of {}",
            told.join(" ")
        ));
        figures
    }

    /// Records of all seeds.
    fn records(&self, platform: &str) -> impl Iterator<Item = &JobRecord> {
        let place = self.place(platform);
        let kept = self.kept.iter().filter(move |(key, _)| key.0 == place);
        kept.flat_map(|(_, records)| records)
    }

    /// How much longer each job ran than on another platform, with its thousandths of GPUs; those that
    /// ended as in the truth on both.
    fn longer(&self, platform: &str, than: &str) -> Vec<(u64, f64)> {
        let pairs = self.records(platform).zip(self.records(than));
        let ended = |job: &JobRecord| job.outcome.is_some_and(Outcome::as_in_truth);
        pairs
            .inspect(|(here, there)| assert_eq!(here.job, there.job))
            .filter(|(here, there)| ended(here) && ended(there))
            .map(|(here, there)| {
                let ratio = here.run_time().as_secs_f64() / there.run_time().as_secs_f64();
                (here.gpu_milli, ratio - 1.0)
            })
            .collect()
    }

    /// Refusals after binding, jobs given up, mean time queued [s], of it backing off [s].
    fn refusals(&self, platform: &str) -> (u32, usize, f64, f64) {
        let records: Vec<&JobRecord> = self.records(platform).collect();
        let over = |seconds: &dyn Fn(&JobRecord) -> f64| {
            mean(&records.iter().map(|job| seconds(job)).collect::<Vec<_>>())
        };
        let killed = |job: &&&JobRecord| job.outcome == Some(Outcome::Killed);
        let found = (
            records.iter().map(|job| job.attempts - 1).sum(),
            records.iter().filter(killed).count(),
            over(&|job| job.queued().as_secs_f64()),
            over(&|job| job.waited[Reason::Backoff as usize] as f64 / 1e9),
        );
        let (refused, killed, queued, backoff) = found;
        say(&format!(
            "  {platform:<24} {refused} refusals, {killed} of {} jobs given up, queued {queued:.0} s on average, backing off {backoff:.0} s",
            records.len()
        ));
        found
    }
}

fn say(line: &str) {
    let mut out = std::io::stderr();
    writeln!(out, "{line}").unwrap();
}

fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len().max(1) as f64
}

fn most(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::MIN, f64::max)
}

/// Share of the paid GPU time in some buckets.
fn share(run: &RunResult, buckets: &[Bucket]) -> f64 {
    let ledger = run.report.ledger.as_ref().unwrap();
    let sum: u128 = buckets.iter().map(|bucket| ledger.amount(*bucket)).sum();
    sum as f64 / ledger.paid() as f64
}

/// GPU time that is free and of no use to what waits.
fn stranded(run: &RunResult) -> f64 {
    share(run, &[Bucket::IdleFragmented, Bucket::IdleStranded])
}

fn useful(run: &RunResult) -> f64 {
    run.report.goodput().unwrap()
}

#[test]
fn every_claim_says_what_it_is_and_can_be_read_again() {
    let claims = EMBEDDED.iter().filter(|one| one.name != "campus");
    for claim in claims {
        for word in ["# Claim (", "Mechanism", "Check", "ources"] {
            let comment = claim.text.lines().take_while(|line| line.starts_with('#'));
            let comment = comment.collect::<Vec<_>>().join("\n");
            assert!(comment.contains(word), "{}: {word}", claim.name);
        }
        let scenario = Scenario::from_toml(claim.text, claim.name).unwrap();
        assert_eq!(scenario.run.name, claim.name);
        let again = Scenario::from_toml(&scenario.to_toml().unwrap(), "again").unwrap();
        assert_eq!(again, scenario);
    }
}

/// (i) Free GPUs at least those of a job that waits; the share that is of no use to what waits is 5 to
/// 15 % where jobs are spread, and less where they are packed.
#[test]
fn fragmentation() {
    let seen = Seen::of("fragmentation");
    let of = |platform: &str| seen.each(platform, "fragmented and stranded", stranded);
    let (worst, kube, best) = (of("worst-fit"), of("kube-default"), of("best-fit"));
    let (easy_worst, easy_best) = (of("easy-worst-fit"), of("easy-best-fit"));
    for spread in [&worst, &easy_worst] {
        let mean = mean(spread);
        assert!((0.05..=0.15).contains(&mean), "{mean}");
    }
    // kube-scheduler looks at CPU and memory only and scatters GPUs more than the claim says.
    assert!(mean(&kube) >= 0.05, "{kube:?}");
    for (spread, packed) in [(&worst, &best), (&kube, &best), (&easy_worst, &easy_best)] {
        let falls = spread
            .iter()
            .zip(packed)
            .all(|(spread, packed)| packed < spread);
        assert!(falls, "{spread:?} {packed:?}");
    }
    for platform in ["worst-fit", "best-fit"] {
        let hours = |run: &RunResult| {
            let samples = run.samples.iter().map(|sample| sample.fragmentation);
            let scattered = samples.filter(|left| left.idle_milli >= 8_000 && left.slots[3] == 0);
            scattered.count() as f64 / run.samples.len() as f64
        };
        let hours = seen.each(platform, "8 free, none together", hours);
        assert!(hours.iter().all(|&share| share > 0.0), "{hours:?}");
        let waiting = |run: &RunResult| run.waits.jobs[Reason::Fragmented as usize] as f64;
        let waiting = seen.each(platform, "jobs that waited for it", waiting);
        assert!(waiting.iter().all(|&jobs| jobs > 0.0), "{waiting:?}");
    }
}

/// Longer run times under `kubelet-none` than where cores and GPUs are aligned: over all jobs, and over
/// those of which some core is on another socket.
fn numa(name: &str) -> (Seen, Vec<f64>, Vec<f64>) {
    let seen = Seen::of(name);
    let (strict, patient) = ("single-numa-node", "single-numa-node-patient");
    let all = |platform: &str| -> Vec<f64> {
        let longer = seen.longer(platform, patient);
        longer.into_iter().map(|(_, longer)| longer).collect()
    };
    let none = all("none");
    let far: Vec<f64> = none
        .iter()
        .copied()
        .filter(|&longer| longer > 1e-6)
        .collect();
    say(&format!(
        "  none against {patient}: run times longer by {:.4} on average; {} of {} jobs have far cores: {:.4} on average, {:.4} at most",
        mean(&none),
        far.len(),
        none.len(),
        mean(&far),
        most(&far)
    ));
    let best_effort = all("best-effort");
    say(&format!(
        "  best-effort: longer by {:.4} on average",
        mean(&best_effort)
    ));
    assert!(mean(&best_effort) < mean(&none) / 10.0);
    // The strict policy admits nothing that is not aligned.
    assert!(all(strict).iter().all(|longer| longer.abs() < 1e-6));
    (seen, none, far)
}

/// The strict policy refuses and raises queueing, against the same alignment where nothing is refused.
fn refusals(seen: &Seen) {
    let (refused, ..) = seen.refusals("none");
    let (admitted, _, queued, _) = seen.refusals("best-effort");
    assert_eq!((refused, admitted), (0, 0));
    let (refused, killed, _, backoff) = seen.refusals("single-numa-node");
    assert!(refused > 0 && killed > 0 && backoff > 0.0);
    let (refused, killed, patiently, backoff) = seen.refusals("single-numa-node-patient");
    assert!(refused > 0 && killed == 0 && backoff > 0.0);
    assert!(patiently > queued, "{patiently} {queued}");
}

/// (ii) 0 to 3 % for language models.
#[test]
fn numa_hardly_slows_language_models() {
    let (seen, all, far) = numa("numa-llm");
    assert!(all.iter().all(|longer| (-1e-6..=0.03).contains(longer)));
    assert!(mean(&far) > 0.0);
    refusals(&seen);
}

/// (ii) 5 to 20 % for jobs heavy on input, of those whose cores lie far.
#[test]
fn numa_slows_jobs_that_are_heavy_on_input() {
    let (seen, all, far) = numa("numa-input");
    assert!(all.iter().all(|longer| (-1e-6..=0.20).contains(longer)));
    assert!((0.05..=0.20).contains(&mean(&far)), "{}", mean(&far));
    refusals(&seen);
}

/// How much longer jobs of some GPUs run than under `topology-aware`.
fn longer_by_gpus(seen: &Seen, platform: &str) -> BTreeMap<u64, Vec<f64>> {
    let mut by_gpus: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (milli, longer) in seen.longer(platform, "topology-aware") {
        by_gpus.entry(milli / 1_000).or_default().push(longer);
    }
    for (gpus, longer) in &by_gpus {
        say(&format!(
            "  {platform:<24} {gpus} GPUs: {} jobs longer by {:+.4} on average, {:+.4} at most",
            longer.len(),
            mean(longer),
            most(longer)
        ));
    }
    assert_eq!(by_gpus.keys().copied().collect::<Vec<_>>(), [1, 2, 4, 8]);
    by_gpus
}

const CHOOSERS: [&str; 3] = ["arbitrary", "count-only", "nvidia-plugin"];

/// (iii) Which GPUs a job gets makes hardly any difference on NVSwitch boxes and a large one on the
/// others; and there only to jobs that have a choice: one GPU talks to nobody, eight are all there are.
#[test]
fn links_matter_where_they_differ_and_only_there() {
    let boxes = ["links-nvswitch", "links-cube-mesh", "links-bridges"];
    let seen = boxes.map(Seen::of);
    let asked = |seen: &Seen| -> Vec<_> {
        let records = seen.records("arbitrary");
        records.map(|job| (job.submit, job.gpu_milli)).collect()
    };
    assert!(seen.iter().all(|other| asked(other) == asked(&seen[0])));
    for (name, seen) in boxes.iter().zip(&seen) {
        say(name);
        let stalled = |run: &RunResult| share(run, &[Bucket::AllocatedStalled]);
        let aware = seen.each("topology-aware", "stalled", stalled);
        for platform in CHOOSERS {
            let here = seen.each(platform, "stalled", stalled);
            let by_gpus = longer_by_gpus(seen, platform);
            for gpus in [1, 8] {
                assert!(by_gpus[&gpus].iter().all(|longer| longer.abs() < 1e-9));
            }
            let choice = [&by_gpus[&2][..], &by_gpus[&4][..]];
            if *name == "links-nvswitch" {
                let effect = choice
                    .concat()
                    .iter()
                    .map(|longer| longer.abs())
                    .fold(0.0, f64::max);
                assert!(effect <= 0.01 && most(&here) <= 0.01, "{effect}");
                continue;
            }
            assert!(choice.iter().all(|longer| most(longer) >= 0.10));
            if platform == "arbitrary" {
                assert!(choice.iter().all(|longer| mean(longer) >= 0.02));
                assert!(mean(by_gpus[&4].as_slice()) >= 0.10);
                assert!(mean(&here) > 2.0 * mean(&aware));
            }
        }
    }
}

/// (iii) The same GPUs in two kinds of boxes, the same jobs as where all have NVSwitches: jobs of one GPU
/// run as long in either, jobs of eight longer over PCIe, whoever chooses their GPUs.
#[test]
fn the_same_gpus_are_slower_over_pcie() {
    let (mixed, best) = (Seen::of("links-mixed"), Seen::of("links-nvswitch"));
    let bridges = 8;
    for platform in ["count-only", "topology-aware"] {
        let mut longer: BTreeMap<(bool, u64), Vec<f64>> = BTreeMap::new();
        for (here, there) in mixed.records(platform).zip(best.records("topology-aware")) {
            assert_eq!((here.job, here.submit), (there.job, there.submit));
            let ratio = here.run_time().as_secs_f64() / there.run_time().as_secs_f64();
            let key = (here.nodes[0].0 < bridges, here.gpu_milli / 1_000);
            longer.entry(key).or_default().push(ratio - 1.0);
        }
        for ((is_bridged, gpus), longer) in &longer {
            let boxes = if *is_bridged { "bridges" } else { "NVSwitch" };
            say(&format!(
                "  {platform:<24} {gpus} GPUs, {boxes}: {} jobs longer by {:+.4} on average, {:+.4} at most",
                longer.len(),
                mean(longer),
                most(longer)
            ));
            if !is_bridged || *gpus == 1 {
                assert!(longer.iter().all(|longer| longer.abs() < 1e-9));
            }
        }
        assert!(mean(&longer[&(true, 8)]) >= 0.10);
    }
}

/// (iv) Nearly all GPUs are given out, and 20 to 55 % of their time is used; two that take turns use more,
/// and four run out of memory.
#[test]
fn needs_change_and_whole_gpus_do_not() {
    let seen = Seen::of("dynamic-needs");
    let allocated = |run: &RunResult| run.report.gpu_allocation().unwrap();
    let active = |run: &RunResult| run.report.gpu_utilization().unwrap();
    let given = seen.each("whole", "allocation", allocated);
    assert!(given.iter().all(|&share| share >= 0.95), "{given:?}");
    let used = seen.each("whole", "activity of what is given", active);
    assert!(
        used.iter().all(|share| (0.20..=0.55).contains(share)),
        "{used:?}"
    );
    let whole = seen.each("whole", "useful", useful);
    seen.each("two-slots", "activity of what is given", active);
    let shared = seen.each("two-slots", "useful", useful);
    assert!(
        whole
            .iter()
            .zip(&shared)
            .all(|(whole, shared)| shared > whole)
    );
    let gone = |run: &RunResult| run.report.summary.count(Outcome::OutOfMemory) as f64;
    let (none, many) = (
        seen.each("two-slots", "out of memory", gone),
        seen.each("four-slots", "out of memory", gone),
    );
    seen.each("four-slots", "useful", useful);
    assert!(none.iter().zip(&many).all(|(none, many)| none < many));
}

/// (iv) The same where jobs that need half a GPU say so, and MPS lets two run at once.
#[test]
fn mps_raises_the_useful_share() {
    let seen = Seen::of("dynamic-needs-mps");
    let whole = seen.each("whole", "useful", useful);
    let mps = seen.each("mps", "useful", useful);
    assert!(whole.iter().zip(&mps).all(|(whole, mps)| mps > whole));
}

const ELASTIC: &str = r#"
[scenario]
name = "elastic"
horizon = "drain"

[workload]
kind = "native"
path = "jobs.csv"

[[pools]]
name = "boxes"
nodes = 3
gpus_per_node = 8

[[platforms]]
name = "first-fit"
policy = "first-fit"
"#;

/// (iv) Jobs that take what is there, and give it back, leave less idle. No policy that has a name resizes
/// jobs, so one made in code does.
#[test]
fn elastic_jobs_raise_the_useful_share() {
    let table = |advance: &str| {
        let head =
            "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,tasks,advance,restart_s\n";
        let row = |n: u64| {
            format!(
                "{n},{},{},1,5,{advance},30\n",
                n * 600,
                3_600 + 1_200 * (n % 7)
            )
        };
        (0..40)
            .map(row)
            .fold(head.to_owned(), |text, row| text + &row)
    };
    let useful_share = |advance: &str, elastic: bool| {
        let place = Place::new()
            .file("jobs.csv", table(advance))
            .file("elastic.toml", ELASTIC);
        let scenario = Scenario::load(&place.path("elastic.toml")).unwrap();
        let mut sweep = Sweep::new(scenario);
        if elastic {
            sweep = sweep.with_policy("elastic", || Box::new(ElasticFiller::default()));
        }
        let comparison = sweep.run().unwrap();
        let run = comparison.runs.last().unwrap();
        assert_eq!(run.report.summary.completed(), 40);
        useful(run)
    };
    let (rigid, elastic) = (useful_share("all", false), useful_share("1..8", true));
    say(&format!(
        "elastic jobs: useful {rigid:.4} rigid, {elastic:.4} elastic"
    ));
    assert!(elastic > rigid, "{rigid} {elastic}");
}
