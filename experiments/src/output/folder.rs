//! The output folder: all of it or nothing.

use std::fs;
use std::path::{Path, PathBuf};

use super::manifest;
use crate::error::ExperimentError;

/// A folder being written: a sibling of the target until [`commit`](Self::commit) renames it.
/// Dropped before, it is removed.
///
/// A folder that exists already is replaced only if it is empty or holds a manifest of ours.
///
/// ```
/// use windtunnel::output::Folder;
/// let place = std::env::temp_dir().join(format!("windtunnel-doc-{}", std::process::id()));
/// let folder = Folder::begin(&place)?;
/// std::fs::write(folder.file("note.txt"), "hello")?;
/// assert!(!place.exists());
/// folder.commit()?;
/// assert!(place.join("note.txt").exists());
/// assert!(Folder::begin(&place).is_err(), "it holds no manifest, so it may be anybody's");
/// # std::fs::remove_dir_all(&place)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Folder {
    target: PathBuf,
    temporary: PathBuf,
    is_done: bool,
}

impl Folder {
    /// Creates the sibling folder.
    ///
    /// # Errors
    /// The target is a file or somebody else's folder, or its parent can't be written to.
    pub fn begin(target: &Path) -> Result<Self, ExperimentError> {
        check_replaceable(target)?;
        let temporary = sibling(target, "tmp")?;
        fs::create_dir(&temporary).map_err(|error| {
            let mut error = ExperimentError::output(target, &error);
            if let ExperimentError::Output { hint, .. } = &mut error {
                let parent = parent_of(target);
                if !parent.exists() {
                    *hint = format!("`{}` does not exist; create it first", parent.display());
                }
            }
            error
        })?;
        Ok(Self {
            target: target.to_owned(),
            temporary,
            is_done: false,
        })
    }

    /// Where a file is to be written.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.temporary.join(name)
    }

    /// Puts the folder in its place.
    ///
    /// # Errors
    /// It can't be renamed; then what was there before is still there.
    pub fn commit(mut self) -> Result<(), ExperimentError> {
        check_replaceable(&self.target)?;
        let failed = |error| ExperimentError::output(&self.target, &error);
        if self.target.exists() {
            let old = sibling(&self.target, "old.tmp")?;
            fs::rename(&self.target, &old).map_err(failed)?;
            if let Err(error) = fs::rename(&self.temporary, &self.target) {
                // Put the old one back; if even that fails it is still beside the target.
                let _ = fs::rename(&old, &self.target);
                return Err(failed(error));
            }
            self.is_done = true;
            return fs::remove_dir_all(&old).map_err(|error| ExperimentError::output(old, &error));
        }
        fs::rename(&self.temporary, &self.target).map_err(failed)?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_done {
            // Nobody is left to tell if that fails.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

fn parent_of(target: &Path) -> PathBuf {
    match target.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => target.to_owned(),
    }
}

/// `.name.process.suffix` beside the target: hidden, and no two processes share it.
fn sibling(target: &Path, suffix: &str) -> Result<PathBuf, ExperimentError> {
    let Some(name) = target.file_name() else {
        return Err(ExperimentError::Output {
            path: target.to_owned(),
            cause: "it has no name".to_owned(),
            hint: "choose another folder with --out".to_owned(),
        });
    };
    let name = format!(".{}.{}.{suffix}", name.display(), std::process::id());
    Ok(parent_of(target).join(name))
}

fn check_replaceable(target: &Path) -> Result<(), ExperimentError> {
    let refuse = |cause: &str, hint: &str| {
        Err(ExperimentError::Output {
            path: target.to_owned(),
            cause: cause.to_owned(),
            hint: hint.to_owned(),
        })
    };
    if !target.exists() {
        return Ok(());
    }
    if !target.is_dir() {
        return refuse("it is a file", "choose another folder with --out");
    }
    let is_empty = fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
    if is_empty || manifest::is_ours(&target.join(manifest::FILE)) {
        return Ok(());
    }
    refuse(
        "it exists and holds no manifest of windtunnel, so it may be somebody's work",
        "choose another folder with --out, or remove it yourself",
    )
}
