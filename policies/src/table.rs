//! The one look-up table of this crate.

use std::hash::BuildHasherDefault;

use windtunnel_core::hash::TableHasher;

/// A map to look things up in, never to iterate.
#[expect(
    clippy::disallowed_types,
    reason = "keyed by the core's own hasher and never iterated; a tree costs several times as much per pod"
)]
pub(crate) type LookupMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<TableHasher>>;
