//! `windtunnel topo`: what a server is made of and how it is connected.

use std::fs;
use std::path::Path;

use windtunnel::ExperimentError;
use windtunnel::hardware::{self, HardwareModel};

use super::Verdict;
use super::args::Topo;
use super::page::print;

pub(super) fn command(options: &Topo) -> Result<Verdict, ExperimentError> {
    let Some(name) = options.model.as_deref().filter(|_| !options.list) else {
        let names = hardware::models()
            .iter()
            .map(|model| format!("{}\n", model.name));
        print(&names.collect::<String>());
        return Ok(Verdict::Fine);
    };
    let own;
    let model: &HardwareModel = match hardware::model(name) {
        Ok(model) => model,
        Err(_) if is_file(name) => {
            own = hardware::load(Path::new(name))?;
            &own
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(file) = &options.svg {
        fs::write(file, model.svg()).map_err(|cause| ExperimentError::Output {
            path: file.clone(),
            cause: cause.to_string(),
            hint: "choose another file with --svg".to_owned(),
        })?;
    }
    print(&model.topo());
    Ok(Verdict::Fine)
}

/// Whether somebody who writes this means a file.
fn is_file(name: &str) -> bool {
    let path = Path::new(name);
    path.exists() || path.extension().is_some_and(|ending| ending == "toml")
}
