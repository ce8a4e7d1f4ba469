//! The recordings that come with the program: made for this project on real daemons, and only those of
//! their files that a case reads. A bundle is a JSON object of file names and texts, compressed.

use std::collections::BTreeMap;
use std::sync::Arc;

use windtunnel_traces::decode;

use super::files::Files;
use super::kubernetes;
use super::{Case, Seen};
use crate::error::ExperimentError;

/// Name and bytes of every bundle, in order of name.
const BUNDLES: [(&str, &[u8]); 2] = [
    (
        "kubernetes/adaptive_nodes",
        include_bytes!("../../golden/kubernetes/adaptive_nodes.json.gz"),
    ),
    (
        "kubernetes/default_profile",
        include_bytes!("../../golden/kubernetes/default_profile.json.gz"),
    ),
];

/// Their cases.
///
/// # Errors
/// Never, unless a bundle is broken; a test reads them.
pub(super) fn cases() -> Result<Vec<Case>, ExperimentError> {
    let mut cases = Vec::new();
    for (name, bytes) in BUNDLES {
        let broken =
            |cause: String| ExperimentError::setting(format!("the recording {name}"), cause);
        let reader = decode(bytes, name).map_err(|error| broken(error.to_string()))?;
        let files: BTreeMap<String, String> =
            serde_json::from_reader(reader).map_err(|error| broken(error.to_string()))?;
        let files = Files::Bundle(Arc::new((name.to_owned(), files)));
        if let Seen::Cases(found) = kubernetes::look(files, name)? {
            cases.extend(found);
        }
    }
    Ok(cases)
}
