//! Instances (MIG) that drawn jobs ask for, by name.

use toml::Spanned;
use toml::de::DeValue;
use windtunnel_core::{GpuRequest, MigInstance, MigNameError, MigTable};

use super::Pool;
use super::decode::Read;
use super::fields::{Fields, whole, wrong};

const KEY: &str = "gpu_instances";
const EXAMPLE: &str = "[MIG profile, weight], such as [\"4g\", 10]";

/// `[[profile, weight], …]`, where the profiles are those of the pools' GPUs.
pub(super) fn read(fields: &Fields<'_>, pools: &[Pool]) -> Read<Option<Vec<(MigInstance, u32)>>> {
    let Some(list) = fields.list(KEY)? else {
        return Ok(None);
    };
    let pair = |value: &Spanned<DeValue<'_>>| {
        let bad = |label: String| wrong(fields.source, value.span(), KEY, label);
        let DeValue::Array(pair) = value.get_ref() else {
            return Err(bad(format!("expected {EXAMPLE}")));
        };
        match (pair.first().map(Spanned::get_ref), pair.get(1)) {
            (Some(DeValue::String(name)), Some(weight)) if pair.len() == 2 => {
                let instance = named(name, pools).map_err(bad)?;
                let weight = whole(weight.get_ref(), &(0..=1_000_000)).map_err(bad)?;
                Ok((instance, weight))
            }
            _ => Err(bad(format!("expected {EXAMPLE}"))),
        }
    };
    list.into_iter()
        .map(pair)
        .collect::<Read<Vec<_>>>()
        .map(Some)
}

/// The instance that a name means on the GPUs of the pools, or what is wrong with it.
fn named(name: &str, pools: &[Pool]) -> Result<MigInstance, String> {
    let models = pools.iter().map(|pool| &*pool.gpu_model);
    let tables = models.filter_map(|model| MigTable::of(model).map(|table| (model, table)));
    let mut tables: Vec<(&str, MigTable)> = tables.collect();
    // Those of an A30 are shares of it, and its names those of other instances.
    let is_large = |(_, table): &(&str, MigTable)| table.slices() == 8;
    if tables.iter().any(is_large) {
        tables.retain(is_large);
    }
    if tables.is_empty() {
        return Err("no pool has GPUs with MIG; `gpu_parts` are parts of any GPU".to_owned());
    }
    let mut found: Option<(&str, GpuRequest)> = None;
    let mut error = MigNameError::Unknown;
    for &(model, table) in &tables {
        match (table.request(name), found) {
            (Ok(request), Some((other, first))) if request != first => {
                return Err(format!(
                    "{name} is not the same instance on {other} and {model}; {SHORT}"
                ));
            }
            (Ok(request), _) => found = Some((model, request)),
            (Err(why), _) => error = why,
        }
    }
    match found {
        Some((_, GpuRequest::Instance(instance))) => Ok(instance),
        Some((model, GpuRequest::Milli(milli))) => Err(format!(
            "on {model} this is a share like any other: gpu_parts = [[{milli}, …]]"
        )),
        Some(_) => Err("this is a whole GPU: gpu_mix = [[1, …]]".to_owned()),
        None if error == MigNameError::MediaExtensions => {
            Err("media extensions are not modelled: leave out `+me`".to_owned())
        }
        None => Err(format!("{}; {SHORT}", profiles(&tables))),
    }
}

const SHORT: &str = "1g, 1g.double, 2g, 3g and 4g are the same on every GPU of eight memory slices";

/// What the GPUs of the pools have, each once.
fn profiles(tables: &[(&str, MigTable)]) -> String {
    let mut all: Vec<String> = Vec::new();
    for (model, table) in tables {
        let names: Vec<String> = table.names().collect();
        let line = format!("{model} has {}", names.join(", "));
        if !all.contains(&line) {
            all.push(line);
        }
    }
    all.join("; ")
}
