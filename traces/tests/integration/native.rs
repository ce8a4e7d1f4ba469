//! The native table: every column, and back.

use std::sync::Arc;

use proptest::prelude::*;
use windtunnel_core::{
    Advance, Behaviour, Bytes, Checkpoint, ControllerId, Ending, GpuRequest, JobSpec, MigInstance,
    MilliCores, Names, Ppm, SimDuration, SimTime, TaskRequest, Work,
};
use windtunnel_traces::{Kinds, KnownBehaviours, NativeReader, TraceErrorKind, open, write_native};

use crate::support::{gzip, sample};

#[test]
fn every_column_means_what_the_table_says() {
    let mut names = Names::default();
    let trace = NativeReader::open(sample("native.csv"))
        .unwrap()
        .read_all(&mut names)
        .unwrap();
    assert!(trace.issues.is_empty(), "{:?}", trace.issues);
    let [train, notebook, sweep, elastic, api, cpu_only] = trace.jobs.as_slice() else {
        panic!("six jobs, not {}", trace.jobs.len());
    };

    assert_eq!(train.name.as_deref(), Some("train-1"));
    let group = train.request.groups[0];
    assert_eq!(group.count, 4);
    assert_eq!(group.request.gpus, GpuRequest::Whole(8));
    assert_eq!(group.request.models, 0b11);
    assert_eq!(group.request.cpu, MilliCores::cores(96));
    assert_eq!(group.request.memory, Bytes::gib(768));
    assert_eq!(train.request.limit, Some(SimDuration::from_hours(4)));
    assert_eq!(train.request.estimate, Some(SimDuration::from_mins(150)));
    assert_eq!(train.request.priority, 10);
    assert_eq!(names.tenant_name(train.request.tenant), "vision");
    assert_eq!(names.queue_name(train.request.queue), "large");
    assert_eq!(names.attr(train.request.attrs, "zone"), Some("a"));
    assert_eq!(
        train.profile.work,
        Work::Uniform(SimDuration::from_hours(2))
    );
    assert_eq!(train.profile.startup, SimDuration::from_mins(2));
    assert_eq!(train.profile.restart, SimDuration::from_mins(1));
    assert_eq!(train.profile.duty, Ppm(850_000));
    assert_eq!(
        train.profile.checkpoint,
        Some(Checkpoint {
            interval: SimDuration::from_mins(30),
            cost: SimDuration::from_secs(30),
        })
    );

    assert_eq!(notebook.name.as_deref(), Some("notebook, Ada's"));
    assert_eq!(
        notebook.request.groups[0].request.gpus,
        GpuRequest::Milli(300)
    );
    assert_eq!(notebook.request.groups[0].request.cpu, MilliCores(1_500));
    assert_eq!(notebook.request.advance, Advance::All);
    assert_eq!(notebook.profile.ending, Ending::Cancelled);

    assert_eq!(sweep.request.advance, Advance::Each);
    assert_eq!(sweep.request.kind, ControllerId(1));
    assert_eq!(sweep.request.priority, -5);
    assert_eq!(
        sweep.profile.restart,
        SimDuration::from_secs(10),
        "as startup"
    );
    assert_eq!(sweep.profile.ending, Ending::Fails);

    assert_eq!(elastic.request.advance, Advance::Between { min: 2, max: 8 });
    assert_eq!(elastic.profile.startup, SimDuration::ZERO);
    assert_eq!(elastic.profile.restart, SimDuration::from_secs(45));

    assert_eq!(api.profile.work, Work::Endless);
    assert_eq!(api.request.kind, ControllerId(2));

    assert_eq!(cpu_only.request.groups[0].request.gpus, GpuRequest::None);
    assert_eq!(cpu_only.submit.as_nanos(), 7_200_000_000_001);
}

#[test]
fn the_sample_survives_a_round_trip() {
    let mut names = Names::default();
    let reader = NativeReader::new(open(sample("native.csv")).unwrap(), "native.csv").unwrap();
    let jobs = reader.read_all(&mut names).unwrap().jobs;
    assert_eq!(there_and_back(&jobs, &mut names), jobs);
}

