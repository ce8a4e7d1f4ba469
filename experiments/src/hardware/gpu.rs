//! Models of GPU: memory, peak, power, MIG.

use std::sync::OnceLock;

use super::decode::{Found, gb_per_s, provenance, verification};
use super::{Provenance, Verification};
use crate::scenario::fields::{Fields, Keys, whole, wrong};
use crate::scenario::source::{Source, did_you_mean};

/// The GPUs that come with the program.
const GPUS: &str = include_str!("../../data/hardware/gpus.toml");

const FIGURES: &[&str] = &[
    "name",
    "architecture",
    "memory_gib",
    "memory_gb_per_s",
    "peak_tflops",
    "tdp_watts",
    "idle_watts",
    "mig_slices",
    "mig",
    "source",
    "verification",
    "idle_verification",
    "mig_verification",
];
pub(super) const GPU: Keys = Keys {
    what: "[gpu]",
    required: &["model", "count"],
    optional: FIGURES,
};
const KNOWN: Keys = Keys {
    what: "[[gpus]]",
    required: &["model", "memory_gib"],
    optional: FIGURES,
};
const FILE: Keys = Keys {
    what: "a list of GPUs",
    required: &["gpus"],
    optional: &[],
};
const MIG: Keys = Keys {
    what: "mig",
    required: &["profile", "slices", "memory_slices", "memory_gib", "starts"],
    optional: &[],
};

/// A model of GPU. What is not known is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuModel {
    /// The name by which jobs ask for it.
    pub model: String,
    /// Its name in full.
    pub name: String,
    /// The vendor's name of its architecture, in lower case.
    pub architecture: String,
    /// Memory \[GiB\]; vendors write GB.
    pub memory_gib: u32,
    /// Memory bandwidth [GB/s = 10⁹ bytes per second].
    pub memory_gb_per_s: f64,
    /// Peak of FP16/BF16 on tensor cores, dense [TFLOPS = 10¹² operations per second].
    pub peak_tflops: f64,
    /// Board power at most \[W\].
    pub tdp_watts: u32,
    /// Power when idle and nobody holds a context \[W\].
    pub idle_watts: u32,
    /// Compute slices that MIG can cut it into; 0 without MIG.
    pub mig_slices: u8,
    /// MIG profiles, as far as they are known.
    pub mig: Vec<MigProfile>,
    /// Where memory, peak and power are from.
    pub provenance: Provenance,
    /// How well the idle power is known.
    pub idle: Verification,
    /// How well MIG profiles are known.
    pub mig_verification: Verification,
}

/// A way to cut out an instance with MIG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigProfile {
    /// `1g.10gb` and the like.
    pub profile: String,
    /// Compute slices of 7.
    pub slices: u8,
    /// Memory slices of 8.
    pub memory_slices: u8,
    /// Memory \[GiB\].
    pub memory_gib: u32,
    /// Memory slices at which it may begin.
    pub starts: Vec<u8>,
}

impl GpuModel {
    fn unknown(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            name: model.to_owned(),
            architecture: String::new(),
            memory_gib: 0,
            memory_gb_per_s: 0.0,
            peak_tflops: 0.0,
            tdp_watts: 0,
            idle_watts: 0,
            mig_slices: 0,
            mig: Vec::new(),
            provenance: Provenance::default(),
            idle: Verification::General,
            mig_verification: Verification::General,
        }
    }
}

/// The GPUs that come with the program.
///
/// # Panics
/// Never: a test reads them.
#[must_use]
pub fn gpus() -> &'static [GpuModel] {
    static KNOWN_GPUS: OnceLock<Vec<GpuModel>> = OnceLock::new();
    KNOWN_GPUS.get_or_init(|| {
        let source = Source {
            file: "gpus.toml",
            text: GPUS,
        };
        list(source).unwrap_or_else(|error| unreachable!("a test reads them: {error}"))
    })
}

fn list(source: Source<'_>) -> Found<Vec<GpuModel>> {
    let whole = super::decode::table(source)?;
    let top = Fields::new(source, &FILE, whole.get_ref(), 0..0)?;
    let tables = top.tables("gpus", &KNOWN)?;
    let gpu = |fields: &Fields<'_>| read(fields, GpuModel::unknown(&fields.name("model")?));
    tables.iter().map(gpu).collect()
}

