//! Names of MIG profiles in the column `gpus`.

use windtunnel_core::{GpuRequest, MigNameError, MigTable, Names};

use crate::issue::Problem;
use crate::table::Cell;

type Parsed<T> = Result<T, Box<Problem>>;

/// The instance that a cell names, if it is the name of one: of the GPU models that the row names, which
/// must all have it, else of the first model that does.
pub(super) fn instance(cell: Cell<'_>, models: Cell<'_>) -> Parsed<Option<GpuRequest>> {
    let Ok(name) = cell.text().map(str::trim_ascii) else {
        return Ok(None);
    };
    match MigTable::by_name(name) {
        Err(MigNameError::Form) => return Ok(None),
        Err(MigNameError::MediaExtensions) => {
            let hint = "media extensions are not modelled: leave out `+me`";
            return Err(cell.problem("is an instance with media extensions", hint));
        }
        Ok(request) if models.is_empty() => return Ok(Some(request)),
        Ok(_) | Err(_) => {}
    }
    let named = models.text()?.split('|').map(str::trim);
    let named: Vec<&str> = named.filter(|model| !model.is_empty()).collect();
    if named.is_empty() {
        return Err(unknown(cell));
    }
    let mut all: Option<(&str, GpuRequest)> = None;
    for model in named {
        let found = on_model(cell, name, model)?;
        match all {
            Some((first, other)) if other != found => {
                return Err(cell.problem(
                    format!("is not the same instance on {first} and {model}"),
                    "name it without its memory, such as 3g or 1g.double, or write a row per model",
                ));
            }
            _ => all = Some((model, found)),
        }
    }
    Ok(all.map(|(_, found)| found))
}

/// What a name means on a GPU model.
fn on_model(cell: Cell<'_>, name: &str, model: &str) -> Parsed<GpuRequest> {
    let Some(table) = MigTable::of(model) else {
        let known = MigTable::ALL.iter().flat_map(|(_, models)| *models);
        let known: Vec<&str> = known.copied().collect();
        return Err(cell.problem(
            format!("is a MIG instance, and {model} is no GPU model with MIG"),
            format!(
                "these are: {}; or ask for a part of a GPU, such as 0.5",
                known.join(", ")
            ),
        ));
    };
    table.request(name).map_err(|_| {
        let names: Vec<String> = table.names().collect();
        cell.problem(
            format!("is no MIG profile of {model}"),
            format!("it has {}", names.join(", ")),
        )
    })
}

/// A name that no model has.
fn unknown(cell: Cell<'_>) -> Box<Problem> {
    cell.problem(
        "is no MIG profile of any GPU model",
        "profiles are 1g, 1g.double, 2g, 3g, 4g and 7g, also with their memory as a model has it: \
         4g.40gb",
    )
}

/// What a table says of an instance so that it is read back as the same; `None` if it can't.
pub(super) fn written(request: GpuRequest, models: u64, names: &Names) -> Option<&'static str> {
    let GpuRequest::Instance(instance) = request else {
        return None;
    };
    let mut ids = (0..64_u8).filter(|id| models >> id & 1 == 1);
    let means_the_same = ids.all(|id| {
        let model = names.gpu_model_name(windtunnel_core::GpuModelId(id));
        MigTable::of(model).and_then(|table| table.request(instance.name()).ok()) == Some(request)
    });
    means_the_same.then_some(instance.name())
}
