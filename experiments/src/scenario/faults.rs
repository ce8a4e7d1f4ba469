//! `[faults]`: what breaks, how often and for how long; and the drivers of a platform.

use schemars::JsonSchema;
use serde::Serialize;
use windtunnel_core::{
    ExponentialFaults, FaultModel, FleetFaults, MaintenanceWindows, PoolId, PoolSet, Ppm,
    RepairTimes, SeveralFaults, SimDuration, SimTime, SlowBy, Supply,
};

use super::decode::Read;
use super::fields::{Fields, Keys, wrong};
use super::source::did_you_mean;
use super::text;

pub(super) const FAULTS: Keys = Keys {
    what: "[faults]",
    required: &[],
    optional: &[
        "fleet",
        "mtbf",
        "gpu_mtbf",
        "nvlink_mtbf",
        "nic_mtbf",
        "repair",
        "mttr",
        "slow_mtbf",
        "slow_for",
        "slow_by_min",
        "slow_by_max",
        "maintenance",
    ],
};
pub(super) const MAINTENANCE: Keys = Keys {
    what: "[[faults.maintenance]]",
    required: &["start", "length"],
    optional: &["every", "lead", "pools", "first_node", "node_count"],
};

/// What befalls the nodes. Links and stragglers slow work down as far as the platform's speed model
/// minds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Whose failures: `none`, or `llama3`, the fleet on which Llama 3 was trained. Rates that are not
    /// given are that fleet's, and so is `repair = "mixture"`; written out they say it all.
    #[serde(serialize_with = "text::fleet")]
    #[schemars(with = "String", extend("enum" = ["none", "llama3"]))]
    pub fleet: Fleet,
    /// Mean time between a repair and the next failure of one node as a whole, or `never`.
    #[serde(serialize_with = "text::never")]
    #[schemars(with = "String")]
    pub mtbf: Option<SimDuration>,
    /// Mean time between failures of one GPU, or `never`.
    #[serde(serialize_with = "text::never")]
    #[schemars(with = "String")]
    pub gpu_mtbf: Option<SimDuration>,
    /// Mean time between failures of one GPU's NVLink, or `never`.
    #[serde(serialize_with = "text::never")]
    #[schemars(with = "String")]
    pub nvlink_mtbf: Option<SimDuration>,
    /// Mean time between failures of one network card, one per GPU, or `never`.
    #[serde(serialize_with = "text::never")]
    #[schemars(with = "String")]
    pub nic_mtbf: Option<SimDuration>,
    /// How long repairs take: `exponential` with mean `mttr`, or `mixture`: 70 % a reset (20 min), 25 % a
    /// technician (a day), 5 % a part that is sent away (a week).
    #[serde(serialize_with = "text::repair")]
    #[schemars(with = "String", extend("enum" = ["exponential", "mixture"]))]
    pub repair: Repair,
    /// Mean time to repair, where it is exponential.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub mttr: SimDuration,
    /// Mean time between slowdowns that one GPU brings upon its node, or `never`.
    #[serde(serialize_with = "text::never")]
    #[schemars(with = "String")]
    pub slow_mtbf: Option<SimDuration>,
    /// Mean length of a slowdown, exponential.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub slow_for: SimDuration,
    /// Least factor by which a slow node takes longer.
    #[serde(serialize_with = "text::ppm")]
    #[schemars(with = "f64")]
    pub slow_by_min: Ppm,
    /// Largest factor.
    #[serde(serialize_with = "text::ppm")]
    #[schemars(with = "f64")]
    pub slow_by_max: Ppm,
    /// Maintenance windows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<Maintenance>,
}

/// Whose failures a scenario starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fleet {
    /// Nothing fails unless it is said.
    #[default]
    None,
    /// [`FleetFaults::llama3`].
    Llama3,
}

/// How long repairs take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// Exponential.
    #[default]
    Exponential,
    /// [`RepairTimes::mixture`].
    Mixture,
}

/// Windows in which nodes are taken out of service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// When the first window opens, from the start of the run.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub start: SimDuration,
    /// How long it is open.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub length: SimDuration,
    /// From one opening to the next, or `never`: there is one window.
    #[serde(serialize_with = "text::never")]
    #[schemars(with = "String")]
    pub every: Option<SimDuration>,
    /// How long before it opens nodes take no new tasks.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub lead: SimDuration,
    /// The pools it is for; empty: all.
    pub pools: Vec<String>,
    /// The first node it is for, by its place in its pool.
    pub first_node: u32,
    /// How many nodes of each pool it is for, or `none`: all from the first on.
    #[serde(serialize_with = "text::number")]
    #[schemars(with = "super::workload::NumberOrWord")]
    pub node_count: Option<u32>,
}

