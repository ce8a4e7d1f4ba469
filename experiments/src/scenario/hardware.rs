//! A pool whose nodes are of a hardware model.

use std::path::Path;
use std::sync::Arc;

use super::Pool;
use super::decode::Read;
use super::fields::Fields;
use crate::error::ExperimentError;
use crate::hardware::{self, HardwareModel};

/// The keys that name the hardware of a pool; one of them at most.
const KEYS: [&str; 3] = ["hardware", "hardware_file", "hardware_toml"];

/// Whether a table names hardware, and one only.
pub(super) fn is_given(fields: &Fields<'_>) -> Read<bool> {
    let mut given = KEYS.iter().filter(|key| fields.value(key).is_some());
    let is_given = given.next().is_some();
    match given.next() {
        Some(second) => {
            let label = format!("a pool has one of {}", KEYS.join(", "));
            Err(fields.wrong(second, label))
        }
        None => Ok(is_given),
    }
}

/// The hardware that a table names, as far as that needs no file.
pub(super) fn named(fields: &Fields<'_>) -> Read<Option<Arc<HardwareModel>>> {
    let pool = fields.text("name")?.unwrap_or_default();
    let model = match (fields.text("hardware")?, fields.text("hardware_toml")?) {
        (Some(name), _) => {
            let wrong = |error: hardware::UnknownModel| {
                let hint = error.hint;
                fields.wrong(
                    "hardware",
                    format!("{hint}`windtunnel topo --list` names all"),
                )
            };
            hardware::model(name).map_err(wrong)?.clone()
        }
        (None, Some(text)) => hardware::parse(text, &format!("hardware_toml of pool {pool}"))?,
        (None, None) => return Ok(None),
    };
    let gpus = fields.whole("gpus_per_node", 0..=16)?.unwrap_or(model.gpus);
    if gpus != model.gpus {
        let label = format!("`{}` has {}: leave it out", model.name, model.gpus);
        return Err(fields.wrong("gpus_per_node", label));
    }
    Ok(Some(Arc::new(model)))
}

impl Pool {
    /// Looks the hardware up, reads its file, and fills in what it says and the pool does not.
    pub(super) fn complete(&mut self) -> Result<(), ExperimentError> {
        let given = [
            self.hardware.is_some(),
            self.hardware_file.is_some(),
            self.hardware_toml.is_some(),
        ];
        if given.iter().filter(|given| **given).count() > 1 {
            let hint = format!("a pool has one of {}", KEYS.join(", "));
            return Err(ExperimentError::setting(
                format!("pool `{}`", self.name),
                hint,
            ));
        }
        if let Some(file) = self.hardware_file.take() {
            self.hardware_toml = Some(hardware::text_of(&file)?);
            self.model = Some(Arc::new(self.parsed(&file.display().to_string())?));
        }
        if self.model.is_none() {
            self.model = match &self.hardware {
                Some(name) => Some(Arc::new(hardware::model(name)?.clone())),
                None if self.hardware_toml.is_none() => return Ok(()),
                None => Some(Arc::new(
                    self.parsed(&format!("hardware_toml of pool {}", self.name))?,
                )),
            };
        }
        let Some(model) = &self.model else {
            return Ok(());
        };
        if self.gpus_per_node != 0 && self.gpus_per_node != model.gpus {
            let what = format!(
                "pool `{}`: gpus_per_node = {}",
                self.name, self.gpus_per_node
            );
            let hint = format!("`{}` has {}: leave it out", model.name, model.gpus);
            return Err(ExperimentError::setting(what, hint));
        }
        self.gpus_per_node = model.gpus;
        if self.gpu_model.is_empty() {
            self.gpu_model.clone_from(&model.gpu.model);
        }
        if self.cores == 0 {
            self.cores = model.cpu.cores;
        }
        if self.memory_gib == 0 {
            self.memory_gib = model.cpu.memory_gib;
        }
        Ok(())
    }

    fn parsed(&self, file: &str) -> Result<HardwareModel, ExperimentError> {
        let text = self.hardware_toml.as_deref().unwrap_or_default();
        hardware::parse(text, file).map_err(ExperimentError::Scenario)
    }

    /// Makes the path of its hardware relative to `folder` absolute.
    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Some(file) = &mut self.hardware_file {
            *file = folder.join(&*file);
        }
    }
}
