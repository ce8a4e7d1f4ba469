//! The models that come with the program.

use std::sync::OnceLock;

use super::{HardwareModel, parse};
use crate::scenario::did_you_mean;

/// File names without their ending, and texts.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../data/hardware/", $name, ".toml")))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "dgx1-p100",
    "dgx1-v100",
    "aws-p3-16xlarge",
    "azure-nd40rs-v2",
    "dgx-a100",
    "hgx-a100",
    "aws-p4d-24xlarge",
    "aws-p4de-24xlarge",
    "azure-nd96asr-v4",
    "a100-pcie-8-bridged",
    "azure-nc96ads-a100-v4",
    "hgx-h100",
    "aws-p5-48xlarge",
    "hgx-h200",
    "aws-p5en-48xlarge",
    "hgx-b200",
    "gb200-nvl72",
    "t4-4-g4dn",
    "aws-g5-48xlarge",
    "l4-8-g6",
    "l40s-8-pcie",
    "mi300x-8",
];

/// No model of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no hardware `{name}` comes with the program\n  hint: {hint}`windtunnel topo --list` names all"
)]
pub struct UnknownModel {
    /// The name.
    pub name: String,
    /// The nearest name, as a question; may be empty.
    pub hint: String,
}

/// The models that come with the program, by age of their GPUs.
#[must_use]
pub fn models() -> &'static [HardwareModel] {
    static MODELS: OnceLock<Vec<HardwareModel>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let read = |(name, text): &(&str, &str)| match parse(text, &format!("{name}.toml")) {
            Ok(model) => model,
            Err(error) => unreachable!("a test reads them: {error}"),
        };
        FILES.iter().map(read).collect()
    })
}

/// The model of a name or an alias.
///
/// # Errors
/// There is none; the nearest name is suggested.
pub fn model(name: &str) -> Result<&'static HardwareModel, UnknownModel> {
    let is_it = |model: &&HardwareModel| {
        let names = model.aliases.iter().chain([&model.name]);
        names
            .into_iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    models().iter().find(is_it).ok_or_else(|| {
        let names = models().iter().map(|model| &*model.name);
        let aliases = models().iter().flat_map(|model| model.aliases.iter());
        UnknownModel {
            name: name.to_owned(),
            hint: did_you_mean(name, names.chain(aliases.map(|alias| &**alias))),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_comes_with_the_program_can_be_read() {
        let mut names = BTreeSet::new();
        for (name, text) in FILES {
            let model = match parse(text, &format!("{name}.toml")) {
                Ok(model) => model,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(model.name, *name);
            for name in model.aliases.iter().chain([&model.name]) {
                assert!(names.insert(name.clone()), "{name} is there twice");
                assert_eq!(super::model(name).unwrap().name, model.name);
            }
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/hardware");
        let files = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(
            files,
            FILES.len() + 1,
            "a file that nobody reads, besides gpus.toml"
        );
    }

    #[test]
    fn names_are_found_in_any_case_and_corrected() {
        assert_eq!(model("P4D").unwrap().name, "aws-p4d-24xlarge");
        assert_eq!(
            model("dgx-h10").unwrap_err().hint,
            "did you mean `dgx-h100`? "
        );
        assert_eq!(model("abacus").unwrap_err().hint, "");
    }
}
