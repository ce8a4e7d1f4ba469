//! Where the files of a recording are: in a folder, or in the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::ExperimentError;
use crate::validate::table::Table;

/// The files of one recording, by name; large tables may be compressed in a folder.
#[derive(Clone, Debug)]
pub(super) enum Files {
    /// In a folder.
    Folder(PathBuf),
    /// In the program: a name for messages, and every file's text.
    Bundle(Arc<(String, BTreeMap<String, String>)>),
}

impl Files {
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => plain_or_gzip(folder, name).exists(),
            Self::Bundle(bundle) => bundle.1.contains_key(name),
        }
    }

    /// What a file is called in messages.
    pub(super) fn label(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(folder) => plain_or_gzip(folder, name),
            Self::Bundle(bundle) => Path::new(&bundle.0).join(name),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<String, ExperimentError> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                fs::read_to_string(&path).map_err(|cause| ExperimentError::Read { path, cause })
            }
            Self::Bundle(bundle) => bundle.1.get(name).cloned().ok_or_else(|| {
                ExperimentError::setting(
                    self.label(name).display().to_string(),
                    "there is no such file",
                )
            }),
        }
    }

    pub(super) fn table(&self, name: &str) -> Result<Table, ExperimentError> {
        match self {
            Self::Folder(_) => Table::read(&self.label(name)),
            Self::Bundle(_) => Ok(Table::of(self.label(name), self.text(name)?)),
        }
    }
}

/// The compressed form of a file if there is one.
fn plain_or_gzip(folder: &Path, name: &str) -> PathBuf {
    let gzip = folder.join(format!("{name}.gz"));
    if gzip.exists() {
        gzip
    } else {
        folder.join(name)
    }
}
