//! The step times that Pollux measured against the profiles `pollux-…`, with the distance of each.

use std::io::Write;
use std::path::Path;

use serde_json::Value;
use windtunnel::Behaviours;
use windtunnel::core::{Pipe, Spread, Traffic};

const MODELS: [(&str, &str); 6] = [
    ("cifar10", "pollux-cifar10-resnet18"),
    ("imagenet", "pollux-imagenet-resnet50"),
    ("bert", "pollux-bert"),
    ("deepspeech2", "pollux-deepspeech2"),
    ("yolov3", "pollux-yolov3"),
    ("ncf", "pollux-ncf"),
];

/// The measurements, unless they are not there; that is an error where CI runs.
fn measured() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/reference/performance-models.json");
    if let Ok(text) = std::fs::read_to_string(&path) {
        let all: Value = serde_json::from_str(&text).unwrap();
        return Some(all["placement_pollux"]["records"].clone());
    }
    let missing = format!("skipped: {} is not there", path.display());
    assert!(std::env::var("CI").is_err(), "{missing}");
    let _ = writeln!(std::io::stderr(), "{missing}");
    None
}

/// `"22"`: two GPUs on each of two nodes.
fn spread(digits: &str) -> Spread {
    let gpus = digits.chars().map(|digit| digit.to_digit(10).unwrap());
    Spread {
        gpus: gpus.clone().sum(),
        islands: u32::try_from(digits.len()).unwrap(),
        widest: gpus.max().unwrap(),
        inside: Pipe::UNKNOWN,
        outside: Pipe::UNKNOWN,
    }
}

/// Ratios of step times, measured and modelled, of one model at one batch.
struct Row<'a> {
    profile: &'a str,
    batch: u32,
    measured: &'a Value,
    known: &'a Behaviours,
}

impl Row<'_> {
    fn seconds(&self, placement: &str) -> f64 {
        let profile = self.known.named(self.profile).unwrap().at_batch(self.batch);
        match profile.behaviour().unwrap().traffic {
            Traffic::Step(step) => step.seconds(&spread(placement), 1.0),
            other => panic!("{other:?}"),
        }
    }

    /// The distance of the slowdown of one placement against another, and says so.
    fn distance(&self, slow: &str, fast: &str) -> Option<f64> {
        let time = |placement: &str| self.measured[placement].as_f64();
        let measured = time(slow)? / time(fast)?;
        let model = self.seconds(slow) / self.seconds(fast);
        let distance = model / measured - 1.0;
        let (profile, batch) = (self.profile, self.batch);
        let line = format!(
            "{profile:<26} batch {batch:>5} {slow:>4} / {fast:<4} measured {measured:.3} model {model:.3} distance {:+.1} %",
            distance * 100.0
        );
        let _ = writeln!(std::io::stderr(), "{line}");
        Some(distance.abs())
    }
}

/// Checks ratios of all models at the batches from a place on; returns mean and worst.
fn check(from: usize, pairs: &[(&str, &str)]) -> Option<(usize, f64, f64)> {
    let records = measured()?;
    let known = Behaviours::embedded();
    let mut distances = Vec::new();
    for (model, profile) in MODELS {
        for record in records[model].as_array().unwrap().iter().skip(from) {
            let row = Row {
                profile,
                batch: u32::try_from(record["local_batch_size"].as_u64().unwrap()).unwrap(),
                measured: &record["step_seconds_by_placement"],
                known: &known,
            };
            let found = pairs
                .iter()
                .filter_map(|(slow, fast)| row.distance(slow, fast));
            distances.extend(found);
        }
    }
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    let worst = distances.iter().copied().fold(0.0, f64::max);
    let line = format!(
        "{} slowdowns, mean distance {:.1} %, worst {:.1} %",
        distances.len(),
        mean * 100.0,
        worst * 100.0
    );
    let _ = writeln!(std::io::stderr(), "{line}");
    Some((distances.len(), mean, worst))
}

/// The rows the issue names. None of them was used to fit what the profiles add to Pollux's form: that
/// was fitted to the smallest batch of each model.
#[test]
fn slowdowns_at_medium_and_large_batch_are_within_a_quarter() {
    let pairs = [("22", "4"), ("1111", "4"), ("22", "1111")];
    let Some((count, _, worst)) = check(1, &pairs) else {
        return;
    };
    assert_eq!(
        count, 33,
        "6 models at 2 batches, but for ncf at its large one"
    );
    assert!(worst <= 0.25, "{worst}");
}

/// Placements that were not fitted to at any batch. The form of the added term was chosen with a look
/// at them, its constants were not.
#[test]
fn placements_that_were_not_fitted_to_are_within_a_quarter_too() {
    let pairs = [("44", "4"), ("2222", "4"), ("4444", "4")];
    let Some((count, mean, worst)) = check(0, &pairs) else {
        return;
    };
    assert!(count >= 45, "{count}");
    assert!(mean <= 0.12, "{mean}");
    assert!(worst <= 0.27, "{worst}");
}

/// Two on each of two nodes are slower than four on four, where the exchange counts: they share cards.
#[test]
fn ranks_that_share_a_card_are_slower_than_ranks_that_do_not() {
    let known = Behaviours::embedded();
    for (_, profile) in MODELS {
        let row = Row {
            profile,
            batch: 1,
            measured: &Value::Null,
            known: &known,
        };
        assert!(row.seconds("22") > row.seconds("1111"), "{profile}");
    }
}