#[test]
fn a_compressed_file_opens_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(sample("native.csv")).unwrap();
    let plain = NativeReader::open(sample("native.csv")).unwrap();
    let expected = plain.read_all(&mut Names::default()).unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 0).unwrap();
    for (name, bytes) in [("jobs.txt", gzip(&text)), ("jobs.gz", zstd)] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let trace = NativeReader::open(&path).unwrap();
        assert_eq!(trace.read_all(&mut Names::default()).unwrap(), expected);
    }
    let error = NativeReader::open(folder.path().join("missing.csv")).unwrap_err();
    assert_eq!(error.kind(), TraceErrorKind::Io);
    assert!(error.file().ends_with("missing.csv"), "{error}");
}

#[test]
fn kinds_are_the_platforms() {
    let kinds = Kinds::new(["jobset", "batch"]);
    let text = "# windtunnel-jobs v1\nkind,job_id,submit_s,duration_s,gpus\nbatch,a,0,1,1\n";
    let trace = NativeReader::new(text.as_bytes(), "jobs.csv")
        .unwrap()
        .with_kinds(kinds)
        .read_all(&mut Names::default())
        .unwrap();
    assert_eq!(trace.jobs[0].request.kind, ControllerId(1));
}

#[test]
fn what_the_table_cannot_hold_is_refused() {
    let job = || {
        JobSpec::new(
            SimTime::ZERO,
            TaskRequest::gpus(1),
            SimDuration::from_secs(1),
        )
    };
    let check = |job: JobSpec, expected: &str| {
        let error = write_native(Vec::new(), [&job], &Names::default(), &Kinds::default());
        let error = error.unwrap_err();
        assert_eq!(error.kind(), TraceErrorKind::Unwritable);
        assert!(error.to_string().contains(expected), "{error}");
    };
    let mut two = job();
    two.request.groups.push(two.request.groups[0]);
    check(two, "several task groups");
    let mut each = job().tasks(2).advance(Advance::Each);
    each.profile.work = Work::PerTask([SimDuration::from_secs(1); 2].into());
    check(each, "work per task");
    check(job().named("two\nlines"), "a line break in a name");
    check(job().kind(ControllerId(9)), "a kind without a name");
    let mut names = Names::default();
    let model = names.gpu_model("V100").unwrap();
    let mut instance = job();
    instance.request.groups[0].request = TaskRequest {
        models: 1 << model.0,
        ..TaskRequest::mig(MigInstance::FourG)
    };
    let error = write_native(Vec::new(), [&instance], &names, &Kinds::default()).unwrap_err();
    let expected = "an instance of GPU models that have none such";
    assert!(error.to_string().contains(expected), "{error}");
    let unnamed = Arc::new(Behaviour::new(""));
    check(job().behaviour(unnamed), "a behaviour without a name");
}

#[test]
fn profiles_of_mig_are_instances() {
    use MigInstance::{FourG, OneG, OneGDouble, ThreeG, TwoG};
    let asked = |gpus: &str, models: &str| {
        let text = format!(
            "# windtunnel-jobs v1\nsubmit_s,duration_s,gpus,job_id,gpu_model\n0,1,{gpus},a,{models}\n"
        );
        let reader = NativeReader::new(text.as_bytes(), "jobs.csv").unwrap();
        let trace = reader.read_all(&mut Names::default()).unwrap();
        assert!(trace.issues.is_empty(), "{:?}", trace.issues);
        trace.jobs[0].request.groups[0].request.gpus
    };
    // Without a model: what cards with 80 GB have, else what any other has.
    let by_name = [
        ("1g", OneG),
        ("1g.10gb", OneG),
        ("1g.5gb", OneG),
        ("1g.double", OneGDouble),
        ("1g.20gb", OneGDouble),
        ("2g.45gb", TwoG),
        ("3g.20gb", ThreeG),
        ("4g", FourG),
        ("4g.71gb", FourG),
    ];
    for (name, instance) in by_name {
        assert_eq!(asked(name, ""), GpuRequest::Instance(instance), "{name}");
    }
    let one = GpuRequest::Whole(1);
    for name in [
        "7g", "7g.40gb", "7g.80gb", "7g.141gb", "7g.180gb", "4g.24gb",
    ] {
        assert_eq!(asked(name, ""), one, "{name} is all of its GPU");
    }
    // With a model: what it calls so.
    let on = |name, model| asked(name, model);
    let double = GpuRequest::Instance(OneGDouble);
    assert_eq!(on("1g.10gb", "a100-sxm4-40"), double);
    assert_eq!(on("1g.10gb", "H100"), GpuRequest::Instance(OneG));
    assert_eq!(on("1g.double", "a100-sxm4-40|h200|b200"), double);
    assert_eq!(on("3g.40gb", "a100 | h100"), GpuRequest::Instance(ThreeG));
    assert_eq!(on("2g.12gb", "a30"), GpuRequest::Milli(500));
    assert_eq!(on("4g", "a30"), one);
}

