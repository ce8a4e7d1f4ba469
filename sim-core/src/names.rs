//! Names and attributes: text is interned once, at the door, and the core compares ids only.

use std::sync::Arc;

use crate::hash::LookupMap;
use crate::ids::{AttrId, GpuModelId, QueueId, TenantId};

/// One attribute: a vendor's word and its value (label, taint, partition, QOS, …).
pub type Attr = (Arc<str>, Arc<str>);

/// A table of distinct names, in the order of first mention.
#[derive(Clone, Debug, Default)]
struct Table {
    names: Vec<Arc<str>>,
    index: LookupMap<Arc<str>, u32>,
}

impl Table {
    fn with(first: &str) -> Self {
        let mut table = Self::default();
        table.intern(first);
        table
    }

    fn intern(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.index.get(name) {
            return id;
        }
        let id = u32::try_from(self.names.len()).expect("fewer than 2^32 names");
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.index.insert(name, id);
        id
    }
}

/// The interner of a run: tenants, queues, GPU models and attribute lists.
///
/// ```
/// use windtunnel_core::Names;
/// let mut names = Names::default();
/// let vision = names.tenant("vision");
/// assert_eq!(names.tenant("vision"), vision);
/// assert_eq!(names.tenant_name(vision), "vision");
/// let zone = names.attrs(&[("zone", "a"), ("gang", "yes")]);
/// assert_eq!(names.attr(zone, "gang"), Some("yes"));
/// assert_eq!(names.attrs(&[("gang", "yes"), ("zone", "a")]), zone, "order does not matter");
/// ```
#[derive(Clone, Debug)]
pub struct Names {
    tenants: Table,
    queues: Table,
    models: Table,
    attrs: Vec<Arc<[Attr]>>,
    attr_index: LookupMap<Arc<[Attr]>, AttrId>,
}

impl Default for Names {
    fn default() -> Self {
        let empty: Arc<[Attr]> = Arc::from(Vec::new());
        Self {
            tenants: Table::with("default"),
            queues: Table::with("default"),
            models: Table::default(),
            attrs: vec![Arc::clone(&empty)],
            attr_index: std::iter::once((empty, AttrId(0))).collect(),
        }
    }
}

impl Names {
    /// The id of a tenant's name, new or known.
    pub fn tenant(&mut self, name: &str) -> TenantId {
        TenantId(self.tenants.intern(name))
    }

    /// A tenant's name.
    #[must_use]
    pub fn tenant_name(&self, id: TenantId) -> &str {
        &self.tenants.names[id.index()]
    }

    /// The id of a queue's name, new or known.
    ///
    /// # Panics
    /// With more than 65,536 queues.
    pub fn queue(&mut self, name: &str) -> QueueId {
        QueueId(u16::try_from(self.queues.intern(name)).expect("at most 65,536 queues"))
    }

    /// A queue's name.
    #[must_use]
    pub fn queue_name(&self, id: QueueId) -> &str {
        &self.queues.names[id.index()]
    }

    /// The id of a GPU model's name, new or known; `None` beyond 64 models.
    pub fn gpu_model(&mut self, name: &str) -> Option<GpuModelId> {
        if self.models.names.len() >= 64 && !self.models.index.contains_key(name) {
            return None;
        }
        u8::try_from(self.models.intern(name)).ok().map(GpuModelId)
    }

    /// A GPU model's name.
    #[must_use]
    pub fn gpu_model_name(&self, id: GpuModelId) -> &str {
        &self.models.names[id.index()]
    }

    /// The id of a list of attributes; the order they are given in does not matter.
    ///
    /// # Panics
    /// With more than 2³² distinct lists.
    pub fn attrs(&mut self, attrs: &[(&str, &str)]) -> AttrId {
        let mut list: Vec<Attr> = attrs
            .iter()
            .map(|&(key, value)| (Arc::from(key), Arc::from(value)))
            .collect();
        list.sort();
        list.dedup();
        let list: Arc<[Attr]> = list.into();
        if let Some(&id) = self.attr_index.get(&list) {
            return id;
        }
        let id = AttrId(u32::try_from(self.attrs.len()).expect("fewer than 2^32 lists"));
        self.attrs.push(Arc::clone(&list));
        self.attr_index.insert(list, id);
        id
    }

    /// The attributes of a list, sorted by (key, value).
    #[must_use]
    pub fn attr_list(&self, id: AttrId) -> &[Attr] {
        &self.attrs[id.index()]
    }

    /// The first value of `key` in a list.
    #[must_use]
    pub fn attr(&self, id: AttrId, key: &str) -> Option<&str> {
        self.attr_list(id)
            .iter()
            .find(|(k, _)| &**k == key)
            .map(|(_, value)| &**value)
    }
}
