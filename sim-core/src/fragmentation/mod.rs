//! Fragmentation of free capacity: what is left, in which shapes.
//!
//! The ledger says how much idle GPU time the *waiting* work could not use, and is zero while nothing
//! waits. The figures here look at what is free alone, and ask what a workload could do with it:
//!
//! | figure | of one node | source |
//! | --- | --- | --- |
//! | slots of *k* | ⌊wholly free GPUs ÷ *k*⌋ | |
//! | F, the fragmentation of FGD | below, in milli-GPU | Weng et al., USENIX ATC'23, §4 and its artefact |
//! | stranded | below, in milli-GPU | class Q4 of the same, with memory |
//!
//! F and stranded are means over [`Targets`], the task shapes of a workload, weighted by how often each
//! is asked for. With *L* the free milli-GPU of a node, one target counts
//!
//! | the target | F | stranded |
//! | --- | --- | --- |
//! | asks for no GPU, or for another model | *L* | 0 |
//! | fits by GPU and by CPU (memory is ignored) | what is left on GPUs with less than it asks for of one (shared by MIG: without room for its instance) | 0 |
//! | fits by GPU, but CPU or memory is missing | *L* (memory: as the row above) | *L* |
//! | does not fit by GPU | *L* | 0 |
//!
//! [`MigBlocked`] counts slices that no further instance can have. [`SlotMeter`] counts slots larger than a node, too: within a rack, say, and over the whole cluster.
//!
//! Everything is summed over nodes that take tasks. Sums are integers, so a figure is the same whether
//! it was kept up to date node by node or computed anew.

mod blocked;
mod meter;
mod slots;
mod targets;

pub use blocked::MigBlocked;
pub use meter::{Fragmentation, FragmentationMeter, SLOTS};
pub use slots::{SIZES, SPANS, SlotMeter, SlotsLeft};
pub use targets::{Target, Targets};