/// Each with line, field and hint; the row is dropped.
#[test]
fn profiles_that_are_not_there() {
    let read = |gpus: &str, models: &str| {
        let text = format!(
            "# windtunnel-jobs v1\ngpus,gpu_model,job_id,submit_s,duration_s\n{gpus},{models},a,0,1\n1,,b,0,1\n"
        );
        let reader = NativeReader::new(text.as_bytes(), "jobs.csv").unwrap();
        let trace = reader.read_all(&mut Names::default()).unwrap();
        assert_eq!((trace.counts.jobs, trace.counts.dropped), (1, 1));
        let issue = &trace.issues[0];
        assert_eq!((issue.line, issue.field), (3, Some("gpus")));
        format!("{}; {}", issue.what(), issue.hint)
    };
    let cases = [
        (
            "5g",
            "",
            "`5g` is no MIG profile of any GPU model; profiles are 1g, 1g.double, 2g, 3g, 4g and 7g, also with their memory as a model has it: 4g.40gb",
        ),
        (
            "3g.41gb",
            "",
            "`3g.41gb` is no MIG profile of any GPU model; profiles are 1g,",
        ),
        (
            "4g.40gb",
            "h200",
            "`4g.40gb` is no MIG profile of h200; it has 1g.18gb, 1g.35gb, 2g.35gb, 3g.71gb, 4g.71gb, 7g.141gb",
        ),
        (
            "3g.40gb",
            "a100|h200",
            "`3g.40gb` is no MIG profile of h200; it has",
        ),
        (
            "3g",
            "a30",
            "`3g` is no MIG profile of a30; it has 1g.6gb, 2g.12gb, 4g.24gb",
        ),
        (
            "5g",
            "a100",
            "`5g` is no MIG profile of a100; it has 1g.10gb, 1g.20gb,",
        ),
        (
            "1g",
            "V100",
            "`1g` is a MIG instance, and V100 is no GPU model with MIG; these are: a100-sxm4-40, ",
        ),
        (
            "1g.10gb",
            "a100-sxm4-40|a100",
            "`1g.10gb` is not the same instance on a100-sxm4-40 and a100; name it without its memory, such as 3g or 1g.double, or write a row per model",
        ),
        (
            "1g.10gb+me",
            "",
            "`1g.10gb+me` is an instance with media extensions; media extensions are not modelled: leave out `+me`",
        ),
        ("3gb", "", "`3gb` is not a number of GPUs; "),
        ("g", "", "`g` is not a number of GPUs; "),
    ];
    for (gpus, models, expected) in cases {
        let found = read(gpus, models);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn behaviours_are_those_that_the_reader_was_given() {
    let known = ["bert", "resnet"].map(|name| Arc::new(Behaviour::new(name)));
    let known = KnownBehaviours::new(known);
    let head = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,behaviour\n";
    let text = format!("{head}a,0,1,1,resnet\nb,0,1,1,\nc,0,1,1,resnets\nd,0,1,1,bert\n");
    let read = |text: &str, known: &KnownBehaviours| {
        let reader = NativeReader::new(text.as_bytes(), "jobs.csv").unwrap();
        let reader = reader.with_behaviours(known.clone());
        reader.read_all(&mut Names::default()).unwrap()
    };
    let trace = read(&text, &known);
    let names = |jobs: &[JobSpec]| -> Vec<Option<String>> {
        let name = |job: &JobSpec| Some(job.profile.behaviour.as_ref()?.name.clone());
        jobs.iter().map(name).collect()
    };
    let expected = [Some("resnet".to_owned()), None, Some("bert".to_owned())];
    assert_eq!(names(&trace.jobs), expected);
    let issue = &trace.issues[0];
    assert_eq!((issue.line, issue.field), (5, Some("behaviour")));
    assert_eq!(issue.what(), "`resnets` is unknown");
    assert!(issue.hint.contains("did you mean `resnet`?"), "{issue:?}");
    // A row by itself: whoever reads without behaviours drops those rows, and says so.
    let none = read(&text, &KnownBehaviours::default());
    assert_eq!((none.counts.jobs, none.counts.dropped), (1, 3));
    assert_eq!(
        none.issues[0].what(),
        "`resnet` is a behaviour that is not known"
    );

    let mut file = Vec::new();
    write_native(&mut file, &trace.jobs, &Names::default(), &Kinds::default()).unwrap();
    let again = read(&String::from_utf8(file).unwrap(), &known);
    assert_eq!(again.jobs, trace.jobs);
}

fn there_and_back(jobs: &[JobSpec], names: &mut Names) -> Vec<JobSpec> {
    let mut file = Vec::new();
    write_native(&mut file, jobs, names, &Kinds::default()).unwrap();
    let trace = NativeReader::new(&file[..], "memory")
        .unwrap()
        .read_all(names)
        .unwrap();
    assert!(trace.issues.is_empty(), "{:?}", trace.issues);
    trace.jobs
}

fn any_time() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..1_u64 << 62,
        (0..100_000_u64).prop_map(|s| s * 1_000_000_000)
    ]
}