/// The GPU of a node model: one that is known, with what the table changes, or all that the table says.
pub(super) fn of_node(fields: &Fields<'_>) -> Found<GpuModel> {
    let model = fields.name("model")?;
    let known = gpus().iter().find(|gpu| gpu.model == model);
    if known.is_none() && fields.value("memory_gib").is_none() {
        let names = || gpus().iter().map(|gpu| &*gpu.model);
        let hint = did_you_mean(&model, names());
        let names: Vec<&str> = names().collect();
        let label = format!(
            "{hint}no such GPU comes with the program; give its memory_gib at least, or take one of: {}",
            names.join(", ")
        );
        return Err(fields.wrong("model", label));
    }
    read(
        fields,
        known.cloned().unwrap_or_else(|| GpuModel::unknown(&model)),
    )
}

/// What a table says, over what is known.
fn read(fields: &Fields<'_>, known: GpuModel) -> Found<GpuModel> {
    let text = |key: &str, known: String| -> Found<String> {
        Ok(fields
            .value(key)
            .map(|_| fields.name(key))
            .transpose()?
            .unwrap_or(known))
    };
    let watts = |key, known| -> Found<u32> { Ok(fields.whole(key, 0..=100_000)?.unwrap_or(known)) };
    let mig = fields.tables("mig", &MIG)?;
    Ok(GpuModel {
        name: text("name", known.name)?,
        architecture: text("architecture", known.architecture)?,
        memory_gib: fields
            .whole("memory_gib", 1..=100_000)?
            .unwrap_or(known.memory_gib),
        memory_gb_per_s: gb_per_s(fields, "memory_gb_per_s")?
            .map_or(known.memory_gb_per_s, |mb| f64::from(mb) / 1e3),
        peak_tflops: fields
            .number("peak_tflops", 0.0..=1e6)?
            .unwrap_or(known.peak_tflops),
        tdp_watts: watts("tdp_watts", known.tdp_watts)?,
        idle_watts: watts("idle_watts", known.idle_watts)?,
        mig_slices: fields
            .whole("mig_slices", 0..=7)?
            .unwrap_or(known.mig_slices),
        mig: match fields.value("mig") {
            Some(_) => mig.iter().map(profile).collect::<Found<_>>()?,
            None => known.mig,
        },
        provenance: provenance(fields, &known.provenance)?,
        idle: verification(fields, "idle_verification")?.unwrap_or(known.idle),
        mig_verification: verification(fields, "mig_verification")?
            .unwrap_or(known.mig_verification),
        model: known.model,
    })
}

fn profile(fields: &Fields<'_>) -> Found<MigProfile> {
    let mut starts = Vec::new();
    for value in fields.list("starts")?.unwrap_or_default() {
        let start = whole(value.get_ref(), &(0..=7))
            .map_err(|label| wrong(fields.source, value.span(), "starts", label))?;
        starts.push(start);
    }
    Ok(MigProfile {
        profile: fields.name("profile")?,
        slices: fields.whole("slices", 1..=7)?.unwrap_or_default(),
        memory_slices: fields.whole("memory_slices", 1..=8)?.unwrap_or_default(),
        memory_gib: fields.whole("memory_gib", 1..=100_000)?.unwrap_or_default(),
        starts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_the_program_can_be_read() {
        let source = Source {
            file: "gpus.toml",
            text: GPUS,
        };
        if let Err(error) = list(source) {
            panic!("{error}");
        }
        let h100 = gpus()
            .iter()
            .find(|gpu| gpu.model == "h100-sxm5-80")
            .unwrap();
        assert_eq!(
            (h100.memory_gib, h100.tdp_watts, h100.mig.len()),
            (80, 700, 6)
        );
        for gpu in gpus() {
            assert!(!gpu.provenance.source.is_empty(), "{}", gpu.model);
            assert_eq!(
                gpu.mig_slices > 0,
                !gpu.mig.is_empty() || gpu.model == "gb200"
            );
            for profile in &gpu.mig {
                let last = profile.starts.iter().max().unwrap() + profile.memory_slices;
                assert!(last <= 8, "{} {}", gpu.model, profile.profile);
            }
        }
    }
}