impl Default for Faults {
    /// Nothing fails; slowdowns, if there are any, last a day and are by 1.1 to 1.5.
    fn default() -> Self {
        Self {
            fleet: Fleet::None,
            mtbf: None,
            gpu_mtbf: None,
            nvlink_mtbf: None,
            nic_mtbf: None,
            repair: Repair::Exponential,
            mttr: SimDuration::ZERO,
            slow_mtbf: None,
            slow_for: SimDuration::from_days(1),
            slow_by_min: Ppm(1_100_000),
            slow_by_max: Ppm(1_500_000),
            maintenance: Vec::new(),
        }
    }
}

impl Faults {
    /// What `fleet` starts from.
    #[must_use]
    pub fn of(fleet: Fleet) -> Self {
        match fleet {
            Fleet::None => Self::default(),
            Fleet::Llama3 => {
                let rates = FleetFaults::llama3();
                Self {
                    fleet,
                    mtbf: rates.node,
                    gpu_mtbf: rates.gpu,
                    nvlink_mtbf: rates.nvlink,
                    nic_mtbf: rates.nic,
                    repair: Repair::Mixture,
                    ..Self::default()
                }
            }
        }
    }

    /// The supply with these faults.
    ///
    /// Whole nodes with exponential repairs draw as they did before anything else could fail.
    pub(super) fn befall(&self, supply: Supply) -> Supply {
        let mut all = SeveralFaults::default();
        let apart = self.repair == Repair::Exponential;
        if let (Some(mean_between), true) = (self.mtbf, apart) {
            all = all.and(ExponentialFaults {
                mean_between,
                mean_repair: self.mttr,
            });
        }
        let fleet = self.parts(if apart { None } else { self.mtbf });
        let fails = [fleet.node, fleet.gpu, fleet.nvlink, fleet.nic, fleet.slow];
        if fails.iter().any(Option::is_some) {
            all = all.and(fleet);
        }
        for windows in &self.maintenance {
            all = all.and(windows.calendar(&supply));
        }
        match all.0.len() {
            0 => supply,
            _ => supply.with_faults(all),
        }
    }

    fn parts(&self, node: Option<SimDuration>) -> FleetFaults {
        FleetFaults {
            node,
            gpu: self.gpu_mtbf,
            nvlink: self.nvlink_mtbf,
            nic: self.nic_mtbf,
            repair: match self.repair {
                Repair::Exponential => RepairTimes::Exponential(self.mttr),
                Repair::Mixture => RepairTimes::mixture(),
            },
            slow: self.slow_mtbf,
            slow_for: RepairTimes::Exponential(self.slow_for),
            slow_by: SlowBy {
                min: self.slow_by_min,
                max: self.slow_by_max,
            },
        }
    }

    /// Mean time between faults that stop a job of so many nodes and GPUs; `None`: none ever does.
    pub(crate) fn mean_between_stops(&self, nodes: u32, gpus: u64) -> Option<SimDuration> {
        self.parts(self.mtbf).mean_between_stops(nodes, gpus)
    }

    /// A pool that a window is for and that does not exist, with a hint.
    pub(super) fn unknown_pool(&self, known: &[&str]) -> Option<(String, String)> {
        let mut named = self.maintenance.iter().flat_map(|windows| &windows.pools);
        let unknown = named.find(|name| !known.contains(&&***name))?;
        let hint = did_you_mean(unknown, known.iter().copied());
        Some((unknown.clone(), hint))
    }
}

impl Maintenance {
    fn calendar(&self, supply: &Supply) -> MaintenanceWindows {
        let named = |name: &String| self.pools.is_empty() || self.pools.contains(name);
        let pools = supply.pools.iter().zip(0..);
        let pools: PoolSet = pools
            .filter(|(pool, _)| named(&pool.name))
            .map(|(_, id)| PoolId(id))
            .collect();
        let count = self.node_count.unwrap_or(u32::MAX);
        MaintenanceWindows {
            start: SimTime::ZERO.saturating_add(self.start),
            length: self.length,
            every: self.every,
            lead: self.lead,
            pools,
            nodes: self.first_node..self.first_node.saturating_add(count),
        }
    }
}

