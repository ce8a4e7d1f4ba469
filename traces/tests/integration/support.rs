//! What the tests share.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use windtunnel_core::Names;
use windtunnel_traces::{Loaded, NativeReader, Strictness, TraceError};

/// A file under `traces/data`.
pub(crate) fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(name)
}

/// A public trace beside the repository. Without it a test skips itself, visibly; on continuous
/// integration it fails instead.
#[expect(
    clippy::disallowed_methods,
    reason = "whether a test may be skipped is the machine's"
)]
pub(crate) fn public(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/traces")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    let missing = format!("public trace {} is missing", path.display());
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{missing}; see docs/TRACES.md for where to get it"
    );
    // Not through `eprintln`, which tests that pass keep to themselves.
    let _ = writeln!(std::io::stderr(), "skipped: {missing}");
    None
}

pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Reads `text` as the native table, forgivingly.
pub(crate) fn lenient(text: &str) -> Result<Loaded, TraceError> {
    NativeReader::new(text.as_bytes(), "jobs.csv")?.read_all(&mut Names::default())
}

/// Reads `text` as the native table, stopping at the first trouble.
pub(crate) fn strict(text: &str) -> Result<Loaded, TraceError> {
    NativeReader::new(text.as_bytes(), "jobs.csv")?
        .with_strictness(Strictness::Strict)
        .read_all(&mut Names::default())
}