prop_compose! {
    fn any_job()(
        submit in any_time(),
        work in prop::option::of(any_time()),
        gpus in prop_oneof![
            Just(GpuRequest::None),
            (1..=u16::MAX).prop_map(GpuRequest::Whole),
            (1..1_000_u16).prop_map(GpuRequest::Milli),
            (0..5_usize).prop_map(|at| GpuRequest::Instance(MigInstance::ALL[at])),
        ],
        (cpu, memory) in (any::<u32>(), 0..=1_u64 << 59),
        (count, advance) in (1..=1_000_000_u32, prop_oneof![
            Just(Advance::All),
            Just(Advance::Each),
            (1..500_u32, 0..500_u32).prop_map(|(min, more)| Advance::Between { min, max: min + more }),
        ]),
        (limit, estimate) in (prop::option::of(any_time()), prop::option::of(any_time())),
        (startup, restart) in (any_time(), any_time()),
        checkpoint in prop::option::of((1..1_u64 << 40, any_time())),
        (kind, priority, duty) in (0..3_u8, any::<i64>(), 0..=1_000_000_u32),
        name in prop::option::of("[ -~é]{1,12}"),
        ending in prop_oneof![
            Just(Ending::Completes), Just(Ending::Fails), Just(Ending::Cancelled)
        ],
    ) -> JobSpec {
        let time = SimDuration::from_nanos;
        let request = TaskRequest { gpus, models: 0, cpu: MilliCores(cpu), memory: Bytes(memory) };
        let mut job = JobSpec::new(SimTime::from_nanos(submit), request, SimDuration::ZERO)
            .tasks(count)
            .advance(advance)
            .kind(ControllerId(kind))
            .priority(priority)
            .duty(Ppm(duty));
        job.name = name.as_deref().map(Into::into);
        job.request.limit = limit.map(time);
        job.request.estimate = estimate.map(time);
        let truth = &mut job.profile;
        truth.work = work.map_or(Work::Endless, |nanos| Work::Uniform(time(nanos)));
        truth.startup = time(startup);
        truth.restart = time(restart);
        truth.checkpoint = checkpoint.map(|(interval, cost)| Checkpoint {
            interval: time(interval),
            cost: time(cost),
        });
        truth.ending = ending;
        job
    }
}

proptest! {
    #[test]
    fn any_job_survives_a_round_trip(mut jobs in prop::collection::vec(any_job(), 1..20)) {
        jobs.sort_by_key(|job| job.submit);
        prop_assert_eq!(there_and_back(&jobs, &mut Names::default()), jobs);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}", rows in "[-0-9a-z,.\"\n\r;=|]{0,200}") {
        let names = &mut Names::default();
        let _ = NativeReader::new(text.as_bytes(), "fuzz").and_then(|r| r.read_all(names));
        let text = format!("# windtunnel-jobs v1\nsubmit_s,duration_s,gpus,job_id\n{rows}");
        let read = NativeReader::new(text.as_bytes(), "fuzz").and_then(|r| r.read_all(names));
        if let Ok(trace) = read {
            let counts = trace.counts;
            prop_assert_eq!(counts.rows_read, counts.jobs + counts.dropped);
            prop_assert_eq!(counts.jobs, trace.jobs.len() as u64);
        }
    }
}