/// Reads `[faults]`.
pub(super) fn faults(fields: &Fields<'_>) -> Read<Faults> {
    let fleet = fields.word("fleet", text::FLEET)?.unwrap_or_default();
    let start = Faults::of(fleet);
    let rate = |key: &str, otherwise: Option<SimDuration>| match fields.duration_or(key, "never")? {
        Some(Some(mean)) if mean.is_zero() => {
            Err(fields.wrong(key, "it is longer than 0s, or \"never\""))
        }
        found => Ok(found.unwrap_or(otherwise)),
    };
    let factor = |key: &str, otherwise: Ppm| -> Read<Ppm> {
        Ok(fields.ppm(key, 1.0..=1_000.0)?.unwrap_or(otherwise))
    };
    let repair = fields.word("repair", text::REPAIR)?;
    let read = Faults {
        fleet,
        mtbf: rate("mtbf", start.mtbf)?,
        gpu_mtbf: rate("gpu_mtbf", start.gpu_mtbf)?,
        nvlink_mtbf: rate("nvlink_mtbf", start.nvlink_mtbf)?,
        nic_mtbf: rate("nic_mtbf", start.nic_mtbf)?,
        repair: repair.unwrap_or(start.repair),
        mttr: fields.duration("mttr")?.unwrap_or(start.mttr),
        slow_mtbf: rate("slow_mtbf", start.slow_mtbf)?,
        slow_for: fields.duration("slow_for")?.unwrap_or(start.slow_for),
        slow_by_min: factor("slow_by_min", start.slow_by_min)?,
        slow_by_max: factor("slow_by_max", start.slow_by_max)?,
        maintenance: fields
            .tables("maintenance", &MAINTENANCE)?
            .iter()
            .map(maintenance)
            .collect::<Read<_>>()?,
    };
    if read.slow_by_min > read.slow_by_max {
        return Err(fields.wrong("slow_by_min", "it is above slow_by_max"));
    }
    if read.repair == Repair::Mixture && !read.mttr.is_zero() {
        let hint =
            "the mixture has times of its own: leave mttr out, or say repair = \"exponential\"";
        return Err(fields.wrong("mttr", hint));
    }
    Ok(read)
}

/// Whether the pools that windows are for exist, as far as they are listed in the file.
pub(super) fn check_pools(fields: &Fields<'_>, known: &[&str]) -> Read<()> {
    for window in fields.tables("maintenance", &MAINTENANCE)? {
        for value in window.list("pools")?.unwrap_or_default() {
            let toml::de::DeValue::String(name) = value.get_ref() else {
                continue;
            };
            if !known.contains(&&**name) {
                let hint = did_you_mean(name, known.iter().copied());
                let label = format!("{hint}the pools are: {}", known.join(", "));
                return Err(wrong(fields.source, value.span(), "pools", label));
            }
        }
    }
    Ok(())
}

fn maintenance(fields: &Fields<'_>) -> Read<Maintenance> {
    let mut pools = Vec::new();
    for value in fields.list("pools")?.unwrap_or_default() {
        match value.get_ref() {
            toml::de::DeValue::String(name) => pools.push(name.to_string()),
            _ => {
                let hint = "it is a list of names of pools";
                return Err(wrong(fields.source, value.span(), "pools", hint));
            }
        }
    }
    let read = Maintenance {
        start: fields.duration("start")?.unwrap_or_default(),
        length: fields.duration("length")?.unwrap_or_default(),
        every: fields.duration_or("every", "never")?.unwrap_or_default(),
        lead: fields.duration("lead")?.unwrap_or_default(),
        pools,
        first_node: fields
            .whole("first_node", 0..=super::decode::WHOLE_MAX)?
            .unwrap_or_default(),
        node_count: fields
            .whole_or_none("node_count", 1..=super::decode::WHOLE_MAX)?
            .unwrap_or_default(),
    };
    if read.length.is_zero() {
        return Err(fields.wrong("length", "a window is open for longer than 0s"));
    }
    if read.every.is_some_and(|every| every < read.length) {
        let hint = "windows must not overlap: `every` is at least `length`, or \"never\"";
        return Err(fields.wrong("every", hint));
    }
    Ok(read)
}
