//! Where in its file a scenario asks for a workload that can't be drawn.

use std::fs;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use windtunnel_traces::synthetic::SyntheticError;

use super::source::Source;
use crate::error::ExperimentError;

impl ExperimentError {
    /// The same error with its place in the scenario file, if it is about a drawn workload: whether one
    /// can be drawn is only known once it is tried, long after the file was read.
    #[must_use]
    pub fn located(self, file: &Path) -> Self {
        let Self::Workload(error) = &self else {
            return self;
        };
        let key = match error {
            SyntheticError::LoadOutOfReach { .. } => "load",
            SyntheticError::Setting { field, .. } => field,
            _ => return self,
        };
        let Ok(text) = fs::read_to_string(file) else {
            return self;
        };
        let Some(at) = place(&text, key) else {
            return self;
        };
        let whole = error.to_string();
        let (message, hint) = whole.split_once("; hint: ").unwrap_or((&whole, ""));
        let name = file.display().to_string();
        let source = Source {
            file: &name,
            text: &text,
        };
        Self::Scenario(source.error(at, message, hint))
    }
}

/// The value of a key of `[workload]`, or the table if the key is not given.
fn place(text: &str, key: &str) -> Option<Range<usize>> {
    let whole = DeTable::parse(text).ok()?;
    let workload = whole.get_ref().get("workload")?;
    let DeValue::Table(table) = workload.get_ref() else {
        return None;
    };
    Some(table.get(key).map_or(workload.span(), Spanned::span))
}
