//! Cases of the family `fgd`: a kube-scheduler filling the openb cluster.

use std::path::Path;

use super::fgd::{self, Compared};
use super::{Case, Family, Row, Seen};
use crate::error::ExperimentError;

/// Folders that decide like one of our policies, by name.
const POLICIES: [(&str, &str); 2] = [
    ("BestFit", "best-fit"),
    ("KubeDefault", "kube-default{version=1.20}"),
];

/// Recordings of the FGD artefact; the folder's name says which policy decided.
pub(super) struct FgdFamily;

impl Family for FgdFamily {
    fn name(&self) -> &'static str {
        "fgd"
    }

    fn files(&self) -> &'static str {
        "placements.csv.gz, curve.csv.gz, nodes_final.csv.gz, and typical_pods_default.csv beside it"
    }

    fn look(&self, folder: &Path, name: &str) -> Result<Seen, ExperimentError> {
        if !fgd::is_recording(folder) {
            return Ok(Seen::Unknown);
        }
        let last = name.rsplit('/').next().unwrap_or(name);
        let Some((_, policy)) = POLICIES.iter().find(|(known, _)| *known == last) else {
            return Ok(Seen::Nothing(format!(
                "no policy of ours decides like {last}"
            )));
        };
        let (folder, case) = (folder.to_owned(), name.to_owned());
        let run = move || Ok(rows(&case, policy, &fgd::replay(&folder, policy, None)?));
        Ok(Seen::Cases(vec![Case::new(name, run)]))
    }
}

/// Decisions, allocation and fragmentation.
fn rows(case: &str, policy: &str, found: &Compared) -> Vec<Row> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of pods and sums of milli-GPU, far below 2^52"
    )]
    let [
        decisions,
        equal,
        points,
        points_equal,
        used,
        our_used,
        apart,
    ] = [
        found.decisions as f64,
        found.gpu_equal as f64,
        found.curve_points as f64,
        found.curve_equal as f64,
        found.used_in_the_end[0] as f64,
        found.used_in_the_end[1] as f64,
        found.used_difference_max as f64,
    ];
    let first = found
        .first_differences
        .first()
        .map_or_else(String::new, |first| {
            format!(
                "; the first that differs: pod {} at {}",
                first.pod, first.order
            )
        });
    vec![
        Row {
            case: format!("{case}/decisions"),
            compared: format!("node and GPUs of every pod under {policy}"),
            real: decisions,
            simulated: equal,
            distance: decisions - equal,
            pass: found.is_exact(),
            run_to_run: None,
            unit: "pods",
            note: format!("all must be equal{first}"),
        },
        Row {
            case: format!("{case}/curve"),
            compared: "allocation and nodes in use after every arrival".to_owned(),
            real: points,
            simulated: points_equal,
            distance: points - points_equal,
            pass: found.curve_equal == found.curve_points,
            run_to_run: None,
            unit: "points",
            note: "all must be equal".to_owned(),
        },
        Row {
            case: format!("{case}/allocated"),
            compared: "GPUs allocated in the end".to_owned(),
            real: used / 1_000.0,
            simulated: our_used / 1_000.0,
            distance: apart / 1_000.0,
            pass: found.used_difference_max == 0,
            run_to_run: None,
            unit: "GPUs",
            note: "distance is the largest over all arrivals; it must be 0".to_owned(),
        },
        Row {
            case: format!("{case}/fragmentation"),
            compared: "F of FGD after every arrival".to_owned(),
            real: 0.0,
            simulated: found.fragmented_difference_max / 1_000.0,
            distance: found.fragmented_difference_max / 1_000.0,
            pass: found.fragmented_difference_max < F_CLOSE,
            run_to_run: None,
            unit: "GPUs",
            note: "the largest difference; the recording is rounded to 0.00001".to_owned(),
        },
    ]
}

/// Half a unit in the last place of the recording \[milli-GPU\], and what floats lose.
const F_CLOSE: f64 = 0.005 + 1e-6;
